"""The data cut-off: stated or, where it is not, the last date in the table; what contradicts it is noted."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import Problems
from smm_bayes.trial.calendar import DAYS_PER_MONTH
from smm_bayes.trial.table import Table

LONGEST_GAP = 12.0  # months
FEW = 1 / 20  # of the patients still followed


@dataclass(frozen=True)
class Ends:
    """When patients were last known, in days on one scale.

    Attributes
    ----------
    column : str
        Column that says it, for messages.
    day : numpy.ndarray
        NaN where it cannot be read.
    rounding : numpy.ndarray or float
        How far, in days, it may be off.
    """

    column: str
    day: np.ndarray
    rounding: np.ndarray | float = 0.0


def check_cutoff(
    table: Table,
    ends: list[Ends],
    followed: np.ndarray,
    stated: float | None,
    longest_gap: float | None,
    shown: str,
    problems: Problems,
) -> float | None:
    """Note what is later than the data cut-off, and who is said to be still followed but was not seen for long.

    Parameters
    ----------
    table : Table
    ends : list of Ends
        The last of them is when the patient was last known.
    followed : numpy.ndarray of bool
        Patients said to be still followed.
    stated : float or None
        Day of the data cut-off.
    longest_gap : float or None
        Months before the cut-off after which a patient who is still followed must have been seen; 12 if not given.
    shown : str
        The cut-off in words.
    problems : Problems

    Returns
    -------
    float or None
        Day of the cut-off: as stated, else the last day in the table; None where there is none.
    """
    if stated is not None:
        for end in ends:
            late = end.day > stated + end.rounding + 1e-6
            problems.add_rows(
                end.column, table.where(late), f"after the data cut-off ({shown})", "correct the date, or data_cutoff"
            )
    last = ends[-1]
    if stated is None and not np.isfinite(last.day).any():
        return None
    cutoff = float(np.nanmax(last.day)) if stated is None else stated
    gap = LONGEST_GAP if longest_gap is None else longest_gap
    unseen = followed & (last.day + last.rounding < cutoff - gap * DAYS_PER_MONTH)
    # where many were not seen near the last date, it is no cut-off, and does not say which patients are still followed
    if stated is not None or longest_gap is not None or unseen.sum() <= FEW * followed.sum():
        problems.add_rows(
            last.column,
            table.where(unseen),
            f"still followed, but not seen for more than {gap:g} months before the data cut-off",
            "correct the date or the reason for censoring, or say that it may be: longest_gap = 24",
        )
    return cutoff


def check_future(table: Table, ends: list[Ends], problems: Problems, today: datetime.date | None = None) -> None:
    """Note days (ordinals) that have not come yet, in a table whose data cut-off is not stated."""
    now = (today or datetime.date.today()).toordinal()
    for end in ends:
        problems.add_rows(
            end.column,
            table.where(end.day > now + 1),
            "in the future",
            "correct the date, or state data_cutoff if it is meant",
        )
