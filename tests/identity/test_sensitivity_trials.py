"""Priors of several trials and the relation between them, by weights: prior draws become draws of the other prior."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from smm_bayes.analysis.sensitivity.section import SensitivitySection
from smm_bayes.analysis.sensitivity.weights import prior_factors
from smm_bayes.borrowing.trials.hierarchical import cohort_log_hazard
from smm_bayes.borrowing.trials.prior_factors import relation_log_ratio, require_same_structure
from smm_bayes.borrowing.trials.relations import Commensurate, Exchangeable, Power, Robust
from smm_bayes.priors.clinical import Z_UPPER, HazardRatioPrior, SpreadPrior
from smm_bayes.priors.factors import NotByWeightsError, log_ratio

TABLE = Path(__file__).parents[2] / "data/patients/reconstructed/quiredex_2013_ttp.csv"
EVIDENCE = {
    "reference": "observation", "reconstructions": 1, "regimens": {"control": "Rd", "experimental": "KRd"},
    "trial": [{"name": "QuiRedex", "file": str(TABLE), "arms": {"control": "observation", "experimental": "Rd"},
               "counts": [["progression"], ["death"]], "endpoint": "end-organ"}],
    "contrast": [{"regimen": "Rd", "versus": "observation", "median": 0.4, "upper": 1.2},
                 {"regimen": "KRd", "versus": "Rd", "median": 0.9, "upper": 2.7}],
    "endpoint": {"end-organ": {"median": 1.3, "upper": 1.7}},
    "between": {"hazard": 2.5, "effect": 1.6},
}  # fmt: skip
DRAWS = 40_000


@pytest.fixture
def model(spec_file):
    ratio = {"model.prior.hazard_ratio": {"death": {"median": 1.0, "upper": 2.7}}}
    return spec_file.followed(10).inputs(ratio, evidence=EVIDENCE).model


def weighted_as(model, priors, other, ratio: np.ndarray, drawn, power: int = 1) -> None:
    """Log hazards of every cohort have the mean that the other prior's own draws have, within 4 errors of both."""
    trials = model.trials[0]
    wanted = other.sample(trials, DRAWS, rng=np.random.default_rng(17))
    mine = cohort_log_hazard(drawn, trials, priors).reshape(DRAWS, -1) ** power
    its = cohort_log_hazard(wanted, trials, other).reshape(DRAWS, -1) ** power
    weight = (ratio / ratio.mean())[:, None]
    mean = (weight * mine).mean(axis=0)
    error = np.sqrt((weight * (mine - mean)).var(axis=0) / DRAWS + its.var(axis=0) / DRAWS)
    assert np.all(np.abs(mean - its.mean(axis=0)) < 4 * error)


@pytest.mark.parametrize("part", ["contrasts", "endpoints", "between", "survival"])
def test_each_prior_of_the_trials_is_changed_by_weights(model, part) -> None:
    old = model.priors
    new = {
        "contrasts": tuple(replace(one, prior=HazardRatioPrior(one.prior.median * 0.8, one.prior.upper * 0.8))
                           for one in old.contrasts),
        "endpoints": {"end-organ": HazardRatioPrior(1.4, 1.75)},
        "between": replace(old.between, hazard=SpreadPrior(2.0), effect=SpreadPrior(1.4)),
        "survival": replace(old.survival, hazard_ratio={"death": HazardRatioPrior(0.8, 2.0)}),
    }[part]  # fmt: skip
    other = replace(model, priors=replace(old, **{part: new}))
    drawn = old.sample(model.trials[0], DRAWS, rng=np.random.default_rng(3))
    factors = prior_factors(model), prior_factors(other)
    assert {one.variable for one in factors[0]} <= set(drawn)
    ratio = np.exp(log_ratio(*factors, drawn, DRAWS))
    assert ratio.std() > 0.05
    for power in (1, 2):
        weighted_as(model, old, other.priors, ratio, drawn, power)


