"""Distributions of one number as a meta-analysis gives them: tabulated exactly, known, or as draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from smm_bayes.errors import SpecificationError

PER_PANEL = 10
LEVELS = (1e-10, 1e-5, 1e-2, 0.15, 0.5, 0.85, 1 - 1e-2, 1 - 1e-5, 1 - 1e-10)
_X, _W = np.polynomial.legendre.leggauss(PER_PANEL)
_BASIS = np.polynomial.legendre.legvander(_X, PER_PANEL - 1) * _W[:, None] * (np.arange(PER_PANEL) + 0.5)
EDGE = 1e-3  # density at the end of a range, relative to the highest, from which on it counts as one that ends there
FAR = 60.0  # a rough log density so far below its top is outside


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


class Distribution(ABC):
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

    def __repr__(self) -> str:
        low, high = self.interval()
        return f"mean {self.mean:.3g}, SD {self.sd:.3g}, median {self.median:.3g}, 95 % between {low:.3g} and {high:.3g}"


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


@dataclass(frozen=True, eq=False)
class PanelPolynomial:
    """A polynomial in each of several panels; beyond them it is that at the nearest end.

    Attributes
    ----------
    cuts : numpy.ndarray, shape (panel + 1,)
    coefficients : numpy.ndarray, shape (power, panel)
        Of Legendre's polynomials on [-1, 1].
    """

    cuts: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def through(cls, cuts: np.ndarray, values: np.ndarray) -> PanelPolynomial:
        """Give the polynomials through values at the points of the panels (panel * point,)."""
        return cls(cuts, (values.reshape(-1, PER_PANEL) @ _BASIS).T)

    def integral(self) -> PanelPolynomial:
        """Integrate from the first cut."""
        half = np.diff(self.cuts) / 2
        found = np.polynomial.legendre.legint(self.coefficients, axis=0, lbnd=-1) * half
        found[0] += np.concatenate([[0.0], np.cumsum(2 * half * self.coefficients[0])[:-1]])
        return PanelPolynomial(self.cuts, found)

    def __call__(self, at: np.ndarray) -> np.ndarray:
        inside = np.clip(at, self.cuts[0], self.cuts[-1])
        panel = np.clip(np.searchsorted(self.cuts, inside, side="right") - 1, 0, len(self.cuts) - 2)
        x = 2 * (inside - self.cuts[panel]) / (self.cuts[panel + 1] - self.cuts[panel]) - 1
        return np.polynomial.legendre.legval(x, self.coefficients[:, panel], tensor=False)


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
        density = PanelPolynomial.through(self.cuts, weights / (np.diff(self.cuts)[:, None] / 2 * _W))
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
        return np.clip(self._polynomials[1](at), 0.0, 1.0)

    def pdf(self, value: Any) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            at = self.coordinate.inverse(np.asarray(value, float))
        inside = (at >= self.cuts[0]) & (at <= self.cuts[-1])
        safe = np.where(inside, at, self.cuts[0])
        return np.where(inside, np.maximum(self._polynomials[0](safe), 0) / self.coordinate.slope(safe), 0.0)

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        ends = np.concatenate([[0.0], np.cumsum(self._points[1].sum(axis=1))])
        panel = np.clip(np.searchsorted(ends, p, side="right") - 1, 0, len(self.cuts) - 2)
        low, high = self.cuts[panel], self.cuts[panel + 1]
        for _ in range(60):
            middle = (low + high) / 2
            below = self._polynomials[1](middle) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return self.coordinate.value((low + high) / 2)


def panel_points(cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights of every panel, shape (panel, point)."""
    half = np.diff(cuts)[:, None] / 2
    return cuts[:-1, None] + half * (1 + _X), half * _W


