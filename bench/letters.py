"""Trains the letter recogniser on the speech encoder's frames.

    python -m bench.letters --data /tmp/corpora/letters --out export/train/letters.npz

Every recording is heard several times: as it is, and in rooms, bands, levels and noises of many
kinds, since what the letters are for is to hear a sentence where the decoder fails. The voices in
``JUDGES`` are never trained on; the share of wrong letters is that of theirs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import soundfile
import torch
from jellyfish import levenshtein_distance
from numpy.typing import NDArray
from torch import Tensor

from bench.corpora.effects import hum, impulse_response, motor, pink, reverberant, telephone, white
from bench.corpora.voices import RATE_HZ, Samples
from deixis.export.models.letters import LetterHead
from deixis.nodes.speech.letters import SYMBOLS, symbols_of
from tests.scenes.sound import kitchen

JUDGES = ("kokoro:dan", "flite:rms", "espeak:en-us+m3")
SEED = 7
N_VARIANTS = 6
NOISE_S = 20
N_NOISES = 6
TAIL = RATE_HZ // 10
"""Zeros behind every window, as in the recogniser."""
EPOCHS = 24
BATCH = 192
RATE = 2e-3
Array = NDArray[Any]


class Example(NamedTuple):
    """The encoder's frames of one window, and the symbols that were said."""

    frames: Array
    symbols: Array
    judge: bool
    clean: bool


class Ear:
    """Hears recordings through the encoder, each in several ways.

    Args:
        encoder: The model.
        babble: Recordings that other people's talk is made of.
    """

    def __init__(self, encoder: str, babble: Sequence[Path]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(encoder, options)
        rng = np.random.default_rng(SEED)
        count = NOISE_S * RATE_HZ
        makers: list[Callable[[], Array]] = [
            lambda: white(rng, count),
            lambda: pink(rng, count),
            lambda: motor(rng, count),
            lambda: hum(rng, count),
            lambda: kitchen(count, int(rng.integers(2**31))),
            lambda: _babble(rng, babble, count),
            lambda: _babble(rng, babble, count),
        ]
        self._noises = [make().astype(np.float32) for make in makers for _ in range(N_NOISES)]

    def hear(self, path: Path, label: dict[str, Any], seed: int) -> list[Example]:
        """A recording, as it is and in other ways."""
        rng = np.random.default_rng([SEED, seed])
        samples, _ = soundfile.read(path, dtype="float32")
        symbols = np.array(symbols_of(label["text"]), np.int64)
        judge = label["voice"] in JUDGES
        examples = []
        for variant in range(N_VARIANTS):
            first = max(0, round((label["speech_start_s"] - rng.uniform(0.1, 0.5)) * RATE_HZ))
            last = round((label["speech_end_s"] + rng.uniform(0.02, 0.3)) * RATE_HZ)
            window = samples[first:last] / np.abs(samples).max()
            if variant:
                window = self._changed(window, rng)
            window = window * 10 ** (rng.uniform(-30, -4) / 20)
            window = np.pad(window - window.mean(), (0, TAIL)).astype(np.float32)
            mask = np.ones((1, len(window)), np.int64)
            feeds = {"input_values": window[None], "attention_mask": mask}
            frames = self._session.run(None, feeds)[0][0]
            if len(frames) >= 2 * len(symbols) + 1:
                examples.append(Example(frames.astype(np.float16), symbols, judge, variant == 0))
        return examples

    def _changed(self, window: Samples, rng: np.random.Generator) -> Samples:
        if rng.random() < 0.35:
            response = impulse_response(rng, rng.uniform(0.15, 0.7), rng.uniform(-3, 9))
            window = reverberant(window, response)[: len(window)]
            window /= np.abs(window).max() + 1e-6
        if rng.random() < 0.1:
            low = telephone(window)
            window = np.repeat(low, 2)[: len(window)]
        if rng.random() < 0.8:
            noise = self._noises[int(rng.integers(len(self._noises)))]
            at = int(rng.integers(max(1, len(noise) - len(window))))
            piece = np.resize(noise[at : at + len(window)], len(window))
            power = float(np.mean(window**2) / (np.mean(piece**2) + 1e-12))
            window = window + piece * np.float32(np.sqrt(power) * 10 ** (-rng.uniform(0, 25) / 20))
        return window


def _babble(rng: np.random.Generator, paths: Sequence[Path], count: int) -> Array:
    """Several people talking at once."""
    out = np.zeros(count)
    for _ in range(int(rng.integers(1, 6))):
        at = 0
        while at < count:
            samples, _ = soundfile.read(paths[int(rng.integers(len(paths)))], dtype="float32")
            piece = samples[: count - at]
            out[at : at + len(piece)] += piece
            at += len(samples) // 2
    return out


_ear: Ear


def _open_ear(encoder: str, babble: Sequence[Path]) -> None:
    global _ear  # One for every process of the pool.
    _ear = Ear(encoder, babble)


def _hear(job: tuple[Path, dict[str, Any], int]) -> list[Example]:
    return _ear.hear(*job)


def examples(folders: Sequence[Path], encoder: Path) -> Iterator[Example]:
    """Everything that was said in the folders, as heard."""
    jobs: list[tuple[Path, dict[str, Any], int]] = []
    for folder in folders:
        labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        jobs += [(folder / name, label, len(jobs) + i) for i, (name, label) in
                 enumerate(labels.items()) if label.get("text")]  # fmt: skip
    babble = [path for path, label, _ in jobs if label["voice"] not in JUDGES][:400]
    context = multiprocessing.get_context("spawn")
    with context.Pool(os.cpu_count(), _open_ear, (str(encoder), babble)) as pool:
        since = time.monotonic()
        for done, heard in enumerate(pool.imap_unordered(_hear, jobs, chunksize=8), 1):
            yield from heard
            if done % 500 == 0:
                print(f"heard {done} of {len(jobs)}, {time.monotonic() - since:.0f} s", flush=True)


class Pile:
    """Examples on the device, in batches of about the same length."""

    def __init__(self, heard: Sequence[Example], device: str) -> None:
        order = sorted(range(len(heard)), key=lambda i: len(heard[i].frames))
        self.batches = [
            _batch([heard[i] for i in order[k : k + BATCH]], device)
            for k in range(0, len(order), BATCH)
        ]


def _batch(heard: Sequence[Example], device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    lengths = [len(e.frames) for e in heard]
    frames = np.zeros((len(heard), max(lengths), heard[0].frames.shape[1]), np.float16)
    for k, e in enumerate(heard):
        frames[k, : lengths[k]] = e.frames
    symbols = np.concatenate([e.symbols for e in heard])
    counts = [len(e.symbols) for e in heard]
    tensors = (frames, np.array(lengths), symbols, np.array(counts))
    a, b, c, d = (torch.from_numpy(t).to(device) for t in tensors)
    return a, b, c, d


def train(heard: Sequence[Example], device: str, epochs: int) -> LetterHead:
    """Train a head; the examples of the judges are left out."""
    torch.manual_seed(SEED)
    pile = Pile([e for e in heard if not e.judge], device)
    judges = {
        "quiet": Pile([e for e in heard if e.judge and e.clean], device),
        "noisy": Pile([e for e in heard if e.judge and not e.clean], device),
    }
    model = LetterHead().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=1e-2)
    total = epochs * len(pile.batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2 * RATE, total_steps=total)
    ctc = torch.nn.CTCLoss(zero_infinity=True)
    rng = np.random.default_rng(SEED)
    for epoch in range(epochs):
        model.train()
        losses = []
        for k in rng.permutation(len(pile.batches)):
            frames, lengths, symbols, counts = pile.batches[k]
            log_probs = model(frames.float()).transpose(0, 1)
            loss = ctc(log_probs, symbols, lengths, counts)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        if epoch % 4 == 3 or epoch == epochs - 1:
            wrong = {name: wrong_letters(model, p) for name, p in judges.items() if p.batches}
            shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in wrong.items())
            print(
                f"epoch {epoch + 1}: loss {np.mean(losses):.3f}; wrong letters {shares}", flush=True
            )
    return model.cpu().eval()


