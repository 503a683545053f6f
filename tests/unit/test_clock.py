"""Times on the clock: equal days are equal numbers, whatever they were computed from."""

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smm_bayes.errors import SpecificationError
from smm_bayes.prediction import kernels
from smm_bayes.survival import TimeGrid
from smm_bayes.survival.schedule import VisitSchedule
from smm_bayes.trial.calendar import DAYS_PER_MONTH, MONTHS_PER_UNIT, TICKS_PER_MONTH, calendar_time, on_clock, ticks

DAYS = st.integers(0, 40_000)


@given(DAYS, DAYS)
def test_differences_and_sums_of_days_are_days(one, two):
    first, second = one / DAYS_PER_MONTH, two / DAYS_PER_MONTH
    assert on_clock(first) == first
    assert on_clock(first - second) == (one - two) / DAYS_PER_MONTH
    assert on_clock(first + second) == (one + two) / DAYS_PER_MONTH
    assert on_clock(one * MONTHS_PER_UNIT["day"]) == first
    assert on_clock(first - (first + second)) == -second


def test_float_differences_are_not():
    """The fault that the clock mends: of all pairs of days, many differences miss their day in the last bit."""
    months = np.arange(1, 1500) / DAYS_PER_MONTH
    missed = months[40:] - months[:-40] != 40 / DAYS_PER_MONTH
    assert missed.sum() > 500
    assert np.all(on_clock(months[40:] - months[:-40]) == 40 / DAYS_PER_MONTH)


@pytest.mark.parametrize("decimals", [0, 1, 2, 3, 4])
def test_decimal_months_stay_themselves(decimals):
    months = np.array([float(f"{n / 10**decimals:.{decimals}f}") for n in range(0, 60_000, 7)])
    np.testing.assert_array_equal(on_clock(months), months)
    np.testing.assert_array_equal(on_clock(on_clock(months + 0.1) - 0.1), months)


@given(st.floats(0, 2000))
def test_any_time_moves_less_than_a_tick_and_only_once(months):
    found = on_clock(months)
    assert abs(found - months) <= 0.51 / TICKS_PER_MONTH
    assert on_clock(found) == found


def test_kinds_and_what_is_no_number_are_kept():
    assert isinstance(on_clock(6), float)
    assert isinstance(on_clock(np.float64(6.0)), float)
    found = on_clock(np.array([[np.nan, np.inf], [-np.inf, 1e300]]))
    np.testing.assert_array_equal(found, [[np.nan, np.inf], [-np.inf, 1e300]])
    assert on_clock(1e-320) == 0
    days = 24 * 3600 * 1e3 / 10_240_000
    assert days == pytest.approx(8.4, abs=0.1)  # milliseconds a tick, as the module says


@settings(deadline=None)
@given(st.floats(0, 5000))
def test_kernels_have_the_same_ticks(months):
    assert kernels.ticks(months) == ticks(months)
    assert kernels.ticks(np.inf) == np.inf


@given(DAYS, DAYS)
def test_calendar_times_are_on_the_clock(first, last):
    origin = datetime.date(1900, 1, 1)
    dates = [origin + datetime.timedelta(days=n) for n in (first, last)]
    assert calendar_time(dates[1], dates[0]) == on_clock((last - first) / DAYS_PER_MONTH)


@given(st.integers(1, 400), st.integers(1, 400))
def test_a_cut_point_ends_its_interval_however_it_was_computed(visit, gap):
    """Cuts and times of 28-day visits as sums, as differences and as products."""
    grid = TimeGrid([28 * visit / DAYS_PER_MONTH, 28 * visit / DAYS_PER_MONTH + 28 * gap * MONTHS_PER_UNIT["day"]])
    early, late = 28 * visit, 28 * (visit + gap)
    times = np.array([early * MONTHS_PER_UNIT["day"], (early + 7) / DAYS_PER_MONTH - 7 / DAYS_PER_MONTH,
                      late / DAYS_PER_MONTH, (late + 1000) / DAYS_PER_MONTH - 1000 / DAYS_PER_MONTH])  # fmt: skip
    assert grid.index(times).tolist() == [0, 0, 1, 1]
    assert grid.index(np.array([early + 1, late + 1]) / DAYS_PER_MONTH).tolist() == [1, 2]


def test_cuts_closer_than_a_tick_are_refused():
    with pytest.raises(SpecificationError, match="strictly increasing"):
        TimeGrid((6.0, 6.0 + 1e-12))
    with pytest.raises(SpecificationError, match="must be positive"):
        TimeGrid((1e-12,))


@given(st.integers(0, 300), st.integers(0, 27))
def test_visits_find_what_happened_on_their_day(number, later):
    """Visits every 28 days with a window of 10: the integers decide."""
    schedule = VisitSchedule(tuple(28 * n * MONTHS_PER_UNIT["day"] for n in range(1, 302)), window=10 / DAYS_PER_MONTH)
    exact = VisitSchedule(schedule.visits)
    day = 28 * number + later
    time = on_clock((day + 5000) / DAYS_PER_MONTH - 5000 / DAYS_PER_MONTH)
    assert exact.before(time) == on_clock(28 * (max(day - 1, 0) // 28) / DAYS_PER_MONTH)
    assert exact.at_or_after(time) == on_clock(28 * max(-(-day // 28), 1) / DAYS_PER_MONTH)
    assert exact.holds(time) == (later == 0 and number > 0)
    assert schedule.holds(time) == (later <= 10 and number > 0)
    assert schedule.before(time) == on_clock(28 * (max(day - 11, 0) // 28) / DAYS_PER_MONTH)
