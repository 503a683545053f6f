"""Figures of designs that borrow: numbers on the axes are those of the table."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from smm_bayes.reporting.borrowing import LOOKS, plot_drift, plot_pull

METHODS = [f"method {k}" for k in range(9)]
DRIFTS = [0.5, 1.0, 2.0]
TABLE = pd.DataFrame([(name, drift, ratio, (0.05 + 0.02 * k) * drift / ratio, 0.01, 0.5, 0.02)
                      for k, name in enumerate(METHODS) for drift in DRIFTS for ratio in (1.0, 0.5)],
                     columns=["method", "drift", "hazard_ratio", "success", "mcse", "stops", "stops_mcse"])  # fmt: skip


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_drift_draws_every_method_with_two_errors_on_each_side():
    ax = plot_drift(TABLE, 0.5, level=0.025)
    assert labels(ax) == METHODS
    for container, name in zip(ax.containers, METHODS, strict=True):
        rows = TABLE[(TABLE["method"] == name) & (TABLE["hazard_ratio"] == 0.5)]
        line, _, (bars,) = container
        assert line.get_xdata().tolist() == DRIFTS
        assert line.get_ydata() == pytest.approx(rows["success"].to_numpy())
        low, high = bars.get_segments()[0][:, 1]
        assert high - low == pytest.approx(0.04)
    assert ax.get_ylabel() == "power (true hazard ratio 0.5)"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.5", "1", "2"]
    assert len({(line.get_color(), line.get_marker()) for line, *_ in ax.containers}) == len(LOOKS) == 9


def test_type_one_error_on_a_square_root_axis():
    _, given = plt.subplots()
    ax = plot_drift(TABLE, 1.0, given, square_root=True)
    assert ax is given
    assert ax.get_ylabel() == "type I error (true hazard ratio 1)"
    low, high = (ax.transData.transform((1, y))[1] for y in (0, 0.25))
    middle = ax.transData.transform((1, 0.0625))[1]
    assert middle == pytest.approx((low + high) / 2, abs=1e-6)
    assert plot_drift(TABLE, 1.0, column="stops").get_ylabel() == "stops (true hazard ratio 1)"


def test_pull_draws_every_method():
    table = pd.DataFrame([(name, events, 0.1 * k, events * k) for k, name in enumerate(METHODS) for events in (8.0, 30.0)],
                         columns=["method", "events", "pull", "effective_events"])  # fmt: skip
    ax = plot_pull(table)
    assert labels(ax) == METHODS
    assert ax.lines[3].get_ydata() == pytest.approx([0.3, 0.3])
    gained = plot_pull(table, column="effective_events")
    assert gained.lines[2].get_ydata() == pytest.approx([16, 60])
    assert gained.get_ylabel() == "events gained in agreement"
