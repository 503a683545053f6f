"""The joint model of MRD and a time to event, path by path and patient by patient, with sums and integrals written out."""

from itertools import product

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy import MrdSchedule, MrdStatus
from smm_bayes.surrogacy.joint import (
    AssayError,
    Constant,
    InteractionPrior,
    JointLaw,
    JointPriors,
    JointShape,
    JointTable,
    patient_log_likelihood,
)
from smm_bayes.surrogacy.joint.likelihood import log_likelihood
from smm_bayes.survival import HazardRatioPrior, TimeGrid
from smm_bayes.trial import Patients

ARMS, CAUSES = ("control", "experimental"), ("progression", "death")
MONTHS, GRID = (3.0, 8.0), TimeGrid((6, 12))
CUTS = [3.0, 6.0, 8.0, 12.0]  # of the intervals and of the visits
SCHEDULE = MrdSchedule(MONTHS, 0.5, 0.5)
HAZARD = np.array([[[0.06, 0.03, 0.05], [0.01, 0.02, 0.01]], [[0.04, 0.05, 0.02], [0.02, 0.01, 0.015]]])
RATIO, INTERACTION = np.array([-0.9, 0.4]), 0.3  # of progression and death; what is added in the experimental arm
LEVEL, ODDS, PERSISTENCE = np.array([-0.4, 0.1]), np.array([0.7, 0.5]), np.array([1.1])
PATHS = [(0, 0), (1, 0), (0, 1), (1, 1)]  # path p has bit k - 1 of p at visit k
PARAMETERS = {
    "log_hazard": np.log(HAZARD), "log_mrd_hazard_ratio": RATIO, "log_mrd_interaction": np.array(INTERACTION),
    "status_level": LEVEL, "status_log_odds_ratio": ODDS, "status_persistence": PERSISTENCE,
}  # fmt: skip
PRIORS = JointPriors({"progression": HazardRatioPrior(0.5, 1.5), "death": HazardRatioPrior(0.8, 2)},
                     effect=Constant(InteractionPrior()))  # fmt: skip
SHAPE = JointShape.of(GRID, MONTHS, CAUSES, ARMS)
LAW = JointLaw.of(PARAMETERS, SHAPE, PRIORS)


def chance(arm, path):
    """Probability of the statuses, visit after visit."""
    first = expit(LEVEL[0] + arm * ODDS[0])
    second = expit(LEVEL[1] + arm * ODDS[1] + path[0] * PERSISTENCE[0])
    return (first if path[0] else 1 - first) * (second if path[1] else 1 - second)


def hazard(arm, path, cause):
    """Hazard as a function of time: the status of the latest visit counts."""
    def at(time):
        interval = sum(time > cut for cut in (6, 12))
        visits = sum(time > month for month in MONTHS)
        negative = path[visits - 1] if visits else 0
        return HAZARD[arm, cause, interval] * np.exp(negative * (RATIO[cause] + arm * INTERACTION))

    return at


def spent(arm, path, end, start=0.0, causes=(0, 1)):
    inside = [cut for cut in CUTS if start < cut < end] or None
    return sum(quad(hazard(arm, path, c), start, end, points=inside, epsabs=1e-13)[0] for c in causes) if end > start else 0.0


def alive(arm, path, time):
    return np.exp(-spent(arm, path, time))


def mean(arm, function):
    return sum(chance(arm, path) * function(path) for path in PATHS)


def test_paths_and_their_hazards():
    assert [tuple(row) for row in LAW.states] == PATHS
    for arm, (p, path) in product(range(2), enumerate(PATHS)):
        assert np.exp(LAW.log_share[arm, p]) == pytest.approx(chance(arm, path), rel=1e-12)
        for cause, (cell, time) in product(range(2), enumerate((1.0, 4.0, 7.0, 9.0, 20.0))):
            assert np.exp(LAW.log_hazard[arm, p, cause, cell]) == pytest.approx(hazard(arm, path, cause)(time), rel=1e-12)
    np.testing.assert_allclose(LAW.months, MONTHS)


