"""Decisions: exact probabilities of differences, enumeration, averages that must agree, wrong versions that must not."""

import itertools
import time

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit, logit

from smm_bayes.priors.mixtures import BetaMixture, GammaMixture, NormalMixture
from smm_bayes.response.exact import (
    BinaryArm,
    NormalArm,
    OneSampleDesign,
    OneSampleRule,
    PoissonArm,
    TrialEffects,
    TwoSampleDesign,
    TwoSampleRule,
    above,
    below,
    effects_given_sd,
    exchangeable_effects,
    joint_probability_of_success,
    probability_of_difference,
)
from smm_bayes.response.exact.difference import table_of_differences
from smm_bayes.response.exact.posteriors import Posteriors

UNIFORM = BetaMixture([1], [1], [1])
ROBUST = BetaMixture([0.8, 0.2], [4, 1], [16, 1])
RATES = GammaMixture([0.7, 0.3], [6, 0.5], [60, 2])
MEANS = NormalMixture([0.6, 0.4], [0.1, 0], [0.15, 2])
LAWS = {BetaMixture: stats.beta, NormalMixture: stats.norm, GammaMixture: lambda shape, rate: stats.gamma(shape, scale=1 / rate)}
TAILS = (1e-12, 1e-9, 1e-6, 1e-4, 1e-3)


def integral(function, mixture):
    """Second route to an expectation: SciPy's adaptive quadrature over the probability scale of each component."""
    total = 0.0
    for k, weight in enumerate(mixture.weights):
        one = LAWS[type(mixture)](*(values[k] for values in mixture.parameters.values()))
        cuts = [0, *TAILS, 0.01, 0.1, 0.5, 0.9, 0.99, *(1 - t for t in reversed(TAILS)), 1]
        total += weight * sum(quad(lambda p, one=one: float(function(float(one.ppf(p)))), a, b, epsabs=1e-13,
                                   epsrel=1e-12, limit=200)[0] for a, b in itertools.pairwise(cuts))  # fmt: skip
    return total


# ---- probability of a difference


@pytest.mark.parametrize("threshold", [-1.0, -0.7, 0.0, 0.3, 0.95, 1.0, 1.5])
def test_difference_of_two_uniform_rates(threshold):
    t = np.clip(threshold, -1, 1)
    exact = (1 - t) ** 2 / 2 if t >= 0 else 1 - (1 + t) ** 2 / 2
    assert probability_of_difference(UNIFORM, UNIFORM, threshold) == pytest.approx(exact, abs=1e-13)


@pytest.mark.parametrize("ratio", [0.05, 0.5, 1.0, 2.0, 30.0])
def test_ratios_of_two_uniform_rates(ratio):
    exact = 1 / (2 * ratio) if ratio >= 1 else 1 - ratio / 2
    assert probability_of_difference(UNIFORM, UNIFORM, np.log(ratio), link="log") == pytest.approx(exact, abs=1e-13)
    odds = 0.5 if ratio == 1 else ratio / (ratio - 1) ** 2 * (np.log(ratio) - 1 + 1 / ratio)
    odds = probability_of_difference(UNIFORM, UNIFORM, np.log(ratio), link="logit") - odds
    assert odds == pytest.approx(0, abs=1e-13)


@pytest.mark.parametrize("shapes", [(0.01, 0.02), (0.5, 3), (40, 700), (1e4, 1.2e4)])
@pytest.mark.parametrize("ratio", [0.8, 1.0, 3.0])
def test_ratio_of_two_gammas_is_an_f_distribution(shapes, ratio):
    e, c = GammaMixture([1], [shapes[0]], [2]), GammaMixture([1], [shapes[1]], [3])
    exact = stats.f.sf(ratio * 2 / shapes[0] / (3 / shapes[1]), 2 * shapes[0], 2 * shapes[1])
    # the logarithm of the gamma function of 1e4 has eleven decimals
    assert probability_of_difference(e, c, np.log(ratio), link="log") == pytest.approx(exact, abs=5e-11)


