"""Which NVIDIA GPU is here, asked of its driver alone: no package, no CUDA toolkit.

python -c "from deixis.runtime.engines.gpu import find_gpu; print(find_gpu())"
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from deixis.runtime.errors import EngineError

DRIVER = "libcuda.so.1"
HINT = (
    "install the driver (on a Jetson it comes with JetPack; in a container add --gpus all, or "
    "--runtime nvidia); without a GPU use the backend onnxruntime-cpu"
)

# CUdevice_attribute and CUresult, cuda.h
_CAPABILITY_MAJOR = 75
_CAPABILITY_MINOR = 76
_NO_DEVICE = 100


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first GPU that CUDA shows (``CUDA_VISIBLE_DEVICES`` chooses among several).

    Attributes:
        name: as the driver calls it: ``Orin``, ``NVIDIA GeForce RTX 4090``.
        compute_capability: its architecture, ``(8, 7)``.
        cuda: the newest CUDA version that its driver supports, ``(13, 0)``.
    """

    name: str
    compute_capability: tuple[int, int]
    cuda: tuple[int, int]

    def __str__(self) -> str:
        major, minor = self.compute_capability
        return f"{self.name} (compute capability {major}.{minor})"


def find_gpu() -> Gpu:
    """The GPU that engines run on.

    Raises:
        EngineError: There is no NVIDIA driver, or it shows no GPU.
    """
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError as cause:
        raise no_driver(str(cause)) from None
    status = driver.cuInit(0)
    if status == _NO_DEVICE:
        raise EngineError("the NVIDIA driver shows no GPU", hint=HINT)
    _succeed("cuInit", status)
    version = _integer(driver.cuDriverGetVersion)
    device = _integer(driver.cuDeviceGet, 0)
    name = ctypes.create_string_buffer(256)
    _succeed("cuDeviceGetName", driver.cuDeviceGetName(name, len(name), device))
    return Gpu(
        name=name.value.decode(errors="replace"),
        compute_capability=(
            _integer(driver.cuDeviceGetAttribute, _CAPABILITY_MAJOR, device),
            _integer(driver.cuDeviceGetAttribute, _CAPABILITY_MINOR, device),
        ),
        cuda=(version // 1000, version % 1000 // 10),
    )


def no_driver(cause: str) -> EngineError:
    """The one error for a missing driver, however it shows."""
    return EngineError(f"no NVIDIA driver can be used ({cause})", hint=HINT)


def _integer(function: ctypes._NamedFuncPointer, *args: int) -> int:
    """What a function of the driver writes into the int that its first argument points to."""
    value = ctypes.c_int()
    _succeed(function.__name__, function(ctypes.byref(value), *args))
    return value.value


def _succeed(name: str, status: int) -> None:
    if status:
        raise EngineError(f"the NVIDIA driver's {name} failed with error {status}", hint=HINT)
