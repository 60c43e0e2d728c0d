"""Render tables with things on them, with the truth: stills, short videos, pictures by class.

``--set stills`` and ``--set videos`` write a folder per scene (in a video a hand carries a thing
past its double, or sweeps over the table), ``--set gallery`` the taught views of their things,
``--set classes`` a folder of single-object pictures per class. What is chosen by looking at
pictures is chosen on ``--split dev``; ``report`` has kinds, things, tables, cameras and lamps of
its own. README.md says what truth.json holds. Needs chromium and node, and ``npm ci`` in this
folder; videos need ffmpeg. What is there already is not drawn again.

Example:
    python -m tests.scenes.tables --set gallery --set stills --split dev --out /tmp/tables
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from .carry import Carry, Moment
from .chance import Chance
from .render import encoder
from .skeleton import Hand
from .stage import Picture, RenderError, draw_told
from .table_stage import (
    WORKSPACE,
    Placed,
    Setting,
    alike,
    arrange,
    fits,
    setting,
)
from .wares import Ware, chosen, inventory

FPS = 15
UNKNOWN_SHARE = 0.2
"""Of the things, those that no gallery shows."""
_VIDEOS, _GALLERY, _CLASSES = 1_000, 2_000, 10_000
"""First numbers of what is drawn, so that stills, videos and views share no random numbers."""
_VIEW_PX = 192
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 92)
_HELD_SIZE_M = (0.03, 0.055)
"""Least height and greatest radius of what a hand can carry."""
_DOUBLE_M = (0.02, 0.06)
"""Between the carried thing and its double, besides what they cover."""


@dataclass(frozen=True)
class Cast:
    """The things of one split and seed.

    Attributes:
        split: ``dev`` or ``report``.
        seed: Of all random numbers.
        wares: The things.
        unknown: Ids of those that nobody teaches: all of some nouns.
    """

    split: str
    seed: int
    wares: Sequence[Ware]
    unknown: frozenset[str]

    @classmethod
    def of(cls, args: argparse.Namespace) -> Cast:
        """What the command line asks for."""
        wares = inventory(args.split, args.seed)[: args.things]
        nouns = list(dict.fromkeys(w.names[0] for w in wares))
        count = max(1, round(UNKNOWN_SHARE * len(nouns)))
        order = Chance(args.split, args.seed).rng.permutation(len(nouns))
        hidden = {nouns[i] for i in order[:count]}
        unknown = frozenset(w.id for w in wares if w.names[0] in hidden)
        return cls(args.split, args.seed, wares, unknown)

    def chance(self, number: int) -> Chance:
        """The random numbers of one scene or view."""
        return Chance(self.split, 100_000 * self.seed + number)


@dataclass(frozen=True)
class Plan:
    """One scene before it is drawn: its things in their first places, and per picture the hand."""

    name: str
    setting: Setting
    placed: list[Placed]
    moments: list[Moment]
    crowded: bool
    scenario: str

    def job(self) -> dict[str, Any]:
        """For page/tables.js: the bare table once, and every picture with a hand in it."""
        frames = [self._frame(self.moments[0])]
        frames += [self._frame(m) for m in self.moments if m.bones is not None]
        frames.append(self._frame(self.moments[-1]))
        things = [one.ware.parts for one in self.placed]
        return {"stage": {**self.setting.stage, "things": things}, "frames": frames}

    def _frame(self, moment: Moment) -> dict[str, Any]:
        bones = None if moment.bones is None else np.round(moment.bones.reshape(-1, 16), 6).tolist()
        poses = [one.pose for one in self.placed]
        # The first thing is the one that is carried.
        x, y, z, yaw = poses[0]
        a, b, c = moment.lift_m
        poses[0] = [round(x + a, 5), round(y + b, 5), round(z + c, 5), yaw]
        return {"poses": poses, "bones": bones}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenes.tables",
        description="Render tables with things on them, and where each of them is.",
        epilog="example: python -m tests.scenes.tables --set stills --split dev --out /tmp/tables",
    )
    add = parser.add_argument
    add(
        "--set", action="append", required=True, dest="sets", choices=tuple(_SETS),
        help="may be given again; classes goes to a folder of its own",
    )  # fmt: skip
    add("--split", choices=("dev", "report"), required=True)
    add("--seed", type=int, default=1, help="of the random numbers (default 1)")
    add("--stills", type=int, default=40, help="scenes of one picture (default 40)")
    add("--videos", type=int, default=4, help="scenes with a hand (default 4)")
    add("--views", type=int, help="pictures a thing (default: 5 in a gallery, 12 in classes)")
    add("--things", type=int, help="only so many things (default: all of the split)")
    add("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args(argv)
    if "videos" in args.sets and shutil.which("ffmpeg") is None:
        print("ffmpeg is needed: apt-get install ffmpeg", file=sys.stderr)
        return 1
    try:
        for name in args.sets:
            _SETS[name](args)
    except (RenderError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


_SETS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "gallery": lambda args: gallery(Cast.of(args), args.views or 5, args.out / "gallery"),
    "stills": lambda args: stills(Cast.of(args), args.stills, args.out),
    "videos": lambda args: videos(Cast.of(args), args.videos, args.out),
    "classes": lambda args: classes(Cast.of(args), args.views or 12, args.out),
}


def gallery(cast: Cast, views: int, out: Path) -> None:
    """Write the taught views of every thing that is not unknown, and gallery.json.

    Raises:
        RenderError: Chromium, Node or the npm packages are missing, or the page failed.
    """
    known = [w for w in cast.wares if w.id not in cast.unknown]
    out.mkdir(parents=True, exist_ok=True)
    index = {w.id: {"names": list(w.names), "colour": w.colour} for w in known}
    (out / "gallery.json").write_text(json.dumps(index, indent=1) + "\n")
    every = [(w, out / w.id / f"{k}.jpg") for w in known for k in range(views)]
    _show({path: (w, cast.chance(_GALLERY + i)) for i, (w, path) in enumerate(every)}, "gallery")


def stills(cast: Cast, count: int, out: Path) -> None:
    """Write scenes of one picture.

    Raises:
        RenderError: Chromium, Node or the npm packages are missing, or the page failed.
    """
    plans = [still(cast.wares, cast.chance(i), f"still_{i:03d}") for i in range(count)]
    _render(plans, out, cast)


def videos(cast: Cast, count: int, out: Path) -> None:
    """Write scenes with a hand.

    Raises:
        RenderError: Chromium, Node or the npm packages are missing, or the page failed.
        FileNotFoundError: npm ci was not run.
    """
    hand = Hand.load()
    plans = []
    for number in range(count):
        chance = cast.chance(_VIDEOS + number)
        plans.append(_until(partial(video, cast.wares, hand, chance, number)))
    _render(plans, out, cast)


def _render(plans: Sequence[Plan], out: Path, cast: Cast) -> None:
    """Write the scenes that are not there yet; truth.json is written last."""
    missing = [plan for plan in plans if not (out / plan.name / "truth.json").exists()]
    drawn = draw_told("tables.html", [plan.job() for plan in missing])
    for plan in track(missing, "scenes"):
        write(plan, drawn, out / plan.name, cast)


def classes(cast: Cast, views: int, out: Path) -> None:
    """Write single-object pictures, a folder per class.

    Raises:
        RenderError: Chromium, Node or the npm packages are missing, or the page failed.
    """
    wares = {w.names[0].replace(" ", "_"): w for w in cast.wares}
    every = [(w, out / name / f"{k:02d}.jpg") for name, w in wares.items() for k in range(views)]
    _show({path: (w, cast.chance(_CLASSES + i)) for i, (w, path) in enumerate(every)}, "classes")


def _show(wanted: Mapping[Path, tuple[Ware, Chance]], what: str) -> None:
    """Write the pictures of single things that are not there yet."""
    missing = {path: pair for path, pair in wanted.items() if not path.exists()}
    plans = [_alone(ware, chance) for ware, chance in missing.values()]
    for path, picture in zip(missing, _views(plans, what), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture, _JPEG)


def still(wares: Sequence[Ware], chance: Chance, name: str) -> Plan:
    """One picture of 1 to 10 things; in two of five scenes they hide parts of each other."""
    scene = setting(chance)
    crowded = chance.between(0, 1) < 0.4
    count = int(chance.rng.integers(1, 11))
    placed: list[Placed] = []
    while not placed:
        placed = arrange(chosen(wares, count, chance.rng), scene, chance, crowded)
    return Plan(name, scene, placed, [Moment(None, np.zeros(3), held=False)], crowded, "still")


def video(wares: Sequence[Ware], hand: Hand, chance: Chance, number: int) -> Plan | None:
    """A hand carries a thing past its double, or sweeps by; None if there is no room for that."""
    scene = setting(chance, (0.75, 1.1))
    least, most = _HELD_SIZE_M
    small = [
        w for w in wares if w.size_m[2] >= least and w.radius_m <= most and not alike(w, scene)
    ]
    if not small:
        return None
    ware = chosen(small, 1, chance.rng)[0]
    carried = arrange([ware], scene, chance, crowded=False)
    if not carried:
        return None
    first = carried[0]
    x, y = chance.rng.uniform([0.28, -0.3], [0.72, 0.3]).round(4).tolist()
    end = Placed(ware.id, ware, x, y, 0.0)
    if not 0.18 < math.dist(first.pose[:2], end.pose[:2]) < 0.45:
        return None
    # The double stands close to where the thing stands first, or to where it goes.
    near, turn = (first, end)[int(chance.rng.integers(2))], chance.between(-math.pi, math.pi)
    apart = 2 * ware.radius_m + chance.between(*_DOUBLE_M)
    x, y = near.x_m + apart * math.cos(turn), near.y_m + apart * math.sin(turn)
    double = Placed(f"{ware.id}_2", ware, round(x, 4), round(y, 4), round(chance.between(-3, 3), 4))
    if not fits(double, [first, end], scene.camera, crowded=False, gap_m=0.01):
        return None
    if not fits(end, [], scene.camera, crowded=False):
        return None
    others = chosen([w for w in wares if w is not ware], int(chance.rng.integers(2, 6)), chance.rng)
    standing = arrange(others, scene, chance, False, [first, end, double])
    placed = [first, double, *standing[3:]]
    top = np.array([0, 0, max(0.02, ware.size_m[2] * 0.75)])
    carries = number % 4 != 3
    movement = Carry(
        hand, scene.camera,
        np.array([first.x_m, first.y_m, 0]) + top, np.array([end.x_m, end.y_m, 0]) + top,
        chance.between(-1.2, 1.2), math.radians(chance.between(32, 52)), carries,
    )  # fmt: skip
    moments = [movement.at(k / FPS) for k in range(round(movement.duration_s * FPS))]
    scenario = "carry" if carries else "sweep"
    return Plan(f"{scenario}_{number:03d}", scene, placed, moments, False, scenario)


def write(
    plan: Plan,
    drawn: Iterator[tuple[Picture, Any]],
    folder: Path,
    cast: Cast,
) -> None:
    """Write one scene's folder: camera.json, truth.json, and 0000.jpg or video.mp4."""
    folder.mkdir(parents=True, exist_ok=True)
    scene = plan.setting
    camera = scene.camera
    (folder / "camera.json").write_text(json.dumps(camera.to_json(), indent=1) + "\n")
    rng = np.random.default_rng(scene.stage["table"]["cover"]["seed"])
    before = next(drawn)
    with_hand = [next(drawn) for m in plan.moments if m.bones is not None]
    after = next(drawn)
    rows, pictures, seen_hand = [], [], False
    for k, moment in enumerate(plan.moments):
        if moment.bones is not None:
            picture, told = with_hand.pop(0)
            seen_hand = True
        else:
            picture, told = after if seen_hand else before
        pictures.append(_sensed(picture, scene, rng))
        rows.append(_row(k, plan.placed, moment, told, camera))
    if len(pictures) == 1:
        quality = [cv2.IMWRITE_JPEG_QUALITY, scene.quality]
        cv2.imwrite(str(folder / "0000.jpg"), pictures[0], quality)
    else:
        with encoder(folder / "video.mp4", (camera.width, camera.height), FPS) as sink:
            for picture in pictures:
                sink.write(picture.tobytes())
    head = {
        "schema": 1, "name": plan.name, "split": cast.split, "scenario": plan.scenario,
        "crowded": plan.crowded, "surface": scene.surface, "fps": FPS,
        "width": camera.width, "height": camera.height, "workspace": WORKSPACE,
        "objects": [
            {
                "id": one.id, "kind": one.ware.id, "name": one.ware.names[0],
                "colour": one.ware.colour if one.ware.plain else None,
                "known": one.ware.id not in cast.unknown,
                "size_m": one.ware.size_m,
            }
            for one in plan.placed
        ],
    }  # fmt: skip
    lines = ",\n".join("  " + json.dumps(row, separators=(",", ":")) for row in rows)
    text = json.dumps(head, indent=1)
    (folder / "truth.json").write_text(f'{text[:-2]},\n "frames": [\n{lines}\n ]\n}}\n')


