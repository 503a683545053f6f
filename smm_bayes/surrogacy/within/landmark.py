"""The landmark analysis: patients event-free at a visit, compared from then on by MRD status at that visit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import DataError, Problems, SpecificationError
from smm_bayes.surrogacy.visits.schedule import at_limit, listed
from smm_bayes.trial.calendar import on_clock
from smm_bayes.trial.cox import CoxRatio, cox_ratio
from smm_bayes.trial.patients import Patients

COVARIATE = "mrd_negative"
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Landmark:
    """Patients event-free and followed beyond a landmark, on a clock that starts there.

    Made by :func:`landmark_patients`.

    Attributes
    ----------
    patients : Patients
        ``time`` in months from the landmark, ``enrolled`` the calendar time of the landmark, and the covariate
        ``mrd_negative`` (1, 0; NaN where unknown). MRD results are not carried along: they count from enrolment.
    negative : numpy.ndarray of int, shape (patient,)
        1 where MRD-negative at the landmark, 0 where not, -1 where unknown.
    month : float
        The landmark, in months from enrolment.
    left_out : mapping of str to tuple of int
        Patients left out by reason (``event`` or ``censored`` by the landmark, status ``unknown``), one number an arm.
    """

    patients: Patients
    negative: np.ndarray
    month: float
    left_out: Mapping[str, tuple[int, ...]]

    def cox_ratio(self, *causes: str) -> CoxRatio:
        """Hazard ratio of MRD-negative over not, from the landmark on, stratified by arm.

        Patients of unknown status are not used.

        Parameters
        ----------
        *causes : str
            Causes that count; all by default.

        Raises
        ------
        DataError
            When a cause is unknown, or the ratio is not defined.
        """
        counted = self.patients.count_only(*causes) if causes else self.patients
        known = self.negative != UNKNOWN
        columns = (counted.time, counted.event, self.negative == 1, counted.arm)
        return cox_ratio(*(column[known] for column in columns))

    def __repr__(self) -> str:
        counts = [int((self.negative == code).sum()) for code in (1, 0, UNKNOWN)]
        kept = f"{counts[0]} MRD-negative, {counts[1]} not" + (f", {counts[2]} unknown" if counts[2] else "")
        reasons = {"event": "event by then", "censored": "censored by then", "unknown": "MRD status unknown"}
        gone = {words: sum(self.left_out[reason]) for reason, words in reasons.items()}
        out = ", ".join(f"{number} {words}" for words, number in gone.items() if number)
        whole = len(self.patients) + sum(gone.values())
        return (f"Landmark at month {self.month:g}: {len(self.patients)} of {whole} patients ({kept}), "
                f"{self.patients.events} events after it; left out {sum(gone.values())}"
                + (f": {out}" if out else ""))  # fmt: skip


def latest_status(
    patients: Patients, month: float, *, since: float = 0.0, sensitivity: float | None = None
) -> np.ndarray:
    """MRD status by the latest valid result no later than ``month`` and no earlier than ``since``.

    Later results are not looked at: a landmark analysis must not use what was not known at the landmark. Put the
    landmark at the end of a visit's window.

    Parameters
    ----------
    patients : Patients
        With MRD results.
    month, since : float
        Months from enrolment.
    sensitivity : float, optional
        The limit of detection that the status is meant at; needed where results have several. Results that say nothing
        of it are not looked at (:meth:`~smm_bayes.trial.mrd.MrdAssessments.at`).

    Returns
    -------
    numpy.ndarray of int, shape (patient,)
        1 negative, 0 not, -1 without a valid result.

    Raises
    ------
    DataError
        When the patients have no MRD results, sensitivities differ and none is asked for, or the latest results of a
        patient contradict each other.
    """
    if patients.mrd is None:
        raise DataError("the patients have no MRD results; read them with the patients (mrd=...)")
    with Problems(f"MRD results of {patients.trial} up to month {month:g}", DataError).collecting() as problems:
        first, until = on_clock(float(since)), on_clock(float(month))
        mrd = patients.mrd.take((patients.mrd.time >= first) & (patients.mrd.time <= until))
        if sensitivity is not None:
            mrd = at_limit(mrd, sensitivity, problems)
        elif len(mrd.limits) > 1:
            problems.add(f"sensitivities {listed(mrd.limits)} differ; name one as sensitivity=")
        mrd = mrd.take(mrd.valid)
        latest = np.full(len(patients), -np.inf)
        np.maximum.at(latest, mrd.row, mrd.time)
        last = mrd.take(mrd.time >= latest[mrd.row])
        status, other = np.full(len(patients), UNKNOWN), np.full(len(patients), UNKNOWN)
        status[last.row], other[last.row[::-1]] = last.negative, last.negative[::-1]
        if len(who := patients.patient[status != other]):
            problems.add(f"the latest results of {', '.join(who[:8])} contradict each other; keep the one that counts")
    return status


def landmark_patients(
    patients: Patients, negative: np.ndarray, month: float, *, keep_unknown: bool = False
) -> Landmark:
    """Take the patients event-free and followed beyond a landmark, and count time from there.

    An event at the landmark itself is before it, as in ``(a, b]``. The patients left out say what the analysis is
    not about: patients with early events, and in an interim analysis those enrolled late.

    Parameters
    ----------
    patients : Patients
        Without delayed entry.
    negative : numpy.ndarray of bool or int, shape (patient,)
        MRD status at the landmark: true or 1 negative, false or 0 not, -1 unknown (:func:`latest_status`).
    month : float
        The landmark, in months from enrolment.
    keep_unknown : bool
        Keep patients of unknown status, for models that can use them.

    Returns
    -------
    Landmark

    Raises
    ------
    DataError
        Naming every problem: codes that are none, delayed entry, or nobody left.
    SpecificationError
        When ``month`` is no landmark.

    References
    ----------
    Anderson JR, Cain KC, Gelber RD. J Clin Oncol 1983;1:710-9.
    """
    if not 0 <= month < np.inf:
        raise SpecificationError(f"the landmark must be a month of 0 or later; got {month}")
    codes = np.asarray(negative)
    with Problems("landmark", DataError).collecting() as problems:
        if codes.shape != (len(patients),) or not np.all(np.isin(codes, (UNKNOWN, 0, 1))):
            problems.add(f"negative must be one of 1, 0, -1 (unknown) for each of {len(patients)} patients; got shape "
                         f"{codes.shape} with values {np.unique(codes)[:5]}")  # fmt: skip
        if patients.delayed.any():
            problems.add(f"{patients.delayed.sum()} patients have delayed entry, and MRD counts from enrolment; leave "
                         "them out")  # fmt: skip
    codes, after = codes.astype(int), patients.time > on_clock(float(month))
    unknown = after & (codes == UNKNOWN) & (not keep_unknown)
    keep = after & ~unknown
    if not keep.any():
        raise DataError(f"nobody of known MRD status is event-free and followed beyond month {month:g}; choose an "
                        "earlier landmark")  # fmt: skip
    gone = {"event": patients.event & ~after, "censored": ~patients.event & ~after, "unknown": unknown}
    arms = range(len(patients.arms))
    return Landmark(
        _moved(patients, keep, codes[keep], month), codes[keep], float(month),
        {reason: tuple(int((rows & (patients.arm == a)).sum()) for a in arms) for reason, rows in gone.items()},
    )  # fmt: skip


def _moved(patients: Patients, keep: np.ndarray, codes: np.ndarray, month: float) -> Patients:
    """Patients kept, on the clock of the landmark."""
    covariates = {name: values[keep] for name, values in patients.covariates.items()}
    covariates[COVARIATE] = np.where(codes == UNKNOWN, np.nan, codes)
    of = f"{patients.endpoint}, " if patients.endpoint else ""
    return patients.take(
        keep, time=patients.time[keep] - month, covariates=covariates, mrd=None, entry=None,
        enrolled=None if patients.enrolled is None else patients.enrolled[keep] + month,
        endpoint=f"{of}counted from month {month:g} in patients event-free then",
    )  # fmt: skip
