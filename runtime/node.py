"""What a node is: declared inputs, outputs and parameters, and one method per input.

A node runs unchanged in a process of its own under the daemon (:mod:`deixis.runtime.host`) or in a
unit test on an in-process bench with a simulated clock (:mod:`deixis.runtime.testing`).

    class Echo(Node):
        '''Answers every scene with the same scene.'''
        inputs = {"scene": topics.SCENE}
        outputs = {"scene": topics.SCENE}

        def on_scene(self, scene: Scene) -> None:
            self.publish("scene", Scene(self.header(scene.header.stamp_ns), scene.objects))
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_S, Clock
from deixis.runtime.errors import NodeError
from deixis.runtime.messages import Header, Message
from deixis.runtime.topics import Topic


class NoParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of a node that has none."""


P = TypeVar("P", bound=msgspec.Struct)


@dataclass
class NodeContext:
    """What a node is given by whoever runs it.

    Attributes:
        node_id: Its id in the graph.
        clock: Where it reads the time.
        send: Called with an output's name and the message.
        bundle: The models, for nodes that need some.
        base_dir: Folder that relative paths in its parameters start from.
        notes: Fallbacks and degradations, shown in ``deixis status``.
    """

    node_id: str
    clock: Clock
    send: Callable[[str, Message], None]
    bundle: Bundle | None = None
    base_dir: Path = field(default_factory=Path.cwd)
    notes: dict[str, str] = field(default_factory=dict)


class Node(Generic[P]):
    """Base of all nodes.

    Subclasses declare ``inputs``, ``outputs`` and ``Params`` (a frozen, keyword-only msgspec struct
    with ``forbid_unknown_fields``), and define ``on_<input>(message)`` for each input. ``setup``
    may take time (loading models); the node counts as ready when it returns.

    Class attributes:
        inputs: Topic per input name.
        optional: Inputs that a graph may leave unconnected.
        outputs: Topic per output name.
        Params: Type of the parameters.
        tick_hz: How often ``on_tick`` is called; 0 for never.
        priority: Inputs to serve first when several wait, most urgent first.
    """

    inputs: ClassVar[Mapping[str, Topic]] = {}
    optional: ClassVar[frozenset[str]] = frozenset()
    outputs: ClassVar[Mapping[str, Topic]] = {}
    Params: ClassVar[type[msgspec.Struct]] = NoParams
    tick_hz: ClassVar[float] = 0.0
    priority: ClassVar[tuple[str, ...]] = ()

    def __init__(self, context: NodeContext, params: P) -> None:
        self.context = context
        self.params = params
        self.clock = context.clock
        self.log = logging.getLogger(f"deixis.{context.node_id}")
        self._seq: dict[str, int] = dict.fromkeys(self.outputs, 0)
        self._next_tick_ns = context.clock.now_ns()

    def setup(self) -> None:
        """Open devices and load models. Raises a DeixisError if it cannot start."""

    def on_tick(self) -> None:
        """Called ``tick_hz`` times a second, or at the times that ``next_tick_ns`` says."""

    def close(self) -> None:
        """Release everything; called once, also after a failure."""

    def next_tick_ns(self) -> int | None:
        """When ``on_tick`` is due next; None for never. Nodes that pace themselves override it."""
        return self._next_tick_ns if self.tick_hz > 0 else None

    def tick(self) -> None:
        """Run one tick and schedule the next (called by the runner, not by nodes)."""
        if self.tick_hz > 0:
            # A late tick does not cause a burst of catching up.
            period_ns = int(NS_PER_S / self.tick_hz)
            self._next_tick_ns = max(self._next_tick_ns + period_ns, self.clock.now_ns())
        self.on_tick()

    def handle(self, name: str, message: Message) -> None:
        """Give a message to the method of its input (called by the runner, not by nodes)."""
        handler: Callable[[Any], None] = getattr(self, f"on_{name}")
        handler(message)

    def header(self, stamp_ns: int, command_id: str | None = None) -> Header:
        """A header for an outgoing message; sequence and source are filled in by ``publish``."""
        return Header(stamp_ns=stamp_ns, command_id=command_id)

    def publish(self, output: str, message: Message) -> None:
        """Send a message on one of the declared outputs.

        Raises:
            NodeError: The output is not declared, or the message is not of its topic's type.
        """
        topic = self.outputs.get(output)
        if topic is None:
            raise NodeError(f"node {self.context.node_id!r} has no output {output!r}")
        if type(message) is not topic.message:
            raise NodeError(
                f"output {output!r} of node {self.context.node_id!r} carries "
                f"{topic.message.__name__}, not {type(message).__name__}"
            )
        header = msgspec.structs.replace(
            message.header, seq=self._seq[output], source=self.context.node_id
        )
        self._seq[output] += 1
        self.context.send(output, msgspec.structs.replace(message, header=header))

    def note(self, key: str, text: str) -> None:
        """Log a fallback or degradation once and show it in ``deixis status``."""
        if self.context.notes.get(key) != text:
            self.log.warning("%s", text)
            self.context.notes[key] = text

    def clear_note(self, key: str) -> None:
        """Take a note back: the degradation is over."""
        self.context.notes.pop(key, None)

    def bundle(self) -> Bundle:
        """The bundle of models.

        Raises:
            NodeError: The node runs without a bundle.
        """
        if self.context.bundle is None:
            raise NodeError(
                f"node {self.context.node_id!r} needs a bundle of models",
                hint="deixis run … --bundle bundles/cpu (deixis export all makes it)",
            )
        return self.context.bundle

    def path(self, text: str) -> Path:
        """A path from the parameters; relative ones start at the graph's base folder."""
        return (self.context.base_dir / Path(text).expanduser()).resolve()


def check_declaration(node_class: type[Node[Any]]) -> None:
    """Check that a node class has a handler per input.

    Raises:
        NodeError: A handler is missing.
    """
    for name in node_class.inputs:
        if not callable(getattr(node_class, f"on_{name}", None)):
            raise NodeError(f"{node_class.__name__} declares input {name!r} but has no on_{name}()")
