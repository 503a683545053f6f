"""Sentences and small tables that a report opens with."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.decision import Decision
from smm_bayes.analysis.interim import Interim, InterimInputs, describe_outcome
from smm_bayes.survival.piecewise import PiecewiseExponential

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Rows(list[tuple[str, str]]):
    """A table of label and value that prints in a terminal and shows as HTML in a notebook."""

    def __repr__(self) -> str:
        """Give one line a row."""
        width = max((len(label) for label, _ in self), default=0)
        return "\n".join(f"{label:<{width}}  {value}" for label, value in self)

    def _repr_html_(self) -> str:
        cells = "".join(f"<tr><th>{escape(label)}</th><td>{escape(value)}</td></tr>" for label, value in self)
        return f"<table>{cells}</table>"


def answer(interim: Interim) -> str:
    """Say the answer in two sentences, the number first."""
    decision = interim.decision
    sentence = (
        f"The probability that the final analysis succeeds is {decision.probability_of_success:.1%} "
        f"(Monte Carlo error {decision.mcse:.1%}), success being {decision.success_rule} "
        f"{decision.final_analysis}."
    )
    observed, fraction = decision.events.observed, decision.information_fraction
    so_far = f"{observed} counted events so far, information fraction {fraction:.0%}"
    ratio = decision.hazard_ratio
    if ratio is None:
        return f"{sentence} There are {so_far}."
    return (f"{sentence} The hazard ratio now is {ratio.median:.2f} (95 % credible interval {ratio.lower:.2f} "
            f"to {ratio.upper:.2f}), from {so_far}. Data: {decision.data}.")  # fmt: skip


def prior_rows(inputs: InterimInputs) -> Rows:
    """Every prior in words."""
    return Rows(inputs.spec.priors.statements().items())


def outcome_rows(interim: Interim) -> Rows | None:
    """Put what happened beside what was predicted, where the data already hold it."""
    happened = describe_outcome(interim.inputs)
    if happened is None:
        return None
    prediction = interim.prediction
    patients = prediction.patients
    success = "yes" if happened["success"] else "no"
    rows = Rows([("success", f"{success}; predicted probability {prediction.probability:.2f}")])
    for name, (middle, low, high) in prediction.intervals().items():
        if name not in happened or name == "date":
            continue
        arm, _, cause = name.partition(":")
        label = f"{cause}, {patients.arm_name(arm)}" if cause else "hazard ratio"
        places = 0 if cause else 2
        inside = "inside" if low <= happened[name] <= high else "OUTSIDE"
        seen, median, lower, upper = (f"{x:.{places}f}" for x in (happened[name], middle, low, high))
        rows.append((label, f"{seen}; predicted {median} ({lower} to {upper}): {inside} the 95 % interval"))
    return rows


def observed_statistic(interim: Interim) -> float | None:
    """Give the final hazard ratio (or, for one arm, the counted events) that happened, where it is known."""
    outcome = interim.inputs.outcome()
    if outcome is None:
        return None
    return float(outcome.hazard_ratio[0] if len(outcome.arms) > 1 else outcome.counted_events[0].sum())


def prior_survival(
    inputs: InterimInputs, time: np.ndarray, *, rng: np.random.Generator, draws: int = 1000
) -> np.ndarray:
    """Draw curves of the control (or only) arm's event-free survival from the prior, shape (draw, time)."""
    patients, grid = inputs.patients, inputs.spec.grid
    sample = inputs.spec.priors.sample(patients.causes, len(patients.arms), len(grid), draws, rng=rng)
    total = np.logaddexp.reduce(sample["log_hazard"][:, 0], axis=1)
    return PiecewiseExponential(total, grid).survival(time)


def agreement(draws: xr.DataArray, exact: np.ndarray) -> pd.DataFrame:
    """Posterior means beside exact ones; the last column is their difference in Monte Carlo errors.

    Parameters
    ----------
    draws : xarray.DataArray
        (chain, draw, ...).
    exact : numpy.ndarray
        Of the shape of one draw.
    """
    import arviz as az
    import pandas as pd

    mean, error = draws.mean(("chain", "draw")), az.mcse(draws, method="mean")
    columns = {"exact": mean.copy(data=exact), "posterior": mean, "mcse": error, "errors": (mean - exact) / error}
    return pd.DataFrame({name: values.to_series() for name, values in columns.items()})


def input_rows(decision: Decision) -> Rows:
    """Hashes, seed and versions."""
    inputs = decision.inputs
    rows = Rows((f"SHA-256 of {name}", value) for name, value in inputs.sha256.items())
    rows.append(("fingerprint of the fit", inputs.fingerprint))
    rows.append(("seed", str(inputs.seed)))
    rows.append(("versions", ", ".join(f"{name} {version}" for name, version in inputs.versions.items())))
    evidence = "; ".join(f"{s.name} ({s.trust}): {s.source}" for s in decision.sources) or "none"
    rows.append(("outside evidence", evidence))
    return rows


def contraction_rows(interim: Interim, *, rng: np.random.Generator, draws: int = 20_000) -> Rows:
    """Say of every parameter how much the data taught: contraction, 1 − posterior variance / prior variance.

    Log hazards of an interval are compared on the same scale; near 0 the answer is the prior's.
    """
    inputs, posterior = interim.inputs, interim.fit.posterior
    patients, grid = inputs.patients, inputs.spec.grid
    prior = inputs.spec.priors.sample(patients.causes, len(patients.arms), len(grid), draws, rng=rng)
    rows = Rows()
    for name in ("level", "log_hazard_ratio", "smoothness"):
        if name in prior and name in posterior:
            left = 1 - posterior[name].var(("chain", "draw")).values / prior[name].var(axis=0)
            words = [f"{value:.2f} ({cause})" for value, cause in zip(left, patients.causes, strict=True)]
            rows.append((f"contraction of {name.replace('_', ' ')}", ", ".join(words)))
    hazards = posterior["log_hazard"].transpose("chain", "draw", "arm", "cause", "interval")
    left = 1 - hazards.var(("chain", "draw")).values / prior["log_hazard"].var(axis=0)
    for index, cause in enumerate(patients.causes):
        worst = left[:, index].min(axis=0)
        words = [f"{label} {value:.2f}" for label, value in zip(grid.labels, worst, strict=True) if value < 0.5]
        rows.append((f"intervals mostly prior, {cause}", ", ".join(words) or "none"))
    return rows
