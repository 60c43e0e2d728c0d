"""The gate: wake word and push-to-talk, alone and in the speech node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from deixis.nodes.speech.audio import RATE_HZ, AudioLine
from deixis.nodes.speech.gate import GRACE_NS, Gate
from deixis.nodes.speech.node import SpeechNode
from deixis.nodes.speech.wakeword import REACH, WakeWord, phrase_end
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import ConfigError, MissingExtraError
from deixis.runtime.messages import AudioChunk, Header, SpeechEvent, Talk, TypedCommand
from deixis.runtime.testing import NodeBench

from .conftest import Recording
from .helpers import CHUNK, ended, play

AUDIO = Path(__file__).parent / "audio"
S = NS_PER_S


def pause(seconds: float) -> NDArray[np.float32]:
    noise = np.random.default_rng(0).normal(0, 3e-4, round(seconds * RATE_HZ))
    return noise.astype(np.float32)


@pytest.fixture(scope="module")
def phrase() -> NDArray[np.float32]:
    """“Hey Jarvis”: ``tests.scenes.speech.Voice().say("hey jarvis", "cleo")``, scaled to 0.3."""
    pytest.importorskip("pymicro_wakeword", reason="pip install 'deixis[wake]'")
    samples, rate_hz = soundfile.read(AUDIO / "hey_jarvis.flac", dtype="float32")
    assert rate_hz == RATE_HZ
    return samples


@pytest.fixture(scope="module")
def command(recordings: dict[str, Recording]) -> NDArray[np.float32]:
    """“Put that in the box”, without the silence around it."""
    recording = recordings["put_that_in_the_box"]
    said = recording.episode.truth.utterances[0]
    first, last = round((said.start_s - 0.02) * RATE_HZ), round((said.end_s + 0.02) * RATE_HZ)
    return recording.samples[first:last]


# --- the gate itself ----------------------------------------------------------------------------


def test_an_open_gate_admits_everything() -> None:
    assert Gate("open").admits(123)


def test_what_counts_is_when_an_utterance_begins() -> None:
    gate = Gate("ptt")
    assert not gate.admits(1 * S)
    gate.open(10 * S, 12 * S)
    assert [gate.admits(t * S) for t in (9, 10, 12, 13)] == [False, True, True, False]
    # Held on: the span goes on from where it began.
    gate.open(11 * S, 20 * S)
    assert gate.admits(10 * S)
    gate.close(15 * S)
    assert [gate.admits(t * S) for t in (10, 15, 16)] == [True, True, False]
    gate.close(18 * S)
    assert not gate.admits(17 * S)
    # A new press forgets the last one.
    gate.open(30 * S, 31 * S)
    assert not gate.admits(12 * S)
    gate.prolong(33 * S)
    gate.prolong(5 * S)
    assert gate.admits(32 * S)


def test_its_state_in_words() -> None:
    gate = Gate("wake", "hey jarvis")
    assert "say 'hey jarvis'" in gate.state(1 * S)
    assert "say 'hey jarvis' first" in gate.refusal()
    gate.open(1 * S, 3 * S)
    assert gate.state(2 * S) == "gate wake: listening"
    gate = Gate("ptt")
    assert gate.state(1 * S) == "gate ptt: not held"
    gate.open(1 * S, 3 * S)
    assert gate.state(2 * S) == "gate ptt: held, listening"


# --- the wake word ------------------------------------------------------------------------------


def follow(word: WakeWord, samples: NDArray[np.float32], line: AudioLine) -> list[int]:
    found = []
    base = line.end
    for at in range(0, len(samples) - CHUNK + 1, CHUNK):
        data = samples[at : at + CHUNK].astype("<f4").tobytes()
        number = (base + at) // CHUNK
        line.add(AudioChunk(Header(number * 20 * NS_PER_MS, number), data))
        position = word.follow(line)
        if position is not None:
            found.append(position)
    return found


def test_a_wake_word_is_heard_once_and_its_end_is_found(phrase: NDArray[np.float32]) -> None:
    word = WakeWord.open("hey_jarvis")
    assert word.phrase == "hey jarvis"
    line = AudioLine(10.0)
    samples = np.concatenate(
        [pause(1), phrase, pause(0.3), phrase[::-1], pause(2), phrase, pause(1)]
    )
    found = follow(word, samples, line)
    first = RATE_HZ + len(phrase)
    second = first + round(2.3 * RATE_HZ) + 2 * len(phrase)
    assert len(found) == 2
    assert first - 800 <= found[0] <= first + round(0.3 * RATE_HZ)
    assert second - 800 <= found[1] <= second + RATE_HZ
    # A new stream.
    line.reset()
    assert len(follow(word, np.concatenate([pause(1), phrase, pause(1)]), line)) == 1
    word.close()


def test_the_end_of_a_phrase_is_the_pause_after_it() -> None:
    line = AudioLine(10.0)
    rng = np.random.default_rng(1)
    said = rng.normal(0, 0.1, RATE_HZ).astype(np.float32)
    samples = np.concatenate([said, pause(0.2), said])
    line.add(AudioChunk(Header(0), samples.astype("<f4").tobytes()))
    for offset in range(-REACH + 10, REACH, 5):
        position = phrase_end(line, RATE_HZ + offset * 160)
        assert RATE_HZ <= position <= RATE_HZ + 0.2 * RATE_HZ


def test_orders_of_coffee_are_no_wake_words(shared_data: Path) -> None:
    pytest.importorskip("pymicro_wakeword", reason="pip install 'deixis[wake]'")
    word = WakeWord.open("hey_jarvis")
    for path in sorted((shared_data / "coffee_commands").glob("*.flac"))[:10]:
        samples, _ = soundfile.read(path, dtype="float32")
        assert not follow(word, samples, AudioLine(10.0)), path.name
        word.reset()
    word.close()


def test_wake_words_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymicro_wakeword", reason="pip install 'deixis[wake]'")
    with pytest.raises(ConfigError, match="did you mean 'hey_jarvis'"):
        WakeWord.open("hey_jarvi")
    with pytest.raises(ConfigError, match=r"cannot read the wake word .*own\.json"):
        WakeWord.open("own.json", tmp_path)
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"wake_word": "robot", "model": "own.tflite", "micro": {}}))
    (tmp_path / "own.tflite").write_bytes(b"\0\0\0\0TFL3")
    with pytest.raises(ConfigError, match="micro: incomplete"):
        WakeWord.open("own.json", tmp_path)
    micro = {"probability_cutoff": 0.9, "sliding_window_size": 5}
    own.write_text(json.dumps({"wake_word": "robot", "model": "own.tflite", "micro": micro}))
    (tmp_path / "own.tflite").write_bytes(b"no model at all")
    with pytest.raises(ConfigError, match="no TensorFlow Lite model"):
        WakeWord.open("own.json", tmp_path)


def test_a_model_of_ones_own(tmp_path: Path, phrase: NDArray[np.float32]) -> None:
    import pymicro_wakeword

    models = Path(pymicro_wakeword.__file__).parent / "models"
    config = json.loads((models / "hey_jarvis.json").read_text())
    own = {**config, "wake_word": "My Robot", "model": "own.tflite"}
    (tmp_path / "own.json").write_text(json.dumps(own))
    (tmp_path / "own.tflite").write_bytes((models / "hey_jarvis.tflite").read_bytes())
    word = WakeWord.open("own.json", tmp_path)
    assert word.phrase == "my robot"
    samples = np.concatenate([pause(1), phrase, pause(1)])
    assert len(follow(word, samples, AudioLine(10.0))) == 1
    word.close()


def test_without_the_library_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pymicro_wakeword", None)
    with pytest.raises(MissingExtraError) as caught:
        WakeWord.open("hey_jarvis")
    assert caught.value.hint == "pip install 'deixis[wake]'"


# --- in the node --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def waking(bundle: Bundle) -> Iterator[NodeBench]:
    pytest.importorskip("pymicro_wakeword", reason="pip install 'deixis[wake]'")
    with NodeBench(SpeechNode, params={"gate": "wake"}, bundle=bundle) as bench:
        yield bench


@pytest.fixture(scope="module")
def talking(bundle: Bundle) -> Iterator[NodeBench]:
    with NodeBench(SpeechNode, params={"gate": "ptt"}, bundle=bundle) as bench:
        yield bench


def finals(events: list[SpeechEvent]) -> list[str]:
    return [e.parses[0].intent for e in events if e.kind == "final"]


def test_no_command_without_the_wake_word(
    waking: NodeBench, command: NDArray[np.float32], recordings: dict[str, Recording]
) -> None:
    _, events = play(waking, np.concatenate([pause(1), command, pause(1)]), "no wake word")
    assert not finals(events)
    assert ended(events)[-1].kind == "rejected"
    assert ended(events)[-1].reason == "not spoken to: say 'hey jarvis' first"
    # Nothing is worked out ahead of time either.
    assert not any(e.stable for e in events)
    assert waking.node.context.notes["gate"] == "gate wake: say 'hey jarvis'"
    # What is typed is meant.
    waking.send("typed", TypedCommand(Header(waking.clock.now_ns()), "pick up that"))
    assert waking.outputs["speech"][-1].kind == "final"


def test_a_command_right_after_the_wake_word(
    waking: NodeBench, phrase: NDArray[np.float32], command: NDArray[np.float32]
) -> None:
    for gap_s in (0.2, 1.5, 5.0):
        waking.advance(8000)
        samples = np.concatenate([pause(1), phrase, pause(gap_s), command, pause(1)])
        start_ns, events = play(waking, samples, f"gap {gap_s}")
        assert finals(events) == ["place"], gap_s
        final = next(e for e in events if e.kind == "final")
        # The words of the wake word are not part of it.
        assert final.text.lower().startswith("put")
        began_ns = start_ns + int((1 + len(phrase) / RATE_HZ) * S)
        assert final.words[0].start_ns >= began_ns - 50 * NS_PER_MS
        assert waking.node.context.notes["gate"] == "gate wake: listening"


def test_the_window_closes(
    waking: NodeBench, phrase: NDArray[np.float32], command: NDArray[np.float32]
) -> None:
    waking.advance(8000)
    one = np.concatenate([pause(1), phrase, pause(7), command, pause(1)])
    _, events = play(waking, one, "too late")
    assert not finals(events)
    # After a command, the next one needs no wake word; some time later it does.
    more = [pause(1), phrase, pause(0.5), command, pause(4), command, pause(7), command, pause(1)]
    _, events = play(waking, np.concatenate(more), "a dialogue")
    assert finals(events) == ["place", "place"]


@pytest.mark.parametrize("gate", ["waking", "talking"])
def test_stop_needs_no_gate(
    request: pytest.FixtureRequest, gate: str, recordings: dict[str, Recording]
) -> None:
    bench: NodeBench = request.getfixturevalue(gate)
    bench.advance(8000)
    recording = recordings["stop_mid_sentence"]
    _, events = play(bench, recording.samples, "stop")
    stops = [e for e in events if e.stable]
    assert stops
    assert all(e.parses[0].intent == "stop" for e in stops)
    assert not set(finals(events)) - {"stop"}
    # It does not open the gate.
    assert "listening" not in bench.node.context.notes["gate"]


def test_push_to_talk(talking: NodeBench, command: NDArray[np.float32]) -> None:
    def press(seconds: float) -> None:
        now_ns = talking.clock.now_ns()
        talking.send("talk", Talk(Header(now_ns), now_ns + int(seconds * S)))

    one = np.concatenate([command, pause(1)])
    talking.advance(8000)
    play(talking, pause(1), "ptt")
    _, events = play(talking, one, "ptt")
    assert not finals(events)
    assert ended(events)[0].reason == "not spoken to: push-to-talk was not held"
    assert not any(e.stable for e in events)
    # Held.
    press(5)
    assert talking.node.context.notes["gate"] == "gate ptt: held, listening"
    _, events = play(talking, one, "ptt")
    assert finals(events) == ["place"]
    # Two in one press.
    _, events = play(talking, one, "ptt")
    assert finals(events) == ["place"]
    # Let go: nothing more counts.
    press(0)
    assert talking.node.context.notes["gate"] == "gate ptt: not held"
    _, events = play(talking, one, "ptt")
    assert not finals(events)
    # Let go in mid-sentence: it is heard to its end.
    press(0.5)
    _, events = play(talking, one, "ptt")
    assert finals(events) == ["place"]
    # Pressed a moment after the first word.
    n = GRACE_NS * RATE_HZ // S // 2 // CHUNK * CHUNK
    play(talking, one[:n], "ptt")
    press(3)
    _, events = play(talking, one[n:], "ptt")
    assert finals(events) == ["place"]
    press(0)


def test_others_talk_when_the_button_is_pressed(
    talking: NodeBench, command: NDArray[np.float32], recordings: dict[str, Recording]
) -> None:
    talking.advance(8000)
    radio = recordings["out_of_domain"]
    said = radio.episode.truth.utterances[0]
    talk = radio.samples[round(said.start_s * RATE_HZ) : round((said.end_s - 0.3) * RATE_HZ)]
    play(talking, np.concatenate([pause(1), talk]), "radio")
    assert talking.node.next_tick_ns() is not None
    now_ns = talking.clock.now_ns()
    talking.send("talk", Talk(Header(now_ns), now_ns + 3 * S))
    _, events = play(talking, np.concatenate([pause(0.2), command, pause(1)]), "radio")
    assert finals(events) == ["place"]
    assert "put" in ended(events)[0].text.lower()
    talking.send("talk", Talk(Header(talking.clock.now_ns()), 0))


def test_who_lets_go_has_said_it_all(talking: NodeBench, command: NDArray[np.float32]) -> None:
    """An unfinished sentence waits for more, but not when the button is up."""
    half = command[: len(command) // 2]
    ends_ms = []
    for held_s in (10.0, 0.3):
        talking.advance(20_000)
        play(talking, pause(1), f"half {held_s}")
        now_ns = talking.clock.now_ns()
        talking.send("talk", Talk(Header(now_ns), now_ns + int(held_s * S)))
        first = len(talking.outputs["speech"])
        samples = np.concatenate([half, pause(1.5)])
        for at in range(0, len(samples) - CHUNK + 1, CHUNK):
            play(talking, samples[at : at + CHUNK], f"half {held_s}")
            if ended(talking.outputs["speech"][first:]):
                ends_ms.append((at - len(half)) * 1000 / RATE_HZ)
                break
    held_ms, released_ms = ends_ms
    assert released_ms < held_ms - 300


def test_a_button_without_effect_is_said(bundle: Bundle) -> None:
    with NodeBench(SpeechNode, bundle=bundle) as bench:
        assert "gate" not in bench.node.context.notes
        bench.send("talk", Talk(Header(0), 5 * S))
        assert "the gate is 'open'" in bench.node.context.notes["talk"]
    with pytest.raises(ConfigError, match="gate"):
        NodeBench(SpeechNode, params={"gate": "shut"}, bundle=bundle)
    with pytest.raises(ConfigError, match="wake_window_s"):
        NodeBench(SpeechNode, params={"wake_window_s": 0.0}, bundle=bundle)
