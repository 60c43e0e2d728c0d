"""Short films of simulated hands as the landmark network would see them, labelled frame by frame.

A hand goes through a few postures, turning from one to the next, beckons or waves; it is drawn in
perspective, and the points are wrong as the network's are: together and slowly more than singly.

    films = make_films(np.random.default_rng(0), 100)   # films.features (100, STEPS, N_FEATURES)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deixis.export.train.hand import People, landmarks, people
from deixis.export.train.postures import ANY_WAY, BECKONING, draw, draw_kinds
from deixis.nodes.hands.gestures import PALM, STEP_NS, Features, features
from deixis.nodes.hands.hand_model import PALM_LENGTH_M, rotations
from deixis.nodes.hands.raised_palm import to_sight
from deixis.runtime.clock import NS_PER_S

Array = NDArray[np.float64]

FILM_STEPS = 40
STEP_S = STEP_NS / NS_PER_S
IGNORED = -1
"""Label of a frame in which a hand is between two postures."""
NOT_BECKON = -2
"""The same where it is at least known that the hand does not beckon."""
_POSTURES = 3
_SETTLED = 0.8
"""From this share of the way on a posture counts as taken."""
_BECKON_SEEN = 0.95
"""Periods after which a curling hand can be told from one that closes."""
_WAVES = 0.2
"""Share of open palms that wave."""
_IMAGE_ERROR, _METRIC_ERROR = 0.06, 0.08
"""Greatest slow errors in palm lengths; as large as on rendered hands with known joints."""
_NOISE_S = 0.4
"""How long the network errs alike."""
_TOGETHER = 0.7
"""Share of a point's error that is its whole finger's."""


@dataclass(frozen=True)
class Films:
    """Labelled sequences, frames 50 ms apart.

    Attributes:
        features: ``(n, FILM_STEPS, N_FEATURES)``.
        labels: Gesture per frame, or ``IGNORED`` or ``NOT_BECKON``, ``(n, FILM_STEPS)``.
    """

    features: Features
    labels: NDArray[np.int64]


def make_films(rng: np.random.Generator, n: int) -> Films:
    """Draw n films; the same generator gives the same films."""
    kinds = draw_kinds(rng, _POSTURES * n)
    angles, turns, labels = draw(rng, kinds)
    angles = angles.reshape(n, _POSTURES, 2, 5, 4)
    turns = turns.reshape(n, _POSTURES, 3, 3)
    labels = labels.reshape(n, _POSTURES)
    free = np.isin(kinds, list(ANY_WAY)).reshape(n, _POSTURES) & (
        rng.uniform(size=(n, _POSTURES)) < 0.5
    )
    for i in range(1, _POSTURES):
        # Half of all changes leave the hand turned as it is, where that has no meaning.
        turns[free[:, i], i] = turns[free[:, i], i - 1]
    weights = _weights(rng, n)
    beckons = np.isin(kinds, list(BECKONING)).reshape(n, _POSTURES)
    curl, curled = _curl(rng, weights, beckons)
    held = (
        angles[:, None, :, 0] + curl[..., None, None] * (angles[:, :, 1] - angles[:, :, 0])[:, None]
    )
    posed = (weights[..., None, None] * held).sum(axis=2)
    wave = _wave(rng, n) * (weights * (labels == PALM)[:, None]).sum(axis=2)
    spin = rotations((wave[..., None] * np.array([0.0, 0, 1])).reshape(-1, 3))
    turned = spin.reshape(n, FILM_STEPS, 3, 3) @ blended(turns, weights)
    places = np.repeat(_places(rng, n)[:, None], FILM_STEPS, axis=1)
    view = seen(rng, people(rng, n), posed, turned, places)
    rows, frames = _with_dropped_frames(rng, features(view.image, view.metric_m))
    named = _labels(labels, weights, curled)
    named = np.where((named == IGNORED) & ~beckons.any(axis=1, keepdims=True), NOT_BECKON, named)
    return Films(rows, np.where(frames, named, IGNORED))


@dataclass(frozen=True)
class Seen:
    """What the landmark network makes of n hands in t frames.

    Attributes:
        image: Points on the plane z = 1, ``(n, t, 21, 2)``.
        metric_m: Metric points in the axes of the line of sight, ``(n, t, 21, 3)``.
        right: Which are right hands, ``(n,)``.
    """

    image: Array
    metric_m: Array
    right: NDArray[np.bool_]


def seen(
    rng: np.random.Generator, who: People, angles: Array, turns: Array, places_m: Array
) -> Seen:
    """Draw right hands as the network would see them; half of all scenes are mirrored.

    Args:
        rng: Source of chance.
        who: n people.
        angles: Joint angles ``(n, t, 5, 4)``.
        turns: Rotations from the hand to camera axes ``(n, t, 3, 3)``.
        places_m: The wrist's place in camera axes, ``(n, t, 3)``.
    """
    n, steps = angles.shape[:2]
    right = np.asarray(rng.uniform(size=n) < 0.5)
    mirror = np.where(right[:, None, None, None], [1.0, 1, 1], [-1.0, 1, 1])
    points = (_turned(turns, landmarks(who, angles)) + places_m[:, :, None]) * mirror
    image = points[..., :2] / points[..., 2:]
    unit = PALM_LENGTH_M / places_m[..., 2]
    image = image + network_error(rng, (n, steps, 21, 2), _IMAGE_ERROR) * unit[:, :, None, None]
    metric = (
        _turned(to_sight(places_m) @ turns, landmarks(who, _as_in_metric(rng, angles))) * mirror
    )
    metric = metric - metric.mean(axis=2, keepdims=True)
    # Depth is what the network knows least.
    metric[..., 2] *= rng.uniform(0.75, 1.1, (n, 1, 1))
    error = network_error(rng, (n, steps, 21, 3), _METRIC_ERROR) * [1.0, 1.0, 1.5]
    return Seen(image, metric + PALM_LENGTH_M * error, right)


def _as_in_metric(rng: np.random.Generator, angles: Array) -> Array:
    """Joint angles as the network's metric points have them.

    Its fingers tend to the middle: those of a flat hand are bent by 35 degrees at the knuckles and
    in some pictures by 60 at the next joint, those of a fist are only half closed.
    """
    n = len(angles)
    out = angles.copy()
    out[..., 1:, 0] += np.deg2rad(rng.uniform(-5, 42, (n, 1, 1)) + rng.normal(0, 8, (n, 1, 4)))
    out[..., 1:, 1:3] *= rng.uniform(0.4, 1.05, (n, 1, 4, 1))
    out[..., 1:, 1] += np.abs(np.deg2rad(rng.normal(0, 18, (n, 1, 4))))
    return out


def _turned(turns: Array, points: Array) -> Array:
    turned: Array = np.einsum("ntij,ntkj->ntki", turns, points)
    return turned


def network_error(rng: np.random.Generator, shape: tuple[int, int, int, int], most: float) -> Array:
    """Errors of the landmark network in palm lengths: slow ones up to ``most``, and a jitter."""
    n, steps = shape[:2]
    keep = float(np.exp(-STEP_S / _NOISE_S))
    drive = rng.normal(size=shape)
    # Neighbouring points err together.
    finger = np.repeat(rng.normal(size=(n, steps, 6, shape[3])), [1, 4, 4, 4, 4, 4], axis=2)
    drive = np.sqrt(1 - _TOGETHER) * drive + np.sqrt(_TOGETHER) * finger
    slow = np.empty(shape)
    slow[:, 0] = drive[:, 0]
    for t in range(1, steps):
        slow[:, t] = keep * slow[:, t - 1] + np.sqrt(1 - keep**2) * drive[:, t]
    size = rng.uniform(0.25 * most, most, (n, 1, 1, 1))
    jitter = rng.uniform(0.002, 0.015, (n, 1, 1, 1))
    out: Array = size * slow + jitter * rng.normal(size=shape)
    return out


def blended(turns: Array, weights: Array) -> Array:
    """Rotations ``(n, t, 3, 3)`` on the shortest way from each of ``turns`` to the next."""
    n, steps, k = weights.shape
    out = np.broadcast_to(turns[:, :1], (n, steps, 3, 3))
    reached = np.cumsum(weights[..., ::-1], axis=2)[..., ::-1]
    for i in range(1, k):
        step = rotation_vectors(turns[:, i] @ turns[:, i - 1].transpose(0, 2, 1))
        part = rotations((step[:, None] * reached[..., i, None]).reshape(-1, 3))
        out = part.reshape(n, steps, 3, 3) @ out
    return out


def rotation_vectors(matrices: Array) -> Array:
    """Rotation vectors ``(n, 3)`` of rotation matrices ``(n, 3, 3)``."""
    cosine = np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1)
    angle = np.arccos(cosine)
    axis = np.stack(
        [
            matrices[:, 2, 1] - matrices[:, 1, 2],
            matrices[:, 0, 2] - matrices[:, 2, 0],
            matrices[:, 1, 0] - matrices[:, 0, 1],
        ],
        axis=1,
    )
    length = np.linalg.norm(axis, axis=1, keepdims=True)
    # A half turn has no unique axis this way; any axis will do for a film.
    vectors: Array = angle[:, None] * np.where(
        length > 1e-6, axis / np.maximum(length, 1e-9), [1.0, 0, 0]
    )
    return vectors


def minimum_jerk(share: Array) -> Array:
    """Progress of a reach (Flash and Hogan, "The coordination of arm movements", 1985)."""
    s = np.clip(share, 0, 1)
    progress: Array = s**3 * (10 - 15 * s + 6 * s * s)
    return progress


def _places(rng: np.random.Generator, n: int) -> Array:
    """Somewhere in the picture, camera axes, ``(n, 3)``."""
    z = rng.uniform(0.35, 1.8, n)
    return np.stack([rng.uniform(-0.5, 0.5, n) * z, rng.uniform(-0.4, 0.4, n) * z, z], axis=1)


def _weights(rng: np.random.Generator, n: int) -> Array:
    """How much of each posture there is at each time, ``(n, FILM_STEPS, _POSTURES)``."""
    time = np.arange(FILM_STEPS) * STEP_S
    length = FILM_STEPS * STEP_S
    starts = np.sort(rng.uniform(-0.3 * length, 1.0 * length, (n, _POSTURES - 1)), axis=1)
    takes = rng.uniform(0.12, 0.5, (n, _POSTURES - 1))
    # The second change begins after the first is over.
    starts[:, 1] = np.maximum(starts[:, 1], starts[:, 0] + takes[:, 0] + 0.1)
    done = minimum_jerk((time[:, None] - starts[:, None]) / takes[:, None])
    reached = np.concatenate([np.ones((n, FILM_STEPS, 1)), done], axis=2)
    left = np.concatenate([done, np.zeros((n, FILM_STEPS, 1))], axis=2)
    weights: Array = reached - left
    return weights


def _curl(
    rng: np.random.Generator, weights: Array, beckons: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """How far a beckoning hand is curled (0 to 1), and how many periods it has been at it."""
    n, _, k = weights.shape
    rate_hz = rng.uniform(1.4, 3.0, (n, 1, k))
    since = np.cumsum(weights > _SETTLED, axis=1) * STEP_S
    # A film may begin in the middle of it.
    since = since + np.where((weights[:, :1] > _SETTLED), rng.uniform(0, 1.2, (n, 1, k)), 0.0)
    periods = since * rate_hz
    curl = 0.5 - 0.5 * np.cos(2 * np.pi * periods)
    # Only what the window of the network can have seen counts.
    in_view = np.minimum(periods, np.cumsum(weights > _SETTLED, axis=1) * STEP_S * rate_hz)
    return curl * beckons[:, None], np.where(beckons[:, None], in_view, np.inf)


def _wave(rng: np.random.Generator, n: int) -> Array:
    """Angle in the picture of a hand that waves; most do not, ``(n, FILM_STEPS)``."""
    time = np.arange(FILM_STEPS) * STEP_S
    size = np.where(rng.uniform(size=(n, 1)) < _WAVES, np.deg2rad(rng.uniform(10, 30, (n, 1))), 0)
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    waves: Array = size * np.sin(2 * np.pi * rng.uniform(1, 3, (n, 1)) * time + phase)
    return waves


def _labels(labels: NDArray[np.intp], weights: Array, curled: Array) -> NDArray[np.int64]:
    taken = (weights > _SETTLED) & (curled > _BECKON_SEEN)
    which = taken.argmax(axis=2)
    of_frame = np.take_along_axis(labels[:, None, :], which[..., None], axis=2)[..., 0]
    return np.where(taken.any(axis=2), of_frame, IGNORED).astype(np.int64)


def _with_dropped_frames(
    rng: np.random.Generator, rows: Features
) -> tuple[Features, NDArray[np.bool_]]:
    """As slower cameras give it: what lies between two frames is interpolated, and not a frame."""
    n, steps = rows.shape[:2]
    every = rng.choice([1, 1, 1, 2, 3], n)
    time = np.arange(steps)
    out = rows.copy()
    for step in (2, 3):
        before = time - time % step
        after = np.minimum(before + step, steps - 1)
        share = np.where(after > before, (time - before) / np.maximum(after - before, 1), 0.0)
        share = share[:, None].astype(np.float32)
        at = every == step
        out[at] = (1 - share) * rows[at][:, before] + share * rows[at][:, after]
    return out, time % every[:, None] == 0