@pytest.mark.parametrize(
    ("e", "c"),
    [((0.5, 0.5), (0.5, 0.5)), ((0.05, 3), (2, 0.1)), ((101, 0.5), (99, 2)), ((4000, 16000), (1, 30)), ((3, 40), (900, 300))],
)
@pytest.mark.parametrize(("link", "threshold"), [("identity", -0.15), ("identity", 0.0), ("identity", 0.2), ("log", 0.4),
                                                 ("log", -1.0), ("logit", 0.7)])  # fmt: skip
def test_difference_of_two_betas(e, c, link, threshold):
    e, c = (BetaMixture([1], [a], [b]) for a, b in (e, c))

    def beyond(theta):
        with np.errstate(divide="ignore"):
            moved = {"identity": theta + threshold, "log": theta * np.exp(threshold),
                     "logit": expit(logit(theta) + threshold)}[link]  # fmt: skip
        return stats.beta.sf(moved, e.parameters["a"][0], e.parameters["b"][0])

    found = probability_of_difference(e, c, threshold, link=link)
    assert found == pytest.approx(integral(beyond, c), abs=2e-8)  # quad meets steps and poles here


@pytest.mark.parametrize(("link", "threshold"), [("identity", -0.05), ("identity", 0.08), ("log", 0.4)])
def test_difference_of_two_gamma_mixtures(link, threshold):
    other = GammaMixture([0.5, 0.5], [3, 30], [20, 400])
    found = probability_of_difference(RATES, other, threshold, link=link)
    exact = integral(lambda x: RATES.sf(x + threshold if link == "identity" else x * np.exp(threshold)), other)
    assert found == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("threshold", [-0.4, 0.0, 0.3])
def test_difference_of_two_normal_mixtures(threshold):
    other = NormalMixture([0.3, 0.7], [-0.2, 0.2], [0.1, 0.5])
    found = probability_of_difference(MEANS, other, threshold)
    assert found == pytest.approx(integral(lambda x: MEANS.sf(x + threshold), other), abs=1e-10)


@pytest.mark.parametrize(("e", "c", "links"), [(ROBUST, BetaMixture([1], [2], [3]), ("identity", "log", "logit")),
                                               (RATES, GammaMixture([1], [3], [20]), ("identity", "log")),
                                               (MEANS, NormalMixture([1], [0.3], [1]), ("identity",))])  # fmt: skip
def test_differences_turned_round(e, c, links):
    for link in links:
        for t in (-0.1, 0.0, 0.07):
            both = probability_of_difference(e, c, t, link=link) + probability_of_difference(c, e, -t, link=link)
            assert both == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("arms", "links"), [((BinaryArm(ROBUST, 30), BinaryArm(UNIFORM, 25)), ("identity", "log", "logit")),
                                             ((PoissonArm(RATES, 50), PoissonArm(RATES, 30)), ("identity", "log"))])  # fmt: skip
def test_counts_one_by_one_are_the_table(arms, links):
    e, c = (arm.posteriors(np.arange(26), consecutive=True) for arm in arms)
    direct = Posteriors(e.family, e.weights, e.first, e.second)
    for link, t in itertools.product(links, (-0.1, 0.0, 0.05)):
        np.testing.assert_allclose(table_of_differences(e, c, t, link), table_of_differences(direct, c, t, link), atol=1e-12)


# ---- boundaries

ONE = [
    OneSampleDesign(OneSampleRule(above(0.2, 0.9)), BinaryArm(ROBUST, 31)),
    OneSampleDesign(OneSampleRule(above(0.1, 0.8), below(0.3, 0.6)), BinaryArm(ROBUST, 31)),
    OneSampleDesign(OneSampleRule(above(0.2, 0.9), below(0.5, 0.6)), PoissonArm(RATES, 70)),
    OneSampleDesign(OneSampleRule(below(0.1, 0.9)), PoissonArm(RATES, 70)),
]


@pytest.mark.parametrize("design", ONE, ids=str)
def test_one_sample_boundary_is_the_rule_at_every_count(design):
    size = design.arm.patients if isinstance(design.arm, BinaryArm) else design.arm.exposure
    counts = range(32 if isinstance(design.arm, BinaryArm) else 100)
    rule = [design.rule(design.arm.prior.update(y, size)) for y in counts]
    assert rule == [y in design.boundary for y in counts]
    assert True in rule
    assert False in rule


