"""The backtest: what a forecast may use, numbers taken from facts, and the stored tables."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smm_bayes.analysis import AnalysisSpec
from smm_bayes.analysis.backtest import (
    Backtest,
    against,
    backtest,
    by_axis,
    by_variant,
    chosen,
    compared,
    group,
    load_backtest,
    selected,
)
from smm_bayes.analysis.backtest.estimates import estimate
from smm_bayes.analysis.backtest.joint import joint, spreads
from smm_bayes.analysis.backtest.run import forecasts, tasks
from smm_bayes.analysis.scores import score
from smm_bayes.errors import SpecificationError
from smm_bayes.evidence.facts import load_facts
from smm_bayes.inference.fingerprint import hash_file
from smm_bayes.validation.backtest import DECLARED, PUBLISHED, RECORD, SCORES, SHOWN, VARIANTS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "models/backtest"
TODAY = {"relation": "exchangeable", "offsets": "as specified", "population": "none", "combination": "sceptical"}
AXES = list(TODAY)


@pytest.fixture(scope="module")
def declared():
    return load_backtest(FOLDER / DECLARED)


@pytest.fixture(scope="module")
def facts():
    return load_facts()


@pytest.fixture(scope="module")
def stored():
    return pd.read_csv(FOLDER / SCORES).merge(pd.read_csv(FOLDER / PUBLISHED), on="fact")


def result(declared, name):
    return next(one for one in declared.result if one.name == name)


def task(declared, facts, name, endpoint="progression"):
    return next(one for one in tasks(declared, facts) if one.result.name == name and one.endpoint == endpoint)


def variant(declared, **names):
    return next(one for one in declared.variants() if vars(one) == TODAY | names)


# ---- what a forecast may use


def test_a_forecast_uses_what_was_reported_before_it_and_nothing_of_its_own_trial(declared, facts):
    for one in tasks(declared, facts):
        used = [held for held, _ in one.known]
        assert used
        if one.result.from_ == "earlier":
            assert all(held.reported < one.result.reported for held in used)
        assert one.result.update or one.result.trial not in {held.trial for held in used}
        assert not {each.fact for _, each in one.known} & {each.fact for _, each in one.targets}


def test_of_each_trial_only_the_last_cut_before_is_used(declared, facts):
    cuts = {held.name for held, _ in task(declared, facts, "E3A06 2020").known}
    assert cuts == {"QuiRedex 2016", "KRd_NCI n18", "GEM-CESAR 28mo"}
    assert {held.name for held, _ in task(declared, facts, "QuiRedex 2022").known if held.trial == "QuiRedex"} == {
        "QuiRedex 2016"
    }


def test_own_numbers_left_in_are_refused(declared, facts):
    one = task(declared, facts, "E3A06 2020")
    with pytest.raises(SpecificationError, match="from its own numbers"):
        replace(one, known=(*one.known, one.targets[0]))


def test_another_number_of_the_same_trial_is_refused(declared, facts):
    one = task(declared, facts, "E3A06 2020")
    held = one.result.model_copy(update={"reported": 2019})
    with pytest.raises(SpecificationError, match="of its own trial"):
        replace(one, targets=one.targets[1:], known=(*one.known, (held, one.targets[0][1])))


def test_a_number_reported_later_is_refused(declared, facts):
    one = task(declared, facts, "E3A06 2020")
    later = task(declared, facts, "AQUILA").targets[0]
    with pytest.raises(SpecificationError, match="not reported before"):
        replace(one, known=(*one.known, later))


def test_a_forecast_that_knows_what_it_forecasts_is_seen_in_its_scores(declared, facts):
    """Its own number under another trial's name, which no check of names could find: surer, and nearer."""
    one, how = task(declared, facts, "AQUILA"), variant(declared)
    for target, honest in zip(one.targets, forecasts(declared, one, how), strict=True):
        copied = target[0].model_copy(update={"trial": "copy", "reported": 2024})
        leaky = replace(one, targets=(target,), known=(*one.known, (copied, replace(target[1], fact="copy"))))
        found, said = (score(made, target[1].value) for made in (forecasts(declared, leaky, how)[0], honest))
        assert found.crps < said.crps
        assert found.width_80 < said.width_80
        assert abs(found.pit - 0.5) < abs(said.pit - 0.5)


def test_quarantined_facts_are_refused(declared, facts):
    one = result(declared, "AQUILA").model_copy(update={"trial": "ECOG-E1911"})
    with pytest.raises(SpecificationError, match="quarantined"):
        estimate("ecog-e1911-001", one, facts)


