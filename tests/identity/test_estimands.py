"""Estimands: draw by draw, named, equal to the distribution they come from."""

import bisect
import decimal
from itertools import pairwise

import arviz as az
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.survival import Estimands, Law, PiecewiseExponential, TimeGrid, cumulative_incidence, follow_up_horizon
from smm_bayes.survival.summary import summarise, summarise_median

GRID = TimeGrid((6, 12))


def estimand(name, arguments=1):
    """Give a method of the estimands of draws and their grid, with so many arguments before the causes."""

    def of(draws, grid, *given):
        causes = given[arguments] if len(given) > arguments else None
        return getattr(Estimands(Law.of_draws(draws, grid), causes=causes, extrapolate=True), name)(*given[:arguments])

    return of


def average_hazard_ratio(draws, weights, causes=None):
    grid = TimeGrid(range(1, draws.sizes["interval"]))
    return Estimands(Law.of_draws(draws, grid), causes=causes, extrapolate=True).average_hazard_ratio(weights)


hazard_curve, cumulative_hazard_curve, survival_curve, cumulative_incidence_curve = map(
    estimand, ("hazard_curve", "cumulative_hazard_curve", "survival_curve", "cumulative_incidence_curve")
)
cumulative_incidence_difference, milestone_survival, milestone_difference = map(
    estimand, ("cumulative_incidence_difference", "milestone_survival", "milestone_difference")
)
rmst, rmst_difference, rmst_ratio, median_survival = map(
    estimand, ("rmst", "rmst_difference", "rmst_ratio", "median_survival")
)
restricted_time_lost, restricted_time_lost_difference = map(
    estimand, ("restricted_time_lost", "restricted_time_lost_difference")
)
hazard_ratio_curve = estimand("hazard_ratio_curve", 0)
window_hazard_ratio = estimand("window_hazard_ratio", 2)


@pytest.fixture(scope="module")
def log_hazard():
    rng = np.random.default_rng(1)
    values = np.log(rng.uniform(0.01, 0.1, (4, 250, 1, 2, 3)))
    values = np.concatenate([values, values + np.array([np.log(0.5), 0.0])[:, None]], axis=2)
    coords = {"arm": ["control", "experimental"], "cause": ["progression", "death"], "interval": list(GRID.labels)}
    coords.update(chain=range(4), draw=range(250))
    return xr.DataArray(values, dims=("chain", "draw", "arm", "cause", "interval"), coords=coords, name="log_hazard")


def test_survival_is_of_the_summed_hazards(log_hazard):
    time = np.array([0.0, 3, 6, 20])
    curve = survival_curve(log_hazard, GRID, time)
    one = log_hazard.sel(chain=2, draw=7, arm="control").values
    both = PiecewiseExponential(np.log(np.exp(one).sum(axis=0)), GRID)
    np.testing.assert_allclose(curve.sel(chain=2, draw=7, arm="control"), both.survival(time))
    np.testing.assert_allclose(rmst(log_hazard, GRID, 20.0).sel(chain=2, draw=7, arm="control"), both.rmst(20.0))
    net = survival_curve(log_hazard, GRID, time, ("progression",)).sel(chain=2, draw=7, arm="control")
    np.testing.assert_allclose(net, PiecewiseExponential(one[0], GRID).survival(time))


def test_order_of_dims_does_not_matter(log_hazard):
    turned = log_hazard.transpose("interval", "arm", "draw", "cause", "chain")
    time = np.array([5.0, 30.0])
    xr.testing.assert_allclose(survival_curve(turned, GRID, time), survival_curve(log_hazard, GRID, time))
    found = cumulative_incidence_curve(turned, GRID, time)
    assert found.dims == ("chain", "draw", "arm", "cause", "time")
    one = log_hazard.sel(chain=0, draw=3, arm="experimental").values
    np.testing.assert_allclose(found.sel(chain=0, draw=3, arm="experimental"), cumulative_incidence(one, GRID, time))


def test_hazard_ratio_of_one_cause_is_the_parameter(log_hazard):
    for weights in ([1, 1, 1], [5, 0.1, 2]):
        found = average_hazard_ratio(log_hazard, np.array(weights), ("progression",))
        np.testing.assert_allclose(found, 0.5)
    both = average_hazard_ratio(log_hazard, np.ones(3))
    assert ((both > 0.5) & (both < 1)).all()


