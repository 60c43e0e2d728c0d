"""The objects node: camera pictures in, the scene of named objects on the work plane out.

params = {"calibration": "camera.json", "gallery": "gallery"}
bench = NodeBench(ObjectsNode, params, bundle=bundle)
bench.send("frame", frame)
scene = bench.outputs["scene"][-1]
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from deixis.calibration.store import CameraCalibration, load_standing_camera
from deixis.nodes.objects.colours import colour_names
from deixis.nodes.objects.embedding import CropEmbedder, object_crop
from deixis.nodes.objects.fiducials import FiducialParams, FiducialSource
from deixis.nodes.objects.gallery import Gallery, NamingParams
from deixis.nodes.objects.source import Detection, Source, View, integer_box
from deixis.nodes.objects.tabletop import TabletopParams, TabletopSource, Workspace
from deixis.nodes.objects.tracker import Track, Tracker, TrackerParams, merge
from deixis.runtime import topics
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.engines import open_engine
from deixis.runtime.errors import CalibrationError, ConfigError
from deixis.runtime.messages import Frame, Hand, Hands, Playback, Scene
from deixis.runtime.node import Node, NodeContext

_HANDS_AGE_NS = 300 * NS_PER_MS
_EAGER_FRAMES = 3
"""The first pictures of a scene are not skipped, so that it is known at once."""


class ObjectsParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of :class:`ObjectsNode`.

    Attributes:
        calibration: Camera calibration file.
        gallery: Folder of taught views; without one, objects have colours but no names.
        sources: What finds objects.
        workspace: Where on the table to look.
        rate_hz: How often the scene is renewed; pictures in between are skipped.
        fiducials: Printed tags, for the source of that name.
        tabletop: Thresholds of the source of that name.
        naming: How similarity becomes probability.
        tracking: How objects appear, stay and go.
    """

    calibration: str
    gallery: str | None = None
    sources: tuple[Literal["fiducials", "tabletop"], ...] = ("fiducials", "tabletop")
    workspace: Workspace = Workspace()
    rate_hz: float = 5.0
    fiducials: FiducialParams = FiducialParams()
    tabletop: TabletopParams = TabletopParams()
    naming: NamingParams = NamingParams()
    tracking: TrackerParams = TrackerParams()


class ObjectsNode(Node[ObjectsParams]):
    """Publishes which objects are on the work plane, where, and what they are called."""

    inputs = {"frame": topics.FRAME, "hands": topics.HANDS, "playback": topics.PLAYBACK}
    optional = frozenset({"hands", "playback"})
    outputs = {"scene": topics.SCENE}
    Params = ObjectsParams
    priority = ("playback", "hands", "frame")

    def __init__(self, context: NodeContext, params: ObjectsParams) -> None:
        super().__init__(context, params)
        self._sources: list[Source] = []
        self._embedder: CropEmbedder | None = None
        self._gallery: Gallery | None = None
        self._tracker = Tracker(params.tracking)
        self._cameras: dict[tuple[int, int], CameraCalibration] = {}
        self._hands: Hands | None = None
        self._stream: str | None = None
        self._processed = 0
        self._due_ns = 0

    def setup(self) -> None:
        """Load the calibration, the sources and the gallery.

        Raises:
            CalibrationError: The calibration cannot be used.
            ConfigError: A parameter or the gallery is wrong.
            NodeError: There is a gallery but no bundle.
        """
        params = self.params
        if params.rate_hz <= 0:
            raise ConfigError(f"node {self.context.node_id!r}: rate_hz must be above 0")
        self._camera = load_standing_camera(self.path(params.calibration))
        self._sources = self._make_sources()
        # OpenCV computes its colour tables at the first use, which takes a while.
        colour_names(np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), bool))
        if params.gallery is not None:
            self._embedder = CropEmbedder(open_engine(self.bundle(), "crop_embedding"))
            self._gallery = Gallery.load(self.path(params.gallery), self._embedder, params.naming)

    def close(self) -> None:
        """Release the engine."""
        if self._embedder is not None:
            self._embedder.close()

    def on_playback(self, playback: Playback) -> None:
        """Forget the scene when a new one begins."""
        if playback.reset:
            self._tracker.reset(renumber=True)
            self._start_over()

    def on_hands(self, hands: Hands) -> None:
        """Keep the newest hands: what they cover is no object."""
        self._hands = hands

    def on_frame(self, frame: Frame) -> None:
        """Renew the scene, if it is time to, and publish it."""
        if frame.stream != self._stream:
            self._stream = frame.stream
            self._tracker.reset(renumber=False)
            self._start_over()
        stamp_ns = frame.header.stamp_ns
        if self._processed >= _EAGER_FRAMES and stamp_ns < self._due_ns:
            return
        height, width = frame.image.shape[:2]
        camera = self._camera_for(width, height)
        if camera is None:
            return
        self._processed += 1
        period_ns = int(NS_PER_S / self.params.rate_hz)
        self._due_ns = max(self._due_ns + period_ns, stamp_ns + period_ns // 2)
        view = View(frame.image, camera, stamp_ns, self._hands_at(stamp_ns))
        observation = merge([source.observe(view) for source in self._sources])
        pairs = self._tracker.update(observation, (width, height), stamp_ns)
        self._look(view, [p for p in pairs if p[0].wants_look(p[1], stamp_ns)])
        self._tracker.name_new(stamp_ns)
        self.publish("scene", Scene(self.header(stamp_ns), self._tracker.objects(stamp_ns)))

    def _make_sources(self) -> list[Source]:
        params = self.params
        sources: list[Source] = []
        # Without tags there is nothing that the fiducials could report.
        if "fiducials" in params.sources and params.fiducials.tags:
            sources.append(FiducialSource(params.fiducials))
        if "tabletop" in params.sources:
            sources.append(TabletopSource(params.tabletop, params.workspace))
        if not sources:
            raise ConfigError(
                f"node {self.context.node_id!r} has no source of objects",
                hint="sources: [fiducials, tabletop]; fiducials needs tags",
            )
        return sources

    def _start_over(self) -> None:
        for source in self._sources:
            source.reset()
        self._processed = 0
        self._due_ns = 0

    def _camera_for(self, width: int, height: int) -> CameraCalibration | None:
        size = (width, height)
        if size not in self._cameras:
            try:
                self._cameras[size] = self._camera.for_frame(width, height)
            except CalibrationError as error:
                self.note("calibration", str(error))
                return None
        self.clear_note("calibration")
        return self._cameras[size]

    def _hands_at(self, stamp_ns: int) -> tuple[Hand, ...]:
        hands = self._hands
        if hands is None or abs(stamp_ns - hands.header.stamp_ns) > _HANDS_AGE_NS:
            return ()
        return hands.hands

    def _look(self, view: View, pairs: list[tuple[Track, Detection]]) -> None:
        """Look up names and colours of what is new or has changed, all crops in one batch."""
        vectors = None
        if self._embedder is not None and pairs:
            vectors = self._embedder.embed(
                [object_crop(view.image, d.box_px, d.mask) for _, d in pairs]
            )
        size = (view.image.shape[1], view.image.shape[0])
        for i, (track, detection) in enumerate(pairs):
            left, top, right, bottom = integer_box(detection.box_px, size)
            part = view.image[top:bottom, left:right]
            mask = detection.mask
            if mask is None:
                mask = np.ones(part.shape[:2], bool)
            colours = colour_names(part, mask[: bottom - top, : right - left])
            names: dict[str, float] = {}
            if self._gallery is not None and vectors is not None:
                names = self._gallery.name(vectors[i])
            track.see(names, colours, detection.box_px, view.stamp_ns)
