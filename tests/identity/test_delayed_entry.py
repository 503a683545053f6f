"""Delayed entry (left truncation): the exact likelihood, the calendar, and that leaving it out is wrong."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import expon, gamma

from smm_bayes.analysis.interim import read_inputs
from smm_bayes.errors import SpecificationError
from smm_bayes.prediction import FinalAnalysis, FinalData, LogRank, completion, probability_of_success
from smm_bayes.reporting import plots
from smm_bayes.survival import GammaHazards, TimeGrid, log_likelihood, patient_log_likelihood
from smm_bayes.survival.law import Law
from smm_bayes.trial import Patients, cut_by_date, cut_by_events
from smm_bayes.trial.curves import kaplan_meier


def completed(patients, log_hazard, grid, **options):
    """Complete a trial from log hazards (chain, draw, arm, cause, interval)."""
    law = Law.plain(log_hazard, grid, patients.arms, patients.causes)
    return probability_of_success(patients, law, **options)

ROOT = Path(__file__).parents[2]
GRID = TimeGrid((6, 24))


@pytest.fixture(scope="module")
def myeloma():
    return Patients.from_frame(
        ROOT / "data/patients/myeloma_frame.csv", arms={"control": "1947-1981", "experimental": "1982-1996"},
        unit="day", trial="myeloma", censoring="administrative",
    )  # fmt: skip


def made(entry, follow_up, cause, enrolled=None, arm=None):
    """Patients of two arms by turns; ``cause`` is 0, 1, or -1 for censored."""
    entry, follow_up, cause = np.array(entry, float), np.array(follow_up, float), np.array(cause)
    enrolled = np.array(enrolled, float) if enrolled is not None else None
    time, size = entry + follow_up, len(entry)
    return Patients(
        patient=np.arange(size).astype(str).astype(object), arm=np.arange(size) % 2 if arm is None else np.array(arm),
        time=time, event=cause >= 0, cause=cause, censoring=np.where(cause >= 0, "", "administrative").astype(object),
        enrolled=enrolled, arms=("control", "experimental"), arm_names=("Old", "New"), causes=("progression", "death"),
        entry=entry, provenance="simulated",
        data_cutoff=None if enrolled is None else float((enrolled + follow_up).max()),
    )  # fmt: skip


days = st.integers(1, 900).map(lambda n: n / 16)  # sums and differences of sixteenths are exact
entries = st.one_of(st.just(0.0), days)
trials = st.lists(st.tuples(entries, days, st.integers(-1, 1), days), min_size=2, max_size=12).map(
    lambda rows: made(*zip(*rows, strict=True))
)
grids = st.lists(days, max_size=5, unique=True).map(lambda cuts: TimeGrid(sorted(cuts)))
rates = st.floats(0.001, 0.5)


# ---- the likelihood

@settings(deadline=None)
@given(trials, grids)
def test_exposure_sums_to_the_time_under_observation_of_every_patient(patients, grid):
    by_patient = grid.exposure(patients.time, patients.entry)
    np.testing.assert_allclose(by_patient.sum(axis=1), patients.time - patients.entry, atol=1e-9)
    np.testing.assert_array_equal(by_patient.sum(axis=1), patients.follow_up)
    table = grid.tabulate(patients)
    for arm in (0, 1):
        assert table.exposure[arm].sum() == pytest.approx(patients.follow_up[patients.arm == arm].sum())
    assert table.events.sum() == patients.events


@settings(deadline=None, max_examples=40)
@given(entries, days, st.integers(-1, 1), st.lists(rates, min_size=6, max_size=6))
def test_the_likelihood_is_that_of_left_truncated_data(entry, follow_up, cause, hazards):
    """Log f(t) − log S(entry), with integrals of the hazard by SciPy."""
    hazards = np.array(hazards).reshape(2, 3)  # (cause, interval)
    patients = made([entry], [follow_up], [cause])
    time = entry + follow_up

    def log_survival(until):
        inside = [cut for cut in GRID.cuts if cut < until]
        return -quad(lambda t: hazards[:, np.searchsorted(GRID.cuts, t)].sum(), 0, until, points=inside or None)[0]

    density = np.log(hazards[cause, np.searchsorted(GRID.cuts, time)]) if cause >= 0 else 0.0
    exact = density + log_survival(time) - log_survival(entry)
    draws = np.log(np.stack([hazards, hazards]))
    assert patient_log_likelihood(draws, patients, GRID)[0] == pytest.approx(exact, abs=1e-7)
    assert log_likelihood(draws, GRID.tabulate(patients)) == pytest.approx(exact, abs=1e-7)


@settings(deadline=None)
@given(entries, days, st.booleans(), rates)
def test_one_interval_is_a_left_truncated_exponential(entry, follow_up, event, rate):
    patients = made([entry], [follow_up], [0 if event else -1]).count_only("progression")
    law = expon(scale=1 / rate)
    exact = (law.logpdf if event else law.logsf)(entry + follow_up) - law.logsf(entry)
    found = patient_log_likelihood(np.full((2, 1, 1), np.log(rate)), patients, TimeGrid())
    assert found[0] == pytest.approx(exact, abs=1e-9)


def test_patients_sum_to_the_table(myeloma):
    log_hazard = np.log(np.random.default_rng(1).uniform(0.01, 0.05, (3, 2, 1, 3)))
    by_patient = patient_log_likelihood(log_hazard, myeloma, GRID)
    np.testing.assert_allclose(by_patient.sum(axis=-1), log_likelihood(log_hazard, GRID.tabulate(myeloma)), rtol=1e-12)


def test_splitting_an_interval_with_equal_hazards_changes_no_likelihood(myeloma):
    values = np.log(np.random.default_rng(1).uniform(0.01, 0.05, (2, 1, 3)))
    fine = TimeGrid((3, 6, 13, 24, 60))
    split = values[..., [0, 0, 1, 1, 2, 2]]
    np.testing.assert_allclose(
        patient_log_likelihood(split, myeloma, fine), patient_log_likelihood(values, myeloma, GRID), atol=1e-12
    )
    expected = float(log_likelihood(values, GRID.tabulate(myeloma)))
    assert log_likelihood(split, fine.tabulate(myeloma)) == pytest.approx(expected, rel=1e-12)


@settings(deadline=None)
@given(trials, grids, st.floats(0.05, 0.95))
def test_a_patient_in_two_pieces_is_the_same_patient(patients, grid, share):
    """Watched until s and censored, then entering at s: events, exposure and Kaplan–Meier are as in one piece."""
    middle = patients.entry + share * patients.follow_up
    first = replace(patients, time=middle, event=np.zeros(len(patients), bool), cause=np.full(len(patients), -1),
                    censoring=np.full(len(patients), "administrative", object))  # fmt: skip
    second = replace(patients, entry=middle)
    whole, parts = grid.tabulate(patients), (grid.tabulate(first), grid.tabulate(second))
    np.testing.assert_allclose(whole.exposure, sum(part.exposure for part in parts), atol=1e-9)
    np.testing.assert_array_equal(whole.events, sum(part.events for part in parts))
    one = kaplan_meier(patients.time, patients.event, patients.entry)
    two = kaplan_meier(*(np.concatenate(pair) for pair in (
        (middle, patients.time), (first.event, patients.event), (patients.entry, middle))))  # fmt: skip
    np.testing.assert_allclose(one.survival, two.survival, atol=1e-12)


@settings(deadline=None)
@given(trials, grids, days)
def test_entry_0_is_no_delayed_entry(patients, grid, cutoff):
    zero = replace(patients, entry=np.zeros(len(patients)))
    none = replace(patients, entry=None)
    assert not zero.delayed.any()
    assert zero.summary() == none.summary()
    np.testing.assert_array_equal(grid.tabulate(zero).exposure, grid.tabulate(none).exposure)
    log_hazard = np.log(np.random.default_rng(1).uniform(0.01, 0.1, (2, 2, len(grid))))
    np.testing.assert_array_equal(*(patient_log_likelihood(log_hazard, one, grid) for one in (zero, none)))
    times = np.arange(0, 120, 7.0)
    assert plots.at_risk(zero, times).equals(plots.at_risk(none, times))
    for arm in (0, 1):
        assert plots.kaplan_meier(zero, arm).equals(plots.kaplan_meier(none, arm))
    at = max(cutoff, patients.enrolled.min())
    np.testing.assert_array_equal(cut_by_date(zero, at).time, cut_by_date(none, at).time)
    final = FinalAnalysis("follow_up", follow_up=1e4)
    assert FinalData.of(zero, final, grid).score == FinalData.of(none, final, grid).score


# ---- the calendar

@settings(deadline=None)
@given(trials, days, st.integers(1, 12))
def test_a_cut_is_the_one_on_the_clock_from_enrolment(patients, cutoff, number):
    """What is known at a date does not depend on which clock counts: shifted back, both cuts are the same."""
    from_enrolment = replace(patients, time=patients.follow_up, entry=None)
    cutoff = max(cutoff, patients.enrolled.min())
    pairs = [(cut_by_date(patients, cutoff), cut_by_date(from_enrolment, cutoff))]
    if patients.events:
        number = min(number, patients.events)
        pairs.append((cut_by_events(patients, number), cut_by_events(from_enrolment, number)))
    for delayed, plain in pairs:
        np.testing.assert_array_equal(delayed.patient, plain.patient)
        np.testing.assert_array_equal(delayed.event, plain.event)
        np.testing.assert_array_equal(delayed.censoring, plain.censoring)
        np.testing.assert_allclose(delayed.follow_up, plain.time, atol=1e-9)
        assert delayed.data_cutoff == plain.data_cutoff
        assert delayed.median_follow_up == pytest.approx(plain.median_follow_up, nan_ok=True)
        assert (delayed.enrolled + delayed.follow_up <= delayed.data_cutoff + 1e-9).all()


def test_the_real_patients_cut_twice(myeloma):
    for late, early in ((500.0, 300.0), (420.0, 419.5)):
        twice, once = cut_by_date(cut_by_date(myeloma, late), early), cut_by_date(myeloma, early)
        np.testing.assert_array_equal(twice.patient, once.patient)
        np.testing.assert_allclose(twice.time, once.time, atol=1e-9)
        np.testing.assert_array_equal(twice.event, once.event)
        assert (once.enrolled <= early).all()
        assert len(once) == (myeloma.enrolled <= early).sum()


# ---- curves

def test_kaplan_meier_and_patients_at_risk_by_hand():
    """Entry, time: (0, 4], (0, 8+], (2, 6], (4, 10+], (5, 7]; at 4, 6, 7 there are 3, 4 − 0 and 3 at risk."""
    patients = made([0, 0, 2, 4, 5], [4, 8, 4, 6, 2], [0, -1, 0, -1, 1], arm=[0] * 5)
    curve = plots.kaplan_meier(patients, 0)
    assert curve["time"].tolist() == [0, 4, 6, 7, 10]
    assert curve["survival"].tolist() == pytest.approx([1, 2 / 3, 2 / 3 * 3 / 4, 1 / 2 * 2 / 3, 1 / 3])
    greenwood = np.sqrt(1 / (3 * 2) + 1 / (4 * 3) + 1 / (3 * 2))
    limits = [(1 / 3) ** np.exp(sign * 1.959964 * greenwood / np.log(1 / 3)) for sign in (-1, 1)]
    assert curve[["lower", "upper"]].iloc[-1].tolist() == pytest.approx(sorted(limits), abs=1e-6)
    table = plots.at_risk(patients, np.array([0, 2, 2.5, 4, 4.5, 6, 7, 8, 10, 11]))
    assert table.loc["Old"].tolist() == [2, 2, 3, 3, 3, 4, 3, 2, 1, 0]  # who enters at 2 or at 4 is not yet at risk then
    assert table.loc["New"].tolist() == [0] * 10


def test_the_figure_says_which_clock_it_is(myeloma):
    import matplotlib.pyplot as plt

    ax = plots.plot_survival(myeloma, horizon=120)
    assert ax.get_xlabel().startswith("Months since time zero (delayed entry)")
    count = {text.get_position()[0]: text.get_text() for text in ax.texts if not hasattr(text, "xyann")}
    rows = myeloma.arm == 1  # the arm drawn last
    for tick in (20.0, 60.0, 120.0):
        at_risk = rows & (myeloma.entry < tick) & (tick <= myeloma.time)
        assert count[tick] == f"{at_risk.sum()}"
    plt.close("all")


# ---- predictions are refused

def test_predictions_are_refused_before_anything_is_drawn(monkeypatch):
    patients = made([0, 0, 3, 2], [4, 8, 4, 6], [0, -1, 0, -1], enrolled=[0, 0, 1, 1])
    final = FinalAnalysis("events", events=3)

    def never(*_, **__):
        raise AssertionError("something was drawn")

    monkeypatch.setattr(completion.Completion, "run", never)
    monkeypatch.setattr(completion.np.random, "Generator", never)
    message = "not yet for patients with delayed entry; 2 of these 4 came .* count time from enrolment"
    with pytest.raises(SpecificationError, match=message):
        completed(patients, np.zeros((1, 4, 2, 2, 3)), GRID, final=final, rule=LogRank(0.05), seed=1)
    with pytest.raises(SpecificationError, match=message):
        FinalData.of(patients, final, GRID)


def test_an_interim_analysis_is_refused_while_its_inputs_are_read(tmp_path):
    with open(ROOT / "data/patients/mgus2_adtte.csv", newline="") as source:
        rows = list(csv.DictReader(source))
    assert {row["PARAMCD"] for row in rows} == {"PFS", "OS"}
    with open(tmp_path / "adtte.csv", "w", newline="") as target:
        writer = csv.DictWriter(target, [*rows[0], "ENTRYTM"])
        writer.writeheader()
        writer.writerows({**row, "ENTRYTM": "1" if float(row["AVAL"]) > 12 else "0"} for row in rows)
    with pytest.raises(SpecificationError, match="not yet for patients with delayed entry"):
        read_inputs(ROOT / "models/mgus2/spec.toml", tmp_path / "adtte.csv")


# ---- it matters

def test_leaving_it_out_changes_the_answer_on_real_patients(myeloma):
    """The hazard d/E of the first months: patients who died before they arrived were never seen."""
    table, wrong = (GRID.tabulate(patients) for patients in (myeloma, replace(myeloma, entry=None)))
    np.testing.assert_array_equal(table.events, wrong.events)
    ratio = (wrong.events[:, 0] / wrong.exposure) / (table.events[:, 0] / table.exposure)
    assert (ratio < 1).all()
    assert ratio[:, 0] == pytest.approx([0.797, 0.561], abs=0.001)
    posterior = GammaHazards.prior(table, 0.5, 0.001).update(table)
    lower = gamma.ppf(0.001, posterior.shape, scale=1 / posterior.rate)[:, 0, 0]
    assert ((wrong.events[:, 0, 0] / wrong.exposure[:, 0]) < lower).all()


def test_intervals_hold_the_truth_with_entry_and_miss_it_without():
    """Exact Gamma posteriors of 300 simulated trials: 95 % intervals cover as often as they say, or hardly ever."""
    rng, truth, repeats = np.random.default_rng(20260601), np.array([0.06, 0.04, 0.03]), 300
    covered = {"entry": np.zeros(3), "ignored": np.zeros(3)}
    for _ in range(repeats):
        first, second, third = rng.exponential(1 / truth, (800, 3)).T  # within each interval, without end
        time = np.where(first <= 6, first, np.where(second <= 18, 6 + second, 24 + third))
        entry = np.where(rng.random(800) < 0.4, 0.0, rng.exponential(8.0, 800))
        lost = entry + rng.exponential(60.0, 800)
        seen = time > entry
        event = (time <= lost)[seen]
        patients = made(entry[seen], (np.minimum(time, lost) - entry)[seen], np.where(event, 0, -1),
                        arm=np.zeros(seen.sum(), int)).count_only("progression")  # fmt: skip
        for name, one in (("entry", patients), ("ignored", replace(patients, entry=None))):
            table = GRID.tabulate(one)
            posterior = GammaHazards.prior(table, 0.5, 0.001).update(table)
            low, high = (gamma.ppf(q, posterior.shape[0, 0], scale=1 / posterior.rate[0, 0]) for q in (0.025, 0.975))
            covered[name] += (low <= truth) & (truth <= high)
    error = np.sqrt(0.95 * 0.05 / repeats)
    assert (np.abs(covered["entry"] / repeats - 0.95) < 3.5 * error).all()
    assert covered["ignored"][0] / repeats < 0.05
    assert covered["ignored"][1] / repeats < 0.75