def test_summaries_carry_their_monte_carlo_error(log_hazard):
    table = summarise(survival_curve(log_hazard, GRID, np.array([12.0])))
    assert list(table.columns) == ["median", "lower", "upper", "mcse"]
    draws = survival_curve(log_hazard, GRID, np.array([12.0])).sel(arm="control").values.ravel()
    row = table.xs("control", level="arm").iloc[0]
    assert row["median"] == pytest.approx(np.median(draws))
    assert row["lower"] < row["median"] < row["upper"]
    # independent draws: the error of a median is about 1.25 standard deviations over the root of their number
    assert row["mcse"] == pytest.approx(1.25 * draws.std() / np.sqrt(len(draws)), rel=0.5)
    assert len(summarise(average_hazard_ratio(log_hazard, np.ones(3)))) == 1


def posterior(values, grid, causes=("progression", "death", "other"), arms=("control", "experimental")):
    """Name the dims of log hazards (chain, draw, arm, cause, interval)."""
    coords = {"chain": range(values.shape[0]), "draw": range(values.shape[1]), "arm": list(arms)[: values.shape[2]],
              "cause": list(causes)[: values.shape[3]], "interval": list(grid.labels)}  # fmt: skip
    return xr.DataArray(values, dims=tuple(coords), coords=coords, name="log_hazard")


def random_posterior(causes, seed=1, draws=3, low=0.002, high=0.08):
    rng = np.random.default_rng(seed)
    return posterior(np.log(rng.uniform(low, high, (1, draws, 2, causes, len(GRID)))), GRID)


class ByIntegration:
    """One draw of one arm by numerical integration: nothing from the package but the numbers."""

    def __init__(self, log_hazard, cuts):
        self.rates, self.cuts = np.exp(log_hazard), cuts

    def rate(self, t, cause):
        return self.rates[cause, bisect.bisect_left(self.cuts, t)]

    def area(self, function, start, end):
        edges = [start, *(cut for cut in self.cuts if start < cut < end), end]
        return sum(quad(function, a, b, epsabs=1e-13, epsrel=1e-11)[0] for a, b in pairwise(edges))

    def cumulative(self, t, causes):
        return sum(self.area(lambda u, c=c: self.rate(u, c), 0, t) for c in causes)

    def survival(self, t, causes):
        return np.exp(-self.cumulative(t, causes))

    def incidence(self, t, cause, causes):
        return self.area(lambda u: self.rate(u, cause) * self.survival(u, causes), 0, t)


@pytest.mark.parametrize("causes", [1, 2, 3])
def test_everything_by_arm_equals_numerical_integration(causes):
    draws = random_posterior(causes, seed=causes, draws=2)
    names, time = list(draws["cause"].values), 17.3
    every = range(causes)
    curves = {"hazard": hazard_curve, "cumulative_hazard": cumulative_hazard_curve, "survival": survival_curve}
    found = {name: curve(draws, GRID, np.array([4.0, time])) for name, curve in curves.items()}
    mean, incidence = rmst(draws, GRID, time), cumulative_incidence_curve(draws, GRID, time)
    lost = restricted_time_lost(draws, GRID, time)
    assert lost.dims == ("chain", "draw", "arm", "cause")
    for draw in range(2):
        for arm in draws["arm"].values:
            at = {"chain": 0, "draw": draw, "arm": arm}
            law = ByIntegration(draws.sel(at).values, GRID.cuts)
            for place, t in enumerate((4.0, time)):
                here = {name: float(curve.sel(at)[place]) for name, curve in found.items()}
                assert here["hazard"] == pytest.approx(sum(law.rate(t, c) for c in every), rel=1e-12)
                assert here["cumulative_hazard"] == pytest.approx(law.cumulative(t, every), rel=1e-9)
                assert here["survival"] == pytest.approx(law.survival(t, every), rel=1e-9)
            area = law.area(lambda u, law=law: law.survival(u, every), 0, time)
            assert float(mean.sel(at)) == pytest.approx(area, rel=1e-9)
    at, law = {"chain": 0, "draw": 1, "arm": "experimental"}, ByIntegration(draws[0, 1, 1].values, GRID.cuts)
    for c, name in enumerate(names):
        assert float(incidence.sel(at | {"cause": name})[0]) == pytest.approx(law.incidence(time, c, every), rel=1e-9)
        area = law.area(lambda u, c=c: law.incidence(u, c, every), 0, time)
        assert float(lost.sel(at | {"cause": name})) == pytest.approx(area, rel=1e-8)


def test_hazard_at_a_cut_is_that_of_the_interval_that_ends_there():
    draws = posterior(np.log(np.array([0.01, 0.02, 0.03])).reshape(1, 1, 1, 1, 3), GRID)
    found = hazard_curve(draws, GRID, np.array([0, 6, 6.001, 12, 40])).values.ravel()
    np.testing.assert_allclose(found, [0.01, 0.01, 0.02, 0.02, 0.03])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.floats(0, 300), st.integers(0, 1000), st.sampled_from([1e-12, 1e-6, 1e-3, 0.1, 5.0]))
