"""Figures of a check of a fit: data beside data replicated from the posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.reporting.plots import BAND, COLOURS, _risk_table, literal, new_axes, plot_events
from smm_bayes.survival.check import MAX_PARETO_K, FitCheck

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@literal
def plot_check(check: FitCheck) -> Figure:
    """Draw a check in one figure: survival, Pareto k, and of every cause its events and its residuals."""
    import matplotlib.pyplot as plt

    causes = check.patients.causes
    rows = 1 + len(causes)
    figure, axes = plt.subplots(rows, 2, figsize=(13.5, 4.2 * rows), layout="constrained")
    plot_survival_check(check, ax=axes[0, 0])
    plot_pareto_k(check, ax=axes[0, 1])
    for row, cause in zip(axes[1:], causes, strict=True):
        plot_events(check.compared.events, cause, ax=row[0])
        row[0].set_title(f"Events by interval, {cause}")
        if check.patients.delayed.any():
            row[0].set_xlabel("months since time zero (delayed entry)")
        plot_residuals(check, cause, ax=row[1])
    figure.suptitle(f"Data: {check.patients.provenance} ({check.patients.trial}, {len(check.patients)} patients)")
    return figure


@literal
def plot_survival_check(check: FitCheck, ax: Axes | None = None) -> Axes:
    """Draw Kaplan–Meier curves on the 95 % band of those of replicated patients, followed as long."""
    # Not ArviZ's plot_ppc_censored (1.3): its predictive curves take replicated times for events, censored or not, and
    # end at zero wherever follow-up ends (0.26 instead of 0.61 in a trial with half of the patients censored); nor
    # does it know of delayed entry.
    ax = new_axes(ax, figsize=(7.5, 4.6))
    for role, curve in check.compared.survival_curves.items():
        name = check.patients.arm_name(role)
        ax.fill_between(curve.index, curve["lower"], curve["upper"], color=COLOURS[role], alpha=BAND, linewidth=0,
                        label=f"{name}: replicated, 95 %")  # fmt: skip
        ax.step(curve.index, curve["observed"], where="post", color=COLOURS[role], label=f"{name}: Kaplan–Meier")
    lowest = min(float(curve["lower"].min()) for curve in check.compared.survival_curves.values())
    ax.set(xlim=(0, curve.index[-1]), ylim=(max(0.0, lowest - 0.15) if lowest > 0.4 else 0.0, 1.01),
           ylabel="free of any event", title=f"Survival. Data: {check.patients.provenance}")  # fmt: skip
    ax.legend(frameon=False, fontsize=8, loc="lower left")
    _risk_table(ax, check.patients, float(curve.index[-1]))
    return ax


@literal
def plot_residuals(check: FitCheck, cause: str, ax: Axes | None = None) -> Axes:
    """Draw how far Cox–Snell residuals of one cause are from the exponential distribution, by arm.

    Above 0 there are fewer events up to that fitted probability than the model expects, below 0 more.
    """
    ax = new_axes(ax, figsize=(7.5, 3.6))
    for role in check.patients.arms:
        curve = check.compared.residual_curves[cause, role]
        p = check.compared.p_values[f"residuals: {cause}, {role}"]
        ax.fill_between(curve.index, curve["lower"], curve["upper"], color=COLOURS[role], alpha=BAND, linewidth=0,
                        label=f"{role}: replicated, 95 %")  # fmt: skip
        ax.plot(curve.index, curve["observed"], color=COLOURS[role], label=f"{role}: observed, p = {p:.3f}")
    ax.axhline(0, color="#777777", linestyle="--", linewidth=1)
    ax.set(xlabel=f"fitted probability of {cause} (1 − exp(−residual))", ylabel="Kaplan–Meier minus exp(−residual)",
           title=f"Cox–Snell residuals, {cause}. Data: {check.patients.provenance}")  # fmt: skip
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.35 * (high - low), high)  # room for the legend
    ax.margins(x=0)
    ax.legend(frameon=False, fontsize=8, loc="lower left", ncols=2)
    return ax


@literal
def plot_pareto_k(check: FitCheck, ax: Axes | None = None) -> Axes:
    """Draw Pareto k of every patient by time; above 0.7 leaving the patient out is more than the draws can tell."""
    ax = new_axes(ax, figsize=(7.5, 3.6))
    patients, k = check.patients, check.crossed.pareto_k
    for index, role in enumerate(patients.arms):
        for event, marker, what in ((True, "o", "event"), (False, "|", "censored")):
            rows = (patients.arm == index) & (patients.event == event)
            ax.plot(patients.time[rows], k[rows], marker, color=COLOURS[role], markersize=5, alpha=0.6,
                    label=f"{role}: {what}")  # fmt: skip
    ax.axhline(MAX_PARETO_K, color="#333333", linestyle="--", linewidth=1,
               label=f"{MAX_PARETO_K:g}: not reliable above")  # fmt: skip
    ax.set(ylim=(min(0.0, np.min(k)) - 0.05, max(1.0, np.max(k) + 0.05)), xlabel="months to event or censoring",
           ylabel="Pareto k", title=f"Leaving one patient out. Data: {patients.provenance}")  # fmt: skip
    ax.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")
    return ax
