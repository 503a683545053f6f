"""Hazard ratios of progression-free survival given the odds ratio of MRD-negativity, each trial left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from smm_bayes.analysis.backtest.baselines import FLAT, LAST, flat
from smm_bayes.analysis.backtest.declared import Backtest
from smm_bayes.analysis.backtest.estimates import RATIO, Estimate
from smm_bayes.analysis.scores import Forecast
from smm_bayes.evidence.facts import Facts
from smm_bayes.priors.clinical import HazardRatioPrior
from smm_bayes.priors.spread import Fixed
from smm_bayes.surrogacy.across import AcrossPriors, AcrossTrials, TrialPairs


def pair_forecasts(declared: Backtest, facts: Facts) -> list[dict[str, Any]]:
    """Rows of the backtest for every pair; the relation across trials takes the place of that between trials.

    ``none`` is the prior of a combination alone, ``pooled`` a relation without residual spread, ``exchangeable`` that
    with it (nothing is wider), ``robust`` has the relation with the stated probability and otherwise the prior.
    """
    every = TrialPairs.from_facts(facts.require(declared.pairs.facts), ids=declared.pairs.facts)
    rows: list[dict[str, Any]] = []
    for index, pair in enumerate(every.items):
        others = every.without(pair.trial)
        (fact,) = (one for one in facts.require(declared.pairs.facts)
                   if one.trial == pair.trial and one.measure == "hazard_ratio")  # fmt: skip
        target = Estimate(fact.id, pair.trial, "experimental", "control", RATIO, 0.0, pair.log_hazard_ratio,
                          pair.hazard_ratio_se, fact.trust)  # fmt: skip
        said = _said(target, every, [one.id for one in facts.require(declared.pairs.facts) if one.id != fact.id])
        relations = {name: _related(others, pair, residual) for name, residual in (("pooled", False), ("free", True))}
        for variant in declared.variants():
            prior = declared.combination[variant.combination]
            own = HazardRatioPrior(prior.median, prior.upper)
            alone = Forecast.normal(own.mean, own.sd).of_estimate(pair.hazard_ratio_se)
            found = _forecast(declared, variant.relation, alone, relations)
            rows.append(said | {"method": "model"} | vars(variant) | {"made": found})
        before = every.items[index - 1]
        repeated = Forecast.normal(before.log_hazard_ratio, math.hypot(before.hazard_ratio_se, pair.hazard_ratio_se))
        none = dict.fromkeys(("relation", "offsets", "population", "combination"), "-")
        rows.append(said | {"method": FLAT} | none | {"made": flat(target, declared.progression.flat_hazard_ratio)})
        rows.append(said | {"method": LAST} | none | {"made": repeated})
    return rows


def _related(others: TrialPairs, pair: Any, residual: bool) -> Forecast:
    """Predict a pair's hazard ratio by the others, with or without a residual spread."""
    priors = AcrossPriors() if residual else AcrossPriors(residual_sd=Fixed(0.0))
    found = AcrossTrials(others, priors).predict(pair.log_odds_ratio, pair.odds_ratio_se,
                                                 hazard_ratio_se=pair.hazard_ratio_se)  # fmt: skip
    return Forecast.mixture(found.weights, found.means, found.sds)


def _forecast(declared: Backtest, relation: str, alone: Forecast, relations: dict[str, Forecast]) -> Forecast:
    section = declared.relation[relation]
    if section.hazard is None:
        return alone
    related = relations["pooled" if section.effect == 1 else "free"]
    share = section.exchangeable
    if share == 1:
        return related
    return Forecast(np.concatenate([share * related.weights, (1 - share) * alone.weights]),
                    np.concatenate([related.means, alone.means]), np.concatenate([related.sds, alone.sds]))  # fmt: skip


def _said(target: Estimate, every: TrialPairs, used: list[str]) -> dict[str, Any]:
    return {
        "fact": target.fact, "trial": target.trial, "study": target.trial, "reported": 0, "from": "all others",
        "endpoint": "progression", "kind": "hazard ratio given MRD", "month": 0.0, "arm": target.arm,
        "published": target.value, "se": target.se, "trust": every.trust,
        "used": " ".join(used),
    }  # fmt: skip
