"""Distributions of one number as a meta-analysis gives them: tabulated exactly, known, or as draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.numerics.panels import PER_PANEL, PanelPolynomial, panel_points
from smm_bayes.results import Result, plot_density

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

BISECTIONS, NEWTON = 12, 4  # to find a quantile within its panel


@dataclass(frozen=True)
class Coordinate:
    """An increasing map from the coordinate that a density is tabulated in to the number itself.

    Attributes
    ----------
    value, inverse, slope : callable
        The number at a coordinate, the coordinate of a number, and the derivative at a coordinate.
    """

    value: Callable[[Any], np.ndarray]
    inverse: Callable[[Any], np.ndarray]
    slope: Callable[[Any], np.ndarray]


LINE = Coordinate(lambda v: np.asarray(v, float), lambda x: np.asarray(x, float), lambda v: np.ones(np.shape(v)))


class Distribution(Result, ABC):
    """What is known of one number.

    Attributes
    ----------
    mean, sd : float
        Infinite where they do not exist.
    """

    @property
    @abstractmethod
    def mean(self) -> float:
        """Mean."""

    @property
    @abstractmethod
    def sd(self) -> float:
        """Standard deviation."""

    @abstractmethod
    def cdf(self, value: Any) -> np.ndarray:
        """Probability of at most ``value``."""

    @abstractmethod
    def pdf(self, value: Any) -> np.ndarray:
        """Density."""

    @abstractmethod
    def _quantile(self, p: np.ndarray) -> np.ndarray: ...

    def sf(self, value: Any) -> np.ndarray:
        """Probability of more than ``value``."""
        return 1 - self.cdf(value)

    def quantile(self, p: Any) -> np.ndarray:
        """Value that is not exceeded with probability ``p``.

        Raises
        ------
        SpecificationError
            When a probability is outside [0, 1].
        """
        p = np.asarray(p, float)
        if not np.all((p >= 0) & (p <= 1)):
            raise SpecificationError(f"a quantile needs probabilities within [0, 1]; got {p}")
        return self._quantile(p)

    def interval(self, probability: float = 0.95) -> tuple[float, float]:
        """Equal-tailed interval that holds ``probability``."""
        low, high = self.quantile([(1 - probability) / 2, (1 + probability) / 2])
        return float(low), float(high)

    @property
    def median(self) -> float:
        """Median."""
        return float(self.quantile(0.5))

    def table(self, probability: float = 0.95) -> pd.DataFrame:
        """Give mean, standard deviation, median and the limits that leave out equal tails, as one row."""
        import pandas as pd

        row = (self.mean, self.sd, self.median, *self.interval(probability))
        return pd.DataFrame([row], columns=["mean", "sd", "median", "lower", "upper"])

    def summary(self) -> str:
        """Give the same in words."""
        return repr(self)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the density."""
        return plot_density(self, ax)

    def __repr__(self) -> str:
        low, high = self.interval()
        middle = f"mean {self.mean:.3g}, SD {self.sd:.3g}, median {self.median:.3g}"
        return f"{middle}, 95 % between {low:.3g} and {high:.3g}"


@dataclass(frozen=True, repr=False)
class Known(Distribution):
    """A number that is known.

    Parameters
    ----------
    value : float
    """

    value: float

    @property
    def mean(self) -> float:
        return self.value

    @property
    def sd(self) -> float:
        return 0.0

    def cdf(self, value: Any) -> np.ndarray:
        return (np.asarray(value, float) >= self.value).astype(float)

    def pdf(self, value: Any) -> np.ndarray:
        raise SpecificationError(f"a number that is known ({self.value:g}) has no density")

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        return np.full(p.shape, self.value)

    def __repr__(self) -> str:
        return f"known to be {self.value:g}"


@dataclass(frozen=True, eq=False, repr=False)
class Tabulated(Distribution):
    """A density tabulated at Gauss-Legendre points of panels, exact to about eight digits where it is smooth.

    Within a panel the density is the polynomial through its values, whose integral is the distribution function.

    Attributes
    ----------
    cuts : numpy.ndarray, shape (panel + 1,)
        Increasing, in the coordinate.
    density : numpy.ndarray, shape (panel, point)
        Per unit of the coordinate; it need not be normalised.
    coordinate : Coordinate
    moments : tuple of float, optional
        Mean and standard deviation where they are known from elsewhere.
    """

    cuts: np.ndarray
    density: np.ndarray
    coordinate: Coordinate = LINE
    moments: tuple[float, float] | None = None

    @classmethod
    def of(
        cls, cuts: np.ndarray, height: np.ndarray, coordinate: Coordinate, moments: tuple[float, float] | None = None
    ) -> Tabulated:
        """Tabulate a log density (panel * point,)."""
        return cls(cuts, np.exp(height - height.max()).reshape(len(cuts) - 1, PER_PANEL), coordinate, moments)

    @cached_property
    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        """Points and normalised weights."""
        points, weights = panel_points(self.cuts)
        weights = weights * self.density
        return points, weights / weights.sum()

    @cached_property
    def _polynomials(self) -> tuple[PanelPolynomial, PanelPolynomial]:
        """Density, and distribution function."""
        weights = self._points[1]
        density = PanelPolynomial.through(self.cuts, weights / panel_points(self.cuts)[1])
        return density, density.integral()

    @property
    def masses(self) -> np.ndarray:
        """Probability at every point, shape (panel * point,)."""
        return self._points[1].ravel()

    def expect(self, function: Callable[[np.ndarray], np.ndarray]) -> float:
        """Expectation of a function of the number."""
        points, weights = self._points
        return float((function(self.coordinate.value(points)) * weights).sum())

    @cached_property
    def mean(self) -> float:
        return self.moments[0] if self.moments else self.expect(lambda x: x)

    @cached_property
    def sd(self) -> float:
        if self.moments:
            return self.moments[1]
        mean = self.expect(lambda x: x)
        return float(np.sqrt(self.expect(lambda x: (x - mean) ** 2)))

    def cdf(self, value: Any) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            at = self.coordinate.inverse(np.asarray(value, float))
        at = np.where(np.isnan(at), np.where(np.asarray(value) < self.median, -np.inf, np.inf), at)
        inside = np.where(at <= self.cuts[0], 0.0, self._polynomials[1](at))
        return np.where(at >= self.cuts[-1], 1.0, np.clip(inside, 0.0, 1.0))

    def pdf(self, value: Any) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            at = self.coordinate.inverse(np.asarray(value, float))
        inside = (at >= self.cuts[0]) & (at <= self.cuts[-1])
        safe = np.where(inside, at, self.cuts[0])
        slope = self.coordinate.slope(safe)
        return np.where(inside, np.maximum(self._polynomials[0](safe), 0) / np.where(slope > 0, slope, np.inf), 0.0)

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        ends = np.concatenate([[0.0], np.cumsum(self._points[1].sum(axis=1))])
        panel = np.clip(np.searchsorted(ends, p, side="right") - 1, 0, len(self.cuts) - 2)
        low, high = self.cuts[panel], self.cuts[panel + 1]
        density, total = self._polynomials
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            below = total(middle) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        at = (low + high) / 2
        for _ in range(NEWTON):
            at = np.clip(at + (p - total(at)) / np.maximum(density(at), 1e-300), low, high)
        return self.coordinate.value(at)
