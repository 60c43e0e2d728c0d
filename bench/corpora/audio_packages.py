"""Recordings out of Debian packages: real voices and music, unpacked without installing.

``python -c "from bench.corpora.audio_packages import PACKAGES; print(list(PACKAGES))"``
"""

from __future__ import annotations

import io
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from .voices import RATE_HZ, Samples

PACKAGES = {
    "asc-music": "GPL-2+",
    "asterisk-core-sounds-en-g722": "CC-BY-SA-3.0",
    "asterisk-moh-opsound-g722": "CC-BY-SA-3.0",
    "drascula-music": "Drascula licence (free to use and distribute, not to sell alone)",
    "flight-of-the-amazon-queen": "Flight of the Amazon Queen licence (free to use and distribute)",
    "fortunes": "BSD and public domain texts",
    "hedgewars-data": "GPL-2, GFDL-1.3",
    "planetblupi-music-midi": "GPL-3+",
    "pocketsphinx-testdata": "BSD-2-clause",
    "singularity-music": "CC-BY-SA-3.0",
    "timgm6mb-soundfont": "GPL-2",
}
"""Package and licence of what is taken from it, after its debian/copyright."""


class PackageMissing(Exception):
    """A package can neither be found unpacked nor be downloaded."""


def unpacked(folder: Path, package: str) -> Path:
    """Where a package lies unpacked; downloads it with apt when it is not there yet.

    Raises:
        PackageMissing: apt-get could not download it.
    """
    target = folder / package
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as download:
        command = ["apt-get", "download", "-q", package]
        try:
            done = subprocess.run(command, cwd=download, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise PackageMissing(f"{package}: apt-get is not here (Debian 12 or Ubuntu)") from error
        debs = list(Path(download).glob("*.deb"))
        if not debs:
            raise PackageMissing(f"{package}: {done.stderr.strip()[-200:]}; apt-get update first?")
        subprocess.run(["dpkg-deb", "-x", str(debs[0]), str(target)], check=True)
    return target


def music(folder: Path, package: str) -> Iterator[Samples]:
    """The pieces of a package, resampled to 16 kHz mono, peak 1."""
    root = unpacked(folder, package)
    kinds = (".ogg", ".mp3", ".g722", ".mid")
    files = [f for f in sorted(root.rglob("*")) if f.suffix in kinds]
    for file in files:
        samples = _midi(file, folder) if file.suffix == ".mid" else _with_ffmpeg(file)
        if len(samples) > 10 * RATE_HZ:
            yield samples


def prompts(folder: Path, package: str, pattern: str) -> Iterator[Samples]:
    """The short recordings of a package whose path matches a pattern."""
    for file in sorted(unpacked(folder, package).rglob(pattern)):
        samples = _raw(file) if file.suffix == ".raw" else _with_ffmpeg(file)
        if len(samples) > 0.3 * RATE_HZ:
            yield samples


def actors(folder: Path) -> Iterator[Samples]:
    """The voice acting of *Flight of the Amazon Queen*: thousands of lines by many actors.

    The game's ``queen.1c`` starts with a table: ``QTBL``, 11 bytes of version and count, then for
    each file 12 bytes of name, one of bundle, and big-endian offset and size; ``.SB`` are MP3.
    """
    root = unpacked(folder, "flight-of-the-amazon-queen")
    data = next(root.rglob("queen.1c")).read_bytes()
    entry = struct.Struct(">12sBII")
    for at in range(15, len(data), entry.size):
        name, _, offset, size = entry.unpack_from(data, at)
        name = name.rstrip(b"\0")
        if not name.isascii() or b"." not in name or offset + size > len(data):
            return
        if name.endswith(b".SB"):
            samples, rate_hz = soundfile.read(io.BytesIO(data[offset : offset + size]))
            yield _ready(samples, rate_hz)


def _ready(samples: Samples, rate_hz: int) -> Samples:
    mono = samples.mean(axis=1) if samples.ndim > 1 else samples
    if rate_hz != RATE_HZ:
        mono = soxr.resample(mono, rate_hz, RATE_HZ)
    return np.asarray(mono / max(float(np.abs(mono).max(initial=0.0)), 1e-4), np.float32)


def _raw(file: Path) -> Samples:
    return _ready(np.fromfile(file, "<i2").astype(np.float32), RATE_HZ)


def _with_ffmpeg(file: Path) -> Samples:
    command = ["ffmpeg", "-v", "error", "-i", str(file), "-t", "300", "-ac", "1"]
    command += ["-ar", str(RATE_HZ), "-f", "s16le", "-"]
    done = subprocess.run(command, check=True, capture_output=True)
    return _ready(np.frombuffer(done.stdout, "<i2").astype(np.float32), RATE_HZ)


def _midi(file: Path, folder: Path) -> Samples:
    font = next(unpacked(folder, "timgm6mb-soundfont").rglob("*.sf2"))
    with tempfile.TemporaryDirectory() as place:
        wav = Path(place) / "played.wav"
        command = ["fluidsynth", "-ni", "-r", "44100", "-F", str(wav), str(font), str(file)]
        subprocess.run(command, check=True, capture_output=True)
        return _with_ffmpeg(wav)
