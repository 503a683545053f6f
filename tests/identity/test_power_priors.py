"""Power priors: what they must equal, by other routes."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import betaln, digamma

from smm_bayes.borrowing import (
    BetaPower,
    HazardHistory,
    NormalisedPowerPrior,
    PowerPrior,
    ResponseHistory,
    power_prior_data,
    power_prior_model,
)
from smm_bayes.borrowing.trials.power_model import sample_prior
from smm_bayes.inference.densities import Densities
from smm_bayes.priors.mixtures import BetaMixture, GammaMixture
from smm_bayes.survival import EventTable, GammaHazards, GammaPrior, TimeGrid

GRID, CAUSES = TimeGrid((6, 12)), ("progression", "death")
PRIOR = GammaPrior(0.3, 12)


def table(events, exposure, grid=GRID, causes=CAUSES):
    shape = (1, len(causes), len(grid))
    return EventTable(np.array(events, float).reshape(shape), np.array(exposure, float).reshape(1, -1), grid,
                      ("control",), causes)  # fmt: skip


FIRST = table([12, 9, 14, 2, 0, 3], [300, 240, 400])
SECOND = table([20, 22, 15, 1, 4, 0], [310, 250, 200])
NOW = table([6, 4, 9, 0, 1, 1], [160, 120, 210])
TWO = {"first": FIRST, "second": SECOND}


def one_hazard(*pairs):
    """Trials of one hazard, as tables."""
    return [table([events], [exposure], TimeGrid(), ("event",)) for events, exposure in pairs]


# ---- fixed powers

def test_power_1_is_pooling_and_power_0_is_none():
    history, alone = HazardHistory.of(TWO, PRIOR), GammaHazards.prior(NOW, PRIOR.shape, PRIOR.rate)
    for powers, expected in (([0, 0], alone), ([1, 0], alone.update(FIRST)), ([1, 1], alone.update(FIRST).update(SECOND))):
        prior = PowerPrior(history, powers)
        for found, exact in ((prior.hazards(), expected), (prior.hazards(NOW), expected.update(NOW))):
            np.testing.assert_allclose(found.shape, exact.shape, rtol=1e-15)
            np.testing.assert_allclose(found.rate, exact.rate, rtol=1e-15)
    rates = ResponseHistory.of({"a": (7, 20), "b": (3, 9)}, 0.5, 2)
    initial = BetaMixture([1], [0.5], [2])
    assert PowerPrior(rates, [0, 0]).update((4, 11)) == (initial.update(4, 11),)
    assert PowerPrior(rates, [1, 1]).update((4, 11)) == (initial.update(7, 20).update(3, 9).update(4, 11),)


def test_fixed_powers_are_a_discount_of_events_and_exposure():
    history, powers = HazardHistory.of(TWO, PRIOR), [0.25, 0.6]
    prior = PowerPrior(history, powers)
    cells = zip(FIRST.events.ravel(), SECOND.events.ravel(), FIRST.cell_exposure.ravel(), SECOND.cell_exposure.ravel(),
                NOW.events.ravel(), NOW.cell_exposure.ravel(), prior.cells, prior.update(NOW), strict=True)  # fmt: skip
    for d1, d2, e1, e2, d, e, before, after in cells:
        exact = GammaMixture([1], [0.3 + 0.25 * d1 + 0.6 * d2], [12 + 0.25 * e1 + 0.6 * e2])
        for found, expected in ((before, exact), (after, exact.update(d, e))):
            for name in ("shape", "rate"):
                np.testing.assert_allclose(found.parameters[name], expected.parameters[name], rtol=1e-14)


def test_the_log_marginal_likelihood_is_the_integral():
    """Of the exact density of the current times (of the responders one by one) over the prior."""
    (earlier, now) = one_hazard((14, 300), (5, 90))
    prior = PowerPrior(HazardHistory.of({"earlier": earlier}, PRIOR), [0.4])
    exact = prior.cells[0].expect(lambda x: np.exp(5 * np.log(x) - 90 * x))
    assert prior.log_marginal_likelihood(now) == pytest.approx(np.log(exact), abs=1e-9)
    rates = PowerPrior(ResponseHistory.of({"a": (14, 30)}), [0.4])
    predicted = rates.cells[0].predictive(12).pmf(5) / stats.binom.pmf(5, 12, 0.3) * 0.3**5 * 0.7**7
    assert rates.log_marginal_likelihood((5, 12)) == pytest.approx(np.log(predicted), abs=1e-10)


# ---- the normaliser

@pytest.mark.parametrize("power", [0.0, 0.01, 0.4, 1.0])
def test_log_constant_is_the_log_of_its_integral(power):
    (earlier,) = one_hazard((14, 300))
    history = HazardHistory.of({"earlier": earlier}, PRIOR)

    def kernel(x):
        return stats.gamma.pdf(np.exp(x), 0.3, scale=1 / 12) * np.exp(x + power * (14 * x - 300 * np.exp(x)))

    area = sum(integrate.quad(kernel, a, b, limit=300, epsabs=0)[0] for a, b in ((-300, -20), (-20, -5), (-5, 3)))
    assert history.log_constant(np.array([power])) == pytest.approx(np.log(area), abs=1e-9)
    rates = ResponseHistory.of({"a": (14, 30)}, 2, 3)
    area = integrate.quad(lambda x: stats.beta.pdf(x, 2, 3) * x ** (14 * power) * (1 - x) ** (16 * power), 0, 1)[0]
    assert rates.log_constant(np.array([power])) == pytest.approx(np.log(area), abs=1e-9)


def test_the_definition_on_a_grid():
    """Powers and hazard of one trial from the log density as it is defined."""
    earlier, now = one_hazard((30, 600), (9, 170))
    prior = NormalisedPowerPrior(HazardHistory.of({"earlier": earlier}, GammaPrior(2, 40)))
    power, x = (np.arange(400) + 0.5) / 400, np.linspace(-9, 0.5, 1500)
    log_density = prior.log_density(power[:, None, None], x[None, :, None], now)
    weight = np.exp(log_density - log_density.max())
    posterior = prior.posterior(now)
    assert posterior.power("earlier").mean == pytest.approx(np.average(power, weights=weight.sum(axis=1)), abs=1e-5)
    assert posterior.cells[0].mean == pytest.approx(np.average(np.exp(x), weights=weight.sum(axis=0)), rel=1e-5)


def test_without_its_normaliser_the_power_depends_on_the_unit_of_time():
    """Which is why it must be there: in months or in units of 600 the answer is the same with it; without it not."""
    found, without = {}, {}
    for unit in (1, 600):
        earlier, now = one_hazard((30, 600 / unit), (9, 170 / unit))
        prior = NormalisedPowerPrior(HazardHistory.of({"earlier": earlier}, GammaPrior(2, 40 / unit)))
        posterior = prior.posterior(now)
        found[unit] = posterior.power("earlier").mean
        log_constant = prior.history.log_constant(posterior.nodes)
        left_out = posterior.weights * np.exp(log_constant - log_constant.max())
        without[unit] = np.average(posterior.nodes[:, 0], weights=left_out)
    assert found[1] == pytest.approx(found[600], abs=1e-12)
    assert without[1] < 0.05 < 0.4 < found[1] < 0.7 < 0.95 < without[600]


# ---- learnt powers

def exact_integrals(history, power, now, *functions, to=1.0):
    """Integrals of functions of one power up to ``to`` under prior and evidence, by adaptive quadrature.

    In t with a = sin²(πt/2), so that nothing is singular at the ends.
    """
    sums, end = history.current_sums(now), 2 / np.pi * np.arcsin(np.sqrt(to))

    def weight(t):
        a = np.sin(np.pi * t / 2) ** 2
        slope = np.pi * a**power.p * np.cos(np.pi * t / 2) ** (2 * power.q - 1) / np.sin(np.pi * t / 2)
        return a, slope * np.exp(history.log_evidence(np.array([a]), sums) - betaln(power.p, power.q))

    def integrand(t, f):
        a, density = weight(t)
        return f(a) * density

    cuts = [0, *(cut for cut in (0.01, 0.1, 0.3, 0.7) if cut < end), end]
    return [sum(integrate.quad(integrand, low, high, args=(f,), epsabs=1e-300, epsrel=1e-10)[0]
                for low, high in pairwise(cuts)) for f in functions]  # fmt: skip


CASES = {
    "agreeing": (HazardHistory.of({"first": FIRST}, PRIOR), NOW),
    "vague": (HazardHistory.of({"first": FIRST}, GammaPrior(0.01, 0.01)), NOW),
    "conflict": (HazardHistory.of({"first": FIRST}, PRIOR), table([60, 50, 40, 9, 9, 9], [160, 120, 100])),
    "rate": (ResponseHistory.of({"first": (60, 100)}), (48, 100)),
    "rate in conflict": (ResponseHistory.of({"first": (600, 1000)}, 0.5, 0.5), (10, 100)),
}


@pytest.mark.parametrize("power", [BetaPower(), BetaPower(0.5, 0.5), BetaPower(5, 2)], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_one_learnt_power_against_adaptive_quadrature(case, power):
    history, now = CASES[case]
    posterior = NormalisedPowerPrior(history, power).posterior(now)
    margin = posterior.power("first")
    total, first, second = exact_integrals(history, power, now, lambda a: 1.0, lambda a: a, lambda a: a**2)
    mean = first / total
    assert posterior.log_marginal_likelihood == pytest.approx(np.log(total), abs=1e-7)
    assert margin.mean == pytest.approx(mean, rel=1e-7)
    assert margin.sd == pytest.approx(np.sqrt(second / total - mean**2), rel=1e-6)
    quantiles = margin.quantile([0.025, 0.3, 0.5, 0.9])
    np.testing.assert_allclose(margin.cdf(quantiles), [0.025, 0.3, 0.5, 0.9], atol=1e-10)
    for at in quantiles[1:3]:
        below = exact_integrals(history, power, now, lambda a: 1.0, to=at)
        assert margin.cdf(at) == pytest.approx(below[0] / total, abs=1e-8)
        density = stats.beta.pdf(at, power.p, power.q) * np.exp(history.log_evidence(np.array([at]), history.current_sums(now)))
        assert margin.pdf(at) == pytest.approx(density / total, rel=1e-6)
    cell = posterior.cells[0]

    def mean_given(a):
        parameters = history.parameters(np.array([a]), history.current_sums(now))[:, 0]
        return parameters[0] / (parameters[1] if isinstance(history, HazardHistory) else parameters.sum())

    assert cell.mean == pytest.approx(exact_integrals(history, power, now, mean_given)[0] / total, rel=1e-7)
    assert cell.cdf(cell.quantile(0.2)) == pytest.approx(0.2, abs=1e-10)


def test_density_and_distribution_function_go_together():
    margin = NormalisedPowerPrior(HazardHistory.of(TWO, PRIOR), BetaPower(0.7, 2)).posterior(NOW).power("second")
    for low, high in ((0.001, 0.2), (0.2, 0.7), (0.7, 0.999)):
        area = integrate.quad(margin.pdf, low, high, epsabs=1e-12)[0]
        assert area == pytest.approx(margin.cdf(high) - margin.cdf(low), abs=1e-9)


def test_nodes_are_enough_for_three_trials():
    """Half as many nodes again change nothing, also in conflict; and a trial without patients changes nothing."""
    history = HazardHistory.of({**TWO, "third": CASES["conflict"][1]}, PRIOR)
    prior = NormalisedPowerPrior(history)
    some, more = prior.posterior(NOW), prior.posterior(NOW, nodes=48)
    assert some.log_marginal_likelihood == pytest.approx(more.log_marginal_likelihood, abs=1e-9)
    for ours, theirs in zip(some.margins, more.margins, strict=True):
        assert ours.mean == pytest.approx(theirs.mean, rel=1e-8)
    two, empty = NormalisedPowerPrior(HazardHistory.of(TWO, PRIOR)).posterior(NOW), table(np.zeros(6), np.zeros(3))
    three = NormalisedPowerPrior(HazardHistory.of({**TWO, "empty": empty}, PRIOR)).posterior(NOW)
    assert three.log_marginal_likelihood == pytest.approx(two.log_marginal_likelihood, abs=1e-9)
    assert three.power("first").mean == pytest.approx(two.power("first").mean, rel=1e-9)
    assert three.power("empty").mean == pytest.approx(0.5, abs=1e-12)
    assert three.power("empty").quantile(0.1) == pytest.approx(0.1, abs=1e-9)
    assert three.cells[2].quantile(0.9) == pytest.approx(two.cells[2].quantile(0.9), rel=1e-9)
    np.testing.assert_allclose(three.correlation[:2, :2], two.correlation, atol=1e-8)


def test_a_mixture_of_thousands_of_components_is_integrated_exactly():
    cell = NormalisedPowerPrior(HazardHistory.of(TWO, PRIOR)).posterior(NOW).cells[0]
    assert len(cell) > 1000
    exact = cell.weights @ (digamma(cell.parameters["shape"]) - np.log(cell.parameters["rate"]))
    assert cell.expect(np.log) == pytest.approx(exact, rel=1e-10)


def test_many_trials_by_quasi_random_points():
    """Two trials with patients and three without, so that the exact answer is known."""
    empty = table(np.zeros(6), np.zeros(3))
    prior = NormalisedPowerPrior(HazardHistory.of({**TWO, **dict.fromkeys("xyz", empty)}, PRIOR))
    many = prior.posterior(NOW, rng=np.random.default_rng(4))
    two = NormalisedPowerPrior(HazardHistory.of(TWO, PRIOR)).posterior(NOW)
    assert 0 < many.error < 1e-4
    assert abs(many.log_marginal_likelihood - two.log_marginal_likelihood) < 5 * many.error
    for name in TWO:
        assert many.power(name).mean == pytest.approx(two.power(name).mean, abs=1e-4)
        assert many.power(name).quantile(0.3) == pytest.approx(two.power(name).quantile(0.3), abs=1e-3)
    assert many.cells[0].mean == pytest.approx(two.cells[0].mean, rel=1e-4)


def test_without_current_data_it_is_the_prior():
    prior = NormalisedPowerPrior(HazardHistory.of(TWO, PRIOR), BetaPower(2, 3))
    found = prior.posterior()
    law = stats.beta(2, 3)
    assert found.log_marginal_likelihood == pytest.approx(0, abs=1e-12)
    for margin in found.margins:
        assert margin.mean == pytest.approx(0.4, abs=1e-12)
        assert margin.sd == pytest.approx(law.std(), abs=1e-12)
        np.testing.assert_allclose(margin.quantile([0.1, 0.5, 0.99]), law.ppf([0.1, 0.5, 0.99]), atol=1e-10)
    np.testing.assert_allclose(found.if_agreeing, 0.4)


# ---- how little is learnt

def reached(earlier, now, hazards):
    """Mean of a power under a flat prior, at perfect agreement, with so many events in every one of some hazards."""
    grid = TimeGrid(range(1, hazards))
    tables = [table(np.full(hazards, d), np.full(hazards, d * 20), grid, ("event",)) for d in (earlier, now)]
    prior = NormalisedPowerPrior(HazardHistory.of({"earlier": tables[0]}, GammaPrior(0.01, 0.2)))
    found = prior.posterior(tables[1])
    assert found.if_agreeing[0] == pytest.approx(found.power("earlier").mean, rel=1e-9)  # they do agree
    return found.if_agreeing[0]


@pytest.mark.parametrize("hazards", [1, 2, 5])
def test_a_flat_prior_does_not_reach_1_however_much_agrees(hazards):
    """(J + 2) / (J + 4) at most, 0.6 for one hazard, and a half where there is much more earlier data than now."""
    assert reached(1e5, 1e9, hazards) == pytest.approx((hazards + 2) / (hazards + 4), abs=2e-3)
    assert reached(1e9, 1e4, hazards) == pytest.approx(0.5, abs=2e-3)
    equal = integrate.quad(lambda a: a * (a / (1 + a)) ** (hazards / 2), 0, 1)[0]
    equal /= integrate.quad(lambda a: (a / (1 + a)) ** (hazards / 2), 0, 1)[0]
    assert reached(1e6, 1e6, hazards) == pytest.approx(equal, abs=2e-3)
    assert 0.5 < equal < (hazards + 2) / (hazards + 4)


def test_if_agreeing_of_a_rate_and_of_a_cell_that_was_not_seen():
    rate = NormalisedPowerPrior(ResponseHistory.of({"a": (60, 100)})).posterior((10, 100))
    agrees = NormalisedPowerPrior(ResponseHistory.of({"a": (60, 100)})).posterior((60, 100))
    assert rate.if_agreeing[0] == pytest.approx(agrees.power("a").mean, rel=1e-12)
    assert rate.power("a").mean < 0.2 < rate.if_agreeing[0]
    short = table([12, 9, 0, 2, 0, 0], [300, 240, 0])
    found = HazardHistory.of({"short": short}, PRIOR).agreeing(np.stack([NOW.events.ravel(), NOW.cell_exposure.ravel()]))
    np.testing.assert_allclose(found[0], [12 / 300 * 160, 9 / 240 * 120, 9, 2 / 300 * 160, 0, 1])


# ---- draws, and the PyMC model

def test_draws_have_the_moments_of_the_mixture():
    posterior = NormalisedPowerPrior(HazardHistory.of(TWO, PRIOR)).posterior(NOW)
    drawn = posterior.sample(20_000, rng=np.random.default_rng(1))
    assert drawn["log_hazard"].shape == (20_000, 1, 2, 3)
    hazard = np.exp(drawn["log_hazard"]).reshape(20_000, -1)
    for index, cell in enumerate(posterior.cells):
        assert abs(hazard[:, index].mean() - cell.mean) < 4 * cell.sd / np.sqrt(20_000)
    for index, margin in enumerate(posterior.margins):
        assert abs(drawn["power"][:, index].mean() - margin.mean) < 4 * margin.sd / np.sqrt(20_000)
    rate = NormalisedPowerPrior(ResponseHistory.of({"a": (60, 100)})).posterior((50, 90))
    draws = rate.sample(20_000, rng=np.random.default_rng(2))["rate"]
    assert abs(draws.mean() - rate.cells[0].mean) < 4 * rate.cells[0].sd / np.sqrt(20_000)


def test_the_model_is_its_numpy_twin_and_refits_to_other_data():
    """Powers' priors, hazards given them and events add up to the definition's log density, constants and all."""
    prior = NormalisedPowerPrior(HazardHistory.of(TWO, PRIOR), {"first": BetaPower(2, 1), "second": BetaPower(0.5, 3)})
    model = power_prior_model(prior, NOW)
    other = NormalisedPowerPrior(HazardHistory.of({"first": SECOND, "second": NOW}, PRIOR), prior.power)
    rng, densities = np.random.default_rng(3), Densities(model)
    power, log_hazard = rng.uniform(size=(6, 2)), rng.normal(-3, 1.5, size=(6, 6))
    for given, now in ((prior, NOW), (other, FIRST)):
        with model:
            for name, values in power_prior_data(given, now).items():
                model.set_data(name, values)
        found = densities({"power": power, "log_hazard_cell": log_hazard})
        total = sum(term.reshape(6, -1).sum(axis=1) for term in found.values())
        np.testing.assert_allclose(total, given.log_density(power, log_hazard, now), rtol=1e-10)
        wrong = given.log_density(power, log_hazard, now) + given.history.log_constant(power)  # without log C
        assert np.abs(total - wrong).min() > 1


def test_the_models_change_of_variables_is_exact():
    """The log density of the sampler's variables less the Jacobian by finite differences is that of the log hazards."""
    prior = NormalisedPowerPrior(HazardHistory.of({"earlier": one_hazard((14, 300))[0]}, PRIOR))
    (now,) = one_hazard((5, 90))
    model = power_prior_model(prior, now)
    function = model.compile_fn([model.logp(), model.logp(jacobian=False), *model.replace_rvs_by_values([model["log_hazard_cell"]])],
                                inputs=model.value_vars, mode="FAST_COMPILE")  # fmt: skip
    point = {"power_logodds__": np.array([0.3]), "log_hazard_cell_scaled__": np.array([0.7])}
    ahead = {**point, "log_hazard_cell_scaled__": np.array([0.7 + 1e-6])}
    (total, plain, here), there = function(point), function(ahead)[2]
    share = 1 / (1 + np.exp(-0.3))
    assert total - plain == pytest.approx(np.log((there - here) / 1e-6)[0] + np.log(share * (1 - share)), abs=1e-6)


def test_prior_draws_of_the_model_are_those_of_numpy():
    import pymc as pm

    prior = NormalisedPowerPrior(HazardHistory.of(TWO, replace(PRIOR, shape=2.0)), BetaPower(2, 3))
    model = power_prior_model(prior, NOW)
    with model:
        ours = pm.draw([model["power"], model["log_hazard"]], draws=4000, random_seed=1, mode="FAST_COMPILE")
    twin = sample_prior(prior, 4000, rng=np.random.default_rng(2))
    for mine, theirs in zip(ours, (twin["power"], twin["log_hazard"]), strict=True):
        error = np.sqrt((mine.var(axis=0) + theirs.var(axis=0)) / 4000)
        assert np.abs((mine.mean(axis=0) - theirs.mean(axis=0)) / error).max() < 4.5
        assert np.abs(np.log(mine.std(axis=0) / theirs.std(axis=0))).max() < 0.16
    exact = prior.posterior()  # the mixture over the powers is the same prior
    for index, cell in enumerate(exact.cells):
        drawn = np.exp(twin["log_hazard"].reshape(4000, -1)[:, index])
        assert abs(drawn.mean() - cell.mean) < 4.5 * cell.sd / np.sqrt(4000)
