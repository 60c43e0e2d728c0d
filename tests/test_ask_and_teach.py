"""Questions about the table and names given by voice, through a daemon with real models."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deixis.runtime.bundle import Bundle
from deixis.runtime.control import Client
from deixis.runtime.replay import running_daemon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
SCENES = Path(__file__).resolve().parent / "scenes"
AT_THE_BOWL = ("--point-at", "0.5,0.0,0")


@pytest.fixture(scope="module")
def client(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The demo's graph with a gallery that may be written to."""
    gallery = tmp_path_factory.mktemp("own") / "gallery"
    shutil.copytree(SCENES / "gallery", gallery)
    with running_daemon("demo", bundle.root, [f"objects.gallery={gallery}"]) as running:
        yield running


def say(client: Client, *arguments: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "deixis", "command", *arguments, "--json",
         "--name", client.run_dir.name],
        env=dict(os.environ), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout, done.stderr
    (outcome,) = json.loads(done.stdout)["outcomes"]
    return dict(outcome)


def test_ask_teach_and_use_the_name(client: Client) -> None:
    asked = say(client, "what is that", *AT_THE_BOWL)
    assert asked["outcome"] == "answer"
    assert str(asked["answer"]).startswith("That is a yellow bowl")
    assert asked["action"] is None
    taught = say(client, "this is called a beaker", *AT_THE_BOWL)
    assert (taught["outcome"], taught["answer"]) == ("answer", "Learnt: beaker."), taught
    again = say(client, "what is that", *AT_THE_BOWL)
    assert str(again["answer"]).startswith("That is a yellow beaker")
    picked = say(client, "pick up the beaker")
    assert (picked["outcome"], picked["intent"]) == ("act", "pick")
