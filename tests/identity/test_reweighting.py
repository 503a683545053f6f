"""Re-weighted and paired probabilities of success: closed forms, and whether their Monte Carlo errors are true."""

import numpy as np
import pytest
from scipy import stats

from smm_bayes.errors import ConvergenceError, SpecificationError
from smm_bayes.inference.monte_carlo import error_within, mean_error, reciprocal_variance_error
from smm_bayes.prediction import Enrolment, EventCount, FinalAnalysis, probability_of_success
from smm_bayes.prediction.monte_carlo import Layout, monte_carlo_error, proportion_error, series_error
from smm_bayes.prediction.reweighting import paired_difference, reweight
from smm_bayes.survival import TimeGrid
from smm_bayes.survival.law import Law
from smm_bayes.trial.patients import Patients


def completed(patients, log_hazard, grid, **options):
    """Complete a trial from log hazards (chain, draw, arm, cause, interval)."""
    law = Law.plain(log_hazard, grid, patients.arms, patients.causes)
    return probability_of_success(patients, law, **options)

LIMIT = 0.5


def normal_draws(rng, size=(4, 300), persistence=0.0):
    """Draw from N(0, 1), as (chain, draw), independent or with first-order autocorrelation."""
    noise = rng.normal(size=size)
    out = noise.copy()
    for draw in range(1, size[1]):
        out[:, draw] = persistence * out[:, draw - 1] + np.sqrt(1 - persistence**2) * noise[:, draw]
    return out


def succeed(x, rng, repeats=2, noise=0.6):
    """Each trial succeeds where x + noise is below the limit."""
    return x[..., None] + noise * rng.normal(size=(*x.shape, repeats)) < LIMIT


def truth(shift=0.0, variance=1.0, noise=0.6):
    return stats.norm.cdf((LIMIT - shift) / np.hypot(np.sqrt(variance), noise))


# --- layout -----------------------------------------------------------------------------------------------------------


def test_layout_uses_every_draw_alike_and_knows_itself_again():
    for chains, draws, replicates in ((4, 1000, 10_000), (4, 1000, 999), (1, 7, 1), (3, 50, 149), (3, 50, 150), (3, 50, 151)):
        layout = Layout.of(chains, draws, replicates)
        assert layout.replicates >= replicates
        assert len(layout.used) == layout.each
        assert len(layout.draw) == layout.replicates
        assert set(np.bincount(layout.draw, minlength=chains * draws)) <= {0, layout.repeats}
        assert Layout.of(chains, draws, layout.replicates) == layout
        same = layout.by_draw(layout.draw)
        assert (same == same[..., :1]).all()
        np.testing.assert_array_equal(same[..., 0] % draws, np.tile(layout.used, (chains, 1)))
    assert all(len(Layout(1, draws, each, 1).used) == each for draws in (20, 97, 1000) for each in range(1, draws))


# --- the weighted probability -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("constant", [0.0, -3.7, 900.0])
def test_equal_weights_change_nothing_exactly(constant):
    rng = np.random.default_rng(1)
    for size in ((4, 300), (3, 7), (1, 3), (1, 1)):
        success = succeed(normal_draws(rng, size), rng, repeats=3)
        found = reweight(success, np.full(size, constant))
        assert found.probability == success.mean()
        assert (found.difference, found.difference_mcse) == (0.0, 0.0)
        assert found.effective_draws == found.draws == success[..., 0].size
        assert found.reliable
    success = succeed(normal_draws(rng, (4, 300)), rng)
    plain = max(series_error(success.mean(axis=2)), proportion_error(success.mean(), success.size))
    assert reweight(success, np.full((4, 300), constant)).mcse == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize("persistence", [0.0, 0.7])
def test_weighted_probability_and_its_error_against_the_normal_law(persistence):
    """A factor N(x; 1, 1) makes N(0, 1) into N(1/2, 1/2): no bias, and the errors' SD is the mean Monte Carlo error."""
    rng, found, naive = np.random.default_rng(7), [], []
    for _ in range(400):
        x = normal_draws(rng, persistence=persistence)
        success = succeed(x, rng)
        found.append(reweight(success, -0.5 * (x - 1) ** 2))
        naive.append(proportion_error(found[-1].probability, success.size))
    expected = truth(0.5, 0.5)
    for name, error_name, value in (("probability", "mcse", expected), ("difference", "difference_mcse", expected - truth())):
        error = np.array([getattr(one, name) for one in found]) - value
        claimed = np.array([getattr(one, error_name) for one in found])
        assert abs(error.mean()) < 4 * error.std() / 20
        assert 0.85 < error.std() / claimed.mean() < 1.2
        assert 0.92 < (abs(error) < 1.96 * claimed).mean() < 0.98
    error = np.array([one.probability for one in found]) - expected
    assert error.std() / np.mean(naive) > 1.2  # an error that forgets the weights is found out
    assert all(one.reliable for one in found)


