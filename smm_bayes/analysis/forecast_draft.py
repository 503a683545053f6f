"""A forecast in steps: made as a draft, put on record under a seal, and what is on record listed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from smm_bayes.analysis.forecast import DECLARED, make_forecast, read_forecast, records, store
from smm_bayes.errors import SpecificationError
from smm_bayes.files import as_json, write_whole
from smm_bayes.inference.fingerprint import hash_file
from smm_bayes.reading import read_sealed

DRAFT = "forecast.draft.json"


def draft(folder: str | Path, *, say: Callable[[str], None] = print) -> Path:
    """Compute the forecast that a folder declares and write it beside its declaration; nothing is put on record."""
    return write_whole(Path(folder) / DRAFT, as_json(make_forecast(folder, say=say)))


def seal_draft(folder: str | Path, *, because: str = "") -> Path:
    """Put the draft of a folder on record, and take it away.

    Raises
    ------
    SpecificationError
        When there is no draft, it was edited, its declaration was changed since, or a record is there and no reason
        is given for another.
    """
    path = Path(folder) / DRAFT
    if not path.is_file():
        raise SpecificationError(f"{path} is not there; make it first: smm-bayes forecast make {folder}")
    content = read_sealed(path, SpecificationError)
    if content.get("sha256", {}).get(DECLARED) != hash_file(Path(folder) / DECLARED):
        raise SpecificationError(f"{DECLARED} was changed after {path} was made; make the forecast anew")
    stored = store(content, folder, because=because)
    path.unlink()
    return stored


def listed(folder: str | Path) -> list[str]:
    """Say of every record of a folder when it was made, its seal, and why it was made beside others; seals are checked.

    Raises
    ------
    SpecificationError
        When there is none, or one is not as it was sealed.
    """
    there = records(folder)
    if not there:
        raise SpecificationError(f"{folder}: no forecast is on record there; make and seal one")
    lines = []
    for number, path in enumerate(there, 1):
        content = read_forecast(folder, number)
        why = f"; because: {content['because']}" if content.get("because") else ""
        lines.append(f"{number}  {path.name}  made {content['made']}, {len(content['quantities'])} quantities, "
                     f"seal {content['seal'][:16]}{why}")  # fmt: skip
    return lines
