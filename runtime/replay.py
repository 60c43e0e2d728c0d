"""Plays episodes through a running graph in real time and collects what became of each command.

with running_daemon("demo", Path("bundles/cpu")) as client:
    player = EpisodePlayer(client)
    played = player.play(Episode.load(Path("tests/scenes/episodes/pick_that")))
    print(played.taken, played.problems)
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deixis.runtime import messages as m
from deixis.runtime import topics
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.control import Client, Status, Tap, run_dir
from deixis.runtime.episodes import Episode, ExpectedAction, TakenAction, mismatch
from deixis.runtime.errors import DaemonError
from deixis.runtime.graph import find_graph, read_graph
from deixis.runtime.metrics import Summary, summarise
from deixis.runtime.registry import node_class
from deixis.runtime.trace import END_TO_END, SPEECH_END, STAGES, stages_ms, with_mark

LISTENED = (topics.SPEECH, topics.RESOLUTION, topics.FEEDBACK, topics.SCENE)
_FINAL_STATES = ("refused", "done", "failed", "cancelled", "stopped")
_SETTLE_MS = 300.0


@dataclass
class Outcome:
    """One utterance, from what was heard to what the robot did.

    Attributes:
        resolution: What fusion decided.
        feedback: What the robot said of it, in order.
    """

    resolution: m.Resolution
    feedback: list[m.Feedback] = field(default_factory=list)

    @property
    def command_id(self) -> str:
        """Id of the utterance."""
        return self.resolution.header.command_id or ""

    @property
    def received(self) -> m.Feedback | None:
        """The robot's first answer, if the action reached it."""
        return self.feedback[0] if self.feedback else None

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come."""
        if self.resolution.outcome in ("clarify", "answer", "reject"):
            return True
        return any(f.state in _FINAL_STATES for f in self.feedback)

    def stages(self, speech_end_ns: int | None = None) -> dict[str, float]:
        """Milliseconds per stage.

        Args:
            speech_end_ns: The true end of speech, where it is known, in place of the estimate.
        """
        marks = self.received.marks if self.received else self.resolution.marks
        if speech_end_ns is not None:
            marks = with_mark(marks, SPEECH_END, speech_end_ns)
        return stages_ms(marks)


class OutcomeCollector:
    """Puts resolutions and feedback together by command."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._early: dict[str, list[m.Feedback]] = {}

    def add(self, message: m.Message) -> None:
        """Take one message of the bus; others than resolutions and feedback are ignored."""
        command_id = message.header.command_id or ""
        if isinstance(message, m.Resolution):
            outcome = Outcome(message, self._early.pop(command_id, []))
            self.outcomes[command_id] = outcome
        elif isinstance(message, m.Feedback):
            # The robot's answer may overtake fusion's report: they are different sockets.
            known = self.outcomes.get(command_id)
            target = known.feedback if known else self._early.setdefault(command_id, [])
            target.append(message)

    @property
    def settled(self) -> bool:
        """Whether every command so far has come to its end."""
        return all(o.settled for o in self.outcomes.values())


@dataclass
class PlayedEpisode:
    """An episode after it was played.

    Attributes:
        episode: What was played.
        start_ns: When its first sample counted as captured.
        outcomes: What became of each utterance.
        utterance_of: Index of the true utterance per command id.
        taken: The actions that reached the robot.
        problems: What was not as expected; empty when all was.
    """

    episode: Episode
    start_ns: int
    outcomes: list[Outcome]
    utterance_of: dict[str, int]
    taken: list[TakenAction]
    problems: list[str]

    def true_end_ns(self, outcome: Outcome) -> int | None:
        """The true end of the speech of an outcome's utterance."""
        index = self.utterance_of.get(outcome.command_id)
        return None if index is None else self.episode.true_end_ns(index, self.start_ns)

    def latencies_ms(self) -> list[dict[str, float]]:
        """Stages of every action, from the true end of its speech."""
        return [
            outcome.stages(self.true_end_ns(outcome))
            for outcome in self.outcomes
            if outcome.received is not None
        ]


