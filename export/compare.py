"""Compare each exported model with its original on real input, and time it.

Every function returns the worst of each difference over all samples, the one for the table first.
:func:`passes` says whether a metric keeps its floor; the export does not pack a model that fails.

    python -c "from deixis.export.compare import LANDMARK_FLOOR_PX; print(LANDMARK_FLOOR_PX)"
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deixis.export.samples import Samples, object_crops, spread
from deixis.export.weights import wheels
from deixis.export.weights.wheels import Member
from deixis.nodes.hands.crop import Crop
from deixis.nodes.hands.gestures import STEPS
from deixis.nodes.hands.palm import Letterbox, PalmDetector
from deixis.runtime.bundle import MetricInfo
from deixis.runtime.engines import EngineSpecs, TensorSpec, open_model
from deixis.runtime.errors import ExportError
from deixis.runtime.measured import LatencyInfo

BOX_FLOOR_PX = 0.5
SCORE_FLOOR = 0.05
LANDMARK_FLOOR_PX = 0.5
WORLD_FLOOR_MM = 1.0
PROBABILITY_FLOOR = 0.01
COSINE_FLOOR = 0.999
SAME_GESTURE_FLOOR = 0.999
SAME_LETTER_FLOOR = 0.999
MIN_HANDS = 8
MAX_HANDS = 32
MAX_CROPS = 24
N_FILMS = 60

Array = NDArray[Any]
Compare = Callable[[Path, Path, Samples], tuple[MetricInfo, ...]]


def passes(metric: MetricInfo) -> bool:
    """Whether a metric is on the right side of its floor (NaN never is)."""
    if metric.better == "higher":
        return metric.value >= metric.floor
    return metric.value <= metric.floor


def compare_palm(model: Path, wheel_folder: Path, samples: Samples) -> tuple[MetricInfo, ...]:
    """BlazePalm against the TFLite interpreter, on whole frames."""
    original = original_palm(wheel_folder)
    engine = open_model(model)
    box_px = score = 0.0
    for frame in samples.frames:
        image = {"image": palm_input(frame)}
        want, got = original.infer(image), engine.infer(image)
        box_px = worst(box_px, got["boxes"], want["boxes"])
        score = worst(score, got["scores"], want["scores"])
    engine.close()
    n = len(samples.frames)
    return (
        at_most("Δbox px", box_px, BOX_FLOOR_PX, n),
        at_most("Δscore logit", score, SCORE_FLOOR, n),
    )


def palm_input(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A whole frame as the hands node shows it to BlazePalm, [1,3,192,192]."""
    height, width = frame.shape[:2]
    return Letterbox.fit(width, height).apply(frame)


def compare_hand(model: Path, wheel_folder: Path, samples: Samples) -> tuple[MetricInfo, ...]:
    """BlazeHand against the TFLite interpreter, on the hands that the original detector finds.

    Raises:
        ExportError: if the samples show too few hands to tell.
    """
    original = original_hand(wheel_folder)
    inputs = hand_inputs(wheel_folder, samples)
    engine = open_model(model)
    landmark_px = world_m = probability = 0.0
    for blob in inputs:
        want, got = original.infer({"image": blob}), engine.infer({"image": blob})
        landmark_px = worst(landmark_px, got["landmarks"], want["landmarks"])
        world_m = worst(world_m, got["world_landmarks"], want["world_landmarks"])
        for name in ("presence", "handedness"):
            probability = worst(probability, got[name], want[name])
    engine.close()
    n = len(inputs)
    return (
        at_most("Δlandmark px", landmark_px, LANDMARK_FLOOR_PX, n),
        at_most("Δworld mm", 1e3 * world_m, WORLD_FLOOR_MM, n),
        at_most("Δprobability", probability, PROBABILITY_FLOOR, n),
    )


def hand_inputs(wheel_folder: Path, samples: Samples) -> list[NDArray[np.float32]]:
    """The hands in the samples, found by the original palm detector, [1,3,224,224] each.

    Raises:
        ExportError: if there are fewer than eight.
    """
    detector = PalmDetector(original_palm(wheel_folder))
    crops = [Crop.around_palm(palm).cut(f) for f in samples.frames for palm in detector.detect(f)]
    if len(crops) < MIN_HANDS:
        raise ExportError(
            f"the samples show only {len(crops)} hands in {len(samples.frames)} frames; "
            f"comparing the hand landmarks needs {MIN_HANDS}",
            hint="name a folder of episodes with hands in view with --samples",
        )
    return spread(crops, MAX_HANDS)


