"""Plots of an interim analysis. Each takes ``ax``, returns it, and draws from a table the user can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.prediction.probability import Prediction
from smm_bayes.results import literal as literal
from smm_bayes.results import new_axes as new_axes
from smm_bayes.survival.estimands import Estimands
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.law import Law
from smm_bayes.survival.replicated import events_check as events_check
from smm_bayes.trial import curves
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

    from smm_bayes.evidence.made import Reconstructions

COLOURS = {"control": "#b5541c", "experimental": "#1f5f99"}  # readable by the colour-blind and in grey
BAND = 0.25


def kaplan_meier(patients: Patients, arm: int) -> pd.DataFrame:
    """Kaplan–Meier estimate of one arm with 95 % log-log limits: time, survival, lower, upper, from 0 on."""
    import pandas as pd

    rows = patients.arm == arm
    time, event = patients.time[rows], patients.event[rows]
    entry = None if patients.entry is None else patients.entry[rows]
    curve, (lower, upper) = curves.kaplan_meier(time, event, entry), curves.kaplan_meier_limits(time, event, entry)
    found = {"time": curve.time, "survival": curve.survival, "lower": lower, "upper": upper}
    start = pd.DataFrame([[0.0, 1.0, 1.0, 1.0]], columns=list(found))
    whole = pd.concat([start, pd.DataFrame(found)], ignore_index=True)
    return pd.concat([whole, whole.iloc[[-1]].assign(time=time.max())], ignore_index=True)


def at_risk(patients: Patients, times: np.ndarray) -> pd.DataFrame:
    """Patients at risk at each time (under observation just before it, or from 0 on), one row an arm."""
    import pandas as pd

    entered = np.zeros(len(patients)) if patients.entry is None else patients.entry
    counts = {
        name: [
            int(((patients.arm == index) & ((entered < time) | (entered == 0)) & (patients.time >= time)).sum())
            for time in times
        ]
        for index, name in enumerate(patients.arm_names)
    }
    return pd.DataFrame(counts, index=times).T


@literal
def plot_survival(
    patients: Patients, log_hazard: xr.DataArray | None = None, grid: TimeGrid | None = None,
    causes: tuple[str, ...] | None = None, ax: Axes | None = None, horizon: float | None = None,
) -> Axes:  # fmt: skip
    """Draw Kaplan–Meier curves with posterior bands and a table of patients at risk.

    Parameters
    ----------
    patients : Patients
    log_hazard : xarray.DataArray, optional
        Draws; the posterior median and 95 % band of survival are drawn over the estimate.
    grid : TimeGrid, optional
        Of ``log_hazard``.
    causes : tuple of str, optional
        Causes that count; the others censor. All by default.
    ax : matplotlib.axes.Axes, optional
    horizon : float, optional
        Last month shown.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> ax = smm.plot_survival(patients)
    >>> ax.get_ylabel()
    'free of event'
    """
    ax = new_axes(ax, figsize=(7.5, 4.6))
    shown = patients.count_only(*causes) if causes else patients
    horizon = horizon or float(np.quantile(shown.time, 0.98))
    for index, role in enumerate(shown.arms):
        curve = kaplan_meier(shown, index)
        label = f"{shown.arm_name(role)}: Kaplan–Meier"
        ax.step(curve["time"], curve["survival"], where="post", color=COLOURS[role], label=label)
        if log_hazard is not None and grid is not None:
            time = np.linspace(0, horizon, 121)
            law = Law.of_draws(log_hazard.sel(arm=[role]), grid)
            draws = Estimands(law, causes=causes, extrapolate=True).survival_curve(time).isel(arm=0)
            low, middle, high = draws.quantile([0.025, 0.5, 0.975], dim=("chain", "draw")).to_numpy()
            ax.fill_between(time, low, high, color=COLOURS[role], alpha=BAND, linewidth=0,
                            label=f"{shown.arm_name(role)}: model, 95 %")  # fmt: skip
            ax.plot(time, middle, color=COLOURS[role], linestyle="--", linewidth=1)
    what = " or ".join(causes) if causes else "event"
    others = " (other causes censored)" if causes and set(causes) < set(patients.causes) else ""
    estimates = [kaplan_meier(shown, index) for index in range(len(shown.arms))]
    lowest = min(float(curve.loc[curve["time"] <= horizon, "survival"].min()) for curve in estimates)
    ax.set(xlim=(0, horizon), ylim=(max(0.0, lowest - 0.15) if lowest > 0.4 else 0.0, 1.01),
           ylabel=f"free of {what}{others}", title=f"Data: {patients.provenance}")  # fmt: skip
    ax.legend(frameon=False, fontsize=8, loc="lower left")
    _risk_table(ax, shown, horizon)
    return ax


def _risk_table(ax: Axes, patients: Patients, horizon: float) -> None:
    ticks = [tick for tick in ax.get_xticks() if 0 <= tick <= horizon]
    ax.set_xticks(ticks)
    clock = "Months since time zero (delayed entry)" if patients.delayed.any() else "Months since enrolment"
    rows_below(ax, ticks, at_risk(patients, np.array(ticks)), [COLOURS[role] for role in patients.arms], clock)


def rows_below(
    ax: Axes, ticks: Sequence[float], table: pd.DataFrame, colours: Sequence[str], clock: str = "Months since enrolment"
) -> None:
    """Write a table of patients at risk under the axis, one row a curve in its colour."""
    rows = [clock, "Patients at risk:"]
    ax.set_xlabel("\n".join(rows + [""] * (len(table) + len(table) // 3)), loc="left")  # room for the table
    transform = ax.get_xaxis_transform()
    for row, (colour, name) in enumerate(zip(colours, table.index, strict=True)):
        y = -0.24 - 0.062 * row
        style: dict[str, Any] = {"va": "top", "fontsize": 8, "color": colour}
        for tick, count in zip(ticks, table.loc[name], strict=True):
            ax.text(tick, y, f"{count}", transform=transform, ha="center", **style)
        ax.annotate(name, (0, y), xycoords="axes fraction", xytext=(-20, 0), textcoords="offset points",
                    ha="right", annotation_clip=False, **style)  # fmt: skip


@literal
def plot_events(check: pd.DataFrame, cause: str, ax: Axes | None = None) -> Axes:
    """Draw one cause of :func:`events_check`: observed events on the model's 95 % predictive limits.

    Parameters
    ----------
    check : pandas.DataFrame
        Indexed by arm, cause and interval; an interval without exposure in an arm may be left out there.
    cause : str
    ax : matplotlib.axes.Axes, optional
    """
    ax = new_axes(ax, figsize=(7.5, 3.2))
    chosen = check.xs(cause, level="cause")
    arms = list(dict.fromkeys(chosen.index.get_level_values("arm")))
    labels = sorted(set(check.index.get_level_values("interval")), key=_start)
    for position, arm in enumerate(arms):
        rows = chosen.loc[arm]
        place = np.array([labels.index(label) for label in rows.index])
        x = place + (position - (len(arms) - 1) / 2) * 0.25
        ax.vlines(x, rows["lower"], rows["upper"], color=COLOURS[arm], linewidth=5, alpha=0.35,
                  label=f"{arm}: model, 95 %")  # fmt: skip
        ax.plot(x, rows["observed"], "o", color=COLOURS[arm], markersize=4, label=f"{arm}: observed")
    ax.set_xticks(np.arange(len(labels)), labels, rotation=30, ha="right", fontsize=8)
    top = max(float(chosen["upper"].max()), float(chosen["observed"].max()), 1.0)
    ax.set(xlabel="months since enrolment", ylabel=f"events: {cause}", ylim=(-0.04 * top, 1.3 * top))  # legend above
    ax.legend(frameon=False, fontsize=8, ncols=2, loc="upper left")
    return ax


def _start(label: str) -> float:
    """First month of an interval's label."""
    return float(label.lstrip("([").split(",")[0])


