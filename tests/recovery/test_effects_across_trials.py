"""One simulated trial each: an effect that wanes with earlier trials, and a trial that stands apart, with patients' MRD."""

from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.borrowing import hierarchical_model
from smm_bayes.borrowing.trials.hierarchical import cohort_log_hazard, simulate_counts
from smm_bayes.borrowing.trials.relations import Exchangeable, Robust
from smm_bayes.inference import fit
from smm_bayes.survival.effects import Proportional, Waning
from smm_bayes.validation.designs.joint_history import JOINT, JointHistoryDesign, law_of
from smm_bayes.validation.designs.relations import TRIALS, RelationDesign


def off(draws, truth):
    """Posterior standard deviations between a truth and the posterior mean."""
    flat = draws.values.reshape(-1, *draws.shape[2:])
    return np.abs(flat.mean(axis=0) - truth) / flat.std(axis=0)


@pytest.fixture(scope="module")
def waning():
    """Effect, trials of thousands of events, and the parameters that they were drawn from."""
    design = RelationDesign(Exchangeable(), Waning(stops=12, median=12, upper=48))
    truth = design.prior(1, rng=np.random.default_rng(5))
    truth |= {"log_contrast": np.log([[0.3]]), "log_half_life": np.log([6.0]), "log_baseline": np.full((1, 1, 3), -4.0)}
    cohorts = tuple(replace(cohort, exposure=40 * cohort.exposure) for cohort in TRIALS.cohorts)
    trials = replace(TRIALS, cohorts=cohorts)
    log_hazard = cohort_log_hazard(truth, trials, design.priors)
    return design.priors, simulate_counts(log_hazard[0], trials, rng=np.random.default_rng(6)), truth, log_hazard[0, -2:]


def test_a_waning_effect_is_recovered(waning):
    priors, trials, truth, log_hazard = waning
    found = fit(hierarchical_model(trials, priors), seed=1, log_densities=False).require_convergence()
    posterior = found.posterior
    half_life = posterior["log_half_life"]
    assert off(half_life, truth["log_half_life"][0]) < 4
    assert float(half_life.std()) < 0.3 * priors.survival.effect.sd  # the data tell
    assert off(posterior["log_hazard"].transpose("chain", "draw", "arm", "cause", "interval"), log_hazard).max() < 4
    before = (log_hazard[1] - log_hazard[0])[:, 0]  # nothing has waned in the first interval
    assert off(posterior["log_hazard_ratio"], before).max() < 4
    constant = replace(priors, survival=replace(priors.survival, effect=Proportional()))
    wrong = fit(hierarchical_model(trials, constant), seed=1, log_densities=False).posterior
    assert off(wrong["log_hazard_ratio"], before).max() > 4  # constant hazard ratios would not


def test_a_trial_that_stands_apart_is_found_with_mrd():
    """The single arm has eight times the hazard of the others: it is not borrowed from, and MRD is recovered."""
    design = JointHistoryDesign(Robust(exchangeable=0.5))
    truth = design.prior(1, rng=np.random.default_rng(5))
    truth["log_baseline"][:], truth["between_hazard"][:], truth["apart_hazard"][:] = -3.6, 0.1, np.log(8) / 1.17
    truth["log_contrast"][:] = np.log(0.7)
    truth["first_layer"][:] = [1, 0, 1]
    truth["log_mrd_hazard_ratio"][:], truth["status_level"][:], truth["status_log_odds_ratio"][:] = -1.0, -0.5, 1.0
    truth["log_hazard"] = cohort_log_hazard(truth, TRIALS, design.events.priors)[:, -2:]
    one = design.simulate(truth, rng=np.random.default_rng(8))
    found = fit(design.build(), data=one.data()[0], seed=1, log_densities=False).require_convergence()
    posterior = found.posterior
    share = posterior["first_layer_probability"].mean(("chain", "draw"))
    assert float(share.sel(trial="single")) < 0.1
    assert float(share.sel(trial="randomised")) > 0.5
    for name in ("log_hazard", *JOINT.sample(TRIALS.causes, 1, 2, 1, rng=np.random.default_rng(1))):
        assert off(posterior[name], truth[name][0]).max() < 4, name
    assert float(posterior["log_hazard"].std(("chain", "draw")).max()) < 0.7
    assert law_of({name: values[0] for name, values in truth.items()}).event_effect(24.0) < 0
