"""Whole days against whole numbers: cuts, log-rank, Cox and tables of trials by dates, counted by hand."""

import datetime
from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.errors import DataError
from smm_bayes.prediction.completion import Completion
from smm_bayes.prediction.final import Enrolment, FinalAnalysis, FinalData
from smm_bayes.surrogacy import MrdSchedule
from smm_bayes.surrogacy.joint.table import JointTable
from smm_bayes.surrogacy.within.landmark import latest_status
from smm_bayes.survival import TimeGrid
from smm_bayes.survival.cure_table import CureTable
from smm_bayes.survival.law import Law
from smm_bayes.survival.patterns import PatternTable
from smm_bayes.survival.visits import VisitTable
from smm_bayes.trial import Patients, cut_by_date
from smm_bayes.trial.calendar import DAYS_PER_MONTH
from smm_bayes.trial.courses import Courses
from smm_bayes.trial.cox import cox_ratio
from smm_bayes.trial.cuts import cut_by_events
from smm_bayes.trial.endpoints import PFS
from smm_bayes.trial.mrd import MrdAssessments

CAUSES = ("progression", "death")
CUTS = (140, 280, 560)  # days: assessments fall on them
GRID = TimeGrid(day / DAYS_PER_MONTH for day in CUTS)
ORIGIN = datetime.date(2015, 3, 2)


def whole_days(seed, size=80):
    """Days of a trial as integers: arm, enrolment, time, cause (-1 censored); progressions on days of assessment."""
    rng = np.random.default_rng(seed)
    enrolled = np.sort(rng.integers(0, 500, size))
    enrolled -= enrolled[0]
    progression = 28 * np.ceil(rng.exponential(500, size) / 28).astype(int)
    death = 1 + rng.exponential(2500, size).astype(int)
    stop = 28 * rng.integers(1, 40, size)
    time = np.minimum(np.minimum(progression, death), stop)
    cause = np.where(progression == time, 0, np.where(death == time, 1, -1))
    return np.arange(size) % 2, enrolled, time, cause


def patients_of(arm, enrolled, time, cause, **others):
    return Patients(
        patient=np.array([f"P{i}" for i in range(len(arm))], dtype=object), arm=arm, time=time, event=cause >= 0,
        cause=cause, censoring=np.where(cause >= 0, "", "administrative").astype(object), enrolled=enrolled,
        arms=("control", "experimental"), arm_names=("Rd", "KRd"), causes=CAUSES, origin=ORIGIN, **others,
    )  # fmt: skip


def by_days(arm, enrolled, time, cause):
    """As ADTTE gives them: times and dates each divided."""
    cutoff = (enrolled + time).max() / DAYS_PER_MONTH
    return patients_of(arm, enrolled / DAYS_PER_MONTH, time / DAYS_PER_MONTH, cause, data_cutoff=cutoff)


def by_dates(arm, enrolled, time, cause):
    """As courses give them: a time is the difference of two dates, here with the rounding errors of another origin."""
    start, end = ((day + 1000) / DAYS_PER_MONTH - 1000 / DAYS_PER_MONTH for day in (enrolled, enrolled + time))
    never = np.full(len(arm), np.nan)
    dead = cause == 1
    courses = Courses(
        patient=np.array([f"P{i}" for i in range(len(arm))], dtype=object), arm=arm, enrolled=start, response=None,
        progression=np.where(cause == 0, end, never), new_therapy=None, second_progression=None,
        death=np.where(dead, end, never), last_assessment=end, last_alive=end,
        censoring=np.where(dead, "", "administrative").astype(object), arms=("control", "experimental"),
        arm_names=("Rd", "KRd"), data_cutoff=float(end.max()), origin=ORIGIN,
    )  # fmt: skip
    return PFS.patients(courses)


def by_subtraction(arm, enrolled, time, cause):
    """Times as differences of floats that were never put on a clock."""
    end = (enrolled + time) / DAYS_PER_MONTH
    return patients_of(arm, enrolled / DAYS_PER_MONTH, end - enrolled / DAYS_PER_MONTH, cause, data_cutoff=end.max())


