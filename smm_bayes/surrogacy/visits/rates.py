"""MRD-negative rates with their denominators said, since published rates differ by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.results import Result, plot_intervals
from smm_bayes.surrogacy.visits.compare_rates import RateComparison, jeffreys_interval
from smm_bayes.surrogacy.visits.schedule import MrdSchedule
from smm_bayes.surrogacy.visits.status import NEGATIVE, MrdStatus
from smm_bayes.trial.calendar import on_clock
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DENOMINATORS = ("randomised", "at_risk", "assessed", "subset")


@dataclass(frozen=True)
class MrdRate:
    """Patients MRD-negative in one arm.

    Attributes
    ----------
    arm, outcome, denominator : str
    number, negative : int
        Patients in the denominator, and those of them who were found negative.
    lower, upper : float
        Equal-tailed interval under a Jeffreys prior.
    """

    arm: str
    outcome: str
    denominator: str
    number: int
    negative: int
    lower: float
    upper: float

    @property
    def rate(self) -> float:
        """Share observed; NaN of nobody."""
        return self.negative / self.number if self.number else float("nan")


@dataclass(frozen=True, eq=False)
class MrdRates(Result):
    """Table of MRD-negative rates, made by :func:`mrd_rates`.

    Attributes
    ----------
    rates : tuple of MrdRate
        By outcome, denominator and arm.
    comparisons : mapping of (outcome, denominator) to RateComparison
        Experimental against control; empty where there is one arm.
    probability : float
        Probability inside the intervals.
    """

    rates: tuple[MrdRate, ...]
    comparisons: dict[tuple[str, str], RateComparison]
    probability: float

    def __len__(self) -> int:
        return len(self.rates)

    def __iter__(self) -> Iterator[MrdRate]:
        return iter(self.rates)

    def __repr__(self) -> str:
        return f"MrdRates: {self.summary()}"

    def summary(self) -> str:
        """Say every rate and comparison, one a line."""
        percent = f"{100 * self.probability:g} %"
        lines = [f"{len(self.rates)} rates, {percent} intervals under Jeffreys priors Beta(1/2, 1/2)"]
        for one in self.rates:
            lines.append(f"  {one.outcome}, of {one.denominator}, {one.arm}: {one.negative} of {one.number}, "
                         f"{one.rate:.3f} ({one.lower:.3f} to {one.upper:.3f})")  # fmt: skip
        for (outcome, denominator), found in self.comparisons.items():
            lines.append(f"  {outcome}, of {denominator}: difference {_shown(found.difference)}, "
                         f"odds ratio {_shown(found.odds_ratio)}")  # fmt: skip
        return "\n".join(lines)

    def table(self) -> pd.DataFrame:
        """Give the rates as a pandas frame, one row an arm, outcome and denominator."""
        import pandas as pd

        columns = ("outcome", "denominator", "arm", "number", "negative", "rate", "lower", "upper")
        return pd.DataFrame([[getattr(one, name) for name in columns] for one in self.rates], columns=list(columns))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw every rate with its interval."""
        found = self.table().set_index(["outcome", "denominator", "arm"])
        return plot_intervals(found, ax, middle="rate", xlabel="MRD-negative")

    def comparisons_table(self) -> pd.DataFrame:
        """Give the comparisons as a pandas frame, one row an outcome, denominator and measure."""
        import pandas as pd

        rows = [(*key, measure, *getattr(found, measure), found.probability_above)
                for key, found in self.comparisons.items() for measure in ("difference", "odds_ratio")]  # fmt: skip
        columns = ["outcome", "denominator", "measure", "median", "lower", "upper", "probability"]
        return pd.DataFrame(rows, columns=columns)


