"""Independent Gamma hazards: the posterior in closed form, an oracle for the sampler and a fast engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.survival.grid import EventTable


@dataclass(frozen=True, eq=False)
class GammaHazards:
    """Hazards λ ~ Gamma(shape, rate), independent over arm, cause and interval.

    With d events in exposure E the posterior is Gamma(shape + d, rate + E).

    Attributes
    ----------
    shape, rate : numpy.ndarray, shape (arm, cause, interval)
        ``rate`` in months.
    """

    shape: np.ndarray
    rate: np.ndarray

    @classmethod
    def prior(cls, table: EventTable, shape: float, rate: float) -> GammaHazards:
        """Give the same prior to every cell of ``table``."""
        if not (shape > 0 and rate > 0):
            raise SpecificationError(f"a Gamma prior needs shape and rate above 0; got {shape} and {rate}")
        return cls(np.full(table.events.shape, float(shape)), np.full(table.events.shape, float(rate)))

    def update(self, table: EventTable) -> GammaHazards:
        """Posterior after the events and exposure of ``table``."""
        return GammaHazards(self.shape + table.events, self.rate + table.cell_exposure)

    def mean(self) -> np.ndarray:
        """Mean hazard of each cell."""
        return self.shape / self.rate

    def mean_log(self) -> np.ndarray:
        """Mean log hazard, ψ(shape) − log(rate)."""
        from scipy.special import digamma

        return digamma(self.shape) - np.log(self.rate)

    def sample(self, draws: int, *, rng: np.random.Generator) -> np.ndarray:
        """Draw log hazards, shape (draws, arm, cause, interval)."""
        # a Gamma with a small shape underflows to 0: log G(a) = log G(a+1) + log(U)/a never does
        bigger = np.log(rng.gamma(self.shape + 1, size=(draws, *self.shape.shape)))
        return bigger - rng.exponential(size=bigger.shape) / self.shape - np.log(self.rate)