def _row(
    number: int, placed: Sequence[Placed], moment: Moment, told: Any, camera: Any
) -> dict[str, Any]:
    objects = []
    for i, (one, (visible, alone, *box)) in enumerate(zip(placed, told, strict=True)):
        position = one.centroid + (moment.lift_m if i == 0 else 0)
        objects.append(
            {
                "id": one.id,
                "position_base_m": np.round(position, 4).tolist(),
                "box_px": box,
                "visible": round(visible / alone, 3) if alone else 0.0,
                "held": moment.held and i == 0,
            }
        )
    return {"frame": number, "hand": moment.bones is not None, "objects": objects}


def _sensed(picture: Picture, scene: Setting, rng: np.random.Generator) -> Picture:
    """What lens and sensor make of a picture."""
    blurred = picture
    if scene.blur_px > 0.2:
        blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), scene.blur_px), np.uint8)
    noisy = blurred + scene.noise * rng.standard_normal(picture.shape, np.float32)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def _alone(ware: Ware, chance: Chance) -> Plan:
    """One thing alone on a table that it can be told from."""
    while True:
        scene = setting(chance)
        placed = arrange([ware], scene, chance, crowded=False)
        if placed:
            moment = Moment(None, np.zeros(3), held=False)
            return Plan(ware.id, scene, placed, [moment], False, "alone")


