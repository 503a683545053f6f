r"""The density that a prior gives a trial's effect on events, given its effect on negativity, from draws of the prior.

.. math:: q(\theta_P \mid \theta_M) = \frac{1}{s} \sum_k \{(1 - u)\, w_{0k} + u\, w_{1k}\}\, N(z;\ c_k, h_k^2), \qquad
          z = \frac{\theta_P - m(\theta_M)}{s(\theta_M)}

with m and :math:`\log s` polynomials of :math:`\theta_M`; u from 0 to 1 over the central 99.8 % of its draws, beyond
which all is constant; and a mixture of normals of known places and widths, whose weights alone are estimated: their
likelihood has one maximum, so that the fit depends on the draws and on nothing else. A component of :math:`z` with SD 2
has a weight of 0.001 at least: a ratio to q cannot grow faster than its tail falls.

How good it is: of the flagship's prior, against histograms of 1.5 million other draws in tenths of :math:`\theta_M`,
over the central 99.8 % of each, the largest log error was 0.26 (the histograms' own is up to 0.09) and the root mean
square 0.05 (0.03). A normal regression in its place errs by up to 1.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from smm_bayes.errors import SpecificationError

type EffectDraws = Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]

DEGREE = 2
CENTRAL = 0.998  # of the draws of the effect on negativity, where the polynomials are not constant
CENTRES, WIDTH, WIDE = np.linspace(-4.2, 4.2, 25), 0.5, np.array([1.0, 1.5, 2.0])
FLOOR = 1e-3  # weight that the widest component has at least
BINS, PLACES = np.linspace(-8.0, 8.0, 321), np.linspace(0.0, 1.0, 41)  # of the scaled effect, and of u
SCALE_STEPS, WEIGHT_STEPS = 30, 1000
TINY = 1e-12  # what a weight of 0 is taken for
PRIOR_SEED, PRIOR_DRAWS, BATCH = 20261128, 50_000, 10_000  # the density is part of the specification, always the same


@dataclass(frozen=True, eq=False)
class ConditionalDensity:
    """Density of an effect on events, given the effect on negativity.

    Attributes
    ----------
    location, log_scale : numpy.ndarray, shape (power,)
        Coefficients of the polynomials.
    limits : (float, float)
        Effects on negativity beyond which they are constant.
    weights : numpy.ndarray, shape (end, component)
        Of the mixture at either limit, or one mixture for all.
    centres, widths : numpy.ndarray, shape (component,)
        Of the scaled effect.
    """

    location: np.ndarray
    log_scale: np.ndarray
    limits: tuple[float, float]
    weights: np.ndarray
    centres: np.ndarray
    widths: np.ndarray

    @classmethod
    def normal(cls, mean: float, sd: float, *, slope: float = 0.0) -> ConditionalDensity:
        """Give a normal density around a line."""
        if not sd > 0:
            raise SpecificationError(f"sd must be above 0; found {sd}")
        one, nothing = np.ones(1), np.zeros(1)
        return cls(np.array([mean, slope]), np.array([math.log(sd)]), (-math.inf, math.inf), one[None], nothing, one)

    @classmethod
    def of_draws(cls, theta_m: np.ndarray, theta_p: np.ndarray) -> ConditionalDensity:
        """Estimate it from independent draws of both effects, shape (draw,) each.

        Raises
        ------
        SpecificationError
            For fewer than 1000 draws, or draws that are not finite.
        """
        x, y = np.asarray(theta_m, float), np.asarray(theta_p, float)
        if x.shape != y.shape or x.ndim != 1 or x.size < 1000 or not np.isfinite([x, y]).all():
            raise SpecificationError("a density of effects needs 1000 draws at least, finite and as many of each; "
                                     f"found shapes {x.shape} and {y.shape}")  # fmt: skip
        edge = (1 - CENTRAL) / 2
        limits = float(np.quantile(x, edge)), float(np.quantile(x, 1 - edge))
        powers = np.vander(np.clip(x, *limits), DEGREE + 1, increasing=True)
        location = np.linalg.lstsq(powers, y, rcond=None)[0]
        apart = y - powers @ location
        log_scale = _log_scale(powers, apart)
        place = (np.clip(x, *limits) - limits[0]) / (limits[1] - limits[0])
        return cls(location, log_scale, limits, *_mixture(place, apart * np.exp(-powers @ log_scale)))

    def log_density(self, theta_m: Any, theta_p: Any) -> np.ndarray:
        """Log density at pairs of effects, of shapes that broadcast."""
        found = self._terms(np.asarray(theta_m, float), np.asarray(theta_p, float), np)
        return np.logaddexp.reduce(found, axis=-1)

    def log_density_in_model(self, theta_m: Any, theta_p: Any) -> Any:
        """Log density of two scalars in PyTensor."""
        import pytensor.tensor as pt

        return pt.logsumexp(self._terms(theta_m, theta_p, pt), axis=-1)

    def _terms(self, theta_m: Any, theta_p: Any, xp: Any) -> Any:
        x = xp.clip(theta_m, *self.limits)
        location, log_scale = (sum(float(c) * x**power for power, c in enumerate(coefficients))
                               for coefficients in (self.location, self.log_scale))  # fmt: skip
        z = ((theta_p - location) * xp.exp(-log_scale))[..., None]
        log_weights = np.log(self.weights[0])
        if len(self.weights) > 1:
            place = ((x - self.limits[0]) / (self.limits[1] - self.limits[0]))[..., None]
            log_weights = xp.log((1 - place) * self.weights[0] + place * self.weights[1])
        constant = -np.log(self.widths) - 0.5 * math.log(2 * math.pi)
        return log_weights + constant - 0.5 * ((z - self.centres) / self.widths) ** 2 - log_scale[..., None]


@dataclass(frozen=True, eq=False)
class EffectPrior:
    """What a model's prior says of the effect on events given the effect on negativity; estimated when asked for.

    Attributes
    ----------
    sample : callable
        From a number and a random generator to so many independent draws of both effects.
    """

    sample: EffectDraws

    @cached_property
    def density(self) -> ConditionalDensity:
        """The density, from draws with a seed of their own: the same in every run."""
        rng = np.random.default_rng(PRIOR_SEED)
        parts = [self.sample(BATCH, rng) for _ in range(PRIOR_DRAWS // BATCH)]
        return ConditionalDensity.of_draws(*(np.concatenate([part[k] for part in parts]) for k in (0, 1)))


def _log_scale(powers: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Coefficients of the log SD that maximise the normal likelihood, by Fisher scoring."""
    found = np.zeros(powers.shape[1])
    found[0] = math.log(apart.std())
    information = 2 * powers.T @ powers
    for _ in range(SCALE_STEPS):
        excess = apart**2 * np.exp(-2 * powers @ found) - 1
        found = found + np.linalg.solve(information, powers.T @ excess)
    return found


def _mixture(place: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of the components that maximise the likelihood of scaled effects, by EM on their histogram."""
    centres = np.concatenate([CENTRES, np.zeros(len(WIDE))])
    widths = np.concatenate([np.full(len(CENTRES), WIDTH), WIDE])
    counts = np.histogram2d(place, np.clip(z, BINS[0], BINS[-1]), [PLACES, BINS])[0]
    u, middle = ((edges[1:] + edges[:-1]) / 2 for edges in (PLACES, BINS))
    near = np.column_stack([1 - u, u])
    height = np.exp(-0.5 * ((middle[:, None] - centres) / widths) ** 2) / widths
    weights = np.full((2, len(centres)), 1 / len(centres))
    for _ in range(WEIGHT_STEPS):
        weights = weights * (near.T @ (counts / (near @ weights @ height.T)) @ height)
        weights /= weights.sum(axis=1, keepdims=True)
    weights[:, -1] = np.maximum(weights[:, -1], FLOOR)
    weights = np.maximum(weights, TINY)
    return weights / weights.sum(axis=1, keepdims=True), centres, widths
