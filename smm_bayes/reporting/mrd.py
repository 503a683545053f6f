"""Plots of MRD within a trial. Each takes ``ax``, returns it, and draws from a table the user can have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.reporting.plots import COLOURS, kaplan_meier, literal, new_axes, rows_below
from smm_bayes.surrogacy.visits.rates import MrdRates
from smm_bayes.surrogacy.within.association import MilestoneEffects
from smm_bayes.surrogacy.within.hazard_ratios import BIASED
from smm_bayes.surrogacy.within.landmark import Landmark

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

STATUSES = {1: "negative", 0: "not negative"}
PALE = {"control": "#d8834b", "experimental": "#4f93cf"}  # of patients who are not negative
LIMITS = (0.02, 20.0)  # of hazard ratios drawn; what goes beyond has an arrow
RATIOS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 1, 2, 5, 10, 20)
PARTS = {
    "difference": "difference Δ", "before_landmark": "events before the landmark",
    "mrd": "MRD status at the landmark", "residual": "residual, Δₛ",
}  # fmt: skip


def landmark_curves(landmark: Landmark) -> pd.DataFrame:
    """Kaplan–Meier estimates from the landmark by arm and MRD status.

    Parameters
    ----------
    landmark : Landmark

    Returns
    -------
    pandas.DataFrame
        Indexed by ``arm`` and ``status`` (groups with a patient; unknown statuses left out): ``time`` since the
        landmark, ``survival``, ``lower`` and ``upper`` (95 % log-log limits).
    """
    import pandas as pd

    patients = landmark.patients
    found = {}
    for index, role in enumerate(patients.arms):
        for code, words in STATUSES.items():
            rows = (patients.arm == index) & (landmark.negative == code)
            if rows.any():
                found[role, words] = kaplan_meier(patients.take(rows), index)
    return pd.concat(found, names=["arm", "status", "row"]).droplevel("row")


def landmark_at_risk(landmark: Landmark, times: np.ndarray) -> pd.DataFrame:
    """Patients at risk at each time since the landmark, one row an arm and MRD status (groups with a patient)."""
    import pandas as pd

    patients, rows = landmark.patients, {}
    for index, role in enumerate(patients.arms):
        for code, words in STATUSES.items():
            time = patients.time[(patients.arm == index) & (landmark.negative == code)]
            if len(time):
                rows[role, words] = [int((time >= at).sum()) for at in times]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(times))


@literal
def plot_landmark(
    landmark: Landmark, survival: np.ndarray | None = None, time: np.ndarray | None = None, ax: Axes | None = None,
    horizon: float | None = None,
) -> Axes:  # fmt: skip
    """Draw Kaplan–Meier curves from a landmark by arm and MRD status, with patients at risk.

    Parameters
    ----------
    landmark : Landmark
    survival : numpy.ndarray, shape (..., arm, state, time), optional
        Draws of the joint model, state 1 negative, by ``JointLaw.survival_after`` at the same landmark; their
        median is drawn dashed.
    time : numpy.ndarray, shape (time,), optional
        Months since the landmark of ``survival``.
    ax : matplotlib.axes.Axes, optional
    horizon : float, optional
        Last month shown, since the landmark.
    """
    ax = new_axes(ax, figsize=(8.2, 5.0))
    patients, curves = landmark.patients, landmark_curves(landmark)
    horizon = horizon or float(np.quantile(patients.time, 0.98))
    groups = list(dict.fromkeys(curves.index))
    ends = []
    for role, words in groups:
        curve = curves.loc[[(role, words)]]
        style = _style(role, words)
        ax.step(curve["time"], curve["survival"], where="post", label=_named(landmark, role, words), **style)
        ends.append(float(curve.loc[curve["time"] <= horizon, "survival"].iloc[-1]))
        if survival is not None and time is not None:
            draws = np.asarray(survival)[..., patients.arms.index(role), int(words == STATUSES[1]), :]
            middle = np.median(draws.reshape(-1, draws.shape[-1]), axis=0)
            ax.plot(time, middle, color=style["color"], linestyle="--", linewidth=1)
    lowest = float(curves.loc[curves["time"] <= horizon, "survival"].min())
    low = max(0.0, lowest - 0.1) if lowest > 0.4 else 0.0
    dashed = "" if survival is None else "; dashed: joint model, median"
    ax.set(xlim=(0, horizon), ylim=(low, 1.02), ylabel="free of event since the landmark",
           title=f"Data: {patients.provenance}{dashed}")  # fmt: skip
    names = [_named(landmark, role, words) for role, words in groups]
    colours = [_style(role, words)["color"] for role, words in groups]
    _beside(ax, names, _apart(ends, 0.06 * (1.02 - low)), colours)
    ticks = [tick for tick in ax.get_xticks() if 0 <= tick <= horizon]
    ax.set_xticks(ticks)
    table = landmark_at_risk(landmark, np.array(ticks))
    rows_below(ax, ticks, table.set_axis(names), colours, f"Months since the landmark at month {landmark.month:g}")
    return ax


@literal
def plot_mrd_rates(rates: MrdRates, ax: Axes | None = None, *, data: str, denominators: Sequence[str] = ()) -> Axes:
    """Draw MRD-negative rates by outcome, denominator and arm, with their intervals and counts.

    Parameters
    ----------
    rates : MrdRates
    ax : matplotlib.axes.Axes, optional
    data : str
        What the patients are: real, reconstructed or simulated.
    denominators : sequence of str
        Those to show, by name; all by default.
    """
    table = rates.table()
    if denominators:
        table = table[table["denominator"].isin(list(denominators))]
    rows = list(dict.fromkeys(zip(table["outcome"], table["denominator"], strict=True)))
    arms = list(dict.fromkeys(table["arm"]))
    ax = new_axes(ax, figsize=(7.5, 1.0 + 0.42 * len(rows)))
    for position, arm in enumerate(arms):
        mine = table[table["arm"] == arm]
        pairs = zip(mine["outcome"], mine["denominator"], strict=True)
        y = np.array([rows.index(pair) for pair in pairs]) + 0.34 * (position - (len(arms) - 1) / 2)
        ax.hlines(y, mine["lower"], mine["upper"], color=COLOURS[arm], linewidth=2)
        ax.plot(mine["rate"], y, "o", color=COLOURS[arm], markersize=5, label=arm)
        counts = [f"{negative} of {number}" for negative, number in zip(mine["negative"], mine["number"], strict=True)]
        _beside(ax, counts, y.tolist(), [COLOURS[arm]] * len(y))
    names = [f"{outcome}, of {name.replace('_', ' ')}" for outcome, name in rows]
    ax.set_yticks(np.arange(len(rows)), names, fontsize=8)
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6),
           xlabel=f"MRD-negative (rate and {100 * rates.probability:g} % interval)")  # fmt: skip
    _finish(ax, data)
    ax.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return ax


@literal
def plot_milestone(effects: MilestoneEffects, ax: Axes | None = None, *, data: str) -> Axes:
    """Draw the difference in survival at a milestone and the parts that sum to it.

    Parameters
    ----------
    effects : MilestoneEffects
        Its table (``to_frame``) is what is drawn.
    ax : matplotlib.axes.Axes, optional
    data : str
        What the patients are: real, reconstructed or simulated.
    """
    ax = new_axes(ax, figsize=(7.5, 2.6))
    table = effects.table().loc[list(PARTS)]
    _forest(ax, table["median"], table["lower"], table["upper"], list(PARTS.values()), 0.0)
    shares = [f"{row.median:+.3f} ({row.lower:+.3f} to {row.upper:+.3f})" for row in table.itertuples()]
    _beside(ax, shares, range(len(shares)))
    ax.set_xlabel(f"event-free at month {effects.time:g}, experimental less control "
                  f"(median and {100 * effects.probability:g} % interval)")  # fmt: skip
    _finish(ax, data)
    return ax


@literal
def plot_hazard_ratios(table: pd.DataFrame, ax: Axes | None = None, *, data: str) -> Axes:
    """Draw hazard ratios of MRD-negative over not by several ways of comparing.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`~smm_bayes.surrogacy.within.hazard_ratios.hazard_ratio_table`: its index names the rows, ``ratio``,
        ``lower`` and ``upper`` are drawn, ``note`` is written under the name. What is biased by construction is grey
        and open.
    ax : matplotlib.axes.Axes, optional
    data : str
        What the patients are: real, reconstructed or simulated.
    """
    ax = new_axes(ax, figsize=(7.8, 1.0 + 0.55 * len(table)))
    biased = (table["note"] == BIASED).tolist()
    ratio, low, high = (np.clip(table[name].to_numpy(dtype=float), *LIMITS) for name in ("ratio", "lower", "upper"))
    names = [f"{name}\n({note})" if note else str(name) for name, note in zip(table.index, table["note"], strict=True)]
    ax.set_xscale("log")
    _forest(ax, ratio, low, high, names, 1.0, biased)
    for ends, limit, marker in ((table["lower"], LIMITS[0], "<"), (table["upper"], LIMITS[1], ">")):
        beyond = np.flatnonzero(~np.isclose(np.clip(ends.to_numpy(dtype=float), *LIMITS), ends))
        ax.plot(np.full(len(beyond), limit), beyond, marker, color="#333333", markersize=6, clip_on=False)
    left, right = min(low.min(), 0.5) / 1.15, max(high.max(), 2.0) * 1.15
    ticks = [tick for tick in RATIOS if left <= tick <= right]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set(xlim=(left, right), xlabel="hazard, MRD-negative over not (estimate or median, 95 % interval)")
    said = [f"{row.ratio:.2f} ({row.lower:.2f} to {row.upper:.2f})" for row in table.itertuples()]
    _beside(ax, said, range(len(said)))
    _finish(ax, data)
    return ax


def _forest(
    ax: Axes, middle: Any, low: Any, high: Any, names: list[str], none: float, grey: Sequence[bool] = ()
) -> None:
    """Intervals, one row below the other, and the line of no effect."""
    ax.axvline(none, color="#555555", linewidth=0.9)
    for y, (m, a, b) in enumerate(zip(middle, low, high, strict=True)):
        pale = bool(grey) and grey[y]
        colour = "#888888" if pale else COLOURS["experimental"]
        ax.plot([a, b], [y, y], color=colour, linewidth=2)
        ax.plot([m], [y], "o", color=colour, markersize=6, markerfacecolor="white" if pale else colour)
    ax.set_yticks(np.arange(len(names)), names, fontsize=8)
    ax.set_ylim(len(names) - 0.5, -0.5)


def _beside(ax: Axes, words: Sequence[str], heights: Sequence[float], colours: Sequence[str] = ()) -> None:
    """Write words on the right of the axes."""
    for k, (said, y) in enumerate(zip(words, heights, strict=True)):
        ax.annotate(said, (1, y), xycoords=("axes fraction", "data"), xytext=(7, 0), textcoords="offset points",
                    va="center", fontsize=8, color=colours[k] if colours else "#333333")  # fmt: skip


def _finish(ax: Axes, data: str) -> None:
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_title(f"Data: {data}", loc="right", fontsize=10)


def _style(role: str, words: str) -> dict[str, Any]:
    return {"color": (COLOURS if words == STATUSES[1] else PALE)[role], "linewidth": 1.8}


def _named(landmark: Landmark, role: str, words: str) -> str:
    return f"{landmark.patients.arm_name(role)}, {words}"


def _apart(values: Sequence[float], gap: float) -> list[float]:
    """Heights of labels near the values, none nearer to another than ``gap``, in the values' order."""
    order = np.argsort(values, kind="stable")
    placed = np.array(values, dtype=float)[order]
    for k in range(1, len(placed)):
        placed[k] = max(placed[k], placed[k - 1] + gap)
    placed -= max(0.0, placed[-1] - max(values))
    for k in range(len(placed) - 2, -1, -1):
        placed[k] = min(placed[k], placed[k + 1] - gap)
    return placed[np.argsort(order)].tolist()
