"""What a notebook shows of a value, as HTML in which every name is text and never markup."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

LITERAL = 'class="mathjax_ignore tex2jax_ignore"'  # a dollar sign in a name begins no formula
WIDE = 6  # columns from which a table is printed in small letters


def text(value: object) -> str:
    """Escape a value for HTML."""
    return escape(str(value), quote=True)


def paragraph(value: object, tag: str = "p") -> str:
    """Show a text."""
    return f"<{tag} {LITERAL}>{text(value)}</{tag}>"


def table(
    rows: Iterable[Sequence[object]], *, head: Sequence[object] = (), caption: object = "", labels: int = 1
) -> str:
    """Show rows of cells as a table.

    Parameters
    ----------
    rows : iterable of sequence
        Cells; what they hold is shown as text.
    head : sequence, optional
        Names of the columns.
    caption : object
        Nothing by default.
    labels : int
        Cells at the beginning of a row that are its labels.
    """
    rows = [list(row) for row in rows]
    body = "".join(f"<tr>{_cells(row[:labels], 'th')}{_cells(row[labels:], 'td')}</tr>" for row in rows)
    top = f"<caption>{text(caption)}</caption>" if caption else ""
    names = f"<tr>{_cells(head, 'th')}</tr>" if head else ""
    wide = max([len(head), *map(len, rows)], default=0) > WIDE
    return f"<table {LITERAL[:-1]}{' wide' if wide else ''}\">{top}{names}{body}</table>"


def frame(values: pd.DataFrame, *, index: bool = True, number: str = "{:.3g}") -> str:
    """Show a pandas frame whole: no row, column or long text is cut short. What is not a number is left empty."""
    labels = values.index.nlevels if index else 0
    keys = [key if isinstance(key, tuple) else (key,) for key in values.index]
    rows = [[*(key if index else ()), *(_cell(cell, number) for cell in row)]
            for key, row in zip(keys, values.itertuples(index=False), strict=True)]  # fmt: skip
    names = [name or "" for name in values.index.names] if index else []
    return table(rows, head=[*names, *values.columns], labels=labels)


def _cell(value: object, number: str) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else number.format(value)
    return str(value)


def _cells(values: Iterable[object], tag: str) -> str:
    return "".join(f"<{tag}>{text(value)}</{tag}>" for value in values)
