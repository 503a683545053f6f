r"""A smooth log hazard over the intervals, and the coordinates in which its posterior is easy to sample.

The prior of one log hazard (or log hazard ratio) is a level and a first-order random walk: with :math:`h` its
values in J intervals, :math:`\bar h \sim N(m, s^2)` and :math:`h_{j+1} - h_j \sim N(0, w_j \sigma^2)`, where
:math:`w_j` is the distance between the middles of the two intervals in years: :math:`\sigma` is the SD of the change
in a year, whatever the intervals.

The level may be another weighted mean :math:`w'h`, such as the value in the last interval alone, as long as the weights
sum to 1: the map from :math:`h` to the level and the differences then has determinant 1, so that the log density of
:math:`h` is the sum of theirs whatever the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import YEAR
from smm_bayes.survival.grid import TimeGrid

if TYPE_CHECKING:
    import pymc as pm

    from smm_bayes.priors.clinical import SmoothnessPrior

FLOOR = 0.05  # events that an interval without events counts for in the coordinates; the posterior does not see it


class LogNormal(Protocol):
    """A prior of a positive quantity that is normal on the log scale."""

    @property
    def mean(self) -> float:
        """Mean of the logarithm."""

    @property
    def sd(self) -> float:
        """Standard deviation of the logarithm."""


class Curve(NamedTuple):
    """One smooth curve: the prior of its level, and what the data say of it by interval, roughly.

    Attributes
    ----------
    prior : LogNormal
        Of the exponential of the level.
    estimate, information : numpy.ndarray, shape (interval,)
        Crude estimate, and one over its variance; they make the sampler's coordinates, the posterior does not see them.
    """

    prior: LogNormal
    estimate: np.ndarray
    information: np.ndarray

    @classmethod
    def of_hazard(cls, prior: LogNormal, events: np.ndarray, exposure: np.ndarray) -> Curve:
        """Log hazard from the events and exposure (interval) that bear on it."""
        return cls(prior, _crude(prior, events, exposure), events + FLOOR)

    @classmethod
    def of_ratio(cls, prior: LogNormal, baseline: LogNormal, events: np.ndarray, exposure: np.ndarray) -> Curve:
        """Log hazard ratio from the events and exposure of two arms, shape (2, interval)."""
        control, experimental = (_crude(baseline, events[arm], exposure[arm]) for arm in (0, 1))
        weight = events + FLOOR
        return cls(prior, experimental - control, weight[0] * weight[1] / weight.sum(axis=0))


def _crude(prior: LogNormal, events: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    return np.log((events + FLOOR) / (exposure + FLOOR / np.exp(prior.mean)))


def spacing(grid: TimeGrid) -> np.ndarray:
    """Distances in years between the middles of neighbouring intervals, shape (interval - 1,).

    The last interval has no end: it counts as wide as the one before.
    """
    return np.diff(grid.middles) / YEAR


def last_interval(grid: TimeGrid) -> np.ndarray:
    """Weights of a level that is the value in the last interval."""
    return np.eye(len(grid))[-1]


def _checked(weights: np.ndarray | None, grid: TimeGrid) -> np.ndarray | None:
    if weights is not None and (np.shape(weights) != (len(grid),) or not abs(np.sum(weights) - 1) < 1e-9):
        raise SpecificationError(
            f"the weights of a walk's level must be {len(grid)}, one an interval, and sum to 1; got {weights}"
        )
    return weights


def _level(values: Any, weights: np.ndarray | None) -> Any:
    return values.mean(axis=-1) if weights is None else (values * weights).sum(axis=-1)


def whitening(
    curves: Sequence[Curve], grid: TimeGrid, name: str = "walk", weights: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    r"""Coordinates u that make :math:`h` nearly standard normal a posteriori, whatever the walk's step :math:`\sigma`.

    A normal approximation gives :math:`h \mid \sigma` the precision :math:`P/\sigma^2 + M`, with P that of the walk's
    differences and M that of the level and of the data. With the eigenvectors :math:`A` and eigenvalues :math:`r`
    of P relative to M (:math:`A'MA = I`, :math:`A'PA = \mathrm{diag}(r)`),

    .. math:: h = A\,(\sqrt{q}\,u + q\,c), \quad q = 1 / (1 + r/\sigma^2)

    is standard normal in u. Scarce data make this the non-centred walk, plentiful data the centred one. It is a change
    of variables, exact with any A, r and c: how good the approximation is matters for speed alone.

    Parameters
    ----------
    curves : sequence of Curve
    grid : TimeGrid
    name : str
        How the names of the arrays start.
    weights : numpy.ndarray, shape (interval,), optional
        Of the level, summing to 1; the same for every interval by default.

    Returns
    -------
    dict of str to numpy.ndarray
        ``walk_basis`` A (curve, interval, coordinate), ``walk_ratio`` r and ``walk_centre`` c (curve, coordinate);
        nothing for a single interval, where there is no walk.

    Raises
    ------
    SpecificationError
        When the weights are not one an interval or do not sum to 1.

    References
    ----------
    Papaspiliopoulos O, Roberts GO, Sköld M. Statistical Science 2007;22:59-73 (partial non-centring).
    """
    size, weights = len(grid), _checked(weights, grid)
    if size == 1:
        return {}
    differences = np.diff(np.eye(size), axis=0)
    walk = differences.T @ (differences / spacing(grid)[:, None])
    mean = np.full(size, 1 / size) if weights is None else weights
    found: dict[str, list[np.ndarray]] = {f"{name}_basis": [], f"{name}_ratio": [], f"{name}_centre": []}
    for prior, estimate, information in curves:
        precision = np.diag(information) + np.outer(mean, mean) / prior.sd**2
        root = np.linalg.inv(np.linalg.cholesky(precision))
        ratio, vectors = np.linalg.eigh(root @ walk @ root.T)
        found[f"{name}_basis"].append(root.T @ vectors)
        found[f"{name}_ratio"].append(np.maximum(ratio, 0.0))
        found[f"{name}_centre"].append(vectors.T @ root @ (information * estimate + mean * prior.mean / prior.sd**2))
    return {label: np.array(values) for label, values in found.items()}


def smooth_curves(
    name: str, curves: Sequence[Curve], smoothness: SmoothnessPrior, grid: TimeGrid, *, dim: str, step: str,
    coordinates: str = "walk", weights: np.ndarray | None = None,
) -> pm.TensorVariable:  # fmt: skip
    """Add curves ``name`` (dim, interval) and the SDs ``step`` (dim) of their yearly change to the model being built.

    Parameters
    ----------
    name : str
    curves : sequence of Curve
    smoothness : SmoothnessPrior
    grid : TimeGrid
    dim : str
        Name of the model's dim that the curves are along.
    step : str
    coordinates : str
        How the names of the coordinates' data start.
    weights : numpy.ndarray, shape (interval,), optional
        Of the level that ``curves`` give the prior of, summing to 1; the same for every interval by default.
    """
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.logprob.transforms import Transform

    mean, sd = [curve.prior.mean for curve in curves], [curve.prior.sd for curve in curves]
    whitened = whitening(curves, grid, coordinates, weights)
    if not whitened:
        return pm.Normal(name, np.c_[mean], np.c_[sd], dims=(dim, "interval"))

    class Whitened(Transform):
        name = "whitened"

        def backward(self, value: Any, *inputs: Any) -> Any:
            basis, centre, shrunk = _coordinates(*inputs)
            moved = value * pt.sqrt(shrunk) + centre * shrunk
            return (basis * moved[..., None, :]).sum(axis=-1)

        def forward(self, value: Any, *inputs: Any) -> Any:
            basis, centre, shrunk = _coordinates(*inputs)
            return (pt.linalg.solve(basis, value, b_ndim=1) - centre * shrunk) / pt.sqrt(shrunk)

        def log_jac_det(self, value: Any, *inputs: Any) -> Any:
            return 0.5 * pt.log(_coordinates(*inputs)[-1]).sum(axis=-1)  # that of the basis is constant

    apart = spacing(grid)

    def log_prior(value: Any, mean: Any, sd: Any, step: Any, *_: Any) -> Any:
        moves = (value[..., 1:] - value[..., :-1]) ** 2 / apart
        squares = ((_level(value, weights) - mean) / sd) ** 2 + moves.sum(axis=-1) / step**2
        known = len(grid) * np.log(2 * np.pi) + np.log(apart).sum()
        return -0.5 * (squares + known) - pt.log(sd) - (len(grid) - 1) * pt.log(step)

    def draw(
        mean: np.ndarray, sd: np.ndarray, step: np.ndarray, *_: Any, rng: np.random.Generator, size: Any = None
    ) -> np.ndarray:
        shape = np.shape(mean) if size is None else tuple(size)
        return draw_walk(np.broadcast_to(mean, shape), np.broadcast_to(sd, shape), step, grid, weights, rng=rng)

    def middle(_: Any, __: Any, *inputs: Any) -> Any:  # where u = 0: a start that is near the posterior for any data
        basis, centre, shrunk = _coordinates(*inputs)
        return (basis * (centre * shrunk)[..., None, :]).sum(axis=-1)

    steps = pm.HalfNormal(step, smoothness.scale, dims=dim)
    data = [pm.Data(label, values, shape=values.shape) for label, values in whitened.items()]
    return pm.CustomDist(
        name, mean, sd, steps, *data, logp=log_prior, random=draw, support_point=middle,
        signature="(),(),(),(j,j),(j),(j)->(j)", transform=Whitened(), dims=(dim, "interval"),
    )  # fmt: skip


def _coordinates(*inputs: Any) -> tuple[Any, Any, Any]:
    """Basis, centre and q of the transform, from the inputs of the random variable."""
    step, basis, ratio, centre = inputs[-4:]
    return basis, centre, 1 / (1 + ratio / (step**2)[..., None])


def draw_walk(
    mean: np.ndarray, sd: np.ndarray, step: np.ndarray, grid: TimeGrid, weights: np.ndarray | None = None, *,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Draw curves (..., interval) from their prior in NumPy, given means and SDs of the level, and steps (...).

    ``weights`` (interval,) are those of the level, summing to 1; the same for every interval by default.
    """
    moves = rng.normal(size=(*np.shape(mean), len(grid) - 1)) * (np.asarray(step)[..., None] * np.sqrt(spacing(grid)))
    walk = np.concatenate([np.zeros((*np.shape(mean), 1)), np.cumsum(moves, axis=-1)], axis=-1)
    return rng.normal(mean, sd)[..., None] + walk - _level(walk, _checked(weights, grid))[..., None]
