"""Guyot's method gives back known data from their curve, the better the more is printed beside it."""

import numpy as np
import pytest
from typer.testing import CliRunner

from smm_bayes.cli import app
from smm_bayes.errors import DataError
from smm_bayes.evidence.digitised import AtRisk, DigitisedCurve, from_curve, read_at_risk, read_curve
from smm_bayes.evidence.digitising_error import digitise, digitising_error
from smm_bayes.trial.curves import hazard_ratio, kaplan_meier


@pytest.fixture(scope="module")
def errors():
    table = digitising_error((20, 50, 200), trials=15, rng=np.random.default_rng(12))
    return {(row.points, row.known): row for row in table.rows}, table


def test_hazard_ratio_and_milestones_are_recovered(errors):
    rows, _ = errors
    best = rows[200, "at risk and events"]
    assert abs(best.log_ratio_bias) < 0.01
    assert best.log_ratio_rms < 0.03
    assert best.milestone_max < 0.03
    assert best.events_error < 1
    assert rows[20, "at risk"].log_ratio_rms < 0.06


def test_more_points_and_more_print_are_better(errors):
    rows, table = errors
    assert rows[200, "at risk"].log_ratio_rms < rows[20, "at risk"].log_ratio_rms
    for points in (20, 50, 200):
        with_table, events, n_only = (rows[points, known] for known in ("at risk", "events", "n only"))
        assert with_table.log_ratio_rms < events.log_ratio_rms < n_only.log_ratio_rms
        assert events.events_error < 0.5
        assert n_only.events_error > 5  # nobody taken as censored: far too many events
    assert len(table.table()) == 12
    assert "200  at risk and events" in repr(table)


def test_without_censoring_the_data_come_back_exactly():
    time = np.arange(1.0, 41.0)
    event = np.ones(40, dtype=bool)
    curve = kaplan_meier(time, event)
    made = from_curve(DigitisedCurve.of(curve.time, curve.survival), n=40)
    np.testing.assert_array_equal(made.time, time)
    assert made.event.all()
    assert made.max_distance < 1e-12


def test_every_step_and_the_numbers_at_risk_give_nearly_the_data():
    rng = np.random.default_rng(4)
    arms = []
    for scale in (15.0, 30.0):
        happens, censored = rng.exponential(scale, 150), 12 + 24 * rng.random(150)
        arms.append((np.minimum(happens, censored), happens <= censored))
    made = []
    for time, event in arms:
        curve = kaplan_meier(time, event)
        marks = tuple(float(mark) for mark in range(0, 36, 3) if mark <= time.max())
        table = AtRisk(marks, tuple(int((time >= mark).sum()) for mark in marks))
        steps, heights = np.append(curve.time, time.max()), np.append(curve.survival, curve.survival[-1])
        arm = from_curve(DigitisedCurve.of(steps, heights), at_risk=table, events=int(event.sum()))
        assert len(arm) == 150
        assert abs(arm.events - event.sum()) <= 2
        assert arm.max_distance < 0.02
        np.testing.assert_allclose([(arm.time >= mark).sum() for mark in marks], table.number, atol=0)
        made.append((arm.time, arm.event))
    assert np.log(hazard_ratio(*made) / hazard_ratio(*arms)) == pytest.approx(0, abs=0.02)


def test_rises_are_mended_and_reported():
    curve = DigitisedCurve.of(np.array([3.0, 6, 9, 12]), np.array([0.9, 0.8, 0.82, 0.7]))
    assert curve.repaired == 2
    assert curve.repair == pytest.approx(0.01)
    np.testing.assert_allclose(curve.survival, [1, 0.9, 0.81, 0.81, 0.7])
    assert "2 points mended" in repr(curve)
    assert "2, by up to 0.0100" in repr(from_curve(curve, n=50))


def test_a_vertical_line_is_one_step():
    curve = DigitisedCurve.of(np.array([0.0, 5, 5, 5, 9]), np.array([1, 1, 0.9, 0.8, 0.8]))
    np.testing.assert_array_equal(curve.time, [0, 5, 9])
    np.testing.assert_array_equal(curve.survival, [1, 0.8, 0.8])


def test_a_poor_fit_is_measured():
    rng = np.random.default_rng(6)
    curve = digitise(rng.exponential(20, 100), np.ones(100, dtype=bool), 30, noise=0, rng=rng)
    good, few = from_curve(curve, n=100), from_curve(curve, n=3)
    assert few.max_distance > 5 * good.max_distance
    assert few.rms_distance > good.rms_distance


def test_contradictions_are_named_at_once():
    curve = DigitisedCurve.of(np.array([3.0, 6]), np.array([0.9, 0.8]))
    with pytest.raises(DataError, match="2 problems"):
        from_curve(curve, n=50, at_risk=AtRisk((0.0, 6.0), (40, 20)), events=41)
    with pytest.raises(DataError, match="neither n nor numbers at risk"):
        from_curve(curve)
    with pytest.raises(DataError, match="3 problems"):
        AtRisk((1.0, 6.0, 6.0), (40, 20, 30))


@pytest.mark.parametrize("rows", [[], [(5.0, 1.2)], [(float("nan"), 0.5)]])
def test_points_that_are_none_are_refused(rows):
    with pytest.raises(DataError, match="digitised curve"):
        DigitisedCurve.of(np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))


def test_the_door_names_every_problem(tmp_path):
    bad = tmp_path / "curve.csv"
    bad.write_text("time,survival\n0,100\n-3,0.9\nsix,\n")
    with pytest.raises(DataError) as caught:
        read_curve(bad)
    for part in (
        "4 problems",
        "row 3: negative",
        "row 2: above 1 (found 100)",
        "row 4: no value",
        "not a finite number",
    ):
        assert part in str(caught.value)
    bad.write_text("time,survivors\n0,1\n")
    with pytest.raises(DataError, match="'survival' is missing"):
        read_curve(bad)
    bad.write_text("time,at_risk\n0,40\n6,20.5\n")
    with pytest.raises(DataError, match="row 3: not a whole number"):
        read_at_risk(bad)


def test_command_for_a_curve(tmp_path):
    (tmp_path / "c.csv").write_text("time,survival\n0,1\n6,0.9\n12,0.8\n24,0.6\n")
    (tmp_path / "r.csv").write_text("time,at_risk\n0,100\n12,75\n")
    out = tmp_path / "out"
    options = [
        "--curve",
        str(tmp_path / "c.csv"),
        "--at-risk",
        str(tmp_path / "r.csv"),
        "--events",
        "35",
        "--out",
        str(out),
    ]
    done = CliRunner().invoke(app, ["reconstruct", *options])
    assert done.exit_code == 0, done.output
    assert "(35 reported)" in done.output
    assert len((out / "c_patients.csv").read_text().splitlines()) == 101
