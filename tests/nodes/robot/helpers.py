"""Hand-made commands."""

from __future__ import annotations

from typing import Any

from deixis.runtime import trace
from deixis.runtime.messages import Command, Header, Heartbeat, Mark, Referent, Stop
from deixis.runtime.testing import NodeBench

RED_CUP = Referent("object", "red cup", 0.95, "red_cup", (0.45, 0.20, 0.05))
BLUE_BOWL = Referent("object", "blue bowl", 0.95, "blue_bowl", (0.40, -0.20, 0.03))
SPOT = Referent("place", "the place", 0.95, None, (0.35, -0.05, 0.0))
PERSON = Referent("person", "you", 1.0)


def command(bench: NodeBench, intent: str, command_id: str = "c1", **kwargs: Any) -> Command:
    now_ns = bench.clock.now_ns()
    kwargs.setdefault("deadline_ns", now_ns + 1_000_000_000)
    return Command(
        Header(now_ns, command_id=command_id),
        intent=intent,
        object=kwargs.pop("object", None),
        destination=kwargs.pop("destination", None),
        side=kwargs.pop("side", None),
        confidence=0.9,
        marks=(Mark(trace.RESOLVED, now_ns),),
        **kwargs,
    )


def do(bench: NodeBench, intent: str, command_id: str = "c1", **kwargs: Any) -> None:
    bench.send("command", command(bench, intent, command_id, **kwargs))


def stop(bench: NodeBench) -> None:
    bench.send("stop", Stop(Header(bench.clock.now_ns(), command_id="s1"), "said “stop”"))


def beat(bench: NodeBench) -> None:
    bench.send("heartbeat", Heartbeat(Header(bench.clock.now_ns())))


def states(bench: NodeBench, command_id: str = "c1") -> list[str]:
    """States of a command's feedback, without repeats."""
    found = [f.state for f in bench.outputs["feedback"] if f.header.command_id == command_id]
    return [s for i, s in enumerate(found) if i == 0 or s != found[i - 1]]


def last(bench: NodeBench, command_id: str = "c1") -> Any:
    return [f for f in bench.outputs["feedback"] if f.header.command_id == command_id][-1]


def now(bench: NodeBench) -> Any:
    """The robot's newest state, after one more control period or two."""
    bench.advance(60)
    return bench.outputs["robot_state"][-1]
