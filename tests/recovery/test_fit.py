"""The one fit(): against exact answers, and how it behaves when things go wrong."""

import signal
import time

import numpy as np
import pymc as pm
import pytest

from smm_bayes.errors import ConvergenceError, SpecificationError
from smm_bayes.inference import fit
from smm_bayes.inference.convergence import Convergence
from smm_bayes.inference.sampling import whole_draws
from smm_bayes.survival import (
    BaselinePrior,
    EventTable,
    GammaHazards,
    GammaPrior,
    HazardRatioPrior,
    SurvivalPriors,
    TimeGrid,
    log_likelihood,
    model_data,
    piecewise_exponential_model,
)

GRID = TimeGrid((12, 24, 60, 120))
GAMMA = GammaPrior(0.5, 50)


@pytest.fixture(scope="module")
def one_arm(mgus2_1985):
    arm = mgus2_1985.arm == 1
    patients = mgus2_1985.take(arm, arm=np.zeros(arm.sum(), int), arms=("experimental",), arm_names=("low",))
    return GRID.tabulate(patients)


@pytest.fixture(scope="module")
def gamma_model(one_arm):
    return piecewise_exponential_model(one_arm, GAMMA)


@pytest.fixture(scope="module")
def smooth(mgus2_1985, priors):
    table = GRID.tabulate(mgus2_1985)
    return table, piecewise_exponential_model(table, priors)


def compare(fitted, exact):
    """Means and standard deviations of the log hazards within 4 Monte Carlo errors of the closed form."""
    import arviz as az
    from scipy.special import polygamma

    draws = fitted.posterior["log_hazard"].transpose("chain", "draw", "arm", "cause", "interval")
    error = az.mcse(draws).values if hasattr(az.mcse(draws), "values") else az.mcse(draws)
    assert np.abs((draws.mean(("chain", "draw")).values - exact.mean_log()) / error).max() < 4
    error = az.mcse(draws, method="sd").values
    sd = np.sqrt(polygamma(1, exact.shape))
    assert np.abs((draws.std(("chain", "draw")).values - sd) / error).max() < 4.5


def test_gamma_posterior_is_the_closed_form(gamma_model, one_arm):
    fitted = fit(gamma_model, seed=1, draws=4000).require_convergence()
    compare(fitted, GammaHazards.prior(one_arm, 0.5, 50).update(one_arm))
    with pytest.raises(AssertionError):  # it would not agree with another prior
        compare(fitted, GammaHazards.prior(one_arm, 2.0, 50).update(one_arm))


def test_refit_uses_the_new_data_everywhere(gamma_model, one_arm, mgus2_1985):
    """After a refit posterior, log likelihood and observed data are of the new data (they went stale elsewhere)."""
    other = GRID.tabulate(mgus2_1985.take((mgus2_1985.arm == 0), arm=np.zeros(259, int), arms=("experimental",),
                                          arm_names=("high",)))  # fmt: skip
    started = time.perf_counter()
    fitted = fit(gamma_model, seed=2, data=model_data(other, GAMMA), draws=4000)
    assert fitted.seconds["compile"] < 0.5  # seconds to spare: it took ten the first time
    assert time.perf_counter() - started < 60
    compare(fitted, GammaHazards.prior(other, 0.5, 50).update(other))
    np.testing.assert_array_equal(fitted.data["observed_data"]["events"].values, other.events.ravel())
    np.testing.assert_array_equal(fitted.data["constant_data"]["exposure_data"].values, other.cell_exposure.ravel())
    draws = fitted.posterior["log_hazard"].transpose("chain", "draw", "arm", "cause", "interval").values
    ours = fitted.data["cell_log_likelihood"]["events"].sum("cell").values
    np.testing.assert_allclose(ours, log_likelihood(draws, other), rtol=1e-10)
    fit(gamma_model, seed=1, data=model_data(one_arm, GAMMA), draws=100, attempts=1)


def test_log_prior_is_pymcs(smooth, priors):
    table, model = smooth
    fitted = fit(model, seed=3, data=model_data(table, priors), draws=100, tune=300, attempts=1)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = pm.stats.compute_log_prior(fitted.data, model=model, extend_inferencedata=False, progressbar=False)
    for name, values in known.data_vars.items():
        np.testing.assert_allclose(fitted.data["log_prior"][name].values, values.values, atol=1e-10)


