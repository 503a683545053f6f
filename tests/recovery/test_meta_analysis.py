"""PyMC's meta-analyses against the exact ones, within Monte Carlo errors."""

import numpy as np
import pytest

from smm_bayes.borrowing import (
    Fixed,
    HalfNormal,
    Normal,
    exchangeable_nonexchangeable,
    exchangeable_nonexchangeable_data,
    exchangeable_nonexchangeable_model,
    meta_analytic_combined,
    meta_analytic_data,
    meta_analytic_model,
    meta_analytic_predictive,
)
from smm_bayes.borrowing.meta_analysis.distribution import LINE
from smm_bayes.borrowing.meta_analysis.draws import Draws
from smm_bayes.borrowing.meta_analysis.engines import Sampled
from smm_bayes.borrowing.meta_analysis.predictive import MetaAnalyticPredictive
from smm_bayes.errors import ConvergenceError, SpecificationError
from smm_bayes.inference import fit

K = 4  # Monte Carlo errors
CASES = {
    "binomial": ({"responders": [23, 12, 19, 0], "patients": [107, 44, 51, 15]}, (7, 20)),
    "poisson": ({"events": [3, 5, 0, 9], "exposure": [10.0, 5, 10, 8], "sd_prior": HalfNormal(0.4)}, (4, 6.0)),
    "normal": ({"estimates": [-0.5, -0.2, 0.1, 0.3], "standard_errors": [0.2, 0.1, 0.3, 0.2],
                "sd_prior": HalfNormal(0.5)}, (0.2, 0.3)),
}  # fmt: skip


def distances(sampled, exact):
    """How many Monte Carlo errors the means of a sampled meta-analysis are from the exact ones."""
    pairs = [(sampled.distribution, exact), (sampled.between_trial_sd, exact.between_trial_sd),
             (sampled.population_mean, exact.population_mean), (sampled.typical, exact.typical)]  # fmt: skip
    pairs += [(ours.distribution, other) for ours, other in zip(sampled.trials, exact.trials, strict=True)]
    return np.array([(ours.mean - other.mean) / ours.monte_carlo_error for ours, other in pairs])


@pytest.mark.parametrize("kind", CASES)
def test_pymc_agrees_with_quadrature(kind):
    """Every mean within 4 Monte Carlo errors; after a refit with other data too; a wrong prior does not pass."""
    data, new = CASES[kind]
    sampled = meta_analytic_predictive(**data, method="mcmc", seed=3, draws=2000, log_densities=False)
    exact = meta_analytic_predictive(**data)
    assert np.abs(distances(sampled, exact)).max() < K
    wrong = meta_analytic_predictive(**{**data, "sd_prior": HalfNormal(0.15)})
    assert np.abs(distances(sampled, wrong)).max() > 3 * K
    p = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    size = exact.between_trial_sd.sd**2 / sampled.between_trial_sd.monte_carlo_error**2
    assert np.abs(exact.cdf(sampled.quantile(p)) - p).max() < K * 0.5 / np.sqrt(size)
    assert sampled.update(*new).mean == pytest.approx(exact.update(*new).mean, abs=K * exact.update(*new).sd / np.sqrt(size))
    model = meta_analytic_model(exact.analysis)
    other = exact.analysis.simulate(exact.analysis.sample_prior(1, rng=np.random.default_rng(2)), rng=np.random.default_rng(2))
    first = fit(model, seed=1, draws=50, tune=50, attempts=1, log_densities=False)
    assert first.posterior.sizes["draw"] == 50
    again = fit(model, seed=4, data=meta_analytic_data(other), draws=2000, tune=1000, target_accept=0.99,
                log_densities=False)  # fmt: skip
    refitted = MetaAnalyticPredictive(other, Sampled(other, again.require_convergence()))
    settings = {name: data[name] for name in ("sd_prior",) if name in data}
    names = other.summaries.COLUMNS
    fresh = meta_analytic_predictive(**dict(zip(names, (other.summaries.first, other.summaries.second), strict=True)), **settings)
    assert np.abs(distances(refitted, fresh)).max() < K


