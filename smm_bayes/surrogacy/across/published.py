"""A published regression of effects across trials, taken from its summary."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.evidence.facts import Fact, Facts
from smm_bayes.evidence.vocabulary import PRIMARY, TRUST, may_enter
from smm_bayes.priors.normal import Normal, SDPrior


@dataclass(frozen=True)
class PublishedRegression:
    r"""Slope and R squared of a regression of log hazard ratios on log odds ratios, as published.

    Attributes
    ----------
    name : str
    trials : int
        How many there are.
    slope : float
    slope_se : float or None
        From the printed interval; where None, that of a regression of so many trials with this R squared,
        :math:`|b|\sqrt{(1 - R^2) / (R^2 (n - 2))}`.
    r_squared : float or None
    r_squared_limits : (float, float) or None
        95 % limits.
    pooled_log_odds_ratio, pooled_log_hazard_ratio : (float, float) or None
        Pooled estimates with standard errors, both or neither: the line passes through them.
    source, trust : str

    Raises
    ------
    SpecificationError
        With every rule that is broken.
    """

    name: str
    trials: int
    slope: float
    slope_se: float | None = None
    r_squared: float | None = None
    r_squared_limits: tuple[float, float] | None = None
    pooled_log_odds_ratio: tuple[float, float] | None = None
    pooled_log_hazard_ratio: tuple[float, float] | None = None
    source: str = ""
    trust: str = "published"

    def __post_init__(self) -> None:
        """Check what is given, and that it is enough."""
        with Problems(f"published regression {self.name}", SpecificationError).collecting() as problems:
            if self.trials < 4:
                problems.add(f"trials must be 4 or more; found {self.trials}: give the number of trials")
            if not math.isfinite(self.slope) or (self.slope_se is not None and not self.slope_se > 0):
                problems.add(f"slope must be finite and its error above 0; found {self.slope} and {self.slope_se}")
            if self.slope_se is None and self.r_squared is None:
                problems.add("neither an interval of the slope nor an R squared: its error is unknown; give one")
            if self.r_squared is not None and not 0 < self.r_squared < 1:
                problems.add(f"r_squared must be above 0 and below 1; found {self.r_squared}: leave it out (1 is an "
                             "estimate of no residual spread, not a known relation)")  # fmt: skip
            if (self.pooled_log_odds_ratio is None) != (self.pooled_log_hazard_ratio is None):
                problems.add("one pooled ratio without the other; the line passes through both: give both or neither")

    @classmethod
    def from_facts(
        cls, facts: Facts, *, trials: int, slope: str, r_squared: str | None = None, odds_ratio: str | None = None,
        hazard_ratio: str | None = None, trust: str = PRIMARY,
    ) -> PublishedRegression:  # fmt: skip
        """Read a regression from facts, named by their ids.

        Parameters
        ----------
        facts : Facts
        trials : int
            Number of trials in the regression.
        slope : str
            Id of the slope of the log hazard ratio on the log odds ratio.
        r_squared, odds_ratio, hazard_ratio : str, optional
            Ids of R squared and of the pooled ratios.
        trust : str
            The lowest trust that is let in.

        Raises
        ------
        SpecificationError
            For an id that is missing, quarantined, trusted less or of another measure, and a pooled ratio without an
            interval.
        """
        wanted = {"slope": (slope, "slope_log_hr_on_log_or"), "r_squared": (r_squared, "r_squared"),
                  "odds_ratio": (odds_ratio, "odds_ratio"), "hazard_ratio": (hazard_ratio, "hazard_ratio")}  # fmt: skip
        found: dict[str, Fact] = {}
        with Problems("published regression", SpecificationError).collecting() as problems:
            for name, (key, measure) in wanted.items():
                if key is None:
                    continue
                (found[name],) = facts.require(key)
                known = found[name].trust
                if not may_enter(known, trust):
                    problems.add(f"{name}: {key} is {known}; give trust={known!r} to use it all the same")
                if found[name].measure != measure:
                    problems.add(f"{name}: {key} is a {found[name].measure}; name a {measure}")
                if name.endswith("ratio") and _error(found[name], log=True) is None:
                    problems.add(f"{name}: {key} has no interval; leave it out or name another")
        line, share = found["slope"], found.get("r_squared")
        assert line.value is not None
        limits = None if share is None or share.lower is None or share.upper is None else (share.lower, share.upper)
        odds, hazard = (_pooled(found.get(name)) for name in ("odds_ratio", "hazard_ratio"))
        least = max((fact.trust for fact in found.values()), key=TRUST.index)
        return cls(line.trial, trials, line.value, _error(line, log=False), None if share is None else share.value,
                   limits, odds, hazard, line.source, least)  # fmt: skip

    @property
    def standard_error(self) -> float:
        """Standard error of the slope, printed or derived."""
        if self.slope_se is not None:
            return self.slope_se
        assert self.r_squared is not None
        return abs(self.slope) * math.sqrt((1 - self.r_squared) / (self.r_squared * (self.trials - 2)))

    @property
    def odds_ratio_spread(self) -> float | None:
        r"""Spread of the trials' log odds ratios, :math:`\sqrt n` standard errors of the pooled one."""
        return None if self.pooled_log_odds_ratio is None else self.pooled_log_odds_ratio[1] * math.sqrt(self.trials)

    def draw(
        self, size: int, *, intercept: Normal | None = None, residual_sd: SDPrior | None = None,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        r"""Draw intercept, slope and residual SD.

        The slope is normal. The intercept is :math:`\bar P - b\bar M` of the pooled log ratios, each normal and
        independent (with both errors, which is cautious), unless a prior is given. The residual SD is
        :math:`\sigma_P\sqrt{1 - R^2}`, where :math:`\sigma_P = |b|\sigma_M / R` is the spread of log hazard ratios that
        the published numbers and the spread of log odds ratios imply, and R is normal on Fisher's scale,
        :math:`\tanh^{-1} R`, with the error of its interval or :math:`1/\sqrt{n - 3}`; unless a prior is given.

        Raises
        ------
        SpecificationError
            When a prior is needed and not given.
        """
        with Problems(f"published regression {self.name}", SpecificationError).collecting() as problems:
            if intercept is None and self.pooled_log_hazard_ratio is None:
                problems.add("no intercept and no pooled ratios are published; give intercept, a Normal prior of the "
                             "log hazard ratio of a trial without an effect on negativity")  # fmt: skip
            if residual_sd is None and (self.r_squared is None or self.odds_ratio_spread is None):
                problems.add("no R squared with a pooled odds ratio is published; give residual_sd, a prior of the "
                             "residual standard deviation")  # fmt: skip
        slope = rng.normal(self.slope, self.standard_error, size)
        if intercept is not None:
            start = intercept.sample(size, rng=rng)
        else:
            assert self.pooled_log_hazard_ratio is not None
            assert self.pooled_log_odds_ratio is not None
            start = rng.normal(*self.pooled_log_hazard_ratio, size) - slope * rng.normal(
                *self.pooled_log_odds_ratio, size)  # fmt: skip
        residual = self._residual(size, rng) if residual_sd is None else residual_sd.sample(size, rng=rng)
        return start, slope, residual

    def _residual(self, size: int, rng: np.random.Generator) -> np.ndarray:
        assert self.r_squared is not None
        assert self.odds_ratio_spread is not None
        middle, error = math.atanh(math.sqrt(self.r_squared)), 1 / math.sqrt(self.trials - 3)
        if self.r_squared_limits is not None:
            low, high = (math.atanh(math.sqrt(min(limit, 0.9999))) for limit in self.r_squared_limits)
            error = (high - low) / (2 * NormalDist().inv_cdf(0.975))
        spread = abs(self.slope) * self.odds_ratio_spread / math.sqrt(self.r_squared)
        return spread * np.sqrt(1 - np.tanh(rng.normal(middle, error, size)) ** 2)


def _error(fact: Fact, *, log: bool) -> float | None:
    """Standard error from an interval of its level; None without one."""
    if fact.lower is None or fact.upper is None or fact.level is None:
        return None
    width = math.log(fact.upper / fact.lower) if log else fact.upper - fact.lower
    return width / (2 * NormalDist().inv_cdf(0.5 + fact.level / 2))


def _pooled(fact: Fact | None) -> tuple[float, float] | None:
    if fact is None or fact.value is None:
        return None
    error = _error(fact, log=True)
    return None if error is None else (math.log(fact.value), error)
