"""The model of an analysis: of one trial alone, or of that trial with earlier ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.earlier import EvidenceSource, read_earlier
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.borrowing.trials.cohorts import Trials, cohorts_of
from smm_bayes.borrowing.trials.priors import TrialsPriors
from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.likelihood import log_likelihood
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors

if TYPE_CHECKING:
    import pymc as pm


@dataclass(frozen=True, eq=False)
class OneTrial:
    """A trial by itself.

    Attributes
    ----------
    table : EventTable
    priors : SurvivalPriors or GammaPrior
    """

    table: EventTable
    priors: SurvivalPriors | GammaPrior

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
        return replace(self, table=table)

    def log_likelihood(self, parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Log likelihood of parameters with draws first, in NumPy."""
        return log_likelihood(parameters["log_hazard"], self.table)


@dataclass(frozen=True, eq=False)
class WithEarlierTrials:
    """A trial with earlier ones.

    Attributes
    ----------
    trials : tuple of Trials
        One a reconstruction of the earlier patients; the current trial, and those whose own patients are known, are the
        same in all.
    priors : TrialsPriors
    sources : tuple of EvidenceSource
    """

    trials: tuple[Trials, ...]
    priors: TrialsPriors
    sources: tuple[EvidenceSource, ...]

    def __repr__(self) -> str:
        if len(self.trials) == 1:
            return repr(self.trials[0])
        return f"{self.trials[0]!r} ({len(self.trials)} reconstructions of the earlier ones, this is the first)"

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        from smm_bayes.borrowing.trials.hierarchical import hierarchical_model

        return hierarchical_model(self.trials[0], self.priors)

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data, one set a reconstruction."""
        from smm_bayes.borrowing.trials.hierarchical import trials_data

        return [trials_data(trials, self.priors) for trials in self.trials]

    def without(self, *names: str, reconstructions: int | None = None) -> WithEarlierTrials:
        """Give the same model with some trials silent, from so many reconstructions."""
        kept = self.trials[:reconstructions]
        return WithEarlierTrials(tuple(trials.without(*names) for trials in kept), self.priors, self.sources)

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        unused = f"hazard ratio of {self.trials[0].causes[0]}"  # a contrast takes its place
        return {name: words for name, words in self.priors.statements().items() if name != unused}

    def prior(self, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw parameters from the prior, ``log_hazard`` (draw, arm, cause, interval) of this trial among them."""
        from smm_bayes.borrowing.trials.hierarchical import cohort_log_hazard

        trials = self.trials[0]
        found = self.priors.sample(trials, draws, rng=rng)
        mine = [index for index, cohort in enumerate(trials.cohorts) if cohort.trial == trials.current]
        log_hazard = cohort_log_hazard(found, trials, self.priors)[:, mine]
        found["log_hazard"] = log_hazard
        if len(mine) > 1:
            found["log_hazard_ratio"] = log_hazard[:, 1, :, 0] - log_hazard[:, 0, :, 0]
        return found

    def simulated(
        self, table: EventTable, truth: dict[str, np.ndarray], *, rng: np.random.Generator
    ) -> WithEarlierTrials:
        """Give the model of simulated patients of this trial, and of simulated counts of the earlier ones.

        Those are Poisson given the patient-months of the first reconstruction, as the likelihood has them.
        """
        from smm_bayes.borrowing.trials.hierarchical import cohort_log_hazard, simulate_counts

        trials = self.trials[0]
        drawn = simulate_counts(cohort_log_hazard(truth, trials, self.priors)[0], trials, rng=rng)
        regimens = {arm: cohort.regimen for arm, cohort in
                    zip(table.arms, [c for c in trials.cohorts if c.trial == trials.current], strict=True)}  # fmt: skip
        return replace(self, trials=(drawn.with_current(table, regimens),))

    def log_likelihood(self, parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Log likelihood of parameters with draws first, in NumPy, under the first reconstruction."""
        from smm_bayes.borrowing.trials.hierarchical import log_likelihood

        return log_likelihood(parameters, self.trials[0], self.priors).sum(axis=-1)


HazardModel = OneTrial | WithEarlierTrials


def hazard_model(spec: AnalysisSpec, table: EventTable) -> HazardModel:
    """Put together what the specification names, reading the evidence.

    Raises
    ------
    SpecificationError, DataError
        Naming every problem of facts and tables of earlier patients.
    """
    section = spec.evidence
    if section is None:
        return OneTrial(table, spec.priors)
    earlier = read_earlier(spec)
    roles = {"control": section.regimens.control, "experimental": section.regimens.experimental}
    regimens = {arm: regimen for arm, regimen in roles.items() if regimen is not None}
    now = cohorts_of(spec.trial.name, table, regimens)
    number = section.reconstructions if any(trial.reconstructed for trial in earlier) else 1
    trials = tuple(
        Trials((*(cohort for trial in earlier for cohort in trial.cohorts(r, table.grid)), *now), table.grid,
               table.causes, spec.trial.name)
        for r in range(number)
    )  # fmt: skip
    return WithEarlierTrials(trials, spec.trials_priors, tuple(trial.source for trial in earlier))
