from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from smm_bayes.errors import SpecificationError
from smm_bayes.survival import (
    BaselinePrior,
    GammaHazards,
    GammaPrior,
    HazardRatioPrior,
    PiecewiseExponential,
    Proportional,
    Separate,
    SmoothnessPrior,
    SpreadPrior,
    TimeGrid,
    Varying,
    Waning,
    cumulative_incidence,
    log_likelihood,
    model_data,
    patient_log_likelihood,
    piecewise_exponential_model,
)
from smm_bayes.survival.walk import draw_walk, spacing

hazard = st.floats(1e-4, 1.0)
cuts = st.lists(st.floats(0.5, 100), min_size=0, max_size=6, unique=True).map(lambda xs: tuple(sorted(xs)))


@given(cuts, st.floats(0, 200), st.floats(0, 1))
def test_exposure_sums_to_time_under_delayed_entry(points, time, share):
    if any(np.diff(points) < 1e-6):
        return
    grid = TimeGrid(points)
    exposure = grid.exposure(np.array([time]), entry=share * time)
    assert exposure.sum() == pytest.approx(time - share * time, abs=1e-9)
    assert (exposure >= 0).all()


def test_an_event_at_a_cut_is_counted_once(simulate):
    grid = TimeGrid((6, 12))
    assert list(grid.index(np.array([0, 5.9, 6, 6.1, 12, 12.1]))) == [0, 0, 0, 1, 1, 2]
    patients = simulate(digits=0)
    table = grid.tabulate(patients)
    assert table.events.sum() == patients.events
    assert table.exposure.sum() == pytest.approx(patients.time.sum())


@pytest.mark.parametrize("bad", [(0, 6), (6, 6), (12, 6), (-1,), (np.inf,), (np.nan,)])
def test_cuts_are_refused_with_a_remedy(bad):
    with pytest.raises(SpecificationError, match=r"strictly increasing.*internal cut points only"):
        TimeGrid(bad)


@settings(max_examples=30)
@given(st.lists(hazard, min_size=3, max_size=3), st.floats(0.1, 60))
def test_rmst_is_the_area_under_the_curve(hazards, horizon):
    law = PiecewiseExponential(np.log(hazards), TimeGrid((6, 12)))
    points = [p for p in (6, 12) if p < horizon]
    area = quad(lambda t: law.survival(t)[0], 0, horizon, points=points or None)[0]
    assert float(law.rmst(horizon)) == pytest.approx(area, rel=1e-7)


@given(st.lists(hazard, min_size=3, max_size=3), st.floats(0.001, 0.999))
def test_quantile_inverts_survival(hazards, probability):
    law = PiecewiseExponential(np.log(hazards), TimeGrid((6, 12)))
    assert law.survival(law.quantile(probability))[0] == pytest.approx(1 - probability, abs=1e-10)


def test_equal_hazards_are_exponential_and_splitting_changes_nothing():
    time = np.array([0.0, 1, 6, 7, 40])
    coarse, fine = (
        PiecewiseExponential(np.log([0.05]), TimeGrid(())),
        PiecewiseExponential(np.log([0.05] * 4), TimeGrid((3, 6, 20))),
    )
    np.testing.assert_allclose(fine.survival(time), np.exp(-0.05 * time), rtol=1e-13)
    np.testing.assert_allclose(fine.rmst(30), coarse.rmst(30), rtol=1e-13)


def test_splitting_an_interval_changes_no_likelihood(mgus2_1985):
    coarse, fine = TimeGrid((12, 60)), TimeGrid((12, 30, 60))
    values = np.log(np.random.default_rng(1).uniform(0.001, 0.01, (2, 2, 3)))
    split = values[..., [0, 1, 1, 2]]
    first = log_likelihood(values, coarse.tabulate(mgus2_1985))
    assert log_likelihood(split, fine.tabulate(mgus2_1985)) == pytest.approx(float(first), abs=1e-9)


def test_sampling_given_survival():
    law = PiecewiseExponential(np.log([0.08, 0.05, 0.03]), TimeGrid((6, 12)))
    rng = np.random.default_rng(1)
    time = law.sample(survived=np.full(40_000, 8.0), rng=rng)
    assert time.min() >= 8
    for at in (10.0, 20.0, 50.0):
        expected = float(law.survival(at)[0] / law.survival(8.0)[0])
        error = np.sqrt(expected * (1 - expected) / len(time))
        assert abs((time > at).mean() - expected) < 4 * error


