"""Between which lengths the dynamic axes of a model lie, for engines that must know it.

TensorRT asks for the shortest, the likeliest and the longest shape of each input that has dynamic
axes. Here they follow from the axis's symbolic name, which the export gave it, or from its place.

    profile = default_profile(parsed.inputs)
"""

from __future__ import annotations

from collections.abc import Iterable

from deixis.runtime.engines.tensorrt_api import Input, Profile

Range = tuple[int, int, int]
"""Least, likeliest and greatest length."""

RANGES: dict[str, Range] = {
    "N": (1, 4, 32),  # crops, hands
    "T": (1, 128, 512),  # frames of speech: 41.67 a second, so up to 12 s
    # Moonshine: what goes with a second of sound goes together.
    "batch": (1, 1, 16),
    "samples": (4_000, 48_000, 192_000),
    "frames": (10, 125, 512),
    "kept": (0, 125, 512),
    "past": (0, 8, 128),
    "tokens": (1, 1, 128),
}
_BATCH: Range = (1, 1, 32)
_TIME: Range = (1, 128, 1024)


def default_profile(inputs: Iterable[Input]) -> Profile:
    """Shapes of the inputs that have dynamic axes.

    An axis with a name in :data:`RANGES` has that range; of the others the first axis of an input
    is a batch, any later one is time.
    """
    shapes = {}
    for one in inputs:
        if -1 not in one.shape:
            continue
        ranges = [
            (length, length, length) if length >= 0 else _range(symbol, axis)
            for axis, (length, symbol) in enumerate(zip(one.shape, one.symbols, strict=True))
        ]
        least, likely, most = zip(*ranges, strict=True)
        shapes[one.name] = (least, likely, most)
    return shapes


def _range(symbol: str | None, axis: int) -> Range:
    return RANGES.get(symbol or "", _BATCH if axis == 0 else _TIME)
