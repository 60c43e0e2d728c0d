from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.corpora import effects, pauses
from bench.corpora.audio_packages import PACKAGES
from bench.corpora.corpus import Corpus
from bench.corpora.interruptions import EXTENSIONS, NEAR_MISSES, SECOND_THOUGHTS
from bench.corpora.phrases import FRAMES, OUT_OF_DOMAIN
from bench.corpora.sentences import Line, commands, others, without_article
from bench.corpora.spoken import command_lines, turn
from bench.corpora.voices import RATE_HZ, VOICES, Program, Spoken, VoiceMissing, espeak, flite
from deixis.nodes.speech.domain import load_domain


class Beeps:
    """A voice that says every word as 0.2 s of tone, without gaps."""

    def say(self, text: str) -> Spoken:
        words = text.split()
        tone = np.sin(2 * np.pi * 440 * np.arange(len(words) * 3200) / RATE_HZ)
        times = tuple((w, 0.2 * i, 0.2 * (i + 1)) for i, w in enumerate(words))
        return Spoken(tone.astype(np.float32), times)


def test_the_frames_cover_every_intent_of_the_domain() -> None:
    # A lesson ("this is a cup") counts only with a hand that points: no recording can tell.
    assert {frame.intent for frame in FRAMES} == set(load_domain("tabletop").intents) - {"teach"}


def test_sentences_are_the_same_every_time_and_of_one_group_only() -> None:
    dev, held = command_lines("dev"), command_lines("held")
    assert dev == command_lines("dev")
    assert not {line.text for line in dev} & {line.text for line in held}
    assert not set(OUT_OF_DOMAIN["dev"]) & set(OUT_OF_DOMAIN["held"])
    assert not set(NEAR_MISSES["dev"]) & set(NEAR_MISSES["held"])


@pytest.mark.parametrize("group", ["dev", "held"])
def test_slots_are_words_of_the_sentence_without_article(group: str) -> None:
    lines = [*commands(5, 300), *SECOND_THOUGHTS[group], *EXTENSIONS[group]]  # type: ignore[index]
    for line in lines:
        for value in line.slots.values():
            assert f" {value} " in f" {line.text} "
            assert value == without_article(value)
        assert " ".join(line.parts) == line.text


def test_what_is_no_command_has_no_slots() -> None:
    assert all(x.intent == "none" and not x.slots for held in (False, True) for x in others(held))


def test_the_voices_of_the_groups_differ() -> None:
    assert not set(VOICES["dev"]) & set(VOICES["held"])


def test_voices_take_turns() -> None:
    spoken = [name for index in range(9) for name in turn(list("abcde"), index, 2)]
    assert {spoken.count(name) for name in "abcde"} <= {3, 4}


def test_labels_say_where_speech_starts_and_ends(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path, {"x": "apt-get install x"})
    rng = np.random.default_rng(1)
    line = Line("pick up that", "pick", {"object": "that"})
    corpus.say(line, Beeps().say(line.text), "beeps", rng)
    corpus.close()
    ((name, label),) = json.loads((tmp_path / "labels.json").read_text()).items()
    samples, rate_hz = soundfile.read(tmp_path / name)
    loud = np.flatnonzero(np.abs(samples) > 0.02)
    assert rate_hz == RATE_HZ
    assert label["intent"] == "pick"
    assert label["slots"] == {"object": "that"}
    assert loud[0] / RATE_HZ == pytest.approx(label["speech_start_s"], abs=0.005)
    assert loud[-1] / RATE_HZ == pytest.approx(label["speech_end_s"], abs=0.005)
    assert label["words"][2][0] == "that"
    assert label["words"][2][2] == pytest.approx(label["speech_end_s"])
    assert json.loads((tmp_path / "report.json").read_text())["voices_missing"]["x"]


@pytest.mark.parametrize("apart", [True, False])
def test_a_pause_moves_the_words_after_it(apart: bool) -> None:
    line = Line("put that over there", "place", parts=("put that", "over there"))
    spoken, gaps = pauses._paused(Beeps(), line, np.random.default_rng(3), apart)
    ((start_s, end_s),) = gaps
    silent = spoken.samples[round(start_s * RATE_HZ) + 1 : round(end_s * RATE_HZ) - 1]
    assert pauses.PAUSES_S[0] - 0.001 <= end_s - start_s <= pauses.PAUSES_S[1] + 0.001
    assert not silent.any()
    assert spoken.words[1][2] <= start_s + 0.03
    assert spoken.words[2][1] >= end_s - 0.03
    assert len(spoken.samples) / RATE_HZ == pytest.approx(0.8 + end_s - start_s, abs=0.001)
    assert spoken.words[-1][2] == pytest.approx(len(spoken.samples) / RATE_HZ, abs=0.001)


def test_noise_is_as_loud_as_asked() -> None:
    rng = np.random.default_rng(1)
    speech = Beeps().say("a b c d e").samples
    mixed = effects.noisy(0.1 * speech, 0, 1, effects.motor(rng, len(speech)), 12)
    noise = mixed - 0.1 * speech
    ratio_db = 10 * np.log10(np.mean((0.1 * speech) ** 2) / np.mean(noise**2))
    assert ratio_db == pytest.approx(12, abs=0.1)


def test_a_room_decays_in_its_time() -> None:
    response = effects.impulse_response(np.random.default_rng(1), 0.6, 0)
    left = np.cumsum(response[::-1] ** 2)[::-1]
    at = [int(np.argmax(10 * np.log10(left / left[100]) < level)) for level in (-5, -35)]
    assert 2 * (at[1] - at[0]) / RATE_HZ == pytest.approx(0.6, rel=0.1)
    late = np.sum(response[1:] ** 2)
    assert 10 * np.log10(response[0] ** 2 / late) == pytest.approx(0, abs=0.1)


def test_clipping_telephone_and_shout() -> None:
    speech = Beeps().say("a b c").samples
    assert np.mean(np.abs(effects.clipped(speech, 12)) > 0.99) > 0.5
    assert len(effects.telephone(speech)) == len(speech) // 2
    assert np.abs(effects.shouted(speech)).max() < 1


@pytest.mark.parametrize(
    ("program", "voice"), [("flite", flite("slt")), ("espeak-ng", espeak("en-us"))]
)
def test_a_synthesiser_speaks_the_same_every_time(program: str, voice: Program) -> None:
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    first, second = voice.say("put that there"), voice.say("put that there")
    assert np.array_equal(first.samples, second.samples)
    assert 0.4 < len(first.samples) / RATE_HZ < 2.5
    assert np.abs(first.samples).max() == pytest.approx(1)


def test_a_missing_synthesiser_names_its_package() -> None:
    with pytest.raises(VoiceMissing, match="apt-get install nothing-of-the-kind"):
        Program(("no-such-synthesiser", "{wav}"), "nothing-of-the-kind").say("hello")


def test_every_package_has_a_licence() -> None:
    assert all(PACKAGES.values())
