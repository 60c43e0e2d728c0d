"""The objects node: camera pictures in, the scene of named objects on the work plane out.

params = {"calibration": "camera.json", "gallery": "gallery"}
bench = NodeBench(ObjectsNode, params, bundle=bundle)
bench.send("frame", frame)
scene = bench.outputs["scene"][-1]
"""

from __future__ import annotations

from functools import partial

from deixis.calibration.store import CameraCalibration, load_standing_camera
from deixis.nodes.objects.embedding import open_embedder
from deixis.nodes.objects.gallery import Gallery, NamingParams
from deixis.nodes.objects.gallery_folder import GalleryFolder
from deixis.nodes.objects.lessons import Lessons
from deixis.nodes.objects.looks import Looks
from deixis.nodes.objects.merging import merge
from deixis.nodes.objects.source import Observation, View
from deixis.nodes.objects.sources import SourceParams, make_sources
from deixis.nodes.objects.stillness import Stillness
from deixis.nodes.objects.tracker import Tracker, TrackerParams
from deixis.runtime import topics
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import CalibrationError, ConfigError
from deixis.runtime.messages import Frame, Hand, Hands, Playback, Scene, Teach
from deixis.runtime.node import Node, NodeContext

_HANDS_AGE_NS = 300 * NS_PER_MS
_EAGER_FRAMES = 3
"""The first pictures of a scene are not skipped, so that it is known at once."""
_GALLERY_NS = NS_PER_S // 2
"""How often to look whether something was taught from outside."""
_REFRESH_NS = NS_PER_S
"""A still picture is looked at in full this often, for what changes too slowly to be seen."""