@literal
def plot_prediction(prediction: Prediction, ax: Axes | None = None, observed: float | None = None) -> Axes:
    """Draw the predictive distribution of the final hazard ratio (or event count), by success or failure.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> import numpy as np
    >>> from smm_bayes.prediction import Prediction
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> prediction = Prediction(  # as smm.probability_of_success gives it, of three simulated trials
    ...     2 / 3, 0.27, np.array([True, False, True]), {"hazard_ratio": np.array([0.5, 1.1, 0.6])},
    ...     smm.LogRank(0.025), smm.FinalAnalysis("events", events=40), patients)
    >>> ax = smm.plot_prediction(prediction)
    >>> ax.get_xlabel()
    'hazard ratio at the final analysis'
    """
    ax = new_axes(ax, figsize=(7.5, 3.4))
    two_arms = len(prediction.patients.arms) > 1
    values = prediction.columns["hazard_ratio"] if two_arms else prediction.counted_events
    usable = np.isfinite(values) & ((values > 0) | (not two_arms))
    low, high = np.quantile(values[usable], [0.002, 0.998])
    bins = np.geomspace(low, high, 60) if two_arms else np.arange(np.floor(low), np.ceil(high) + 2) - 0.5
    split = [values[usable & prediction.success], values[usable & ~prediction.success]]
    percent = round(100 * prediction.probability)
    labels = [f"success ({percent} %)", f"no success ({100 - percent} %)"]
    ax.hist(split, bins=bins.tolist(), stacked=True, color=["#1f5f99", "#c9c9c9"], label=labels)
    if two_arms:
        ax.set_xscale("log")
        ticks = [tick for tick in (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5) if low <= tick <= high]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    if observed is not None:
        ax.axvline(observed, color="black", linestyle="--", label=f"what happened: {observed:.2f}")
    what = "hazard ratio at the final analysis" if two_arms else "events at the final analysis"
    ax.set(xlabel=what, ylabel="simulated trials", yticks=[], title=f"Data: {prediction.patients.provenance}")
    ax.legend(frameon=False, fontsize=8)
    return ax


