"""The priors of a whole piecewise-exponential model: baselines, effects, smoothness; drawn from in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import BaselinePrior, HazardRatioPrior, SmoothnessPrior
from smm_bayes.survival.effects import Effect, Proportional, Separate, Varying, Waning
from smm_bayes.survival.gamma import GammaHazards
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.walk import draw_walk


@dataclass(frozen=True)
class SurvivalPriors:
    """Priors of a piecewise-exponential model with a smooth baseline by cause.

    Parameters
    ----------
    baseline : mapping of str to BaselinePrior
        By cause of event.
    hazard_ratio : mapping of str to HazardRatioPrior
        By cause; a cause not named has the default.
    smoothness : SmoothnessPrior
    effect : Proportional, Separate, Varying or Waning
        How the arms differ (:mod:`smm_bayes.survival.effects`).

    Examples
    --------
    >>> import smm_bayes as smm
    >>> priors = smm.SurvivalPriors({"progression": smm.BaselinePrior(24, 96), "death": smm.BaselinePrior(400, 4000)},
    ...                             {"progression": smm.HazardRatioPrior(0.8, 2.0)})
    >>> priors.statements()["hazard ratio of progression"]
    '95 % of prior hazard ratios between 0.32 and 2, median 0.8'
    """

    baseline: Mapping[str, BaselinePrior]
    hazard_ratio: Mapping[str, HazardRatioPrior] = field(default_factory=dict)
    smoothness: SmoothnessPrior = field(default_factory=SmoothnessPrior)
    effect: Effect = field(default_factory=Proportional)

    def for_cause(self, cause: str) -> tuple[BaselinePrior, HazardRatioPrior]:
        """Priors of one cause's baseline and hazard ratio."""
        if cause not in self.baseline:
            raise SpecificationError(
                f"no prior for the baseline of cause {cause!r}; give prior.baseline.{cause} a median and an upper value"
            )
        return self.baseline[cause], self.hazard_ratio.get(cause, HazardRatioPrior())

    @property
    def separate(self) -> bool:
        """Whether each arm has hazards of its own."""
        return isinstance(self.effect, Separate)

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        words: dict[str, str] = {}
        for cause in self.baseline:
            baseline, ratio = self.for_cause(cause)
            words[f"baseline of {cause}"] = str(baseline)
            if not self.separate:
                words[f"hazard ratio of {cause}"] = str(ratio)
        return words | {"smoothness": str(self.smoothness)} | self.effect.statements()

    def sample(
        self, causes: tuple[str, ...], arms: int, grid: TimeGrid, draws: int, *, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Draw from the prior in NumPy: a code path apart from the PyMC model.

        Returns
        -------
        dict of str to numpy.ndarray
            ``level`` and ``smoothness`` (draw, cause) and ``log_hazard`` (draw, arm, cause, interval); with
            separate arms smoothness by arm and cause, otherwise ``log_hazard_ratio`` (draw, cause) and what the
            effect adds: ``ratio_smoothness`` (draw, cause) or ``log_half_life`` (draw,).
        """
        pairs = [self.for_cause(cause) for cause in causes]
        shape = (draws, arms if self.separate else 1, len(causes))
        step = np.abs(rng.normal(0, self.smoothness.scale, shape))
        mean, sd = ([getattr(b, name) for b, _ in pairs] for name in ("mean", "sd"))
        log_hazard = draw_walk(np.broadcast_to(mean, shape), np.broadcast_to(sd, shape), step, grid, rng=rng)
        found = {"level": log_hazard.mean(axis=-1)[:, 0]}
        if self.separate:
            return found | {"smoothness": step.reshape(draws, -1), "log_hazard": log_hazard}
        effect, curve = self.sample_effect(causes, grid, draws, rng=rng)
        treated = np.arange(arms)[None, :, None, None] if arms > 1 else np.zeros((1, 1, 1, 1))
        return found | effect | {"smoothness": step[:, 0], "log_hazard": log_hazard + treated * curve[:, None]}

    def sample_effect(
        self, causes: tuple[str, ...], grid: TimeGrid, draws: int, *, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Draw the effect of treatment: its parameters, and the log hazard ratios (draw, cause, interval)."""
        ratios = [self.for_cause(cause)[1] for cause in causes]
        mean, sd = ([getattr(r, name) for r in ratios] for name in ("mean", "sd"))
        ratio = rng.normal(mean, sd, (draws, len(causes)))
        curve = np.repeat(ratio[..., None], len(grid), axis=-1)
        found = {"log_hazard_ratio": ratio}
        if isinstance(self.effect, Varying):
            found["ratio_smoothness"] = np.abs(rng.normal(0, self.effect.smoothness.scale, ratio.shape))
            none = np.zeros(ratio.shape)
            curve = curve + draw_walk(none, none, found["ratio_smoothness"], grid, rng=rng)
        elif isinstance(self.effect, Waning):
            found["log_half_life"] = rng.normal(self.effect.mean, self.effect.sd, draws)
            curve = curve * self.effect.weights(found["log_half_life"][:, None], grid)[:, None]
        return found, curve


@dataclass(frozen=True)
class GammaPrior:
    """Independent Gamma(shape, rate) prior of every hazard; conjugate, no smoothing, arms separate.

    Parameters
    ----------
    shape, rate : float
        The prior is worth ``shape`` events in ``rate`` patient-months in every interval.

    Examples
    --------
    >>> import smm_bayes as smm
    >>> prior = smm.GammaPrior(shape=0.5, rate=50)
    >>> prior.statements()
    {'hazards': 'each worth 0.5 events in 50 patient-months, independent'}
    """

    shape: float = 0.1
    rate: float = 0.1

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        if not (self.shape > 0 and self.rate > 0):
            raise SpecificationError(f"gamma: shape and rate must be above 0; got {self.shape} and {self.rate}")

    def statements(self) -> dict[str, str]:
        """Give the prior in words."""
        return {"hazards": f"each worth {self.shape:g} events in {self.rate:g} patient-months, independent"}

    def sample(
        self, causes: tuple[str, ...], arms: int, grid: TimeGrid, draws: int, *, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Draw log hazards from the prior, ``log_hazard`` (draw, arm, cause, interval)."""
        shape = (arms, len(causes), len(grid))
        hazards = GammaHazards(np.full(shape, self.shape), np.full(shape, self.rate))
        return {"log_hazard": hazards.sample(draws, rng=rng)}
