"""What the answer depends on: one table of every assumption changed, and a plot of those that move it most."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

from smm_bayes.analysis.decision import Decision, SensitivityEntry
from smm_bayes.reporting.plots import literal, new_axes
from smm_bayes.reporting.words import NOISE, Rows, with_error

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST, SHOWN = 3, 20  # rows that are printed, and that are drawn
LABEL = 64  # characters of a row's name in the plot
# one colour and one marker a kind of assumption: readable by the colour-blind and in grey
STYLES = {
    "priors": ("#1f5f99", "o"), "relation between trials": ("#1f5f99", "s"), "sources of information": ("#6a51a3", "D"),
    "hazards to come": ("#b5541c", "^"), "loss to follow-up": ("#8c6d00", "v"), "enrolment": ("#2d7f5e", "<"),
    "plan": ("#444444", ">"), "surrogacy": ("#6a51a3", "P"),
}  # fmt: skip
COLUMNS = {"group": "kind", "changed": "what is other", "probability": "probability", "mcse": "mcse", "moved": "moved",
           "mcse_moved": "mcse_moved", "pareto_k": "Pareto k", "how": "how"}  # fmt: skip


def ranked(decision: Decision) -> list[SensitivityEntry]:
    """Give the rows with a number, those that move the answer most first."""
    found = [one for one in decision.sensitivity if one.moved is not None]
    return sorted(found, key=lambda one: -abs(one.moved or 0.0))


def sensitivity_table(decision: Decision) -> pd.DataFrame | None:
    """Every row in the order of the decision; None where there is none.

    Returns
    -------
    pandas.DataFrame
        By name: kind, what is other, probability of success, how far that is from the primary answer, both with
        Monte Carlo errors, Pareto k of the weights, and how it was computed. What was not is NaN.
    """
    import pandas as pd

    if not decision.sensitivity:
        return None
    rows = {one.name: [getattr(one, name) for name in COLUMNS] for one in decision.sensitivity}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS.values()))
    numbers = ["probability", "mcse", "moved", "mcse_moved", "Pareto k"]
    return table.astype(dict.fromkeys(numbers, float)).round(dict.fromkeys(numbers, 3))


def most_rows(decision: Decision) -> Rows | None:
    """What would change the answer most, in a few lines; None where nothing was changed.

    Changes within Monte Carlo error of none are counted, not named.
    """
    found = ranked(decision)
    if not found:
        return None
    seen = [one for one in found if abs(one.moved or 0.0) > NOISE * (one.mcse_moved or 0.0)]
    rows = Rows((one.name, f"{one.probability:.3f} ({with_error(one.moved or 0.0, one.mcse_moved)})")
                for one in seen[:MOST])  # fmt: skip
    said = f"{len(found)} looked at in all; {len(found) - len(seen)} within Monte Carlo error of no change"
    missing = len(decision.sensitivity) - len(found)
    return Rows([*rows, ("assumptions", f"{said}; {missing} not computed" if missing else said)])


def reasons_not_computed(decision: Decision) -> Rows | None:
    """Rows without a number, and why; None where there are none."""
    return Rows((one.name, one.note) for one in decision.sensitivity if one.moved is None) or None


@literal
def plot_sensitivity(decision: Decision, ax: Axes | None = None) -> Axes | None:
    """Draw the probability of success under the assumptions that move it most; None where there are none.

    Bars are two Monte Carlo errors each way, of the difference from the primary answer, which is the vertical line.
    """
    found = ranked(decision)
    if not found:
        return None
    shown, base = found[:SHOWN], decision.probability_of_success
    ax = new_axes(ax, figsize=(9.5, 1.5 + 0.28 * len(shown)))
    ax.axvline(base, color="0.3", lw=1.0, zorder=1)
    labelled: set[str] = set()
    for place, one in enumerate(shown):
        colour, marker = STYLES[one.group]
        at = one.probability or 0.0
        ax.hlines(place, min(base, at), max(base, at), color=colour, lw=1.2, alpha=0.45, zorder=1)
        ax.errorbar(at, place, xerr=2 * (one.mcse_moved or 0.0), fmt=marker, color=colour, ms=6, capsize=3, zorder=2,
                    label=None if one.group in labelled else one.group)  # fmt: skip
        labelled.add(one.group)
        ax.text(1.01, place, f"{at:.2f}  {one.moved:+.3f} ± {one.mcse_moved:.3f}", transform=ax.get_yaxis_transform(),
                va="center", fontsize=8)  # fmt: skip
    ax.set_yticks(range(len(shown)), [shorten(one.name, LABEL, placeholder=" …") for one in shown], fontsize=8)
    ax.set(xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6),
           xlabel="probability of success (bars: two Monte Carlo errors of the difference)")  # fmt: skip
    ax.grid(axis="x", color="0.92", zorder=0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(-0.35, 1.0), borderaxespad=0.2,
              handletextpad=0.3)  # fmt: skip
    ax.set_title(_title(decision, found), fontsize=9, loc="left", pad=34, x=-0.35)
    return ax


def _title(decision: Decision, found: list[SensitivityEntry]) -> str:
    left, answer = found[SHOWN:], f"{decision.probability_of_success:.3f}"
    said = f"One assumption changed at a time; line: the answer, {answer}. Data: {decision.data}"
    more = f"\n{len(left)} others move it by {abs(left[0].moved or 0.0):.3f} or less" if left else ""
    return said + more
