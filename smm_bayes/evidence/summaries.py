"""What a publication says of one arm: numbers, milestones, median and follow-up, as printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from smm_bayes.errors import Problems

Median = tuple[float, int] | Literal["not reached"] | None


def half_unit(digits: int) -> float:
    """Half a unit of the last digit printed: how far a true value may be from the printed one.

    >>> round(half_unit(2), 6)
    0.005
    """
    return 0.5 * 10.0**-digits + 1e-9


@dataclass(frozen=True)
class FollowUp:
    """When an arm's patients came, and how long each could be followed until the data were cut.

    Potential follow-up is ``c = low + (high - low) u^k`` with u uniform on (0, 1), and the patient came at
    ``accrual (high - c) / (high - low)``: at a uniform pace (k = 1) or, where the median of c is known, at the pace
    k = log((median - low) / (high - low)) / log(1/2).

    Parameters
    ----------
    low, high : float
        Shortest and longest potential follow-up in months.
    accrual : float
        Months from the first enrolment to the last; ``high - low`` unless given.
    cutoff : float
        Calendar time of the cut in months since the first enrolment; ``high`` unless given.
    median : float, optional
        Median potential follow-up; None means a uniform pace of accrual.

    Raises
    ------
    DataError
        Naming every number that cannot be.
    """

    low: float
    high: float
    accrual: float = float("nan")
    cutoff: float = float("nan")
    median: float | None = None

    def __post_init__(self) -> None:
        if np.isnan(self.accrual):
            object.__setattr__(self, "accrual", self.high - self.low)
        if np.isnan(self.cutoff):
            object.__setattr__(self, "cutoff", self.high)
        with Problems("follow-up").collecting() as problems:
            if not 0 <= self.low < self.high < np.inf:
                problems.add(f"potential follow-up {self.low:g} to {self.high:g} months is no window; give low < high")
            if not 0 < self.accrual <= self.cutoff + 1e-9:
                problems.add(f"accrual takes {self.accrual:g} months of {self.cutoff:g}; end it before the data cut")
            if self.high > self.cutoff + 1e-9 or self.low > self.cutoff - self.accrual + 1e-9:
                problems.add(f"follow-up of {self.low:g} to {self.high:g} months passes the data cut at "
                             f"{self.cutoff:g} with accrual to {self.accrual:g}; correct the dates")  # fmt: skip
            if self.median is not None and not self.low < self.median < self.high:
                problems.add(f"median {self.median:g} is outside {self.low:g} to {self.high:g}; give one inside")

    @classmethod
    def between(
        cls, accrual_start: float, accrual_end: float, data_cutoff: float, median: float | None = None
    ) -> FollowUp:
        """Everyone followed from enrolment to the data cut; times in months on one clock."""
        accrual, cutoff = accrual_end - accrual_start, data_cutoff - accrual_start
        return cls(cutoff - accrual, cutoff, accrual, cutoff, median)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw enrolment times and potential follow-up of ``n`` patients, both in months to two decimals."""
        power = 1.0
        if self.median is not None:
            power = float(np.log((self.median - self.low) / (self.high - self.low)) / np.log(0.5))
        share = rng.random(n) ** power
        possible = np.floor(100 * (self.low + (self.high - self.low) * share)) / 100
        return np.round(self.accrual * (1 - share), 2), np.maximum(possible, 0.01)