def test_no_quarantined_fact_is_forecast_or_used(stored, facts):
    named = {name for used in stored["used"] for name in used.split()} | set(stored["fact"])
    assert named <= {fact.id for fact in facts.usable()}
    assert "quarantined" not in set(stored["trust"])


# ---- numbers taken from facts


@pytest.mark.parametrize(
    ("name", "fact", "value", "se"),
    [
        ("E3A06 2020", "e3a06-005", math.log(0.28), math.log(0.62 / 0.12) / 3.919928),
        ("E3A06 2020", "e3a06-011", math.log(-math.log(0.66)), math.sqrt(0.34 / (90 * 0.66)) / -math.log(0.66)),
        ("GEM-CESAR 28mo", "gem-cesar-009", math.log(-math.log(0.94)), math.sqrt(0.06 / (90 * 0.94)) / -math.log(0.94)),
        ("KRd_NCI n54", "krd-nci-016", math.log(-math.log(0.912)), 0.746),  # its interval is symmetric on this scale
        ("ASCENT", "ascent-010", math.log(-math.log(0.899)), math.log(0.983 / 0.823) / 3.919928 / -math.log(0.899)),
        ("ISAMAR", "isamar-006", math.log(-math.log(0.971)), 0.053 / 1.959964 / (0.971 * -math.log(0.971))),  # cut at 1
        ("CENTAURUS 15.8mo", "centaurus-016", math.log(0.055 * 15.8 / 12), 0.082 / (2 * 1.281552 * 0.055)),
    ],
)
def test_estimates_and_standard_errors_are_those_of_the_facts(declared, facts, name, fact, value, se):
    found = estimate(fact, result(declared, name), facts)
    assert found.value == pytest.approx(value, abs=1e-6)
    assert found.se == pytest.approx(se, abs=5e-4)


def test_a_number_without_a_standard_error_is_refused(declared, facts):
    with pytest.raises(SpecificationError, match="no interval"):
        estimate("quiredex-145", result(declared, "QuiRedex 2016"), facts)


def test_a_fact_of_another_trial_is_refused(declared, facts):
    with pytest.raises(SpecificationError, match="no number of"):
        estimate("e3a06-005", result(declared, "AQUILA"), facts)


def test_errors_of_every_forecast_are_a_covariance(declared, facts):
    for one in tasks(declared, facts):
        made = joint(declared, one.endpoint, variant(declared), one.known, one.targets)
        size = len(one.known)
        for column in range(size, len(made.mean)):
            rows = [*range(size), column]
            assert np.linalg.eigvalsh(made.covariance[np.ix_(rows, rows)]).min() > 0


def test_an_offset_moves_an_arm_by_its_logarithm(declared, facts):
    """End-organ damage is 1.3 times as rare: control milestones fall by log 1.3, hazard ratios stay."""
    one = task(declared, facts, "E3A06 2020")
    found = {name: joint(declared, "progression", variant(declared, offsets=name), (), one.targets).mean
             for name in ("none", "as specified", "by arm")}  # fmt: skip
    ratio, treated, control = 0, 1, 2
    change = found["as specified"] - found["none"]
    assert change[[ratio, treated, control]] == pytest.approx([0, -math.log(1.3), -math.log(1.3)], abs=1e-12)
    change = found["by arm"] - found["none"]
    assert change[[ratio, treated, control]] == pytest.approx(
        [math.log(1.8 / 3.5), -math.log(3.5), -math.log(1.8)], abs=1e-12)  # fmt: skip


def test_a_mixed_population_is_at_lower_risk_and_its_hazard_ratio_the_same(declared, facts):
    one = task(declared, facts, "E3A06 2020")
    found = [joint(declared, "progression", variant(declared, population=name), (), one.targets).mean
             for name in ("none", "E3A06 mixed")]  # fmt: skip
    assert found[1] - found[0] == pytest.approx([0.0, *[-math.log(1.8)] * 6], abs=1e-12)


def test_a_contrast_is_the_sum_of_those_on_its_way(declared, facts):
    one = task(declared, facts, "ASCENT")
    found = [joint(declared, "progression", variant(declared, combination=name), (), one.targets).mean[0]
             for name in ("sceptical", "design")]  # fmt: skip
    assert found[1] - found[0] == pytest.approx(2 * math.log(0.6), abs=1e-12)