@pytest.mark.parametrize("rule", [OneSampleRule(above(0.05, 0.9)), OneSampleRule(above(0.05, 0.7), below(0.4, 0.8))])
@pytest.mark.parametrize("prior", [MEANS, NormalMixture([1], [0], [1])])
def test_normal_boundary_is_where_the_rule_turns(rule, prior):
    design = OneSampleDesign(rule, NormalArm(prior, 0.2))
    for bound, inward in ((design.boundary.lowest, 1), (design.boundary.highest, -1)):
        if np.isfinite(bound):
            assert rule(prior.update(float(bound) + inward * 1e-7, 0.2))
            assert not rule(prior.update(float(bound) - inward * 1e-7, 0.2))


TWO = [
    TwoSampleDesign(TwoSampleRule(above(0, 0.9)), BinaryArm(UNIFORM, 14), BinaryArm(ROBUST, 11)),
    TwoSampleDesign(TwoSampleRule(above(0, 0.9), above(0.7, 0.5), link="logit"), BinaryArm(ROBUST, 14), BinaryArm(UNIFORM, 11)),
    TwoSampleDesign(TwoSampleRule(above(0, 0.6), below(0.5, 0.7), link="log"), BinaryArm(UNIFORM, 14), BinaryArm(ROBUST, 11)),
    TwoSampleDesign(TwoSampleRule(below(-0.05, 0.7)), PoissonArm(RATES, 30), PoissonArm(RATES, 20)),
    TwoSampleDesign(TwoSampleRule(above(0.2, 0.6), link="log"), PoissonArm(RATES, 30), PoissonArm(RATES, 20)),
]
SIZES = [(14, 11)] * 3 + [(30, 20)] * 2


@pytest.mark.parametrize(("design", "size"), list(zip(TWO, SIZES, strict=True)), ids=lambda x: str(getattr(x, "rule", "")))
def test_two_sample_boundary_is_the_rule_at_every_pair(design, size):
    binary = isinstance(design.control, BinaryArm)
    first, second = (range(15), range(12)) if binary else (range(0, 40, 3), range(0, 20, 4))
    seen = set()
    for e, c in itertools.product(first, second):
        found = design.rule(design.experimental.prior.update(e, size[0]), design.control.prior.update(c, size[1]))
        assert found == (e in design.boundary(c)), (e, c)
        seen.add(found)
    assert seen == {True, False}


@pytest.mark.parametrize("design", TWO, ids=lambda d: str(d.rule))
def test_boundary_rises_with_the_control_outcome(design):
    region = design.boundary(np.arange(12))
    some = region.lowest <= region.highest
    assert some.sum() > 5
    for bound in (region.lowest[some], region.highest[some]):
        assert np.all(bound[1:] >= bound[:-1])
    assert np.any(region.lowest[some][1:] > region.lowest[some][:-1]) or np.any(
        region.highest[some][1:] > region.highest[some][:-1])  # fmt: skip


def test_normal_boundary_rises_with_the_control_outcome():
    design = TwoSampleDesign(TwoSampleRule(above(0.0, 0.9), above(0.2, 0.5)), NormalArm(MEANS, 0.2), NormalArm(MEANS, 0.3))
    y = np.linspace(-1, 1, 41)
    lowest = design.boundary(y).lowest
    assert np.all(np.diff(lowest) > 0)
    for control, bound in zip(y[::8], lowest[::8], strict=True):
        e = [MEANS.update(bound + step, 0.2) for step in (1e-7, -1e-7)]
        assert [design.rule(p, MEANS.update(control, 0.3)) for p in e] == [True, False]


def test_a_tie_is_no_success():
    # equal priors and sizes: equal counts have probability 1/2 exactly, which is not above 1/2
    design = TwoSampleDesign(TwoSampleRule(above(0, 0.5)), BinaryArm(UNIFORM, 40), BinaryArm(UNIFORM, 40))
    np.testing.assert_array_equal(design.boundary(np.arange(40)).lowest, np.arange(1, 41))
    one = OneSampleDesign(OneSampleRule(above(0.5, 0.5)), BinaryArm(UNIFORM, 40))
    assert float(one.boundary.lowest) == 21