class EpisodePlayer:
    """Plays episodes into a daemon that runs.

    Args:
        client: The daemon.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._outputs = client.status().outputs_of(*LISTENED)

    def play(self, episode: Episode, patience_s: float = 12.0) -> PlayedEpisode:
        """Play one episode, from a fresh scene, until the robot has finished.

        Args:
            episode: What to play.
            patience_s: How long the robot may go on after the episode's end.

        Raises:
            DaemonError: The daemon went away or refuses.
        """
        collector = OutcomeCollector()
        labels: dict[str, str] = {}
        with Tap(self._client.run_dir, self._outputs) as tap:
            start_ns = self._client.play(episode.audio, episode.video, reset=True)
            end_ns = start_ns + int(episode.truth.duration_s * NS_PER_S)
            patience_ns = end_ns + int(patience_s * NS_PER_S)
            while (now_ns := time.monotonic_ns()) < patience_ns:
                if now_ns > end_ns + _SETTLE_MS * NS_PER_MS and collector.settled:
                    break
                item = tap.next(50)
                if item is None:
                    continue
                message = item[1]
                if message.header.stamp_ns < start_ns:
                    continue
                collector.add(message)
                if isinstance(message, m.Scene):
                    self._learn_objects(episode, message, labels)
        outcomes = list(collector.outcomes.values())
        utterance_of = _match_utterances(episode, outcomes, start_ns)
        taken = [_taken(o, labels) for o in outcomes if o.received is not None]
        problems = _problems(episode.truth.expected_actions, taken, outcomes)
        return PlayedEpisode(episode, start_ns, outcomes, utterance_of, taken, problems)

    @staticmethod
    def _learn_objects(episode: Episode, scene: m.Scene, labels: dict[str, str]) -> None:
        """Remember which true object each tracked one is, from where it lies."""
        for thing in scene.objects:
            if thing.object_id not in labels:
                true_id = episode.object_near(thing.position_base_m)
                if true_id is not None:
                    labels[thing.object_id] = true_id


def _match_utterances(
    episode: Episode, outcomes: Sequence[Outcome], start_ns: int
) -> dict[str, int]:
    matches: dict[str, int] = {}
    for outcome in outcomes:
        ends = [k.time_ns for k in outcome.resolution.marks if k.name == SPEECH_END]
        words = outcome.resolution.evidence.words
        end_ns = ends[0] if ends else words[-1].end_ns if words else None
        if end_ns is not None:
            index = episode.utterance_at((end_ns - start_ns) / NS_PER_S)
            if index is not None:
                matches[outcome.command_id] = index
    return matches


def _taken(outcome: Outcome, labels: dict[str, str]) -> TakenAction:
    command = outcome.resolution.command
    if command is None:
        return TakenAction(outcome.resolution.intent or outcome.resolution.outcome)
    thing, place = command.object, command.destination
    return TakenAction(
        intent=command.intent,
        object=labels.get(thing.object_id or "", thing.object_id) if thing else None,
        destination_object=(
            labels.get(place.object_id or "", place.object_id)
            if place and place.kind == "object"
            else None
        ),
        destination_base_m=place.position_base_m if place and place.kind == "place" else None,
    )


def _problems(
    expected: Sequence[ExpectedAction], taken: Sequence[TakenAction], outcomes: Sequence[Outcome]
) -> list[str]:
    problems = []
    for index in range(max(len(expected), len(taken))):
        if index >= len(taken):
            decided = "; ".join(
                f"{o.resolution.outcome}: {_said(o.resolution)}"
                for o in outcomes
                if o.received is None
            )
            problems.append(f"missing: {expected[index].text()} ({decided or 'nothing heard'})")
        elif index >= len(expected):
            problems.append(f"unexpected: {taken[index].text()}")
        elif why := mismatch(expected[index], taken[index]):
            problems.append(f"{taken[index].text()}: {why}")
    for outcome in outcomes:
        received = outcome.received
        if received is not None and received.state in ("refused", "failed"):
            problems.append(f"{received.intent} {received.state}: {received.detail}")
    return problems


def _said(resolution: m.Resolution) -> str:
    return resolution.question or resolution.answer or resolution.reason


def latency_table(played: Sequence[PlayedEpisode]) -> dict[str, Summary]:
    """Percentiles per stage over all actions, ``end_to_end`` last."""
    latencies = [stages for p in played for stages in p.latencies_ms()]
    names = [s.name for s in (*STAGES, END_TO_END)]
    return {name: summarise([s[name] for s in latencies if name in s]) for name in names}


def all_problems(played: Sequence[PlayedEpisode]) -> list[str]:
    """What was not as expected, with the episode's name."""
    return [f"{p.episode.truth.name}: {text}" for p in played for text in p.problems]


