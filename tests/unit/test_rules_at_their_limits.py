"""What judges published numbers and patients made from them: just within each limit, and just beyond."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import pytest

from smm_bayes.errors import DataError, Problems
from smm_bayes.evidence import Fact
from smm_bayes.evidence import consistency as rules
from smm_bayes.evidence.made import _check_times
from smm_bayes.evidence.origin import Origin, causes_of, told_apart
from smm_bayes.evidence.pseudo import Check, CheckTable, PseudoArm
from smm_bayes.evidence.summaries import ArmSummary, FollowUp
from smm_bayes.evidence.vocabulary import COLUMNS
from smm_bayes.trial.table import Table


def fact(**changes):
    """A fact that nobody has checked: the rules stand on their own."""
    values = dict.fromkeys(column.name for column in COLUMNS)
    values |= dict(id="one", trial="ONE", arm="A", endpoint="PFS", measure="hazard_ratio", value=0.5, unit="ratio", cut="",
                   trust="published", source="a paper", note="")  # fmt: skip
    one = object.__new__(Fact)
    for name, value in (values | changes).items():
        object.__setattr__(one, name, value)
    return one


def changed(one, **changes):
    return fact(**{column.name: getattr(one, column.name) for column in COLUMNS} | changes)


def found(rule, *facts):
    return [(finding.ids, finding.expected, finding.found) for finding in rule(facts)]


@pytest.mark.parametrize(("value", "least", "half"), [
    (0.631, 2, 0.0005), (0.3, 2, 0.005), (0.3, 0, 0.05), (5.0, 0, 0.5), (5.0, 2, 0.005), (12.25, 1, 0.005), (0.5, 1, 0.05),
])  # fmt: skip
def test_half_a_unit_of_the_last_decimal(value, least, half):
    assert rules.half_unit(value, least) == pytest.approx(half, rel=1e-12)


@pytest.mark.parametrize(("value", "events", "n", "fits"), [
    (0.23, 13, 57, True), (0.22, 13, 57, False), (0.24, 13, 57, False), (0.5, 101, 200, True), (0.5, 102, 200, False),
    (0.505, 101, 200, True), (0.495, 101, 200, False), (0.0, 0, 9, True), (1.0, 9, 9, True), (0.125, 1, 8, True),
])  # fmt: skip
def test_a_fraction_is_that_of_its_counts_to_its_print(value, events, n, fits):
    one = fact(measure="fraction", unit="fraction", value=value, n=n, events=events)
    assert found(rules.fraction, one) == ([] if fits else [(("one",), pytest.approx(events / n), value)])


def test_a_fraction_without_counts_is_not_judged():
    for changes in ({"n": None}, {"events": None}, {"value": None}, {"unit": "ratio"}):
        good = dict(measure="fraction", unit="fraction", value=0.9, n=50, events=3)
        assert len(found(rules.fraction, fact(**good))) == 1
        assert found(rules.fraction, fact(**(good | changes))) == []


def ratio(error, level=0.95, **changes):
    """A hazard ratio whose interval has this standard error."""
    width = NormalDist().inv_cdf((1 + level) / 2) * error
    return fact(**(dict(lower=0.5 * np.exp(-width), upper=0.5 * np.exp(width), level=level, arm="A_vs_B") | changes))


def with_arms(one, first=20, second=40, **changes):
    arms = [fact(id=name, arm=name, measure="events", unit="patients", value=events, events=events, n=100)
            for name, events in (("A", first), ("B", second))]  # fmt: skip
    return [one, *(changed(arm, **changes) for arm in arms)]


@pytest.mark.parametrize("level", [0.95, 0.9, 0.8])
@pytest.mark.parametrize(("relative", "fits"), [(1.14, True), (1.16, False), (0.86, True), (0.84, False), (1.0, True)])
def test_a_standard_error_is_within_15_percent_of_that_of_the_arms_events(relative, fits, level):
    exact = (1 / 20 + 1 / 40) ** 0.5
    facts = with_arms(ratio(relative * exact, level))
    wanted = [] if fits else [(("one", "A", "B"), pytest.approx(exact), pytest.approx(relative * exact))]
    assert found(rules.standard_error, *facts) == wanted


@pytest.mark.parametrize(("relative", "fits"), [(0.86, True), (0.84, False), (1.0, True), (2.0, True)])
def test_a_standard_error_is_at_least_that_of_equal_arms(relative, fits):
    """Of 64 events in all, 2/sqrt(64) is the least; arms of unequal numbers give more."""
    wanted = [] if fits else [(("one",), 0.25, pytest.approx(relative * 0.25))]
    assert found(rules.standard_error, ratio(relative * 0.25, events=64)) == wanted
    assert found(rules.standard_error, ratio(0.001)) == []  # no events at all
    for change in ({"measure": "odds_ratio"}, {"lower": None}, {"upper": None}, {"level": None}):
        assert found(rules.standard_error, changed(ratio(0.001, events=64), **change)) == []


@pytest.mark.parametrize("change", [{"trial": "TWO"}, {"endpoint": "OS"}, {"cut": "late"}, {"events": None}, {"measure": "n_randomised"}])
def test_events_of_another_trial_endpoint_or_cut_are_no_arms(change):
    facts = with_arms(ratio(0.001), **change)
    assert found(rules.standard_error, *facts) == []
    assert len(found(rules.standard_error, *with_arms(ratio(0.001)))) == 1
    assert found(rules.standard_error, *with_arms(ratio(0.001))[:2]) == []  # one arm is not enough


@pytest.mark.parametrize("measure", rules.RATIOS)
@pytest.mark.parametrize(("shift", "fits"), [(0.14, True), (0.17, False), (-0.14, True), (-0.17, False)])
def test_an_estimate_is_in_the_middle_of_its_interval(measure, shift, fits):
    """To 15 % of half the width on the log scale, and the rounding of three numbers."""
    half = 0.8
    one = fact(measure=measure, value=float(f"{5.123456789:.9f}"), lower=5.123456789 * np.exp((shift - 1) * half),
               upper=5.123456789 * np.exp((shift + 1) * half))  # fmt: skip
    assert [ids for ids, *_ in found(rules.centre, one)] == ([] if fits else [("one",)])


def test_the_middle_allows_for_rounding():
    """Of the estimate in full, and of both limits by half, because the middle is the mean of their logarithms."""
    lower, upper, seen = 0.46, 0.55, set()
    middle, half = (lower * upper) ** 0.5, np.log(upper / lower) / 2
    for value in np.round(np.arange(0.42, 0.62, 0.01), 2).tolist():
        of_limits = np.log(1 + 0.005 / lower) / 2 + np.log(1 + 0.005 / upper) / 2
        fits = abs(np.log(middle / value)) <= 0.15 * half + np.log(1 + 0.005 / value) + of_limits
        one = fact(value=value, lower=lower, upper=upper)
        assert found(rules.centre, one) == ([] if fits else [(("one",), pytest.approx(middle), value)])
        seen.add(fits)
    assert seen == {True, False}
    for changes in ({"value": None}, {"lower": None}, {"upper": None}, {"measure": "median_time"}):
        assert found(rules.centre, fact(**({"value": 0.6, "lower": lower, "upper": upper} | changes))) == []


def survives(time, value, **changes):
    return fact(**({"id": f"m{time:g}", "measure": "survival_probability", "unit": "probability", "time": float(time),
                    "value": value} | changes))  # fmt: skip


@pytest.mark.parametrize(("late", "fits"), [(0.7, True), (0.8, True), (0.805, True), (0.81, True), (0.82, False)])
def test_survival_does_not_rise_beyond_rounding(late, fits):
    rows = survives(24, late), survives(12, 0.8)
    assert found(rules.monotone, *rows) == ([] if fits else [(("m12", "m24"), 0.8, late)])
    dead = {"measure": "cumulative_incidence"}
    rows = survives(12, round(1 - 0.8, 3), **dead), survives(24, round(1 - late, 3), **dead)
    assert [ids for ids, *_ in found(rules.monotone, *rows)] == ([] if fits else [("m12", "m24")])
    for change in ({"arm": "B"}, {"trial": "TWO"}, {"endpoint": "OS"}, {"cut": "late"}):
        assert found(rules.monotone, survives(12, 0.3), survives(24, 0.9, **change)) == []


@pytest.mark.parametrize(("median", "time", "value", "fits"), [
    (20.0, 12, 0.5, True), (20.0, 12, 0.49, False), (20.0, 30, 0.5, True), (20.0, 30, 0.51, False),
    (20.0, 20, 0.1, True), (20.0, 20, 0.9, True), (None, 30, 0.5, True), (None, 30, 0.49, False), (None, 900, 0.2, False),
])  # fmt: skip
def test_survival_passes_a_half_at_the_median(median, time, value, fits):
    name = "median_time" if median else "median_not_reached"
    one = fact(id="med", measure=name, unit="months", value=median)
    assert found(rules.median, one, survives(time, value)) == ([] if fits else [(("med", f"m{time}"), 0.5, value)])
    if not fits:
        for change in ({"arm": "B"}, {"trial": "TWO"}, {"endpoint": "OS"}, {"cut": "late"}):
            assert found(rules.median, one, survives(time, value, **change)) == []


@pytest.mark.parametrize(("other", "conflicts"), [
    ({"value": 0.504}, False), ({"value": 0.505}, False), ({"value": 0.51}, True), ({"value": 0.49}, True), ({"value": 0.495}, False),
    ({"value": 0.6, "arm": "B"}, False), ({"value": 0.6, "trial": "TWO"}, False), ({"value": 0.6, "endpoint": "OS"}, False),
    ({"value": 0.6, "measure": "odds_ratio"}, False), ({"value": 0.6, "cut": "late"}, False), ({"value": 0.6, "time": 12.0}, True),
    ({"value": 0.6, "sensitivity": 1e-5}, True), ({"value": None}, False), ({"upper": 0.9}, True), ({"lower": 0.2}, True),
    ({"upper": None, "lower": None}, False), ({"upper": 0.804}, False),
])  # fmt: skip
def test_one_number_has_one_value(other, conflicts):
    one, two = fact(id="a", lower=0.3, upper=0.8), fact(**({"id": "b", "lower": 0.3, "upper": 0.8} | other))
    wanted = [(("a", "b"), 0.5, other.get("value", 0.5))] if conflicts else []
    assert found(rules.conflict, one, two) == wanted


def test_cuts_are_compared_where_nothing_can_change_between_them():
    for measure in rules.CONSTANT:
        rows = [fact(id=name, cut=name, measure=measure, value=value) for name, value in (("a", 100.0), ("b", 110.0))]
        assert found(rules.conflict, *rows) == [(("a", "b"), 100.0, 110.0)]
    rows = [survives(12, value, id=name, cut=name) for name, value in (("a", 0.9), ("b", 0.8))]
    assert found(rules.conflict, *rows) == [(("a", "b"), 0.9, 0.8)]
    assert found(rules.conflict, rows[0], changed(rows[1], time=18.0)) == []
    assert found(rules.conflict, rows[0], changed(rows[1], time=None)) == []
    mrd = [fact(id=name, sensitivity=level, value=value) for name, level, value in (("a", 1e-5, 0.5), ("b", 1e-6, 0.6))]
    assert found(rules.conflict, *mrd) == []


def parts(names, values, **more):
    rows = dict(endpoint="response", unit="fraction")
    return [fact(id=name, measure=name, value=value, **(rows | more)) for name, value in zip(names, values, strict=True)]


@pytest.mark.parametrize(("whole", "of"), [
    ("VGPR_or_better", 3), ("CR_or_better", 2), ("PR_or_better", 4), ("overall_response", 4), ("PR_or_VGPR", (3, 2)),
])  # fmt: skip
def test_a_whole_is_the_sum_of_its_parts(whole, of):
    values = dict(zip(rules.RESPONSES, (0.1, 0.2, 0.3, 0.15), strict=True))
    names = rules.RESPONSES[:of] if isinstance(of, int) else ("PR_only", "VGPR_only")
    rows, total = parts(names, [values[name] for name in names]), sum(values[name] for name in names)
    slack = 0.005 * (len(names) + 1)
    for off, fits in ((0.0, True), (slack - 0.001, True), (slack + 0.002, False), (-slack + 0.001, True), (-slack - 0.002, False)):
        all_ = fact(id="all", measure=whole, endpoint="response", unit="fraction", value=round(total + off, 2))
        fits = abs(round(total + off, 2) - total) <= slack + 1e-9
        found_ids = [ids for ids, *_ in found(rules.total, *rows, all_)]
        assert found_ids == ([] if fits else [("all", *names)])
    bad = fact(id="all", measure=whole, endpoint="response", unit="fraction", value=0.99)
    assert len(found(rules.total, *rows, bad)) == 1
    assert found(rules.total, *rows[1:], bad) == []  # a part is not known
    for change in ({"arm": "B"}, {"trial": "TWO"}, {"cut": "late"}, {"endpoint": "other"}, {"value": None}, {"unit": "ratio"}):
        assert found(rules.total, *rows, changed(bad, **change)) == []


@pytest.mark.parametrize(("whole", "fits"), [(15, True), (14, False), (16, False)])
def test_counts_add_up_exactly(whole, fits):
    def counted(name, endpoint, measure, events):
        return fact(id=name, endpoint=endpoint, measure=measure, unit="patients", value=float(events), events=events, n=100)

    rows = [counted("a", "PFS", "events", whole), counted("b", "TTP", "events", 13),
            counted("c", "OS", "deaths_without_progression", 2)]  # fmt: skip
    assert found(rules.total, *rows) == ([] if fits else [(("a", "b", "c"), 15, whole)])


@pytest.mark.parametrize(("stable", "fits"), [(0.25, True), (0.27, True), (0.23, True), (0.28, False), (0.22, False)])
def test_categories_that_leave_nobody_out_add_to_1(stable, fits):
    rows = parts((*rules.RESPONSES, "SD"), (0.1, 0.2, 0.3, 0.15, stable))
    ids = (*rules.RESPONSES, "SD")
    assert found(rules.total, *rows) == ([] if fits else [(ids, 1.0, pytest.approx(0.75 + stable))])
    more = parts(("not_evaluable",), (0.25 - stable + 0.0,)) if stable <= 0.25 else []
    assert found(rules.total, *rows, *more) == ([] if fits or more else [(ids, 1.0, pytest.approx(0.75 + stable))])
    assert found(rules.total, *(changed(row, unit="percent") for row in rows)) == []


def test_the_difference_is_what_was_achieved_less_the_print():
    assert Check("a", 3.0, 5.0, False).difference == 2.0
    assert Check("a", np.inf, np.inf, True).difference == 0.0
    assert Check("a", np.inf, 7.0, False).difference == -np.inf
    table = CheckTable("T", (Check("a", 1, 1, True), Check("b", 1, 2, False)))
    assert not table.all_within
    assert [row.what for row in table.off] == ["b"]
    assert table.to_frame()["difference"].tolist() == [0.0, 1.0]


WINDOW = FollowUp(12.0, 48.0)
GOOD = {"trial": "T", "arm": "A", "endpoint": "PFS", "n": 50, "events": 20, "follow_up": WINDOW}


def test_columns_of_patients_have_one_length_and_possible_times():
    summary = ArmSummary(**GOOD)

    def arm(times, enrolled=0.0, causes=2):
        size = len(times)
        return PseudoArm(summary, np.array(times, float), np.array(["progression"] * causes, object),
                         np.array([""] * size, object), np.full(size, enrolled))  # fmt: skip

    assert arm([1.0, 0.01]).event.tolist() == [True, True]
    for bad in (([1.0, 0.0],), ([1.0, -1.0],), ([1.0, np.inf],), ([1.0, np.nan],), ([1.0, 2.0], -0.01), ([1.0, 2.0], 0.0, 3)):
        with pytest.raises(DataError):
            arm(*bad)
    for column in (arm([1.0, 2.0]).time, arm([1.0, 2.0]).cause, arm([1.0, 2.0]).enrolled, arm([1.0, 2.0]).censoring):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = column[1]
    death = replace(arm([1.0, 2.0]), cause=np.array(["death", "progression"], object))
    assert death.event.tolist() == [False, True]  # a death censors the time to progression
    assert replace(death, summary=replace(summary, deaths_count=True)).event.tolist() == [True, True]


SUMMARIES = {
    "nobody": ({"n": 0, "events": 0}, False), "one patient": ({"n": 1, "events": 1}, True),
    "as many events as patients": ({"events": 50}, True), "more events": ({"events": 51}, False), "fewer than none": ({"events": -1}, False),
    "deaths beside events": ({"deaths_without_progression": 30}, True), "too many of them": ({"deaths_without_progression": 31}, False),
    "no deaths": ({"deaths_without_progression": 0}, True), "deaths below 0": ({"deaths_without_progression": -1}, False),
    "deaths among events": ({"deaths_without_progression": 20, "deaths_count": True}, True),
    "more than these": ({"deaths_without_progression": 21, "deaths_count": True}, False),
    "deaths of unknown events": ({"deaths_without_progression": 1, "deaths_count": True, "events": None}, False),
    "none of unknown events": ({"deaths_without_progression": 0, "deaths_count": True, "events": None}, True),
    "deaths, events not known": ({"deaths_without_progression": 50, "events": None}, True),
    "nobody lost": ({"lost": 0.0}, True), "all lost": ({"lost": 1.0}, False), "most lost": ({"lost": 0.99}, True), "lost below 0": ({"lost": -0.01}, False),
    "at the end": ({"milestones": ((48.0, 0.5, 2),)}, True), "beyond": ({"milestones": ((48.5, 0.5, 2),)}, False),
    "at time 0": ({"milestones": ((0.0, 1.0, 2),)}, False), "survival above 1": ({"milestones": ((9.0, 1.01, 2),)}, False),
    "survival 1": ({"milestones": ((9.0, 1.0, 2),)}, True), "survival 0": ({"milestones": ((9.0, 0.0, 2),)}, True),
    "survival below 0": ({"milestones": ((9.0, -0.01, 2),)}, False), "no digits": ({"milestones": ((9.0, 1.0, 0),)}, True),
    "digits below 0": ({"milestones": ((9.0, 1.0, -1),)}, False), "infinite time": ({"milestones": ((np.inf, 1.0, 1),)}, False),
    "in order": ({"milestones": ((9.0, 0.8, 2), (10.0, 0.8, 2))}, True), "out of order": ({"milestones": ((10.0, 0.8, 2), (9.0, 0.8, 2))}, False),
    "twice": ({"milestones": ((9.0, 0.8, 2), (9.0, 0.8, 2))}, False), "rising by its rounding": ({"milestones": ((9.0, 0.8, 2), (10.0, 0.81, 2))}, True),
    "rising": ({"milestones": ((9.0, 0.8, 2), (10.0, 0.82, 2))}, False),
    "median at the end": ({"median": (48.0, 0)}, True), "median beyond": ({"median": (49.0, 0)}, False),
    "median that may be 0": ({"median": (0.5, 0)}, False), "median above that": ({"median": (0.6, 0)}, True),
    "half before the median": ({"median": (30.0, 0), "milestones": ((20.0, 0.5, 2),)}, True),
    "below a half before it": ({"median": (30.0, 0), "milestones": ((20.0, 0.49, 2),)}, False),
    "rounded to below a half": ({"median": (30.0, 0), "milestones": ((20.0, 0.498, 2),)}, True),
    "at the rounding of the median": ({"median": (30.0, 0), "milestones": ((29.5, 0.4, 2),)}, True),
    "just before it": ({"median": (30.0, 0), "milestones": ((29.4, 0.4, 2),)}, False),
    "half after the median": ({"median": (30.0, 0), "milestones": ((40.0, 0.5, 2),)}, True),
    "above a half after it": ({"median": (30.0, 0), "milestones": ((40.0, 0.51, 2),)}, False),
    "rounded to above a half": ({"median": (30.0, 0), "milestones": ((40.0, 0.504, 2),)}, True),
    "when the median is over": ({"median": (30.0, 0), "milestones": ((30.51, 0.6, 2),)}, False),
    "while it may not be": ({"median": (30.0, 0), "milestones": ((30.4, 0.6, 2),)}, True),
    "not reached": ({"median": "not reached", "milestones": ((40.0, 0.5, 2),)}, True),
    "below a half, not reached": ({"median": "not reached", "milestones": ((40.0, 0.49, 2),)}, False),
    "no median": ({"median": None, "milestones": ((40.0, 0.1, 2),)}, True),
}  # fmt: skip


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_holds_what_patients_can_give(name):
    changes, possible = SUMMARIES[name]
    if possible:
        ArmSummary(**(GOOD | changes))
    else:
        with pytest.raises(DataError):
            ArmSummary(**(GOOD | changes))


def test_the_median_is_said_as_it_was_printed():
    for median, said in (((30.0, 1), "30.0"), ((30.0, 0), "30"), ("not reached", "not reached"), (None, "not stated")):
        assert ArmSummary(**(GOOD | {"median": median})).median_text == said
    assert ArmSummary(**GOOD).name == "T, A, PFS"


def test_causes_are_told_apart_or_counted_together():
    both, apart = {"progression": ["progression", "death"]}, {"progression": ["progression"], "death": ["death"]}
    series, together = [["progression"], ["death"]], [["progression", "death"]]
    assert told_apart(apart, series, []) == told_apart(apart, together, []) == told_apart(both, together, []) == []
    assert told_apart(apart, [["progression"]], ["death"]) == []
    for causes, counts, ignores, said in (
        (both, series, [], "does not tell"), (both, [["progression"]], [], "does not tell"),
        (apart, [["progression"]], [], "neither counted nor ignored"), (apart, [*series, ["relapse"]], [], "does not record"),
        (both, [["progression"]], ["death"], "does not tell"),
    ):  # fmt: skip
        (sentence,) = told_apart(causes, counts, ignores)
        assert said in sentence


def test_an_event_of_a_table_is_what_its_summaries_say_it_may_have_been():
    for changes, causes in (
        ({}, {"progression": ["progression"]}), ({"deaths_count": True}, {"progression": ["progression", "death"]}),
        ({"deaths_count": True, "deaths_without_progression": 2}, {"progression": ["progression"], "death": ["death"]}),
        ({"deaths_without_progression": 2}, {"progression": ["progression"], "death": ["death"]}),
        ({"cause": "death", "deaths_count": True}, {"death": ["death"]}), ({"cause": "death"}, {"death": ["death"]}),
    ):  # fmt: skip
        assert causes_of(SimpleNamespace(summaries={"single": ArmSummary(**(GOOD | changes))})) == causes


@pytest.mark.parametrize(("time", "fits"), [("100", True), ("100.02", True), ("100.03", False), ("12", True)])
def test_nobody_is_followed_beyond_the_cut_by_more_than_rounding(time, fits):
    origin, problems = SimpleNamespace(follow_up=SimpleNamespace(cutoff=100.0)), Problems("t")
    _check_times(Table("t", {"time": ["5", time]}, [2, 3]), origin, problems)
    assert len(problems) == (0 if fits else 1)


def test_a_record_is_of_one_reconstruction_or_more():
    stored = Path(__file__).parents[2] / "data/patients/reconstructed/gem_cesar_2024_ttp.json"
    content = json.loads(stored.read_text())
    assert Origin.model_validate(content | {"number": 1}).number == 1
    with pytest.raises(ValueError, match="number"):
        Origin.model_validate(content | {"number": 0})