# ---- operating characteristics


@pytest.mark.parametrize("design", ONE, ids=str)
def test_one_sample_is_enumeration(design):
    for theta in (0.0, 0.05, 0.2, 0.45):
        size = design.arm.patients if isinstance(design.arm, BinaryArm) else design.arm.exposure
        law = stats.binom(31, theta) if isinstance(design.arm, BinaryArm) else stats.poisson(theta * size)
        counts = range(32 if isinstance(design.arm, BinaryArm) else 120)
        exact = sum(law.pmf(y) for y in counts if design.rule(design.arm.prior.update(y, size)))
        assert float(design.operating_characteristics(theta)) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("design", TWO[:3], ids=lambda d: str(d.rule))
def test_two_binary_samples_are_enumeration(design):
    success = np.array([[design.rule(design.experimental.prior.update(e, 14), design.control.prior.update(c, 11))
                         for c in range(12)] for e in range(15)])  # fmt: skip
    for e, c in ((0.1, 0.1), (0.5, 0.2), (0.9, 0.99), (1.0, 0.0)):
        p, q = stats.binom(14, e).pmf(np.arange(15)), stats.binom(11, c).pmf(np.arange(12))
        assert float(design.operating_characteristics(e, c)) == pytest.approx(p @ success @ q, abs=1e-12)
    p, q = stats.binom(14, 0.5).pmf(np.arange(15)), stats.binom(11, 0.2).pmf(np.arange(12))
    assert abs(p[1:] @ success[:-1] @ q - p @ success @ q) > 1e-3  # a boundary one count away would show


def binary(rng, arm, theta, draws):
    return rng.binomial(arm.patients, theta, draws)


def poisson(rng, arm, theta, draws):
    return rng.poisson(theta * arm.exposure, draws)


def normal(rng, arm, theta, draws):
    return rng.normal(theta, arm.standard_error, draws)


NORMAL_TWO = TwoSampleDesign(TwoSampleRule(above(0, 0.9), above(0.2, 0.5)), NormalArm(MEANS, 0.2), NormalArm(MEANS, 0.3))


@pytest.mark.parametrize(
    ("design", "simulate", "theta"),
    [(TWO[1], binary, (0.45, 0.2)), (TWO[3], poisson, (0.08, 0.3)), (NORMAL_TWO, normal, (0.35, 0.05))],
    ids=["binary", "poisson", "normal"],
)
def test_two_samples_are_simulation(design, simulate, theta):
    rng, draws = np.random.default_rng(11), 400
    arms = design.experimental, design.control
    outcomes = [simulate(rng, arm, t, draws) for arm, t in zip(arms, theta, strict=True)]
    size = [getattr(arm, "patients", None) or getattr(arm, "exposure", None) or arm.standard_error for arm in arms]
    success = np.mean([design.rule(arms[0].prior.update(e, size[0]), arms[1].prior.update(c, size[1]))
                       for e, c in zip(*outcomes, strict=True)])  # fmt: skip
    exact = float(design.operating_characteristics(*theta))
    assert 0.1 < exact < 0.9
    assert success == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / draws))


def test_two_normal_samples_by_another_root_and_sum():
    rule, level = NORMAL_TWO.rule, np.array([0.9, 0.5])

    def turns(control):
        posterior = MEANS.update(control, 0.3)
        return brentq(lambda y: (rule.probabilities(MEANS.update(y, 0.2), posterior) - level).min(), -9, 9, xtol=1e-10)

    y = np.linspace(0.05 - 2.1, 0.05 + 2.1, 421)
    success = stats.norm.sf([turns(control) for control in y], 0.35, 0.2)
    exact = (stats.norm.pdf(y, 0.05, 0.3) * success).sum() * (y[1] - y[0])
    # the criteria change places, a kink in the sum over steps of 0.01
    assert float(NORMAL_TWO.operating_characteristics(0.35, 0.05)) == pytest.approx(exact, abs=2e-6)


