"""Factors of the priors of models of one trial, by the names of their posteriors."""

from __future__ import annotations

from itertools import product

from smm_bayes.priors.clinical import HazardRatioPrior
from smm_bayes.priors.factors import Factor, GammaDensity
from smm_bayes.priors.normal import Normal
from smm_bayes.priors.spread import HalfNormal
from smm_bayes.survival.cure import Cure
from smm_bayes.survival.effects import Effect, Varying, Waning
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors
from smm_bayes.survival.one_trial import OneTrial
from smm_bayes.survival.regression import Regression
from smm_bayes.survival.visits_model import Visits


def factors_of_one_trial(model: OneTrial | Visits | Regression | Cure) -> list[Factor]:
    """Give every factor of a model's prior that a specification states."""
    if isinstance(model, Cure):
        return _of_cure(model)
    if isinstance(model, Regression):
        return _of_regression(model)
    table = model.table.exact if isinstance(model, Visits) else model.table
    return of_hazards(model.priors, table.causes, len(table.arms), len(table.grid))


def of_hazards(
    priors: SurvivalPriors | GammaPrior, causes: tuple[str, ...], arms: int, intervals: int, strata: int = 1
) -> list[Factor]:
    """Factors of hazards by arm and cause."""
    if isinstance(priors, GammaPrior):
        return [Factor("hazard", (), GammaDensity(priors.shape, priors.rate))]
    found = of_baseline(priors, causes, arms if priors.separate else strata)
    if arms < 2 or priors.separate:
        return found
    ratios = [priors.for_cause(cause)[1] for cause in causes]
    return [*found, *of_ratios("log_hazard_ratio", ratios), *of_effect(priors.effect, intervals)]


def of_baseline(priors: SurvivalPriors, causes: tuple[str, ...], copies: int) -> list[Factor]:
    """Factors of smooth baselines: so many of every cause, each with the same priors."""
    found = [Factor("smoothness", (), HalfNormal(priors.smoothness.scale))]
    for number, (_, cause) in enumerate(product(range(copies), causes)):
        level = priors.for_cause(cause)[0]
        found.append(Factor("log_baseline", (number,), Normal(level.mean, level.sd), of_mean=True))
    return found


def of_ratios(variable: str, priors: list[HazardRatioPrior]) -> list[Factor]:
    """Factors of log ratios that stand in one vector."""
    return [Factor(variable, (k,), Normal(one.mean, one.sd)) for k, one in enumerate(priors)]


def of_effect(effect: Effect, intervals: int) -> list[Factor]:
    """Factors of how an effect changes over time."""
    if isinstance(effect, Varying) and intervals > 1:
        return [Factor("ratio_smoothness", (), HalfNormal(effect.smoothness.scale))]
    return [Factor("log_half_life", (), Normal(effect.mean, effect.sd))] if isinstance(effect, Waning) else []


def _of_regression(model: Regression) -> list[Factor]:
    table, priors = model.table, model.priors
    found = of_hazards(priors.survival, table.causes, len(table.arms), len(table.grid), len(table.strata))
    for k, name in enumerate(table.covariate_names):
        ratio = priors.covariates[name].ratio
        found.append(Factor("covariate_effect", (slice(None), k), Normal(ratio.mean, ratio.sd)))
    spreads = priors.spreads(table).items()
    return found + [Factor(f"{name}_spread", (), HalfNormal(prior.scale)) for name, prior in spreads]


def _of_cure(model: Cure) -> list[Factor]:
    table, priors = model.table, model.priors
    found = [
        Factor("logit_cured", (), Normal(priors.cured.mean, priors.cured.sd)),
        Factor("log_baseline_uncured", (0, -1), Normal(priors.late_hazard.mean, priors.late_hazard.sd)),
        Factor("smoothness_uncured", (), HalfNormal(priors.smoothness.scale)),
    ]
    if len(table.table.arms) > 1:
        odds, ratio = priors.odds_ratio, priors.hazard_ratio
        found += [Factor("log_odds_ratio", (), Normal(odds.mean, odds.sd)),
                  Factor("log_hazard_ratio_uncured", (), Normal(ratio.mean, ratio.sd))]  # fmt: skip
    if table.others is not None and priors.others is not None:
        others = table.others
        found += of_hazards(priors.others, others.causes, len(others.arms), len(others.grid))
    return found
