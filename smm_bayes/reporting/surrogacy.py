"""Plots of surrogacy across trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.evidence.vocabulary import TRUST
from smm_bayes.reporting.plots import BAND, COLOURS, literal, new_axes
from smm_bayes.surrogacy import AcrossPriors, LeftOut, Relation, Transport, Transported, TrialPairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# by trust, colour and marker: readable by the colour-blind and in grey
LOOKS = dict(zip(TRUST, [("#1f5f99", "o"), ("#1f5f99", "o"), ("#2a8c82", "s"), ("#7a5195", "D"), ("#b5541c", "^"),
                         ("#777777", "X")], strict=True))  # fmt: skip
AREA = 260.0  # of the most informative trial's bubble, points squared
TICKS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30)
POINTS = 81


@literal
def plot_pairs(pairs: TrialPairs, relation: Relation, ax: Axes | None = None) -> Axes:
    """Draw hazard ratios on odds ratios of negativity with a relation's line.

    Areas of bubbles are the information of the hazard ratios; colours and markers are trust; hollow where both ratios
    are of different data cuts, or of cuts that are not known. The dark band holds the line, the light one a new trial
    of known odds ratio, each with 95 % probability. The threshold is where the light band leaves a hazard ratio of 1.

    Parameters
    ----------
    pairs : TrialPairs
        Those of the relation, or others to set beside it.
    relation : Relation
    ax : matplotlib.axes.Axes, optional
    """
    ax = new_axes(ax, figsize=(7.6, 5.0))
    grid = np.linspace(min(-0.1, pairs.log_odds_ratio.min() - 0.25), pairs.log_odds_ratio.max() + 0.35, POINTS)
    line = np.quantile(relation.intercept + relation.slope * grid[:, None], [0.025, 0.5, 0.975], axis=1)
    new = as_it_is(relation).predict(grid)
    blue = COLOURS["experimental"]
    ratio = np.exp(grid)
    ax.fill_between(ratio, *np.exp(new[[0, 2]]), color=blue, alpha=BAND / 2, lw=0, label="new trial, 95 %")
    ax.fill_between(ratio, *np.exp(line[[0, 2]]), color=blue, alpha=BAND, lw=0, label="line, 95 %")
    ax.plot(ratio, np.exp(line[1]), color=blue, lw=1.4)
    ax.axhline(1, color="0.4", lw=0.9)
    _threshold(ax, grid, new[2])
    _bubbles(ax, pairs, np.interp(pairs.log_odds_ratio, grid, line[1]))
    both = np.exp([pairs.log_hazard_ratio - 0.35, pairs.log_hazard_ratio + 0.35])
    ratio_axis(ax, "x", float(ratio[0]), float(ratio[-1]))
    ratio_axis(ax, "y", min(float(both.min()), 0.4), max(float(both.max()), 1.4))
    ax.set(xlabel="odds ratio of negativity (above 1 favours experimental)",
           ylabel="hazard ratio of progression or death")  # fmt: skip
    ax.set_title(f"Line from {relation.source} ({relation.trials} trials)", fontsize=10, loc="left")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    return ax


def as_it_is(relation: Relation) -> Transported:
    """Give the relation of trials like its own, thinned for plots."""
    gap = Transport.identity() if np.all(relation.residual_sd > 0) else Transport(1.0, 0.0, 1e-6)
    return Transported.of(relation.thinned(2000), gap, rng=np.random.default_rng(0))


def _threshold(ax: Axes, grid: np.ndarray, upper: np.ndarray) -> None:
    reached = np.flatnonzero((upper < 0) & (grid >= 0))
    if not reached.size:
        ax.plot([], [], color="none", label="no threshold in this range")
        return
    first = int(reached[0])
    if first and upper[first - 1] >= 0 and grid[first - 1] >= 0:
        share = upper[first - 1] / (upper[first - 1] - upper[first])
        where = grid[first - 1] + share * (grid[first] - grid[first - 1])
    else:
        where = max(grid[first], 0.0)
    ratio = float(np.exp(where))
    ax.plot([ratio], [1], marker="v", ms=9, color="black", zorder=6, ls="none", label=f"threshold: {ratio:.2f}")
    ax.axvline(ratio, color="black", lw=0.9, ls=":")


def _bubbles(ax: Axes, pairs: TrialPairs, line: np.ndarray) -> None:
    information = pairs.hazard_ratio_se**-2
    areas = AREA * information / information.max()
    for trust in TRUST:
        colour, marker = LOOKS[trust]
        chosen = [k for k, pair in enumerate(pairs.items) if pair.trust == trust]
        if not chosen:
            continue
        filled = [colour if pairs.items[k].same_cut else "white" for k in chosen]
        ax.scatter(np.exp(pairs.log_odds_ratio[chosen]), np.exp(pairs.log_hazard_ratio[chosen]), s=areas[chosen],
                   c=filled, marker=marker, edgecolors=colour, linewidths=1.4, alpha=0.85, zorder=4)  # fmt: skip
        ax.scatter([], [], s=45, c=colour, marker=marker, label=trust)
    if not all(pair.same_cut for pair in pairs.items):
        ax.scatter([], [], s=45, c="white", marker="o", edgecolors="0.3", linewidths=1.4,
                   label="data cuts differ or are not known")  # fmt: skip
    for pair, area, middle in zip(pairs.items, areas, line, strict=True):
        above = pair.log_hazard_ratio > middle
        away = (3 + np.sqrt(area) / 2) * (1 if above else -1)
        ax.annotate(pair.trial, (np.exp(pair.log_odds_ratio), np.exp(pair.log_hazard_ratio)), xytext=(0, away),
                    textcoords="offset points", ha="center", va="bottom" if above else "top", fontsize=7.5,
                    zorder=7)  # fmt: skip


def ratio_axis(ax: Axes, which: str, low: float, high: float) -> None:
    """Make the axis ``which``, x or y, one of ratios, with their logarithms evenly spaced."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, StrMethodFormatter

    axis = ax.xaxis if which == "x" else ax.yaxis
    (ax.set_xscale if which == "x" else ax.set_yscale)("log")
    (ax.set_xlim if which == "x" else ax.set_ylim)(low, high)
    axis.set_major_locator(FixedLocator([tick for tick in TICKS if low <= tick <= high]))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


