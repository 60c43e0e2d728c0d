"""Engines: how fast each model runs on each backend that is here, against a reference.

Every model of the bundles is opened with every backend, all of them at once, and run in turn on the
same real input, each round in another order: what slows the machine down for a while slows all of
them. A ratio comes with the interval in which it lies with 95 % (bootstrap over rounds). With
--reference it is against that bundle's model on the same backend, without against the model's first
row. Load time and memory (the host's) are measured in a fresh process.

What cannot be run here is listed with the reason: a backend without its library or GPU, a file
that a backend refuses. --torch also runs the FP32 networks in PyTorch, eager and through
torch.compile, where there is a CUDA device.

The inputs come from the recipes, which need the pretrained weights and the export's packages. For a
robot, write them into a file with --save-inputs and read it there with --inputs.

--json prints
  runs, threads, bundles, reference, interrupted
  models     name, bundle, precision, backend, timed_on, reference, load_ms, memory_mb, p50_ms,
             p95_ms, p99_ms, n, speedup, speedup_low, speedup_high; null for what does not apply
  not_run    what, reason
  notes      what the engines said about themselves
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deixis.export.bench.settings import count
from deixis.runtime.cli.run import DEFAULT_BUNDLE
from deixis.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from deixis.export.bench.engines_inputs import Inputs
    from deixis.export.bench.engines_timing import Contender, Timed
    from deixis.runtime.bundle import Bundle

HELP = "engines: latency, load time and memory of every model on every backend that is here"
EXAMPLE = (
    "deixis bench engines --bundle bundles/cpu --reference bundles/fp32 "
    "--out bench/results/engines.json"
)


@dataclass
class Measured:
    """What was measured.

    Attributes:
        timed: in the models' order.
        not_run: what could not be run → why.
        notes: what the engines said about themselves.
        complete: whether all models were.
    """

    timed: list[Timed] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    complete: bool = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from deixis.export.weights.wheels import default_folder

    add = parser.add_argument
    add(
        "--bundle", type=Path, action="append", metavar="DIR", dest="bundles",
        help=f"a bundle to measure; may be given more than once (default: {DEFAULT_BUNDLE})",
    )  # fmt: skip
    add("--reference", type=Path, metavar="DIR", help="the bundle that ratios are against")
    add("--backends", type=_words, metavar="NAME,…", help="default: all that can be used here")
    add("--models", type=_words, metavar="ROLE,…", help="default: all of the bundles")
    add("--runs", type=count, default=100, metavar="N", help="timed runs (default: %(default)s)")
    add(
        "--threads", type=count, default=1, metavar="N",
        help="threads within one operator, on a CPU (default: %(default)s)",
    )  # fmt: skip
    add("--torch", action="store_true", help="also PyTorch, where there is a CUDA device")
    add(
        "--samples", type=Path, default=Path("tests/scenes/episodes"), metavar="DIR",
        help="episodes that the inputs are from (default: %(default)s)",
    )  # fmt: skip
    add(
        "--wheels", type=Path, default=default_folder(), metavar="DIR",
        help="folder of the wheels with the weights (default: %(default)s)",
    )  # fmt: skip
    add("--inputs", type=Path, metavar="FILE", help="inputs that --save-inputs wrote")
    add("--save-inputs", type=Path, metavar="FILE", help="write the inputs for another machine")
    add(
        "--out", type=Path, metavar="FILE", help="write the figures, with machine and date, as JSON"
    )


def run(args: argparse.Namespace) -> int:
    """Run the benchmark."""
    import msgspec
    from rich.console import Console

    from deixis.export.bench import engines_report
    from deixis.export.bench.engines_inputs import read_inputs, real_inputs, write_inputs
    from deixis.export.bench.results import circumstances, write_result
    from deixis.runtime.bundle import Bundle

    bundles = {str(path): Bundle.open(path) for path in args.bundles or [DEFAULT_BUNDLE]}
    reference = None if args.reference is None else Bundle.open(args.reference)
    roles = _roles(bundles.values(), args.models)
    inputs = read_inputs(args.inputs) if args.inputs else None
    measured = Measured()
    usable = _usable(args.backends, measured.not_run)
    with_torch = args.torch and _torch_is_here(measured.not_run)
    console = Console(quiet=args.json)
    if inputs is None:
        with console.status("reading the samples"):
            inputs = real_inputs(roles, args.wheels, args.samples)
    if args.save_inputs:
        write_inputs(args.save_inputs, inputs)
        console.print(f"inputs of {len(inputs)} models written to {args.save_inputs}")
    groups = {
        role: _contenders(
            role, bundles, (args.reference, reference), usable, args.wheels if with_torch else None
        )
        for role in roles
    }
    measure(measured, groups, inputs, args.runs, args.threads)
    about = {
        "runs": args.runs,
        "threads": args.threads,
        "bundles": list(bundles),
        "reference": None if args.reference is None else str(args.reference),
        "interrupted": not measured.complete,
    }
    figures = {**about, **engines_report.figures(measured)}
    engines_report.show(console, measured)
    if args.out:
        write_result(args.out, {**figures, **circumstances()})
        console.print(f"written to {args.out}")
    if args.json:
        print(msgspec.json.encode(figures).decode())
    return 0 if measured.complete else 1


def measure(
    measured: Measured,
    groups: Mapping[str, Sequence[Contender]],
    inputs: Mapping[str, Inputs],
    runs: int,
    threads: int,
) -> None:
    """Measure model after model, with a progress bar; an interrupt ends it.

    Args:
        measured: what is found is added to it.
        groups: role → its contenders.
        inputs: role → one real input.
        runs: timed inferences of each contender.
        threads: within one operator, on a CPU.
    """
    from rich.console import Console
    from rich.progress import Progress

    from deixis.export.bench.engines_timing import time_in_turn

    terminal = Console(stderr=True)
    done = 0
    try:
        with Progress(
            console=terminal, transient=True, disable=not terminal.is_terminal
        ) as progress:
            task = progress.add_task("engines", total=len(groups))
            for role, contenders in groups.items():
                progress.update(task, description=f"{role}: {len(contenders)} engines")
                if role in inputs:
                    timed, refused = time_in_turn(
                        contenders, inputs[role], runs, threads, measured.notes.append
                    )
                    measured.timed += timed
                    measured.not_run.update({_title(c): why for c, why in refused.items()})
                else:
                    measured.not_run[role] = "there is no real input for it: it has no recipe"
                done += 1
                progress.advance(task)
    except KeyboardInterrupt:
        print(f"interrupted after {done} of {len(groups)} models", file=sys.stderr)
        measured.complete = False


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise argparse.ArgumentTypeError("name one or more, separated by commas")
    return words


def _roles(bundles: Iterable[Bundle], only: Sequence[str] | None) -> list[str]:
    known = list(dict.fromkeys(role for b in bundles for role in b.manifest.models))
    for role in only or ():
        if role not in known:
            raise UsageError(f"no bundle has a model {role!r}; there are: {', '.join(known)}")
    return [role for role in known if only is None or role in only]


def _usable(only: Sequence[str] | None, not_run: dict[str, str]) -> list[str]:
    """The backends that are asked for and can be used; why the others cannot."""
    from deixis.runtime.config import nearest
    from deixis.runtime.engines import BACKENDS, backends

    for name in only or ():
        if name not in BACKENDS:
            known = list(BACKENDS)
            raise UsageError(
                f"there is no backend {name!r}{nearest(name, known)}; there are: {', '.join(known)}"
            )
    usable = []
    for state in backends():
        if only is not None and state.name not in only:
            continue
        if state.usable:
            usable.append(state.name)
        else:
            not_run[state.name] = f"{state.detail}; {state.hint}" if state.hint else state.detail
    return usable


def _torch_is_here(not_run: dict[str, str]) -> bool:
    from deixis.export.bench.engines_torch import COMPILED, EAGER, torch_state

    usable, detail = torch_state()
    if not usable:
        not_run[f"{EAGER}, {COMPILED}"] = detail
    return usable


def _contenders(
    role: str,
    bundles: Mapping[str, Bundle],
    reference: tuple[Path | None, Bundle | None],
    usable: Sequence[str],
    wheel_folder: Path | None,
) -> list[Contender]:
    """Everything that is to run a model, the reference first."""
    from deixis.export.bench.engines_timing import Contender
    from deixis.export.bench.engines_torch import COMPILED, EAGER

    given = [(str(reference[0]), reference[1], True)] if reference[1] else []
    given += [(name, b, False) for name, b in bundles.items() if name != str(reference[0])]
    found = [
        Contender(
            role, name, b.model(role).precision, backend, b.model_path(role), reference=is_reference
        )
        for name, b, is_reference in given
        if role in b.manifest.models
        for backend in usable
    ]
    if wheel_folder is not None:
        found += [Contender(role, "", "fp32", b, wheel_folder) for b in (EAGER, COMPILED)]
    return found


def _title(contender: Contender) -> str:
    where = f" of {contender.bundle}" if contender.bundle else ""
    return f"{contender.role}{where} on {contender.backend}"
