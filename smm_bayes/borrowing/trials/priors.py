"""Priors of a hierarchical model over trials, each stated by its consequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from smm_bayes.borrowing.trials.cohorts import Trials
from smm_bayes.borrowing.trials.deviations import sample_deviations
from smm_bayes.borrowing.trials.over_time import OverTime
from smm_bayes.borrowing.trials.relations import Exchangeable, Relation
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import HazardRatioPrior, SpreadPrior
from smm_bayes.survival.effects import Proportional, Varying, Waning
from smm_bayes.survival.model_priors import SurvivalPriors


@dataclass(frozen=True)
class Contrast:
    """A regimen's hazard ratio of progression against another regimen.

    Attributes
    ----------
    regimen, versus : str
    prior : HazardRatioPrior
    """

    regimen: str
    versus: str
    prior: HazardRatioPrior = field(default_factory=HazardRatioPrior)


@dataclass(frozen=True)
class BetweenTrials:
    """How much trials differ: half-normal priors of standard deviations of log hazards and of log hazard ratios.

    Attributes
    ----------
    hazard : SpreadPrior
        95 % of prior trials have a hazard within this many fold of the typical one.
    effect : SpreadPrior
        95 % of prior trials have a hazard ratio within this many fold of the contrast's.
    """

    hazard: SpreadPrior = field(default_factory=lambda: SpreadPrior(2.5))
    effect: SpreadPrior = field(default_factory=lambda: SpreadPrior(1.5))


@dataclass(frozen=True)
class TrialsPriors:
    """Priors of a hierarchical model over trials.

    Attributes
    ----------
    survival : SurvivalPriors
        Baseline of the reference regimen by cause, smoothness, and for causes other than the first the hazard ratio
        of a trial's experimental arm.
    contrasts : tuple of Contrast
        One for every regimen but the reference, each against the reference or a regimen named before.
    reference : str
    between : BetweenTrials
    endpoints : mapping of str to HazardRatioPrior
        By name: how many times more often progression of the analysis happens than that of the trial.
    relation : Relation
        How trials relate: the method of borrowing.
    populations : mapping of str to HazardRatioPrior
        By name: how many times more often patients of the analysis progress than those of the trial.
    """

    survival: SurvivalPriors
    contrasts: tuple[Contrast, ...]
    reference: str
    between: BetweenTrials = field(default_factory=BetweenTrials)
    endpoints: Mapping[str, HazardRatioPrior] = field(default_factory=dict)
    relation: Relation = field(default_factory=Exchangeable)
    populations: Mapping[str, HazardRatioPrior] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse contrasts that lead nowhere."""
        known = [self.reference]
        for contrast in self.contrasts:
            if contrast.regimen in known or contrast.versus not in known:
                raise SpecificationError(
                    f"contrast {contrast.regimen} v {contrast.versus}: the first must be new and the second the "
                    f"reference or named before; so far there are {', '.join(known)}"
                )
            known.append(contrast.regimen)

    @property
    def regimens(self) -> tuple[str, ...]:
        """The reference and every regimen with a contrast."""
        return (self.reference, *(contrast.regimen for contrast in self.contrasts))

    def paths(self) -> np.ndarray:
        """Contrasts that lead from the reference to every regimen, shape (regimen, contrast), 0 or 1."""
        found = np.zeros((len(self.regimens), len(self.contrasts)))
        for index, contrast in enumerate(self.contrasts):
            found[index + 1] = found[self.regimens.index(contrast.versus)]
            found[index + 1, index] = 1
        return found

    @property
    def offsets(self) -> dict[str, Mapping[str, HazardRatioPrior]]:
        """Ratios by which trials may differ from the analysis, by kind: ``endpoint`` and ``population``."""
        return {"endpoint": self.endpoints, "population": self.populations}

    def check(self, trials: Trials) -> None:
        """Refuse trials whose regimen, endpoint or population has no prior, or with an effect that they cannot have.

        Raises
        ------
        SpecificationError
        """
        mine = [cohort.regimen for cohort in trials.cohorts if cohort.trial == trials.current]
        own = mine[-1] if self.survival.separate else None
        if not isinstance(self.survival.effect, Proportional) and len(set(mine)) < 2:
            raise SpecificationError("an effect that is not proportional compares two arms of the current trial, but "
                                     f"they are given {mine[0]} only")  # fmt: skip
        if own in self.regimens:
            raise SpecificationError(f"regimen '{own}' has hazards of its own with separate arms; it can be neither "
                                     "the reference nor have a contrast")  # fmt: skip
        missing = [f"regimen '{name}' has no contrast" for name in trials.regimens if name not in (*self.regimens, own)]
        for kind, stated in self.offsets.items():
            named = dict.fromkeys(getattr(cohort, kind) for cohort in trials.cohorts if getattr(cohort, kind))
            missing += [f"{kind} '{name}' has no prior" for name in named if name not in stated]
        if missing:
            raise SpecificationError(f"{'; '.join(missing)}; give each one, with median and upper")

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        said = {f"reference regimen ({self.reference})": "the baselines below are its"}
        said |= self.survival.statements()
        said |= {f"{c.regimen} v {c.versus}": str(c.prior) for c in self.contrasts}
        said |= {f"endpoint {name}": f"progression of this analysis {prior.median:.3g} times as frequent, at most "
                 f"{prior.upper:.3g} times" for name, prior in self.endpoints.items()}  # fmt: skip
        said |= {f"population {name}": f"patients of this analysis progress {prior.median:.3g} times as frequently, at "
                 f"most {prior.upper:.3g} times" for name, prior in self.populations.items()}  # fmt: skip
        return said | self.relation.statements(self.between)

    def sample(self, trials: Trials, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw every parameter in NumPy, apart from the PyMC model; the names are the model's, draws first."""
        self.check(trials)
        causes, survival, over = trials.causes, self.survival, OverTime.of(trials, self)
        found = survival.sample(causes, 2 if over.own else 1, trials.grid, draws, rng=rng)
        curves = found["log_hazard"].reshape(draws, -1, len(trials.grid)) if over.own else found["log_hazard"][:, 0]
        others = [survival.for_cause(cause)[1] for cause in causes[1:]]

        def normal(priors: list[HazardRatioPrior], *shape: int) -> np.ndarray:
            mean, sd = [p.mean for p in priors], [p.sd for p in priors]
            return rng.normal(mean, sd, (draws, *shape, len(priors))) if priors else np.zeros((draws, *shape, 0))

        drawn = {
            "log_baseline": curves, "level": found["level"], "smoothness": found["smoothness"],
            **sample_deviations(trials, self, draws, rng=rng),
            "log_contrast": normal([c.prior for c in self.contrasts]),
            "other_effect": normal(others, len(over.compared(trials))),
            "endpoint_offset": normal(list(self.endpoints.values())),
        }  # fmt: skip
        if self.populations:
            drawn["population_offset"] = normal(list(self.populations.values()))
        if isinstance(over.effect, Waning):
            drawn["log_half_life"] = found["log_half_life"]
        elif isinstance(over.effect, Varying):
            drawn["ratio_smoothness"] = found["ratio_smoothness"]
            drawn["ratio_step"] = rng.normal(size=(draws, len(causes), len(trials.grid) - 1))
        return drawn
