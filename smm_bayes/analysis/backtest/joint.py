r"""Estimates of trials as a linear model: what they share, what each has of its own, what their errors share.

The log cumulative hazard of an arm at t months is

.. math:: \log H(t) = b + a\log(t/36) + \sum_k c_k - o_d - p + u_t + v_{t,arm}

with the reference regimen's level b and shape a, the contrasts :math:`c_k` on the way from it to the arm's regimen,
the offset :math:`o_d` of the definition of progression, that of a mixed population, and the trial's deviations of
hazard and effect. A log hazard ratio is the difference between two arms of a trial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smm_bayes.analysis.backtest.declared import Backtest, Endpoint, ResultSection, Variant
from smm_bayes.analysis.backtest.estimates import MILESTONE, RATIO, Estimate
from smm_bayes.borrowing.meta_analysis.linear import Joint, Spreads
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import BaselinePrior, HazardRatioPrior, RatioPrior, SpreadPrior

MONTH = 36.0  # at which the level is stated
UNTREATED, TREATED = "untreated", "on treatment"
SHARE = 0.9  # of a hazard ratio's variance that it can at most share with its control arm's milestone

type Row = tuple[ResultSection, Estimate]


@dataclass(frozen=True)
class Parameter:
    """A shared parameter with a normal prior."""

    name: str
    mean: float
    sd: float


def parameters(declared: Backtest, endpoint: Endpoint, variant: Variant) -> tuple[Parameter, ...]:
    """Shared parameters of a variant, with their priors."""
    section = declared.endpoint(endpoint)
    level = BaselinePrior(section.baseline.median, section.baseline.upper)
    found = [Parameter("level", level.mean + math.log(MONTH), level.sd),
             Parameter("shape", section.shape.mean, section.shape.sd)]  # fmt: skip
    for one in section.contrast:
        held = declared.combination[variant.combination] if one.combination else one
        prior = HazardRatioPrior(float(held.median or 0), float(held.upper or 0))
        found.append(Parameter(f"contrast {one.regimen}", prior.mean, prior.sd))
    if endpoint == "progression":
        for name, offset in declared.offsets[variant.offsets].items():
            ratio = RatioPrior(offset.median, offset.upper)
            found.append(Parameter(f"offset {name}", ratio.mean, ratio.sd))
        mixed = declared.population[variant.population]
        if mixed.trials:
            ratio = RatioPrior(mixed.median, mixed.upper)
            found.append(Parameter("population", ratio.mean, ratio.sd))
    return tuple(found)


def spreads(declared: Backtest, variant: Variant) -> Spreads:
    """Spreads of a variant's relation; none where nothing is known from other trials."""
    relation = declared.relation[variant.relation]
    if relation.hazard is None or relation.effect is None:
        return Spreads(0.0, 0.0)
    hazard, effect = (SpreadPrior(fold).scale if fold > 1 else 0.0 for fold in (relation.hazard, relation.effect))
    apart = (RatioPrior(1.0, fold).sd if fold > 1 else 0.0 for fold in (relation.hazard_apart, relation.effect_apart))
    return Spreads(hazard, effect, relation.exchangeable, *apart)


def joint(
    declared: Backtest, endpoint: Endpoint, variant: Variant, known: Sequence[Row], targets: Sequence[Row]
) -> Joint:
    """Put known estimates and those to be predicted into one linear model."""
    shared = parameters(declared, endpoint, variant)
    rows = [*known, *targets]
    design = np.array([_design(declared, endpoint, variant, shared, row) for row in rows])
    prior = np.array([parameter.sd**2 for parameter in shared])
    mean = design @ np.array([parameter.mean for parameter in shared])
    covariance = (design * prior) @ design.T + _errors(rows, len(known))
    trials = list(dict.fromkeys(result.trial for result, _ in rows))
    hazard, effect = np.zeros((2, len(trials), len(rows), len(rows)))
    reference = declared.endpoint(endpoint).reference
    for index, trial in enumerate(trials):
        level = np.array([result.trial == trial and one.kind == MILESTONE for result, one in rows], float)
        hazard[index] = np.outer(level, level)
        for arm in dict.fromkeys(arm for result, _ in rows if result.trial == trial for arm in result.arms):
            own = np.array([_effect(row, arm, reference) if row[0].trial == trial else 0.0 for row in rows])
            effect[index] += np.outer(own, own)
    return Joint(mean, covariance, hazard, effect, np.array([one.value for _, one in known]))


