from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from deixis.nodes.voice import VoiceNode
from deixis.runtime.errors import ConfigError, DeviceError
from deixis.runtime.messages import Evidence, Header, Resolution
from deixis.runtime.testing import NodeBench


def script(folder: Path, code: str) -> list[str]:
    """A program that stands for a voice."""
    path = folder / "voice.py"
    path.write_text(f"import sys, time, pathlib\ntext = sys.stdin.read()\n{code}\n")
    return [sys.executable, str(path)]


def writing(folder: Path, pause_s: float = 0.0) -> tuple[list[str], Path]:
    said = folder / "said.txt"
    code = f"time.sleep({pause_s})\nopen({str(said)!r}, 'a').write(text + '\\n')"
    return script(folder, code), said


def resolution(outcome, **said):
    fields = {"question": "", "reason": "", **said}
    return Resolution(Header(1), outcome, None, None, evidence=Evidence("", (), 0.0), **fields)


def until_quiet(bench, limit_s=15.0):
    end = time.monotonic() + limit_s
    while bench.node.next_tick_ns() is not None and time.monotonic() < end:
        time.sleep(0.02)
        bench.advance(20)
    assert bench.node.next_tick_ns() is None


def test_answers_and_questions_are_spoken_in_turn(tmp_path):
    command, said = writing(tmp_path)
    bench = NodeBench(VoiceNode, {"command": command})
    bench.send("resolution", resolution("answer", answer="That is a red cup."))
    bench.send("resolution", resolution("act"))
    bench.send("resolution", resolution("clarify", question="The cup or the bowl?"))
    until_quiet(bench)
    assert said.read_text().splitlines() == ["That is a red cup.", "The cup or the bowl?"]
    speaking = [(s.text[:5], s.on) for s in bench.outputs["speaking"]]
    assert speaking == [("That ", True), ("That ", False), ("The c", True), ("The c", False)]
    assert not bench.node.context.notes


def test_what_waits_too_long_goes_unsaid_and_says_so(tmp_path):
    command, said = writing(tmp_path, 0.2)
    bench = NodeBench(VoiceNode, {"command": command, "queue_depth": 1})
    for text in ("one", "two", "three"):
        bench.send("resolution", resolution("answer", answer=text))
    until_quiet(bench)
    assert said.read_text().splitlines() == ["one", "three"]
    assert "1 texts went unsaid" in bench.node.context.notes["unsaid"]


def test_a_text_that_takes_too_long_is_broken_off(tmp_path):
    command = script(tmp_path, "time.sleep(60)")
    bench = NodeBench(VoiceNode, {"command": command, "timeout_s": 0.1})
    bench.send("resolution", resolution("answer", answer="a very long story"))
    until_quiet(bench)
    assert "cut off" in bench.node.context.notes["failed"]
    assert not bench.outputs["speaking"][-1].on


def test_a_failing_program_is_noted_until_it_works_again(tmp_path):
    code = "sys.exit(3 if text == 'bad' else 0)"
    bench = NodeBench(VoiceNode, {"command": script(tmp_path, code)})
    bench.send("resolution", resolution("answer", answer="bad"))
    until_quiet(bench)
    assert "ended with 3" in bench.node.context.notes["failed"]
    bench.send("resolution", resolution("answer", answer="good"))
    until_quiet(bench)
    assert not bench.node.context.notes


def test_a_stop_silences_it(tmp_path):
    command, said = writing(tmp_path, 60.0)
    bench = NodeBench(VoiceNode, {"command": command})
    bench.send("resolution", resolution("answer", answer="one"))
    bench.send("resolution", resolution("answer", answer="two"))
    bench.send("resolution", resolution("stop"))
    assert bench.node.next_tick_ns() is None
    assert [s.on for s in bench.outputs["speaking"]] == [True, False]
    assert not said.exists()


def test_what_cannot_speak_does_not_start():
    with pytest.raises(DeviceError, match="not installed"):
        NodeBench(VoiceNode, {"command": ["no-such-voice"]})
    with pytest.raises(ConfigError, match="give a command"):
        NodeBench(VoiceNode, {"command": []})