class ObjectsParams(SourceParams, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of :class:`ObjectsNode`, with those of its sources (:class:`SourceParams`).

    Attributes:
        calibration: Camera calibration file.
        gallery: Folder of taught views; without one, objects have colours but no names of ours.
            What changes in it while the node runs counts a moment later.
        rate_hz: How often the scene is renewed; pictures in between are skipped.
        naming: How similarity becomes probability.
        tracking: How objects appear, stay and go.
    """

    calibration: str
    gallery: str | None = None
    rate_hz: float = 10.0
    naming: NamingParams = NamingParams()
    tracking: TrackerParams = TrackerParams()


class ObjectsNode(Node[ObjectsParams]):
    """Publishes which objects are on the work plane, where, and what they are called."""

    inputs = {
        "frame": topics.FRAME,
        "hands": topics.HANDS,
        "playback": topics.PLAYBACK,
        "external": topics.SCENE,
        "teach": topics.TEACH,
    }
    optional = frozenset({"hands", "playback", "external", "teach"})
    outputs = {"scene": topics.SCENE}
    Params = ObjectsParams
    priority = ("playback", "hands", "external", "teach", "frame")

    def __init__(self, context: NodeContext, params: ObjectsParams) -> None:
        super().__init__(context, params)
        self._looks: Looks | None = None
        self._folder: GalleryFolder | None = None
        self._lessons: Lessons | None = None
        self._gallery_stamp: tuple[int, int, int] | None = None
        self._gallery_due_ns = 0
        self._tracker = Tracker(params.tracking)
        self._cameras: dict[tuple[int, int], CameraCalibration] = {}
        self._hands: Hands | None = None
        self._stream: str | None = None
        self._stillness = Stillness()
        self._seen: list[Observation] = []
        self._seen_ns = 0
        self._processed = 0
        self._due_ns = 0

    def setup(self) -> None:
        """Load the calibration, the sources and the gallery.

        Raises:
            CalibrationError: The calibration cannot be used.
            ConfigError: A parameter, the detector or the gallery is wrong.
            EngineError: A model cannot be opened.
            NodeError: There is a gallery but no bundle.
        """
        params = self.params
        if params.rate_hz <= 0:
            raise ConfigError(f"node {self.context.node_id!r}: rate_hz must be above 0")
        self._camera = load_standing_camera(self.path(params.calibration))
        self._sources, self._external = make_sources(
            params, self.context.base_dir, self.context.node_id
        )
        named = params.gallery is not None
        self._looks = Looks(
            open_embedder(self.bundle(), partial(self.note, "engine")) if named else None, None
        )
        if params.gallery is not None:
            self._folder = GalleryFolder(self.path(params.gallery))
            self._lessons = Lessons(self._folder)
            self._open_gallery()

    def close(self) -> None:
        """Release the engines."""
        for source in getattr(self, "_sources", ()):
            source.close()
        if self._looks is not None:
            self._looks.close()

    def on_playback(self, playback: Playback) -> None:
        """Forget the scene when a new one begins."""
        if playback.reset:
            self._tracker.reset(renumber=True)
            if self._lessons is not None:
                self._lessons.reset()
            self._start_over()

    def on_hands(self, hands: Hands) -> None:
        """Keep the newest hands: what they cover is no object."""
        self._hands = hands

    def on_external(self, scene: Scene) -> None:
        """Keep the newest scene from outside."""
        if self._external is not None:
            self._external.take(scene)

    def on_teach(self, lesson: Teach) -> None:
        """Learn what an object is called; the next scene has the name."""
        if self._lessons is None:
            self.note("teach", "nothing can be taught: the objects node has no gallery")
            return
        try:
            self._lessons.teach(lesson)
            self._open_gallery()
        except ConfigError as error:
            self.note("teach", f"not learnt: {error.message}")
        else:
            self.clear_note("teach")

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
        if camera is None or self._looks is None:
            return
        self._processed += 1
        self._follow_gallery(stamp_ns)
        view = View(frame.image, camera, stamp_ns, self._hands_at(stamp_ns))
        pairs = self._tracker.update(self._observe(view), (width, height), stamp_ns)
        waiting = self._looks.take(view, pairs)
        self._tracker.name_new(stamp_ns, hands=bool(view.hands))
        if self._lessons is not None:
            self._lessons.watch(view, pairs)
        # Until everything has had its first look, no picture is skipped.
        period_ns = 0 if waiting else int(NS_PER_S / self.params.rate_hz)
        self._due_ns = max(self._due_ns + period_ns, stamp_ns + period_ns // 2)
        self.publish("scene", Scene(self.header(stamp_ns), self._tracker.objects(stamp_ns)))

    def _open_gallery(self) -> None:
        """Read the gallery, and name again what is in the scene.

        Raises:
            ConfigError: It is wrong.
        """
        if self._folder is None or self._looks is None or self._looks.embedder is None:
            return
        self._gallery_stamp = self._folder.stamp()
        gallery = None
        if self._folder.things():
            gallery = Gallery.load(self._folder.path, self._looks.embedder, self.params.naming)
            self.clear_note("gallery")
        else:
            self.note("gallery", f"nothing was taught yet in {self._folder.path}")
        self._looks.name_again(gallery, self._tracker.tracks)

    def _follow_gallery(self, stamp_ns: int) -> None:
        """Read the gallery again when something was taught or forgotten outside."""
        if self._folder is None or 0 <= self._gallery_due_ns - stamp_ns < _GALLERY_NS:
            return
        self._gallery_due_ns = stamp_ns + _GALLERY_NS
        if self._folder.stamp() == self._gallery_stamp:
            return
        try:
            self._open_gallery()
        except ConfigError as error:
            # What was taught before still counts.
            self.note("gallery", error.message)

    def _observe(self, view: View) -> Observation:
        """What all sources see; what they saw last where nothing has moved since."""
        quiet = not view.hands and view.stamp_ns - self._seen_ns < _REFRESH_NS
        if not (self._stillness.same(view.image) and quiet and self._seen):
            self._seen = [source.observe(view) for source in self._sources]
            # What a hand hid, or what had to wait, is looked at in the next picture.
            done = not view.hands and all(seen.complete for seen in self._seen)
            self._seen_ns = view.stamp_ns if done else 0
            self._tell({seen.problem for seen in self._seen if seen.problem})
        if self._external is None:
            return merge(self._seen)
        if self._external.is_current(view.stamp_ns):
            self.clear_note("external")
        else:
            self.note("external", "no scene from outside: is the input 'external' connected?")
        return merge([self._external.observe(view), *self._seen])

    def _tell(self, problems: set[str]) -> None:
        """Show what keeps a source from seeing, or that nothing does any more."""
        if problems:
            self.note("sources", "; ".join(sorted(problems)))
        else:
            self.clear_note("sources")

    def _start_over(self) -> None:
        for source in self._sources:
            source.reset()
        if self._external is not None:
            self._external.reset()
        self._stillness.reset()
        self._seen = []
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
