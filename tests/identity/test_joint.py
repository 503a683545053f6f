"""The joint model of MRD and a time to event: twins, identities, limits, and hand-made patients."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pymc as pm
import pytest
from scipy.special import expit, logit

from smm_bayes.inference.densities import Densities
from smm_bayes.surrogacy import MISSING, NOT_YET, MrdSchedule, MrdStatus
from smm_bayes.surrogacy.joint import (
    AssayError,
    Constant,
    Fading,
    InteractionPrior,
    JointLaw,
    JointPriors,
    JointShape,
    JointTable,
    Lost,
    joint_data,
    joint_model,
    patient_log_likelihood,
    simulate_joint,
)
from smm_bayes.survival import BaselinePrior, HazardRatioPrior, SurvivalPriors, TimeGrid
from smm_bayes.survival.likelihood import log_likelihood as survival_log_likelihood
from smm_bayes.survival.likelihood import patient_log_likelihood as survival_patient_log_likelihood
from smm_bayes.survival.piecewise import PiecewiseExponential
from smm_bayes.trial import Patients

GRID, SCHEDULE = TimeGrid((6, 12, 24, 36)), MrdSchedule((3.7, 8.3), 0.5, 0.5)
ARMS, CAUSES = ("control", "experimental"), ("progression", "death")
SURVIVAL = SurvivalPriors({"progression": BaselinePrior(30, 120), "death": BaselinePrior(200, 800)})
MRD = {"progression": HazardRatioPrior(0.5, 1.5)}
BOTH = MRD | {"death": HazardRatioPrior(0.8, 2)}
PRIORS = JointPriors(MRD)
WHOSE = ("not negative", "everyone")


def drawn(priors, *, arms=2, causes=CAUSES, visits=2, size=1, seed=1, grid=GRID):
    """Parameters from the prior in NumPy, draws first."""
    rng = np.random.default_rng(seed)
    return SURVIVAL.sample(causes, arms, grid, size, rng=rng) | priors.sample(causes, visits, arms, size, rng=rng)


def first(parameters):
    return {name: values[0] for name, values in parameters.items()}


def trial(law, schedule=SCHEDULE, *, size=120, arms=ARMS, causes=CAUSES, seed=2, cutoff=48.0, missing=0.3, assay=None):
    """Simulated patients enrolled over 24 months, and their status."""
    return simulate_joint(law, schedule, np.arange(size) % len(arms), rng=np.random.default_rng(seed), arms=arms,
                          causes=causes, enrolled=np.linspace(0, 24, size), cutoff=cutoff, missing=missing, assay=assay)  # fmt: skip


def made(time, event, *, arm=0, cause=0, arms=ARMS, causes=CAUSES, entry=None):
    """Patients by hand."""
    time, event = np.asarray(time, float), np.asarray(event, bool)
    return Patients(
        patient=np.arange(len(time)).astype(str).astype(object), arm=np.broadcast_to(arm, time.shape).copy(), time=time,
        event=event, cause=np.where(event, cause, -1), censoring=np.where(event, "", "administrative").astype(object),
        enrolled=None, arms=arms, arm_names=arms, causes=causes, provenance="simulated", entry=entry,
    )  # fmt: skip


# --- the PyMC model and its twin --------------------------------------------------------------------------------------

VARIANTS = {
    "constant": {},
    "everyone": {"hazards_of": "everyone"},
    "fading, by arm": {"priors": JointPriors(MRD, effect=Fading(InteractionPrior()))},
    "lost, everyone, missing not at random": {
        "priors": JointPriors(BOTH, effect=Lost(), missing_log_odds=0.7), "hazards_of": "everyone"},
    "assay error, constant by arm": {"priors": JointPriors(MRD, effect=Constant(InteractionPrior())),
                                     "assay": AssayError(0.1, 0.03)},
    "one visit, one arm, missing not at random": {
        "schedule": MrdSchedule((3.7,), 0.5, 0.5), "arms": ARMS[1:], "priors": JointPriors(MRD, missing_log_odds=-0.5)},
    "three visits, everyone, fading": {"schedule": MrdSchedule((3.7, 8.3, 24), 0.5, 0.5), "hazards_of": "everyone",
                                       "priors": JointPriors(BOTH, effect=Fading())},
    "one cause, one arm, everyone": {"causes": CAUSES[:1], "arms": ARMS[1:], "hazards_of": "everyone",
                                     "assay": AssayError(0.05, 0.0)},
}  # fmt: skip


def log_hazard_of(points, arms):
    """Log hazards (draw, arm, cause, interval) of free variables of the PyMC model."""
    baseline = points["log_baseline"][:, None]
    if arms == 1:
        return baseline
    return baseline + np.arange(arms)[None, :, None, None] * points["log_hazard_ratio"][:, None, :, None]


def free_points(model, draws=4):
    free = model.free_RVs
    return {v.name: x for v, x in zip(free, pm.draw(free, draws=draws, random_seed=7, mode="FAST_COMPILE"), strict=True)}


def observed_sum(densities, points):
    """Log likelihood of the PyMC model, one number a draw."""
    found = densities(points)
    return sum(term.reshape(len(term), -1).sum(axis=1) for name, term in found.items() if name not in points)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_twin_is_the_model(variant):
    """Every path for everybody gives what cells, rows and spare rows give, at draws from the model's own prior."""
    options = VARIANTS[variant]
    priors, schedule = options.get("priors", PRIORS), options.get("schedule", SCHEDULE)
    arms, causes, assay = (options.get(name, value) for name, value in (("arms", ARMS), ("causes", CAUSES), ("assay", None)))
    whose = options.get("hazards_of", "not negative")
    shape = JointShape.of(GRID, schedule.months, causes, arms)
    truth = first(drawn(priors, arms=len(arms), causes=causes, visits=len(schedule), seed=5))
    patients, status = trial(JointLaw.of(truth, shape, priors, whose), schedule, arms=arms, causes=causes, assay=assay)
    code = status.code.copy()
    code[(code == MISSING) & (patients.time[:, None] < np.array(schedule.months) + 3)] = NOT_YET  # in the window still
    status = replace(status, code=code)
    assert {-2, -1, 0, 1} <= set(code[status.at_risk].tolist()) | {NOT_YET}
    rough = GRID.tabulate(patients)
    tables = [JointTable.of(patients, status, GRID, rows=len(patients), assay=assay),
              JointTable.of(patients, status, GRID, rows=len(patients), assay=assay, singly=True)]  # fmt: skip
    model = joint_model(tables[0], SURVIVAL, priors, rough=rough, hazards_of=whose)
    points, densities = free_points(model), Densities(model)
    law = JointLaw.of(points | {"log_hazard": log_hazard_of(points, len(arms))}, shape, priors, whose)
    missing = None
    if priors.missing_log_odds:
        missing = expit(points["log_odds_missing"][..., None] + priors.missing_log_odds * np.arange(2))
    twin = patient_log_likelihood(law, patients, status, assay=assay, missing=missing).sum(axis=-1)
    for table in tables:
        assert 0 < table.rows.count.sum() < len(patients)  # so some rows are spare
        for name, values in joint_data(table, SURVIVAL, priors, rough=rough).items():
            model.set_data(name, values)
        np.testing.assert_allclose(observed_sum(densities, points), twin, rtol=1e-11)
    parameters = points | {"log_hazard": log_hazard_of(points, len(arms))}
    assert np.all(np.abs(immortal(parameters, shape, priors, patients, status) - twin) > 1e-2)


