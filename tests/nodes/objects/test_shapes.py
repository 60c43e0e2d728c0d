from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deixis.nodes.objects.shapes import fit_solid
from tests.nodes.objects.pictures import Drum, camera, silhouette

x_m, y_m = st.floats(0.3, 0.75), st.floats(-0.3, 0.3)


@settings(max_examples=25, deadline=None)
@given(x=x_m, y=y_m, radius=st.floats(0.025, 0.06), slender=st.floats(1.5, 4.0))
def test_a_cylinder_is_found_to_a_few_millimetres(
    x: float, y: float, radius: float, slender: float
) -> None:
    cam = camera()
    drum = Drum(x, y, radius, radius * slender)
    body = np.concatenate([drum.ring(0), drum.ring(drum.height_m)])
    fit = fit_solid(silhouette(cam.project(body)), (0, 0), cam)
    assert fit is not None
    assert np.linalg.norm(fit.position_base_m[:2] - drum.centre[:2]) < 0.012
    assert fit.iou > 0.9


@settings(max_examples=15, deadline=None)
@given(x=x_m, y=y_m, radius=st.floats(0.02, 0.06))
def test_a_ball_is_not_taken_for_a_flat_disc(x: float, y: float, radius: float) -> None:
    cam = camera()
    rng = np.random.default_rng(1)
    points = rng.normal(size=(2000, 3))
    points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
    centre = np.array([x, y, radius])
    fit = fit_solid(silhouette(cam.project(points + centre)), (0, 0), cam)
    assert fit is not None
    # Seen from near above, a ball and a bowl cast almost the same silhouette; both stand right.
    assert np.linalg.norm(fit.position_base_m[:2] - centre[:2]) < 0.012


@pytest.mark.parametrize("turn_deg", [0, 17, 33, 58, 81])
def test_a_turned_box_is_found(turn_deg: float) -> None:
    cam = camera()
    turn = np.deg2rad(turn_deg)
    flat = np.array([[sx * 0.09, sy * 0.06] for sx in (-1, 1) for sy in (-1, 1)])
    flat = flat @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    corners = np.concatenate(
        [np.column_stack([flat + np.array([0.5, 0.1]), np.full(4, z)]) for z in (0.0, 0.08)]
    )
    fit = fit_solid(silhouette(cam.project(corners)), (0, 0), cam)
    assert fit is not None
    assert fit.solid == "box"
    assert np.linalg.norm(fit.position_base_m - [0.5, 0.1, 0.04]) < 0.012


def test_a_handle_on_one_side_hardly_moves_the_cup() -> None:
    cam = camera()
    drum = Drum(0.5, 0.1)
    body = np.concatenate([drum.ring(0), drum.ring(drum.height_m)])
    mask = silhouette(cam.project(body))
    handle = cam.project(drum.centre[None] + [0, 0.045, 0])[0].astype(int)
    mask[handle[1] - 8 : handle[1] + 8, handle[0] - 14 : handle[0]] = True
    fit = fit_solid(mask, (0, 0), cam)
    assert fit is not None
    assert np.linalg.norm(fit.position_base_m[:2] - drum.centre[:2]) < 0.015


def test_a_crop_of_the_mask_gives_the_same_place() -> None:
    cam = camera()
    drum = Drum(0.55, -0.2)
    mask = silhouette(cam.project(np.concatenate([drum.ring(0), drum.ring(drum.height_m)])))
    rows, cols = np.nonzero(mask)
    top, left = rows.min(), cols.min()
    cut = mask[top : rows.max() + 1, left : cols.max() + 1]
    whole = fit_solid(mask, (0, 0), cam)
    part = fit_solid(cut, (float(left), float(top)), cam)
    assert whole is not None
    assert part is not None
    np.testing.assert_allclose(part.position_base_m, whole.position_base_m, atol=2e-3)


def test_lens_distortion_is_taken_into_account() -> None:
    cam = camera((-0.25, 0.08, 0, 0, 0))
    drum = Drum(0.4, 0.28)
    fit = fit_solid(
        silhouette(cam.project(np.concatenate([drum.ring(0), drum.ring(drum.height_m)]))),
        (0, 0), cam,
    )  # fmt: skip
    assert fit is not None
    assert np.linalg.norm(fit.position_base_m[:2] - drum.centre[:2]) < 0.012


def test_the_covariance_is_a_covariance() -> None:
    cam = camera()
    drum = Drum(0.55, 0.0)
    mask = silhouette(cam.project(np.concatenate([drum.ring(0), drum.ring(drum.height_m)])))
    fit = fit_solid(mask, (0, 0), cam)
    assert fit is not None
    np.testing.assert_allclose(fit.covariance_m2, fit.covariance_m2.T, atol=1e-12)
    sigma = np.sqrt(np.linalg.eigvalsh(fit.covariance_m2))
    assert (sigma > 0.001).all()
    assert (sigma < 0.05).all()


def test_what_stands_above_the_horizon_has_no_place() -> None:
    mask = np.zeros((480, 640), bool)
    mask[0:12, 300:330] = True
    level = camera()
    level.T_base_cam[:3, :3] = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    assert fit_solid(mask, (0, 0), level) is None
    assert fit_solid(np.zeros((5, 5), bool), (0, 0), camera()) is None
