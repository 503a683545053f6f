"""Files: read once, with the hash of the very bytes that are parsed; and written whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from smm_bayes.errors import DataError


@dataclass(frozen=True)
class Pins:
    """SHA-256 of what was read.

    Attributes
    ----------
    files : dict of Path to str
        By resolved path, of the bytes that were parsed.
    values : dict of str to str
        By name, of values that came out of larger tables.
    """

    files: dict[Path, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)


_COLLECTING: ContextVar[tuple[Pins, ...]] = ContextVar("collecting", default=())


@contextmanager
def collecting() -> Iterator[Pins]:
    """Collect the hash of everything that readers register in a ``with`` block; blocks may be nested."""
    pins = Pins()
    token = _COLLECTING.set((*_COLLECTING.get(), pins))
    try:
        yield pins
    finally:
        _COLLECTING.reset(token)


def sha256(content: bytes) -> str:
    """Give the SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def register(path: str | Path, content: bytes) -> None:
    """Note the bytes that a reader is about to parse; what was noted of the same file before must be the same.

    Raises
    ------
    DataError
        When the file changed since it was read the first time.
    """
    where, found = Path(path).resolve(), sha256(content)
    for pins in _COLLECTING.get():
        if pins.files.setdefault(where, found) != found:
            raise DataError(f"{path}: the file changed while it was being read; start again when it is complete")


def register_value(name: str, value: object) -> None:
    """Note a value that is used, such as one row of a table of facts."""
    for pins in _COLLECTING.get():
        pins.values[name] = sha256(repr(value).encode())


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Add the hash of a record's content as ``seal``, by which an edited one is known."""
    kept = {name: value for name, value in content.items() if name != "seal"}
    return {**kept, "seal": sha256(json.dumps(kept, sort_keys=True).encode())}


def as_json(content: Mapping[str, Any]) -> str:
    """Give the one text of a record: whatever else is in its file was put there afterwards."""
    return json.dumps(content, indent=1) + "\n"


def write_whole(path: str | Path, content: str | bytes) -> Path:
    """Write a file under a temporary name in its folder, and move it; text is UTF-8."""
    encoded = content.encode() if isinstance(content, str) else content
    return _moved(path, "wb", lambda target: target.write(encoded))


type Row = Mapping[str, object] | Sequence[object]


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Row]) -> Path:
    """Write a table, each row by name of column or in their order, under a temporary name, and move it."""

    def fill(target: IO) -> None:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([row[name] for name in columns] if isinstance(row, Mapping) else row for row in rows)

    return _moved(path, "w", fill)


def _moved(path: str | Path, mode: str, fill: Callable[[IO], object]) -> Path:
    place = Path(path).resolve()  # a link stays, and what it leads to is replaced
    temporary = place.with_name(f".{os.getpid()}.{secrets.token_hex(4)}.tmp")
    text = {} if "b" in mode else {"newline": "", "encoding": "utf-8"}
    try:
        with temporary.open(mode, **text) as target:  # type: ignore[call-overload]
            fill(target)
            target.flush()
            os.fsync(target.fileno())
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)
    return Path(path)