def drops(before: Status, after: Status) -> dict[str, int]:
    """Messages dropped per input (``node/input``) between two states of a daemon."""

    def counts(status: Status) -> dict[str, int]:
        return {
            f"{node.node_id}/{name}": stats.dropped + stats.refused
            for node in status.nodes
            if node.telemetry
            for name, stats in node.telemetry.inputs.items()
        }

    start = counts(before)
    return {name: n - start.get(name, 0) for name, n in counts(after).items()}


def notes(status: Status) -> list[str]:
    """Fallbacks and degradations that the nodes report."""
    return [
        f"{node.node_id}: {note}"
        for node in status.nodes
        for note in (node.telemetry.notes if node.telemetry else ())
    ]


def scene_settings(graph: str, episodes: Path) -> list[str]:
    """Overrides that make a graph fit some episodes.

    Sources wait for the playback in place of their devices; nodes that need a camera calibration or
    a gallery get the ``camera.json`` and ``gallery/`` that lie in the episodes' folder or above it.

    Raises:
        GraphError: The graph cannot be read.
    """
    folders = (episodes.resolve(), *episodes.resolve().parents[:2])
    settings = []
    for node in read_graph(find_graph(graph)).nodes:
        node_type = node_class(node.node)
        known = node_type.Params.__struct_fields__
        if "source" in known and "playback" in node_type.inputs:
            settings.append(f"{node.id}.source=none")
        for param, name in (("calibration", "camera.json"), ("gallery", "gallery")):
            found = next((f / name for f in folders if (f / name).exists()), None)
            if param in known and found is not None:
                settings.append(f"{node.id}.{param}={found}")
    return settings


@contextmanager
def running_daemon(
    graph: str, bundle: Path, settings: Sequence[str] = (), timeout_s: float = 30.0
) -> Iterator[Client]:
    """A daemon of its own for as long as the block runs; its log is shown if it fails.

    Raises:
        DaemonError: It did not start.
    """
    name = f"own-{os.getpid()}"
    client = Client(run_dir(name))
    with tempfile.TemporaryFile("w+") as log:
        # -P: in a checkout's root the folder deixis/ would hide an installed package.
        command = [sys.executable, "-P", "-m", "deixis", "run", graph, "--bundle", str(bundle)]
        command += ["--name", name, "--log", "warning"]
        for setting in settings:
            command += ["--set", setting]
        # A session of its own: Ctrl-C reaches this process, which then ends the daemon in order.
        process = subprocess.Popen(command, stderr=log, start_new_session=True)
        try:
            _wait_ready(process, client, timeout_s)
            yield client
        except DaemonError as error:
            log.seek(0)
            text = log.read().strip()
            raise DaemonError(f"{error.message}\n{text}" if text else error.message) from None
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(client.run_dir, ignore_errors=True)


def _wait_ready(process: subprocess.Popen[bytes], client: Client, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DaemonError(f"the daemon ended with code {process.returncode} while it started")
        try:
            if client.status().state == "ready":
                return
        except DaemonError:
            # Its control socket is not there yet.
            time.sleep(0.02)
            continue
        time.sleep(0.02)
    raise DaemonError(f"the daemon was not ready within {timeout_s:.0f} s")
