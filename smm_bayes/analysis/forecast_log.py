"""The log beside the forecasts on record: which were made, each entry hashed with the one before.

A seal is a plain hash, which anybody can make anew after an edit. The log says which bytes were put on record, in a
second file whose every entry depends on all before it: an edit that is sealed again is known, and so are a record that
was exchanged, removed or added by hand. Who rewrites record and log together is known only where the last entry's seal
was published elsewhere: in the history of the repository, on a card, in a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smm_bayes.analysis.log import append
from smm_bayes.analysis.log import read_log as read_chain
from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.inference.fingerprint import hash_file

LOG = "forecasts.log.jsonl"


def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """Entries of the log of a folder, its chain checked; none where there is no log.

    Raises
    ------
    SpecificationError
        Naming the first entry that is not as it was written.
    """
    try:
        return read_chain(Path(folder) / LOG)
    except DataError as error:
        raise SpecificationError(str(error)) from None


def enter(path: Path, seal: str) -> None:
    """Put a record that was just written at the end of the log of its folder."""
    append(path.parent / LOG, {"record": path.name, "sha256": hash_file(path), "sealed_as": seal})


def vouch(folder: str | Path, records: Sequence[Path]) -> None:
    """Check that the records of a folder are those of its log, in their order and to the byte.

    Raises
    ------
    SpecificationError
        Naming the first record that is not.
    """
    entries = read_log(folder)
    for path, entry in zip(records, entries, strict=False):
        if entry.get("record") != path.name or entry.get("sha256") != hash_file(path):
            raise SpecificationError(f"{path} was edited after it was made, and sealed again: {LOG} beside it has "
                                     "another; restore it")  # fmt: skip
    if len(records) > len(entries):
        path = records[len(entries)]
        raise SpecificationError(f"{path} is not in {LOG} beside it, where every record is entered as it is made; "
                                 "restore the log")  # fmt: skip
    if len(entries) > len(records):
        raise SpecificationError(f"{folder}: {entries[len(records)].get('record')} is in {LOG} and no longer there; "
                                 "restore it")  # fmt: skip
