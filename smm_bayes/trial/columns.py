"""What the doors share: the trial, its arms, its patients and why follow-up ended, read from a table's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from smm_bayes.errors import DataError, Problems
from smm_bayes.trial.patients import PROVENANCES, REASONS, ROLES
from smm_bayes.trial.table import Table, numbers, texts

REASON_WORDS = (
    ("lost", "lost"),
    ("withdr", "withdrawn"), ("consent", "withdrawn"),
    ("new therapy", "new_therapy"), ("new treatment", "new_therapy"), ("new anti", "new_therapy"),
    ("subsequent", "new_therapy"),
    ("administrative", "administrative"), ("ongoing", "administrative"), ("cut", "administrative"),
    ("alive", "administrative"), ("no event", "administrative"), ("study end", "administrative"),
    ("end of study", "administrative"), ("event-free", "administrative"), ("event free", "administrative"),
)  # fmt: skip


def check_options(arms: Mapping[str, str], provenance: str, problems: Problems) -> None:
    """Check the arguments of a reader that describe the trial; arms that make no sense raise at once."""
    if "experimental" not in arms or set(arms) - set(ROLES):
        raise DataError(f"arms must name 'experimental', and 'control' if there is one; got {dict(arms)!r}")
    if len(set(arms.values())) < len(arms):
        raise DataError(f"both arms are called {arms['experimental']!r}; give each its own name")
    if provenance not in PROVENANCES:
        problems.add(f"provenance {provenance!r} is not known; say real, reconstructed or simulated")


def check_reasons(censoring: Mapping[int, str] | Mapping[str, str] | None, problems: Problems) -> None:
    """Note reasons for censoring that are none."""
    unknown = sorted(set((censoring or {}).values()) - set(REASONS))
    if unknown:
        problems.add(f"censoring: {', '.join(unknown)} is no reason; give one of {', '.join(REASONS)}")


def reason_in(text: str) -> str:
    """Reason for censoring that a text gives; empty where it gives none, or could mean two."""
    meant = {name for word, name in REASON_WORDS if word in text.lower()}
    return meant.pop() if len(meant) == 1 else ""  # "alive without new therapy" could be either: ask


def trial_name(table: Table, problems: Problems) -> str:
    """Name of the one trial in column STUDYID."""
    trials = texts(table, "STUDYID", problems)
    other = [bool(name) and name != trials[0] for name in trials]
    problems.add_rows("STUDYID", table.where(other), f"another trial than {trials[0]!r}", "give one trial a file",
                      next((repr(name) for name, hit in zip(trials, other, strict=True) if hit), ""))  # fmt: skip
    return trials[0] if trials else "trial"


def patient_names(table: Table, column: str, problems: Problems, *, one_row: str) -> list[str]:
    """Name of each patient; nobody may appear twice in what ``one_row`` says there is one row of."""
    names = texts(table, column, problems)
    seen: dict[str, int] = {}
    again: list[int] = []
    twice = ""
    for row, name in zip(table.rows, names, strict=True):
        if name and seen.setdefault(name, row) != row:
            again.append(row)
            twice = twice or f"{name!r}, first in row {seen[name]}"
    problems.add_rows(column, again, "a patient that appears twice", f"keep one row per {one_row}", twice)
    return names


def arm_positions(
    table: Table, column: str, arms: Mapping[str, str], problems: Problems
) -> tuple[tuple[str, ...], np.ndarray]:
    """Roles of the arms in their order, and the position of each patient's."""
    ordered = tuple(role for role in ROLES if role in arms)
    words = texts(table, column, problems)
    arm = np.array([next((i for i, role in enumerate(ordered) if arms[role] == word), -1) for word in words])
    unknown = (arm < 0) & np.array([bool(word) for word in words])
    found = next((repr(word) for word, bad in zip(words, unknown, strict=True) if bad), "")
    declared = ", ".join(f"{role} = {name!r}" for role, name in arms.items())
    problems.add_rows(column, table.where(unknown), "an arm that is not declared",
                      f"declared are {declared}; correct the name or the declaration", found)  # fmt: skip
    for index, role in enumerate(ordered):
        if column in table and not (arm == index).any():
            problems.add(f"column '{column}': arm {arms[role]!r} ({role}) has no patient; "
                         "correct its name or declare the other arm only")  # fmt: skip
    return ordered, arm


def has_optional(table: Table, column: str, role: str, problems: Problems) -> bool:
    """Whether there is such a column; one in other letters is noted, since unread it would be lost without a word."""
    for name in table.columns:
        if column not in table and name.lower() == column.lower():
            problems.add(f"column '{name}': is it '{column}', {role}? names are case-sensitive; rename it")
    return column in table


def covariate_roles(covariates: Sequence[str], subgroups: Sequence[str]) -> list[tuple[str, str]]:
    """Columns that must be there, and what they are."""
    return [(name, "a covariate") for name in covariates] + [(name, "a subgroup") for name in subgroups]


def read_covariates(
    table: Table, covariates: Sequence[str], subgroups: Sequence[str], problems: Problems
) -> dict[str, np.ndarray]:
    """Numeric columns, and columns whose texts name subgroups; no cell may be empty."""
    found = {name: numbers(table, name, problems) for name in covariates if name in table}
    return found | {name: np.array(texts(table, name, problems), dtype=object) for name in subgroups if name in table}