@pytest.mark.parametrize("by", ["trial", "interval"])
def test_exchangeable_trials_that_may_stand_apart(model, by) -> None:
    """The ratio of the two densities of all deviations of a trial together, written with SciPy, trial by trial."""
    old = replace(model.priors, relation=Exchangeable(by))
    new = replace(old, relation=Robust(by, exchangeable=0.6, hazard_fold=8.0, effect_fold=2.0))
    trials = model.trials[0]
    drawn = old.sample(trials, 50, rng=np.random.default_rng(4))
    found, apart = relation_log_ratio(old, new, drawn, trials), (math.log(8.0) / Z_UPPER, math.log(2.0) / Z_UPPER)
    for draw in range(50):
        wanted = 0.0
        for t, name in enumerate(trials.names):
            pairs = [(drawn["trial_hazard"][draw, t, c], drawn["between_hazard"][draw, c], apart[0]) for c in (0, 1)]
            if name in trials.randomised:
                step = drawn["trial_effect"][draw, trials.randomised.index(name)]
                pairs.append((step, drawn["between_effect"][draw], apart[1]))
            near = sum(stats.norm.logpdf(np.atleast_1d(z) * tau, 0, tau).sum() for z, tau, _ in pairs)
            far = sum(stats.norm.logpdf(np.atleast_1d(z) * tau, 0, s).sum() for z, tau, s in pairs)
            wanted += np.logaddexp(math.log(0.6) + near, math.log(0.4) + far) - near
        assert found[draw] == pytest.approx(wanted, abs=1e-9)


def test_trials_that_all_deviate_in_the_first_way_are_exchangeable(model) -> None:
    """Of robust draws those are kept whose trials are all exchangeable; another share of them is a factor by trial."""
    old = replace(model.priors, relation=Robust(exchangeable=0.7))
    drawn = old.sample(model.trials[0], DRAWS, rng=np.random.default_rng(5))
    plain = replace(old, relation=Exchangeable())
    ratio = np.exp(relation_log_ratio(old, plain, drawn, model.trials[0]))
    assert abs(ratio.mean() - 0.7 ** len(model.trials[0].names)) < 4 * ratio.std() / math.sqrt(DRAWS)
    weighted_as(model, old, plain, ratio, drawn, 2)
    other = replace(old, relation=Robust(exchangeable=0.4))
    ratio = np.exp(relation_log_ratio(old, other, drawn, model.trials[0]))
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / math.sqrt(DRAWS)
    weighted_as(model, old, other, ratio, drawn, 2)


def test_what_is_no_prior_needs_a_fit(model) -> None:
    old = model.priors
    assert relation_log_ratio(old, old, {}, model.trials[0]) == 0.0
    for relation in (Power(0.5), Commensurate(), Exchangeable("interval")):
        with pytest.raises(NotByWeightsError):
            relation_log_ratio(old, replace(old, relation=relation), {}, model.trials[0])
    robust = replace(old, relation=Robust())
    with pytest.raises(NotByWeightsError, match="other amounts"):
        relation_log_ratio(robust, replace(old, relation=Robust(hazard_fold=5.0)), {"first_layer": np.ones((2, 2))}, model.trials[0])
    with pytest.raises(NotByWeightsError):
        require_same_structure(old, replace(old, contrasts=old.contrasts[:1]))
    with pytest.raises(NotByWeightsError, match="the model itself"):
        log_ratio(prior_factors(model), prior_factors(model)[1:], {}, 3)


def test_a_method_of_borrowing_is_set_with_all_its_settings(spec_file) -> None:
    """What another method would not use goes with it; a key of the method alone is changed by itself."""
    ratio = {"model.prior.hazard_ratio": {"death": {"median": 1.0, "upper": 2.7}}}
    borrowing = {"method": "robust", "exchangeable": 0.7}
    spec = spec_file.load(ratio, evidence=EVIDENCE | {"borrowing": borrowing})

    def changed(**keys):
        return SensitivitySection(name="x", reason="y", set=keys).changed(spec).evidence.borrowing

    assert changed(**{"evidence.borrowing": {"method": "exchangeable"}}).exchangeable is None
    assert changed(**{"evidence.borrowing.exchangeable": 0.5}).relation == Robust(exchangeable=0.5)
    assert changed(**{"evidence.contrast.KRd.median": 0.8}).relation == Robust(exchangeable=0.7)
