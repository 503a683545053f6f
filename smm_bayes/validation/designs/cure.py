"""A mixture cure model, calibrated: two arms, a curable cause and one that nobody is cured of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.priors.clinical import BaselinePrior
from smm_bayes.survival.cure import cure_data, cure_law, cure_log_likelihood, cure_model
from smm_bayes.survival.cure_priors import CuredPrior, CurePriors, LateHazardPrior
from smm_bayes.survival.cure_table import CureTable
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.survival.piecewise import PiecewiseExponential
from smm_bayes.trial.patients import Patients
from smm_bayes.validation.designs.design import Parameters
from smm_bayes.validation.designs.interim import flat

if TYPE_CHECKING:
    import pymc as pm

ARMS, CAUSES = ("control", "experimental"), ("progression", "death")
SUMMARIES = ("cured", "log_odds_ratio", "log_hazard_ratio_uncured", "smoothness_uncured", "level", "smoothness",
             "log_hazard_ratio")  # fmt: skip


@dataclass(frozen=True, eq=False)
class SimulatedCure:
    """A simulated trial."""

    table: CureTable
    priors: CurePriors

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data."""
        return [cure_data(self.table, self.priors)]

    def log_likelihood(self, parameters: Parameters) -> np.ndarray:
        """Log likelihood of parameters with draws first."""
        return cure_log_likelihood(parameters, self.table)


@dataclass(frozen=True, eq=False)
class CureDesign:
    """Calibrates a mixture cure model.

    Parameters
    ----------
    size : int
        Patients, to the two arms in turn.
    accrual, cutoff : float
        Calendar months: enrolment is even over the first, the data are cut at the second.
    grid : TimeGrid
    priors : CurePriors
    milestone : float
        Months at which survival and restricted means are ranked.
    """

    size: int = 150
    accrual: float = 24.0
    cutoff: float = 96.0
    grid: TimeGrid = field(default_factory=lambda: TimeGrid((6, 12, 24, 36, 60)))
    priors: CurePriors = field(default_factory=lambda: CurePriors(
        CuredPrior(0.3, 0.6), LateHazardPrior(18, 54),
        others=SurvivalPriors({CAUSES[1]: BaselinePrior(120, 480)}),
    ))  # fmt: skip
    milestone: float = 60.0

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        truth = self.prior(1, rng=np.random.default_rng(1))
        return cure_model(self.simulate(truth, rng=np.random.default_rng(1)).table, self.priors)

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters."""
        return self.priors.sample(CAUSES[1:], len(ARMS), self.grid, draws, rng=rng)

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> SimulatedCure:
        """Simulate patients: who is cured, their times, the data cut."""
        arm, enrolled = np.arange(self.size) % len(ARMS), np.linspace(0, self.accrual, self.size)
        time, cause = self._times(truth, arm, rng=rng)
        followed = self.cutoff - enrolled
        event = time <= followed
        patients = Patients(
            patient=np.arange(self.size).astype(str).astype(object), arm=arm, time=np.minimum(time, followed),
            event=event, cause=np.where(event, cause, -1), enrolled=enrolled, data_cutoff=self.cutoff,
            censoring=np.where(event, "", "administrative").astype(object), arms=ARMS, arm_names=ARMS, causes=CAUSES,
            provenance="simulated",
        )  # fmt: skip
        return SimulatedCure(CureTable.of(patients, self.grid, CAUSES[0], rows=self.size), self.priors)

    def _times(self, truth: Parameters, arm: np.ndarray, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Time and cause of patients: the first of independent times, of which the cured have one less."""
        cured = rng.random(len(arm)) < truth["cured"][0][arm]
        each = [truth["log_hazard_uncured"][0], *np.moveaxis(truth["log_hazard_other"][0], 1, 0)]
        times = np.stack([PiecewiseExponential(hazard[arm], self.grid).sample(rng=rng) for hazard in each])
        times[0] = np.where(cured, np.inf, times[0])
        return times.min(axis=0), times.argmin(axis=0)

    def ranked(self, parameters: Parameters) -> Parameters:
        """Shares, effects, levels and smoothness, first and last hazard, survival and restricted means."""
        found = flat({name: parameters[name] for name in SUMMARIES})
        uncured, law = parameters["log_hazard_uncured"], cure_law(parameters, self.grid, CAUSES)
        found |= {"log_hazard_uncured:0:0": uncured[:, 0, 0], "log_hazard_uncured:0:-1": uncured[:, 0, -1]}
        survival, mean = law.survival(self.milestone)[..., 0], law.rmst(self.milestone)
        still = law.shares(self.milestone / 2)[..., 0, 0]
        for index, arm in enumerate(ARMS):
            found |= {f"survival:{arm}": survival[:, index], f"rmst:{arm}": mean[:, index],
                      f"cured_if_event_free:{arm}": still[:, index]}  # fmt: skip
        return found | {"rmst_difference": mean[:, 1] - mean[:, 0]}