def compare_embedding(model: Path, wheel_folder: Path, samples: Samples) -> tuple[MetricInfo, ...]:
    """The crop embedding against the original classifier's features in torch, unfolded."""
    import torch

    from deixis.export.models.efficientnet_lite import efficientnet_lite0

    batch = np.stack(spread([c for f in samples.frames for c in object_crops(f)], MAX_CROPS))
    with torch.inference_mode():
        normalised = (torch.from_numpy(batch) - 127.0) / 128.0
        want = efficientnet_lite0(wheel_folder).features(normalised).numpy()
    want /= np.linalg.norm(want, axis=1, keepdims=True)
    engine = open_model(model)
    # One at a time and all together: the batch axis is dynamic and both forms are used.
    single = np.concatenate([engine.infer({"image": c[None]})["embedding"].copy() for c in batch])
    together = engine.infer({"image": batch})["embedding"]
    engine.close()
    cosine = min(float((want * got).sum(axis=1).min()) for got in (single, together))
    return (
        MetricInfo(name="cosine", value=cosine, floor=COSINE_FLOOR, better="higher", n=len(batch)),
    )


def compare_gestures(model: Path, wheel_folder: Path, samples: Samples) -> tuple[MetricInfo, ...]:
    """The gesture network against the trained one in torch: the same gestures, as sure of them."""
    import torch

    from deixis.export.models.gestures import load_gestures

    windows = gesture_windows()
    with torch.inference_mode():
        want = load_gestures()(torch.from_numpy(windows)).numpy()
    engine = open_model(model)
    got = engine.infer({"features": windows})["probabilities"]
    alone = engine.infer({"features": windows[:1]})["probabilities"]
    engine.close()
    same = float((got.argmax(axis=1) == want.argmax(axis=1)).mean())
    apart = worst(worst(0.0, got, want), alone, got[:1])
    n = len(windows)
    floor = SAME_GESTURE_FLOOR
    return (
        MetricInfo(name="same gesture", value=same, floor=floor, better="higher", n=n),
        at_most("Δprobability", apart, PROBABILITY_FLOOR, n),
    )


def gesture_windows() -> NDArray[np.float32]:
    """Windows of simulated hands as the hands node shows them, [n,STEPS,N_FEATURES]."""
    from deixis.export.train.sequences import make_films

    films = make_films(np.random.default_rng(0), N_FILMS).features
    windows = np.lib.stride_tricks.sliding_window_view(films, STEPS, axis=1)
    rows = windows[:, ::5].reshape(-1, *windows.shape[2:]).transpose(0, 2, 1)
    return np.ascontiguousarray(rows)


def compare_letters(model: Path, wheel_folder: Path, samples: Samples) -> tuple[MetricInfo, ...]:
    """The letters of speech against the trained network's in torch: the same ones, as probable."""
    import torch

    from deixis.export.models.letters import letter_head

    frames = encoder_frames(wheel_folder, samples.speech)
    with torch.inference_mode():
        want = letter_head()(torch.from_numpy(frames)).numpy()
    engine = open_model(model)
    got = engine.infer({"frames": frames})["log_probs"]
    engine.close()
    same = float((got.argmax(axis=-1) == want.argmax(axis=-1)).mean())
    n = frames.shape[1]
    floor = SAME_LETTER_FLOOR
    return (
        MetricInfo(name="same letter", value=same, floor=floor, better="higher", n=n),
        at_most("Δprobability", worst(0.0, np.exp(got), np.exp(want)), PROBABILITY_FLOOR, n),
    )


