from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs deixis[export]")

from deixis.export.compare_faces import original_face, original_face_detector
from deixis.export.samples import Samples, load_samples
from deixis.export.tasks.faces import (
    FACE_DETECTOR,
    FACE_LANDMARKS,
    USED,
    WITHIN,
    FaceCase,
    SquareCase,
)
from deixis.runtime.engines import Array, Engine, EngineSpecs
from deixis.runtime.errors import ExportError


class Changed:
    """An engine whose answers are changed."""

    specs = EngineSpecs(inputs=(), outputs=())

    def __init__(self, engine: Engine, **add: float) -> None:
        self._engine, self._add = engine, add

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        answer = self._engine.infer(inputs)
        return {name: array + self._add.get(name, 0.0) for name, array in answer.items()}

    def close(self) -> None:
        self._engine.close()


@pytest.fixture(scope="module")
def held_out(sample_folder: Path) -> Samples:
    samples = load_samples(sample_folder, "held out", max_frames=1)
    if not samples.people:
        pytest.skip(f"no people beside {sample_folder}")
    return samples


@pytest.fixture(scope="module")
def squares(wheel_folder: Path, held_out: Samples) -> Sequence[SquareCase]:
    cases: Sequence[SquareCase] = FACE_DETECTOR.prepare(wheel_folder, held_out)
    return cases


@pytest.fixture(scope="module")
def faces(wheel_folder: Path, held_out: Samples) -> Sequence[FaceCase]:
    cases: Sequence[FaceCase] = FACE_LANDMARKS.prepare(wheel_folder, held_out)
    return cases


def test_the_original_finds_what_it_found(
    wheel_folder: Path, squares: Sequence[SquareCase]
) -> None:
    assert FACE_DETECTOR.n(squares) > 100
    assert any(not case.faces for case in squares)
    assert FACE_DETECTOR.score(original_face_detector(wheel_folder), squares) == 100


@pytest.mark.parametrize("change", [{"scores": -3.0}, {"scores": 4.0}, {"boxes": 20.0}])
def test_a_detector_that_misses_invents_or_misplaces_faces_loses(
    wheel_folder: Path, squares: Sequence[SquareCase], change: dict[str, float]
) -> None:
    engine = Changed(original_face_detector(wheel_folder), **change)
    assert FACE_DETECTOR.score(engine, squares) < 100 - FACE_DETECTOR.points


def test_the_original_mesh_agrees_with_itself(
    wheel_folder: Path, faces: Sequence[FaceCase]
) -> None:
    assert FACE_LANDMARKS.n(faces) == len(USED) * len(faces) > 1000
    assert FACE_LANDMARKS.score(original_face(wheel_folder), faces) == 100


def test_points_count_within_a_share_of_the_eyes_distance(
    wheel_folder: Path, faces: Sequence[FaceCase]
) -> None:
    least, most = (f(WITHIN * case.eyes_px for case in faces) / np.sqrt(2) for f in (min, max))
    original = original_face(wheel_folder)
    assert FACE_LANDMARKS.score(Changed(original, landmarks=0.9 * least), faces) == 100
    assert FACE_LANDMARKS.score(Changed(original, landmarks=1.1 * most), faces) == 0


def test_a_face_that_is_not_seen_has_no_points(
    wheel_folder: Path, faces: Sequence[FaceCase]
) -> None:
    engine = Changed(original_face(wheel_folder), presence=-100.0)
    assert FACE_LANDMARKS.score(engine, faces) == 0


@pytest.mark.parametrize("task", [FACE_DETECTOR, FACE_LANDMARKS])
def test_samples_without_faces_are_refused(
    wheel_folder: Path, held_out: Samples, task: object
) -> None:
    grey = (np.full((480, 640, 3), 90, np.uint8),)
    for people in ((), grey):
        with pytest.raises(ExportError, match="no face"):
            task.prepare(wheel_folder, replace(held_out, people=people))  # type: ignore[attr-defined]