def test_months_lived_and_lost_sum_to_the_horizon(causes, horizon, seed, scale):
    draws = random_posterior(causes, seed=seed, low=0.1 * scale, high=scale)
    lost = restricted_time_lost(draws, GRID, horizon)
    assert (lost >= 0).all()
    np.testing.assert_allclose(rmst(draws, GRID, horizon) + lost.sum("cause"), horizon, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("hazard", ["1e-11", "1e-7", "0.0009", "0.0011", "0.02", "3", "700"])
def test_time_lost_keeps_its_digits_however_rare_the_event(hazard):
    rate = decimal.Decimal(hazard)
    with decimal.localcontext(prec=80):
        exact = float((rate - 1 + (-rate).exp()) / rate)
    draws = posterior(np.full((1, 1, 1, 1, 1), float(rate.ln())), TimeGrid())
    assert float(restricted_time_lost(draws, TimeGrid(), 1.0).item()) == pytest.approx(exact, rel=1e-11, abs=0)


def test_single_interval_is_exponential():
    control, experimental, grid, t = 0.05, 0.03, TimeGrid(), 20.0
    draws = posterior(np.log([[[[[control]], [[experimental]]]]]), grid)
    survival, mean = np.exp(-t * np.array([control, experimental])), {}
    np.testing.assert_allclose(milestone_survival(draws, grid, t)[0, 0], survival)
    mean = (1 - survival) / [control, experimental]
    np.testing.assert_allclose(rmst(draws, grid, t)[0, 0], mean)
    assert milestone_difference(draws, grid, t).item() == pytest.approx(survival[1] - survival[0])
    assert rmst_difference(draws, grid, t).item() == pytest.approx(mean[1] - mean[0])
    assert rmst_ratio(draws, grid, t).item() == pytest.approx(mean[1] / mean[0])
    assert window_hazard_ratio(draws, grid, 3, t).item() == pytest.approx(0.6)
    np.testing.assert_allclose(restricted_time_lost(draws, grid, t)[0, 0, :, 0], t - mean)
    found = cumulative_incidence_difference(draws, grid, t)
    assert found.dims == ("chain", "draw", "cause")
    assert found.item() == pytest.approx(survival[0] - survival[1])
    assert restricted_time_lost_difference(draws, grid, t).item() == pytest.approx(mean[0] - mean[1])
    np.testing.assert_allclose(median_survival(draws, grid, 1000)[0, 0], np.log(2) / np.array([control, experimental]))


def everything(draws, grid, t, causes=None):
    """Every estimand that does not depend on how time is cut."""
    time = np.array([0.0, 0.4 * t, t])
    return {
        "hazard": hazard_curve(draws, grid, time, causes),
        "cumulative": cumulative_hazard_curve(draws, grid, time, causes),
        "survival": survival_curve(draws, grid, time, causes),
        "milestone": milestone_survival(draws, grid, t, causes),
        "incidence": cumulative_incidence_curve(draws, grid, time),
        "rmst": rmst(draws, grid, t, causes),
        "lost": restricted_time_lost(draws, grid, t),
        "median": median_survival(draws, grid, t, causes),
        **contrasts(draws, grid, t, causes),
    }


def contrasts(draws, grid, t, causes=None):
    return {
        "milestone difference": milestone_difference(draws, grid, t, causes),
        "incidence difference": cumulative_incidence_difference(draws, grid, t),
        "rmst difference": rmst_difference(draws, grid, t, causes),
        "lost difference": restricted_time_lost_difference(draws, grid, t),
        "rmst ratio": rmst_ratio(draws, grid, t, causes),
        "window ratio": window_hazard_ratio(draws, grid, 0.3 * t, t, causes),
    }


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(0.5, 60), max_size=4, unique=True).map(sorted), st.floats(0.1, 80), st.floats(1, 100),
    st.integers(0, 1000), st.sampled_from([None, ("progression",)]),
)  # fmt: skip
def test_splitting_an_interval_changes_no_estimand(cuts, split, t, seed, causes):
    coarse = TimeGrid(cuts)
    if split in cuts:
        return
    fine = TimeGrid(sorted([*cuts, split]))
    values = np.log(np.random.default_rng(seed).uniform(0.002, 0.08, (1, 3, 2, 2, len(coarse))))
    twice = int(coarse.index(np.array([split]))[0])
    again = np.insert(np.arange(len(coarse)), twice, twice)
    one, other = posterior(values, coarse), posterior(values[..., again], fine)
    found = everything(other, fine, t, causes)
    for name, expected in everything(one, coarse, t, causes).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-9, atol=1e-11, err_msg=name)
    weights = np.arange(1.0, len(coarse) + 1)
    shared = np.where(again == twice, weights[again] / 2, weights[again])
    np.testing.assert_allclose(average_hazard_ratio(other, shared), average_hazard_ratio(one, weights), rtol=1e-12)
    np.testing.assert_allclose(hazard_ratio_curve(other, fine), hazard_ratio_curve(one, coarse)[..., again], rtol=1e-12)


