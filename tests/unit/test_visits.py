"""Schedules and tables of visits: what they accept, what they refuse and say."""

import doctest
from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.survival import TimeGrid, VisitSchedule, VisitTable, schedule, visits_data, visits_model
from smm_bayes.survival.visits_model import bracket_data

GRID = TimeGrid((6, 12))
MONTHLY = VisitSchedule.every((3, 12), (6, 24))


@pytest.fixture
def seen(simulate):
    """Progressions at visits every 3 months, then every 6; the last of them as they are."""
    patients = simulate(cutoff=None)
    found = patients.event & (patients.cause == 0) & (patients.time <= 24)
    return patients.take(patients.time <= 24, time=np.where(found, MONTHLY.at_or_after(patients.time), patients.time)[
        patients.time <= 24])  # fmt: skip


def test_examples_in_the_docstring():
    assert doctest.testmod(schedule, extraglobs={"np": np}).failed == 0


def test_visits_before_and_after():
    assert MONTHLY.visits == (3, 6, 9, 12, 18, 24)
    time = np.array([0.5, 3, 3.1, 12, 13, 18, 24, 30])
    np.testing.assert_array_equal(MONTHLY.before(time), [0, 0, 3, 9, 12, 12, 18, 24])
    np.testing.assert_array_equal(MONTHLY.at_or_after(time), [3, 3, 6, 12, 18, 18, 24, np.inf])
    np.testing.assert_array_equal(MONTHLY.holds(time), [False, True, False, True, False, True, True, False])
    assert MONTHLY.before(6.0) == 3  # one time as well as many
    noisy = 6 + np.array([-1e-9, 1e-9])
    np.testing.assert_array_equal(MONTHLY.before(noisy), [3, 3])
    np.testing.assert_array_equal(MONTHLY.at_or_after(noisy), [6, 6])
    assert MONTHLY.holds(noisy).all()


def test_a_window_is_for_visits_that_are_late():
    """Found at 6.4 months it was found at the visit planned at 6, and not in the 0.4 months since."""
    late = replace(MONTHLY, window=0.5)
    np.testing.assert_array_equal(late.before([5.9, 6.0, 6.4, 6.6, 18.2]), [3, 3, 3, 6, 12])
    np.testing.assert_array_equal(late.holds([5.9, 6.0, 6.4, 6.6, 18.2]), [False, True, True, False, True])
    assert "up to 0.5 months late" in repr(late)


def test_a_long_schedule_is_shown_short():
    assert repr(VisitSchedule.every((1, 60))) == (
        "VisitSchedule: 60 visits, at 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ..., 60 months"
    )
    assert VisitSchedule.every((0.1, 0.7)).visits == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


@pytest.mark.parametrize("bad", [(), (0, 3), (3, 3), (6, 3), (3, np.inf), (3, np.nan), (-3, 3)])
def test_visits_that_are_none_are_refused(bad):
    with pytest.raises(SpecificationError, match="above 0, finite and strictly increasing"):
        VisitSchedule(bad)


@pytest.mark.parametrize("window", [-1, 3, np.nan])
def test_a_window_is_shorter_than_any_gap(window):
    with pytest.raises(SpecificationError, match="below the shortest gap, 3 months"):
        replace(MONTHLY, window=window)


@pytest.mark.parametrize("phases", [((5, 12),), ((3, 12), (6, 27)), ((3, 12), (6, 12)), ((0, 12),), ((3, np.inf),),
                                    ((-3, 12),), ((3, 12), (3, 6))])  # fmt: skip
def test_a_phase_ends_at_a_visit(phases):
    with pytest.raises(SpecificationError, match=r"does not end at a visit; choose an end"):
        VisitSchedule.every(*phases)


def test_a_table_says_what_it_holds(seen):
    table = VisitTable.of(seen, GRID, cause="progression", schedule=MONTHLY)
    progressed = int((seen.cause == 0).sum())
    assert table.count.sum() == progressed
    assert repr(table).startswith(f"VisitTable: progression in {len(table.arm)} brackets of {progressed} patients, "
                                  "median width 3 months; EventTable:")  # fmt: skip
    none = VisitTable.of(seen.take(seen.cause == 1), GRID, cause="progression", schedule=MONTHLY)
    assert repr(none).startswith("VisitTable: progression in 0 brackets of 0 patients; ")
    assert none.exact.events.sum() == none.rough.events.sum() == (seen.cause == 1).sum()
    with pytest.raises(ValueError, match="read-only"):
        table.count[0] = 3