@pytest.mark.parametrize("link", ["identity", "logit"])
def test_two_criteria_are_never_easier_than_one(link):
    grid = np.linspace(0.05, 0.95, 10)
    first, second = above(0, 0.95), above(0.15, 0.5)

    def power(*criteria):
        design = TwoSampleDesign(TwoSampleRule(*criteria, link=link), BinaryArm(UNIFORM, 25), BinaryArm(ROBUST, 20))
        return design.operating_characteristics(grid[:, None], grid)

    both, each = power(first, second), np.minimum(power(first), power(second))
    assert both.shape == (10, 10)
    assert np.all(both <= each + 1e-14)
    assert np.all(np.diff(both, axis=0) >= -1e-14)  # and power rises with the experimental rate
    assert np.all(np.diff(both, axis=1) <= 1e-14)


def test_two_arms_of_a_hundred_take_a_moment():
    design = TwoSampleDesign(TwoSampleRule(above(0, 0.961)), BinaryArm(UNIFORM, 100), BinaryArm(ROBUST, 100))
    start = time.perf_counter()
    design.operating_characteristics(np.linspace(0, 1, 51), np.linspace(0, 1, 51))
    assert time.perf_counter() - start < 1


# ---- arms without data


def test_control_that_is_only_its_prior():
    known = NormalMixture([1], [0.1], [0.05])
    two = TwoSampleDesign(TwoSampleRule(above(0, 0.9)), NormalArm(MEANS, 0.2), NormalArm(known, np.inf))
    lowest = float(two.boundary(0.0).lowest)
    assert two.rule(MEANS.update(lowest + 1e-7, 0.2), known)
    assert not two.rule(MEANS.update(lowest - 1e-7, 0.2), known)
    assert float(two.operating_characteristics(0.4, 0.1)) == pytest.approx(stats.norm.sf(lowest, 0.4, 0.2), abs=1e-13)
    assert two.probability_of_success() == pytest.approx(float(MEANS.predictive(0.2).sf(lowest)), abs=1e-13)
    counts = TwoSampleDesign(TwoSampleRule(above(0, 0.9)), BinaryArm(UNIFORM, 20), BinaryArm(ROBUST, 0))
    exact = sum(stats.binom.pmf(y, 20, 0.4) for y in range(21) if counts.rule(UNIFORM.update(y, 20), ROBUST))
    assert float(counts.operating_characteristics(0.4, 0.2)) == pytest.approx(exact, abs=1e-12)
    rates = TwoSampleDesign(TwoSampleRule(above(0, 0.9)), PoissonArm(RATES, 20), PoissonArm(RATES, 0))
    exact = sum(stats.poisson.pmf(y, 6) for y in range(60) if rates.rule(RATES.update(y, 20), RATES))
    assert float(rates.operating_characteristics(0.3, 0.2)) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("arm", [BinaryArm(ROBUST, 0), PoissonArm(RATES, 0), NormalArm(MEANS, np.inf)])
def test_finished_trials_are_their_rule(arm):
    for criterion, known in ((above(0.0, 0.1), True), (above(0.99, 0.9), False)):
        one = OneSampleDesign(OneSampleRule(criterion), arm)
        assert one.probability_of_success() == float(known)
        np.testing.assert_array_equal(one.operating_characteristics([0.2, 0.3]), [known, known])
        two = TwoSampleDesign(TwoSampleRule(below(-0.9, 0.99) if not known else above(-0.9, 0.5)), arm, arm)
        assert two.probability_of_success() == float(known)
        np.testing.assert_array_equal(two.operating_characteristics([0.2, 0.3], 0.2), [known, known])


def test_an_arm_runs_out():
    assert BinaryArm(ROBUST, 10).after(3, patients=10).empty
    assert PoissonArm(RATES, 10).after(3, exposure=10).empty
    assert NormalArm(MEANS, 0.1).after(3, standard_error=0.1).empty
    whole = NormalArm.of_patients(MEANS.with_sigma(2), 100)
    rest = whole.after(0.1, patients=40)
    assert rest.standard_error == pytest.approx(2 / 60**0.5, rel=1e-12)
    assert rest.after(0.3, patients=60).empty


