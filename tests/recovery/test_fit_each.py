"""Several equally likely data sets: the pooled draws are those of the mixture, and bad chains are seen."""

import numpy as np
import pymc as pm
import pytest
import xarray as xr

from smm_bayes.errors import SpecificationError
from smm_bayes.inference import each, fit
from smm_bayes.inference.convergence import diagnose_parts
from smm_bayes.inference.each import data_sets, fit_each


@pytest.fixture(scope="module")
def model():
    with pm.Model() as model:
        seen = pm.Data("seen", np.zeros(1))
        at = pm.Normal("at", 0.0, 2.0)
        pm.Normal("outcome", at, 1.0, observed=seen)
    return model


def test_pooled_draws_are_the_mixture(model):
    """Posterior of each: Normal(0.8 y, 0.8); their mixture has the mean and variance of the law of total variance."""
    seen = np.linspace(-2, 2, 12)
    fitted = fit_each(model, [{"seen": np.array([y])} for y in seen], seed=1, draws=12_000).require_convergence()
    draws = fitted.posterior["at"].values
    assert draws.shape == (24, 2000)
    parts = draws.reshape(12, -1)
    np.testing.assert_allclose(parts.mean(axis=1), 0.8 * seen, atol=0.1)
    assert draws.mean() == pytest.approx(0.8 * seen.mean(), abs=0.03)
    assert draws.var() == pytest.approx(0.8 + (0.8 * seen).var(), rel=0.05)
    assert fitted.data["log_likelihood"]["outcome"].shape[:2] == (24, 2000)


def test_one_data_set_is_one_fit(model):
    fitted = fit_each(model, [{"seen": np.array([1.0])}], seed=1, draws=500)
    assert fitted.posterior.sizes["chain"] == 4
    with pytest.raises(SpecificationError, match="at least one data set"):
        fit_each(model, [], seed=1)


class Several:
    """A model value with two equally likely data sets, of a PyMC model that has one more data than it gives."""

    def build(self):
        with pm.Model() as model:
            seen, spread = pm.Data("seen", np.zeros(1)), pm.Data("spread", np.ones(1))
            at = pm.Normal("at", 0.0, 2.0)
            pm.Normal("outcome", at, spread, observed=seen)
        return model

    def data(self):
        return [{"seen": np.array([y])} for y in (-1.0, 2.0)]

    def statements(self):
        return {"at": "95 % of prior means between -4 and 4"}

    def prior(self, draws, *, rng):
        return {"at": rng.normal(0, 2, draws)}

    def log_likelihood(self, parameters):
        return -0.5 * parameters["at"] ** 2

    def simulated(self, data, truth, *, rng):
        return self


def test_a_value_with_several_data_sets_is_fitted_to_each(model):
    found, known = fit(Several(), seed=3), fit_each(model, Several().data(), seed=3)
    assert data_sets(found.posterior) == 2
    halves = [half.mean() for half in np.split(found.posterior["at"].values, 2)]
    np.testing.assert_allclose(halves, [-0.8, 1.6], atol=0.15)
    assert found.posterior["at"].shape == known.posterior["at"].shape
    assert found.description["prior: at"] == "95 % of prior means between -4 and 4"
    assert isinstance(found.model, Several)


def test_same_seed_same_draws(model):
    data = [{"seen": np.array([y])} for y in (0.0, 1.0)]
    first, second = (fit_each(model, data, seed=3, cores=cores) for cores in (1, 2))
    np.testing.assert_array_equal(first.posterior["at"].values, second.posterior["at"].values)
    assert first.fingerprint == second.fingerprint


def parts(shift=0.0, stuck=0.0, seed=2):
    """Draws of ten data sets with other means and scales; one chain of one may be away, or all first chains be."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(10):
        draws = rng.normal(size=(4, 300))
        draws[0] += shift
        if index == 0:
            draws[0] += stuck
        found.append(xr.Dataset({"at": (("chain", "draw"), 5 * index + (1 + index) * draws)}))
    return found


def test_data_sets_that_differ_have_converged_and_bad_chains_have_not():
    assert diagnose_parts(parts(), 0).passed
    assert not diagnose_parts(parts(), 1).passed
    assert diagnose_parts(parts(stuck=3.0), 0).max_rhat > 1.1
    assert diagnose_parts(parts(shift=0.4), 0).max_rhat > 1.01
    assert not diagnose_parts(parts(), 0, complete=False).passed


def test_an_interruption_of_a_later_part_is_an_incomplete_fit(model, monkeypatch):
    """What there is by then is kept, the part that runs ahead is stopped, and the fit does not pass."""
    honest, seen = each.Run.finish, []

    def interrupted(run, progress):
        seen.append(run)
        if len(seen) < 2:
            return honest(run, progress)
        return run.sampler.abort(), False

    monkeypatch.setattr(each.Run, "finish", interrupted)
    data = [{"seen": np.array([y])} for y in (0.0, 1.0, 2.0)]
    fitted = fit_each(model, data, seed=3, draws=100_000, cores=2)
    assert not fitted.convergence.passed
    assert "sampling was interrupted" in fitted.convergence.reasons
    assert len(seen) == 2
    assert fitted.posterior.sizes["chain"] == 2  # of the part that is done, whole
    assert np.isfinite(fitted.posterior["at"].values).all()


def test_an_interruption_between_two_parts_keeps_what_is_done(model, monkeypatch):
    """Pressed while the draws of the second part are put in order."""
    honest, seen = each.gather, []

    def interrupted(*given):
        seen.append(given)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return honest(*given)

    monkeypatch.setattr(each, "gather", interrupted)
    data = [{"seen": np.array([y])} for y in (0.0, 1.0, 2.0)]
    fitted = fit_each(model, data, seed=3, cores=2)
    assert fitted.convergence.reasons[0] == "sampling was interrupted"
    assert fitted.posterior.sizes["chain"] == 2
    assert len(fitted.attempts) == 1
    monkeypatch.setattr(each, "gather", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):  # nothing is done yet
        fit_each(model, data, seed=3, cores=2)


def test_an_error_of_a_caller_stops_what_runs_ahead(model):
    def fails(state):
        raise RuntimeError("shown nowhere")

    with pytest.raises(RuntimeError, match="shown nowhere"):
        fit_each(model, [{"seen": np.array([y])} for y in (0.0, 1.0)], seed=3, progress=fails, cores=2)
