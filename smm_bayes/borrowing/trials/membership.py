"""The observed cells of several trials, with the way each trial deviates summed out of its likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from smm_bayes.borrowing.trials.cohorts import Trials
    from smm_bayes.borrowing.trials.hierarchical import Index
    from smm_bayes.borrowing.trials.priors import TrialsPriors


def cell_data(trials: Trials, priors: TrialsPriors) -> dict[str, np.ndarray]:
    """Events and exposure of every observed cell; under a power prior both are multiplied by the power.

    The likelihood is linear in them, so that weights them and needs no model of its own.
    """
    events, exposure = trials.cells()
    names = [trials.cohorts[a].trial for a, _, _ in trials.rows]
    weight = np.array([1.0 if name == trials.current else priors.relation.power(name) for name in names])
    return {"events_data": events * weight, "exposure_data": exposure * weight}


def observe(trials: Trials, priors: TrialsPriors, layers: Sequence[Any], index: Index) -> Any:
    """Observe the cells, given log hazards of every cohort, cause and interval (flat) under each layer.

    Returns
    -------
    tensor
        The log hazards that count: those of the layer which each trial has.
    """
    import pymc as pm
    import pytensor.tensor as pt

    data = {name: pm.Data(name, values, dims="cell") for name, values in cell_data(trials, priors).items()}
    counted = []
    for log_hazard in layers:
        hazards = pt.exp(log_hazard)
        counted.append(sum(trials.counts[:, c] * hazards[index.cells[c]] for c in range(len(trials.causes))))
    events, exposure = data["events_data"], data["exposure_data"]
    if len(layers) == 1:
        pm.CustomDist("events", *counted, exposure, logp=_log_likelihood, random=_draw_events, observed=events,
                      dims="cell")  # fmt: skip
        return layers[0]
    cells = _Cells(trials, priors.relation.first)
    pm.CustomDist("events", *counted, exposure, logp=cells.log_likelihood, random=cells.draw, observed=events,
                  dims="cell")  # fmt: skip
    odds = cells.of_trial @ (_log_likelihood(events, counted[0], exposure)
                             - _log_likelihood(events, counted[1], exposure))  # fmt: skip
    share = pm.Deterministic("first_layer_probability", pt.sigmoid(odds + cells.prior_odds), dims="trial")
    uniform = pm.Uniform("draw_layer", dims="trial")
    which = pm.Deterministic("first_layer", (uniform < share).astype("float64"), dims="trial")
    return pt.where(which[index.trial] > 0.5, layers[0], layers[1])


class _Cells:
    """Likelihood of cells when each trial has one of two sets of hazards, told cell by cell.

    A cell's log likelihood is that of the trial's cells up to it less that of those before it, so that they sum to
    the trial's.
    """

    def __init__(self, trials: Trials, first: float) -> None:
        names = [trials.cohorts[a].trial for a, _, _ in trials.rows]
        self.first = first
        self.prior_odds = math.log(first) - math.log1p(-first)
        self.of_trial = np.array([[float(name == mine) for name in names] for mine in trials.names])
        together = self.of_trial.T @ self.of_trial
        self.up_to = np.tril(together)
        self.before = np.eye(len(names), k=-1) * together

    def log_likelihood(self, events: Any, one: Any, other: Any, exposure: Any) -> Any:
        import pytensor.tensor as pt

        sums = [self.up_to @ _log_likelihood(events, hazard, exposure) for hazard in (one, other)]
        total = pt.logaddexp(sums[0] + math.log(self.first), sums[1] + math.log1p(-self.first))
        return total - self.before @ total

    def draw(
        self, one: np.ndarray, other: np.ndarray, exposure: np.ndarray, rng: Any = None, size: Any = None
    ) -> np.ndarray:
        """Draw events, each trial's from one set of hazards."""
        which = (rng.random(len(self.of_trial)) < self.first).astype(float) @ self.of_trial
        return rng.poisson(exposure * np.where(which > 0.5, one, other), size=size).astype(float)


def _log_likelihood(events: Any, hazard: Any, exposure: Any) -> Any:
    import pytensor.tensor as pt

    return events * pt.log(hazard) - exposure * hazard


def _draw_events(hazard: np.ndarray, exposure: np.ndarray, rng: Any = None, size: Any = None) -> np.ndarray:
    return rng.poisson(exposure * hazard, size=size).astype(float)
