"""Reading the reconstructed patients of an earlier trial into the cohorts of a model, one set a reconstruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from smm_bayes.borrowing.trials.cohorts import Cohort
from smm_bayes.errors import Problems, name_rows
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.trial.table import Table, numbers, read_csv, require, texts

COLUMNS = {
    "reconstruction": "which reconstruction a row belongs to", "regimen": "what the patient was given",
    "time": "months at risk", "cause": "what happened at the end of them, empty where censored",
}  # fmt: skip


def read_cohorts(
    path: str | Path,
    trial: str,
    arms: Mapping[str, str],
    counts: Sequence[Sequence[str]],
    grid: TimeGrid,
    *,
    endpoint: str = "",
) -> list[tuple[Cohort, ...]]:
    """Tabulate the reconstructed patients of one earlier trial.

    Parameters
    ----------
    path : path
        CSV with columns ``reconstruction``, ``regimen``, ``time`` (months) and ``cause`` (empty where censored).
    trial : str
        What to call it.
    arms : mapping of str to str
        Regimen by role: ``control`` and ``experimental``, or ``single``.
    counts : sequence of sequence of str
        Series of causes that are counted. A cause of the table that no series names ends a patient's time at risk.
    grid : TimeGrid
    endpoint : str

    Returns
    -------
    list of tuple of Cohort
        One tuple a reconstruction, in order of ``arms``.

    Raises
    ------
    DataError
        With every problem of the table.
    """
    table = read_csv(path)
    problems = Problems(str(path))
    require(table, COLUMNS.items(), problems)
    problems.raise_if_any()
    regimen = np.array(texts(table, "regimen", problems), dtype=object)
    cause = np.array(texts(table, "cause", problems, required=False), dtype=object)
    number = numbers(table, "reconstruction", problems)
    time = numbers(table, "time", problems)
    _check(table, problems, time, regimen, arms, cause, counts)
    problems.raise_if_any()
    found = []
    for which in np.unique(number):
        cohorts = []
        for role, name in arms.items():
            mine = (number == which) & (regimen == name)
            exposure = grid.exposure(time[mine]).sum(axis=0)
            events = np.zeros((len(counts), len(grid)))
            for index, causes in enumerate(counts):
                hit = mine & np.isin(cause, list(causes))
                np.add.at(events[index], grid.index(time[hit]), 1.0)
            series = tuple(tuple(causes) for causes in counts)
            cohorts.append(Cohort(trial, name, role, series, events, exposure, endpoint))
        found.append(tuple(cohorts))
    return found


def _check(
    table: Table, problems: Problems, time: np.ndarray, regimen: np.ndarray, arms: Mapping[str, str],
    cause: np.ndarray, counts: Sequence[Sequence[str]],
) -> None:  # fmt: skip
    bad = time <= 0
    if bad.any():
        problems.add(f"column 'time' is not above 0 in {name_rows(table.where(bad))}; give months")
    for role, name in arms.items():
        if not (regimen == name).any():
            there = ", ".join(sorted({str(value) for value in regimen}))
            problems.add(f"column 'regimen' never says '{name}', the {role} arm; it says {there}")
    for causes in counts:
        if not np.isin(cause, list(causes)).any():
            problems.add(f"column 'cause' never says {' or '.join(causes)}, which the specification counts")
