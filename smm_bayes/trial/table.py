"""Reading a table as text and turning its columns into values, noting every problem.

Only the standard library and NumPy: a malformed file is refused in a fraction of a second, before
anything heavy is imported. Row numbers are those of the file (the header is row 1).
"""

from __future__ import annotations

import csv
import datetime
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import DataError, Problems, name_rows
from smm_bayes.reading import read_bytes
from smm_bayes.trial.identity import normal_form

if TYPE_CHECKING:
    import pandas as pd

MISSING = frozenset({"", "na", "nan", "nat", "n/a", "null", "none", "."})
ISO_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})([T ].*)?")
SAS_DATE = re.compile(r"(\d{1,2})-?([A-Z]{3})-?(\d{4})(:.*)?", re.IGNORECASE)  # DATE9, DATE11, DATETIME20
LINE_END = re.compile("\r\n|\r|\n")
SAS_ORIGIN = datetime.date(1960, 1, 1)
SAS_DAYS = (3653, 51500)  # from 1970 to 2100: a smaller number is rather a year, a larger one a time in seconds
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
YEARS = range(1900, 2101)
MOST_COLUMNS = 5000


@dataclass(frozen=True)
class Table:
    """Columns of text with the row each value stands in.

    Attributes
    ----------
    name : str
        What the user calls it.
    columns : dict of str to list of str
        Every column as text, all of one length.
    rows : list of int
        Row in the file of each value.
    """

    name: str
    columns: dict[str, list[str]]
    rows: list[int]

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def where(self, mask: Sequence[bool] | np.ndarray) -> list[int]:
        """Row numbers in the file where ``mask`` is true."""
        return [row for row, hit in zip(self.rows, mask, strict=True) if hit]

    def cells(self, column: str) -> list[str]:
        """Text of a column; empty where there is no such column, which :func:`require` has noted."""
        return self.columns[column] if column in self else [""] * len(self)

    def words(self, column: str) -> list[str]:
        """Text of a column, stripped; empty where a cell says nothing, or where there is no such column."""
        cells = self.cells(column)
        read = {cell: "" if is_missing(cell) else cell.strip() for cell in set(cells)}
        return [read[cell] for cell in cells]

    def take(self, mask: Sequence[bool] | np.ndarray) -> Table:
        """Keep the rows where ``mask`` is true."""
        keep = [index for index, hit in enumerate(mask) if hit]
        columns = {name: [values[index] for index in keep] for name, values in self.columns.items()}
        return Table(self.name, columns, [self.rows[index] for index in keep])

    @classmethod
    def of(cls, source: Table | pd.DataFrame | str | Path, name: str | None = None) -> Table:
        """Take a table, a pandas frame, or a path to a file: CSV, SAS transport (.xpt) or Dataset-JSON (.json)."""
        if isinstance(source, Table):
            return source
        if not isinstance(source, str | Path):
            return from_frame(source, name or "table")
        if Path(source).suffix.lower() in (".xpt", ".json"):
            from smm_bayes.trial.formats import read_dataset_json, read_xpt

            return read_xpt(source) if Path(source).suffix.lower() == ".xpt" else read_dataset_json(source)
        return read_csv(source)


def from_frame(frame: pd.DataFrame, name: str = "table") -> Table:
    """Turn a pandas frame into text columns; its first row is row 2, as in the file it would be saved to."""
    labels = [str(label) for label in frame.columns]
    return from_columns(name, labels, (frame.iloc[:, position].tolist() for position in range(len(labels))), len(frame))


def from_columns(name: str, labels: Sequence[str], columns: Iterable[Sequence[object]], size: int) -> Table:
    """Turn columns of values into a table; its first row is row 2, as in the file it would be saved to."""
    problems = Problems(name)
    _check_header(labels, problems)
    problems.raise_if_any()
    cells = {label: [_as_text(value) for value in values] for label, values in zip(labels, columns, strict=True)}
    return Table(name, cells, list(range(2, size + 2)))


