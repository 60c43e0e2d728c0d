"""``deixis models keys``: a pair of keys to sign bundles with.

deixis models keys --out robot.key

Writes ``robot.key`` (secret: it signs; only its owner can read it) and ``robot.pub`` (for the
robots: it checks). They are minisign's, and minisign's can be used instead.
"""

from __future__ import annotations

import argparse
import getpass
import json
from pathlib import Path

from rich.console import Console

from deixis.runtime.errors import SignatureError, UsageError
from deixis.runtime.signing import make_keys

HELP = "make a pair of keys to sign bundles with"
EXAMPLE = "deixis models keys --out robot.key"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="K.key",
        help="file of the secret key; the public one lies beside it, with the ending .pub",
    )  # fmt: skip
    parser.add_argument(
        "--no-password", action="store_true",
        help="do not encrypt the secret key: for machines that sign by themselves",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the sub-command."""
    secret: Path = args.out
    public = secret.with_suffix(".pub")
    if public == secret:
        raise UsageError(f"--out {secret}: .pub is the public key's ending", hint=EXAMPLE)
    key_id = make_keys(secret, public, None if args.no_password else _new_password())
    if args.json:
        paths = {"secret_key": str(secret), "public_key": str(public)}
        print(json.dumps({"key_id": key_id, **paths}))
        return 0
    Console().print(
        f"key {key_id}\n"
        f"secret: {secret} (keep it; it signs)\n"
        f"public: {public} (give it to the robots; it checks)\n"
        f"  → deixis models sign BUNDLE --key {secret}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return 0


def ask(prompt: str) -> str:
    """Ask for a password, unseen.

    Raises:
        SignatureError: There is nobody to ask.
    """
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise SignatureError(
            "the key's password cannot be asked for: there is no terminal",
            hint="make a key for machines: deixis models keys --out robot.key --no-password",
        ) from None


def _new_password() -> str:
    password = ask("password for the secret key: ")
    if not password:
        raise UsageError("the password is empty", hint="without one: --no-password")
    if ask("once more: ") != password:
        raise UsageError("the passwords differ")
    return password
