"""``deixis models sign``: vouch for a bundle with a secret key.

deixis models sign bundles/cpu --key robot.key

Its files are verified first. The signature lies in ``manifest.json.minisig``; exporting the bundle
anew removes it. ``minisign -Sm manifest.json -s robot.key`` does the same.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import msgspec
from rich.console import Console

from deixis.runtime.bundle import Bundle
from deixis.runtime.cli.models.keys import ask
from deixis.runtime.signing import SIGNATURE
from deixis.runtime.signing import sign as sign_bundle

HELP = "sign a bundle with a secret key"
EXAMPLE = "deixis models sign bundles/cpu --key robot.key"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    parser.add_argument(
        "--key", type=Path, required=True, metavar="K.key",
        help="secret key, of deixis models keys or of minisign",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the sub-command."""
    bundle = Bundle.open(args.bundle)
    files = bundle.verify()
    signature = sign_bundle(bundle, args.key, lambda: ask(f"password of {args.key}: "))
    path = bundle.root / SIGNATURE
    if args.json:
        about = {"bundle": str(bundle.root), "signature_file": str(path), "files": files}
        print(json.dumps({**about, **msgspec.to_builtins(signature)}))
        return 0
    Console().print(
        f"{path}: {files} files, signed by key {signature.key_id}\n"
        f"  → deixis models verify {args.bundle} --public-key {args.key.with_suffix('.pub')}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return 0
