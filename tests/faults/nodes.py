"""Small nodes, well-behaved and misbehaving, for tests of the runtime."""

from __future__ import annotations

import os
import time

import msgspec
import numpy as np

from deixis.runtime import messages as m
from deixis.runtime import topics
from deixis.runtime.errors import DeviceError
from deixis.runtime.node import Node


class TickerParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    size_px: int = 64


class Ticker(Node[TickerParams]):
    """Publishes a frame and a scene fifty times a second."""

    outputs = {"frame": topics.FRAME, "scene": topics.SCENE}
    Params = TickerParams
    tick_hz = 50.0

    def setup(self) -> None:
        self._count = 0

    def on_tick(self) -> None:
        now_ns = self.clock.now_ns()
        size = self.params.size_px
        image = np.full((size, size, 3), self._count % 251, np.uint8)
        self.publish("frame", m.Frame(self.header(now_ns), image))
        self.publish("scene", m.Scene(self.header(now_ns), ()))
        self._count += 1


class Commander(Node[msgspec.Struct]):
    """For each scene sends one command and, at the tenth, a stop."""

    inputs = {"scene": topics.SCENE}
    outputs = {"command": topics.COMMAND, "stop": topics.STOP}

    def on_scene(self, scene: m.Scene) -> None:
        number = scene.header.seq
        header = self.header(scene.header.stamp_ns, f"c-{number}")
        deadline_ns = self.clock.now_ns() + 5_000_000_000
        self.publish("command", m.Command(header, "look", None, None, None, 1.0, deadline_ns))
        if number % 10 == 9:
            self.publish("stop", m.Stop(header, "tenth"))


class Executor(Node[msgspec.Struct]):
    """Answers commands and stops, and passes frames' first pixel on as progress."""

    inputs = {
        "command": topics.COMMAND,
        "stop": topics.STOP,
        "frame": topics.FRAME,
        "heartbeat": topics.HEARTBEAT,
    }
    optional = frozenset({"frame", "heartbeat", "stop"})
    outputs = {"feedback": topics.FEEDBACK}

    def on_command(self, command: m.Command) -> None:
        self._answer(command.header.command_id, "done", command.intent)

    def on_stop(self, stop: m.Stop) -> None:
        self._answer(stop.header.command_id, "stopped", "stop")

    def on_heartbeat(self, beat: m.Heartbeat) -> None:
        self.note("heartbeat", "the daemon lives")

    def on_frame(self, frame: m.Frame) -> None:
        value = float(frame.image[0, 0, 0])
        if not (frame.image == frame.image[0, 0, 0]).all():
            raise RuntimeError("a torn frame was delivered")
        self.publish(
            "feedback",
            m.Feedback(
                self.header(frame.header.stamp_ns), "running", "frame", "", 0, progress=value
            ),
        )

    def _answer(self, command_id: str | None, state: str, intent: str) -> None:
        now_ns = self.clock.now_ns()
        header = self.header(now_ns, command_id)
        self.publish("feedback", m.Feedback(header, state, intent, "", now_ns))  # type: ignore[arg-type]


class NoDevice(Node[msgspec.Struct]):
    """Fails in setup, as a camera that is not there."""

    def setup(self) -> None:
        raise DeviceError("there is no camera 7", hint="plug one in")


class Crash(Node[msgspec.Struct]):
    """Dies of a bug a moment after it started."""

    tick_hz = 10.0

    def setup(self) -> None:
        self._ticks = 0

    def on_tick(self) -> None:
        self._ticks += 1
        if self._ticks > 3:
            raise RuntimeError("a bug")


class Killed(Node[msgspec.Struct]):
    """Its process vanishes, as after a segmentation fault or for want of memory."""

    tick_hz = 10.0

    def on_tick(self) -> None:
        os.kill(os.getpid(), 9)


class Deaf(Node[msgspec.Struct]):
    """Never comes back from its handler, so it cannot close."""

    tick_hz = 10.0

    def on_tick(self) -> None:
        time.sleep(3600)


class Relay(Node[msgspec.Struct]):
    """Passes every scene on."""

    inputs = {"scene": topics.SCENE}
    outputs = {"scene": topics.SCENE}

    def on_scene(self, scene: m.Scene) -> None:
        self.publish("scene", m.Scene(self.header(scene.header.stamp_ns), scene.objects))