def test_what_is_missing_is_named(seen):
    of = VisitTable.of
    with pytest.raises(SpecificationError, match="one of progression, death; got 'relapse'"):
        of(seen, GRID, cause="relapse", schedule=MONTHLY)
    for given in ({}, {"schedule": MONTHLY, "last_clear": np.zeros(len(seen))}):
        with pytest.raises(SpecificationError, match="either schedule"):
            of(seen, GRID, cause="progression", **given)
    for given in ({"control": MONTHLY}, {}, dict.fromkeys(("control", "experimental", "other"), MONTHLY)):
        with pytest.raises(SpecificationError, match="each of the arms control, experimental"):
            of(seen, GRID, cause="progression", schedule=given)


def test_an_event_between_visits_needs_a_window(simulate):
    """A visit a day late would leave a bracket of one day, and a hazard far too high."""
    patients = simulate()
    with pytest.raises(DataError, match=r"(?s)2 problems.*arm 'control', patient P0.* more: found at no planned visit.*last_clear"):
        VisitTable.of(patients, GRID, cause="progression", schedule=MONTHLY)
    table = VisitTable.of(patients, GRID, cause="progression", schedule=replace(MONTHLY, window=0.5))
    assert table.widths.sum(axis=1).min() > 0.5


def test_last_clear_is_checked(seen):
    clear = np.where(seen.cause == 0, seen.time - 1, np.nan)
    assert VisitTable.of(seen, GRID, cause="progression", last_clear=clear).count.sum() == (seen.cause == 0).sum()
    with pytest.raises(DataError, match="one number a patient"):
        VisitTable.of(seen, GRID, cause="progression", last_clear=clear[1:])
    first, second, third = np.flatnonzero(seen.cause == 0)[:3]
    clear[first], clear[second], clear[third] = np.nan, -1, seen.time[third]
    rows = (rf"(?s)3 problems.*patient {seen.patient[first]} \(found nan\).*{seen.patient[second]} .*negative.*"
            rf"{seen.patient[third]} .*before")  # fmt: skip
    with pytest.raises(DataError, match=rows):
        VisitTable.of(seen, GRID, cause="progression", last_clear=clear)


def test_brackets_no_patients_could_give_are_refused(seen):
    table = VisitTable.of(seen, GRID, cause="progression", schedule=MONTHLY)
    for changes, rule in (
        ({"cause": "relapse"}, "cause must be one of"),
        ({"widths": table.widths[:, 1:]}, "widths must have shape"),
        ({"widths": table.widths * 0}, "above 0 somewhere"),
        ({"widths": -table.widths}, "not negative"),
        ({"count": -table.count}, "counts must not be negative"),
        ({"arm": table.arm + 1}, "positions in the table's arms"),
    ):
        with pytest.raises(SpecificationError, match=rule):
            replace(table, **changes)


def test_brackets_that_do_not_fit_the_model_are_refused(seen, priors):
    table = VisitTable.of(seen, GRID, cause="progression", last_clear=np.maximum(seen.time - 7, 0))
    size = len(table.arm)
    for call in (visits_data, visits_model):
        with pytest.raises(SpecificationError, match=rf"(?s)2 problems.*{size} different.*rows = 2.*pieces = 1"):
            call(table, priors, rows=2, pieces=1)
    with pytest.raises(SpecificationError, match="build the model with 2 to 3 pieces"):
        visits_data(table, priors, pieces=4)
    data = bracket_data(table, rows=100, pieces=3)
    assert data["width_data"].shape == (3, 101)
    assert data["first_cell_data"].max() == data["first_cell_data"][-1] == 5  # the last cell, from the start
    assert data["count_data"].sum() == table.count.sum()
    for values in (data["count_data"][size:], data["width_data"][1:, size:]):
        assert not values.any()


def test_no_bracket_at_all_fits(seen, priors):
    table = VisitTable.of(seen.take(seen.cause == 1), GRID, cause="progression", schedule=MONTHLY)
    data = visits_data(table, priors)
    assert data["count_data"].tolist() == [0.0]
    assert data["width_data"].tolist() == [[1.0]]
