"""One door for files: what cannot be read is said in one sentence, and TOML and JSON are bounded.

Only the standard library. Every reader of the package takes its bytes here, so that a missing file, a folder, links
that lead back to themselves and a name that no file can have are refused alike.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from smm_bayes.errors import DataError, SmmBayesError, nearest
from smm_bayes.files import as_json, register, sealed

LARGEST_TABLE = 1 << 30  # bytes
LARGEST_TEXT = 4 << 20  # of a TOML or JSON file
DEEPEST = 32  # tables and arrays within each other
LARGEST_NUMBER = 2**63  # whole numbers of TOML have 64 bits
SHOWN = 200  # characters of a path in a message
ALMOST = 0.8  # likeness of two names of which one is a slip of the other

# strings and comments, in which a dot is no key; one that does not end goes to the end, so that the time stays linear
LITERAL = re.compile(
    r'"""(?:\\?.)*?(?:"""|\Z)|\'\'\'.*?(?:\'\'\'|\Z)|"(?:[^"\\\n]|\\.)*+"?|\'[^\'\n]*+\'?|#[^\n]*', re.DOTALL
)
DOTTED = re.compile(rf"(?<![\w-])(?:[\w-]+[ \t]*\.[ \t]*){{{DEEPEST}}}")


def shown(path: str | Path) -> str:
    """Give a path as a message can hold it: printable, and the middle left out where it is long."""
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(path))
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]}…{text[-SHOWN // 2 :]}"


def read_bytes(
    path: str | Path, error: type[SmmBayesError] = DataError, *, what: str = "a file", largest: int = LARGEST_TABLE
) -> bytes:
    """Read a file whole.

    Parameters
    ----------
    path : str or Path
    error : type of SmmBayesError
        What to raise.
    what : str
        What the file should be, for the remedy: ``"a CSV file"``.
    largest : int
        Bytes; a larger file is refused before it is read.

    Raises
    ------
    SmmBayesError
        When there is no such file, it is a folder or a device, it is too large, it may not be read, or no file can
        have such a path.
    """
    name = shown(path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise error(f"{name}: this is a folder; give the path of {what}")
        if not stat.S_ISREG(status.st_mode):
            raise error(f"{name}: this is no regular file; give the path of {what}")
        if status.st_size > largest:
            raise error(f"{name}: the file has {status.st_size:,} bytes; {what} may have {largest:,}")
        content = Path(path).read_bytes()
    except OSError as found:
        raise error(f"{name}: {_words(found, what, path)}") from None
    except ValueError as found:
        if isinstance(found, SmmBayesError):
            raise
        raise error(f"{name}: the path holds a character that no path can hold; correct it") from None
    register(path, content)
    return content


def resolved(path: str | Path, error: type[SmmBayesError] = DataError) -> Path:
    """Give the absolute path with links followed; whether there is a file is not looked at."""
    try:
        return Path(path).resolve()
    except OSError as found:
        raise error(f"{shown(path)}: {_words(found, 'a file')}") from None
    except RuntimeError:  # pathlib's word for links in a loop
        raise error(f"{shown(path)}: {_words(OSError(errno.ELOOP, ''), 'a file')}") from None
    except ValueError:
        raise error(f"{shown(path)}: the path holds a character that no path can hold; correct it") from None


def read_text(
    path: str | Path, error: type[SmmBayesError] = DataError, *, what: str = "a text file", kind: str = "text"
) -> str:
    """Read a file of at most 4 MB as UTF-8 text, with or without a byte order mark."""
    return _decoded(read_bytes(path, error, what=what, largest=LARGEST_TEXT), shown(path), error, kind)


def _decoded(content: bytes, name: str, error: type[SmmBayesError], kind: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as found:
        raise error(f"{name}: not readable as {kind}: byte {found.start} is not UTF-8; save the file as "
                    "UTF-8") from None  # fmt: skip


def read_toml(path: str | Path, error: type[SmmBayesError] = DataError, *, what: str = "a TOML file") -> dict[str, Any]:
    """Read a TOML file: at most 4 MB, 32 levels of tables and arrays, whole numbers of 64 bits.

    Raises
    ------
    SmmBayesError
        As :func:`read_bytes`, and when it is no TOML or breaks these bounds.
    """
    return parse_toml(read_bytes(path, error, what=what, largest=LARGEST_TEXT), shown(path), error)


def parse_toml(raw: bytes, name: str, error: type[SmmBayesError] = DataError) -> dict[str, Any]:
    """Read the bytes of a TOML file called ``name``, as :func:`read_toml` does."""
    text = _decoded(raw, name, error, "TOML")
    if long := DOTTED.search(LITERAL.sub("_", text)):
        raise error(f"{name}: not readable as TOML: the key {long[0][:20]}… has more than {DEEPEST} parts; shorten it")
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise error(f"{name}: not readable as TOML: {_too_deep()}") from None
    except tomllib.TOMLDecodeError as found:
        raise error(f"{name}: not readable as TOML: {found}; correct the file (UTF-8)") from None
    except (ValueError, OverflowError):  # Python's own limit of digits
        raise error(f"{name}: not readable as TOML: {_too_large()}") from None
    return _checked(content, name, "TOML", error)


def read_json(path: str | Path, error: type[SmmBayesError] = DataError, *, what: str = "a JSON file") -> dict[str, Any]:
    """Read a JSON object: bounded as :func:`read_toml`, and no key may be there twice.

    Python alone would take the last of two equal keys, so that the first could hide what the record says.

    Raises
    ------
    SmmBayesError
        As :func:`read_bytes`, and when it is empty, no JSON, no object, or breaks these bounds.
    """
    text, name = read_text(path, error, what=what, kind="JSON"), shown(path)
    if not text.strip():
        raise error(f"{name}: not readable as JSON: the file is empty; restore it")
    try:
        content = json.loads(text, object_pairs_hook=once, parse_constant=_no_number)
    except RecursionError:
        raise error(f"{name}: not readable as JSON: {_too_deep()}") from None
    except json.JSONDecodeError as found:
        raise error(f"{name}: not readable as JSON: {found}; restore the file") from None
    except RefusedJson as found:
        raise error(f"{name}: not readable as JSON: {found}") from None
    except (ValueError, OverflowError):
        raise error(f"{name}: not readable as JSON: {_too_large()}") from None
    if not isinstance(content, dict):
        raise error(f"{name}: not readable as JSON: it is no object with keys; restore the file")
    return _checked(content, name, "JSON", error)


def read_sealed(path: str | Path, error: type[SmmBayesError] = DataError) -> dict[str, Any]:
    """Read a record that :func:`smm_bayes.files.as_json` wrote, and check its seal.

    Raises
    ------
    SmmBayesError
        When it cannot be read, or was edited since it was made.
    """
    content = read_json(path, error, what="a sealed record")
    if sealed(content)["seal"] != content.get("seal") or as_json(content) != read_text(path, error):
        raise error(f"{shown(path)} was edited after it was made; restore it")
    return content


class RefusedJson(ValueError):
    """What Python's reader of JSON lets pass."""


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its keys and values for :func:`json.loads`, and refuse a key that is there twice."""
    content = dict(pairs)
    if len(content) < len(pairs):
        seen: set[str] = set()
        again = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise RefusedJson(f"the key '{shown(again)}' is there twice; keep one")
    return content


def _no_number(word: str) -> None:
    raise RefusedJson(f"{word} is no number of JSON; restore the file")


def _checked(content: dict[str, Any], name: str, kind: str, error: type[SmmBayesError]) -> dict[str, Any]:
    """Refuse what lies too deep, whole numbers of more than 64 bits, and NUL in a text."""
    todo: list[tuple[Any, int]] = [(content, 0)]
    while todo:
        value, depth = todo.pop()
        trouble = ""
        if depth > DEEPEST:
            trouble = _too_deep()
        elif isinstance(value, dict):
            todo += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif isinstance(value, list):
            todo += [(inner, depth + 1) for inner in value]
        elif isinstance(value, int) and not -LARGEST_NUMBER <= value < LARGEST_NUMBER:
            trouble = _too_large()
        elif isinstance(value, str) and "\x00" in value:
            trouble = f"the text '{shown(value)}' holds a NUL character; correct it"
        if trouble:
            raise error(f"{name}: not readable as {kind}: {trouble}")
    return content


def _too_deep() -> str:
    return f"tables or arrays are nested more than {DEEPEST} deep; correct the file"


def _too_large() -> str:
    return "a whole number has more than 64 bits; correct it"


def _meant(path: str | Path) -> str:
    """Ask for the file or folder that the first missing part of a path is a slip away from."""
    place = Path(path)
    with suppress(OSError, ValueError):
        for part in reversed((place, *place.parents)):
            if not part.exists():
                return nearest(shown(part.name), map(shown, sorted(os.listdir(part.parent))), ALMOST)
    return ""


def _words(found: OSError, what: str, path: str | Path = "") -> str:
    if found.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"there is no such file{_meant(path)}; give the path of {what}"
    if found.errno == errno.ELOOP:
        return f"its symbolic links lead back to themselves; give the path of {what}"
    if found.errno == errno.ENAMETOOLONG:
        return f"the name or path is too long; give the path of {what}"
    return f"cannot be read ({found.strerror}); check the file's permissions"
