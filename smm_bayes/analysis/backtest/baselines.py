"""Ways of forecasting that use no model: flat, the last trial repeated, proportional hazards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from smm_bayes.analysis.backtest.estimates import MILESTONE, RATIO, Estimate
from smm_bayes.analysis.backtest.joint import Row
from smm_bayes.analysis.scores import SMOOTH, Forecast

FLAT, LAST, PROPORTIONAL = "flat", "last trial repeated", "proportional hazards"
BASELINES = (FLAT, LAST, PROPORTIONAL)
CELLS = 200


def flat(target: Estimate, limits: Sequence[float]) -> Forecast:
    """Flat: a log hazard ratio between two limits, a probability of the event between 0 and 1."""
    if target.kind == RATIO:
        return Forecast.flat(math.log(limits[0]), math.log(limits[1]), CELLS).of_estimate(target.se)
    edges = np.log(-np.log1p(-(np.arange(CELLS + 1) / CELLS).clip(1e-6, 1 - 1e-6)))
    means, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    return Forecast.mixture(np.ones(CELLS), means, SMOOTH * widths).of_estimate(target.se)


def last(target: Row, reported: Sequence[Row], reference: str) -> Forecast | None:
    """Repeat the last number of the kind, with its own standard error and that of the number forecast.

    For an arm, the last arm that was treated (or not) as it is, at a constant hazard. For an update, the cut before,
    with its own standard error only: most of the patients are the same.
    """
    result, one = target
    if one.kind == RATIO:
        found = [(held, each) for held, each in reported if each.kind == RATIO]
        if not found:
            return None
        same = found[-1][0].trial == result.trial
        return Forecast.normal(found[-1][1].value, math.hypot(found[-1][1].se, 0.0 if same else one.se))
    untreated = result.arms[one.arm] == reference
    found = [(held, each) for held, each in reported
             if each.kind == MILESTONE and (held.arms[each.arm] == reference) == untreated]  # fmt: skip
    if not found:
        return None
    trial = found[-1][0].trial
    each = max((each for held, each in found if held.trial == trial), key=lambda each: each.month)
    return Forecast.normal(each.value + math.log(one.month / each.month), math.hypot(each.se, one.se))


def proportional(target: Row, reported: Sequence[Row], reference: str) -> Forecast | None:
    r"""Proportional and constant hazards, as in the last randomised trial.

    A treated arm has that trial's control hazard times its hazard ratio. A later estimate of the same trial's hazard
    ratio is, given the first, normal about it with variance :math:`se_1^2 - se_2^2`.
    """
    result, one = target
    own = [each for held, each in reported if each.kind == RATIO and held.trial == result.trial]
    if one.kind == RATIO and own:
        return Forecast.normal(own[-1].value, math.sqrt(max(own[-1].se**2 - one.se**2, 1e-4)))
    if one.kind == RATIO or result.arms[one.arm] == reference:
        return last(target, reported, reference)
    for held, ratio in reversed([row for row in reported if row[1].kind == RATIO]):
        levels = [each for other, each in reported
                  if other.trial == held.trial and each.kind == MILESTONE and each.arm == ratio.control]  # fmt: skip
        if levels:
            level = max(levels, key=lambda each: each.month)
            value = level.value + math.log(one.month / level.month) + ratio.value
            variance = max(ratio.se**2 - level.se**2, level.se**2)
            return Forecast.normal(value, math.sqrt(variance + one.se**2))
    return None
