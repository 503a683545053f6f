"""Stored coverage where MRD has no effect, tied to the code, and some of its trials once more."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.validation.null import (
    COLUMNS,
    REPLICATES,
    SUMMARY,
    TABLE,
    Coverage,
    compared,
    fitted,
    null_hash,
    read,
    run,
    simulated,
)

STORED = Path(__file__).parents[2] / "models/variants"
AGAIN = (0, 500, 999)


@pytest.fixture(scope="module")
def rows():
    return read(STORED / TABLE)


def test_the_stored_table_is_of_this_code():
    said = json.loads((STORED / SUMMARY).read_text())
    assert said["complete"]
    assert said["design"] == null_hash(), "run python -m smm_bayes.validation.null models/variants"
    assert said["table"] == hashlib.sha256((STORED / TABLE).read_bytes()).hexdigest()
    assert said["replicates"] == REPLICATES


def test_coverage_is_nominal_and_the_naive_ratio_is_not_one(rows):
    """Shares of 1000 have a Monte Carlo error of 0.7 points; 93 to 97 % is what was asked for."""
    assert len(rows) == REPLICATES
    assert all(list(row) == list(COLUMNS) for row in rows)
    said, found = json.loads((STORED / SUMMARY).read_text()), Coverage.of(rows)
    for name, value in vars(found).items():
        assert said["coverage"][name] == pytest.approx(value, abs=1e-4)
    for share in (found.flat, found.default, found.landmark):
        assert 0.93 < share < 0.97
    assert said["fits_failed"] == sum(row["failed"] for row in rows) <= 0.02 * 2 * len(rows)
    naive = np.array([row["naive"] for row in rows])
    assert found.naive_hazard_ratio < 0.9
    assert naive.mean() < -10 * naive.std() / np.sqrt(len(naive))
    for name in ("landmark", "flat_median"):  # no bias beyond a tenth of the SD of one trial
        values = np.array([row[name] for row in rows])
        assert abs(values.mean()) < 0.1 * values.std() + 4 * values.std() / np.sqrt(len(values))


@pytest.mark.parametrize("twin", ["shifted by 0.75 SD", "a quarter too narrow"])
def test_a_wrong_interval_would_not_cover(rows, twin):
    wrong = []
    for row in rows:
        low, median, high = (row[f"flat_{name}"] for name in ("low", "median", "high"))
        if twin == "shifted by 0.75 SD":
            shift = 0.75 * (high - low) / 3.92
            wrong.append(row | {"flat_low": low - shift, "flat_high": high - shift})
        else:
            wrong.append(row | {"flat_low": median + 0.75 * (low - median), "flat_high": median + 0.75 * (high - median)})
    assert Coverage.of(wrong).flat < 0.93


@pytest.mark.parametrize("replicate", AGAIN)
def test_trials_and_comparisons_are_made_again(rows, replicate):
    truth, without, with_effect = simulated(replicate)
    assert rows[replicate]["truth"] == pytest.approx(truth, rel=1e-6)
    for name, value in compared(without).items():
        assert rows[replicate][name] == pytest.approx(value, rel=1e-6)
    assert len(with_effect.patients) == 120
    assert 0.15 < np.mean(with_effect.table.rows.count) < 0.45


def test_fits_are_made_again_within_monte_carlo_error(rows):
    """Draws are the same on one machine; another one may round otherwise."""
    for replicate in AGAIN[:2]:
        _, without, _ = simulated(replicate)
        found, stored = fitted(without, "flat", 2 * replicate), rows[replicate]
        sd = (stored["flat_high"] - stored["flat_low"]) / 3.92
        assert abs(found["flat_median"] - stored["flat_median"]) < 0.25 * sd
        for name in ("flat_low", "flat_high"):
            assert abs(found[name] - stored[name]) < 0.6 * sd


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Rows of the same design stay; of another they are made anew."""
    from smm_bayes.validation import null as mrd_null

    made = []

    def chunk(start, stop):
        made.append((start, stop))
        return [dict.fromkeys(COLUMNS, float(replicate)) for replicate in range(start, stop)]

    class Alone:
        def __init__(self, workers): ...
        def __enter__(self): ...
        def __exit__(self, *_): ...

    monkeypatch.setattr(mrd_null, "ProcessPoolExecutor", Alone)
    monkeypatch.setattr(mrd_null, "_chunk", chunk)
    monkeypatch.setattr(mrd_null, "null_hash", lambda: "one")
    run(tmp_path, replicates=30)
    run(tmp_path, replicates=50)
    assert made == [(0, 20), (20, 30), (30, 50)]
    assert [row["truth"] for row in read(tmp_path / TABLE)] == list(range(50))
    monkeypatch.setattr(mrd_null, "null_hash", lambda: "another")
    assert run(tmp_path, replicates=20)["complete"]
    assert made[-1] == (0, 20)
    assert len(read(tmp_path / TABLE)) == 20
