"""The priors of a regression of hazards on strata, covariates and subgroups; drawn from in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.clinical import HazardRatioPrior, SpreadPrior
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.survival.patterns import PatternTable
from smm_bayes.survival.walk import draw_walk


@dataclass(frozen=True)
class CovariatePrior:
    """Log-normal prior of the hazard ratio between patients ``per`` units of a covariate apart.

    Parameters
    ----------
    median, upper : float
        Most plausible and upper plausible (97.5 %) hazard ratio.
    per : float
        Units of the covariate; 10 for a decade of age in years.
    centre : float
        The baseline is that of a patient with this value.
    """

    median: float = 1.0
    upper: float = 2.0
    per: float = 1.0
    centre: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        _ = self.ratio
        if not (0 < self.per < np.inf and np.isfinite(self.centre)):
            raise SpecificationError(f"covariate: per must be above 0 and centre finite; got {self.per}, {self.centre}")

    @property
    def ratio(self) -> HazardRatioPrior:
        """Prior of the hazard ratio."""
        return HazardRatioPrior(self.median, self.upper)

    def __str__(self) -> str:
        return f"{self.ratio}, per {self.per:g} from {self.centre:g}"


@dataclass(frozen=True)
class RegressionPriors:
    r"""Priors of a piecewise-exponential regression.

    Parameters
    ----------
    survival : SurvivalPriors
        Baseline of every stratum by cause, smoothness, and the effect of treatment in the typical subgroup.
    covariates : mapping of str to CovariatePrior
        One for every covariate, the same for all causes.
    prognostic : SpreadPrior
        How much the hazards of a factor's subgroups differ in both arms alike.
    predictive : SpreadPrior
        How much the hazard ratios of treatment differ between a factor's subgroups.
    """

    survival: SurvivalPriors
    covariates: Mapping[str, CovariatePrior] = field(default_factory=dict)
    prognostic: SpreadPrior = field(default_factory=lambda: SpreadPrior(2.5))
    predictive: SpreadPrior = field(default_factory=lambda: SpreadPrior(1.5))

    def check(self, table: PatternTable) -> None:
        """Refuse a table that these priors do not cover.

        Raises
        ------
        SpecificationError
            Naming every problem.
        """
        problems = Problems("regression", SpecificationError)
        for cause in table.causes:
            if cause not in self.survival.baseline:
                problems.add(f"no prior for the baseline of cause '{cause}'; give one with median and upper value")
        if self.survival.separate:
            problems.add("effect 'separate' has no hazard ratio for subgroups to differ in; choose another effect, or "
                         "give the arms' patients different strata")  # fmt: skip
        for name in table.covariate_names:
            if name not in self.covariates:
                problems.add(f"no prior for covariate '{name}'; give one with median and upper value")
        problems.raise_if_any()

    def scaled(self, table: PatternTable) -> np.ndarray:
        """Covariates from their centres in their units, shape (pattern, covariate)."""
        priors = [self.covariates[name] for name in table.covariate_names]
        return (table.covariates - np.array([p.centre for p in priors])) / np.array([p.per for p in priors])

    def statements(self, table: PatternTable) -> dict[str, str]:
        """Every prior that the table needs, in words."""
        words = self.survival.statements()
        words |= {f"covariate {name}": str(self.covariates[name]) for name in table.covariate_names}
        for factor in table.factors:
            words[f"hazard between subgroups of {factor.name}"] = str(self.prognostic)
            words[f"hazard ratio between subgroups of {factor.name}"] = str(self.predictive)
        return words

    def sample(self, table: PatternTable, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw every parameter in NumPy, apart from the PyMC model; the names are the model's, draws first."""
        self.check(table)
        pairs = [self.survival.for_cause(cause) for cause in table.causes]
        causes, factors, levels = len(pairs), len(table.factors), len(table.level_names)
        shape = (draws, len(table.strata), causes)
        step = np.abs(rng.normal(0, self.survival.smoothness.scale, shape))
        mean, sd = ([getattr(b, name) for b, _ in pairs] for name in ("mean", "sd"))
        walk = draw_walk(np.broadcast_to(mean, shape), np.broadcast_to(sd, shape), step, table.grid, rng=rng)
        found = {"log_baseline": walk.reshape(draws, -1, len(table.grid)), "smoothness": step.reshape(draws, -1)}
        if len(table.arms) > 1:
            effect, curve = self.survival.sample_effect(table.causes, table.grid, draws, rng=rng)
            found |= effect | {"log_hazard_ratio_curve": curve}
        if ratios := [self.covariates[name].ratio for name in table.covariate_names]:
            mean, sd = [r.mean for r in ratios], [r.sd for r in ratios]
            found["covariate_effect"] = rng.normal(mean, sd, (draws, causes, len(ratios)))
        owner = factor_of(table)
        for name, prior in self.spreads(table).items():
            found[f"{name}_spread"] = np.abs(rng.normal(0, prior.scale, (draws, causes, factors)))
            free = rng.normal(size=(draws, causes, levels))
            for f in range(factors):
                free[..., owner == f] -= free[..., owner == f].mean(axis=-1, keepdims=True)
            found[f"{name}_effect"] = free * found[f"{name}_spread"][..., owner]
        return found

    def spreads(self, table: PatternTable) -> dict[str, SpreadPrior]:
        """Priors of differences between subgroups: ``prognostic``, and with two arms ``predictive``."""
        if not table.factors:
            return {}
        prognostic = {"prognostic": self.prognostic}
        return prognostic | ({"predictive": self.predictive} if len(table.arms) > 1 else {})


def factor_of(table: PatternTable) -> np.ndarray:
    """Factor that each level belongs to, shape (level,)."""
    return np.repeat(np.arange(len(table.factors)), [len(factor.levels) for factor in table.factors])
