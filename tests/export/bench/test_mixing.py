"""Noise is mixed in at the level that the published comparison means."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from deixis.export.bench.mixing import (
    LEAD_S,
    RATE_HZ,
    TAIL_S,
    estimated_end_s,
    loudest_energy,
    mix,
    surrounded,
)


def tone(count: int, level: float = 0.3) -> np.ndarray:
    envelope = np.sin(np.linspace(0.0, np.pi, count)) ** 2
    return (level * envelope * np.sin(0.2 * np.arange(count))).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    snr_db=st.floats(-6.0, 30.0),
    count=st.integers(500, 40_000),
    noise_count=st.integers(3_000, 60_000),
    seed=st.integers(0, 1000),
)
def test_the_loudest_frames_are_apart_by_the_snr(snr_db, count, noise_count, seed):
    rng = np.random.default_rng(seed)
    speech = tone(count)
    noise = rng.standard_normal(noise_count).astype(np.float32)
    lead, tail = 700, 900
    mixed = mix(speech, noise, snr_db, rng, lead, tail)
    assert mixed.shape == (lead + count + tail,)
    assert np.isclose(np.abs(mixed).max(), 0.5, atol=1e-6)
    total = lead + count + tail
    spoken = np.pad(speech, (lead, tail)).astype(np.float64)
    # Before the speech there is noise alone: it tells which piece was cut, and how it was scaled.
    places = (np.arange(noise_count)[:, None] + np.arange(32)) % noise_count
    pieces = noise[places].astype(np.float64)
    gains = pieces @ mixed[:32] / np.square(pieces).sum(axis=1)
    start = int(np.abs(gains[:, None] * pieces - mixed[:32]).max(axis=1).argmin())
    gain = gains[start]
    piece = noise[(start + np.arange(total)) % noise_count].astype(np.float64)
    rest = mixed - gain * piece
    scale = rest @ spoken / (spoken @ spoken)
    assert np.allclose(rest, scale * spoken, atol=1e-5)
    during = (gain * piece)[lead : lead + count].astype(np.float32)
    said = (scale * speech).astype(np.float32)
    ratio_db = 10.0 * np.log10(loudest_energy(said) / loudest_energy(during))
    assert abs(ratio_db - snr_db) < 0.05


def test_runs_repeat_and_files_and_levels_differ():
    noise = np.random.default_rng(1).standard_normal(400_000).astype(np.float32)
    speech = tone(16_000)
    again = [surrounded("a.wav", speech, noise, 6.0) for _ in range(2)]
    assert np.array_equal(again[0], again[1])
    assert not np.array_equal(again[0], surrounded("b.wav", speech, noise, 6.0))
    assert not np.allclose(again[0][:100], surrounded("a.wav", speech, noise, 9.0)[:100])


def test_a_clean_recording_is_left_as_it_is_between_quiet():
    speech = tone(16_000)
    samples = surrounded("a.wav", speech)
    lead = int(LEAD_S * RATE_HZ)
    assert len(samples) == lead + 16_000 + int(TAIL_S * RATE_HZ)
    assert np.abs(samples[lead : lead + 16_000] - speech).max() < 0.001
    assert 0.0 < np.abs(samples[:lead]).max() < 0.001


def test_silence_as_noise_or_speech_does_no_harm():
    rng = np.random.default_rng(0)
    silence = np.zeros(4000, np.float32)
    assert np.isfinite(mix(tone(4000), silence, 6.0, rng)).all()
    assert not mix(silence, silence, 6.0, rng).any()


def test_the_end_of_the_speech_is_found_in_the_level():
    rng = np.random.default_rng(0)
    for background in (0.0003, 0.01):
        samples = background * rng.standard_normal(32_000).astype(np.float32)
        samples[8_000:20_000] += 0.3 * np.sin(0.2 * np.arange(12_000)).astype(np.float32)
        assert abs(estimated_end_s(samples) - 1.25) <= 0.02
