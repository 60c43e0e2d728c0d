"""The speech node alone, fed with the rendered episodes at simulated time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deixis.nodes.speech.grammar import meaning, parse_text
from deixis.nodes.speech.node import SpeechNode
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import ConfigError, DomainError
from deixis.runtime.messages import AudioChunk, Header, Playback, SpeechEvent, TypedCommand
from deixis.runtime.testing import NodeBench
from deixis.runtime.trace import COMMITTED, ENDPOINT, SPEECH_END, SPEECH_START

from .conftest import Recording
from .helpers import ended, play


@pytest.fixture(scope="module")
def bench(bundle: Bundle) -> Iterator[NodeBench]:
    with NodeBench(SpeechNode, bundle=bundle) as bench:
        yield bench


def test_every_episode_is_understood(bench: NodeBench, recordings: dict[str, Recording]) -> None:
    deictic_errors_ms: list[float] = []
    latencies_ms: list[float] = []
    for name, recording in recordings.items():
        start_ns, events = play(bench, recording.samples, name)
        utterances = recording.episode.truth.utterances
        assert [e.kind for e in ended(events)] == [
            "final" if u.in_domain else "rejected" for u in utterances
        ], name
        for event, utterance in zip(ended(events), utterances, strict=True):
            end_ms = (event.speech_end_ns - start_ns) / NS_PER_MS
            assert end_ms == pytest.approx(utterance.end_s * 1000, abs=120)
            if event.kind == "rejected":
                assert "not a sentence of the domain" in event.reason
                continue
            assert meaning(event.parses[0]) == meaning(parse_text("tabletop", utterance.text)[0])
            marks = {m.name: m.time_ns for m in event.marks}
            assert marks[SPEECH_START] < marks[SPEECH_END] < marks[ENDPOINT] <= marks[COMMITTED]
            latencies_ms.append((marks[ENDPOINT] - start_ns) / NS_PER_MS - utterance.end_s * 1000)
            if len(event.words) == len(utterance.words):
                for heard, true in zip(event.words, utterance.words, strict=True):
                    if true.word in ("that", "this", "there", "here", "one"):
                        start_ms = (heard.start_ns - start_ns) / NS_PER_MS - true.start_s * 1000
                        end_ms = (heard.end_ns - start_ns) / NS_PER_MS - true.end_s * 1000
                        deictic_errors_ms += [abs(start_ms), abs(end_ms)]
    assert np.percentile(deictic_errors_ms, 90) <= 150
    # Endpoint silence in audio time, the last chunk included; the computing comes on top.
    assert max(latencies_ms) <= 150


def test_one_id_from_start_to_end(bench: NodeBench, recordings: dict[str, Recording]) -> None:
    _, events = play(bench, recordings["put_it_there"].samples, "ids")
    ids = [e.header.command_id for e in events]
    assert len(set(ids)) == 2
    for command_id in set(ids):
        kinds = [e.kind for e in events if e.header.command_id == command_id]
        assert kinds[0] == "start"
        assert kinds[-1] == "final"
        assert set(kinds[1:-1]) == {"partial"}


def test_partials_come_while_someone_speaks(
    bench: NodeBench, recordings: dict[str, Recording]
) -> None:
    start_ns, events = play(bench, recordings["out_of_domain"].samples, "partials")
    # The end of speech in a partial is where it had got to when it was made.
    stamps = [e.speech_end_ns for e in events if e.kind == "partial"]
    truth = recordings["out_of_domain"].episode.truth.utterances[0]
    assert len(stamps) >= (truth.end_s - truth.start_s) * 10
    texts = [e.text for e in events if e.kind == "partial"]
    assert sum(len(b.split()) >= len(a.split()) for a, b in itertools.pairwise(texts)) > (
        0.8 * (len(texts) - 1)
    )
    assert start_ns < stamps[0]


def test_a_stop_is_stable_before_the_sentence_is_over(
    bench: NodeBench, recordings: dict[str, Recording]
) -> None:
    _, events = play(bench, recordings["stop_mid_sentence"].samples, "stop")
    last = [e for e in events if e.header.command_id == events[-1].header.command_id]
    stops = [e for e in last if e.kind == "partial" and e.stable and e.parses[0].intent == "stop"]
    assert stops
    assert stops[0].parses[0].confidence > 0.7
    assert stops[0].parses[0].complete
    # Nothing said before was a stop.
    before = last[: last.index(stops[0])]
    assert all(not (e.stable and e.parses and e.parses[0].intent == "stop") for e in before)


def test_lost_chunks_are_concealed_and_counted(
    bundle: Bundle, recordings: dict[str, Recording]
) -> None:
    for flagged in (False, True):
        with NodeBench(SpeechNode, bundle=bundle) as bench:
            samples = recordings["put_that_in_the_box"].samples
            start_ns, events = play(bench, samples, "gap", range(20, 23), flagged)
            final = ended(events)[0]
            assert final.kind == "final"
            truth = recordings["put_that_in_the_box"].episode.truth.utterances[0]
            end_s = (final.speech_end_ns - start_ns) / NS_PER_S
            assert end_s == pytest.approx(truth.end_s, abs=0.05)
            assert "60 ms of audio lost" in bench.node.context.notes["gaps"]


def test_audio_that_stops_in_mid_sentence_ends_the_utterance(
    bench: NodeBench, recordings: dict[str, Recording]
) -> None:
    recording = recordings["put_that_in_the_box"]
    end_s = recording.episode.truth.utterances[0].end_s
    # A file that ends with the last sample of speech.
    _, events = play(bench, recording.samples[: round(end_s * 16_000)], "cut")
    assert not ended(events)
    bench.advance(1500)
    assert bench.outputs["speech"][-1].kind == "final"
    # And one that ends within the sentence.
    play(bench, recording.samples[: round((end_s - 0.5) * 16_000)], "cut short")
    bench.advance(2500)
    last = bench.outputs["speech"][-1]
    assert last.kind == "rejected"
    assert last.reason


def test_a_switch_of_the_source_ends_the_utterance(
    bench: NodeBench, recordings: dict[str, Recording]
) -> None:
    samples = recordings["put_that_in_the_box"].samples
    play(bench, samples[:24_000], "device")
    play(bench, samples[:320], "file")
    assert "another source" in bench.outputs["speech"][-1].reason
    play(bench, samples[:24_000], "device again")
    reset = Playback(Header(0), None, None, 0, reset=True)
    bench.send("playback", reset)
    assert "new scene" in bench.outputs["speech"][-1].reason
    assert bench.node.next_tick_ns() is None


def typed(bench: NodeBench, text: str, *points: tuple[float, float, float]) -> SpeechEvent:
    bench.send("typed", TypedCommand(Header(bench.clock.now_ns(), command_id="c-1"), text, points))
    event: SpeechEvent = bench.outputs["speech"][-1]
    assert event.header.command_id == "c-1"
    return event


def test_typed_commands(bench: NodeBench) -> None:
    event = typed(bench, "put that there", (0.4, 0.1, 0.0), (0.5, -0.2, 0.0))
    assert event.kind == "final"
    assert [s.point_base_m for s in event.parses[0].slots] == [(0.4, 0.1, 0.0), (0.5, -0.2, 0.0)]
    event = typed(bench, "put it there", (0.4, 0.1, 0.0))
    assert [s.point_base_m for s in event.parses[0].slots] == [None, (0.4, 0.1, 0.0)]
    assert typed(bench, "pick up that").parses[0].slots[0].point_base_m is None


@pytest.mark.parametrize(
    ("text", "points", "reason"),
    [
        ("make me a sandwich", [], "not a sentence of the domain 'tabletop'"),
        ("put that in", [], "unfinished sentence ('put that in' …)"),
        ("take the red cup", [(0.0, 0.0, 0.0)], "1 points given for 0 pointing words"),
        ("", [], "no words"),
    ],
)
def test_typed_text_that_is_no_command(
    bench: NodeBench, text: str, points: list[tuple[float, float, float]], reason: str
) -> None:
    event = typed(bench, text, *points)
    assert event.kind == "rejected"
    assert reason in event.reason


def test_wrong_parameters(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(DomainError, match="did you mean 'tabletop'"):
        NodeBench(SpeechNode, params={"domain": "tabeltop"}, bundle=bundle)
    with pytest.raises(ConfigError, match="vad_threshold"):
        NodeBench(SpeechNode, params={"vad_threshold": 1.5}, bundle=bundle)
    with pytest.raises(ConfigError, match="complete_ms"):
        NodeBench(SpeechNode, params={"complete_s": 1.0}, bundle=bundle)


def test_other_sample_rates_are_refused_and_said(bench: NodeBench) -> None:
    n = len(bench.outputs["speech"])
    bench.send("audio", AudioChunk(Header(0), b"\0" * 1280, sample_rate_hz=44_100))
    assert len(bench.outputs["speech"]) == n
    assert "44100 Hz" in bench.node.context.notes["sample_rate"]
