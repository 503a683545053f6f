"""A forest plot of subgroups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smm_bayes.reporting.plots import literal

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@literal
def plot_forest(table: pd.DataFrame, *, provenance: str, ax: Axes | None = None) -> Axes:
    """Draw hazard ratios of subgroups with their credible intervals, and how many patients and events each has.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`smm_bayes.survival.subgroups.subgroup_table`.
    provenance : str
        Of the data: real, reconstructed or simulated.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, StrMethodFormatter

    if ax is None:
        _, ax = plt.subplots(figsize=(8.5, 1.6 + 0.34 * len(table)), layout="constrained")
    place = range(len(table) - 1, -1, -1)
    for y, (name, row) in zip(place, table.iterrows(), strict=True):
        whole = name == table.index[0]
        ax.plot([row["lower"], row["upper"]], [y, y], color="C0", lw=2.2 if whole else 1.4)
        ax.plot(row["median"], y, "D" if whole else "s", color="C0", ms=7 if whole else 5)
    middle, low, high = float(table["median"].iloc[0]), min(table["lower"].min(), 0.9), max(table["upper"].max(), 1.1)
    ax.axvline(1, color="0.3", lw=0.9)
    ax.axvline(middle, color="C0", lw=0.8, ls=":")
    ax.set_xscale("log")
    ax.set_xlim(low / 1.1, high * 1.1)
    ticks = [tick for tick in (0.1, 0.2, 0.33, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10) if low / 1.1 <= tick <= high * 1.1]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    counts = [f"{row['events_experimental']:.0f}/{row['patients_experimental']:.0f} v {row['events_control']:.0f}/"
              f"{row['patients_control']:.0f}" for _, row in table.iterrows()]  # fmt: skip
    labels = [f"{name}   {count}" for name, count in zip(table.index, counts, strict=True)]
    ax.set_yticks(list(place), labels)
    ax.set_ylim(-0.6, len(table) - 0.4)
    said = [f"{row['median']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})" for _, row in table.iterrows()]
    for y, words in zip(place, said, strict=True):
        ax.text(1.02, y, words, transform=ax.get_yaxis_transform(), va="center", fontsize=9)
    ax.set_xlabel("hazard ratio (95 % credible interval); below 1 favours experimental")
    ax.set_title(f"Events/patients, experimental v control. Data: {provenance}", fontsize=10, loc="left")
    return ax