def test_everything_that_is_known_of_cells_is_there(smooth, priors, tmp_path):
    import xarray as xr

    table, model = smooth
    fitted = fit(model, seed=4, data=model_data(table, priors)).require_convergence()
    assert set(fitted.data.children) == {"posterior", "sample_stats", "observed_data", "constant_data",
                                         "cell_log_likelihood", "log_prior"}  # fmt: skip
    fitted.save(tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as stored:
        np.testing.assert_array_equal(stored["posterior"]["log_hazard"].values, fitted.posterior["log_hazard"].values)


def test_same_seed_same_draws_whatever_the_cores(smooth, priors):
    table, model = smooth
    options = {"seed": 5, "data": model_data(table, priors), "draws": 200, "tune": 300, "attempts": 1}
    first, second = fit(model, cores=1, **options), fit(model, cores=2, **options)
    np.testing.assert_array_equal(first.posterior["log_hazard"].values, second.posterior["log_hazard"].values)
    assert first.fingerprint == second.fingerprint
    assert fit(model, **{**options, "seed": 6}).fingerprint != first.fingerprint


def test_parameters_are_recovered(priors):
    """From twenty million patient-months the posterior is narrow and holds the truth."""
    rng = np.random.default_rng(8)
    truth = priors.sample(("progression", "death"), 2, GRID, 1, rng=rng)["log_hazard"][0]
    exposure = np.full((2, len(GRID)), 2e6)
    events = rng.poisson(np.exp(truth) * exposure[:, None]).astype(float)
    table = EventTable(events, exposure, GRID, ("control", "experimental"), ("progression", "death"))
    fitted = fit(piecewise_exponential_model(table, priors), seed=9).require_convergence()
    draws = fitted.posterior["log_hazard"].values.reshape(-1, *truth.shape)
    z = (draws.mean(axis=0) - truth) / draws.std(axis=0)
    assert np.abs(z).max() < 4
    assert draws.std(axis=0)[events > 300].max() < 0.06
    assert (events > 300).sum() > 10


def test_data_that_do_not_fit_the_model_are_refused(smooth, priors):
    table, model = smooth
    good = model_data(table, priors)
    for bad, message in (
        ({"nothing": good["events_data"]}, "has no data 'nothing'"),
        ({"events_data": good["events_data"][:-1]}, "the compiled model needs"),
        ({"exposure_data": good["exposure_data"] * np.nan}, "not finite"),
    ):
        with pytest.raises(SpecificationError, match=message):
            fit(model, seed=1, data=bad)


def test_an_index_out_of_range_is_refused():
    with pm.Model() as model:
        index = pm.Data("index", np.array([0, 1, 2]))
        effect = pm.Normal("effect", 0, 1, shape=3)
        pm.Normal("outcome", effect[index], 1, observed=np.zeros(3))
    fit(model, seed=1, draws=100, attempts=1)
    for bad in ([0, 1, 3], [-1, 0, 1], [0, 0.5, 1]):
        with pytest.raises(SpecificationError, match="whole numbers from 0 to 2"):
            fit(model, seed=1, data={"index": np.array(bad)})
    fit(model, seed=1, draws=100, attempts=1, data={"index": np.array([0, 0, 0])})
    fit(model, seed=1, draws=100, attempts=1, data={"index": np.array([0, 2, 0])})  # still in range


def test_a_bad_posterior_is_tried_again_then_refused():
    """Two far modes: more draws do not help, and the refusal says what was tried."""
    with pm.Model() as model:
        at = pm.Normal("at", 0, 10)
        pm.Potential("modes", pm.math.logaddexp(-0.5 * ((at - 30) / 0.1) ** 2, -0.5 * ((at + 30) / 0.1) ** 2))
    fitted = fit(model, seed=3, draws=200, tune=200, chains=6, attempts=2)
    assert not fitted.convergence.passed
    assert [attempt.draws for attempt in fitted.attempts] == [200, 400]
    assert fitted.attempts[1].target_accept > fitted.attempts[0].target_accept
    with pytest.raises(
        ConvergenceError, match=r"did not converge: R-hat .* of at is above 1.01.*Tried: 200 draws"
    ):
        fitted.require_convergence()


def test_ctrl_c_gives_an_incomplete_fit_that_is_refused(smooth, priors):
    """Pressed while the chains run; a shell starts background jobs, perhaps these tests, with Ctrl-C ignored."""
    table, model = smooth

    def press(state):
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        fitted = fit(model, seed=1, data=model_data(table, priors), draws=500_000, attempts=1, progress=press)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not fitted.convergence.complete
    assert all(np.isfinite(values).all() for values in fitted.posterior.data_vars.values())
    with pytest.raises(ConvergenceError, match="interrupted"):
        fitted.require_convergence()


@pytest.mark.parametrize(
    ("done", "chains", "draws"),
    [([5, 5, 5], [0, 1, 2], 5), ([9, 7, 8], [0, 1, 2], 7), ([9, 0, 9], [0, 2], 9), ([9, 1, 8], [0, 2], 8),
     ([0, 0, 3], [2], 3), ([0, 0, 0], [], 0)],
)  # fmt: skip
def test_an_interrupted_fit_keeps_whole_draws(done, chains, draws):
    """Chains of different length come padded with NaN; one that has just begun does not cost those that are done."""
    import xarray as xr

    filled = np.where(np.arange(max(*done, 1)) < np.array(done)[:, None], 1.0, np.nan)
    group = xr.Dataset({"energy": (("chain", "draw"), filled)}, coords={"chain": range(3)})
    kept = whole_draws(xr.DataTree.from_dict({"posterior": group, "sample_stats": group, "data": xr.Dataset()}))
    assert kept["posterior"]["chain"].values.tolist() == chains
    assert kept["posterior"].sizes["draw"] == draws
    assert np.isfinite(kept["posterior"]["energy"].values).all()


def test_progress_is_told(smooth, priors):
    table, model = smooth
    said = []
    fit(model, seed=1, data=model_data(table, priors), draws=3000, tune=1000, attempts=1, progress=said.append)
    assert said[-1].finished == said[-1].total == 4 * 4000
    assert [state.finished for state in said] == sorted(state.finished for state in said)


def test_convergence_names_every_reason():
    bad = Convergence(1.05, 100, 50, 3, "level", complete=False)
    assert len(bad.reasons) == 5
    assert not Convergence(np.nan, 1000, 1000, 0, "level").passed
    assert Convergence(1.005, 401, 401, 0, "level").passed


def test_posterior_without_data_is_the_prior():
    """With no exposure at all the posterior is the prior: nothing in the likelihood leaks."""
    prior = SurvivalPriors({"event": BaselinePrior(24, 96)}, {"event": HazardRatioPrior(0.8, 2.0)})
    grid = TimeGrid((6, 12))
    table = EventTable(np.zeros((2, 1, 3)), np.zeros((2, 3)), grid, ("control", "experimental"), ("event",))
    fitted = fit(piecewise_exponential_model(table, prior), seed=10, draws=4000).require_convergence()
    draws = prior.sample(("event",), 2, TimeGrid((1, 2)), 100_000, rng=np.random.default_rng(1))
    import arviz as az

    for name in ("level", "log_hazard_ratio", "smoothness"):
        found = fitted.posterior[name]
        error = float(az.mcse(found).values.max())
        assert abs(float(found.mean()) - draws[name].mean()) < 4 * np.hypot(error, draws[name].std() / 300)


def test_coordinates_change_the_speed_and_not_the_posterior(smooth, priors):
    """Coordinates made from other data give the same posterior: they are a change of variables."""
    import arviz as az

    table, model = smooth
    own = model_data(table, priors)
    other = model_data(EventTable(table.events * 0 + 5.0, table.exposure, GRID, table.arms, table.causes), priors)
    wrong = {name: other[name] if name.startswith("walk_") else own[name] for name in own}
    good, bad = (fit(model, seed=11, data=data, draws=4000).require_convergence() for data in (own, wrong))
    for name in ("log_hazard", "smoothness", "level"):
        apart = good.posterior[name].mean(("chain", "draw")) - bad.posterior[name].mean(("chain", "draw"))
        error = np.hypot(az.mcse(good.posterior[name]), az.mcse(bad.posterior[name]))
        assert float(np.abs(apart / error).max()) < 4.5


def test_a_fit_without_data_is_of_what_the_model_holds():
    """After a refit to other data a fit that names none samples those, not what was compiled."""
    with pm.Model() as model:
        seen, spread = pm.Data("seen", np.zeros(1)), pm.Data("spread", np.ones(1))
        at = pm.Normal("at", 0.0, 10.0)
        pm.Normal("outcome", at, spread, observed=seen)
    fit(model, seed=1, draws=300)
    fit(model, seed=1, draws=300, data={"seen": np.array([5.0])})
    again = fit(model, seed=1, draws=300)
    assert float(again.posterior["at"].mean()) == pytest.approx(5 / 1.01, abs=0.3)
    assert float(again.data["observed_data"]["outcome"][0]) == 5.0
