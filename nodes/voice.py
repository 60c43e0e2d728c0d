"""The robot's voice: speaks answers and questions through a program that the user has installed.

    bench = NodeBench(VoiceNode, params={"command": ["espeak-ng", "--stdin"]})
    bench.send("resolution", resolution)

The program gets the text on its standard input and ends when it has been spoken. It stays a program
of its own (eSpeak NG is under the GPL): nothing of it is linked or shipped. While it speaks,
``speaking`` says so, so that fusion does not take the robot's own words for commands.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import deque
from collections.abc import Mapping
from typing import ClassVar, Final

import msgspec

from deixis.runtime import topics
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import ConfigError, DeviceError
from deixis.runtime.messages import Resolution, Speaking
from deixis.runtime.node import Node, NodeContext
from deixis.runtime.topics import Topic

_POLL_NS: Final = 30 * NS_PER_MS


class VoiceParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of the voice node.

    Attributes:
        command: The program and its arguments.
        timeout_s: A text that takes longer is broken off.
        queue_depth: Texts that may wait; beyond, the oldest goes unsaid.
    """

    command: tuple[str, ...] = ("espeak-ng", "--stdin")
    timeout_s: float = 20.0
    queue_depth: int = 4


class VoiceNode(Node[VoiceParams]):
    """Speaks one text after the other; a stop silences it.

    What could not be said is a note in ``deixis status``.
    """

    inputs: ClassVar[Mapping[str, Topic]] = {"resolution": topics.RESOLUTION}
    outputs: ClassVar[Mapping[str, Topic]] = {"speaking": topics.SPEAKING}
    Params = VoiceParams

    def __init__(self, context: NodeContext, params: VoiceParams) -> None:
        super().__init__(context, params)
        self._waiting: deque[str] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._text = ""
        self._since_ns = self._look_ns = 0
        self._unsaid = 0

    def setup(self) -> None:
        """Find the program.

        Raises:
            ConfigError: No command is given.
            DeviceError: The program is not installed.
        """
        if not self.params.command or self.params.queue_depth < 1:
            raise ConfigError(
                f"node {self.context.node_id!r}: params: give a command and a queue_depth of 1 or "
                "more"
            )
        program = self.params.command[0]
        if shutil.which(program) is None:
            raise DeviceError(
                f"the voice's program {program!r} is not installed",
                hint="apt install espeak-ng, or set params: {command: [program, arguments]}",
            )

    def close(self) -> None:
        """Fall silent."""
        self._waiting.clear()
        self._break_off()

    def on_resolution(self, resolution: Resolution) -> None:
        """Say what there is to be said."""
        if resolution.outcome == "stop":
            self.close()
            return
        text = resolution.answer or resolution.question
        if not text:
            return
        if len(self._waiting) >= self.params.queue_depth:
            self._waiting.popleft()
            self._unsaid += 1
            self.note("unsaid", f"{self._unsaid} texts went unsaid: too much to say at once")
        self._waiting.append(text)
        self._go_on()

    def next_tick_ns(self) -> int | None:
        """While it speaks, look often whether it is done."""
        return None if self._process is None else self._look_ns

    def on_tick(self) -> None:
        """Notice the end of a text, and begin the next."""
        self._look_ns = self.clock.now_ns() + _POLL_NS
        if self._process is None:
            return
        code = self._process.poll()
        if code is None:
            if self.clock.now_ns() - self._since_ns < self.params.timeout_s * NS_PER_S:
                return
            self._break_off()
            self.note(
                "failed", f"{self.params.command[0]} took over {self.params.timeout_s:g} s: cut off"
            )
        else:
            self._end()
            if code:
                self.note("failed", f"{self.params.command[0]} ended with {code}: nothing was said")
            else:
                self.clear_note("failed")
        self._go_on()

    def _go_on(self) -> None:
        """Begin with the next text if nothing is being said."""
        if self._process is not None or not self._waiting:
            return
        self._text = self._waiting.popleft()
        try:
            self._process = subprocess.Popen(
                self.params.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as cause:
            self.note("failed", f"cannot run {self.params.command[0]}: {cause}")
            return
        self._since_ns = self.clock.now_ns()
        self._look_ns = self._since_ns + _POLL_NS
        self.publish("speaking", Speaking(self.header(self._since_ns), self._text, on=True))
        stdin = self._process.stdin
        if stdin is not None:
            try:
                stdin.write(self._text.encode())
                stdin.close()
            except BrokenPipeError:
                self.log.debug("%s does not read what it is given", self.params.command[0])

    def _break_off(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._end()

    def _end(self) -> None:
        self._process = None
        self.publish("speaking", Speaking(self.header(self.clock.now_ns()), self._text, on=False))
