"""Figures: what is drawn is what the data say. Numbers on the axes are compared, never pictures."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from smm_bayes.evidence.made import Reconstructions
from smm_bayes.evidence.reconstruct import ArmSummary, FollowUp, PseudoArm
from smm_bayes.prediction import EventCount, FinalAnalysis
from smm_bayes.prediction.probability import Prediction
from smm_bayes.reporting import plots
from smm_bayes.survival import TimeGrid
from smm_bayes.trial import Patients


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")


def two_arms(arms=("control", "experimental")):
    """Four patients on Old (events at 2 and 6), three on New (event at 3); ``experimental`` alone takes New."""
    rows = [("Old", 2, 0), ("Old", 4, -1), ("Old", 6, 1), ("Old", 8, -1), ("New", 3, 0), ("New", 5, -1), ("New", 9, -1)]
    rows = rows if len(arms) == 2 else rows[4:]
    names = ("Old", "New")[-len(arms) :]
    cause = np.array([cause for *_, cause in rows])
    return Patients(
        patient=np.arange(len(rows)).astype(str).astype(object), arm=np.array([names.index(arm) for arm, *_ in rows]),
        time=np.array([float(time) for _, time, _ in rows]), event=cause >= 0, cause=cause,
        censoring=np.where(cause >= 0, "", "administrative").astype(object), enrolled=None, arms=arms, arm_names=names,
        causes=("progression", "death"), provenance="simulated",
    )  # fmt: skip


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def line(ax, label):
    (found,) = [one for one in ax.lines if one.get_label() == label]
    return found


def segments(ax):
    """Ends of all horizontal bars as (y, low, high), rounded."""
    drawn = [segment for bars in ax.collections for segment in bars.get_segments()]
    return {(round(float(y), 3), float(low), float(high)) for (low, y), (high, _) in drawn}


def printed_below(ax):
    """The table under the axis: name of the arm, and its entries by tick."""
    rows, entries = {}, {}
    for text in ax.texts:
        if hasattr(text, "xyann"):
            rows[text.get_text()], entries = entries, {}
        else:
            entries[text.get_position()[0]] = text.get_text()
    return rows


def test_kaplan_meier_by_hand():
    curve = plots.kaplan_meier(two_arms(), 0)
    assert curve["time"].tolist() == [0, 2, 6, 8]
    assert curve["survival"].tolist() == pytest.approx([1, 0.75, 0.375, 0.375])
    assert ((curve["lower"] <= curve["survival"]) & (curve["survival"] <= curve["upper"])).all()


def test_kaplan_meier_without_an_event_stays_at_one():
    patients = two_arms().count_only("death")
    curve = plots.kaplan_meier(patients, 1)
    assert curve[["time", "survival"]].to_numpy().tolist() == [[0, 1], [9, 1]]


def test_at_risk_by_hand():
    table = plots.at_risk(two_arms(), np.array([0, 4, 4.5, 9]))
    assert table.loc["Old"].tolist() == [4, 3, 2, 0]  # who leaves at 4 is still at risk there
    assert table.loc["New"].tolist() == [3, 2, 2, 1]


def test_survival_plot_draws_the_estimate_the_model_and_who_is_at_risk():
    patients, hazard = two_arms(), np.full((1, 9, 2, 2, 1), np.log(0.05))
    hazard[..., 1, :] = np.log(0.01)
    log_hazard = xr.DataArray(
        hazard, dims=("chain", "draw", "arm", "cause", "interval"),
        coords={"arm": ["control", "experimental"], "cause": list(patients.causes)},
    )  # fmt: skip
    ax = plots.plot_survival(patients, log_hazard, TimeGrid(()), causes=("progression",), horizon=8)
    assert line(ax, "Old: Kaplan–Meier").get_ydata().min() == pytest.approx(0.75)  # the death at 6 censors
    model = [one for one in ax.lines if one.get_linestyle() == "--"]
    assert len(model) == 2
    assert model[0].get_ydata() == pytest.approx(np.exp(-0.05 * model[0].get_xdata()))
    assert ax.get_title() == "Data: simulated"
    assert ax.get_ylabel() == "free of progression (other causes censored)"
    below = printed_below(ax)
    assert set(below) == {"Old", "New"}
    for arm, times in {"Old": [2, 4, 6, 8], "New": [3, 5, 9]}.items():
        assert len(below[arm]) > 2
        assert below[arm] == {tick: f"{sum(time >= tick for time in times)}" for tick in below[arm]}


def test_events_check_holds_what_was_seen_and_what_the_model_gives():
    patients, grid = two_arms(), TimeGrid((4,))
    table = grid.tabulate(patients)
    hazard = xr.DataArray(np.full((1, 4000, 2, 2, 2), np.log(2.0)), dims=("chain", "draw", "arm", "cause", "interval"))
    check = plots.events_check(hazard, table, rng=np.random.default_rng(1))
    assert check["observed"].sum() == 3
    control = check.xs("control", level="arm")
    assert control.xs("death", level="cause")["observed"].tolist() == [0, 1]
    predicted = control.xs("progression", level="cause")["predicted"].to_numpy()
    assert predicted == pytest.approx(2 * np.array([2 + 3 * 4, 2 + 4]), abs=2)  # twice the patient-months
    ax = plots.plot_events(check, "death")
    assert line(ax, "control: observed").get_ydata().tolist() == [0, 1]
    assert line(ax, "experimental: observed").get_ydata().tolist() == [0, 0]
    assert [label.get_text() for label in ax.get_xticklabels()] == list(grid.labels)
    assert ax.get_ylabel() == "events: death"


def prediction(columns, success, arms=("control", "experimental")):
    success = np.array(success)
    return Prediction(float(success.mean()), 0.01, success, {name: np.array(x) for name, x in columns.items()},
                      EventCount(at_least=1), FinalAnalysis("date", date=9.0), two_arms(arms))  # fmt: skip


def test_histogram_of_event_counts_has_one_bar_a_count():
    counts = [7, 8, 8, 9, 9, 9, 11]
    one = prediction({"experimental:progression": counts, "experimental:death": [1] * 7},
                     [False] * 3 + [True] * 4, ("experimental",))  # fmt: skip
    ax = plots.plot_prediction(one, observed=10)
    won, lost = (
        {round(bar.get_x() + bar.get_width() / 2, 9): bar.get_height() for bar in bars} for bars in ax.containers
    )
    assert {x: height for x, height in won.items() if height} == {10: 3, 12: 1}
    assert {x: height for x, height in lost.items() if height} == {8: 1, 9: 2}
    assert all(bar.get_width() == pytest.approx(1) for bars in ax.containers for bar in bars)
    assert ax.get_xlabel() == "events at the final analysis"
    assert line(ax, "what happened: 10.00").get_xdata()[0] == 10


def test_histogram_of_hazard_ratios_leaves_out_what_is_none():
    ratios = [*np.linspace(0.5, 1.5, 96), 0.0, np.inf, np.nan, np.nan]
    two = prediction({"hazard_ratio": ratios}, np.array(ratios) < 0.7)
    ax = plots.plot_prediction(two)
    won, lost = (sum(bar.get_height() for bar in bars) for bars in ax.containers)
    drawn = np.array(ratios[:96])
    assert won == pytest.approx((drawn < 0.7).sum(), abs=1)  # the outermost are cut off
    assert won + lost >= 94
    assert ax.get_title() == f"Data: {two.patients.provenance}"
    assert ax.get_xscale() == "log"
    assert legend(ax) == ["success (20 %)", "no success (80 %)"]


def test_prior_curves_show_their_median():
    time = np.linspace(0, 24, 5)
    rates = np.linspace(0.01, 0.05, 41)
    ax = plots.plot_prior_survival(np.exp(-np.outer(rates, time)), time, label="free of death")
    assert line(ax, "prior median").get_ydata() == pytest.approx(np.exp(-0.03 * time))
    assert len(ax.lines) == 1 + 25
    assert ax.get_ylabel() == "free of death"


def test_probabilities_have_two_errors_on_each_side():
    table = pd.DataFrame({"probability": [0.3, 0.5], "mcse": [0.01, 0.02]}, index=["with", "without"])
    ax = plots.plot_probabilities(table, reference=0.3)
    ends = sorted((low, high) for _, low, high in segments(ax))
    assert ends == [pytest.approx((0.28, 0.32)), pytest.approx((0.46, 0.54))]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["with", "without"]
    assert ax.get_ylim() == (1.5, -0.5)  # the first row on top


FORECAST = pd.DataFrame(
    [("TTP", "hazard_ratio", "proportional", 0.2, {"0.5": [0.18, 0.22], "0.95": [0.1, 0.4]}),
     ("OS", "hazard_ratio", "proportional", 0.4, {"0.5": [0.3, 0.5], "0.95": [0.15, 0.9]}),
     ("TTP", "hazard_ratio", "separate", 0.3, {"0.5": [0.25, 0.35], "0.95": [0.12, 0.6]})],
    columns=["outcome", "quantity", "hazards", "median", "intervals"],
)  # fmt: skip


def test_forecast_draws_every_median_interval_and_what_happened():
    ax = plots.plot_forecast(FORECAST, {("OS", "hazard_ratio"): 0.43}, label="ratio", logarithmic=True)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["TTP: hazard ratio", "OS: hazard ratio"]
    assert segments(ax) == {(-0.16, 0.18, 0.22), (-0.16, 0.1, 0.4), (0.84, 0.3, 0.5), (0.84, 0.15, 0.9),
                            (0.16, 0.25, 0.35), (0.16, 0.12, 0.6)}  # fmt: skip
    medians = [one for one in ax.lines if one.get_markerfacecolor() == "white" and len(one.get_xdata())]
    assert [one.get_xdata().tolist() for one in medians] == [[0.2, 0.4], [0.3]]
    assert line(ax, "what happened").get_xydata().tolist() == [[0.43, 1.0]]
    assert legend(ax) == ["proportional hazards", "separate hazards", "what happened"]
    assert ax.get_xlabel() == "ratio (median and 50, 95 % intervals)"
    assert ax.get_xscale() == "log"


def test_wider_intervals_of_a_forecast_are_thinner():
    ax = plots.plot_forecast(FORECAST[FORECAST["hazards"] == "separate"])
    widths = [float(bars.get_linewidth()[0]) for bars in ax.collections]
    lengths = [float(np.ptp(bars.get_segments()[0][:, 0])) for bars in ax.collections]
    assert lengths[0] < lengths[1]
    assert widths[0] > widths[1]


@pytest.mark.parametrize(("given", "shown"), [({}, "reconstructed"), ({"data": "simulated"}, "simulated")])
def test_forecast_says_what_its_data_are(given, shown):
    assert plots.plot_forecast(FORECAST, **given).get_title(loc="right") == f"Data: {shown}"


def arm(name, times, events, milestones=(), median=None):
    summary = ArmSummary("T", name, "TTP", len(times), sum(events), FollowUp(10, 40), milestones, median)
    cause = np.where(events, "progression", "").astype(object)
    reason = np.where(events, "", "administrative").astype(object)
    return PseudoArm(summary, np.array(times, float), cause, reason, np.zeros(len(times)))


@pytest.fixture
def made():
    old = {"milestones": ((24, 0.5, 2),), "median": (20, 0)}
    control = (arm("Old", [6, 20, 30, 36], [1, 1, 0, 0], **old), arm("Old", [12, 20, 23, 36], [1, 1, 0, 0], **old))
    treated = (arm("New", [24, 36], [1, 0]), arm("New", [24, 40], [1, 0]))
    return Reconstructions(SimpleNamespace(name="t"), {"control": control, "experimental": treated}, seed=1)


def test_at_risk_ranges_by_hand(made):
    table = plots.at_risk_ranges(made, np.array([0, 12, 24, 36]))
    assert table.loc["Old"].tolist() == ["4", "3–4", "1–2", "1"]
    assert table.loc["New"].tolist() == ["2", "2", "2", "1"]


def test_reconstructions_are_all_drawn_with_what_was_printed(made):
    ax = plots.plot_reconstructions(made)
    curves = [one for one in ax.lines if one.get_drawstyle() == "steps-post"]
    assert len(curves) == 4
    assert curves[1].get_xdata().tolist() == [0, 12, 20, 36]  # on to the last follow-up
    assert curves[1].get_ydata() == pytest.approx([1, 0.75, 0.5, 0.5])
    assert curves[2].get_ydata() == pytest.approx([1, 0.5, 0.5])
    colours = [plots.COLOURS[role] for role in ("control", "control", "experimental", "experimental")]
    assert [to_hex(one.get_color()) for one in curves] == colours
    assert line(ax, "Old: printed milestone").get_xydata().tolist() == [[24, 0.5]]
    assert line(ax, "Old: printed median").get_xydata().tolist() == [[20, 0.5]]
    assert "New: printed median" not in legend(ax)
    assert ax.get_title() == "Data: reconstructed"
    assert ax.get_ylabel() == "free of the endpoint (TTP)"
    below = printed_below(ax)
    assert below["Old"] == {0: "4", 12: "3–4", 24: "1–2", 36: "1"}
    assert below["New"] == {0: "2", 12: "2", 24: "2", 36: "1"}
    (name,) = [text for text in ax.texts if text.get_text() == "Old"]
    assert name.get_color() == plots.COLOURS["control"]


def test_ratio_table_draws_published_and_reconstructed_side_by_side():
    columns = ["published", "lower", "upper", "milestones", "minimum", "5 %", "median", "95 %", "maximum"]
    table = pd.DataFrame([[0.18, 0.09, 0.32, 0.22, 0.15, 0.16, 0.2, 0.23, 0.25],
                          [0.5, 0.36, 0.67, 0.51, 0.35, 0.4, 0.47, 0.55, 0.6]], index=["a", "b"], columns=columns)  # fmt: skip
    ax = plots.plot_ratio_table(table)
    assert segments(ax) == {(-0.15, 0.09, 0.32), (0.85, 0.36, 0.67), (0.15, 0.15, 0.25), (1.15, 0.35, 0.6),
                            (0.15, 0.16, 0.23), (1.15, 0.4, 0.55)}  # fmt: skip
    assert line(ax, "published, with its interval").get_xdata().tolist() == [0.18, 0.5]
    assert line(ax, "reconstructions: all, 90 %, median").get_xdata().tolist() == [0.2, 0.47]
    assert line(ax, "milestones, proportional hazards").get_xdata().tolist() == [0.22, 0.51]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_title(loc="right") == "Data: reconstructed"


def test_plots_use_the_axes_they_are_given(made):
    _, given = plt.subplots()
    assert plots.plot_reconstructions(made, ax=given) is given


def test_forest_shows_every_subgroup_with_its_counts():
    import pandas as pd

    from smm_bayes.reporting.forest import plot_forest

    table = pd.DataFrame({
        "median": [0.5, 0.4, 0.7], "lower": [0.3, 0.2, 0.35], "upper": [0.8, 0.75, 1.4],
        "patients_control": [40, 25, 15], "events_control": [20, 12, 8],
        "patients_experimental": [80, 50, 30], "events_experimental": [22, 11, 11],
    }, index=["all patients", "risk: high", "risk: low"])  # fmt: skip
    ax = plot_forest(table, provenance="simulated")
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["all patients   22/80 v 20/40", "risk: high   11/50 v 12/25", "risk: low   11/30 v 8/15"]
    places = [line.get_xdata()[0] for line in ax.lines if line.get_marker() in "sD"]
    assert places == [0.5, 0.4, 0.7]
    assert [text.get_text() for text in ax.texts] == ["0.50 (0.30 to 0.80)", "0.40 (0.20 to 0.75)", "0.70 (0.35 to 1.40)"]
    low, high = ax.get_xlim()
    assert low < 0.2
    assert high > 1.4
    assert "simulated" in ax.get_title(loc="left")