def refine(
    cuts: np.ndarray, evaluate: Callable[[np.ndarray], tuple[np.ndarray, ...]], tolerance: float = 1e-6, rounds: int = 12
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Evaluate a log density at the points of panels, halving those in which it is not yet a polynomial.

    Parameters
    ----------
    cuts : numpy.ndarray
    evaluate : callable
        Of points (point,) gives the log density (point,), and arrays (point, ...) that go with it.
    tolerance : float
        What a panel's last coefficients may add to the distribution function.
    rounds : int
        Of halving, at most.

    Returns
    -------
    cuts : numpy.ndarray, shape (panel + 1,)
    arrays : tuple of numpy.ndarray, each of shape (panel * point, ...)
    """
    done: list[tuple[float, float, list[np.ndarray]]] = []
    edges = list(pairwise(cuts.tolist()))
    for left in range(rounds, -1, -1):
        points = np.concatenate([panel_points(np.array(edge))[0][0] for edge in edges])
        found = evaluate(points)
        done += [(*edge, [array[k * PER_PANEL : (k + 1) * PER_PANEL] for array in found])
                 for k, edge in enumerate(edges)]  # fmt: skip
        done.sort(key=lambda panel: panel[0])
        rough = _roughness(done)
        if left == 0 or not (rough > tolerance).any():
            break
        split = [panel for panel, bad in zip(done, rough > tolerance, strict=True) if bad]
        done = [panel for panel, bad in zip(done, rough > tolerance, strict=True) if not bad]
        edges = [edge for low, high, _ in split for edge in ((low, (low + high) / 2), ((low + high) / 2, high))]
    arrays = tuple(np.concatenate(column) for column in zip(*(panel[2] for panel in done), strict=True))
    return np.array([done[0][0], *(panel[1] for panel in done)]), arrays


def _roughness(panels: list[tuple[float, float, list[np.ndarray]]]) -> np.ndarray:
    height = np.array([found[0] for _, _, found in panels])
    half = np.array([(high - low) / 2 for low, high, _ in panels])
    density = np.exp(height - height.max())
    last = np.abs(density @ _BASIS[:, -2:]).sum(axis=1) / PER_PANEL
    return half * last / (half * (density @ _BASIS[:, 0])).sum() / 2


def choose_panels(
    rough: Callable[[np.ndarray], np.ndarray], low: float, high: float, scan: int = 80, levels: Any = LEVELS
) -> np.ndarray:
    """Cut a range where a rough log density says that its probability is.

    Parameters
    ----------
    rough : callable
        Log density, unnormalised, of coordinates (point,).
    low, high : float
    scan : int
        Points at which it is looked at, three times, each time nearer to where the probability is.
    levels : sequence of float
        Probabilities at whose rough quantiles to cut.
    """
    start, end = low, high
    for last in (False, False, True):
        at = np.linspace(low, high, scan)
        height = rough(at)
        height = height - height.max()
        if last:
            break
        near = np.flatnonzero(height > -FAR)
        low, high = at[max(near[0] - 1, 0)], at[min(near[-1] + 1, scan - 1)]
    mass = np.exp(height)
    share = np.concatenate([[0.0], np.cumsum((mass[1:] + mass[:-1]) / 2)])
    share /= share[-1]
    rising = np.concatenate([[True], np.diff(share) > 0])
    upper = np.concatenate([np.cumsum(((mass[1:] + mass[:-1]) / 2)[::-1])[::-1], [0.0]])
    upper /= upper[0]
    falling = np.concatenate([np.diff(upper) < 0, [True]])
    cuts = [(p, np.interp(p, share[rising], at[rising])) if p < 0.5 else
            (p, np.interp(p - 1, -upper[falling], at[falling])) for p in levels]  # fmt: skip
    if mass[0] > EDGE:  # the range ends where there is density: no tail to be cut off
        cuts = [(0.0, start), *(cut for cut in cuts if cut[0] >= 0.1)]
    if mass[-1] > EDGE:
        cuts = [*(cut for cut in cuts if cut[0] <= 0.9), (1.0, end)]
    return np.unique([value for _, value in cuts])


class Wrapped(Distribution):
    """A distribution that something more is known of.

    Attributes
    ----------
    distribution : Distribution
        The distribution itself.
    """

    distribution: Any

    @property
    def mean(self) -> float:
        return self.distribution.mean

    @property
    def sd(self) -> float:
        return self.distribution.sd

    def cdf(self, value: Any) -> np.ndarray:
        return self.distribution.cdf(value)

    def pdf(self, value: Any) -> np.ndarray:
        return self.distribution.pdf(value)

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        return self.distribution.quantile(p)
