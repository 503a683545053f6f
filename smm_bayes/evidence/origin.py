"""The record beside a table of reconstructions: what it was made from, compared whenever the table is read."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smm_bayes.errors import DataError
from smm_bayes.evidence import pseudo, reconstruct, summaries
from smm_bayes.evidence.declared import Declaration, load_declarations
from smm_bayes.evidence.facts import Fact
from smm_bayes.reading import read_json
from smm_bayes.trial import curves

MAKERS: tuple[ModuleType, ...] = (reconstruct, summaries, pseudo, curves)  # what turns summaries into patients


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class MadeArm(_Part):
    """One arm of the table: what it is called in either column, and its patients in every reconstruction."""

    arm: str
    regimen: str
    patients: int = Field(ge=1)


class Hashes(_Part):
    """SHA-256 of the table's bytes, of the declaration, of the code, and of each fact."""

    table: str
    declaration: str
    code: str
    facts: dict[str, str]


class MadeUntil(_Part):
    """When the data were cut, in months since the first enrolment."""

    cutoff: float = Field(gt=0)


class Origin(_Part):
    """What a table of reconstructions was made from, as the JSON file beside it says.

    Attributes
    ----------
    name : str
        Of the declaration, and of both files.
    trial, endpoint : str
    number : int
        Reconstructions in the table.
    arms : dict of str to MadeArm
        By role.
    causes : dict of str to list of str
        What the table calls an event, and what that event may have been. A cause that is not here is not known from
        the table, and two causes in one list are not told apart.
    follow_up : MadeUntil
    sha256 : Hashes
    """

    name: str
    trial: str
    endpoint: str
    provenance: Literal["reconstructed"]
    number: int = Field(ge=1)
    arms: dict[Literal["control", "experimental"], MadeArm]
    causes: dict[str, list[str]]
    follow_up: MadeUntil
    sha256: Hashes

    @property
    def remedy(self) -> str:
        """How the table is made anew."""
        return f"make it anew: smm-bayes reconstruct {self.name} --out FOLDER"

    def differences(self, table: Path, declared: Mapping[str, Declaration]) -> list[str]:
        """Compare the table, the declaration, its facts and the code with those the table was made from.

        Parameters
        ----------
        table : Path
            The CSV file.
        declared : mapping of str to Declaration
            As :func:`~smm_bayes.evidence.declared.load_declarations` gives them.

        Returns
        -------
        list of str
            A sentence with its remedy for everything that has changed since.
        """
        found, before = [], self.sha256
        if hash_bytes(table.read_bytes()) != before.table:
            found.append(f"the table has been changed since it was made; {self.remedy}")
        if self.name not in declared:
            return [*found, f"no reconstruction is declared as '{self.name}' any more; declare it again, or give the "
                            "table provenance and source of its own and remove the JSON file"]  # fmt: skip
        now = hashes_of(declared[self.name], table)
        names = before.facts.keys() | now.facts.keys()
        if changed := sorted(name for name in names if before.facts.get(name) != now.facts.get(name)):
            found.append(f"facts it was made from have changed since: {', '.join(changed)}; {self.remedy}")
        if before.declaration != now.declaration:
            found.append(f"what it was made from is declared differently now; {self.remedy}")
        if before.code != now.code:
            found.append(f"the code that makes patients from summaries has changed since; {self.remedy}")
        return found


def origin_path(table: Path) -> Path:
    """Where the record of a table is."""
    return table.parent / f"{table.stem}.json"


