from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from deixis.nodes.objects.find import store as module
from deixis.nodes.objects.find.store import Sighting, Store
from deixis.runtime.errors import ConfigError

SIGHTINGS = [
    Sighting(0.0, 1.5, (1, 2, 3, 4), {"red": 0.9}, (0, 3)),
    Sighting(0.5, 0.5, (5, 6, 7, 8), {}, (3, 7)),
]
VECTORS = np.eye(2, 1280, dtype=np.float32)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"first")
    return path


def test_what_was_put_comes_back(tmp_path: Path, film: Path) -> None:
    store = Store(tmp_path / "cache", "model")
    store.put(store.key(film), SIGHTINGS, VECTORS, b"onetwoo")
    seen = Store(tmp_path / "cache", "model").get(store.key(film))
    assert seen is not None
    assert seen.sightings == SIGHTINGS
    assert np.array_equal(seen.vectors, VECTORS)
    assert [seen.thumbnail(0), seen.thumbnail(1)] == [b"one", b"twoo"]


def test_a_file_is_known_by_what_is_in_it(tmp_path: Path, film: Path) -> None:
    key = Store(tmp_path, "model").key(film)
    copy = shutil.copy(film, tmp_path / "other_name.mp4")
    assert Store(tmp_path, "model").key(Path(copy)) == key
    assert Store(tmp_path, "another model").key(film) != key
    film.write_bytes(b"second")
    assert Store(tmp_path, "model").key(film) != key


def test_an_untouched_file_is_hashed_once(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Store(tmp_path, "model")
    key = first.key(film)
    first.save_hashes()

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} is hashed again")

    monkeypatch.setattr(module, "sha256_of", refuse)
    assert Store(tmp_path, "model").key(film) == key


@pytest.mark.parametrize("file", ["sightings.msgpack", "vectors.npy", "codes.npy"])
def test_what_is_damaged_counts_as_unknown(tmp_path: Path, film: Path, file: str) -> None:
    store = Store(tmp_path / "cache", "model")
    key = store.key(film)
    assert store.get(key) is None
    store.put(key, SIGHTINGS, VECTORS, b"onetwoo")
    (tmp_path / "cache" / key / file).write_bytes(b"\x93nonsense")
    assert store.get(key) is None


def test_an_interruption_leaves_nothing_behind(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "cache", "model")

    def interrupt(vectors: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "binary_codes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.put(store.key(film), SIGHTINGS, VECTORS, b"onetwoo")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, film: Path) -> None:
    store = Store(film / "cache", "model")
    with pytest.raises(ConfigError, match="cannot write") as caught:
        store.put(store.key(film), SIGHTINGS, VECTORS, b"")
    assert "--cache" in caught.value.hint