def read_csv(path: str | Path) -> Table:
    """Read a comma-separated file with a header, or raise one :class:`DataError` saying what it is instead."""
    content = read_bytes(path, what="a CSV file")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path}: this is UTF-16 text; save the file as CSV (UTF-8)")
    if b"\x00" in content or content[:4] in (b"PAR1", b"PK\x03\x04", b"%PDF"):
        raise DataError(f"{path}: this is a binary file, not comma-separated text; export it as CSV (UTF-8)")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8; save the file as CSV (UTF-8)") from None
    if not text.strip():
        raise DataError(f"{path}: the file is empty; it needs a header and one row per patient")
    try:
        return _parse(text, str(path))
    except csv.Error as error:
        raise DataError(f"{path}: not readable as comma-separated text ({error}); export it as CSV") from None


def _parse(text: str, name: str) -> Table:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    problems = Problems(name)
    header = _read_header(reader, name, problems)
    values: list[list[str]] = []
    rows: list[int] = []
    ragged: dict[int, list[int]] = {}
    swallowing: list[int] = []
    last = reader.line_num
    for row in reader:
        line, before, last = reader.line_num, last, reader.line_num
        if line > before + 1 and any(_swallows(cell, len(header)) for cell in row):
            swallowing.append(before + 1)
        row = list(map(str.strip, row))
        if not any(row):
            continue
        if len(row) != len(header):
            ragged.setdefault(len(row), []).append(line)
            continue
        values.append(row)
        rows.append(line)
    for size, lines in ragged.items():
        problems.add(f"{name_rows(lines)}: {size} values where the header has {len(header)}; mend the commas")
    if swallowing:
        problems.add(f"{name_rows(swallowing)}: a quotation mark opens a cell that closes in another row, so that rows "
                     "between are lost; remove the mark, or double it")  # fmt: skip
    if not rows and not problems:
        problems.add("there is a header but no row; give one row per patient")
    problems.raise_if_any()
    return Table(name, dict(zip(header, map(list, zip(*values, strict=True)), strict=True)), rows)


def _read_header(reader: Iterator[list[str]], name: str, problems: Problems) -> list[str]:
    """Read the names of the columns: the first row that is not empty."""
    header = [label.strip() for label in next((row for row in reader if any(map(str.strip, row))), [])]
    if not header:
        raise DataError(f"{name}: there are commas but no header; name the columns in the first row")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise DataError(f"{name}: the header has no comma; separate columns by commas, not semicolons, tabs or bars")
    _check_header(header, problems)
    if len(header) > MOST_COLUMNS:
        problems.raise_if_any()
    return header


def _swallows(cell: str, columns: int) -> bool:
    """Whether a quoted cell of several lines has as many commas as if it went on to its own column of a later row."""
    breaks = len(LINE_END.findall(cell))
    return columns > 1 and breaks > 0 and cell.count(",") >= breaks * (columns - 1)


def _check_header(labels: Sequence[str], problems: Problems) -> None:
    if len(labels) > MOST_COLUMNS:
        problems.add(f"there are {len(labels)} columns, more than {MOST_COLUMNS}; give the columns that are needed")
        return
    unnamed = [str(number) for number, label in enumerate(labels, 1) if not label]
    if unnamed:
        problems.add(f"column number {', '.join(unnamed)} has no name; name it in the header or remove it")
    for label, number in sorted(Counter(labels).items()):
        if label and number > 1:
            problems.add(f"column '{label}' appears {number} times; give each column one name of its own")


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float | np.floating):
        number = float(value)
        whole = number.is_integer() and abs(number) < 1e15
        return "" if math.isnan(number) else str(int(number)) if whole else repr(number)
    if isinstance(value, datetime.datetime):
        return "" if value != value else value.date().isoformat()
    return "" if str(value) in ("<NA>", "NaT") else str(value).strip()


