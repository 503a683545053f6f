"""Events and accrual against simulation and integrals; assurance across phases; baskets; comparisons of two groups."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from smm_bayes.design import (
    Accrual,
    assurance_after,
    average_hazard_ratio,
    enthusiastic_and_sceptical,
    event_information,
    events_needed,
    expected_events,
    hazard_ratio_at,
    spending_design,
    time_of_events,
)
from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.priors.mixtures import BetaMixture, NormalMixture
from smm_bayes.response.baskets import SharingBaskets
from smm_bayes.survival import PiecewiseExponential, TimeGrid
from smm_bayes.trial.comparison import log_rank_test, restricted_mean
from smm_bayes.trial.cox import cox_ratio
from smm_bayes.trial.curves import kaplan_meier

ACCRUAL = Accrual((2.0, 3.0, 4.0), (3.0, 0.0, 8.0))


def law(hazard, cuts=()):
    return PiecewiseExponential(np.log(np.asarray(hazard, float)), TimeGrid(cuts))


@pytest.mark.parametrize("at", [0.0, 1.0, 4.5, 9.0, 30.0])
@pytest.mark.parametrize("dropout", [0.0, 0.02])
def test_expected_events_are_the_integral(at, dropout):
    hazards, cuts = [0.1, 0.02, 0.3], (3.0, 7.0)
    one, edges = law(hazards, cuts), [0.0, *cuts, np.inf]
    for j, found in enumerate(expected_events(ACCRUAL, one, at, dropout=dropout)):
        low, high = edges[j], min(edges[j + 1], at)
        density = lambda u: hazards[j] * float(one.survival(u)[0]) * math.exp(-dropout * u) * float(ACCRUAL.by(at - u))  # noqa: B023, E731
        kinks = [x for x in at - ACCRUAL.ends if low < x < high]
        wanted = integrate.quad(density, low, high, points=kinks or None, epsabs=1e-12)[0] if high > low else 0.0
        assert found == pytest.approx(wanted, abs=1e-9)


def test_expected_events_are_those_of_simulated_trials():
    rng, trials, at = np.random.default_rng(7), 4000, 20.0
    patients = int(ACCRUAL.by(100.0))
    enrolled = np.interp(rng.uniform(0, patients, (trials, patients)), [0, 6, 6 + 1e-9, 38], [0, 2, 5, 9])
    times = _times(rng, (trials, patients))
    leave = rng.exponential(1 / 0.02, (trials, patients))
    counted = (times < leave) & (enrolled + times <= at)
    found = expected_events(ACCRUAL, law([0.1, 0.03], (4.0,)), at, dropout=0.02).sum()
    each = counted.sum(axis=1)
    assert abs(each.mean() - found) < 4 * each.std() / math.sqrt(trials)


def _times(rng, shape):
    """Times with hazard 0.1 until 4 and 0.03 after it."""
    total = rng.exponential(size=shape)
    return np.where(total < 0.4, total / 0.1, 4 + (total - 0.4) / 0.03)


def test_the_time_of_events_is_where_they_are_expected():
    arms = [law([0.1]), law([0.05])]
    at = time_of_events(ACCRUAL, arms, 30, dropout=0.01)
    assert sum(expected_events(ACCRUAL, one, at, dropout=0.01).sum() for one in arms) == pytest.approx(30, abs=1e-8)
    assert time_of_events(ACCRUAL, arms, 77) == math.inf  # there are 76 patients
    assert time_of_events(ACCRUAL, arms, 0) == 0


def test_a_constant_hazard_ratio_is_its_own_average():
    found = average_hazard_ratio(ACCRUAL, law([0.1, 0.05], (6.0,)), law([0.06, 0.03], (6.0,)), 20.0)
    assert found.hazard_ratio == pytest.approx(0.6, rel=1e-12)
    late = average_hazard_ratio(ACCRUAL, law([0.1, 0.05], (6.0,)), law([0.1, 0.03], (6.0,)), 20.0)
    assert 0.6 < late.hazard_ratio < 1


def test_events_give_the_power_that_they_are_for():
    design = spending_design([0.6, 1.0])
    events = events_needed(0.65, power=0.85, ratio=2.0, inflation=design.inflation(0.85))
    there = spending_design([event_information(0.6 * events, ratio=2.0), event_information(events, ratio=2.0)])
    assert there.power(-math.log(0.65)) == pytest.approx(0.85, abs=1e-9)
    assert events_needed(0.65 * 1.3, margin=1.3) == pytest.approx(events_needed(0.65), rel=1e-12)
    assert events_needed(1 / 0.65) == pytest.approx(events_needed(0.65), rel=1e-12)
    bound = hazard_ratio_at(1.96, 100.0, ratio=2.0)
    assert math.log(bound) * math.sqrt(event_information(100.0, ratio=2.0)) == pytest.approx(-1.96)


def test_assurance_without_anything_between_trials_is_that_of_a_normal_prior():
    prior = NormalMixture([1.0], [-0.2], [0.3])
    after = prior.update(-0.4, 0.25)
    found = assurance_after(prior, estimate=-0.4, standard_error=0.25, between=(0, 0), final_errors=0.1, bounds=-0.15)
    assert float(found) == pytest.approx(stats.norm.cdf((-0.15 - after.mean) / math.hypot(after.sd, 0.1)), abs=1e-13)


def test_assurance_is_the_mean_over_simulated_programmes():
    """Draws from the prior, weighted by the likelihood of the earlier trial's estimate."""
    rng, draws = np.random.default_rng(1), 1_000_000
    prior = enthusiastic_and_sceptical(math.log(0.7), weight=0.6)
    tau2, tau3 = (np.abs(rng.normal(0, median / stats.norm.ppf(0.75), draws)) for median in (0.15, 0.05))
    centre = prior.sample(draws, rng=rng)
    weight = stats.norm.pdf(-0.5, centre + tau2 * rng.normal(size=draws), 0.2)
    later = centre + tau3 * rng.normal(size=draws) + 0.1 * rng.normal(size=draws)
    share = weight @ (later < -0.2) / weight.sum()
    found = float(assurance_after(prior, estimate=-0.5, standard_error=0.2, between=(0.15, 0.05), final_errors=0.1, bounds=-0.2))
    error = math.sqrt(weight**2 @ ((later < -0.2) - share) ** 2) / weight.sum()
    assert abs(found - share) < 4 * error


