"""A sheet of the stored views of a thing, so that one sees what was taught.

write_sheet(Path("red_cup.png"), "red cup", folder.pictures("red_cup"))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from deixis.nodes.objects.gallery import read_view
from deixis.nodes.objects.gallery_folder import write_whole
from deixis.nodes.objects.source import Image

_TILE_PX, _ACROSS, _TITLE_PX = 112, 6, 28
_INK = (40, 40, 40)


def write_sheet(path: Path, title: str, pictures: Sequence[Path]) -> None:
    """Write the sheet as PNG: the views as the network sees them, under a title.

    Raises:
        ConfigError: A picture cannot be read.
        OSError: It cannot be written.
    """
    tiles = [_tile(read_view(picture.read_bytes(), picture)) for picture in pictures]
    across = min(len(tiles), _ACROSS)
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % across)
    rows = [np.hstack(tiles[i : i + across]) for i in range(0, len(tiles), across)]
    body = np.vstack(rows)
    head = np.full((_TITLE_PX, body.shape[1], 3), 255, np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(head, title, (6, 20), font, 0.5, _INK, 1, cv2.LINE_AA)
    _, data = cv2.imencode(".png", np.vstack([head, body]))
    write_whole(path, data.tobytes())


def _tile(crop: Image) -> Image:
    small = cv2.resize(crop, (_TILE_PX - 4, _TILE_PX - 4), interpolation=cv2.INTER_AREA)
    return np.asarray(
        cv2.copyMakeBorder(small, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255)), np.uint8
    )
