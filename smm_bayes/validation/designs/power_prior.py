"""A design for power priors that are learnt: two earlier trials, which stay as they are, and one current arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.borrowing.trials.histories import HazardHistory
from smm_bayes.borrowing.trials.power import BetaPower, NormalisedPowerPrior
from smm_bayes.borrowing.trials.power_model import power_prior_data, power_prior_model, sample_prior
from smm_bayes.survival.grid import EventTable, TimeGrid
from smm_bayes.survival.likelihood import log_likelihood
from smm_bayes.survival.model_priors import GammaPrior
from smm_bayes.survival.piecewise import PiecewiseExponential
from smm_bayes.validation.designs.design import Parameters
from smm_bayes.validation.designs.interim import flat

if TYPE_CHECKING:
    import pymc as pm

PATIENTS, CUTOFF, ACCRUAL, MILESTONE = 60, 36.0, 12.0, 24.0
GRID, ARMS, CAUSES = TimeGrid((6, 12, 24)), ("control",), ("progression",)


def _table(events: list[float], exposure: list[float]) -> EventTable:
    return EventTable(np.array([[events]]), np.array([exposure]), GRID, ARMS, CAUSES)


EARLIER = {
    "first": _table([14.0, 12.0, 20.0, 6.0], [440.0, 360.0, 520.0, 180.0]),
    "second": _table([12.0, 7.0, 8.0, 2.0], [220.0, 160.0, 210.0, 60.0]),
}
PRIOR = NormalisedPowerPrior(
    HazardHistory.of(EARLIER, GammaPrior(1.0, 40.0)), {"first": BetaPower(1, 1), "second": BetaPower(2, 1)}
)


@dataclass(frozen=True, eq=False)
class SimulatedArm:
    """A simulated arm of the current trial."""

    table: EventTable

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data."""
        return [power_prior_data(PRIOR, self.table)]

    def log_likelihood(self, parameters: Parameters) -> np.ndarray:
        """Log likelihood of parameters with draws first."""
        return log_likelihood(parameters["log_hazard"], self.table)


@dataclass(frozen=True, eq=False)
class PowerPriorDesign:
    """Calibrates a normalised power prior.

    The earlier trials are data and are never simulated: a truth is a draw of powers and hazards given them, and 60
    current patients, enrolled evenly over 12 months and cut at 36, are simulated from its hazards.
    """

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        truth = self.prior(1, rng=np.random.default_rng(1))
        return power_prior_model(PRIOR, self.simulate(truth, rng=np.random.default_rng(1)).table)

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters given the earlier trials."""
        return sample_prior(PRIOR, draws, rng=rng)

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> SimulatedArm:
        """Simulate current patients."""
        law = PiecewiseExponential(np.broadcast_to(truth["log_hazard"][0, 0, 0], (PATIENTS, len(GRID))), GRID)
        time, followed = law.sample(rng=rng), CUTOFF - np.linspace(0, ACCRUAL, PATIENTS)
        events = np.zeros(len(GRID))
        np.add.at(events, GRID.index(time[time <= followed]), 1.0)
        exposure = GRID.exposure(np.minimum(time, followed)).sum(axis=0)
        return SimulatedArm(EventTable(events[None, None], exposure[None], GRID, ARMS, CAUSES))

    def ranked(self, parameters: Parameters) -> Parameters:
        """Powers, hazards, survival and restricted mean."""
        law = PiecewiseExponential(parameters["log_hazard"][:, 0, 0], GRID)
        return flat({name: parameters[name] for name in ("power", "log_hazard")}) | {
            "survival": law.survival(MILESTONE)[..., 0], "rmst": law.rmst(MILESTONE)
        }  # fmt: skip
