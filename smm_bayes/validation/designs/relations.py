"""A small design for each way in which trials may relate: a randomised trial, a single arm, and the current trial."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.borrowing.trials.cohorts import Cohort, Trials
from smm_bayes.borrowing.trials.hierarchical import (
    cohort_log_hazard,
    hierarchical_model,
    log_likelihood,
    simulate_counts,
    trials_data,
)
from smm_bayes.borrowing.trials.over_time import log_hazard_ratio
from smm_bayes.borrowing.trials.priors import BetweenTrials, Contrast, TrialsPriors
from smm_bayes.borrowing.trials.relations import Relation
from smm_bayes.priors.clinical import BaselinePrior, HazardRatioPrior, SmoothnessPrior, SpreadPrior
from smm_bayes.survival.effects import Effect, Proportional
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.survival.piecewise import PiecewiseExponential
from smm_bayes.validation.designs.design import Parameters
from smm_bayes.validation.designs.interim import flat

if TYPE_CHECKING:
    import pymc as pm

GRID, MILESTONE = TimeGrid((12, 24)), 24.0
PRIORS = TrialsPriors(
    SurvivalPriors({"progression": BaselinePrior(24, 72)}, smoothness=SmoothnessPrior(2.0)),
    (Contrast("new", "old", HazardRatioPrior(0.7, 1.6)),), "old",
    BetweenTrials(SpreadPrior(2.0), SpreadPrior(1.5)),
)  # fmt: skip


def _arm(trial: str, regimen: str, role: str, *exposure: float) -> Cohort:
    return Cohort(trial, regimen, role, (("progression",),), np.zeros((1, len(GRID))), np.array(exposure))


TRIALS = Trials(
    (
        _arm("randomised", "old", "control", 600, 400, 500),
        _arm("randomised", "new", "experimental", 650, 500, 600),
        _arm("single", "old", "single", 500, 350, 300),
        _arm("now", "old", "control", 400, 200, 100),
        _arm("now", "new", "experimental", 420, 230, 120),
    ),
    GRID, ("progression",), "now",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class SimulatedTrials:
    """Simulated counts of all trials."""

    trials: Trials
    priors: TrialsPriors

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data."""
        return [trials_data(self.trials, self.priors)]

    def log_likelihood(self, parameters: Parameters) -> np.ndarray:
        """Log likelihood of parameters with draws first."""
        return log_likelihood(parameters, self.trials, self.priors).sum(axis=1)


@dataclass(frozen=True, eq=False)
class RelationDesign:
    """Calibrates the model of several trials under a relation: counts are Poisson given fixed patient-months.

    Parameters
    ----------
    relation : Relation
    effect : Effect
        How the effect of treatment changes over time.
    """

    relation: Relation
    effect: Effect = field(default_factory=Proportional)
    priors: TrialsPriors = field(init=False)

    def __post_init__(self) -> None:
        """Put the relation and the effect in their place."""
        survival = replace(PRIORS.survival, effect=self.effect)
        contrasts = () if survival.separate else PRIORS.contrasts
        priors = replace(PRIORS, survival=survival, contrasts=contrasts, relation=self.relation)
        object.__setattr__(self, "priors", priors)

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        return hierarchical_model(TRIALS, self.priors)

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters."""
        found = self.priors.sample(TRIALS, draws, rng=rng)
        log_hazard = cohort_log_hazard(found, TRIALS, self.priors)[:, -2:]
        found["log_hazard"], ratio = log_hazard, log_hazard_ratio(log_hazard, found, TRIALS, self.priors)
        return found if ratio is None else found | {"log_hazard_ratio": ratio}

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> SimulatedTrials:
        """Simulate counts."""
        log_hazard = cohort_log_hazard(truth, TRIALS, self.priors)[0]
        return SimulatedTrials(simulate_counts(log_hazard, TRIALS, rng=rng), self.priors)

    def ranked(self, parameters: Parameters) -> Parameters:
        """Parameters that all relations share, spreads, and the current trial's hazards and survival."""
        names = ("level", "smoothness", "log_contrast", "log_hazard_ratio", "between_hazard", "between_effect",
                 "log_half_life", "ratio_smoothness")  # fmt: skip
        found = flat({name: parameters[name] for name in names if name in parameters})
        log_hazard = parameters["log_hazard"][:, :, 0]
        law = PiecewiseExponential(log_hazard, GRID)
        found |= {"log_hazard:first": log_hazard[:, 0, 0], "log_hazard:last": log_hazard[:, 1, -1]}
        survival, mean = law.survival(MILESTONE)[..., 0], law.rmst(MILESTONE)
        return found | {"survival:control": survival[:, 0], "survival:experimental": survival[:, 1],
                        "rmst_difference": mean[:, 1] - mean[:, 0]}  # fmt: skip
