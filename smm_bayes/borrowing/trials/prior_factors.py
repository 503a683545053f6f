r"""Factors of the prior of several trials, and the ratio of two relations between them.

Under exchangeable trials the deviations of trial t are :math:`\delta_t \sim N(0, \tau^2)`; under the robust relation
:math:`\delta_t \sim p\,N(0, \tau^2) + (1 - p)\,N(0, s^2)`. The ratio of the second prior to the first is

.. math:: \prod_t \Big\{p + (1 - p) \frac{N(\delta_t; 0, s^2)}{N(\delta_t; 0, \tau^2)}\Big\}

with all deviations of a trial, of its hazards and of its hazard ratio, in one product. The other way the draws know
which trials deviate in which way: exchangeable trials are the draws in which all do in the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from smm_bayes.borrowing.trials.cohorts import Trials
from smm_bayes.borrowing.trials.over_time import OverTime
from smm_bayes.borrowing.trials.priors import TrialsPriors
from smm_bayes.borrowing.trials.relations import Exchangeable, Robust
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.priors.clinical import SpreadPrior
from smm_bayes.priors.factors import Factor, NotByWeightsError
from smm_bayes.priors.normal import Normal
from smm_bayes.priors.spread import HalfNormal
from smm_bayes.survival.effects import Waning
from smm_bayes.survival.prior_factors import of_baseline, of_effect, of_ratios


def factors_of_trials(model: WithEarlierTrials) -> list[Factor]:
    """Give every factor of the prior that a specification states, the relation between trials apart."""
    trials, priors = model.trials[0], model.priors
    over = OverTime.of(trials, priors)
    found = of_baseline(priors.survival, trials.causes, 2 if over.own else 1)
    found += of_ratios("log_contrast", [one.prior for one in priors.contrasts])
    if over.compared(trials):
        for k, cause in enumerate(trials.causes[1:]):
            ratio = priors.survival.for_cause(cause)[1]
            found.append(Factor("other_effect", (slice(None), k), Normal(ratio.mean, ratio.sd)))
    for kind, stated in priors.offsets.items():
        found += of_ratios(f"{kind}_offset", list(stated.values()))
    for layer in priors.relation.layers(priors.between):
        if isinstance(layer.hazard, SpreadPrior):
            found.append(Factor("between_hazard", (), HalfNormal(layer.hazard.scale)))
        if isinstance(layer.effect, SpreadPrior) and trials.randomised:
            found.append(Factor("between_effect", (), HalfNormal(layer.effect.scale)))
    return found + of_effect(over.effect, len(trials.grid))


def require_same_structure(old: TrialsPriors, new: TrialsPriors) -> None:
    """Refuse priors that differ in more than numbers.

    Raises
    ------
    NotByWeightsError
    """
    if _structure(old) != _structure(new):
        raise NotByWeightsError("regimens, definitions of progression or the effect's kind are others")


def _structure(priors: TrialsPriors) -> tuple[object, ...]:
    effect = priors.survival.effect
    stops = effect.stops if isinstance(effect, Waning) else None
    return (priors.reference, [(one.regimen, one.versus) for one in priors.contrasts],
            [list(stated) for stated in priors.offsets.values()], type(effect), stops)  # fmt: skip


def relation_log_ratio(
    old: TrialsPriors, new: TrialsPriors, parameters: Mapping[str, np.ndarray], trials: Trials
) -> np.ndarray | float:
    """Log of the new relation's prior over the old one's at parameters with draws first, shape (draw,), or 0.

    Raises
    ------
    NotByWeightsError
        Unless the relations are alike, or trials are exchangeable in both, robustly or not.
    """
    before, after = old.relation, new.relation
    if before == after:
        return 0.0
    if not (isinstance(before, Exchangeable) and isinstance(after, Exchangeable)) or before.by != after.by:
        raise NotByWeightsError("how trials relate is another method")
    if not isinstance(before, Robust) and isinstance(after, Robust):
        return _may_stand_apart(replace(old, relation=after), parameters, trials)
    assert isinstance(before, Robust)
    known = parameters["first_layer"] > 0.5
    if not isinstance(after, Robust):
        return np.where(known.all(axis=1), 0.0, -np.inf)
    if replace(after, exchangeable=before.exchangeable) != before:
        raise NotByWeightsError("trials that stand apart deviate by other amounts")
    p, q = before.exchangeable, after.exchangeable
    return np.asarray(np.where(known, np.log(q / p), np.log((1 - q) / (1 - p)))).sum(axis=1)


def _may_stand_apart(robust: TrialsPriors, parameters: Mapping[str, np.ndarray], trials: Trials) -> np.ndarray:
    """Log of the robust relation's prior over that of exchangeable trials."""
    _, apart = robust.relation.layers(robust.between)
    steps, spread = parameters["trial_hazard"], parameters["between_hazard"]  # (draw, trial, cause[, interval])
    wide = spread[:, None, :, None] if steps.ndim == 4 else spread[:, None, :]
    each = _apart(steps, wide, float(apart.hazard)).reshape(*steps.shape[:2], -1).sum(axis=2)  # type: ignore[arg-type]
    for k, name in enumerate(trials.randomised):
        effect = _apart(parameters["trial_effect"][:, k], parameters["between_effect"], float(apart.effect))  # type: ignore[arg-type]
        each[:, trials.names.index(name)] += effect
    p = robust.relation.first
    return np.logaddexp(np.log(p), np.log1p(-p) + each).sum(axis=1)


def _apart(standard: np.ndarray, spread: np.ndarray, wide: float) -> np.ndarray:
    """Log of N(δ; 0, s²) / N(δ; 0, τ²) at δ = τ z."""
    ratio = spread / wide
    return np.log(ratio) - 0.5 * (standard * ratio) ** 2 + 0.5 * standard**2
