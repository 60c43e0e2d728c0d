"""The verb with the real models, on rendered videos."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from deixis.__main__ import main
from deixis.nodes.objects.find.watching import Watcher
from deixis.runtime.bundle import Bundle
from tests.nodes.objects.find.drawing import write_video

SCENES = Path(__file__).resolve().parents[3] / "scenes"

if not (SCENES / "gallery" / "gallery.json").is_file():
    pytest.skip("no rendered episodes in tests/scenes", allow_module_level=True)


def frames(episode: str, first: int, count: int) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(SCENES / "episodes" / episode / "video.mp4"))
    video.set(cv2.CAP_PROP_POS_FRAMES, first)
    return [np.asarray(video.read()[1], np.uint8) for _ in range(count)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Path:
    """Two short recordings, a picture of an empty corner, and a gallery."""
    folder = tmp_path_factory.mktemp("find")
    (folder / "recordings").mkdir()
    write_video(folder / "recordings" / "two_red.avi", frames("distractor", 0, 12), 10)
    write_video(folder / "recordings" / "all.avi", frames("pick_that", 0, 12), 10)
    cv2.imwrite(str(folder / "corner.png"), frames("pick_that", 0, 1)[0][:120, :200])
    shutil.copytree(SCENES / "gallery", folder / "gallery")
    return folder


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, bundle: Bundle, place: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    monkeypatch.setenv("COLUMNS", "160")


def find(
    place: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, dict[str, Any]]:
    options = ["--gallery", str(place / "gallery"), "--bundle", str(bundle.root), "--json"]
    code = main(["find", *arguments, *options])
    return code, json.loads(capsys.readouterr().out)


def test_a_named_thing_is_found_in_every_recording(
    place: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = find(place, bundle, capsys, "red mug", str(place / "recordings"))
    assert code == 0
    films = sorted(Path(r["file"]).name for r in said["results"])
    assert films == ["all.avi", "two_red.avi", "two_red.avi"]
    for result in said["results"]:
        assert result["names"]["cup"] > 0.4
        assert result["colours"]["red"] > 0.4
        assert 0 <= result["start_s"] <= result["best_s"] <= result["end_s"] <= 1.2
        assert result["end_s"] >= 0.9


def test_the_second_search_watches_nothing(
    place: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    find(place, bundle, capsys, "cup", str(place / "recordings"))

    def refuse(*_: object) -> None:
        raise AssertionError("a known file is watched again")

    monkeypatch.setattr(Watcher, "watch", refuse)
    code, said = find(place, bundle, capsys, "something yellow", str(place / "recordings"))
    assert code == 0
    assert {Path(r["file"]).name for r in said["results"]} == {"all.avi", "two_red.avi"}
    assert said["results"][0]["names"]["bowl"] > 0.5


@pytest.mark.parametrize("way", ["--like", "--image"])
def test_an_example_or_a_picture_finds_its_like(
    place: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    shown = "orange_ball" if way == "--like" else str(place / "gallery" / "orange_ball" / "1.png")
    code, said = find(place, bundle, capsys, str(place / "recordings"), way, shown)
    assert code == 0
    assert next(iter(said["results"][0]["names"])) == "ball"
    assert {Path(r["file"]).name for r in said["results"]} == {"all.avi", "two_red.avi"}


def test_with_the_camera_only_things_on_the_table_count(
    place: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = ["--camera", str(SCENES / "camera.json")]
    code, said = find(
        place, bundle, capsys, "block", str(place / "recordings" / "all.avi"), *camera
    )
    assert code == 0
    assert len(said["results"]) == 1
    assert said["sightings"] <= 20


def test_what_is_not_there_is_not_found(
    place: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = find(place, bundle, capsys, "yellow bowl", str(place / "corner.png"))
    assert (code, said["results"]) == (1, [])
    options = ["--gallery", str(place / "gallery"), "--bundle", str(bundle.root)]
    assert main(["find", "yellow bowl", str(place / "corner.png"), *options]) == 1
    assert "not found: yellow bowl" in capsys.readouterr().out


def test_an_unknown_name_is_answered_with_the_known_ones(
    place: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = find(place, bundle, capsys, "red botle", str(place / "recordings"))
    assert code == 1
    assert "did you mean 'bottle'?" in said["error"]
    assert "bowl" in said["hint"]


def test_results_are_shown_as_a_table_and_as_a_sheet_that_stands_alone(
    place: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ["--gallery", str(place / "gallery"), "--bundle", str(bundle.root), "--top", "2"]
    out = tmp_path / "found"
    assert main(["find", "cup", str(place / "recordings"), "--out", str(out), *options]) == 0
    said = capsys.readouterr().out
    assert "two_red.avi" in said
    assert "sightings in 2 files" in said
    page = (out / "index.html").read_text()
    assert page.count("<article>") == 2
    assert not re.search(r'(src|href)="(?!data:|file:)', page)
    assert sorted(p.name for p in out.glob("*.jpg")) == ["001.jpg", "002.jpg"]
    assert cv2.imread(str(out / "001.jpg")).shape == (224, 224, 3)


def test_a_damaged_file_is_noted_and_the_rest_is_searched(
    place: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    shutil.copy(place / "recordings" / "all.avi", tmp_path / "copy.avi")
    code, said = find(place, bundle, capsys, "bottle", str(tmp_path))
    assert code == 0
    assert len(said["problems"]) == 1
    assert "broken.mp4" in said["problems"][0]
    code, said = find(place, bundle, capsys, "bottle", str(tmp_path / "broken.mp4"))
    assert (code, said["kind"]) == (1, "MediaError")


def test_an_interruption_keeps_the_files_that_are_done(
    place: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    real, watched = Watcher.watch, []

    def interrupted(self: Watcher, *rest: Any) -> Any:
        watched.append(1)
        if len(watched) == 2:
            raise KeyboardInterrupt
        return real(self, *rest)

    monkeypatch.setattr(Watcher, "watch", interrupted)
    options = ["--gallery", str(place / "gallery"), "--bundle", str(bundle.root)]
    cache = ["--cache", str(tmp_path / "cache")]
    assert main(["find", "cup", str(place / "recordings"), *options, *cache]) == 1
    kept = [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]
    assert len(kept) == 1
    assert sorted(p.name for p in kept[0].iterdir()) == [
        "codes.npy", "sightings.msgpack", "thumbnails.bin", "vectors.npy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [["cup"], ["cup", "x", "--top", "0"], ["cup", "x", "--min-score", "2"],
     ["x", "--image", "a.png", "--like", "b"]],
)  # fmt: skip
def test_wrong_usage_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(["find", *arguments]) == 2
    assert "find" in capsys.readouterr().err


def test_its_help_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["find", "--help"])
    assert caught.value.code == 0
    assert "--image FILE" in capsys.readouterr().out
