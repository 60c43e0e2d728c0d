from __future__ import annotations

import cv2
import numpy as np
import pytest

from deixis.nodes.objects.fiducials import FiducialParams, FiducialSource, Tag
from deixis.nodes.objects.source import View
from deixis.runtime.errors import ConfigError
from tests.nodes.objects.pictures import camera, table


def draw(tag_id: int, pose: np.ndarray, size_m: float, cam, dictionary: str = "APRILTAG_36h11"):
    """A picture of a tag with the pose ``base from tag`` (x right, y up, z out of the paper)."""
    side = 400
    kind = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{dictionary}"))
    marker = cv2.aruco.generateImageMarker(kind, tag_id, side)
    quiet = 80
    paper = cv2.copyMakeBorder(marker, *[quiet] * 4, cv2.BORDER_CONSTANT, value=255)
    half = size_m / 2 * (side + 2 * quiet) / side
    square = np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]])
    corners = cam.project(square @ pose[:3, :3].T + pose[:3, 3])
    n = paper.shape[0]
    # From the corners of the paper's outline, not the centres of its outermost pixels; drawn large
    # and averaged, as a sensor does.
    fine = 8
    source = np.array([[-0.5, -0.5], [n - 0.5, -0.5], [n - 0.5, n - 0.5], [-0.5, n - 0.5]])
    target = (corners + 0.5) * fine - 0.5
    warp = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))

    def drawn(image):
        large = cv2.warpPerspective(image, warp, (640 * fine, 480 * fine))
        return cv2.resize(large, (640, 480), interpolation=cv2.INTER_AREA).astype(np.float32)

    cover = drawn(np.full_like(paper, 255))[..., None] / 255
    return (table(cam=cam) * (1 - cover) + drawn(paper)[..., None] * 0.9).astype(np.uint8)


def lying(x: float, y: float, turn: float, z: float = 0.0) -> np.ndarray:
    pose = np.eye(4)
    c, s = np.cos(turn), np.sin(turn)
    pose[:3, :3] = [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    pose[:3, 3] = (x, y, z)
    return pose


@pytest.mark.parametrize(("x", "y", "turn"), [(0.45, 0.1, 0.3), (0.6, -0.2, -1.2), (0.4, 0.0, 2.5)])
@pytest.mark.parametrize("dictionary", ["APRILTAG_36h11", "4X4_50"])
def test_a_tag_tells_place_name_and_colour(x, y, turn, dictionary) -> None:
    cam = camera()
    tag = Tag(id=7, name="box", colour="brown", size_m=0.06)
    source = FiducialSource(FiducialParams(dictionary=dictionary, tags=(tag,)))
    picture = draw(7, lying(x, y, turn), 0.06, cam, dictionary)
    (detection,) = source.observe(View(picture, cam, 0)).detections
    assert np.linalg.norm(detection.position_base_m - [x, y, 0]) < 0.01
    assert detection.names == {"box": 1.0}
    assert detection.colours == {"brown": 1.0}
    assert detection.hint == "tag-7"
    sigma = np.sqrt(np.linalg.eigvalsh(detection.position_cov_m2))
    assert (sigma > 0).all()
    assert (sigma < 0.05).all()


def test_the_centre_of_the_object_is_where_its_offset_says() -> None:
    cam = camera()
    tag = Tag(id=3, name="box", size_m=0.06, offset_m=(0.0, 0.0, -0.045), height_m=0.09)
    source = FiducialSource(FiducialParams(tags=(tag,)))
    picture = draw(3, lying(0.5, 0.1, 0.4, z=0.09), 0.06, cam)
    (detection,) = source.observe(View(picture, cam, 0)).detections
    assert np.linalg.norm(detection.position_base_m - [0.5, 0.1, 0.045]) < 0.012


@pytest.mark.parametrize("dictionary", ["APRILTAG_36h11", "4X4_50"])
def test_corners_are_found_without_a_shift(dictionary: str) -> None:
    cam, rng, off = camera(), np.random.default_rng(0), []
    source = FiducialSource(
        FiducialParams(dictionary=dictionary, tags=(Tag(id=7, name="box", size_m=0.06),))
    )
    for _ in range(12):
        pose = lying(rng.uniform(0.35, 0.7), rng.uniform(-0.25, 0.25), rng.uniform(-3, 3))
        half = 0.03 * np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0], [-1, -1, 0]])
        true = cam.project(half @ pose[:3, :3].T + pose[:3, 3])
        ((number, found),) = source.corners(draw(7, pose, 0.06, cam, dictionary))
        assert number == 7
        off.append(found - true)
    mean = np.concatenate(off).mean(axis=0)
    assert np.abs(mean).max() < 0.12
    assert np.abs(np.concatenate(off)).max() < 0.6


def test_tags_that_are_not_listed_are_ignored() -> None:
    cam = camera()
    source = FiducialSource(FiducialParams(tags=(Tag(id=1, name="cup", size_m=0.06),)))
    picture = draw(2, lying(0.5, 0.1, 0.0), 0.06, cam)
    assert source.observe(View(picture, cam, 0)).detections == ()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (FiducialParams(dictionary="APRILTAG_36H12"), "did you mean"),
        (FiducialParams(tags=(Tag(id=900, name="cup", size_m=0.05),)), "no tag 900"),
        (FiducialParams(tags=(Tag(id=1, name="cup", size_m=0.0),)), "size_m"),
        (FiducialParams(tags=(Tag(id=1, name="a", size_m=0.1),) * 2), "twice"),
    ],
)
def test_wrong_parameters_are_clear_errors(params: FiducialParams, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FiducialSource(params)