def test_swapping_the_arms_turns_every_contrast_around():
    draws = random_posterior(2)
    swapped = draws.assign_coords(arm=["experimental", "control"])
    one, other = contrasts(draws, GRID, 20.0), contrasts(swapped, GRID, 20.0)
    for name in one:
        turned = 1 / one[name] if "ratio" in name else -one[name]
        np.testing.assert_allclose(other[name], turned, rtol=1e-12, err_msg=name)
        assert (abs(np.log(one[name]) if "ratio" in name else one[name]) > 1e-6).all()
    weights = np.array([3.0, 2, 1])
    np.testing.assert_allclose(average_hazard_ratio(swapped, weights), 1 / average_hazard_ratio(draws, weights))
    np.testing.assert_allclose(hazard_ratio_curve(swapped, GRID), 1 / hazard_ratio_curve(draws, GRID))


def test_arms_are_found_by_name_not_by_place():
    draws = random_posterior(2)
    turned = draws.isel(arm=[1, 0])
    expected = contrasts(draws, GRID, 20.0)
    for name, found in contrasts(turned, GRID, 20.0).items():
        np.testing.assert_array_equal(found, expected[name], err_msg=name)
    weights = np.array([3.0, 2, 1])
    np.testing.assert_array_equal(average_hazard_ratio(turned, weights), average_hazard_ratio(draws, weights))


def test_time_lost_differs_by_what_survival_gains():
    draws = random_posterior(3)
    lost = restricted_time_lost_difference(draws, GRID, 30.0).sum("cause")
    np.testing.assert_allclose(lost, -rmst_difference(draws, GRID, 30.0), rtol=1e-10)
    incidence = cumulative_incidence_difference(draws, GRID, 30.0).sum("cause")
    np.testing.assert_allclose(incidence, -milestone_difference(draws, GRID, 30.0), rtol=1e-10)


def test_hazard_ratio_by_time_is_of_the_sums_and_its_window_an_integral():
    draws = random_posterior(2)
    ratio = hazard_ratio_curve(draws, GRID)
    assert ratio.dims == ("chain", "draw", "interval")
    assert list(ratio["interval"].values) == list(GRID.labels)
    hazards = np.exp(draws.values).sum(axis=3)
    np.testing.assert_allclose(ratio, hazards[:, :, 1] / hazards[:, :, 0], rtol=1e-12)
    for start, end in ((0, 40), (4, 14), (7, 8), (12, 13)):
        time = np.linspace(start, end, 40_001)
        middle = (time[1:] + time[:-1]) / 2
        logs = np.log(hazard_curve(draws, GRID, middle))
        expected = np.exp((logs[:, :, 1] - logs[:, :, 0]).mean("time"))
        np.testing.assert_allclose(window_hazard_ratio(draws, GRID, start, end), expected, rtol=1e-3)
    np.testing.assert_allclose(window_hazard_ratio(draws, GRID, 7, 8), ratio[..., 1], rtol=1e-12)
    parts = np.array([2.0, 6, 2])
    np.testing.assert_allclose(window_hazard_ratio(draws, GRID, 4, 14), average_hazard_ratio(draws, parts), rtol=1e-12)


def test_proportional_hazards_have_one_ratio():
    draws = random_posterior(2)
    ratio = xr.DataArray([0.4, 0.7, 1.3], dims="draw")
    draws = xr.concat([draws.isel(arm=0), draws.isel(arm=0) + np.log(ratio)], dim=draws["arm"], coords="minimal")
    for found in (hazard_ratio_curve(draws, GRID), hazard_ratio_curve(draws, GRID, ("death",))):
        np.testing.assert_allclose(found.transpose(..., "draw"), np.broadcast_to(ratio, (1, 3, 3)), rtol=1e-12)
    for found in (average_hazard_ratio(draws, np.array([1, 5, 0])), window_hazard_ratio(draws, GRID, 2, 9)):
        np.testing.assert_allclose(found[0], ratio, rtol=1e-12)


def test_median_is_the_half_quantile_and_infinite_beyond_the_horizon():
    draws = random_posterior(2, draws=200)
    total = np.log(np.exp(draws.values).sum(axis=3))
    quantile = PiecewiseExponential(total, GRID).quantile(0.5)
    assert 0.2 < (quantile > 9).mean() < 0.8
    np.testing.assert_allclose(median_survival(draws, GRID, np.inf), quantile)
    found = median_survival(draws, GRID, 9.0)
    np.testing.assert_allclose(found, np.where(quantile > 9, np.inf, quantile))
    np.testing.assert_array_equal(np.isinf(found), milestone_survival(draws, GRID, 9.0) > 0.5)
    net = median_survival(draws, GRID, 1e6, ("death",))
    np.testing.assert_allclose(net, PiecewiseExponential(draws.values[:, :, :, 1], GRID).median())