@literal
def plot_prior_survival(
    curves: np.ndarray, time: np.ndarray, ax: Axes | None = None, label: str = "free of any event"
) -> Axes:
    """Draw prior survival curves, shape (draw, time): a few draws, the median and the 95 % band."""
    ax = new_axes(ax, figsize=(7.5, 3.2))
    low, middle, high = np.quantile(curves, [0.025, 0.5, 0.975], axis=0)
    ax.fill_between(time, low, high, color="#777777", alpha=BAND, linewidth=0, label="prior, 95 %")
    ax.plot(time, middle, color="#333333", label="prior median")
    ax.plot(time, curves[:25].T, color="#777777", linewidth=0.5, alpha=0.5)
    ax.set(xlim=(0, time[-1]), ylim=(0, 1.01), xlabel="months since enrolment", ylabel=label)
    ax.legend(frameon=False, fontsize=8)
    return ax


@literal
def plot_probabilities(
    table: pd.DataFrame, ax: Axes | None = None, reference: float | None = None, label: str = "probability of success"
) -> Axes:
    """Draw probabilities with their Monte Carlo errors, one row of the table below the other.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``probability`` and ``mcse``; its index names the rows.
    ax : matplotlib.axes.Axes, optional
    reference : float, optional
        A probability to compare with, drawn as a line.
    label : str
        Of the horizontal axis.
    """
    ax = new_axes(ax, figsize=(7.5, 0.9 + 0.2 * len(table)))
    place = np.arange(len(table))
    if reference is not None:
        ax.axvline(reference, color="#777777", linestyle="--", linewidth=1)
    ax.errorbar(table["probability"], place, xerr=2 * table["mcse"], fmt="o", color=COLOURS["experimental"],
                markersize=4, linewidth=1.5)  # fmt: skip
    ax.set_yticks(place, [str(name) for name in table.index], fontsize=8)
    ax.set(ylim=(len(table) - 0.5, -0.5), xlabel=f"{label} (± 2 Monte Carlo errors)", ylabel=table.index.name or "")
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    return ax


