"""Designs for response rates of several trials, and of cohorts that may borrow from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.borrowing.meta_analysis.analysis import MetaAnalysis
from smm_bayes.borrowing.meta_analysis.basket_model import (
    exchangeable_nonexchangeable_data,
    exchangeable_nonexchangeable_model,
)
from smm_bayes.borrowing.meta_analysis.baskets import Baskets
from smm_bayes.borrowing.meta_analysis.kinds import Responses
from smm_bayes.borrowing.meta_analysis.model import meta_analytic_data, meta_analytic_model
from smm_bayes.priors.normal import Normal
from smm_bayes.priors.spread import HalfNormal
from smm_bayes.validation.designs.design import Parameters
from smm_bayes.validation.designs.interim import flat

if TYPE_CHECKING:
    import pymc as pm

PATIENTS = (60.0, 35.0, 90.0, 20.0, 45.0)
EARLIER = Responses(tuple(f"trial {n}" for n in range(1, 6)), np.zeros(5), np.array(PATIENTS))
ANALYSIS = MetaAnalysis.read(
    EARLIER, mean_prior=Normal(0, 1), sd_prior=HalfNormal(0.5), covariates={"late": [0, 0, 1, 1, 0]},
    covariate_prior=Normal(0, 1),
)  # fmt: skip
COHORTS = Baskets.read(
    np.zeros(3), np.array([25, 30, 12]), names=None, probability=0.6, mean_prior=Normal(-0.5, 1),
    sd_prior=HalfNormal(0.5), own_prior=Normal(-0.5, 1.5),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class SimulatedMetaAnalysis:
    """Simulated responders of several trials."""

    analysis: MetaAnalysis

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data."""
        return [meta_analytic_data(self.analysis)]

    def log_likelihood(self, parameters: Parameters) -> np.ndarray:
        """Log likelihood of parameters with draws first."""
        return self.analysis.log_likelihood(parameters).sum(axis=1)


@dataclass(frozen=True, eq=False)
class MetaAnalysisDesign:
    """Calibrates a meta-analysis of responses with a covariate."""

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        return meta_analytic_model(ANALYSIS)

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters."""
        found = ANALYSIS.sample_prior(draws, rng=rng)
        return found | {"trial_parameter": ANALYSIS.trial_parameters(found)}

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> SimulatedMetaAnalysis:
        """Simulate responders."""
        return SimulatedMetaAnalysis(ANALYSIS.simulate(truth, rng=rng))

    def ranked(self, parameters: Parameters) -> Parameters:
        """Mean, coefficient, SD between trials, and each trial's log odds."""
        return flat({name: parameters[name] for name in ("mean", "coefficient", "between_trial_sd", "trial_parameter")})


@dataclass(frozen=True, eq=False)
class SimulatedCohorts:
    """Simulated responders of cohorts."""

    baskets: Baskets

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data."""
        return [exchangeable_nonexchangeable_data(self.baskets)]

    def log_likelihood(self, parameters: Parameters) -> np.ndarray:
        """Log likelihood of parameters with draws first, memberships summed out."""
        return self.baskets.log_likelihood(parameters).sum(axis=1)


@dataclass(frozen=True, eq=False)
class CohortsDesign:
    """Calibrates cohorts that are exchangeable or not, memberships summed out."""

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        return exchangeable_nonexchangeable_model(COHORTS)

    def prior(self, draws: int, *, rng: np.random.Generator) -> Parameters:
        """Draw parameters."""
        return COHORTS.sample_prior(draws, rng=rng)

    def simulate(self, truth: Parameters, *, rng: np.random.Generator) -> SimulatedCohorts:
        """Simulate responders, each cohort's from a membership of its own."""
        return SimulatedCohorts(COHORTS.simulate(truth, rng=rng))

    def ranked(self, parameters: Parameters) -> Parameters:
        """Means, SDs and deviations."""
        return flat({name: parameters[name] for name in ("mean", "between_cohort_sd", "deviation", "own_deviation")})
