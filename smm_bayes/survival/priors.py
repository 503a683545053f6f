"""Priors stated by their consequence on the clinical scale, and what they mean in words.

These values are what a specification contains; the PyMC model and the NumPy simulator both read them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from smm_bayes.errors import SpecificationError

Z_UPPER = 1.959963984540054  # 97.5 % point of the standard normal
# 95 % point of |X·Z| for X ~ HalfNormal(1), Z ~ Normal(0, 1): the product of two standard normals, density K0/π
STEP_95 = 2.181948983966455


@dataclass(frozen=True)
class HazardRatioPrior:
    """Log-normal prior of a hazard ratio from its median and its upper plausible value (97.5 %).

    The default, 1 and 2.7, is Normal(0, 0.51) on the log scale: 95 % between 0.37 and 2.7, so neither harm nor
    benefit is favoured and a ten-fold effect is as good as excluded.
    """

    median: float = 1.0
    upper: float = 2.7

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        _check_order("hazard_ratio", self.median, self.upper)

    @property
    def mean(self) -> float:
        """Mean of the log hazard ratio."""
        return math.log(self.median)

    @property
    def sd(self) -> float:
        """Standard deviation of the log hazard ratio."""
        return math.log(self.upper / self.median) / Z_UPPER

    def __str__(self) -> str:
        low = self.median**2 / self.upper
        return f"95 % of prior hazard ratios between {low:.2g} and {self.upper:.2g}, median {self.median:.2g}"


@dataclass(frozen=True)
class BaselinePrior:
    """Log-normal prior of the control arm's typical hazard, from the median time to event it implies.

    Parameters
    ----------
    median : float
        Most plausible median time to the event in months if its hazard were constant and nothing competed.
    upper : float
        Upper plausible value (97.5 %) of that median time.
    """

    median: float
    upper: float

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        _check_order("baseline", self.median, self.upper)

    @property
    def mean(self) -> float:
        """Mean of the log hazard per month."""
        return math.log(math.log(2) / self.median)

    @property
    def sd(self) -> float:
        """Standard deviation of the log hazard."""
        return math.log(self.upper / self.median) / Z_UPPER

    def __str__(self) -> str:
        low = self.median**2 / self.upper
        return f"95 % of prior median times between {low:,.0f} and {self.upper:,.0f} months, median {self.median:,.0f}"


@dataclass(frozen=True)
class SmoothnessPrior:
    """Half-normal prior of the random walk's step, from how much the hazard may change between neighbours.

    Parameters
    ----------
    fold_change : float
        95 % of prior changes of hazard between neighbouring intervals are smaller than this many fold.
    """

    fold_change: float = 3.0

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        if not self.fold_change > 1:
            raise SpecificationError(f"smoothness: fold_change must be above 1; got {self.fold_change}")

    @property
    def scale(self) -> float:
        """Scale of the half-normal prior of the step's standard deviation."""
        return math.log(self.fold_change) / STEP_95

    def __str__(self) -> str:
        return f"95 % of prior changes between neighbouring intervals less than {self.fold_change:.3g}-fold"


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
    arms : str
        ``proportional``: one baseline by cause and a hazard ratio. ``separate``: a baseline by arm and cause.
    """

    baseline: Mapping[str, BaselinePrior]
    hazard_ratio: Mapping[str, HazardRatioPrior] = field(default_factory=dict)
    smoothness: SmoothnessPrior = SmoothnessPrior()
    arms: str = "proportional"

    def __post_init__(self) -> None:
        """Refuse a structure that there is not."""
        if self.arms not in ("proportional", "separate"):
            raise SpecificationError(f"arms must be 'proportional' or 'separate'; got {self.arms!r}")

    def for_cause(self, cause: str) -> tuple[BaselinePrior, HazardRatioPrior]:
        """Priors of one cause's baseline and hazard ratio."""
        if cause not in self.baseline:
            raise SpecificationError(
                f"no prior for the baseline of cause {cause!r}; give prior.baseline.{cause} a median and an upper value"
            )
        return self.baseline[cause], self.hazard_ratio.get(cause, HazardRatioPrior())

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        words: dict[str, str] = {}
        for cause in self.baseline:
            baseline, ratio = self.for_cause(cause)
            words[f"baseline of {cause}"] = str(baseline)
            if self.arms == "proportional":
                words[f"hazard ratio of {cause}"] = str(ratio)
        words["smoothness"] = str(self.smoothness)
        if self.arms == "separate":
            words["arms"] = "each with hazards of its own, the same prior for both"
        return words

    def sample(
        self, causes: tuple[str, ...], arms: int, intervals: int, draws: int, *, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Draw from the prior in NumPy: a code path apart from the PyMC model.

        Returns
        -------
        dict of str to numpy.ndarray
            ``level`` and ``smoothness`` (draw, cause) and ``log_hazard`` (draw, arm, cause, interval); with
            proportional arms ``log_hazard_ratio`` (draw, cause), with separate ones smoothness by arm and cause.
        """
        pairs = [self.for_cause(cause) for cause in causes]
        curves = arms if self.arms == "separate" else 1
        shape = (draws, curves, len(causes))
        level = rng.normal([b.mean for b, _ in pairs], [b.sd for b, _ in pairs], shape)
        step_sd = np.abs(rng.normal(0, self.smoothness.scale, shape))
        walk = np.cumsum(rng.normal(size=(*shape, intervals)) * step_sd[..., None], axis=-1)
        log_hazard = level[..., None] + walk - walk.mean(axis=-1, keepdims=True)
        found = {"level": level[:, 0]}
        if self.arms == "separate":
            return found | {"smoothness": step_sd.reshape(draws, -1), "log_hazard": log_hazard}
        ratio = rng.normal([r.mean for _, r in pairs], [r.sd for _, r in pairs], (draws, len(causes)))
        treated = np.arange(arms)[None, :, None, None] if arms > 1 else np.zeros((1, 1, 1, 1))
        log_hazard = log_hazard + treated * ratio[:, None, :, None]
        return found | {"log_hazard_ratio": ratio, "smoothness": step_sd[:, 0], "log_hazard": log_hazard}


@dataclass(frozen=True)
class GammaPrior:
    """Independent Gamma(shape, rate) prior of every hazard; conjugate, no smoothing, arms separate.

    Parameters
    ----------
    shape, rate : float
        The prior is worth ``shape`` events in ``rate`` patient-months in every interval.
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
        self, causes: tuple[str, ...], arms: int, intervals: int, draws: int, *, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Draw log hazards from the prior, ``log_hazard`` (draw, arm, cause, interval)."""
        from smm_bayes.survival.gamma import GammaHazards

        shape = (arms, len(causes), intervals)
        hazards = GammaHazards(np.full(shape, self.shape), np.full(shape, self.rate))
        return {"log_hazard": hazards.sample(draws, rng=rng)}


def _check_order(name: str, median: float, upper: float) -> None:
    if not 0 < median < upper < math.inf:
        raise SpecificationError(f"{name}: need 0 < median < upper; got median {median} and upper {upper}")
