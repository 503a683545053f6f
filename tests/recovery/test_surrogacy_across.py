"""The PyMC model of surrogacy across trials against its quadrature."""

from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.inference.sampling import fit
from smm_bayes.surrogacy import AcrossTrials, TrialPairs, across_data, across_model


def simulated(seed):
    rng = np.random.default_rng(seed)
    s_m, s_p = rng.uniform(0.15, 0.35, 8), rng.uniform(0.12, 0.25, 8)
    odds = rng.normal(0.8, 0.6, 8)
    return TrialPairs.from_arrays(rng.normal(odds, s_m), s_m, rng.normal(-0.1 - 0.4 * odds, np.hypot(s_p, 0.15)), s_p)


@pytest.fixture(scope="module", params=["bivariate", "daniels_hughes"])
def compiled(request):
    analysis = AcrossTrials(simulated(1), correlation=-0.3, form=request.param)
    return analysis, across_model(analysis)


@pytest.mark.parametrize(("seed", "correlation"), [(1, -0.3), (2, -0.6)])
def test_sampler_agrees_with_quadrature(compiled, seed, correlation):
    import arviz as az

    first, model = compiled
    analysis = replace(first, pairs=simulated(seed), correlation=correlation)
    found = fit(model, seed=11, data=across_data(analysis), draws=2000, target_accept=0.97)
    found.require_convergence()
    exact = analysis.draws(40_000, rng=np.random.default_rng(3))
    names = ["slope", "intercept", "residual_sd", *(["mean", "spread"] if analysis.is_bivariate else [])]
    for name in names:
        values, truth = found.posterior[name], getattr(exact, name)
        error = float(np.hypot(az.mcse(values.values, method="mean"), truth.std() / 200))
        assert float(values.mean()) == pytest.approx(truth.mean(), abs=4 * error), name
        assert float(values.std()) == pytest.approx(truth.std(), rel=0.08), name
    # and a model with the errors of another correlation would be seen
    other = replace(analysis, correlation=0.6).draws(40_000, rng=np.random.default_rng(3))
    off = [abs(values.mean() - getattr(other, name).mean()) / az.mcse(values, method="mean")
           for name in names for values in [found.posterior[name].values]]
    assert max(off) > 8