DOORS = [by_days, by_dates, by_subtraction]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("seed", range(4))
def test_a_cut_on_the_day_of_every_event_counts_it(door, seed):
    _, enrolled, time, cause = trial = whole_days(seed)
    patients, dates = door(*trial), np.unique((enrolled + time)[cause >= 0])
    for day in dates.tolist():
        cut = cut_by_date(patients, ORIGIN + datetime.timedelta(days=day))
        there = enrolled <= day
        seen = there & (cause >= 0) & (enrolled + time <= day)
        assert (len(cut), cut.events) == (there.sum(), seen.sum())
        followed = np.minimum(time, day - enrolled)[there]
        np.testing.assert_array_equal(cut.time, followed / DAYS_PER_MONTH)
    order = np.sort((enrolled + time)[cause >= 0])
    for number in range(1, len(order) + 1, 7):
        assert cut_by_events(patients, number).data_cutoff == order[number - 1] / DAYS_PER_MONTH


def log_rank_of_days(time, event, arm):
    """z in whole numbers, the slow way."""
    score = variance = 0.0
    for day in np.unique(time[event]):
        at_risk, dies = time >= day, event & (time == day)
        n, n1, d, d1 = at_risk.sum(), (at_risk & (arm == 1)).sum(), dies.sum(), (dies & (arm == 1)).sum()
        score += d1 - d * n1 / n
        variance += d * n1 / n * (1 - n1 / n) * (n - d) / (n - 1) if n > 1 else 0.0
    return score / np.sqrt(variance)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("seed", range(4))
def test_log_rank_and_cox_have_the_ties_of_the_days(door, seed):
    """Of the whole trial, of a cut, and of a final analysis by events, date and follow-up."""
    from sksurv.compare import compare_survival
    from sksurv.util import Surv

    arm, enrolled, time, cause = trial = whole_days(seed)
    patients, day = door(*trial), int(np.sort((enrolled + time)[cause >= 0])[25])
    when = day / DAYS_PER_MONTH
    there, known = enrolled <= day, enrolled + time <= day
    cut_time, cut_event = np.minimum(time, day - enrolled)[there], ((cause >= 0) & known)[there]
    cut = cut_by_date(patients, when)
    early, late = FinalAnalysis("date", date=when), FinalAnalysis("follow_up", follow_up=1e4)
    chi2, _ = compare_survival(Surv.from_arrays(cause >= 0, time), arm)
    for found, (t, e, a) in (
        (FinalData.of(patients, late, GRID), (time, cause >= 0, arm)),
        (FinalData.of(cut, late, GRID), (cut_time, cut_event, arm[there])),
        (FinalData.of(cut, FinalAnalysis("events", events=26), GRID), (cut_time, cut_event, arm[there])),
        (FinalData.of(patients, early, GRID), (cut_time, cut_event, arm[there])),
    ):
        assert found.z[0] == pytest.approx(log_rank_of_days(t, e, a), abs=1e-12)
    assert FinalData.of(patients, late, GRID).z[0] ** 2 == pytest.approx(chi2, rel=1e-10)
    exact = cox_ratio(time.astype(float), cause >= 0, arm == 1)
    assert cox_ratio(patients.time, patients.event, patients.arm == 1).log_hazard_ratio == exact.log_hazard_ratio
    noisy = (enrolled + time) / DAYS_PER_MONTH - enrolled / DAYS_PER_MONTH
    assert cox_ratio(noisy, cause >= 0, arm == 1).log_hazard_ratio == exact.log_hazard_ratio