def test_survival_and_incidence_are_means_over_paths():
    for arm, time in product(range(2), (0.0, 2.0, 3.0, 7.5, 12.0, 31.0)):
        assert LAW.survival(time)[arm, 0] == pytest.approx(mean(arm, lambda p, a=arm, t=time: alive(a, p, t)), rel=1e-9)
        for cause in range(2):
            def incidence(path, arm=arm, time=time, cause=cause):
                inside = [cut for cut in CUTS if cut < time] or None
                return quad(lambda t: hazard(arm, path, cause)(t) * alive(arm, path, t), 0, time, points=inside)[0] if time else 0

            if time in (0.0, 7.5):
                assert LAW.cumulative_incidence(time)[arm, cause, 0] == pytest.approx(mean(arm, incidence), abs=1e-8)
    for arm, horizon in product(range(2), (2.0, 17.0)):
        area = quad(lambda t, a=arm: LAW.survival(t)[a, 0], 0, horizon, points=[cut for cut in CUTS if cut < horizon] or None)[0]
        assert LAW.rmst(horizon)[arm] == pytest.approx(area, rel=1e-9)


def test_hazards_of_everyone_are_events_over_time_at_risk():
    found = np.exp(LAW.average_log_hazard(GRID))
    for arm, cause, (j, (low, high)) in product(range(2), range(2), enumerate(((0, 6), (6, 12), (12, 18)))):
        events = LAW.cumulative_incidence([low, high])[arm, cause]
        assert found[arm, cause, j] == pytest.approx((events[1] - events[0]) / (LAW.rmst(high) - LAW.rmst(low))[arm], rel=1e-9)


def test_statuses_among_who_is_event_free_and_among_all():
    shares = {}
    for arm, visit in product(range(2), range(2)):
        free = {path: chance(arm, path) * alive(arm, path, MONTHS[visit]) for path in PATHS}
        negative = sum(value for path, value in free.items() if path[visit])
        shares[arm, visit] = negative
        assert LAW.negative(visit)[arm] == pytest.approx(negative / sum(free.values()), rel=1e-9)
        assert LAW.negative_of_all(visit)[arm] == pytest.approx(negative, rel=1e-9)
    for visit in range(2):
        odds = [shares[arm, visit] / (1 - shares[arm, visit]) for arm in range(2)]
        assert LAW.status_effect(visit) == pytest.approx(np.log(odds[1] / odds[0]), rel=1e-9)
    assert LAW.status_effect() == LAW.status_effect(1)
    for horizon in (5.0, 20.0):
        s = [mean(arm, lambda p, a=arm, h=horizon: alive(a, p, h)) for arm in range(2)]
        assert LAW.event_effect(horizon) == pytest.approx(np.log(np.log(s[1]) / np.log(s[0])), rel=1e-8)


@pytest.mark.parametrize("visit", [0, 1, -1])
def test_a_milestone_is_made_of_survival_status_and_what_comes_after(visit):
    survival, status, after = LAW.milestone(15.0, visit)
    month = MONTHS[visit]
    for arm in range(2):
        free = {path: chance(arm, path) * alive(arm, path, month) for path in PATHS}
        late = {path: chance(arm, path) * alive(arm, path, 15.0) for path in PATHS}
        assert survival[arm] == pytest.approx(sum(free.values()), rel=1e-9)
        for state in (0, 1):
            here = [path for path in PATHS if path[visit] == state]
            assert status[arm, state] == pytest.approx(sum(free[p] for p in here) / sum(free.values()), rel=1e-9)
            assert after[arm, state] == pytest.approx(sum(late[p] for p in here) / sum(free[p] for p in here), rel=1e-9)
    np.testing.assert_allclose(LAW.milestone(15.0)[1], LAW.milestone(15.0, 1)[1])
    for time in (month, month - 1):
        with pytest.raises(SpecificationError, match="after the visit"):
            LAW.milestone(time, visit)


def test_hazards_of_everyone_hold_at_the_start_of_every_cell():
    law = JointLaw.of(PARAMETERS, SHAPE, PRIORS, "everyone")
    for arm, (cell, start) in product(range(2), enumerate(SHAPE.cells.starts)):
        free = np.exp(law.log_share[arm]) * law.by_component.survival(start)[arm, :, 0]
        for cause in range(2):
            now = free @ np.exp(law.log_hazard[arm, :, cause, cell]) / free.sum()
            assert now == pytest.approx(HAZARD[arm, cause, GRID.index(np.array(start + 0.1))], rel=1e-9)
        ratio = law.log_hazard[arm] - law.log_hazard[arm, :1]
        np.testing.assert_allclose(ratio, LAW.log_hazard[arm] - LAW.log_hazard[arm, :1], atol=1e-12)
    own = JointShape(GRID, GRID, MONTHS, ARMS, CAUSES, own_visits=True)
    with pytest.raises(SpecificationError, match="each patient's own"):
        JointLaw.of(PARAMETERS, own, PRIORS)


