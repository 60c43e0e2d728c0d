"""``deixis objects``: teaching, listing, testing and forgetting as a user does it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from deixis.__main__ import main
from deixis.calibration.footage import Footage, Shot
from deixis.calibration.store import save_camera
from deixis.nodes.objects.gallery_folder import GalleryFolder
from deixis.nodes.objects.names import teach
from deixis.runtime.bundle import Bundle
from tests.nodes.objects.pictures import WORKSPACE, Drum, camera, table
from tests.nodes.objects.test_teach import BLUE, RED, photo

TREES = Path(__file__).resolve().parents[2] / "scenes"


@pytest.fixture
def deixis(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Runs ``deixis objects …`` on a gallery of its own; gives exit code and JSON."""

    def run(action: str, *arguments: object, models: bool = True):
        capsys.readouterr()
        words = ["objects", action, *map(str, arguments), "--gallery", str(tmp_path / "gallery")]
        words += ["--bundle", str(bundle.root)] if models else []
        code = main([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def save(path: Path, picture: np.ndarray) -> Path:
    cv2.imwrite(str(path), picture)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, list[Path]]:
    looks = {"ball": (RED, "ball"), "box": (BLUE, "box")}
    return {
        noun: [save(tmp_path / f"{noun}{s}.png", photo(bgr, shape, s)) for s in (60, 75, 90)]
        for noun, (bgr, shape) in looks.items()
    }


def test_from_teaching_to_forgetting(deixis, pictures, tmp_path: Path) -> None:
    code, told = deixis("teach", "red ball", "--image", *pictures["ball"])
    assert code == 0
    assert (told["thing"], told["name"], told["colour"]) == ("red_ball", "ball", "red")
    assert told["new_views"] == told["views"] == 3
    sheet = cv2.imread(told["sheet"])
    assert sheet.shape[1] == 3 * 112
    code, told = deixis("teach", "box", "--image", *pictures["box"])
    assert (told["thing"], told["colour"]) == ("blue_box", "blue")

    code, listed = deixis("list")
    assert code == 0
    assert [(t["thing"], t["views"]) for t in listed["things"]] == [
        ("red_ball", 3),
        ("blue_box", 3),
    ]
    assert all(t["taught_at"] and not t["alike"] for t in listed["things"])

    code, tested = deixis("test")
    assert code == 0
    assert tested["accuracy"] == 1.0
    assert tested["confusion"] == {"ball": {"ball": 3}, "box": {"box": 3}}

    new = save(tmp_path / "new.png", photo(RED, "ball", 82))
    empty = save(tmp_path / "empty.png", np.full((99, 99, 3), 90, np.uint8))
    code, tested = deixis("test", "--image", new, empty)
    assert code == 1
    assert [row["called"] for row in tested["pictures"]] == ["ball"]
    assert "nothing" in tested["refused"][str(empty)]

    code, gone = deixis("forget", "ball", models=False)
    assert (code, gone["forgotten"]) == (0, ["red_ball"])
    assert [t["thing"] for t in deixis("list")[1]["things"]] == ["blue_box"]
    assert not Path(told["gallery"], "red_ball.png").exists()


def test_two_names_for_the_same_thing_are_mentioned(deixis, pictures) -> None:
    deixis("teach", "ball", "--image", *pictures["ball"])
    _, told = deixis("teach", "orb", "--image", *pictures["ball"])
    assert {pair["name"] for pair in told["alike"]} == {"ball", "orb"}
    _, listed = deixis("list")
    assert listed["things"][0]["alike"][0]["name"] == "orb"


def test_a_bad_picture_stops_it_all(deixis, pictures, tmp_path: Path) -> None:
    blurred = save(tmp_path / "blurred.png", cv2.GaussianBlur(photo(), (0, 0), 5))
    code, error = deixis("teach", "ball", "--image", *pictures["ball"], blurred)
    assert code == 1
    assert "blurred.png" in error["error"]
    assert "nothing was taught" in error["error"]
    assert GalleryFolder(tmp_path / "gallery").things() == {}


def test_a_video_gives_the_views_that_differ(deixis, tmp_path: Path) -> None:
    path = tmp_path / "turning.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for k in range(30):
        writer.write(photo(RED, "ball" if k < 15 else "box", 80))
    writer.release()
    code, told = deixis("teach", "toy", "--video", path)
    assert (code, told["views"]) == (0, 2)


def test_with_the_calibration_the_thing_is_found_on_the_table(deixis, tmp_path: Path) -> None:
    save_camera(camera(), tmp_path / "camera.json")
    one = save(tmp_path / "one.png", table((Drum(0.45, 0.15),)))
    two = save(tmp_path / "two.png", table((Drum(0.4, 0.15), Drum(0.6, -0.2))))
    cut = ("--calibration", tmp_path / "camera.json")
    code, told = deixis("teach", "drum", "--image", one, *cut)
    assert (code, told["views"]) == (0, 1)
    code, error = deixis("teach", "drum", "--image", two, *cut)
    assert code == 1
    assert "2 things" in error["error"]


def test_the_graph_says_which_gallery_is_meant(bundle: Bundle, tmp_path: Path, capsys) -> None:
    shutil.copytree(TREES / "gallery", tmp_path / "taught")
    graph = {
        "name": "mine",
        "nodes": [
            {
                "id": "objects", "node": "objects",
                "params": {"calibration": "camera.json", "gallery": "taught"},
            }
        ],
    }  # fmt: skip
    (tmp_path / "mine.yaml").write_text(json.dumps(graph))
    words = ["--graph", str(tmp_path / "mine.yaml"), "--json"]
    assert main(["objects", "list", *words, "--bundle", str(bundle.root)]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["gallery"] == str(tmp_path / "taught")
    assert len(listed["things"]) == 7
    assert main(["objects", "forget", "red cup", *words]) == 0
    assert "red_cup" not in GalleryFolder(tmp_path / "taught").things()
    capsys.readouterr()
    del graph["nodes"][0]["params"]["gallery"]
    (tmp_path / "mine.yaml").write_text(json.dumps(graph))
    assert main(["objects", "list", *words]) == 2
    assert "--gallery" in json.loads(capsys.readouterr().out)["hint"]


def test_the_graphs_camera_shows_the_thing_on_its_table(
    bundle: Bundle, tmp_path: Path, monkeypatch, capsys
) -> None:
    save_camera(camera(), tmp_path / "camera.json")
    nodes = [
        {"id": "camera", "node": "camera", "params": {"source": "/dev/video7", "width": 640}},
        {
            "id": "objects", "node": "objects",
            "params": {"calibration": "camera.json", "gallery": "g", "workspace": WORKSPACE},
        },
    ]  # fmt: skip
    (tmp_path / "mine.yaml").write_text(json.dumps({"name": "mine", "nodes": nodes}))
    asked = []

    def shots():
        yield Shot("empty", table())
        for k in range(9):
            yield Shot(str(k), table((Drum(0.4 + 0.05 * (k // 3), 0.3 - 0.3 * (k // 3)),), seed=k))
        pytest.fail("more pictures were taken than it needs")

    def frames(device: str, **options: object) -> Footage:
        asked.append((device, options["width"]))
        return Footage("camera", None, shots())

    monkeypatch.setattr(teach, "camera_frames", frames)
    words = ["objects", "teach", "drum", "--camera", "--views", "2", "--json"]
    words += ["--graph", str(tmp_path / "mine.yaml"), "--bundle", str(bundle.root)]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert asked == [("/dev/video7", 640)]
    assert (told["views"], told["colour"]) == (2, "red")
    assert told["gallery"] == str(tmp_path / "g")


def test_an_empty_gallery_is_listed_as_such(deixis) -> None:
    assert deixis("list")[1]["things"] == []


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("teach", "ball", "--image", "missing.png"), 1, "missing.png"),
        (("teach", "r2d2", "--image", "a.png"), 1, "cannot be the name"),
        (("teach", "ball"), 2, "--image"),
        (("teach", "ball", "--image", "a.png", "--colour", "mauve"), 2, "mauve"),
        (("teach", "ball", "--video", "missing.mp4"), 1, "missing.mp4"),
        (("teach", "ball", "--camera", "/dev/video99"), 1, "/dev/video99"),
        (("teach", "ball", "--video", "a.mp4", "--views", "0"), 2, "--views"),
        (("test",), 1, "nothing was taught"),
        (("list", "--graph", "nowhere"), 1, "nowhere"),
    ],
)
def test_wrong_input_is_a_clear_error(deixis, words, code: int, message: str) -> None:
    got, error = deixis(*words)
    assert got == code
    assert message in error["error"]
    assert "Traceback" not in error["error"]


def test_what_was_never_taught_cannot_be_forgotten(deixis, pictures) -> None:
    deixis("teach", "ball", "--image", *pictures["ball"])
    code, error = deixis("forget", "bawl", models=False)
    assert code == 1
    assert "did you mean 'ball'" in error["error"]


def test_the_table_is_for_people(bundle: Bundle, tmp_path: Path, capsys) -> None:
    shutil.copytree(TREES / "gallery", tmp_path / "g")
    options = ["--gallery", str(tmp_path / "g"), "--bundle", str(bundle.root)]
    assert main(["objects", "list", *options]) == 0
    assert "green_bottle" in capsys.readouterr().out
    assert main(["objects", "test", *options]) == 0
    assert "views are called by their name" in capsys.readouterr().out