def mrd_rates(
    patients: Patients,
    schedule: MrdSchedule | MrdStatus,
    *,
    denominators: Sequence[str] = DENOMINATORS,
    subset: tuple[str, np.ndarray] | None = None,
    probability: float = 0.95,
) -> MrdRates:
    r"""Tabulate MRD-negative rates by arm, outcome and denominator, and compare the arms.

    Outcomes are being negative at each visit; ``sustained``, negative at two consecutive visits; and ``best``,
    negative at any visit. Denominators are

    - ``randomised``: all patients; who has no valid result is not negative;
    - ``at_risk``: of them, event-free and followed beyond the visit (the later of two, the first of several); who has
      no valid result is not negative;
    - ``assessed``: valid result within the window (within both; within any), also after an event by the visit;
    - ``subset``: of the randomised those named, for example in complete response; left out without a ``subset``.

    Each counts only patients whose window has passed at the data cut-off (the last window, where there are several),
    whatever happened to them meanwhile: counting an event before and leaving out those still followed would make the
    rate too low, counting early results and leaving out those still to be assessed too high. The window
    has passed where enrolment to data cut-off is as long as its end and the patient is not censored administratively
    before it. Without dates only the latter is known, and rates are too low where events came early.

    Intervals are quantiles of the posterior of x negative of n under a Jeffreys prior,
    :math:`p \mid x \sim \mathrm{Beta}(x + 1/2, n - x + 1/2)`.

    Parameters
    ----------
    patients : Patients
    schedule : MrdSchedule or MrdStatus
        A status where assessments of one sensitivity or assay were chosen (:meth:`MrdSchedule.assign`).
    denominators : sequence of str
    subset : tuple of str and numpy.ndarray of bool, optional
        Name of the subset, and who is in it, one a patient.
    probability : float
        Probability inside the intervals.

    Returns
    -------
    MrdRates

    Raises
    ------
    SpecificationError
        When a denominator is not known or twice there, subset or status do not fit the patients, or probability is no
        probability.
    DataError
        As :meth:`MrdSchedule.assign`.
    """
    _check(patients, schedule, denominators, subset, probability)
    status = schedule.assign(patients) if isinstance(schedule, MrdSchedule) else schedule
    named = {"subset": subset[0]} if subset else {}
    inside = np.ones(len(patients), bool) if subset is None else np.asarray(subset[1], dtype=bool)
    rates, comparisons = [], {}
    for outcome, passed, negative, at_risk, assessed in _outcomes(patients, status):
        members = {"randomised": passed, "at_risk": passed & at_risk, "assessed": passed & assessed,
                   "subset": passed & inside}  # fmt: skip
        for name in denominators:
            if name == "subset" and subset is None:
                continue
            mine = [members[name] & (patients.arm == arm) for arm in range(len(patients.arms))]
            counts = [(int((one & negative).sum()), int(one.sum())) for one in mine]
            label = named.get(name, name)
            rates += [MrdRate(arm, outcome, label, n, x, *jeffreys_interval(x, n, probability))
                      for arm, (x, n) in zip(patients.arms, counts, strict=True)]  # fmt: skip
            if patients.arms == ("control", "experimental"):
                comparisons[outcome, label] = RateComparison.of(counts[1], counts[0], probability)
    return MrdRates(tuple(rates), comparisons, probability)


def windows_passed(patients: Patients, schedule: MrdSchedule) -> np.ndarray:
    """Whether each window had passed when the data were cut, shape (patient, visit): events do not matter."""
    known = np.full(len(patients), np.inf)
    if patients.enrolled is not None and patients.data_cutoff is not None:
        known = on_clock(patients.data_cutoff - patients.enrolled)
    known = np.where(patients.at_risk, np.minimum(known, patients.time), known)
    return known[:, None] >= schedule.ends


def _outcomes(
    patients: Patients, status: MrdStatus
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:  # fmt: skip
    """Name each outcome, with patients whose window has passed, negative, at risk and assessed."""
    passed, at_risk = windows_passed(patients, status.schedule), status.at_risk
    negative, assessed = status.code == NEGATIVE, status.code >= 0
    months = [f"{month:.4g}" for month in status.schedule.months]
    for k, month in enumerate(months):
        yield f"{month} months", passed[:, k], negative[:, k], at_risk[:, k], assessed[:, k]
    for k in range(len(months) - 1):
        both = slice(k, k + 2)
        yield (f"sustained, {months[k]} and {months[k + 1]} months", passed[:, k + 1], negative[:, both].all(axis=1),
               at_risk[:, k + 1], assessed[:, both].all(axis=1))  # fmt: skip
    if len(months) > 1:
        yield (f"best, by {months[-1]} months", passed[:, -1], negative.any(axis=1), at_risk[:, 0],
               assessed.any(axis=1))  # fmt: skip


def _check(
    patients: Patients, schedule: MrdSchedule | MrdStatus, denominators: Sequence[str],
    subset: tuple[str, np.ndarray] | None, probability: float,
) -> None:  # fmt: skip
    with Problems("MRD-negative rates", SpecificationError).collecting() as problems:
        unknown = [str(name) for name in denominators if name not in DENOMINATORS]
        if isinstance(denominators, str) or unknown or not denominators or len(set(denominators)) != len(denominators):
            problems.add(f"denominators must be some of {', '.join(DENOMINATORS)}, each once; got {denominators!r}")
        if subset is not None:
            mask = np.asarray(subset[1])
            if mask.dtype != bool or mask.shape != (len(patients),):
                problems.add(f"subset {subset[0]!r} must be true or false for each of {len(patients)} patients; got "
                             f"{mask.dtype} of shape {mask.shape}")  # fmt: skip
            if subset[0] in DENOMINATORS[:-1]:
                problems.add(f"subset {subset[0]!r} has the name of a denominator; give it another")
        elif "subset" in denominators and tuple(denominators) != DENOMINATORS:
            problems.add("denominator 'subset' needs subset=(name, who is in it); give it, or leave it out")
        if isinstance(schedule, MrdStatus) and len(schedule) != len(patients):
            problems.add(f"the status is of {len(schedule)} patients, not {len(patients)}; assign it to these patients")
        if not 0 < probability < 1:
            problems.add(f"probability must be between 0 and 1; got {probability:g}")


def _shown(values: tuple[float, float, float]) -> str:
    return "{:.3g} ({:.3g} to {:.3g})".format(*values)
