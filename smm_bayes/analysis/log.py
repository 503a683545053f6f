"""A log in which every entry is hashed with the one before: none can be changed, removed or put between unnoticed."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smm_bayes.errors import DataError
from smm_bayes.files import sealed


def log_of(spec: Path) -> Path:
    """Where the log of a specification is: beside it."""
    return spec.with_suffix(".log.jsonl")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a log and check its chain; there is no entry where there is no file.

    Raises
    ------
    DataError
        Naming the first entry that is not as it was written.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    return _chain(path, content)


def _chain(path: Path, content: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        after = found[-1]["seal"] if found else ""
        try:
            entry = json.loads(line)
            good = _line(sealed(entry)) == line.decode() and entry["after"] == after
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            good = False
        if not good:
            raise DataError(f"{path}: entry {number} was changed, or one before it was removed; restore the log")
        found.append(entry)
    return found


def append(path: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Put an entry at the end of a log, with the time and the seal of the one before.

    Raises
    ------
    DataError
        When the log was tampered with.
    OSError
        When it cannot be written.
    """
    with path.open("a+b") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        log.seek(0)
        there = _chain(path, log.read())
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        made = sealed({"at": now, **entry, "after": there[-1]["seal"] if there else ""})
        log.write(_line(made).encode())
        log.flush()
        os.fsync(log.fileno())
    return made


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry) + "\n"