def table_of_days(arm, time, cause, hits):
    """Events (arm, cause, interval) and days at risk (arm, interval), the slow way."""
    edges = [0, *CUTS, 10**9]
    events, days = np.zeros((2, 2, 4)), np.zeros((2, 4))
    for a, t, c, counts in zip(arm, time, cause, hits, strict=True):
        for j in range(4):
            days[a, j] += max(min(t, edges[j + 1]) - edges[j], 0)
            if counts and edges[j] < t <= edges[j + 1]:
                events[a, c, j] += 1
    return events, days / DAYS_PER_MONTH


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("seed", range(4))
def test_an_event_at_a_cut_point_is_in_the_interval_that_ends_there_from_every_door(door, seed):
    arm, _, time, cause = trial = whole_days(seed)
    patients = door(*trial)
    assert np.isin(time[cause == 0], CUTS).sum() >= 5  # the case is there
    events, exposure = table_of_days(arm, time, cause, cause >= 0)
    tables = {
        "plain": GRID.tabulate(patients), "patterns": PatternTable.of(patients, GRID).by_arm(),
        "cure": CureTable.of(patients, GRID, "progression").table,
    }  # fmt: skip
    for found in tables.values():
        np.testing.assert_array_equal(found.events, events)
        np.testing.assert_allclose(found.exposure, exposure, rtol=1e-12)
    cells = FinalData.of(patients, FinalAnalysis("follow_up", follow_up=1e4), GRID)
    np.testing.assert_array_equal(cells.cell_events[0], events.sum(axis=1))
    np.testing.assert_allclose(cells.cell_exposure[0], exposure, rtol=1e-12)
    cure = CureTable.of(patients, GRID, "progression")
    assert len(cure.row_count) == len({(a, t) for a, t, c in zip(arm, time, cause, strict=True) if c != 0})


@pytest.mark.parametrize("door", DOORS)
def test_brackets_of_the_same_days_are_one_row(door):
    arm, enrolled, time, cause = trial = whole_days(11)
    patients, found = door(*trial), cause == 0
    gone = enrolled / DAYS_PER_MONTH
    clear = np.where(found, (enrolled + time - 28) / DAYS_PER_MONTH - gone, 0.0)
    table = VisitTable.of(patients, GRID, cause="progression", last_clear=clear)
    pieces = {(a, np.searchsorted(CUTS, t)) for a, t in zip(arm[found], time[found], strict=True)}
    assert len(table.count) == len(pieces)  # no bracket of 28 days crosses a cut
    assert table.count.sum() == found.sum()
    inside = np.array([sum(28 if low < t <= high else 0 for t in time[found])
                       for low, high in ((0, 140), (140, 280), (280, 560), (560, 10**9))])  # fmt: skip
    np.testing.assert_allclose(table.count @ table.widths, inside / DAYS_PER_MONTH, rtol=1e-12)


@pytest.mark.parametrize("door", DOORS)
def test_visits_and_progression_on_one_day(door):
    """Who has the event on the day of the visit is not at risk at it, in the status and in the joint table."""
    arm, _, time, cause = trial = whole_days(12)
    patients, visit = door(*trial), 280
    rows = np.flatnonzero(time >= 252)
    mrd = MrdAssessments(rows, (252 + 1000) / DAYS_PER_MONTH - np.full(len(rows), 1000 / DAYS_PER_MONTH),
                         np.arange(len(rows)) % 3 == 0, np.full(len(rows), 1e-5))  # fmt: skip
    patients = patients.take(np.ones(len(patients), bool), mrd=mrd)
    schedule = MrdSchedule((visit / DAYS_PER_MONTH,), before=28 / DAYS_PER_MONTH, after=14 / DAYS_PER_MONTH)
    status = schedule.assign(patients)
    assert np.isin(time, [visit]).any()
    np.testing.assert_array_equal(status.at_risk[:, 0], time > visit)
    np.testing.assert_array_equal(status.code[:, 0] >= 0, time >= 252)
    table = JointTable.of(patients, status, GRID)
    before = table.events.sum(axis=3)[:, :, table.shape.cells.index(visit / DAYS_PER_MONTH)]
    by_hand = [[((arm == a) & (cause == c) & (time > 140) & (time <= visit)).sum() for c in (0, 1)] for a in (0, 1)]
    np.testing.assert_array_equal(before, by_hand)
    assert table.transitions.sum() == (time > visit).sum()


