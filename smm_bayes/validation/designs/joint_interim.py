"""The joint model of a pre-specified analysis: its patients' enrolment and data cut, its visits, its earlier trials."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.interim import InterimInputs
from smm_bayes.analysis.mrd.model import WithMrd
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy.joint.law import JointLaw
from smm_bayes.surrogacy.joint.likelihood import log_likelihood
from smm_bayes.surrogacy.joint.simulate import simulate_joint
from smm_bayes.surrogacy.joint.table import JointTable
from smm_bayes.trial.patients import Patients
from smm_bayes.validation.designs.design import Parameters
from smm_bayes.validation.designs.interim import InterimDesign, flat

if TYPE_CHECKING:
    import pymc as pm

MISSING = 0.1  # of the results of patients at risk
OF_EVENTS = ("between_", "log_contrast", "endpoint_offset", "population_offset", "rmst:")  # ranked without MRD too
STATUS = ("log_mrd_hazard_ratio", "status_level", "status_log_odds_ratio", "status_persistence")


@dataclass(frozen=True, eq=False)
class SimulatedJointInterim:
    """Simulated patients with their MRD, and simulated counts of the earlier trials."""

    model: WithMrd
    patients: Patients

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data."""
        return self.model.data()

    def log_likelihood(self, parameters: Parameters) -> np.ndarray:
        """Log likelihood of parameters with draws first."""
        base = self.model.base
        law = law_of(self.model, parameters)
        mine = log_likelihood(law, self.patients, self.model.status)
        if not isinstance(base, WithEarlierTrials):
            return mine
        return mine + base.without(base.trials[0].current).log_likelihood(parameters)


@dataclass(frozen=True, eq=False)
class JointInterimDesign:
    """Calibrates the joint model of an interim analysis.

    Parameters
    ----------
    inputs : InterimInputs
        With a section of MRD.
    """

    inputs: InterimInputs

    @cached_property
    def joint(self) -> WithMrd:
        """The joint model."""
        if self.inputs.joint is None:
            raise SpecificationError("the specification has no section mrd")
        return self.inputs.joint

    def build(self) -> pm.Model:
        """Make the PyMC model, with room for a row a patient."""
        table = replace(self.joint.table, rows=self.joint.table.rows.padded(len(self.inputs.patients)))
        return replace(self.joint, table=table).build()

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters."""
        shape = self.joint.table.shape
        base = self.inputs.model.prior(draws, rng=rng)
        return base | self.joint.priors.sample(shape.causes, len(shape.months), len(shape.arms), draws, rng=rng)

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> SimulatedJointInterim:
        """Simulate this trial's patients with their MRD, and counts of the earlier trials."""
        now, shape = self.inputs.patients, self.joint.table.shape
        law = law_of(self.joint, {name: values[0] for name, values in truth.items()})
        patients, status = simulate_joint(
            law, self.joint.status.schedule, now.arm, rng=rng, arms=now.arms, causes=now.causes, enrolled=now.enrolled,
            cutoff=now.data_cutoff or np.inf, missing=MISSING,
        )  # fmt: skip
        table = JointTable.of(patients, status, shape.grid, rows=len(now))
        base = self.joint.base.simulated(shape.grid.tabulate(patients), truth, rng=rng)
        return SimulatedJointInterim(replace(self.joint, base=base, status=status, table=table), patients)

    def ranked(self, parameters: Parameters) -> Parameters:
        """Status, MRD effect, shares and effects on both; without MRD less than :class:`InterimDesign` ranks."""
        events = InterimDesign(self.inputs).ranked(parameters)
        found = {name: values for name, values in events.items() if not name.startswith(OF_EVENTS)}
        found |= flat({name: parameters[name] for name in STATUS})
        law, grid = law_of(self.joint, parameters), self.joint.table.shape.grid
        negative = law.negative(-1)
        found |= {f"negative:{arm}": negative[:, index] for index, arm in enumerate(self.inputs.patients.arms)}
        if len(self.inputs.patients.arms) > 1:
            found |= {"status_effect": law.status_effect(), "event_effect": law.event_effect(grid.cuts[-1])}
        return found


def law_of(model: WithMrd, parameters: Parameters) -> JointLaw:
    """Paths and hazards of parameters with any leading dims."""
    return JointLaw.of(parameters, model.table.shape, model.priors, model.hazards_of)
