"""Distributions that are known by draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from smm_bayes.borrowing.meta_analysis.distribution import Coordinate, Distribution, Tabulated
from smm_bayes.numerics.panels import choose_panels, refine

NODES = 24  # of Gauss-Hermite quadrature around a draw


@dataclass(frozen=True, eq=False, repr=False)
class Draws(Distribution):
    """Draws of a number.

    Attributes
    ----------
    draws : numpy.ndarray, shape (chain, draw)
        On the line.
    coordinate : Coordinate
        From the line to the number.
    """

    draws: np.ndarray
    coordinate: Coordinate

    @property
    def values(self) -> np.ndarray:
        """Draws of the number, shape (chain, draw)."""
        return self.coordinate.value(self.draws)

    @cached_property
    def _sorted(self) -> np.ndarray:
        return np.sort(self.draws.ravel())

    @cached_property
    def mean(self) -> float:
        return float(self.values.mean())

    @cached_property
    def sd(self) -> float:
        return float(self.values.std())

    @cached_property
    def monte_carlo_error(self) -> float:
        """Standard error of the mean, from the effective number of draws."""
        return _error(self.values)

    def cdf(self, value: Any) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.searchsorted(self._sorted, self.coordinate.inverse(value), side="right") / self.draws.size

    def pdf(self, value: Any) -> np.ndarray:
        from scipy.stats import gaussian_kde

        value = np.asarray(value, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = self.coordinate.inverse(value)
        inside = np.isfinite(at)
        safe = np.where(inside, at, 0.0)
        density = gaussian_kde(self.draws.ravel())(safe.ravel()).reshape(value.shape)
        return np.where(inside, density / self.coordinate.slope(safe), 0.0)

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        return self.coordinate.value(np.quantile(self._sorted, p))


@dataclass(frozen=True, eq=False, repr=False)
class KernelDraws(Distribution):
    """A mixture of normal distributions on the line, one a draw of its mean and standard deviation.

    Attributes
    ----------
    centre, width : numpy.ndarray, shape (chain, draw)
    coordinate : Coordinate
    moments : int
        How many exist.
    """

    centre: np.ndarray
    width: np.ndarray
    coordinate: Coordinate
    moments: int = 2

    @cached_property
    def _expected(self) -> np.ndarray:
        """Conditional mean and mean square of the number, shape (2, chain, draw)."""
        z, weight = np.polynomial.hermite_e.hermegauss(NODES)
        value = self.coordinate.value(self.centre[..., None] + self.width[..., None] * z)
        return np.stack([value @ weight, value**2 @ weight]) / weight.sum()

    @cached_property
    def mean(self) -> float:
        return float(self._expected[0].mean()) if self.moments else np.inf

    @cached_property
    def sd(self) -> float:
        first, second = self._expected.mean(axis=(1, 2))
        return float(np.sqrt(second - first**2)) if self.moments == 2 else np.inf

    @cached_property
    def monte_carlo_error(self) -> float:
        """Standard error of the mean, from the effective number of draws."""
        return _error(self._expected[0])

    def tabulated(self, log_factor: Callable[[np.ndarray], np.ndarray] | None) -> Tabulated:
        """Tabulate the density times a factor."""
        centre, width = self.centre.ravel(), self.width.ravel()
        width = np.maximum(width, 0.05 * np.hypot(width, centre.std()))  # a draw without spread has no density

        def height(theta: np.ndarray) -> np.ndarray:
            scaled = (theta[:, None] - centre) / width
            with np.errstate(divide="ignore", under="ignore"):
                found = np.log((np.exp(-0.5 * scaled**2) / width).mean(axis=1))
            return np.maximum(found, -2000.0) + (log_factor(theta) if log_factor else 0.0)

        cuts = choose_panels(height, float((centre - 8 * width).min()), float((centre + 8 * width).max()), scan=60)
        cuts, found = refine(cuts, lambda theta: [height(theta)], rounds=3)
        return Tabulated.of(cuts, found[0], self.coordinate)

    @cached_property
    def _whole(self) -> Tabulated:
        return self.tabulated(None)

    def cdf(self, value: Any) -> np.ndarray:
        return self._whole.cdf(value)

    def pdf(self, value: Any) -> np.ndarray:
        return self._whole.pdf(value)

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        return self._whole._quantile(p)


def _error(values: np.ndarray) -> float:
    import arviz as az

    return float(az.mcse(values, method="mean"))