def _as_number(text: str) -> float:
    """Value of a plain number; NaN for anything else (Python alone would read 1_000)."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def is_missing(value: str) -> bool:
    """Whether a cell says nothing."""
    return value.strip().lower() in MISSING or not normal_form(value)


def require(table: Table, columns: Iterable[tuple[str, str]], problems: Problems) -> bool:
    """Note each missing column with the role it has; say whether all are there."""
    complete = True
    for column, role in columns:
        if column not in table:
            close = [name for name in table.columns if name.lower() == column.lower()]
            hint = f" (there is '{close[0]}': names are case-sensitive)" if close else ""
            problems.add(f"column '{column}' is missing: it holds {role}{hint}; add it")
            complete = False
    return complete


def numbers(
    table: Table,
    column: str,
    problems: Problems,
    *,
    minimum: float | None = None,
    required: bool = True,
) -> np.ndarray:
    """Read a column of numbers; NaN where it is missing or bad, which is noted."""
    text = table.cells(column)
    result = np.array([_as_number(cell) for cell in text], dtype=float)
    unread = np.isnan(result)
    empty = np.array([nan and is_missing(cell) for nan, cell in zip(unread, text, strict=True)], dtype=bool)
    bad = ~np.isfinite(result) & ~empty
    result[bad] = np.nan
    if required and column in table:
        problems.add_rows(column, table.where(empty), "no value", "give a number or leave the patient out")
    found = next((repr(cell) for cell, hit in zip(text, bad, strict=True) if hit), "")
    problems.add_rows(column, table.where(bad), "not a finite number", "give a plain number such as 12.5", found)
    if minimum is not None:
        low = result < minimum
        found = next((cell for cell, hit in zip(text, low, strict=True) if hit), "")
        rule = "negative" if minimum == 0 else f"below {minimum:g}"
        problems.add_rows(column, table.where(low), rule, f"give a value of {minimum:g} or more", found)
        result[low] = np.nan
    return result


def dates(
    table: Table, column: str, problems: Problems, *, required: bool = True
) -> list[datetime.date | None]:
    """Read a column of dates, whose time of day is dropped; None where missing or bad.

    Dates are ISO (``2014-01-02``), as SAS prints them (``02JAN2014``), or, in a column of numbers only, days since
    1960-01-01 as SAS stores them.
    """
    text = table.cells(column)
    empty = [is_missing(cell) for cell in text]
    stored = _stored_by_sas([cell for cell, nothing in zip(text, empty, strict=True) if not nothing])
    result = [None if nothing else _as_date(cell, stored) for cell, nothing in zip(text, empty, strict=True)]
    bad = [date is None and not nothing for date, nothing in zip(result, empty, strict=True)]
    far = [date is not None and date.year not in YEARS for date in result]
    if required and column in table:
        problems.add_rows(column, table.where(empty), "no date", "give a date as YYYY-MM-DD")
    problems.add_rows(column, table.where(bad), "not a date", "write dates as YYYY-MM-DD", first_of(text, bad))
    problems.add_rows(column, table.where(far), f"not a year from {YEARS[0]} to {YEARS[-1]}", "correct the date",
                      first_of(text, far))  # fmt: skip
    return [None if strange else date for date, strange in zip(result, far, strict=True)]


def _stored_by_sas(cells: Sequence[str]) -> bool:
    """Whether all cells are whole numbers that can be days since 1960."""
    values = [_as_number(cell) for cell in cells]
    return bool(cells) and all(SAS_DAYS[0] <= value <= SAS_DAYS[1] and value % 1 == 0 for value in values)


def _as_date(cell: str, stored: bool) -> datetime.date | None:
    cell = cell.strip()
    try:
        if stored:
            return SAS_ORIGIN + datetime.timedelta(days=int(_as_number(cell)))
        if match := SAS_DATE.fullmatch(cell):
            return datetime.date(int(match[3]), MONTHS.index(match[2].lower()) + 1, int(match[1]))
        match = ISO_DATE.fullmatch(cell)
        return datetime.date.fromisoformat(match[1] if match else "")
    except ValueError:
        return None


def first_of(cells: Iterable[str], hit: Iterable[bool] | np.ndarray) -> str:
    """Show the first cell that ``hit`` says, for a message; nothing where there is none."""
    return next((repr(cell) for cell, yes in zip(cells, hit, strict=True) if yes), "")


def texts(table: Table, column: str, problems: Problems, *, required: bool = True) -> list[str]:
    """Read a column of words, stripped; an empty string where missing."""
    result = table.words(column)
    if required and column in table:
        empty = [row for row, cell in zip(table.rows, result, strict=True) if not cell]
        problems.add_rows(column, empty, "no value", "fill it in or leave the patient out")
    return result
