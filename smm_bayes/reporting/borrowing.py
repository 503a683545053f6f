"""What was borrowed from whom, and is it in conflict: a table and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.decision import ConflictEntry, Decision, Source
from smm_bayes.reporting.plots import literal
from smm_bayes.reporting.words import Rows, with_error

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from smm_bayes.borrowing.trials.arm_prior import ArmPrior
    from smm_bayes.borrowing.trials.cohorts import Cohort
    from smm_bayes.priors.mixtures import MultivariateNormalMixture
    from smm_bayes.survival.grid import TimeGrid

WHOLE = "all"
OF_RATIO, SHIFT = "effective events, hazard ratio", "shift of its logarithm (SD)"


def borrowing_table(decision: Decision) -> pd.DataFrame | None:
    """Give a row a source, one of all together, and one of this trial; None where nothing was borrowed.

    Effective events are what a source adds to what is known of each arm's hazard; they are below 0 where it makes it
    less sure, as a source in conflict can. The p-values are predictive, of the events of one arm under what the other
    trials say: of all its events, and the smallest of an interval. Both have their Monte Carlo errors.
    """
    import pandas as pd

    if not any(source.effective_events for source in decision.sources):
        return None
    rows = {}
    for source in decision.sources:
        gained = {f"effective events, {arm}": words.removeprefix("+") for arm, words in _gained(source).items()}
        share = source.probability_exchangeable
        exchangeable = {} if share is None else {"exchangeable": f"{share:.2f}"}
        rows[source.name] = {**gained, **_contrast(source), **exchangeable, **_conflict(source.conflict)}
    rows[f"{decision.trial} (this trial)"] = _conflict(decision.conflict)
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def borrowing_rows(decision: Decision) -> Rows | None:
    """Say the same in a line a source, for a terminal."""
    if not any(source.effective_events for source in decision.sources):
        return None
    rows = Rows()
    for source in decision.sources:
        gained = ", ".join(f"{words} {arm}" for arm, words in _gained(source).items())
        said = _contrast(source)
        ratio = f"; of the hazard ratio {said[OF_RATIO]}, which it moves by {said[SHIFT]} SD" if said else ""
        rows.append((source.name, f"effective events {gained}{ratio}{_p(source.conflict)}"))
    rows.append((f"{decision.trial} (this trial)", _p(decision.conflict).removeprefix("; ")))
    return rows


def _gained(source: Source) -> dict[str, str]:
    """Effective events of each arm with their Monte Carlo errors."""
    errors = source.effective_events_error
    return {arm: with_error(value, errors.get(arm), places=1) for arm, value in source.effective_events.items()}


def _contrast(source: Source) -> dict[str, str]:
    """Events that it is worth for the hazard ratio, and how far it moves that, with their Monte Carlo errors."""
    if source.contrast is None:
        return {}
    found = source.contrast
    return {OF_RATIO: with_error(found.events, found.events_error, places=1),
            SHIFT: with_error(found.shift, found.shift_error, places=2)}  # fmt: skip


def _p_value(entry: ConflictEntry) -> str:
    return f"{entry.p_value:.3f}" + ("" if entry.p_value_error is None else f" ± {entry.p_value_error:.3f}")


def _p(entries: Sequence[ConflictEntry]) -> str:
    if not entries:
        return ""
    told = _conflict(entries)
    return f"; {told['events']} events ({told['worst arm']}), predicted {told['predicted (95 %)']}, p {told['p']}"


def _conflict(entries: Sequence[ConflictEntry]) -> dict[str, str]:
    """Give the arm that fits worst, by all its events and by an interval's."""
    if not entries:
        return {}
    whole = min((entry for entry in entries if entry.interval == WHOLE), key=lambda entry: entry.p_value)
    parts = [entry for entry in entries if entry.interval != WHOLE] or [whole]
    worst = min(parts, key=lambda entry: entry.p_value)
    return {
        "worst arm": f"{whole.regimen}, {whole.counted}", "events": f"{whole.events:.0f}",
        "predicted (95 %)": f"{whole.predicted:.0f} ({whole.lower:.0f} to {whole.upper:.0f})",
        "p": _p_value(whole),
        "smallest p by interval": f"{_p_value(worst)} ({worst.regimen}, {worst.interval} months)",
    }  # fmt: skip


