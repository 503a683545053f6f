r"""Posterior of :math:`(b, \tau, \psi)` on nodes, and exact draws from it.

Every coordinate is stretched, :math:`x = c + s \sinh v`: fine where the posterior is narrow and coarse far out. In v
the density is smooth (for a standard deviation even, so that the half space is no edge) and the trapezoidal rule
converges geometrically. Ranges close in on the posterior in a few rounds of a coarse grid.

Draws start uniformly in the cell of a node drawn by its mass and are kept with probability proportional to the ratio of
the exact density to that of the node; so they have the exact density and not that of the nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from smm_bayes.priors.normal import SDPrior
from smm_bayes.priors.spread import Fixed
from smm_bayes.surrogacy.across.marginal import Given, given
from smm_bayes.surrogacy.across.pairs import TrialPairs
from smm_bayes.surrogacy.across.priors import AcrossPriors

NODES, COARSE = (31, 19, 19), (15, 9, 9)  # of slope, spread and residual SD
ROUNDS = 6
DROP = 18.0  # nodes are put where the log density is within so much of its top
FAR = 8.0  # prior standard deviations of the slope that are searched
NEGLIGIBLE = 1e-12  # mass of a node that is left out


@dataclass(frozen=True)
class Axis:
    r"""One coordinate, :math:`x = centre + scale \sinh v` for v between two ends; a fixed value has one node."""

    centre: float
    scale: float
    low: float
    high: float

    @classmethod
    def of_sd(cls, prior: SDPrior, scale: float) -> Axis:
        """Give the axis of a standard deviation."""
        if isinstance(prior, Fixed):
            return cls(prior.value, 0.0, 0.0, 0.0)
        lower, upper = prior.support
        upper = min(upper, float(prior.upper_quantile(1e-12)))
        return cls(0.0, scale, float(np.arcsinh(lower / scale)), float(np.arcsinh(upper / scale)))

    @property
    def is_fixed(self) -> bool:
        """Whether there is only one value."""
        return self.scale == 0

    def nodes(self, size: int) -> np.ndarray:
        """Coordinates v, evenly spaced."""
        return np.zeros(1) if self.is_fixed else np.linspace(self.low, self.high, size)

    def value(self, v: np.ndarray) -> np.ndarray:
        """Value at a coordinate."""
        return self.centre + self.scale * np.sinh(v)

    def log_slope(self, v: np.ndarray) -> np.ndarray:
        """Log derivative of the value by the coordinate."""
        return np.zeros_like(v) if self.is_fixed else np.log(self.scale * np.cosh(v))

    def closed(self, v: np.ndarray, height: np.ndarray) -> Axis:
        """Close in on the nodes where the profile of the log density is high, and one more on each side."""
        if self.is_fixed:
            return self
        kept = np.flatnonzero(height > height.max() - DROP)
        return Axis(self.centre, self.scale, v[max(kept[0] - 1, 0)], v[min(kept[-1] + 1, len(v) - 1)])

    def jittered(self, v: np.ndarray, size: int, *, rng: np.random.Generator) -> np.ndarray:
        """Spread coordinates of nodes uniformly over their cells, those of the end nodes being half as wide."""
        if self.is_fixed:
            return v
        step = (self.high - self.low) / (size - 1)
        moved = v + step * (rng.random(v.shape) - 0.5)
        moved = np.where(moved < self.low, 2 * self.low - moved, moved)
        return np.where(moved > self.high, 2 * self.high - moved, moved)


@dataclass(frozen=True, eq=False)
class Draws:
    """Posterior draws, shape (draw,) each; ``mean`` and ``spread`` are NaN in the Daniels-Hughes form."""

    intercept: np.ndarray
    slope: np.ndarray
    residual_sd: np.ndarray
    mean: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True, eq=False)
class Nodes:
    """The posterior on nodes.

    Attributes
    ----------
    slope, spread, residual_sd, mass : numpy.ndarray, shape (node,)
        The masses sum to 1.
    given : Given
        Normal posterior of mean and intercept at every node.
    log_evidence : float
        Log marginal likelihood of the pairs (in the Daniels-Hughes form up to the flat priors).
    """

    slope: np.ndarray
    spread: np.ndarray
    residual_sd: np.ndarray
    mass: np.ndarray
    given: Given
    log_evidence: float


@dataclass(frozen=True, eq=False)
class Quadrature:
    """Pairs, priors and form, and the coordinates that their posterior is explored in.

    Attributes
    ----------
    pairs : TrialPairs
    priors : AcrossPriors
    correlation : float
    bivariate : bool
    axes : tuple of Axis
        Of slope, spread and residual SD.
    """

    pairs: TrialPairs
    priors: AcrossPriors
    correlation: float
    bivariate: bool
    axes: tuple[Axis, Axis, Axis]

    @classmethod
    def explore(cls, pairs: TrialPairs, priors: AcrossPriors, correlation: float, bivariate: bool) -> Quadrature:
        """Find where the posterior is."""
        centre, error = _least_squares(pairs, priors)
        far = [float(np.arcsinh((priors.slope.mean + k * FAR * priors.slope.sd - centre) / error)) for k in (-1, 1)]
        nothing = Axis(0.0, 0.0, 0.0, 0.0)
        spread = Axis.of_sd(priors.spread, float(np.median(pairs.odds_ratio_se))) if bivariate else nothing
        residual = Axis.of_sd(priors.residual_sd, 0.5 * float(np.median(pairs.hazard_ratio_se)))
        found = cls(pairs, priors, correlation, bivariate, (Axis(centre, error, *far), spread, residual))
        for _ in range(ROUNDS):
            closer = found._closer()
            shrunk = [(b.high - b.low) / (a.high - a.low) for a, b in zip(found.axes, closer.axes, strict=True)
                      if not a.is_fixed]  # fmt: skip
            found = closer
            if min(shrunk) > 0.8:
                break
        return found

    def _closer(self) -> Quadrature:
        places = [axis.nodes(size) for axis, size in zip(self.axes, COARSE, strict=True)]
        height = self._height(*_open(places))[0]
        profiles = [height.max(axis=tuple({0, 1, 2} - {k})) for k in range(3)]
        first, second, third = (axis.closed(v, h) for axis, v, h in zip(self.axes, places, profiles, strict=True))
        return Quadrature(self.pairs, self.priors, self.correlation, self.bivariate, (first, second, third))

    def _height(self, *places: np.ndarray) -> tuple[np.ndarray, Given]:
        """Log of likelihood times prior in the coordinates, and the normal posteriors."""
        values = [axis.value(v) for axis, v in zip(self.axes, places, strict=True)]
        found = given(self.pairs, self.priors, self.correlation, self.bivariate, *values)
        priors = (self.priors.slope, self.priors.spread if self.bivariate else None, self.priors.residual_sd)
        height = found.log_likelihood
        for axis, v, value, prior in zip(self.axes, places, values, priors, strict=True):
            if prior is not None:
                height = height + prior.log_pdf(value) + axis.log_slope(v)
        return height, found

    def nodes(self, sizes: tuple[int, int, int] = NODES) -> Nodes:
        """Evaluate the posterior on nodes, leaving out those without mass."""
        places, height, found = self._standard if sizes == NODES else self._grid(sizes)
        weight = self._weights(places)
        top = height.max()
        mass = np.exp(height - top) * weight
        total = mass.sum()
        kept = mass > NEGLIGIBLE * total
        slope, spread, residual_sd = (np.broadcast_to(axis.value(v), mass.shape)[kept]
                                      for axis, v in zip(self.axes, _open(places), strict=True))  # fmt: skip
        moments = Given(*(part[kept] for part in found))
        return Nodes(slope, spread, residual_sd, mass[kept] / mass[kept].sum(), moments, float(top + np.log(total)))

    @cached_property
    def _standard(self) -> tuple[list[np.ndarray], np.ndarray, Given]:
        return self._grid(NODES)

    def _grid(self, sizes: tuple[int, int, int]) -> tuple[list[np.ndarray], np.ndarray, Given]:
        places = [axis.nodes(size) for axis, size in zip(self.axes, sizes, strict=True)]
        return places, *self._height(*_open(places))

    def _weights(self, places: list[np.ndarray]) -> np.ndarray:
        """Trapezoidal weights, the product over coordinates."""
        weights = [np.gradient(v) if len(v) > 1 else np.full(1, 2.0) for v in places]
        for weight in weights:
            weight[[0, -1]] /= 2
        first, second, third = _open(weights)
        return first * second * third

    def draws(self, size: int, *, rng: np.random.Generator) -> Draws:
        """Draw from the posterior, independently."""
        places, height, _ = self._standard
        share = (np.exp(height - height.max()) * self._weights(places)).ravel()
        share /= share.sum()
        kept: list[list[np.ndarray]] = []
        ratios: list[np.ndarray] = []
        number, batch = 0, 4 * size
        while number < size:
            cell = rng.choice(share.size, batch, p=share)
            where = np.unravel_index(cell, height.shape)
            tried = [axis.jittered(v[at], nodes, rng=rng) for axis, v, at, nodes
                     in zip(self.axes, places, where, NODES, strict=True)]  # fmt: skip
            ratios.append(self._height(*tried)[0] - height.ravel()[cell])
            kept.append([*tried, rng.random(batch)])
            ratio = np.concatenate(ratios)
            chance = np.exp(ratio - ratio.max())
            number = int((np.concatenate([k[3] for k in kept]) < chance).sum())
        columns = [np.concatenate(column) for column in zip(*kept, strict=True)]
        chosen = np.flatnonzero(columns[3] < chance)[:size]
        return self._complete([column[chosen] for column in columns[:3]], rng=rng)

    def _complete(self, places: list[np.ndarray], *, rng: np.random.Generator) -> Draws:
        """Draw mean and intercept given the other parameters."""
        slope, spread, residual_sd = (axis.value(v) for axis, v in zip(self.axes, places, strict=True))
        found = given(self.pairs, self.priors, self.correlation, self.bivariate, slope, spread, residual_sd)
        first, second = rng.standard_normal((2, len(slope)))
        intercept = found.intercept + np.sqrt(found.intercept_variance) * first
        if not self.bivariate:
            return Draws(intercept, slope, residual_sd, np.full_like(slope, np.nan), np.full_like(slope, np.nan))
        along = found.covariance / found.intercept_variance
        left = found.mean_variance - along * found.covariance
        mean = found.mean + along * (intercept - found.intercept) + np.sqrt(left) * second
        return Draws(intercept, slope, residual_sd, mean, spread)


def _open(arrays: list[np.ndarray]) -> list[np.ndarray]:
    first, second, third = arrays
    return [first[:, None, None], second[None, :, None], third[None, None, :]]


def _least_squares(pairs: TrialPairs, priors: AcrossPriors) -> tuple[float, float]:
    """Slope of the weighted regression of the estimates, shrunk to its prior, and its error: where to look."""
    weight = 1 / pairs.hazard_ratio_se**2
    x = pairs.log_odds_ratio - (weight * pairs.log_odds_ratio).sum() / weight.sum()
    information = (weight * x**2).sum()
    precision = information + priors.slope.sd**-2
    centre = ((weight * x * pairs.log_hazard_ratio).sum() + priors.slope.mean / priors.slope.sd**2) / precision
    return float(centre), float(precision**-0.5)
