from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deixis.calibration.histograms import HALF, Histogram, Statistics, choose, propose
from deixis.calibration.ranges import (
    CalibrationTable,
    TensorRange,
    hash_input,
    read_table,
    write_table,
)
from deixis.runtime.errors import CalibrationError


def table(**tensors: TensorRange) -> CalibrationTable:
    return CalibrationTable(model_sha256="ab", n=1, inputs_sha256=("cd",), tensors=tensors)


def histogram(values: np.ndarray) -> Histogram:
    found = Histogram()
    found.add(values)
    return found


def rounding_error(values: np.ndarray, low: float, high: float) -> float:
    """RMS of what uint8 with this range changes, as a share of the values' RMS."""
    scale = (high - low) / 255
    zero = round(-low / scale)
    rounded = (np.clip(np.round(values / scale) + zero, 0, 255) - zero) * scale
    return float(np.sqrt(((rounded - values) ** 2).mean() / (values**2).mean()))


def test_a_table_is_readable_sorted_and_the_same_bytes_again(tmp_path: Path) -> None:
    one = TensorRange(low=0.0, high=6.0, method="minmax", error=0.01, means=(0.5, 1.25))
    two = TensorRange(low=-1.5, high=2.0, method="mse", error=0.02)
    write_table(table(relu=one, conv=two), tmp_path / "a.json")
    write_table(table(conv=two, relu=one), tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    text = (tmp_path / "a.json").read_text()
    assert list(json.loads(text)["tensors"]) == ["conv", "relu"]
    assert [line[:7] for line in text.splitlines()[1:3]] == ['"conv":', '"relu":']
    assert read_table(tmp_path / "a.json") == table(conv=two, relu=one)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["tensors"]["x"].update(low=7.0), "range of 'x' is 7 to 6"),
        (lambda t: t["tensors"]["x"].update(method="guess"), "guess"),
        (lambda t: t.update(schema=9), "schema 9"),
        (lambda t: t.pop("n"), "n"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, change: object, message: str) -> None:
    path = tmp_path / "table.json"
    write_table(table(x=TensorRange(low=0.0, high=6.0, method="minmax", error=0.0)), path)
    data = json.loads(path.read_text())
    change(data)  # type: ignore[operator]
    path.write_text(json.dumps(data))
    with pytest.raises(CalibrationError, match=message):
        read_table(path)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="no calibration table"):
        read_table(tmp_path / "none.json")


def test_an_inputs_hash_tells_values_types_shapes_and_names_apart() -> None:
    base = {"a": np.zeros((2, 3), np.float32), "b": np.ones(1, np.int64)}
    others = [
        {"a": base["a"] + 1, "b": base["b"]},
        {"a": base["a"].astype(np.float64), "b": base["b"]},
        {"a": base["a"].T, "b": base["b"]},
        {"c": base["a"], "b": base["b"]},
    ]
    assert hash_input(base) == hash_input(dict(reversed(base.items())))
    assert len({hash_input(arrays) for arrays in (base, *others)}) == 5


FLOATS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


@given(st.lists(FLOATS, min_size=1, max_size=60), st.integers(1, 5))
def test_values_in_pieces_count_like_all_at_once(values: list[float], pieces: int) -> None:
    array = np.array(values, np.float32)
    whole, streamed = histogram(array), Histogram()
    for piece in np.array_split(array, pieces):
        streamed.add(piece)
    assert (streamed.n, streamed.low, streamed.high) == (whole.n, whole.low, whole.high)
    assert streamed.width == whole.width
    np.testing.assert_array_equal(streamed.counts, whole.counts)
    assert streamed.counts.sum() == np.count_nonzero(array)


def test_bins_hold_the_values_that_they_say() -> None:
    values = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    found = histogram(values)
    edges = (np.arange(2 * HALF + 1) - HALF) * found.width
    np.testing.assert_array_equal(found.counts, np.histogram(values, edges)[0])


def test_the_error_is_that_of_rounding() -> None:
    values = np.random.default_rng(1).normal(1.0, 2.0, 50_000).astype(np.float32)
    found = choose(histogram(values), histogram(values))
    assert found.error == pytest.approx(rounding_error(values, found.low, found.high), rel=0.02)


def test_clipped_values_keep_their_whole_range() -> None:
    values = np.clip(np.random.default_rng(2).normal(size=50_000) * 3, 0, 6)
    assert choose(histogram(values), histogram(values)).method == "minmax"


def test_a_rare_outlier_is_clipped_where_that_leaves_less_error() -> None:
    values = np.random.default_rng(3).normal(size=1_000_000)
    values[0] = 25.0
    found = choose(histogram(values), histogram(values))
    assert found.method != "minmax"
    assert found.high < 20
    assert found.error < 0.8 * rounding_error(values, values.min(), values.max())


def test_least_squares_shrinks_each_end_by_itself() -> None:
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.uniform(-4, 1, 1_000_000), [30.0]])
    low, high = propose(histogram(values))["mse"]
    assert low < -3.5
    assert high < 15


def test_a_range_that_fits_only_its_own_inputs_does_not_win() -> None:
    statistics = Statistics()
    rng = np.random.default_rng(4)
    for index in range(10):
        # What the even inputs never show, every range that was chosen on them would clip.
        statistics.add(rng.uniform(-1, 1, 2000) * (1 + index % 2))
    found = statistics.range()
    assert found.method == "minmax"
    assert (found.low, found.high) == pytest.approx((-2, 2), abs=0.01)


def test_every_method_proposes_a_range_around_zero() -> None:
    for values in (np.full(9, 3.0), np.full(9, -3.0), np.zeros(9), np.arange(-9.0, 9.0)):
        for low, high in propose(histogram(values)).values():
            assert min(values.min(), 0) <= low <= 0 <= high <= max(values.max(), 0)


def test_percentile_leaves_out_one_in_ten_thousand() -> None:
    values = np.random.default_rng(5).normal(size=1_000_000)
    low, high = propose(histogram(values))["percentile"]
    assert np.mean((values < low) | (values > high)) == pytest.approx(1e-4, rel=0.2)


def test_an_empty_table_is_json_too(tmp_path: Path) -> None:
    write_table(table(), tmp_path / "empty.json")
    assert read_table(tmp_path / "empty.json") == table()


def test_means_are_each_channels() -> None:
    statistics = Statistics(channels=True)
    a, b = np.arange(24.0).reshape(1, 3, 2, 4), np.arange(12.0).reshape(2, 3, 2, 1)
    statistics.add(a)
    statistics.add(b)
    means = statistics.range().means
    flat = [np.concatenate([a[:, c].ravel(), b[:, c].ravel()]).mean() for c in range(3)]
    np.testing.assert_allclose(means, flat, rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(CalibrationError, match="not finite"):
        histogram(np.array([1.0, bad]))


def test_a_range_says_no_more_than_it_knows() -> None:
    data = msgspec.json.encode(TensorRange(low=0.0, high=1.0, method="mse", error=0.5))
    assert b"means" not in data