def encoder_frames(wheel_folder: Path, speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the speech encoder makes of sound at 16 kHz, [1,T,288]."""
    import onnxruntime as ort

    session = ort.InferenceSession(wheels.read_member(wheels.SPEECH_ENCODER, wheel_folder))
    mask = np.ones((1, len(speech)), np.int64)
    frames = session.run(None, {"input_values": speech[None], "attention_mask": mask})[0]
    return np.asarray(frames, np.float32)


def same_bytes(member: Member) -> Compare:
    """A comparison for a model packed as shipped: its bytes are the wheel's."""

    def compare(model: Path, wheel_folder: Path, samples: Samples) -> tuple[MetricInfo, ...]:
        want = hashlib.sha256(wheels.read_member(member, wheel_folder)).digest()
        same = hashlib.sha256(model.read_bytes()).digest() == want
        return (MetricInfo(name="same bytes", value=float(same), floor=1.0, better="higher", n=1),)

    return compare


def measure(model: Path, inputs: Mapping[str, Array], runs: int = 30) -> LatencyInfo:
    """Latency of one inference with one thread.

    Args:
        model: an ONNX or ORT file.
        inputs: one array an input.
        runs: timed runs, after five untimed ones.
    """
    engine = open_model(model, threads=1)
    for _ in range(5):
        engine.infer(inputs)
    times_ms = []
    for _ in range(runs):
        start_ns = time.perf_counter_ns()
        engine.infer(inputs)
        times_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
    engine.close()
    p50_ms, p95_ms = (float(v) for v in np.percentile(times_ms, [50, 95]))
    return LatencyInfo(p50_ms=p50_ms, p95_ms=p95_ms, n=runs)


class TfliteReference:
    """The TFLite interpreter behind the engines' contract: the reference for a converted network.

    Args:
        data: the bytes of the original ``.tflite`` file.
        outputs: name → shape of the outputs under the bundle's contract, in the model's order.
        pixels: least and greatest value of a pixel that it takes; the contract's are 0 and 1.
    """

    def __init__(
        self,
        data: bytes,
        outputs: Mapping[str, tuple[int, ...]],
        pixels: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        # TFLite's own kernels: an independent reference, and no delegate that writes to stderr.
        self._interpreter = Interpreter(
            model_content=data,
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._interpreter.allocate_tensors()
        _, height, width, _ = self._interpreter.get_input_details()[0]["shape"].tolist()
        float32 = np.dtype(np.float32)
        self.specs = EngineSpecs(
            inputs=(TensorSpec("image", float32, (1, 3, height, width)),),
            outputs=tuple(TensorSpec(name, float32, shape) for name, shape in outputs.items()),
        )
        self._shapes = dict(outputs)
        self._black, self._range = pixels[0], pixels[1] - pixels[0]

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run on ``image`` [1,3,H,W]; see :class:`deixis.runtime.engines.Engine`."""
        nhwc = np.ascontiguousarray(inputs["image"].transpose(0, 2, 3, 1))
        nhwc = nhwc * np.float32(self._range) + np.float32(self._black)
        self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], nhwc)
        self._interpreter.invoke()
        details = self._interpreter.get_output_details()
        return {
            name: self._interpreter.get_tensor(detail["index"]).reshape(shape)
            for (name, shape), detail in zip(self._shapes.items(), details, strict=True)
        }

    def close(self) -> None:
        """Release the interpreter."""
        del self._interpreter


def original_palm(wheel_folder: Path) -> TfliteReference:
    """BlazePalm full as MediaPipe ships it."""
    data = wheels.read_member(wheels.PALM_DETECTION, wheel_folder)
    return TfliteReference(data, {"boxes": (1, 2016, 18), "scores": (1, 2016)})


def original_hand(wheel_folder: Path) -> TfliteReference:
    """BlazeHand full as MediaPipe ships it."""
    points = (1, 21, 3)
    outputs = {"landmarks": points, "presence": (1,), "handedness": (1,), "world_landmarks": points}
    return TfliteReference(wheels.read_member(wheels.HAND_LANDMARK, wheel_folder), outputs)


def worst(so_far: float, got: Array, want: Array) -> float:
    """The larger of a difference so far and that of two arrays; NaN stays NaN."""
    # max() would drop a NaN on one side, np.maximum keeps it.
    return float(np.maximum(so_far, np.abs(got - want).max()))


def at_most(name: str, value: float, floor: float, n: int) -> MetricInfo:
    """A metric that must not exceed its floor."""
    return MetricInfo(name=name, value=value, floor=floor, better="lower", n=n)
