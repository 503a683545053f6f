"""Designs, operating characteristics and probabilities of success, against other software and published numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from smm_bayes.priors.mixtures import BetaMixture, NormalMixture
from smm_bayes.response.exact import (
    BinaryArm,
    NormalArm,
    OneSampleDesign,
    OneSampleRule,
    TwoSampleDesign,
    TwoSampleRule,
    above,
    below,
    exchangeable_effects,
    joint_probability_of_success,
    probability_of_difference,
)

REFERENCE = json.loads((Path(__file__).parent / "borrowing_decisions.json").read_text())
ROOT_TOLERANCE = (2.0**-52) ** 0.25  # boundaries of R's uniroot are within this of the root unless told otherwise
NI = REFERENCE["oc1S_norm"]
FLAT = NormalMixture([1], [0], [100], sigma=2)
MARGIN = below(0.4, 0.95)
DOUBLE = OneSampleRule(MARGIN, below(NI["theta_c"], 0.5))


def test_settings_of_the_non_inferiority_example():
    patients = round((2 * (norm.ppf(0.95) + norm.ppf(0.8)) / 0.4) ** 2)
    assert patients == NI["n1"]
    assert 0.4 - norm.ppf(0.95) * 2 / np.sqrt(patients) == pytest.approx(NI["theta_c"], abs=1e-14)


@pytest.mark.parametrize(
    ("key", "rule", "patients"),
    [("A_n1", OneSampleRule(MARGIN), 155), ("A_nL", OneSampleRule(MARGIN), 233), ("C_n1", DOUBLE, 155),
     ("C_nL", DOUBLE, 233)],
)  # fmt: skip
def test_one_normal_sample(key, rule, patients):
    design = OneSampleDesign(rule, NormalArm.of_patients(FLAT, patients))
    error = 2 / np.sqrt(patients)
    # the reference is exact at a boundary that its root finder left up to 1.2e-4 from the root
    theirs = norm.ppf(NI[key][0]) * error
    assert float(design.boundary.highest) == pytest.approx(theirs, abs=ROOT_TOLERANCE)
    assert norm.cdf((theirs - np.array(NI["theta"])) / error) == pytest.approx(NI[key], abs=1e-12)
    slack = norm.pdf(0) / error * ROOT_TOLERANCE
    assert design.operating_characteristics(NI["theta"]) == pytest.approx(NI[key], abs=slack)


def test_one_normal_sample_has_the_boundary_in_closed_form():
    design = OneSampleDesign(OneSampleRule(MARGIN), NormalArm.of_patients(FLAT, 155))
    precision = 155 / 4 + 1e-4
    exact = (0.4 - norm.ppf(0.95) / np.sqrt(precision)) * precision / (155 / 4)
    assert float(design.boundary.highest) == pytest.approx(exact, abs=1e-13)


def test_one_normal_sample_at_an_interim():
    stored = REFERENCE["pos1S_norm"]
    # 20 events with a hazard ratio of 0.8, 10 more to come
    arm = NormalArm.of_patients(FLAT, 30).after(np.log(0.8), patients=20)
    assert arm.prior.mean == pytest.approx(stored["post"][0]["m"], abs=1e-14)
    assert arm.prior.sd == pytest.approx(stored["post"][0]["s"], abs=1e-14)
    found = OneSampleDesign(DOUBLE, arm).probability_of_success()
    assert found == pytest.approx(stored["pos"], abs=norm.pdf(0) * ROOT_TOLERANCE / np.hypot(arm.prior.sd, 2 / 10**0.5))


@pytest.mark.parametrize(
    ("prior", "boundary", "key"),
    [(BetaMixture([0.8, 0.2], [15, 1], [50, 1]), "boundary", "oc"),
     (BetaMixture([1], [1], [1]), "uniform_boundary", "uniform_oc")],
)  # fmt: skip
def test_one_binary_sample(prior, boundary, key):
    stored = REFERENCE["oc1S_beta"]
    design = OneSampleDesign(OneSampleRule(above(0.2, 0.975)), BinaryArm(prior, 40))
    assert float(design.boundary.lowest) == stored[boundary] + 1  # theirs is the last count that fails
    np.testing.assert_allclose(design.operating_characteristics(stored["theta"]), stored[key], rtol=1e-12)


def test_one_binary_sample_at_an_interim():
    stored = REFERENCE["pos1S_beta"]
    arm = BinaryArm(BetaMixture([1], [0.5], [0.5]), 40).after(7, patients=20)
    design = OneSampleDesign(OneSampleRule(above(0.2, 0.95)), arm)
    assert float(design.boundary.lowest) == stored["boundary_more"] + 1
    assert design.probability_of_success() == pytest.approx(stored["pos"], abs=1e-13)


@pytest.fixture(scope="module")
def interim():
    stored = REFERENCE["PoS_interim"]
    patients, estimate, sd = np.array([12, 14]), (2.96, 3.03), np.array([0.67, 0.774])
    pooled = float(np.sqrt((sd**2 * (patients - 1)).sum() / (patients.sum() - 2)))
    assert pooled == pytest.approx(stored["sd_pooled"], abs=1e-14)
    prior = NormalMixture([1], [np.log(20)], [0.47])
    both = [prior.update(y, round(s / np.sqrt(n), 3)) for y, s, n in zip(estimate, sd, patients, strict=True)]
    arms = [NormalArm.of_patients(p, 21 - n, sigma=pooled) for p, n in zip(both, patients, strict=True)]
    return TwoSampleDesign(TwoSampleRule(below(0, 0.9), below(-0.357, 0.5)), *arms)


def test_two_normal_samples_at_an_interim(interim):
    stored = REFERENCE["PoS_interim"]
    for arm, key in ((interim.experimental, "post_T"), (interim.control, "post_P")):
        assert arm.prior.mean == pytest.approx(stored[key][0]["m"], abs=1e-13)
        assert arm.prior.sd == pytest.approx(stored[key][0]["s"], abs=1e-13)
    for threshold, key in ((0, "p_diff_lt0"), (-0.357, "p_diff_lt_m0.357")):
        below_ = 1 - probability_of_difference(interim.experimental.prior, interim.control.prior, threshold)
        assert below_ == pytest.approx(stored[key], abs=1e-12)
    # theirs interpolates the boundary between points found by uniroot: 1e-4 in it
    slack = 4 * ROOT_TOLERANCE
    assert interim.probability_of_success() == pytest.approx(stored["pos"], abs=slack)
    true = np.log(np.exp(3.03) * (1 - np.array(stored["diff_pct"])))
    assert interim.operating_characteristics(true, 3.03) == pytest.approx(stored["cond_power"], abs=slack)


def test_two_normal_samples_in_closed_form(interim):
    # one component each: success is y_E a - y_C b below a constant, normal before and given the parameters
    e, c = interim.experimental, interim.control
    variance = e.prior.sd**-2 + e.standard_error**-2, c.prior.sd**-2 + c.standard_error**-2
    slope = [arm.standard_error**-2 / v for arm, v in zip((e, c), variance, strict=True)]
    sd = np.sqrt(1 / variance[0] + 1 / variance[1])
    level = min(-norm.ppf(0.9) * sd, -0.357)
    constant = level - e.prior.mean * (1 - slope[0]) + c.prior.mean * (1 - slope[1])
    theta = np.array([2.5, 2.9])
    power = norm.cdf((constant - slope[0] * theta + slope[1] * 3.03)
                     / np.hypot(slope[0] * e.standard_error, slope[1] * c.standard_error))  # fmt: skip
    np.testing.assert_allclose(interim.operating_characteristics(theta, 3.03), power, atol=1e-11)
    total = [np.hypot(arm.prior.sd, arm.standard_error) for arm in (e, c)]
    pos = norm.cdf((constant - slope[0] * e.prior.mean + slope[1] * c.prior.mean)
                   / np.hypot(slope[0] * total[0], slope[1] * total[1]))  # fmt: skip
    assert interim.probability_of_success() == pytest.approx(pos, abs=1e-11)


@pytest.fixture(scope="module")
def ongoing():
    """Estimates, standard errors and the designs of the two trials that go on, each to 379 events."""
    stored = REFERENCE["co_data"]
    events, estimates = np.array(stored["events"]), np.log(stored["hr"])
    rule = OneSampleRule(below(0, 0.975))
    whole = NormalArm.of_patients(NormalMixture([1], [0], [2], sigma=2), stored["final_events"])  # worth one event
    designs = {i: OneSampleDesign(rule, whole.after(estimates[i], patients=events[i])) for i in (2, 3)}
    return estimates, 2 / np.sqrt(events), designs, OneSampleDesign(rule, whole)


def test_trial_alone(ongoing):
    stored, designs, whole = REFERENCE["co_data"], ongoing[2], ongoing[3]
    assert designs[2].probability_of_success() == pytest.approx(stored["pos_A_exact"], abs=5e-7)
    assert designs[2].probability_of_success() == pytest.approx(stored["pos_A"], abs=2 * ROOT_TOLERANCE)
    slack = norm.pdf(0) * ROOT_TOLERANCE / whole.arm.standard_error
    assert float(whole.operating_characteristics(np.log(0.75))) == pytest.approx(stored["power_alt"], abs=slack)


def _double_integral(estimates, errors, regions, trials):
    """Second route: a plain grid over the mean and the between-trial SD, given which the trials are independent."""
    mean = np.linspace(-14, 14, 7001)
    total = success = 0.0
    # Gauss-Legendre over the SD in two pieces; half-normal prior of scale 0.5, normal prior of the mean of SD 2
    for low, high in ((0, 1), (1, 4)):
        x, w = np.polynomial.legendre.leggauss(80)
        for sd, weight in zip(low + (high - low) * (x + 1) / 2, w * (high - low) / 2, strict=True):
            density = weight * norm.pdf(sd, scale=0.5) * norm.pdf(mean, scale=2)
            for y, s in zip(estimates, errors, strict=True):
                density = density * norm.pdf(y, mean, np.hypot(sd, s))
            each = 1.0
            for trial in trials:
                s, (bound, rest) = errors[trial], regions[trial]
                shrunk = (mean * s**2 + estimates[trial] * sd**2) / (s**2 + sd**2)
                each = each * norm.cdf((bound - shrunk) / np.sqrt(sd**2 * s**2 / (sd**2 + s**2) + rest**2))
            total, success = total + density.sum(), success + (density * each).sum()
    return success / total


def test_trials_given_each_other(ongoing):
    stored, (estimates, errors, designs, _) = REFERENCE["co_data"], ongoing
    regions = {i: (float(d.boundary.highest), d.arm.standard_error) for i, d in designs.items()}
    prior = {"between_trial_sd": 0.5, "mean_sd": 2}
    effects = exchangeable_effects(estimates[:3], errors[:3], **prior)
    with_history = designs[2].probability_of_success(effects.of(2))
    assert with_history == pytest.approx(_double_integral(estimates[:3], errors[:3], regions, [2]), abs=1e-9)
    joint = joint_probability_of_success(designs, exchangeable_effects(estimates, errors, **prior))
    assert joint == pytest.approx(_double_integral(estimates, errors, regions, [2, 3]), abs=1e-9)
    # the stored numbers are 5e-5 and 1.3e-4 below both routes; a sum over SDs of 0.001, 0.002, ..., which leaves out half
    # of the first step, gives 0.489425 and 0.357469: they are good to three digits
    assert with_history == pytest.approx(stored["map_A_exact"], abs=1e-4)
    assert joint == pytest.approx(stored["joint_exact"], abs=2e-4)


def test_differential_discounting_differs(ongoing):
    estimates, errors, designs, _ = ongoing
    exchangeable = exchangeable_effects(estimates, errors, between_trial_sd=0.5, mean_sd=2)
    same = exchangeable_effects(estimates, errors, between_trial_sd=[1, 0.5], mean_sd=2, strata=[2, 2, 1, 1])
    difference = joint_probability_of_success(designs, exchangeable) - joint_probability_of_success(designs, same)
    assert 0.01 < difference < 0.03  # less is believed of the earlier trials, which did better


def predictive_probability(responders, patients, most, prior, threshold, level):
    arm = BinaryArm(BetaMixture([1], [prior[0]], [prior[1]]), most).after(responders, patients=patients)
    return OneSampleDesign(OneSampleRule(above(threshold, level)), arm).probability_of_success()


def test_predictive_probability_of_the_worked_example():
    stored = REFERENCE["lee_liu"]["PP_16_of_23"]["value"]
    assert predictive_probability(16, 23, 40, (0.6, 0.4), 0.6, 0.9) == pytest.approx(stored, abs=1e-13)


@pytest.mark.parametrize("case", REFERENCE["lee_liu"]["cases"], ids=lambda c: f"{c['y']} of {c['n']}")
def test_predictive_probabilities(case):
    y, n = case["y"], case["n"]
    assert predictive_probability(y, n, 36, (0.2, 0.8), 0.2, 0.922) == pytest.approx(case["pp_0.922"], abs=1e-13)
    assert predictive_probability(y, n, 40, (0.6, 0.4), 0.6, 0.9) == pytest.approx(case["pp_0.9"], abs=1e-13)


def test_stopping_boundary_of_predictive_probability():
    stored = REFERENCE["lee_liu"]["LL_N36"]
    low = stored["theta_L"]
    for n, r in zip(stored["stop_if_y_le"]["n"], stored["stop_if_y_le"]["r"], strict=True):
        found = [predictive_probability(y, n, 36, (0.2, 0.8), 0.2, 0.9) < low for y in (r, r + 1)]
        assert found == [True, False], (n, r)


def test_predictive_probability_at_four_interims():
    stored = REFERENCE["saville_2014"]
    design = OneSampleDesign(OneSampleRule(above(0.5, 0.95)), BinaryArm(BetaMixture([1], [1], [1]), 100))
    assert float(design.boundary.lowest) == 59
    assert float(BetaMixture([1], [1], [1]).update(59, 100).sf(0.5)) == pytest.approx(stored["P_59"], abs=5e-5)
    assert float(design.operating_characteristics(0.5)) == pytest.approx(stored["type_I"], abs=5e-5)
    for interim, value in stored["interims"].items():
        y, n = map(int, interim.split("/"))
        assert predictive_probability(y, n, 100, (1, 1), 0.5, 0.95) == pytest.approx(value, abs=5e-5)
