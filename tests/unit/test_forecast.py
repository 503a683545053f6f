"""Forecasts on record: sealed, made once, of files that are still there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.analysis.forecast import forecast_table, load_forecast, read_forecast, sealed, store, summarise
from smm_bayes.errors import SpecificationError
from smm_bayes.inference.fingerprint import hash_file

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "models/quiredex_2013"


def test_the_forecast_on_record_is_unedited_and_of_these_files():
    content = read_forecast(FOLDER)
    assert content["sha256"]["forecast.toml"] == hash_file(FOLDER / "forecast.toml")
    for outcome in load_forecast(FOLDER).outcome:
        file = FOLDER / outcome.file
        assert content["sha256"][file.name] == hash_file(file)
    horizons = {entry["horizon"] for entry in content["quantities"]}
    assert horizons == set(load_forecast(FOLDER).horizons)
    assert {entry["hazards"] for entry in content["quantities"]} == {"proportional", "separate"}


def test_an_edited_forecast_is_known(tmp_path):
    shutil.copy(FOLDER / "forecast.json", tmp_path)
    path = tmp_path / "forecast.json"
    content = json.loads(path.read_text())
    content["quantities"][0]["median"] += 0.01
    path.write_text(json.dumps(content))
    with pytest.raises(SpecificationError, match="was edited after it was made"):
        read_forecast(tmp_path)


def test_a_forecast_is_never_made_anew(tmp_path):
    store(sealed({"quantities": []}), tmp_path)
    with pytest.raises(SpecificationError, match="never made anew"):
        store(sealed({"quantities": []}), tmp_path)


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
