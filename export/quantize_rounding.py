"""How tensors are rounded to INT8 for a runtime: the dialects that their kernels speak.

ONNX Runtime's CPU kernels are fast with uint8 activations and any zero point, and want biases in
int32; TensorRT takes int8 with zero point 0 only, and biases in float.

    python -c "from deixis.export.quantize_rounding import CPU, rounding as r; print(r(0, 6, CPU))"
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deixis.export.quantize_weights import SMALLEST_SCALE

Array = NDArray[Any]


@dataclass(frozen=True)
class Dialect:
    """What a runtime makes INT8 kernels of.

    Attributes:
        activations: type of activations.
        symmetric: whether their zero point must be 0.
        biases: whether biases are int32 (else float32).
        outputs: whether a node's output is rounded even where only floats take it (a convolution's
            CPU kernel gives nothing else).
        most: weights take steps from minus this to this.
    """

    activations: np.dtype[Any]
    symmetric: bool
    biases: bool
    outputs: bool
    most: int = 127


CPU = Dialect(np.dtype(np.uint8), symmetric=False, biases=True, outputs=True)
ANY_CPU = replace(CPU, most=63)
"""For x86 CPUs without VNNI too: they add pairs of products of uint8 and int8 in 16 bits, which
saturate beyond 2 · 255 · 64 (ONNX Runtime's documentation: *quantization, reduce_range*)."""
TENSORRT = Dialect(np.dtype(np.int8), symmetric=True, biases=False, outputs=False)


@dataclass(frozen=True)
class Rounding:
    """Scale and zero point of a tensor."""

    scale: np.float32
    zero: Array

    def change(self, values: Array) -> Array:
        """What rounding and clipping add to a tensor's values."""
        limits = np.iinfo(self.zero.dtype)
        zero, scale = np.float32(self.zero), self.scale
        steps = np.clip(np.rint(values / scale) + zero, limits.min, limits.max)
        return np.asarray((steps - zero) * scale - values)


def rounding(low: float, high: float, dialect: Dialect) -> Rounding:
    """Scale and zero point with which a dialect represents a range."""
    low, high = min(low, 0.0), max(high, 0.0)
    if dialect.symmetric:
        scale = np.float32(max(max(-low, high) / 127, SMALLEST_SCALE))
        return Rounding(scale, np.zeros((), dialect.activations))
    scale = np.float32(max((high - low) / 255, SMALLEST_SCALE))
    return Rounding(scale, np.array(round(-low / float(scale))).clip(0, 255).astype(np.uint8))
