"""The joint model of MRD and a time to event, calibrated: two visits, arms and causes, results that are missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.priors.clinical import BaselinePrior, HazardRatioPrior
from smm_bayes.surrogacy.joint.hazards import CONDITIONAL, HazardsOf
from smm_bayes.surrogacy.joint.law import JointLaw
from smm_bayes.surrogacy.joint.likelihood import log_likelihood
from smm_bayes.surrogacy.joint.model import joint_data, joint_model
from smm_bayes.surrogacy.joint.priors import JointPriors
from smm_bayes.surrogacy.joint.shape import JointShape
from smm_bayes.surrogacy.joint.simulate import simulate_joint
from smm_bayes.surrogacy.joint.table import JointTable
from smm_bayes.surrogacy.visits.schedule import MrdSchedule
from smm_bayes.surrogacy.visits.status import MrdStatus
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.trial.patients import Patients
from smm_bayes.validation.designs.design import Parameters
from smm_bayes.validation.designs.interim import flat

if TYPE_CHECKING:
    import pymc as pm

ARMS, CAUSES = ("control", "experimental"), ("progression", "death")
SUMMARIES = ("log_mrd_hazard_ratio", "status_level", "status_log_odds_ratio", "status_persistence", "log_hazard_ratio",
             "level", "smoothness")  # fmt: skip


@dataclass(frozen=True, eq=False)
class SimulatedJoint:
    """A simulated trial."""

    design: JointDesign
    patients: Patients
    status: MrdStatus

    @property
    def table(self) -> JointTable:
        """Sufficient statistics, with room for a row a patient."""
        return JointTable.of(self.patients, self.status, self.design.grid, rows=self.design.rows)

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data."""
        return [joint_data(self.table, self.design.survival, self.design.joint,
                           rough=self.design.grid.tabulate(self.patients))]

    def log_likelihood(self, parameters: Parameters) -> np.ndarray:
        """Log likelihood of parameters with draws first."""
        return log_likelihood(self.design.law(parameters), self.patients, self.status)


@dataclass(frozen=True, eq=False)
class JointDesign:
    """Calibrates the joint model.

    Parameters
    ----------
    missing : float
        Probability of a result being missing at random, of patients at risk at a visit.
    hazards_of : {"not negative", "everyone"}
    size : int
        Patients, to the two arms in turn.
    accrual, cutoff : float
        Calendar months: enrolment is even over the first, the data are cut at the second.
    grid : TimeGrid
    schedule : MrdSchedule
    survival : SurvivalPriors
    joint : JointPriors
    milestone : float
        Months at which survival, restricted means and effects are ranked.
    """

    missing: float = 0.0
    hazards_of: HazardsOf = CONDITIONAL
    size: int = 150
    accrual: float = 24.0
    cutoff: float = 60.0
    grid: TimeGrid = field(default_factory=lambda: TimeGrid((6, 12, 24, 36)))
    schedule: MrdSchedule = field(default_factory=lambda: MrdSchedule((3.7, 8.3), 0.5, 0.5))
    survival: SurvivalPriors = field(default_factory=lambda: SurvivalPriors(
        {CAUSES[0]: BaselinePrior(40, 160), CAUSES[1]: BaselinePrior(400, 1600)}))  # fmt: skip
    joint: JointPriors = field(default_factory=lambda: JointPriors({CAUSES[0]: HazardRatioPrior(0.5, 1.5)}))
    milestone: float = 48.0

    @property
    def rows(self) -> int:
        """Rows of the table, the same in every simulated trial: 1 where every status is known."""
        return self.size if self.missing else 1

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        rng = np.random.default_rng(1)
        one = self.simulate(self.prior(1, rng=rng), rng=rng)
        return joint_model(one.table, self.survival, self.joint, rough=self.grid.tabulate(one.patients),
                           hazards_of=self.hazards_of)  # fmt: skip

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters."""
        visits, arms = len(self.schedule), len(ARMS)
        hazards = self.survival.sample(CAUSES, arms, self.grid, draws, rng=rng)
        return hazards | self.joint.sample(CAUSES, visits, arms, draws, rng=rng)

    def law(self, parameters: Parameters) -> JointLaw:
        """Paths and hazards of parameters."""
        shape = JointShape.of(self.grid, self.schedule.months, CAUSES, ARMS)
        return JointLaw.of(parameters, shape, self.joint, self.hazards_of)

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> SimulatedJoint:
        """Simulate patients, their times and statuses, the results that are missing, and the data cut."""
        law = self.law({name: values[0] for name, values in truth.items()})
        found = simulate_joint(law, self.schedule, np.arange(self.size) % len(ARMS), rng=rng, causes=CAUSES,
                               enrolled=np.linspace(0, self.accrual, self.size), cutoff=self.cutoff,
                               missing=self.missing)  # fmt: skip
        return SimulatedJoint(self, *found)

    def ranked(self, parameters: Parameters) -> Parameters:
        """Parameters, first and last hazard, and what follows from them: survival, statuses, effects, their parts."""
        found = flat({name: parameters[name] for name in SUMMARIES})
        log_hazard, law = parameters["log_hazard"], self.law(parameters)
        found |= {"log_hazard:0:0:0": log_hazard[:, 0, 0, 0], "log_hazard:0:0:-1": log_hazard[:, 0, 0, -1]}
        survival, mean, negative = law.survival(self.milestone)[..., 0], law.rmst(self.milestone), law.negative(-1)
        for index, arm in enumerate(ARMS):
            found |= {f"survival:{arm}": survival[:, index], f"negative:{arm}": negative[:, index]}
        found |= {"rmst_difference": mean[:, 1] - mean[:, 0], "status_effect": law.status_effect(),
                  "event_effect": law.event_effect(self.milestone)}  # fmt: skip
        free, status, after = law.milestone(self.milestone)
        residual = free[:, 0] * (status[:, 0] * (after[:, 1] - after[:, 0])).sum(axis=-1)
        return found | {"milestone_difference": survival[:, 1] - survival[:, 0], "residual_difference": residual}