def test_many_draws_are_one_at_a_time():
    many = {name: np.stack([values, 0.7 * values]) for name, values in PARAMETERS.items()}
    law = JointLaw.of(many, SHAPE, PRIORS)
    assert law.log_share.shape == (2, 2, 4)
    for draw, factor in enumerate((1.0, 0.7)):
        one = JointLaw.of({name: factor * values for name, values in PARAMETERS.items()}, SHAPE, PRIORS)
        np.testing.assert_allclose(law.log_hazard[draw], one.log_hazard, rtol=1e-12)
        np.testing.assert_allclose(law.log_share[draw], one.log_share, rtol=1e-12)
        np.testing.assert_allclose(law.negative(1)[draw], one.negative(1), rtol=1e-12)
        np.testing.assert_allclose(law.event_effect(9.0)[draw], one.event_effect(9.0), rtol=1e-12)
        np.testing.assert_allclose(law.survival_after(8.0, [4.0, 9.0])[draw], one.survival_after(8.0, [4.0, 9.0]), rtol=1e-12)
        found = patient_log_likelihood(law, *patients())
        np.testing.assert_allclose(found[draw], patient_log_likelihood(one, *patients()), rtol=1e-12)
    plain = JointLaw.of({n: v for n, v in PARAMETERS.items() if n != "log_mrd_interaction"}, SHAPE, PRIORS)
    np.testing.assert_allclose(plain.log_hazard[1, 3, 0, 1] - plain.log_hazard[1, 0, 0, 1], RATIO[0])
    alone = JointLaw.of({**PARAMETERS, "log_hazard": np.log(HAZARD[:1])}, JointShape.of(GRID, MONTHS, CAUSES, ARMS[:1]), PRIORS)
    np.testing.assert_allclose(alone.log_share[0], LAW.log_share[0], rtol=1e-12)
    np.testing.assert_allclose(alone.log_hazard[0], LAW.log_hazard[0], rtol=1e-12)


@pytest.mark.parametrize("visit", [0, 1])
def test_survival_after_a_landmark_is_that_of_the_paths_with_the_status(visit):
    """Also at the visit itself; a landmark before the visit is refused, however little."""
    found = LAW.survival_after(MONTHS[visit], [0.0, 2.5, 20.0], visit=visit)
    assert found.shape == (2, 2, 3)
    for arm, state in product(range(2), repeat=2):
        mine = [path for path in PATHS if path[visit] == state]
        now = sum(chance(arm, path) * alive(arm, path, MONTHS[visit]) for path in mine)
        for index, time in enumerate([0.0, 2.5, 20.0]):
            later = sum(chance(arm, path) * alive(arm, path, MONTHS[visit] + time) for path in mine)
            assert found[arm, state, index] == pytest.approx(later / now, abs=1e-10)
    with pytest.raises(SpecificationError, match="or later; got"):
        LAW.survival_after(MONTHS[visit] - 0.25, [1.0], visit=visit)


def test_simulated_patients_have_the_law():
    arm = np.repeat([0, 1], 6000)
    time, cause, drawn = LAW.sample(arm, rng=np.random.default_rng(4))
    status = LAW.states[drawn]
    assert time.shape == cause.shape == (12_000,)
    for role in range(2):
        mine = arm == role
        for p, path in enumerate(PATHS):
            share, wanted = (status[mine] == path).all(axis=1).mean(), np.exp(LAW.log_share[role, p])
            assert abs(share - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / 6000)
        for at in (2.0, 7.0, 14.0, 30.0):
            wanted = LAW.cumulative_incidence(at)[role, :, 0]
            shares = np.array([((time[mine] <= at) & (cause[mine] == c)).mean() for c in range(2)])
            assert np.all(np.abs(shares - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / 6000))
        late = mine & (time > 12)
        for p, path in enumerate(PATHS):  # which path a survivor is on
            wanted = np.exp(LAW.log_share[role, p]) * LAW.by_component.survival(12.0)[role, p, 0] / LAW.survival(12.0)[role, 0]
            share = (status[late] == path).all(axis=1).mean()
            assert abs(share - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / late.sum())


