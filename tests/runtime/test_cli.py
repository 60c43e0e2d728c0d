"""The command line: help, exit codes, errors as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deixis.__main__ import main
from deixis.runtime.registry import verb_module, verb_names


@pytest.fixture(autouse=True)
def own_run_dir(tmp_path: Path, monkeypatch):
    """No test meets a daemon that runs on this machine."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_every_verb_has_help_with_an_example(capsys):
    assert {"run", "command", "demo", "export", "status", "doctor", "profile", "graph"} <= set(
        verb_names()
    )
    for name in verb_names():
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        text = capsys.readouterr().out
        assert verb_module(name).EXAMPLE in text
        assert "--json" in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["frobnicate"], 2, "frobnicate"),
        (["graph"], 2, "graph"),
        (["graph", "nowhere.yaml"], 1, "there is no graph file nowhere.yaml"),
        (["run", "demo", "--bundle", "nowhere"], 1, "there is no bundle at"),
        (["command"], 2, "give either a sentence or --wav"),
        (["command", "stop", "--point-at", "1,2"], 2, "not x,y,z"),
        (["command", "--wav", "a.wav", "--point-at", "1,2,3"], 2, "goes with a typed sentence"),
        (["command", "stop", "--video", "a.mp4"], 2, "--video goes with --wav"),
        (["command", "stop", "--talk", "2"], 2, "give either a sentence or --wav"),
        (["command", "--talk", "0"], 2, "not a time in seconds"),
        (["command", "--wav", "nowhere.wav"], 1, "there is no file nowhere.wav"),
        (["command", "stop"], 1, "no daemon runs in"),
        (["status"], 1, "no daemon runs in"),
        (["demo", "--episodes", "nowhere", "--bundle", "nowhere"], 1, "there is no bundle"),
    ],
)
def test_bad_input_is_one_clear_error(arguments, code, message, capsys):
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("deixis: ")
    assert "Traceback" not in captured.err


def test_errors_as_json(capsys):
    assert main(["status", "--json"]) == 1
    error = json.loads(capsys.readouterr().out)
    assert error["kind"] == "DaemonError"
    assert "deixis run" in error["hint"]


def test_graph_shows_the_connections(capsys):
    assert main(["graph", "demo", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {"from": "fusion/command", "to": "robot/command"}.items() <= next(
        link for link in shown["links"] if link["topic"] == "command"
    ).items()


def test_doctor_names_what_is_missing(tmp_path: Path, capsys):
    assert main(["doctor", "--json", "--bundle", str(tmp_path)]) == 1
    findings = {f["what"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert findings["bundle"]["state"] == "wrong"
    assert "deixis export all" in findings["bundle"]["mend"]
    assert findings["OpenCV"]["state"] == "ok"