def medians(values, chains=2):
    values = np.asarray(values, dtype=float).reshape(chains, -1)
    return xr.DataArray(values, dims=("chain", "draw"), name="median_survival")


def test_medians_not_reached_are_summarised_as_such():
    rng = np.random.default_rng(1)
    values = rng.uniform(10, 50, 1000)
    reached = values <= 36
    row = summarise_median(medians(np.where(reached, values, np.inf)), 36.0).iloc[0]
    ordered = np.sort(values)
    assert row["probability"] == reached.mean()
    assert row["median"] == ordered[499]
    assert row["lower"] == ordered[24]
    assert np.isposinf(row["upper"])
    assert np.isnan(row["mcse"])
    assert row["probability_mcse"] == pytest.approx(reached.std() / np.sqrt(1000), rel=0.2)
    assert row["shown"] == f"{ordered[499]:.1f} ({ordered[24]:.1f} to not reached)"
    never = summarise_median(medians([np.inf] * 100), 36.0).iloc[0]
    assert never["probability"] == 0
    assert np.isposinf(never[["lower", "median", "upper"]].astype(float)).all()
    assert never["shown"] == "not reached (not reached to not reached)"
    always = summarise_median(medians(values), 60.0).iloc[0]
    plain = summarise(medians(values)).iloc[0]
    assert always["probability"] == 1
    assert always["mcse"] == plain["mcse"] > 0
    for name in ("median", "lower", "upper"):
        assert always[name] == pytest.approx(plain[name], abs=0.2)
    later = summarise_median(medians([10, 20, 40, np.inf]), 36.0, 0.5).iloc[0]
    assert (later["probability"], later["upper"]) == (0.5, 40)
    half = summarise_median(medians([10, 20, np.inf, np.inf]), 36.0, 0.5).iloc[0]
    assert (half["lower"], half["median"], half["upper"]) == (10, 20, np.inf)


HORIZON = 36.0
LATE = {
    "hazard_curve": lambda e, t: e.hazard_curve(np.array([1.0, t])),
    "cumulative_hazard_curve": lambda e, t: e.cumulative_hazard_curve(t),
    "survival_curve": lambda e, t: e.survival_curve(np.array([t, 1.0])),
    "cumulative_incidence_curve": lambda e, t: e.cumulative_incidence_curve(t),
    "cumulative_incidence_difference": lambda e, t: e.cumulative_incidence_difference(t),
    "milestone_survival": lambda e, t: e.milestone_survival(t),
    "milestone_difference": lambda e, t: e.milestone_difference(t),
    "window_hazard_ratio": lambda e, t: e.window_hazard_ratio(0.0, t),
    "rmst": lambda e, t: e.rmst(t),
    "rmst_difference": lambda e, t: e.rmst_difference(t),
    "rmst_ratio": lambda e, t: e.rmst_ratio(t),
    "restricted_time_lost": lambda e, t: e.restricted_time_lost(t),
    "restricted_time_lost_difference": lambda e, t: e.restricted_time_lost_difference(t),
    "median_survival": lambda e, t: e.median_survival(t),
    "table": lambda e, t: e.table((12.0, t)),
}


def test_every_method_is_held_to_the_horizon():
    methods = {name for name, value in vars(Estimands).items() if callable(value) and not name.startswith("_")}
    assert methods == {*LATE, "hazard_ratio_curve", "average_hazard_ratio", "summary", "plot"}


@pytest.mark.parametrize("name", LATE)
def test_no_extrapolation_unless_asked(name):
    draws = random_posterior(2, draws=20)
    stated = Estimands(Law.of_draws(draws, GRID), horizon=HORIZON)
    LATE[name](stated, HORIZON)
    with pytest.raises(SpecificationError, match=r"month 36\.1 is beyond the horizon of 36 months.*extrapolate=True"):
        LATE[name](stated, 36.1)
    LATE[name](Estimands(Law.of_draws(draws, GRID), horizon=HORIZON, extrapolate=True), 36.1)
    LATE[name](Estimands(Law.of_draws(draws, GRID), extrapolate=True), 36.1)


