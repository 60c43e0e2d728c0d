"""Prints a board or marker at its exact size: a PDF, or a PNG that knows its dots per inch.

print_target(CharucoTarget(CharucoSpec()), Path("board.pdf"))
"""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.boards import CharucoSpec, Target
from deixis.runtime.errors import MediaError, UsageError

_A4_M = (0.297, 0.210)
_EDGE_M = 0.012
_TEXT_M = 0.0045
_DPI = 600
_PX_PER_M = _DPI / 0.0254
_POINTS_PER_M = 72 / 0.0254


def print_target(target: Target, path: Path) -> str:
    """Write a sheet to print, as the ending of the file says.

    Args:
        target: What to print.
        path: ``.pdf`` or ``.png``.

    Returns:
        What to do with it.

    Raises:
        UsageError: Another ending.
        MediaError: It cannot be written.
    """
    writers = {".pdf": _pdf, ".png": _png}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise UsageError(f"{path} is neither .pdf nor .png", hint="--print-board board.pdf")
    page_m, corner_m = _layout(target)
    data = writer(target, page_m, corner_m)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as cause:
        raise MediaError(f"cannot write {path}: {cause}") from cause
    size = "A4" if page_m in (_A4_M, _A4_M[::-1]) else f"{_mm(page_m[0])} x {_mm(page_m[1])} mm"
    return f"print it on {size} at 100 %, not fitted to the page, and glue it on something flat"


def what_to_measure(target: Target) -> str:
    """The size to check with a ruler, and what to do if it is another."""
    width_m, _ = target.size_m
    spec = target.spec
    if isinstance(spec, CharucoSpec):
        return (
            f"measure the pattern: it must be {_mm(width_m)} mm wide; if it is not, give "
            f"--square-mm as its width / {spec.columns}, and --marker-mm likewise"
        )
    return f"measure the marker: it must be {_mm(width_m)} mm wide; else give --marker-mm as it is"


def _layout(target: Target) -> tuple[tuple[float, float], tuple[float, float]]:
    """Page size, and where the pattern's left bottom corner is on it."""
    width_m, height_m = target.size_m
    needed = (width_m + 2 * _EDGE_M, height_m + 2 * _EDGE_M)
    pages = (_A4_M, _A4_M[::-1], needed)
    page = next(p for p in pages if p[0] >= needed[0] and p[1] >= needed[1])
    return page, ((page[0] - width_m) / 2, (page[1] - height_m) / 2)


def _labels(target: Target, corner_m: tuple[float, float]) -> list[tuple[float, float, str]]:
    """Texts of the sheet with the left bottom corner of each."""
    _, bottom = corner_m
    width_m, height_m = target.size_m
    origin = "left bottom corner" if target.origin_m == (0.0, 0.0) else "centre"
    frame = (
        f"{_mm(width_m)} mm wide; frame: x right, y up, z out of the sheet; origin: its {origin}"
    )
    left = min(corner_m[0], 2 * _EDGE_M)
    return [
        (left, bottom + height_m + _TEXT_M / 2, str(target.spec)),
        (left, bottom - 1.5 * _TEXT_M, frame),
    ]


def _pdf(target: Target, page_m: tuple[float, float], corner_m: tuple[float, float]) -> bytes:
    rectangles = (target.squares() + np.array([*corner_m, 0, 0])) * _POINTS_PER_M
    # One path, filled once: side by side, rectangles filled one by one show seams.
    drawing = [f"{x:.4f} {y:.4f} {w:.4f} {h:.4f} re" for x, y, w, h in rectangles]
    drawing.append("f")
    for x, y, text in _labels(target, corner_m):
        size, at = _TEXT_M * _POINTS_PER_M, (x * _POINTS_PER_M, y * _POINTS_PER_M)
        safe = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        drawing.append(f"BT /F1 {size:.2f} Tf {at[0]:.3f} {at[1]:.3f} Td ({safe}) Tj ET")
    stream = "\n".join(drawing).encode("ascii")
    width, height = (s * _POINTS_PER_M for s in page_m)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /ViewerPreferences << /PrintScaling /None >> >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:.4f} {height:.4f}] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>".encode("ascii"),
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = bytearray(b"%PDF-1.6\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % table)


def _png(target: Target, page_m: tuple[float, float], corner_m: tuple[float, float]) -> bytes:
    width, height = (round(s * _PX_PER_M) for s in page_m)
    page = np.full((height, width), 255, np.uint8)
    for x, y, w, h in target.squares() + np.array([*corner_m, 0, 0]):
        left, right = round(x * _PX_PER_M), round((x + w) * _PX_PER_M)
        top, bottom = height - round((y + h) * _PX_PER_M), height - round(y * _PX_PER_M)
        page[top:bottom, left:right] = 0
    for x, y, text in _labels(target, corner_m):
        _write(page, text, round(x * _PX_PER_M), height - round(y * _PX_PER_M))
    done, data = cv2.imencode(".png", page, [cv2.IMWRITE_PNG_BILEVEL, 1])
    if not done:
        raise MediaError("OpenCV cannot write PNG")
    raw = data.tobytes()
    # After the signature (8 bytes) and the header chunk (25 bytes): dots per metre, both axes.
    body = b"pHYs" + struct.pack(">IIB", round(_PX_PER_M), round(_PX_PER_M), 1)
    chunk = struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body))
    return raw[:33] + chunk + raw[33:]


def _write(page: NDArray[np.uint8], text: str, left: int, baseline: int) -> None:
    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = cv2.getFontScaleFromHeight(font, round(0.7 * _TEXT_M * _PX_PER_M), 6)
    cv2.putText(page, text, (left, baseline), font, scale, 0, 6)


def _mm(length_m: float) -> str:
    return f"{length_m * 1000:.1f}".removesuffix(".0")
