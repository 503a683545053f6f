"""Progression after second-line treatment: the event of PFS2, from the dates that a trial records.

PFS2 is registered as the time to progression after second-line treatment, or death. What counts is therefore the
first progression after the start of the new therapy, however many there were before: a second progression before any
new therapy is not it, and where the new therapy began without a documented progression, the first one is. Courses
hold the first two progressions of a patient; where both were before the new therapy, a later one is not among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import DataError

if TYPE_CHECKING:
    from smm_bayes.trial.courses import Courses

AFTER_THERAPY = "progression_after_therapy"


def progression_after_therapy(courses: Courses, endpoint: str = "PFS2") -> np.ndarray:
    """Give the date of every patient's first progression after the start of the new therapy; NaN where there is none.

    A progression on the day on which the new therapy started is the one it was started for, so it is not after it.

    Parameters
    ----------
    courses : Courses
        Its own dates of these progressions stand, where the trial recorded them. Otherwise they are read off the first
        and the second progression.
    endpoint : str
        What needs them, for the messages.

    Returns
    -------
    numpy.ndarray of float

    Raises
    ------
    DataError
        When the trial did not record the new therapy or the second progression, and for patients whose first two
        progressions were before a new therapy after which they were assessed: a third is not recorded.
    """
    if courses.new_therapy is None:
        raise DataError(
            f"{endpoint} needs the dates of new therapy (column NTXDT), the start of second-line treatment; add them, "
            "empty where there is none"
        )
    if courses.progression_after_therapy is not None:
        return courses.progression_after_therapy
    if courses.second_progression is None:
        raise DataError(
            f"{endpoint} needs the dates of progression after the new therapy (column PDNTXDT), or of second "
            "progression (column PD2DT); add either, empty where there is none"
        )
    first, second, therapy = courses.progression, courses.second_progression, courses.new_therapy
    unknown = (second <= therapy) & (courses.last_assessment > therapy)
    if unknown.any():
        who = ", ".join(map(str, courses.patient[unknown][:5])) + (" ..." if unknown.sum() > 5 else "")
        raise DataError(
            f"{endpoint}: both recorded progressions were before the new therapy ({unknown.sum()} of {len(courses)} "
            f"patients: {who}), and whether a third came after it is not known; add column PDNTXDT, the first "
            "progression after NTXDT, empty where there is none"
        )
    return np.where(first > therapy, first, np.where(second > therapy, second, np.nan))


def disagreements(dates: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Give the rows where the recorded progression after the new therapy is not the one that other dates imply.

    Parameters
    ----------
    dates : mapping of str to numpy.ndarray
        Columns of :class:`~smm_bayes.trial.courses.Courses`; NaN where there is no date.

    Yields
    ------
    tuple
        As :func:`smm_bayes.trial.courses.breaches` does: date, how it stands to the other, the other, rows.
    """
    if not {AFTER_THERAPY, "new_therapy", "progression"} <= set(dates):
        return
    recorded, first, therapy = dates[AFTER_THERAPY], dates["progression"], dates["new_therapy"]
    checks = {"progression": first > therapy}
    if "second_progression" in dates:
        checks["second_progression"] = (first <= therapy) & ~(dates["second_progression"] <= therapy)
    for other, rows in checks.items():
        wrong = rows & (np.nan_to_num(recorded, nan=-1.0) != np.nan_to_num(dates[other], nan=-1.0))
        if wrong.any():
            yield AFTER_THERAPY, "not the same day as", other, wrong