def test_hazard_ratios_stop_at_the_horizon():
    draws = random_posterior(2)
    early = Estimands(Law.of_draws(draws, GRID), horizon=12.0)
    assert list(early.hazard_ratio_curve()["interval"].values) == ["(0, 6]", "(6, 12]"]
    assert Estimands(Law.of_draws(draws, GRID), horizon=12.1).hazard_ratio_curve().sizes["interval"] == 3
    assert Estimands(Law.of_draws(draws, GRID), horizon=12.0, extrapolate=True).hazard_ratio_curve().sizes["interval"] == 3
    with pytest.raises(SpecificationError, match="horizon of 12 months must weigh 0"):
        early.average_hazard_ratio(np.array([3.0, 2, 1]))
    found = early.average_hazard_ratio(np.array([3.0, 2, 0]))
    np.testing.assert_array_equal(found, average_hazard_ratio(draws, np.array([3.0, 2, 0])))


@pytest.mark.parametrize("causes", [None, ("death",)])
def test_methods_are_the_functions(causes):
    draws = random_posterior(2)
    held = Estimands(Law.of_draws(draws, GRID), horizon=HORIZON, causes=causes)
    time, weights = np.array([3.0, HORIZON]), np.array([1.0, 2, 3])
    pairs = [
        (held.hazard_curve(time), hazard_curve(draws, GRID, time, causes)),
        (held.cumulative_hazard_curve(time), cumulative_hazard_curve(draws, GRID, time, causes)),
        (held.survival_curve(time), survival_curve(draws, GRID, time, causes)),
        (held.cumulative_incidence_curve(time), cumulative_incidence_curve(draws, GRID, time)),
        (held.cumulative_incidence_difference(9.0), cumulative_incidence_difference(draws, GRID, 9.0)),
        (held.milestone_survival(9.0), milestone_survival(draws, GRID, 9.0, causes)),
        (held.milestone_difference(9.0), milestone_difference(draws, GRID, 9.0, causes)),
        (held.hazard_ratio_curve(), hazard_ratio_curve(draws, GRID, causes)),
        (held.average_hazard_ratio(weights), average_hazard_ratio(draws, weights, causes)),
        (held.window_hazard_ratio(3, 9), window_hazard_ratio(draws, GRID, 3, 9, causes)),
        (held.rmst(), rmst(draws, GRID, HORIZON, causes)),
        (held.rmst(9.0), rmst(draws, GRID, 9.0, causes)),
        (held.rmst_difference(), rmst_difference(draws, GRID, HORIZON, causes)),
        (held.rmst_ratio(), rmst_ratio(draws, GRID, HORIZON, causes)),
        (held.restricted_time_lost(), restricted_time_lost(draws, GRID, HORIZON)),
        (held.restricted_time_lost_difference(9.0), restricted_time_lost_difference(draws, GRID, 9.0)),
        (held.median_survival(), median_survival(draws, GRID, HORIZON, causes)),
    ]
    for found, expected in pairs:
        xr.testing.assert_identical(found, expected)


@pytest.fixture(scope="module")
def table(log_hazard):
    return Estimands(Law.of_draws(log_hazard, GRID), horizon=12.0).table((6, 12), probability=0.9)