def test_difference_from_the_unweighted_knows_that_trials_are_the_same():
    rng = np.random.default_rng(2)
    x = normal_draws(rng, (4, 1000))
    found = reweight(succeed(x, rng), 0.05 * x)
    assert found.difference_mcse < 0.2 * found.mcse
    assert found.effective_draws == pytest.approx(4000 * np.exp(-(0.05**2)), rel=0.01)  # 1 / E(r^2)


@pytest.mark.parametrize(("curvature", "reliable"), [(0.1, True), (0.2, True), (0.45, False), (0.6, False)])
def test_heavy_weights_are_refused(curvature, reliable):
    """Weights exp(c x^2) of normal draws have Pareto shape 2c; the variance is infinite from 1/2 on."""
    rng = np.random.default_rng(3)
    x = normal_draws(rng, (4, 5000))
    found = reweight(succeed(x, rng), curvature * x**2, name="a wide factor")
    assert found.pareto_k == pytest.approx(2 * curvature, abs=0.2)
    assert found.reliable == reliable
    if reliable:
        assert found.require_reliable() is found
    else:
        assert "NOT RELIABLE" in repr(found)
        with pytest.raises(ConvergenceError, match=r"a wide factor.*Pareto k must be 0.7 or less.*fit again"):
            found.require_reliable()


def test_ruled_out_draws_do_not_count():
    """A factor that is 0 where x < 0, beside a normal one."""
    rng = np.random.default_rng(4)
    x = normal_draws(rng, (4, 2000))
    success = succeed(x, rng, noise=1e-9)
    found = reweight(success, np.where(x < 0, -np.inf, 0.3 * x))
    tail = stats.norm.cdf(LIMIT - 0.3) - stats.norm.cdf(-0.3)
    assert abs(found.probability - tail / stats.norm.cdf(0.3)) < 4 * found.mcse
    only = reweight(success, np.where(x < 0, -np.inf, 0.0))
    assert only.probability == pytest.approx(success[x >= 0].mean(), rel=1e-12)
    assert (only.pareto_k, only.reliable) == (0.0, True)


def test_few_draws_are_not_called_reliable():
    rng = np.random.default_rng(5)
    x = normal_draws(rng, (2, 8))
    found = reweight(succeed(x, rng), x)
    assert np.isnan(found.pareto_k)
    assert not found.reliable


def test_no_error_of_zero_where_every_trial_succeeds():
    x = normal_draws(np.random.default_rng(6), (4, 500))
    found = reweight(np.ones((4, 500, 2), bool), 0.5 * x)
    assert (found.probability, found.difference) == (pytest.approx(1.0, abs=1e-12), pytest.approx(0.0, abs=1e-12))
    assert found.mcse == found.difference_mcse == proportion_error(found.probability, 2 * found.effective_draws)
    assert 1e-4 < found.mcse < 1e-2


# --- of completed trials ----------------------------------------------------------------------------------------------


def single_arm(size=40, months=10.0):
    time = np.linspace(1, months, size)
    return Patients(
        patient=np.arange(size).astype(str), arm=np.zeros(size, int), time=time, event=np.arange(size) % 4 == 0,
        cause=np.where(np.arange(size) % 4 == 0, 0, -1), censoring=np.where(np.arange(size) % 4 == 0, "", "administrative"),
        enrolled=months - time, arms=("control",), arm_names=("control",), causes=("event",), data_cutoff=months,
        provenance="simulated",
    )  # fmt: skip


def predict(patients, rng, events, exposure, draws=(4, 2500), **options):
    """Complete from the Gamma posterior of a constant hazard; give the prediction and the hazards."""
    hazard = rng.gamma(events, 1 / exposure, size=draws)
    options = {"rule": EventCount(at_most=27), "replicates": 10_000, "seed": 11, **options}
    final = FinalAnalysis("follow_up", follow_up=24.0)
    log_hazard = np.log(hazard)[..., None, None, None]
    return completed(patients, log_hazard, TimeGrid(()), final=final, **options), hazard


