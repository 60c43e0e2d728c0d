"""OpenCV's dictionaries of ArUco and AprilTag markers, by name.

print(dictionary_names(), what_is_seen(image))
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.runtime.config import nearest
from deixis.runtime.errors import ConfigError

Image = NDArray[np.uint8]


def find_dictionary(name: str) -> Any:
    """OpenCV's dictionary of markers of that name, with or without ``DICT_`` before it.

    Raises:
        ConfigError: There is none.
    """
    plain = name.removeprefix("DICT_")
    number = getattr(cv2.aruco, f"DICT_{plain}", None)
    if number is None:
        known = dictionary_names()
        raise ConfigError(
            f"unknown dictionary {name!r}{nearest(plain, known)}", hint=f"known: {', '.join(known)}"
        )
    return cv2.aruco.getPredefinedDictionary(number)


def dictionary_names() -> list[str]:
    """Names of OpenCV's dictionaries, each once, without ``DICT_``."""
    names = {getattr(cv2.aruco, n): n for n in sorted(dir(cv2.aruco)) if n.startswith("DICT_")}
    return sorted(n.removeprefix("DICT_") for n in names.values())


def what_is_seen(image: Image) -> str:
    """Which markers a picture shows, of whatever dictionary: a hint where none was found.

    Returns:
        ``5X5_100: 12 markers``, or nothing. Of nested dictionaries (50, 100, 250 and 1000 markers
        of one kind) it is the smallest that has all that are seen.
    """
    picture = grey(image)
    best: tuple[int, int, str] | None = None
    for name in dictionary_names():
        dictionary = find_dictionary(name)
        _, ids, _ = cv2.aruco.ArucoDetector(dictionary).detectMarkers(picture)
        n = 0 if ids is None else len(ids)
        rank = (n, -len(dictionary.bytesList), name)
        if n > 1 and (best is None or rank > best):
            best = rank
    return f"{best[2]}: {best[0]} markers" if best else ""


def grey(image: Image) -> Image:
    """A picture without colours."""
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def modules(dictionary: Any, number: int, size_m: float) -> NDArray[np.float64]:
    """Black runs of a marker's rows, ``(n, 4)``, from its left bottom corner."""
    n = dictionary.markerSize + 2
    bits = np.zeros((n, n), np.uint8)
    dictionary.generateImageMarker(number, n, bits, 1)
    side_m = size_m / n
    runs: list[tuple[float, float, float, float]] = []
    for row in range(n):
        black = np.flatnonzero(bits[row] == 0)
        # A marker's border is black all round, so that every row begins with a run.
        runs.extend(
            (run[0] * side_m, (n - 1 - row) * side_m, len(run) * side_m, side_m)
            for run in np.split(black, np.flatnonzero(np.diff(black) > 1) + 1)
        )
    return np.array(runs)
