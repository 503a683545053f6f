"""Doors of surrogacy across trials: pairs from facts, what is refused, and in which words."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.errors import SpecificationError
from smm_bayes.evidence.facts import Fact, Facts
from smm_bayes.priors.normal import Normal
from smm_bayes.priors.spread import HalfNormal
from smm_bayes.surrogacy import (
    AcrossPriors,
    AcrossTrials,
    PublishedRegression,
    Relation,
    Transport,
    Transported,
    TrialPair,
    TrialPairs,
    across_data,
    compare,
    leave_one_out,
    sensitivity,
    summarise,
)
from smm_bayes.validation import coverage


def fact(name, trial, arm, endpoint, measure, value, lower=None, upper=None, **more):
    given = {"time": None, "level": None if lower is None else 0.95, "unit": "ratio" if "ratio" in measure else "fraction", "n": None, "events": None,
             "sensitivity": None, "cut": "", "trust": "published", "source": "a table", "note": ""} | more  # fmt: skip
    return Fact(id=name, trial=trial, arm=arm, endpoint=endpoint, measure=measure, value=value, lower=lower, upper=upper, **given)


BOTH = "experimental_vs_control"


def trial(name, odds=(2.0, 1.2, 3.4), hazard=(0.6, 0.4, 0.9), **more):
    low = name.lower()
    return [fact(f"{low}-or", name, BOTH, "MRD", "odds_ratio", *odds, **more), fact(f"{low}-hr", name, BOTH, "PFS", "hazard_ratio", *hazard, **more)]


def read(*facts, **more):
    return TrialPairs.from_facts(Facts(tuple(facts)), settings={"A": "one", "B": "two"}, **more)


def test_printed_ratios_with_their_own_levels():
    pairs = read(*trial("A"), *trial("B", level=0.99))
    a, b = pairs.items
    assert (a.log_odds_ratio, a.odds_ratio_se) == pytest.approx((math.log(2), math.log(3.4 / 1.2) / (2 * 1.959964)))
    assert b.hazard_ratio_se == pytest.approx(math.log(0.9 / 0.4) / (2 * 2.575829))
    assert (a.setting, b.setting, a.facts) == ("one", "two", ("a-or", "a-hr"))
    assert "A (one): odds ratio 2.00" in repr(pairs)
    assert "<table" in pairs._repr_html_()
    assert list(pairs.table()["trial"]) == ["A", "B"]


def test_odds_ratios_from_fractions():
    arms = [fact(f"c-{role}", "C", role, "MRD", "negative", share, n=n, events=events) for role, share, n, events in
            (("experimental", 0.6, 100, None), ("control", 0.25, 80, 20))]
    c = read(*arms, *trial("A"), trial("C")[1]).items[0]
    assert c.trial == "C"
    assert c.log_odds_ratio == pytest.approx(math.log(60 * 60 / (40 * 20)))
    assert c.odds_ratio_se == pytest.approx(math.sqrt(1 / 60 + 1 / 40 + 1 / 20 + 1 / 60))
    assert c.facts == ("c-experimental", "c-control", "c-hr")
    # where the ratio is printed it is used
    assert read(*trial("A"), *arms, *trial("C")).items[1].facts == ("c-or", "c-hr")


def test_fractions_at_a_landmark_only_by_their_ids():
    arms = [fact(f"c-{role}", "C", role, "MRD", "negative", share, n=100, time=12.0) for role, share in (("experimental", 0.6), ("control", 0.3))]
    facts = [*trial("A"), *trial("B"), *arms, trial("C")[1]]
    assert read(*facts).left_out == (("C", "its fractions are at a landmark; name them by their ids"),)
    assert read(*facts, ids=[f.id for f in facts]).trials == ("A", "B", "C")


def test_a_hazard_ratio_without_interval_cannot_be_used():
    pairs = read(*trial("A"), *trial("B"), *trial("D", hazard=(0.5, None, None)))
    assert pairs.trials == ("A", "B")
    assert pairs.left_out == (("D", "d-hr has no interval, so no standard error"),)
    assert "left out: D (d-hr has no interval" in repr(pairs)


def test_recalled_facts_only_when_asked_for():
    facts = [*trial("A"), *trial("B"), trial("C")[0], trial("C", trust="recalled")[1]]
    pairs = read(*facts)
    assert pairs.trials == ("A", "B")
    assert "no hazard ratio with an interval among facts trusted as derived or better (others are recalled)" in repr(pairs)
    asked = read(*facts, trust="recalled")
    assert asked.items[2].trust == "recalled"
    assert asked.trust == "recalled"
    assert read(*facts, trust="published").trials == ("A", "B")
    with pytest.raises(SpecificationError, match="fact c-hr is recalled; give trust='recalled'"):
        read(*facts, ids=[f.id for f in facts])


def test_data_cuts():
    early, late = trial("C", cut="early"), trial("C", odds=(3.0, 2.0, 4.5), cut="late")
    late = [fact("c-late", "C", BOTH, "MRD", "odds_ratio", 3.0, 2.0, 4.5, cut="late")]
    pairs = read(*trial("A"), *trial("B"), early[1], *late)
    assert [pair.same_cut for pair in pairs.items] == [None, None, False]  # what is not known does not agree
    assert "of different data cuts" in repr(pairs)
    assert pairs.items[2].note.startswith("odds ratio of the cut 'late', hazard ratio of 'early'")
    known = [*trial("A", cut="final"), *trial("B", cut="first")]
    only = read(*known, early[1], *late, *trial("D"), *trial("E", cut="only")[:1], trial("E")[1], same_cut_only=True)
    assert only.trials == ("A", "B")
    assert all(pair.same_cut is True for pair in only.items)
    assert dict(only.left_out) == {
        "C": "the odds ratio and the hazard ratio are of different data cuts",
        "D": "the data cut of the odds ratio or of the hazard ratio is not known",
        "E": "the data cut of the odds ratio or of the hazard ratio is not known",
    }
    # the same cut comes first
    assert read(*trial("A"), *early, *late).items[1].facts == ("c-or", "c-hr")
    # one that is not known comes before two that differ, and after one that is the same
    unknown = [fact("c-unknown", "C", BOTH, "MRD", "odds_ratio", 3.0, 2.0, 4.5)]
    assert read(*trial("A"), *unknown, *late, early[1]).items[1].facts == ("c-unknown", "c-hr")
    assert read(*trial("A"), *unknown, *early).items[1].facts == ("c-or", "c-hr")


def test_how_numbers_are_known_is_said():
    second = [trial("B")[0], trial("B", trust="secondary", cut="late")[1]]
    table = read(*trial("A", cut="final"), *second, *trial("C", trust="recalled"), trust="recalled").provenance()
    assert list(table["reading"]) == ["read at its source", "read at its source, second-hand", "recalled"]
    assert list(table["odds_ratio_cut"]) == ["final", "", ""]
    assert list(table["hazard_ratio_cut"]) == ["final", "late", ""]
    assert table["same_cut"].isna().tolist() == [False, True, True]
    assert bool(table["same_cut"].iloc[0])


def test_fractions_of_unknown_cuts_are_of_one_source():
    """Two arms from two publications, neither of which says its cut, are not one comparison."""
    arms = [fact(f"c-{role}", "C", role, "MRD", "negative", share, n=100) for role, share in (("experimental", 0.6), ("control", 0.3))]
    facts = [*trial("A"), *trial("B"), trial("C")[1]]
    assert read(*facts, *arms).trials == ("A", "B", "C")
    assert read(*facts, arms[0], replace(arms[1], source="another")).trials == ("A", "B")


def test_two_equally_good_pairs_have_to_be_chosen():
    again = [fact("a-2", "A", BOTH, "PFS", "hazard_ratio", 0.7, 0.5, 0.98)]
    with pytest.raises(SpecificationError, match=r"A has 2 equally good pairs \(a-or a-hr; a-or a-2\); name one by its ids"):
        read(*trial("A"), *again, *trial("B"))
    assert read(*trial("A"), *again, *trial("B"), ids=["a-or", "a-2", "b-or", "b-hr"]).items[0].facts == ("a-or", "a-2")


def test_quarantined_facts_stay_out_until_admitted():
    facts = [*trial("A"), *trial("B"), *trial("C", trust="quarantined")]
    assert read(*facts).trials == ("A", "B")
    admitted = Facts(tuple(facts), (("C", "checked by hand"),))
    assert TrialPairs.from_facts(admitted, settings={}).trials == ("A", "B", "C")


@pytest.mark.parametrize(("more", "message"), [
    ({"trust": "hearsay"}, "trust must be one of registry, published"), ({"trust": "quarantined"}, "trust must be one of"),
    ({"trials": ["A", "Z"]}, "there is no trial 'Z' among the facts"), ({"ids": ["nothing"]}, "there is no fact nothing"),
    ({"trials": ["A"]}, "a relation needs two trials at least, found 1"),
])  # fmt: skip
def test_facts_that_give_no_pairs(more, message):
    with pytest.raises(SpecificationError, match=message):
        read(*trial("A"), *trial("B"), **more)


def test_every_problem_of_pairs_at_once():
    with pytest.raises(SpecificationError) as caught:
        TrialPairs((TrialPair("A", math.nan, 0.1, 0.0, 0.1), TrialPair("A", 0.0, 0.0, 0.0, 0.1, trust="sure"), TrialPair("B", 0, 1, 0, -1)))
    for said in ("'A' is there 2 times", "log_odds_ratio must be finite, found nan", "odds_ratio_se must be above 0, found 0.0",
                 "no trust 'sure'", "hazard_ratio_se must be above 0, found -1"):  # fmt: skip
        assert said in str(caught.value)
    with pytest.raises(SpecificationError, match="one number a trial"):
        TrialPairs.from_arrays([1, 2], [1, 2], [1, 2], [1])


PAIRS = TrialPairs.from_arrays([0.4, 0.9, 1.5], [0.2] * 3, [-0.2, -0.4, -0.6], [0.15] * 3)


@pytest.mark.parametrize(("change", "message"), [
    ({"form": "joint"}, "form must be bivariate or daniels_hughes"), ({"correlation": 1.0}, "above -1 and below 1; found 1"),
])  # fmt: skip
def test_models_that_are_none(change, message):
    with pytest.raises(SpecificationError, match=message):
        AcrossTrials(PAIRS, **change)


def test_requests_that_make_no_sense():
    posterior = AcrossTrials(PAIRS)
    with pytest.raises(SpecificationError, match="finite log odds ratio and standard errors of 0 or more; found nan"):
        posterior.predict(math.nan)
    with pytest.raises(SpecificationError, match="three trials at least"):
        leave_one_out(AcrossTrials(PAIRS.without("3")))
    with pytest.raises(SpecificationError, match="there is no trial 'x'"):
        PAIRS.without("x")
    with pytest.raises(SpecificationError, match="above 0 and below 1; found 1"):
        summarise(posterior, 10, rng=np.random.default_rng(1), probability=1.0)
    with pytest.raises(SpecificationError, match="a probability must be above 0"):
        posterior.predict(0.5).quantile(1.0)
    with pytest.raises(SpecificationError, match="found 1"):
        coverage.draw_truth(3, r_squared=1, rng=np.random.default_rng(1))
    with pytest.raises(SpecificationError, match="intercept must be a Normal"):
        AcrossPriors(intercept=HalfNormal(1), spread=Normal(0, 1))


def test_words():
    posterior = AcrossTrials(PAIRS)
    assert repr(posterior).startswith("surrogacy across 3 trials (bivariate, correlation within trials 0): slope -")
    assert repr(posterior.predict(0.5)).startswith("predicted hazard ratio 0.")
    found = summarise(posterior, 400, rng=np.random.default_rng(1))
    assert "R squared with the spread of all such trials" in repr(found)
    assert list(found.table().index[-2:]) == ["R squared", "threshold"]
    assert "; prior 0.7" in repr(found)
    assert 0 <= found.positive_threshold <= found.negative_slope <= 1
    said = AcrossPriors().statements()
    assert said["slope"].startswith("doubling the odds of negativity multiplies the hazard of progression by 0.26 to 3.9")
    assert said["intercept"] == "95 % of hazard ratios between 0.38 and 2.7, median 1 in trials with equal odds of negativity"
    assert len(AcrossPriors().statements(bivariate=False)) == 3
    assert "each trial predicted by the others: " in repr(leave_one_out(posterior))
    assert set(across_data(posterior)) == {"odds_ratio_data", "odds_ratio_se", "hazard_ratio_data", "hazard_ratio_se",
                                           "correlation", "across_made_for"}  # fmt: skip


def test_sensitivity_has_a_row_a_setting():
    table = sensitivity({"all": PAIRS}, correlations=(0.0, -0.4), draws=200, rng=np.random.default_rng(1))
    assert list(table["form"]) == ["bivariate", "bivariate", "daniels_hughes", "daniels_hughes"]
    assert list(table["correlation"]) == [0.0, -0.4] * 2


# published regressions and relations


@pytest.mark.parametrize(("change", "message"), [
    ({"trials": 2}, "trials must be 4 or more"), ({"slope_se": 0.0}, "its error above 0"), ({"r_squared": 1.0}, "an estimate of no residual spread"),
    ({"slope_se": None, "r_squared": None}, "its error is unknown"), ({"pooled_log_odds_ratio": (1.0, 0.1)}, "give both or neither"),
])  # fmt: skip
def test_published_regressions_that_say_too_little(change, message):
    given = {"name": "it", "trials": 20, "slope": -0.3, "slope_se": 0.1, "r_squared": 0.5}
    with pytest.raises(SpecificationError, match=message):
        PublishedRegression(**(given | change))


def test_published_regressions_need_priors_for_what_is_not_printed():
    published = PublishedRegression("it", 20, -0.3, 0.1, 0.5)
    with pytest.raises(SpecificationError) as caught:
        Relation.from_published(published, rng=np.random.default_rng(1))
    assert "give intercept" in str(caught.value)
    assert "give residual_sd" in str(caught.value)
    found = Relation.from_published(published, 500, intercept=Normal(0, 0.1), residual_sd=HalfNormal(0.2), rng=np.random.default_rng(1))
    assert found.slope.std() == pytest.approx(0.1, rel=0.15)
    assert repr(found).startswith("relation from published regression: it (20 trials, the least trusted number published)")


def test_published_regression_by_ids():
    facts = Facts((fact("p-1", "P", "x", "MRD_to_PFS", "slope_log_hr_on_log_or", -0.3, -0.5, -0.1, unit="slope"), *trial("P"), *trial("Q", hazard=(0.5, None, None))))
    found = PublishedRegression.from_facts(facts, trials=12, slope="p-1", odds_ratio="p-or", hazard_ratio="p-hr")
    assert found.slope_se == pytest.approx(0.4 / (2 * 1.959964))
    assert found.pooled_log_odds_ratio[0] == pytest.approx(math.log(2))
    with pytest.raises(SpecificationError, match=r"slope: p-or is a odds_ratio; name a slope_log_hr_on_log_or[\s\S]*q-hr has no interval"):
        PublishedRegression.from_facts(facts, trials=12, slope="p-or", odds_ratio="q-or", hazard_ratio="q-hr")


def test_one_source_never_both():
    rng = np.random.default_rng(1)
    pairs = Relation.from_pairs(AcrossTrials(PAIRS), 300, rng=rng)
    published = Relation.from_published(PublishedRegression("it", 20, -0.3, 0.1, 0.5), 300, intercept=Normal(0, 0.1), residual_sd=HalfNormal(0.2), rng=rng)
    table = compare(pairs, published)
    assert table.loc["slope", "median, pairs"] == pytest.approx(np.median(pairs.slope), abs=0.01)
    assert table["above"].between(0, 1).all()
    assert compare(published, pairs).loc["slope", "above"] == pytest.approx(1 - table.loc["slope", "above"])
    with pytest.raises(SpecificationError, match="both relations are from pairs"):
        compare(pairs, pairs)
    with pytest.raises(SpecificationError, match="one of them; found 'pairs and published regression'"):
        Relation([0.0], [0.0], [0.1], "pairs and published regression", "", 3, "published")
    with pytest.raises(SpecificationError) as caught:
        Relation([0.0, 1.0], [np.nan], [-0.1], "pairs", "", 3, "published")
    assert len(str(caught.value).splitlines()) == 4


# transport


@pytest.mark.parametrize(("change", "message"), [
    ({"scale": -1}, "scale must be 0 or more; found -1"), ({"extra_sd": -0.1}, "extra_sd must be 0 or more"), ({"shift": math.inf}, "shift must be a finite number or a Normal"),
    ({"scale": Normal(1, 1)}, "scale must be a finite number or a RatioPrior"), ({"extra_sd": math.nan}, "extra_sd must be a finite number"), ({"shift": True}, "found True"),
])  # fmt: skip
def test_transports_that_are_none(change, message):
    with pytest.raises(SpecificationError, match=message):
        Transport(**change)


def test_transports_in_words():
    said = Transport().statements()
    assert said["scale"] == "the slope is 0.7 times that of the trials, 95 % between 0.35 and 1.4 times"
    assert said["shift"] == "hazard ratios are 1 times those of the trials' line, 95 % between 0.68 and 1.5"
    assert said["extra SD"].startswith("and 95 % within a further 1.5-fold (median; at most 3.2-fold")
    assert Transport(0.5, -0.1, 0.2).statements()["shift"] == "hazard ratios are 0.905 times those of the trials' line (fixed)"
    assert Transport.nothing().statements() == {"transport": "the relation of other settings is not used"}
    line = Relation([0.0], [-0.3], [0.0], "pairs", "x", 3, "published")
    assert "carried over: the slope is 0.7" in repr(Transported.of(line, Transport(), rng=np.random.default_rng(1)))
    with pytest.raises(SpecificationError, match="has no density; give extra_sd above 0"):
        Transported.of(line, Transport.identity(), rng=np.random.default_rng(1))
    with pytest.raises(SpecificationError, match="parts must be 2 to 1, the number of draws; found 10"):
        Transported.of(line, Transport(), rng=np.random.default_rng(1)).split()
    with pytest.raises(SpecificationError, match="nothing is predicted"):
        Transported.of(line, Transport.nothing(), rng=np.random.default_rng(1)).at(0.5)


def test_importing_is_light():
    heavy = ("pymc", "nutpie", "arviz", "pandas", "matplotlib", "numba", "scipy")
    code = f"import sys, smm_bayes.surrogacy; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
