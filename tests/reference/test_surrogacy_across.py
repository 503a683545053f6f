"""Surrogacy across trials on the published facts, beside what publications say of their own sets of trials."""

import math

import numpy as np
import pytest
from statsmodels.api import WLS, add_constant

from smm_bayes.errors import SpecificationError
from smm_bayes.evidence import load_facts
from smm_bayes.priors.normal import Normal
from smm_bayes.surrogacy import (
    CORRELATIONS,
    AcrossTrials,
    PublishedRegression,
    Relation,
    TrialPairs,
    compare,
    leave_one_out,
    sensitivity,
    summarise,
    weight_scores,
    weighted_regression,
)

FACTS = load_facts()
FIVE = ("PERSEUS", "CEPHEUS", "GMMG-HD7", "IKEMA", "CANDOR")
READ = TrialPairs.from_facts(FACTS, trials=FIVE)
RECALLED = TrialPairs.from_facts(FACTS, trust="recalled")
PUBLISHED = PublishedRegression.from_facts(
    FACTS, trials=29, slope="ash2024-4696-meta-001", r_squared="ash2024-4696-meta-007",
    odds_ratio="ash2024-4696-meta-004", hazard_ratio="ash2024-4696-meta-005")  # fmt: skip


def test_which_pairs_the_facts_give():
    assert len(READ) == 5
    assert all(pair.trust != "recalled" for pair in READ.items)
    everything = TrialPairs.from_facts(FACTS)
    cuts = {pair.trial: pair.same_cut for pair in everything.items}
    assert {name for name, same in cuts.items() if same is False} == {"ALCYONE", "GMMG-HD7"}
    assert {name for name, same in cuts.items() if same} == {"IKEMA"}
    with pytest.raises(SpecificationError, match="two trials at least, found 1"):  # not enough for a relation
        TrialPairs.from_facts(FACTS, same_cut_only=True)
    assert set(everything.trials) - set(READ.trials) == {"ALCYONE"}
    assert len(RECALLED) == 11
    assert any("has no interval" in reason for _, reason in RECALLED.left_out)
    by_level = {fact.level for pair in RECALLED.items for fact in FACTS.require(pair.facts)}
    assert 0.954 in by_level  # limits of other levels are read with their own
    assert 0.985 in by_level


@pytest.mark.parametrize("pairs", [READ, RECALLED], ids=["read", "recalled"])
def test_weighted_regression_is_that_of_statsmodels(pairs):
    found = weighted_regression(pairs)
    other = WLS(pairs.log_hazard_ratio, add_constant(pairs.log_odds_ratio), weights=pairs.hazard_ratio_se**-2).fit()
    assert [found["intercept"], found["slope"]] == pytest.approx(other.params)
    assert found["r_squared"] == pytest.approx(other.rsquared)


def test_few_pairs_read_at_their_source_say_little():
    """The usual regression gives -0.17 (R squared 0.10), or -0.24 (0.16) without weights: weaker than published.

    The posterior is wide: the five odds ratios are within three-fold and each has an error of a third of their range.
    """
    weighted, plain = weighted_regression(READ), weighted_regression(READ, np.ones(5))
    assert weighted == pytest.approx({"slope": -0.172, "intercept": -0.354, "r_squared": 0.104}, abs=5e-4)
    assert plain == pytest.approx({"slope": -0.240, "intercept": -0.308, "r_squared": 0.162}, abs=5e-4)
    found = summarise(AcrossTrials(READ), rng=np.random.default_rng(1))
    slope, share = found.table().loc["slope"], found.table().loc["R squared"]
    assert slope["lower"] < -0.56 < -0.17 < slope["upper"]  # wider than the interval of the 13 published trials
    assert share["upper"] - share["lower"] > 0.95


def test_which_of_the_five_were_read_at_their_source():
    table = READ.provenance()
    assert dict(table["reading"]) == {
        "PERSEUS": "second-hand", "CEPHEUS": "second-hand, computed from what is printed", "GMMG-HD7": "second-hand",
        "IKEMA": "read at its source", "CANDOR": "read at its source",
    }  # fmt: skip
    assert [READ.items[k].same_cut for k in range(5)] == [None, None, False, True, None]