def read_origin(table: str | Path) -> Origin | None:
    """Read the record beside a table of reconstructions; None where there is none.

    Raises
    ------
    DataError
        If it is no such record, or an older one without hashes.
    """
    path = origin_path(Path(table))
    if not os.path.isfile(path):  # also False where no file can have such a name
        return None
    try:
        return Origin.model_validate(read_json(path, what="the record of a table"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(
            f"{path}: is no record of what {Path(table).name} was made from ({where}: {first['msg'].lower()}); make "
            "table and record anew with smm-bayes reconstruct, or correct the path"
        ) from None


def check_reconstruction(table: Path) -> str:
    """Compare a table of reconstructions, the facts and the code with those of its record; say what it is.

    Raises
    ------
    DataError
        Naming everything that has changed since.
    """
    origin = read_origin(table)
    if origin is None:
        raise DataError(f"{table}: has no record of what it was made from beside it; make both anew")
    if changed := origin.differences(table, load_declarations()):
        raise DataError(f"{table}: {'; '.join(changed)}")
    return f"{origin.number} reconstructions of {origin.trial}, {origin.endpoint}"


def told_apart(
    causes: Mapping[str, Sequence[str]], counts: Sequence[Sequence[str]], ignores: Iterable[str]
) -> list[str]:
    """Say which causes a table holds, or cannot tell apart, that ``counts`` and ``ignores`` do not go with.

    Parameters
    ----------
    causes : mapping of str to sequence of str
        As in :class:`Origin`.
    counts : sequence of sequence of str
        Series of causes that are counted together.
    ignores : iterable of str
        Causes that end a patient's time at risk and are not counted.
    """
    ignores, found = set(ignores), []
    known = ", ".join(causes)
    for label, meanings in causes.items():
        places = {next((i for i, series in enumerate(counts) if name in series), name if name in ignores else None)
                  for name in meanings}  # fmt: skip
        if label not in ignores and not any(label in series for series in counts):
            found.append(f"the table holds the cause '{label}', which is neither counted nor ignored; name it in "
                         "counts or in ignores")  # fmt: skip
        elif len(places) > 1:
            found.append(f"the table does not tell {' from '.join(meanings)}; count them together in one series")
    meant = {name for meanings in causes.values() for name in meanings}
    for series in counts:
        if not meant & set(series):
            found.append(f"counts {' or '.join(series)}, which the table does not record (its causes: {known}); what "
                         "was not recorded is not 0 events, so leave it out")  # fmt: skip
    return found


def causes_of(declaration: Declaration) -> dict[str, list[str]]:
    """What the table of a declaration calls an event, and what that event may have been."""
    arms = declaration.summaries.values()
    main = next(iter(arms)).cause
    mixed = any(arm.deaths_count and arm.deaths_without_progression is None for arm in arms) and main != "death"
    known = any(arm.deaths_without_progression is not None for arm in arms) and main != "death"
    return {main: [main, "death"] if mixed else [main]} | ({"death": ["death"]} if known else {})


def hashes_of(declaration: Declaration, table: Path) -> Hashes:
    """Give the hashes of a table, of the declaration it is made from, of its facts and of the code, as they are now."""
    content = repr((declaration.name, declaration.regimens, declaration.summaries))
    facts = {fact.id: fact_hash(fact) for fact in declaration.facts}
    return Hashes(
        table=hash_bytes(table.read_bytes()), declaration=hash_bytes(content.encode()), code=code_hash(), facts=facts
    )


def fact_hash(fact: Fact) -> str:
    """SHA-256 of everything a fact says but its remarks."""
    content = {name: value for name, value in asdict(fact).items() if name != "note"}
    return hash_bytes(json.dumps(content, sort_keys=True).encode())


@cache
def code_hash() -> str:
    """SHA-256 of the code that makes patients from summaries; comments, docstrings and layout do not count."""
    from smm_bayes.evidence.made import make  # it needs this module to write its records

    code = [*map(inspect.getsource, MAKERS), inspect.getsource(make)]
    return hash_bytes("\n".join(_structure(ast.parse(text)) for text in code).encode())


def _structure(node: object) -> str:
    """Syntax of code without docstrings, positions and empty fields: every version of Python writes it alike."""
    if isinstance(node, list):
        return f"[{','.join(map(_structure, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(value, list):
            value = [item for item in value if not _is_text(item)]
        if value is not None and value != []:
            fields.append(f"{name}={_structure(value)}")
    return f"{type(node).__name__}({','.join(fields)})"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def hash_bytes(content: bytes) -> str:
    """SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()
