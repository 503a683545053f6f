r"""Exact posterior of cohorts that may borrow from each other.

Given :math:`(\mu_h, \tau_h)` of the exchangeable distributions the cohorts are independent, and each has a mixture of
one-dimensional integrals as its likelihood. What is left is a sum over points of one or two :math:`(\mu, \tau)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from smm_bayes.borrowing.meta_analysis.baskets import Baskets
from smm_bayes.borrowing.meta_analysis.composite import Blend
from smm_bayes.borrowing.meta_analysis.distribution import Distribution, Known, Tabulated
from smm_bayes.borrowing.meta_analysis.engines import response_coordinate
from smm_bayes.borrowing.meta_analysis.marginal import log_marginal, stretched
from smm_bayes.borrowing.meta_analysis.predict import tabulate
from smm_bayes.borrowing.meta_analysis.surface import Regression, Surface, sd_coordinate
from smm_bayes.numerics.panels import choose_panels, panel_points, refine
from smm_bayes.priors.normal import Normal
from smm_bayes.priors.spread import Fixed

MEANS = {1: 121, 2: 61}  # points of a mean, by how many exchangeable distributions there are
TOLERANCE = {1: 1e-4, 2: 1e-2}
CHUNK = 200
WIDE = (1e-10, 1e-4, 0.02, 0.2, 0.5, 0.8, 0.98, 1 - 1e-4, 1 - 1e-10)


@dataclass(frozen=True, eq=False)
class Nodes:
    """Points of one exchangeable distribution.

    Attributes
    ----------
    sd : numpy.ndarray, shape (sd,)
    mean : numpy.ndarray, shape (sd, mean)
    log_prior : numpy.ndarray, shape (sd, mean)
        Log of prior density times quadrature weight.
    likelihood : numpy.ndarray, shape (sd, mean, cohort)
        Log marginal likelihood.
    weight, centre, scale : numpy.ndarray
        As in :class:`~.surface.Surface`.
    cuts : numpy.ndarray
        Panels of the coordinate of the SD.
    """

    sd: np.ndarray
    mean: np.ndarray
    log_prior: np.ndarray
    likelihood: np.ndarray
    weight: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    cuts: np.ndarray


def _nodes(arrays: list[np.ndarray], cuts: np.ndarray) -> Nodes:
    sd, mean, log_prior, likelihood, weight, centre, scale = arrays
    return Nodes(sd, mean, log_prior, likelihood, weight, centre, scale, cuts)


@dataclass(frozen=True, eq=False)
class BasketQuadrature:
    """Computes the posterior of cohorts.

    Attributes
    ----------
    baskets : Baskets
    """

    baskets: Baskets

    @cached_property
    def _own(self) -> np.ndarray:
        """Log marginal likelihood of every cohort under its own prior."""
        centre, width = self.baskets.own
        return log_marginal(self.baskets.summaries, centre, width)

    @cached_property
    def _nodes(self) -> list[Nodes]:
        return [self._explore(h) for h in range(len(self.baskets.mean_priors))]

    def _shift(self, h: int) -> float:
        prior = self.baskets.sd_priors[h]
        return 0.1 * min(prior.median, float(np.median(self.baskets.summaries.rough()[1] ** -0.5)))

    def _explore(self, h: int) -> Nodes:
        """Place points where the posterior may be, as if this were the only exchangeable distribution."""
        baskets, prior = self.baskets, self.baskets.sd_priors[h]
        if isinstance(prior, Fixed):
            return _nodes(self._points(h, np.array([prior.value]), np.zeros(1))[1:], np.zeros(0))
        regression = Regression.at(baskets.summaries, baskets.mean_priors[h], None, None, 0.0)
        coordinate, low, high = sd_coordinate(prior, self._shift(h))

        def vague(v: np.ndarray) -> np.ndarray:
            return prior.log_pdf(coordinate.value(v)) + v

        def pooled(v: np.ndarray) -> np.ndarray:
            at = coordinate.value(v)
            modes, hessian = regression.modes(at)
            return regression.log_posterior(modes, at, rough=True) - 0.5 * np.linalg.slogdet(hessian)[1] + vague(v)

        every = [choose_panels(vague, low, high, levels=WIDE),
                 choose_panels(pooled, low, high, levels=(0.01, 0.5, 0.99))]  # fmt: skip
        cuts = np.unique(np.concatenate(every))
        cuts = cuts[np.concatenate([[True], np.diff(cuts) > 1e-3 * (cuts[-1] - cuts[0])])]
        tolerance = TOLERANCE[self._size]
        cuts, found = refine(cuts, lambda v: self._points(h, coordinate.value(v), vague(v)), tolerance)
        found[3] = found[3] + np.log(panel_points(cuts)[1].ravel())[:, None]
        return _nodes(found[1:], cuts)

    @property
    def _size(self) -> int:
        return len(self.baskets.mean_priors)

    def _points(self, h: int, sd: np.ndarray, log_prior: np.ndarray) -> list[np.ndarray]:
        baskets, prior = self.baskets, self.baskets.mean_priors[h]
        modes, hessian = Regression.at(baskets.summaries, prior, None, None, 0.0).modes(sd)
        scale, centre = hessian[:, 0, 0] ** -0.5, modes[:, 0]
        ends = prior.mean + 7 * prior.sd * np.array([-1.0, 1.0])
        far = [np.maximum(np.abs(end - centre), 8 * scale) for end in ends]
        offset, weight = (array.T for array in stretched(far[0], far[1], scale, MEANS[self._size]))
        mean = centre[:, None] + offset
        likelihood = log_marginal(baskets.summaries, mean[..., None], sd[:, None, None])
        height = prior.log_pdf(mean) + np.log(weight) + log_prior[:, None]
        with np.errstate(divide="ignore"):
            chance = np.log(baskets.probability[:, h]), np.log1p(-baskets.probability[:, h])
        both = np.logaddexp(chance[0] + likelihood, chance[1] + self._own).sum(axis=-1) + height
        top = both.max(axis=-1)
        evidence = np.log(np.exp(both - top[:, None]).sum(axis=-1)) + top
        return [evidence, sd, mean, height, likelihood, weight, centre, scale]

    @cached_property
    def _sums(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """For every distribution: posterior mass of its points (sd, mean), and log of the expectation over the other.

        The second, shape (cohort, sd, mean), is of a membership's prior probability over the cohort's mixture.
        """
        baskets, nodes = self.baskets, self._nodes
        weights = np.exp(baskets.log_weights)
        top = np.max([self._own, *(n.likelihood.max(axis=(0, 1)) for n in nodes)], axis=0)
        own = weights[-1] * np.exp(self._own - top)
        each = [weights[h] * np.exp(n.likelihood.reshape(-1, len(own)) - top) for h, n in enumerate(nodes)]
        prior = [np.exp(n.log_prior.ravel() - n.log_prior.max()) for n in nodes]
        if len(nodes) == 1:
            each, prior = [*each, np.zeros((1, len(own)))], [*prior, np.ones(1)]
        masses = [np.zeros(len(p)) for p in prior]
        shares = [np.zeros((len(own), len(p))) for p in prior]
        for start in range(0, len(prior[0]), CHUNK):
            rows = slice(start, start + CHUNK)
            mixed = [each[0][rows, k, None] + each[1][:, k] + own[k] for k in range(len(own))]
            whole = prior[0][rows, None] * prior[1]
            for one in mixed:
                whole = whole * one
            masses[0][rows] = whole.sum(axis=1)
            masses[1] += whole.sum(axis=0)
            for k, one in enumerate(mixed):
                part = whole / one
                shares[0][k, rows] = part.sum(axis=1)
                shares[1][k] += part.sum(axis=0)
        total = masses[0].sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = [np.where(m > 0, s / m, 0.0) for s, m in zip(shares, masses, strict=True)]
            found = [np.log(r * weights[h][:, None] * np.exp(-top)[:, None]).reshape(-1, *n.mean.shape)
                     for h, (n, r) in enumerate(zip(nodes, ratio[: len(nodes)], strict=True))]  # fmt: skip
        return [m.reshape(n.mean.shape) / total for n, m in zip(nodes, masses, strict=False)], found

    def _surface(self, h: int) -> Surface:
        nodes, mass = self._nodes[h], self._sums[0][h]
        of_sd = mass.sum(axis=1)
        with np.errstate(divide="ignore"):
            density = np.log(mass) - np.log(of_sd)[:, None] - np.log(nodes.weight)
        return Surface(nodes.sd, of_sd, nodes.mean, nodes.weight, np.maximum(density, -700), nodes.centre, nodes.scale,
                       self.between(h), 0.0)  # fmt: skip

    @cached_property
    def memberships(self) -> np.ndarray:
        """Posterior probability of each exchangeable distribution, shape (distribution, cohort)."""
        found = [
            (mass * np.exp(log_share + np.moveaxis(nodes.likelihood, -1, 0))).sum(axis=(1, 2))
            for mass, log_share, nodes in zip(*self._sums, self._nodes, strict=True)
        ]
        return np.array(found)

    def between(self, h: int) -> Distribution:
        """Posterior of one standard deviation."""
        prior, nodes = self.baskets.sd_priors[h], self._nodes[h]
        if isinstance(prior, Fixed):
            return Known(prior.value)
        _, weights = panel_points(nodes.cuts)
        density = self._sums[0][h].sum(axis=1) / weights.ravel()
        return Tabulated(nodes.cuts, density.reshape(weights.shape), sd_coordinate(prior, self._shift(h))[0])

    def alone(self, cohort: int) -> Distribution:
        """Response rate of a cohort under its own prior."""
        own, prior = self.baskets.summaries.take([cohort]), self.baskets.own_priors[cohort]
        return update_normal(own, prior)

    def rate(self, cohort: int) -> Distribution:
        """Response rate of a cohort."""
        own = self.baskets.summaries.take([cohort])
        coordinate = response_coordinate(own)
        shares = [*self.memberships[:, cohort]]
        shares.append(max(1 - sum(shares), 0.0))
        parts = [
            tabulate(self._surface(h), coordinate, lambda theta: own.log_likelihood(theta[:, None])[:, 0],
                     self._sums[1][h][cohort]) if shares[h] > 0 else self.alone(cohort)
            for h in range(self._size)
        ]  # fmt: skip
        return Blend(np.array(shares) / sum(shares), (*parts, self.alone(cohort)))


def update_normal(data: Any, prior: Normal) -> Tabulated:
    """Posterior of one trial's parameter under a normal prior on the line."""

    def height(theta: np.ndarray) -> np.ndarray:
        return prior.log_pdf(theta) + data.log_likelihood(theta[:, None])[:, 0]

    cuts = choose_panels(height, prior.mean - 9 * prior.sd, prior.mean + 9 * prior.sd, scan=120)
    cuts, found = refine(cuts, lambda theta: [height(theta)])
    return Tabulated.of(cuts, found[0], response_coordinate(data))
