"""A completed trial, patient by patient with NumPy's random numbers, is what the kernels make of it."""

import numpy as np
import pytest

from smm_bayes.prediction import FinalAnalysis
from smm_bayes.prediction.completion import Completion
from smm_bayes.prediction.kernels import _sort, log_rank
from smm_bayes.survival import FoundAtVisits, Law, PiecewiseExponential, TimeGrid, VisitSchedule
from smm_bayes.trial import Patients
from smm_bayes.trial.calendar import on_clock

GRID, CELLS = TimeGrid((6, 12, 24)), TimeGrid((4, 9, 20))
ARMS, CAUSES = ("control", "experimental"), ("progression", "death")
HAZARDS = np.array([[[0.05, 0.09, 0.02, 0.04], [0.01, 0.02, 0.03, 0.01]], [[0.03, 0.01, 0.05, 0.02], [0.02, 0.01, 0.0, 0.01]]])
SEED, FIRST, DRAWS = 77, 5, 4


def trial(arms=ARMS, size=14):
    """A small trial at its data cut at 20 months: events of both causes, lost, still followed, ties."""
    rng = np.random.default_rng(4)
    time = np.round(rng.uniform(0.5, 15, size), 0) + 1.0
    cause = np.array(([0, -1, -1, 1, -1, -1, 0] * size)[:size])
    reason = np.where(np.arange(size) % 6 == 1, "lost", "administrative").astype(object)
    return Patients(
        patient=np.array([f"P{i}" for i in range(size)], dtype=object), arm=np.arange(size) % len(arms), time=time,
        event=cause >= 0, cause=cause, censoring=np.where(cause >= 0, "", reason), enrolled=on_clock(20.0 - time),
        arms=arms, arm_names=arms, causes=CAUSES, provenance="simulated", data_cutoff=20.0,
    )  # fmt: skip


def plan(final, *, patients=None, new=(0, 0, 1, 1, 1), lost=0.0, hazards=HAZARDS, law=None, weight=None, visits=None):
    """A completion whose hazards differ from draw to draw."""
    patients = patients or trial()
    scale = np.linspace(0.7, 1.6, DRAWS).reshape(-1, *[1] * hazards.ndim)
    size = FIRST + 6
    with np.errstate(divide="ignore"):
        log_hazard = np.log(scale * hazards)
    names = patients.arms, patients.causes
    if law is None:
        whole = Law.plain(log_hazard, GRID, *names)
    else:
        whole = Law(log_hazard, np.broadcast_to(law, (DRAWS, *law.shape)), GRID, *names)
    known = np.zeros((len(patients), 1)) if weight is None else weight
    return Completion(
        patients, final, whole, np.arange(size) % DRAWS, known, patients.at_risk, np.array(new, np.int64),
        np.linspace(0.5, 4, size), np.full(size, lost), SEED, CELLS, visits,
    )  # fmt: skip


def numbers(replicate, shift=0):
    return np.random.Generator(np.random.Philox(key=np.array([SEED, replicate + shift], dtype=np.uint64)))


def exponential(stream):
    return -np.log(1 - stream.random())


def event(stream, hazards, survived):
    """Time and cause of the event of one patient, by inverting the cumulative hazard."""
    with np.errstate(divide="ignore"):
        law = PiecewiseExponential(np.log(hazards.sum(axis=0)), GRID)
    goal = law.cumulative_hazard(survived)[0] + exponential(stream)
    time = float(law.time_at(np.array(goal)))
    if not np.isfinite(time):
        return np.inf, -1
    here = hazards[:, GRID.index(np.array(time))]
    if len(here) == 1:
        return time, 0
    return time, int(np.searchsorted(np.cumsum(here)[:-1], stream.random() * here.sum(), side="right"))


