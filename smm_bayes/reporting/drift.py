"""Plots of designs that borrow: errors and power as the truth drifts from history, and pull in conflict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.reporting.plots import literal, new_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# told apart by the colour-blind, and in grey by their markers
LOOKS = (("#000000", "o"), ("#d55e00", "s"), ("#e69f00", "D"), ("#0072b2", "^"), ("#56b4e9", "v"), ("#009e73", "<"),
         ("#7f9c1f", ">"), ("#cc79a7", "P"), ("#7a4fa3", "X"))  # fmt: skip

TICKS = (0, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1)


@literal
def plot_drift(
    table: pd.DataFrame, hazard_ratio: float, ax: Axes | None = None, *, column: str = "success",
    level: float | None = None, square_root: bool = False,
) -> Axes:  # fmt: skip
    """Draw a share of trials against the drift of the control arm, one line a method.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`smm_bayes.design.operating_characteristics` or :func:`smm_bayes.design.stopping_errors`.
    hazard_ratio : float
        Which true one; 1 shows the type I error, others the power.
    ax : matplotlib.axes.Axes, optional
    column : str
        What is drawn; with its Monte Carlo error, two on each side.
    level : float, optional
        Drawn as a dotted line, such as the type I error aimed at.
    square_root : bool
        Whether the axis is in proportion to the square root, which shows small shares apart.
    """
    ax = new_axes(ax, figsize=(8.2, 4.4))
    shown = table[np.isclose(table["hazard_ratio"], hazard_ratio)]
    error = f"{column}_mcse" if f"{column}_mcse" in table else "mcse"
    for (name, rows), (colour, marker) in zip(shown.groupby("method", sort=False), _looks(shown), strict=True):
        ax.errorbar(rows["drift"], rows[column], 2 * rows[error], color=colour, marker=marker, ms=4.5, lw=1.4,
                    elinewidth=0.9, label=str(name))  # fmt: skip
    ax.axvline(1, color="0.6", lw=0.8, zorder=0)
    if level is not None:
        ax.axhline(level, color="0.3", lw=0.9, ls=":", zorder=0)
    _drift_axis(ax, sorted(shown["drift"].unique()))
    if square_root:
        ax.set_yscale("function", functions=(_root, np.square))
        ax.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
    ax.set_ylim(0, min(1.02, 1.05 * float(shown[column].max())) or 1.0)
    what = {"success": "power" if hazard_ratio != 1 else "type I error"}.get(column, column.replace("_", " "))
    ax.set_ylabel(f"{what} (true hazard ratio {hazard_ratio:g})")
    _legend(ax)
    return ax


@literal
def plot_pull(table: pd.DataFrame, ax: Axes | None = None, *, column: str = "pull") -> Axes:
    """Draw how far each method pulls towards history in conflict against the number of current events.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`smm_bayes.design.conflict_table`.
    ax : matplotlib.axes.Axes, optional
    column : {"pull", "effective_events"}
    """
    ax = new_axes(ax, figsize=(8.2, 4.4))
    for (name, rows), (colour, marker) in zip(table.groupby("method", sort=False), _looks(table), strict=True):
        ax.plot(rows["events"], rows[column], color=colour, marker=marker, ms=4.5, lw=1.4, label=str(name))
    ax.axhline(0, color="0.6", lw=0.8)
    ax.set_xlabel("current events of the arm")
    ax.set_ylabel({"pull": "pull towards history in conflict (share of the log ratio)",
                   "effective_events": "events gained in agreement"}[column])  # fmt: skip
    _legend(ax)
    return ax


def _looks(table: pd.DataFrame) -> list[tuple[str, str]]:
    return [LOOKS[k % len(LOOKS)] for k in range(table["method"].nunique())]


def _drift_axis(ax: Axes, drifts: Sequence[float]) -> None:
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, StrMethodFormatter

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(list(drifts)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("current control hazard over history's")


def _legend(ax: Axes) -> None:
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)


def _root(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(values, 0))
