"""What the bare work plane looks like, learnt from every picture anew: colour, light and shadow.

In the logarithm of a picture light multiplies away: the plain surface is a smooth function of the
place (a quadratic polynomial per channel, fitted robustly), and a shadow shifts it along one line,
because what it takes away is one lamp's light. What lies off that line is not the plane, unless the
table has a pattern (:mod:`.texture`): planks, checks, speckles.

    model = SurfaceModel((240, 320), region)
    if model.fit(log_picture(image)): foreground = model.contrast(log_picture(image)) > 1
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.texture import Texture

Mask = NDArray[np.bool_]
Planes = NDArray[np.float32]

_LOG = np.log(np.arange(256) + 4.0).astype(np.float32)
"""The 4 keeps sensor noise in dark places from looking like colour."""

_SAMPLES = 1200
_ROUGHER = 3.0
"""How much more a patterned surface may scatter than a plain one."""
_MIN_SHARE = 0.3
"""Least share of the region that must be the bare surface."""
_BRIGHTER = 0.13
_UMBRA = (-0.7, -0.8, -0.9, -1.0, -1.1)
"""How much a shadow darkens: as little as this, unless more is seen in several places."""
_UMBRA_STEP = 0.1
_UMBRA_TILES = 5
_UMBRA_SHARE = 0.33
"""Several places: so many tiles, and this share of those that have any shadow."""
_COLOUR = 0.03
_SHADOW_FROM = -0.2
_LIGHT_SHARE = 0.1
_EDGE_SHARE = 0.4
_PATTERN_SHARE = 0.008
_PATTERN_TILES = 0.3
"""A table has a pattern if colours that are seen all over it, and that no plain surface has in
light and shadow, fill this share of it and lie in this share of its tiles."""
_SPECKLE = 0.35
"""How much darker than all around a speckle is; it is smaller than any thing."""
_SPECKLE_PX = 9
"""Size of a window that no speckle fills, in the small picture."""
_TILES = 8
"""The picture is divided into so many tiles each way."""
_LEARN_EVERY = 40
"""A pattern stays: it is learnt again once in so many pictures, or when ..."""
_CHANGED = 0.05
"""... this much more or less of the region is smooth."""


def log_picture(image: NDArray[np.uint8]) -> Planes:
    """The logarithm of a picture as three planes, shape ``(3, height, width)``."""
    return np.ascontiguousarray(cv2.LUT(image, _LOG).transpose(2, 0, 1))


class SurfaceModel:
    """A surface in a region of the picture, with its light, its shadows and its pattern.

    Attributes:
        coefficients: Of the polynomials, one column a channel; None before the first picture.
        texture: The pattern; None on a plain surface.

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
        self._region = (rows, cols)
        tile = rows * _TILES // shape[0] * _TILES + cols * _TILES // shape[1]
        self._tiles = np.unique(tile, return_inverse=True)[1]
        self.texture: Texture | None = None
        self._age = 0
        self._explained = self._explained_then = 0.0
        self.coefficients: NDArray[np.float64] | None = None
        self._shadow = np.zeros(3)
        self._colour_tolerance = _COLOUR
        self._bright_tolerance = _BRIGHTER
        self._umbra = _UMBRA[0]
        self._sample_tiles = self._tiles[keep]

    def reset(self) -> None:
        """Forget the surface."""
        self.coefficients = None
        self.texture = None
        self._age = 0
        self._explained = self._explained_then = 0.0
        self._shadow = np.zeros(3)
        self._umbra = _UMBRA[0]

    def fit(self, planes: Planes, *, patterned: bool = False) -> bool:
        """Learn the surface from a picture, starting from what was learnt before.

        Args:
            planes: Of :func:`log_picture`.
            patterned: It may have a pattern.

        Returns:
            Whether one surface fills enough of the region; if not, nothing was learnt.
        """
        if len(self._rows) < 50:
            return False
        samples = planes[:, self._rows, self._cols].T.astype(np.float64)
        if not self._fit_smooth(samples, 1.0) and not (
            patterned and self._fit_smooth(samples, _ROUGHER)
        ):
            return False
        if patterned:
            self._age += 1
            changed = abs(self._explained - self._explained_then) > _CHANGED
            if self._age > _LEARN_EVERY or changed or self._explained_then == 0:
                self._learn_pattern(planes)
                self._age, self._explained_then = 0, self._explained
        return True

    def _fit_smooth(self, samples: NDArray[np.float64], rough: float) -> bool:
        """Fit the polynomials to samples ``(n, 3)`` that scatter ``rough`` times as usual."""
        if self.coefficients is None:
            centre = _mode(samples) if rough == 1.0 else np.median(samples, axis=0)
            predicted = np.tile(centre, (len(samples), 1))
            spread, rounds = 0.15 * rough, 4
        else:
            predicted = np.einsum("ij,jk", self._design, self.coefficients)
            # Light changes little from one picture to the next.
            spread, rounds = 0.1 * rough, 2
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
            spread = rough * float(np.clip(4 * np.median(far[inlier]) / rough, 0.05, 0.12))
        self.coefficients = coefficients
        residual = samples - predicted
        inlier = np.abs(residual).max(axis=1) < spread
        self._explained = float(inlier.mean())
        self._learn_light(residual, inlier)
        return True

    def _learn_pattern(self, planes: Planes) -> None:
        """Look whether there are colours that are seen all over, and no plain surface has."""
        picture = self._residuals(planes, None)
        residual = picture[:, *self._region]
        pattern = Texture.learn(residual, self._tiles, self._shadow[[0, 2]], self._umbra)
        if pattern is not None:
            # What is dark and small all over is no shadow, even if it has the colour of one.
            kernel = np.ones((_SPECKLE_PX, _SPECKLE_PX), np.uint8)
            around = np.asarray(cv2.morphologyEx(picture[0], cv2.MORPH_CLOSE, kernel))
            speckles = (around - picture[0])[self._region] > _SPECKLE
            odd = (self._plain_contrast(residual) > 1) | speckles
            extra = odd & pattern.shows(residual)
            tiles = float(np.mean(np.bincount(self._tiles, extra) >= 4))
            # What has a pattern keeps it: at the limit, outlines must not come and go.
            least = 1.0 if self.texture is None else 0.6
            if extra.mean() < least * _PATTERN_SHARE or tiles < least * _PATTERN_TILES:
                pattern = None
        self.texture = pattern

    def _learn_light(self, residual: NDArray[np.float64], inlier: Mask) -> None:
        mean = residual.mean(axis=1)
        colour = residual - mean[:, None]
        noise = 1.4826 * float(np.median(np.abs(colour[inlier]).max(axis=1)))
        self._colour_tolerance = float(np.clip(6 * noise, _COLOUR, 0.1))
        grain = 1.4826 * float(np.median(np.abs(mean[inlier])))
        self._bright_tolerance = float(np.clip(6 * grain, _BRIGHTER, 0.3))
        deepest = _UMBRA[-1] - _UMBRA_STEP
        grey = np.abs(colour).max(axis=1) < 0.15
        dark = (mean < _SHADOW_FROM) & (mean > deepest) & grey
        if dark.mean() > 0.004:
            slope = np.median(colour[dark] / mean[dark, None], axis=0)
            # A shadow's tint is mild; more than this is an object that fills the region.
            slope = np.clip(slope, -0.25, 0.25)
            # Lamps do not change: a slow average keeps outlines of shadows where they are.
            share = 1.0 if not self._shadow.any() else _LIGHT_SHARE
            self._shadow = self._shadow + share * (slope - self._shadow)
            self._umbra += share * (self._deepest_shadow(mean, dark) - self._umbra)

    def _deepest_shadow(self, mean: NDArray[np.float64], dark: Mask) -> float:
        """How deep the shadows go; a grey thing has their colour, too, but is in one place."""
        least = max(_UMBRA_TILES, _UMBRA_SHARE * len(set(self._sample_tiles[dark])))
        deep = _UMBRA[0]
        for depth in _UMBRA[1:]:
            if len(set(self._sample_tiles[dark & (mean < depth + _UMBRA_STEP)])) >= least:
                deep = depth
        return deep

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
        residual = self._residuals(planes, part)
        out = self._plain_contrast(residual)
        return out if self.texture is None else np.minimum(out, self.texture.contrast(residual))

    def _residuals(self, planes: Planes, part: tuple[int, int, int] | None) -> Planes:
        """Lightness, blue and red less those of the smooth surface, ``(3, height, width)``."""
        basis = self._basis if part is None else self._basis_of(planes.shape[1:], part)
        assert self.coefficients is not None
        out = np.empty_like(planes)
        for k, weights in enumerate(self.coefficients.T):
            np.subtract(planes[k], _combine(weights, basis), out=out[k])
        mean = (out[0] + out[1] + out[2]) * np.float32(1 / 3)
        blue, red = out[0] - mean, out[2] - mean
        out[0], out[1], out[2] = mean, blue, red
        return out

    def _plain_contrast(self, residual: Planes) -> NDArray[np.float32]:
        """Contrast with a surface of one colour and its shadow."""
        mean, blue, red = residual
        shade = np.minimum(mean, 0)
        off = np.zeros_like(mean)
        for colour, slope in zip((blue, -blue - red, red), self._shadow, strict=True):
            np.maximum(off, np.abs(colour - np.float32(slope) * shade), out=off)
        # Dark pixels have more relative noise.
        tolerance = self._colour_tolerance * (1 - 1.5 * shade)
        out = np.asarray(off / tolerance, np.float32)
        np.maximum(out, mean * np.float32(1 / self._bright_tolerance), out=out)
        np.maximum(out, mean * np.float32(1 / self._umbra), out=out)
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
