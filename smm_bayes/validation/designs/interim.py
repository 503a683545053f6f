"""The design of a pre-specified analysis: its patients' enrolment and data cut, its model, its earlier trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.interim import InterimInputs
from smm_bayes.analysis.models import ByArm
from smm_bayes.errors import SpecificationError
from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.piecewise import PiecewiseExponential
from smm_bayes.validation.designs.design import Parameters, Simulated

if TYPE_CHECKING:
    import pymc as pm

SUMMARIES = ("level", "log_hazard_ratio", "smoothness", "ratio_smoothness", "log_half_life", "between_hazard",
             "between_effect", "log_contrast", "endpoint_offset", "population_offset")  # fmt: skip


@dataclass(frozen=True, eq=False)
class InterimDesign:
    """Calibrates the model of an interim analysis.

    Parameters
    ----------
    inputs : InterimInputs
    """

    inputs: InterimInputs

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        return self.inputs.model.build()

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters."""
        return self.inputs.model.prior(draws, rng=rng)

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> Simulated:
        """Simulate this trial's patients, and counts of the earlier trials."""
        model = self.inputs.model
        if not isinstance(model, ByArm):
            raise SpecificationError(f"a calibration of model.kind = '{self.inputs.spec.model.kind}' needs a design of "
                                     "its own; those of the package are in validation/designs")  # fmt: skip
        return model.simulated(simulate_table(self.inputs, truth["log_hazard"][0], rng=rng), truth, rng=rng)

    def ranked(self, parameters: Parameters) -> Parameters:
        """Parameters of interest, the first and the last hazard, survival and restricted means at the last cut."""
        found = flat({name: parameters[name] for name in SUMMARIES if name in parameters})
        log_hazard = parameters["log_hazard"]
        found |= {f"log_hazard:{cell}": log_hazard[(slice(None), *cell)] for cell in ((0, 0, 0), (-1, -1, -1))}
        grid, arms = self.inputs.spec.grid, self.inputs.patients.arms
        horizon = grid.cuts[-1] if grid.cuts else 12.0
        law = PiecewiseExponential(np.logaddexp.reduce(log_hazard, axis=2), grid)
        survival, mean = law.survival(horizon)[..., 0], law.rmst(horizon)
        found |= {f"survival:{arm}": survival[:, index] for index, arm in enumerate(arms)}
        found |= {f"rmst:{arm}": mean[:, index] for index, arm in enumerate(arms)}
        return found | ({"rmst_difference": mean[:, 1] - mean[:, 0]} if len(arms) > 1 else {})


def flat(parameters: Parameters) -> Parameters:
    """Every entry of every parameter (draw, ...) by itself, named by its position."""
    return {
        ":".join([name, *map(str, at)]): values[(slice(None), *at)]
        for name, values in parameters.items()
        for at in np.ndindex(values.shape[1:])
    }


def simulate_table(inputs: InterimInputs, log_hazard: np.ndarray, *, rng: np.random.Generator) -> EventTable:
    """Simulate the interim's patients from hazards (arm, cause, interval), with their enrolment and data cut."""
    patients, grid = inputs.patients, inputs.spec.grid
    if patients.enrolled is None or patients.data_cutoff is None:
        raise SpecificationError("a calibration needs the patients' enrolment dates; give STARTDT")
    of_patient = log_hazard[patients.arm]  # (patient, cause, interval)
    time = PiecewiseExponential(np.logaddexp.reduce(of_patient, axis=1), grid).sample(rng=rng)
    there = np.exp(np.take_along_axis(of_patient, grid.index(time)[:, None, None], axis=2)[..., 0])
    share = np.cumsum(there, axis=1) / there.sum(axis=1, keepdims=True)
    cause = (rng.random((len(patients), 1)) > share).sum(axis=1)
    follow_up = patients.data_cutoff - patients.enrolled
    event = time <= follow_up
    return grid.tabulate(patients.take(
        np.ones(len(patients), bool), time=np.minimum(time, follow_up), event=event,
        cause=np.where(event, cause, -1), censoring=np.where(event, "", "administrative").astype(object), mrd=None,
    ))  # fmt: skip