# ---- averages


@pytest.mark.parametrize("design", ONE, ids=str)
def test_one_sample_probability_of_success_is_mean_conditional_power(design):
    for belief in (design.arm.prior, type(design.arm.prior)([1], [3], [9])):
        mean = belief.expect(design.conditional_power)
        assert design.probability_of_success(belief) == pytest.approx(float(mean), abs=1e-9)
        plugged_in = float(design.conditional_power(belief.mean))
        assert abs(plugged_in - mean) > 0.01  # the power at the mean is not the mean power


@pytest.mark.parametrize("design", [TWO[0], TWO[3], NORMAL_TWO], ids=["binary", "poisson", "normal"])
def test_two_sample_probability_of_success_is_mean_conditional_power(design):
    e = (BetaMixture([1], [5], [9]) if design is TWO[0] else GammaMixture([1], [5], [30]) if design is TWO[3]
         else NormalMixture([1], [0.4], [0.3]))  # fmt: skip
    c = type(e)([0.5, 0.5], *[np.tile(values, 2) * [1, 1.2] for values in e.parameters.values()])
    grids = []
    for mixture in (e, c):  # few nodes, over all but 1e-6 of the mass
        x, w = np.polynomial.legendre.leggauss(20)
        low, high = mixture.quantile([5e-7, 1 - 5e-7])
        theta = low + (high - low) * (x + 1) / 2
        grids.append((theta, w * (high - low) / 2 * mixture.pdf(theta)))
    (te, we), (tc, wc) = grids
    mean = we @ design.conditional_power(te[:, None], tc) @ wc
    assert design.probability_of_success(e, c) == pytest.approx(mean, abs=5e-6)


def test_average_over_binary_interims_is_assurance():
    arm, rule = BinaryArm(ROBUST, 30), OneSampleRule(above(0.2, 0.9), above(0.3, 0.5))
    truth = BetaMixture([0.5, 0.5], [3, 8], [7, 22])
    law, total = truth.predictive(12), 0.0
    for y in range(13):
        interim = OneSampleDesign(rule, arm.after(y, patients=12))
        total += float(law.pmf(y)) * interim.probability_of_success(truth.update(y, 12))
    assert total == pytest.approx(OneSampleDesign(rule, arm).assurance(truth), abs=1e-12)


def test_average_over_two_sample_interims_is_assurance():
    rule, e, c = TwoSampleRule(above(0, 0.8), link="logit"), BinaryArm(UNIFORM, 12), BinaryArm(ROBUST, 9)
    total = 0.0
    for y, z in itertools.product(range(7), range(5)):
        interim = TwoSampleDesign(rule, e.after(y, patients=6), c.after(z, patients=4))
        total += float(UNIFORM.predictive(6).pmf(y) * ROBUST.predictive(4).pmf(z)) * interim.probability_of_success()
    assert total == pytest.approx(TwoSampleDesign(rule, e, c).assurance(UNIFORM, ROBUST), abs=1e-11)


def test_average_over_poisson_interims_is_assurance():
    arm, rule = PoissonArm(RATES, 40), OneSampleRule(above(0.15, 0.8))
    total = sum(float(RATES.predictive(15).pmf(y)) * OneSampleDesign(rule, arm.after(y, exposure=15)).probability_of_success()
                for y in range(150))  # fmt: skip
    assert total == pytest.approx(OneSampleDesign(rule, arm).assurance(RATES), abs=1e-9)


def test_average_over_normal_interims_is_assurance():
    arm, rule = NormalArm(MEANS, 0.2), OneSampleRule(above(0.05, 0.9))
    theta, weights = MEANS.predictive(0.3).quadrature
    each = [OneSampleDesign(rule, arm.after(y, standard_error=0.3)).probability_of_success() for y in theta]
    assert np.array(each) @ weights == pytest.approx(OneSampleDesign(rule, arm).assurance(MEANS), abs=1e-6)


# ---- trials given each other

ESTIMATES, ERRORS = np.array([-0.4, -0.1, -0.25, 0.05]), np.array([0.5, 0.2, 0.15, 0.2])
PRIOR = {"between_trial_sd": 0.4, "mean": 0.1, "mean_sd": 1.5}