@literal
def plot_forecast(
    table: pd.DataFrame, happened: Mapping[tuple[str, str], float] | None = None, ax: Axes | None = None,
    label: str = "forecast", logarithmic: bool = False, data: str = "reconstructed",
) -> Axes:  # fmt: skip
    """Draw forecast medians with their intervals, the wider the thinner, and what happened as a cross.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a forecast, columns ``outcome``, ``quantity``, ``hazards``, ``median`` and ``intervals`` (limits by
        level), as the quantities of a stored forecast have them.
    happened : mapping of (outcome, quantity) to float, optional
    ax : matplotlib.axes.Axes, optional
    label : str
        Of the horizontal axis.
    logarithmic : bool
        Whether that axis is, as for ratios.
    data : str
        What the forecast was made from, as a stored forecast says; shown on the figure.
    """
    rows = list(dict.fromkeys(zip(table["outcome"], table["quantity"], strict=True)))
    ax = new_axes(ax, figsize=(7.5, 0.9 + 0.55 * len(rows)))
    structures = list(dict.fromkeys(table["hazards"]))
    for colour, hazards in zip(COLOURS.values(), structures, strict=False):
        chosen = table[table["hazards"] == hazards]
        shift = 0.32 * (structures.index(hazards) - (len(structures) - 1) / 2)
        pairs = zip(chosen["outcome"], chosen["quantity"], strict=True)
        place = np.array([rows.index(pair) for pair in pairs]) + shift
        levels = sorted(chosen["intervals"].iloc[0], key=float)
        for width, level in zip(np.linspace(9, 2, len(levels)), levels, strict=True):
            low, high = np.array([limits[level] for limits in chosen["intervals"]]).T
            ax.hlines(place, low, high, color=colour, alpha=0.4, linewidth=width)
        ax.plot(chosen["median"], place, "o", color="white", markeredgecolor=colour, markersize=5)
        ax.plot([], [], "o-", color=colour, markerfacecolor="white", markersize=5, linewidth=3,
                label=f"{hazards} hazards")  # fmt: skip
    seen = [(happened[row], y) for y, row in enumerate(rows) if row in happened] if happened else []
    if seen:
        ax.plot(*zip(*seen, strict=True), "x", color="black", markersize=9, markeredgewidth=2, label="what happened")
    if logarithmic:
        ax.set_xscale("log")
        low, high = ax.get_xlim()
        ticks = [tick for tick in (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5) if low <= tick <= high]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    names = [f"{outcome}: {quantity.replace('_', ' ')}" for outcome, quantity in rows]
    ax.set_yticks(np.arange(len(rows)), names, fontsize=8)
    shown = ", ".join(f"{100 * float(level):g}" for level in sorted(table["intervals"].iloc[0], key=float))
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlabel=f"{label} (median and {shown} % intervals)")
    _data_and_legend(ax, data, 3)
    return ax


def _data_and_legend(ax: Axes, data: str, columns: int) -> None:
    """Finish a plot of rows: lines to read along, the legend above it, and what the data are on its right."""
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns)
    ax.set_title(f"Data: {data}", loc="right", fontsize=10)


def at_risk_ranges(reconstructions: Reconstructions, times: np.ndarray) -> pd.DataFrame:
    """Fewest to most patients at risk at each time over the reconstructions, one row an arm."""
    import pandas as pd

    rows = {}
    for arms in reconstructions.arms.values():
        counts = np.array([[(arm.time >= time).sum() for time in times] for arm in arms])
        ends = zip(counts.min(axis=0), counts.max(axis=0), strict=True)
        rows[arms[0].summary.arm] = [f"{low}" if low == high else f"{low}–{high}" for low, high in ends]
    return pd.DataFrame(rows, index=times).T


