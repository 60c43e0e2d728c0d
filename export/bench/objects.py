"""Objects: what is found on the table, what it is called, where it is, and the time per frame.

FOLDER holds scenes (folders with truth.json, camera.json and 0000.jpg, … or video.mp4; beside them
gallery/, the views to teach), or pictures by class: FOLDER/CLASS/*.jpg, and in FOLDER/unknown/
anything else. `python -m tests.scenes.tables` renders both; objects_data.py says what truth.json
holds.

Scenes are shown to the real objects node on one CPU thread: a picture 24 times, 10 a second, with
fresh sensor noise (the last look counts), a video once, through the hands node as well (one look a
second counts; identity is followed through all). An object is found when one was published within
5 cm on the plane, or their boxes overlap by half; one that is more than half hidden, or in a hand,
or was a second ago, may be published or not. Places (in space, each once), names and colours are
judged where 90 % of an object is in sight; a name counts from probability 0.5. Of pictures by
class, up to 5 a class are taught and the others asked about; the classes are held out in turn to
see whether unknown things stay unknown.

--json prints, with null for what does not apply:
  detection     n, recall, precision, false_per_frame
  naming        views {1, 3, 5, all: accuracy}, n; all: the node's own names, the whole gallery
  colour        n, accuracy
  open_set      auroc, n_known, n_unknown, unknown_named (share of unknown things with a name)
  position      n, median_mm, p95_mm, plane_median_mm (in x and y alone), at_0_8_m: the same for
                objects 0.7 to 0.9 m from the camera
  identity      switches (an object's id changed), tracks; in videos
  ms_per_frame  full (all is new, or a hand moves), settling (the 1.2 s after that), still:
                p50, p95, p99, n
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deixis.export.bench.settings import add_shared, node_params

if TYPE_CHECKING:
    from deixis.export.bench.objects_data import ObjectsData
    from deixis.export.bench.objects_naming import Naming
    from deixis.export.bench.objects_scoring import Scores
    from deixis.runtime.bundle import Bundle

HELP = "objects: found, named, placed, kept apart; time per frame"
EXAMPLE = "deixis bench objects --data /tmp/tables --out bench/results/objects.json"


@dataclass
class Measured:
    """What the node did.

    Attributes:
        scores: Of all scenes.
        naming: Against the number of views.
        times_ms: Milliseconds of every look, by what the picture was like.
        complete: Whether everything was played.
    """

    scores: Scores
    naming: Naming
    times_ms: dict[str, list[float]] = field(default_factory=dict)
    complete: bool = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_shared(
        parser,
        data="scenes with their truth, or a folder of pictures per class",
        limited="scenes or classes",
        node="objects",
        example="rate_hz=5",
    )


def run(args: argparse.Namespace) -> int:
    """Run the benchmark."""
    import cv2
    from rich.console import Console

    from deixis.export.bench import objects_report
    from deixis.export.bench.objects_data import load
    from deixis.export.bench.results import circumstances, write_result
    from deixis.runtime.bundle import Bundle

    data = load(args.data, args.limit)
    params = node_params(args.settings, example="rate_hz=5")
    bundle = Bundle.open(args.bundle)
    cv2.setNumThreads(1)
    measured = measure(data, bundle, params)
    console = Console(quiet=args.json)
    objects_report.show(console, measured)
    if args.out:
        about = {
            "data": args.data.resolve().name,
            "bundle": str(args.bundle),
            "params": params,
            "scenes": len(data.scenes),
            "classes": len(data.classes),
            "interrupted": not measured.complete,
        }
        write_result(
            args.out, {**objects_report.full_figures(measured), **about, **circumstances()}
        )
        console.print(f"written to {args.out}")
    if args.json:
        print(json.dumps(objects_report.figures(measured)))
    return 0 if measured.complete else 1


def measure(data: ObjectsData, bundle: Bundle, params: dict[str, Any]) -> Measured:
    """Play everything and compare, with a progress bar; an interrupt ends it.

    Raises:
        MediaError: A picture or video cannot be read.
    """
    from rich.console import Console
    from rich.progress import Progress

    from deixis.calibration.store import load_camera
    from deixis.export.bench.objects_naming import FOLDS, VIEWS, Naming, by_class, in_scenes
    from deixis.export.bench.objects_playing import ScenePlayer
    from deixis.export.bench.objects_scoring import Scores

    measured = Measured(Scores(), Naming(None, None))
    terminal = Console(stderr=True)
    done = 0
    try:
        with Progress(
            console=terminal, transient=True, disable=not terminal.is_terminal
        ) as progress:
            if data.classes:
                steps = len(data.classes) + len(VIEWS) + min(FOLDS, len(data.classes))
                task = progress.add_task("classes", total=steps)
                measured.naming = by_class(
                    data, bundle, params,
                    lambda what: progress.update(task, advance=1, description=what),
                )  # fmt: skip
                return measured
            player = ScenePlayer(bundle, params, data.gallery)
            task = progress.add_task("scenes", total=len(data.scenes))
            for scene in data.scenes:
                camera_base_m = load_camera(scene.camera).T_base_cam[:3, 3]
                for look in player.play(scene):
                    measured.times_ms.setdefault(look.state, []).append(look.ms)
                    measured.scores.add(scene, look, camera_base_m)
                done += 1
                progress.update(task, advance=1, description=scene.name)
            measured.naming = in_scenes(measured.scores.clear, data.gallery, bundle, params)
    except KeyboardInterrupt:
        print(f"interrupted after {done} of {len(data.scenes)} scenes", file=sys.stderr)
        measured.complete = False
    return measured
