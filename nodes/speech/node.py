"""The speech node: audio in, speech events out, from the start of a voice to the committed command.

bench = NodeBench(SpeechNode, bundle=bundle)
bench.send("typed", TypedCommand(Header(stamp_ns=0), "pick up that", ((0.4, 0.1, 0.0),)))
print(bench.outputs["speech"][-1].parses)
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial
from typing import Final

import msgspec

from deixis.nodes.speech.endpoint import Limits
from deixis.nodes.speech.gate import GRACE_NS, Gate, Mode
from deixis.nodes.speech.grammar import merged, open_grammar
from deixis.nodes.speech.livenames import LiveNames
from deixis.nodes.speech.moonshine import Moonshine
from deixis.nodes.speech.recognizer import EventKind, Recognizer, Settings, Utterance
from deixis.nodes.speech.vad import VadParams
from deixis.nodes.speech.wakeword import WakeWord
from deixis.runtime import topics
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import ConfigError
from deixis.runtime.messages import (
    AudioChunk,
    Mark,
    Parse,
    Playback,
    Scene,
    Slot,
    SpeechEvent,
    Talk,
    TypedCommand,
    Vec3,
    Word,
)
from deixis.runtime.node import Node
from deixis.runtime.trace import COMMITTED, ENDPOINT, SPEECH_END, SPEECH_START

SAMPLE_RATE_HZ: Final = 16_000
_WAKE: Final = "the wake word: listening"


class SpeechParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of the speech node; None means what the domain says.

    Attributes:
        domain: Name or path of the domain.
        complete_ms: Silence after a sentence that cannot go on.
        extendable_ms: Silence after a complete sentence that could go on.
        incomplete_ms: Silence after the beginning of a sentence.
        unknown_ms: Silence after anything else.
        accept_confidence: Least confidence of a command, in [0, 1].
        vad_threshold: Silero's probability from which a voice begins, in [0, 1].
        partial_ms: Audio between two partials while someone speaks.
        max_utterance_s: Longest window that is decoded; a longer utterance is cut to half of it.
        timeout_s: An utterance that goes on for longer is rejected.
        stall_ms: Audio that is late by so much counts as silence.
        gate: Which utterances count: ``open`` all, ``wake`` those after the wake word, ``ptt``
            those that begin while push-to-talk is held. What interrupts (*stop*) always counts.
        wake_word: Name of a model that comes with pymicro-wakeword, or path of a model's JSON file.
        wake_window_s: For so long after the wake word, or after a command, an utterance may begin.
    """

    domain: str = "tabletop"
    complete_ms: float | None = None
    extendable_ms: float | None = None
    incomplete_ms: float | None = None
    unknown_ms: float | None = None
    accept_confidence: float | None = None
    vad_threshold: float = 0.5
    partial_ms: float = 60.0
    max_utterance_s: float = 8.0
    timeout_s: float = 30.0
    stall_ms: float = 500.0
    gate: Mode = "open"
    wake_word: str = "hey_jarvis"
    wake_window_s: float = 6.0


