"""Compare the exported object adapter with the trained one, and name held-out things with it.

python -c "from deixis.export.compare_objects import NAMING_FLOOR; print(NAMING_FLOOR)"
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deixis.export.compare import COSINE_FLOOR
from deixis.export.samples import Samples
from deixis.runtime.bundle import MetricInfo
from deixis.runtime.engines import open_model

NAMING_FLOOR = 0.96
"""Share of held-out things' views that must get their thing's name from three others."""
_SHOTS, _WAYS = 3, 12


def compare_adapter(model: Path, wheel_folder: Path, samples: Samples) -> tuple[MetricInfo, ...]:
    """The adapter on views of things that it was not trained on: do they get their names?"""
    import torch

    from deixis.export.models.object_adapter import load_adapter, load_held_out
    from deixis.export.train.adapting import Views
    from deixis.export.train.fewshot import ask

    held_out = load_held_out()
    with torch.inference_mode():
        want = load_adapter()(torch.from_numpy(held_out.features)).numpy()
    engine = open_model(model)
    got = engine.infer({"features": held_out.features})["embedding"].copy()
    alone = engine.infer({"features": held_out.features[:1]})["embedding"]
    engine.close()
    asked = ask(Views(got, held_out.things), _WAYS, _SHOTS)
    cosine = min(float((want * got).sum(axis=1).min()), float((want[:1] * alone).sum()))
    naming, n = asked.naming(), int((asked.true >= 0).sum())
    return (
        MetricInfo(name="naming", value=naming, floor=NAMING_FLOOR, better="higher", n=n),
        MetricInfo(name="cosine", value=cosine, floor=COSINE_FLOOR, better="higher", n=len(got)),
    )


def adapter_input() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """One view, to be timed on."""
    from deixis.export.models.object_adapter import load_held_out

    return {"features": load_held_out().features[:1]}
