"""Plots of a relation across trials that is carried over to another setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.reporting.plots import BAND, COLOURS, literal, new_axes
from smm_bayes.reporting.surrogacy import POINTS, as_it_is, ratio_axis
from smm_bayes.surrogacy import Relation, Transported

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PARTS = 10  # of a relation's draws, for Monte Carlo errors


@literal
def plot_transport(transported: Transported, ax: Axes | None = None, *, largest: float = 15.0) -> Axes:
    """Draw what odds ratios predict of a trial's hazard ratio: among the relation's trials, and in the new setting.

    Bands hold 95 %. Odds ratios outside the trials' estimates are shaded: there the line is extrapolated.

    Parameters
    ----------
    transported : Transported
        It has to carry something over.
    ax : matplotlib.axes.Axes, optional
    largest : float
        Of the odds ratios drawn.
    """
    ax = new_axes(ax, figsize=(7.6, 4.2))
    grid = np.linspace(0.0, np.log(largest), POINTS)
    ratio, relation = np.exp(grid), transported.relation
    looks = (("in the new setting", transported, COLOURS["control"]),
             ("among the trials", as_it_is(relation), COLOURS["experimental"]))  # fmt: skip
    edges = []
    for label, one, colour in looks:
        low, middle, high = np.exp(one.predict(grid))
        ax.fill_between(ratio, low, high, color=colour, alpha=BAND, lw=0, label=f"{label}, 95 %")
        ax.plot(ratio, middle, color=colour, lw=1.5, label=f"{label}, median")
        edges += [low.min(), high.max()]
    for start, end in _beyond(relation, largest):
        ax.axvspan(start, end, facecolor="0.85", alpha=0.5, hatch="///", edgecolor="0.7", lw=0, zorder=0)
    said = "outside the trials" if relation.log_odds_ratios is not None else "the trials' range is unknown"
    ax.plot([], [], color="none", label=f"hatched: {said}")
    ax.axhline(1, color="0.4", lw=0.9)
    ratio_axis(ax, "x", 1.0, largest)
    ratio_axis(ax, "y", max(min(edges), 0.05), min(max(*edges, 1.2), 6.0))
    ax.set(xlabel="odds ratio of negativity, taken as known", ylabel="hazard ratio of progression or death")
    ax.set_title(f"Relation from {relation.source} ({relation.trials} trials), carried over", fontsize=10, loc="left")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    return ax


def predicted_table(settings: Mapping[str, Transported], odds_ratios: Sequence[float]) -> pd.DataFrame:
    """Hazard ratios that odds ratios of negativity, taken as known, predict by setting.

    Returns
    -------
    pandas.DataFrame
        A row a setting and odds ratio: ``median``, ``lower`` and ``upper`` (95 %) of the hazard ratio; ``below 1``, the
        probability, and its Monte Carlo error ``mcse`` from ten parts of the relation's draws; ``extrapolated``,
        whether the odds ratio is outside the trials' estimates.
    """
    import pandas as pd

    rows = {}
    for name, one in settings.items():
        parts = one.split(PARTS)
        for ratio in odds_ratios:
            known = float(np.log(ratio))
            lower, median, upper = np.exp(one.predict(known)).tolist()
            errors = np.std([float(part.at(known).cdf(0.0)) for part in parts], ddof=1) / np.sqrt(PARTS)
            flagged = one.extrapolates(np.array([known])).is_flagged
            rows[name, ratio] = [median, lower, upper, float(one.at(known).cdf(0.0)), float(errors), flagged]
    columns = ["median", "lower", "upper", "below 1", "mcse", "extrapolated"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.set_axis(pd.MultiIndex.from_tuples(rows, names=["setting", "odds ratio"]))


def _beyond(relation: Relation, largest: float) -> list[tuple[float, float]]:
    """Odds ratios between 1 and the largest that no trial of the relation had."""
    if relation.log_odds_ratios is None:
        return [(1.0, largest)]
    low, high = np.exp(relation.log_odds_ratios)
    return [(start, end) for start, end in ((1.0, float(low)), (float(high), largest)) if start < end]


@literal
def plot_tipping(
    table: pd.DataFrame, threshold: float, ax: Axes | None = None, *, shift: float = 0.0, answer: str = "answer"
) -> Axes:  # fmt: skip
    """Draw the answer over scale and extra SD at one shift, with the contour where it crosses a threshold.

    Cells are coloured and printed; the extra SD is given as the fold within which 95 % of hazard ratios lie.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`~smm_bayes.surrogacy.across.tipping.tipping_table`.
    threshold : float
        Line between cells on its one side and on the other.
    ax : matplotlib.axes.Axes, optional
    shift : float
        Row of the table that is drawn.
    answer : str
        What the answer is.

    Raises
    ------
    SpecificationError
        When the table has no such shift.
    """
    from matplotlib.colors import TwoSlopeNorm

    part = table[np.isclose(table["shift"], shift)]
    if not len(part):
        raise SpecificationError(f"plot_tipping: no row has shift {shift:g}; there are {sorted(set(table['shift']))}")
    grid = part.pivot_table(index="extra_sd", columns="scale", values="answer").sort_index()
    values = grid.to_numpy()
    ax = new_axes(ax, figsize=(1.8 + 0.8 * values.shape[1], 1.6 + 0.42 * values.shape[0]))
    ends = table["answer"].min(), table["answer"].max()  # of the whole table: figures of its shifts are alike
    norm = TwoSlopeNorm(threshold, min(threshold - 0.02, ends[0]), max(threshold + 0.02, ends[1]))
    ax.pcolormesh(values, cmap="RdYlBu", norm=norm, edgecolors="white", alpha=0.75)
    for (row, column), value in np.ndenumerate(values):
        ax.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", fontsize=8.5)
    _between(ax, values >= threshold)
    folds = ["not used" if np.isinf(sd) else f"{sd:g} ({np.exp(1.96 * sd):.2g}-fold)" for sd in grid.index]
    ax.set_yticks(np.arange(len(folds)) + 0.5, folds, fontsize=8)
    ax.set_xticks(np.arange(len(grid.columns)) + 0.5, [f"{scale:g}" for scale in grid.columns], fontsize=8)
    ax.set(xlabel="scale k of the slope", ylabel="extra SD g")
    ax.set_title(f"{answer}, shift {shift:g}; line: {threshold:g}", fontsize=9.5, loc="left")
    return ax


def _between(ax: Axes, above: np.ndarray) -> None:
    """Draw the edges between cells on different sides."""
    for row, column in zip(*np.nonzero(above[1:] != above[:-1]), strict=True):
        ax.plot([column, column + 1], [row + 1, row + 1], color="black", lw=2.2)
    for row, column in zip(*np.nonzero(above[:, 1:] != above[:, :-1]), strict=True):
        ax.plot([column + 1, column + 1], [row, row + 1], color="black", lw=2.2)
