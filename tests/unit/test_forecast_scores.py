"""A forecast on record against what was published later; and its steps on the command line."""

import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from smm_bayes import cli
from smm_bayes.analysis.forecast import read_forecast, records
from smm_bayes.analysis.forecast_draft import DRAFT, listed, seal_draft
from smm_bayes.analysis.forecast_scores import (
    FLAT,
    HAPPENED,
    LAST,
    PROPORTIONAL,
    load_happened,
    printed_scores,
    score_record,
)
from smm_bayes.analysis.later import later_effect
from smm_bayes.analysis.scores import log_ratio_se
from smm_bayes.errors import SpecificationError
from smm_bayes.evidence.facts import load_facts
from smm_bayes.files import as_json, sealed

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "models/quiredex_2013"


@pytest.fixture(scope="module")
def table():
    return score_record(FOLDER)


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["smm-bayes", "forecast", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def test_every_quantity_with_an_outcome_is_scored_once_for_each_structure(table):
    asked = {(one.outcome, one.horizon, one.quantity) for one in load_happened(FOLDER)}
    keys = table[["outcome", "horizon", "quantity", "hazards"]]
    assert set(keys.drop(columns="hazards").itertuples(index=False, name=None)) == asked
    assert len(table) == 2 * len(asked)
    assert not keys.duplicated().any()


def test_intervals_hold_what_the_record_says(table):
    """Against the limits stored in the record, which the scores rebuild from its quantiles."""
    entries = {(e["outcome"], e["horizon"], e["quantity"], e["hazards"]): e for e in read_forecast(FOLDER)["quantities"]}
    ratios = table[table["quantity"] == "hazard_ratio"]
    for row in ratios.to_dict("records"):
        entry = entries[row["outcome"], row["horizon"], row["quantity"], row["hazards"]]
        for level in (50, 80, 95):
            low, high = entry["intervals"][f"{level / 100:g}"]
            assert row[f"in_{level}"] == (low <= row["published"] <= high)
        assert row["low_80"] == pytest.approx(entry["intervals"]["0.8"][0], rel=0.01)


def test_published_numbers_are_those_of_the_facts(table):
    facts = {fact.id: fact for fact in load_facts()}
    for row in table.to_dict("records"):
        fact = facts[row["fact"]]
        expected = fact.value if fact.measure == "hazard_ratio" else fact.events
        assert row["published"] == pytest.approx(expected, rel=1e-12)
        assert row["trust"] == fact.trust


def test_baselines_of_a_hazard_ratio_are_by_hand(table):
    """First cut 0.18 (0.09 to 0.32), update 0.24 (0.14 to 0.41)."""
    row = table[(table["fact"] == "quiredex-139")].iloc[0]
    first, later = log_ratio_se(0.09, 0.32), log_ratio_se(0.14, 0.41)
    shift = math.log(0.24 / 0.18)
    for name, sd in ((LAST, first), (PROPORTIONAL, math.sqrt(first**2 - later**2))):
        assert row[name] == pytest.approx(-0.5 * (shift / sd) ** 2 - math.log(sd * math.sqrt(2 * math.pi)), abs=0.01)
    assert row[FLAT] == pytest.approx(-math.log(math.log(2.0 / 0.05)), abs=0.001)


def test_all_hazard_ratios_of_the_record_were_forecast_too_strong(table):
    ratios = table[table["quantity"] == "hazard_ratio"]
    assert (ratios["median"] < ratios["published"]).all()
    assert (ratios["pit"] > 0.5).all()


def test_the_effect_after_the_first_cut_is_weaker_than_before():
    """Hazard ratio of progression 0.43 (0.23 to 0.81) of what came after the first cut, 0.18 before."""
    facts = load_facts().require(["quiredex-015", "quiredex-151"])
    first, later = ((math.log(f.value), log_ratio_se(f.lower, f.upper)) for f in facts)
    value, se = later_effect(*first, *later)
    assert np.exp([value, value - 1.96 * se, value + 1.96 * se]) == pytest.approx([0.43, 0.23, 0.81], abs=0.005)


def test_a_record_without_outcomes_says_so(tmp_path):
    shutil.copytree(ROOT / "models/krd_vs_rd", tmp_path / "one")
    with pytest.raises(SpecificationError, match="no outcome of this forecast is known"):
        score_record(tmp_path / "one")


def test_an_outcome_that_was_not_forecast_is_refused(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "one")
    path = tmp_path / "one" / HAPPENED
    path.write_text(path.read_text().replace('"12 years"', '"20 years"'))
    with pytest.raises(SpecificationError, match="20 years"):
        score_record(tmp_path / "one")


def test_what_is_wrong_with_outcomes_is_named(tmp_path):
    (tmp_path / HAPPENED).write_text('schema_version = 1\n[[happened]]\noutcome = "TTP"\n')
    with pytest.raises(SpecificationError, match=r"happened\.0\.fact"):
        load_happened(tmp_path)


def test_the_command_prints_coverage_and_log_scores_beside_baselines(monkeypatch, capsys, table):
    code, out, _ = run(monkeypatch, capsys, "score", FOLDER)
    assert code == 0
    assert out.strip() == printed_scores(table)
    ratios = table[table["quantity"] == "hazard_ratio"]
    said = f"8 hazard ratios: {ratios['in_50'].sum()} in 50 %, {ratios['in_80'].sum()} in 80 %, {ratios['in_95'].sum()} in 95 %"
    assert said in out
    assert f"{FLAT} {ratios[FLAT].mean():.2f}, {LAST} {ratios[LAST].mean():.2f}" in out


def test_the_command_lists_records_with_their_seals(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "list", FOLDER)
    assert code == 0
    for number, line in enumerate(out.splitlines(), 1):
        assert read_forecast(FOLDER, number)["seal"][:16] in line
    assert len(out.splitlines()) == len(records(FOLDER))


def test_a_folder_without_records_has_none_to_list(tmp_path):
    with pytest.raises(SpecificationError, match="no forecast is on record"):
        listed(tmp_path)


def drafted(tmp_path):
    """A copy of the folder without records, and a draft of what its first record says."""
    for name in ("forecast.toml", HAPPENED):
        shutil.copy(FOLDER / name, tmp_path)
    content = {key: value for key, value in read_forecast(FOLDER, 1).items() if key != "seal"}
    (tmp_path / DRAFT).write_text(as_json(sealed(content)))
    return tmp_path


def test_a_draft_is_sealed_once_listed_and_scored(tmp_path, monkeypatch, capsys):
    folder = drafted(tmp_path)
    code, out, _ = run(monkeypatch, capsys, "seal", folder)
    assert code == 0
    assert "forecast.json" in out
    assert not (folder / DRAFT).exists()
    assert len(listed(folder)) == 1
    assert score_record(folder).equals(score_record(FOLDER, 1))


def test_a_second_draft_needs_a_reason(tmp_path, monkeypatch, capsys):
    seal_draft(drafted(tmp_path))
    code, _, err = run(monkeypatch, capsys, "seal", drafted(tmp_path))
    assert code == 2
    assert "needs a reason" in err
    assert seal_draft(tmp_path, because="another table").name == "forecast_2.json"


def test_an_edited_draft_is_refused(tmp_path):
    path = drafted(tmp_path) / DRAFT
    content = json.loads(path.read_text())
    content["quantities"][0]["median"] += 0.01
    path.write_text(as_json(content))
    with pytest.raises(SpecificationError, match="was edited"):
        seal_draft(tmp_path)


def test_a_draft_of_another_declaration_is_refused(tmp_path):
    path = drafted(tmp_path) / "forecast.toml"
    path.write_text(path.read_text().replace("seed = 2013", "seed = 2014"))
    with pytest.raises(SpecificationError, match="was changed after"):
        seal_draft(tmp_path)


def test_sealing_without_a_draft_says_how_to_make_one(tmp_path):
    with pytest.raises(SpecificationError, match="forecast make"):
        seal_draft(tmp_path)


def test_making_without_a_declaration_writes_nothing(tmp_path, monkeypatch, capsys):
    code, _, err = run(monkeypatch, capsys, "make", tmp_path)
    assert code == 2
    assert "forecast.toml" in err
    assert not list(tmp_path.iterdir())
