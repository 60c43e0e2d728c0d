"""Draws hands from bones: every posture from every side, in any skin, for a network to learn from.

They look like modelling clay, but a landmark network finds them, and a pupil has to see what its
teacher sees in them. Fingers are cones between the joints of :mod:`deixis.export.train.hand`, the
palm a few thick ones, in a buffer of depths; light comes from anywhere.

    image, mask, points_px = draw_hand(np.random.default_rng(0))
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.export.train.hand import landmarks, people
from deixis.export.train.postures import draw, draw_kinds

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]

SIDE_PX: Final = 128
_MARGIN: Final = 0.16
"""Of the side, about the hand."""
_DISTANCE_M: Final = (0.35, 1.5)

# Pairs of landmarks that a cone joins, and its radii in palm lengths; 21 is the thumb's root in the
# palm, 22 the elbow's end of what is seen of the forearm.
_FINGER_RADII: Final = ((0.1, 0.088, 0.08, 0.062), (0.103, 0.092, 0.083, 0.065),
                        (0.098, 0.086, 0.078, 0.061), (0.086, 0.074, 0.066, 0.053))  # fmt: skip
_THUMB_RADII: Final = (0.15, 0.115, 0.1, 0.075)


def _bones() -> tuple[NDArray[np.intp], Floats]:
    pairs, radii = [], []
    for finger, sizes in enumerate((_THUMB_RADII, *_FINGER_RADII)):
        first = 1 + 4 * finger
        for k in range(3):
            pairs.append((first + k, first + k + 1))
            radii.append((sizes[k], sizes[k + 1]))
    for knuckle, size in zip((5, 9, 13, 17), (0.13, 0.14, 0.135, 0.12), strict=True):
        pairs.append((0, knuckle))
        radii.append((0.16, size))
    for a, b in ((5, 9), (9, 13), (13, 17)):
        pairs.append((a, b))
        radii.append((0.12, 0.12))
    pairs += [(0, 1), (1, 5), (2, 5), (0, 21)]
    radii += [(0.15, 0.15), (0.13, 0.12), (0.06, 0.08), (0.17, 0.2)]
    return np.array(pairs), np.array(radii, np.float32)


_PAIRS, _RADII = _bones()


def draw_hand(rng: np.random.Generator) -> tuple[Image, Image, Floats]:
    """Draw one hand.

    Args:
        rng: source of chance.

    Returns:
        BGR uint8 [128,128,3], how much of each pixel is hand, uint8 [128,128], and the landmarks
        in the picture, px [21,2].
    """
    points = _posed(rng)
    points_px, scale = _framed(points, rng)
    palm_px = float(np.linalg.norm(points[9] - points[0])) * scale
    depth, bone = _surface(points_px, palm_px * rng.uniform(0.85, 1.15))
    mask = np.isfinite(depth)
    image = _shaded(np.where(mask, depth, 0.0), mask, bone, palm_px, rng)
    soft = cv2.GaussianBlur(mask.astype(np.uint8) * 255, (3, 3), 0)
    return image, soft.astype(np.uint8), points_px[:21, :2]


def _posed(rng: np.random.Generator) -> NDArray[np.float64]:
    """Landmarks and the end of the forearm in camera axes, metres [22,3], seen in perspective."""
    who = people(rng, 1)
    angles, turns, _ = draw(rng, draw_kinds(rng, 1))
    points = landmarks(who, angles[:, 0])[0]
    # The wrist bends: the forearm does not lie in line with the palm.
    arm = np.array([-0.16, *rng.normal(0, 0.035, 2)])
    points = np.vstack([points, arm]) @ turns[0].T
    if rng.random() < 0.5:
        points[:, 0] *= -1  # a left hand
    depth_m = rng.uniform(*_DISTANCE_M)
    points[:, :2] *= depth_m / (depth_m + points[:, 2:] - points[9, 2])
    return np.asarray(points, np.float64)


def _framed(points: NDArray[np.float64], rng: np.random.Generator) -> tuple[Floats, float]:
    """The points in pixels (depth on the same scale) of a picture that they fill."""
    low, high = points[:21, :2].min(axis=0), points[:21, :2].max(axis=0)
    scale = SIDE_PX * (1 - 2 * _MARGIN) / float((high - low).max())
    px = points * scale
    px[:, :2] += SIDE_PX / 2 - scale * (low + high) / 2
    return px.astype(np.float32), scale


def _surface(points_px: Floats, palm_px: float) -> tuple[Floats, NDArray[np.intp]]:
    """Depth of the nearest cone at each pixel (infinite where there is none), and which it is."""
    a, b = points_px[_PAIRS[:, 0]], points_px[_PAIRS[:, 1]]
    radii = _RADII * palm_px
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    along = b[:, :2] - a[:, :2]
    length = np.maximum((along**2).sum(axis=1), 1e-3)
    dx, dy = x[None] - a[:, 0, None, None], y[None] - a[:, 1, None, None]
    t = (dx * along[:, 0, None, None] + dy * along[:, 1, None, None]) / length[:, None, None]
    t = np.clip(t, 0, 1)
    dx -= t * along[:, 0, None, None]
    dy -= t * along[:, 1, None, None]
    radius = radii[:, :1, None] + t * (radii[:, 1:, None] - radii[:, :1, None])
    inside = radius**2 - dx**2 - dy**2
    height = np.sqrt(np.maximum(inside, 0))
    depth = a[:, 2, None, None] + t * (b - a)[:, 2, None, None] - height
    depth = np.where(inside > 0, depth, np.inf)
    nearest = depth.argmin(axis=0)
    return np.take_along_axis(depth, nearest[None], axis=0)[0], nearest


def _shaded(
    depth: Floats, mask: NDArray[np.bool_], bone: NDArray[np.intp], palm_px: float,
    rng: np.random.Generator,
) -> Image:  # fmt: skip
    """Skin in the light of one lamp and of the room."""
    # Where fingers lie side by side the step in depth would make an edge of any brightness.
    smooth = cv2.GaussianBlur(depth, (0, 0), 0.012 * palm_px + 0.3)
    slope_x, slope_y = np.gradient(smooth, axis=1), np.gradient(smooth, axis=0)
    norm = np.sqrt(slope_x**2 + slope_y**2 + 1)
    lamp = rng.normal(size=3)
    lamp[2] = -abs(lamp[2]) - 0.6
    lamp /= np.linalg.norm(lamp)
    lit = np.clip((slope_x * lamp[0] + slope_y * lamp[1] - lamp[2]) / norm, 0, None)
    ambient = rng.uniform(0.25, 0.7)
    light = ambient + (1.05 - ambient) * lit
    # Creases between what touches: darker where the depth changes at once.
    edge = np.clip(norm - 1.4, 0, 3)
    light = light * (1 - rng.uniform(0.08, 0.25) * edge / 3)
    colour = _skin(rng)
    image = light[..., None] * colour
    arm = bone == len(_PAIRS) - 1
    if rng.random() < 0.5:
        sleeve = rng.uniform(10, 240, 3)
        image = np.where(arm[..., None], light[..., None] * sleeve, image)
    grain = rng.normal(0, 1, (SIDE_PX // 2, SIDE_PX // 2)).astype(np.float32)
    rough = cv2.resize(cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.6, 2)), (SIDE_PX, SIDE_PX))
    image = image * (1 + rng.uniform(0, 0.1) * np.asarray(rough)[..., None])
    return np.clip(np.where(mask[..., None], image, 0), 0, 255).astype(np.uint8)


def _skin(rng: np.random.Generator) -> Floats:
    """A skin's colour, BGR 0..255: from pale to dark, redder or yellower."""
    pale, dark = np.array([190.0, 205.0, 243.0]), np.array([38.0, 52.0, 86.0])
    share = rng.uniform(0, 1)
    colour = pale * (1 - share) + dark * share
    return np.asarray(colour * rng.normal(1, 0.05, 3), np.float32)
