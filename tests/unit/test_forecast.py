"""Forecasts on record: sealed, made once, of files that are still there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.analysis.forecast import (
    Forecast,
    load_forecast,
    main,
    read_forecast,
    records,
    sealed,
    store,
    summarise,
)
from smm_bayes.analysis.forecast_log import LOG, read_log
from smm_bayes.errors import SpecificationError
from smm_bayes.files import as_json
from smm_bayes.inference.fingerprint import hash_file

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "models/quiredex_2013"


def test_the_forecasts_on_record_are_unedited_and_of_files_that_are_there():
    assert len(records(FOLDER)) == 2
    kept = {hash_file(path) for path in (ROOT / "data/patients").rglob("*.csv")} | {hash_file(FOLDER / "forecast.toml")}
    for number in (1, 2):
        content = read_forecast(FOLDER, number)
        assert set(content["sha256"].values()) <= kept
        horizons = {entry["horizon"] for entry in content["quantities"]}
        assert horizons == set(load_forecast(FOLDER).horizons)
        assert {entry["hazards"] for entry in content["quantities"]} == {"proportional", "separate"}


def test_the_newest_forecast_is_of_the_tables_in_use():
    content = read_forecast(FOLDER)
    for outcome in load_forecast(FOLDER).outcome:
        assert content["sha256"][Path(outcome.file).name] == hash_file(FOLDER / outcome.file)


@pytest.mark.parametrize("folder", sorted(path.parent for path in ROOT.glob("models/*/forecast_2.json")), ids=lambda p: p.name)
def test_a_later_record_names_the_one_before_and_why(folder):
    first, second = read_forecast(folder, 1), read_forecast(folder, 2)
    assert second["after"] == first["seal"]
    assert second["because"]


def test_an_edited_forecast_is_known(tmp_path):
    shutil.copy(FOLDER / "forecast.json", tmp_path)
    path = tmp_path / "forecast.json"
    content = json.loads(path.read_text())
    content["quantities"][0]["median"] += 0.01
    path.write_text(json.dumps(content))
    with pytest.raises(SpecificationError, match="was edited after it was made"):
        read_forecast(tmp_path)


HEADS = {  # seal of the last entry: who rewrites a record and its log has to rewrite this too
    "krd_vs_rd": "6b793844ce763fca83076888483b7585639d276cfce6fee70ce6481a99c885ca",
    "quiredex_2013": "bab1dcc9d638730ddaa6a54dc2e46984a06554f6db1569146d9535d760f76487",
}


@pytest.mark.parametrize("name", HEADS)
def test_the_logs_of_the_forecasts_on_record_are_those_that_were_published(name):
    assert read_log(ROOT / "models" / name)[-1]["seal"] == HEADS[name]


@pytest.fixture
def copied(tmp_path):
    for path in (*records(FOLDER), FOLDER / LOG):
        shutil.copy(path, tmp_path)
    assert read_forecast(tmp_path) == read_forecast(FOLDER)
    return tmp_path


def resealed(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(sealed(content), indent=1) + "\n")


def better(content):
    content["quantities"][0]["median"] += 0.01


@pytest.mark.parametrize("name", ["forecast.json", "forecast_2.json"])
@pytest.mark.parametrize("number", [1, 2, None])
def test_an_edit_that_is_sealed_again_is_known(name, number, copied):
    resealed(copied / name, better)
    said = {"forecast.json": r"forecast_2\.json does not follow the record before it, which was exchanged",
            "forecast_2.json": r"forecast_2\.json was edited after it was made, and sealed again"}  # fmt: skip
    with pytest.raises(SpecificationError, match=said[name]):
        read_forecast(copied, number)


def test_both_records_edited_and_chained_again_are_known_by_the_log(copied):
    resealed(copied / "forecast.json", better)
    after = json.loads((copied / "forecast.json").read_text())["seal"]
    resealed(copied / "forecast_2.json", lambda content: content.update(after=after))
    with pytest.raises(SpecificationError, match=r"forecast\.json was edited after it was made, and sealed again"):
        read_forecast(copied)
    for change in (lambda entry: entry.update(sha256=hash_file(copied / "forecast.json")), lambda entry: entry.clear()):
        lines = (FOLDER / LOG).read_text().splitlines()
        first = json.loads(lines[0])
        change(first)
        (copied / LOG).write_text("\n".join([json.dumps(sealed(first)), lines[1]]) + "\n")
        with pytest.raises(SpecificationError, match=r"log.*entry [12] was changed, or one before it was removed"):
            read_forecast(copied)


def test_a_record_or_a_log_that_is_missing_is_known(copied):
    (copied / "forecast_2.json").unlink()
    with pytest.raises(SpecificationError, match=r"forecast_2\.json is in .* and no longer there"):
        read_forecast(copied)
    (copied / LOG).unlink()
    with pytest.raises(SpecificationError, match=r"forecast\.json is not in forecasts\.log\.jsonl"):
        read_forecast(copied)
    for log in ("", "x", "[]", '{"after": ""}\n', "\n"):
        (copied / LOG).write_text(log)
        with pytest.raises(SpecificationError, match=r"is not in|entry 1 was changed"):
            read_forecast(copied)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "the file is empty"), ("forecast", "not readable as JSON"), ("[]", "no object"), ("{}", "was edited"),
     ('{"seal": 1}', "was edited"), (as_json(sealed({"a": 1})), "no list of quantities"),
     ('{"quantities": [1], "quantities": []}', "the key 'quantities' is there twice")],
)  # fmt: skip
def test_what_is_no_record_is_refused_in_one_sentence(text, words, tmp_path):
    (tmp_path / "forecast.json").write_text(text)
    with pytest.raises(SpecificationError, match=words) as refused:
        read_forecast(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_key_that_is_there_twice_hides_nothing(copied):
    text = (copied / "forecast_2.json").read_text()
    first = text.index('"median":')
    (copied / "forecast_2.json").write_text(text[:first] + '"median": 99.0, ' + text[first:])
    with pytest.raises(SpecificationError, match="the key 'median' is there twice"):
        read_forecast(copied)


def test_a_forecast_on_record_stays_and_another_needs_a_reason(tmp_path, capsys):
    first = store(sealed({"quantities": []}), tmp_path)
    kept = first.read_bytes()
    with pytest.raises(SpecificationError, match="needs a reason"):
        store(sealed({"quantities": []}), tmp_path)
    assert main([str(tmp_path)]) == 2
    assert "on record" in capsys.readouterr().err
    second = store(sealed({"quantities": [1]}), tmp_path, because="the tables were mended")
    assert records(tmp_path) == [first, second]
    assert first.read_bytes() == kept
    assert read_forecast(tmp_path)["after"] == read_forecast(tmp_path, 1)["seal"]
    with pytest.raises(SpecificationError, match="2 forecasts on record; there is no number 3"):
        read_forecast(tmp_path, 3)


def test_bad_declarations_are_refused(tmp_path):
    text = (FOLDER / "forecast.toml").read_text()
    (tmp_path / "forecast.toml").write_text(text.replace("replicates = 20000", "replicates = 1").replace("seed", "sead"))
    with pytest.raises(SpecificationError, match=r"[23] problems"):
        load_forecast(tmp_path)


def test_variance_between_reconstructions():
    rng = np.random.default_rng(1)
    same, apart = rng.normal(size=(20, 2000)), rng.normal(size=(20, 2000)) + rng.normal(size=(20, 1))
    assert summarise(same)["share_of_variance_between_reconstructions"] < 0.01
    assert 0.2 < summarise(apart)["share_of_variance_between_reconstructions"] < 0.8
    low, high = summarise(same)["intervals"]["0.8"]
    assert low == pytest.approx(-1.2816, abs=0.03)
    assert high == pytest.approx(1.2816, abs=0.03)


def test_table_says_whether_what_happened_is_inside():
    entry = {"outcome": "TTP", "horizon": "then", "quantity": "x", "hazards": "separate", "median": 2.0,
             "intervals": {"0.5": [1.0, 3.0], "0.95": [0.0, 5.0]}}  # fmt: skip
    table = Forecast({"quantities": [entry]}).table({("TTP", "x"): 4.0})
    assert not table["in 50%"][0]
    assert table["in 95%"][0]
