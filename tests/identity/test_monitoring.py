"""Monitoring of responders: boundaries and what they do, by every path a trial can take; patients still followed."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures import BetaMixture
from smm_bayes.response.exact import (
    BinaryArm,
    OneSampleDesign,
    OneSampleRule,
    TwoSampleRule,
    above,
    below,
    probability_of_difference,
)
from smm_bayes.response.monitoring import (
    MonitoringDesign,
    posterior_monitoring,
    predictive_design,
    predictive_monitoring,
    predictive_probabilities,
)
from smm_bayes.response.pending import BinaryInterim

FLAT = BetaMixture([1], [1], [1])
MIXED = BetaMixture([0.3, 0.7], [4, 1], [8, 1])
RULE = OneSampleRule(above(0.3, 0.9))
DESIGN = MonitoringDesign((3, 5, 8), futility=(0, 1, 3), efficacy=(4, 5, 4))


def test_operating_characteristics_are_sums_over_every_sequence_of_patients():
    p = 0.35
    stops = {kind: np.zeros(3) for kind in ("futility", "efficacy")}
    for patients in product((0, 1), repeat=8):
        chance = p ** sum(patients) * (1 - p) ** (8 - sum(patients))
        for k, (n, low, high) in enumerate(zip(DESIGN.looks, DESIGN.futility, DESIGN.efficacy, strict=True)):
            seen = sum(patients[:n])
            if seen <= low or seen >= high:
                stops["futility" if seen <= low else "efficacy"][k] += chance
                break
    found = DESIGN.operating_characteristics(p)
    assert found.futility == pytest.approx(stops["futility"], abs=1e-14)
    assert found.efficacy == pytest.approx(stops["efficacy"], abs=1e-14)
    assert found.success == pytest.approx(stops["efficacy"].sum())
    assert found.expected_n == pytest.approx((stops["futility"] + stops["efficacy"]) @ [3, 5, 8])


def test_simulated_trials_agree():
    rng, trials, p = np.random.default_rng(6), 200_000, 0.4
    looks = tuple(range(10, 41, 5))
    design = predictive_monitoring(looks, FLAT, RULE, futility=0.05, efficacy=0.95)
    seen = np.cumsum(rng.random((trials, 40)) < p, axis=1)[:, np.array(looks) - 1]
    low, high = seen <= design.futility, seen >= design.efficacy
    first = np.argmax(low | high, axis=1)
    share = high[np.arange(trials), first].mean()
    exact = float(design.operating_characteristics(p).success)
    assert abs(share - exact) < 4 * np.sqrt(exact * (1 - exact) / trials)


@pytest.mark.parametrize("prior", [FLAT, MIXED], ids=["flat", "mixture"])
def test_predictive_probabilities_are_those_of_one_interim_at_a_time(prior):
    found = predictive_probabilities(prior, RULE, patients=12, final=30)
    for x in range(13):
        one = OneSampleDesign(RULE, BinaryArm(prior, 30).after(x, patients=12))
        assert found[x] == pytest.approx(one.probability_of_success(), abs=1e-11)


def test_predictive_boundaries_are_where_the_probability_passes_the_limits():
    design = predictive_monitoring((12, 20, 30), MIXED, RULE, futility=0.1, efficacy=0.9)
    for k, n in enumerate((12, 20)):
        chance = predictive_probabilities(MIXED, RULE, patients=n, final=30)
        stop = [x for x in range(n + 1) if chance[x] < 0.1]
        go = [x for x in range(n + 1) if chance[x] > 0.9]
        assert design.futility[k] == max(stop, default=-1)
        assert design.efficacy[k] == min(go, default=n + 1)
    succeeds = [x for x in range(31) if MIXED.update(x, 30).sf(0.3) > 0.9]
    assert design.efficacy[2] == min(succeeds) == design.futility[2] + 1


def test_limits_of_0_and_1_never_stop():
    design = predictive_monitoring((10, 20), FLAT, RULE, futility=0.0)
    assert design.futility[0] == -1
    assert design.efficacy[0] == 11
    alone = stats.binom.sf(design.efficacy[1] - 1, 20, [0.3, 0.6])
    assert design.operating_characteristics([0.3, 0.6]).success == pytest.approx(alone, abs=1e-13)


def test_posterior_boundaries_are_where_the_posterior_passes_the_limits():
    design = posterior_monitoring((10, 25), MIXED, efficacy=OneSampleRule(above(0.3, 0.95)), futility=OneSampleRule(below(0.3, 0.8)))
    assert design.efficacy == tuple(min(x for x in range(n + 1) if MIXED.update(x, n).sf(0.3) > 0.95) for n in (10, 25))
    assert design.futility[0] == max(x for x in range(11) if MIXED.update(x, 10).cdf(0.3) > 0.8)


def test_against_a_standard_rate_that_is_known_only_so_well():
    """Thall and Simon: the difference of two Beta posteriors, the standard's being its prior."""
    control = BetaMixture([1], [20], [80])
    rules = {"efficacy": TwoSampleRule(above(0.0, 0.95)), "futility": TwoSampleRule(below(0.15, 0.9))}
    design = posterior_monitoring((15, 40), BetaMixture([1], [0.4], [1.6]), control=control, **rules)
    for k, n in enumerate((15, 40)):
        after = [BetaMixture([1], [0.4 + x], [1.6 + n - x]) for x in range(n + 1)]
        better = [x for x, one in enumerate(after) if probability_of_difference(one, control, 0.0) > 0.95]
        worse = [x for x, one in enumerate(after) if probability_of_difference(one, control, 0.15) < 0.1]
        assert design.efficacy[k] == min(better)
        if k == 0:
            assert design.futility[0] == max(worse)