@torch.no_grad()
def wrong_letters(model: LetterHead, pile: Pile) -> float:
    """Share of letters that the best path gets wrong (edit distance)."""
    model.eval()
    wrong = total = 0
    for frames, lengths, symbols, counts in pile.batches:
        best = model(frames.float()).argmax(dim=-1).cpu().numpy()
        said = np.split(symbols.cpu().numpy(), np.cumsum(counts.cpu().numpy())[:-1])
        for row, length, wanted in zip(best, lengths.tolist(), said, strict=True):
            path = row[:length]
            got = path[(path != np.append(-1, path[:-1])) & (path != 0)]
            wrong += levenshtein_distance(_text(got), _text(wanted))
            total += len(wanted)
    return wrong / max(1, total)


def _text(symbols: Array) -> str:
    return "".join(SYMBOLS[k] for k in symbols)


def main(argv: Sequence[str] | None = None) -> int:
    """Hear, train, write the weights."""
    parser = argparse.ArgumentParser(prog="python -m bench.letters", description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of recordings")
    encoder = Path("bundles/cpu/models/speech_encoder.ort")
    parser.add_argument("--encoder", type=Path, default=encoder, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, required=True, help="the weights, an .npz file")
    args = parser.parse_args(argv)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    heard = list(examples(args.data, args.encoder))
    n_frames = sum(len(e.frames) for e in heard)
    print(f"{len(heard)} examples, {n_frames} frames; {len(SYMBOLS)} symbols; training on {device}")
    model = train(heard, device, args.epochs)
    state = {name: t.numpy().astype(np.float16) for name, t in model.state_dict().items()}
    np.savez_compressed(args.out, **state)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
