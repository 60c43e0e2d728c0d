"""``deixis calibrate pointing``: against a running daemon, and on rendered recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from deixis.__main__ import main
from deixis.calibration.pointing import load_pointing
from deixis.nodes.hands import calibrate_pointing
from deixis.runtime.bundle import Bundle
from tests.calibration.people import SPOTS
from tests.conftest import ROOT
from tests.runtime.test_daemon import daemon, wait_until

TARGETS = ";".join(",".join(map(str, s.target_base_m)) for s in SPOTS)
BUNDLE = str(ROOT / "bundles" / "cpu")
# The rendered hand is 19.0 cm long, a scale of 1 stands for 18.2 cm.
RENDERED_SCALE = 19.0 / 18.2


def graph(**params: Any) -> str:
    return (
        "name: pointing\nnodes:\n"
        '  - {id: hands, node: "tests.nodes.hands.pointer:Pointer", '
        f"params: {json.dumps(params)}}}\n"
    )


@pytest.mark.slow
def test_a_person_is_guided_from_spot_to_spot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with daemon(tmp_path, graph(yaw_rad=0.08)) as (process, client):
        wait_until(client, process, "ready")
        monkeypatch.setattr(calibrate_pointing, "run_dir", lambda name: client.run_dir)
        out = tmp_path / "anna.json"
        arguments = ["--user", "anna", "--targets", TARGETS, "--out", str(out), "--json"]
        assert main(["calibrate", "pointing", *arguments]) == 0
        printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert "spot 1 at x=0.40 y=0.00 z=0.00: held" in printed.err
    assert report["bias_yaw_rad"] == pytest.approx(0.08, abs=0.01)
    assert report["error_after_m"] < 0.3 * report["error_before_m"]
    assert [s["name"] for s in report["spots"]] == ["1", "2", "3", "4", "5"]
    stored = load_pointing(out)
    assert stored.user_id == "anna"
    assert stored.bias_yaw_rad == report["bias_yaw_rad"]
    assert cv2.imread(str(out.with_name(stored.picture or ""))) is not None


@pytest.mark.slow
def test_a_spot_that_nobody_points_at_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with daemon(tmp_path, graph(spots=[0, 1])) as (process, client):
        wait_until(client, process, "ready")
        monkeypatch.setattr(calibrate_pointing, "run_dir", lambda name: client.run_dir)
        arguments = ["--targets", TARGETS, "--out", str(tmp_path / "x.json"), "--timeout", "4"]
        assert main(["calibrate", "pointing", *arguments]) == 1
    message = capsys.readouterr().err
    assert "spot 3: no steady hold within 4 s" in message
    assert "a hand was seen" in message
    assert not (tmp_path / "x.json").exists()


@pytest.mark.slow
def test_recordings_through_the_real_models(
    bundle: Bundle, episodes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spots = []
    for name in ("distractor", "look_there", "out_of_domain", "put_it_there", "stop_mid_sentence"):
        truth = json.loads((episodes / name / "truth.json").read_text())
        held = [h for h in truth["hand"] if h["phase"] == "hold"]
        held = [h["frame"] for h in held if h["target_base_m"] == held[0]["target_base_m"]]
        spots.append(
            {
                "name": name,
                "target_base_m": truth["hand"][held[0]]["target_base_m"],
                "video": str(episodes / name / "video.mp4"),
                "from_s": held[0] / truth["fps"],
                "to_s": held[-1] / truth["fps"],
            }
        )
    listed = tmp_path / "spots.json"
    listed.write_text(json.dumps({"spots": spots}))
    out = tmp_path / "rendered.json"
    arguments = [
        "--targets",
        str(listed),
        "--out",
        str(out),
        "--bundle",
        BUNDLE,
    ]
    arguments += ["--calibration", str(episodes.parent / "camera.json"), "--json"]
    assert main(["calibrate", "pointing", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["n_points"] == 5
    # No head was rendered: the finger's line, which is what the rendered hand points along.
    assert not report["eye_seen"]
    assert report["improved"]
    assert report["error_after_m"] < 0.6 * report["error_before_m"]
    assert report["hand_scale"] == pytest.approx(RENDERED_SCALE, abs=0.04)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--targets", "0.4,0,0;0.2,0.3,0"], 2, "2 spots are too few"),
        (["--targets", "here"], 2, "neither a JSON file nor"),
        (["--targets", TARGETS, "--hand-length-cm", "190"], 2, "is not 190 cm long"),
        (["--targets", TARGETS, "--video", "f.mp4"], 2, "--calibration"),
        (["--targets", TARGETS, "--name", "nobody-runs-this"], 1, "no daemon runs"),
        (["--targets", TARGETS, "--calibration", "none.json"], 1, "no camera calibration"),
    ],
)
def test_what_is_missing_is_said(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", "pointing", *arguments]) == code
    assert message in capsys.readouterr().err


def test_a_recording_needs_times(
    bundle: Bundle, episodes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = episodes / "pick_that" / "video.mp4"
    arguments = [
        "--targets",
        TARGETS,
        "--video",
        str(video),
        "--bundle",
        BUNDLE,
    ]
    arguments += ["--calibration", str(episodes.parent / "camera.json")]
    assert main(["calibrate", "pointing", *arguments]) == 1
    assert "spot 1: when does the hand hold" in capsys.readouterr().err
