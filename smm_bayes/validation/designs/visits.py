"""A design for events that are found at visits: two arms, progression found at visits, death exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.priors.clinical import BaselinePrior
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.survival.piecewise import PiecewiseExponential, cumulative_incidence
from smm_bayes.survival.schedule import VisitSchedule
from smm_bayes.survival.visits import VisitTable, visits_log_likelihood
from smm_bayes.trial.patients import Patients
from smm_bayes.validation.designs.design import Parameters
from smm_bayes.validation.designs.interim import flat

if TYPE_CHECKING:
    import pymc as pm

PATIENTS, ACCRUAL, CUTOFF, MISSED = 160, 24.0, 60.0, 0.15
GRID = TimeGrid((6, 12, 24, 36, 48))
SCHEDULE = VisitSchedule.every((3, 24), (6, 60))
CAUSES, ARMS = ("progression", "death"), ("control", "experimental")
PRIORS = SurvivalPriors({"progression": BaselinePrior(36, 144), "death": BaselinePrior(120, 480)})
ROOM = {"rows": 80, "pieces": len(GRID)}  # brackets repeat: at most 34 differed in 400 simulated trials


@dataclass(frozen=True, eq=False)
class SimulatedVisits:
    """Simulated patients, ready to be fitted.

    Attributes
    ----------
    table : VisitTable
    """

    table: VisitTable

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data: one set."""
        from smm_bayes.survival.visits_model import visits_data

        return [visits_data(self.table, PRIORS, **ROOM)]

    def log_likelihood(self, parameters: Parameters) -> np.ndarray:
        """Log likelihood of parameters with draws first, in NumPy."""
        return visits_log_likelihood(parameters["log_hazard"], self.table)


@dataclass(frozen=True, eq=False)
class VisitsDesign:
    """Calibrates the model of events found at visits.

    160 patients in two arms enter evenly at random over 24 months and are visited every 3 months to 24 and every 6 to
    60; one visit in seven is missed, so that brackets reach over cuts of the grid. Data are cut at 60 months after the
    first could enter: a patient is followed until the last visit held before that. The first of progression and death
    counts, as the likelihood has it: who progresses between two visits held is found at the later one, even if they
    would have died in between.
    """

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        from smm_bayes.survival.visits_model import visits_model

        rng = np.random.default_rng(1)
        return visits_model(self.simulate(self.prior(1, rng=rng), rng=rng).table, PRIORS, **ROOM)

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters."""
        return PRIORS.sample(CAUSES, len(ARMS), GRID, draws, rng=rng)

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> SimulatedVisits:
        """Simulate patients, their visits and what is found there."""
        arm = np.arange(PATIENTS) % 2
        of_patient = truth["log_hazard"][0][arm]  # (patient, cause, interval)
        left = PiecewiseExponential(np.logaddexp.reduce(of_patient, axis=1), GRID).sample(rng=rng)
        there = np.exp(np.take_along_axis(of_patient, GRID.index(left)[:, None, None], axis=2)[..., 0])
        progressed = rng.random(PATIENTS) < there[:, 0] / there.sum(axis=1)
        planned = np.array(SCHEDULE.visits)
        held = rng.random((PATIENTS, len(planned))) >= MISSED
        held &= planned <= CUTOFF - rng.uniform(0, ACCRUAL, (PATIENTS, 1))
        last = np.where(held, planned, 0.0).max(axis=1)
        clear = np.where(held & (planned < left[:, None]), planned, 0.0).max(axis=1)
        finds = np.where(held & (planned >= left[:, None]), planned, np.inf).min(axis=1)
        event = left <= last  # then a visit finds a progression, too
        patients = Patients(
            patient=np.arange(PATIENTS).astype(str).astype(object), arm=arm,
            time=np.where(event, np.where(progressed, finds, left), last), event=event,
            cause=np.where(event, np.where(progressed, 0, 1), -1),
            censoring=np.where(event, "", "administrative").astype(object), enrolled=None, arms=ARMS, arm_names=ARMS,
            causes=CAUSES, provenance="simulated",
        )  # fmt: skip
        return SimulatedVisits(VisitTable.of(patients, GRID, cause="progression", last_clear=clear))

    def ranked(self, parameters: Parameters) -> Parameters:
        """Parameters, the first and the last hazard, survival, incidence and restricted means at 48 months."""
        found = flat({name: parameters[name] for name in ("level", "log_hazard_ratio", "smoothness")})
        log_hazard, horizon = parameters["log_hazard"], GRID.cuts[-1]
        found |= {f"log_hazard:{cell}": log_hazard[(slice(None), *cell)] for cell in ((0, 0, 0), (-1, 0, -1))}
        law = PiecewiseExponential(np.logaddexp.reduce(log_hazard, axis=2), GRID)
        survival, mean = law.survival(horizon)[..., 0], law.rmst(horizon)
        incidence = cumulative_incidence(log_hazard, GRID, np.array([horizon]))[:, :, 0, 0]
        for index, arm in enumerate(ARMS):
            found |= {f"survival:{arm}": survival[:, index], f"incidence:{arm}": incidence[:, index]}
        return found | {"rmst_difference": mean[:, 1] - mean[:, 0]}
