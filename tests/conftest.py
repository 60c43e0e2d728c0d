"""Fixtures that several test folders share."""

from __future__ import annotations

from pathlib import Path

import pytest

from deixis.runtime.bundle import Bundle

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The CPU bundle that ``make setup`` builds."""
    path = ROOT / "bundles" / "cpu"
    if not (path / "manifest.json").is_file():
        pytest.skip("no bundle: run `deixis export all --preset cpu --out bundles/cpu`")
    return Bundle.open(path)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recordings that others made; not part of the project."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the recordings in ../shared/data are not here")
    return path


@pytest.fixture(scope="session")
def episodes() -> Path:
    """The rendered episodes."""
    return ROOT / "tests" / "scenes" / "episodes"
