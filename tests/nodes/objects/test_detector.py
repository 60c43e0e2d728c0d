"""Detectors that a user brings: small made ones of each layout, and a real YOLOX."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deixis.nodes.objects import yolo
from deixis.nodes.objects.detector import Detector, DetectorParams, DetectorSource
from deixis.nodes.objects.shapes import fit_box
from deixis.nodes.objects.source import View
from deixis.nodes.objects.workspace import Workspace
from deixis.runtime.errors import ConfigError, EngineError
from tests.nodes.objects.pictures import WORKSPACE, Drum, add_arm, camera, table

onnx = pytest.importorskip("onnx")

SIDE = 64
CELLS = yolo.cells((SIDE, SIDE))
LABELS = ("cup", "bottle", "bowl")
THINGS = (
    # centre x, y, width, height in the input's pixels; class; score
    (20.0, 30.0, 10.0, 14.0, 0, 0.9),
    (21.0, 30.0, 10.0, 14.0, 0, 0.6),  # the same cup again
    (20.0, 30.0, 10.0, 14.0, 2, 0.4),  # which may also be a bowl
    (44.0, 28.0, 8.0, 20.0, 1, 0.8),
)


def output(layout: yolo.Layout) -> np.ndarray:
    """What a detector of this layout puts out for the things."""
    n = CELLS * 3 if layout == "yolov5" else CELLS
    rows = np.zeros((n, 5 + len(LABELS)), np.float32)
    strides = np.concatenate([np.full((SIDE // s) ** 2, s) for s in (8, 16, 32)])
    grid = np.concatenate(
        [np.stack(np.meshgrid(np.arange(SIDE // s), np.arange(SIDE // s)), -1).reshape(-1, 2)
         for s in (8, 16, 32)]
    )  # fmt: skip
    if layout == "yolox-decoded":
        rows[:, :2] = (grid + 0.5) * strides[:, None]
    for k, (x, y, w, h, kind, score) in enumerate(THINGS):
        box = np.array([x, y, w, h])
        if layout == "yolox":
            box = np.concatenate([box[:2] / strides[k] - grid[k], np.log(box[2:] / strides[k])])
        rows[k, :4], rows[k, 4], rows[k, 5 + kind] = box, 1.0, score
    if layout == "yolov8":
        return np.delete(rows, 4, axis=1).T[None]
    return rows[None]


def write(path: Path, values: np.ndarray, *, dynamic: bool = False) -> Path:
    """An ONNX file that puts these values out, whatever it sees."""
    side = ["h", "w"] if dynamic else [SIDE, SIDE]
    info = onnx.helper.make_tensor_value_info
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
            onnx.helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            onnx.helper.make_node("Add", ["values", "nothing"], ["output"]),
        ],
        "made",
        [info("images", float32, [1, 3, *side])],
        [info("output", float32, None if dynamic else list(values.shape))],
        [
            onnx.numpy_helper.from_array(values.astype(np.float32), "values"),
            onnx.numpy_helper.from_array(np.float32(0), "zero"),
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


@pytest.fixture
def made(tmp_path: Path):
    (tmp_path / "labels.txt").write_text("\n".join(LABELS) + "\n")

    def make(values: np.ndarray, **more) -> Detector:
        write(tmp_path / "model.onnx", values, dynamic=more.pop("dynamic", False))
        return Detector(DetectorParams(**{"model": "model.onnx", "labels": "labels.txt"} | more),
                        tmp_path)  # fmt: skip

    return make


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("layout", ["yolox", "yolox-decoded", "yolov5", "yolov8"])
def test_each_layout_is_told_by_what_comes_out(made, layout: yolo.Layout, dynamic: bool) -> None:
    detector = made(output(layout), dynamic=dynamic, size_px=SIDE)
    assert detector.layout == layout
    picture = np.zeros((96, 128, 3), np.uint8)
    things, weak = detector.find(picture)
    # 128x96 goes into 64x64 at half its size; YOLO pads above and below, YOLOX only below.
    top = 0 if layout.startswith("yolox") else 8
    expected = [(30, 46 - 2 * top, 20, 28), (80, 36 - 2 * top, 16, 40)]
    for (box, _), true in zip(things, expected, strict=True):
        assert box == pytest.approx(true, abs=0.01)
    assert things[0][1] == pytest.approx({"cup": 0.9 / 1.3, "bowl": 0.4 / 1.3})
    assert things[1][1] == pytest.approx({"bottle": 0.8})
    assert len(weak) == 3


def test_only_the_named_classes_count(made) -> None:
    things, _ = made(output("yolov8"), only=("bottle",)).find(np.zeros((64, 64, 3), np.uint8))
    assert [names for _, names in things] == [pytest.approx({"bottle": 0.8})]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "none.onnx"}, "no model"),
        ({"model": ""}, "no model"),
        ({"labels": "none.txt"}, "cannot read the labels"),
        ({"layout": "yolov8"}, "cannot be layout"),
        ({"only": ("mug",)}, "'mug'"),
    ],
)
def test_wrong_parameters_name_the_mend(made, change, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        made(output("yolox"), **change)
    assert error.value.hint


def test_a_label_file_of_another_length_is_refused(made, tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("cup\nbottle\n")
    with pytest.raises(ConfigError, match=r"3 classes.*2 names"):
        made(output("yolox"), labels="two.txt")


def test_an_output_in_no_known_layout_is_refused(made) -> None:
    with pytest.raises(ConfigError, match="neither YOLOX nor YOLO"):
        made(np.zeros((1, 300, 6)))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cup\n")
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(EngineError, match=r"model\.onnx"):
        Detector(DetectorParams(model="model.onnx", labels="labels.txt"), tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 900), st.integers(1, 900)),
    layout=st.sampled_from(["yolox", "yolov8"]),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_boxes_come_back_to_where_they_were_in_the_picture(size, layout, place) -> None:
    width, height = size
    blob, fitted = yolo.fit(np.zeros((height, width, 3), np.uint8), (416, 416), layout)
    assert blob.shape == (1, 3, 416, 416)
    x, y = place[0] * width, place[1] * height
    inside = np.array(
        [[x * fitted.scale + fitted.left, y * fitted.scale + fitted.top, 8.0, 8.0]], np.float32
    )
    u, v, w, h = fitted.back(inside)[0]
    assert (u + w / 2, v + h / 2) == pytest.approx((x, y), abs=0.01 + 1e-4 * max(size))


@settings(max_examples=60, deadline=None)
@given(x=st.floats(0.3, 0.75), y=st.floats(-0.3, 0.3), radius=st.floats(0.02, 0.06),
       slender=st.floats(0.8, 4))  # fmt: skip
def test_the_place_of_a_box_is_within_its_covariance(x, y, radius, slender) -> None:
    cam, thing = camera(), Drum(x, y, radius, radius * slender)
    px = cam.project(np.concatenate([thing.ring(0.0), thing.ring(thing.height_m)]))
    low, high = px.min(axis=0), px.max(axis=0)
    fit = fit_box((*low, *(high - low)), 2.0, cam)
    error = fit.position_base_m - thing.centre
    assert error @ np.linalg.solve(fit.covariance_m2, error) < 16
    assert np.linalg.norm(error) < 0.004
    assert fit.radius_m == pytest.approx(radius, rel=0.15)
    assert fit.height_m == pytest.approx(thing.height_m, rel=0.15)


@pytest.fixture(scope="module")
def yolox(shared_data: Path) -> DetectorParams:
    folder = shared_data / "detector"
    return DetectorParams(
        model=str(folder / "yolox_nano.onnx"), labels=str(folder / "coco_classes.txt")
    )


def test_a_real_yolox_sees_what_stands_on_the_rendered_table(yolox: DetectorParams) -> None:
    scenes = Path(__file__).resolve().parents[2] / "scenes"
    picture = np.asarray(cv2.imread(str(scenes / "table.png")), np.uint8)
    from deixis.calibration.store import load_camera

    source = DetectorSource(yolox, Workspace(**WORKSPACE), Path.cwd())
    view = View(picture, load_camera(scenes / "camera.json"), 0)
    observation = source.observe(view)
    assert observation.detections
    for detection in observation.detections:
        assert sum(detection.names.values()) <= 1 + 1e-6
        assert not observation.is_free(detection.box_px, (picture.shape[1], picture.shape[0]))
    source.close()


def test_hands_hide_what_a_detector_sees(made, tmp_path: Path) -> None:
    made(output("yolox"))
    source = DetectorSource(
        DetectorParams(model="model.onnx", labels="labels.txt"), Workspace(**WORKSPACE), tmp_path
    )
    picture, hand = add_arm(table(), (180, 360))
    clear = source.observe(View(picture, camera(), 0))
    hidden = source.observe(View(picture, camera(), 0, (hand,)))
    assert [d.clipped for d in clear.detections] == [False] * len(clear.detections)
    assert any(d.clipped for d in hidden.detections)
