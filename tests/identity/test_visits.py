"""The likelihood of events found at visits: what it must equal, and that PyMC and NumPy agree."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from smm_bayes.survival import (
    EventTable,
    GammaPrior,
    PiecewiseExponential,
    Proportional,
    Separate,
    TimeGrid,
    Varying,
    VisitSchedule,
    VisitTable,
    Waning,
    cumulative_incidence,
    log_likelihood,
    visits_data,
    visits_log_likelihood,
    visits_model,
)
from smm_bayes.survival.visits import bracket_log_probability
from smm_bayes.trial import Patients

GRID = TimeGrid((6, 12, 24))
YEARLY = VisitSchedule.every((12, 480))
ROOM = {"rows": 40, "pieces": 3}

rates = st.lists(st.floats(1e-6, 2.0), min_size=8, max_size=8).map(lambda xs: np.array(xs).reshape(2, 4))
months = st.floats(0.01, 60)


def one_bracket(left, right, count=1.0, cause="progression", grid=GRID, causes=("progression", "death")):
    """A table of one arm that holds nothing but a bracket."""
    shape = (1, len(causes), len(grid))
    empty = EventTable(np.zeros(shape), np.zeros(shape[::2]), grid, ("experimental",), causes)
    return VisitTable(empty, cause, np.zeros(1, int), grid.exposure(np.array([right]), left), np.array([float(count)]))


def made(time, cause, entry=None, arm=None):
    """Patients of two arms by turns; ``cause`` is 0, 1, or -1 for censored."""
    time, cause = np.array(time, float), np.array(cause)
    return Patients(
        patient=np.arange(len(time)).astype(str).astype(object), time=time, event=cause >= 0, cause=cause,
        arm=np.arange(len(time)) % 2 if arm is None else np.array(arm), provenance="simulated", enrolled=None,
        censoring=np.where(cause >= 0, "", "administrative").astype(object), arms=("control", "experimental"),
        arm_names=("Old", "New"), causes=("progression", "death"), entry=None if entry is None else np.array(entry, float),
    )  # fmt: skip


@pytest.fixture(scope="module")
def yearly(mgus2):
    """Real patients, had progression been looked for once a year."""
    found = mgus2.cause == 0
    return mgus2.take(np.ones(len(mgus2), bool), time=np.where(found, YEARLY.at_or_after(mgus2.time), mgus2.time))


# ---- what P is

@settings(deadline=None)
@given(rates, months, months)
def test_a_bracket_is_a_difference_of_cumulative_incidence(hazards, one, other):
    left, right = sorted((one, other))
    if right - left < 1e-3:
        return
    log_hazard = np.log(hazards)
    incidence = cumulative_incidence(log_hazard, GRID, np.array([left, right]))
    alive = PiecewiseExponential(np.log(hazards.sum(axis=0)), GRID).survival(left)[0]
    for index, cause in enumerate(("progression", "death")):
        found = bracket_log_probability(log_hazard[None], one_bracket(left, right, cause=cause))[0]
        assert alive * np.exp(found) == pytest.approx(np.diff(incidence[index])[0], rel=1e-9, abs=1e-13)


@settings(deadline=None, max_examples=40)
@given(rates, months, months)
def test_a_bracket_is_the_integral_of_the_density(hazards, one, other):
    left, right = sorted((one, other))
    if right - left < 1e-3:
        return
    law = PiecewiseExponential(np.log(hazards.sum(axis=0)), GRID)
    start = law.cumulative_hazard(left)[0]
    inside = [cut for cut in GRID.cuts if left < cut < right]
    pieces = [left, *inside, right]
    exact = sum(quad(lambda t: hazards[0, GRID.index(t)] * np.exp(start - law.cumulative_hazard(t)[0]), a, b)[0]
                for a, b in pairwise(pieces))  # fmt: skip
    assert np.exp(bracket_log_probability(np.log(hazards)[None], one_bracket(left, right))[0]) == pytest.approx(
        exact, rel=1e-7
    )


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 0.5), min_size=4, max_size=4), months, st.floats(0.05, 30))
def test_with_one_cause_it_is_a_difference_of_survival(hazards, left, width):
    right, log_hazard = left + width, np.log(hazards)
    law = PiecewiseExponential(log_hazard, GRID)
    found = bracket_log_probability(log_hazard[None, None], one_bracket(left, right, causes=("progression",)))[0]
    gap = float(GRID.exposure(np.array(right), left) @ np.array(hazards))
    assert found == pytest.approx(np.log(-np.expm1(-gap)), abs=1e-10)  # log(1 − S(R)/S(L)) without cancelling
    if gap > 1e-2:
        exact = np.log(-np.diff(law.survival([left, right]))[0]) + law.cumulative_hazard(left)[0]
        assert found == pytest.approx(exact, abs=1e-10)


@settings(deadline=None)
@given(rates, st.integers(1, 20))
def test_all_that_can_happen_has_probability_1(hazards, visits):
    """Progression in one of the brackets, death before the last visit, or neither."""
    schedule, log_hazard = VisitSchedule.every((5, 5 * visits)), np.log(hazards)
    last = schedule.visits[-1]
    law = PiecewiseExponential(np.log(hazards.sum(axis=0)), GRID)
    starts = (0.0, *schedule.visits[:-1])
    progressed = sum(law.survival(left)[0] * np.exp(bracket_log_probability(log_hazard[None], one_bracket(left, right))[0])
                     for left, right in zip(starts, schedule.visits, strict=True))  # fmt: skip
    died = cumulative_incidence(log_hazard, GRID, np.array([last]))[1, 0]
    assert progressed + died + law.survival(last)[0] == pytest.approx(1, abs=1e-12)


def test_dense_visits_are_exact_dates():
    """Log P − log δ is log λ − Λδ/2 to first order: the error is proportional to δ."""
    hazards = np.random.default_rng(1).uniform(0.01, 0.3, (2, 4))
    for right in (3.0, 6.0, 20.0):  # 6 is a cut, and ends an interval
        at = GRID.index(right)
        for width in (0.1, 0.01, 1e-3, 1e-5):
            found = bracket_log_probability(np.log(hazards)[None], one_bracket(right - width, right))[0] - np.log(width)
            error = found - np.log(hazards[0, at])
            assert error == pytest.approx(-hazards[:, at].sum() * width / 2, rel=0.02, abs=1e-9)


def test_tables_of_dense_visits_have_the_exact_likelihood(simulate):
    patients = simulate(cutoff=None)
    log_hazard = np.log(np.random.default_rng(1).uniform(0.01, 0.1, (5, 2, 2, 4)))
    exact, errors = log_likelihood(log_hazard, GRID.tabulate(patients)), []
    for width in (1e-2, 1e-3):
        table = VisitTable.of(patients, GRID, cause="progression", last_clear=patients.time - width)
        found = visits_log_likelihood(log_hazard, table)
        errors.append(found - np.log(width) * table.count.sum() - exact)
    assert np.abs(errors[1]).max() < 0.02
    np.testing.assert_allclose(errors[0] / errors[1], 10, rtol=0.02)


def test_nothing_underflows_or_overflows():
    table = one_bracket(3, 30)
    for level in (-1e4, -800.0, -300.0, -20.0):  # far below: P is Σ λ·δ
        assert bracket_log_probability(np.full((1, 2, 4), level), table)[0] == pytest.approx(level + np.log(27), abs=1e-7)
    for level in (5.0, 300.0, 1e4):  # far above: half leave by either cause, at once
        assert bracket_log_probability(np.full((1, 2, 4), level), table)[0] == pytest.approx(-np.log(2), abs=1e-12)
    narrow = bracket_log_probability(np.full((1, 2, 4), -10.0), one_bracket(3, 3 + 1e-12))[0]
    assert narrow == pytest.approx(-10 + np.log(float(np.float64(3 + 1e-12) - 3)), abs=1e-12)
    rare = np.stack([np.full(4, -60.0), np.full(4, 2.0)])  # a cause that others leave no time for
    assert bracket_log_probability(rare[None], table)[0] == pytest.approx(-62, abs=1e-9)


# ---- tables

def by_patient(log_hazard, patients, grid, clear):
    """The likelihood one patient after the other, from the distribution itself."""
    total = 0.0
    for row in range(len(patients)):
        hazards = np.exp(log_hazard[patients.arm[row]])
        law = PiecewiseExponential(np.log(hazards.sum(axis=0)), grid)
        entry = 0.0 if patients.entry is None else patients.entry[row]
        time, cause = patients.time[row], patients.cause[row]
        if cause == 0:
            left = max(clear[row], entry)
            incidence = cumulative_incidence(np.log(hazards), grid, np.array([left, time]))[0]
            total += np.log(np.diff(incidence)[0])
        else:
            total += np.log(law.survival(time)[0])
            total += np.log(hazards[cause, grid.index(time)]) if cause > 0 else 0.0
        total -= np.log(law.survival(entry)[0])
    return total


@pytest.mark.parametrize("entry", [None, [0, 5.5, 7, 0, 13, 2, 25, 3, 8, 0]], ids=["from 0", "delayed entry"])
def test_the_table_is_the_sum_over_patients(entry):
    """Under delayed entry too: everything is given survival to entry, and a bracket starts there at the earliest."""
    time, cause = [6, 12, 18, 5, 24, 3, 36, 12, 12, 9], [0, 0, 0, 1, 0, -1, 0, 0, 1, 0]
    patients = made(time, cause, entry)
    clear = np.array([3, 0, 6, np.nan, 12, np.nan, 30, 9, np.nan, 4])
    log_hazard = np.log(np.random.default_rng(2).uniform(0.01, 0.1, (2, 2, 4)))
    table = VisitTable.of(patients, GRID, cause="progression", last_clear=clear)
    expected = by_patient(log_hazard, patients, GRID, clear)
    assert visits_log_likelihood(log_hazard, table) == pytest.approx(expected, abs=1e-10)
    if entry is not None:
        ignored = VisitTable.of(replace(patients, entry=None), GRID, cause="progression", last_clear=clear)
        assert abs(visits_log_likelihood(log_hazard, ignored) - expected) > 0.5


def test_a_schedule_is_counted_from_enrolment():
    """Visits every 6 months of a patient who enters at 5 are at 11, 17, ... on the clock of the times."""
    patients = made([11, 17, 12], [0, 0, 0], [5, 5, 0])
    table = VisitTable.of(patients, TimeGrid((1000,)), cause="progression", schedule=VisitSchedule.every((6, 60)))
    assert table.widths[:, 0].tolist() == [6, 6]
    assert table.count.tolist() == [2, 1]
    assert table.exact.exposure[:, 0].tolist() == [6, 6]


def test_a_schedule_is_its_last_clear_visits(yearly, grid12):
    planned = VisitTable.of(yearly, grid12, cause="progression", schedule=YEARLY)
    told = VisitTable.of(yearly, grid12, cause="progression", last_clear=YEARLY.before(yearly.time))
    by_arm = VisitTable.of(yearly, grid12, cause="progression", schedule=dict.fromkeys(yearly.arms, YEARLY))
    for other in (told, by_arm):
        np.testing.assert_array_equal(planned.widths, other.widths)
        np.testing.assert_array_equal(planned.count, other.count)
        np.testing.assert_array_equal(planned.exact.exposure, other.exact.exposure)


def test_equal_brackets_are_one_row(yearly, grid12):
    """115 progressions in 22 rows; written out one by one the likelihood is the same."""
    table = VisitTable.of(yearly, grid12, cause="progression", schedule=YEARLY)
    assert (len(table.arm), table.count.sum()) == (22, 115)
    rows = np.repeat(np.arange(22), table.count.astype(int))
    single = VisitTable(table.exact, table.cause, table.arm[rows], table.widths[rows], np.ones(115))
    log_hazard = np.log(np.random.default_rng(1).uniform(1e-4, 1e-2, (3, 2, 2, 12)))
    np.testing.assert_allclose(
        visits_log_likelihood(log_hazard, single), visits_log_likelihood(log_hazard, table), rtol=1e-13
    )


def test_visits_of_28_days_repeat_though_their_gaps_differ_in_the_last_digit():
    """And a visit a rounding error after a cut reaches into no further interval."""
    weeks = VisitSchedule(tuple(28 / 30.4375 * count for count in range(1, 40)))
    time = np.array(weeks.visits)
    table = VisitTable.of(made(time, np.zeros(39, int), arm=np.zeros(39, int)), TimeGrid((time[9], time[20])),
                          cause="progression", schedule=weeks)  # fmt: skip
    assert table.count.tolist() == [18, 11, 10]
    assert (table.widths > 0).sum() == 3


def test_splitting_an_interval_with_equal_hazards_changes_nothing(yearly):
    coarse, fine = TimeGrid((24, 60)), TimeGrid((5, 24, 30, 31, 60, 90))
    log_hazard = np.log(np.random.default_rng(1).uniform(1e-4, 1e-2, (2, 2, 3)))
    split = log_hazard[..., [0, 0, 1, 1, 1, 2, 2]]
    values = [visits_log_likelihood(given, VisitTable.of(yearly, grid, cause="progression", schedule=YEARLY))
              for given, grid in ((log_hazard, coarse), (split, fine))]  # fmt: skip
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_the_rough_table_holds_every_event_and_half_of_each_bracket(yearly, grid12):
    table = VisitTable.of(yearly, grid12, cause="progression", schedule=YEARLY)
    assert table.rough.events.sum() == pytest.approx(yearly.events)
    widths = (table.count * table.widths.sum(axis=1)).sum()
    assert table.rough.exposure.sum() == pytest.approx(table.exact.exposure.sum() + widths / 2)
    uneven = one_bracket(3, 15, count=2)  # of 3, 6 and 3 months in three intervals
    np.testing.assert_allclose(uneven.rough.events[0, 0], [0.5, 1, 0.5, 0])
    np.testing.assert_allclose(uneven.rough.exposure[0], [2 * 3 * 10.5 / 12, 2 * 6 * 6 / 12, 2 * 3 * 1.5 / 12, 0])


# ---- the PyMC model

@pytest.mark.parametrize("effect", [Proportional(), Separate(), Varying(), Waning(24, 12, 60), None],
                         ids=lambda e: type(e).__name__)  # fmt: skip
def test_the_model_equals_its_numpy_twin(yearly, grid12, priors, effect):
    """At random parameters; after data of other patients and other brackets in the same room too."""
    priors = GammaPrior(0.5, 50) if effect is None else replace(priors, effect=effect)
    cause = "death" if effect == Separate() else "progression"
    first = VisitTable.of(yearly, grid12, cause="progression", schedule=YEARLY)
    model = visits_model(first, priors, **ROOM) if cause == "progression" else None
    rng = np.random.default_rng(3)
    some = yearly.take(rng.random(len(yearly)) < 0.2)
    other = VisitTable.of(some, grid12, cause=cause, last_clear=np.maximum(some.time - rng.uniform(3, 30, len(some)), 0))
    room = ROOM
    if cause == "death":  # any cause may be the one that is found
        room = {"rows": 300, "pieces": 4}
        model, first = visits_model(other, priors, **room), other
    outputs = [*model.logp(vars=model.observed_RVs, sum=False), *model.replace_rvs_by_values([model["log_hazard"]])]
    function = model.compile_fn(outputs, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")
    for table in (first, other):
        with model:
            for name, values in visits_data(table, priors, **room).items():
                model.set_data(name, values)
        for _ in range(3):
            point = {v.name: rng.normal(size=np.shape(x)) for v, x in
                     zip(model.value_vars, model.initial_point().values(), strict=True)}  # fmt: skip
            *terms, log_hazard = function(point)
            twin = visits_log_likelihood(log_hazard, table)
            assert abs(sum(term.sum() for term in terms) - twin) < 1e-10 * max(1, abs(twin))
