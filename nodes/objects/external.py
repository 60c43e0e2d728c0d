"""Objects that another perception stack finds: its ``scene``, taken in beside our own sources.

The stack publishes ``scene`` on the bus and the graph connects it to the objects node's input
``external``; ids of its own become hints, so that what it calls one object stays one. (A stack that
does everything itself needs no objects node: connect its ``scene`` to fusion and speech.)

    source = ExternalSource()
    source.take(scene)
    source.observe(view).detections
"""

from __future__ import annotations

import numpy as np

from deixis.calibration.store import CameraCalibration
from deixis.nodes.objects.source import Box, Detection, Observation, View, free_outside
from deixis.runtime.clock import NS_PER_MS
from deixis.runtime.messages import Scene, SceneObject

_AGE_NS = 500 * NS_PER_MS


class ExternalSource:
    """Reports the newest scene from outside as detections."""

    def __init__(self) -> None:
        self._scene: Scene | None = None

    def take(self, scene: Scene) -> None:
        """Keep a scene until a newer one comes."""
        self._scene = scene

    def reset(self) -> None:
        """Forget the scene."""
        self._scene = None

    def close(self) -> None:
        """Nothing to release."""

    def is_current(self, stamp_ns: int) -> bool:
        """Whether there is a scene of about this time."""
        scene = self._scene
        return scene is not None and abs(stamp_ns - scene.header.stamp_ns) <= _AGE_NS

    def observe(self, view: View) -> Observation:
        """What the scene says; see :class:`deixis.nodes.objects.source.Source`."""
        scene = self._scene
        if scene is None or not self.is_current(view.stamp_ns):
            return Observation(())
        found = tuple(_detection(thing, view.camera) for thing in scene.objects)
        return Observation(found, free_outside([d.box_px for d in found], view))


def _detection(thing: SceneObject, camera: CameraCalibration) -> Detection:
    place = np.asarray(thing.position_base_m, np.float64)
    height = thing.height_m or 2 * thing.radius_m
    return Detection(
        box_px=thing.box_px if min(thing.box_px[2:]) > 0 else _box(place, thing, height, camera),
        position_base_m=place,
        position_cov_m2=np.asarray(thing.position_cov_m2, np.float64).reshape(3, 3),
        radius_m=thing.radius_m,
        height_m=height,
        confidence=thing.confidence,
        names=thing.names,
        colours=thing.colours,
        hint=f"external-{thing.object_id}",
    )


def _box(place: np.ndarray, thing: SceneObject, height_m: float, camera: CameraCalibration) -> Box:
    """Where our camera sees it, for a stack that looks through another camera."""
    half = np.array([thing.radius_m, thing.radius_m, height_m / 2])
    corners = np.stack(np.meshgrid(*[(-1, 1)] * 3), axis=-1).reshape(-1, 3) * half + place
    px = camera.project(corners)
    px = px[np.isfinite(px).all(axis=1)]
    if len(px) == 0:
        return (0.0, 0.0, 0.0, 0.0)
    low, high = px.min(axis=0), px.max(axis=0)
    return (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
