"""The joint model of MRD and a time to event with earlier trials, calibrated under any relation between trials."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.borrowing.trials.cohorts import Trials
from smm_bayes.borrowing.trials.hierarchical import cohort_log_hazard, simulate_counts
from smm_bayes.borrowing.trials.hierarchical import log_likelihood as trials_log_likelihood
from smm_bayes.borrowing.trials.priors import TrialsPriors
from smm_bayes.borrowing.trials.relations import Relation
from smm_bayes.priors.clinical import HazardRatioPrior
from smm_bayes.surrogacy.joint.hazards import MARGINAL
from smm_bayes.surrogacy.joint.history import joint_history_data, joint_history_model
from smm_bayes.surrogacy.joint.law import JointLaw
from smm_bayes.surrogacy.joint.likelihood import log_likelihood
from smm_bayes.surrogacy.joint.priors import JointPriors
from smm_bayes.surrogacy.joint.shape import JointShape
from smm_bayes.surrogacy.joint.simulate import simulate_joint
from smm_bayes.surrogacy.joint.table import JointTable
from smm_bayes.surrogacy.visits.schedule import MrdSchedule
from smm_bayes.surrogacy.visits.status import MrdStatus
from smm_bayes.survival.effects import Effect, Proportional
from smm_bayes.trial.patients import Patients
from smm_bayes.validation.designs.design import Parameters
from smm_bayes.validation.designs.interim import flat
from smm_bayes.validation.designs.relations import GRID, MILESTONE, TRIALS, RelationDesign

if TYPE_CHECKING:
    import pymc as pm

ARMS, REGIMENS = ("control", "experimental"), {"control": "old", "experimental": "new"}
SCHEDULE, JOINT = MrdSchedule((6.0,), 0.5, 0.5), JointPriors({"progression": HazardRatioPrior(0.5, 1.5)})
SIZE, ACCRUAL, CUTOFF, MISSING = 60, 18.0, 42.0, 0.2
SUMMARIES = ("log_mrd_hazard_ratio", "status_level", "status_log_odds_ratio")


@dataclass(frozen=True, eq=False)
class SimulatedJointHistory:
    """Simulated patients with their MRD, and simulated counts of the earlier trials."""

    trials: Trials
    priors: TrialsPriors
    patients: Patients
    status: MrdStatus

    @property
    def table(self) -> JointTable:
        """Sufficient statistics, with room for a row a patient."""
        return JointTable.of(self.patients, self.status, GRID, rows=SIZE)

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data."""
        return [joint_history_data(self.trials, self.priors, self.table, JOINT)]

    def log_likelihood(self, parameters: Parameters) -> np.ndarray:
        """Log likelihood of parameters with draws first."""
        earlier = self.trials.without(self.trials.current)
        found: np.ndarray = trials_log_likelihood(parameters, earlier, self.priors).sum(axis=1)
        return found + log_likelihood(law_of(parameters), self.patients, self.status)


@dataclass(frozen=True, eq=False)
class JointHistoryDesign:
    """Calibrates the joint model of the last of the trials of :class:`RelationDesign`, simulated patient by patient.

    Parameters
    ----------
    relation : Relation
    effect : Effect
        How the effect of treatment on everyone's hazard changes over time.
    """

    relation: Relation
    effect: Effect = field(default_factory=Proportional)
    events: RelationDesign = field(init=False)

    def __post_init__(self) -> None:
        """Take the trials and priors of the model without MRD."""
        object.__setattr__(self, "events", RelationDesign(self.relation, self.effect))

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        rng = np.random.default_rng(1)
        one = self.simulate(self.prior(1, rng=rng), rng=rng)
        return joint_history_model(one.trials, one.priors, one.table, JOINT)

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters."""
        found = self.events.prior(draws, rng=rng)
        return found | JOINT.sample(TRIALS.causes, len(SCHEDULE), len(ARMS), draws, rng=rng)

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> SimulatedJointHistory:
        """Simulate counts of the earlier trials; patients, their times and statuses, and the data cut."""
        priors = self.events.priors
        drawn = simulate_counts(cohort_log_hazard(truth, TRIALS, priors)[0], TRIALS, rng=rng)
        patients, status = simulate_joint(
            law_of({name: values[0] for name, values in truth.items()}), SCHEDULE, np.arange(SIZE) % 2, rng=rng,
            causes=TRIALS.causes, enrolled=np.linspace(0, ACCRUAL, SIZE), cutoff=CUTOFF, missing=MISSING,
        )  # fmt: skip
        now = drawn.with_current(GRID.tabulate(patients), REGIMENS)
        return SimulatedJointHistory(now, priors, patients, status)

    def ranked(self, parameters: Parameters) -> Parameters:
        """What is ranked without MRD, status and MRD effect, and the effects on both."""
        found = self.events.ranked(parameters) | flat({name: parameters[name] for name in SUMMARIES})
        law = law_of(parameters)
        negative = law.negative(-1)
        found |= {f"negative:{arm}": negative[:, index] for index, arm in enumerate(ARMS)}
        return found | {"status_effect": law.status_effect(), "event_effect": law.event_effect(MILESTONE)}


def law_of(parameters: Parameters) -> JointLaw:
    """Paths and hazards of parameters with any leading dims."""
    return JointLaw.of(parameters, JointShape.of(GRID, SCHEDULE.months, TRIALS.causes, ARMS), JOINT, MARGINAL)