def hidden(stream, plan, draw, arm, survived, row):
    """Path of one patient, given the path's law, survival and what was observed (nothing of new patients)."""
    log = plan.law.log_share[draw, arm].copy()
    if row is not None:
        log += plan.known[row] - plan.law.by_component.cumulative_hazard(survived)[draw, arm, :, 0]
    share = np.cumsum(np.exp(log - log.max()))
    return int(np.searchsorted(share[:-1], stream.random() * share[-1], side="right"))


def visits_of(visits, arm):
    """Planned visits of an arm; after the last they go on at the last gap."""
    schedule = visits.schedule[arm] if isinstance(visits.schedule, dict) else visits.schedule
    planned = (0.0, *schedule.visits)
    return np.array([*planned, *(planned[-1] + np.arange(1, 400) * (planned[-1] - planned[-2]))])


def complete(plan, replicate):
    """Enrolment, time, cause and arm of every patient of one completed trial."""
    stream, other, known = numbers(replicate), numbers(replicate, 2**62), plan.patients
    arms, draw = list(plan.new_arms), plan.draw[replicate]
    for last in range(len(arms) - 1, 0, -1):
        place = int(stream.random() * (last + 1))
        arms[last], arms[place] = arms[place], arms[last]
    rows, clock = [], known.data_cutoff
    for row in range(len(known) + len(arms)):
        new = row >= len(known)
        arm, survived = (arms[row - len(known)], 0.0) if new else (known.arm[row], known.time[row])
        if new:
            clock += exponential(stream) / plan.rate[replicate]
        elif not plan.followed[row]:
            rows.append((known.enrolled[row], survived, known.cause[row], arm))
            continue
        hazards = np.exp(plan.law.log_hazard[draw, arm])
        several = plan.law.components > 1
        hazards = hazards[hidden(other, plan, draw, arm, survived, None if new else row) if several else 0]
        time, cause = event(stream, hazards, survived)
        if plan.visits and cause >= 0 and known.causes[cause] == plan.visits.cause:
            time = min(visit for visit in visits_of(plan.visits, ARMS[arm]) if visit >= on_clock(time))
        if plan.dropout[replicate] and (lost := survived + exponential(stream) / plan.dropout[replicate]) < time:
            time, cause = lost, -1
        rows.append((on_clock(clock) if new else known.enrolled[row], on_clock(time), cause, arm))
    return [np.array(column) for column in zip(*rows, strict=True)]


def final_date(final, counted, cutoff, enrolled, time, cause):
    """When the final analysis is, and whether its trigger came before the cap."""
    if final.at == "date":
        trigger = final.date
    elif final.at == "follow_up":
        trigger = max(enrolled.max() + final.follow_up, cutoff)
    else:
        dates = np.sort((enrolled + time)[counted])
        if len(dates) < final.events:
            known = (enrolled + time)[np.isfinite(time)]
            return (final.cap if np.isfinite(final.cap) else max(cutoff, known.max())), False
        trigger = max(dates[final.events - 1], cutoff)
    return min(trigger, final.cap), trigger <= final.cap


def plain_log_rank(time, event, experimental):
    """Observed minus expected events and the hypergeometric variance, date by date."""
    score = variance = 0.0
    for now in np.unique(time[event]):
        n, n1 = (time >= now).sum(), ((time >= now) & experimental).sum()
        d, d1 = (event & (time == now)).sum(), (event & (time == now) & experimental).sum()
        score += d1 - d * n1 / n
        variance += d * n1 / n * (1 - n1 / n) * (n - d) / (n - 1) if n > 1 else 0.0
    return score, variance


