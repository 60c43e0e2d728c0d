"""Training the gesture network: its data, its split, its verb, and that it learns at all."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from deixis.export.train import GESTURE_WEIGHTS, verb
from deixis.export.train.hand import landmarks, people
from deixis.export.train.keypoints import REPORTED, TUNED, Keypoints, load_keypoints, varied
from deixis.export.train.movements import raise_palms, reach_for_cups
from deixis.export.train.postures import KINDS, NAMES, draw, draw_kinds
from deixis.export.train.sequences import (
    FILM_STEPS,
    IGNORED,
    NOT_BECKON,
    blended,
    make_films,
    rotation_vectors,
)
from deixis.nodes.hands.gestures import (
    FIST,
    GESTURES,
    N_FEATURES,
    PALM,
    POINT,
    THUMB_DOWN,
    THUMB_UP,
)
from deixis.nodes.hands.hand_model import rotations
from deixis.runtime.errors import MediaError, WeightsError

FLAT = np.zeros((1, 5, 4))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def some_rows(n: int = 400) -> Keypoints:
    """Rows as the file has them, from simulated hands."""
    kinds = np.repeat([NAMES.index(k) for k in ("palm", "fist", "point")], n // 3)
    angles, turns, labels = draw(rng(), kinds)
    points = np.einsum("nij,nkj->nki", turns, landmarks(people(rng(), len(kinds)), angles[:, 0]))
    flat = points[..., :2] - points[:, :1, :2]
    return Keypoints(flat / np.abs(flat).max(axis=(1, 2), keepdims=True), labels.astype(np.int64))


def write_rows(path: Path, rows: Keypoints) -> None:
    classes = {PALM: 0, FIST: 1, POINT: 2}
    table = np.column_stack(
        [[classes[k] for k in rows.labels.tolist()], rows.points.reshape(-1, 42)]
    )
    np.savetxt(path, table, delimiter=",", fmt="%g")


# --- simulated hands ----------------------------------------------------------------------------


def test_a_flat_hand_is_flat_and_has_its_bones() -> None:
    who = people(rng(), 3)
    points = landmarks(who, np.zeros((3, 5, 4)))
    for k in range(4):
        finger = points[:, 5 + 4 * k : 9 + 4 * k]
        assert finger[..., 1:] == pytest.approx(np.repeat(finger[:, :1, 1:], 4, axis=1))
        bones = np.linalg.norm(np.diff(finger, axis=1), axis=2)
        assert bones == pytest.approx(who.fingers_m[:, k])
    length = np.linalg.norm(points[:, 12] - points[:, 0], axis=1)
    assert (length > 0.12).all()
    assert (length < 0.22).all()


def test_fingers_bend_to_the_palm_and_the_thumb_across_it() -> None:
    who = people(rng(), 1)
    bent = FLAT.copy()
    bent[:, 1:, 0] = np.pi / 2
    assert (landmarks(who, bent)[0, 8::4, 2] < landmarks(who, FLAT)[0, 8::4, 2] - 0.05).all()
    out, across = FLAT.copy(), FLAT.copy()
    out[:, 0, 0] = np.pi / 2
    across[:, 0] = [np.pi / 2, 0, np.pi / 4, np.pi / 4]
    assert landmarks(who, across)[0, 4, 1] < landmarks(who, out)[0, 4, 1] - 0.01


def test_a_thumb_up_points_up_and_a_thumb_down_down() -> None:
    for name, sign in (("thumb_up", -1), ("thumb_down", 1)):
        angles, turns, labels = draw(rng(), np.full(200, NAMES.index(name)))
        points = np.einsum("nij,nkj->nki", turns, landmarks(people(rng(), 200), angles[:, 0]))
        thumb = points[:, 4] - points[:, 2]
        down = thumb[:, 1] / np.linalg.norm(thumb, axis=1)
        assert (sign * down > 0.6).mean() > 0.97
        assert set(labels) == {THUMB_UP if name == "thumb_up" else THUMB_DOWN}


def test_every_turn_is_a_rotation() -> None:
    _, turns, _ = draw(rng(), np.arange(len(KINDS)).repeat(20))
    assert turns @ turns.transpose(0, 2, 1) == pytest.approx(np.tile(np.eye(3), (len(turns), 1, 1)))
    assert np.linalg.det(turns) == pytest.approx(np.ones(len(turns)))


def test_turning_from_one_to_the_next() -> None:
    vectors = rng().normal(size=(50, 3))
    turns = rotations(vectors)
    assert rotations(rotation_vectors(turns)) == pytest.approx(turns)
    pair = np.stack([turns[:25], turns[25:]], axis=1)
    weights = np.tile([[1.0, 0], [0.5, 0.5], [0, 1.0]], (25, 1, 1))
    found = blended(pair, weights)
    assert found[:, 0] == pytest.approx(pair[:, 0])
    assert found[:, 2] == pytest.approx(pair[:, 1])
    first, second = (
        rotation_vectors(found[:, i + 1] @ found[:, i].transpose(0, 2, 1)) for i in (0, 1)
    )
    assert first == pytest.approx(second, abs=1e-6)


def test_films_are_whole_and_repeat() -> None:
    films, again, other = (make_films(rng(seed), 150) for seed in (1, 1, 2))
    assert films.features.shape == (150, FILM_STEPS, N_FEATURES)
    assert np.isfinite(films.features).all()
    assert (films.features == again.features).all()
    assert not (films.features == other.features).all()
    shown = set(np.unique(films.labels))
    assert shown == {IGNORED, NOT_BECKON, *range(len(GESTURES))}
    assert len(draw_kinds(rng(), 10)) == 10


def test_movements_are_seen_by_the_cameras() -> None:
    raised, reaching = raise_palms(rng(1), 60), reach_for_cups(rng(2), 60)
    assert (raised.shown_frame >= 0).mean() > 0.7
    assert (raised.shown_frame != 0).all()
    assert (reaching.shown_frame == -1).all()
    for moves in (raised, reaching):
        assert np.isfinite(moves.view.image).all()
        # Within half the width of a picture's middle.
        assert np.median(np.abs(moves.view.image)) < 0.64


# --- real rows ----------------------------------------------------------------------------------


def test_the_tenths_and_the_blocks_do_not_overlap() -> None:
    rows = some_rows(3000)
    reported, tuned = rows.tenth(REPORTED), rows.tenth(TUNED)
    assert not (reported & tuned).any()
    assert reported.sum() == pytest.approx(len(rows.labels) / 10, abs=1)
    held, clear = rows.blocks()
    assert held.mean() == pytest.approx(0.1, abs=0.01)
    assert {int(k) for k in np.unique(rows.labels[held])} == {POINT, PALM, FIST}
    near = np.abs(np.flatnonzero(held)[:, None] - np.flatnonzero(clear)).min()
    assert near > 20


def test_rows_are_read_as_the_file_has_them(tmp_path: Path) -> None:
    rows = some_rows(60)
    write_rows(tmp_path / "keypoint.csv", rows)
    read = load_keypoints(tmp_path / "keypoint.csv")
    assert read.points == pytest.approx(rows.points, abs=1e-5)
    assert (read.labels == rows.labels).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "there is no"), ("a,b\n", "not a table"), ("1,2\n", "42 numbers"),
     (",".join(["7"] * 43), "42 numbers")],
)  # fmt: skip
def test_other_files_are_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "keypoint.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(MediaError, match=message):
        load_keypoints(path)


def test_variation_keeps_fists_upright() -> None:
    points = np.tile([0.0, -1.0], (500, 21, 1))
    for label, upright in ((FIST, True), (PALM, False)):
        shown = varied(rng(), points, np.full(500, label))
        up = -shown[:, 0, 1] / np.linalg.norm(shown[:, 0], axis=1)
        assert ((up > 0.5).all()) == upright


# --- training -----------------------------------------------------------------------------------


def run_verb(arguments: list[str], as_json: bool = True) -> int:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    args = parser.parse_args(arguments)
    args.json = as_json
    return verb.run(args)


def test_the_shipped_weights_are_read_and_others_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs deixis[export]")
    from deixis.export.models.gestures import load_gestures, save_gestures

    model = load_gestures()
    assert sum(p.numel() for p in model.parameters()) <= 100_000
    save_gestures(model.net, model.temperature, tmp_path / "same.npz")
    assert (tmp_path / "same.npz").read_bytes() == GESTURE_WEIGHTS.read_bytes()
    with pytest.raises(WeightsError, match="no gesture weights"):
        load_gestures(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", temperature=1.0, weight=np.zeros(3))
    with pytest.raises(WeightsError, match="does not hold gesture weights"):
        load_gestures(tmp_path / "other.npz")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_short_training_learns_and_repeats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="needs deixis[export]")
    from deixis.export.train import judging

    monkeypatch.setattr(judging, "FILMS", 150)
    monkeypatch.setattr(judging, "MOVES", 20)
    write_rows(tmp_path / "keypoint.csv", some_rows(900))
    arguments = ["gestures", "--data", str(tmp_path), "--films", "400", "--epochs", "4"]
    weights = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for path in weights:
        assert run_verb([*arguments, "--out", str(path), "--report", str(tmp_path / "r.json")]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures == json.loads((tmp_path / "r.json").read_text())
    assert figures["held_out"]["gestures"]["point"]["recall"] > 0.9
    # Always saying "none" gets 0.37.
    assert figures["simulated"]["accuracy"] > 0.55
    assert figures["machine"]["cpu"]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_no_data_is_an_error_before_anything_is_trained(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs deixis[export]")
    with pytest.raises(MediaError, match="there is no"):
        run_verb(["gestures", "--data", str(tmp_path), "--out", str(tmp_path / "w.npz")])
    assert list(tmp_path.iterdir()) == []
