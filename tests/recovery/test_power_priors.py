"""Learnt powers: the sampler against exact quadrature, and not against what leaves the normaliser out."""

import numpy as np
import pytest
from scipy.special import digamma

from smm_bayes.borrowing import BetaPower, HazardHistory, NormalisedPowerPrior, power_prior_data, power_prior_model
from smm_bayes.inference import fit
from smm_bayes.survival import EventTable, GammaPrior, TimeGrid

GRID = TimeGrid((6, 12))


def table(events, exposure):
    return EventTable(np.array([[events]], float), np.array([exposure], float), GRID, ("control",), ("event",))


FIRST, SECOND = table([30, 22, 25], [500, 400, 600]), table([12, 9, 14], [150, 120, 160])
NOW = {"agreeing": table([9, 7, 8], [160, 130, 190]), "conflict": table([1, 1, 0], [200, 180, 240]),
       "almost none": table([0, 1, 0], [20, 10, 0])}  # fmt: skip


def learnt(first, second):
    return NormalisedPowerPrior(HazardHistory.of({"first": first, "second": second}, GammaPrior(0.5, 10)),
                                {"first": BetaPower(), "second": BetaPower(2, 1)})  # fmt: skip


@pytest.fixture(scope="module")
def model():
    """Compiled once."""
    return power_prior_model(learnt(FIRST, SECOND), NOW["agreeing"])


@pytest.mark.parametrize("case", [*NOW, "other history"])
def test_the_sampler_agrees_with_quadrature(model, case):
    import arviz as az

    prior, now = (learnt(SECOND, FIRST), NOW["agreeing"]) if case == "other history" else (learnt(FIRST, SECOND), NOW[case])
    exact = prior.posterior(now)
    fitted = fit(model, seed=11, data=power_prior_data(prior, now), draws=2000).require_convergence()
    draws = fitted.posterior
    for index, margin in enumerate(exact.margins):
        power = draws["power"].isel(trial=index)
        assert abs(float(power.mean()) - margin.mean) < 4 * float(az.mcse(power))
        assert float(power.std()) == pytest.approx(margin.sd, rel=0.06)
        below = margin.quantile([0.1, 0.5, 0.9])
        shares = (power.values[..., None] <= below).mean(axis=(0, 1))
        np.testing.assert_allclose(shares, [0.1, 0.5, 0.9], atol=0.03)
    for index, cell in enumerate(exact.cells):
        log_hazard = draws["log_hazard"][:, :, 0, 0, index]
        exact_mean = cell.weights @ (digamma(cell.parameters["shape"]) - np.log(cell.parameters["rate"]))
        assert abs(float(log_hazard.mean()) - exact_mean) < 4 * float(az.mcse(log_hazard))
    terms = fitted.data["log_prior"]
    total = terms["power"].sum("trial") + terms["log_hazard_cell"].sum("cell")
    total = total + fitted.data["cell_log_likelihood"]["events"].sum("cell")
    flat = draws["log_hazard"].values.reshape(*total.shape, -1)
    np.testing.assert_allclose(total, prior.log_density(draws["power"].values, flat, now), rtol=1e-9)


def test_the_sampler_sees_the_normaliser(model):
    """Importance weights of draws for a density without C(a) give other powers, by many Monte Carlo errors."""
    import arviz as az

    prior, now = learnt(FIRST, SECOND), NOW["agreeing"]
    draws = fit(model, seed=2, data=power_prior_data(prior, now)).posterior["power"]
    log_constant = prior.history.log_constant(draws.values)
    wrong = np.average(draws.values[..., 0], weights=np.exp(log_constant - log_constant.max()))
    error = float(az.mcse(draws.isel(trial=0)))
    assert abs(wrong - prior.posterior(now).power("first").mean) > 15 * error
