"""What the object models are judged by: things get their names after a few views were shown.

The things are the samples', which neither the adapter nor a pruned encoder has learnt from, in
light, size and outline as a table's camera sees them. A gallery is taught three views of each of
twenty and asked for others, as the runtime's is.

    crops = CROP_EMBEDDING.prepare(wheel_folder, samples)
    percent = CROP_EMBEDDING.score(engine, crops)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from deixis.export.models.object_adapter import ObjectAdapter, load_adapter, load_held_out
from deixis.export.recipes.recipe import Task
from deixis.export.samples import Samples
from deixis.export.train.adapting import Views
from deixis.export.train.fewshot import ask
from deixis.export.train.object_views import varied
from deixis.nodes.objects.embedding import CropEmbedder
from deixis.nodes.objects.source import Image
from deixis.runtime.engines import Array, Engine, EngineSpecs
from deixis.runtime.errors import ExportError

WAYS: Final = 20
SHOTS: Final = 3
LOOKS: Final = 2
"""How often each picture is looked at, differently."""
EPISODES: Final = 20
MIN_THINGS: Final = 12
_HELD_OUT_WAYS: Final = 12
"""Half of the things whose features lie beside the adapter's weights."""


@dataclass(frozen=True)
class Crops:
    """Looks at things.

    Attributes:
        crops: BGR uint8, ``(n, 224, 224, 3)``.
        things: which thing each shows, ``(n,)``.
    """

    crops: NDArray[np.uint8]
    things: NDArray[np.int64]


def look_at_things(wheel_folder: Path, samples: Samples) -> Crops:
    """Every picture of the samples' things, twice, as it might be cut out of a camera's.

    Args:
        wheel_folder: not used.
        samples: with things.

    Raises:
        ExportError: there are too few things to tell apart.
    """
    things = [t for t in samples.things if LOOKS * len(t.views) > SHOTS]
    if len(things) < MIN_THINGS:
        raise ExportError(
            f"the samples show {len(things)} things with pictures enough to teach and ask; judging "
            f"the object encoder needs {MIN_THINGS}",
            hint="put pictures of things, THING/*.png, into the folder things beside that of "
            "--samples",
        )
    crops: list[Image] = []
    labels: list[int] = []
    for i, thing in enumerate(things):
        rng = np.random.default_rng([0, i])
        looks = [varied(view, rng) for view in thing.views for _ in range(LOOKS)]
        crops += looks
        labels += [i] * len(looks)
    return Crops(np.stack(crops), np.array(labels, np.int64))


def embed(engine: Engine, crops: Crops) -> Views:
    """What the gallery compares: embeddings behind the adapter, with whose they are."""
    embedder = CropEmbedder(engine, AdapterEngine(load_adapter()))
    return Views(embedder.embed(list(crops.crops)), crops.things)


class AdapterEngine:
    """The trained adapter behind the engines' contract."""

    def __init__(self, adapter: ObjectAdapter) -> None:
        self._adapter = adapter
        self.specs = EngineSpecs(inputs=(), outputs=())

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; see :class:`deixis.runtime.engines.Engine`."""
        with torch.inference_mode():
            return {"embedding": self._adapter(torch.from_numpy(inputs["features"])).numpy()}

    def close(self) -> None:
        """Nothing to release."""


def _score_crops(engine: Engine, crops: Crops) -> float:
    return 100.0 * ask(embed(engine, crops), WAYS, SHOTS, EPISODES).naming()


def _held_out(wheel_folder: Path, samples: Samples) -> Views:
    held_out = load_held_out()
    return Views(held_out.features, held_out.things)


def _score_features(engine: Engine, views: Views) -> float:
    parts = [
        engine.infer({"features": views.features[i : i + 1]})["embedding"].copy()
        for i in range(len(views.features))
    ]
    mapped = Views(np.concatenate(parts), views.things)
    return 100.0 * ask(mapped, _HELD_OUT_WAYS, SHOTS).naming()


CROP_EMBEDDING = Task(
    name="things named after three views",
    points=1.5,
    prepare=look_at_things,
    score=_score_crops,
    n=lambda crops: len(crops.crops),
)
OBJECT_ADAPTER = Task(
    name="things named after three views",
    points=1.0,
    prepare=_held_out,
    score=_score_features,
    n=lambda views: len(views.features),
)