def test_strata_and_covariates_agree_where_they_are_trivial():
    """Strata that share a known SD are none, and a second covariate that is always 0 is none."""
    data = {"responders": [23, 12, 19, 9], "patients": [107, 44, 51, 39], "sd_prior": Fixed(0.3),
            "covariates": {"x": [0, 1, 0, 1]}, "new_covariates": {"x": 1}}  # fmt: skip
    exact = meta_analytic_predictive(**data)
    data["covariates"] = {"x": [0, 1, 0, 1], "zero": [0, 0, 0, 0]}
    sampled = meta_analytic_predictive(**data, strata=["a", "a", "b", "b"], new_stratum="b", seed=5, draws=2000)
    assert sampled.method == "mcmc"
    pairs = [(sampled.distribution, exact), (sampled.population_mean, exact.population_mean)]
    pairs += [(ours.distribution, other) for ours, other in zip(sampled.trials, exact.trials, strict=True)]
    for ours, other in pairs:
        assert abs(ours.mean - other.mean) < K * ours.monte_carlo_error
    assert sampled.between_trial_sds["a"].mean == 0.3


def test_strata_have_their_own_heterogeneity():
    """Trials that agree in one stratum and not in the other: the new trial's stratum decides what is predicted."""
    data = {"responders": [30, 31, 29, 5, 30, 55], "patients": [100, 100, 100, 100, 100, 100],
            "strata": ["even", "even", "even", "odd", "odd", "odd"], "seed": 6}  # fmt: skip
    even = meta_analytic_predictive(**data, new_stratum="even")
    odd = even.in_stratum("odd")
    assert even.between_trial_sds["even"].mean < 0.5 < even.between_trial_sds["odd"].mean
    assert even.sd < odd.sd
    with pytest.raises(SpecificationError, match="no stratum"):
        even.in_stratum("neither")


def test_combined_analysis_in_pymc():
    data, new = CASES["binomial"]
    sampled = meta_analytic_combined(*new, **data, method="mcmc", seed=7, draws=2000)
    exact = meta_analytic_combined(*new, **data)
    assert abs(sampled.mean - exact.mean) < K * sampled.distribution.monte_carlo_error


def test_a_fit_that_did_not_converge_is_refused():
    with pytest.raises(ConvergenceError):
        meta_analytic_predictive(**CASES["binomial"][0], method="mcmc", draws=10, tune=5, attempts=1)


def test_exnex_in_pymc_agrees_with_quadrature():
    """Rates and memberships within 4 Monte Carlo errors; as plain borrowing they would not be."""
    r, n = [2, 1, 9, 3], [14, 10, 15, 12]
    settings = {"probability": [0.9, 0.2, 0.5, 0.7], "mean_prior": Normal.unit_information(0.2)}
    exact = exchangeable_nonexchangeable(r, n, **settings)
    model = exchangeable_nonexchangeable_model(exact.baskets)
    settled = {"draws": 2000, "tune": 1000, "target_accept": 0.99, "log_densities": False}
    found = fit(model, seed=8, **settled).require_convergence()
    wrong = exchangeable_nonexchangeable(r, n, probability=1, mean_prior=settings["mean_prior"])
    assert worst(found, exact) < K
    assert worst(found, wrong) > 3 * K
    other = exchangeable_nonexchangeable([5, 0, 2, 2], [9, 10, 20, 12], **settings)
    again = fit(model, seed=9, data=exchangeable_nonexchangeable_data(other.baskets), **settled).require_convergence()
    assert worst(again, other) < K


def worst(found, exact):
    posterior = found.posterior
    pairs = [(posterior["response_rate"].values[..., k], cohort.mean) for k, cohort in enumerate(exact.cohorts)]
    pairs += [(posterior["membership"].values[:, :, 0, k], cohort.exchangeable) for k, cohort in enumerate(exact.cohorts)]
    drawn = [(Draws(values, LINE), mean) for values, mean in pairs]
    return max(abs(ours.mean - mean) / ours.monte_carlo_error for ours, mean in drawn)