def normal_designs(trials, more=0.15):
    rule = OneSampleRule(below(0, 0.9))
    prior = NormalMixture([1], [0], [2])
    return {i: OneSampleDesign(rule, NormalArm(prior.update(ESTIMATES[i], ERRORS[i]), more)) for i in trials}


def test_joint_is_a_bivariate_normal_average():
    effects = exchangeable_effects(ESTIMATES, ERRORS, **PRIOR)
    designs = normal_designs([1, 2])
    bounds = [float(designs[i].boundary.highest) for i in (1, 2)]
    exact = 0.0
    for node in range(len(effects.weights)):
        loading = effects.loading[node, [1, 2]]
        covariance = np.outer(loading, loading) + np.diag(effects.variance[node, [1, 2]] + 0.15**2)
        exact += effects.weights[node] * stats.multivariate_normal.cdf(bounds, effects.mean[node, [1, 2]], covariance)
    joint = joint_probability_of_success(designs, effects)
    assert joint == pytest.approx(exact, abs=1e-7)
    single = [designs[i].probability_of_success(effects.of(i)) for i in (1, 2)]
    for i, one in zip((1, 2), single, strict=True):
        assert joint_probability_of_success({i: designs[i]}, effects) == pytest.approx(one, abs=1e-10)
    assert single[0] * single[1] + 0.005 < joint < min(single)  # they go together: independence would be wrong


def test_joint_of_three_is_simulation():
    effects = exchangeable_effects(ESTIMATES, ERRORS, **PRIOR)
    designs, rng, draws = normal_designs([1, 2, 3]), np.random.default_rng(5), 200_000
    node = rng.choice(len(effects.weights), draws, p=effects.weights)
    theta = effects.mean[node] + effects.loading[node] * rng.standard_normal((draws, 1)) + (
        np.sqrt(effects.variance[node]) * rng.standard_normal((draws, 4)))  # fmt: skip
    later = theta + 0.15 * rng.standard_normal((draws, 4))
    success = np.mean(np.all([later[:, i] <= d.boundary.highest for i, d in designs.items()], axis=0))
    joint = joint_probability_of_success(designs, effects)
    assert success == pytest.approx(joint, abs=4 * np.sqrt(joint * (1 - joint) / draws))


def test_posterior_of_the_effects_is_that_of_random_draws():
    # importance weights of draws from the prior: nothing of the algebra is used
    rng, draws = np.random.default_rng(2), 400_000
    sd = np.abs(rng.normal(0, 0.4, draws))
    theta = rng.normal(0.1, 1.5, draws)[:, None] + sd[:, None] * rng.standard_normal((draws, 4))
    weights = np.exp(-0.5 * (((ESTIMATES - theta) / ERRORS) ** 2).sum(axis=1))
    weights /= weights.sum()
    effective = 1 / (weights**2).sum()
    assert effective > 500
    effects = exchangeable_effects(ESTIMATES, ERRORS, **PRIOR)
    mean = weights @ theta
    covariance = (theta - mean).T @ ((theta - mean) * weights[:, None])
    exact = effects.covariance
    error = np.sqrt(np.diag(exact))
    np.testing.assert_array_less(np.abs(mean - effects.weights @ effects.mean), 4 * error / effective**0.5)
    np.testing.assert_array_less(np.abs(covariance - exact), 4 * np.outer(error, error) * (2 / effective) ** 0.5)


def test_combined_analysis_is_predictive_prior_then_update():
    # a trial without data has the predictive distribution; updated with its estimate it is the combined analysis
    predictive = exchangeable_effects([*ESTIMATES[:3], 0], [*ERRORS[:3], np.inf], **PRIOR).of(3)
    combined = exchangeable_effects(ESTIMATES, ERRORS, **PRIOR).of(3)
    updated = predictive.update(ESTIMATES[3], ERRORS[3])
    x = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(updated.cdf(x), combined.cdf(x), atol=1e-9)
    one_left_out = exchangeable_effects(ESTIMATES[:3], ERRORS[:3], **PRIOR).of(2)
    np.testing.assert_allclose(exchangeable_effects([*ESTIMATES[:3], 9], [*ERRORS[:3], np.inf], **PRIOR).of(2).cdf(x),
                               one_left_out.cdf(x), atol=1e-10)  # fmt: skip


