"""The model of a trial by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.survival.grid import EventTable, TimeGrid
from smm_bayes.survival.law import Law
from smm_bayes.survival.likelihood import log_likelihood, patient_log_likelihood
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

DIMS = ("chain", "draw", "arm", "cause", "interval")


@dataclass(frozen=True, eq=False)
class OneTrial:
    """A trial by itself.

    Attributes
    ----------
    table : EventTable
    priors : SurvivalPriors or GammaPrior
    patients : Patients or None
        Whom the table counts, for what is asked of each: cross-validation and checks.
    """

    table: EventTable
    priors: SurvivalPriors | GammaPrior
    patients: Patients | None = None

    def __post_init__(self) -> None:
        """Refuse patients whom the table does not count."""
        if self.patients is not None:
            require_counted(self.patients, self.table)

    @classmethod
    def of(cls, patients: Patients, grid: TimeGrid, priors: SurvivalPriors | GammaPrior) -> OneTrial:
        """Give the model of patients, with hazards that are constant in the intervals of a grid.

        Examples
        --------
        >>> import numpy as np, pandas as pd, smm_bayes as smm
        >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
        ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
        >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
        >>> smm.OneTrial.of(patients, smm.TimeGrid((12,)), smm.GammaPrior(0.5, 50)).table.events.sum()
        np.float64(2.0)
        """
        return cls(grid.tabulate(patients), priors, patients)

    def __repr__(self) -> str:
        return f"hazards by arm and cause; {self.table!r}"

    def with_data(self, data: Patients | EventTable) -> OneTrial:
        """Give the same model of other patients, or of a table of them."""
        if isinstance(data, EventTable):
            return replace(self, table=data, patients=None)
        return OneTrial.of(data, self.table.grid, self.priors)

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
        return replace(self, table=table, patients=None)

    def log_likelihood(self, parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Log likelihood of parameters with draws first, in NumPy."""
        return log_likelihood(parameters["log_hazard"], self.table)

    def law(self, posterior: xr.Dataset) -> Law:
        """Give the law of every posterior draw, leading dims (chain, draw)."""
        return Law.of_draws(posterior["log_hazard"], self.table.grid)

    def law_of(self, parameters: dict[str, np.ndarray]) -> Law:
        """Give the law of parameters with draws first."""
        return Law.plain(parameters["log_hazard"], self.table.grid, self.table.arms, self.table.causes)

    def patient_log_likelihood(self, posterior: xr.Dataset) -> np.ndarray:
        """Log likelihood by patient, (chain, draw, patient).

        Raises
        ------
        SpecificationError
            When the patients are not known.
        """
        if self.patients is None:
            raise SpecificationError("the model has a table of its patients only; make it with OneTrial.of")
        return patient_log_likelihood(posterior["log_hazard"].transpose(*DIMS).values, self.patients, self.table.grid)

    def predicted(self, posterior: xr.Dataset, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw events of every cell given its exposure, from every draw of the hazards, (chain, draw, cell)."""
        log_hazard = posterior["log_hazard"].transpose(*DIMS).values
        drawn = rng.poisson(np.exp(log_hazard) * self.table.cell_exposure).astype(float)
        return {"events": drawn.reshape(*drawn.shape[:2], -1)}


def require_counted(patients: Patients, table: EventTable) -> None:
    """Refuse patients who are not those that a table counts."""
    same = (patients.arms, patients.causes) == (table.arms, table.causes)
    counted = table.grid.tabulate(patients) if same else table
    if not (same and np.array_equal(counted.events, table.events) and np.allclose(counted.exposure, table.exposure)):
        raise SpecificationError("the patients are not those whom the table counts; tabulate these patients")
