"""A node that points at the spots of :mod:`tests.calibration.people` in turn, with a habit."""

from __future__ import annotations

import msgspec

from deixis.runtime import topics
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.messages import Header, Pointing
from deixis.runtime.node import Node
from tests.calibration.people import SPOTS, hold

FIRST_S, EACH_S, BETWEEN_S = 3.0, 1.5, 0.2


class PointerParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which spots it points at, by number, and how far beside them (yaw)."""

    spots: tuple[int, ...] = (0, 1, 2, 3, 4)
    yaw_rad: float = 0.08


class Pointer(Node[PointerParams]):
    """Holds at the first spot for longer, so that who listens can begin."""

    outputs = {"pointing": topics.POINTING}
    Params = PointerParams
    tick_hz = 30.0

    def setup(self) -> None:
        yaw = self.params.yaw_rad
        self._holds = [hold(SPOTS[i].target_base_m, yaw=yaw, n=50) for i in self.params.spots]
        self._start_ns: int | None = None
        self._count = 0

    def on_tick(self) -> None:
        now_ns = self.clock.now_ns()
        self._start_ns = now_ns if self._start_ns is None else self._start_ns
        since_s = (now_ns - self._start_ns) / NS_PER_S - (FIRST_S - EACH_S)
        spot, into_s = divmod(max(since_s, 0.0), EACH_S + BETWEEN_S)
        frames = self._holds[min(int(spot), len(self._holds) - 1)]
        frame: Pointing = frames[self._count % len(frames)]
        self._count += 1
        phase = "reach" if into_s > EACH_S else "hold"
        self.publish("pointing", msgspec.structs.replace(frame, header=Header(now_ns), phase=phase))