def test_outside_evidence_as_weights_is_the_posterior_with_it():
    """A factor hazard^6 exp(-300 hazard) updates a Gamma posterior; a second route draws from the updated one."""
    patients = single_arm()
    events, exposure = patients.event.sum() + 0.5, patients.time.sum() + 1
    plain, hazard = predict(patients, np.random.default_rng(1), events, exposure)
    found = plain.reweighted(6 * np.log(hazard) - 300 * hazard, name="outside evidence").require_reliable()
    other, _ = predict(patients, np.random.default_rng(2), events + 6, exposure + 300, seed=12)
    assert abs(found.probability - other.probability) < 4 * np.hypot(found.mcse, other.mcse)
    assert found.difference == found.probability - plain.probability
    assert abs(found.difference) > 10 * found.difference_mcse  # the factor matters
    assert abs(plain.probability - other.probability) > 10 * other.mcse
    assert 0.05 < plain.probability < 0.95
    assert "outside evidence" in repr(found)


def test_draws_that_were_not_used_are_ignored():
    plain, hazard = predict(single_arm(), np.random.default_rng(1), 10.5, 200, replicates=600)
    weight = 6 * np.log(hazard) - 300 * hazard
    assert plain.layout.each < 2500
    gaps = weight.copy()
    gaps[:, np.setdiff1d(np.arange(2500), plain.layout.used)] = np.nan
    assert plain.reweighted(gaps) == plain.reweighted(weight)
    assert plain.reweighted(weight).draws == len(plain.success) == 600
    assert plain.draw.max() < hazard.size


# --- differences ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False])
def test_error_of_a_paired_difference_is_true(shared):
    """Two shares of success with shared noise of the trials, from the same posterior draws or from draws of two fits."""
    rng, error, claimed, apart = np.random.default_rng(9), [], [], []
    for _ in range(400):
        x = normal_draws(rng, persistence=0.5)
        y = x if shared else normal_draws(rng, persistence=0.5)
        noise = rng.normal(size=(*x.shape, 2))
        first, second = x[..., None] + noise < LIMIT, y[..., None] + noise < LIMIT - 0.2
        found = paired_difference(first, second)
        error.append(found.difference - (stats.norm.cdf(LIMIT / 2**0.5) - stats.norm.cdf((LIMIT - 0.2) / 2**0.5)))
        claimed.append(found.mcse)
        apart.append(np.hypot(*(series_error(one.mean(axis=2)) for one in (first, second))))
    assert abs(np.mean(error)) < 4 * np.std(error) / 20
    assert 0.85 < np.std(error) / np.mean(claimed) < 1.2
    if shared:
        assert np.mean(claimed) < 0.5 * np.mean(apart)  # what pairing is for


def test_difference_of_predictions_pairs_the_same_trials():
    patients, rng = single_arm(), np.random.default_rng(1)
    plan = {"enrolment": Enrolment({"control": 50}, 4.0, 3.0)}
    first, _ = predict(patients, np.random.default_rng(1), 10.5, 220, **plan)
    second, _ = predict(patients, np.random.default_rng(1), 10.5, 220, rule=EventCount(at_most=26), **plan)
    found = first.difference(second)
    assert found.difference == pytest.approx(first.probability - second.probability, abs=1e-15)
    assert found.discordant == (first.success != second.success).mean() == pytest.approx(found.difference)
    assert found.mcse < 0.6 * np.hypot(first.mcse, second.mcse)
    assert first.difference(first).difference == 0
    assert 0 < first.difference(first).mcse < 1e-3
    assert "succeed in one only" in repr(found)
    other, _ = predict(patients, rng, 12.5, 220, **plan)
    assert first.difference(other).difference == pytest.approx(-other.difference(first).difference)


# --- several equally likely data sets ---------------------------------------------------------------------------------

TAU = 0.25  # SD of the data sets' means


def nested(rng, data_sets, chains=2, draws=150, persistence=0.5):
    """Draw from data sets whose means are N(0, TAU²), two chains each: (chain, draw) of N(mean, 1)."""
    x = normal_draws(rng, (data_sets * chains, draws), persistence)
    return x + np.repeat(rng.normal(0, TAU, data_sets), chains)[:, None]


