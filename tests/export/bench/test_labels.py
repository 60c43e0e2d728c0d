"""Labels are read, and every mistake in them is one error that names the file and the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deixis.export.bench.labels import load_labels
from deixis.runtime.errors import ConfigError, DeixisError, MediaError


def folder_with(path: Path, labels: Any) -> Path:
    (path / "a.wav").write_bytes(b"")
    (path / "labels.json").write_text(labels if isinstance(labels, str) else json.dumps(labels))
    return path


def test_a_label_may_have_keys_that_nobody_knows(tmp_path):
    entry = {
        "intent": "pick",
        "slots": {"object": "red cup"},
        "words": [["pick", 0.1, 0.4]],
        "speech_end_s": 1,
        "mood": "bad",
    }
    (recording,) = load_labels(folder_with(tmp_path, {"a.wav": entry}))
    assert recording.path == tmp_path / "a.wav"
    assert recording.label.in_domain
    assert recording.label.speech_end_s == 1.0
    assert recording.label.words == (("pick", 0.1, 0.4),)


@pytest.mark.parametrize("intent", ["none", None])
def test_none_means_that_nothing_may_be_accepted(tmp_path, intent):
    (recording,) = load_labels(folder_with(tmp_path, {"a.wav": {"intent": intent}}))
    assert not recording.label.in_domain


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        ("{", ["labels.json", "JSON"]),
        ([], ["labels.json", "object"]),
        ({}, ["labels.json", "no file"]),
        ({"a.wav": "pick"}, ["a.wav", "object"]),
        ({"a.wav": {}}, ["a.wav", "intent"]),
        ({"a.wav": {"intent": ""}}, ["a.wav", "intent"]),
        ({"a.wav": {"intent": 3}}, ["a.wav", "intent"]),
        ({"a.wav": {"intent": "pick", "slots": {"object": 3}}}, ["a.wav", "slots"]),
        ({"a.wav": {"intent": "none", "slots": {"object": "cup"}}}, ["a.wav", "slots"]),
        ({"a.wav": {"intent": "pick", "text": 3}}, ["a.wav", "text"]),
        ({"a.wav": {"intent": "pick", "speech_end_s": "late"}}, ["a.wav", "speech_end_s"]),
        ({"a.wav": {"intent": "pick", "words": [["pick", 0.1]]}}, ["a.wav", "words"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path, labels, parts):
    with pytest.raises(ConfigError) as caught:
        load_labels(folder_with(tmp_path, labels))
    assert all(part in str(caught.value) for part in parts)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(MediaError, match=r"b\.flac"):
        load_labels(folder_with(tmp_path, {"b.flac": {"intent": "pick"}}))
    with pytest.raises(DeixisError, match=r"nowhere/labels\.json"):
        load_labels(tmp_path / "nowhere")


def test_a_limit_takes_files_from_all_over_the_list(tmp_path):
    names = [f"{i}.wav" for i in range(10)]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    folder_with(tmp_path, {name: {"intent": "pick"} for name in names})
    assert [r.name for r in load_labels(tmp_path, limit=2)] == ["0.wav", "5.wav"]
    assert len(load_labels(tmp_path, limit=99)) == 10


def test_the_coffee_commands_can_be_read(shared_data):
    recordings = load_labels(shared_data / "coffee_commands")
    assert len(recordings) == 323
    assert {r.label.intent for r in recordings} == {"orderDrink"}
