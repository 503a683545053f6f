"""Monte Carlo errors of shares of simulated trials, a few to each posterior draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.inference.monte_carlo import error_within, mean_error, series_error

__all__ = ["Layout", "error_within", "mean_error", "monte_carlo_error", "proportion_error", "series_error"]


@dataclass(frozen=True)
class Layout:
    """Which posterior draw each simulated trial is made from: (chain, used draw, repeat), in that order.

    Attributes
    ----------
    chains, draws : int
        Of the posterior.
    each : int
        Draws used of every chain, evenly spaced.
    repeats : int
        Simulated trials of every draw used.
    data_sets : int
        Equally likely data sets that the chains come from, one after the other and as many of each.
    """

    chains: int
    draws: int
    each: int
    repeats: int
    data_sets: int = 1

    @classmethod
    def of(cls, chains: int, draws: int, replicates: int, data_sets: int = 1) -> Layout:
        """Spread ``replicates`` (or a few more) evenly; the number that comes out gives the same layout again."""
        if data_sets < 1 or chains % data_sets:
            raise SpecificationError(f"{chains} chains cannot come from {data_sets} data sets, as many from each")
        per_chain = -(-replicates // chains)
        if per_chain >= draws:
            return cls(chains, draws, draws, -(-per_chain // draws), data_sets)
        return cls(chains, draws, per_chain, 1, data_sets)

    @property
    def used(self) -> np.ndarray:
        """Draws used of every chain, shape (used draw,)."""
        if self.each == self.draws:
            return np.arange(self.draws)
        return np.unique(np.linspace(0, self.draws - 1, self.each).round().astype(int))

    @property
    def replicates(self) -> int:
        """Simulated trials in all."""
        return self.chains * self.each * self.repeats

    @property
    def draw(self) -> np.ndarray:
        """Posterior draw of every replicate as chain * draws + draw, shape (replicate,)."""
        index = np.arange(self.chains)[:, None] * self.draws + self.used
        return np.repeat(index, self.repeats)

    def by_draw(self, values: np.ndarray) -> np.ndarray:
        """Bring values of replicates into shape (chain, used draw, repeat)."""
        return values.reshape(self.chains, self.each, self.repeats)


def proportion_error(mean: float, size: float) -> float:
    """SD of the Jeffreys posterior of a proportion, ``mean`` being the share of ``size`` independent trials."""
    hits = mean * size
    a, b = hits + 0.5, size - hits + 0.5
    return float(np.sqrt(a * b / ((a + b) ** 2 * (a + b + 1))))


def monte_carlo_error(by_draw: np.ndarray, size: int, data_sets: int = 1) -> float:
    """Standard error of a share of ``size`` trials, never below that of the Jeffreys posterior of a proportion.

    Parameters
    ----------
    by_draw : numpy.ndarray, shape (chain, draw)
        Share of the trials of each draw.
    size : int
    data_sets : int
        That the chains come from; how much these differ is part of the error.
    """
    floor = proportion_error(float(by_draw.mean()), size)
    if by_draw.shape[1] < 4 and data_sets == 1:
        return floor
    return max(mean_error(by_draw, data_sets), floor)
