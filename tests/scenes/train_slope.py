"""Train the network that corrects how far a finger points out of the picture.

Each hand is looked at in crops as tracking gives them and in shifted, turned and scaled ones. The
last folder is left out at first to say how good the network is, then all are learned.

Needs ``pip install deixis[export]`` and pictures of the ``dev`` split:

    for seed in 1 2 3; do python -m tests.scenes.portraits --set hands --split dev \
        --count 250 --seed $seed --out /tmp/hands/$seed; done
    python -m tests.scenes.train_slope /tmp/hands/* --out nodes/hands/slope.npz
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from deixis.calibration.store import load_camera
from deixis.nodes.hands.clarity import visibility
from deixis.nodes.hands.crop import Crop
from deixis.nodes.hands.hand_pose import fit_hand
from deixis.nodes.hands.landmarks import HandEstimate, HandLandmarker
from deixis.nodes.hands.pointing import LEAST_CLARITY
from deixis.nodes.hands.slope import (
    LOG_SCALE,
    N_FEATURES,
    UNIT_RAD,
    WEIGHTS,
    features,
    line_of_sight,
    slope_of,
)
from deixis.runtime.bundle import Bundle
from deixis.runtime.engines import open_engine
from deixis.runtime.errors import DeixisError

Array = NDArray[np.float64]
Rows = tuple[Array, Array]
"""Features ``(n, 109)`` and corrections ``(n,)`` in radians."""

N_NETS, WIDTH, EPOCHS, BATCH, DROP, DECAY = 3, 48, 40, 64, 0.2, 0.05
N_JITTERED = 2
_LEAST_PRESENCE, _MOST_ERROR = 0.5, 0.2
"""Hands that the network does not see, or whose landmarks are off by this share of the crop, teach
nothing: tracking loses them."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenes.train_slope",
        description="Train the correction of the finger's slope on rendered hands.",
        epilog="example: python -m tests.scenes.train_slope /tmp/hands/*",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/cpu"))
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        landmarker = HandLandmarker(open_engine(Bundle.open(args.bundle), "hand_landmarks"))
        rows = [look(folder, landmarker) for folder in args.folders]
    except (DeixisError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if len(rows) > 1:
        x, y = rows[-1]
        mean, scale, nets = train(*_together(rows[:-1]))
        found = np.mean([_answer(net, (x - mean) / scale)[:, 0] for net in nets], axis=0)
        for name, off in (("as fitted", y), ("corrected", y - UNIT_RAD * found)):
            p50, p90 = np.rad2deg(np.percentile(np.abs(off), [50, 90]))
            print(f"slope {name}, {args.folders[-1]}: {p50:.2f} / {p90:.2f} degrees p50 / p90")
    save(args.out, *train(*_together(rows)))
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")
    return 0


def look(folder: Path, landmarker: HandLandmarker) -> Rows:
    """What is seen of the hands in a folder, and by how much the fitted slope is off."""
    rng = np.random.default_rng(0)
    xs, ys = [], []
    for entry in track(json.loads((folder / "golden.json").read_text()), folder.name):
        picture = cv2.imread(str(folder / entry["image"]))
        if picture is None:
            raise OSError(f"cannot read {folder / entry['image']}")
        image = np.asarray(picture, np.uint8)
        camera = load_camera(folder / entry["camera"])
        focal_px = float(np.sqrt(camera.K[0, 0] * camera.K[1, 1]))
        true_px = np.array(entry["hands"][0])
        truth = camera.to_cam(np.array(entry["landmarks_base_m"]))
        pointing = (truth[8] - truth[5]) / np.linalg.norm(truth[8] - truth[5])
        for seen in _looks(image, Crop.around_landmarks(true_px), landmarker, rng):
            off_px = np.linalg.norm(seen.landmarks_px - true_px, axis=1).mean()
            if seen.presence < _LEAST_PRESENCE or off_px > _MOST_ERROR * seen.side_px:
                continue
            points, right = camera.normalized(seen.landmarks_px), seen.right >= 0.5
            clarity = seen.quality * visibility(seen.landmarks_px, *picture.shape[1::-1])
            # As the estimator has it: the landmarks of a hand that is hard to see are worse.
            side = seen.side_px / focal_px / max(clarity, LEAST_CLARITY)
            pose = fit_hand(points, seen.landmarks_world_m, side=side, right=right)
            if pose is None:
                continue
            sight = line_of_sight(points)
            xs.append(
                features(
                    points, seen.landmarks_world_m, pose.direction_cam, clarity=clarity, right=right
                )
            )
            ys.append(slope_of(pointing, sight) - slope_of(pose.direction_cam, sight))
    return np.array(xs), np.array(ys)


def _looks(
    image: NDArray[np.uint8], crop: Crop, landmarker: HandLandmarker, rng: np.random.Generator
) -> list[HandEstimate]:
    """One hand in the crop that tracking settles on, and in others near it."""
    for _ in range(2):
        crop = Crop.around_landmarks(landmarker.locate(image, crop).landmarks_px)
    seen = [landmarker.locate(image, crop)]
    for _ in range(N_JITTERED):
        dx, dy, size, turn = rng.standard_normal(4) * [0.04, 0.04, 0.08, 0.12]
        near = Crop(
            crop.x_px + dx * crop.side_px, crop.y_px + dy * crop.side_px,
            crop.side_px * float(np.exp(size)), crop.rotation_rad + turn,
        )  # fmt: skip
        seen.append(landmarker.locate(image, near))
    return seen


Trained = tuple[Array, Array, list[torch.nn.Sequential]]
"""Mean and scale of the features, and the networks."""


def train(x: Array, y: Array) -> Trained:
    """Networks that say the correction and, by its likelihood, how sure they are (Laplace)."""
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-3
    inputs = torch.tensor(np.clip((x - mean) / scale, -3, 3), dtype=torch.float32)
    wanted = torch.tensor(y / UNIT_RAD, dtype=torch.float32)
    nets = []
    for seed in track(range(N_NETS), "training"):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        net = torch.nn.Sequential(
            torch.nn.Dropout(DROP), torch.nn.Linear(N_FEATURES, WIDTH), torch.nn.ReLU(),
            torch.nn.Dropout(DROP), torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU(),
            torch.nn.Linear(WIDTH, 2),
        )  # fmt: skip
        optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
        for _ in range(EPOCHS):
            order = rng.permutation(len(x))
            for start in range(0, len(x), BATCH):
                batch = torch.from_numpy(order[start : start + BATCH])
                answer = net(inputs[batch])
                log_scale = answer[:, 1].clamp(*LOG_SCALE)
                off = (answer[:, 0] - wanted[batch]).abs()
                loss = (off * torch.exp(-log_scale) + log_scale).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            schedule.step()
        nets.append(net.eval())
    return mean, scale, nets


def save(path: Path, mean: Array, scale: Array, nets: Sequence[torch.nn.Sequential]) -> None:
    """Write the weights as ``SlopeNet`` reads them."""
    linear = [[m for m in net if isinstance(m, torch.nn.Linear)] for net in nets]
    arrays: dict[str, NDArray[np.generic]] = {"mean": mean, "scale": scale}
    for i in range(3):
        weights = [layers[i].weight.detach().numpy().T for layers in linear]
        biases = [layers[i].bias.detach().numpy()[None] for layers in linear]
        arrays[f"w{i}"] = np.array(weights, np.float16)
        arrays[f"b{i}"] = np.array(biases, np.float16)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def _answer(net: torch.nn.Sequential, x: Array) -> Array:
    with torch.inference_mode():
        return np.asarray(net(torch.tensor(np.clip(x, -3, 3), dtype=torch.float32)).numpy())


def _together(rows: Sequence[Rows]) -> Rows:
    return np.concatenate([x for x, _ in rows]), np.concatenate([y for _, y in rows])


if __name__ == "__main__":
    sys.exit(main())
