"""Published facts as estimates on the scale of a logarithm, each with its standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from smm_bayes.analysis.backtest.declared import ResultSection
from smm_bayes.analysis.scores import log_ratio_se
from smm_bayes.errors import SpecificationError
from smm_bayes.evidence.facts import Fact, Facts

RATIO, MILESTONE = "hazard ratio", "milestone"


@dataclass(frozen=True)
class Estimate:
    """One published number.

    Attributes
    ----------
    fact : str
    trial, arm, control : str
        As published; ``control`` only of a hazard ratio.
    kind : str
        ``hazard ratio`` or ``milestone``.
    month : float
        Of a milestone.
    value, se : float
        Of the log hazard ratio, or of the log cumulative hazard.
    trust : str
    """

    fact: str
    trial: str
    arm: str
    control: str
    kind: str
    month: float
    value: float
    se: float
    trust: str


def estimate(name: str, result: ResultSection, facts: Facts) -> Estimate:
    r"""Turn one fact into an estimate.

    A hazard ratio's standard error is from its printed limits. Survival S is taken as :math:`\log(-\log S)`: with
    limits, on whichever of the scales S, log S and log(-log S) they are most symmetric; without them, by Greenwood
    with everybody followed, :math:`\{(1-S)/nS\}^{1/2}/(-\log S)`, which is the least it can be. A rate a year counts
    over ``month`` months.

    Raises
    ------
    SpecificationError
        When there is no fact of that name or trial or it is quarantined, and when it has no standard error.
    """
    (fact,) = facts.require((name,))
    if fact.trial != result.trial or fact.value is None:
        raise SpecificationError(f"fact {name} is no number of {result.trial}; correct the backtest")
    if fact.measure == "hazard_ratio":
        arm, _, control = fact.arm.partition("_vs_")
        if fact.lower is None or fact.upper is None:
            raise SpecificationError(f"fact {name} has no interval, so no standard error; leave it out")
        se = log_ratio_se(fact.lower, fact.upper, fact.level or 0.95)
        return Estimate(name, fact.trial, arm, control, RATIO, 0.0, math.log(fact.value), se, fact.trust)
    month, survival = fact.time or result.month, _survival(fact, result)
    if month is None or not 0 < survival < 1:
        raise SpecificationError(f"fact {name} is no survival between 0 and 1 at a known time; leave it out")
    se = _standard_error(fact, survival, result, facts)
    value = math.log(-math.log(survival))
    return Estimate(name, fact.trial, fact.arm, "", MILESTONE, month, value, se, fact.trust)


def _survival(fact: Fact, result: ResultSection) -> float:
    """Survival that a milestone, an incidence or a rate stands for."""
    value = float(fact.value or 0.0)
    if fact.measure == "event_rate":
        return math.exp(-value * (result.month or math.nan) / 12)
    return 1 - value if fact.measure == "cumulative_incidence" else value


def _standard_error(fact: Fact, survival: float, result: ResultSection, facts: Facts) -> float:
    """Standard error of the log cumulative hazard."""
    hazard = -math.log(survival)
    if fact.lower is not None and fact.upper is not None:
        z = NormalDist().inv_cdf(0.5 + (fact.level or 0.95) / 2)
        if fact.measure == "event_rate":
            return (fact.upper - fact.lower) / (2 * z * float(fact.value or math.nan))
        return _from_limits(fact.lower, fact.upper, survival) / z
    (held,) = facts.require((result.n[fact.arm],)) if fact.n is None and fact.arm in result.n else (fact,)
    if held is not fact:
        return math.sqrt((1 - survival) / (float(held.value or math.nan) * survival)) / hazard
    if fact.n is None:
        raise SpecificationError(f"fact {fact.id} has neither interval nor denominator; leave it out")
    return math.sqrt((1 - survival) / (fact.n * survival)) / hazard


def _from_limits(lower: float, upper: float, survival: float) -> float:
    """Half the width of an interval of survival, carried to log(-log S) from the scale where it is symmetric."""
    hazard = -math.log(survival)
    if upper >= 1:  # cut off at 1: only the lower half says something
        return (survival - lower) / (survival * hazard)
    sides: list[tuple[float, float]] = [
        ((upper - survival) / (survival * hazard), (survival - lower) / (survival * hazard)),
        (math.log(upper / survival) / hazard, math.log(survival / lower) / hazard),
        (math.log(hazard / -math.log(upper)), math.log(-math.log(lower) / hazard)),
    ]
    high, low = min(sides, key=lambda both: abs(math.log(both[0] / both[1])))
    return (high + low) / 2
