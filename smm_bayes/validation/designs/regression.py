"""A design for strata, covariates and subgroups together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.priors.clinical import BaselinePrior, HazardRatioPrior, SmoothnessPrior
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.survival.patterns import PatternTable
from smm_bayes.survival.piecewise import PiecewiseExponential
from smm_bayes.survival.regression_priors import CovariatePrior, RegressionPriors
from smm_bayes.trial.patients import Patients
from smm_bayes.validation.designs.design import Parameters, Simulated

if TYPE_CHECKING:
    import pymc as pm

PATIENTS, CUTOFF, ACCRUAL, MILESTONE = 180, 60.0, 24.0, 36.0
GRID = TimeGrid((6, 12, 24, 36))
PRIORS = RegressionPriors(
    SurvivalPriors(
        {"progression": BaselinePrior(30, 90), "death": BaselinePrior(120, 480)},
        {"progression": HazardRatioPrior(0.7, 1.4)}, SmoothnessPrior(2.0),
    ),
    {"age": CovariatePrior(1.1, 2.0, per=10, centre=65)},
)  # fmt: skip
RANKED_NAMES = ("smoothness", "log_hazard_ratio", "covariate_effect", "prognostic_spread", "predictive_spread")


@dataclass(frozen=True, eq=False)
class Fitted:
    """A simulated table, ready to be fitted."""

    table: PatternTable

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data."""
        from smm_bayes.survival.regression import regression_data

        return [regression_data(self.table, PRIORS)]

    def log_likelihood(self, parameters: Parameters) -> np.ndarray:
        """Log likelihood of parameters with draws first, in NumPy."""
        from smm_bayes.survival.regression import pattern_log_likelihood

        return pattern_log_likelihood(parameters, self.table, PRIORS)


class RegressionDesign:
    """A trial of 180 patients: two strata, age in decades, three risk groups; progression competes with death."""

    def __init__(self) -> None:
        rng, every = np.random.default_rng(7), np.arange(PATIENTS)
        self.patients = Patients(
            patient=every.astype(str).astype(object), arm=every % 2, time=np.full(PATIENTS, CUTOFF),
            event=np.zeros(PATIENTS, bool), cause=np.full(PATIENTS, -1),
            censoring=np.full(PATIENTS, "administrative", object), enrolled=np.sort(rng.uniform(0, ACCRUAL, PATIENTS)),
            arms=("control", "experimental"), arm_names=("control", "experimental"), causes=("progression", "death"),
            stratum=rng.choice(["A", "B"], PATIENTS, p=[0.6, 0.4]).astype(object), provenance="simulated",
            covariates={"age": rng.choice([55.0, 65.0, 75.0], PATIENTS),
                        "risk": rng.choice(["high", "low", "standard"], PATIENTS, p=[0.2, 0.3, 0.5]).astype(object)},
        )  # fmt: skip
        self.table = self._tabulated(self.patients)

    @staticmethod
    def _tabulated(patients: Patients) -> PatternTable:
        return PatternTable.of(patients, GRID, strata=True, covariates=("age",), subgroups=("risk",))

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        from smm_bayes.survival.regression import regression_model

        return regression_model(self.table, PRIORS)

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters."""
        return PRIORS.sample(self.table, draws, rng=rng)

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> Simulated:
        """Simulate the patients' times from hazards written patient by patient."""
        age, risk = self.patients.covariates["age"], self.patients.covariates["risk"]
        levels = ("high", "low", "standard")
        time, cause = np.empty(PATIENTS), np.empty(PATIENTS, int)
        for i in range(PATIENTS):
            baseline = truth["log_baseline"][0, 2 * ("A", "B").index(self.patients.stratum[i]):][:2]  # type: ignore[index]
            added = truth["covariate_effect"][0, :, 0] * (age[i] - 65) / 10
            added = added + truth["prognostic_effect"][0, :, levels.index(risk[i])]
            if self.patients.arm[i]:
                added = added + truth["log_hazard_ratio"][0] + truth["predictive_effect"][0, :, levels.index(risk[i])]
            both = PiecewiseExponential(baseline + added[:, None], GRID).sample(rng=rng)
            time[i], cause[i] = both.min(), both.argmin()
        assert self.patients.enrolled is not None
        follow_up = CUTOFF - self.patients.enrolled
        event = time <= follow_up
        return Fitted(self._tabulated(replace(
            self.patients, time=np.minimum(time, follow_up), event=event, cause=np.where(event, cause, -1),
            censoring=np.where(event, "", "administrative").astype(object),
        )))  # fmt: skip

    def ranked(self, parameters: Parameters) -> Parameters:
        """Parameters, subgroup effects on progression, and survival at three years of two unlike patients."""
        from smm_bayes.survival.regression import pattern_log_hazard, subgroup_log_hazard_ratios
        from smm_bayes.validation.designs.interim import flat

        found = flat({name: parameters[name] for name in RANKED_NAMES})
        ratios = subgroup_log_hazard_ratios(parameters, self.table, ("progression",))[:, 0]
        found |= {f"subgroup:{name}": ratios[:, k] for k, name in enumerate(self.table.level_names)}
        for row in (0, len(self.table) - 1):
            hazards = pattern_log_hazard(parameters, self.table.only(np.array([row])), PRIORS)[:, 0]
            law = PiecewiseExponential(np.logaddexp.reduce(hazards, axis=1), GRID)
            found |= {f"survival:{row}": law.survival(MILESTONE)[:, 0], f"rmst:{row}": law.rmst(MILESTONE)}
        return found
