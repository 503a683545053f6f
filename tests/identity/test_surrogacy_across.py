"""Surrogacy across trials: likelihoods, limits, predictions, the transported relation; each by a second route."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from smm_bayes.priors.clinical import RatioPrior
from smm_bayes.priors.normal import Normal
from smm_bayes.priors.spread import Fixed, HalfCauchy, HalfNormal, LogNormal, Uniform
from smm_bayes.surrogacy import (
    AcrossPriors,
    AcrossTrials,
    ConditionalDensity,
    PublishedRegression,
    Relation,
    Transport,
    Transported,
    TrialPairs,
    leave_one_out,
    predictive_threshold,
    probability_below,
    r_squared,
    summarise,
    thresholds,
    tipping_points,
    tipping_table,
    weighted_regression,
    wilson_interval,
)
from smm_bayes.surrogacy.across.marginal import given
from smm_bayes.surrogacy.across.model import _draw, _log_density

FLAT = 1e3


def make_pairs(trials=9, seed=1, first=(0.15, 0.35), second=(0.12, 0.25), slope=-0.4, residual=0.1, correlation=-0.3):
    rng = np.random.default_rng(seed)
    s_m, s_p = rng.uniform(*first, trials), rng.uniform(*second, trials)
    odds = rng.normal(0.8, 0.5, trials)
    hazard = -0.1 + slope * odds + residual * rng.normal(size=trials)
    z = rng.normal(size=(2, trials))
    error = correlation * z[0] + math.sqrt(1 - correlation**2) * z[1]
    return TrialPairs.from_arrays(odds + s_m * z[0], s_m, hazard + s_p * error, s_p)


PAIRS = make_pairs()
PRIORS = AcrossPriors()


# likelihoods


@pytest.mark.parametrize("correlation", [0.0, -0.5, 0.4])
def test_bivariate_likelihood_is_one_multivariate_normal(correlation):
    rng = np.random.default_rng(3)
    priors = AcrossPriors(intercept=Normal(-0.2, 0.4), mean=Normal(0.3, 0.8))
    b, tau, psi = rng.normal(size=6), rng.uniform(0, 1, 6), rng.uniform(0, 0.5, 6)
    found = given(PAIRS, priors, correlation, True, b, tau, psi)
    n = len(PAIRS)
    s_m, s_p = PAIRS.odds_ratio_se, PAIRS.hazard_ratio_se
    for k in range(6):
        design = np.block([[np.ones((n, 1)), np.zeros((n, 1))], [np.full((n, 1), b[k]), np.ones((n, 1))]])
        both = np.diag(b[k] * tau[k] ** 2 + correlation * s_m * s_p)
        within = np.block([[np.diag(tau[k] ** 2 + s_m**2), both], [both, np.diag(b[k] ** 2 * tau[k] ** 2 + psi[k] ** 2 + s_p**2)]])
        prior = np.diag([0.8**2, 0.4**2])
        mean = design @ [0.3, -0.2]
        whole = within + design @ prior @ design.T
        y = np.r_[PAIRS.log_odds_ratio, PAIRS.log_hazard_ratio]
        assert found.log_likelihood[k] == pytest.approx(stats.multivariate_normal(mean, whole).logpdf(y), abs=1e-9)
        gain = prior @ design.T @ np.linalg.inv(whole)
        posterior = np.array([0.3, -0.2]) + gain @ (y - mean)
        covariance = prior - gain @ design @ prior
        assert [found.mean[k], found.intercept[k]] == pytest.approx(posterior, abs=1e-9)
        assert [found.mean_variance[k], found.intercept_variance[k], found.covariance[k]] == pytest.approx(
            [covariance[0, 0], covariance[1, 1], covariance[0, 1]], abs=1e-10)  # fmt: skip


def test_flat_effects_integrate_out_with_a_factor_that_is_free_of_the_slope():
    pairs = TrialPairs.from_arrays([0.4, 1.2], [0.3, 0.2], [-0.3, -0.4], [0.2, 0.15])
    correlation, intercept = -0.4, -0.15
    priors = AcrossPriors(intercept=Normal(intercept, 1e-7))

    def one(pair, b, psi):
        cov = correlation * pair.odds_ratio_se * pair.hazard_ratio_se
        sigma = [[pair.odds_ratio_se**2, cov], [cov, pair.hazard_ratio_se**2 + psi**2]]
        normal = stats.multivariate_normal([0, 0], sigma)
        return integrate.quad(lambda t: normal.pdf([pair.log_odds_ratio - t, pair.log_hazard_ratio - intercept - b * t]), -8, 8, epsabs=1e-12, limit=400, points=[pair.log_odds_ratio])[0]

    for b, psi in [(-0.4, 0.1), (0.8, 0.3), (-2.0, 0.05), (0.0, 0.2)]:
        product = math.log(np.prod([one(pair, b, psi) for pair in pairs.items]))
        found = given(pairs, priors, correlation, False, b, 0.0, psi).log_likelihood
        assert float(found) == pytest.approx(product, abs=1e-6)


def test_bivariate_form_with_a_wide_spread_is_the_flat_form():
    b, psi = np.array([-1.0, -0.3, 0.4]), np.array([0.3, 0.05, 0.2])
    priors = AcrossPriors(mean=Normal(0, FLAT))
    wide = given(PAIRS, priors, -0.3, True, b, np.full(3, 1e4), psi)
    flat = given(PAIRS, priors, -0.3, False, b, np.zeros(3), psi)
    assert np.ptp(wide.log_likelihood - flat.log_likelihood) < 1e-5
    assert wide.intercept == pytest.approx(flat.intercept, abs=1e-6)


# quadrature


@pytest.mark.parametrize("form", ["bivariate", "daniels_hughes"])
def test_posterior_is_that_of_draws_from_the_prior_weighted_by_the_likelihood(form):
    rng = np.random.default_rng(5)
    analysis = AcrossTrials(PAIRS, PRIORS, -0.3, form)
    drawn = PRIORS.sample(400_000, rng=rng)
    found = given(PAIRS, PRIORS, -0.3, analysis.is_bivariate, drawn["slope"], drawn["spread"], drawn["residual_sd"])
    weight = np.exp(found.log_likelihood - found.log_likelihood.max())
    evidence = found.log_likelihood.max() + math.log(weight.mean())
    error = weight.std() / weight.mean() / math.sqrt(len(weight))
    assert analysis.nodes.log_evidence == pytest.approx(evidence, abs=4 * error)
    nodes = analysis.nodes
    for exact, values in ((nodes.slope, drawn["slope"]), (nodes.residual_sd, drawn["residual_sd"]), (nodes.given.intercept, found.intercept)):
        mean = weight @ values / weight.sum()
        error = math.sqrt(((weight * (values - mean)) ** 2).sum()) / weight.sum()
        assert float(nodes.mass @ exact) == pytest.approx(mean, abs=4 * error)


@pytest.mark.parametrize("prior", [HalfCauchy(0.3), LogNormal(-1.5, 0.7), Uniform(0.05, 0.6), Fixed(0.0)], ids=lambda p: type(p).__name__)
def test_other_priors_of_standard_deviations(prior):
    priors = AcrossPriors(residual_sd=prior, spread=HalfNormal(0.5) if isinstance(prior, Fixed) else prior)
    drawn = priors.sample(150_000, rng=np.random.default_rng(6))
    found = given(PAIRS, priors, -0.3, True, drawn["slope"], drawn["spread"], drawn["residual_sd"]).log_likelihood
    weight = np.exp(found - found.max())
    nodes = AcrossTrials(PAIRS, priors, -0.3).nodes
    error = weight.std() / weight.mean() / math.sqrt(len(weight))
    assert nodes.log_evidence == pytest.approx(found.max() + math.log(weight.mean()), abs=4 * error)


def test_density_and_draws_of_the_pymc_model_are_those_of_a_bivariate_normal():
    import pytensor.tensor as pt

    value, odds, hazard, seen, first, second, correlation = -0.4, 0.7, -0.2, 0.9, 0.25, 0.15, -0.4
    both = correlation * first * second
    exact = stats.multivariate_normal([odds, hazard], [[first**2, both], [both, second**2]]).logpdf([seen, value])
    given_ = [pt.constant(x) for x in (value, odds, hazard, seen, first, second, correlation)]
    assert float(_log_density(*given_).eval(mode="FAST_COMPILE")) == pytest.approx(exact)
    drawn = _draw(odds, hazard, seen, first, second, correlation, rng=np.random.default_rng(1), size=40_000)
    sd = second * math.sqrt(1 - correlation**2)
    assert drawn.mean() == pytest.approx(hazard + both / first**2 * (seen - odds), abs=4 * sd / 200)
    assert drawn.std() == pytest.approx(sd, rel=0.02)


@pytest.mark.parametrize(("trials", "error"), [(4, 0.3), (30, 0.05), (5, 0.001), (60, 0.2)])
@pytest.mark.parametrize("form", ["bivariate", "daniels_hughes"])
def test_nodes_are_fine_enough(trials, error, form):
    pairs = make_pairs(trials, 8, (error, error * 1.01), (error, error * 1.01))
    analysis = AcrossTrials(pairs, correlation=-0.3, form=form)
    coarse, fine = analysis.nodes, analysis.quadrature.nodes((61, 37, 37) if analysis.is_bivariate else (121, 1, 121))
    assert coarse.log_evidence == pytest.approx(fine.log_evidence, abs=2e-5)
    for k in (1, 2):
        assert coarse.mass @ coarse.slope**k == pytest.approx(fine.mass @ fine.slope**k, rel=1e-4, abs=1e-5)
    assert coarse.mass @ coarse.residual_sd**2 == pytest.approx(fine.mass @ fine.residual_sd**2, rel=1e-4)


@pytest.mark.parametrize("form", ["bivariate", "daniels_hughes"])
def test_draws_have_the_density_of_the_nodes(form):
    analysis = AcrossTrials(PAIRS, correlation=-0.3, form=form)
    draws, nodes, size = analysis.draws(20_000, rng=np.random.default_rng(2)), analysis.nodes, 20_000
    known = nodes.given
    for values, mean, variance in ((draws.slope, nodes.slope, 0.0), (draws.intercept, known.intercept, known.intercept_variance), (draws.residual_sd**2, nodes.residual_sd**2, 0.0)):
        exact = nodes.mass @ mean
        spread = math.sqrt(nodes.mass @ (variance + (mean - exact) ** 2))
        assert values.mean() == pytest.approx(exact, abs=4 * spread / math.sqrt(size))
        assert values.std() == pytest.approx(spread, rel=0.06)
    # exact between the nodes too: the median slope is where the fine nodes have half their mass
    fine = analysis.quadrature.nodes((301, 19, 19))
    order = np.argsort(fine.slope)
    below = np.interp(np.median(draws.slope), fine.slope[order], np.cumsum(fine.mass[order]))
    assert below == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(size) + 0.005)
    if analysis.is_bivariate:
        assert np.cov(draws.mean, draws.intercept)[0, 1] == pytest.approx(
            nodes.mass @ (known.covariance + (known.mean - nodes.mass @ known.mean) * (known.intercept - nodes.mass @ known.intercept)), abs=2e-3)  # fmt: skip
    else:
        assert np.isnan(draws.mean).all()


@pytest.mark.parametrize("form", ["bivariate", "daniels_hughes"])
def test_means_are_those_of_finer_nodes(form):
    analysis = AcrossTrials(PAIRS, correlation=-0.3, form=form)
    fine = analysis.quadrature.nodes((31, 121, 121))
    parts = {"slope": fine.slope, "residual_sd": fine.residual_sd, "intercept": fine.given.intercept}
    if analysis.is_bivariate:
        parts |= {"spread": fine.spread, "mean": fine.given.mean}
    assert analysis.means() == pytest.approx({name: float(fine.mass @ part) for name, part in parts.items()}, abs=3e-5)


def test_prior_hazard_ratios_have_the_variance_of_a_sum():
    """Of the log hazard ratio: var(a) + x² var(b) + E psi²."""
    points = np.array([0.0, 1.5, 3.0])
    log = np.log(PRIORS.hazard_ratios(points, 200_000, rng=np.random.default_rng(3)))
    variance = 0.5**2 + points**2 + 0.25**2
    assert log.mean(axis=0) == pytest.approx(np.zeros(3), abs=4 * np.sqrt(variance.max() / 200_000))
    assert log.var(axis=0) == pytest.approx(variance, rel=0.015)
    steps = np.diff(log, axis=1)
    assert steps[:, 0] == pytest.approx(steps[:, 1])  # points of one draw are on one line


@pytest.mark.parametrize("form", ["bivariate", "daniels_hughes"])
def test_without_errors_of_odds_ratios_it_is_weighted_least_squares(form):
    known = make_pairs(12, 3, (1e-7, 2e-7))
    psi = 0.17
    priors = AcrossPriors(Normal(0, FLAT), Normal(0, FLAT), Fixed(psi), Normal(0, FLAT), HalfNormal(2.0))
    nodes = AcrossTrials(known, priors, 0.0, form).nodes
    weight = 1 / (known.hazard_ratio_se**2 + psi**2)
    design = np.column_stack([np.ones(12), known.log_odds_ratio])
    covariance = np.linalg.inv(design.T * weight @ design)
    intercept, slope = covariance @ (design.T * weight @ known.log_hazard_ratio)
    assert nodes.mass @ nodes.slope == pytest.approx(slope, abs=1e-6)
    assert nodes.mass @ (nodes.slope - slope) ** 2 == pytest.approx(covariance[1, 1], rel=1e-4)
    assert nodes.mass @ nodes.given.intercept == pytest.approx(intercept, abs=1e-6)
    spread = nodes.mass @ (nodes.given.intercept_variance + (nodes.given.intercept - intercept) ** 2)
    assert spread == pytest.approx(covariance[0, 0], rel=1e-4)
    found = weighted_regression(known, weight)
    assert (found["slope"], found["intercept"]) == pytest.approx((slope, intercept))


def test_errors_of_odds_ratios_dilute_the_flat_form_and_not_the_bivariate_one():
    pairs = make_pairs(150, 4, (0.4, 0.41), (0.1, 0.11), slope=-0.6, residual=0.05, correlation=0.0)
    means = {}
    for form in ("bivariate", "daniels_hughes"):
        nodes = AcrossTrials(pairs, form=form).nodes
        mean = nodes.mass @ nodes.slope
        means[form] = mean, math.sqrt(nodes.mass @ (nodes.slope - mean) ** 2)
    assert means["bivariate"][0] == pytest.approx(-0.6, abs=3 * means["bivariate"][1])
    assert means["daniels_hughes"][0] > -0.6 + 4 * means["daniels_hughes"][1]


# predictions


@pytest.mark.parametrize("form", ["bivariate", "daniels_hughes"])
def test_leaving_one_out_is_a_ratio_of_evidences(form):
    """The density of a left-out estimate is what its trial adds to the evidence."""
    whole = AcrossTrials(PAIRS, correlation=-0.3, form=form)
    for pair in PAIRS.items[:3]:
        others = replace(whole, pairs=PAIRS.without(pair.trial))
        found = others.predict(pair.log_odds_ratio, pair.odds_ratio_se, hazard_ratio_se=pair.hazard_ratio_se)
        log = math.log(found.weights @ stats.norm.pdf(pair.log_hazard_ratio, found.means, found.sds))
        if whole.is_bivariate:
            nodes = others.nodes
            sd = np.sqrt(nodes.given.mean_variance + nodes.spread**2 + pair.odds_ratio_se**2)
            log += math.log(nodes.mass @ stats.norm.pdf(pair.log_odds_ratio, nodes.given.mean, sd))
        assert log == pytest.approx(whole.nodes.log_evidence - others.nodes.log_evidence, abs=1e-4)


@pytest.mark.parametrize("form", ["bivariate", "daniels_hughes"])
def test_prediction_is_that_of_draws(form):
    rng = np.random.default_rng(12)
    analysis = AcrossTrials(PAIRS, correlation=-0.3, form=form)
    draws, estimate, se = analysis.draws(20_000, rng=rng), 1.6, 0.3
    if analysis.is_bivariate:
        weight = stats.norm.pdf(estimate, draws.mean, np.hypot(draws.spread, se))
        shrink = draws.spread**2 / (draws.spread**2 + se**2)
        odds = rng.normal(draws.mean + shrink * (estimate - draws.mean), se * np.sqrt(shrink))
    else:
        weight, odds = np.ones(20_000), rng.normal(estimate, se, 20_000)
    hazard = rng.normal(draws.intercept + draws.slope * odds, draws.residual_sd)
    found = analysis.predict(estimate, se)
    weight = weight / weight.sum()
    for value in (-1.2, -0.7, -0.5, -0.2):
        error = math.sqrt((weight**2 * ((hazard < value) - weight @ (hazard < value)) ** 2).sum())
        assert found.cdf(value) == pytest.approx(weight @ (hazard < value), abs=4 * error)
    assert found.cdf(found.quantile([0.1, 0.5, 0.9])) == pytest.approx([0.1, 0.5, 0.9], abs=1e-10)
    assert found.sample(50_000, rng=rng).mean() == pytest.approx(found.mean, abs=4 * found.sd / math.sqrt(50_000))


def test_left_out_trials_are_counted():
    found = leave_one_out(AcrossTrials(PAIRS, correlation=-0.3))
    table = found.coverage()
    for level in (0.8, 0.95):
        inside = (found.tail >= (1 - level) / 2) & (found.tail <= (1 + level) / 2)
        assert table.loc[level, "covered"] == inside.sum() == found.covered(level)
    assert list(found.table().index) == list(PAIRS.trials)


# summaries


def test_thresholds_of_known_parameters_and_over_the_posterior():
    a, b, psi = np.array([-0.1, -0.1, -0.5]), np.array([-0.4, 0.2, -0.3]), np.array([0.1, 0.1, 0.1])
    found = thresholds(a, b, psi)
    assert a[0] + b[0] * found[0] + 1.959964 * psi[0] == pytest.approx(0, abs=1e-6)
    assert found[1] == np.inf
    assert found[2] < 0  # benefit is sure already at equal odds
    assert np.all(thresholds(a, b, psi, 0.9)[[0, 2]] < found[[0, 2]])
    sharp = AcrossTrials(make_pairs(30, 2, (0.1, 0.12), (0.08, 0.1)))
    threshold, end = predictive_threshold(sharp)
    assert 0 < threshold < math.inf
    assert end == math.inf
    assert sharp.probability_of_benefit(threshold) == pytest.approx(0.975, abs=1e-9)
    assert sharp.predict(threshold).cdf(0.0) == pytest.approx(0.975, abs=0.02)
    harm = TrialPairs.from_arrays(sharp.pairs.log_odds_ratio, sharp.pairs.odds_ratio_se, -sharp.pairs.log_hazard_ratio + 0.5, sharp.pairs.hazard_ratio_se)
    assert predictive_threshold(AcrossTrials(harm)) == (math.inf, math.inf)
    # with an unsure slope, effects far beyond the trials' predict no more
    few = AcrossTrials(TrialPairs.from_arrays([0.8, 1.0, 1.2, 1.1], [0.1] * 4, [-0.5, -0.5, -0.6, -0.5], [0.08] * 4))
    low, high = predictive_threshold(few)
    assert 0 < low < 1 < high < math.log(1000)
    assert few.probability_of_benefit(np.array([low, high])) == pytest.approx(0.975, abs=1e-9)
    assert few.probability_of_benefit((low + high) / 2) > 0.975 > few.probability_of_benefit(high + 0.3)


def test_r_squared_and_spread_of_trials():
    assert r_squared(-0.5, 0.4, 0.2) == pytest.approx(0.5)
    assert r_squared(np.array([-0.3]), 0.0, np.array([0.2])) == 0
    rng = np.random.default_rng(1)
    se = rng.uniform(0.1, 0.3, 20_000)
    many = TrialPairs.from_arrays(rng.normal(0.5, np.hypot(0.4, se)), se, np.zeros(20_000), se)
    assert many.spread == pytest.approx(0.4, abs=0.01)
    found = summarise(AcrossTrials(PAIRS, form="daniels_hughes"), 500, rng=rng)
    assert found.r_squared == pytest.approx(r_squared(found.draws.slope, PAIRS.spread, found.draws.residual_sd))
    assert "these trials by the method of moments" in found.summary()


def test_wilson_interval_is_that_of_statsmodels():
    from statsmodels.stats.proportion import proportion_confint

    for k, n, level in [(0, 5, 0.95), (5, 5, 0.95), (7, 11, 0.8), (9, 10, 0.95)]:
        assert wilson_interval(k, n, level) == pytest.approx(proportion_confint(k, n, 1 - level, "wilson"), abs=1e-12)


def test_published_line_passes_through_the_pooled_ratios():
    published = PublishedRegression("one", 20, -0.35, 0.05, 0.7, None, (1.0, 0.1), (-0.6, 0.06))
    a, b, psi = published.draw(40_000, rng=np.random.default_rng(1))
    line = a + b * 1.0
    assert line.mean() == pytest.approx(-0.6, abs=4 * line.std() / 200)
    # at the pooled odds ratio the slope's error is not felt
    assert line.std() == pytest.approx(math.hypot(0.06, 0.1 * math.hypot(0.35, 0.05)), rel=0.02)
    spread = 0.1 * math.sqrt(20) * 0.35 / math.sqrt(0.7)
    assert np.median(psi) == pytest.approx(spread * math.sqrt(0.3), rel=0.02)
    assert psi.max() <= spread


# transport


def relation(draws=300, seed=1):
    rng = np.random.default_rng(seed)
    return Relation(rng.normal(-0.1, 0.1, draws), rng.normal(-0.35, 0.08, draws), np.abs(rng.normal(0.1, 0.05, draws)), "pairs", "some", 9, "published", (0.2, 2.0))


def test_log_density_is_the_average_of_normal_densities():
    rng = np.random.default_rng(2)
    moved = Transported.of(relation(), Transport(RatioPrior(0.7, 1.4), Normal(0.1, 0.2), HalfNormal(0.3)), rng=rng)
    x, y = rng.normal(0.8, 0.5, (3, 700)), rng.normal(-0.4, 0.4, (3, 700))
    each = stats.norm.pdf(y[..., None], moved.intercept + moved.slope * x[..., None], moved.sd)
    assert moved.log_density(x, y) == pytest.approx(np.log(each.mean(axis=-1)), abs=1e-10)
    parts = [np.exp(part.log_density(x, y)) for part in moved.split(10)]
    assert np.mean(parts, axis=0) == pytest.approx(each.mean(axis=-1))
    far = moved.log_density(np.array([0.0]), np.array([60.0]))
    assert np.isfinite(far).all()
    assert moved.predict(np.array([0.5, 1.0])).shape == (3, 2)
    assert moved.at(0.5).cdf(moved.predict(0.5)) == pytest.approx([0.025, 0.5, 0.975], abs=1e-9)


def test_an_infinite_gap_says_nothing_and_a_wide_one_nearly_so():
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.8, 0.5, 200), rng.normal(-0.4, 0.4, 200)
    assert np.all(Transported.of(relation(), Transport.nothing(), rng=rng).log_density(x, y) == 0)
    wide = Transported.of(relation(), Transport(1.0, 0.0, 1e4), rng=rng).log_density(x, y)
    assert np.ptp(wide) < 1e-6
    narrow = Transported.of(relation(), Transport.identity(), rng=rng).log_density(x, y)
    assert np.ptp(narrow) > 1


def test_identity_and_fixed_gaps_are_what_they_say():
    rng, line = np.random.default_rng(2), relation()
    same = Transported.of(line, Transport.identity(), rng=rng)
    assert np.array_equal(same.intercept, line.intercept)
    assert np.array_equal(same.slope, line.slope)
    assert same.sd == pytest.approx(line.residual_sd)
    moved = Transported.of(line, Transport(0.5, 0.2, 0.3), rng=rng)
    assert moved.slope == pytest.approx(0.5 * line.slope)
    assert moved.intercept == pytest.approx(line.intercept + 0.2)
    assert moved.sd == pytest.approx(np.hypot(line.residual_sd, 0.3))


def test_extrapolation_is_flagged():
    moved = Transported.of(relation(), Transport(), rng=np.random.default_rng(1))
    inside, outside = moved.extrapolates(np.linspace(0.3, 1.9, 50)), moved.extrapolates(np.linspace(0, 4, 101))
    assert (inside.probability, inside.is_flagged) == (0, False)
    assert outside.probability == pytest.approx((5 + 50) / 101)
    assert str(outside).startswith("EXTRAPOLATION: outside the trials' odds ratios, 1.22 to 7.39")
    unknown = Relation([0.0], [-0.3], [0.1], "published regression", "it", 29, "published")
    found = Transported.of(unknown, Transport(), rng=np.random.default_rng(1)).extrapolates(np.array([0.5]))
    assert found.is_flagged
    assert "not known" in str(found)


def test_tipping_points():
    rng = np.random.default_rng(4)
    odds, hazard = rng.normal(1.2, 0.2, 4000), rng.normal(-0.1, 0.3, 4000)

    def benefit(log_weight):
        weight = np.exp(log_weight - log_weight.max())
        return weight @ (hazard < -0.3) / weight.sum()

    some = rng.normal(size=4000)
    assert probability_below(hazard, -0.3)(some) == pytest.approx(benefit(some))
    assert probability_below(hazard)(np.zeros(4000)) == (hazard < 0).mean()
    settings = {"scales": (1.0, 0.0), "shifts": (0.0,), "extra_sds": (0.0, 0.3, 1.0, np.inf)}
    own = ConditionalDensity.normal(0.0, 0.5)
    table = tipping_table(relation(), odds, hazard, benefit, prior=own, weight=1.0, **settings)
    none = tipping_table(relation(), odds, hazard, benefit, prior=own, weight=0.0, **settings)
    assert (none["answer"] == benefit(np.zeros(4000))).all()
    without = float((hazard < -0.3).mean())
    assert table.loc[np.isinf(table["extra_sd"]), "answer"].to_numpy() == pytest.approx([without, without])
    assert table.loc[np.isinf(table["extra_sd"]), "effective_draws"].to_numpy() == pytest.approx([4000, 4000])
    one = table[table["scale"] == 1]["answer"].to_numpy()
    assert np.all(np.diff(one) < 0)
    found = tipping_points(table, (one[1] + one[2]) / 2).set_index("scale")["extra_sd"]
    assert found[1.0] == 1.0
    assert np.isnan(tipping_points(table, 0.0)["extra_sd"]).all()


# the current trial's data enter once, and once only


def normal_product(mean, covariance, line, sd):
    """Product of N(mean, covariance) over (theta_M, theta_P) with N(theta_P; c + d theta_M, sd²), normalised."""
    c, d = line
    row = np.array([-d, 1.0])
    precision = np.linalg.inv(covariance)
    whole = precision + np.outer(row, row) / sd**2
    covariance = np.linalg.inv(whole)
    return covariance @ (precision @ mean + row * c / sd**2), covariance


def current_posterior(precision_of_odds):
    """Posterior of both effects from data alone: priors N(0, 1), estimates 1.0 and -0.2, errors correlated at 0."""
    precision = np.array([1 + precision_of_odds, 1 + 1 / 0.3**2])
    return np.array([1.0 * precision_of_odds, -0.2 / 0.3**2]) / precision, np.diag(1 / precision)


def reweighted(precision_of_odds, times=1, draws=400_000):
    rng = np.random.default_rng(9)
    mean, covariance = current_posterior(precision_of_odds)
    theta = rng.multivariate_normal(mean, covariance, draws)
    fixed = Relation([-0.1], [-0.5], [0.15], "pairs", "some", 9, "published")
    log = Transported.of(fixed, Transport(0.8, 0.05, 0.2), rng=rng).log_density(theta[:, 0], theta[:, 1])
    weight = np.exp(times * (log - log.max()))
    weight /= weight.sum()
    middle = weight @ theta
    error = np.sqrt((weight[:, None] ** 2 * (theta - middle) ** 2).sum(axis=0))
    return middle, weight @ (theta - middle) ** 2, error, weight


@pytest.mark.parametrize("precision", [4.0, 8.0])
def test_reweighting_is_the_closed_form_with_the_data_once(precision):
    found, variance, error, weight = reweighted(precision)
    line, sd = (-0.1 + 0.05, -0.5 * 0.8), math.hypot(0.15, 0.2)
    mean, covariance = normal_product(*current_posterior(precision), line, sd)
    effective = 1 / (weight**2).sum()
    assert np.all(np.abs(found - mean) < 4 * error)
    assert np.all(np.abs(variance / np.diag(covariance) - 1) < 4 * math.sqrt(2 / effective))
    # the relation or the data twice would be seen
    for wrong in (reweighted(precision, times=2)[0], normal_product(*current_posterior(2 * precision), line, sd)[0]):
        assert np.any(np.abs(wrong - mean) > 12 * error)
