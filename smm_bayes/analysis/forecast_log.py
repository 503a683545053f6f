"""The log beside the forecasts on record: which were made, each entry hashed with the one before.

A seal is a plain hash, which anybody can make anew after an edit. The log says which bytes were put on record, in a
second file whose every entry depends on all before it: an edit that is sealed again is known, and so are a record that
was exchanged, removed or added by hand. Who rewrites record and log together is known only where the last entry's seal
was published elsewhere: in the history of the repository, on a card, in a test.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smm_bayes.errors import SpecificationError
from smm_bayes.inference.fingerprint import hash_file
from smm_bayes.reading import read_text

LOG = "forecasts.log.jsonl"


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Add the hash of what an object holds, by which an edited one is known."""
    kept = {name: value for name, value in content.items() if name != "seal"}
    return {**kept, "seal": hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()}


def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """Entries of the log of a folder, its chain checked; none where there is no log.

    Raises
    ------
    SpecificationError
        Naming the first entry that is not as it was written.
    """
    path = Path(folder) / LOG
    if not os.path.lexists(path):
        return []
    found: list[dict[str, Any]] = []
    for number, line in enumerate(read_text(path, SpecificationError, what="a log").splitlines(keepends=True), 1):
        try:
            entry = json.loads(line)
            good = _line(sealed(entry)) == line and entry["after"] == (found[-1]["seal"] if found else "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            good = False
        if not good:
            raise SpecificationError(f"{path}: entry {number} was changed, or one before it was removed; restore it")
        found.append(entry)
    return found


def enter(path: Path, seal: str) -> None:
    """Put a record that was just written at the end of the log of its folder."""
    there, log = read_log(path.parent), path.parent / LOG
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = sealed({"at": now, "record": path.name, "sha256": hash_file(path), "sealed_as": seal,
                    "after": there[-1]["seal"] if there else ""})  # fmt: skip
    temporary = log.with_suffix(".tmp")
    temporary.write_text("".join(map(_line, [*there, entry])))
    os.replace(temporary, log)


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


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry) + "\n"