def row_of(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def by_hand(log_hazard, t):
    """Survival and restricted mean (arm, draw) at t ≤ 12 on cuts 6 and 12, written out."""
    hazard = np.exp(log_hazard.values).sum(axis=3).reshape(-1, 2, 3)
    first, second = (hazard[:, :, j].T for j in (0, 1))
    w1, w2 = min(t, 6.0), max(t - 6.0, 0.0)
    survival = np.exp(-first * w1 - second * w2)
    return survival, (1 - np.exp(-first * w1)) / first + np.exp(-6 * first) * (1 - np.exp(-second * w2)) / second


def test_table_is_tidy(table):
    assert list(table.columns) == ["estimand", "arm", "cause", "time", "median", "lower", "upper", "mcse",
                                   "probability_of", "probability", "probability_mcse", "note"]  # fmt: skip
    assert not table.duplicated(["estimand", "arm", "cause", "time"]).any()
    counts = table.groupby("estimand").size().to_dict()
    assert counts == {"milestone_survival": 4, "milestone_difference": 2, "rmst": 4, "rmst_difference": 2, "rmst_ratio": 2,
                      "window_hazard_ratio": 2, "cumulative_incidence": 8, "cumulative_incidence_difference": 4,
                      "restricted_time_lost": 8, "restricted_time_lost_difference": 4, "median_survival": 2}  # fmt: skip
    known = table[table["estimand"] != "median_survival"]
    assert np.isfinite(known[["median", "lower", "upper", "mcse"]].to_numpy(dtype=float)).all()
    assert (known["mcse"] > 0).all()
    asked = known["probability_of"] != ""
    assert (known["probability"].notna() == asked).all()
    assert set(table["cause"]) == {"progression", "death", "progression or death"}
    assert set(table["arm"]) == {"control", "experimental", "experimental - control", "experimental / control"}


def test_numbers_of_the_table_are_those_computed_by_hand(table, log_hazard):
    for t in (6, 12):
        survival, mean = by_hand(log_hazard, t)
        rows = {
            ("milestone_survival", "control", ""): survival[0],
            ("milestone_survival", "experimental", ""): survival[1],
            ("milestone_difference", "experimental - control", "difference > 0"): survival[1] - survival[0],
            ("rmst", "experimental", ""): mean[1],
            ("rmst_difference", "experimental - control", "difference > 0"): mean[1] - mean[0],
            ("rmst_ratio", "experimental / control", "ratio > 1"): mean[1] / mean[0],
        }
        hazard = np.exp(log_hazard.values).sum(axis=3).reshape(-1, 2, 3)
        logs = np.log(hazard[:, 1] / hazard[:, 0])
        ratio = np.exp((min(t, 6) * logs[:, 0] + max(t - 6, 0) * logs[:, 1]) / t)
        rows["window_hazard_ratio", "experimental / control", "ratio < 1"] = ratio
        for (estimand, arm, what), draws in rows.items():
            row = row_of(table, estimand=estimand, arm=arm, time=t)
            assert row["probability_of"] == what
            np.testing.assert_allclose(row[["lower", "median", "upper"]].astype(float),
                                       np.quantile(draws, [0.05, 0.5, 0.95]), rtol=1e-9)  # fmt: skip
            named = xr.DataArray(draws.reshape(4, 250), dims=("chain", "draw"))
            assert row["mcse"] == pytest.approx(float(az.mcse(named, method="median")), rel=1e-9)
            if what:
                holds = (draws < 1) if what == "ratio < 1" else (draws > (0 if what == "difference > 0" else 1))
                assert row["probability"] == holds.mean()
                named = named.copy(data=holds.reshape(4, 250).astype(float))
                assert row["probability_mcse"] == pytest.approx(float(az.mcse(named, method="mean")), rel=1e-9)


def test_table_by_cause_lets_the_causes_compete(log_hazard):
    table = Estimands(Law.of_draws(log_hazard, GRID), horizon=6.0, causes=("death",)).table((6,))
    progression, death = (np.exp(log_hazard.values[..., c, 0]).reshape(-1, 2) for c in (0, 1))
    total = progression + death
    incidence = death / total * (1 - np.exp(-6 * total))
    lost = death / total * (6 - (1 - np.exp(-6 * total)) / total)
    for estimand, draws in (("cumulative_incidence", incidence), ("restricted_time_lost", lost)):
        row = row_of(table, estimand=estimand, arm="control", cause="death")
        assert row["median"] == pytest.approx(np.median(draws[:, 0]), rel=1e-9)
        assert row["note"] == "All causes compete."
        row = row_of(table, estimand=f"{estimand}_difference", cause="death")
        assert row["median"] == pytest.approx(np.median(draws[:, 1] - draws[:, 0]), abs=1e-12)
        assert row["probability"] == (draws[:, 1] > draws[:, 0]).mean()
    row = row_of(table, estimand="milestone_survival", arm="control")
    assert (row["cause"], row["note"]) == ("death", "Net of progression.")
    assert row["median"] == pytest.approx(np.median(np.exp(-6 * death[:, 0])), rel=1e-9)
    assert row_of(table, estimand="window_hazard_ratio")["note"] == "Cause-specific."


def test_medians_of_the_table(table, log_hazard):
    survival, _ = by_hand(log_hazard, 12)
    for index, arm in enumerate(("control", "experimental")):
        row = row_of(table, estimand="median_survival", arm=arm)
        assert (row["time"], row["probability_of"]) == (12, "median <= time")
        assert row["probability"] == (survival[index] <= 0.5).mean()
        assert 0 < row["probability"] < 1
        assert np.isposinf(row["upper"]) == (row["probability"] < 0.95) == (arm == "experimental")
        assert ("to not reached) months." in row["note"]) == np.isposinf(row["upper"])
        assert np.isnan(row["mcse"])
        assert "No mcse: some draws are not reached." in row["note"]


def test_table_says_what_is_extrapolated(log_hazard):
    notes = Estimands(Law.of_draws(log_hazard, GRID), horizon=12.0, extrapolate=True).table((12, 24)).set_index("time")["note"]
    assert notes[24].str.contains("Extrapolated beyond month 12.", regex=False).all()
    assert not notes[12].str.contains("Extrapolated").any()
    open_ended = Estimands(Law.of_draws(log_hazard, GRID), extrapolate=True).table((12,))
    assert open_ended["note"].str.contains("No horizon stated.", regex=False).all()
    assert np.isfinite(open_ended[["median", "lower", "upper", "mcse"]].to_numpy(dtype=float)).all()


def test_one_arm_has_no_contrast_and_one_cause_none_that_compete(log_hazard):
    one = log_hazard.sel(arm=["experimental"], cause=["death"])
    table = Estimands(Law.of_draws(one, GRID), horizon=HORIZON).table()
    assert set(table["estimand"]) == {"milestone_survival", "rmst", "median_survival"}
    assert set(table["arm"]) == {"experimental"}
    assert list(table["time"].unique()) == [12, 24, 36]
    with pytest.raises(SpecificationError, match=r"needs the arms control and experimental; got experimental\."):
        rmst_difference(one, GRID, 12.0)


def test_repr_says_what_it_holds(log_hazard):
    assert repr(Estimands(Law.of_draws(log_hazard, GRID), horizon=36, causes=("death",))) == (
        "Estimands: 4 x 250 draws (chain, draw); arms control, experimental; causes progression, death; event death; "
        "3 intervals; horizon 36 months, nothing beyond it"
    )
    assert "horizon none stated, extrapolation beyond it allowed" in repr(Estimands(Law.of_draws(log_hazard, GRID), extrapolate=True))


def test_follow_up_horizon_is_of_the_arm_followed_least(simulate):
    patients = simulate()
    longest = [patients.time[patients.arm == arm].max() for arm in (0, 1)]
    assert longest[0] != longest[1]
    assert follow_up_horizon(patients) == min(longest)
    for arm in (0, 1):
        cut = patients.take((patients.arm != arm) | (patients.time < 5))
        assert follow_up_horizon(cut) == patients.time[(patients.arm == arm) & (patients.time < 5)].max()
    with pytest.raises(DataError, match="arm 'control' has no patient"):
        follow_up_horizon(patients.take(patients.arm == 1))


def test_what_is_no_estimand_is_refused(log_hazard):
    broken = log_hazard.copy(deep=True)
    broken[0, 0, 0, 0, 0] = np.nan
    ends = {"horizon": 36.0}
    cases = [
        ("beyond|finite months", lambda: survival_curve(log_hazard, GRID, np.array([3.0, -1.0]))),
        ("finite months", lambda: hazard_curve(log_hazard, GRID, np.nan)),
        ("finite months", lambda: Estimands(Law.of_draws(log_hazard, GRID), **ends).survival_curve(np.nan)),
        ("finite months", lambda: rmst(log_hazard, GRID, np.inf)),
        ("one number of months", lambda: milestone_survival(log_hazard, GRID, np.array([3.0, 4.0]))),
        ("above 0", lambda: rmst_ratio(log_hazard, GRID, 0.0)),
        ("above 0", lambda: median_survival(log_hazard, GRID, np.nan)),
        ("end after it starts", lambda: window_hazard_ratio(log_hazard, GRID, 6, 6)),
        ("some of progression, death", lambda: survival_curve(log_hazard, GRID, 3.0, ("relapse",))),
        ("each once", lambda: rmst(log_hazard, GRID, 3.0, ("death", "death"))),
        ("each once", lambda: Estimands(Law.of_draws(log_hazard, GRID), causes=(), **ends)),
        ("one an interval", lambda: average_hazard_ratio(log_hazard, np.ones(4))),
        ("not negative", lambda: average_hazard_ratio(log_hazard, np.array([2.0, -1, 1]))),
        ("not all 0", lambda: average_hazard_ratio(log_hazard, np.zeros(3))),
        ("must have the dims", lambda: rmst(log_hazard.isel(chain=0), GRID, 3.0)),
        ("3 intervals and the grid 2", lambda: Estimands(Law.of_draws(log_hazard, TimeGrid((6,))), **ends)),
        ("3 intervals and the grid 2", lambda: hazard_ratio_curve(log_hazard, TimeGrid((6,)))),
        ("finite in every draw", lambda: Estimands(Law.of_draws(broken, GRID), **ends)),
        ("state a horizon", lambda: Estimands(Law.of_draws(log_hazard, GRID))),
        ("finite months above 0", lambda: Estimands(Law.of_draws(log_hazard, GRID), horizon=0.0)),
        ("none was stated", lambda: Estimands(Law.of_draws(log_hazard, GRID), extrapolate=True).rmst()),
        ("increasing", lambda: Estimands(Law.of_draws(log_hazard, GRID), **ends).table((12, 6))),
        ("increasing", lambda: Estimands(Law.of_draws(log_hazard, GRID), **ends).table((0, 6))),
        ("between 0 and 1", lambda: Estimands(Law.of_draws(log_hazard, GRID), **ends).table((6,), probability=95)),
        ("Name the arms", lambda: average_hazard_ratio(log_hazard.drop_vars("arm"), np.ones(3))),
    ]
    for words, call in cases:
        with pytest.raises(SpecificationError, match=words):
            call()
