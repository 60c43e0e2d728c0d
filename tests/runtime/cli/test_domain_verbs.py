"""``run --domain``, ``models`` and ``doctor``: the domain and the models as a user meets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deixis.__main__ import main
from deixis.runtime.bundle import Bundle
from deixis.runtime.cli.run import domain_settings, domains_of
from deixis.runtime.errors import UsageError
from deixis.runtime.graph import find_graph, load_graph

COFFEE = Path(__file__).resolve().parents[3] / "examples" / "domains" / "coffee.yaml"

WRONG = """\
language: en
intents:
  order:
    sentences:
      - "get {drink}"
"""


@pytest.fixture(autouse=True)
def own_run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test meets a daemon that runs on this machine."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_a_domain_file_reaches_the_speech_node_as_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "with space: and colon"
    folder.mkdir()
    shutil.copy(COFFEE, folder / "mine.yaml")
    monkeypatch.chdir(folder)
    path = find_graph("demo")
    graph = load_graph(path, domain_settings(path, "mine.yaml"))
    assert domains_of(graph) == [str(folder / "mine.yaml")]
    assert domains_of(load_graph(path, domain_settings(path, "tabletop"))) == ["tabletop"]
    assert domain_settings(path, None) == []


def test_set_has_the_last_word() -> None:
    path = find_graph("demo")
    settings = [*domain_settings(path, str(COFFEE)), "speech.domain=tabletop"]
    assert domains_of(load_graph(path, settings)) == ["tabletop"]


def test_a_graph_without_speech_has_no_domain(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text("name: camera\nnodes:\n  - {id: camera, node: camera}\n")
    with pytest.raises(UsageError, match="has no speech node"):
        domain_settings(path, "tabletop")


def test_a_wrong_domain_stops_run_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG)
    assert main(["run", "demo", "--domain", str(path), "--bundle", "nowhere"]) == 1
    assert f"{path}:5: intent 'order': 'get {{drink}}': unknown list" in capsys.readouterr().err


def test_models_shows_bundle_and_domain(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["models", "--bundle", str(bundle.root), "--domain", str(COFFEE)]
    assert main([*arguments, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    models = {m["role"]: m for m in shown["bundle"]["models"]}
    assert set(models) == set(bundle.manifest.models)
    assert all(m["sha256_ok"] and m["mb"] > 0 for m in models.values())
    assert models["palm_detector"]["checks"][0]["floor"] == 0.5
    domain = shown["domain"]
    assert (domain["name"], domain["intents"], domain["path"]) == (
        "coffee", ["orderDrink"], str(COFFEE),
    )  # fmt: skip
    assert domain["warnings"] == []
    assert domain["words"] > 50
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "speech_encoder" in text
    assert "orderDrink" in text


def test_models_finds_a_file_that_has_changed(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle.root, copy)
    file = copy / bundle.model("palm_detector").file.path
    file.chmod(0o644)
    with file.open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"changed")
    assert main(["models", "--bundle", str(copy), "--json"]) == 1
    models = json.loads(capsys.readouterr().out)["bundle"]["models"]
    assert [m["role"] for m in models if not m["sha256_ok"]] == ["palm_detector"]


def test_doctor_checks_the_domain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(WRONG.replace("{drink}", "tea") + "expansion_rules: {unused: x}\n")
    main(["doctor", "--domain", str(path), "--json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    states = [(f["state"], f["detail"]) for f in found if f["what"] == "domain"]
    assert states == [
        ("ok", f"{path}, 1 intent, 1 template, 2 words, 2 arcs"),
        ("optional", f"{path}:6: expansion rule <unused> is in no sentence"),
    ]
    path.write_text(WRONG)
    assert main(["doctor", "--domain", str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert "unknown list {drink}" in next(f["detail"] for f in found if f["what"] == "domain")
