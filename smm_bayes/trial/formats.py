"""Tables in the formats of a submission: SAS transport (XPORT) and CDISC Dataset-JSON."""

from __future__ import annotations

import json
from pathlib import Path

from smm_bayes.errors import DataError
from smm_bayes.reading import read_bytes
from smm_bayes.trial.table import MOST_COLUMNS, Table, from_columns


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
    return from_columns(str(path), labels, columns, len(columns[0]))


def read_dataset_json(path: str | Path) -> Table:
    """Read a CDISC Dataset-JSON file, version 1.1, or raise one :class:`DataError`.

    References
    ----------
    CDISC, Dataset-JSON version 1.1, 2024.
    """
    try:
        content = json.loads(read_bytes(path, what="a Dataset-JSON file").decode("utf-8-sig"))
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
