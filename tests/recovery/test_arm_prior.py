"""The prior of one arm without sampling, against the sampled model of several trials with three intervals."""

import numpy as np
import pytest

from smm_bayes.borrowing import (
    ArmHistory,
    BetweenTrials,
    Cohort,
    Trials,
    TrialsPriors,
    arm_prior,
    hierarchical_model,
    smooth_initial,
)
from smm_bayes.borrowing.trials.relations import Commensurate, Robust
from smm_bayes.survival import BaselinePrior, SpreadPrior, SurvivalPriors, TimeGrid

GRID, BASELINE, BETWEEN, YEARLY = TimeGrid((6, 12)), BaselinePrior(24, 96), BetweenTrials(SpreadPrior(2.0)), 0.4
COUNTS = {"first": ([12, 9, 20], [300, 220, 500]), "second": ([5, 8, 6], [90, 160, 200]), "now": ([8, 6, 12], [90, 80, 150])}
ERROR = 0.01  # of the approximation, in posterior SDs


@pytest.mark.parametrize("relation", [Robust(), Commensurate()], ids=["robust", "half-normal"])
def test_it_is_the_posterior_of_the_model(relation):
    """With the smoothness known, as it is in the initial prior: means within 4 Monte Carlo errors and what it errs."""
    import arviz as az
    import pymc as pm

    from smm_bayes.inference import fit

    arms = [Cohort(name, "A", "single", (("event",),), np.array([d], float), np.array(e, float))
            for name, (d, e) in COUNTS.items()]  # fmt: skip
    trials = Trials(tuple(arms), GRID, ("event",), "now")
    priors = TrialsPriors(SurvivalPriors({"event": BASELINE}), (), "A", BETWEEN, relation=relation)
    model = pm.do(hierarchical_model(trials, priors), {"smoothness": np.array([YEARLY])})
    draws = fit(model, seed=3, draws=3000, target_accept=0.99).posterior
    prior = arm_prior(ArmHistory.of(trials, "A"), relation, BETWEEN, smooth_initial(BASELINE, YEARLY, GRID))
    found = prior.update(*COUNTS["now"])
    log_hazard = draws["log_hazard"].squeeze(("arm", "cause"))
    mcse = np.array([float(az.mcse(log_hazard.isel(interval=j))) for j in range(3)])
    gap = np.abs(log_hazard.mean(("chain", "draw")).to_numpy() - found.mean)
    assert np.all(gap < 4 * mcse + ERROR * found.sd)
    np.testing.assert_allclose(log_hazard.std(("chain", "draw")), found.sd, rtol=0.05)
    pooled_too_much = np.abs(log_hazard.mean(("chain", "draw")).to_numpy() - prior.mixture.mean)
    assert np.any(pooled_too_much > 8 * mcse + ERROR * found.sd)  # the current counts are seen
    if "first_layer_probability" in draws:
        shares = draws["first_layer_probability"]
        for index, ours in enumerate(prior.first_probability(found.weights).values()):
            one = shares.isel(trial=index)
            assert abs(float(one.mean()) - ours) < 4 * float(az.mcse(one)) + 0.005
