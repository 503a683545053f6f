"""Patient rows made from an arm's summaries, and the comparison of the two, number by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import DataError
from smm_bayes.evidence.summaries import ArmSummary, half_unit
from smm_bayes.trial.calendar import on_clock
from smm_bayes.trial.curves import SurvivalCurve, kaplan_meier

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class PseudoArm:
    """Patients who reproduce an arm's summaries. They are not the trial's patients.

    Attributes
    ----------
    summary : ArmSummary
    time : numpy.ndarray of float, shape (patient,)
        Months to the event or to censoring.
    cause : numpy.ndarray of str
        ``progression`` or ``death``; empty where censored.
    censoring : numpy.ndarray of str
        ``administrative`` or ``lost``; empty where there was an event.
    enrolled : numpy.ndarray of float
        Months since the first enrolment.
    """

    summary: ArmSummary
    time: np.ndarray
    cause: np.ndarray
    censoring: np.ndarray
    enrolled: np.ndarray

    def __post_init__(self) -> None:
        if len({len(column) for column in (self.time, self.cause, self.censoring, self.enrolled)}) != 1:
            raise DataError(f"{self.summary.name}: columns of the pseudo-patients differ in length")
        if np.any(~np.isfinite(self.time)) or np.any(self.time <= 0) or np.any(self.enrolled < 0):
            raise DataError(f"{self.summary.name}: times must be finite and positive, enrolment not negative")
        for name in ("time", "enrolled"):
            object.__setattr__(self, name, on_clock(getattr(self, name)))
        for column in (self.time, self.cause, self.censoring, self.enrolled):
            column.setflags(write=False)

    def __len__(self) -> int:
        return len(self.time)

    @property
    def event(self) -> np.ndarray:
        """True where the endpoint's event happened; a death that censors the endpoint is none."""
        return self.cause != "" if self.summary.deaths_count else self.cause == self.summary.cause

    @property
    def curve(self) -> SurvivalCurve:
        """Kaplan–Meier curve of the endpoint."""
        return kaplan_meier(self.time, self.event)

    def __repr__(self) -> str:
        return f"PseudoArm: {self.summary.name}, {len(self)} patients, {int(self.event.sum())} events, reconstructed"


@dataclass(frozen=True)
class Check:
    """One number: what was printed, what the pseudo-patients give, and whether the print would be the same."""

    what: str
    target: float
    achieved: float
    within: bool

    @property
    def difference(self) -> float:
        """Achieved less target; 0 where both are infinite (a median not reached)."""
        return 0.0 if self.achieved == self.target else self.achieved - self.target


@dataclass(frozen=True)
class CheckTable:
    """Every number of a summary beside what the pseudo-patients give."""

    subject: str
    rows: tuple[Check, ...]

    @property
    def all_within(self) -> bool:
        """Whether every number is met to its printed precision."""
        return all(row.within for row in self.rows)

    @property
    def off(self) -> tuple[Check, ...]:
        """The numbers that are not met."""
        return tuple(row for row in self.rows if not row.within)

    def to_frame(self) -> pd.DataFrame:
        """Give the table as a pandas frame."""
        import pandas as pd

        return pd.DataFrame(
            [(row.what, row.target, row.achieved, row.difference, row.within) for row in self.rows],
            columns=["what", "target", "achieved", "difference", "within"],
        )

    def __repr__(self) -> str:
        width = max(len(row.what) for row in self.rows)
        lines = [f"{'':{width}}  {'target':>11} {'achieved':>11} {'difference':>11}  within"]
        for row in self.rows:
            numbers = " ".join(f"{_shown(value):>11}" for value in (row.target, row.achieved, row.difference))
            lines.append(f"{row.what:{width}}  {numbers}  {'yes' if row.within else 'NO'}")
        return "\n".join([self.subject, *lines])


def _shown(value: float) -> str:
    return "not reached" if np.isinf(value) else f"{value:.5g}"


def check(pseudo: PseudoArm, summary: ArmSummary | None = None) -> CheckTable:
    """Compare pseudo-patients with the summary they were made from (or with another one).

    A printed value v with k decimals is met by x if |x - v| ≤ ½ 10^-k, so that x could have been printed as v.

    Parameters
    ----------
    pseudo : PseudoArm
    summary : ArmSummary, optional
        The pseudo-patients' own if not given.

    Returns
    -------
    CheckTable
    """
    summary = summary or pseudo.summary
    rows = [_count("patients", summary.n, len(pseudo))]
    if summary.events is not None:
        rows.append(_count("events", summary.events, int(pseudo.event.sum())))
    if summary.deaths_without_progression is not None:
        deaths = int((pseudo.cause == "death").sum())
        rows.append(_count("deaths without progression", summary.deaths_without_progression, deaths))
    curve = pseudo.curve
    for time, survival, digits in summary.milestones:
        achieved = float(curve.at(time))
        met = abs(achieved - survival) <= half_unit(digits)
        rows.append(Check(f"survival at {time:g} months", survival, achieved, met))
    if summary.median == "not reached":
        rows.append(Check("median", np.inf, curve.median, bool(np.isinf(curve.median))))
    elif summary.median is not None:
        value, digits = summary.median
        rows.append(Check("median", value, curve.median, bool(abs(curve.median - value) <= half_unit(digits))))
    last = float(np.max(pseudo.enrolled + pseudo.time))
    cutoff = summary.follow_up.cutoff
    rows.append(Check("last contact, at most", cutoff, last, last <= cutoff + 0.02))
    return CheckTable(summary.name, tuple(rows))


def _count(what: str, target: int, achieved: int) -> Check:
    return Check(what, target, achieved, target == achieved)
