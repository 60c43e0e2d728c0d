"""Listens for a wake word, and finds where in the audio the phrase is over.

    word = WakeWord.open("hey_jarvis")
    position = word.follow(line)

The detectors are microWakeWord's streaming networks of about 60 kB (K. Ahrendt; Apache-2.0, weights
included), run by pymicro-wakeword: 2 ms of one core for a second of audio.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.speech.audio import RATE_HZ, AudioLine
from deixis.runtime.config import nearest
from deixis.runtime.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from pymicro_wakeword import MicroWakeWord

FRAME: Final = RATE_HZ // 100
REACH: Final = 30
"""Frames of 10 ms before and after a detection among which the phrase ends. Measured on 7 synthetic
voices, a detector fires 0.15 s before to 0.35 s after the end of its phrase."""
PAUSE: Final = 7
"""Half the length, in frames, of the pause that people make after the phrase."""
FAR_DB: Final = 0.1
"""So much louder may a place be that is a frame nearer to where the phrase is expected to end."""
LAG: Final = 5
"""A detector fires about so many frames after the end of the phrase."""
DEAF: Final = RATE_HZ
"""For a second after a detection, the detector is still excited by the same phrase."""
DEPTH_DB: Final = 40.0
"""Levels further below the loudest frame are all the same silence."""


class WakeWord:
    """One wake word in one stream.

    Args:
        model: The detector.

    Attributes:
        phrase: What has to be said.
        detected: Position at which the phrase was recognised, while its end is being looked for.
    """

    def __init__(self, model: MicroWakeWord) -> None:
        from pymicro_wakeword import MicroWakeWordFeatures

        self.phrase = model.wake_word.lower()
        self.detected: int | None = None
        self._model = model
        self._features = MicroWakeWordFeatures()
        self._position = 0
        self._deaf_until = 0

    @classmethod
    def open(cls, name_or_path: str, base_dir: Path | None = None) -> WakeWord:
        """Load a detector.

        Args:
            name_or_path: A model that comes with pymicro-wakeword, or the path of the JSON file of
                a microWakeWord model, which names its ``.tflite`` file.
            base_dir: Where a relative path starts.

        Raises:
            MissingExtraError: pymicro-wakeword is not installed.
            ConfigError: There is no such model, or it cannot be read.
        """
        try:
            from pymicro_wakeword import MicroWakeWord, Model
        except ImportError:
            raise MissingExtraError("pymicro-wakeword", "wake") from None
        if name_or_path.endswith(".json"):
            path = ((base_dir or Path.cwd()) / Path(name_or_path).expanduser()).resolve()
            _check(path)
            return cls(MicroWakeWord.from_config(path))
        known = [model.value for model in Model]
        if name_or_path not in known:
            raise ConfigError(
                f"there is no wake word {name_or_path!r}{nearest(name_or_path, known)}",
                hint=f"name one of {', '.join(known)}, or give the path of a model's .json file",
            )
        return cls(MicroWakeWord.from_builtin(Model(name_or_path)))

    def close(self) -> None:
        """Release the detector."""
        self._model.close()

    def reset(self) -> None:
        """A new stream begins at position 0."""
        self._model.reset()
        self._features.reset()
        self._position = 0
        self._deaf_until = 0
        self.detected = None

    def follow(self, line: AudioLine) -> int | None:
        """Listen to what is new in the audio.

        Returns:
            Once for every time the wake word is said, a little later: the position in the pause
            after it, where the command may begin.
        """
        if line.end < self._position:
            self.reset()
        samples = line.read(self._position, line.end)
        self._position = line.end
        pcm = (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        for features in self._features.process_streaming(pcm):
            if self._model.process_streaming(features) and line.end >= self._deaf_until:
                self.detected = line.end
                self._deaf_until = line.end + DEAF
        if self.detected is None or line.end < self.detected + (REACH + PAUSE) * FRAME:
            return None
        detected, self.detected = self.detected, None
        return phrase_end(line, detected)


def phrase_end(line: AudioLine, detected: int) -> int:
    """The quietest place around a detection: the middle of the pause after the wake word.

    Args:
        line: The audio, to ``REACH + PAUSE`` frames after the detection.
        detected: Position of the detection.
    """
    first = detected - (REACH + PAUSE) * FRAME
    samples = line.read(first, detected + (REACH + PAUSE) * FRAME)
    power = np.var(samples.reshape(-1, FRAME), axis=1)
    levels_db = 10.0 * np.log10(power + 1e-10)
    levels_db = np.maximum(levels_db, levels_db.max() - DEPTH_DB)
    width = 2 * PAUSE + 1
    smooth_db: NDArray[np.float64] = np.convolve(levels_db, np.ones(width) / width, "valid")
    distance = np.abs(np.arange(len(smooth_db)) - (REACH - LAG))
    return first + (PAUSE + int(np.argmin(smooth_db + FAR_DB * distance))) * FRAME


def _check(path: Path) -> None:
    """Refuse what the library would crash on."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        model = path.parent / str(config["model"])
        micro = config["micro"]
        complete = isinstance(config["wake_word"], str) and {
            "probability_cutoff",
            "sliding_window_size",
        } <= set(micro)
        flat = model.read_bytes()[4:8] == b"TFL3"
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as cause:
        raise ConfigError(
            f"cannot read the wake word {path}: {type(cause).__name__}: {cause}",
            hint="it is the .json file of a microWakeWord model, beside its .tflite file",
        ) from cause
    if not complete or not flat:
        what = f"{model} is no TensorFlow Lite model" if complete else "micro: incomplete"
        raise ConfigError(f"{path}: {what}")
