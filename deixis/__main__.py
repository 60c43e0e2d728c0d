"""The command line: ``deixis <verb> …`` (or ``python -m deixis <verb> …``).

deixis --help
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from deixis import __version__
from deixis.runtime.errors import DeixisError, UsageError
from deixis.runtime.registry import verb_module, verb_names


class _Parser(argparse.ArgumentParser):
    """A parser whose errors join the tree of errors, so that ``--json`` covers them too."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{self.prog}: {message}", hint=f"{self.prog} --help")


def build_parser(wanted: str = "") -> argparse.ArgumentParser:
    """The parser with all installed verbs.

    Args:
        wanted: Where this is a verb, it is the only one: the others, whose modules take a while to
            import, are not needed to run it.
    """
    parser = _Parser(
        prog="deixis",
        description="A person speaks and points, and the robot does it, entirely on the robot.",
    )
    parser.add_argument("--version", action="version", version=f"deixis {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    names = verb_names()
    for name in (wanted,) if wanted in names else names:
        module = verb_module(name)
        verb = verbs.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 when done, 1 when it failed, 2 for wrong usage.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        args = build_parser(*arguments[:1]).parse_args(arguments)
        code: int = args.run(args)
    except DeixisError as error:
        if "--json" in arguments:
            kind = type(error).__name__
            print(json.dumps({"error": error.message, "kind": kind, "hint": error.hint}))
        else:
            print(f"deixis: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader (head, less) has seen enough.
        sys.stderr.close()
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
