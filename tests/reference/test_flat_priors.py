"""Under flat priors: the mode is the maximum likelihood of other software, the posterior mean is exact."""

import numpy as np
import pytest
from scipy.special import digamma

from smm_bayes.inference import fit
from smm_bayes.inference.densities import Densities
from smm_bayes.survival import GammaPrior, TimeGrid, piecewise_exponential_model
from smm_bayes.survival.summary import monte_carlo_error

STEP = 1e-4


def newton(function, start, steps=30):
    """Maximise a function of batches of points (batch, parameter) by Newton's method on central differences."""
    point, size = np.array(start, float), len(start)
    moves = np.eye(size) * STEP
    pairs = [(a, b) for a in range(size) for b in range(a, size)]
    for _ in range(steps):
        batch = [point, *(point + moves), *(point - moves), *(point + moves[a] + moves[b] for a, b in pairs),
                 *(point - moves[a] - moves[b] for a, b in pairs)]  # fmt: skip
        values = function(np.array(batch))
        up, down = values[1 : size + 1], values[size + 1 : 2 * size + 1]
        gradient, curvature = (up - down) / (2 * STEP), np.empty((size, size))
        both = values[2 * size + 1 :].reshape(2, -1)
        for k, (a, b) in enumerate(pairs):
            second = both[0, k] + both[1, k] - up[a] - down[a] - up[b] - down[b] + 2 * values[0]
            curvature[a, b] = curvature[b, a] = second / (2 * STEP**2)
        move = np.linalg.solve(curvature, gradient)
        point = point - np.clip(move, -1, 1)
        if np.abs(move).max() < 1e-9:
            break
    return point


def test_mode_of_the_model_is_poisson_regression(mgus2, grid12, priors):
    """The PyMC model's own likelihood, maximised over 12 log hazards and a log hazard ratio: statsmodels to 1e-6."""
    import statsmodels.api as sm

    patients = mgus2.count_only("progression")
    table = grid12.tabulate(patients)
    density = Densities(piecewise_exponential_model(table, priors))

    def log_likelihood(points):
        values = {"log_baseline": points[:, None, :-1], "smoothness": np.ones((len(points), 1)),
                  "log_hazard_ratio": points[:, -1:]}  # fmt: skip
        return density(values)["events"].sum(axis=-1)

    found = newton(log_likelihood, np.r_[np.full(12, -6.0), 0.0])
    design = np.zeros((24, 13))
    design[np.arange(24), np.tile(np.arange(12), 2)] = 1
    design[12:, -1] = 1
    model = sm.GLM(table.events[:, 0].ravel(), design, family=sm.families.Poisson(), offset=np.log(table.exposure.ravel()))
    np.testing.assert_allclose(found, model.fit(tol=1e-13, maxiter=200).params, atol=1e-6)


def test_posterior_mean_of_a_log_hazard_is_exact(mgus2):
    """With a flat prior of each log hazard it is ψ(d) − log E: within four Monte Carlo errors in every cell.

    The mode, log(d / E), is not: with three events it is a third of a standard error higher.
    """
    table = TimeGrid((24, 60, 108, 156, 192)).tabulate(mgus2)
    assert table.events.min() >= 1
    # the prior worth 1e-6 events: ψ(d + 1e-6) is ψ(d) to 2e-6
    fitted = fit(piecewise_exponential_model(table, GammaPrior(1e-6, 1e-9)), seed=1, draws=2000).require_convergence()
    exact = digamma(table.events) - np.log(table.cell_exposure)
    draws = fitted.posterior["log_hazard"].transpose("chain", "draw", "arm", "cause", "interval")
    error = monte_carlo_error(draws, "mean").values
    assert np.abs((draws.mean(("chain", "draw")).values - exact) / error).max() < 4
    assert np.abs((draws.mean(("chain", "draw")).values - np.log(table.events / table.cell_exposure)) / error).max() > 4


def test_a_third_of_a_standard_error_with_three_events():
    assert (np.log(3) - digamma(3)) * np.sqrt(3) == pytest.approx(0.305, abs=0.001)
