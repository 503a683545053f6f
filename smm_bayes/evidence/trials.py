"""What is known of the trials and other studies that the facts come from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from smm_bayes.errors import Problems
from smm_bayes.evidence.vocabulary import TRIAL_COLUMNS
from smm_bayes.trial.table import dates, read_csv, require, texts

FOLDER = Path(__file__).parents[2] / "data" / "evidence"
TRIALS = "trials.csv"
REGISTERED = "endpoints.csv"


@dataclass(frozen=True)
class Trial:
    """What is known of a trial, or of another source of facts, at one of its data cuts; all fields are text.

    Attributes
    ----------
    trial, name, registry, phase, disease, design : str
        The name the facts use, the full name, the registry's number, the phase, the disease, the kind of study.
    regimens : str
        Arms with their role.
    accrual_start, accrual_end : str
        ISO dates, or empty.
    cut, data_cutoff : str
        The label the facts use and the ISO date of the data cut-off, or empty.
    progression : str
        What counts as progression.
    source, note : str
        Where it is printed; remarks.
    """

    trial: str
    name: str
    registry: str
    phase: str
    disease: str
    design: str
    regimens: str
    accrual_start: str
    accrual_end: str
    cut: str
    data_cutoff: str
    progression: str
    source: str
    note: str


def load_trials(folder: Path | None = None) -> tuple[Trial, ...]:
    """Read ``trials.csv`` of a folder, one row a trial and data cut.

    Raises
    ------
    DataError
        With every problem of the table.
    """
    table = read_csv((FOLDER if folder is None else Path(folder)) / TRIALS)
    with Problems(table.name).collecting() as problems:
        require(table, [(name, role) for name, role, _ in TRIAL_COLUMNS], problems)
        problems.raise_if_any()
        for name, role, words in TRIAL_COLUMNS:
            if role.startswith("date"):
                dates(table, name, problems, required=False)
            unknown = [bool(words) and cell not in words for cell in table.cells(name)]
            found = next((repr(cell) for cell, hit in zip(table.cells(name), unknown, strict=True) if hit), "")
            problems.add_rows(name, table.where(unknown), "unknown word", f"use one of {', '.join(words)}", found)
        for name in ("trial", "name", "source"):
            texts(table, name, problems)
        pairs = Counter(zip(table.cells("trial"), table.cells("cut"), strict=True))
        for (trial, cut), count in pairs.items():
            if count > 1:
                problems.add(f"{trial!r} with cut {cut!r} appears {count} times; list each cut once")
    names = [name for name, _, _ in TRIAL_COLUMNS]
    return tuple(Trial(*cells) for cells in zip(*(table.cells(name) for name in names), strict=True))
