"""Inference after a two-stage trial, which a plain proportion of responders does not give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.response.binomial import TIE, pmf
from smm_bayes.response.two_stage import TwoStageDesign, is_count
from smm_bayes.results import tails


@dataclass(frozen=True)
class TwoStageResult:
    r"""What was seen in a trial with a two-stage design, and what it says of the response rate.

    Outcomes are ordered by stage: every outcome of the second stage is more than any that stopped the first, and
    within a stage more responses are more (Koyama and Chen; Jung and Kim). With
    :math:`F(p) = P_p(\text{as much or more})`, which increases in p, the p-value is :math:`F(p_0)`, the median-unbiased
    estimate solves :math:`F(p) = 1/2` and interval limits solve :math:`F(p) = (1 - l)/2` and
    :math:`P_p(\text{as much or less}) = (1 - l)/2`.

    A second stage of another size than planned counts with the size that it had: exact as long as that size did not
    depend on responses. Success is then a p-value of at most the planned design's own type I error. A first stage of
    another size is refused, since its ``r1`` is not known.

    Parameters
    ----------
    design : TwoStageDesign
    responses, patients : int
        In all, over both stages.

    Raises
    ------
    SpecificationError
        When the design could not have ended like this.

    References
    ----------
    Koyama T, Chen H. Statistics in Medicine 2008;27:3145-3154, doi:10.1002/sim.3123 (p-value, interval). Jung SH,
    Kim KM. Statistics in Medicine 2004;23:881-896, doi:10.1002/sim.1653 (unbiased estimate). Whitehead J. Biometrika
    1986;73:573-581 (correction of bias).

    Examples
    --------
    >>> result = TwoStageResult(TwoStageDesign(4, 19, 15, 54, p0=0.2, p1=0.4), responses=21, patients=54)
    >>> round(result.umvue, 4), round(result.p_value, 5), result.success
    (0.3977, 0.00104, True)
    """

    design: TwoStageDesign
    responses: int
    patients: int

    def __post_init__(self) -> None:
        """Refuse what the design cannot end with."""
        d, s, m = self.design, self.responses, self.patients
        problems = Problems("two-stage result", SpecificationError)
        if not (is_count(s) and is_count(m) and s <= m):
            problems.add(f"responses and patients must be whole numbers, responses at most patients; got {s} of {m}")
        elif m < d.n1:
            problems.add(f"the first stage has {d.n1} patients and {m} are given; wait for all of them, or describe "
                         "the first stage as it was by a design with its own r1 and n1")  # fmt: skip
        elif m == d.n1 and s > d.r1:
            problems.add(f"{s} responses of {m} are more than the {d.r1} that stop the first stage; the trial goes on")
        elif m > d.n1 and s <= d.r1:
            problems.add(f"{s} responses in all are at most the {d.r1} at which the first stage of {d.n1} patients had "
                         "to stop; give the first stage alone")  # fmt: skip
        problems.raise_if_any()

    @property
    def stage(self) -> int:
        """Stage in which the trial ended, 1 or 2."""
        return 1 if self.patients == self.design.n1 else 2

    @property
    def success(self) -> bool:
        """Whether the trial succeeded."""
        return self.stage == 2 and self.p_value <= self.design.type_one_error() + TIE

    def at_least(self, p: float, more: int = 0) -> float:
        """Probability at ``p`` of an outcome that is as much or more, of ``more`` responses more than were seen."""
        if self.stage == 1:
            return float(pmf(self.design.n1, np.asarray(p, float))[self.responses + more :].sum())
        second = self.patients - self.design.n1
        return float(self.design.more_than(self.responses + more - 1, second, p))

    @property
    def p_value(self) -> float:
        """One-sided, of a response rate of at most ``p0``."""
        return self.at_least(self.design.p0)

    @property
    def proportion(self) -> float:
        """Responders among patients: the maximum of the likelihood, too low on average when a trial may stop."""
        return self.responses / self.patients

    @property
    def umvue(self) -> float:
        r"""Unbiased estimate of least variance: the mean of :math:`X_1/n_1` given stage and responses."""
        if self.stage == 1:
            return self.proportion
        x1, ways = self._ways()
        return float((x1 / self.design.n1 * ways).sum() / ways.sum())

    def _ways(self) -> tuple[np.ndarray, np.ndarray]:
        """Responses of the first stage that go with what was seen, and how likely they are given it."""
        d, second = self.design, self.patients - self.design.n1
        x1 = np.arange(max(d.r1 + 1, self.responses - second), min(d.n1, self.responses) + 1)
        half = np.asarray(0.5)  # any rate: given the sum it cancels
        return x1, pmf(d.n1, half)[x1] * pmf(second, half)[self.responses - x1]

    @property
    def median_unbiased(self) -> float:
        """Rate at which what was seen, or more, has probability 1/2."""
        return _root(self.at_least, 0.5)

    @property
    def bias_corrected(self) -> float:
        """Rate at which the mean of the proportion of responders is the one that was seen (Whitehead)."""
        return _root(self._mean_proportion, self.proportion)

    def _mean_proportion(self, p: float) -> float:
        d, second = self.design, max(self.patients, self.design.n1 + 1) - self.design.n1
        if self.stage == 1:
            second = d.n - d.n1
        first = pmf(d.n1, np.asarray(p, float))
        x1 = np.arange(d.n1 + 1)
        stopped = x1 <= d.r1
        return float((first * np.where(stopped, x1 / d.n1, (x1 + second * p) / (d.n1 + second))).sum())

    def interval(self, probability: float = 0.95) -> tuple[float, float]:
        """Exact interval of the response rate, equal tails.

        Raises
        ------
        SpecificationError
            When ``probability`` is not between 0 and 1.
        """
        tail, _ = tails(probability)
        low = _root(self.at_least, tail) if self.responses else 0.0
        high = _root(lambda p: self.at_least(p, 1), 1 - tail) if self.responses < self.patients else 1.0
        return low, high

    def __str__(self) -> str:
        low, high = self.interval()
        end = "success" if self.success else "no success"
        return (f"{end} in stage {self.stage}: {self.responses} responses of {self.patients}; response rate "
                f"{self.umvue:.3f} (unbiased; 95 % {low:.3f} to {high:.3f}), p = {self.p_value:.4g} against "
                f"{self.design.p0:g}")  # fmt: skip


def _root(increasing: Callable[[float], float], target: float) -> float:
    """Rate at which an increasing function takes a value: 0 or 1 where it is always above or below."""
    from scipy.optimize import brentq

    if increasing(0.0) >= target:
        return 0.0
    if increasing(1.0) <= target:
        return 1.0
    return float(brentq(lambda p: increasing(p) - target, 0.0, 1.0, xtol=1e-15))