@dataclass(frozen=True)
class ArmSummary:
    """The published summaries of one arm and endpoint.

    Parameters
    ----------
    trial, arm, endpoint : str
    n : int
        Patients in the analysis.
    events : int or None
        Events of the endpoint; None if not published.
    milestones : tuple of (time, survival, digits)
        Survival printed at a time in months, and the decimals it was printed to (0.77 has two).
    median : (months, digits), "not reached" or None
        None if nothing was said.
    follow_up : FollowUp
    deaths_without_progression : int or None
        How many patients died before they progressed; None if not published, and then no row is such a death.
    deaths_count : bool
        Whether these deaths are events of the endpoint (progression-free survival) or censor it (time to
        progression, where they are kept as the cause ``death``).
    cause : str
        What the other events are: ``progression``, or ``death`` for overall survival.
    lost : float
        Largest share of patients who may have left before the data cut; how many did is open below it.
    facts : tuple of str
        Identifiers of the published facts these numbers are.

    Raises
    ------
    DataError
        Naming every contradiction at once.
    """

    trial: str
    arm: str
    endpoint: str
    n: int
    events: int | None
    follow_up: FollowUp
    milestones: tuple[tuple[float, float, int], ...] = ()
    median: Median = None
    deaths_without_progression: int | None = None
    deaths_count: bool = False
    cause: str = "progression"
    lost: float = 0.0
    facts: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        with Problems(self.name).collecting() as problems:
            self._check_counts(problems)
            self._check_milestones(problems)
            self._check_median(problems)

    @property
    def name(self) -> str:
        """Trial, arm and endpoint, for messages."""
        return f"{self.trial}, {self.arm}, {self.endpoint}"

    def _check_counts(self, problems: Problems) -> None:
        if self.n < 1:
            problems.add(f"n is {self.n}; an arm has at least one patient")
        if self.events is not None and not 0 <= self.events <= self.n:
            problems.add(f"{self.events} events among {self.n} patients; correct one of them")
        most = self.n - (self.events or 0)
        if self.deaths_count and self.events is not None:
            most = self.events
        if self.deaths_without_progression is not None and not 0 <= self.deaths_without_progression <= most:
            problems.add(f"{self.deaths_without_progression} deaths without progression where at most {most} fit "
                         f"{self.events} events among {self.n} patients; correct the counts")  # fmt: skip
        if self.deaths_count and self.events is None and self.deaths_without_progression:
            problems.add("deaths without progression count as events, but the events are not known; give events")
        if not 0 <= self.lost < 1:
            problems.add(f"lost is {self.lost:g}; give a share from 0 to less than 1")

    def _check_milestones(self, problems: Problems) -> None:
        for time, survival, digits in self.milestones:
            if not 0 < time < np.inf or not 0 <= survival <= 1 or digits < 0:
                problems.add(f"milestone {survival:g} at {time:g} months: the time must be positive, survival from "
                             "0 to 1 (77 % is 0.77), digits 0 or more")  # fmt: skip
            elif time > self.follow_up.high:
                problems.add(f"milestone at {time:g} months: nobody is followed beyond {self.follow_up.high:g}; "
                             "correct the follow-up")  # fmt: skip
        for (time, survival, digits), (later, lower, printed) in pairwise(self.milestones):
            if later <= time:
                problems.add(f"milestones at {time:g} and {later:g} months: give them in order of time, each once")
            if lower - half_unit(printed) > survival + half_unit(digits):
                problems.add(f"milestones {survival:g} at {time:g} and {lower:g} at {later:g} months: survival rises; "
                             "correct one of them")  # fmt: skip

    def _check_median(self, problems: Problems) -> None:
        if self.median is None:
            return
        low, high = np.inf, np.inf
        if self.median != "not reached":
            value, digits = self.median
            low, high = value - half_unit(digits), value + half_unit(digits)
            if low <= 0 or value > self.follow_up.high:
                problems.add(f"median {value:g} months is not within the follow-up of at most "
                             f"{self.follow_up.high:g}; correct it")  # fmt: skip
        for time, survival, digits in self.milestones:
            if time < low and survival + half_unit(digits) <= 0.5:
                problems.add(f"survival {survival:g} at {time:g} months is below a half before the median "
                             f"{self.median_text}; correct one of them")  # fmt: skip
            if time >= high and survival - half_unit(digits) > 0.5:
                problems.add(f"survival {survival:g} at {time:g} months is above a half after the median "
                             f"{self.median_text}; correct one of them")  # fmt: skip

    @property
    def median_text(self) -> str:
        """The median as it was printed."""
        if self.median is None or self.median == "not reached":
            return str(self.median or "not stated")
        return f"{self.median[0]:.{self.median[1]}f}"