def test_without_a_relation_other_trials_say_nothing(declared, facts):
    one = task(declared, facts, "AQUILA")
    bare = variant(declared, relation="none")
    assert forecasts(declared, one, bare)[0].mean == forecasts(declared, replace(one, known=()), bare)[0].mean
    assert spreads(declared, bare).hazard == 0


# ---- stored tables


def test_the_record_is_of_the_files_beside_it():
    record = json.loads((FOLDER / RECORD).read_text())
    for name in (DECLARED, PUBLISHED, SCORES, VARIANTS, SHOWN):
        assert record["sha256"][name] == hash_file(FOLDER / name), f"{name}: make validate"


def test_the_facts_are_those_the_tables_were_made_from(facts):
    from dataclasses import astuple

    record = json.loads((FOLDER / RECORD).read_text())["facts"]
    now = {fact.id: hashlib.sha256(repr(astuple(fact)).encode()).hexdigest() for fact in facts.require(record)}
    assert now == record


def test_stored_scores_are_what_the_code_computes(declared, stored):
    """Every forecast and baseline, and the variants of two relations, to the printed digits."""
    kept = ["none", "exchangeable"]
    table = backtest(declared.only(*kept))
    one = table[list(pd.read_csv(FOLDER / SCORES, nrows=0))].set_index(["fact", "method", *AXES]).astype(float)
    same = stored[stored["relation"].isin([*kept, "-"])].set_index(["fact", "method", *AXES])[list(one)].astype(float)
    assert len(one) == len(same)
    np.testing.assert_allclose(one.to_numpy(), same.loc[one.index].to_numpy(), rtol=6e-4, atol=6e-5)
    published = pd.read_csv(FOLDER / PUBLISHED, keep_default_na=False)
    pd.testing.assert_frame_equal(table[list(published)].drop_duplicates("fact").reset_index(drop=True), published,
                                  check_dtype=False, rtol=6e-4)  # fmt: skip


def test_stored_scores_of_the_robust_relation_are_what_the_code_computes(declared, facts, stored):
    for name in ("E3A06 2020", "AQUILA"):
        one = task(declared, facts, name)
        how = variant(declared, relation="robust", population="three mixed", combination="design")
        for target, made in zip(one.targets, forecasts(declared, one, how), strict=True):
            row = chosen(stored, how).set_index("fact").loc[target[1].fact]
            found = vars(score(made, target[1].value))
            assert [found[key] for key in ("pit", "log_score", "crps")] == pytest.approx(
                [row[key] for key in ("pit", "log_score", "crps")], rel=6e-4, abs=6e-5)  # fmt: skip


def test_there_are_twenty_forecasts_at_least_and_every_variant_makes_each(declared, stored):
    assert stored["fact"].nunique() >= 20
    variants = stored[stored["method"] == "model"].groupby("fact").size()
    assert set(variants) == {len(list(declared.variants()))}


# ---- summaries


def test_a_variant_against_itself_is_no_better(stored):
    found = against(stored, TODAY, TODAY)
    assert (found["difference"], found["better"]) == (0.0, 0)


def test_comparisons_are_on_the_forecasts_that_both_made(stored):
    found = against(stored, "proportional hazards", TODAY)
    assert found["forecasts"] == (stored["method"] == "proportional hazards").sum() < stored["fact"].nunique()
    assert found["difference"] == pytest.approx(-against(stored, TODAY, "proportional hazards")["difference"])


def test_each_trial_counts_once_in_the_means(stored):
    rows = chosen(stored, TODAY)
    by_hand = rows.groupby("study")["log_score"].mean().mean()
    found = by_variant(stored)
    mask = np.logical_and.reduce([found[axis] == name for axis, name in TODAY.items()])
    assert found[mask]["log_score"].item() == pytest.approx(by_hand, abs=1e-12)


def test_means_by_axis_average_over_the_others(stored):
    whole = by_variant(stored[stored["method"] == "model"])
    found = by_axis(stored).set_index(["axis", "choice"])
    assert found.loc[("relation", "robust"), "crps"] == pytest.approx(
        whole[whole["relation"] == "robust"]["crps"].mean(), abs=1e-12)  # fmt: skip


def test_variants_that_are_shown_are_compared_as_stored(declared, stored):
    """To what four printed digits of single scores leave of their means."""
    found = compared(group(stored, "progression"), declared.ways, "as first specified")
    kept = pd.read_csv(FOLDER / SHOWN).query("group == 'progression'").set_index("way").loc[found.index]
    numbers = list(found.columns)
    np.testing.assert_allclose(found[numbers].to_numpy(float), kept[numbers].to_numpy(float), rtol=2e-3, atol=2e-3)


