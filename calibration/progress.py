"""What the terminal shows while views are gathered: where the board has been, and what is missing.

with Live(get_renderable=lambda: coverage_panel(picker)): ...
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deixis.calibration.views import ENOUGH_VIEWS, ROWS, Verdict, ViewPicker

_MARKS = (("··", "red"), ("░░", "yellow"), ("▓▓", "green"), ("██", "green"))
_LIMITS = (1, 3, 12)


def coverage_panel(picker: ViewPicker, heading: str = "") -> Panel:
    """The picture's cells with the corners seen in them, and the counts beside."""
    grid = Table.grid(padding=(0, 3))
    grid.add_row(_cells(picker), _counts(picker))
    advice = picker.advice()
    line = Text(advice or "enough: all that is needed has been seen")
    line.stylize("bold yellow" if advice else "bold green")
    body: list[RenderableType] = [grid, Text(), line]
    return Panel(Group(*body), title=heading or "coverage", title_align="left", expand=False)


def _cells(picker: ViewPicker) -> Text:
    text = Text()
    for row in range(ROWS):
        for n in picker.cells[row]:
            mark, colour = _MARKS[sum(int(n >= limit) for limit in _LIMITS)]
            text.append(mark + " ", style=colour)
        text.append("\n")
    text.rstrip()
    return text


def _counts(picker: ViewPicker) -> Table:
    tilts, distances = picker.tilts(), picker.distances()
    table = Table.grid(padding=(0, 1))
    table.add_row("views taken", f"{len(picker.views)} ({ENOUGH_VIEWS} are good)")
    table.add_row("picture covered", f"{picker.coverage():.0%}")
    sides = (f"{s} {tilts[s]}" for s in ("left", "right", "top", "bottom", "flat"))
    table.add_row("nearer side", " ".join(sides))
    table.add_row("distance", " ".join(f"{d} {distances[d]}" for d in ("near", "middle", "far")))
    for verdict in (Verdict.NO_BOARD, Verdict.BLURRED, Verdict.SEEN_BEFORE):
        table.add_row(f"passed over: {verdict}", str(picker.counts[verdict]))
    return table
