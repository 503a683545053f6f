"""What bears on the weight of a relation across trials: log scores of trials left out, priors of what is summed up."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from smm_bayes.priors.normal import Normal
from smm_bayes.priors.spread import Fixed
from smm_bayes.surrogacy import AcrossPriors, AcrossTrials, TrialPairs, summarise, weight_scores

PAIRS = TrialPairs.from_arrays([0.4, 0.9, 1.5, 1.1], [0.2, 0.2, 0.3, 0.2], [-0.2, -0.45, -0.6, -0.5], [0.15, 0.1, 0.2, 0.15])


@pytest.mark.parametrize("form", ["bivariate", "daniels_hughes"])
def test_log_scores_are_of_the_mixture_of_both_densities(form):
    """Without the relation N(m, v² + s²); with it what the other trials predict; between, their mixture."""
    analysis, own = AcrossTrials(PAIRS, form=form), Normal(-0.1, 0.5)
    table = weight_scores(analysis, own, (0.0, 0.3, 1.0))
    for pair in PAIRS.items:
        alone = stats.norm.pdf(pair.log_hazard_ratio, -0.1, math.hypot(0.5, pair.hazard_ratio_se))
        others = replace(analysis, pairs=PAIRS.without(pair.trial))
        found = others.predict(pair.log_odds_ratio, pair.odds_ratio_se, hazard_ratio_se=pair.hazard_ratio_se)
        step = 1e-4
        related = float(found.cdf(pair.log_hazard_ratio + step) - found.cdf(pair.log_hazard_ratio - step)) / (2 * step)
        expected = np.log([alone, 0.7 * alone + 0.3 * related, related])
        assert table.loc[pair.trial].to_numpy() == pytest.approx(expected, abs=1e-6)
    assert table.loc["all"].to_numpy() == pytest.approx(table.iloc[:-1].sum().to_numpy())


def test_half_the_weight_costs_a_factor_of_two_a_trial_at_most():
    table = weight_scores(AcrossTrials(PAIRS), Normal(0.0, 0.5), (0.0, 0.5, 1.0)).iloc[:-1]
    better = np.maximum(table[0.0], table[1.0])
    assert (table[0.5] >= better - math.log(2)).all()
    assert (table[0.5] <= better).all()


def test_priors_stand_beside_the_posteriors():
    """With known spread and residual SD, R squared is b²τ² / (b²τ² + ψ²) of a normal slope, and the slope's is its own."""
    priors = AcrossPriors(slope=Normal(0.2, 0.6), intercept=Normal(0.1, 0.4), spread=Fixed(0.5), residual_sd=Fixed(0.2))
    found = summarise(AcrossTrials(PAIRS, priors), 2000, rng=np.random.default_rng(1))
    table, drawn = found.table(), len(found.prior["slope"])
    for name, law in (("slope", stats.norm(0.2, 0.6)), ("intercept", stats.norm(0.1, 0.4))):
        for column, chance in (("prior_median", 0.5), ("prior_lower", 0.025), ("prior_upper", 0.975)):
            assert abs(law.cdf(table.loc[name, column]) - chance) < 4 * math.sqrt(chance * (1 - chance) / drawn)
    # R squared is below the median where |slope| is
    edge = table.loc["R squared", "prior_median"]
    slope = math.sqrt(edge / (1 - edge)) * 0.2 / 0.5
    inside = stats.norm.cdf(slope, 0.2, 0.6) - stats.norm.cdf(-slope, 0.2, 0.6)
    assert abs(inside - 0.5) < 4 * 0.5 / math.sqrt(drawn)
    chance = found.probabilities()
    exists = stats.norm.cdf(0, 0.2, 0.6)
    assert abs(chance.loc["the slope is negative: a threshold exists", "prior"] - exists) < 4 * math.sqrt(0.25 / drawn)
    # b < 0 and a + 1.96 ψ > 0, independently
    above = exists * stats.norm.sf(-1.959964 * 0.2, 0.1, 0.4)
    assert abs(chance.loc["the threshold is an odds ratio above 1", "prior"] - above) < 4 * math.sqrt(0.25 / drawn)
    posterior = chance["posterior"]
    assert posterior.iloc[0] == found.negative_slope
    assert posterior.iloc[1] == found.positive_threshold
    assert posterior.iloc[2] == (found.r_squared > 0.5).mean()
    assert table.loc["slope", "upper"] < table.loc["slope", "prior_upper"]
    assert f"prior {exists:.2f}" in found.summary()


def test_without_a_distribution_of_odds_ratios_the_prior_of_r_squared_is_with_these_trials_spread():
    found = summarise(AcrossTrials(PAIRS, form="daniels_hughes"), 500, rng=np.random.default_rng(1))
    slope, residual = found.prior["slope"], found.prior["residual SD"]
    share = (slope * PAIRS.spread) ** 2 / ((slope * PAIRS.spread) ** 2 + residual**2)
    assert found.prior["R squared"] == pytest.approx(share)
    assert "spread of log odds ratios" not in found.table().index
    found = summarise(AcrossTrials(PAIRS), 500, rng=np.random.default_rng(1))  # and otherwise with each draw's own
    slope, spread, residual = (found.prior[name] for name in ("slope", "spread of log odds ratios", "residual SD"))
    assert found.prior["R squared"] == pytest.approx((slope * spread) ** 2 / ((slope * spread) ** 2 + residual**2))
