"""The summary for the terminal, and as one file for the browser."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from pathlib import Path

from whale_ros.evaluation.uncertainty.sections import Section, sections

# Nothing is fetched, nothing runs.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
body { font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 1200px; padding: 0 1em;
       color: #222; background: #fff; }
h2 { margin-top: 2.2em; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 10px; text-align: left; border-bottom: 1px solid #ddd; }
td { white-space: nowrap; }
th { vertical-align: bottom; border-bottom: 2px solid #666; }
tr.main td { font-weight: bold; background: #eef4fa; }
img { max-width: 100%; }
p.note { color: #555; max-width: 60em; }
li.missed { color: #a33000; font-weight: bold; }
"""


def table(summary: dict) -> str:
    """For the terminal."""
    lines = ["Aims", *(f"  {aim['in_words']}" for aim in summary["aims"])]
    for section in sections(summary):
        lines += ["", section.title, *([f"  {section.note}"] if section.note else [])]
        rows = [section.header, *section.rows] if section.header else section.rows
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += [
            "  " + "  ".join(f"{text:{w}}" for text, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
    return "\n".join(lines)


def write_html(summary: dict, pictures: dict[str, Path], path: Path) -> None:
    """A page that holds all it shows. pictures: PNG files by caption."""
    title = "How far to trust what is imagined"
    head = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    )
    aims = "".join(
        f'<li class="{"met" if aim["met"] else "missed"}">{escape(aim["in_words"])}</li>\n'
        for aim in summary["aims"]
    )
    body = [f"<h2>Aims</h2>\n<ul>\n{aims}</ul>\n"]
    about, *tables = (_html(section, summary["main_score"]) for section in sections(summary))
    body += [about, *(_figure(caption, file) for caption, file in pictures.items()), *tables]
    path.write_text(head + "".join(body) + "</body>\n</html>\n", encoding="utf-8")


def _html(section: Section, main_score: str) -> str:
    header = "".join(f"<th>{escape(text)}</th>" for text in section.header)
    rows = "".join(
        f'<tr class="{"main" if row[0] == main_score else "other"}">'
        + "".join(f"<td>{escape(text)}</td>" for text in row)
        + "</tr>\n"
        for row in section.rows
    )
    return (
        f'<h2>{escape(section.title)}</h2>\n<p class="note">{escape(section.note)}</p>\n'
        f'<div class="wide"><table>\n<tr>{header}</tr>\n{rows}</table></div>\n'
    )


def _figure(caption: str, file: Path) -> str:
    picture = b64encode(file.read_bytes()).decode()
    return (
        f"<h2>{escape(caption)}</h2>\n"
        f'<img alt="{escape(caption)}" src="data:image/png;base64,{picture}">\n'
    )