NONE = -np.inf
LAW = np.log(np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]))
BY_PATH = np.stack([HAZARDS, 1.8 * HAZARDS, 0.3 * HAZARDS + 0.004], axis=1)
OBSERVED = np.where(np.arange(14)[:, None] % 3 == 0, [[0.0, NONE, 0.0]], np.log([[0.5, 1.0, 0.9]]))
CERTAIN = np.log(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) + 1e-300)
SCENARIOS = {
    "at a date": {"final": FinalAnalysis("date", date=31.0)},
    "at a date before the last enrolment": {"final": FinalAnalysis("date", date=20.7), "lost": 0.05},
    "at an event": {"final": FinalAnalysis("events", events=9)},
    "at an event of one cause, with losses": {"final": FinalAnalysis("events", events=7, causes=("progression",)), "lost": 0.03},
    "at the event that was reached before the data cut": {"final": FinalAnalysis("events", events=2)},
    "events that are not reached before the cap": {"final": FinalAnalysis("events", events=18, cap=26.0)},
    "events that are never reached": {"final": FinalAnalysis("events", events=19), "lost": 0.2},
    "at the cap, or an event just before": {"final": FinalAnalysis("events", events=8, cap=25.0)},
    "follow-up, truncated": {"final": FinalAnalysis("follow_up", follow_up=9.0)},
    "follow-up, open": {"final": FinalAnalysis("follow_up", follow_up=9.0, truncate=False), "lost": 0.02},
    "follow-up with a cap": {"final": FinalAnalysis("follow_up", follow_up=30.0, cap=40.0, truncate=False)},
    "follow-up that ends on the day of the cap": {"final": FinalAnalysis("follow_up", follow_up=30.0, cap=47.0), "new": ()},
    "follow-up that has passed": {"final": FinalAnalysis("follow_up", follow_up=1.5, truncate=False), "new": ()},
    "nobody to come": {"final": FinalAnalysis("date", date=50.0), "new": ()},
    "no hazard in the end": {"final": FinalAnalysis("events", events=30), "hazards": HAZARDS * [1, 1, 1, 0]},
    "one cause": {"final": FinalAnalysis("date", date=60.0), "hazards": HAZARDS[:, :1], "patients": "one cause"},
    "one arm": {"final": FinalAnalysis("date", date=60.0), "hazards": HAZARDS[:1], "patients": "one arm", "new": (0, 0)},
    "hidden paths": {"final": FinalAnalysis("date", date=40.0), "hazards": BY_PATH, "law": LAW, "weight": OBSERVED},
    "hidden paths and losses": {"final": FinalAnalysis("events", events=11), "hazards": BY_PATH, "law": LAW,
                                "weight": OBSERVED, "lost": 0.04},
    "paths of probability 0": {"final": FinalAnalysis("date", date=40.0), "hazards": BY_PATH, "law": CERTAIN,
                               "weight": np.zeros((14, 3))},
    "visits": {"final": FinalAnalysis("date", date=44.0), "visits": FoundAtVisits("progression", VisitSchedule((4, 7, 15)))},
    "visits and losses": {"final": FinalAnalysis("events", events=9), "lost": 0.05,
                          "visits": FoundAtVisits("progression", VisitSchedule((3, 6, 9, 12, 18)))},
    "one visit, which goes on": {"final": FinalAnalysis("date", date=60.0), "new": (1, 0),
                                 "visits": FoundAtVisits("death", VisitSchedule((5.5,)))},
    "visits by arm": {"final": FinalAnalysis("follow_up", follow_up=16.0), "lost": 0.02, "visits": FoundAtVisits(
        "progression", {"control": VisitSchedule((8, 16)), "experimental": VisitSchedule((2, 4, 20))})},
    "a follow-up that ends at a visit": {"final": FinalAnalysis("follow_up", follow_up=12.0), "lost": 0.1,
                                         "visits": FoundAtVisits("progression", VisitSchedule((6, 12)))},
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_completed_trials_patient_by_patient(name):
    given = dict(SCENARIOS[name])
    if given.get("patients") == "one arm":
        given["patients"] = trial(ARMS[:1])
    elif given.get("patients") == "one cause":
        given["patients"] = trial().count_only("progression")
    task = plan(**given)
    found = task.run(FIRST, FIRST + 6)
    for row in range(6):
        enrolled, time, cause, arm = complete(task, FIRST + row)
        counted = (cause >= 0) & task.final.counted(task.patients.causes)[cause]
        date, reached = final_date(task.final, counted, 20.0, enrolled, time, cause)
        assert found.date[row] == pytest.approx(date, abs=1e-7)
        assert found.reached[row] == reached
        there = enrolled <= date + 1e-9
        follow_up = np.minimum(on_clock(date - enrolled), task.final.limit)
        known = time <= follow_up
        at, hit = np.where(known, time, follow_up), counted & known
        if task.visits:  # without an event, a patient is known to be so until the last visit, or as long as at the data cut
            since = np.concatenate([task.patients.time, np.zeros(len(at) - len(task.patients))])
            for i in np.flatnonzero(there & ~(known & (cause >= 0))):
                last = max(visit for visit in visits_of(task.visits, ARMS[arm[i]]) if visit <= at[i])
                at[i] = min(at[i], max(last, since[i]))
        exposure = CELLS.exposure(at)
        for a in range(len(task.patients.arms)):
            mine = there & (arm == a)
            assert found.number[row, a] == mine.sum()
            for c in range(len(task.patients.causes)):
                assert found.events[row, a, c] == (mine & known & (cause == c)).sum()
            np.testing.assert_allclose(found.cell_exposure[row, a], exposure[mine].sum(axis=0), atol=1e-6)
            counts = np.bincount(CELLS.index(at[mine & hit]), minlength=len(CELLS))
            np.testing.assert_array_equal(found.cell_events[row, a], counts)
        two = len(task.patients.arms) > 1
        wanted = plain_log_rank(at[there], hit[there], arm[there] == 1) if two else (0.0, 0.0)
        assert (found.score[row], found.variance[row]) == pytest.approx(wanted, abs=1e-10)


SORTED = {
    "evenly spread": np.random.default_rng(1).uniform(0, 1e9, 40), "one": np.array([3.0]), "two": np.array([2.0, 1.0]),
    "equal": np.full(9, 5.0), "in order": np.arange(12.0), "in reverse": np.arange(12.0)[::-1],
    "one far away": np.r_[np.random.default_rng(2).permutation(200), 1e12],
    "negative": -np.random.default_rng(3).exponential(1, 33) ** 5, "ties": np.random.default_rng(4).integers(0, 4, 50) * 1.0,
    "nearly all in one bucket": np.r_[np.random.default_rng(5).permutation(60) * 1e-6, 1.0, 0.5, 2.0],
}  # fmt: skip


@pytest.mark.parametrize("name", SORTED)
def test_numbers_are_sorted_and_keep_what_belongs_to_them(name):
    values = SORTED[name].astype(float)
    size, spare = len(values), 3  # what is behind the size stays as it is
    at, what = np.r_[values, np.full(spare, -7.0)], np.r_[np.arange(size), np.full(spare, -7)]
    _sort(at, what, size, np.empty(size + spare), np.empty(size + spare, np.int64), np.empty(size + spare + 1, np.int64))
    np.testing.assert_array_equal(at, np.r_[np.sort(values), np.full(spare, -7.0)])
    assert sorted(what[:size]) == list(range(size))
    np.testing.assert_array_equal(values[what[:size]], at[:size])
    np.testing.assert_array_equal(what[size:], -7)


@pytest.mark.parametrize("size", [1, 2, 7, 40])
@pytest.mark.parametrize("digits", [0, 3])
def test_the_log_rank_statistic_date_by_date(size, digits):
    rng = np.random.default_rng(size)
    for _ in range(6):
        time = np.round(rng.exponential(4, size), digits)
        event, experimental = rng.random(size) < 0.7, rng.random(size) < 0.5
        assert log_rank(time, event, experimental) == pytest.approx(plain_log_rank(time, event, experimental), abs=1e-12)