# patients: time, cause (-1 followed on), results at the visits (1 negative, 0 positive, -1 missing, -2 not yet)
ROWS = [
    (2.0, 0, -2, -2), (2.5, -1, -2, -2), (5.0, 1, 1, -2), (5.0, 0, 0, -2), (6.0, -1, -1, -2), (8.0, 0, 1, -2), (8.5, -1, 1, 0),
    (12.0, 0, 0, 1), (14.0, 1, 1, 1), (20.0, -1, -1, 1), (25.0, 0, 1, -1), (30.0, -1, -1, -1), (3.0, 1, -2, -2), (11.0, 0, 0, 0),
]  # fmt: skip


def patients():
    rows = [row for row in ROWS for _ in range(2)]
    time, cause = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    known = Patients(
        patient=np.array([f"P{i}" for i in range(len(rows))], object), arm=np.arange(len(rows)) % 2, time=time, event=cause >= 0,
        cause=cause, censoring=np.where(cause >= 0, "", "administrative").astype(object), enrolled=None, arms=ARMS,
        arm_names=ARMS, causes=CAUSES, provenance="simulated",
    )  # fmt: skip
    code = np.array([row[2:] for row in rows], np.int8)
    return known, MrdStatus(SCHEDULE, code, time[:, None] > np.array(MONTHS))


