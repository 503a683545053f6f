"""The table, the lines and the figure of what was borrowed."""

import matplotlib.pyplot as plt
import pytest

from smm_bayes.analysis.decision import ConflictEntry, Decision, Source
from smm_bayes.reporting.borrowing import borrowing_rows, borrowing_table, plot_conflict
from tests import grounds

GROUNDS = {name: said for name, said in grounds.GROUNDS.items() if name != "sources"}


def entry(trial, interval, p, events=5.0):
    return ConflictEntry(trial=trial, regimen="old", counted="progression or death", interval=interval, events=events,
                         predicted=9, lower=2, upper=30, p_value=p)  # fmt: skip


@pytest.fixture
def decision():
    told = [entry("first", "all", 0.4, 12.0), entry("first", "(0, 12]", 0.03), entry("first", "(12, inf)", 0.6)]
    first = Source(name="first", trust="published", source="a paper",
                   effective_events={"control": 3.21, "experimental": -0.4}, probability_exchangeable=0.85, conflict=told)  # fmt: skip
    every = Source(name="all earlier trials", trust="", source="",
                   effective_events={"control": 3.0, "experimental": -0.5})  # fmt: skip
    return Decision(**GROUNDS, sources=[first, every], conflict=[entry("now", "all", 0.5)])


def test_table_says_what_was_borrowed_and_where_it_conflicts(decision):
    table = borrowing_table(decision)
    assert list(table.index) == ["first", "all earlier trials", "now (this trial)"]
    first = table.loc["first"]
    assert first["effective events, control"] == "3.2"
    assert first["exchangeable"] == "0.85"
    assert first["events"] == "12"
    assert first["p"] == "0.400"
    assert first["smallest p by interval"] == "0.030 (old, (0, 12] months)"
    assert table.loc["all earlier trials", "p"] == ""
    assert table.loc["now (this trial)", "effective events, control"] == ""


def test_lines_for_a_terminal(decision):
    lines = repr(borrowing_rows(decision)).splitlines()
    assert lines[0].startswith("first")
    assert "+3.2 control, -0.4 experimental" in lines[0]
    assert "12 events (old, progression or death), predicted 9 (2 to 30), p 0.400" in lines[0]
    assert lines[2].startswith("now (this trial)")


def test_figure_has_a_panel_for_every_arm_with_intervals(decision):
    figure = plot_conflict(decision)
    (panel,) = [ax for ax in figure.axes if ax.axison]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["(0, 12]", "(12, inf)"]
    assert "Data: simulated" in figure.get_suptitle()
    plt.close(figure)


def test_without_earlier_trials_there_is_nothing_to_say():
    nothing = Decision(**GROUNDS, sources=[])
    assert borrowing_table(nothing) is None
    assert borrowing_rows(nothing) is None
    assert plot_conflict(nothing) is None
