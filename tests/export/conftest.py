"""Fixtures of the export's tests: the wheels, the sample episodes, one exported bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from deixis.export.pipeline import Request, export_all
from deixis.export.samples import Samples, load_samples
from deixis.export.weights.wheels import WHEELS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def wheel_folder() -> Path:
    folder = ROOT / ".cache" / "wheels"
    for wheel in WHEELS:
        if not (folder / wheel.file).is_file():
            pytest.skip(f"no {wheel.file}: run `python -m deixis.export.weights`")
    pytest.importorskip("torch", reason="needs deixis[export]")
    return folder


@pytest.fixture(scope="session")
def sample_folder(episodes: Path) -> Path:
    if not list(episodes.glob("*/video.mp4")):
        pytest.skip(f"no episodes in {episodes}")
    return episodes


@pytest.fixture(scope="session")
def samples(sample_folder: Path) -> Samples:
    return load_samples(sample_folder)


@pytest.fixture(scope="session")
def request_(
    wheel_folder: Path, sample_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Request:
    """An export of everything, as nothing was asked; tests say what and where to."""
    folder = tmp_path_factory.mktemp("export")
    return Request(
        "cpu", folder / "cpu", wheels=wheel_folder, samples=sample_folder, cache=folder / "steps"
    )


@pytest.fixture(scope="session")
def exported(request_: Request) -> Path:
    """A bundle made by these tests; tests must not change it."""
    export_all(request_)
    return request_.out