def _effect(row: Row, arm: str, reference: str) -> float:
    """Coefficient of an arm's deviation of effect."""
    result, one = row
    if result.arms.get(arm, reference) == reference:
        return 0.0
    return float(one.arm == arm) - float(one.control == arm)


def _design(
    declared: Backtest, endpoint: Endpoint, variant: Variant, shared: Sequence[Parameter], row: Row
) -> np.ndarray:
    """Coefficients of the shared parameters."""
    result, one = row
    position = {parameter.name: index for index, parameter in enumerate(shared)}
    found = np.zeros(len(shared))
    for arm, sign in ((one.arm, 1.0), (one.control, -1.0)):
        if not arm:
            continue
        if arm not in result.arms:
            raise SpecificationError(f"fact {one.fact} is of arm {arm!r}, which {result.name} does not declare; add it")
        for name in _way(declared, endpoint, result.arms[arm]):
            found[position[f"contrast {name}"]] += sign
        offset = _offset(declared, endpoint, variant, result, arm)
        if offset:
            found[position[f"offset {offset}"]] -= sign
    if one.kind == MILESTONE:
        found[position["level"]], found[position["shape"]] = 1.0, math.log(one.month / MONTH)
        if "population" in position and result.trial in declared.population[variant.population].trials:
            found[position["population"]] = -1.0
    return found


def _way(declared: Backtest, endpoint: Endpoint, regimen: str) -> list[str]:
    """Contrasts from the reference to a regimen."""
    section = declared.endpoint(endpoint)
    versus = {one.regimen: one.versus for one in section.contrast}
    found: list[str] = []
    while regimen != section.reference:
        if regimen not in versus or regimen in found:
            raise SpecificationError(f"no contrasts lead from {section.reference!r} to {regimen!r}; add one")
        found.append(regimen)
        regimen = versus[regimen]
    return found


def _offset(declared: Backtest, endpoint: Endpoint, variant: Variant, result: ResultSection, arm: str) -> str:
    """Name of the offset of an arm's definition of progression, or nothing."""
    if endpoint == "death":
        return ""
    untreated = result.arms[arm] == declared.endpoint(endpoint).reference
    offsets = declared.offsets[variant.offsets]
    by_arm = f"{result.definition}, {UNTREATED if untreated else TREATED}"
    return by_arm if by_arm in offsets else result.definition if result.definition in offsets else ""


def _errors(rows: Sequence[Row], known: int) -> np.ndarray:
    r"""Covariance of sampling errors, within each trial.

    Of one arm's milestones at s < t it is :math:`v_s H_s/H_t`, the variance of H(s) over H(s)H(t). A hazard ratio
    shares with its control arm's milestones what the last of them knows: minus their smallest variance. A later
    estimate of a hazard ratio shares with an earlier one of the same patients its own variance, as with independent
    increments.
    Estimates to be predicted are scored one by one: what they share with each other is left out.
    """
    found = np.diag([one.se**2 for _, one in rows])
    for i, (first, one) in enumerate(rows):
        for j, (second, two) in enumerate(rows[:i]):
            if first.trial == second.trial and j < known:
                found[i, j] = found[j, i] = _shared(one, two, rows[:known])
    return found


def _shared(one: Estimate, two: Estimate, known: Sequence[Row]) -> float:
    """Covariance of two estimates' errors."""
    if one.kind == two.kind == RATIO:
        return min(one.se, two.se) ** 2
    if one.kind == two.kind == MILESTONE:
        if one.arm != two.arm:
            return 0.0
        early, late = sorted((one, two), key=lambda each: each.month)
        return early.se**2 * math.exp(early.value - late.value)
    ratio, level = (one, two) if one.kind == RATIO else (two, one)
    if ratio.control != level.arm:
        return 0.0
    of_arm = [each.se**2 for result, each in known if each.trial == level.trial and each.arm == level.arm]
    return -min(*of_arm, SHARE * ratio.se**2) if of_arm else 0.0
