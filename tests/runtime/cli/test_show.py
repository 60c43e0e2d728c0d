from __future__ import annotations

import io

from rich.console import Console

from deixis.runtime import messages as m
from deixis.runtime.cli.show import outcome_json, show_outcome
from deixis.runtime.replay import Outcome

EVIDENCE = m.Evidence("what is that", (), 0.9)


def shown(resolution: m.Resolution) -> str:
    console = Console(file=io.StringIO(), width=200)
    show_outcome(console, Outcome(resolution), zero_ns=0)
    return console.file.getvalue()


def test_an_answer_is_shown():
    answer = "That is a red cup, left of the bowl."
    resolution = m.Resolution(
        m.Header(1), "answer", "describe", None, "", "", EVIDENCE, answer=answer
    )
    assert f"none; it answers: {answer}" in shown(resolution)
    assert outcome_json(Outcome(resolution), zero_ns=0)["answer"] == answer


def test_the_spot_beside_a_thing_is_shown():
    bowl = m.Referent("object", "bowl", 0.9, "b", (0.5, 0.0, 0.0), "left_of", (0.5, 0.13, 0.0))
    command = m.Command(m.Header(1), "place", None, bowl, None, 0.9, 2)
    resolution = m.Resolution(m.Header(1), "act", "place", command, "", "", EVIDENCE)
    assert "→ left of bowl (0.50, 0.13)" in shown(resolution)
