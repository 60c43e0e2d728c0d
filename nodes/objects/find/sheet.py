"""Results as pictures: a thumbnail file each, and one page that shows them all and needs no other.

write_sheet(Path("out"), '“red cup”', "3 things in 10 files", results)  # out/index.html
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deixis.nodes.objects.find.media import MediaFile
from deixis.nodes.objects.gallery_folder import write_whole
from deixis.runtime.errors import MediaError

_LIKELY = 0.1
_STYLE = """
:root { color-scheme: light dark; --ink: #1d232b; --soft: #6a7480; --page: #f4f5f7; --card: #fff;
  --line: #e2e5e9; --accent: #2563c9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #97a1ad; --page: #14171b;
  --card: #1d2127; --line: #2c323a; --accent: #6ea2f5; } }
* { box-sizing: border-box; margin: 0; }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--page);
  padding: 32px clamp(16px, 4vw, 56px); }
h1 { font-size: 26px; letter-spacing: -0.01em; }
header p { color: var(--soft); margin: 4px 0 24px; }
main { display: grid; gap: 18px; grid-template-columns: repeat(auto-fill, minmax(216px, 1fr)); }
article { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  overflow: hidden; }
article > a { display: block; position: relative; }
img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; }
.rank { position: absolute; left: 10px; top: 10px; min-width: 28px; padding: 1px 8px;
  border-radius: 14px; background: #000a; color: #fff; text-align: center; font-weight: 600; }
.facts { padding: 12px 14px 14px; }
.name { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.time { color: var(--soft); font-variant-numeric: tabular-nums; }
.score { display: flex; align-items: center; gap: 10px; margin: 8px 0;
  font-variant-numeric: tabular-nums; }
.bar { flex: 1; height: 6px; border-radius: 3px; background: var(--line); overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--accent); }
.chip { display: inline-block; border: 1px solid var(--line); border-radius: 10px; padding: 0 8px;
  margin: 2px 4px 0 0; font-size: 13px; color: var(--soft); }
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was found, as it is shown.

    Attributes:
        rank: From 1.
        file: Where.
        start_s: From when it is seen, seconds; 0 in a picture.
        end_s: Until when.
        best_s: When it is seen best.
        score: How sure, 0 to 1.
        names: Probability per taught name.
        colours: Probability per colour.
        box_px: x, y, width, height at its best moment.
        thumbnail: JPEG.
    """

    rank: int
    file: MediaFile
    start_s: float
    end_s: float
    best_s: float
    score: float
    names: Mapping[str, float]
    colours: Mapping[str, float]
    box_px: tuple[float, float, float, float]
    thumbnail: bytes

    @property
    def when(self) -> str:
        """The time or span of time; empty for a picture."""
        if not self.file.is_video:
            return ""
        start, end = clock(self.start_s), clock(self.end_s)
        return start if start == end else f"{start} – {end}"


def clock(seconds: float) -> str:
    """``1:02:03.4``, without hours where there are none."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{text}" if hours else f"{minutes}:{text}"


def likely(probabilities: Mapping[str, float]) -> list[tuple[str, float]]:
    """The two likeliest words, without those that are hardly likely."""
    return [(word, p) for word, p in list(probabilities.items())[:2] if p >= _LIKELY]


def write_sheet(folder: Path, question: str, summary: str, results: Sequence[Result]) -> Path:
    """Write thumbnails and ``index.html`` into a folder, which is made.

    Returns:
        The page.

    Raises:
        MediaError: The folder cannot be written.
    """
    title = html.escape(question)
    cards = "\n".join(_card(result) for result in results)
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><header><h1>{title}</h1><p>{html.escape(summary)}</p></header>\n"
        f"<main>\n{cards}\n</main></body></html>\n"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for result in results:
            write_whole(folder / f"{result.rank:03d}.jpg", result.thumbnail)
        write_whole(folder / "index.html", page.encode())
    except OSError as cause:
        raise MediaError(
            f"cannot write {cause.filename or folder}: {cause.strerror}",
            hint="name a folder that you may write with --out",
        ) from cause
    return folder / "index.html"


def _card(result: Result) -> str:
    picture = base64.b64encode(result.thumbnail).decode()
    link = result.file.path.resolve().as_uri()
    if result.file.is_video:
        link += f"#t={result.best_s:.1f}"
    name = html.escape(result.file.path.name)
    path = html.escape(str(result.file.path))
    words = [*likely(result.names), *likely(result.colours)]
    chips = "".join(f'<span class="chip">{html.escape(w)} {p:.0%}</span>' for w, p in words)
    when = f'<div class="time">{result.when}</div>' if result.when else ""
    return (
        f'<article><a href="{html.escape(link)}"><span class="rank">{result.rank}</span>'
        f'<img alt="" src="data:image/jpeg;base64,{picture}"></a><div class="facts">'
        f'<div class="name" title="{path}">{_parent(result.file.path)}{name}</div>'
        f"{when}"
        f'<div class="score"><span class="bar"><i style="width:{result.score:.0%}"></i></span>'
        f"{result.score:.2f}</div>{chips}</div></article>"
    )


def _parent(path: Path) -> str:
    """The folder's name: videos of many recordings are called the same."""
    return html.escape(f"{path.parent.name}/") if path.parent.name else ""
