"""Turns one episode of the script into a plan for sound and picture, and into its ground truth.

``python -m tests.scenes.render --only pick_that`` uses it; ``plan(episode, voice, hand)`` is it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .geometry import CAMERA, Array
from .hand import HandFrame, Performer, Pointing, ray
from .script import DESTINATION_TOLERANCE_M, Command, Episode, Line, Spot
from .skeleton import Hand
from .speech import RATE_HZ, Utterance, Voice
from .world import TABLE, Thing, layout

FPS = 30
AFTER_SPEECH_S = 2.4
"""The robot acts in this time; the hand has left by then, too."""
NO_HAND = (
    "target_base_m", "ray_origin_base_m", "ray_direction_base", "landmarks_px", "landmarks_base_m",
)  # fmt: skip
LEAST_ANGLE_RAD = math.radians(12)
"""Seen from the knuckle, every other object is at least this far off the pointing ray."""


@dataclass(frozen=True)
class Plan:
    """All that is drawn and heard in an episode."""

    episode: Episode
    things: Sequence[Thing]
    placed: Sequence[tuple[float, Utterance]]
    duration_s: float
    frames: Sequence[HandFrame]


def plan(episode: Episode, voice: Voice, hand: Hand) -> Plan:
    """Lay the table, speak the lines, time the gestures.

    Raises:
        ValueError: A pointing is ambiguous in this layout: choose another seed.
    """
    spots = [
        line.gesture.target
        for line in episode.lines
        if line.gesture and not isinstance(line.gesture.target, str)
    ]
    things = layout(episode.seed, episode.things, dict(episode.fixed), spots)
    rng = np.random.default_rng(episode.seed)
    placed: list[tuple[float, Utterance]] = []
    pointings: list[Pointing] = []
    now = 0.0
    for line in episode.lines:
        utterance = voice.say(line.text, episode.speaker)
        start = round((now + line.pause_s) * RATE_HZ) / RATE_HZ
        now = start + len(utterance.samples) / RATE_HZ
        placed.append((start, utterance))
        if line.gesture is not None:
            word = utterance.words[line.gesture.word]
            pointings.append(
                Pointing.at(
                    _target(things, line.gesture.target), (start, now),
                    (start + word.start_s, start + word.end_s), rng,
                )
            )  # fmt: skip
            _check_unambiguous(episode, things, line, hand, pointings[-1])
    duration = math.ceil(10 * (now + AFTER_SPEECH_S)) / 10
    performer = Performer(hand, pointings, episode.seed)
    frames = [performer.at(k / FPS) for k in range(round(duration * FPS))]
    return Plan(episode, things, placed, duration, frames)


def truth(plan: Plan) -> dict[str, Any]:
    """The contents of truth.json (schema 1; README.md describes it)."""
    episode = plan.episode
    commands = [_command(line.command) for line in episode.lines]
    return {
        "schema": 1,
        "name": episode.name,
        "seed": episode.seed,
        "description": episode.description,
        "fps": FPS,
        "width": CAMERA.width,
        "height": CAMERA.height,
        "n_frames": len(plan.frames),
        "duration_s": plan.duration_s,
        "table": TABLE,
        "audio": {
            "sample_rate_hz": RATE_HZ, "voice": f"kokoro:{episode.speaker}",
            "snr_db": episode.snr_db,
        },
        "objects": [
            {
                "id": t.id, "kind": t.kind_id, "name": t.kind.name, "colour": t.kind.colour,
                "position_base_m": t.position_base_m, "size_m": t.kind.size_m, "yaw_rad": t.yaw_rad,
            }
            for t in plan.things
        ],
        "utterances": [
            {
                "text": line.text,
                "start_s": round(start, 4),
                "end_s": round(start + len(utterance.samples) / RATE_HZ, 4),
                "in_domain": line.in_domain,
                "words": [
                    {
                        "word": w.word, "start_s": round(start + w.start_s, 4),
                        "end_s": round(start + w.end_s, 4),
                    }
                    for w in utterance.words
                ],
                "command": command,
            }
            for line, (start, utterance), command in zip(
                episode.lines, plan.placed, commands, strict=True
            )
        ],
        "expected_actions": [
            {**(commands[i] or {}), "tolerance_m": DESTINATION_TOLERANCE_M, "utterance": i}
            for i in episode.expected
        ],
        "hand": [_hand(k, frame) for k, frame in enumerate(plan.frames)],
    }  # fmt: skip


def _target(things: Sequence[Thing], target: str | Spot) -> Array:
    if isinstance(target, str):
        return next(t.centroid for t in things if t.id == target)
    return np.array([*target, 0.0])


def _check_unambiguous(
    episode: Episode, things: Sequence[Thing], line: Line, hand: Hand, pointing: Pointing
) -> None:
    middle = (pointing.hold_from_s + pointing.hold_to_s) / 2
    landmarks = Performer(hand, [pointing], episode.seed).at(middle).landmarks
    assert landmarks is not None
    origin, direction = ray(landmarks)
    for thing in things:
        if line.gesture is None or thing.id == line.gesture.target:
            continue
        way = thing.centroid - origin
        angle = math.acos(float(np.clip(way.dot(direction) / np.linalg.norm(way), -1, 1)))
        if angle < LEAST_ANGLE_RAD:
            raise ValueError(
                f"{episode.name}: {thing.id} is {math.degrees(angle):.0f} deg off the ray of "
                f"{line.text!r}; choose another seed"
            )
        left, top, right, bottom = thing.box_px()
        px = CAMERA.project(landmarks)
        behind = np.linalg.norm(landmarks - CAMERA.position_base_m, axis=1) > np.linalg.norm(
            thing.centroid - CAMERA.position_base_m
        )
        covered = (px >= [left, top]).all(axis=1) & (px <= [right, bottom]).all(axis=1)
        if (behind & covered).any():
            raise ValueError(f"{episode.name}: {thing.id} hides the hand; choose another seed")
    if not CAMERA.in_view(CAMERA.project(landmarks), 12).all():
        raise ValueError(f"{episode.name}: the hand leaves the picture at {line.text!r}")


def _command(command: Command | None) -> dict[str, Any] | None:
    if command is None:
        return None
    out = asdict(command)
    spot = out.pop("destination")
    return {**out, "destination_base_m": None if spot is None else [*spot, 0.0]}


def _hand(index: int, frame: HandFrame) -> dict[str, Any]:
    empty = dict.fromkeys(NO_HAND)
    head = {"frame": index, "visible": False, "phase": frame.phase}
    if frame.landmarks is None:
        return {**head, **empty}
    px = CAMERA.project(frame.landmarks)
    if CAMERA.in_view(px).mean() < 0.5:
        return {**head, **empty}
    origin, direction = ray(frame.landmarks)
    return {
        **head,
        "visible": True,
        "target_base_m": None if frame.target_base_m is None else _list(frame.target_base_m, 4),
        "ray_origin_base_m": _list(origin, 5),
        "ray_direction_base": _list(direction, 6),
        "landmarks_px": _list(px, 2),
        "landmarks_base_m": _list(frame.landmarks, 5),
    }


def _list(array: Array, digits: int) -> Any:
    return np.round(array, digits).tolist()
