"""Packaging of deixis: the top-level folders become sub-packages of ``deixis``.

The code lives in ``runtime/ nodes/ export/ calibration/``; an install maps each of them to
``deixis.<folder>``, so code always imports ``deixis.runtime.…`` whether it is installed from a
wheel or editable (``pip install -e .``).
"""

from setuptools import find_packages, setup

FOLDERS = ("runtime", "export", "nodes", "calibration")

setup(
    package_dir={"deixis": "deixis", **{f"deixis.{f}": f for f in FOLDERS}},
    packages=["deixis"]
    + [f"deixis.{p}" for f in FOLDERS for p in (f, *(f"{f}.{s}" for s in find_packages(f)))],
    package_data={
        "deixis": ["py.typed"],
        "deixis.export.train": ["*.npz"],
        "deixis.nodes.graphs": ["*.yaml"],
        "deixis.nodes.hands": ["*.npz"],
        "deixis.nodes.domains": ["*.yaml"],
    },
)
