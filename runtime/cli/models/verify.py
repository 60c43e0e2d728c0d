"""``deixis models verify``: is the bundle the one that was made, and who signed it?

deixis models verify bundles/cpu --public-key robot.pub

Every file is hashed and compared with the manifest; with ``--public-key`` the manifest must bear
that key's signature.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import msgspec
from rich.console import Console

from deixis.runtime.bundle import Bundle
from deixis.runtime.measured import read_measured
from deixis.runtime.signing import require_signature, signature_of, signature_text

HELP = "check the hash of every file of a bundle, and its signature"
EXAMPLE = "deixis models verify bundles/cpu --public-key robot.pub"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    parser.add_argument(
        "--public-key", type=Path, metavar="K.pub", help="it must be signed by this key"
    )


def run(args: argparse.Namespace) -> int:
    """Run the sub-command."""
    bundle = Bundle.open(args.bundle)
    key = args.public_key
    signature = require_signature(bundle, key) if key else signature_of(bundle)
    files = bundle.verify()
    note = read_measured(bundle).note
    if args.json:
        about = {
            "bundle": str(bundle.root),
            "preset": bundle.manifest.preset,
            "files": files,
            "signature": msgspec.to_builtins(signature),
            "note": note,
        }
        print(json.dumps(about))
        return 0
    console = Console()
    console.print(f"[green]✓[/] {bundle.root}: {files} files as they were made", highlight=False)
    mark = "[green]✓[/]" if signature and signature.verified_with else "[yellow]○[/]"
    console.print(f"{mark} {signature_text(signature)}", highlight=False)
    if note:
        console.print(f"[yellow]○[/] {note}", highlight=False)
    return 0
