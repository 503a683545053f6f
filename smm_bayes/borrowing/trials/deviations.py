"""How trials deviate under a relation: in the PyMC model, and its NumPy twin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.trials.over_time import OverTime, change_of
from smm_bayes.borrowing.trials.relations import Layer
from smm_bayes.priors.clinical import SpreadPrior

if TYPE_CHECKING:
    from smm_bayes.borrowing.trials.cohorts import Trials
    from smm_bayes.borrowing.trials.hierarchical import Index
    from smm_bayes.borrowing.trials.priors import TrialsPriors


def hazard_deviation(layer: Layer, trials: Trials, priors: TrialsPriors, index: Index) -> Any:
    """Make the deviations of the only layer; give what they add to every log hazard (flat)."""
    import pymc as pm

    spread = Spread(hazard_sd(layer), 0.0, layer.shared, len(trials.causes))
    by = ("interval",) if priors.relation.interval_by_interval else ()
    steps = pm.Normal(f"{layer.name}_hazard", 0.0, 1.0, dims=("trial", "cause", *by))
    return added(spread, steps.ravel(), None, trials, priors, index)


def effect_deviation(layer: Layer, trials: Trials, priors: TrialsPriors, index: Index) -> Any:
    """Make the hazard ratios of the only layer; give what they add to every log hazard (flat)."""
    import pymc as pm

    spread = Spread(0.0, effect_sd(layer), layer.shared, len(trials.causes))
    effects = pm.Normal(f"{layer.name}_effect", 0.0, 1.0, dims="randomised")
    return added(spread, None, effects, trials, priors, index)


def added(spread: Spread, steps: Any, effects: Any, trials: Trials, priors: TrialsPriors, index: Index) -> Any:
    """What deviations in units of their standard deviation add to the log hazard of cohort, cause and interval."""
    relation, found = priors.relation, 0.0
    if steps is not None:
        found = spread.hazard(index.trial_hazard) * steps[index.step(relation.interval_by_interval)]
    if effects is not None:
        of_arm = spread.effect(index.randomised) * effects[index.randomised]
        of_arm = of_arm * index.experimental * index.progression
        found = found + (of_arm if index.left is None else of_arm * index.left)
    return found * (1 - index.is_current) if relation.around_current else found


@dataclass(frozen=True)
class Spread:
    """Standard deviations of one layer, to be looked up by position of trial and cause, and of randomised trial."""

    of_hazard: Any
    of_effect: Any
    shared: bool
    causes: int

    def hazard(self, trial_cause: np.ndarray) -> Any:
        """Look up, given flat positions in (trial, cause)."""
        if isinstance(self.of_hazard, float):
            return self.of_hazard
        return self.of_hazard.ravel()[trial_cause % self.causes if self.shared else trial_cause]

    def effect(self, randomised: np.ndarray) -> Any:
        """Look up, given positions in randomised."""
        return self.of_effect if self.shared or isinstance(self.of_effect, float) else self.of_effect[randomised]


def hazard_sd(layer: Layer) -> Any:
    """Standard deviation of a layer's log hazards: known, or a parameter with its prior."""
    return _sd("between_hazard", layer.hazard, ("cause",) if layer.shared else ("trial", "cause"))


def effect_sd(layer: Layer) -> Any:
    """Standard deviation of a layer's log hazard ratios: known, or a parameter with its prior."""
    return _sd("between_effect", layer.effect, () if layer.shared else ("randomised",))


def _sd(name: str, prior: SpreadPrior | float, dims: tuple[str, ...]) -> Any:
    import pymc as pm

    return pm.HalfNormal(name, prior.scale, dims=dims or None) if isinstance(prior, SpreadPrior) else float(prior)


def sample_deviations(
    trials: Trials, priors: TrialsPriors, draws: int, *, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw the parameters of every layer, and of what each trial has, in NumPy."""
    relation, found = priors.relation, {}
    counts = {"trial": len(trials.names), "cause": len(trials.causes), "randomised": len(trials.randomised)}
    layers = relation.layers(priors.between)
    for layer in layers:
        if isinstance(layer.hazard, SpreadPrior):
            each = () if layer.shared else (counts["trial"],)
            found["between_hazard"] = np.abs(rng.normal(0, layer.hazard.scale, (draws, *each, counts["cause"])))
        if isinstance(layer.effect, SpreadPrior):
            each = () if layer.shared else (counts["randomised"],)
            found["between_effect"] = np.abs(rng.normal(0, layer.effect.scale, (draws, *each)))
    for layer in layers:
        by = (len(trials.grid),) if relation.interval_by_interval else ()
        found[f"{layer.name}_hazard"] = rng.normal(size=(draws, counts["trial"], counts["cause"], *by))
        found[f"{layer.name}_effect"] = rng.normal(size=(draws, counts["randomised"]))
    if len(layers) == 2:
        found["first_layer"] = (rng.random((draws, counts["trial"])) < relation.first).astype(float)
    return found


def cohort_deviations(
    layer: Layer, parameters: Mapping[str, np.ndarray], trials: Trials, priors: TrialsPriors
) -> np.ndarray:
    """What a layer adds to the log hazard of every cohort, shape (draw, cohort, cause, interval), arm by arm."""
    steps = parameters[f"{layer.name}_hazard"]
    draws, causes, size = len(steps), len(trials.causes), len(trials.grid)
    found, over = np.zeros((draws, len(trials.cohorts), causes, size)), OverTime.of(trials, priors)
    weights = change_of(parameters, over, trials).weights
    for index, cohort in enumerate(trials.cohorts):
        if priors.relation.around_current and cohort.trial == trials.current:
            continue
        trial = trials.names.index(cohort.trial)
        wide = parameters["between_hazard"] if isinstance(layer.hazard, SpreadPrior) else np.full((1, 1), layer.hazard)
        wide = wide[:, trial] if wide.ndim == 3 else wide
        mine = steps[:, trial] if priors.relation.interval_by_interval else steps[:, trial, :, None]
        found[:, index] += wide[..., None] * mine
        if cohort.role == "experimental":
            at = trials.randomised.index(cohort.trial)
            spread = parameters["between_effect"] if isinstance(layer.effect, SpreadPrior) else np.array([layer.effect])
            spread = spread[:, at] if spread.ndim == 2 else spread
            left = weights if weights is not None and over.within(cohort) else 1.0
            found[:, index, 0] += (spread * parameters[f"{layer.name}_effect"][:, at])[:, None] * left
    return found
