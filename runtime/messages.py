"""Every message that travels between nodes, as one typed, frozen struct each.

Messages are msgpack arrays (msgspec, ``array_like``), tagged with their class name and decoded into
their declared type or refused. Fields name their units and frames of reference; every message
carries a :class:`Header` with the CAPTURE time of the sample it came from, never the time it was
received.

    data = encode(Scene(Header(stamp_ns=time.monotonic_ns()), objects=()))
    scene = decode(data, Scene)

Geometry is plain tuples of floats: a point or direction is ``(x, y, z)`` in metres or as a unit
vector, a covariance is the nine numbers of a 3x3 matrix, row by row.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.runtime.errors import MessageError

Vec2 = tuple[float, float]
Vec3 = tuple[float, float, float]
Cov3 = tuple[float, float, float, float, float, float, float, float, float]


class Header(msgspec.Struct, frozen=True, array_like=True):
    """What every message carries.

    Attributes:
        stamp_ns: Capture time of the sample this message came from (CLOCK_MONOTONIC).
        seq: Number of the message on its output, from 0; filled in when it is published.
        source: Id of the node that published it; filled in when it is published.
        command_id: The command (utterance) this belongs to, from microphone to robot.
    """

    stamp_ns: int
    seq: int = 0
    source: str = ""
    command_id: str | None = None


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, kw_only=False):
    """Base of all messages."""

    header: Header


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """A moment in the life of a command; the names are defined in :mod:`deixis.runtime.trace`."""

    name: str
    time_ns: int


# --- sensors ------------------------------------------------------------------------------------


class AudioChunk(Message, frozen=True, array_like=True, tag=True):
    """A piece of mono audio.

    Attributes:
        samples: float32 little-endian samples in [-1, 1] as bytes; ``header.stamp_ns`` is the
            capture time of the FIRST one.
        sample_rate_hz: Always 16000 on the bus; sources resample.
        n_lost: Samples that the device lost right before this chunk.
        stream: Which stream this belongs to: it changes when a source switches (device to file).
    """

    samples: bytes
    sample_rate_hz: int = 16000
    n_lost: int = 0
    stream: str = ""

    def array(self) -> NDArray[np.float32]:
        """The samples as float32, shape ``(n,)``."""
        return np.frombuffer(self.samples, dtype="<f4").astype(np.float32, copy=False)


class FrameRef(Message, frozen=True, array_like=True, tag=True):
    """Where in a shared-memory ring a frame lies: what travels instead of pixels."""

    ring: str
    slot: int
    slot_seq: int
    shape: tuple[int, int, int]
    stream: str = ""


class Frame(Message, frozen=True, array_like=True, tag=True):
    """A camera picture as nodes see it; on the wire it is a :class:`FrameRef`.

    Attributes:
        image: BGR uint8, shape ``(height, width, 3)``; the receiver owns this copy.
        stream: Which stream this belongs to: it changes when a source switches (device to file).
    """

    image: Any
    stream: str = ""


# --- speech -------------------------------------------------------------------------------------


class Word(msgspec.Struct, frozen=True, array_like=True):
    """One heard word with its time."""

    text: str
    start_ns: int
    end_ns: int
    confidence: float = 1.0


SlotKind = Literal["deictic", "anaphor", "named", "value"]
"""``that``/``there`` need a hand; ``it`` is what was last held or named; ``red cup`` has a name;
``left`` is a plain value."""


Relation = Literal["in", "on", "next_to", "left_of", "right_of", "behind", "in_front_of"]
"""Where something is relative to an object; whose left and front is meant, fusion decides."""


class Slot(msgspec.Struct, frozen=True, array_like=True):
    """One filled slot of a parsed sentence.

    Attributes:
        name: ``object``, ``destination``, ``side``; ``reference`` (what the object stands next to),
            ``relation`` (one that is a plain value), ``name`` and ``colour`` (of what is taught).
        text: The words as said, without article (``red cup``, ``that one``, ``there``).
        kind: What resolves it.
        noun: Canonical object name (``cup``), if one was said (``that cup`` is deictic with one).
        colour: Canonical colour, if one was said.
        relation: For destinations: where relative to the object.
        word_indices: Which words of the utterance it covers.
        start_ns: When the slot's own words began; the deictic word's time.
        end_ns: When they ended.
        point_base_m: A point given explicitly (typed command) in place of a hand.
        value: What the words of a plain value stand for where the domain says so ("round" →
            ``around``, "twenty five" → ``25``); None where they stand for themselves.
    """

    name: str
    text: str
    kind: SlotKind
    noun: str | None = None
    colour: str | None = None
    relation: Relation | None = None
    word_indices: tuple[int, ...] = ()
    start_ns: int = 0
    end_ns: int = 0
    point_base_m: Vec3 | None = None
    value: str | None = None


class Parse(msgspec.Struct, frozen=True, array_like=True):
    """One reading of what was said, aligned to the domain's grammar.

    Attributes:
        intent: Intent of the domain.
        slots: Filled slots, in the order they were said.
        confidence: Probability in [0, 1] that this is what was said.
        complete: Whether the grammar allows the sentence to end here.
        text: The sentence of the grammar that was aligned.
    """

    intent: str
    slots: tuple[Slot, ...]
    confidence: float
    complete: bool
    text: str = ""

    def slot(self, name: str) -> Slot | None:
        """The slot called ``name``, if it is filled."""
        return next((s for s in self.slots if s.name == name), None)


class SpeechEvent(Message, frozen=True, array_like=True, tag=True):
    """What the recogniser makes of an utterance so far; ``header.command_id`` is the utterance.

    Attributes:
        kind: ``start`` (voice began), ``partial`` (may still change), ``final`` (committed, never
            changes again), ``rejected`` (over, and not a command).
        text: Transcript as decoded.
        words: Words of the transcript with their times.
        parses: Readings, best first; empty when nothing fits.
        stable: The best parse was the same in the previous partial.
        speech_end_ns: Capture time of the last sample of speech heard so far (estimate).
        reason: Why an utterance was rejected.
        marks: Trace so far.
    """

    kind: Literal["start", "partial", "final", "rejected"]
    text: str = ""
    words: tuple[Word, ...] = ()
    parses: tuple[Parse, ...] = ()
    stable: bool = False
    speech_end_ns: int = 0
    reason: str = ""
    marks: tuple[Mark, ...] = ()


class TypedCommand(Message, frozen=True, array_like=True, tag=True):
    """A command typed by an operator instead of spoken.

    Attributes:
        text: The sentence.
        points_base_m: One point per deictic word, in the order of the words.
    """

    text: str
    points_base_m: tuple[Vec3, ...] = ()


class Talk(Message, frozen=True, array_like=True, tag=True):
    """Push-to-talk is held: ``header.stamp_ns`` is the moment of the press.

    A later message takes the place of an earlier one. A button sends it again and again while it is
    pressed, each time good for a moment only, so that a button that dies lets go; released it sends
    one that ends at once.

    Attributes:
        until_ns: It counts as held up to this moment (CLOCK_MONOTONIC).
    """

    until_ns: int


# --- hands --------------------------------------------------------------------------------------


class Hand(msgspec.Struct, frozen=True, array_like=True):
    """One tracked hand.

    Attributes:
        track_id: Stable while the hand is tracked.
        handedness: ``left`` or ``right`` hand of the person.
        confidence: How far to trust its landmarks, in [0, 1]: the probability that it is a hand,
            times how well it can be seen (share in the picture, sharpness, brightness).
        landmarks_px: 21 image points (x, y) in MediaPipe's order.
        landmarks_world_m: 21 metric points around the hand's centre, camera axes.
        gesture: What the hand does: ``point``, ``palm``, ``fist``, ``thumb_up``, ``thumb_down``,
            ``beckon`` or ``none``.
        gesture_confidence: Probability in [0, 1] of that gesture.
        palm_raised_ns: While the hand shows the camera a raised palm (*stop*): capture time of the
            first frame that showed it.
    """

    track_id: int
    handedness: Literal["left", "right"]
    confidence: float
    landmarks_px: tuple[Vec2, ...]
    landmarks_world_m: tuple[Vec3, ...]
    gesture: str = "none"
    gesture_confidence: float = 0.0
    palm_raised_ns: int | None = None


class Hands(Message, frozen=True, array_like=True, tag=True):
    """All hands in one frame (possibly none)."""

    hands: tuple[Hand, ...]


class Pointing(Message, frozen=True, array_like=True, tag=True):
    """A pointing ray at the capture time of its frame.

    Attributes:
        track_id: The hand it comes from.
        origin_base_m: Where the ray starts (fingertip), base frame.
        direction_base: Unit vector, base frame.
        origin_cov_m2: Covariance of the origin.
        direction_cov_rad2: Covariance of the direction (its tangent plane; radians squared).
        confidence: Probability in [0, 1] that the person is pointing at all.
        phase: Where in the gesture: the hand moves (``reach``, ``retract``) or stays (``hold``).
        finger_direction_base: Direction of the index finger alone, unit vector, base frame.
        eye_base_m: Where the eye is that looks over the fingertip; None if it is not seen.
        personal_sigma_rad: The person's own pointing error per axis, from their calibration; None
            if there is none.
        phase_since_ns: When the phase began (CLOCK_MONOTONIC), between two frames.
        hand_scale: Size of the hand that the fingertip was found with (1 is 18.2 cm).
    """

    track_id: int
    origin_base_m: Vec3
    direction_base: Vec3
    origin_cov_m2: Cov3
    direction_cov_rad2: Cov3
    confidence: float
    phase: Literal["none", "reach", "hold", "retract"] = "none"
    finger_direction_base: Vec3 | None = None
    eye_base_m: Vec3 | None = None
    personal_sigma_rad: float | None = None
    phase_since_ns: int | None = None
    hand_scale: float = 1.0


# --- objects ------------------------------------------------------------------------------------


class SceneObject(msgspec.Struct, frozen=True, array_like=True):
    """One object on the work plane.

    Attributes:
        object_id: Stable over time.
        names: Probability per name (``{"cup": 0.9, "bowl": 0.05}``); the rest is unknown.
        colours: Probability per colour.
        box_px: x, y, width, height in the image.
        position_base_m: Centre of the object.
        position_cov_m2: Its covariance.
        radius_m: Half of its horizontal extent.
        confidence: Probability that there is an object.
        last_seen_ns: Capture time of the last frame it was seen in.
        embedding: What it looks like: float16 little-endian, a vector of length 1, as names are
            told by; empty when unknown.
        height_m: Its height above the work plane; 0 when unknown.
    """

    object_id: str
    names: dict[str, float]
    colours: dict[str, float]
    box_px: tuple[float, float, float, float]
    position_base_m: Vec3
    position_cov_m2: Cov3
    radius_m: float
    confidence: float
    last_seen_ns: int
    embedding: bytes = b""
    height_m: float = 0.0

    def label(self) -> str:
        """What a person would call it: colour and name where they are known."""
        colour = max(self.colours, key=self.colours.__getitem__, default="")
        name = max(self.names, key=self.names.__getitem__, default="object")
        return f"{colour} {name}".strip()


class Scene(Message, frozen=True, array_like=True, tag=True):
    """All objects known at the capture time of one frame."""

    objects: tuple[SceneObject, ...]


class Teach(Message, frozen=True, array_like=True, tag=True):
    """Somebody says what an object of the scene is called ("this is a cup").

    Attributes:
        name: Noun phrase as said, lower case, without article.
        object_id: Which object, as in the scene.
        colour: Colour word, if one was said.
    """

    name: str
    object_id: str
    colour: str | None = None


# --- decisions ----------------------------------------------------------------------------------


class Candidate(msgspec.Struct, frozen=True, array_like=True):
    """One possible referent and how probable it is."""

    object_id: str | None
    label: str
    probability: float
    position_base_m: Vec3 | None = None


class Referent(msgspec.Struct, frozen=True, array_like=True):
    """What a slot was resolved to: an object, or a place on the work plane.

    Attributes:
        kind: What it is.
        label: What a person would call it.
        probability: Its posterior.
        object_id: Which object, as in the scene.
        position_base_m: Where the object or the place is.
        relation: For destinations: where relative to the object.
        place_base_m: For destinations relative to an object: the free spot, on the surface there,
            that what is put down comes to stand on.
    """

    kind: Literal["object", "place", "robot", "person"]
    label: str
    probability: float
    object_id: str | None = None
    position_base_m: Vec3 | None = None
    relation: Relation | None = None
    place_base_m: Vec3 | None = None


class PointedAt(msgspec.Struct, frozen=True, array_like=True):
    """Where the hand pointed when a word was said.

    Attributes:
        slot: Slot that the word fills.
        word: The word.
        word_ns: The moment that was looked up.
        origin_base_m: Ray origin then.
        direction_base: Ray direction then.
        hit_base_m: Where the ray meets the work plane, if it does.
        sigma_rad: One standard deviation of the direction.
        n_rays: How many rays were averaged.
    """

    slot: str
    word: str
    word_ns: int
    origin_base_m: Vec3
    direction_base: Vec3
    hit_base_m: Vec3 | None
    sigma_rad: float
    n_rays: int


class Evidence(msgspec.Struct, frozen=True, array_like=True):
    """Why a command was understood as it was."""

    text: str
    words: tuple[Word, ...]
    parse_confidence: float
    pointed_at: tuple[PointedAt, ...] = ()
    object_candidates: tuple[Candidate, ...] = ()
    destination_candidates: tuple[Candidate, ...] = ()


class Command(Message, frozen=True, array_like=True, tag=True):
    """One action for the robot; ``header.command_id`` makes it execute once.

    Attributes:
        intent: Intent of the domain.
        object: Which object.
        destination: Where to.
        side: ``left``, ``right`` or ``around``.
        confidence: Posterior of the whole command.
        deadline_ns: Not to be accepted after this moment; an accepted command may wait its turn.
        marks: Trace so far.
    """

    intent: str
    object: Referent | None
    destination: Referent | None
    side: str | None
    confidence: float
    deadline_ns: int
    marks: tuple[Mark, ...] = ()


class Resolution(Message, frozen=True, array_like=True, tag=True):
    """What fusion decided about an utterance, and why: one for every utterance.

    Attributes:
        outcome: ``act`` (a command went out), ``stop``, ``clarify`` (a question is asked),
            ``answer`` (something is said and nothing moves), ``reject`` (nothing is done).
        intent: What was understood, if anything.
        command: The command, for ``act``.
        question: What to ask, for ``clarify``.
        reason: Why not, for ``clarify`` and ``reject``.
        evidence: What it rests on.
        marks: Trace so far.
        answer: What to say, for ``answer``; also that something could not be learnt.
    """

    outcome: Literal["act", "stop", "clarify", "answer", "reject"]
    intent: str | None
    command: Command | None
    question: str
    reason: str
    evidence: Evidence
    marks: tuple[Mark, ...] = ()
    answer: str = ""


class Speaking(Message, frozen=True, array_like=True, tag=True):
    """The robot's own voice begins or ends: what is heard in between may be itself.

    Attributes:
        text: What it says.
        on: Whether it begins; ``header.stamp_ns`` is when.
    """

    text: str
    on: bool


class Stop(Message, frozen=True, array_like=True, tag=True):
    """Stop now. Travels on its own socket, ahead of everything."""

    reason: str
    marks: tuple[Mark, ...] = ()


# --- robot --------------------------------------------------------------------------------------


class Feedback(Message, frozen=True, array_like=True, tag=True):
    """What the robot driver does about a command.

    Attributes:
        state: ``accepted`` (received and queued or started), ``refused`` (not allowed, too late),
            ``running``, ``done``, ``failed``, ``cancelled``, ``stopped``.
        intent: Intent of the command.
        detail: In words.
        received_ns: When the driver received the command.
        progress: 0 to 1.
        object_id: The object acted on.
        position_base_m: Where the object or the robot is now.
        marks: The whole trace.
    """

    state: Literal["accepted", "refused", "running", "done", "failed", "cancelled", "stopped"]
    intent: str
    detail: str
    received_ns: int
    progress: float = 0.0
    object_id: str | None = None
    position_base_m: Vec3 | None = None
    marks: tuple[Mark, ...] = ()


class RobotState(Message, frozen=True, array_like=True, tag=True):
    """State of the robot.

    Attributes:
        mode: What it is doing.
        gripper_base_m: Position of the gripper.
        pose_world: Base pose x (m), y (m), yaw (rad) from where it started.
        holding: Id of the object in the gripper.
        holding_label: What that object is called.
        queue: Ids of the commands that wait or run.
        moved: Where the robot has put objects.
    """

    mode: Literal["idle", "moving", "paused", "stopped"]
    gripper_base_m: Vec3
    pose_world: Vec3
    holding: str | None
    holding_label: str
    queue: tuple[str, ...] = ()
    moved: dict[str, Vec3] = {}


# --- system -------------------------------------------------------------------------------------


class Playback(Message, frozen=True, array_like=True, tag=True):
    """Play recorded media in place of the devices, both from the same moment.

    Stateful nodes forget what they knew (tracks, histories, the simulated world) when ``reset``.

    Attributes:
        audio_path: WAV or FLAC for the microphone, or None to leave it as it is.
        video_path: Video for the camera, or None.
        start_ns: When sample 0 and frame 0 count as captured.
        reset: A new scene begins.
    """

    audio_path: str | None
    video_path: str | None
    start_ns: int
    reset: bool = False


class Heartbeat(Message, frozen=True, array_like=True, tag=True):
    """The daemon is alive; the robot stops by itself when these cease."""


class InputStats(msgspec.Struct, frozen=True, array_like=True):
    """Counters of one input since the node started.

    Attributes:
        received: Messages handled.
        dropped: Messages thrown away by the queue policy, the sender's limit, or because the
            frame was overwritten while it was read.
        refused: Messages that did not decode into their type.
    """

    received: int = 0
    dropped: int = 0
    refused: int = 0


class TimingStats(msgspec.Struct, frozen=True, array_like=True):
    """How long a handler took, over its most recent calls (milliseconds)."""

    n: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Telemetry(Message, frozen=True, array_like=True, tag=True):
    """A node's own report, a few times a second; also its heartbeat.

    Attributes:
        state: Where the node is in its life.
        pid: Its process.
        inputs: Counters per input.
        timings: Handler durations per input.
        published: Messages sent per output.
        cpu_percent: CPU use of the process since the last report (100 = one core).
        rss_mb: Resident memory.
        notes: Fallbacks and degradations that a user should know of.
    """

    state: Literal["starting", "ready", "failed", "closing"]
    pid: int
    inputs: dict[str, InputStats] = {}
    timings: dict[str, TimingStats] = {}
    published: dict[str, int] = {}
    cpu_percent: float = 0.0
    rss_mb: float = 0.0
    notes: tuple[str, ...] = ()


M = TypeVar("M", bound=Message)
_encoder = msgspec.msgpack.Encoder()
_decoders: dict[type[Message], msgspec.msgpack.Decoder[Any]] = {}


def encode(message: Message) -> bytes:
    """Serialise a message (msgpack)."""
    return _encoder.encode(message)


def decode(data: bytes, kind: type[M]) -> M:
    """Decode bytes into the declared type.

    Raises:
        MessageError: The bytes are not a valid ``kind``.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        message: M = decoder.decode(data)
    except msgspec.DecodeError as error:
        raise MessageError(f"not a valid {kind.__name__}: {error}") from error
    return message