def _views(plans: Sequence[Plan], what: str) -> Iterator[Picture]:
    """Square pictures of single things, cut out as a person would who shows them."""
    jobs = []
    for plan in plans:
        job = plan.job()
        jobs.append({**job, "frames": job["frames"][:1]})
    drawn = draw_told("tables.html", jobs)
    for plan, (picture, told) in zip(track(plans, what), drawn, strict=True):
        rng = np.random.default_rng(plan.setting.stage["table"]["cover"]["seed"])
        _, _, x, y, w, h = told[0]
        side = max(w, h) * rng.uniform(1.25, 1.7)
        off = rng.uniform(-0.05, 0.05, 2) * side
        scale = _VIEW_PX / side
        middle = np.array([x + w / 2, y + h / 2]) + off
        shift = _VIEW_PX / 2 - scale * middle
        yield np.asarray(
            cv2.warpAffine(
                _sensed(picture, plan.setting, rng),
                np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]),
                (_VIEW_PX, _VIEW_PX),
                flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REFLECT_101,
            ),
            np.uint8,
        )


def _until(attempt: Callable[[], Plan | None]) -> Plan:
    """The first attempt that succeeds."""
    for _ in range(10_000):
        one = attempt()
        if one is not None:
            return one
    raise RuntimeError("there is no room on the table for a thing, its double and a hand")


if __name__ == "__main__":
    sys.exit(main())
