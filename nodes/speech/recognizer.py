"""Follows one utterance after another through the audio: decodes, aligns, finds the endpoint.

    recognizer = Recognizer(moonshine, open_grammar("tabletop"), Settings(), emit)
    recognizer.feed(chunk, now_ns)

While someone speaks, the growing window of the utterance is decoded every ``partial_ms``. As soon
as the level says that the speech may have ended, it is decoded once more ahead of time, so that at
the endpoint only the commit is left.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from deixis.nodes.speech.audio import RATE_HZ, AudioLine
from deixis.nodes.speech.endpoint import Endpointer, Limits, Outlook
from deixis.nodes.speech.grammar import Grammar, Reading, meaning, merged
from deixis.nodes.speech.judging import judged
from deixis.nodes.speech.moonshine import FRAME, Moonshine, Transcript
from deixis.nodes.speech.vad import VadParams, VoiceActivity
from deixis.nodes.speech.wordtimes import spread
from deixis.runtime.clock import NS_PER_MS
from deixis.runtime.messages import AudioChunk, Parse, Word

EventKind = Literal["start", "partial", "final", "rejected"]

LEAD: Final = RATE_HZ // 2
"""Audio before the speech that goes into the window: a word at its very edge is misheard."""
TAIL: Final = RATE_HZ // 50
"""Audio after the last sample of speech that a decoding must have seen."""
PER_MS: Final = RATE_HZ // 1000


@dataclass(frozen=True)
class Settings:
    """How the recogniser works.

    Attributes:
        limits: Silences and time-outs of the endpoint.
        vad: Thresholds of the voice detector.
        accept_confidence: Least confidence of a command.
        interrupt_confidence: Least confidence of an interrupting partial.
        partial_ms: Audio between two partials.
        interrupt_ms: An interrupting word must stay the last one for so long, or the voice end.
        speculate_ms: Silence after which the last decoding is done ahead of time.
        window_s: Longest window that is decoded; a longer utterance is cut to half of it.
        unhurried_s: In longer utterances partials come more slowly, in proportion.
        patience_ms: A decoding may be skipped while the audio waiting is more than this.
        shortest_ms: Anything shorter is a click: no word takes so little.
        beginning_ms: What is no longer than this and understood as nothing may be a beginning.
    """

    limits: Limits = field(default_factory=Limits)
    vad: VadParams = field(default_factory=VadParams)
    accept_confidence: float = 0.5
    interrupt_confidence: float = 0.7
    partial_ms: float = 60.0
    interrupt_ms: float = 80.0
    speculate_ms: float = 40.0
    window_s: float = 8.0
    unhurried_s: float = 6.4
    patience_ms: float = 60.0
    shortest_ms: float = 100.0
    beginning_ms: float = 800.0


@dataclass
class Utterance:
    """What is known of the utterance that is going on.

    Attributes:
        command_id: Its id.
        start: Position where its speech begins.
        window_start: Position from which it is decoded; later than ``start`` if it is long.
        speech_end: Position after its last sample of speech so far.
        decoded: Position up to which it has been decoded.
        transcript: What was heard.
        words: The words with their times.
        readings: What it may mean.
        stable: The best reading was the same before.
        same_since: Position of the partial since which the best reading has been the same.
    """

    command_id: str
    start: int
    window_start: int
    speech_end: int
    decoded: int = 0
    transcript: Transcript = field(default_factory=Transcript)
    words: tuple[Word, ...] = ()
    readings: tuple[Reading, ...] = ()
    stable: bool = False
    same_since: int = 0

    @property
    def text(self) -> str:
        """The words as a text."""
        return " ".join(word.text for word in self.words)

    @property
    def best(self) -> Reading | None:
        """The best reading."""
        return self.readings[0] if self.readings else None

    @property
    def parses(self) -> tuple[Parse, ...]:
        """The parses of all readings, best first."""
        return tuple(r.parse for r in self.readings)


Emit = Callable[[EventKind, Utterance, str], None]
"""Called with the kind of event, the utterance, and for ``rejected`` the reason."""


class Recognizer:
    """Recognises the commands in one stream of audio.

    Args:
        moonshine: Transcribes.
        grammar: Says what a text means.
        settings: How it works.
        emit: Receives the events.
    """

    def __init__(
        self, moonshine: Moonshine, grammar: Grammar, settings: Settings, emit: Emit
    ) -> None:
        self.settings = settings
        self.line = AudioLine(settings.window_s + 2.0)
        self.utterance: Utterance | None = None
        self._moonshine = moonshine
        self._grammar = grammar
        self._next_grammar: Grammar | None = grammar
        self._switch_grammar()
        self._emit = emit
        self._vad = VoiceActivity(settings.vad)
        self._endpointer = Endpointer(settings.limits)
        self._over = 0

    def use(self, grammar: Grammar) -> None:
        """Recognise by another grammar, from the next utterance on."""
        self._next_grammar = grammar
        if self.utterance is None:
            self._switch_grammar()

    def _switch_grammar(self) -> None:
        grammar, self._next_grammar = self._next_grammar, None
        if grammar is not None:
            self._grammar = grammar
            self._moonshine.watch(grammar.graph.words)

    def begin_after(self, position: int, reason: str) -> None:
        """What was said up to a position (a wake word, say) is no part of any utterance.

        One that has gone on since then begins there; one that has not is rejected for ``reason``.
        """
        self._over = max(self._over, position)
        utterance = self.utterance
        if utterance is None or utterance.start >= position:
            return
        if self._vad.last_speech(position) is None:
            self.utterance = None
            self._endpointer.reset()
            self._emit("rejected", utterance, reason)
            return
        self.utterance = Utterance(utterance.command_id, position, position, position, position)
        self._endpointer.start_ns = self.line.time_ns(position)

    def limit(self, limits: Limits) -> None:
        """Use these silences and time-outs from now on."""
        self._endpointer.limits = limits

    def reset(self, reason: str) -> None:
        """Forget the stream; an utterance that is going on is rejected for ``reason``."""
        utterance, self.utterance = self.utterance, None
        if utterance is not None:
            self._emit("rejected", utterance, reason)
        self.line.reset()
        self._vad.reset()
        self._endpointer.reset()
        self._over = 0

    def feed(self, chunk: AudioChunk, now_ns: int) -> None:
        """Take the next chunk of audio.

        Args:
            chunk: Continues the stream; one that does not begins a new one.
            now_ns: The time, to know how far behind the audio we are.
        """
        added = self.line.add(chunk)
        if added is None:
            self.reset("the audio was interrupted")
            added = self.line.add(chunk)
            if added is None:
                return
        self._vad.feed(added)
        self._step(now_ns)

    def feed_silence(self, now_ns: int) -> None:
        """No audio came up to ``now_ns``: take it for silence, so that an utterance can end."""
        missing = (now_ns - self.line.time_ns(self.line.end)) * PER_MS // NS_PER_MS
        if missing > 0:
            self._vad.feed(self.line.add_silence(min(missing, RATE_HZ)))
            self._step(now_ns)

    def _step(self, now_ns: int) -> None:
        line, end_ns = self.line, self.line.time_ns(self.line.end)
        utterance = self.utterance
        if utterance is None:
            # The detector lags: right after a sentence it still hears the last one.
            if not self._vad.is_speech or self._vad.last_speech(self._over) is None:
                return
            self._switch_grammar()
            start = self._vad.onset(max(self._over, line.start))
            self._endpointer.voice(end_ns, line.time_ns(start))
            utterance = self.utterance = Utterance(
                f"u-{uuid.uuid4().hex[:8]}", start, start, line.end
            )
            utterance.decoded = start
            self._emit("start", utterance, "")
        utterance.speech_end = self._vad.last_speech(utterance.start) or utterance.start
        speech_end_ns = line.time_ns(utterance.speech_end)
        if self._decoding_is_due(utterance, now_ns - end_ns):
            self._decode(utterance)
            self._emit("partial", utterance, "")
        outlook = self._outlook(utterance)
        if (
            end_ns - speech_end_ns >= self._endpointer.limits.silence_ns(outlook)
            and utterance.decoded < utterance.speech_end + TAIL
        ):
            # The endpoint is here and the last words have not been decoded: now they must be.
            self._decode(utterance)
            outlook = self._outlook(utterance)
        decision = self._endpointer.update(end_ns, speech_end_ns, outlook)
        if decision is None:
            return
        self.utterance = None
        self._over = utterance.speech_end
        whole: tuple[Reading, ...] = ()
        if outlook in ("doubtful", "incomplete"):
            # Nothing has followed: it was the whole sentence, unless its last words are missing.
            whole = self._whole(utterance)
            utterance.readings = whole or utterance.readings
        if decision == "reject" and not whole:
            self._emit("rejected", utterance, self._why(utterance))
            return
        self._emit("final", utterance, "")

    def _decoding_is_due(self, utterance: Utterance, behind_ns: int) -> bool:
        settings, end = self.settings, self.line.end
        silence = end - utterance.speech_end
        fresh = end - utterance.decoded
        if silence >= settings.speculate_ms * PER_MS:
            # Once for every time the speech seems to have ended.
            return utterance.decoded < utterance.speech_end + TAIL
        # A partial begun in what may be the end would keep that last decoding waiting.
        if silence >= 0.5 * settings.speculate_ms * PER_MS or behind_ns > (
            settings.patience_ms * NS_PER_MS
        ):
            return False
        urgent = self._interrupts(utterance.readings[:1]) and not utterance.stable
        # In long talk decoding takes longer, and there is less haste.
        long = max(1.0, (end - utterance.window_start) / (settings.unhurried_s * RATE_HZ))
        return fresh >= settings.partial_ms * PER_MS * (0.5 if urgent else long)

    def _interrupts(self, best: Sequence[Reading]) -> bool:
        """Whether the best reading is one that is acted on before the end of the sentence."""
        return any(
            r.parse.intent in self._grammar.domain.interrupts
            and r.parse.confidence >= self.settings.interrupt_confidence
            for r in best
        )

    def _decode(self, utterance: Utterance) -> None:
        line, settings = self.line, self.settings
        draft = utterance.transcript.tokens
        if line.end - utterance.window_start > settings.window_s * RATE_HZ:
            # In jumps, so that in between the draft fits.
            utterance.window_start = line.end - int(settings.window_s * RATE_HZ) // 2
            draft = ()
        first = utterance.window_start
        samples = line.read(max(first - LEAD, self._over), line.end)
        if first - LEAD < self._over:
            samples = np.pad(samples, (self._over - first + LEAD, 0))
        transcript = self._moonshine.transcribe(
            samples, draft=draft, speech_s=(line.end - first) / RATE_HZ
        )
        before, decoded_before = utterance.best, utterance.decoded
        words = self._words(transcript, first, max(utterance.speech_end, first + 160))
        utterance.transcript, utterance.words = transcript, words
        readings = self._grammar.readings(transcript.text, words, transcript.doubts)
        silent = line.end - utterance.speech_end >= settings.speculate_ms * PER_MS
        if silent or self._interrupts(readings[:1]):

            def time_ns(frame: float) -> int:
                return line.time_ns(first - LEAD + round(FRAME * frame))

            readings = judged(self._moonshine, self._grammar, readings, transcript, time_ns)
        utterance.readings = tuple(merged(readings))
        if utterance.best is not None and utterance.best.words:
            utterance.words = utterance.best.words
        utterance.decoded = line.end
        self._settle(utterance, before, decoded_before)

    def _settle(self, utterance: Utterance, before: Reading | None, decoded_before: int) -> None:
        """Decide whether the best reading is stable."""
        settings, best = self.settings, utterance.best
        same = (
            best is not None and before is not None and meaning(best.parse) == meaning(before.parse)
        )
        utterance.same_since = min(utterance.same_since, decoded_before) if same else self.line.end
        utterance.stable = same
        if same and best is not None and best.parse.intent in self._grammar.domain.interrupts:
            held = self.line.end - utterance.same_since >= settings.interrupt_ms * PER_MS
            quiet = self.line.end - utterance.speech_end >= settings.speculate_ms * PER_MS
            confident = self._interrupts([best])
            utterance.stable = best.parse.complete and confident and (held or quiet)

    def _words(self, transcript: Transcript, first: int, speech_end: int) -> tuple[Word, ...]:
        texts = transcript.text.split()
        levels = self._vad.levels(first, speech_end)
        silent = self._vad.silent(first, speech_end)
        spans = spread(texts, levels, silent)
        start = first // 160 * 160
        return tuple(
            Word(
                text,
                self.line.time_ns(start + span.start * 160),
                self.line.time_ns(start + span.end * 160),
                round(float(np.exp(score)), 4),
            )
            for text, span, score in zip(texts, spans, transcript.word_log_probs, strict=True)
        )

    def _outlook(self, utterance: Utterance) -> Outlook:
        best = utterance.best
        if best is None or not self._is_sure(best) or self._is_click(utterance):
            # A word or two that are misheard may begin a sentence that is understood as a whole.
            short = utterance.speech_end - utterance.start < self.settings.beginning_ms * PER_MS
            return "incomplete" if short else "none"
        if not best.parse.complete:
            return "doubtful" if self._may_be_whole(utterance) else "incomplete"
        return "extendable" if best.extendable else "complete"

    def _is_sure(self, reading: Reading) -> bool:
        return reading.parse.confidence >= self.settings.accept_confidence

    def _is_click(self, utterance: Utterance) -> bool:
        return utterance.speech_end - utterance.start < self.settings.shortest_ms * PER_MS

    def _may_be_whole(self, utterance: Utterance) -> bool:
        """Whether what looks unfinished could be a whole sentence that was misheard."""
        # "… on the", heard just so, is no mishearing of "… on that".
        if utterance.best is None or utterance.best.ends_exactly:
            return False
        whole = next((r for r in utterance.readings if r.parse.complete), None)
        return whole is not None and self._is_sure(whole)

    def _whole(self, utterance: Utterance) -> tuple[Reading, ...]:
        """What an utterance that is over means if it was a whole sentence; nothing if it was none.

        While it could go on, its beginning was the likeliest reading; that is ruled out now.
        """
        best = utterance.best
        if best is None or best.ends_exactly or not self._is_sure(best):
            return ()
        if self._is_click(utterance):
            return ()
        whole = tuple(self._grammar.finished(utterance.readings))
        return whole if whole and self._is_sure(whole[0]) else ()

    def _why(self, utterance: Utterance) -> str:
        best = utterance.best
        if best is None:
            return "no words in it"
        if not self._is_sure(best):
            return f"not a sentence of the domain (confidence {best.parse.confidence:.2f})"
        if self._is_click(utterance):
            return "too short for a word"
        if not best.parse.complete:
            return f"unfinished sentence ({best.parse.text!r} …)"
        return self._endpointer.reason
