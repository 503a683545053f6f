"""The stored table of predictions in trials that are not as the model has them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smm_bayes.prediction import FinalAnalysis, FinalData
from smm_bayes.survival import TimeGrid
from smm_bayes.validation import violations
from smm_bayes.validation.violations import SCENARIOS, Scenario, draw_control, one_interim, simulate

STORED = Path(__file__).parents[2] / "models/variants"


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(STORED / violations.TABLE, index_col="scenario")


def test_stored_rows_are_what_the_code_computes():
    record = json.loads((STORED / violations.SUMMARY).read_text())
    assert (record["seed"], record["interims"]) == (violations.SEED, violations.INTERIMS)
    assert list(record["first"]) == [scenario.name for scenario in SCENARIOS]
    for scenario in SCENARIOS[::3]:
        found = [one_interim(scenario, replicate) for replicate in range(2)]
        np.testing.assert_allclose(found, record["first"][scenario.name][:2], rtol=1e-9)


def test_predictions_are_calibrated_where_nothing_is_violated(table):
    row = table.loc["as modelled"]
    assert row["interims"] >= 2000
    assert abs(row["predicted"] - row["happened"]) < 4 * row["error"]


def test_violations_bias_predictions_and_a_model_that_knows_them_mends_that(table):
    """Of the violations that move the answer, each is seen beyond 4 errors, and with its mend it is not."""
    off = (table["predicted"] - table["happened"]) / table["error"]
    mended = (table["mended"] - table["happened"]) / table["error_mended"]
    assert off["effect gone after 12 months"] > 4
    assert off["informative losses, experimental"] < -4
    assert off["history twice as high"] > 4
    known = [scenario.name for scenario in SCENARIOS if scenario.history == 1]
    assert mended[known].abs().max() < 4
    for name in ("history twice as high", "history half as high"):  # a robust prior mends a part
        assert abs(table["mended"][name] - table["happened"][name]) < abs(table["predicted"][name] - table["happened"][name])


def test_a_scenario_is_what_it_says():
    """Hazards after enrolment and after the interim, losses and accrual, counted in many patients."""
    def exposure_and_events(scenario, arm, since, until):
        months = events = 0.0
        for seed in range(400):
            trial = simulate(scenario, rng=np.random.default_rng([seed, 1]))
            low = since(trial)
            high = np.minimum(until(trial), trial.time)
            mine = (trial.arm == arm) & (high > low)
            months += (high - low)[mine].sum()
            events += ((trial.time > low) & (trial.time <= until(trial)) & (trial.arm == arm)).sum()
        return events / months

    def later(trial):
        return np.maximum(trial.interim - trial.enrolled, 0.0)

    def never(trial):
        return np.full(len(trial.arm), 1e9)

    def zero(trial):
        return np.zeros(len(trial.arm))

    plain, faster = Scenario("plain"), Scenario("faster", faster=(1.5, 1.0))
    ratio = exposure_and_events(faster, 0, later, never) / exposure_and_events(plain, 0, later, never)
    assert ratio == pytest.approx(1.5, abs=0.01)
    assert exposure_and_events(faster, 1, later, never) == pytest.approx(exposure_and_events(plain, 1, later, never))
    gone = Scenario("gone", gone_after=12.0)
    half = [exposure_and_events(gone, 1, lambda t: zero(t) + 12, never), exposure_and_events(gone, 0, zero, never)]
    assert half[0] == pytest.approx(half[1], rel=0.1)
    assert exposure_and_events(gone, 1, zero, lambda t: zero(t) + 12) < 0.8 * half[1]
    one, slow = (simulate(s, rng=np.random.default_rng(3)) for s in (plain, Scenario("slow", slower=0.5)))
    after = one.enrolled > one.interim
    np.testing.assert_allclose(slow.enrolled[after] - slow.interim, 2 * (one.enrolled[after] - one.interim))
    np.testing.assert_array_equal(slow.enrolled[~after], one.enrolled[~after])
    many = [simulate(Scenario("lost", informative=(0.0, 0.3)), rng=np.random.default_rng(s)) for s in range(100)]
    share = np.mean(np.concatenate([(t.lost <= t.time)[(t.arm == 1) & (t.time > later(t))] for t in many]))
    assert share == pytest.approx(0.3, abs=0.03)
    assert not any((t.lost <= t.time)[t.arm == 0].any() for t in many)


def test_patients_known_at_a_date_are_a_cut_of_the_trial():
    trial = simulate(Scenario("lost", lost=0.05), rng=np.random.default_rng(8))
    early, late = trial.known_at(trial.interim), trial.known_at(90.0)
    assert int(early.event.sum()) == violations.INTERIM
    assert set(early.censoring) <= {"", "administrative"}
    assert "lost" in set(late.censoring)
    assert not late.event[trial.lost[: len(late)] < trial.time[: len(late)]].any()
    trial = simulate(Scenario("plain"), rng=np.random.default_rng(8))
    last = trial.known_at(trial.final)
    final = FinalData.of(last, FinalAnalysis("events", events=violations.FINAL, cap=120.0), TimeGrid())
    assert final.events.sum() == violations.FINAL
    assert final.date[0] == pytest.approx(trial.final, abs=1e-5)


def test_a_robust_prior_gives_way_to_the_data():
    rng = np.random.default_rng(1)
    history = (60.0, 1500.0)  # 0.04 a month
    believed, doubted = (draw_control(6.0, 600.0, history, robust=robust, rng=rng).mean() for robust in (False, True))
    assert doubted < believed
    assert believed == pytest.approx((violations.SHAPE + 66) / (violations.SHAPE / 0.02 + 2100), rel=0.05)
