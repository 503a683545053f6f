"""Figures of a backtest: ways of forecasting side by side, and each forecast against what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.reporting.plots import COLOURS, literal

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GOOD = (0.7, 0.9)  # coverage that an 80 % interval is asked for
PANELS = {
    "in_80": "coverage of 80 % intervals",
    "width_80": "width of 80 % intervals\n(log scale; less is sharper)",
    "log_score": "mean log score\n(more is better)",
    "crps": "mean CRPS\n(less is better)",
}
TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@literal
def plot_compared(table: pd.DataFrame, reference: str = "") -> Figure:
    """Draw coverage, sharpness and scores, a row a way of forecasting.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`smm_bayes.analysis.backtest.compared`.
    reference : str, optional
        A row at whose values thin lines stand.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    place = np.arange(len(table))[::-1]
    size = (11, 1.2 + 0.32 * len(table))
    figure, panels = plt.subplots(1, len(PANELS), figsize=size, sharey=True, layout="constrained")
    for ax, (name, title) in zip(panels, PANELS.items(), strict=True):
        if name == "in_80":
            ax.axvspan(*GOOD, color="0.9", zorder=0)
            ax.set_xlim(0, 1.04)
        if reference:
            ax.axvline(table.loc[reference, name], color="0.5", lw=0.8, ls=":")
        ax.plot(table[name], place, "o", color=COLOURS["experimental"], ms=6)
        for y, value in zip(place, table[name], strict=True):
            ax.annotate(f"{value:.2f}", (value, y), (0, 6), textcoords="offset points", ha="center", fontsize=7.5)
        ax.set_title(title, fontsize=9.5)
        ax.grid(axis="y", color="0.92")
        ax.margins(x=0.12)
    panels[0].set_yticks(place, table.index, fontsize=9)
    panels[0].set_ylim(-0.6, len(table) - 0.3)
    return figure


@literal
def plot_published(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw forecasts over what was published: medians and 80 % intervals, a published estimate being at 1.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of one way of forecasting: ``trial``, ``kind``, ``month``, ``arm``, ``endpoint``, ``median``, ``low_80``,
        ``high_80``, ``published``, ``in_80``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(9, 1.3 + 0.21 * len(table)), layout="constrained")
    place = np.arange(len(table))[::-1]
    low, middle, high = (np.exp(table[name] - table["published"]) for name in ("low_80", "median", "high_80"))
    inside = table["in_80"].astype(bool).to_numpy()
    for mask, colour, label in ((inside, COLOURS["experimental"], "holds what was published"),
                                (~inside, COLOURS["control"], "does not")):  # fmt: skip
        ax.hlines(place[mask], low[mask], high[mask], color=colour, lw=2.4, alpha=0.55, label=f"80 % interval {label}")
        ax.plot(middle[mask], place[mask], "o", color=colour, ms=4)
    ax.axvline(1, color="black", lw=0.9)
    ax.set_xscale("log")
    ticks = [tick for tick in TICKS if low.min() / 1.2 <= tick <= high.max() * 1.2]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(place, [_name(row) for row in table.to_dict("records")], fontsize=7.5)
    ax.set_ylim(-0.8, len(table) - 0.2)
    ax.set_xlabel("forecast over published, with its sampling error (hazard ratios; cumulative hazards)", fontsize=9)
    ax.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    return ax


def _name(row: dict) -> str:
    """Say what was forecast."""
    if row["kind"] == "milestone":
        return f"{row['trial']}: {row['arm']}, {row['endpoint']} to {row['month']:g} months"
    given = ", given MRD" if row["kind"].endswith("MRD") else ""
    return f"{row['trial']}: hazard ratio of {row['endpoint']}{given}"
