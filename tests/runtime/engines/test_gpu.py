"""The driver is asked with the right calls, and its absence is one clear error."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from deixis.runtime.engines import gpu
from deixis.runtime.engines.cuda_memory import CudaPython, open_cuda
from deixis.runtime.engines.gpu import Gpu, find_gpu
from deixis.runtime.errors import EngineError

ORIN = """
#include <string.h>
int cuInit(unsigned flags) { return flags ? 1 : STATUS; }
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 7 + ordinal; return 0; }
int cuDeviceGetName(char *name, int n, int device) {
    if (n < 5 || device != 7) return 101;
    strcpy(name, "Orin");
    return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    if (device != 7) return 101;
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : -1;
    return 0;
}
"""
"""A driver, as cuda.h declares it, that knows one GPU."""


def has_driver() -> bool:
    try:
        ctypes.CDLL(gpu.DRIVER)
    except OSError:
        return False
    return True


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = tmp_path / "driver.c"
    source.write_text(ORIN)
    library = tmp_path / "libdriver.so"
    flags = ["-shared", "-fPIC", f"-DSTATUS={request.param}", "-o", str(library)]
    subprocess.run([compiler, str(source), *flags], check=True)
    monkeypatch.setattr(gpu, "DRIVER", str(library))


@pytest.mark.parametrize("driver", [0], indirect=True)
@pytest.mark.usefixtures("driver")
def test_what_the_driver_says() -> None:
    found = find_gpu()
    assert found == Gpu("Orin", (8, 7), (12, 6))
    assert str(found) == "Orin (compute capability 8.7)"


@pytest.mark.parametrize(
    ("driver", "words"), [(100, "shows no GPU"), (999, "cuInit failed with error 999")],
    indirect=["driver"],
)  # fmt: skip
@pytest.mark.usefixtures("driver")
def test_a_driver_that_cannot_be_used(words: str) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        find_gpu()
    assert caught.value.hint


@pytest.mark.skipif(has_driver(), reason="this machine has an NVIDIA driver")
def test_no_driver() -> None:
    with pytest.raises(EngineError, match="no NVIDIA driver can be used") as caught:
        find_gpu()
    assert "JetPack" in caught.value.hint


@pytest.mark.skipif(has_driver(), reason="this machine has an NVIDIA driver")
def test_cuda_python_without_a_driver() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="needs deixis[tensorrt]")
    with pytest.raises(EngineError, match="no NVIDIA driver can be used"):
        CudaPython(runtime)
    with pytest.raises(EngineError, match="no NVIDIA driver can be used"):
        open_cuda()


def test_neither_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cuda.bindings.runtime", "pycuda.driver"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(EngineError, match="neither cuda-python nor pycuda") as caught:
        open_cuda()
    assert "cuda-python>=12.6" in caught.value.hint
