"""A report as files: text, pictures, and a page whose clips are links."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import quote

from matplotlib.figure import Figure

from mmaction_emim.utils.files import write_text

LINKS = 12  # clips of a cell

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; }}
table {{ border-collapse: collapse; margin: 1em 0; }}
th, td {{ border-bottom: 1px solid #ddd; padding: .25em .8em; text-align: left; vertical-align: top; }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
img {{ max-width: 100%; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""  # noqa: E501


class Table(NamedTuple):
    """A table of the page.

    Attributes:
        title: Its heading.
        columns: Their heads.
        rows: Cells: text, integers, shares as floats (NaN: none), and lists of clips.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence]


class Report(Protocol):
    """What :func:`write_report` asks of a report."""

    def text(self) -> str: ...
    def summary(self) -> list[str]: ...
    def tables(self) -> list[Table]: ...
    def figures(self) -> dict[str, Figure]: ...


def write_report(report: Report, out: Path, clips: Path | None = None) -> None:
    """Write ``classes.txt``, the report's pictures, and ``classes.html``, which shows them.

    Args:
        report: What is written.
        out: Folder, which is made.
        clips: Folder that the clips' names are relative to: they are links, relative to ``out``.
            Default: names alone.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / 'classes.txt', report.text())
    body = [f'<p>{escape(line)}</p>' for line in report.summary()]
    for name, figure in report.figures().items():
        figure.savefig(out / name, bbox_inches='tight')
        body.append(f'<p><img src="{name}" alt="{name}"></p>')
    base = clips and os.path.relpath(clips.resolve(), out.resolve())
    body += [_table(table, base) for table in report.tables() if table.rows]
    write_text(out / 'classes.html', _PAGE.format(title='Results by class', body='\n'.join(body)))


def _table(table: Table, base: str | None) -> str:
    head = ''.join(f'<th>{escape(column)}</th>' for column in table.columns)
    rows = [''.join(_cell(cell, base) for cell in row) for row in table.rows]
    lines = ''.join(f'<tr>{row}</tr>\n' for row in rows)
    return f'<h2>{escape(table.title)}</h2>\n<table>\n<tr>{head}</tr>\n{lines}</table>'


def _cell(cell: object, base: str | None) -> str:
    if isinstance(cell, list):
        more = f' and {len(cell) - LINKS} more' if len(cell) > LINKS else ''
        return f'<td>{", ".join(_clip(clip, base) for clip in cell[:LINKS])}{more}</td>'
    if isinstance(cell, float):
        return f'<td class="number">{"–" if cell != cell else f"{cell:.3f}"}</td>'
    kind = ' class="number"' if isinstance(cell, int) else ''
    return f'<td{kind}>{escape(str(cell))}</td>'


def _clip(clip: str, base: str | None) -> str:
    if base is None:
        return escape(clip)
    address = quote(Path(base, clip).as_posix())  # no scheme is left in it
    return f'<a href="{address}">{escape(clip)}</a>'
