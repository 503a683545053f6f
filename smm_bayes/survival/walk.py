r"""A smooth log hazard over the intervals, and the coordinates in which its posterior is easy to sample.

The prior of one log hazard is a level and a first-order random walk: with :math:`h` the log hazards of J
intervals, :math:`\bar h \sim N(m, s^2)` and :math:`h_{j+1} - h_j \sim N(0, \sigma^2)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from smm_bayes.survival.priors import BaselinePrior, SmoothnessPrior

if TYPE_CHECKING:
    import pymc as pm

FLOOR = 0.05  # events that an interval without events counts for in the coordinates; the posterior does not see it


class Curve(NamedTuple):
    """One smooth log hazard: the prior of its level, and the events and exposure (interval) that bear on it."""

    prior: BaselinePrior
    events: np.ndarray
    exposure: np.ndarray


def whitening(curves: Sequence[Curve]) -> dict[str, np.ndarray]:
    r"""Coordinates u that make :math:`h` nearly standard normal a posteriori, whatever the walk's step :math:`\sigma`.

    A normal approximation gives :math:`h \mid \sigma` the precision :math:`P/\sigma^2 + M`, with P that of the walk's
    differences and M that of the level and of the events. With the eigenvectors :math:`A` and eigenvalues :math:`r`
    of P relative to M (:math:`A'MA = I`, :math:`A'PA = \mathrm{diag}(r)`),

    .. math:: h = A\,(\sqrt{q}\,u + q\,c), \quad q = 1 / (1 + r/\sigma^2)

    is standard normal in u. Scarce data make this the non-centred walk, plentiful data the centred one. It is a change
    of variables, exact with any A, r and c: how good the approximation is matters for speed alone.

    Parameters
    ----------
    curves : sequence of Curve

    Returns
    -------
    dict of str to numpy.ndarray
        ``walk_basis`` A (curve, interval, coordinate), ``walk_ratio`` r and ``walk_centre`` c (curve, coordinate);
        nothing for a single interval, where there is no walk.

    References
    ----------
    Papaspiliopoulos O, Roberts GO, Sköld M. Statistical Science 2007;22:59-73 (partial non-centring).
    """
    size = len(curves[0].exposure)
    if size == 1:
        return {}
    differences = np.diff(np.eye(size), axis=0)
    walk, mean = differences.T @ differences, np.full(size, 1 / size)
    found: dict[str, list[np.ndarray]] = {"walk_basis": [], "walk_ratio": [], "walk_centre": []}
    for level, events, exposure in curves:
        weight = events + FLOOR
        crude = np.log(weight / (exposure + FLOOR / np.exp(level.mean)))
        precision = np.diag(weight) + np.outer(mean, mean) / level.sd**2
        root = np.linalg.inv(np.linalg.cholesky(precision))
        ratio, vectors = np.linalg.eigh(root @ walk @ root.T)
        found["walk_basis"].append(root.T @ vectors)
        found["walk_ratio"].append(np.maximum(ratio, 0.0))
        found["walk_centre"].append(vectors.T @ root @ (weight * crude + mean * level.mean / level.sd**2))
    return {name: np.array(values) for name, values in found.items()}


def smooth_baseline(curves: Sequence[Curve], smoothness: SmoothnessPrior, dim: str) -> pm.TensorVariable:
    """Add ``log_baseline`` (dim, interval) and its ``smoothness`` (dim) to the model being built.

    Parameters
    ----------
    curves : sequence of Curve
    smoothness : SmoothnessPrior
    dim : str
        Name of the model's dim that the curves are along.
    """
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.logprob.transforms import Transform

    mean, sd = [curve.prior.mean for curve in curves], [curve.prior.sd for curve in curves]
    coordinates = whitening(curves)
    if not coordinates:
        return pm.Normal("log_baseline", np.c_[mean], np.c_[sd], dims=(dim, "interval"))

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

    step = pm.HalfNormal("smoothness", smoothness.scale, dims=dim)
    data = [pm.Data(name, values, shape=values.shape) for name, values in coordinates.items()]
    return pm.CustomDist(
        "log_baseline", mean, sd, step, *data, logp=_log_prior, random=_draw, signature="(),(),(),(j,j),(j),(j)->(j)",
        transform=Whitened(), dims=(dim, "interval"),
    )  # fmt: skip


def _coordinates(*inputs: Any) -> tuple[Any, Any, Any]:
    """Basis, centre and q of the transform, from the inputs of the random variable."""
    step, basis, ratio, centre = inputs[-4:]
    return basis, centre, 1 / (1 + ratio / (step**2)[..., None])


def _log_prior(value: Any, mean: Any, sd: Any, step: Any, *coordinates: Any) -> Any:
    """Log density of level and differences; the map from them to the log hazards has determinant 1."""
    import pytensor.tensor as pt

    size = coordinates[0].type.shape[-1]
    moves = value[..., 1:] - value[..., :-1]
    squares = ((value.mean(axis=-1) - mean) / sd) ** 2 + (moves**2).sum(axis=-1) / step**2
    return -0.5 * (squares + size * np.log(2 * np.pi)) - pt.log(sd) - (size - 1) * pt.log(step)


def _draw(
    mean: np.ndarray, sd: np.ndarray, step: np.ndarray, basis: np.ndarray, *coordinates: np.ndarray,
    rng: np.random.Generator, size: Any = None,
) -> np.ndarray:  # fmt: skip
    shape = (*(np.shape(mean) if size is None else size), np.shape(basis)[-1])
    walk = np.cumsum(rng.normal(size=shape) * step[..., None], axis=-1)
    return rng.normal(mean, sd, shape[:-1])[..., None] + walk - walk.mean(axis=-1, keepdims=True)