def test_without_rules_for_stopping_only_the_last_look_decides():
    design = posterior_monitoring((10, 20), FLAT, efficacy=None, final=RULE)
    assert (design.futility[0], design.efficacy[0]) == (-1, 11)


def test_the_smallest_predictive_design_holds_both_errors_and_no_smaller_one_does():
    design = predictive_design(0.2, 0.5, prior=FLAT, alpha=0.1, beta=0.2, first=5, every=2)
    low, high = design.operating_characteristics([0.2, 0.5]).success
    assert low <= 0.1
    assert high >= 0.8
    n = design.looks[-1]
    with pytest.raises(SpecificationError, match=f"no trial of up to {n - 1} patients"):
        predictive_design(0.2, 0.5, prior=FLAT, alpha=0.1, beta=0.2, first=5, every=2, largest=n - 1)
    single = [s for s in range(n) if stats.binom.sf(s - 1, n - 1, 0.2) <= 0.1 and stats.binom.sf(s - 1, n - 1, 0.5) >= 0.8]
    assert not single  # one patient fewer could not even do without looks


def test_two_looks_are_a_two_stage_design():
    design = predictive_monitoring((20, 40), FLAT, OneSampleRule(above(0.1, 0.9)), futility=0.1)
    as_two_stage = design.two_stage(p0=0.1, p1=0.3)
    found = design.operating_characteristics([0.1, 0.3])
    assert [as_two_stage.type_one_error(), as_two_stage.power()] == pytest.approx(found.success, abs=1e-13)
    assert as_two_stage.expected_n() == pytest.approx(found.expected_n[0], abs=1e-12)
    with pytest.raises(SpecificationError, match="two looks"):
        DESIGN.two_stage(p0=0.1, p1=0.3)


def test_a_design_says_only_what_changes():
    text = str(MonitoringDesign((5, 6, 7, 10), (0, 0, 1, 4), (6, 7, 8, 5)))
    assert text == "stop, each from that look on, with 0 or fewer of 5, 1 or fewer of 7 responders; success with 5 or more of 10"


def grid_posterior(interim, prior):
    """Probability of a grid of rates, by the likelihood as it stands."""
    p = (np.arange(20_000) + 0.5) / 20_000
    likelihood = p**interim.responders * (1 - p) ** interim.others * prior.pdf(p)
    for share in interim.pending:
        likelihood = likelihood * (1 - share * p)
    return p, likelihood / likelihood.sum()


