from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.find import Place, Tally, Truth, _places
from deixis.calibration.store import load_camera
from deixis.nodes.objects.find.media import MediaFile
from deixis.nodes.objects.find.search import Found
from deixis.runtime.errors import MediaError

FILM = Path("film.mp4")
CUP = Place(FILM, "red_cup", (100, 100, 40, 40))
BALL = Place(FILM, "ball", (300, 100, 40, 40))


def found(x: float, y: float, side: float = 40, path: Path = FILM) -> Found:
    return Found(0, MediaFile(path, named=True), 0.9, 0, 0, 0, (x, y, side, side))


@pytest.mark.parametrize(
    ("result", "right"),
    [
        (found(105, 95), True),
        (found(300, 100), False),
        (found(110, 110, 10), False),
        (found(0, 0, 400), False),
        (found(105, 95, path=Path("other.mp4")), False),
    ],
)
def test_a_result_is_right_where_the_thing_stands(result: Found, right: bool) -> None:
    assert CUP.is_at(result) is right


def test_recall_and_precision_count_things_and_results() -> None:
    tally = Tally()
    tally.add([found(300, 100), found(100, 100), found(102, 98)], [CUP])
    tally.add([], [BALL])
    figures = tally.figures()
    assert (figures["questions"], figures["things"], figures["results"]) == (2, 2, 3)
    assert figures["recall"] == 0.5
    assert figures["precision"] == pytest.approx(2 / 3, abs=1e-3)
    assert figures["first_right"] == 0


def test_true_boxes_are_where_the_renderer_put_the_things(episodes: Path) -> None:
    if not (episodes / "pick_that" / "truth.json").is_file():
        pytest.skip("no rendered episodes in tests/scenes")
    files, places = _places(episodes.parent)
    assert len(files) == len(list(episodes.glob("*/video.mp4")))
    truth = msgspec.json.decode((episodes / "pick_that" / "truth.json").read_bytes(), type=Truth)
    ball = next(thing for thing in truth.objects if thing.kind == "orange_ball")
    camera = load_camera(episodes.parent / "camera.json")
    (place,) = (p for p in places if p.path.parent.name == "pick_that" and p.kind == "orange_ball")
    assert place.box_px == ball.box_px(camera)
    # A ball of 7 cm, 0.72 m from a camera whose focal length is about 500 px.
    x, y, w, h = place.box_px
    assert 0 < x < 640
    assert 0 < y < 480
    assert 35 < w < 75
    assert 0.7 < w / h < 1.4


def test_pictures_have_a_box_for_each_thing_that_is_seen(tmp_path: Path) -> None:
    (tmp_path / "still").mkdir()
    (tmp_path / "still" / "truth.json").write_text(
        '{"objects": [{"id": "a", "kind": "red_cup", "size_m": [1, 1, 1]},'
        '{"id": "b", "kind": "ball", "size_m": [1, 1, 1]}], "frames": [{"frame": 3, "objects": ['
        '{"id": "a", "box_px": [1, 2, 3, 4], "visible": 1.0},'
        '{"id": "b", "box_px": [1, 2, 3, 4], "visible": 0.1}]}]}'
    )
    files, places = _places(tmp_path)
    assert [f.path.name for f in files] == ["0003.jpg"]
    assert [(p.kind, p.box_px) for p in places] == [("red_cup", (1, 2, 3, 4))]


def test_a_folder_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no recording with a truth"):
        _places(tmp_path)
