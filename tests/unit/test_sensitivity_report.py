"""What the answer depends on, as it is shown: what moves it most is first, and what was not computed says why."""

import matplotlib.pyplot as plt
import pytest

from smm_bayes.analysis.decision import Decision, SensitivityEntry
from smm_bayes.reporting.sensitivity import (
    SHOWN,
    STYLES,
    most_rows,
    plot_sensitivity,
    reasons_not_computed,
    sensitivity_table,
)
from tests.grounds import GROUNDS


def entry(name, moved, error=0.004, group="priors", **more):
    base = GROUNDS["probability_of_success"]
    probability = None if moved is None else base + moved
    return SensitivityEntry(**{
        "name": name, "group": group, "reason": "To see.", "changed": "something", "how": "by weights", "mcse": 0.01,
        "probability": probability, "moved": moved, "mcse_moved": None if moved is None else error, "pareto_k": 0.2, **more,
    })  # fmt: skip


ROWS = [
    entry("small", 0.01), entry("noise", 0.001), entry("large", -0.2, group="hazards to come", how="completed anew", pareto_k=None),
    entry("none", None, how="not computed", pareto_k=0.9, note="not by re-weighting"), entry("middle", 0.1),
]  # fmt: skip
DECISION, NOTHING = Decision(**GROUNDS, sensitivity=ROWS), Decision(**GROUNDS)


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")


def test_what_moves_the_answer_most_is_said_first():
    rows = most_rows(DECISION)
    base = DECISION.probability_of_success
    assert [name for name, _ in rows] == ["large", "middle", "small", "assumptions"]
    assert rows[0][1] == f"{base - 0.2:.3f} (-0.200 ± 0.004)"
    assert rows[-1][1] == "4 looked at in all; 1 within Monte Carlo error of no change; 1 not computed"


def test_changes_that_may_be_none_are_not_named_as_what_moves_the_answer():
    rows = most_rows(Decision(**GROUNDS, sensitivity=[entry("noise", 0.007), entry("less", 0.001)]))
    assert rows == [("assumptions", "2 looked at in all; 2 within Monte Carlo error of no change")]


def test_the_table_has_every_row_in_its_order():
    table = sensitivity_table(DECISION)
    assert list(table.index) == [one.name for one in ROWS]
    assert table.loc["large", ["moved", "mcse_moved", "kind", "how"]].tolist() == [-0.2, 0.004, "hazards to come", "completed anew"]
    assert table.loc["none", ["probability", "moved", "mcse"]].isna().tolist() == [True, True, False]
    assert table.loc["none", "Pareto k"] == 0.9
    assert list(reasons_not_computed(DECISION)) == [("none", "not by re-weighting")]


def test_the_plot_shows_each_row_at_its_place_with_two_errors():
    ax = plot_sensitivity(DECISION)
    base = DECISION.probability_of_success
    assert [text.get_text() for text in ax.get_yticklabels()] == ["large", "middle", "small", "noise"]
    drawn = list(ax.containers)
    for place, (container, moved) in enumerate(zip(drawn, (-0.2, 0.1, 0.01, 0.001), strict=True)):
        line, _, (bars,) = container
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (pytest.approx(base + moved), place)
        (left, _), (right, _) = bars.get_segments()[0]
        assert (left, right) == (pytest.approx(base + moved - 0.008), pytest.approx(base + moved + 0.008))
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"priors", "hazards to come"}
    assert f"Data: {DECISION.data}" in ax.get_title(loc="left")
    assert any(text.get_text() == f"{base - 0.2:.2f}  -0.200 ± 0.004" for text in ax.texts)


def test_rows_beyond_those_drawn_are_counted():
    many = Decision(**GROUNDS, sensitivity=[entry(f"row {number}", 0.001 * (number + 1)) for number in range(SHOWN + 3)])
    title = plot_sensitivity(many).get_title(loc="left")
    assert title.endswith("3 others move it by 0.003 or less")


def test_a_decision_without_the_table_shows_nothing():
    """Decisions written before there was one are read, and say nothing of it."""
    old = Decision.model_validate({key: value for key, value in NOTHING.model_dump().items() if key != "sensitivity"})
    assert old == NOTHING
    assert [show(old) for show in (most_rows, sensitivity_table, reasons_not_computed, plot_sensitivity)] == [None] * 4


def test_every_kind_of_assumption_has_a_style():
    from smm_bayes.analysis.sensitivity import rows

    kinds = {rows.PRIORS, rows.RELATIONS, rows.SOURCES, rows.HAZARDS, rows.LOSSES, rows.ACCRUAL, rows.PLAN, rows.SURROGATE}
    assert kinds == set(STYLES)
    assert len(set(STYLES.values())) == len(STYLES)