def test_incidences_and_survival_sum_to_one():
    rng = np.random.default_rng(1)
    grid, time = TimeGrid((6, 12, 24)), np.array([0.0, 3, 6, 12, 13, 100])
    log_hazard = np.log(rng.uniform(0.001, 0.05, (5, 2, 4)))
    incidence = cumulative_incidence(log_hazard, grid, time)
    alive = PiecewiseExponential(np.logaddexp.reduce(log_hazard, axis=1), grid).survival(time)
    np.testing.assert_allclose(incidence.sum(axis=1) + alive, 1, atol=1e-12)
    assert (np.diff(incidence, axis=-1) >= 0).all()


def test_patients_sum_to_the_table(mgus2_1985, grid12):
    table = grid12.tabulate(mgus2_1985)
    log_hazard = np.log(np.random.default_rng(2).uniform(0.001, 0.02, (3, *table.events.shape)))
    by_patient = patient_log_likelihood(log_hazard, mgus2_1985, grid12)
    np.testing.assert_allclose(by_patient.sum(axis=-1), log_likelihood(log_hazard, table), rtol=1e-12)


@pytest.mark.parametrize(
    "effect", [Proportional(), Separate(), Varying(), Waning(24, 12, 60)], ids=lambda e: type(e).__name__
)
def test_model_log_likelihood_equals_its_numpy_twin(mgus2_1985, grid12, priors, effect):
    """The PyMC graph and NumPy agree at random parameters; after new data too."""
    priors = replace(priors, effect=effect)
    table = grid12.tabulate(mgus2_1985)
    model = piecewise_exponential_model(table, priors)
    outputs = [*model.logp(vars=model.observed_RVs, sum=False), *model.replace_rvs_by_values([model["log_hazard"]])]
    function = model.compile_fn(outputs, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")
    rng = np.random.default_rng(3)
    for refit in (table, grid12.tabulate(mgus2_1985.take(mgus2_1985.time > 10))):
        with model:
            for name, values in model_data(refit, priors).items():
                model.set_data(name, values)
        for _ in range(3):
            point = {v.name: rng.normal(size=np.shape(x)) for v, x in
                     zip(model.value_vars, model.initial_point().values(), strict=True)}  # fmt: skip
            cells, log_hazard = function(point)
            twin = log_likelihood(log_hazard, refit)
            assert abs(cells.sum() - twin) < 1e-10 * max(1, abs(twin))


EFFECTS = (Proportional(), Separate(), Varying(SmoothnessPrior(2.0)), Waning(24, 12, 60))


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: type(effect).__name__)
def test_prior_of_the_model_is_that_of_its_numpy_twin(mgus2_1985, grid12, priors, effect):
    """On intervals of unequal width."""
    import pymc as pm

    priors = replace(priors, effect=effect)
    model = piecewise_exponential_model(grid12.tabulate(mgus2_1985), priors)
    with model:
        drawn = pm.draw([model["log_hazard"], model["smoothness"]], draws=4000, random_seed=1, mode="FAST_COMPILE")
    twin = priors.sample(("progression", "death"), 2, grid12, 4000, rng=np.random.default_rng(2))
    for ours, theirs in zip(drawn, (twin["log_hazard"], twin["smoothness"]), strict=True):
        error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 4000)
        assert np.abs((ours.mean(axis=0) - theirs.mean(axis=0)) / error).max() < 4.5
        spread = np.log(ours.std(axis=0) / theirs.std(axis=0))
        assert np.abs(spread).max() < 4.5 * np.sqrt(1.5 / 4000) * 1.6  # heavier tails than normal: kurtosis up to 6


def test_splitting_the_walk_by_distance_keeps_its_variance():
    """A walk's variance between two times is that of the years between, however they are cut."""
    rng = np.random.default_rng(4)
    for grid in (TimeGrid((10, 20, 30, 40)), TimeGrid((2, 4, 10, 40))):
        draws = draw_walk(np.zeros(200_000), np.zeros(200_000), np.full(200_000, 0.5), grid, rng=rng)
        moves = np.diff(draws, axis=-1).var(axis=0)
        np.testing.assert_allclose(moves, 0.25 * np.diff(grid.middles) / 12, rtol=0.02)
    np.testing.assert_allclose(spacing(TimeGrid((12, 24, 36))), 1)
    coarse, fine = (spacing(TimeGrid(cuts)) for cuts in ((24, 48, 72), (24, 36, 48, 60, 72)))
    assert coarse.sum() == pytest.approx(fine.sum() + 0.5)  # from 12 to 84 months; the finer grid's last middle is 78


def test_effects_that_do_not_change_are_proportional(mgus2_1985, grid12, priors):
    rng = np.random.default_rng(5)
    for effect in (Varying(SmoothnessPrior(1 + 1e-9)), Waning(24, 1e9, 2e9), Waning(1e6, 12, 60)):
        drawn = replace(priors, effect=effect).sample(("progression", "death"), 2, grid12, 50, rng=rng)
        ratio = drawn["log_hazard"][:, 1] - drawn["log_hazard"][:, 0]
        np.testing.assert_allclose(
            ratio, np.repeat(drawn["log_hazard_ratio"][..., None], len(grid12), axis=-1), atol=1e-6
        )
    shrunk = Waning(0, 1e-6, 2e-6).weights(np.log([1e-6]), grid12)
    assert shrunk.max() < 1e-5  # at once gone: no effect