@literal
def plot_leave_one_out(found: LeftOut, ax: Axes | None = None) -> Axes:
    """Draw every trial's observed hazard ratio on its prediction by the other trials.

    Parameters
    ----------
    found : LeftOut
    ax : matplotlib.axes.Axes, optional

    Raises
    ------
    SpecificationError
        When no level was predicted.
    """
    if not found.limits:
        raise SpecificationError("plot_leave_one_out: there are no probabilities; predict with one at least")
    size = len(found.trials)
    ax = new_axes(ax, figsize=(7.6, 1.5 + 0.34 * size))
    place = np.arange(size)
    levels = sorted(found.limits, reverse=True)
    for thickness, level in zip(np.linspace(2.0, 6.0, len(levels)), levels, strict=True):
        low, high = np.exp(found.limits[level].T)
        ax.hlines(place, low, high, color=COLOURS["experimental"], lw=thickness, alpha=0.45,
                  label=f"predicted, {100 * level:g} %: {found.covered(level)} of {size} within")  # fmt: skip
    ax.plot(np.exp(found.median), place, "|", color=COLOURS["experimental"], ms=11, label="predicted, median")
    ax.plot(np.exp(found.observed), place, "o", color=COLOURS["control"], ms=5, label="observed")
    ax.axvline(1, color="0.4", lw=0.9)
    widest = found.limits[levels[0]]
    low, high = (float(np.exp(edge(widest) + sign * 0.1)) for edge, sign in ((np.min, -1), (np.max, 1)))
    ratio_axis(ax, "x", min(low, float(np.exp(found.observed.min() - 0.1))), max(high, 1.1))
    ax.set_yticks(place, found.trials, fontsize=8)
    ax.set(ylim=(size - 0.5, -0.5), xlabel="hazard ratio of progression or death")
    ax.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax


@literal
def plot_prior_pairs(
    priors: AcrossPriors, ax: Axes | None = None, *, odds_ratios: tuple[float, float] = (0.5, 15.0),
    rng: np.random.Generator,
) -> Axes:  # fmt: skip
    """Draw what the priors say of a new trial's hazard ratio before any trial: 50 and 95 % bands, some of its lines.

    Parameters
    ----------
    priors : AcrossPriors
    ax : matplotlib.axes.Axes, optional
    odds_ratios : (float, float)
        Range of the odds ratios of negativity.
    rng : numpy.random.Generator
    """
    ax = new_axes(ax, figsize=(6.4, 4.0))
    grid = np.linspace(np.log(odds_ratios[0]), np.log(odds_ratios[1]), POINTS)
    drawn = priors.hazard_ratios(grid, rng=rng)
    low, lower, middle, upper, high = np.quantile(drawn, (0.025, 0.25, 0.5, 0.75, 0.975), axis=0)
    blue = COLOURS["experimental"]
    ax.fill_between(np.exp(grid), low, high, color=blue, alpha=BAND / 2, lw=0, label="95 %")
    ax.fill_between(np.exp(grid), lower, upper, color=blue, alpha=BAND, lw=0, label="50 %")
    ax.plot(np.exp(grid), drawn[:25].T, color="0.45", lw=0.5, alpha=0.7)
    ax.plot(np.exp(grid), middle, color=blue, lw=1.6, label="median")
    ax.axhline(1, color="0.4", lw=0.9)
    ratio_axis(ax, "x", *odds_ratios)
    ratio_axis(ax, "y", max(float(low.min()), 0.1), min(float(high.max()), 10.0))
    ax.tick_params(axis="y", labelsize=8)
    ax.set(xlabel="odds ratio of negativity", ylabel="hazard ratio of a new trial")
    ax.set_title("Prior: bands and 25 draws", fontsize=10, loc="left")
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    return ax
