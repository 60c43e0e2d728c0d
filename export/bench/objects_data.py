"""What is known for ``deixis bench objects``: rendered table scenes, or pictures by class.

    data = load(Path("/data/tables"))

A folder of scenes holds, at any depth, folders with ``truth.json``, ``camera.json`` (there or up to
two folders up) and ``video.mp4`` or pictures in the order of their names, and beside them
``gallery/``, the views that are taught. ``truth.json`` names the objects (``id``, ``kind`` = folder
in the gallery, ``name``, ``colour``) and lists the ``frames``: per object ``position_base_m``
(centre of its body), and where known ``box_px`` (left, top, width, height), ``visible`` (share of
its pixels in sight) and ``held``. Without ``frames`` the objects stay at their ``position_base_m``.

A folder of classes holds a folder of pictures per class; those in ``unknown/`` show anything else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Final

import msgspec

from deixis.calibration.store import load_camera
from deixis.nodes.objects.gallery_folder import INDEX, read_index
from deixis.runtime.config import read_text
from deixis.runtime.errors import ConfigError, MediaError

PICTURES: Final = (".png", ".jpg", ".jpeg")
UNKNOWN: Final = "unknown"
LEAST_PICTURES: Final = 2
"""Of a class: one to teach and one to ask about."""


class _Frame(msgspec.Struct, frozen=True):
    id: str
    position_base_m: tuple[float, float, float]
    box_px: tuple[float, float, float, float] | None = None
    visible: float = 1.0
    held: bool = False


class _Row(msgspec.Struct, frozen=True):
    objects: tuple[_Frame, ...]
    hand: bool = False


class _Object(msgspec.Struct, frozen=True):
    id: str
    kind: str
    name: str
    colour: str | None = None
    position_base_m: tuple[float, float, float] | None = None


class _Truth(msgspec.Struct, frozen=True):
    objects: tuple[_Object, ...]
    frames: tuple[_Row, ...] | None = None
    n_frames: int = 1
    fps: float = 30.0
    workspace: dict[str, float] | None = None
    surface: str = ""
    scenario: str = ""
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class TrueObject:
    """One object in one frame.

    Attributes:
        id: Its own name in the scene.
        name: The noun.
        colour: The word for most of it, if one fits.
        known: Whether the gallery shows it.
        position_base_m: Centre of its body.
        box_px: Left, top, width, height of all of it, if known.
        visible: Share of its pixels in sight.
        held: Whether it is off the table.
    """

    id: str
    name: str
    colour: str | None
    known: bool
    position_base_m: tuple[float, float, float]
    box_px: tuple[float, float, float, float] | None = None
    visible: float = 1.0
    held: bool = False


@dataclass(frozen=True, slots=True)
class TableScene:
    """One scene.

    Attributes:
        name: What to call it.
        media: The video, or the pictures one after the other.
        is_video: Whether ``media`` is a video.
        fps: Frames a second.
        camera: Its calibration.
        workspace: Where on the table to look, as the node's parameter of that name, if given.
        frames: The objects of each frame.
        hand: Per frame, whether a hand is over the table.
        about: What the scene is like, for reports.
    """

    name: str
    media: tuple[Path, ...]
    is_video: bool
    fps: float
    camera: Path
    workspace: Mapping[str, float] | None
    frames: tuple[tuple[TrueObject, ...], ...]
    hand: tuple[bool, ...]
    about: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ObjectsData:
    """What a folder holds: scenes with their gallery, or classes; the other is empty.

    Attributes:
        scenes: Rendered or recorded tables.
        gallery: Folder of taught views for them.
        classes: Pictures by class.
        unknown: Pictures of what belongs to no class.
    """

    scenes: tuple[TableScene, ...] = ()
    gallery: Path | None = None
    classes: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    unknown: Sequence[Path] = ()


def load(source: Path, limit: int | None = None) -> ObjectsData:
    """Read what is known, and see that the pictures and videos are there.

    Args:
        source: Folder of scenes or of classes.
        limit: At most so many scenes, spread evenly; or so many classes.

    Raises:
        ConfigError: There is no such folder, it is of neither kind, or a file in it is wrong.
        CalibrationError: A camera's calibration is damaged.
        MediaError: A picture or video is missing.
    """
    if not source.is_dir():
        raise ConfigError(f"there is no folder {source}")
    # Unlike pathlib's, this search also goes into folders that are linked to.
    truths = sorted(glob("**/truth.json", root_dir=source, recursive=True))
    if truths:
        gallery = source / "gallery" if (source / "gallery" / INDEX).is_file() else None
        taught = frozenset(read_index(gallery / INDEX)) if gallery else frozenset()
        chosen = [source / truths[i] for i in _spread(len(truths), limit)]
        return ObjectsData(tuple(_scene(path, taught) for path in chosen), gallery)
    folders = {f.name: _pictures(f) for f in sorted(source.iterdir()) if f.is_dir()}
    unknown = folders.pop(UNKNOWN, [])
    classes = {name: pictures for name, pictures in folders.items() if pictures}
    if not classes:
        raise ConfigError(
            f"{source} holds neither scenes (folders with truth.json) nor classes (folders of "
            "pictures)",
            hint="deixis bench objects --help says what it must hold",
        )
    few = [name for name, pictures in classes.items() if len(pictures) < LEAST_PICTURES]
    if few:
        raise ConfigError(
            f"{source / few[0]} holds one picture, and one view is taught, another asked about",
            hint=f"add a picture to {', '.join(few)}, or take it away; 6 and more show all figures",
        )
    if len(classes) < 2:
        raise ConfigError(f"{source} holds one class; there is nothing to tell it from")
    names = [list(classes)[i] for i in _spread(len(classes), limit)]
    return ObjectsData(classes={name: classes[name] for name in names}, unknown=unknown)


def _spread(count: int, limit: int | None) -> list[int]:
    if limit is None or limit >= count:
        return list(range(count))
    return [i * count // limit for i in range(limit)]


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES)


def _scene(path: Path, taught: frozenset[str]) -> TableScene:
    try:
        truth = msgspec.convert(json.loads(read_text(path)), _Truth, strict=False)
    except (json.JSONDecodeError, msgspec.ValidationError) as cause:
        raise ConfigError(f"{path}: {cause}") from cause
    folder = path.parent
    video = folder / "video.mp4"
    media = (video,) if video.is_file() else tuple(_pictures(folder))
    if not media:
        raise MediaError(f"{path}: there is neither {video.name} nor a picture beside it")
    rows = truth.frames if truth.frames is not None else _standing(truth, path)
    if not video.is_file() and len(media) != len(rows):
        raise MediaError(
            f"{path}: it lists {len(rows)} frames, and there are {len(media)} pictures"
        )
    return TableScene(
        name=folder.name,
        media=media,
        is_video=video.is_file(),
        fps=truth.fps,
        camera=_camera(folder, path),
        workspace=truth.workspace,
        frames=tuple(_objects(row, truth.objects, taught, path) for row in rows),
        hand=tuple(row.hand for row in rows),
        about={
            "surface": truth.surface,
            "scenario": truth.scenario,
            "crowded": "crowded" if truth.crowded else "apart",
        },
    )


def _standing(truth: _Truth, path: Path) -> tuple[_Row, ...]:
    """Frames in which everything stays where it is."""
    missing = next((o.id for o in truth.objects if o.position_base_m is None), None)
    if missing is not None:
        raise ConfigError(f"{path}: {missing!r} has no position_base_m, and there are no frames")
    row = _Row(tuple(_Frame(o.id, o.position_base_m) for o in truth.objects if o.position_base_m))
    return (row,) * truth.n_frames


def _objects(
    row: _Row, objects: Sequence[_Object], taught: frozenset[str], path: Path
) -> tuple[TrueObject, ...]:
    about = {o.id: o for o in objects}
    found = []
    for frame in row.objects:
        if frame.id not in about:
            raise ConfigError(f"{path}: a frame names {frame.id!r}, which is not among the objects")
        one = about[frame.id]
        found.append(
            TrueObject(
                one.id, one.name, one.colour, one.kind in taught,
                frame.position_base_m, frame.box_px, frame.visible, frame.held,
            )
        )  # fmt: skip
    return tuple(found)


def _camera(folder: Path, path: Path) -> Path:
    places = [parent / "camera.json" for parent in (folder, folder.parent, folder.parent.parent)]
    camera = next((place for place in places if place.is_file()), None)
    if camera is None:
        raise MediaError(f"{path}: a scene needs its camera; there is no {places[0]}")
    load_camera(camera)
    return camera
