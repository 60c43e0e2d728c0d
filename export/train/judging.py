"""How well the gesture network does on what it was not shown.

figures = report_of(train(rows, films, epochs, seed), rows)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch

from deixis.export.bench.scoring import calibration_error
from deixis.export.models.gestures import GestureNet, Gestures
from deixis.export.train.fitting import Answers, on_films, on_rows
from deixis.export.train.keypoints import REPORTED, Keypoints
from deixis.export.train.movements import RATE_HZ, first_raised, raise_palms, reach_for_cups
from deixis.export.train.sequences import make_films
from deixis.export.train.training import Trained, reported_rng
from deixis.nodes.hands.gestures import GESTURES, N_FEATURES, STEPS
from deixis.runtime.engines import Array, EngineSpecs, TensorSpec

FILMS: Final = 1200
MOVES: Final = 500
LIMIT_MS: Final = 120.0


class TorchGestures:
    """The network in torch behind the engines' contract."""

    def __init__(self, model: Gestures) -> None:
        self._model = model
        float32 = np.dtype(np.float32)
        self.specs = EngineSpecs(
            inputs=(TensorSpec("features", float32, (None, STEPS, N_FEATURES)),),
            outputs=(TensorSpec("probabilities", float32, (None, len(GESTURES))),),
        )

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; see :class:`deixis.runtime.engines.Engine`."""
        with torch.inference_mode():
            answer = self._model(torch.from_numpy(inputs["features"]))
        return {"probabilities": answer.numpy()}

    def close(self) -> None:
        """Nothing to release."""


def report_of(trained: Trained, rows: Keypoints) -> dict[str, Any]:
    """All figures, as they go into JSON."""
    net, temperature = trained.net, trained.temperature
    blocks, _ = rows.blocks()
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "temperature": round(temperature, 3),
        "seconds": round(trained.seconds, 1),
        "held_out": _judged(on_rows(net, rows.only(rows.tenth(REPORTED))), temperature),
        "blocks": _judged(on_rows(trained.without_blocks, rows.only(blocks)), temperature),
        "simulated": _judged(
            on_films(net, make_films(reported_rng(trained.seed, 0), FILMS)), temperature
        ),
        "raised_palm_simulated": palm_figures(net, temperature, trained.seed),
    }


def palm_figures(net: GestureNet, temperature: float, seed: int) -> dict[str, Any]:
    """Raised palms and what must not pass for one, in simulated movements at 30 frames a second."""
    n, engine = MOVES, TorchGestures(Gestures(net, temperature).eval())
    raised = raise_palms(reported_rng(seed, 1), n)
    shown = raised.shown_frame >= 0
    known = first_raised(raised, engine)[shown]
    late_ms = (known - raised.shown_frame[shown]) * 1000 / RATE_HZ
    found = known >= 0
    reaching = first_raised(reach_for_cups(reported_rng(seed, 2), n), engine)
    others = first_raised(raise_palms(reported_rng(seed, 3), n, others=True), engine)
    return {
        "limit_ms": LIMIT_MS,
        "raised": int(shown.sum()),
        "in_time": int((found & (late_ms <= LIMIT_MS)).sum()),
        "missed": int((~found).sum()),
        "after_ms": {
            f"p{p}": round(float(np.percentile(late_ms[found], p)), 1) for p in (50, 95, 99)
        },
        "reaching": len(reaching),
        "reaching_false": int((reaching >= 0).sum()),
        "others": len(others),
        "others_false": int((others >= 0).sum()),
    }


def _judged(answers: Answers, temperature: float) -> dict[str, Any]:
    """Recall and precision per gesture, confusions (rows: shown) and calibration."""
    probabilities, labels = answers.probabilities(temperature), answers.labels.numpy()
    guesses = probabilities.argmax(axis=1)
    confusion = np.zeros((len(GESTURES), len(GESTURES)), int)
    np.add.at(confusion, (labels, guesses), 1)
    beliefs = list(
        zip(probabilities.max(axis=1).tolist(), (guesses == labels).tolist(), strict=True)
    )
    present = [k for k in range(len(GESTURES)) if confusion[k].any()]
    return {
        "n": len(labels),
        "accuracy": round(float((guesses == labels).mean()), 4),
        "calibration_error": round(calibration_error(beliefs) or 0.0, 4),
        "gestures": {
            GESTURES[k]: {
                "n": int(confusion[k].sum()),
                "recall": _ratio(confusion[k, k], confusion[k].sum()),
                "precision": _ratio(confusion[k, k], confusion[:, k].sum()),
            }
            for k in present
        },
        "confusion": {
            GESTURES[k]: dict(zip(GESTURES, confusion[k].tolist(), strict=True)) for k in present
        },
    }


def _ratio(count: int, n: int) -> float | None:
    return round(float(count / n), 4) if n else None
