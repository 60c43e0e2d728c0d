"""What is trained for deixis: data, networks, and their weights."""

from pathlib import Path

LETTER_WEIGHTS = Path(__file__).with_name("letters.npz")
"""The weights of the letter recogniser: ``python -m bench.letters`` makes them."""
