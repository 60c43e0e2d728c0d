"""``deixis demo``: play recorded episodes through the whole graph in real time, and judge it.

deixis demo --only put_it_there
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from deixis.runtime.bundle import Bundle
from deixis.runtime.cli import show
from deixis.runtime.cli.run import DEFAULT_BUNDLE
from deixis.runtime.episodes import load_episodes
from deixis.runtime.replay import (
    EpisodePlayer,
    PlayedEpisode,
    all_problems,
    drops,
    latency_table,
    notes,
    running_daemon,
    scene_settings,
)
from deixis.runtime.trace import END_TO_END

HELP = "play recorded episodes through the real graph and check every action"
EXAMPLE = "deixis demo --only put_it_there --only distractor"
EPISODES = Path("tests/scenes/episodes")
BUDGET_MS = 200.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--episodes", type=Path, default=EPISODES, metavar="DIR",
        help="an episode, or a folder of them; camera.json and gallery/ are looked for there and "
        "above (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="only this episode (repeatable)"
    )
    parser.add_argument("--graph", default="demo", help="graph to run (default: demo)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NODE.PARAM=VALUE", dest="settings",
        help="override a parameter of the graph, as often as needed",
    )  # fmt: skip
    parser.add_argument("--bundle", type=Path, default=DEFAULT_BUNDLE, metavar="DIR")
    parser.add_argument(
        "--budget-ms", type=float, default=BUDGET_MS, metavar="MS",
        help="p99 of the end-to-end latency must stay below (default: %(default)s)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    console = Console(quiet=args.json)
    Bundle.open(args.bundle)
    episodes = load_episodes(args.episodes, args.only)
    total_s = sum(e.truth.duration_s for e in episodes)
    console.print(
        f"{len(episodes)} episodes, {total_s:.0f} s, in real time through graph "
        f"[bold]{args.graph}[/] with bundle [bold]{args.bundle}[/]"
    )
    played: list[PlayedEpisode] = []
    settings = [*scene_settings(args.graph, args.episodes), *args.settings]
    with running_daemon(args.graph, args.bundle, settings) as client:
        before = client.status()
        console.print(
            f"daemon ready: {len(before.nodes)} nodes, one process each, "
            f"in {before.start_s or 0:.1f} s\n"
        )
        player = EpisodePlayer(client)
        for episode in episodes:
            one = player.play(episode)
            played.append(one)
            _show_episode(console, one)
        after = client.status()
    stages = latency_table(played)
    dropped = drops(before, after)
    end_to_end = stages[END_TO_END.name]
    late = end_to_end.p99 is not None and end_to_end.p99 >= args.budget_ms
    problems = all_problems(played)
    if args.json:
        print(json.dumps(_report(played, stages, dropped, late, args.budget_ms)))
        return 1 if problems or late else 0
    console.print(show.latency_table(stages, args.budget_ms))
    console.print(show.drops_text(dropped))
    for note in notes(after):
        console.print(f"[yellow]{escape(note)}[/]")
    n_expected = sum(len(p.episode.truth.expected_actions) for p in played)
    if problems:
        console.print(f"[red bold]{len(problems)} of the actions are not as expected:[/]")
        for problem in problems:
            console.print(f"  [red]{escape(problem)}[/]")
    else:
        console.print(f"[green bold]all {n_expected} actions as expected[/], nothing else was done")
    if late:
        console.print(
            f"[red bold]too late: p99 {end_to_end.p99:.0f} ms, budget {args.budget_ms:.0f} ms[/]"
        )
    return 1 if problems or late else 0


def _show_episode(console: Console, played: PlayedEpisode) -> None:
    truth = played.episode.truth
    console.rule(f"[bold]{truth.name}[/]  {escape(truth.description)}", align="left")
    if not played.outcomes:
        console.print("(no utterance was heard)")
    for outcome in played.outcomes:
        show.show_outcome(
            console,
            outcome,
            zero_ns=played.start_ns,
            speech_end_ns=played.true_end_ns(outcome),
        )
    expected = ", ".join(e.text() for e in truth.expected_actions) or "nothing"
    if played.problems:
        console.print(
            f"[red]✗ expected {escape(expected)}; {escape('; '.join(played.problems))}[/]"
        )
    else:
        console.print(f"[green]✓ as expected: {escape(expected)}[/]")
    console.print()


def _report(
    played: list[PlayedEpisode],
    stages: dict[str, Any],
    dropped: dict[str, int],
    late: bool,
    budget_ms: float,
) -> dict[str, Any]:
    summaries = show.plain(stages)
    end_to_end = summaries.pop(END_TO_END.name)
    return {
        "actions": [
            {"episode": p.episode.truth.name, **show.plain(a)} for p in played for a in p.taken
        ],
        "expected": [
            {"episode": p.episode.truth.name, **show.plain(a)}
            for p in played
            for a in p.episode.truth.expected_actions
        ],
        "all_expected": not any(p.problems for p in played),
        "within_budget": not late,
        "budget_ms": budget_ms,
        "latency_ms": end_to_end,
        "stages": summaries,
        "drops": dropped,
        "episodes": [
            {
                "name": p.episode.truth.name,
                "problems": p.problems,
                "outcomes": [
                    show.outcome_json(o, zero_ns=p.start_ns, speech_end_ns=p.true_end_ns(o))
                    for o in p.outcomes
                ],
            }
            for p in played
        ],
    }