def arm_table(
    priors: Mapping[str, ArmPrior], silent: Mapping[str, ArmPrior], arm: Cohort, time: float, *,
    rng: np.random.Generator, draws: int = 20_000,
) -> pd.DataFrame:  # fmt: skip
    """Put priors of one arm from earlier trials side by side: what they say before its data, and after.

    Parameters
    ----------
    priors : mapping of str to ArmPrior
        By method.
    silent : mapping of str to ArmPrior
        The same methods where earlier trials saw nothing.
    arm : Cohort
        The current arm.
    time : float
        Months of the milestone.
    rng : numpy.random.Generator
    draws : int

    Returns
    -------
    pandas.DataFrame
        By method: events that the prior is worth, survival free of the event at ``time`` under it, events of the arm
        that it predicts with the p-value of those seen, the same survival after the data, the events that the
        posterior is worth, and how many of them are gained from the earlier trials.
    """
    import pandas as pd

    from smm_bayes.borrowing.trials.conflict import arm_conflicts, information
    from smm_bayes.survival.piecewise import PiecewiseExponential

    def said(mixture: MultivariateNormalMixture, grid: TimeGrid) -> tuple[float, str]:
        log_hazard = mixture.sample(draws, rng=rng)
        low, middle, high = np.quantile(PiecewiseExponential(log_hazard, grid).survival(time), (0.025, 0.5, 0.975))
        worth = float(information(log_hazard[:, None], arm.exposure[None])[0])
        return worth, f"{middle:.2f} ({low:.2f} to {high:.2f})"

    found = {}
    for name, prior in priors.items():
        before, after = said(prior.mixture, prior.grid), said(prior.update(arm.events[0], arm.exposure), prior.grid)
        alone = said(silent[name].update(arm.events[0], arm.exposure), prior.grid)
        whole = arm_conflicts(prior.mixture, arm, rng=rng)[0]
        found[name] = {
            "prior worth": round(before[0], 1), "prior survival": before[1],
            "predicted events": f"{whole.predicted:.0f} ({whole.lower:.0f} to {whole.upper:.0f})", "seen": whole.events,
            "p": round(whole.p_value, 3), "survival now": after[1], "worth": round(after[0], 1),
            "gained": round(after[0] - alone[0], 1),
        }  # fmt: skip
    return pd.DataFrame.from_dict(found, orient="index")


@literal
def plot_conflict(decision: Decision) -> Figure | None:
    """Draw each trial's events by interval against what the other trials predict; None where nothing was borrowed.

    One panel an arm, for what counts the first cause; the vertical axis is a square root. Bars are 95 % predictive
    intervals, points what was seen.
    """
    import matplotlib.pyplot as plt

    every = [entry for source in decision.sources for entry in source.conflict] + list(decision.conflict)
    panels: dict[tuple[str, str], list[ConflictEntry]] = {}
    for entry in every:
        if entry.interval != WHOLE and entry.counted.split(" or ")[0] == every[0].counted.split(" or ")[0]:
            panels.setdefault((entry.trial, f"{entry.regimen}, {entry.counted}"), []).append(entry)
    if not panels:
        return None
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.9 * columns, 2.6 * rows), squeeze=False, layout="constrained")
    for ax, (names, entries) in zip(axes.flat, panels.items(), strict=False):
        place = range(len(entries))
        ax.vlines(place, [e.lower for e in entries], [e.upper for e in entries], color="#9fb8d0", linewidth=7)
        ax.plot(place, [e.predicted for e in entries], "_", color="#2f5d8a", markersize=11, markeredgewidth=2)
        ax.plot(place, [e.events for e in entries], "o", color="#b3402e", markersize=5)
        ax.set_yscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
        top = max(max(e.upper, e.events) for e in entries)
        ticks = [tick for tick in (0, 1, 5, 10, 20, 40, 80, 160, 320) if tick <= 1.3 * top] or [0, 1]
        ax.set_ylim(-0.02, max(1.2 * top, 1.2))
        ax.set_yticks(ticks, [str(tick) for tick in ticks])
        ax.set_xticks(list(place), [e.interval for e in entries], rotation=55, ha="right", fontsize=7)
        ax.set_title(f"{names[0]}\n{names[1]}", fontsize=8)
        ax.tick_params(axis="y", labelsize=7)
    for ax in list(axes.flat)[len(panels) :]:
        ax.set_axis_off()
    figure.supxlabel("months since enrolment", fontsize=9)
    figure.supylabel("events", fontsize=9)
    figure.suptitle(f"Events seen (points) and predicted from all other trials (bars, 95 %). Data: {decision.data}; "
                    "earlier trials reconstructed", fontsize=9)  # fmt: skip
    return figure
