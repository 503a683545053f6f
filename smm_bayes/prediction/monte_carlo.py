"""Monte Carlo errors of shares of simulated trials, a few to each posterior draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
    """

    chains: int
    draws: int
    each: int
    repeats: int

    @classmethod
    def of(cls, chains: int, draws: int, replicates: int) -> Layout:
        """Spread ``replicates`` (or a few more) evenly; the number that comes out gives the same layout again."""
        per_chain = -(-replicates // chains)
        if per_chain >= draws:
            return cls(chains, draws, draws, -(-per_chain // draws))
        return cls(chains, draws, per_chain, 1)

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


def series_error(by_draw: np.ndarray) -> float:
    """Standard error of the mean over (chain, draw), with the draws' autocorrelation; 0 for equal values."""
    if by_draw.size < 2 or np.ptp(by_draw) == 0:
        return 0.0
    if by_draw.shape[1] < 4:  # too short to see the autocorrelation
        return float(by_draw.std(ddof=1) / np.sqrt(by_draw.size))
    from arviz_stats.base import array_stats

    return float(array_stats.mcse(by_draw, chain_axis=0, draw_axis=1))


def monte_carlo_error(by_draw: np.ndarray, size: int) -> float:
    """Standard error of a share of ``size`` trials, never below that of the Jeffreys posterior of a proportion.

    Parameters
    ----------
    by_draw : numpy.ndarray, shape (chain, draw)
        Share of the trials of each draw.
    size : int
    """
    floor = proportion_error(float(by_draw.mean()), size)
    return floor if by_draw.shape[1] < 4 else max(series_error(by_draw), floor)
