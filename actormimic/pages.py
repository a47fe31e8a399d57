"""What a report is written as: Markdown, CSV and one HTML page that needs no other file."""

from __future__ import annotations

import base64
import csv
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Section:
    """A table. A cell like ``**12.0**`` is bold."""

    heading: str
    caption: str
    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Picture:
    """A plot that is drawn already."""

    path: Path
    caption: str


def markdown(sections: Sequence[Section], pictures: Sequence[Picture] = ()) -> str:
    """The tables, and the plots by their files' names."""
    parts = []
    for section in sections:
        dashes = ["---", *["---:"] * (len(section.header) - 1)]
        lines = [section.header, dashes, *section.rows]
        parts.append(f"## {section.heading}\n\n{section.caption}\n")
        escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in escaped) + "\n")
    parts += [f"![{picture.caption}]({picture.path.name})\n" for picture in pictures]
    return "\n".join(parts)


def plain_text(section: Section) -> str:
    """A table as aligned text, for a terminal."""
    header, rows = section.header, [[unmarked(cell) for cell in row] for row in section.rows]
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [header, *rows]
    ]
    lines.insert(1, "-" * max(len(line) for line in lines))
    return "\n".join([section.caption, *lines])


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if cell is None else cell for cell in row] for row in rows])
    return text.getvalue()


def unmarked(cell: str) -> str:
    """A cell without the marks of bold type."""
    bold = cell.startswith("**") and cell.endswith("**") and len(cell) > 4
    return cell[2:-2] if bold else cell


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.scroll { overflow-x: auto; }
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


def section_html(section: Section) -> str:
    """A heading, a caption and a table."""
    heading, caption = html.escape(section.heading), html.escape(section.caption)
    lines = [
        f"<h2>{heading}</h2><p class=caption>{caption}</p>",
        "<div class=scroll><table><tr>"
        + "".join(f"<th>{html.escape(cell)}</th>" for cell in section.header)
        + "</tr>",
    ]
    for row in section.rows:
        lines.append("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>")
    return "\n".join([*lines, "</table></div>"])


def picture_html(picture: Picture) -> str:
    """A PNG file's plot within the page, and its caption."""
    data = base64.b64encode(picture.path.read_bytes()).decode()
    caption = html.escape(picture.caption)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def folded(summary: str, text: str) -> str:
    """Text that opens on a click, as the settings of a run."""
    inside = f"<summary>{html.escape(summary)}</summary><pre>{html.escape(text)}</pre>"
    return f"<details>{inside}</details>"


def html_page(
    name: str,
    about: Sequence[str],
    sections: Sequence[Section],
    pictures: Sequence[Picture],
    details: Sequence[tuple[str, str]],
) -> str:
    """The page of a report.

    Args:
        name: Its heading.
        about: Paragraphs under it.
        sections: Its tables.
        pictures: Its plots; they become part of the page.
        details: Heading and text of what is shown on a click.
    """
    body = [f"<h1>{html.escape(name)}</h1>", *(f"<p>{html.escape(text)}</p>" for text in about)]
    body += [section_html(section) for section in sections]
    body += [picture_html(picture) for picture in pictures]
    body += [folded(heading, text) for heading, text in details]
    return document(name, body)


def _cell(cell: str) -> str:
    plain = html.escape(unmarked(cell))
    return plain if plain == html.escape(cell) else f"<b>{plain}</b>"


def score_text(value: float) -> str:
    """One decimal for small scores, none for those in the thousands."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"
