"""Scheduled MRD visits, and each patient's status at them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import DataError, Problems, SpecificationError
from smm_bayes.surrogacy.visits.status import MISSING, NEGATIVE, NOT_YET, POSITIVE, MrdStatus
from smm_bayes.trial.calendar import on_clock
from smm_bayes.trial.mrd import COARSER, FINER, SAME, MrdAssessments
from smm_bayes.trial.patients import Patients

__all__ = ["MISSING", "NEGATIVE", "NOT_YET", "POSITIVE", "MrdSchedule", "MrdStatus"]

MOST_VISITS = 12  # 2^K paths are carried along


@dataclass(frozen=True)
class MrdSchedule:
    r"""Scheduled visits :math:`v_1 < \dots < v_K` at which MRD is assessed, in months from enrolment.

    An assessment made within [v_k - before, v_k + after], ends included, counts for visit k. A path is
    :math:`(Z_1, \dots, Z_K)` with :math:`Z_k = 1` where MRD is negative; path number p has :math:`Z_k` = bit k - 1
    of p, so that :math:`p = \sum_k Z_k 2^{k-1}`.

    Parameters
    ----------
    months : tuple of float
        Months of the visits, above 0 and increasing; at most 12.
    before, after : float
        How many months before and after a visit an assessment may be made and count for it, 0 or more.

    Raises
    ------
    SpecificationError
        When there is no visit or too many, months are not positive, finite and increasing, a window is negative or
        reaches enrolment, or windows of neighbours meet.

    Examples
    --------
    >>> schedule = MrdSchedule((6, 12), before=1, after=2)
    >>> schedule
    MrdSchedule: 2 visits, at 6, 12 months, assessed from 1 months before to 2 months after
    >>> schedule.states.tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """

    months: tuple[float, ...]
    before: float
    after: float

    def __post_init__(self) -> None:
        """Refuse what is no schedule."""
        object.__setattr__(self, "months", tuple(on_clock(float(month)) for month in self.months))
        for name in ("before", "after"):
            object.__setattr__(self, name, on_clock(float(getattr(self, name))))
        gaps, shown = np.diff(self.months), ", ".join(f"{month:.4g}" for month in self.months) or "none"
        widths = np.array([self.before, self.after], dtype=float)
        with Problems("MRD schedule", SpecificationError).collecting() as problems:
            if not 1 <= len(self.months) <= MOST_VISITS:
                problems.add(f"it has {len(self.months)} visits; give from 1 to {MOST_VISITS}")
            increasing = bool(np.all(np.isfinite(self.months)) and np.all(gaps > 0) and min(self.months, default=1) > 0)
            if not increasing:
                problems.add(f"visits must be months above 0, finite and increasing; got {shown}")
            if not np.all(np.isfinite(widths) & (widths >= 0)):
                problems.add(f"before and after must be 0 or more months; got {self.before:g} and {self.after:g}")
            elif self.months and increasing:
                if self.before >= self.months[0]:
                    problems.add(f"before must be below the first visit, {self.months[0]:g} months, so that its window "
                                 f"starts after enrolment; got {self.before:g}")  # fmt: skip
                if np.any(on_clock(gaps) <= on_clock(widths.sum())):
                    problems.add(f"before and after together must be below the shortest gap of visits, {gaps.min():g} "
                                 f"months, so that no assessment counts twice; got {widths.sum():g}")  # fmt: skip

    def __len__(self) -> int:
        return len(self.months)

    @property
    def paths(self) -> int:
        """Number of paths, 2^K."""
        return 2 ** len(self)

    @property
    def states(self) -> np.ndarray:
        """Z of every path, integers of shape (path, visit)."""
        return (np.arange(self.paths)[:, None] >> np.arange(len(self))) & 1

    @property
    def ends(self) -> np.ndarray:
        """Months at which the windows end, shape (visit,)."""
        return on_clock(np.array(self.months) + self.after)

    def visit(self, time: np.ndarray) -> np.ndarray:
        """Position of the visit whose window each time (months) is in; -1 outside of every window."""
        at = on_clock(np.asarray(time, dtype=float))[..., None]
        inside = (at >= on_clock(np.array(self.months) - self.before)) & (at <= self.ends)
        return np.where(inside.any(axis=-1), inside.argmax(axis=-1), -1)

    def assign(
        self,
        patients: Patients,
        *,
        sensitivity: float | None = None,
        assay: str | None = None,
        allow_mixed: bool = False,
        progressed_by: np.ndarray | None = None,
    ) -> MrdStatus:
        """Give each patient's status at each visit.

        Several results of a patient in one window must agree; one that is not valid yields to one that is. Each sample
        has its own limit of detection. At the sensitivity asked for, a negative result at a finer limit is negative
        and a positive one at a coarser limit positive. A positive one at a finer limit and a negative one at a coarser
        limit say nothing of it: they are counted in ``set_aside``, and the visit is missing unless another result
        says more. That a result is missing then depends on what it was: see ``missing_log_odds``
        of :class:`~smm_bayes.surrogacy.joint.priors.JointPriors`.

        Parameters
        ----------
        patients : Patients
            With MRD assessments.
        sensitivity : float, optional
            The limit of detection that negative and positive are meant at, for example 1e-5.
        assay : str, optional
            Keep only assessments by this assay, as the table names it.
        allow_mixed : bool
            Take valid results at different sensitivities as one kind of result. They are not: the finer of two
            assays finds fewer patients negative.
        progressed_by : numpy.ndarray, shape (patient,), optional
            Months to progression, where ``time`` goes on after it: :meth:`MrdStatus.after_progression`.

        Returns
        -------
        MrdStatus

        Raises
        ------
        DataError
            Without assessments (of the kind asked for), when sensitivities differ and none is asked for, when only one
            of the two results could be found at the one asked for, or when valid results of a patient within one
            window contradict each other.
        """
        with Problems(f"MRD assessments of {patients.trial}", DataError).collecting() as problems:
            mrd = _chosen(patients.mrd, sensitivity, assay, problems)
            visit = self.visit(mrd.time)
            used = mrd.take(visit >= 0).limits
            if sensitivity is None and len(used) > 1 and not allow_mixed:
                problems.add(f"sensitivities {listed(used)} differ within the analysis; name one as sensitivity= "
                             "(mrd.sensitivity of a specification), or say allow_mixed=True")  # fmt: skip
            code = self._codes(patients, mrd, visit, problems)
        at_risk = patients.time[:, None] > np.array(self.months)
        outside = int((visit < 0).sum())
        found = MrdStatus(self, code, at_risk, patients.arm, patients.arms, outside, mrd.set_aside)
        return found if progressed_by is None else found.after_progression(progressed_by)

    def _codes(self, patients: Patients, mrd: MrdAssessments, visit: np.ndarray, problems: Problems) -> np.ndarray:
        """Codes, shape (patient, visit), noting contradictions."""

        def found(rows: np.ndarray) -> np.ndarray:
            hit = np.zeros((len(patients), len(self)), dtype=bool)
            hit[mrd.row[rows & (visit >= 0)], visit[rows & (visit >= 0)]] = True
            return hit

        negative, positive = found(mrd.valid & mrd.negative), found(mrd.valid & ~mrd.negative)
        for k in np.flatnonzero((negative & positive).any(axis=0)):
            who = patients.patient[(negative & positive)[:, k]]
            more = f" and {len(who) - 8} more" if len(who) > 8 else ""
            problems.add(f"visit at {self.months[k]:.4g} months: valid results that contradict each other within its "
                         f"window, of {', '.join(who[:8])}{more}; keep the result that counts, or name "
                         "sensitivity= or assay=, or narrow the window")  # fmt: skip
        passed = patients.time[:, None] >= self.ends
        missing = passed | found(~mrd.valid)
        return np.select([negative, positive, missing], [NEGATIVE, POSITIVE, MISSING], NOT_YET)

    def __repr__(self) -> str:
        shown = ", ".join(f"{month:.4g}" for month in self.months)
        return (f"MrdSchedule: {len(self)} visits, at {shown} months, assessed from {self.before:g} months before to "
                f"{self.after:g} months after")  # fmt: skip


def _chosen(
    mrd: MrdAssessments | None, sensitivity: float | None, assay: str | None, problems: Problems
) -> MrdAssessments:  # fmt: skip
    """Assessments of the sensitivity and assay asked for."""
    if mrd is None or not len(mrd):
        problems.add("there are none; give the table of MRD assessments with the patients")
        none = np.zeros(0)
        return MrdAssessments(none.astype(int), none, none.astype(bool), none)
    if assay is not None:
        mine = np.zeros(len(mrd), dtype=bool) if mrd.assay is None else mrd.assay == assay
        if not (mine & mrd.valid).any():
            there = "no assay is named" if mrd.assay is None else ", ".join(sorted(set(mrd.assay)))
            problems.add(f"no valid result by assay {assay!r}; ask for what there is: {there}")
        mrd = mrd.put_aside({"by another assay": ~mine})
    return mrd if sensitivity is None else at_limit(mrd, sensitivity, problems)


def at_limit(mrd: MrdAssessments, sensitivity: float, problems: Problems) -> MrdAssessments:
    """Give what assessments say at one limit of detection, noting where only one of the two results could be found.

    If every limit is finer, the negative results count and the positive ones are lost: whoever is known would be
    negative.
    """
    found, limits = mrd.at(sensitivity), mrd.limits
    finer, coarser = limits.min(initial=np.inf) <= sensitivity * SAME, limits.max(initial=0.0) * SAME >= sensitivity
    lost = sum(found.set_aside.get(reason, 0) for reason in (FINER, COARSER))
    if not len(limits):
        problems.add(f"no valid result at sensitivity {sensitivity:g}; there is none at any other")
    elif lost and not (finer and coarser):
        only, side = ("negative", "coarser") if finer else ("positive", "finer")
        problems.add(f"no valid result at sensitivity {sensitivity:g} or {side}: only the {only} ones count there, and "
                     f"{lost} others say nothing of it; ask for what there is: {listed(limits)}")  # fmt: skip
    return found


def listed(limits: np.ndarray) -> str:
    """Limits of detection as a message shows them."""
    return ", ".join(f"{value:g}" for value in limits)
