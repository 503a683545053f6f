"""Priors of the joint model of MRD and a time to event, each stated by its consequence; drawn from in NumPy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.clinical import HazardRatioPrior, RatioPrior, SharePrior
from smm_bayes.surrogacy.joint.effects import Constant, MrdEffect


@dataclass(frozen=True)
class MrdOddsRatioPrior(RatioPrior):
    """Prior of the odds ratio of MRD-negativity, experimental over control.

    The default, 1 and 15, has 95 % between 1/15 and 15: odds ratios of published trials of combinations are between
    one and ten, and neither arm is favoured.
    """

    median: float = 1.0
    upper: float = 15.0

    OF = "odds ratio"


@dataclass(frozen=True)
class PersistencePrior(RatioPrior):
    """Prior of the odds ratio of being negative at a visit, between patients negative and not at the one before.

    The default, 20 and 400, has 95 % between 1 and 400: patients who were negative mostly stay so.
    """

    median: float = 20.0
    upper: float = 400.0

    OF = "odds ratio"


@dataclass(frozen=True)
class StatusPriors:
    r"""Priors of MRD status at the scheduled visits.

    .. math:: \mathrm{logit}\, P(Z_k = 1 \mid T > v_k, a, Z_{k-1}) = \alpha_k + \delta_k x_a + \kappa_k Z_{k-1}

    with :math:`x_a = 1` in the experimental arm and no :math:`\kappa_1`.

    Parameters
    ----------
    share : SharePrior
        Of the control arm's patients who were not negative before, at each visit: :math:`\alpha_k`.
    odds_ratio : MrdOddsRatioPrior
        :math:`\delta_k`.
    persistence : PersistencePrior
        :math:`\kappa_k`.
    """

    share: SharePrior = field(default_factory=lambda: SharePrior(0.2, 0.7))
    odds_ratio: MrdOddsRatioPrior = field(default_factory=MrdOddsRatioPrior)
    persistence: PersistencePrior = field(default_factory=PersistencePrior)

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        return {
            "MRD-negative at a visit in control, of patients not negative before": str(self.share),
            "odds ratio of MRD-negativity between the arms": str(self.odds_ratio),
            "odds ratio of MRD-negativity by the visit before": str(self.persistence),
        }

    def sample(self, visits: int, arms: int, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw ``status_level`` and ``status_log_odds_ratio`` (draw, visit), ``status_persistence`` (draw, later)."""
        found = {"status_level": rng.normal(self.share.mean, self.share.sd, (draws, visits))}
        if arms > 1:
            found["status_log_odds_ratio"] = rng.normal(self.odds_ratio.mean, self.odds_ratio.sd, (draws, visits))
        if visits > 1:
            size = (draws, visits - 1)
            found["status_persistence"] = rng.normal(self.persistence.mean, self.persistence.sd, size)
        return found


@dataclass(frozen=True)
class JointPriors:
    """Priors of what the joint model adds to a model of hazards.

    Parameters
    ----------
    hazard_ratio : mapping of str to HazardRatioPrior
        Hazard while MRD-negative to the hazard while not, by cause; a cause that is not named has no MRD effect.
    status : StatusPriors
    effect : MrdEffect
        How the effect of MRD goes on after a visit: constant by default.
    missing_log_odds : float, optional
        Log odds ratio of a result being missing, negative over not negative, as a fixed value of a sensitivity
        analysis, which a refit may replace; it cannot be estimated. None, the default: missing at random, and which
        results are missing is no part of the model. With 0 it is, and says the same of everything else.

    Examples
    --------
    >>> import smm_bayes as smm
    >>> priors = smm.JointPriors({"progression": smm.HazardRatioPrior(median=0.5, upper=1.5)})
    >>> sorted(priors.statements())[0]
    'MRD-negative at a visit in control, of patients not negative before'
    """

    hazard_ratio: Mapping[str, HazardRatioPrior]
    status: StatusPriors = field(default_factory=StatusPriors)
    effect: MrdEffect = field(default_factory=Constant)
    missing_log_odds: float | None = None

    def __post_init__(self) -> None:
        """Refuse priors that say nothing."""
        problems = Problems("priors of the joint model", SpecificationError)
        if not self.hazard_ratio:
            problems.add("hazard_ratio names no cause; name one that MRD acts on, with a median and an upper value")
        if self.missing_log_odds is not None and not math.isfinite(self.missing_log_odds):
            problems.add(f"missing_log_odds must be a finite number; got {self.missing_log_odds}")
        problems.raise_if_any()

    def check(self, causes: tuple[str, ...]) -> None:
        """Refuse an effect on a cause that is not there."""
        unknown = sorted(set(self.hazard_ratio) - set(causes))
        if unknown:
            raise SpecificationError(f"hazard_ratio names {', '.join(unknown)}; the causes are {', '.join(causes)}")

    def acting(self, causes: tuple[str, ...]) -> list[int]:
        """Positions of the causes that MRD acts on."""
        return [index for index, cause in enumerate(causes) if cause in self.hazard_ratio]

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        words = {f"hazard ratio of {cause}, MRD-negative over not": str(prior)
                 for cause, prior in self.hazard_ratio.items()}  # fmt: skip
        words |= self.status.statements() | self.effect.statements()
        if self.missing_log_odds is not None:
            ratio = f"odds {math.exp(self.missing_log_odds):.2g} times as large of the MRD-negative"
            words["missing results"] = f"{ratio if self.missing_log_odds else 'at random'} (fixed, not estimated)"
        return words

    def sample(
        self, causes: tuple[str, ...], visits: int, arms: int, draws: int, *, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Draw from the prior in NumPy: a code path apart from the PyMC model.

        Returns
        -------
        dict of str to numpy.ndarray
            What :meth:`StatusPriors.sample` draws, ``log_mrd_hazard_ratio`` (draw, acting cause), and what the effect
            and results missing not at random add (``log_odds_missing`` (draw, visit)).
        """
        found = self.status.sample(visits, arms, draws, rng=rng)
        ratios = [self.hazard_ratio[causes[index]] for index in self.acting(causes)]
        mean, sd = [ratio.mean for ratio in ratios], [ratio.sd for ratio in ratios]
        found["log_mrd_hazard_ratio"] = rng.normal(mean, sd, (draws, len(ratios)))
        found |= self.effect.sample(arms, draws, rng=rng)
        if self.missing_log_odds is not None:
            found["log_odds_missing"] = rng.normal(MISSING_MEAN, MISSING_SD, (draws, visits))
        return found


MISSING_MEAN, MISSING_SD = math.log(0.15 / 0.85), 1.5  # of the log odds of a missing result of patients not negative