class SpeechNode(Node[SpeechParams]):
    """Recognises commands in audio and in typed text."""

    inputs = {
        "audio": topics.AUDIO,
        "typed": topics.TYPED,
        "talk": topics.TALK,
        "scene": topics.SCENE,
        "playback": topics.PLAYBACK,
    }
    optional = frozenset({"typed", "talk", "scene", "playback"})
    outputs = {"speech": topics.SPEECH}
    Params = SpeechParams
    priority = ("playback", "talk", "typed", "audio", "scene")

    def setup(self) -> None:
        """Load the domain and the models.

        Raises:
            DomainError: The domain is missing or wrong.
            BundleError: The bundle lacks the speech models.
            ConfigError: A parameter is out of range, or there is no such wake word.
            MissingExtraError: The gate listens for a wake word, and its library is not installed.
        """
        params = self.params
        for name in ("vad_threshold", "accept_confidence"):
            value = getattr(params, name)
            if value is not None and not 0.0 < value < 1.0:
                raise ConfigError(f"{self.context.node_id}: {name} is {value}, not within (0, 1)")
        if params.wake_window_s <= 0:
            raise ConfigError(f"{self.context.node_id}: wake_window_s must be above 0")
        self._wake: WakeWord | None = None
        if params.gate == "wake":
            self._wake = WakeWord.open(params.wake_word, self.context.base_dir)
        self._gate = Gate(params.gate, self._wake.phrase if self._wake else "")
        self._grammar = open_grammar(params.domain, self.context.base_dir)
        self._names = LiveNames(self._grammar)
        self._moonshine = Moonshine.from_bundle(self.bundle(), partial(self.note, "engine"))
        self._recognizer = Recognizer(
            self._moonshine, self._grammar, self._settings(), self._on_event
        )
        self._stream: str | None = None
        self._last_audio_ns = 0
        self._quiet_since_ns = 0
        self._hurried = False
        self._show_gate(self.clock.now_ns())

    def close(self) -> None:
        """Release the models."""
        for name in ("_moonshine", "_names", "_wake"):
            if (owned := getattr(self, name, None)) is not None:
                owned.close()

    def next_tick_ns(self) -> int | None:
        """While someone speaks, look whether the audio still comes."""
        if self._recognizer.utterance is None:
            return None
        return self._quiet_since_ns + int(self.params.stall_ms * NS_PER_MS)

    def on_tick(self) -> None:
        """The audio has stopped in mid-utterance (a file ended, a device is gone)."""
        self._last_audio_ns = self.clock.now_ns()
        self._recognizer.feed_silence(self._last_audio_ns)
        self._quiet_since_ns = self.clock.now_ns()
        self._follow_gate()

    def on_audio(self, chunk: AudioChunk) -> None:
        """The next piece of audio."""
        if chunk.sample_rate_hz != SAMPLE_RATE_HZ:
            self.note(
                "sample_rate",
                f"audio at {chunk.sample_rate_hz} Hz ignored: the bus carries {SAMPLE_RATE_HZ} Hz",
            )
            return
        if chunk.stream != self._stream:
            self._recognizer.reset("the audio switched to another source")
            self._stream = chunk.stream
        self._last_audio_ns = self.clock.now_ns()
        concealed = self._recognizer.line.n_concealed
        self._use_names()
        self._recognizer.feed(chunk, self._last_audio_ns)
        # From the end of the work on: audio that came meanwhile is waiting, not missing.
        self._quiet_since_ns = self.clock.now_ns()
        self._follow_gate()
        if self._recognizer.line.n_concealed != concealed:
            line = self._recognizer.line
            total_ms = 1000 * line.n_concealed // SAMPLE_RATE_HZ
            self.note(
                "gaps", f"{total_ms} ms of audio lost so far in {line.n_gaps} gaps, made up for"
            )

    def on_playback(self, playback: Playback) -> None:
        """Media are switched; a new scene begins with nothing said."""
        if playback.reset:
            self._recognizer.reset("a new scene began")

    def on_scene(self, scene: Scene) -> None:
        """What objects are called can be said."""
        self._names.see(scene)
        self._use_names()

    def on_talk(self, talk: Talk) -> None:
        """Push-to-talk is pressed, goes on being held, or is let go."""
        if self._gate.mode != "ptt":
            self.note("talk", f"push-to-talk does nothing: the gate is {self._gate.mode!r}")
            return
        recognizer, line = self._recognizer, self._recognizer.line
        press_ns, end_ns = talk.header.stamp_ns, line.time_ns(line.end)
        if talk.until_ns <= press_ns:
            self._gate.close(press_ns)
        else:
            # The audio of the moment of the press is still on its way.
            from_ns = min(press_ns, end_ns)
            self._gate.open(from_ns - GRACE_NS, talk.until_ns)
            utterance = recognizer.utterance
            if utterance is not None and not self._gate.admits(line.time_ns(utterance.start)):
                # Others are talking: what counts begins here.
                position = line.end - (end_ns - from_ns) * SAMPLE_RATE_HZ // NS_PER_S
                recognizer.begin_after(position, "talk before the button was pressed")
        self._show_gate(press_ns)

    def on_typed(self, typed: TypedCommand) -> None:
        """A typed command is final, or rejected, at once; no gate keeps it out."""
        self._use_names()
        now_ns = self.clock.now_ns()
        words = tuple(Word(w, now_ns, now_ns) for w in typed.text.split())
        readings = merged(self._grammar.readings(typed.text, words))
        parses = tuple(r.parse for r in readings)
        threshold = self._settings().accept_confidence
        reason = self._typed_problem(parses, threshold, len(typed.points_base_m))
        if not reason:
            parses = tuple(_with_points(p, typed.points_base_m) for p in parses if p.complete)
        self._publish(
            "rejected" if reason else "final",
            typed.header.command_id or _new_id(),
            text=typed.text,
            words=words,
            parses=parses,
            speech_start_ns=now_ns,
            speech_end_ns=now_ns,
            reason=reason,
        )

    def _typed_problem(self, parses: tuple[Parse, ...], threshold: float, n_points: int) -> str:
        if not parses:
            return "no words in it"
        best = parses[0]
        if best.confidence < threshold:
            near = next((p.text for p in parses if p.complete), best.text)
            return (
                f"not a sentence of the domain {self._grammar.domain.name!r} "
                f"(confidence {best.confidence:.2f}; the nearest is {near!r})"
            )
        if not best.complete:
            return f"unfinished sentence ({best.text!r} …)"
        deictic = [s.text for s in best.slots if s.kind == "deictic"]
        if n_points > len(deictic):
            said = f": {', '.join(deictic)}" if deictic else ""
            return f"{n_points} points given for {len(deictic)} pointing words{said}"
        return ""

    def _use_names(self) -> None:
        """Take over a grammar with new names, if one is ready."""
        grammar = self._names.compiled()
        if grammar is not None:
            self.log.info("can be named now: %s", ", ".join(grammar.domain.names))
            self._grammar = grammar
            self._recognizer.use(grammar)

    def _follow_gate(self) -> None:
        """After new audio: look for the wake word, and whether push-to-talk was let go."""
        recognizer, line = self._recognizer, self._recognizer.line
        now_ns = line.time_ns(line.end)
        if self._wake is not None and (position := self._wake.follow(line)) is not None:
            recognizer.begin_after(position, _WAKE)
            from_ns = line.time_ns(position)
            self._gate.open(from_ns, from_ns + int(self.params.wake_window_s * NS_PER_S))
        utterance = recognizer.utterance
        # Who lets go has said what there was to say.
        let_go = (
            self._gate.mode == "ptt"
            and utterance is not None
            and self._gate.admits(line.time_ns(utterance.start))
            and now_ns > self._gate.until_ns
        )
        if let_go != self._hurried:
            self._hurried = let_go
            limits = recognizer.settings.limits
            short_ms = limits.complete_ms
            hurried = replace(
                limits, extendable_ms=short_ms, incomplete_ms=short_ms, unknown_ms=short_ms
            )
            recognizer.limit(hurried if let_go else limits)
        self._show_gate(now_ns)

    def _show_gate(self, now_ns: int) -> None:
        """Let ``deixis status`` show whether the robot listens."""
        if self._gate.mode != "open":
            self.context.notes["gate"] = self._gate.state(now_ns)

    def _refuses(self, utterance: Utterance) -> bool:
        """Whether an utterance was not meant for the robot; what interrupts always is."""
        best = utterance.best
        if best is not None and best.parse.intent in self._grammar.domain.interrupts:
            return False
        return not self._gate.admits(self._recognizer.line.time_ns(utterance.start))

    def _on_event(self, kind: EventKind, utterance: Utterance, reason: str) -> None:
        line = self._recognizer.line
        parses = utterance.parses
        refused = self._refuses(utterance)
        if refused and kind == "final":
            heard = self._wake is not None and self._wake.detected is not None
            kind, reason = "rejected", _WAKE if heard else self._gate.refusal()
        elif kind == "final":
            parses = tuple(p for p in parses if p.complete)
            if self._gate.mode == "wake" and self._gate.admits(line.time_ns(utterance.start)):
                # A question can be answered, a command corrected, without the wake word.
                window_ns = int(self.params.wake_window_s * NS_PER_S)
                self._gate.prolong(line.time_ns(utterance.speech_end) + window_ns)
        self._publish(
            kind,
            utterance.command_id,
            text=utterance.text,
            words=utterance.words,
            parses=parses,
            speech_start_ns=line.time_ns(utterance.start),
            speech_end_ns=line.time_ns(utterance.speech_end),
            stable=utterance.stable and kind == "partial" and not refused,
            reason=reason,
        )

    def _publish(
        self,
        kind: EventKind,
        command_id: str,
        *,
        text: str,
        words: tuple[Word, ...],
        parses: tuple[Parse, ...],
        speech_start_ns: int,
        speech_end_ns: int,
        stable: bool = False,
        reason: str = "",
    ) -> None:
        marks = [Mark(SPEECH_START, speech_start_ns)]
        if kind != "start":
            marks.append(Mark(SPEECH_END, speech_end_ns))
        # A sure stop is acted on as it is; it does not wait for an endpoint.
        stops = stable and bool(parses) and parses[0].intent == "stop" and parses[0].complete
        if kind in ("final", "rejected") or stops:
            # The rule fires when the chunk that it hangs on is there; what follows is recognition.
            fired_ns = max(self._last_audio_ns, speech_end_ns)
            marks += [Mark(ENDPOINT, fired_ns), Mark(COMMITTED, self.clock.now_ns())]
        if kind in ("final", "rejected"):
            self.log.info("%s %s: %r %s", command_id, kind, text, reason or parses[0].text)
        self.publish(
            "speech",
            SpeechEvent(
                self.header(speech_end_ns, command_id),
                kind=kind,
                text=text,
                words=words,
                parses=parses,
                stable=stable,
                speech_end_ns=speech_end_ns,
                reason=reason,
                marks=tuple(marks),
            ),
        )

    def _settings(self) -> Settings:
        params, domain = self.params, self._grammar.domain
        silences, thresholds = domain.silences, domain.thresholds

        def either(own: float | None, of_domain: float) -> float:
            return of_domain if own is None else own

        return Settings(
            limits=Limits(
                complete_ms=either(params.complete_ms, silences.complete_ms),
                extendable_ms=either(params.extendable_ms, silences.extendable_ms),
                incomplete_ms=either(params.incomplete_ms, silences.incomplete_ms),
                unknown_ms=either(params.unknown_ms, silences.unknown_ms),
                longest_s=params.timeout_s,
            ),
            vad=VadParams(start=params.vad_threshold, keep=0.4 * params.vad_threshold),
            accept_confidence=either(params.accept_confidence, thresholds.accept_confidence),
            interrupt_confidence=thresholds.interrupt_confidence,
            partial_ms=params.partial_ms,
            window_s=params.max_utterance_s,
        )


def _new_id() -> str:
    return f"u-{uuid.uuid4().hex[:8]}"


def _with_points(parse: Parse, points: tuple[Vec3, ...]) -> Parse:
    """Give the points to the deictic slots in the order they were said."""
    left = list(points)
    slots: list[Slot] = []
    for slot in parse.slots:
        point = left.pop(0) if slot.kind == "deictic" and left else None
        slots.append(msgspec.structs.replace(slot, point_base_m=point))
    return msgspec.structs.replace(parse, slots=tuple(slots))
