"""Voice detection, decoding and word times on the rendered episodes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from deixis.nodes.speech.moonshine import Moonshine, read_tokenizer
from deixis.nodes.speech.vad import VoiceActivity
from deixis.nodes.speech.wordtimes import expected_ms, spread
from deixis.runtime.bundle import Bundle
from deixis.runtime.errors import BundleError

from .conftest import Recording
from .helpers import RATE_HZ, utterance_audio


def test_end_of_speech_is_found_within_a_frame_or_two(recordings: dict[str, Recording]) -> None:
    errors_ms = []
    for name, recording in recordings.items():
        if name == "noise_10db":
            continue
        for utterance in recording.episode.truth.utterances:
            activity = VoiceActivity()
            first = round((utterance.start_s - 1.0) * RATE_HZ)
            last = round((utterance.end_s + 0.25) * RATE_HZ)
            for at in range(first, last, 320):
                activity.feed(recording.samples[at : at + 320])
            end = activity.last_speech(8_000)
            assert end is not None
            errors_ms.append((first + end) / 16 - utterance.end_s * 1000)
    assert np.percentile(np.abs(errors_ms), 90) <= 30


def test_the_end_in_noise_is_not_far_off(recordings: dict[str, Recording]) -> None:
    recording = recordings["noise_10db"]
    end_s = recording.episode.truth.utterances[0].end_s
    activity = VoiceActivity()
    for at in range(0, round((end_s + 0.3) * RATE_HZ), 320):
        activity.feed(recording.samples[at : at + 320])
    end = activity.last_speech(8_000)
    assert end is not None
    assert abs(end / RATE_HZ - end_s) < 0.12


@pytest.mark.parametrize(("hiss", "longer_ms"), [(True, 120.0), (False, 0.0)])
def test_a_final_hiss_is_speech_and_a_hum_as_loud_is_not(
    recordings: dict[str, Recording], hiss: bool, longer_ms: float
) -> None:
    """A final *s* 6 dB above a new noise is no silence yet; an echo's dull end is."""
    recording = recordings["pick_that"]
    end = round(recording.episode.truth.utterances[0].end_s * RATE_HZ)
    rng = np.random.default_rng(1)
    samples = np.concatenate([np.zeros(RATE_HZ), recording.samples[end - RATE_HZ : end]])
    samples = np.concatenate([samples, np.zeros(RATE_HZ // 2)])
    dull = np.convolve(rng.standard_normal(len(samples)), np.ones(8) / 8, "same")
    # The noise begins (a microphone is opened) shortly before the voice: what it is like is not
    # known well by the time that the voice ends.
    noise = 0.001 * dull / dull.std() * (np.arange(len(samples)) > 0.7 * RATE_HZ)
    bright = np.diff(rng.standard_normal(len(samples) + 1))
    tail = slice(2 * RATE_HZ, 2 * RATE_HZ + round(0.12 * RATE_HZ))
    more = np.zeros(len(samples))
    more[tail] = 0.002 * (bright / bright.std() if hiss else dull / dull.std())[tail]
    ends = []
    for sound in (samples + noise, samples + noise + more):
        activity = VoiceActivity()
        for at in range(0, 2 * RATE_HZ + round(0.2 * RATE_HZ), 320):
            activity.feed(sound[at : at + 320].astype(np.float32))
        ends.append(activity.last_speech(RATE_HZ) or 0)
    assert (ends[1] - ends[0]) / 16 == pytest.approx(longer_ms, abs=40.0)


def test_silence_and_noise_are_no_speech() -> None:
    activity = VoiceActivity()
    rng = np.random.default_rng(0)
    for level in (0.0, 0.003, 0.05):
        for _ in range(50):
            activity.feed((level * rng.standard_normal(320)).astype(np.float32))
        assert not activity.is_speech
    assert activity.last_speech(0) is None


def test_texts_of_the_episodes(moonshine: Moonshine, recordings: dict[str, Recording]) -> None:
    """Moonshine hears most sentences word for word (the grammar mends the rest)."""
    right = total = 0
    for recording in recordings.values():
        for index, utterance in enumerate(recording.episode.truth.utterances):
            text = moonshine.transcribe(utterance_audio(recording, index)).text
            heard = "".join(c for c in text.lower() if c.isalpha() or c == " ")
            right += heard == utterance.text
            total += 1
    assert right / total >= 0.75


def test_a_draft_changes_nothing_but_the_work(
    moonshine: Moonshine, recordings: dict[str, Recording]
) -> None:
    samples = utterance_audio(recordings["put_that_in_the_box"], 0)
    alone = moonshine.transcribe(samples)
    for draft in (alone.tokens, alone.tokens[:3], (5, 6, 7), (*alone.tokens, 300, 301)):
        again = moonshine.transcribe(samples, draft=draft)
        # A near tie (the punctuation at the end) can tip: activations are quantised per call.
        assert again.text.rstrip(".,") == alone.text.rstrip(".,")
        assert np.allclose(again.log_probs[:5], alone.log_probs[:5], atol=0.2)
    assert moonshine.transcribe(samples, draft=alone.tokens).n_calls <= 2
    assert alone.n_calls > 5


def test_scores_prefer_what_was_said(
    moonshine: Moonshine, recordings: dict[str, Recording]
) -> None:
    transcript = moonshine.transcribe(utterance_audio(recordings["put_that_in_the_box"], 0))
    assert transcript.text.startswith("Put that in the box")
    said, near, far = moonshine.score(["Put that in the box", "Put that in the bowl", "Turn left"])
    assert said > near > far
    # The same tokens, scored at once and one by one.
    assert said == pytest.approx(sum(transcript.log_probs[:5]), abs=0.5)


def test_doubts_are_small_for_what_was_nearly_written(
    moonshine: Moonshine, recordings: dict[str, Recording]
) -> None:
    transcript = moonshine.transcribe(utterance_audio(recordings["put_that_in_the_box"], 0))
    assert transcript.doubts is not None
    assert transcript.doubts.shape[0] == len(transcript.text.split())
    assert (transcript.doubts >= 0).all()
    assert transcript.doubts.min(axis=1).max() < 0.5


@pytest.mark.parametrize("n", [0, 100, 3_000])
def test_hardly_any_audio(moonshine: Moonshine, n: int) -> None:
    transcript = moonshine.transcribe(np.zeros(n, np.float32))
    assert len(transcript.tokens) <= 8


def test_a_cut_off_tokenizer_is_an_error(bundle: Bundle, tmp_path: Path) -> None:
    data = bundle.file_path("tokenizer").read_bytes()
    assert len(read_tokenizer(bundle.file_path("tokenizer"))) == 32_768
    (tmp_path / "tokenizer.bin").write_bytes(data[:-1])
    with pytest.raises(BundleError, match="cut off"):
        read_tokenizer(tmp_path / "tokenizer.bin")


def test_words_are_spread_in_order_around_pauses() -> None:
    levels = np.full(100, -20.0)
    levels[40:60] = -70.0
    spans = spread(["pick", "up", "that"], levels, levels < -60)
    assert spans[0].start == 0
    assert spans[-1].end == 100
    for before, after in itertools.pairwise(spans):
        assert before.start < before.end <= after.start
    # The pause belongs to no word.
    assert any(a.end <= 40 and b.start >= 60 for a, b in itertools.pairwise(spans))
    assert expected_ms("bottle") > expected_ms("it")


@pytest.mark.parametrize(("n_words", "n_frames"), [(0, 10), (3, 0), (5, 2), (1, 1)])
def test_degenerate_spreads(n_words: int, n_frames: int) -> None:
    spans = spread(["go"] * n_words, np.zeros(n_frames), np.zeros(n_frames, np.bool_))
    assert len(spans) == n_words
    assert all(0 <= s.start <= s.end <= n_frames for s in spans)
