"""What is trained here: data, networks, their weights and the verb ``deixis train``."""

from pathlib import Path

GESTURE_WEIGHTS = Path(__file__).with_name("gestures.npz")
"""The weights of the gesture network: ``deixis train gestures`` makes them."""
LETTER_WEIGHTS = Path(__file__).with_name("letters.npz")
"""The weights of the letter recogniser: ``python -m bench.letters`` makes them."""
OBJECT_WEIGHTS = Path(__file__).with_name("objects.npz")
"""The weights of the object adapter: ``deixis train objects`` makes them."""