def test_a_prior_between_enthusiasm_and_scepticism():
    prior = enthusiastic_and_sceptical(math.log(0.7), weight=1.0)
    assert float(prior.sf(0.0)) == pytest.approx(0.01)
    assert float(enthusiastic_and_sceptical(math.log(0.7), weight=0.0).cdf(math.log(0.7))) == pytest.approx(0.01)


def test_baskets_that_share_nothing_are_on_their_own():
    """A likeness that is never reached leaves every basket its own posterior."""
    design = SharingBaskets(2, 10, 0.2, 0.9, tau=0.9999999)
    alone = [float(BetaMixture([1], [1 + r], [11 - r]).sf(0.2)) for r in (1, 6)]
    assert design.probabilities([1, 6]) == pytest.approx(alone, abs=1e-12)
    each, either = SharingBaskets(1, 10, 0.2, 0.9).operating_characteristics([0.2])
    need = min(r for r in range(11) if BetaMixture([1], [1 + r], [11 - r]).sf(0.2) >= 0.9)
    assert each[0] == either == pytest.approx(stats.binom.sf(need - 1, 10, 0.2), abs=1e-13)


def test_baskets_that_are_alike_pool():
    design = SharingBaskets(3, 10, 0.2, 0.9)
    assert design.posteriors([4, 4, 4]) == pytest.approx(np.full((3, 2), [15, 21]), abs=1e-9)
    assert design.weights([0, 4, 9])[0, 1] < design.weights([3, 4, 9])[0, 1] < 1


def test_an_interim_analysis_that_never_stops_changes_nothing():
    plain = SharingBaskets(2, 8, 0.2, 0.9, tau=0.5)
    two = SharingBaskets(2, 8, 0.2, 0.9, tau=0.5, interim=3, futility=0.0, efficacy=1.0)
    for rates in ([0.2, 0.2], [0.2, 0.5]):
        one, other = plain.operating_characteristics(rates), two.operating_characteristics(rates)
        assert other[0] == pytest.approx(one[0], abs=1e-12)
        assert other[1] == pytest.approx(one[1], abs=1e-12)


def test_the_family_wise_error_counts_null_baskets_only():
    """With one of two baskets at the null rate it is that basket's error; with none it is the chance of any success."""
    design = SharingBaskets(2, 8, 0.2, 0.9, tau=0.5)
    each, either = design.operating_characteristics([0.2, 0.5])
    assert either == pytest.approx(each[0], abs=1e-14)
    each, either = design.operating_characteristics([0.4, 0.5])
    assert max(each) < either < sum(each)