def test_prior_of_r_squared_says_much_of_what_the_five_seem_to_say():
    """Prior 0.76 (0 to 1); the five move it down. A threshold exists with probability 0.91, before them with 0.5."""
    found = summarise(AcrossTrials(READ), 20_000, rng=np.random.default_rng(1))
    share, exists = found.table().loc["R squared"], found.probabilities().loc["the slope is negative: a threshold exists"]
    assert share["prior_median"] == pytest.approx(0.76, abs=0.01)
    assert share["prior_lower"] < 0.01
    assert share["prior_upper"] > 0.99
    assert share["median"] == pytest.approx(0.56, abs=0.03)
    assert exists["prior"] == pytest.approx(0.5, abs=0.01)
    assert exists["posterior"] == pytest.approx(0.91, abs=0.01)


def test_relation_holds_among_the_five_themselves():
    """Log scores of each by the others rise with the relation's weight: 3.0 from 0 to one half, 1.8 from there to 1."""
    table = weight_scores(AcrossTrials(READ), Normal(0.0, math.log(2.7) / 1.959964))
    total = table.loc["all"]
    assert total[0.5] - total[0.0] == pytest.approx(3.0, abs=0.05)
    assert total[1.0] - total[0.5] == pytest.approx(1.8, abs=0.05)
    assert (np.diff(total) > 0).all()
    assert (total[1.0] - total[0.5]) < 5 * math.log(2)  # what one half can cost at most


def test_all_pairs_agree_with_the_published_slopes():
    table = sensitivity({"recalled": RECALLED}, rng=np.random.default_rng(2), draws=2000)
    assert sorted(set(table["correlation"])) == sorted(CORRELATIONS)
    for fact in ("clml2023-meta-001", "ash2024-4696-meta-001"):
        (published,) = FACTS.require(fact)
        assert ((table["slope_lower"] < published.value) & (published.value < table["slope_upper"])).all()
    (frontline,) = FACTS.require("clml2023-meta-001")
    assert table["slope_median"].between(frontline.lower, frontline.upper).all()
    for fact in ("clml2023-meta-002", "evidence-miami-001", "evidence-miami-002"):
        (published,) = FACTS.require(fact)
        assert ((table["r_squared_lower"] < published.value) & (published.value < table["r_squared_upper"])).all()
    found = leave_one_out(AcrossTrials(RECALLED))
    coverage = found.coverage()
    assert coverage.loc[0.95, "covered"] == 11
    assert coverage.loc[0.8, "lower"] < 0.8 < coverage.loc[0.8, "upper"]


def test_error_of_a_slope_from_r_squared_is_that_of_the_printed_interval():
    printed = PublishedRegression.from_facts(FACTS, trials=13, slope="clml2023-meta-001", r_squared="clml2023-meta-002")
    derived = PublishedRegression("it", 13, printed.slope, None, printed.r_squared)
    assert printed.standard_error == pytest.approx(0.39 / (2 * 1.959964))
    assert derived.standard_error == pytest.approx(printed.standard_error, rel=0.05)


def test_published_regression_as_the_source_and_the_pairs_as_a_check():
    rng = np.random.default_rng(3)
    published = Relation.from_published(PUBLISHED, 4000, rng=rng)
    line = published.intercept + published.slope * math.log(2.84)
    assert np.exp(np.median(line)) == pytest.approx(0.54, abs=0.01)
    assert np.median(published.residual_sd) == pytest.approx(0.14, abs=0.02)
    table = compare(published, Relation.from_pairs(AcrossTrials(RECALLED), 4000, rng=rng))
    assert table["above"].between(0.1, 0.9).all()
    # a relation far from these trials would be seen
    wrong = Relation.from_published(PUBLISHED, 4000, intercept=Normal(0.5, 0.1), rng=rng)
    assert compare(wrong, Relation.from_pairs(AcrossTrials(RECALLED), 4000, rng=rng)).loc["hazard ratio at odds ratio 3", "above"] > 0.99