def test_limits_of_heterogeneity():
    def fixed(sd):
        return effects_given_sd(np.full((1, 4), sd), np.zeros(1), ESTIMATES, ERRORS, mean=0, mean_sd=1e4)

    precision = (ERRORS**-2).sum()
    for pooled in (fixed(1e-6), exchangeable_effects(ESTIMATES, ERRORS, between_trial_sd=1e-6, mean_sd=1e4)):
        for trial in range(4):
            assert pooled.of(trial).mean == pytest.approx((ESTIMATES / ERRORS**2).sum() / precision, abs=1e-6)
            assert pooled.of(trial).sd == pytest.approx(precision**-0.5, rel=1e-6)
    alone = fixed(1e5)
    np.testing.assert_allclose([alone.of(i).mean for i in range(4)], ESTIMATES, atol=1e-6)
    np.testing.assert_allclose([alone.of(i).sd for i in range(4)], ERRORS, rtol=1e-6)


@pytest.mark.parametrize("scale", [0.01, 0.4, 5.0, 1000.0])
def test_nodes_of_the_between_trial_sd_suffice(scale):
    # three precise trials, and an integral over the logarithm of the SD by steps of 0.01
    errors = np.array([0.02, 0.03, 0.05])
    log_sd = np.arange(np.log(1e-7), np.log(9 * scale), 0.01)
    sd = np.exp(log_sd)
    fine = effects_given_sd(np.repeat(sd[:, None], 3, axis=1), log_sd - (sd / scale) ** 2 / 2, ESTIMATES[:3], errors,
                            mean=0, mean_sd=1)  # fmt: skip
    found = exchangeable_effects(ESTIMATES[:3], errors, between_trial_sd=scale, mean_sd=1)
    np.testing.assert_allclose(found.weights @ found.mean, fine.weights @ fine.mean, atol=1e-7)
    np.testing.assert_allclose(found.covariance, fine.covariance, atol=1e-8)


def test_order_and_labels_do_not_matter():
    effects = exchangeable_effects(ESTIMATES, ERRORS, between_trial_sd=[0.4, 1.0], mean_sd=1, strata=["a", "b", "a", "b"])
    order = [3, 0, 2, 1]
    turned = exchangeable_effects(ESTIMATES[order], ERRORS[order], between_trial_sd=[1.0, 0.4], mean_sd=1,
                                  strata=[7, 5, 5, 7])  # fmt: skip
    assert joint_probability_of_success(normal_designs([1, 2]), effects) == pytest.approx(
        joint_probability_of_success({3: normal_designs([1])[1], 2: normal_designs([2])[2]}, turned), abs=1e-8)  # fmt: skip
    np.testing.assert_allclose(effects.covariance[order][:, order], turned.covariance, atol=1e-9)


@pytest.mark.parametrize("trials", [[1], [1, 2], [1, 2, 3], [0, 1, 2, 3]])
def test_effects_from_covariances(trials):
    effects = exchangeable_effects(ESTIMATES, ERRORS, **PRIOR)
    mean, loading = effects.mean[:, trials], effects.loading[:, trials]
    covariance = loading[:, :, None] * loading[:, None, :]
    covariance += np.einsum("ni,ij->nij", effects.variance[:, trials], np.eye(len(trials)))
    again = TrialEffects.from_covariance(effects.weights, mean, covariance)
    designs = normal_designs(trials)
    found = joint_probability_of_success({k: designs[i] for k, i in enumerate(trials)}, again)
    assert found == pytest.approx(joint_probability_of_success(designs, effects), abs=1e-9)


def test_effects_that_go_apart():
    covariance = np.array([[[0.04, -0.03], [-0.03, 0.09]]])
    effects = TrialEffects.from_covariance(np.ones(1), np.zeros((1, 2)), covariance)
    np.testing.assert_allclose(effects.covariance, covariance[0], atol=1e-15)