def test_log_rank_is_the_score_test_of_coxs_model():
    """Without ties, at a ratio of 1, within strata; and it has the sign of the estimate."""
    rng = np.random.default_rng(3)
    time, event = rng.permutation(120) + 1.0, rng.random(120) < 0.7
    group, stratum = rng.random(120) < 0.5, rng.integers(0, 3, 120)
    found, score, information = log_rank_test(time, event, group, stratum), 0.0, 0.0
    for t in np.flatnonzero(event):
        there = (time >= time[t]) & (stratum == stratum[t])
        share = group[there].mean()
        score, information = score + group[t] - share, information + share * (1 - share)
    assert found.score == pytest.approx(score, abs=1e-10)
    assert found.variance == pytest.approx(information, abs=1e-10)
    assert np.sign(found.z) == np.sign(cox_ratio(time, event, group, stratum).log_hazard_ratio)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(found.z)), rel=1e-12)


def test_restricted_mean_is_the_area_under_the_curve():
    rng = np.random.default_rng(4)
    time, event = np.round(rng.exponential(10, 200), 1) + 0.1, rng.random(200) < 0.6
    grid = (np.arange(120_000) + 0.5) * 1e-4
    found = restricted_mean(time, event, 12.0)
    assert found.value == pytest.approx(kaplan_meier(time, event).at(grid).mean() * 12, abs=1e-3)
    whole = restricted_mean(time, np.ones(200, bool), time.max())
    assert whole.value == pytest.approx(time.mean(), rel=1e-9)
    assert whole.standard_error == pytest.approx(time.std() / math.sqrt(200), rel=1e-9)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: events_needed(1.0), "must differ from the one to be excluded"),
    (lambda: events_needed(-1, power=2), "2 problems"),
    (lambda: event_information(10, ratio=0), "must be above 0"),
    (lambda: Accrual((1, 2), (3,)), "a duration above 0 for each rate"),
    (lambda: Accrual((1,), (-3,)), "rates from 0"),
    (lambda: expected_events(ACCRUAL, law([0.1]), math.nan), "finite and from 0"),
    (lambda: average_hazard_ratio(ACCRUAL, law([0.1]), law([0.1, 0.1], (3.0,)), 5), "same cuts"),
    (lambda: average_hazard_ratio(ACCRUAL, law([0.1]), law([0.1]), 0), "no event is expected"),
    (lambda: enthusiastic_and_sceptical(0.0), "a target other than 0"),
    (lambda: assurance_after(NormalMixture([1], [0], [1]), estimate=0, standard_error=0, between=(0, -1), final_errors=1,
                             bounds=0), "2 problems"),
    (lambda: SharingBaskets(2, 10, 0.2, 1.0), "level must be above 0 and below 1"),
    (lambda: SharingBaskets(2, 10, 0.2, 0.9, interim=10), "interim must be"),
    (lambda: SharingBaskets(2, 10, 0.2, 0.9, tau=1.0), "tau within"),
    (lambda: SharingBaskets(2, 10, 0.2, 0.9, futility=0.9), "need 0 <= futility < efficacy"),
    (lambda: SharingBaskets(2, 10, 0.2, 0.9).weights([1, 11]), "from 0 to 10"),
    (lambda: SharingBaskets(2, 10, 0.2, 0.9).operating_characteristics([0.2]), "each of 2 baskets"),
    (lambda: SharingBaskets(9, 30, 0.2, 0.9).operating_characteristics([0.2] * 9), "outcomes; use fewer"),
    (lambda: restricted_mean([1, 2], [True, False], 0), "horizon must be"),
    (lambda: restricted_mean([1, 2], [True, True], 1).interval(0), "probability must be between 0 and 1"),
    (lambda: restricted_mean([1, 2], [True, True], 1) - restricted_mean([1, 2], [True, True], 2), "one horizon"),
])  # fmt: skip
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(SpecificationError, match=message):
        call()


def test_data_that_cannot_be_compared_are_refused():
    with pytest.raises(DataError, match="nobody is followed to 3"):
        restricted_mean([1.0, 2.0], [True, False], 3.0)
    with pytest.raises(DataError, match="while both groups are at risk"):
        log_rank_test([1.0, 2.0], [True, True], [True, True])
