"""Sequential boundaries against integrals, simulation and each other; inference after stopping; conditional power."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from smm_bayes.design import (
    GroupSequential,
    SequentialResult,
    Spending,
    as_observed,
    conditional_power,
    conditional_power_spread,
    crossing_probabilities,
    haybittle_peto,
    predictive_power,
    spending_design,
    wang_tsiatis,
)
from smm_bayes.design import recursion as scheme
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures import NormalMixture

LOOKS, LOWER, UPPER = [0.3, 0.45, 1.0], [-0.5, 0.2, 1.9], [3.0, 2.6, 1.9]
HSD = Spending("hwang-shih-decani", -2.0)
SPENDINGS = [Spending(), Spending("pocock"), HSD, Spending("hwang-shih-decani", 0.0), Spending("kim-demets", 3.0)]
FUTILE = spending_design([0.4, 0.7, 1.0], beta=0.1, futility=HSD)


def test_the_recursion_is_the_integral():
    """Crossing at the third look after staying inside twice, as an iterated integral of increments."""
    theta, (i1, i2, i3) = 2.0, LOOKS

    def inside(s2, s1):
        steps = [(s1, i1), (s2 - s1, i2 - i1)]
        density = math.prod(stats.norm.pdf(s, theta * i, math.sqrt(i)) for s, i in steps)
        return density * stats.norm.sf(UPPER[2] * math.sqrt(i3) - s2, theta * (i3 - i2), math.sqrt(i3 - i2))

    area = integrate.dblquad(inside, LOWER[0] * i1**0.5, UPPER[0] * i1**0.5, LOWER[1] * i2**0.5, UPPER[1] * i2**0.5,
                             epsabs=1e-11, epsrel=1e-11)[0]  # fmt: skip
    assert crossing_probabilities(LOOKS, LOWER, UPPER, theta).upper[2] == pytest.approx(area, abs=1e-10)


def test_the_recursion_is_the_multivariate_normal():
    theta, looks = 1.5, np.array([0.2, 0.5, 0.6, 1.0])
    lower, upper = np.array([-1.0, 0.0, 0.5, 2.0]), np.array([3.5, 2.8, 2.4, 2.0])
    found = crossing_probabilities(looks, lower, upper, theta)
    covariance = np.sqrt(np.minimum.outer(looks, looks) / np.maximum.outer(looks, looks))
    for k in range(1, 4):
        law = stats.multivariate_normal(theta * np.sqrt(looks[: k + 1]), covariance[: k + 1, : k + 1], maxpts=4_000_000,
                                        abseps=1e-9, releps=1e-9)  # fmt: skip
        start, end = lower[: k + 1].copy(), upper[: k + 1].copy()
        start[k], end[k] = upper[k], np.inf
        assert found.upper[k] == pytest.approx(float(law.cdf(end, lower_limit=start)), abs=2e-8 if k < 3 else 1e-6)


def test_finer_panels_change_nothing(monkeypatch):
    effects = np.array([-3.0, 0.0, 2.5, 9.0])
    before = crossing_probabilities(LOOKS, LOWER, UPPER, effects)
    monkeypatch.setattr(scheme, "WIDEST", 0.8)
    monkeypatch.setattr(scheme, "REACH", 11.0)
    after = crossing_probabilities(LOOKS, LOWER, UPPER, effects)
    assert np.abs(before.upper - after.upper).max() < 1e-13
    assert np.abs(before.lower - after.lower).max() < 1e-13


def test_all_trials_end_somewhere_whatever_the_effect():
    effects = np.linspace(-60, 60, 41)
    found = crossing_probabilities(LOOKS, LOWER, UPPER, effects)
    assert (found.upper + found.lower).sum(axis=-1) == pytest.approx(np.ones(41), abs=1e-12)
    one_by_one = [crossing_probabilities(LOOKS, LOWER, UPPER, effect).upper for effect in effects]
    assert np.abs(found.upper - one_by_one).max() < 1e-14


def test_looks_close_to_each_other_are_still_integrated():
    """With a third look in between that nobody stops at, the others are as without it."""
    alone = crossing_probabilities([0.5, 1.0], [-1, 2], [2.5, 2])
    found = crossing_probabilities([0.5, 0.505, 1.0], [-1, -np.inf, 2], [2.5, np.inf, 2])
    assert found.upper[[0, 2]] == pytest.approx(alone.upper, abs=1e-11)


def test_simulated_trials_agree():
    rng, trials, theta = np.random.default_rng(3), 400_000, 3.0
    steps = np.diff(FUTILE.information, prepend=0.0)
    z = np.cumsum(rng.normal(theta * steps, np.sqrt(steps), (trials, 3)), axis=1) / np.sqrt(FUTILE.information)
    up, down = z >= FUTILE.upper, z < FUTILE.lower
    first = np.argmax(up | down, axis=1)
    shares = [((first == k) & up[:, k]).mean() for k in range(3)]
    exact = FUTILE.crossing(theta).upper
    assert np.all(np.abs(shares - exact) < 4 * np.sqrt(exact * (1 - exact) / trials))


@pytest.mark.parametrize("alpha", [0.001, 0.025, 0.2])
def test_the_bound_of_one_look_is_the_normal_quantile(alpha):
    z = stats.norm.isf(alpha)
    for design in (spending_design([7.0], alpha=alpha), wang_tsiatis([7.0], delta=0.5, alpha=alpha, sides=1),
                   haybittle_peto([7.0], alpha=alpha), spending_design([7.0], alpha=2 * alpha, sides=2)):  # fmt: skip
        assert design.upper == pytest.approx([z], abs=1e-12)


@pytest.mark.parametrize("spending", SPENDINGS, ids=str)
@pytest.mark.parametrize("sides", [1, 2])
def test_errors_are_spent_as_the_function_says(spending, sides):
    looks = [0.21, 0.5, 0.9, 1.0]
    design = spending_design(looks, alpha=0.05, spending=spending, sides=sides)
    spent = np.cumsum(design.crossing(0.0).upper)
    assert spent == pytest.approx(spending(looks, 0.05 / sides), abs=1e-13)
    assert design.type_one_error() == pytest.approx(0.05, abs=1e-12)
    assert spending([0.0, 1.0, 3.0], 0.05) == pytest.approx([0, 0.05, 0.05], abs=1e-15)


def test_information_in_other_units_gives_the_same_bounds():
    events = spending_design([50.0, 80.0, 110.0])
    assert events.upper == pytest.approx(spending_design(np.array([50.0, 80.0, 110.0]) / 110).upper, abs=1e-12)
    assert events.effect_for_power(0.9) * math.sqrt(110) == pytest.approx(
        spending_design(np.array([50.0, 80.0, 110.0]) / 110).effect_for_power(0.9), abs=1e-10)  # fmt: skip


@pytest.mark.parametrize("binding", [False, True])
def test_futility_bounds_spend_beta_at_the_effect_of_the_power(binding):
    looks = [0.4, 0.7, 1.0]
    design = spending_design(looks, beta=0.1, futility=HSD, binding=binding)
    effect = design.effect_for_power(0.9)
    assert np.cumsum(design.crossing(effect).lower) == pytest.approx(HSD(looks, 0.1), abs=1e-10)
    assert design.type_one_error() == pytest.approx(0.025, abs=1e-12)
    obeyed = design.power(0.0)
    assert obeyed == pytest.approx(0.025, abs=1e-12) if binding else obeyed < 0.0245


def test_binding_futility_asks_for_less_of_the_upper_bound():
    free, bound = (spending_design([0.4, 0.7, 1.0], beta=0.1, futility=HSD, binding=binding) for binding in (False, True))
    assert bound.upper[-1] < free.upper[-1]
    assert free.upper == pytest.approx(spending_design([0.4, 0.7, 1.0]).upper, abs=1e-12)
    assert bound.inflation(0.9) < free.inflation(0.9)


def test_expected_information_is_the_mean_over_where_trials_end():
    found = FUTILE.crossing(2.0)
    mean = (found.upper + found.lower) @ np.array(FUTILE.information)
    assert FUTILE.expected_information(2.0) == pytest.approx(mean, abs=1e-12)
    assert FUTILE.expected_information(np.array([0.0, 2.0])).shape == (2,)


@pytest.mark.parametrize("found", [[0.45, 0.8], [0.45, 1.2], [0.3, 0.7, 1.0]])
def test_looks_that_were_held_at_other_times_keep_the_type_one_error(found):
    """Under-running and over-running: at the last look all is spent, and what was spent before stays spent."""
    design = as_observed(found, 1.0, last=True, spending=HSD)
    assert design.type_one_error() == pytest.approx(0.025, abs=1e-12)
    assert np.cumsum(design.crossing(0.0).upper)[:-1] == pytest.approx(HSD(found[:-1], 0.025), abs=1e-13)
    before = as_observed(found[:-1], 1.0, last=False, spending=HSD)
    assert before.upper == pytest.approx(design.upper[:-1], abs=1e-12)


def test_looks_as_planned_have_the_bounds_of_the_plan():
    assert as_observed([0.5, 1.0], 1.0, last=True).upper == pytest.approx(spending_design([0.5, 1.0]).upper, abs=1e-13)


def test_the_p_value_at_a_bound_is_the_error_spent_there():
    design = spending_design([0.5, 0.8, 1.0])
    for k in range(3):
        assert SequentialResult(design, k + 1, design.upper[k]).p_value == pytest.approx(Spending()(design.information[k], 0.025), abs=1e-12)
    assert SequentialResult(design, 3, design.upper[2]).interval(0.95)[0] == pytest.approx(0, abs=1e-9)


def test_futility_that_is_not_binding_does_not_lower_the_p_value():
    """At the last bound it is the type I error as counted, though trials that stop for futility are fewer to reject."""
    assert SequentialResult(FUTILE, 3, FUTILE.upper[2]).p_value == pytest.approx(0.025, abs=1e-12)


def test_one_look_gives_the_usual_inference():
    result = SequentialResult(spending_design([4.0]), 1, 2.5)
    low, high = result.interval(0.9)
    assert result.p_value == pytest.approx(stats.norm.sf(2.5), abs=1e-13)
    assert result.median_unbiased == pytest.approx(1.25, abs=1e-10) == result.estimate
    assert (low, high) == pytest.approx((1.25 - stats.norm.ppf(0.95) / 2, 1.25 + stats.norm.ppf(0.95) / 2), abs=1e-10)


def test_the_probability_of_as_much_or_more_is_uniform_where_trials_end():
    """So intervals hold their level at any effect, and the median-unbiased estimate is one."""
    rng, theta, trials = np.random.default_rng(8), 1.7, 2500
    design = spending_design([0.4, 0.7, 1.0], beta=0.1, futility=HSD, binding=True)
    steps = np.diff(design.information, prepend=0.0)
    z = np.cumsum(rng.normal(theta * steps, np.sqrt(steps), (trials, 3)), axis=1) / np.sqrt(design.information)
    ends = np.argmax((z >= design.upper) | (z < design.lower), axis=1)
    found = np.array([SequentialResult(design, int(k) + 1, float(row[k])).at_least(theta) for k, row in zip(ends, z, strict=True)])
    for level in (0.025, 0.25, 0.5, 0.75, 0.975):
        assert abs((found <= level).mean() - level) < 4 * math.sqrt(level * (1 - level) / trials)


def test_stopping_early_pulls_the_median_unbiased_estimate_towards_no_effect():
    result = SequentialResult(spending_design([0.5, 1.0], spending=Spending("pocock")), 1, 2.3)
    assert 0 < result.median_unbiased == pytest.approx(result.estimate, abs=1e-9)  # nothing is more at the first look
    late = SequentialResult(spending_design([0.5, 1.0], spending=Spending("pocock")), 2, 2.3)
    assert 0 < late.median_unbiased < late.estimate


def test_two_sided_results_mirror_each_other():
    design = spending_design([0.5, 1.0], alpha=0.05, sides=2)
    up, down = SequentialResult(design, 2, 2.2), SequentialResult(design, 2, -2.2)
    assert up.success
    assert down.success
    assert up.p_value == pytest.approx(down.p_value, abs=1e-12)
    assert up.median_unbiased == pytest.approx(-down.median_unbiased, abs=1e-9)
    assert up.interval() == pytest.approx([-x for x in reversed(down.interval())], abs=1e-9)


def test_a_repeated_interval_excludes_no_effect_where_a_bound_is_crossed():
    design = spending_design([0.5, 1.0])
    assert design.repeated_interval(1, design.upper[0])[0] == 0
    assert design.repeated_interval(2, 1.0) == pytest.approx((1 - design.upper[1], 1 + design.upper[1]))


def test_conditional_power_averages_to_power():
    """Over what the first look may show, whether it stops there or goes on."""
    theta, root = 2.4, math.sqrt(FUTILE.information[0])

    def there(z):
        return conditional_power(FUTILE, look=1, z=z, theta=theta) * stats.norm.pdf(z, theta * root)

    later = integrate.quad(there, FUTILE.lower[0], FUTILE.upper[0], epsabs=1e-11)[0]
    assert FUTILE.crossing(theta).upper[0] + later == pytest.approx(FUTILE.power(theta), abs=1e-9)
    assert conditional_power(FUTILE, look=0, z=0, theta=theta) == pytest.approx(FUTILE.power(theta), abs=1e-13)


def test_predictive_power_in_closed_form_with_one_look_to_come():
    design, z = spending_design([0.5, 1.0]), 1.3
    prior = NormalMixture([0.4, 0.6], [0.0, 2.5], [0.7, 1.2])
    belief = prior.update(z / math.sqrt(0.5), 1 / math.sqrt(0.5))
    mean, sd = belief.parameters["mean"], belief.parameters["sd"]
    short = design.upper[1] - z * math.sqrt(0.5) - 0.5 * mean
    closed = belief.weights @ stats.norm.sf(short / np.sqrt(0.5 + (0.5 * sd) ** 2))
    assert predictive_power(design, look=1, z=z, prior=prior) == pytest.approx(closed, abs=1e-11)
    assert predictive_power(design, look=1, z=z, belief=belief) == pytest.approx(closed, abs=1e-11)


@pytest.mark.parametrize("sd", [1e-6, 1e-2, 1.0, 1e3, 1e8])
@pytest.mark.parametrize("mean", [-3.0, 0.7, 40.0])
def test_assurance_in_closed_form_however_wide_the_prior(mean, sd):
    design = spending_design([1.0])
    closed = stats.norm.sf((design.upper[0] - mean) / math.hypot(1, sd))
    found = predictive_power(design, look=0, z=0, prior=NormalMixture([1.0], [mean], [sd]))
    assert found == pytest.approx(closed, abs=1e-11)


def test_predictive_power_is_the_mean_of_conditional_power_over_draws():
    rng, draws = np.random.default_rng(2), 200_000
    theta = rng.normal(1.2 / math.sqrt(0.4), 1 / math.sqrt(0.4), draws)
    found = conditional_power(FUTILE, look=1, z=1.2, theta=theta)
    assert abs(found.mean() - predictive_power(FUTILE, look=1, z=1.2)) < 4 * found.std() / math.sqrt(draws)


def test_assurance_is_the_mean_of_what_will_be_predicted():
    prior, root = NormalMixture([1.0], [2.0], [1.0]), math.sqrt(FUTILE.information[0])
    spread = math.sqrt(1 + FUTILE.information[0])

    def there(z):
        return predictive_power(FUTILE, look=1, z=z, prior=prior) * stats.norm.pdf(z, 2.0 * root, spread)

    later = integrate.quad(there, FUTILE.lower[0], FUTILE.upper[0], epsabs=1e-9)[0]
    first = stats.norm.sf(FUTILE.upper[0], 2.0 * root, spread)
    assert predictive_power(FUTILE, look=0, z=0, prior=prior) == pytest.approx(first + later, abs=1e-8)


def test_quantiles_of_conditional_power_are_those_of_draws():
    spread = conditional_power_spread(FUTILE, look=2, z=1.6, levels=(0.1, 0.5, 0.9))
    rng = np.random.default_rng(4)
    theta = rng.normal(1.6 / math.sqrt(0.7), 1 / math.sqrt(0.7), 400_000)
    draws = conditional_power(FUTILE, look=2, z=1.6, theta=theta)
    for level, quantile in zip(spread.levels, spread.quantiles, strict=True):
        assert abs((draws <= quantile).mean() - level) < 4 * math.sqrt(level * (1 - level) / 400_000)
    assert spread.quantiles[1] == pytest.approx(spread.at_estimate, abs=1e-9)
    assert abs(draws.mean() - spread.mean) < 4 * draws.std() / math.sqrt(400_000)


def test_unadjusted_haybittle_peto_spends_a_little_more():
    plain = haybittle_peto([0.5, 1.0], adjusted=False)
    assert plain.upper == pytest.approx([3, stats.norm.isf(0.025)])
    both = stats.multivariate_normal([0, 0], [[1, math.sqrt(0.5)], [math.sqrt(0.5), 1]]).cdf(plain.upper)
    assert plain.type_one_error() == pytest.approx(1 - both, abs=1e-7)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: spending_design([0.5, 0.4]), "increase from look to look"),
    (lambda: spending_design([0.5, 0.5001]), "by more than 0.1%"),
    (lambda: spending_design([]), "information must be finite"),
    (lambda: spending_design([math.nan, 1]), "information must be finite"),
    (lambda: spending_design([0.5, 1], alpha=0), "alpha must be above 0 and below 0.5; got 0"),
    (lambda: spending_design([0.5, 1], alpha=math.nan), "alpha must be above 0"),
    (lambda: spending_design([0.5, 1], sides=3), "sides must be 1 or 2"),
    (lambda: spending_design([0.5, 1], beta=0.1), "futility needs both beta"),
    (lambda: spending_design([0.5, 1], beta=0.7, futility=HSD), "beta must be above 0 and below 0.5"),
    (lambda: spending_design([0.5, 1], sides=2, beta=0.1, futility=HSD), "two-sided design has no futility"),
    (lambda: spending_design([0.5, 1], spent_at=[0.5]), "one increasing fraction for each look"),
    (lambda: as_observed([0.5, 1.0], 1.0, last=False), "leaves nothing to be spent"),
    (lambda: as_observed([0.5, 1.0], 1.0, last=True, beta=0.1, futility=HSD), "needs theta"),
    (lambda: as_observed([0.5], -1.0, last=True), "planned information must be"),
    (lambda: haybittle_peto([0.5, 1.0], bound=1.5), "spend more than alpha"),
    (lambda: GroupSequential((0.5, 1), (2, 2), (-1, 1)), "give it the same lower and upper bound"),
    (lambda: GroupSequential((0.5, 1), (2, 2), (-2, -1), 2), "minus its upper ones"),
    (lambda: GroupSequential((0.5, 1), (2, 2), (3, 2)), "must not be above"),
    (lambda: GroupSequential((0.5, 1), (2, 2), (2,)), "for each look"),
    (lambda: FUTILE.repeated_interval(0, 1.0), "look must be from 1 to 3"),
    (lambda: FUTILE.effect_for_power(0.01), "power must be above the type I error"),
    (lambda: SequentialResult(FUTILE, 4, 2.0), "look must be a whole number from 1 to 3"),
    (lambda: SequentialResult(FUTILE, 1, 1.0), "the trial goes on"),
    (lambda: SequentialResult(FUTILE, 3, math.inf), "z must be a finite number"),
    (lambda: SequentialResult(FUTILE, 3, 2.0).interval(2), "probability must be between 0 and 1"),
    (lambda: conditional_power(FUTILE, look=3, z=1, theta=0), "with a look after it"),
    (lambda: conditional_power(FUTILE, look=1, z=math.nan, theta=0), "z must be a finite number"),
    (lambda: predictive_power(FUTILE, look=0, z=0), "a prior is needed"),
    (lambda: Spending("pocok"), "did you mean 'pocock'"),
    (lambda: Spending("pocock", 1.0), "has no parameter"),
    (lambda: Spending("kim-demets", -1.0), "rho above 0"),
    (lambda: Spending("hwang-shih-decani"), "needs its parameter gamma"),
])  # fmt: skip
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(SpecificationError, match=message):
        call()


def test_a_design_says_what_it_is():
    assert repr(FUTILE).startswith("GroupSequential (one-sided, non-binding futility): information 0.4, 0.7, 1; upper 3.")
    assert repr(spending_design([1.0])) == "GroupSequential (one-sided): information 1; upper 1.96"
