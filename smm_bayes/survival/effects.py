"""How the experimental arm's hazard differs from the control arm's: over time, and with which priors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import Z_UPPER, SmoothnessPrior
from smm_bayes.survival.grid import TimeGrid


@dataclass(frozen=True)
class Proportional:
    """One hazard ratio by cause, the same at all times."""

    def statements(self) -> dict[str, str]:
        """Nothing needs saying beyond the hazard ratio's own prior."""
        return {}


@dataclass(frozen=True)
class Separate:
    """Each arm has hazards of its own with the same prior; there is no hazard ratio parameter."""

    def statements(self) -> dict[str, str]:
        """Give the structure in words."""
        return {"arms": "each with hazards of its own, the same prior for both"}


@dataclass(frozen=True)
class Varying:
    r"""The log hazard ratio is a random walk over the intervals that shrinks to a constant.

    .. math:: \theta_{c,j+1} - \theta_{cj} \sim N(0, w_j \omega_c^2), \quad \bar\theta_c \sim N(m_c, s_c^2)

    with the prior of the hazard ratio for the mean over intervals. With :math:`\omega_c = 0` hazards are proportional.

    Parameters
    ----------
    smoothness : SmoothnessPrior
        How much the hazard ratio may change within so many months.
    """

    smoothness: SmoothnessPrior = field(default_factory=lambda: SmoothnessPrior(1.5))

    def statements(self) -> dict[str, str]:
        """Give the prior in words."""
        return {"hazard ratio over time": f"{self.smoothness}, around its mean over intervals"}


@dataclass(frozen=True)
class Waning:
    r"""The log hazard ratio is constant while treatment lasts and then halves again and again.

    .. math:: \theta_c(t) = \beta_c \, 2^{-(t - s)_+ / T}, \quad \log T \sim N(\log m, \sigma^2)

    Within an interval it is replaced by its mean there; the last interval counts as wide as the one before. With
    :math:`T \to \infty` hazards are proportional.

    Parameters
    ----------
    stops : float
        Months s at which treatment stops.
    median, upper : float
        Of the half-life T in months: most plausible and upper plausible (97.5 %) value.
    """

    stops: float
    median: float
    upper: float

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        if not (0 <= self.stops < math.inf and 0 < self.median < self.upper < math.inf):
            raise SpecificationError(
                f"waning: need stops of 0 or more and 0 < median < upper; got stops {self.stops}, median {self.median} "
                f"and upper {self.upper}"
            )

    @property
    def mean(self) -> float:
        """Mean of the log half-life."""
        return math.log(self.median)

    @property
    def sd(self) -> float:
        """Standard deviation of the log half-life."""
        return math.log(self.upper / self.median) / Z_UPPER

    def weights(self, log_half_life: Any, grid: TimeGrid, exp: Callable[[Any], Any] = np.exp) -> Any:
        """Mean of :math:`2^{-(t-s)_+/T}` over each interval.

        Parameters
        ----------
        log_half_life : array or tensor
            Ends with a dim of length 1, along which the intervals are laid.
        grid : TimeGrid
        exp : callable
            NumPy's, or PyTensor's for a model.
        """
        starts, ends = grid.starts, grid.ends
        before = np.minimum(ends, self.stops) - np.minimum(starts, self.stops)
        first, last = np.maximum(starts, self.stops) - self.stops, np.maximum(ends, self.stops) - self.stops
        rate = math.log(2) * exp(-log_half_life)
        return (before + (exp(-rate * first) - exp(-rate * last)) / rate) / (ends - starts)

    def statements(self) -> dict[str, str]:
        """Give the prior in words."""
        low = self.median**2 / self.upper
        return {"waning": f"from {self.stops:g} months on the log hazard ratio halves every {low:.2g} to "
                f"{self.upper:.3g} months (95 %), median {self.median:.3g}"}  # fmt: skip


Effect = Proportional | Separate | Varying | Waning
EFFECTS: dict[str, type] = {"proportional": Proportional, "separate": Separate, "varying": Varying, "waning": Waning}
