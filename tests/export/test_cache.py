from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deixis.export.cache import StepCache, digest

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Figures(msgspec.Struct, frozen=True):
    data: bytes
    share: float


class Maker:
    def __init__(self, data: bytes = b"made") -> None:
        self.data = data
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        return self.data


def test_makes_once_for_a_key(tmp_path: Path) -> None:
    maker = Maker()
    for _ in range(3):
        assert StepCache(tmp_path).made("prune", {"ratio": 0.3}, maker) == b"made"
    assert maker.calls == 1


@pytest.mark.parametrize("other", [{"ratio": 0.4}, {"ratio": 0.3, "more": 1}, "ratio"])
def test_makes_anew_for_another_key(tmp_path: Path, other: object) -> None:
    maker = Maker()
    cache = StepCache(tmp_path)
    cache.made("prune", {"ratio": 0.3}, maker)
    cache.made("prune", other, maker)
    cache.made("emit", {"ratio": 0.3}, maker)
    assert maker.calls == 3


@pytest.mark.parametrize("damage", [b"", b"mad", b"made and more"])
def test_makes_anew_what_was_damaged(tmp_path: Path, damage: bytes) -> None:
    maker = Maker()
    StepCache(tmp_path).made("prune", 1, maker)
    (kept,) = tmp_path.glob("*.bin")
    kept.write_bytes(damage)
    assert StepCache(tmp_path).made("prune", 1, maker) == b"made"
    assert maker.calls == 2
    assert [p.read_bytes() for p in tmp_path.glob("*.bin")] == [b"made"]


def test_an_interrupted_step_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> bytes:
        raise KeyboardInterrupt

    cache = StepCache(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        cache.made("distil", 1, interrupted)
    assert list(tmp_path.iterdir()) == []
    assert cache.made("distil", 1, Maker()) == b"made"


def test_keeps_values_with_bytes_and_floats(tmp_path: Path) -> None:
    value = Figures(b"\x00\xff", 1 / 3)
    cache = StepCache(tmp_path)
    assert cache.value("about", 1, Figures, lambda: value) == value
    assert cache.value("about", 1, Figures, lambda: pytest.fail("kept")) == value


def test_removes_what_was_used_longest_ago(tmp_path: Path) -> None:
    cache = StepCache(tmp_path, most_mb=0.0025)
    for age_s, name in ((30, "old"), (20, "used"), (10, "new")):
        cache.made(name, 1, Maker(bytes(1000)))
        for path in tmp_path.glob(f"{name}-*.bin"):
            os.utime(path, (1e9 - age_s, 1e9 - age_s))
    assert {p.name.split("-")[0] for p in tmp_path.glob("*.bin")} == {"used", "new"}
    cache.made("used", 1, Maker())  # touches it
    cache.made("newest", 1, Maker(bytes(1000)))
    assert {p.name.split("-")[0] for p in tmp_path.glob("*.bin")} == {"used", "newest"}


@given(a=plain, b=plain)
def test_digests_differ_where_values_do(a: object, b: object) -> None:
    same = repr(a) == repr(b)
    if same:
        assert digest(a) == digest(b)
    elif not (isinstance(a, dict) or isinstance(b, dict)) and a != b:
        assert digest(a) != digest(b)


def test_digest_reads_files_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"1")
    first = digest(path, b"x")
    path.write_bytes(b"2")
    assert digest(path, b"x") != first
    assert digest(b"ab") != digest(b"a", b"b")
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(np.float32(1.5).item()) == digest(1.5)
