"""What the report's pictures share: colours, files, and how they come into a page.

    figure = pareto(rows)
    write_png(figure, Path("pareto.png"))
    markup = svg(figure)  # to stand inside a page: the page's colours, a tooltip a mark

Colours are Okabe and Ito's, which the colour-blind can tell apart; every colour comes with a shape
or a hatch of its own.
"""

from __future__ import annotations

import io
import math
import re
from contextlib import AbstractContextManager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deixis.runtime.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK: Final = "#1d232b"
SOFT: Final = "#6a7480"
LINE: Final = "#d5dae0"
CARD: Final = "#ffffff"
BLUE: Final = "#0072b2"
ORANGE: Final = "#d55e00"
GOLD: Final = "#e69f00"
_SETTINGS: Final[Any] = {
    "font.family": "DejaVu Sans", "font.size": 8, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": LINE, "axes.titlesize": 9, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.facecolor": CARD, "figure.facecolor": CARD,
    "xtick.color": SOFT, "ytick.color": SOFT, "axes.spines.top": False,
    "axes.spines.right": False, "hatch.linewidth": 0.7, "svg.fonttype": "none",
    "svg.hashsalt": "deixis",
}  # fmt: skip
_DOTS_AN_INCH: Final = 160
_PIXELS_AN_INCH: Final = 110
_VARIABLES: Final = {
    INK: "var(--ink)", SOFT: "var(--soft)", LINE: "var(--rule)", CARD: "var(--card)",
    BLUE: "var(--blue)", ORANGE: "var(--orange)", GOLD: "var(--gold)",
}  # fmt: skip
_TIP: Final = "tip-"


def style() -> AbstractContextManager[None]:
    """In it, figures are made with the report's fonts and colours."""
    import matplotlib

    return matplotlib.rc_context(_SETTINGS)


def check() -> None:
    """See that pictures can be drawn, before an export spends minutes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "export")


def write_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with style():
        FigureCanvasAgg(figure)
        figure.savefig(path, dpi=_DOTS_AN_INCH, metadata={"Software": None})


def svg(figure: Figure) -> str:
    """A figure as markup, the same every time; colours become variables of the page's style."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    text = io.StringIO()
    with style():
        FigureCanvasSVG(figure)
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    markup = text.getvalue()
    markup = markup[markup.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        markup = markup.replace(colour, variable)
    markup = re.sub(
        rf'<g id="{_TIP}([0-9a-f]+)"([^>]*)>',
        lambda found: f"<g{found[2]}><title>{escape(bytes.fromhex(found[1]).decode())}</title>",
        markup,
    )
    # Names of groups would stand twice in a page with two pictures; nothing refers to them.
    markup = re.sub(r'<g id="[^"]*"', "<g", markup)
    width_px = _PIXELS_AN_INCH * figure.get_figwidth()
    return markup.replace("<svg ", f'<svg style="max-width: {width_px:.0f}px" ', 1)


def tip(text: str) -> str:
    """An artist's id from which :func:`svg` makes a tooltip; matplotlib itself has none."""
    return _TIP + text.encode().hex()


def shortened(text: str, most: int) -> str:
    """A long text without its middle."""
    if len(text) <= most:
        return text
    half = math.ceil(most / 2) - 1
    return f"{text[:half]}…{text[-(most - half - 1) :]}"
