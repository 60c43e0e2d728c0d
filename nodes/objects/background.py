"""What the bare work plane looks like, learnt from every picture anew: colour, light and shadow.

In the logarithm of a picture light multiplies away: the plain surface is a smooth function of the
place (a quadratic polynomial per channel, fitted robustly), and a shadow shifts it along one line,
because what it takes away is one lamp's light. What lies off that line is not the plane.

    model = SurfaceModel((240, 320), region)
    if model.fit(log_picture(image)): foreground = model.contrast(log_picture(image)) > 1
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Planes = NDArray[np.float32]

_LOG = np.log(np.arange(256) + 4.0).astype(np.float32)
"""The 4 keeps sensor noise in dark places from looking like colour."""

_SAMPLES = 1200
_MIN_SHARE = 0.3
"""Least share of the region that must be the bare surface."""
_BRIGHTER = 0.13
_DARKER = -1.1
_COLOUR = 0.03
_SHADOW_FROM = -0.2
_LIGHT_SHARE = 0.1
_EDGE_SHARE = 0.4


def log_picture(image: NDArray[np.uint8]) -> Planes:
    """The logarithm of a picture as three planes, shape ``(3, height, width)``."""
    return np.ascontiguousarray(cv2.LUT(image, _LOG).transpose(2, 0, 1))


class SurfaceModel:
    """A plain surface in a region of the picture, with its light and its shadows.

    Args:
        shape: Height and width of the pictures.
        region: Where the surface is, shape ``shape``.
    """

    def __init__(self, shape: tuple[int, int], region: Mask) -> None:
        rows, cols = np.nonzero(region)
        keep = np.linspace(0, len(rows) - 1, min(_SAMPLES, len(rows))).astype(int)
        self._rows, self._cols = rows[keep], cols[keep]
        v, u = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
        self._basis = _basis(u, v)
        self._design = self._basis[:, self._rows, self._cols].T.astype(np.float64)
        self._shape = shape
        self.coefficients: NDArray[np.float64] | None = None
        self._shadow = np.zeros(3)
        self._colour_tolerance = _COLOUR
        self._bright_tolerance = _BRIGHTER

    def reset(self) -> None:
        """Forget the surface."""
        self.coefficients = None
        self._shadow = np.zeros(3)

    def fit(self, planes: Planes) -> bool:
        """Learn the surface from a picture, starting from what was learnt before.

        Args:
            planes: Of :func:`log_picture`.

        Returns:
            Whether a plain surface fills enough of the region; if not, nothing was learnt.
        """
        if len(self._rows) < 50:
            return False
        samples = planes[:, self._rows, self._cols].T.astype(np.float64)
        if self.coefficients is None:
            centre = _mode(samples)
            predicted = np.tile(centre, (len(samples), 1))
            spread, rounds = 0.15, 4
        else:
            predicted = np.einsum("ij,jk", self._design, self.coefficients)
            # Light changes little from one picture to the next.
            spread, rounds = 0.1, 2
        coefficients = self.coefficients
        for _ in range(rounds):
            residual = samples - predicted
            far = np.abs(residual).max(axis=1)
            inlier = far < spread
            if inlier.mean() < _MIN_SHARE:
                return False
            design = self._design[inlier]
            # The ridge keeps the curvature small where objects leave no samples.
            normal = design.T @ design + np.diag([0, 1, 1, 10, 10, 10]) * 1e-3 * len(design)
            coefficients = np.linalg.solve(normal, design.T @ samples[inlier])
            predicted = np.einsum("ij,jk", self._design, coefficients)
            spread = float(np.clip(4 * np.median(far[inlier]), 0.05, 0.12))
        self.coefficients = coefficients
        residual = samples - predicted
        self._learn_light(residual, np.abs(residual).max(axis=1) < spread)
        return True

    def _learn_light(self, residual: NDArray[np.float64], inlier: Mask) -> None:
        mean = residual.mean(axis=1)
        colour = residual - mean[:, None]
        noise = 1.4826 * float(np.median(np.abs(colour[inlier]).max(axis=1)))
        self._colour_tolerance = float(np.clip(6 * noise, _COLOUR, 0.1))
        grain = 1.4826 * float(np.median(np.abs(mean[inlier])))
        self._bright_tolerance = float(np.clip(6 * grain, _BRIGHTER, 0.3))
        dark = (mean < _SHADOW_FROM) & (mean > _DARKER) & (np.abs(colour).max(axis=1) < 0.15)
        if dark.mean() > 0.004:
            slope = np.median(colour[dark] / mean[dark, None], axis=0)
            # A shadow's tint is mild; more than this is an object that fills the region.
            slope = np.clip(slope, -0.25, 0.25)
            # Lamps do not change: a slow average keeps outlines of shadows where they are.
            share = 1.0 if not self._shadow.any() else _LIGHT_SHARE
            self._shadow = self._shadow + share * (slope - self._shadow)

    def contrast(
        self, planes: Planes, part: tuple[int, int, int] | None = None
    ) -> NDArray[np.float32]:
        """How much a picture differs from the surface and its shadow, shape ``(height, width)``.

        1 is as much as its noise, grain and unevenness explain; above that it is something else.

        Args:
            planes: Of :func:`log_picture`.
            part: Left and top of a part of a picture that is ``step`` times as large as those
                that the surface was learnt from, and ``step``; by default a whole such picture.

        Raises:
            ValueError: Nothing was learnt yet.
        """
        if self.coefficients is None:
            raise ValueError("fit() has not seen the surface yet")
        basis = self._basis if part is None else self._basis_of(planes.shape[1:], part)
        residual = [
            plane - _combine(weights, basis)
            for plane, weights in zip(planes, self.coefficients.T, strict=True)
        ]
        mean = (residual[0] + residual[1] + residual[2]) * np.float32(1 / 3)
        shade = np.minimum(mean, 0)
        off = np.zeros_like(mean)
        for channel in range(3):
            tint = residual[channel] - mean - np.float32(self._shadow[channel]) * shade
            np.maximum(off, np.abs(tint), out=off)
        # Dark pixels have more relative noise.
        tolerance = self._colour_tolerance * (1 - 1.5 * shade)
        out = np.asarray(off / tolerance, np.float32)
        np.maximum(out, mean * np.float32(1 / self._bright_tolerance), out=out)
        np.maximum(out, mean * np.float32(1 / _DARKER), out=out)
        return out

    def _basis_of(self, shape: tuple[int, ...], part: tuple[int, int, int]) -> Planes:
        left, top, step = part
        u = ((left + np.arange(shape[1]) + 0.5) / step - 0.5) * (2 / (self._shape[1] - 1)) - 1
        v = ((top + np.arange(shape[0]) + 0.5) / step - 0.5) * (2 / (self._shape[0] - 1)) - 1
        grid = np.meshgrid(u.astype(np.float32), v.astype(np.float32))
        return _basis(grid[0], grid[1])


def edge_contrast(contrast: NDArray[np.float32]) -> NDArray[np.float32]:
    """Contrast with the bleeding of strong colours over their edges taken away.

    Lenses, demosaicing and video coding smear a saturated thing a few pixels into the surface;
    its edge is where the contrast falls below a share of that around it.
    """
    around = np.asarray(cv2.dilate(contrast, np.ones((9, 9), np.uint8)), np.float32)
    return np.asarray(contrast / np.maximum(_EDGE_SHARE * around, 1), np.float32)


def _basis(u: NDArray[np.float32], v: NDArray[np.float32]) -> Planes:
    # Planes first: sums over whole pictures run over contiguous memory.
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v])


def _combine(weights: NDArray[np.float64], basis: Planes) -> NDArray[np.float32]:
    # Not a matrix product: BLAS would wake its threads for it, on cores that others need.
    total = np.full(basis.shape[1:], weights[0], np.float32)
    for weight, plane in zip(weights[1:], basis[1:], strict=True):
        total += np.float32(weight) * plane
    return total


def _mode(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """The most frequent colour: the fullest cell of a coarse grid, then the median around it."""
    cells = np.round(samples / 0.12).astype(int)
    unique, counts = np.unique(cells, axis=0, return_counts=True)
    centre = unique[counts.argmax()] * 0.12
    near = np.abs(samples - centre).max(axis=1) < 0.18
    return np.asarray(np.median(samples[near], axis=0), np.float64)
