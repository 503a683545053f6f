"""The door for a plain table of patients, with the same checks as ADTTE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems
from smm_bayes.trial.calendar import DAYS_PER_MONTH, months_per
from smm_bayes.trial.clock import ABSURD, LONGEST, NO_TIME
from smm_bayes.trial.columns import (
    check_options,
    find_columns,
    read_covariates,
    read_stratum,
    require_columns,
)
from smm_bayes.trial.cutoff import Ends, check_cutoff
from smm_bayes.trial.door import assemble, read_causes, read_entry
from smm_bayes.trial.identity import normal_form
from smm_bayes.trial.patients import REASONS, UNKNOWN, Patients
from smm_bayes.trial.reasons import Declared, check_reasons, reason_in
from smm_bayes.trial.selection import select_rows
from smm_bayes.trial.table import Table, first_of, numbers, texts

if TYPE_CHECKING:
    import pandas as pd

FARTHEST = 2500 * 12.0  # months; the calendar may count from the year 0
YES, NO = ("1", "true", "yes"), ("0", "false", "no")
NAMES = ("patient", "arm", "time", "event", "cause", "censoring", "enrolled", "entry", "stratum")
REQUIRED = {
    "patient": "the patient",
    "arm": "the arm",
    "time": "the time to event or censoring",
    "event": "1 for an event, 0 for censoring",
}


def read_frame(
    source: Table | pd.DataFrame | str | Path,
    *,
    arms: Mapping[str, str],
    unit: str | None = None,
    causes: Sequence[str] | None = None,
    censoring: str | Mapping[str, str] | None = None,
    covariates: Sequence[str] = (),
    subgroups: Sequence[str] = (),
    mrd: Table | pd.DataFrame | str | Path | None = None,
    trial: str = "trial",
    provenance: str = "real",
    columns: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    leave_out: Sequence[str] = (),
    data_cutoff: float | None = None,
    longest_gap: float | None = None,
    patients: int | None = None,
) -> Patients:
    """Read patients from a plain table.

    Columns: ``patient``, ``arm``, ``time``, ``event`` (0 or 1); where there are any: ``cause`` (of the event),
    ``censoring`` (the reason), ``enrolled`` (calendar time of enrolment, a number), ``entry`` (delayed entry: the time
    at which the patient was enrolled, on the clock of ``time``; 0 for patients at risk from time 0), ``stratum``.

    Parameters
    ----------
    source : Table, pandas.DataFrame or path
    arms : mapping of str to str
        Role (``control``, ``experimental``) to the name in column ``arm``.
    unit : str, optional
        Unit of ``time``, ``enrolled``, ``entry`` and ``data_cutoff``: day, week, month (if not given) or year.
    causes : sequence of str, optional
        Names of the causes in their order; needed where column ``cause`` names more than one.
    censoring : str or mapping of str to str, optional
        Reason for everybody who is censored without one in column ``censoring``, for example ``"administrative"``
        where all are still followed; or what texts of that column mean.
    covariates : sequence of str
        Numeric columns to keep.
    subgroups : sequence of str
        Columns to keep whose texts name subgroups.
    data_cutoff : float, optional
        Calendar time of the data cut-off, on the clock of ``enrolled``. Without it the last time in the table is taken.
    mrd, trial, provenance, columns, flags, leave_out, longest_gap, patients
        As in :func:`smm_bayes.trial.adtte.read_adtte`; the roles of ``columns`` are the names above.

    Raises
    ------
    DataError
        Naming every problem with its column, rows and remedy.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> rows = pd.DataFrame({"id": list("abcd"), "arm": ["old", "old", "new", "new"], "years": [0.25, 1, 1, 2],
    ...                      "died": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"}, unit="year",
    ...                              columns={"patient": "id", "time": "years", "event": "died"})
    >>> patients.time.tolist(), patients.events
    ([3.0, 12.0, 12.0, 24.0], 2)
    """
    table = Table.of(source, "patients")
    problems = Problems(table.name)
    check_options(arms, provenance, problems)
    check_reasons({"": censoring} if isinstance(censoring, str) else censoring, problems)
    at = find_columns(table, dict(zip(NAMES, NAMES, strict=True)), columns, problems)
    factor = _needed(table, at, unit, causes, problems)
    table, left = select_rows(table, at, flags, leave_out, arms, problems)
    time = _times(table, at["time"], factor, problems)
    entry = read_entry(table, at["entry"], factor, time, problems)
    event = _events(table, at["event"], problems)
    cause, names = _causes(table, at["cause"], event, causes, problems)
    reason = _reasons(table, at["censoring"], event, censoring, problems)
    enrolled = _enrolled(table, at["enrolled"], factor, problems)
    stated = None if data_cutoff is None else min(data_cutoff, ABSURD) * factor
    cutoff = _cutoff(
        table, at, enrolled, time if entry is None else time - entry, reason, stated, longest_gap, problems
    )
    return assemble(
        table,
        problems,
        at,
        arms,
        mrd,
        expected=patients,
        unit_stated=unit is not None,
        trial=trial,
        provenance=provenance,
        time=time,
        event=event,
        cause=cause,
        causes=names,
        censoring=reason,
        enrolled=enrolled,
        entry=entry,
        data_cutoff=cutoff,
        cutoff_stated=data_cutoff is not None,
        left_out=tuple(left),
        stratum=read_stratum(table, at["stratum"], problems),
        covariates=read_covariates(table, covariates, subgroups, problems),
    )


def _needed(
    table: Table, at: Mapping[str, str], unit: str | None, causes: Sequence[str] | None, problems: Problems
) -> float:
    """Months in the unit, where all columns are there; otherwise nothing else can be checked."""
    factor = months_per(unit or "month")
    if factor is None:
        problems.add(f"unit {unit!r} is not a unit of time; give day, week, month or year")
    needed = REQUIRED | ({"cause": "the cause of the event"} if causes and len(causes) > 1 else {})
    if not require_columns(table, at, needed, problems) or factor is None:
        problems.raise_if_any()
    assert factor is not None
    return factor


def _times(table: Table, column: str, factor: float, problems: Problems) -> np.ndarray:
    time = np.minimum(numbers(table, column, problems, minimum=0), ABSURD) * factor
    problems.add_rows(
        column,
        table.where(time > LONGEST),
        f"more than {LONGEST / 12:g} years",
        'correct the time or its unit, as in unit = "day"',
        next((c for c, long in zip(table.cells(column), time > LONGEST, strict=True) if long), ""),
    )
    return np.where(time < NO_TIME, 0.0, time)


def _enrolled(table: Table, column: str, factor: float, problems: Problems) -> np.ndarray | None:
    """Calendar time of enrolment in months; None where there is no such column."""
    if column not in table:
        return None
    enrolled = np.clip(numbers(table, column, problems), -ABSURD, ABSURD) * factor
    far = np.abs(enrolled) > FARTHEST
    problems.add_rows(
        column,
        table.where(far),
        f"more than {FARTHEST / 12:g} years from 0",
        "correct the time or its unit",
        first_of(table.cells(column), far),
    )
    return np.where(far, np.nan, enrolled)


def _events(table: Table, column: str, problems: Problems) -> np.ndarray:
    flags = [normal_form(word) for word in texts(table, column, problems)]
    wrong = [bool(word) and word not in YES and word not in NO for word in flags]
    problems.add_rows(
        column,
        table.where(wrong),
        "neither 0 nor 1",
        "write 1 for an event, 0 for censoring",
        first_of(table.cells(column), wrong),
    )
    return np.array([word in YES for word in flags], dtype=bool)


def _causes(
    table: Table, column: str, event: np.ndarray, causes: Sequence[str] | None, problems: Problems
) -> tuple[np.ndarray, tuple[str, ...]]:
    words = table.words(column)
    of_censored = ~event & np.array([bool(word) for word in words], dtype=bool)
    problems.add_rows(
        column,
        table.where(of_censored),
        "the cause of an event, but there is none",
        "correct the event or the cause",
        first_of(words, of_censored),
    )
    named = {normal_form(word): word for word, hit in zip(words, event, strict=True) if hit and word}
    if not causes and len(named) > 1:
        problems.add(
            f"column '{column}' names {', '.join(map(repr, named.values()))}; say which causes there are, in "
            f"their order: causes = {list(named.values())}"
        )
    mapping = {name: [name] for name in causes} if causes else None
    cause, names, _ = read_causes(table, event, mapping, problems, column)
    return cause, names


def _reasons(
    table: Table,
    column: str,
    event: np.ndarray,
    meaning: str | Mapping[str, str] | None,
    problems: Problems,
) -> np.ndarray:
    """Reason for censoring, empty for events; unknown in a table without reasons, asked for where some are given."""
    if column not in table and not meaning:
        return np.where(event, "", UNKNOWN).astype(object)
    declared = Declared.of({} if isinstance(meaning, str) else meaning).texts
    given = table.words(column)
    rest = meaning if isinstance(meaning, str) else ""
    reason = [
        rest if not word else declared.get(word) or (word if word in REASONS else reason_in(word)) for word in given
    ]
    said = np.array([bool(word) for word in given], dtype=bool)
    silent, odd = ~event & np.array([not why for why in reason], dtype=bool) & ~said, ~event & said
    odd &= np.array([not why for why in reason], dtype=bool)
    problems.add_rows(
        column,
        table.where(event & said),
        "a reason for censoring, but there is an event",
        "correct the event or the reason",
        first_of(given, event & said),
    )
    problems.add_rows(
        column,
        table.where(silent),
        "no reason for censoring",
        "say why follow-up ended; if all of them are still followed, give censoring='administrative'",
    )
    problems.add_rows(
        column, table.where(odd), "not a known reason", f"write one of {', '.join(REASONS)}", first_of(given, odd)
    )
    return np.where(event, "", reason).astype(object)


def _cutoff(
    table: Table,
    columns: Mapping[str, str],
    enrolled: np.ndarray | None,
    seen_for: np.ndarray,
    reason: np.ndarray,
    stated: float | None,
    longest_gap: float | None,
    problems: Problems,
) -> float | None:
    """Calendar time of the data cut-off in months, with what contradicts it noted; None without enrolment."""
    if enrolled is None:
        if stated is not None:
            problems.add("data_cutoff needs column 'enrolled' to count from; give either both or neither")
        return None
    last = enrolled + seen_for
    ends = [Ends(columns["enrolled"], enrolled * DAYS_PER_MONTH), Ends(columns["time"], last * DAYS_PER_MONTH)]
    shown = "" if stated is None else f"{stated:g} months"
    check_cutoff(
        table,
        ends,
        reason == "administrative",
        None if stated is None else stated * DAYS_PER_MONTH,
        longest_gap,
        shown,
        problems,
    )
    return stated if stated is not None else float(np.max(last)) if np.isfinite(last).all() else None
