"""Teaching a robot that runs: the daemon, one process a node, real models, a still camera."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deixis.runtime.bundle import Bundle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[3]
SCENES = ROOT / "tests" / "scenes"
KNOWN_WITHIN_S = 20.0


class Robot:
    """A daemon with a gallery of its own, and the command line that talks to it."""

    def __init__(self, run_folder: Path, gallery: Path, bundle: Bundle) -> None:
        self._environment = {**os.environ, "XDG_RUNTIME_DIR": str(run_folder)}
        self._models = ("--bundle", str(bundle.root))
        self.gallery = gallery
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deixis", "run", "demo", *self._models,
             "--set", f"objects.gallery={gallery}"],
            cwd=ROOT, env=self._environment, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while self.call("status").returncode:
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            assert time.monotonic() < deadline, "the daemon is not ready"
            time.sleep(0.2)
        # The still picture of the table needs a moment to become a scene.
        time.sleep(2.0)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deixis", *words],
            cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False,
            timeout=100,
        )  # fmt: skip

    def objects(self, *words: str) -> subprocess.CompletedProcess[str]:
        models = () if words[0] == "forget" else self._models
        return self.call("objects", *words, "--gallery", str(self.gallery), *models)

    def understands(self, sentence: str) -> dict[str, object] | None:
        """The action that a sentence leads to, within the time in which a name must be known."""
        deadline = time.monotonic() + KNOWN_WITHIN_S
        while time.monotonic() < deadline:
            said = json.loads(self.call("command", sentence, "--json").stdout)
            outcome = next(iter(said.get("outcomes", [])), {})
            if outcome.get("action"):
                return outcome["action"]
            time.sleep(0.3)
        return None

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=15)


@pytest.fixture(scope="module")
def robot(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    gallery = tmp_path_factory.mktemp("gallery") / "taught"
    shutil.copytree(SCENES / "gallery", gallery)
    robot = Robot(tmp_path_factory.mktemp("run"), gallery, bundle)
    yield robot
    robot.close()


def test_a_name_from_the_command_line_can_be_said_at_once(robot: Robot) -> None:
    refused = json.loads(robot.call("command", "look at the gizmo", "--json").stdout)
    assert not refused["outcomes"][0].get("action")
    assert robot.objects("forget", "bottle").returncode == 0
    views = [str(SCENES / "gallery" / "green_bottle" / f"{i}.png") for i in (0, 1, 3)]
    taught = robot.objects("teach", "gizmo", "--image", *views)
    assert taught.returncode == 0, taught.stderr
    action = robot.understands("look at the gizmo")
    assert action is not None
    assert "gizmo" in str(action["object"])


def test_what_it_is_told_by_name_can_be_said_at_once(robot: Robot) -> None:
    truth = json.loads((SCENES / "episodes" / "red_cup_no_gesture" / "truth.json").read_text())
    # The still picture that the demo graph shows is the first frame of this episode.
    bottle = next(o for o in truth["objects"] if o["name"] == "bottle")
    point = ",".join(str(v) for v in bottle["position_base_m"])
    told = json.loads(
        robot.call("command", "this is called a thermos", "--point-at", point, "--json").stdout
    )
    index = json.loads((robot.gallery / "gallery.json").read_text())
    assert [t for t, entry in index.items() if entry["names"] == ["thermos"]], told
    action = robot.understands("look at the thermos")
    assert action is not None
    assert "thermos" in str(action["object"])
