"""Priors of the model of one global odds ratio, each stated by its consequence; drawn from in NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from smm_bayes.priors.clinical import RatioPrior, SharePrior
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors


@dataclass(frozen=True)
class NegativeOddsRatioPrior(RatioPrior):
    """Prior of the odds ratio of being MRD-negative, experimental over control; by default 95 % from 1/10 to 10."""

    median: float = 1.0
    upper: float = 10.0

    OF = "odds ratio"


@dataclass(frozen=True)
class GlobalOddsRatioPrior(RatioPrior):
    """Prior of the global odds ratio Θ of being MRD-negative and of staying event-free.

    The default, 1 and 20, has 95 % between 1/20 and 20: an association either way, or none. Above 1 MRD-negative
    patients stay event-free for longer.
    """

    median: float = 1.0
    upper: float = 20.0

    OF = "global odds ratio"


@dataclass(frozen=True)
class GlobalOddsPriors:
    r"""Priors of MRD status at a landmark, of time to event from there, and of their association.

    Parameters
    ----------
    survival : SurvivalPriors or GammaPrior
        Of the hazards after the landmark, all patients together.
    negative : SharePrior
        Of the control arm that is MRD-negative at the landmark.
    odds_ratio : NegativeOddsRatioPrior
    association : GlobalOddsRatioPrior
    by_arm : bool
        Whether each arm has a :math:`\Theta` of its own, independent and with the same prior.
    """

    survival: SurvivalPriors | GammaPrior
    negative: SharePrior
    odds_ratio: NegativeOddsRatioPrior = field(default_factory=NegativeOddsRatioPrior)
    association: GlobalOddsRatioPrior = field(default_factory=GlobalOddsRatioPrior)
    by_arm: bool = False

    def associations(self, arms: tuple[str, ...]) -> list[str]:
        """Names of the global odds ratios: ``all``, or the arms."""
        return list(arms) if self.by_arm else ["all"]

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        each = "each arm its own, " if self.by_arm else ""
        return self.survival.statements() | {
            "negative share of control": str(self.negative), "odds ratio of being negative": str(self.odds_ratio),
            "global odds ratio": f"{each}{self.association}",
        }  # fmt: skip

    def sample(
        self, causes: tuple[str, ...], arms: tuple[str, ...], grid: TimeGrid, draws: int, *, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Draw from the prior in NumPy: a code path apart from the PyMC model.

        Returns
        -------
        dict of str to numpy.ndarray
            What the survival priors draw, ``logit_negative`` (draw,), with two arms ``log_odds_ratio`` (draw,),
            ``negative`` (draw, arm) and ``log_global_odds_ratio`` (draw, association).
        """
        found = self.survival.sample(causes, len(arms), grid, draws, rng=rng)
        found["logit_negative"] = rng.normal(self.negative.mean, self.negative.sd, draws)
        logits = np.repeat(found["logit_negative"][:, None], len(arms), axis=1)
        if len(arms) > 1:
            found["log_odds_ratio"] = rng.normal(self.odds_ratio.mean, self.odds_ratio.sd, draws)
            logits[:, 1] += found["log_odds_ratio"]
        found["negative"] = 1 / (1 + np.exp(-logits))
        shape = (draws, len(self.associations(arms)))
        found["log_global_odds_ratio"] = rng.normal(self.association.mean, self.association.sd, shape)
        return found
