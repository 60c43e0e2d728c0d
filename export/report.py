"""The export's report: one page that opens offline, and its pictures as files of their own.

write_report(rows, Path("report"), {"command": "deixis export all", **circumstances()})
# report/report.html, report/pareto.png, report/layers.png
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deixis.export import report_picture
from deixis.export.report_layers import layers
from deixis.export.report_page import page
from deixis.export.report_pareto import pareto
from deixis.export.rows import ExportRow
from deixis.runtime.errors import ExportError

PAGE = "report.html"


def write_report(rows: Sequence[ExportRow], out: Path, about: Mapping[str, Any]) -> None:
    """Write ``report.html`` and, where there is something to draw, its pictures.

    Args:
        rows: one a model.
        out: the folder; made.
        about: how it came to be, as the page's last table shows it: command, bundle, machine, date,
            commit, versions, …; mappings become rows of their own.

    Raises:
        ExportError: the folder cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    report_picture.check()
    figures = {"pareto": pareto(rows), "layers": layers(rows)}
    pictures = {name: report_picture.svg(f) for name, f in figures.items() if f is not None}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            path = out / f"{name}.png"
            if figure is None:
                path.unlink(missing_ok=True)
            else:
                report_picture.write_png(figure, path)
        (out / PAGE).write_text(page(rows, pictures, about), encoding="utf-8")
    except OSError as cause:
        raise ExportError(
            f"cannot write the report to {cause.filename or out}: {cause.strerror}",
            hint="name a folder that you may write with --report",
        ) from cause