@literal
def plot_reconstructions(reconstructions: Reconstructions, ax: Axes | None = None) -> Axes:
    """Draw the Kaplan–Meier curves of all reconstructions, what was printed of them, and the patients at risk.

    Parameters
    ----------
    reconstructions : Reconstructions
        Every curve goes on to its last follow-up; diamonds are printed milestones, squares printed medians.
    ax : matplotlib.axes.Axes, optional
    """
    ax = new_axes(ax, figsize=(7.5, 4.6))
    horizon = max(float(arm.time.max()) for arms in reconstructions.arms.values() for arm in arms)
    for role, arms in reconstructions.arms.items():
        summary = arms[0].summary
        for arm in arms:
            time, survival = np.append(0.0, arm.curve.time), np.append(1.0, arm.curve.survival)
            ax.step(np.append(time, arm.time.max()), np.append(survival, survival[-1]), where="post",
                    color=COLOURS[role], linewidth=0.7, alpha=0.5)  # fmt: skip
        ax.plot([], [], color=COLOURS[role], label=f"{summary.arm}: {len(arms)} reconstructions")
        style: dict[str, Any] = {"linestyle": "none", "color": "white", "markeredgecolor": COLOURS[role],
                                 "markeredgewidth": 1.8, "markersize": 8, "zorder": 5}  # fmt: skip
        times, levels = [stone[0] for stone in summary.milestones], [stone[1] for stone in summary.milestones]
        ax.plot(times, levels, marker="D", label=f"{summary.arm}: printed milestone", **style)
        if isinstance(summary.median, tuple):
            ax.plot([summary.median[0]], [0.5], marker="s", label=f"{summary.arm}: printed median", **style)
    ticks = np.arange(0, horizon, 12).tolist()
    ax.set_xticks(ticks)
    ax.set(xlim=(0, horizon), ylim=(0, 1.01), ylabel=f"free of the endpoint ({summary.endpoint})",
           title="Data: reconstructed")  # fmt: skip
    ax.legend(frameon=False, fontsize=8, loc="lower left")
    table = at_risk_ranges(reconstructions, np.array(ticks))
    rows_below(ax, ticks, table, [COLOURS[role] for role in reconstructions.arms])
    return ax


@literal
def plot_ratio_table(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw published hazard ratios with their intervals beside what reconstructions and milestones give.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`smm_bayes.reporting.words.ratio_table` gives it.
    ax : matplotlib.axes.Axes, optional
    """
    ax = new_axes(ax, figsize=(7.5, 1.2 + 0.6 * len(table)))
    place, colour = np.arange(len(table)), COLOURS["experimental"]
    ax.hlines(place - 0.15, table["lower"], table["upper"], color="#333333")
    ax.plot(table["published"], place - 0.15, "o", color="#333333", markersize=6, label="published, with its interval")
    ax.hlines(place + 0.15, table["minimum"], table["maximum"], color=colour, linewidth=2)
    ax.hlines(place + 0.15, table["5 %"], table["95 %"], color=colour, linewidth=7, alpha=0.5)
    ax.plot(table["median"], place + 0.15, "o", color="white", markeredgecolor=colour, markersize=6,
            label="reconstructions: all, 90 %, median")  # fmt: skip
    ax.plot(table["milestones"], place + 0.15, "x", color="black", markersize=8, markeredgewidth=2,
            label="milestones, proportional hazards")  # fmt: skip
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ticks = [tick for tick in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5) if low <= tick <= high]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(place, [str(name) for name in table.index])
    ax.set(ylim=(len(table) - 0.5, -0.5), xlabel="hazard ratio")
    _data_and_legend(ax, "reconstructed", 2)
    return ax