def immortal(parameters, shape, priors, patients, status):
    """A wrong twin: the months before a visit count for the status found there."""
    law = JointLaw.of(parameters, shape, priors)
    ratio = np.zeros((*parameters["log_mrd_hazard_ratio"].shape[:-1], len(shape.causes)))
    ratio[..., priors.acting(shape.causes)] = parameters["log_mrd_hazard_ratio"]
    extra = ratio[..., None, None, :, None] * law.states[:, :1, None] * (shape.period == 0)
    return patient_log_likelihood(replace(law, log_hazard=law.log_hazard + extra), patients, status).sum(axis=-1)


# --- what the table counts --------------------------------------------------------------------------------------------


def test_no_month_before_a_visit_counts_for_its_status():
    """Visits at 4 and 9; cells end at 4, 6, 9, 12."""
    grid, schedule = TimeGrid((6, 12)), MrdSchedule((4, 9), 0.5, 0.5)
    time = [3, 4, 4.5, 8, 10, 14, 20, 9]
    event = [1, 1, 1, 1, 1, 1, 0, 1]
    code = np.array([[-2, -2], [1, -2], [1, -2], [0, -2], [1, 0], [0, 1], [1, 1], [1, 1]])
    patients = made(time, event, cause=[0, 0, 0, 0, 1, 0, 0, 0])
    status = MrdStatus(schedule, code, patients.time[:, None] > [4, 9], patients.arm, ARMS)
    table = JointTable.of(patients, status, grid)
    assert table.shape.cells.cuts == (4, 6, 9, 12)
    assert len(table.rows) == 0
    np.testing.assert_allclose(table.exposure[0, :, 0], [3 + 7 * 4, 2 + 2, 2 + 3, 1, 0])
    np.testing.assert_allclose(table.exposure[0, :, 1], [0, 0.5 + 2 + 2 + 2, 3 + 3 + 3, 3 + 3, 2 + 8])
    np.testing.assert_array_equal(table.events[0, 0, :, 0], [2, 0, 1, 0, 0])
    np.testing.assert_array_equal(table.events[0, 0, :, 1], [0, 1, 1, 0, 1])
    np.testing.assert_array_equal(table.events[0, 1, :, 0], [0, 0, 0, 1, 0])
    assert table.events.sum() == 7
    np.testing.assert_array_equal(table.transitions[0, 0], [[2, 4], [0, 0]])
    np.testing.assert_array_equal(table.transitions[0, 1], [[0, 1], [1, 1]])
    assert table.exposure[1].sum() == table.events[1].sum() == table.transitions[1].sum() == 0


