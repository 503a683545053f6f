"""What the doors share: which column holds what, the trial, its arms and its patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from smm_bayes.errors import DataError, Problems, nearest
from smm_bayes.trial.identity import ByName, normal_form
from smm_bayes.trial.patients import PROVENANCES, ROLES
from smm_bayes.trial.table import Table, first_of, is_missing, numbers, texts

PLANNED, ACTUAL = ("TRT01P", "TRTP"), ("TRT01A", "TRTA")
START_STOP = ("tstart", "tstop", "start", "stop")
NAME_IT = 'or name another column for it: columns = {{{role} = "…"}}'
STATE_IT = {"unit": ', or state it: unit = "day"'}


def check_options(arms: Mapping[str, str], provenance: str, problems: Problems) -> None:
    """Check the arguments of a reader that describe the trial; arms that make no sense raise at once."""
    if "experimental" not in arms or set(arms) - set(ROLES):
        raise DataError(f"arms must name 'experimental', and 'control' if there is one; got {dict(arms)!r}")
    if len(set(map(normal_form, arms.values()))) < len(arms):
        raise DataError(f"both arms are called {arms['experimental']!r}; give each its own name")
    if provenance not in PROVENANCES:
        problems.add(f"provenance {provenance!r} is not known; say real, reconstructed or simulated")


def find_columns(
    table: Table, standard: Mapping[str, str], given: Mapping[str, str] | None, problems: Problems
) -> dict[str, str]:
    """Name the column of each role: as given, else the standard's; case does not matter where only one is meant.

    Parameters
    ----------
    table : Table
    standard : mapping of str to str
        Role to the name of its column in the standard.
    given : mapping of str to str, optional
        Role to the name of its column in this table.
    problems : Problems
        Takes roles that are not known, and columns that are not there or could be two.

    Returns
    -------
    dict of str to str
        Every role; the standard's name where there is no such column.
    """
    given = given or {}
    for role in sorted(set(given) - set(standard)):
        problems.add(f"columns: {role!r} is not known; the roles are {', '.join(standard)}")
    found = {role: spelled(table, given.get(role, name), problems) for role, name in standard.items()}
    for role, name in found.items():
        if role in given and name not in table:
            problems.add(f"column '{name}', named for {role!r} in columns, is not there; correct its name")
    return found


def spelled(table: Table, name: str, problems: Problems) -> str:
    """Give the name as the table spells it; the name itself where the table has none or several that differ in case."""
    if name in table:
        return name
    close = [column for column in table.columns if normal_form(column) == normal_form(name)]
    if len(close) > 1:
        problems.add(f"columns {', '.join(map(repr, close))}: which is '{name}'? keep one of them")
    return close[0] if len(close) == 1 else name


def find_arm(table: Table, columns: dict[str, str], given: Mapping[str, str] | None, problems: Problems) -> None:
    """Take the planned arm from TRT01P or TRTP where the table has one of them, or both and they agree."""
    if given and "arm" in given:
        return
    quiet = Problems(table.name)  # a column that is not there is noted later, once
    planned = [name for name in (spelled(table, name, quiet) for name in PLANNED) if name in table]
    actual = [name for name in (spelled(table, name, quiet) for name in ACTUAL) if name in table]
    columns["arm"] = planned[0] if planned else columns["arm"]
    if len(planned) == 2 and [*map(normal_form, table.words(planned[0]))] != [
        *map(normal_form, table.words(planned[1]))
    ]:
        problems.add(
            f"columns '{planned[0]}' and '{planned[1]}' differ; say which is the arm: "
            f'columns = {{arm = "{planned[0]}"}}'
        )
    if not planned and actual:
        problems.add(
            f"there is no planned arm ({' or '.join(PLANNED)}), only the actual one; if it is to be analysed, "
            f'say so: columns = {{arm = "{actual[0]}"}}'
        )
        columns["arm"] = actual[0]


def require_columns(table: Table, columns: Mapping[str, str], what: Mapping[str, str], problems: Problems) -> bool:
    """Note each missing column with what it holds; say whether all are there."""
    missing = [role for role in what if columns[role] not in table]
    for role in missing:
        problems.add(
            f"column '{columns[role]}' is missing: it holds {what[role]} "
            f"({NAME_IT.format(role=role)}{STATE_IT.get(role, '')}); add it"
        )
    return not missing


def trial_name(table: Table, column: str, problems: Problems) -> str:
    """Name of the one trial in column STUDYID."""
    trials = texts(table, column, problems)
    other = [bool(name) and normal_form(name) != normal_form(trials[0]) for name in trials]
    problems.add_rows(
        column,
        table.where(other),
        f"another trial than {trials[0]!r}" if trials else "",
        "give one trial a file",
        first_of(trials, other),
    )
    return trials[0] if trials else "trial"


def patient_names(table: Table, column: str, problems: Problems, *, one_row: str) -> list[str]:
    """Name of each patient; nobody may appear twice in what ``one_row`` says there is one row of.

    Names that differ only in case, white space, zeros that pad them and the like are of one patient.
    """
    names = texts(table, column, problems)
    seen: dict[str, tuple[int, str]] = {}
    again: list[int] = []
    twice = ""
    for row, name in zip(table.rows, names, strict=True):
        first, earlier = seen.setdefault(normal_form(name), (row, name))
        if name and first != row:
            again.append(row)
            alike = "" if name == earlier else f"as {earlier!r} "
            twice = twice or f"{name!r}, first {alike}in row {first}"
    problems.add_rows(column, again, "a patient that appears twice", _one_row(table, one_row), twice)
    return names


def _one_row(table: Table, one_row: str) -> str:
    """Say how to come to one row a patient."""
    names = {name.lower() for name in table.columns}
    if any({START_STOP[i], START_STOP[i + 1]} <= names for i in (0, 2)):
        return (
            "start–stop rows (covariates that change) are not read: keep the row at enrolment, with the whole time; "
            "for delayed entry give ENTRYTM"
        )
    flags = [name for name, cells in table.columns.items() if name.upper().endswith("FL") and len(set(cells)) > 1]
    example = f', or choose rows by a flag: flags = {{{flags[0]} = "Y"}}' if flags else ""
    return f"keep one row per {one_row}{example}"


def check_number(names: Sequence[str], expected: int | None, problems: Problems) -> None:
    """Note a number of patients that is not the one stated."""
    found = len({normal_form(name) for name in names})
    if expected is not None and found != expected:
        problems.add(
            f"{found} patients, but patients = {expected} is stated; find who is missing or too many, or "
            "correct the number"
        )


def arm_positions(
    table: Table, column: str, arms: Mapping[str, str], problems: Problems
) -> tuple[tuple[str, ...], np.ndarray]:
    """Roles of the arms in their order, and the position of each patient's."""
    ordered = tuple(role for role in ROLES if role in arms)
    position = ByName((arms[role], index) for index, role in enumerate(ordered))
    words = texts(table, column, problems)
    arm = np.array([position.get(word, -1) for word in words], dtype=int)
    unknown = (arm < 0) & np.array([bool(word) for word in words])
    declared = ", ".join(f"{role} = {name!r}" for role, name in arms.items())
    found = first_of(words, unknown)
    problems.add_rows(
        column,
        table.where(unknown),
        "an arm that is not declared",
        f"declared are {declared}; correct the name or the declaration, or leave the arm out: leave_out = [{found}]",
        found,
    )
    for index, role in enumerate(ordered):
        if column in table and not (arm == index).any():
            meant = nearest(arms[role], {word for word, other in zip(words, unknown, strict=True) if other})
            problems.add(
                f"column '{column}': arm {arms[role]!r} ({role}) has no patient{meant}; "
                "correct its name or declare the other arm only"
            )
    return ordered, arm


def read_covariates(
    table: Table, covariates: Sequence[str], subgroups: Sequence[str], problems: Problems
) -> dict[str, np.ndarray]:
    """Numeric columns, and columns whose texts name subgroups; no cell may be empty."""
    found: dict[str, np.ndarray] = {}
    for name in (*covariates, *subgroups):
        column, what = spelled(table, name, problems), "covariate" if name in covariates else "subgroup"
        if column not in table:
            problems.add(f"column '{name}' is missing: it holds a {what}; add it")
            continue
        empty = [is_missing(cell) for cell in table.cells(column)]
        problems.add_rows(
            column,
            table.where(empty),
            f"no value of a {what}",
            f"no {what} may be missing: fill it in beforehand, or leave the {what} or the patient out",
        )
        found[name] = (
            numbers(table, column, problems, required=False)
            if name in covariates
            else np.array(table.words(column), dtype=object)
        )
    return found


def read_stratum(table: Table, column: str, problems: Problems) -> np.ndarray | None:
    """Stratum of each patient; None where there is no such column."""
    return np.array(texts(table, column, problems), dtype=object) if column in table else None
