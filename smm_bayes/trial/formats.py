"""Tables in the formats of a submission: SAS transport (XPORT) and CDISC Dataset-JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

from smm_bayes.errors import DataError
from smm_bayes.reading import RefusedJson, once, read_bytes
from smm_bayes.trial.table import MOST_COLUMNS, Table, from_columns

# a SAS transport file, and its sections in versions 5 and 8
HEAD, RECORD = re.compile(rb"HEADER RECORD\*{7}"), 80
SECTIONS = ((b"MEMBER", b"MEMBV8"), (b"NAMESTR", b"NAMSTV8"), (b"OBS", b"OBSV8"))


def read_xpt(path: str | Path) -> Table:
    """Read a SAS transport file (version 5 or 8) by pyreadstat, or raise one :class:`DataError`.

    References
    ----------
    SAS Institute, record layout of a SAS version 5 or 6 data set in SAS transport (XPORT) format, TS-140.
    """
    content = read_bytes(path, what="a SAS transport file")
    if not content.startswith(b"HEADER RECORD*******"):
        raise DataError(f"{path}: this is not a SAS transport file; give an .xpt file, or export it as CSV (UTF-8)")
    try:
        import pyreadstat
    except ImportError:
        raise DataError(f"{path}: SAS transport files need the library pyreadstat; install it, or export CSV") from None
    try:
        found, _ = pyreadstat.read_xport(str(path), output_format="dict")
    except Exception as error:  # pyreadstat raises what its C library says
        raise DataError(f"{path}: not readable as a SAS transport file ({error}); write it again, or as CSV") from None
    labels = list(found)
    columns = [list(found[label]) for label in labels]
    if not columns or not len(columns[0]):
        raise DataError(f"{path}: the file has no row; give one row per patient")
    if trouble := _incomplete(content, len(columns[0])):
        raise DataError(f"{path}: {trouble}")
    return from_columns(str(path), labels, columns, len(columns[0]))


def _incomplete(content: bytes, rows: int) -> str:
    """Say what of a SAS transport file is not among the rows that were read of it; empty where nothing is missing.

    The library gives the rows there are. A file is whole records of 80 bytes; a number of rows is in version 8 alone;
    after the last whole row there are only blanks, fewer than fill a record.
    """
    places = [found.start() for found in HEAD.finditer(content) if found.start() % RECORD == 0]
    heads = {content[at + 20 : at + 28].strip(): at for at in places}
    tables = sum(content.startswith(b"MEMB", at + 20) for at in places)
    if tables > 1:
        return f"the file holds {tables} tables, of which one would be read; write one table a file"
    try:
        member, names, data = (heads.get(five, heads.get(eight, 0)) for five, eight in SECTIONS)
        size, number = int(content[member + 74 : member + 78]), int(content[names + 54 : names + 58])
        starts = range(names + RECORD, names + RECORD + size * number, size)
        width = sum(int.from_bytes(content[at + 4 : at + 6]) for at in starts)
        stated = int(content[heads[b"OBSV8"] + 48 : heads[b"OBSV8"] + 63]) if b"OBSV8" in heads else rows
    except ValueError:
        return "the header of the file is damaged; write it again, or as CSV"
    if len(content) % RECORD or stated != rows or content[data + RECORD + rows * width :].strip(b" \x00"):
        return f"the file is damaged or was cut short after {rows} rows; copy it again, or write it again"
    return ""


def read_dataset_json(path: str | Path) -> Table:
    """Read a CDISC Dataset-JSON file, version 1.1, or raise one :class:`DataError`.

    References
    ----------
    CDISC, Dataset-JSON version 1.1, 2024.
    """
    try:
        text = read_bytes(path, what="a Dataset-JSON file").decode("utf-8-sig")
        content = json.loads(text, object_pairs_hook=once)  # of two lists of rows one would hide the other
    except RefusedJson as error:
        raise DataError(f"{path}: {error}") from None
    except (ValueError, RecursionError):
        raise DataError(f"{path}: this is not JSON; give a Dataset-JSON file, or export it as CSV (UTF-8)") from None
    if not isinstance(content, dict) or not str(content.get("datasetJSONVersion", "")).startswith("1.1"):
        raise DataError(f"{path}: this is not Dataset-JSON version 1.1 (datasetJSONVersion); write it so, or as CSV")
    columns, rows = content.get("columns"), content.get("rows")
    if not isinstance(columns, list) or not all(
        isinstance(c, dict) and isinstance(c.get("name"), str) for c in columns
    ):
        raise DataError(f"{path}: Dataset-JSON without the names of its columns; write it again, or as CSV")
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path}: the file has no row; give one row per patient")
    bad = [number for number, row in enumerate(rows, 1) if not isinstance(row, list) or len(row) != len(columns)]
    if bad and len(columns) <= MOST_COLUMNS:
        raise DataError(f"{path}: row {bad[0]} of the data has not one value a column; write the file again, or as CSV")
    if content.get("records", len(rows)) != len(rows):
        raise DataError(f"{path}: the file states {content['records']} records and holds {len(rows)}; write it again")
    labels = [column["name"].strip() for column in columns]
    return from_columns(str(path), labels, list(zip(*rows, strict=True)) if not bad else [()] * len(labels), len(rows))
