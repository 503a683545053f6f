"""A data cut, by a date or by a number of events."""

from __future__ import annotations

import datetime

from smm_bayes.errors import SpecificationError
from smm_bayes.trial.cuts import cut_by_date, cut_by_events
from smm_bayes.trial.patients import Patients


def cut(
    patients: Patients, date: float | datetime.date | None = None, *, events: int | None = None,
    causes: tuple[str, ...] = (),
) -> Patients:  # fmt: skip
    """Give the patients as they were known at an earlier time.

    Parameters
    ----------
    patients : Patients
        With the calendar time of enrolment.
    date : float or datetime.date
        Of the cut: months since ``patients.origin``, or a date.
    events : int
        Instead: at the event of this number.
    causes : tuple of str
        Whose events count; all by default.

    Raises
    ------
    SpecificationError
        When not exactly one of ``date`` and ``events`` is given.
    DataError
        Without the calendar time of enrolment, or when there was nobody or there are not so many events.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"], "enrolled": [0.0, 2, 4, 6],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"}, censoring="administrative")
    >>> smm.cut(patients, 8.0).time.tolist()
    [3.0, 6.0, 4.0, 2.0]
    >>> smm.cut(patients, events=2).events
    2
    """
    if (date is None) == (events is None):
        raise SpecificationError("give either date, the time of the cut, or events, the number at which it is")
    if events is not None:
        return cut_by_events(patients, events, *causes)
    assert date is not None
    return cut_by_date(patients, date)
