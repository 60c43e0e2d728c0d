"""Refuse to calibrate on inputs that nothing recorded: noise, constants, one input again and again.

Ranges of noise are not those of pictures or speech: a model calibrated on it is wrong where it is
used, and nothing shows it. Of pictures and sound, neighbours are alike; of noise they are not.
Other inputs (embeddings, key points) have no neighbours, so only sameness is refused there.

    python -c "import numpy as np; from deixis.export.noise import refuse_noise; \
refuse_noise([{'image': np.random.rand(1, 3, 64, 64)}])"
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deixis.calibration.ranges import hash_input
from deixis.runtime.errors import ExportError

if TYPE_CHECKING:
    from deixis.export.recipes.recipe import Inputs

LEAST_LIKENESS = 0.15
"""Correlation of neighbours: of white noise 0.00 ± 0.02, of pictures and speech mostly over 0.8."""
_LEAST_SIDE_PX = 16
_LEAST_SAMPLES = 8000  # Half a second; shorter vectors may be features, which have no neighbours.
_CHANNELS = (1, 3)
_HINT = "give recorded ones: --calib FOLDER of pictures, a recording, or episodes"


def refuse_noise(inputs: Sequence[Inputs]) -> None:
    """See that a model's inputs may be recorded ones.

    Args:
        inputs: one call's arrays each.

    Raises:
        ExportError: there are none, they hold nothing but constants, all are the same, or pictures
            or sound among them are noise.
    """
    if not inputs:
        raise ExportError("there are no inputs to calibrate on", hint=_HINT)
    measured = [
        {
            name: a
            for name, a in arrays.items()
            if np.issubdtype(a.dtype, np.floating) or _is_picture(a)
        }
        for arrays in inputs
    ]
    if not any(a.size and a.min() != a.max() for arrays in measured for a in arrays.values()):
        raise ExportError(f"the {len(inputs)} calibration inputs are constant", hint=_HINT)
    if len(inputs) > 1 and len({hash_input(arrays) for arrays in inputs}) == 1:
        raise ExportError(f"the {len(inputs)} calibration inputs are all the same", hint=_HINT)
    for name in measured[0]:
        found = [likeness(arrays[name]) for arrays in measured if name in arrays]
        known = [value for value in found if value is not None]
        if known and (typical := statistics.median(known)) < LEAST_LIKENESS:
            raise ExportError(
                f"the calibration inputs {name!r} are noise: neighbouring values correlate by "
                f"{typical:.2f}; those of pictures and speech do by more than {LEAST_LIKENESS}",
                hint=_HINT,
            )


def likeness(array: NDArray[Any]) -> float | None:
    """How much neighbouring values of a picture or a sound correlate, -1 to 1.

    Args:
        array: a picture ([N,C,H,W] or [N,H,W,C], with 1 or 3 channels) or a sound ([T] or [1,T]).

    Returns:
        The greater correlation of pictures' two directions; None where the array is neither, or is
        constant.
    """
    if _is_picture(array):
        channels_last = array.shape[-1] in _CHANNELS and array.shape[-3] not in _CHANNELS
        axes = [-3, -2] if channels_last else [-2, -1]
    elif array.size == (array.shape[-1] if array.ndim else 0) >= _LEAST_SAMPLES:
        axes = [-1]
    else:
        return None
    found = [_correlation(np.moveaxis(array, axis, -1)) for axis in axes]
    return max(found) if not any(map(math.isnan, found)) else None


def _is_picture(array: NDArray[Any]) -> bool:
    # With three axes it could as well be a row of vectors, [1,T,D].
    if array.ndim != 4:
        return False
    first, second, third = array.shape[-3:]
    return (first in _CHANNELS and min(second, third) >= _LEAST_SIDE_PX) or (
        third in _CHANNELS and min(first, second) >= _LEAST_SIDE_PX
    )


def _correlation(array: NDArray[Any]) -> float:
    """Of values with the next along the last axis; NaN where they are constant."""
    left = array[..., :-1].astype(np.float64).ravel()
    right = array[..., 1:].astype(np.float64).ravel()
    left -= left.mean()
    right -= right.mean()
    spread = math.sqrt(float(left @ left) * float(right @ right))
    return float(left @ right) / spread if spread else math.nan
