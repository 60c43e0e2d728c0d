"""The one table of topics: name, message type, nominal rate, queue policy, recorded or not.

No other module names a topic by a string of its own; nodes declare their inputs and outputs with
these entries, and the graph check compares them.

    python -c "from deixis.runtime.topics import TOPICS; print(*TOPICS)"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deixis.runtime import messages as m

Policy = Literal["latest", "all"]
Transport = Literal["pub", "frame", "command", "stop"]


@dataclass(frozen=True, slots=True)
class Topic:
    """One kind of stream.

    Attributes:
        name: Name on the wire and in graph files.
        message: Type of its messages.
        rate_hz: Nominal rate; 0 for events.
        policy: ``latest`` keeps the newest only (frames, state); ``all`` keeps every message.
        depth: Longest queue of the ``all`` policy before the oldest is dropped (and counted).
        recorded: Whether a recording holds it.
        transport: ``pub`` (publish/subscribe), ``frame`` (the same, pixels in shared memory),
            ``command`` (acknowledged, executed once), ``stop`` (its own socket, served first).
    """

    name: str
    message: type[m.Message]
    rate_hz: float
    policy: Policy
    depth: int = 64
    recorded: bool = True
    transport: Transport = "pub"


AUDIO = Topic("audio", m.AudioChunk, 50.0, "all", depth=256)
FRAME = Topic("frame", m.Frame, 30.0, "latest", transport="frame")
SPEECH = Topic("speech", m.SpeechEvent, 0.0, "all")
TYPED = Topic("typed", m.TypedCommand, 0.0, "all")
TALK = Topic("talk", m.Talk, 0.0, "all")
HANDS = Topic("hands", m.Hands, 30.0, "latest")
POINTING = Topic("pointing", m.Pointing, 30.0, "all", depth=64)
SCENE = Topic("scene", m.Scene, 10.0, "latest")
TEACH = Topic("teach", m.Teach, 0.0, "all", depth=8)
COMMAND = Topic("command", m.Command, 0.0, "all", transport="command")
RESOLUTION = Topic("resolution", m.Resolution, 0.0, "all")
SPEAKING = Topic("speaking", m.Speaking, 0.0, "all")
STOP = Topic("stop", m.Stop, 0.0, "all", transport="stop")
FEEDBACK = Topic("feedback", m.Feedback, 0.0, "all")
ROBOT_STATE = Topic("robot_state", m.RobotState, 20.0, "latest")
PLAYBACK = Topic("playback", m.Playback, 0.0, "all")
HEARTBEAT = Topic("heartbeat", m.Heartbeat, 20.0, "latest", recorded=False)
TELEMETRY = Topic("telemetry", m.Telemetry, 2.0, "latest", recorded=False)

TOPICS: dict[str, Topic] = {
    t.name: t
    for t in (
        AUDIO, FRAME, SPEECH, TYPED, TALK, HANDS, POINTING, SCENE, TEACH, COMMAND, RESOLUTION, STOP,
        SPEAKING, FEEDBACK, ROBOT_STATE, PLAYBACK, HEARTBEAT, TELEMETRY,
    )
}  # fmt: skip