@given(st.floats(0, 60), st.floats(1, 200))
def test_waning_is_the_mean_over_each_interval(stops, half_life):
    grid = TimeGrid((6, 12, 30, 36))
    weights = Waning(stops, 12, 60).weights(np.array([np.log(half_life)]), grid)
    for low, high, weight in zip(grid.starts, grid.ends, weights, strict=True):
        points = [stops] if low < stops < high else None
        area = quad(lambda t: 2 ** (-max(t - stops, 0) / half_life), low, high, points=points)[0]
        assert weight == pytest.approx(area / (high - low), abs=1e-7)


def test_a_varying_effect_in_the_model_is_its_curve(mgus2_1985, grid12, priors):
    """The model's hazards are its baseline and, in the experimental arm, its curve of log hazard ratios on top."""
    import pymc as pm

    model = piecewise_exponential_model(grid12.tabulate(mgus2_1985), replace(priors, effect=Varying()))
    names = ["log_baseline", "log_hazard_ratio_curve", "log_hazard_ratio", "log_hazard"]
    with model:
        baseline, curve, ratio, hazard = pm.draw([model[n] for n in names], random_seed=1, mode="FAST_COMPILE")
    np.testing.assert_allclose(hazard[0], baseline)
    np.testing.assert_allclose(hazard[1], baseline + curve)
    np.testing.assert_allclose(ratio, curve.mean(axis=-1))
    assert np.ptp(curve) > 0


@pytest.mark.parametrize("intervals", [None, 1, 2, 7])
def test_cuts_by_events_share_them(mgus2_1985, intervals):
    grid = TimeGrid.by_events(mgus2_1985, intervals, causes=("progression",))
    counts = grid.tabulate(mgus2_1985).events[:, 0].sum(axis=0)
    assert len(grid) == (intervals or 4)  # 36 progressions, 8 to an interval at least
    assert counts.sum() == 36
    assert np.ptp(counts) <= 3  # ties
    with pytest.raises(SpecificationError, match="36 events cannot be shared by 37"):
        TimeGrid.by_events(mgus2_1985, 37, causes=("progression",))


def test_a_milestone_is_a_baseline():
    prior = BaselinePrior.from_milestone(36, 0.3, 0.6)
    draws = np.exp(-36 * np.exp(np.random.default_rng(1).normal(prior.mean, prior.sd, 200_000)))
    assert np.median(draws) == pytest.approx(0.3, abs=0.003)
    assert np.quantile(draws, 0.975) == pytest.approx(0.6, abs=0.003)
    with pytest.raises(SpecificationError, match="survival < upper < 1"):
        BaselinePrior.from_milestone(36, 0.6, 0.3)


def test_priors_mean_what_they_say():
    rng = np.random.default_rng(1)
    ratio = HazardRatioPrior(0.8, 2.0)
    draws = np.exp(rng.normal(ratio.mean, ratio.sd, 200_000))
    assert np.median(draws) == pytest.approx(0.8, rel=0.01)
    assert np.quantile(draws, 0.975) == pytest.approx(2.0, rel=0.02)
    for smooth in (SmoothnessPrior(3.0), SmoothnessPrior(2.0, 3.0)):
        spread = np.abs(rng.normal(0, smooth.scale, 400_000)) * np.sqrt(smooth.months / 12)
        change = np.exp(np.abs(rng.normal(size=400_000) * spread))
        assert (change < smooth.fold_change).mean() == pytest.approx(0.95, abs=0.0015)
    between = np.exp(np.abs(rng.normal(size=400_000) * rng.normal(0, SpreadPrior(2.5).scale, 400_000)))
    assert (between < 2.5).mean() == pytest.approx(0.95, abs=0.0015)


def test_gamma_posterior_and_small_shapes(mgus2_1985, grid12):
    table = grid12.tabulate(mgus2_1985)
    prior = GammaHazards.prior(table, 0.1, 0.1)
    posterior = prior.update(table)
    np.testing.assert_allclose(posterior.shape, 0.1 + table.events)
    draws = posterior.sample(20_000, rng=np.random.default_rng(1))
    assert np.isfinite(draws).all()
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.abs((draws.mean(axis=0) - posterior.mean_log()) / error).max() < 4.5
    assert GammaPrior(0.1, 0.1).sample(("a",), 1, TimeGrid((1, 2)), 5, rng=np.random.default_rng(1))[
        "log_hazard"
    ].shape == (
        5,
        1,
        1,
        3,
    )