def test_a_row_begins_at_the_first_visit():
    grid, schedule = TimeGrid((6, 12)), MrdSchedule((4, 9), 0.5, 0.5)
    patients = made([14, 5, 3], [1, 1, 1], arm=[1, 0, 0], cause=[1, 0, 0])
    status = MrdStatus(schedule, np.array([[-1, 1], [-2, -2], [-2, -2]]), patients.time[:, None] > [4, 9])
    table = JointTable.of(patients, status, grid)
    rows = table.rows
    np.testing.assert_array_equal(rows.arm, [1, 0])
    np.testing.assert_allclose(rows.exposure[0], [[0, 2, 3, 0, 0], [0, 0, 0, 3, 2]])
    np.testing.assert_allclose(rows.exposure[1], [[0, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(rows.event, [[1, 1, 4], [0, 0, 1]])
    np.testing.assert_array_equal(rows.missing, [[True, False], [False, False]])
    np.testing.assert_array_equal(rows.assessed, [[False, True], [False, False]])
    np.testing.assert_allclose(table.exposure[:, 0, 0], [3 + 4, 4])
    assert table.exposure[:, 1:].sum() == table.exposure[..., 1].sum() == 0
    np.testing.assert_array_equal(table.events.sum(axis=(2, 3)), [[1, 0], [0, 0]])


@pytest.mark.parametrize("options", [{}, {"singly": True}, {"assay": AssayError(0.1, 0.1)}, {"rows": 130}])
def test_months_and_events_are_all_counted_once(options):
    patients, status = trial(JointLaw.of(first(drawn(PRIORS)), JointShape.of(GRID, SCHEDULE.months, CAUSES), PRIORS))
    table = JointTable.of(patients, status, GRID, **options)
    rows, rough = table.rows, GRID.tabulate(patients)
    exposure, events = table.exposure.sum(axis=2), table.events.sum(axis=3)
    for row in range(len(rows)):
        exposure[rows.arm[row]] += rows.exposure[row].sum(axis=0)
        if rows.event[row, 1] >= 0:
            events[rows.arm[row], rows.event[row, 1], rows.event[row, 2]] += 1
    inside = np.equal.outer(table.shape.interval, np.arange(len(GRID)))
    np.testing.assert_allclose(exposure @ inside, rough.exposure, rtol=1e-12)
    np.testing.assert_array_equal(events @ inside, rough.events)
    assert exposure.sum() == pytest.approx(patients.time.sum(), rel=1e-12)


# --- limits -----------------------------------------------------------------------------------------------------------


def status_log_likelihood(parameters, patients, status):
    """Statuses alone, over all paths that results and follow-up allow."""
    months, found = status.schedule.months, []
    for row in range(len(patients)):
        code = [c for c, month in zip(status.code[row], months, strict=True) if patients.time[row] > month]
        total = 0.0
        for path in product((0, 1), repeat=len(code)):
            if any(c >= 0 and c != z for c, z in zip(code, path, strict=True)):
                continue
            chance = 1.0
            for k, z in enumerate(path):
                odds = parameters["status_level"][k] + parameters["status_log_odds_ratio"][k] * patients.arm[row]
                odds += parameters["status_persistence"][k - 1] * path[k - 1] if k else 0.0
                chance *= expit(odds if z else -odds)
            total += chance
        found.append(np.log(total))
    return np.array(found)


@pytest.mark.parametrize("whose", WHOSE)
def test_without_effect_survival_and_status_part(whose):
    truth = first(drawn(PRIORS, seed=3))
    truth["log_mrd_hazard_ratio"] = np.zeros(1)
    law = JointLaw.of(truth, JointShape.of(GRID, SCHEDULE.months, CAUSES), PRIORS, whose)
    patients, status = trial(law)
    apart = survival_log_likelihood(truth["log_hazard"], GRID.tabulate(patients))
    apart = apart + status_log_likelihood(truth, patients, status).sum()
    assert patient_log_likelihood(law, patients, status).sum() == pytest.approx(float(apart), rel=1e-12)
    # and with an effect it is another
    truth["log_mrd_hazard_ratio"] = np.array([-0.7])
    law = JointLaw.of(truth, JointShape.of(GRID, SCHEDULE.months, CAUSES), PRIORS, whose)
    assert abs(patient_log_likelihood(law, patients, status).sum() - float(apart)) > 0.1


def test_one_visit_with_everybody_assessed_is_the_landmark_model():
    """Status at the visit, and the survival likelihood from there on with status as a covariate; before it, as ever."""
    month, schedule, priors = 6.0, MrdSchedule((6.0,), 0.5, 0.5), JointPriors(BOTH)
    truth = first(drawn(priors, visits=1, seed=4))
    law = JointLaw.of(truth, JointShape.of(GRID, schedule.months, CAUSES), priors)
    patients, status = trial(law, schedule, missing=0.0, size=200)
    before = made(np.minimum(patients.time, month), patients.event & (patients.time <= month), arm=patients.arm,
                  cause=patients.cause)  # fmt: skip
    after = patients.time > month
    landmark = made(patients.time[after], patients.event[after], arm=patients.arm[after], cause=patients.cause[after],
                    entry=np.full(after.sum(), month))  # fmt: skip
    negative = status.code[after, 0]
    ratio = truth["log_mrd_hazard_ratio"][None, :, None]
    from_there = [survival_patient_log_likelihood(truth["log_hazard"] + z * ratio, landmark, GRID) for z in (0, 1)]
    odds = truth["status_level"][0] + truth["status_log_odds_ratio"][0] * landmark.arm
    whole = survival_patient_log_likelihood(truth["log_hazard"], before, GRID)
    whole[after] += np.where(negative, from_there[1], from_there[0]) + np.log(expit(np.where(negative, odds, -odds)))
    np.testing.assert_allclose(patient_log_likelihood(law, patients, status), whole, rtol=1e-11)
    assert 5 < negative.sum() < len(negative) - 5
    assert patients.time.min() < month


# --- visits on each patient's own clock ---------------------------------------------------------------------------------


def own_clock_log_likelihood(parameters, patients, code, landmarks, grid, *, clock=None):
    """Patient by patient, path by path, stretch by stretch; hazards follow the latest visit on the patient's clock."""
    total = 0.0
    for row in range(len(patients)):
        time, arm, at = patients.time[row], patients.arm[row], landmarks[row]
        seen = [k for k in range(len(at)) if time > at[k]]
        edges = sorted({0.0, time, *[c for c in grid.cuts if c < time], *[x for x in at if 0 < x < time]})
        chances = []
        for path in product((0, 1), repeat=len(seen)):
            if any(code[row][k] >= 0 and code[row][k] != path[k] for k in seen):
                continue
            value = 0.0
            for k in seen:
                odds = parameters["status_level"][k] + parameters["status_log_odds_ratio"][k] * arm
                odds += parameters["status_persistence"][k - 1] * path[k - 1] if k else 0.0
                value += np.log(expit(odds if path[k] else -odds))
            for start, stop in pairwise(edges):
                middle = (start + stop) / 2
                earlier = [k for k in seen if (at if clock is None else clock)[k] < middle]
                ratio = np.zeros(2)
                if earlier and path[earlier[-1]]:
                    ratio[0] = parameters["log_mrd_hazard_ratio"][0] + parameters["log_mrd_interaction"] * arm
                log = parameters["log_hazard"][arm, :, np.searchsorted(grid.cuts, middle)] + ratio
                value -= np.exp(log).sum() * (stop - start)
            chances.append(value + (log[patients.cause[row]] if patients.event[row] else 0.0))
        total += np.logaddexp.reduce(chances)
    return total


def test_visits_on_each_patients_own_clock():
    """As of a duration of response: some visits are before time zero, and no two patients share them."""
    rng, size = np.random.default_rng(9), 60
    priors = JointPriors(MRD, effect=Constant(InteractionPrior()))
    landmarks = np.array(SCHEDULE.months) - rng.uniform(0, 12, (size, 1))
    time = rng.exponential(12, size)
    patients = made(time, rng.random(size) < 0.7, arm=rng.integers(0, 2, size), cause=rng.integers(0, 2, size))
    code = rng.choice([-1, 0, 1], (size, 2), p=[0.2, 0.4, 0.4])
    status = MrdStatus(SCHEDULE, code, np.ones(code.shape, bool))
    table = JointTable.of(patients, status, GRID, landmarks=landmarks)
    assert (landmarks[:, 0] < 0).mean() > 0.3
    assert 5 < len(table.rows) < 40
    model = joint_model(table, SURVIVAL, priors, rough=GRID.tabulate(patients))
    points = free_points(model, draws=3)
    values = observed_sum(Densities(model), points)
    points["log_hazard"] = log_hazard_of(points, 2)
    for draw in range(3):
        one = {name: point[draw] for name, point in points.items()}
        slow = own_clock_log_likelihood(one, patients, code, landmarks, GRID)
        assert values[draw] == pytest.approx(slow, rel=1e-11)
        wrong = own_clock_log_likelihood(one, patients, code, landmarks, GRID, clock=SCHEDULE.months)
        assert abs(wrong - slow) > 0.1


def test_scheduled_months_as_everybodys_own_are_the_scheduled_months():
    """The same law on both clocks; the grid is cut at the visits, as cells are."""
    grid = TimeGrid(sorted({*GRID.cuts, *SCHEDULE.months}))
    truth = first(drawn(PRIORS, grid=grid))
    patients, status = trial(JointLaw.of(truth, JointShape.of(grid, SCHEDULE.months, CAUSES), PRIORS))
    usual = JointTable.of(patients, status, grid)
    own = JointTable.of(patients, status, grid, landmarks=np.tile(SCHEDULE.months, (len(patients), 1)))
    for name in ("events", "exposure", "transitions"):
        np.testing.assert_allclose(getattr(own, name), getattr(usual, name), atol=1e-12)
    np.testing.assert_allclose(own.rows.exposure, usual.rows.exposure, atol=1e-12)
    np.testing.assert_array_equal(own.rows.event, usual.rows.event)


# --- the law against simulation ---------------------------------------------------------------------------------------

LARGE = 200_000
TRUTH = {
    "log_hazard": np.log([[[0.03, 0.04, 0.03, 0.02, 0.02], [0.004] * 5], [[0.02, 0.03, 0.03, 0.02, 0.01], [0.005] * 5]]),
    "status_level": np.array([-1.0, -0.8]), "status_log_odds_ratio": np.array([1.2, 0.9]),
    "status_persistence": np.array([2.5]), "log_mrd_hazard_ratio": np.array([-1.2]),
}  # fmt: skip
EFFECTS = {"constant": (Constant(), {}), "by arm": (Constant(InteractionPrior()), {"log_mrd_interaction": np.array(0.6)}),
           "fading": (Fading(), {"log_mrd_half_life": np.log(np.array(9.0))}),
           "lost": (Lost(), {"log_mrd_half_life": np.log(np.array(9.0))})}  # fmt: skip


def law_of(effect, whose="not negative", **changed):
    kind, more = EFFECTS[effect]
    shape = JointShape.of(GRID, SCHEDULE.months, CAUSES)
    return JointLaw.of(TRUTH | more | changed, shape, JointPriors(MRD, effect=kind), whose), shape


def z_of(found, exact, size):
    """Distance of a share from its probability, in standard errors."""
    return (found - exact) / np.sqrt(exact * (1 - exact) / size)


def slow_sample(law, shape, effect, rng, early=0.0):
    """Draw visit by visit, as the model is stated: status at a visit among patients who are event-free then; no paths.

    With ``early`` the status counts from so many months before the visit.
    """
    arm = np.arange(LARGE) % 2
    more = EFFECTS[effect][1]
    hazard, time, cause = np.exp(TRUTH["log_hazard"])[arm], np.full(LARGE, np.inf), np.full(LARGE, -1)
    state, before = np.zeros((LARGE, 3), int), np.zeros(LARGE, int)
    edges = np.append(shape.cells.starts, 1e4)
    for cell, period in enumerate(shape.period):
        if period and shape.period[cell - 1] < period:
            k = period - 1
            odds = TRUTH["status_level"][k] + TRUTH["status_log_odds_ratio"][k] * arm
            odds = odds + (TRUTH["status_persistence"][0] * before if k else 0)
            before = (rng.random(LARGE) < expit(odds)).astype(int)
            state[:, period] = before
        kind = JointPriors(MRD, effect=EFFECTS[effect][0]).effect
        size = TRUTH["log_mrd_hazard_ratio"][0] + more.get("log_mrd_interaction", 0.0) * arm[:, None]
        since, until = (np.array([x[cell]]) for x in shape.since)
        log_time = np.reshape(more["log_mrd_half_life"], (1,)) if "log_mrd_half_life" in more else None
        ratio = kind.log_ratio(size, log_time, since, until)[:, 0] * before
        now = hazard[:, :, shape.interval[cell]] * np.stack([np.exp(ratio), np.ones(LARGE)], axis=1)
        gap = rng.exponential(1 / now.sum(axis=1))
        hit = np.isinf(time) & (gap <= edges[cell + 1] - edges[cell])
        time[hit] = edges[cell] + gap[hit]
        cause[hit] = (rng.random(hit.sum()) > (now[:, 0] / now.sum(axis=1))[hit]).astype(int)
    return arm, time, cause, state[:, 1:]


@pytest.mark.parametrize("effect", EFFECTS)
def test_the_law_is_what_the_model_simulates(effect):
    """Survival, causes, statuses and milestone parts, against patients drawn visit by visit; and drawn by path."""
    law, shape = law_of(effect)
    times, names = np.array([2.0, 5.0, 8.3, 15.0, 40.0]), range(2)
    slow = slow_sample(law, shape, effect, np.random.default_rng(1))
    arm = np.arange(LARGE) % 2
    time, cause, path = law.sample(arm, rng=np.random.default_rng(2))
    fast = (arm, time, cause, law.states[path])
    z, wrong = [], []
    shifted = replace(law, log_hazard=np.concatenate([law.log_hazard[..., 1:], law.log_hazard[..., -1:]], axis=-1))
    for arm, time, cause, state in (slow, fast):
        for a in names:
            mine = arm == a
            number = mine.sum()
            z += list(z_of((time[mine, None] > times).mean(axis=0), law.survival(times)[a], number))
            wrong += list(z_of((time[mine, None] > times).mean(axis=0), shifted.survival(times)[a], number))
            incidence = law.cumulative_incidence(times)[a]
            for c in range(2):
                z += list(z_of(((time[mine, None] <= times) & (cause[mine, None] == c)).mean(axis=0), incidence[c], number))
            for k, month in enumerate(SCHEDULE.months):
                free = mine & (time > month)
                z.append(z_of(state[free, k].mean(), law.negative(k)[a], free.sum()))
                z.append(z_of((state[mine, k] * (time[mine] > month)).mean(), law.negative_of_all(k)[a], number))
                for s in (0, 1):
                    there = free & (state[:, k] == s)
                    z.append(z_of((time[there] > 30).mean(), law.milestone(30.0, k)[2][a, s], there.sum()))
    assert np.abs(z).max() < 4.2, np.abs(z).max()  # of some 200
    assert np.abs(wrong).max() > 10


def test_milestone_parts_make_survival():
    law, _ = law_of("fading")
    for visit, horizon in ((0, 6.0), (0, 40.0), (1, 9.0), (-1, 48.0)):
        survival, status, after = law.milestone(horizon, visit)
        np.testing.assert_allclose(survival * (status * after).sum(axis=-1), law.survival(horizon)[:, 0], rtol=1e-12)
        np.testing.assert_allclose(status.sum(axis=-1), 1, rtol=1e-12)
        np.testing.assert_allclose(status[:, 1], law.negative(visit), rtol=1e-12)
        np.testing.assert_allclose(survival * status[:, 1], law.negative_of_all(visit), rtol=1e-12)
        np.testing.assert_allclose(survival, law.survival(law.months[visit])[:, 0], rtol=1e-12)
    np.testing.assert_allclose(law.status_effect(0), np.subtract(*logit(law.negative_of_all(0))[::-1]), rtol=1e-12)


def test_restricted_mean_is_the_area_and_causes_add_up():
    law, _ = law_of("lost")
    lattice = np.linspace(0, 48, 96_001)
    np.testing.assert_allclose(law.rmst(48.0), np.trapezoid(law.survival(lattice), lattice, axis=-1), rtol=1e-8)
    some = np.array([1.0, 7.0, 33.0])
    np.testing.assert_allclose(law.cumulative_incidence(some).sum(axis=1), 1 - law.survival(some), rtol=1e-12)


@pytest.mark.parametrize("whose", WHOSE)
def test_the_marginal_effect_is_the_hazard_ratio_where_hazards_are_proportional(whose):
    hazard = TRUTH["log_hazard"][:1] + np.array([0.0, -0.4])[:, None, None]
    law, _ = law_of("constant", whose, log_hazard=hazard, log_mrd_hazard_ratio=np.zeros(1))
    for horizon in (2.0, 10.0, 48.0, 90.0):
        assert law.event_effect(horizon) == pytest.approx(-0.4, rel=1e-9)
    law, _ = law_of("constant", whose, log_hazard=hazard)
    assert abs(law.event_effect(48.0) + 0.4) > (0.05 if whose == "not negative" else 0.003)


@pytest.mark.parametrize("effect", EFFECTS)
def test_hazards_of_everyone_are_the_mean_of_who_is_event_free(effect):
    """At the start of every cell, carrying the mass of every path forward; and they are not where h is another's."""
    h = np.exp(TRUTH["log_hazard"])
    for whose in WHOSE:
        law, shape = law_of(effect, whose)
        mass = np.exp(law.log_share)[..., None] * law.by_component.survival(shape.cells.starts)  # (arm, path, cell)
        mean = (mass[:, :, None] * np.exp(law.log_hazard)).sum(axis=1) / mass.sum(axis=1)[:, None]
        apart = np.abs(mean / h[..., shape.interval] - 1)
        assert (apart.max() < 1e-12) == (whose == "everyone"), apart.max()
        if whose != "everyone":
            assert apart[:, 0, 3:].min() > 0.02  # of progression, after the second visit


def test_events_just_after_a_cell_starts_have_the_hazard_of_everyone():
    """By simulation: events over months in the first fifth of a month."""
    z = {}
    for whose in WHOSE:
        law, shape = law_of("constant", whose)
        arm = np.arange(4 * LARGE) % 2
        time, cause, _ = law.sample(arm, rng=np.random.default_rng(3))
        z[whose] = []
        for start, interval in zip(shape.cells.starts, shape.interval, strict=True):
            for a in range(2):
                lived = np.clip(time[arm == a] - start, 0, 0.2).sum()
                events = ((arm == a) & (time > start) & (time <= start + 0.2) & (cause == 0)).sum()
                expected = lived * np.exp(TRUTH["log_hazard"][a, 0, interval])
                z[whose].append((events - expected) / np.sqrt(expected))
    assert np.abs(z["everyone"]).max() < 3.7
    assert np.abs(z["not negative"]).max() > 10


def test_results_contradict_the_status_as_often_as_the_assay_errs():
    law, _ = law_of("constant")
    assay, arm = AssayError(0.1, 0.04), np.arange(LARGE) % 2
    patients, status = simulate_joint(law, SCHEDULE, arm, rng=np.random.default_rng(4), assay=assay,
                                      missing=np.array([[0.1, 0.3], [0.2, 0.2]]))  # fmt: skip
    for k in (0, 1):
        free, share = status.at_risk[:, k], law.negative(k)
        for a in (0, 1):
            code = status.code[free & (arm == a), k]
            gone = (0.1 + 0.2 * share[a]) if k == 0 else 0.2
            assert abs(z_of((code == MISSING).mean(), gone, len(code))) < 4
            seen = share[a] * (0.7 if k == 0 else 0.8) * 0.96 + (1 - share[a]) * (0.9 if k == 0 else 0.8) * 0.1
            assert abs(z_of((code == 1).mean(), seen, len(code))) < 4
    assert patients.event.all()
    assert (status.code[~status.at_risk] == NOT_YET).all()


def test_extreme_hazards_leave_the_law_finite():
    hazard = np.full((2, 2, 5), np.log(80.0))
    law, _ = law_of("constant", "everyone", log_hazard=hazard)
    assert np.all(np.isfinite(law.log_hazard))


# --- effects over time --------------------------------------------------------------------------------------------------


def test_effects_over_time_have_the_mean_of_their_course_in_each_cell():
    since, until, ratio, half = np.array([0.0, 2.0, 10.0]), np.array([2.0, 10.0, 46.0]), np.array([-1.1]), np.log([9.0])
    for cell in range(3):
        u = np.linspace(since[cell], until[cell], 40_001)
        still = np.trapezoid(2.0 ** (-u / 9), u) / (u[-1] - u[0])
        assert Fading().log_ratio(ratio, half, since, until)[cell] == pytest.approx(-1.1 * still, rel=1e-8)
        lost = np.log(1 - still + still * np.exp(-1.1))
        assert Lost().log_ratio(ratio, half, since, until)[cell] == pytest.approx(lost, rel=1e-8)
    for kind in (Fading(), Lost()):
        np.testing.assert_allclose(kind.log_ratio(ratio, np.array([18.0]), since, until), -1.1, rtol=1e-6)
        np.testing.assert_allclose(kind.log_ratio(ratio, np.array([-18.0]), since, until), 0.0, atol=1e-6)


def test_paths_sum_to_one_and_have_the_statuses_said():
    law, _ = law_of("constant")
    np.testing.assert_allclose(np.exp(law.log_share).sum(axis=-1), 1, rtol=1e-12)
    assert law.states.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]] == SCHEDULE.states.tolist()
    stays = expit(TRUTH["status_level"][1] + TRUTH["status_persistence"][0])
    assert np.exp(law.log_share)[0, 3] == pytest.approx(expit(-1.0) * stays, rel=1e-12)
    assert isinstance(law.by_component, PiecewiseExponential)
