"""A design for latent exchangeability: a current trial of two arms and an earlier arm of two classes of patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.borrowing.trials.latent_model import latent_exchangeability_data, latent_exchangeability_model
from smm_bayes.borrowing.trials.latent_priors import LatentPriors, ShareOfPatients
from smm_bayes.borrowing.trials.latent_rows import HistoricalRows, latent_log_likelihood
from smm_bayes.priors.clinical import BaselinePrior
from smm_bayes.survival.grid import EventTable, TimeGrid
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.survival.piecewise import PiecewiseExponential
from smm_bayes.trial.patients import Patients
from smm_bayes.validation.designs.design import Parameters
from smm_bayes.validation.designs.interim import flat

if TYPE_CHECKING:
    import pymc as pm

CURRENT, EARLIER, ACCRUAL, CUTOFF, MILESTONE = 60, 80, 12.0, 36.0, 24.0
GRID, ARMS, CAUSES = TimeGrid((6, 12, 24)), ("control", "experimental"), ("progression",)
PRIORS = LatentPriors(SurvivalPriors({CAUSES[0]: BaselinePrior(18, 54)}), ShareOfPatients(0.6, 4))


@dataclass(frozen=True, eq=False)
class SimulatedTrials:
    """A simulated current trial and earlier arm."""

    current: EventTable
    rows: HistoricalRows

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data."""
        return [latent_exchangeability_data(self.current, self.rows, PRIORS, rows=EARLIER)]

    def log_likelihood(self, parameters: Parameters) -> np.ndarray:
        """Log likelihood of parameters with draws first."""
        return latent_log_likelihood(parameters, self.current, self.rows)


@dataclass(frozen=True, eq=False)
class LatentDesign:
    """Calibrates latent exchangeability.

    60 patients in two arms and 80 earlier ones, of whom each belongs to the current control arm's class or to the other
    by chance; both trials enrol evenly over 12 months and are cut at 36.
    """

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        made = self.simulate(self.prior(1, rng=np.random.default_rng(1)), rng=np.random.default_rng(1))
        return latent_exchangeability_model(made.current, made.rows, PRIORS, rows=EARLIER)

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters."""
        return PRIORS.sample(CAUSES, len(ARMS), GRID, draws, rng=rng)

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> SimulatedTrials:
        """Simulate the patients of both trials, with the class of each earlier one."""
        arm = np.arange(CURRENT) % len(ARMS)
        current = _patients(truth["log_hazard"][0, arm, 0], arm, ARMS, rng=rng)
        of_class = np.concatenate([truth["log_hazard"][0, :1, 0], truth["log_hazard_other"][0, :, 0]])
        belongs = rng.choice(len(of_class), EARLIER, p=truth["class_share"][0])
        earlier = _patients(of_class[belongs], np.zeros(EARLIER, int), ARMS[:1], rng=rng)
        return SimulatedTrials(GRID.tabulate(current), HistoricalRows.of(earlier, GRID, simulated=True))

    def ranked(self, parameters: Parameters) -> Parameters:
        """Share, effect, hazards of control and of the other class, their smoothness, survival, restricted means."""
        other = parameters["log_hazard_other"][:, 0, 0]
        found = {"exchangeable_share": parameters["class_share"][:, 0], "other_level": other.mean(axis=-1),
                 "log_hazard_other:0": other[:, 0], "log_hazard_other:-1": other[:, -1]}  # fmt: skip
        found |= flat({name: parameters[name] for name in ("level", "smoothness", "other_smoothness",
                                                           "log_hazard_ratio")})  # fmt: skip
        control = parameters["log_hazard"][:, 0, 0]
        law = PiecewiseExponential(parameters["log_hazard"][:, :, 0], GRID)
        survival, mean = law.survival(MILESTONE)[..., 0], law.rmst(MILESTONE)
        found |= {"log_hazard:0": control[:, 0], "log_hazard:-1": control[:, -1]}
        found |= {f"survival:{arm}": survival[:, index] for index, arm in enumerate(ARMS)}
        return found | {"rmst_difference": mean[:, 1] - mean[:, 0]}


def _patients(log_hazard: np.ndarray, arm: np.ndarray, arms: tuple[str, ...], *, rng: np.random.Generator) -> Patients:
    """Simulate one patient per row of log hazards (patient, interval)."""
    size = len(arm)
    enrolled = np.linspace(0, ACCRUAL, size)
    time, followed = PiecewiseExponential(log_hazard, GRID).sample(rng=rng), CUTOFF - enrolled
    event = time <= followed
    return Patients(
        patient=np.arange(size).astype(str).astype(object), arm=arm, time=np.minimum(time, followed), event=event,
        cause=np.where(event, 0, -1), censoring=np.where(event, "", "administrative").astype(object), enrolled=enrolled,
        data_cutoff=CUTOFF, arms=arms, arm_names=arms, causes=CAUSES, provenance="simulated",
    )  # fmt: skip
