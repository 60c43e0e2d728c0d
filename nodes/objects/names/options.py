"""What the sub-verbs of ``deixis objects`` share: which gallery, which models, which camera.

add_gallery(parser); settings = open_settings(args)
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from deixis.calibration.store import load_standing_camera
from deixis.nodes.camera import CameraParams
from deixis.nodes.objects.embedding import CropEmbedder, open_embedder
from deixis.nodes.objects.gallery_folder import Entry, GalleryFolder, noun_and_colour
from deixis.nodes.objects.names.cutting import Cutter, TableCutter, cut_plain, cut_whole
from deixis.nodes.objects.node import ObjectsParams
from deixis.runtime.bundle import Bundle
from deixis.runtime.cli.run import DEFAULT_BUNDLE
from deixis.runtime.config import convert, nearest
from deixis.runtime.errors import ConfigError, UsageError
from deixis.runtime.graph import GraphSpec, find_graph, read_graph


@dataclass(frozen=True)
class Settings:
    """What a graph says about its objects.

    Attributes:
        gallery: The gallery's folder.
        objects: Parameters of the objects node.
        calibration: The camera's calibration file; need not be there.
        camera: Parameters of the camera node.
    """

    gallery: GalleryFolder
    objects: ObjectsParams
    calibration: Path
    camera: CameraParams


def add_gallery(parser: argparse.ArgumentParser) -> None:
    """Options that say which gallery is meant."""
    parser.add_argument(
        "--gallery", type=Path, metavar="DIR",
        help="folder of taught things (default: that of the graph's objects node)",
    )  # fmt: skip
    parser.add_argument(
        "--graph", default="live", metavar="NAME|FILE.yaml",
        help="the graph whose gallery and camera are meant (default: %(default)s)",
    )  # fmt: skip


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """The option that says which models to compare views with."""
    parser.add_argument(
        "--bundle", type=Path, default=DEFAULT_BUNDLE, metavar="DIR",
        help="bundle of models (default: %(default)s)",
    )  # fmt: skip


def add_cutting(parser: argparse.ArgumentParser) -> None:
    """Options that say how the thing is cut out of a picture."""
    parser.add_argument(
        "--calibration", type=Path, metavar="FILE",
        help="the camera's: look for the thing on the table (for --camera, default: the graph's)",
    )  # fmt: skip
    parser.add_argument(
        "--whole", action="store_true", help="the pictures are cut out already: all is the thing"
    )


def choose_cutter(args: argparse.Namespace, settings: Settings, *, on_table: bool) -> Cutter:
    """How the options want things cut out.

    Args:
        args: Parsed options of :func:`add_cutting`.
        settings: What the graph says.
        on_table: The graph's own calibration counts, if it is there and none was named.

    Raises:
        CalibrationError: The calibration cannot be used.
    """
    if args.whole:
        return cut_whole
    path: Path | None = args.calibration
    if path is None and on_table and settings.calibration.is_file():
        path = settings.calibration
    if path is None:
        return cut_plain
    camera = load_standing_camera(path)
    return TableCutter(camera, settings.objects.workspace, settings.objects.tabletop)


def open_settings(args: argparse.Namespace) -> Settings:
    """What ``--graph`` and ``--gallery`` say.

    Raises:
        GraphError: The graph is missing or wrong.
        UsageError: It has no objects node, or one without a gallery, and none was named.
    """
    path = find_graph(args.graph)
    graph = read_graph(path)
    raw = _params_of(graph, "objects")
    if raw is None:
        raise UsageError(f"{path} has no objects node", hint="name another graph with --graph")
    objects = convert(raw, ObjectsParams, f"{path}: objects: params")
    folder = path.parent / Path(objects.gallery).expanduser() if objects.gallery else None
    if args.gallery is not None:
        folder = args.gallery.expanduser()
    if folder is None:
        raise UsageError(f"the objects node of {path} has no gallery", hint="name one: --gallery")
    return Settings(
        gallery=GalleryFolder(folder.resolve()),
        objects=objects,
        calibration=(path.parent / Path(objects.calibration).expanduser()).resolve(),
        camera=convert(_params_of(graph, "camera") or {}, CameraParams, f"{path}: camera: params"),
    )


def open_models(args: argparse.Namespace) -> CropEmbedder:
    """The crop embedding of ``--bundle``.

    Raises:
        BundleError: There is no such bundle, or it has none.
    """
    return open_embedder(Bundle.open(args.bundle))


def things_called(index: dict[str, Entry], name: str, where: Path) -> list[str]:
    """Ids of the taught things that a name means: a noun, "red cup", or an id itself.

    Raises:
        ConfigError: Nothing is called so.
    """
    if name in index:
        return [name]
    noun, colour = noun_and_colour(name, None)
    found = [
        thing
        for thing, entry in index.items()
        if noun in entry.names and colour in (None, entry.colour)
    ]
    if not found:
        known = sorted({n for entry in index.values() for n in entry.names})
        raise ConfigError(
            f"nothing in {where} is called {name!r}{nearest(noun, known)}",
            hint=f"taught are: {', '.join(known)}" if known else "nothing was taught yet",
        )
    return found


def label(entry: Entry) -> str:
    """What a taught thing is called, with its colour."""
    return f"{entry.colour} {entry.names[0]}" if entry.colour else entry.names[0]


def _params_of(graph: GraphSpec, node: str) -> dict[str, object] | None:
    found = (n.params for n in graph.nodes if n.node == node)
    return next(found, None)
