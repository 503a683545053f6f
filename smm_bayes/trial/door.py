"""What the doors for patients share: causes, delayed entry, checks across columns, and the value they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems
from smm_bayes.trial.clock import ABSURD
from smm_bayes.trial.columns import arm_positions, check_number, patient_names
from smm_bayes.trial.identity import ByName
from smm_bayes.trial.mrd import death_in, read_mrd
from smm_bayes.trial.patients import Patients
from smm_bayes.trial.table import Table, first_of, is_missing, numbers, texts

if TYPE_CHECKING:
    import pandas as pd

LONGEST_MEDIAN = 40 * 12.0  # months; a longer median follow-up is rather another unit


def assemble(
    table: Table,
    problems: Problems,
    columns: Mapping[str, str],
    arms: Mapping[str, str],
    mrd: Table | pd.DataFrame | str | Path | None,
    *,
    expected: int | None,
    unit_stated: bool,
    **found: object,
) -> Patients:
    """Make the checks that every door shares, then the value; ``found`` holds attributes of :class:`Patients`."""
    time, event, entry = found["time"], found["event"], found["entry"]
    assert isinstance(time, np.ndarray)
    assert isinstance(event, np.ndarray)
    names = patient_names(table, columns["patient"], problems, one_row="patient and endpoint")
    check_number(names, expected, problems)
    ordered, arm = arm_positions(table, columns["arm"], arms, problems)
    problems.add_rows(
        columns["time"],
        table.where(event & (time == 0)),
        "an event at time 0",
        "the time to an event is positive; count the first day as 1 (first_day = 1)",
    )
    assessments = None
    if mrd is not None and columns["patient"] in table:
        position = ByName((name, index) for index, name in enumerate(names))
        died = _died(table, columns.get("cause", columns.get("event", "")), found["cause"], found["causes"])  # type: ignore[arg-type]
        assessments = read_mrd(mrd, position, time, event, found["enrolled"], found.get("origin"), problems, died)  # type: ignore[arg-type]
    if mrd is not None and isinstance(entry, np.ndarray) and np.any(entry > 0):
        problems.add(
            "MRD assessments count from enrolment, so they do not go with delayed entry yet; "
            "give no MRD table, or count time from enrolment and give no entry"
        )
    problems.raise_if_any()
    patients = Patients(
        patient=np.array(names, dtype=object),
        arm=arm,
        arms=ordered,
        arm_names=tuple(arms[role] for role in ordered),
        mrd=assessments,
        **found,  # type: ignore[arg-type]
    )
    median = patients.median_follow_up
    median = float(np.median(patients.follow_up)) if np.isnan(median) else median
    if median > LONGEST_MEDIAN and not unit_stated:
        problems.add(
            f"column '{columns['time']}': the median follow-up would be {median / 12:.0f} years; correct the "
            'unit, or state it if it is right: unit = "month"'
        )
    problems.raise_if_any()
    return patients


def _died(table: Table, column: str, cause: np.ndarray, causes: Sequence[str]) -> np.ndarray:
    """Patients whose event is a death by its description, or by the name of its cause where there is none."""
    described = table.cells(column) if column in table else [""] * len(table)
    words = [causes[c] if is_missing(text) else text for text, c in zip(described, cause, strict=True)]
    return (cause >= 0) & np.array([death_in(word) for word in words], dtype=bool)


def read_entry(
    table: Table, column: str, factor: np.ndarray | float, time: np.ndarray, problems: Problems
) -> np.ndarray | None:
    """Months on the clock of ``time`` at which each patient was enrolled; None where there is no such column."""
    if column not in table:
        return None
    entry = np.minimum(numbers(table, column, problems, minimum=0, required=False), ABSURD) * factor
    empty = [is_missing(cell) for cell in table.cells(column)]
    problems.add_rows(column, table.where(empty), "no value", "write 0 for who was at risk from time 0")
    late = (entry > 0) & (entry >= time)
    problems.add_rows(
        column,
        table.where(late),
        "not before the end of follow-up",
        "correct the time or the entry, or leave out who was never under observation",
        next((cell for cell, hit in zip(table.cells(column), late, strict=True) if hit), ""),
    )
    return entry


def read_causes(
    table: Table,
    event: np.ndarray,
    causes: Mapping[str, Sequence[str]] | None,
    problems: Problems,
    column: str,
) -> tuple[np.ndarray, tuple[str, ...], dict[str, int]]:
    """Position of the cause of each event, -1 where censored; the names of the causes; what each text means."""
    causes = causes or {"event": ()}
    texts_of = {word.strip(): index for index, words in enumerate(causes.values()) for word in words}
    meaning = ByName(texts_of.items())
    if not meaning:
        return np.where(event, 0, -1), tuple(causes), {}
    given = texts(table, column, problems, required=False)
    cause = np.array([meaning.get(word, -1) if word else -1 for word in given])
    silent = event & np.array([not word for word in given])
    known = ", ".join(repr(word) for words in causes.values() for word in words)
    if len(causes) == 1:
        cause[silent] = 0  # nothing said, and there is only one thing it can be
    elif column in table:
        problems.add_rows(column, table.where(silent), "no cause for the event", f"write one of {known}")
    unknown = event & (cause < 0) & ~silent
    problems.add_rows(
        column,
        table.where(unknown),
        "a cause that is not declared",
        f"declared are {known}; correct the text or the declaration",
        first_of(given, unknown),
    )
    return np.where(event, cause, -1), tuple(causes), texts_of
