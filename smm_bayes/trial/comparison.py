"""Two groups of patients compared: the stratified log-rank test, and restricted mean survival times; NumPy alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.results import tails
from smm_bayes.trial.calendar import on_clock


@dataclass(frozen=True)
class LogRankTest:
    """Log-rank test of group 1 against group 0.

    Attributes
    ----------
    score : float
        Events of group 1, observed minus expected, summed over strata.
    variance : float
        Of it, where the groups do not differ.
    """

    score: float
    variance: float

    @property
    def z(self) -> float:
        """Score over its standard deviation: below 0 where group 1 has fewer events than expected."""
        return self.score / math.sqrt(self.variance)

    @property
    def chi_squared(self) -> float:
        """Square of z, with one degree of freedom."""
        return self.z**2

    @property
    def p_value(self) -> float:
        """Two-sided p-value."""
        return math.erfc(abs(self.z) / math.sqrt(2))

    def __repr__(self) -> str:
        return f"LogRankTest: z {self.z:.3f}, two-sided p {self.p_value:.4g}; observed - expected {self.score:.2f}"


def log_rank_test(
    time: np.ndarray, event: np.ndarray, group: np.ndarray, stratum: np.ndarray | None = None
) -> LogRankTest:
    r"""Compare two groups within strata.

    With r patients at risk at u, :math:`r_1` of them in group 1, and d events, :math:`d_1` of them in group 1,

    .. math:: O - E = \sum_s \sum_u \Big( d_1 - d\,\frac{r_1}{r} \Big), \quad
              V = \sum_s \sum_u d\,\frac{r_1}{r} \Big( 1 - \frac{r_1}{r} \Big) \frac{r - d}{r - 1}.

    Parameters
    ----------
    time : numpy.ndarray of float, shape (patient,)
    event, group : numpy.ndarray of bool, shape (patient,)
    stratum : numpy.ndarray, shape (patient,), optional
        All patients are in one if not given.

    Raises
    ------
    DataError
        When no event happens while both groups are at risk.

    References
    ----------
    Mantel N. Cancer Chemotherapy Reports 1966;50:163-170.

    Examples
    --------
    >>> log_rank_test([1, 2, 3, 4], [True, True, True, False], [False, False, True, True])
    LogRankTest: z -1.698, two-sided p 0.08956; observed - expected -1.17
    """
    time, event, group = on_clock(np.asarray(time, float)), np.asarray(event, bool), np.asarray(group, bool)
    within = np.zeros(len(time), int) if stratum is None else np.asarray(stratum)
    score = variance = 0.0
    for rows in (within == s for s in np.unique(within)):
        t, hit, one = time[rows], event[rows], group[rows]
        steps, d = np.unique(t[hit], return_counts=True)
        d1 = np.searchsorted(np.sort(t[hit & one]), steps, "right") - np.searchsorted(np.sort(t[hit & one]), steps)
        r, r1 = (len(x) - np.searchsorted(np.sort(x), steps) for x in (t, t[one]))
        share = r1 / r
        score += float((d1 - d * share).sum())
        variance += float((d * share * (1 - share) * (r - d) / np.maximum(r - 1, 1)).sum())
    if not variance > 0:
        raise DataError("log-rank test: no event happens while both groups are at risk; give groups that overlap")
    return LogRankTest(score, variance)


@dataclass(frozen=True)
class RestrictedMean:
    """Mean survival time up to a horizon, or a difference of two, with its standard error."""

    value: float
    standard_error: float
    horizon: float

    def interval(self, probability: float = 0.95) -> tuple[float, float]:
        """Wald interval.

        Raises
        ------
        SpecificationError
            When ``probability`` is not between 0 and 1.
        """
        half = NormalDist().inv_cdf(tails(probability)[1]) * self.standard_error
        return self.value - half, self.value + half

    def __sub__(self, other: RestrictedMean) -> RestrictedMean:
        if self.horizon != other.horizon:
            raise SpecificationError(f"the means go to {self.horizon:g} and {other.horizon:g}; give both one horizon")
        return RestrictedMean(
            self.value - other.value, math.hypot(self.standard_error, other.standard_error), self.horizon
        )

    def __repr__(self) -> str:
        low, high = self.interval()
        return f"RestrictedMean to {self.horizon:g}: {self.value:.4g} (95 % {low:.4g} to {high:.4g})"


def restricted_mean(time: np.ndarray, event: np.ndarray, horizon: float) -> RestrictedMean:
    r"""Area under the Kaplan-Meier curve up to a horizon h, with Greenwood's standard error.

    .. math:: \int_0^h \hat S(u)\, du, \quad \sum_{u \le h} \Big( \int_u^h \hat S(v)\, dv \Big)^2 \frac{d}{r\,(r - d)}

    Parameters
    ----------
    time : numpy.ndarray of float, shape (patient,)
    event : numpy.ndarray of bool, shape (patient,)
    horizon : float

    Raises
    ------
    DataError
        When nobody is followed to the horizon and survival is not 0 before it: the curve does not reach it.
    SpecificationError
        When the horizon is not above 0.

    References
    ----------
    Royston P, Parmar MKB. BMC Medical Research Methodology 2013;13:152, doi:10.1186/1471-2288-13-152.

    Examples
    --------
    >>> restricted_mean([1, 2, 3, 4], [True, True, False, True], 3)
    RestrictedMean to 3: 2.25 (95 % 1.437 to 3.063)
    """
    time, event = on_clock(np.asarray(time, float)), np.asarray(event, bool)
    if not 0 < horizon < math.inf:
        raise SpecificationError(f"the horizon must be finite and above 0; got {horizon}")
    last = time.max()
    if horizon > last and not event[time == last].all():
        raise DataError(f"restricted mean: nobody is followed to {horizon:g}, the last patient to {last:g}; give an "
                        "earlier horizon")  # fmt: skip
    steps, d = np.unique(time[event & (time <= horizon)], return_counts=True)
    r = len(time) - np.searchsorted(np.sort(time), steps)
    survival = np.concatenate([[1.0], np.cumprod(1 - d / r)])
    areas = survival * np.diff(np.concatenate([[0.0], steps, [horizon]]))
    after = np.cumsum(areas[::-1])[::-1][1:]  # from each step on
    spread = np.divide(d, r * (r - d), out=np.zeros(len(d)), where=r > d)
    return RestrictedMean(float(areas.sum()), float(np.sqrt((after**2 * spread).sum())), float(horizon))
