"""What the robot did is judged against the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deixis.runtime import messages as m
from deixis.runtime import trace
from deixis.runtime.episodes import Episode, ExpectedAction, TakenAction, load_episodes, mismatch
from deixis.runtime.errors import MediaError
from deixis.runtime.replay import Outcome, OutcomeCollector

EMPTY = m.Evidence("pick up that", (), 1.0)


def resolution(command_id: str, outcome: str = "act") -> m.Resolution:
    return m.Resolution(m.Header(1, command_id=command_id), outcome, "pick", None, "", "", EMPTY)


def feedback(command_id: str, state: str, *marks: m.Mark) -> m.Feedback:
    return m.Feedback(m.Header(1, command_id=command_id), state, "pick", "", 5, marks=marks)


def test_feedback_that_overtakes_its_resolution_is_kept():
    collector = OutcomeCollector()
    collector.add(feedback("a", "accepted"))
    collector.add(resolution("a"))
    assert not collector.settled
    collector.add(feedback("a", "done"))
    assert collector.settled
    assert [f.state for f in collector.outcomes["a"].feedback] == ["accepted", "done"]


@pytest.mark.parametrize("outcome", ["clarify", "answer", "reject"])
def test_what_the_robot_does_not_do_settles_at_once(outcome):
    collector = OutcomeCollector()
    collector.add(resolution("a", outcome))
    assert collector.settled


def test_the_true_end_replaces_the_estimate():
    marks = (m.Mark(trace.SPEECH_END, 0), m.Mark(trace.RECEIVED, 150_000_000))
    outcome = Outcome(resolution("a"), [feedback("a", "accepted", *marks)])
    assert outcome.stages()["end_to_end"] == 150
    assert outcome.stages(20_000_000)["end_to_end"] == 130


@pytest.mark.parametrize(
    ("taken", "why"),
    [
        (TakenAction("place", "cup", None, (0.42, 0.1, 0.0)), ""),
        (TakenAction("pick", "cup", None, (0.42, 0.1, 0.0)), "intent pick"),
        (TakenAction("place", "bowl", None, (0.42, 0.1, 0.0)), "object bowl"),
        (TakenAction("place", "cup", "box", None), "destination box"),
        (TakenAction("place", "cup", None, (0.52, 0.1, 0.0)), "10 cm off"),
        (TakenAction("place", "cup"), "no destination"),
    ],
)
def test_mismatch(taken: TakenAction, why: str):
    expected = ExpectedAction("place", 0, "cup", None, None, (0.42, 0.1, 0.0), 0.06)
    found = mismatch(expected, taken)
    assert why in found
    assert bool(why) == bool(found)


def test_an_incomplete_episode_is_named(tmp_path: Path):
    with pytest.raises(MediaError, match="no episodes in"):
        load_episodes(tmp_path)
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "truth.json").write_text("{}")
    with pytest.raises(MediaError, match=r"audio\.wav is missing"):
        Episode.load(folder)
    for name in ("audio.wav", "video.mp4"):
        (folder / name).write_bytes(b"")
    with pytest.raises(MediaError, match=r"truth\.json"):
        Episode.load(folder)
    truth = {"schema": 9, "name": "one", "description": "", "duration_s": 1.0, "objects": [],
             "utterances": [], "expected_actions": []}  # fmt: skip
    (folder / "truth.json").write_text(json.dumps(truth))
    with pytest.raises(MediaError, match="schema 9"):
        Episode.load(folder)
    with pytest.raises(MediaError, match="no episode two"):
        load_episodes(tmp_path, ["two"])