@pytest.mark.parametrize("assay", [None, AssayError(0.2, 0.05)])
@pytest.mark.parametrize("informative", [False, True])
def test_the_likelihood_of_each_patient_is_a_sum_over_paths(assay, informative):
    known, status = patients()
    missing = np.array([[0.1, 0.3], [0.2, 0.05]]) if informative else None  # (visit, state)
    given = {"missing": missing} if informative else {}
    found = patient_log_likelihood(LAW, known, status, assay=assay, **given)
    result = {1: {1: 1.0, 0: 0.0}, 0: {1: 0.0, 0: 1.0}} if assay is None else {1: {1: 0.95, 0: 0.2}, 0: {1: 0.05, 0: 0.8}}
    for i in range(len(known)):
        total = 0.0
        for path in PATHS:
            value = chance(known.arm[i], path) * alive(known.arm[i], path, known.time[i])
            if known.event[i]:
                value *= hazard(known.arm[i], path, known.cause[i])(known.time[i])
            for visit, month in enumerate(MONTHS):
                code = status.code[i, visit]
                if known.time[i] > month and code >= 0:
                    value *= result[code][path[visit]]
                if known.time[i] > month and code >= -1 and informative:
                    value *= missing[visit, path[visit]] if code == -1 else 1 - missing[visit, path[visit]]
            total += value
        assert found[i] == pytest.approx(np.log(total), abs=1e-8), ROWS[i // 2]
    if assay is None and not informative:
        assert log_likelihood(LAW, known, status) == pytest.approx(found.sum(), rel=1e-12)


def counted(known, status, single):
    """Events, exposure and moves between statuses of who is a cell, and the patients who are a row."""
    events, exposure, moves, rows = np.zeros((2, 2, 5, 2)), np.zeros((2, 5, 2)), np.zeros((2, 2, 2, 2)), []
    cells, edges = SHAPE.cells, [0.0, *MONTHS, np.inf]
    for i in range(len(known)):
        arm, time = known.arm[i], known.time[i]
        at_risk = [k for k in range(2) if time > MONTHS[k]]
        sure = all(status.code[i, k] >= 0 for k in at_risk) and (not at_risk or not single)
        state, last = 0, len(at_risk)
        for period in range(last + 1):
            if period and not sure:
                break
            before, state = state, (int(status.code[i, period - 1]) if period else 0)
            start, end = edges[period], min(time, edges[period + 1])
            exposure[arm, :, state] += np.diff([*np.clip(cells.starts, start, end), end])
            if period:
                moves[arm, period - 1, before, state] += 1
            if known.event[i] and period == last:
                events[arm, known.cause[i], cells.index(np.array(time)), state] += 1
        if not sure:
            rows.append(i)
    return events, exposure, moves, rows


@pytest.mark.parametrize("options", [{}, {"singly": True}, {"assay": AssayError(0.2, 0.05)}, {"rows": 40}])
def test_the_table_counts_every_patient_once(options):
    known, status = patients()
    table, cells, edges = JointTable.of(known, status, GRID, **options), SHAPE.cells, [0.0, *MONTHS, np.inf]
    events, exposure, moves, rows = counted(known, status, bool({"singly", "assay"} & set(options)))
    np.testing.assert_array_equal(table.events, events)
    np.testing.assert_allclose(table.exposure, exposure, atol=1e-9)
    np.testing.assert_array_equal(table.transitions, moves)
    got = table.rows
    assert got.count.sum() == len(rows)
    assert len(got) == options.get("rows", len(rows))
    for r, i in enumerate(rows):
        time = known.time[i]
        assert (got.arm[r], got.count[r]) == (known.arm[i], 1)
        for visit in range(2):
            start, end = MONTHS[visit], min(time, edges[visit + 2])
            wanted = np.diff([*np.clip(cells.starts, start, end), end]) if end > start else np.zeros(5)
            np.testing.assert_allclose(got.exposure[r, visit], wanted, atol=1e-9)
            code = status.code[i, visit] if time > MONTHS[visit] else -2
            assert (got.assessed[r, visit], got.missing[r, visit]) == (code >= 0, code == -1)
            chances = (options.get("assay") or AssayError()).log_probability[code] if code >= 0 else [0, 0]
            np.testing.assert_array_equal(got.emission[r, visit], chances)
        last = sum(time > month for month in MONTHS) - 1
        wanted = [last, known.cause[i], cells.index(np.array(time))] if known.event[i] else [-1, -1, -1]
        assert got.event[r].tolist() == wanted
    for name in ("arm", "exposure", "emission", "count"):  # spare rows count nothing
        assert not np.any(getattr(got, name)[len(rows) :])
    assert np.all(got.event[len(rows) :] == -1)


def test_too_few_rows_and_other_patients_are_refused():
    known, status = patients()
    needed = len(JointTable.of(known, status, GRID).rows)
    assert len(JointTable.of(known, status, GRID, rows=needed).rows) == needed
    with pytest.raises(SpecificationError, match="ask for more"):
        JointTable.of(known, status, GRID, rows=needed - 1)
    with pytest.raises(SpecificationError):
        JointTable.of(known.take(np.arange(len(known)) > 0), status, GRID)
    for bad in ((1.0, np.nan), (1.0, np.inf), (2.0, 2.0), (2.0, 1.0), (np.nan, 3.0)):
        marks = np.tile([1.0, 2.0], (28, 1))
        marks[5] = bad
        with pytest.raises(SpecificationError, match="landmarks"):
            JointTable.of(known, status, GRID, landmarks=marks)
    with pytest.raises(SpecificationError, match="landmarks"):
        JointTable.of(known, status, GRID, landmarks=np.ones((28, 3)))


def test_visits_of_each_patients_own():
    """A landmark before time 0 is passed at once; one after the end is not reached."""
    known, status = patients()
    marks = np.column_stack([np.where(np.arange(28) % 4 == 0, -1.0, 1.0), np.where(np.arange(28) % 4 == 1, 2.0, 4.5)])
    full = MrdStatus(SCHEDULE, np.where(status.code < -1, 1, status.code), status.at_risk)
    table = JointTable.of(known, full, GRID, landmarks=marks)
    assert table.shape.cells.cuts == GRID.cuts
    exposure = np.zeros((2, 3, 2))
    for i in range(len(known)):
        at_risk = [k for k in range(2) if known.time[i] > marks[i, k]]
        sure = all(full.code[i, k] >= 0 for k in at_risk)
        edges = [0.0, *np.maximum(marks[i], 0), np.inf]
        for period in range(len(at_risk) + 1):
            if period == 0 or sure:
                state = full.code[i, period - 1] if period else 0
                start, end = min(edges[period], known.time[i]), min(known.time[i], edges[period + 1])
                exposure[known.arm[i], :, state] += np.diff([*np.clip(GRID.starts, start, end), end])
    np.testing.assert_allclose(table.exposure, exposure, atol=1e-9)