def test_a_definition_read_otherwise_moves_only_what_has_an_offset(declared, facts):
    """Without offsets no reading matters; with them clinical progression is three times as rare."""
    for offsets, moved in (("none", 0.0), ("as specified", math.log(3.0))):
        how = variant(declared, offsets=offsets)
        one, other = (joint(each, "progression", how, (), task(each, facts, "ASCENT").targets).mean[0]
                      for each in (declared, declared.reading("clinical")))  # fmt: skip
        assert one - other == pytest.approx(moved, abs=1e-12)


def test_groups_are_parts_of_all(stored):
    parts = [group(stored, name)["fact"].nunique() for name in ("progression", "death", "hazard ratio given MRD")]
    assert sum(parts) == stored["fact"].nunique()
    with pytest.raises(SpecificationError, match="no group"):
        group(stored, "quality of life")


def test_a_variant_that_is_not_there_is_refused(stored):
    with pytest.raises(SpecificationError, match="no variant"):
        chosen(stored, TODAY | {"relation": "loose"})


def test_a_backtest_with_unknown_keys_names_them(tmp_path):
    path = tmp_path / DECLARED
    path.write_text((FOLDER / DECLARED).read_text() + '\n[extra]\nkey = 1\n')
    with pytest.raises(SpecificationError, match="extra"):
        load_backtest(path)


def test_the_card_prints_the_stored_numbers():
    """Every row of its table, to the printed digit."""
    kept = pd.read_csv(FOLDER / SHOWN).query("group == 'progression'").set_index("way")
    lines = [line.strip("|").split("|") for line in (FOLDER / "card.md").read_text().splitlines() if line.startswith("| ")]
    said = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines[1:]}
    assert list(said) == list(kept.index)
    for name, cells in said.items():
        row = kept.loc[name]
        numbers = [f"{row[key]:.2f}" for key in ("in_80", "width_80", "log_score", "crps")]
        apart = "" if name == "as first specified" else f"{row['difference']:.2f} ({row['se']:.2f})"
        assert cells == [*numbers, apart], name


def test_a_result_that_is_not_there_cannot_be_left_out(declared):
    assert len(declared.without("ISAMAR").result) == len(declared.result) - 1
    with pytest.raises(SpecificationError, match="no result"):
        declared.without("ISAMAR 2")


def test_trials_scored_by_what_did_best_elsewhere(stored):
    """By hand for one trial."""
    rows = group(stored, "progression")
    found = selected(rows)
    others = by_variant(rows[(rows["study"] != "E3A06") & (rows["method"] == "model")])
    best = others.loc[others["log_score"].idxmax()]
    assert found.loc["E3A06", AXES].tolist() == best[AXES].tolist()
    assert found.loc["E3A06", "log_score"] == pytest.approx(
        chosen(rows, dict(best[AXES])).query("study == 'E3A06'")["log_score"].mean(), abs=1e-12)  # fmt: skip


def test_the_flagship_was_revised_by_scores_that_hold(declared):
    """Mean log scores that the plan and the card of KRd v Rd name: its own offsets among the variants declared here."""
    plan = AnalysisSpec.load(ROOT / "models/krd_vs_rd/spec.toml").evidence
    revised = {name: {"median": one.median, "upper": one.upper} for name, one in plan.endpoint.items()}
    offsets = {name: declared.offsets[name] for name in ("as specified", "by arm")}
    content = declared.only("robust", "exchangeable").model_dump(by_alias=True) | {"offsets": offsets | {"revised": revised}}
    content["population"] = {name: declared.population[name] for name in ("none", "E3A06 mixed")}
    table = by_variant(group(backtest(Backtest.model_validate(content)), "progression"))
    scores = table.set_index(["relation", "offsets", "population", "combination"])["log_score"].round(2)
    assert scores["robust", "revised", "E3A06 mixed", "design"] == -1.09
    assert scores["robust", "as specified", "E3A06 mixed", "design"] == -1.08
    assert scores["robust", "by arm", "E3A06 mixed", "design"] == -1.22
    assert scores["robust", "as specified", "E3A06 mixed", "sceptical"] == -1.19
    assert scores["robust", "as specified", "none", "design"] == -1.14
    assert scores["exchangeable", "as specified", "E3A06 mixed", "design"] == -1.04
