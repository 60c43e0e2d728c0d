"""The robot node: receives commands and stops, obeys limits, drives the robot, reports.

    bench = NodeBench(RobotNode); bench.send("command", command); bench.advance(3000)

**This is a convenience stop, not an emergency stop.** A voice or gesture stop halts the motion
within one control period and empties the queue; a later command is accepted again. It runs on an
ordinary operating system and does not replace the emergency stop that a real robot must have
(category 0 or 1 of IEC 60204-1).
"""

from __future__ import annotations

import importlib
import math
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import msgspec

from deixis.nodes.robot.driver import Progress, RobotDriver
from deixis.nodes.robot.limits import Limits
from deixis.runtime import topics, trace
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import ConfigError, DeviceError
from deixis.runtime.messages import (
    Command,
    Feedback,
    Heartbeat,
    Mark,
    Playback,
    RobotState,
    Stop,
    Vec3,
)
from deixis.runtime.node import Node, NodeContext
from deixis.runtime.topics import Topic

_REMEMBERED_IDS = 256
_MAX_DT_S = 0.1
_HELD_UP_NS = 60 * NS_PER_MS
_STATE_PERIOD_NS = NS_PER_S // 20
_PROGRESS_PERIOD_NS = NS_PER_S // 5
_SPEED_TOLERANCE = 1.25
_CONTROL = frozenset({"pause", "resume", "cancel", "yes", "no"})

State = Literal["accepted", "refused", "running", "done", "failed", "cancelled", "stopped"]


class RobotParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of :class:`RobotNode`.

    Attributes:
        driver: ``module:Class`` of the driver.
        driver_params: Its own parameters.
        limits: What this robot may do.
        queue_depth: Most commands that may wait.
        max_wait_ms: A command that waited longer in the queue is not started.
        heartbeat_timeout_ms: The robot stops by itself when heartbeats cease for this long.
    """

    driver: str = "deixis.nodes.robot.simulated:SimulatedRobot"
    driver_params: dict[str, Any] = {}
    limits: Limits = Limits()
    queue_depth: int = 8
    max_wait_ms: float = 60_000.0
    heartbeat_timeout_ms: float = 250.0


@dataclass(frozen=True, slots=True)
class _Job:
    """A command that waits or runs."""

    command: Command
    received_ns: int
    marks: tuple[Mark, ...]

    @property
    def command_id(self) -> str:
        return self.command.header.command_id or ""


class RobotNode(Node[RobotParams]):
    """Carries out each command once, in order, within the robot's limits.

    ``cancel`` gives up the command that was given last and has not ended. ``pause`` halts and keeps
    everything, ``resume`` goes on. A stop (or a missing heartbeat) halts and empties the queue.
    """

    inputs: ClassVar[Mapping[str, Topic]] = {
        "command": topics.COMMAND,
        "stop": topics.STOP,
        "heartbeat": topics.HEARTBEAT,
        "playback": topics.PLAYBACK,
    }
    optional = frozenset({"heartbeat", "playback"})
    outputs: ClassVar[Mapping[str, Topic]] = {
        "feedback": topics.FEEDBACK,
        "robot_state": topics.ROBOT_STATE,
    }
    Params = RobotParams
    priority = ("stop", "command")
    tick_hz = 50.0

    def __init__(self, context: NodeContext, params: RobotParams) -> None:
        super().__init__(context, params)
        self._driver = load_driver(params.driver, params.driver_params)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._queue: deque[_Job] = deque()
        self._running: _Job | None = None
        self._paused = False
        self._stopped = False
        self._lost_heartbeat = False
        self._held_up = False
        self._heartbeat_ns: int | None = None
        self._stepped_ns = context.clock.now_ns()
        self._state_due_ns = self._stepped_ns
        self._progress_ns = self._stepped_ns - _PROGRESS_PERIOD_NS

    def setup(self) -> None:
        """Connect to the robot.

        Raises:
            DeviceError: It does not answer.
        """
        self._driver.open()

    def close(self) -> None:
        """Halt and disconnect."""
        self._driver.stop("the node closes")
        self._driver.close()

    # --- inputs ---------------------------------------------------------------------------------

    def on_command(self, command: Command) -> None:
        """Accept a command, or refuse it and say why; once per id."""
        now_ns = self.clock.now_ns()
        job = _Job(command, now_ns, trace.with_mark(command.marks, trace.RECEIVED, now_ns))
        if not job.command_id:
            self._report(job, "refused", "the command has no id")
            return
        if job.command_id in self._seen:
            return
        self._seen[job.command_id] = None
        if len(self._seen) > _REMEMBERED_IDS:
            self._seen.popitem(last=False)
        reason = self._why_not(job)
        if reason is not None:
            self._report(job, "refused", reason)
            return
        self._report(job, "accepted", "")
        self._stopped = False
        if command.intent in _CONTROL:
            self._control(job)
        else:
            self._queue.append(job)

    def on_stop(self, stop: Stop) -> None:
        """Halt now and empty the queue."""
        now_ns = self.clock.now_ns()
        self._halt(stop.reason)
        marks = trace.with_mark(stop.marks, trace.RECEIVED, now_ns)
        self.publish(
            "feedback",
            Feedback(
                self.header(now_ns, stop.header.command_id),
                state="stopped",
                intent="stop",
                detail=stop.reason,
                received_ns=now_ns,
                marks=marks,
            ),
        )
        self._publish_state(now_ns)

    def on_heartbeat(self, heartbeat: Heartbeat) -> None:
        """The daemon is alive."""
        self._heartbeat_ns = self.clock.now_ns()
        if self._lost_heartbeat:
            self._lost_heartbeat = False
            self.clear_note("heartbeat")

    def on_playback(self, playback: Playback) -> None:
        """A new scene begins: go home and forget the world."""
        if not playback.reset:
            return
        for job in self._drop_all():
            self._report(job, "cancelled", "a new scene begins")
        self._driver.reset()
        self._paused = self._stopped = False

    # --- control --------------------------------------------------------------------------------

    def on_tick(self) -> None:
        """One control period: watch the heartbeat, move, report."""
        now_ns = self.clock.now_ns()
        since_ns = now_ns - self._stepped_ns
        dt_s = min(since_ns / NS_PER_S, _MAX_DT_S)
        self._stepped_ns = now_ns
        # When this process itself was held up, heartbeats wait in its queue: it hears those first,
        # once, and judges on the next tick.
        self._held_up = since_ns > _HELD_UP_NS and not self._held_up
        if not self._held_up:
            self._watch_heartbeat(now_ns)
        if not self._paused:
            self._advance(now_ns, dt_s)
        if now_ns >= self._state_due_ns:
            self._state_due_ns = max(self._state_due_ns + _STATE_PERIOD_NS, now_ns)
            self._publish_state(now_ns)

    def _advance(self, now_ns: int, dt_s: float) -> None:
        if self._running is None:
            self._start_next(now_ns)
        job = self._running
        if job is None:
            return
        before = self._driver.state.gripper_base_m
        try:
            progress = self._driver.step(dt_s)
        except DeviceError as error:
            self._driver.stop(error.message)
            progress = Progress("failed", 0.0, error.message)
        if self._too_fast(before, self._driver.state.gripper_base_m, dt_s):
            self._driver.stop("too fast")
            limit = self.params.limits.speed_m_s
            progress = Progress("failed", 0.0, f"limit speed_m_s: faster than {limit:.2f} m/s")
        if progress is None:
            progress = Progress("failed", 0.0, "the driver gave the command up")
        if progress.state == "running":
            if now_ns - self._progress_ns >= _PROGRESS_PERIOD_NS:
                self._progress_ns = now_ns
                self._report(job, "running", progress.detail, progress)
            return
        self._running = None
        self._report(job, progress.state, progress.detail, progress)
        self._publish_state(now_ns)

    def _start_next(self, now_ns: int) -> None:
        while self._queue and self._running is None:
            job = self._queue.popleft()
            waited_ms = (now_ns - job.received_ns) / NS_PER_MS
            if waited_ms > self.params.max_wait_ms:
                self._report(job, "failed", f"waited too long ({waited_ms:.0f} ms)")
                continue
            try:
                self._driver.start(job.command)
            except DeviceError as error:
                self._report(job, "failed", error.message)
                continue
            self._running = job
            self._progress_ns = now_ns
            self._report(job, "running", "starts")

    def _control(self, job: _Job) -> None:
        """Commands about other commands: they never wait in the queue."""
        intent = job.command.intent
        detail = intent
        if intent == "pause":
            self._paused = True
            self._driver.pause()
            detail = "paused"
        elif intent == "resume":
            detail = "goes on" if self._paused else "was not paused"
            if self._paused:
                self._paused = False
                self._driver.resume()
        elif intent == "cancel":
            given_up = self._cancel_last()
            detail = f"gave up {given_up!r}" if given_up else "there is nothing to cancel"
        self._report(job, "done", detail)
        self._publish_state(self.clock.now_ns())

    def _cancel_last(self) -> str | None:
        """Give up the command that was given last; its intent."""
        if self._queue:
            job = self._queue.pop()
        elif self._running is not None:
            job, self._running = self._running, None
            self._driver.cancel(job.command_id)
            self._paused = False
        else:
            return None
        self._report(job, "cancelled", "cancelled")
        return job.command.intent

    def _watch_heartbeat(self, now_ns: int) -> None:
        if self._heartbeat_ns is None or self._lost_heartbeat:
            return
        silent_ms = (now_ns - self._heartbeat_ns) / NS_PER_MS
        if silent_ms > self.params.heartbeat_timeout_ms:
            self._lost_heartbeat = True
            self.note("heartbeat", f"no heartbeat for {silent_ms:.0f} ms: commands are refused")
            if self._running is not None or self._queue:
                self._halt("the heartbeat is missing")
                self._publish_state(now_ns)

    def _halt(self, reason: str) -> None:
        self._driver.stop(reason)
        self._paused = False
        self._stopped = True
        for job in self._drop_all():
            self._report(job, "stopped", reason)

    def _drop_all(self) -> list[_Job]:
        jobs = [self._running] if self._running is not None else []
        jobs.extend(self._queue)
        self._running = None
        self._queue.clear()
        return jobs

    def _why_not(self, job: _Job) -> str | None:
        command = job.command
        if self._lost_heartbeat:
            return "the heartbeat is missing"
        if job.received_ns > command.deadline_ns:
            late_ms = (job.received_ns - command.deadline_ns) / NS_PER_MS
            return f"too late by {late_ms:.0f} ms"
        if len(self._queue) >= self.params.queue_depth and command.intent not in _CONTROL:
            return f"limit queue_depth: {self.params.queue_depth} commands wait already"
        return self.params.limits.why_not(command, self._driver.state.holding)

    def _too_fast(self, before: Vec3, after: Vec3, dt_s: float) -> bool:
        limit = self.params.limits.speed_m_s * _SPEED_TOLERANCE
        return dt_s > 0.0 and math.dist(before, after) / dt_s > limit

    # --- outputs --------------------------------------------------------------------------------

    def _report(
        self, job: _Job, state: State, detail: str, progress: Progress | None = None
    ) -> None:
        command = job.command
        object_id = command.object.object_id if command.object else None
        feedback = Feedback(
            self.header(self.clock.now_ns(), command.header.command_id),
            state=state,
            intent=command.intent,
            detail=detail,
            received_ns=job.received_ns,
            progress=progress.progress if progress else 0.0,
            object_id=progress.object_id if progress else object_id,
            position_base_m=progress.position_base_m if progress else None,
            marks=job.marks,
        )
        self.publish("feedback", feedback)

    def _publish_state(self, now_ns: int) -> None:
        state = self._driver.state
        jobs = ([self._running] if self._running else []) + list(self._queue)
        mode: Literal["idle", "moving", "paused", "stopped"] = "idle"
        if self._stopped:
            mode = "stopped"
        elif self._paused:
            mode = "paused"
        elif jobs:
            mode = "moving"
        message = RobotState(
            self.header(now_ns),
            mode=mode,
            gripper_base_m=state.gripper_base_m,
            pose_world=state.pose_world,
            holding=state.holding,
            holding_label=state.holding_label,
            queue=tuple(job.command_id for job in jobs),
            moved=state.moved,
        )
        self.publish("robot_state", message)


def load_driver(name: str, params: Mapping[str, Any]) -> RobotDriver:
    """Make the driver that ``module:Class`` names.

    Raises:
        ConfigError: There is no such class, or it is no driver.
    """
    module_name, _, class_name = name.partition(":")
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"params: driver: cannot load {name!r}: {error}",
            hint="name it as module:Class, for example deixis.nodes.robot.simulated:SimulatedRobot",
        ) from error
    driver = kind(params)
    if not isinstance(driver, RobotDriver):
        raise ConfigError(f"params: driver: {name!r} does not implement RobotDriver")
    return driver