def claims(data_sets, repeats=300):
    """Errors and claimed errors of the plain share, of a re-weighted one and of a paired difference over simulations."""
    rng, found = np.random.default_rng(data_sets), []
    spread = np.hypot(TAU, np.hypot(1.0, 0.6))
    plain = stats.norm.cdf(LIMIT / spread)
    for _ in range(repeats):
        x = nested(rng, data_sets)
        noise = 0.6 * rng.normal(size=(*x.shape, 2))
        success, other = x[..., None] + noise < LIMIT, 0.3 * x[..., None] + noise < LIMIT
        share = success.mean(axis=2)
        lower = stats.norm.cdf(LIMIT / np.hypot(0.3 * np.hypot(TAU, 1.0), 0.6))
        difference = paired_difference(success, other, data_sets)
        variance = 1 / (1 + 1 / (1 + TAU**2))  # of x under a factor N(x; 1, 1)
        weighted = reweight(success, -0.5 * (x - 1) ** 2, data_sets=data_sets)
        found.append((
            (share.mean() - plain, monte_carlo_error(share, success.size, data_sets), monte_carlo_error(share, success.size)),
            (difference.difference - (plain - lower), difference.mcse, paired_difference(success, other).mcse),
            (weighted.probability - truth(variance, variance), weighted.mcse,
             reweight(success, -0.5 * (x - 1) ** 2).mcse),
        ))  # fmt: skip
    return np.array(found)  # (simulation, what, (error, claimed, claimed without data sets))


@pytest.mark.parametrize("data_sets", [5, 20])
def test_errors_count_how_much_data_sets_differ(data_sets):
    """The truth is a closed form: data sets' means are normal, and each trial succeeds below a limit."""
    for error, claimed, without in np.moveaxis(claims(data_sets), 0, -1):
        root = np.sqrt(np.mean(error**2))
        assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(error)) + 0.1 * root  # a ratio has a little bias
        assert 0.88 < np.sqrt(np.mean(claimed**2)) / root < 1.15
        assert np.sqrt(np.mean(without**2)) / root < 0.8  # what was claimed before


def test_one_data_set_has_no_part_of_its_own():
    x = normal_draws(np.random.default_rng(3), persistence=0.5)
    assert mean_error(x) == mean_error(x, 1) == error_within(x) == series_error(x)


def test_data_sets_that_are_alike_add_next_to_nothing():
    x = normal_draws(np.random.default_rng(4), (40, 250), persistence=0.3)
    assert error_within(x, 20) == pytest.approx(series_error(x), rel=0.1)
    assert error_within(x, 20) <= mean_error(x, 20) < 1.5 * error_within(x, 20)


def test_chains_are_shared_out_evenly_or_refused():
    for ask in (lambda: Layout.of(9, 100, 500, 2), lambda: mean_error(np.zeros((9, 10)), 2)):
        with pytest.raises(SpecificationError, match="9 chains cannot come from 2 data sets"):
            ask()


@pytest.mark.parametrize("data_sets", [1, 10])
def test_error_of_a_reciprocal_variance(data_sets):
    """Of normal draws, whose data sets have variances that differ: against the spread over simulations."""
    rng, found, claimed = np.random.default_rng(5), [], []
    for _ in range(400):
        scale = np.repeat(np.exp(rng.normal(0, 0.15 * (data_sets > 1), data_sets)), 2)
        x = normal_draws(rng, (2 * data_sets, 200), persistence=0.4) * scale[:, None]
        found.append(1 / x.var())
        claimed.append(reciprocal_variance_error(x, data_sets))
    assert 0.88 < np.sqrt(np.mean(np.square(claimed))) / np.std(found) < 1.15


def test_predictions_know_the_data_sets_of_their_draws():
    patients = single_arm()
    shift = np.repeat([-0.4, 0.0, 0.1, 0.5], 2)[:, None]  # of the log hazard, by data set
    hazard = np.random.default_rng(1).gamma(10.5, 1 / 220, size=(8, 1250)) * np.exp(shift)
    options = {"final": FinalAnalysis("follow_up", follow_up=24.0), "rule": EventCount(at_most=27), "seed": 11}
    log_hazard = np.log(hazard)[..., None, None, None]
    pooled = completed(patients, log_hazard, TimeGrid(()), data_sets=4, **options)
    alone = completed(patients, log_hazard, TimeGrid(()), **options)
    assert pooled.probability == alone.probability
    means = pooled.success.reshape(4, -1).mean(axis=1)
    assert pooled.mcse == pytest.approx(means.std(ddof=1) / 2)
    assert pooled.error_within < 0.2 * pooled.mcse
    with pytest.raises(SpecificationError, match="same seed and layout"):
        pooled.difference(alone)
    assert pooled.reweighted(np.zeros((8, 1250))).mcse == pytest.approx(pooled.mcse)
