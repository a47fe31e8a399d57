"""Pages that need no other file: tables and pictures in one HTML document."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
th { border-bottom: 2px solid #888; }
p.caption, figcaption, footer { color: #555; font-size: .9rem; }
figure { margin: 2rem 0; } img { max-width: 100%; }
pre { background: #f6f6f6; padding: 1rem; overflow-x: auto; font-size: .85rem; }
"""


def document(title: str, body: Sequence[str]) -> str:
    """An HTML document; ``title`` is text, ``body`` holds elements as HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>"
        + "\n".join(body)
        + "</body></html>\n"
    )


def section(
    heading: str, caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> str:
    """A heading, a caption and a table; all are text."""
    lines = [
        f"<h2>{html.escape(heading)}</h2><p class=caption>{html.escape(caption)}</p>",
        "<table><tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in header) + "</tr>",
    ]
    for row in rows:
        lines.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>")
    return "\n".join([*lines, "</table>"])


def picture(path: Path, caption: str) -> str:
    """The PNG file ``path`` within the page, and its caption."""
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def folded(summary: str, text: str) -> str:
    """Text that opens on a click, as the settings of a run."""
    inside = f"<summary>{html.escape(summary)}</summary><pre>{html.escape(text)}</pre>"
    return f"<details>{inside}</details>"