@pytest.mark.parametrize("prior", [FLAT, MIXED], ids=["flat", "mixture"])
def test_the_posterior_with_pending_patients_is_the_likelihood_times_the_prior(prior):
    interim = BinaryInterim(prior, 5, 7, (0.1, 0.2, 0.7, 0.0, 1.0))
    p, weight = grid_posterior(interim, prior)
    assert float(interim.posterior.mean) == pytest.approx(weight @ p, abs=1e-7)
    assert float(interim.posterior.sf(0.4)) == pytest.approx(weight[p > 0.4].sum(), abs=1e-4)
    late = [p * (1 - share) / (1 - share * p) for share in interim.pending]
    assert np.arange(6) @ interim.late_responders == pytest.approx(sum(weight @ each for each in late), abs=1e-7)


def test_the_predictive_probability_with_pending_patients_is_that_of_simulation():
    interim, rng, draws = BinaryInterim(FLAT, 5, 7, (0.2, 0.5, 0.8)), np.random.default_rng(9), 400_000
    p = interim.posterior.sample(draws, rng=rng)
    late = sum(rng.random(draws) < p * (1 - share) / (1 - share * p) for share in interim.pending)
    total = 5 + late + rng.binomial(40 - 15, p)
    need = float(OneSampleDesign(RULE, BinaryArm(FLAT, 40)).boundary.lowest)
    share = (total >= need).mean()
    assert abs(share - interim.predictive_probability(RULE, final=40)) < 4 * np.sqrt(share * (1 - share) / draws)


def test_nothing_known_yet_is_a_patient_to_come_and_all_known_is_one_without_response():
    plain = BinaryInterim(FLAT, 5, 7).predictive_probability(RULE, final=40)
    assert plain == pytest.approx(predictive_probabilities(FLAT, RULE, patients=12, final=40)[5], abs=1e-12)
    assert BinaryInterim(FLAT, 5, 7, (0.0, 0.0)).predictive_probability(RULE, final=40) == pytest.approx(plain, abs=1e-12)
    done = BinaryInterim(FLAT, 5, 6, (1.0,)).predictive_probability(RULE, final=40)
    assert done == pytest.approx(plain, abs=1e-12)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: MonitoringDesign((5, 5), (0, 1), (6, 2)), "above 0 and increasing"),
    (lambda: MonitoringDesign((5, 9), (0,), (6, 2)), "one futility and one efficacy"),
    (lambda: MonitoringDesign((5, 9), (3, 1), (3, 2)), "futility must be below efficacy"),
    (lambda: MonitoringDesign((5, 9), (0, 1), (6, 4)), "the last look decides"),
    (lambda: DESIGN.operating_characteristics(1.1), r"within \[0, 1\]"),
    (lambda: predictive_monitoring((5, 9), FLAT, RULE, futility=0.5, efficacy=0.4), "need 0 <= futility < efficacy"),
    (lambda: predictive_monitoring((5, 9), FLAT, OneSampleRule(below(0.3, 0.9))), "must ask for a rate above"),
    (lambda: predictive_monitoring((2, 3), FLAT, OneSampleRule(above(0.9, 0.99))), "no outcome of 3 patients"),
    (lambda: posterior_monitoring((5, 9), FLAT, efficacy=None), "a rule for success"),
    (lambda: posterior_monitoring((5, 9), FLAT, efficacy=TwoSampleRule(above(0, 0.9))), "without a control must be OneSampleRule"),
    (lambda: predictive_design(0.3, 0.2, prior=FLAT), "must be above p0"),
    (lambda: predictive_design(0.2, 0.4, prior=FLAT, alpha=0), "alpha and beta must be"),
    (lambda: predictive_design(0.2, 0.4, prior=FLAT, first=120), "first below largest"),
    (lambda: BinaryInterim(FLAT, -1, 2), "whole numbers from 0"),
    (lambda: BinaryInterim(FLAT, 1, 2, (1.2,)), r"shares of responses within \[0, 1\]"),
    (lambda: BinaryInterim(FLAT, 1, 2, (0.2,)).predictive_probability(RULE, final=3), "at least the 4 patients"),
])  # fmt: skip
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(SpecificationError, match=message):
        call()