def test_who_is_censored_at_the_event_that_triggers_the_analysis_is_at_risk_of_it():
    """Two patients enrolled on one day, one of each arm: the first event drawn has both at risk, in every trial."""
    first, size = np.zeros(2, int), 2000
    for day in (0, 17, 101, 333):
        patients = patients_of(np.array([0, 1]), (first + day) / DAYS_PER_MONTH, np.array([40, 40]) / DAYS_PER_MONTH,
                               first - 1, data_cutoff=(day + 40) / DAYS_PER_MONTH)  # fmt: skip
        plan = Completion.plan(
            patients, Law.plain(np.full((1, 2, 2, 4), np.log(0.02)), GRID, patients.arms, patients.causes), np.zeros(size), final=FinalAnalysis("events", events=1),
            enrolment=Enrolment(), complete=("administrative",), dropout=False, seed=day, final_grid=None,
        )  # fmt: skip
        found = plan.run(0, size)
        assert (found.events.sum(axis=(1, 2)) == 1).all()
        np.testing.assert_array_equal(found.variance, 0.25)
        np.testing.assert_array_equal(np.abs(found.score), 0.5)


def test_dates_of_one_day_are_one_date_in_courses():
    """Progression and death on one day, each computed from another origin: it is a progression, and a cut knows it."""
    days, size = np.arange(200, 600), 400
    noisy = [(days + shift) / DAYS_PER_MONTH - shift / DAYS_PER_MONTH for shift in (0, 1000, 7777)]
    assert (noisy[1] != noisy[0]).any()
    courses = Courses(
        patient=np.arange(size).astype(str), arm=days % 2, enrolled=np.zeros(size), response=None,
        progression=noisy[1], new_therapy=None, second_progression=None, death=noisy[0], last_assessment=noisy[2],
        last_alive=noisy[0], censoring=np.full(size, "", dtype=object), arms=("control", "experimental"),
        arm_names=("Rd", "KRd"), data_cutoff=noisy[0].max(), origin=ORIGIN,
    )  # fmt: skip
    found = PFS.patients(courses)
    assert (found.cause == 0).all()
    np.testing.assert_array_equal(found.time, days / DAYS_PER_MONTH)
    for day in (200, 333, 471):
        cut = courses.cut_by_date(ORIGIN + datetime.timedelta(days=day))
        assert np.isfinite(cut.progression).sum() == np.isfinite(cut.death).sum() == day - 199


def test_mrd_on_the_last_day_and_on_the_day_of_the_landmark_is_known():
    """Results and visits whose months were computed from another origin."""
    for shift in (1000, 3001, 7777):
        for day in range(180, 230):
            noisy = (day + shift) / DAYS_PER_MONTH - shift / DAYS_PER_MONTH
            patients = patients_of(np.array([0, 1]), np.zeros(2), np.array([day, 400]) / DAYS_PER_MONTH,
                                   np.array([0, -1]), data_cutoff=400 / DAYS_PER_MONTH)  # fmt: skip
            mrd = MrdAssessments(np.arange(2), np.full(2, noisy), np.ones(2, bool), np.full(2, 1e-5))
            patients = replace(patients, mrd=mrd)
            assert len(cut_by_date(patients, ORIGIN + datetime.timedelta(days=day)).mrd) == 2
            assert latest_status(patients, day / DAYS_PER_MONTH).tolist() == [1, 1]
            status = MrdSchedule((noisy,), before=3.0, after=0.0).assign(patients)
            assert status.at_risk[:, 0].tolist() == [False, True]
            assert (status.code == 1).all()


def test_an_event_at_time_zero_is_none():
    """A time that is less than half a tick, which would be an event at the start."""
    arm, enrolled, time, _ = whole_days(1, 6)
    with pytest.raises(DataError, match="above 0"):
        patients_of(arm, enrolled / DAYS_PER_MONTH, np.array([1e-320, *time[1:]]), np.zeros(6, int))
