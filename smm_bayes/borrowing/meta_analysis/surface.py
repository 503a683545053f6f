r"""Posterior of the population mean and the standard deviation between trials, on an exact quadrature.

The trials' own parameters are integrated out (:mod:`.marginal`). Given :math:`\tau` the posterior of the mean (and of
one coefficient) is log-concave; it lives on a grid around its mode. The values of :math:`\tau` are Gauss-Legendre
points of panels placed where its posterior is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smm_bayes.borrowing.meta_analysis.distribution import Coordinate, Distribution, Known, Tabulated
from smm_bayes.borrowing.meta_analysis.marginal import log_marginal, reach, rough_marginal, stretched, unstretch
from smm_bayes.borrowing.meta_analysis.summaries import Summaries
from smm_bayes.numerics.panels import PanelPolynomial, choose_panels, panel_points, refine
from smm_bayes.priors.normal import Normal, SDPrior
from smm_bayes.priors.spread import Fixed

STEP = 0.42  # of the stretched scale of the mean, at most
COEFFICIENTS = 17
FOR_SUMS = 1e-3  # last coefficient of a panel over which is only summed: the rule is exact to twice the degree


@dataclass(frozen=True, eq=False)
class Regression:
    r"""A regression of trials, :math:`\theta_j \sim N(\eta + x_j\beta, \tau^2)`, with normal priors.

    Attributes
    ----------
    summaries : Summaries
    design : numpy.ndarray, shape (trial, 1 or 2)
        A column of ones, and the covariate less its value where :math:`\eta` is the mean.
    mean, covariance : numpy.ndarray
        Of the prior of :math:`(\eta, \beta)`.
    """

    summaries: Summaries
    design: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def at(
        cls, summaries: Summaries, mean_prior: Normal, covariate: np.ndarray | None, prior: Normal | None, value: float
    ) -> Regression:
        """Make the regression whose mean is that of trials with this value of the covariate."""
        ones = np.ones((len(summaries), 1))
        if covariate is None or prior is None:
            return cls(summaries, ones, np.array([mean_prior.mean]), np.array([[mean_prior.sd**2]]))
        turn = np.array([[1.0, value], [0.0, 1.0]])
        covariance = turn @ np.diag([mean_prior.sd**2, prior.sd**2]) @ turn.T
        return cls(summaries, np.column_stack([ones, covariate - value]),
                   turn @ np.array([mean_prior.mean, prior.mean]), covariance)  # fmt: skip

    @property
    def precision(self) -> np.ndarray:
        """Inverse of the prior covariance."""
        return np.linalg.inv(self.covariance)

    def log_posterior(self, coefficients: np.ndarray, sd: np.ndarray, rough: bool = False) -> np.ndarray:
        """Log density of coefficients (..., coefficient) and the data given the standard deviation (...)."""
        away = coefficients - self.mean
        prior = -0.5 * np.einsum("...p,pq,...q->...", away, self.precision, away)
        means = (coefficients[..., None, :] * self.design).sum(axis=-1)
        if rough:
            return prior + rough_marginal(self.summaries, means, sd[..., None])[0].sum(axis=-1)
        return prior + log_marginal(self.summaries, means, sd[..., None]).sum(axis=-1)

    def modes(self, sd: np.ndarray, rounds: int = 3) -> tuple[np.ndarray, np.ndarray]:
        """Most probable coefficients, about (sd, coefficient), and minus the Hessian, for every SD (sd,)."""
        estimate, information = self.summaries.rough()
        weight = 1 / (1 / information + sd[:, None] ** 2)
        hessian = self.precision + np.einsum("aj,jp,jq->apq", weight, self.design, self.design)
        right = self.precision @ self.mean + (weight * estimate) @ self.design
        at = np.linalg.solve(hessian, right[..., None])[..., 0]
        for _ in range(rounds):
            _, score, weight = rough_marginal(self.summaries, at @ self.design.T, sd[:, None])
            hessian = self.precision + np.einsum("aj,jp,jq->apq", weight, self.design, self.design)
            rise = score @ self.design - (at - self.mean) @ self.precision
            at = at + np.clip(np.linalg.solve(hessian, rise[..., None])[..., 0], -3, 3)
        return at, hessian


@dataclass(frozen=True, eq=False)
class Surface:
    r"""Posterior of :math:`(\eta, \tau)` on points.

    Attributes
    ----------
    sd : numpy.ndarray, shape (sd,)
    mass : numpy.ndarray, shape (sd,)
        Posterior probability at every standard deviation, summing to 1.
    mean : numpy.ndarray, shape (sd, mean)
    weight : numpy.ndarray, shape (sd, mean)
        Quadrature weights of the mean.
    log_density : numpy.ndarray, shape (sd, mean)
        Of the mean given the standard deviation.
    centre, scale : numpy.ndarray, shape (sd,)
        Mode, and standard deviation from the curvature there.
    between : Distribution
        Posterior of the standard deviation.
    bend : float
        Half of what the squared distance from the centre, in scales, is taken to lower the log density by: 0.5 where
        it is about normal, 0 where it has many modes. Interpolation is of what is left.
    """

    sd: np.ndarray
    mass: np.ndarray
    mean: np.ndarray
    weight: np.ndarray
    log_density: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    between: Distribution
    bend: float = 0.5

    @property
    def joint(self) -> np.ndarray:
        """Posterior probability of every point, shape (sd, mean)."""
        return self.mass[:, None] * self.weight * np.exp(self.log_density)


def explore(regression: Regression, prior: SDPrior, tilt: Callable[[np.ndarray], np.ndarray]) -> Surface:
    """Find the posterior surface.

    Parameters
    ----------
    regression : Regression
    prior : SDPrior
    tilt : callable
        Logarithm of a function of the standard deviation whose expectation is wanted too.
    """
    if isinstance(prior, Fixed):
        sd = np.array([prior.value])
        size = means_needed(regression, sd)
        return _surface(sd, np.ones(1), grid_of(regression, sd, size)[1:], Known(prior.value))
    shift = 0.1 * min(prior.median, float(np.median(regression.summaries.rough()[1] ** -0.5)))
    coordinate, low, high = sd_coordinate(prior, shift)

    def rough(v: np.ndarray) -> np.ndarray:
        at = coordinate.value(v)
        modes, hessian = regression.modes(at, rounds=2)
        height = regression.log_posterior(modes, at, rough=True) - 0.5 * np.linalg.slogdet(hessian)[1]
        return height + prior.log_pdf(at) + v

    def exact(v: np.ndarray) -> list[np.ndarray]:
        at = coordinate.value(v)
        evidence, *rest = grid_of(regression, at, size)
        return [evidence + prior.log_pdf(at) + v, at, *rest]

    cuts = choose_panels(lambda v: rough(v) + tilt(coordinate.value(v)), low, high, scan=48)
    size = means_needed(regression, coordinate.value(cuts))
    cuts, (height, sd, *rest) = refine(cuts, exact, FOR_SUMS)
    mass = Tabulated.of(cuts, height, coordinate).masses
    # Laplace's approximation errs smoothly: its error is interpolated, and so the density is known between the points
    correction = PanelPolynomial.through(cuts, height - rough(panel_points(cuts)[0].ravel()))
    fine, found = refine(cuts, lambda v: [rough(v) + correction(v)])
    return _surface(sd, mass, rest, Tabulated.of(fine, found[0], coordinate))


def _surface(sd: np.ndarray, mass: np.ndarray, grid: list[np.ndarray], between: Distribution) -> Surface:
    mean, weight, log_density, centre, scale = grid
    return Surface(sd, mass, mean, weight, log_density, centre, scale, between)


def sd_coordinate(prior: SDPrior, shift: float) -> tuple[Coordinate, float, float]:
    r"""Coordinate :math:`\log(\tau + c)` of a standard deviation, and the ends of its range."""
    lower, upper = prior.support
    upper = min(upper, float(prior.upper_quantile(1e-300 if prior.tail == np.inf else 1e-13)))
    coordinate = Coordinate(
        lambda v: np.clip(np.exp(v) - shift, lower, upper), lambda x: np.log(np.maximum(x, 0) + shift), np.exp
    )
    return coordinate, float(coordinate.inverse(lower)), float(coordinate.inverse(upper))


def grid_of(regression: Regression, sd: np.ndarray, size: int) -> list[np.ndarray]:
    """Log evidence of every SD, and means, weights, log densities, centres and scales of :class:`Surface`."""
    modes, hessian, scale, ridge, far = _places(regression, sd)
    offset, weight = (array.T for array in stretched(far[0], far[1], scale, size))
    height = np.empty_like(offset)
    order = np.argsort(sd)
    for rows in np.array_split(order, max(1, len(sd) // 10)):  # similar SDs need about as many points
        height[rows] = _heights(regression, sd[rows], modes[rows], hessian[rows], ridge[rows], offset[rows])
    evidence = _log_sum(height, weight)
    return [evidence, modes[:, :1] + offset, weight, height - evidence[:, None], modes[:, 0], scale]


def means_needed(regression: Regression, sd: np.ndarray) -> int:
    """How many points of the mean make every step ``STEP`` at most."""
    *_, scale, _, far = _places(regression, sd)
    return int(np.ceil((unstretch(far[0] / scale) + unstretch(far[1] / scale)).max() / STEP)) + 1


def _places(
    regression: Regression, sd: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Modes, Hessians, scales of the mean, the ridge (most probable coefficients by the mean), reach of the mean."""
    modes, hessian = regression.modes(sd)
    covariance = np.linalg.inv(hessian)
    scale = np.sqrt(covariance[:, 0, 0])
    ridge = covariance[:, :, 0] / covariance[:, :1, 0]
    tried = modes + 7 * scale[:, None] * ridge * np.array([0.0, -1.0, 1.0])[:, None, None]
    top, left, right = regression.log_posterior(tried, sd, rough=True)
    return modes, hessian, scale, ridge, (reach(top - left, 7 * scale), reach(top - right, 7 * scale))


def _heights(
    regression: Regression, sd: np.ndarray, modes: np.ndarray, hessian: np.ndarray, ridge: np.ndarray,
    offset: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Log posterior of means, with the coefficient integrated out."""
    mean = modes[:, :1] + offset
    if regression.design.shape[1] == 1:
        return regression.log_posterior(mean[..., None], sd[:, None])
    width = hessian[:, 1, 1] ** -0.5
    other, inner = (array.T for array in stretched(10 * width, 10 * width, width, COEFFICIENTS))
    second = (modes[:, 1:] + ridge[:, 1:] * offset)[..., None] + other[:, None]
    both = np.stack([np.broadcast_to(mean[..., None], second.shape), second], axis=-1)
    return _log_sum(regression.log_posterior(both, sd[:, None, None]), inner[:, None])


def _log_sum(height: np.ndarray, weight: np.ndarray) -> np.ndarray:
    top = height.max(axis=-1, keepdims=True)
    return np.log((np.exp(height - top) * weight).sum(axis=-1)) + top[..., 0]
