"""Priors of a mixture cure model, each stated by its consequence; drawn from in NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.clinical import HazardRatioPrior, MedianTimePrior, RatioPrior, SharePrior, SmoothnessPrior
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.survival.walk import draw_walk, last_interval


@dataclass(frozen=True)
class CuredPrior(SharePrior):
    """Logit-normal prior of the share of the control arm that is cured."""

    OF = "cured"


@dataclass(frozen=True)
class OddsRatioPrior(RatioPrior):
    """Prior of the odds ratio of being cured, experimental over control.

    The default, 1 and 4, has 95 % between 1/4 and 4, favouring neither arm. An upper value just above 1 says that
    treatment does not change who is cured.
    """

    median: float = 1.0
    upper: float = 4.0

    OF = "odds ratio"


@dataclass(frozen=True)
class LateHazardPrior(MedianTimePrior):
    """Log-normal prior of the uncured's hazard in the last interval, control arm.

    It is what tells cure apart from a hazard of the uncured that falls towards zero: the data alone cannot.

    Parameters
    ----------
    median : float
        Months within which half of the uncured still at risk at the start of the last interval have the event, if
        nothing competes: most plausible value.
    upper : float
        Upper plausible value (97.5 %).
    """

    OF = "late_hazard"

    def __str__(self) -> str:
        return (f"of the uncured still at risk at the start of the last interval, half have the event within "
                f"{self.median:.3g} months, at most {self.upper:.3g} (97.5 %)")  # fmt: skip


@dataclass(frozen=True)
class CurePriors:
    r"""Priors of a mixture cure model of one cause, with competing causes that nobody is cured of.

    .. math:: \mathrm{logit}\,\pi_a = \gamma + \delta x_a, \quad \log\lambda_{aj} = h_j + \beta x_a, \quad
              h_{j+1} - h_j \sim N(0, w_j \sigma^2)

    with normal priors of :math:`\gamma` (``cured``), :math:`\delta` (``odds_ratio``), :math:`\beta` (``hazard_ratio``)
    and :math:`h_J`, the value in the last interval (``late_hazard``); :math:`x_a = 1` in the experimental arm.
    A tight prior of the odds ratio or of the hazard ratio leaves an effect on the uncured's hazard or on cure alone.

    Parameters
    ----------
    cured : CuredPrior
    late_hazard : LateHazardPrior
    odds_ratio : OddsRatioPrior
    hazard_ratio : HazardRatioPrior
        Of the uncured.
    smoothness : SmoothnessPrior
        Of the uncured's hazard.
    others : SurvivalPriors, optional
        Of the other causes; needed where there are any.
    """

    cured: CuredPrior
    late_hazard: LateHazardPrior
    odds_ratio: OddsRatioPrior = field(default_factory=OddsRatioPrior)
    hazard_ratio: HazardRatioPrior = field(default_factory=HazardRatioPrior)
    smoothness: SmoothnessPrior = field(default_factory=SmoothnessPrior)
    others: SurvivalPriors | None = None

    def check(self, others: tuple[str, ...]) -> None:
        """Refuse causes without a prior.

        Parameters
        ----------
        others : tuple of str
            Causes that nobody is cured of.

        Raises
        ------
        SpecificationError
            Naming them all.
        """
        problems = Problems("priors of the cure model", SpecificationError)
        known = self.others.baseline if self.others else {}
        for cause in [cause for cause in others if cause not in known]:
            problems.add(f"cause {cause!r} has no prior; give others=SurvivalPriors with a baseline of {cause!r}")
        problems.raise_if_any()

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        words = {
            "cured share of control": str(self.cured),
            "odds ratio of being cured": str(self.odds_ratio),
            "late hazard of the uncured": str(self.late_hazard),
            "hazard ratio of the uncured": str(self.hazard_ratio),
            "smoothness of the uncured's hazard": str(self.smoothness),
        }
        if self.others is None:
            return words
        return words | {name if " of " in name else f"{name} of other causes": text
                        for name, text in self.others.statements().items()}  # fmt: skip

    def sample(
        self, others: tuple[str, ...], arms: int, grid: TimeGrid, draws: int, *, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Draw from the prior in NumPy: a code path apart from the PyMC model.

        Parameters
        ----------
        others : tuple of str
            Causes that nobody is cured of.
        arms : int
        grid : TimeGrid
        draws : int
        rng : numpy.random.Generator

        Returns
        -------
        dict of str to numpy.ndarray
            ``cured`` (draw, arm), ``log_hazard_uncured`` (draw, arm, interval), ``smoothness_uncured`` (draw, 1); with
            two arms ``log_odds_ratio`` and ``log_hazard_ratio_uncured`` (draw,). Where there are other causes, what
            :meth:`SurvivalPriors.sample` draws for them, with ``log_hazard`` as ``log_hazard_other``.
        """
        self.check(others)
        step = np.abs(rng.normal(0, self.smoothness.scale, (draws, 1)))
        mean, sd = np.full((draws, 1), self.late_hazard.mean), np.full((draws, 1), self.late_hazard.sd)
        curve = draw_walk(mean, sd, step, grid, last_interval(grid), rng=rng)
        odds = rng.normal(self.cured.mean, self.cured.sd, (draws, 1)) + np.zeros(arms)
        found = {"smoothness_uncured": step}
        if arms > 1:
            treated = np.arange(arms)
            found["log_odds_ratio"] = rng.normal(self.odds_ratio.mean, self.odds_ratio.sd, draws)
            found["log_hazard_ratio_uncured"] = rng.normal(self.hazard_ratio.mean, self.hazard_ratio.sd, draws)
            odds = odds + treated * found["log_odds_ratio"][:, None]
            curve = curve + (treated * found["log_hazard_ratio_uncured"][:, None])[..., None]
        found["cured"] = 1 / (1 + np.exp(-odds))
        found["log_hazard_uncured"] = np.broadcast_to(curve, (draws, arms, len(grid)))
        if not others or self.others is None:
            return found
        theirs = self.others.sample(others, arms, grid, draws, rng=rng)
        theirs["log_hazard_other"] = theirs.pop("log_hazard")
        return found | theirs
