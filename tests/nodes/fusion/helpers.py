"""Hand-made messages: a table with objects, a hand that points, and sentences with word times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from deixis.runtime.clock import NS_PER_MS
from deixis.runtime.messages import (
    Cov3,
    Header,
    Parse,
    Pointing,
    Scene,
    SceneObject,
    Slot,
    SpeechEvent,
    Vec3,
    Word,
)

T0_NS = 10_000 * NS_PER_MS


def ms(milliseconds: float) -> int:
    """A moment after T0."""
    return T0_NS + int(milliseconds * NS_PER_MS)


def isotropic(sigma: float) -> Cov3:
    v = sigma**2
    return (v, 0.0, 0.0, 0.0, v, 0.0, 0.0, 0.0, v)


def thing(
    object_id: str, position: Vec3, *, seen_ns: int = T0_NS, sure: float = 0.9, radius: float = 0.04
) -> SceneObject:
    """An object whose id is "colour_name"."""
    colour, name = object_id.split("_")[:2]
    return SceneObject(
        object_id=object_id,
        names={name: sure},
        colours={colour: sure},
        box_px=(0.0, 0.0, 10.0, 10.0),
        position_base_m=position,
        position_cov_m2=isotropic(0.01),
        radius_m=radius,
        confidence=0.95,
        last_seen_ns=seen_ns,
    )


RED_CUP = thing("red_cup", (0.45, 0.20, 0.05))
BLUE_CUP = thing("blue_cup", (0.45, -0.20, 0.05))
GREEN_BOX = thing("green_box", (0.60, 0.00, 0.05), radius=0.08)
YELLOW_BALL = thing("yellow_ball", (0.35, 0.00, 0.03))
TABLE = (RED_CUP, BLUE_CUP, GREEN_BOX, YELLOW_BALL)


def scene(stamp_ns: int, objects: Sequence[SceneObject] = TABLE) -> Scene:
    """The objects, all seen at that moment."""
    seen = [msgspec.structs.replace(o, last_seen_ns=stamp_ns) for o in objects]
    return Scene(Header(stamp_ns), tuple(seen))


def unit(vector: Any) -> Vec3:
    v = np.asarray(vector, dtype=float)
    v = v / np.linalg.norm(v)
    return float(v[0]), float(v[1]), float(v[2])


def ray(
    stamp_ns: int,
    target: Vec3,
    *,
    origin: Vec3 | None = None,
    phase: Any = "hold",
    track: int = 1,
    sigma_deg: float = 3.0,
    confidence: float = 0.95,
) -> Pointing:
    """A ray from 25 cm above and behind the target (or from ``origin``) at the target."""
    start = origin or (target[0] + 0.15, target[1], target[2] + 0.2)
    return Pointing(
        Header(stamp_ns),
        track_id=track,
        origin_base_m=start,
        direction_base=unit(np.subtract(target, start)),
        origin_cov_m2=isotropic(0.005),
        direction_cov_rad2=isotropic(math.radians(sigma_deg)),
        confidence=confidence,
        phase=phase,
    )


def hold(start_ms: float, end_ms: float, target: Vec3, **kwargs: Any) -> list[Pointing]:
    """Rays of 30 frames a second at one target."""
    n = int((end_ms - start_ms) / (1000 / 30)) + 1
    return [ray(ms(start_ms + i * 1000 / 30), target, **kwargs) for i in range(n)]


def words(text: str, start_ms: float = 0.0, each_ms: float = 250.0) -> tuple[Word, ...]:
    """Words of equal length."""
    return tuple(
        Word(w, ms(start_ms + i * each_ms), ms(start_ms + (i + 1) * each_ms))
        for i, w in enumerate(text.split())
    )


def slot(name: str, said: str, heard: Sequence[Word], **kwargs: Any) -> Slot:
    """A slot for the first run of words that reads ``said``."""
    parts = said.split()
    texts = [w.text for w in heard]
    at = next(i for i in range(len(texts)) if texts[i : i + len(parts)] == parts)
    kwargs.setdefault("kind", "deictic")
    return Slot(
        name=name,
        text=said,
        word_indices=tuple(range(at, at + len(parts))),
        start_ns=heard[at].start_ns,
        end_ns=heard[at + len(parts) - 1].end_ns,
        **kwargs,
    )


def parse(
    intent: str, *slots: Slot, confidence: float = 0.95, complete: bool = True, text: str = ""
) -> Parse:
    return Parse(intent, slots, confidence, complete, text or intent)


def event(
    kind: Any,
    heard: Sequence[Word],
    *parses: Parse,
    utterance: str = "u1",
    stable: bool = True,
    **kwargs: Any,
) -> SpeechEvent:
    end_ns = heard[-1].end_ns if heard else T0_NS
    return SpeechEvent(
        Header(end_ns, command_id=utterance),
        kind=kind,
        text=" ".join(w.text for w in heard),
        words=tuple(heard),
        parses=parses,
        stable=stable,
        speech_end_ns=end_ns,
        **kwargs,
    )
