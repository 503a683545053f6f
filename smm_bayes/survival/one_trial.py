"""The model of a trial by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.likelihood import log_likelihood
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors

if TYPE_CHECKING:
    import pymc as pm


@dataclass(frozen=True, eq=False)
class OneTrial:
    """A trial by itself.

    Attributes
    ----------
    table : EventTable
    priors : SurvivalPriors or GammaPrior
    """

    table: EventTable
    priors: SurvivalPriors | GammaPrior

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        from smm_bayes.survival.model import piecewise_exponential_model

        return piecewise_exponential_model(self.table, self.priors)

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data: one set."""
        from smm_bayes.survival.model import model_data

        return [model_data(self.table, self.priors)]

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        return self.priors.statements()

    def prior(self, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw parameters from the prior, ``log_hazard`` (draw, arm, cause, interval) among them."""
        table = self.table
        return self.priors.sample(table.causes, len(table.arms), table.grid, draws, rng=rng)

    def simulated(self, table: EventTable, truth: dict[str, np.ndarray], *, rng: np.random.Generator) -> OneTrial:
        """Give the model of simulated patients of this trial."""
        return replace(self, table=table)

    def log_likelihood(self, parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Log likelihood of parameters with draws first, in NumPy."""
        return log_likelihood(parameters["log_hazard"], self.table)
