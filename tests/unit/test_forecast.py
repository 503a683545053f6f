"""Forecasts on record: sealed, made once, of files that are still there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.analysis.forecast import (
    forecast_table,
    load_forecast,
    main,
    read_forecast,
    records,
    sealed,
    store,
    summarise,
)
from smm_bayes.errors import SpecificationError
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
    table = forecast_table({"quantities": [entry]}, {("TTP", "x"): 4.0})
    assert not table["in 50%"][0]
    assert table["in 95%"][0]
