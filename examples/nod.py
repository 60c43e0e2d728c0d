"""A node of one's own: says yes to every robot state in which the robot holds something.

Run it beside the others by adding it to a copy of nodes/graphs/demo.yaml:

    - id: nod
      node: examples.nod:Nod
      inputs: {robot_state: robot/robot_state}

and starting that graph from this checkout: PYTHONPATH=. deixis run my_graph.yaml
"""

from __future__ import annotations

import msgspec

from deixis.runtime import topics
from deixis.runtime.messages import RobotState
from deixis.runtime.node import Node


class NodParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of :class:`Nod`.

    Attributes:
        phrase: What it says.
    """

    phrase: str = "it holds"


class Nod(Node[NodParams]):
    """Logs what the robot holds, once per object."""

    inputs = {"robot_state": topics.ROBOT_STATE}
    Params = NodParams

    def setup(self) -> None:
        """Nothing is held yet."""
        self._last: str | None = None

    def on_robot_state(self, state: RobotState) -> None:
        """Say what is new."""
        if state.holding and state.holding != self._last:
            self.log.info("%s the %s", self.params.phrase, state.holding_label)
        self._last = state.holding
