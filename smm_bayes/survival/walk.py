r"""A smooth log hazard over the intervals, and the coordinates in which its posterior is easy to sample.

The prior of one cause's control arm is a level and a first-order random walk: with :math:`h` the log hazards of J
intervals, :math:`\bar h \sim N(m, s^2)` and :math:`h_{j+1} - h_j \sim N(0, \sigma^2)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.priors import SurvivalPriors

if TYPE_CHECKING:
    import pymc as pm

FLOOR = 0.05  # events that an interval without events counts for in the coordinates; the posterior does not see it


def whitening(table: EventTable, priors: SurvivalPriors) -> dict[str, np.ndarray]:
    r"""Coordinates u that make :math:`h` nearly standard normal a posteriori, whatever the walk's step :math:`\sigma`.

    A normal approximation gives :math:`h \mid \sigma` the precision :math:`P/\sigma^2 + M`, with P that of the walk's
    differences and M that of the level and of the events. With the eigenvectors :math:`A` and eigenvalues :math:`r`
    of P relative to M (:math:`A'MA = I`, :math:`A'PA = \mathrm{diag}(r)`),

    .. math:: h = A\,(\sqrt{q}\,u + q\,c), \quad q = 1 / (1 + r/\sigma^2)

    is standard normal in u. Scarce data make this the non-centred walk, plentiful data the centred one. It is a change
    of variables, exact with any A, r and c: how good the approximation is matters for speed alone.

    Parameters
    ----------
    table : EventTable
    priors : SurvivalPriors

    Returns
    -------
    dict of str to numpy.ndarray
        ``walk_basis`` A (cause, interval, coordinate), ``walk_ratio`` r and ``walk_centre`` c (cause, coordinate).

    References
    ----------
    Papaspiliopoulos O, Roberts GO, Sköld M. Statistical Science 2007;22:59-73 (partial non-centring).
    """
    size = len(table.grid)
    differences = np.diff(np.eye(size), axis=0)
    walk, mean = differences.T @ differences, np.full(size, 1 / size)
    found: dict[str, list[np.ndarray]] = {"walk_basis": [], "walk_ratio": [], "walk_centre": []}
    for index, cause in enumerate(table.causes):
        level, _ = priors.for_cause(cause)
        events, exposure = table.events[:, index].sum(axis=0), table.exposure.sum(axis=0)
        weight = events + FLOOR
        crude = np.log(weight / (exposure + FLOOR / np.exp(level.mean)))
        precision = np.diag(weight) + np.outer(mean, mean) / level.sd**2
        root = np.linalg.inv(np.linalg.cholesky(precision))
        ratio, vectors = np.linalg.eigh(root @ walk @ root.T)
        found["walk_basis"].append(root.T @ vectors)
        found["walk_ratio"].append(np.maximum(ratio, 0.0))
        found["walk_centre"].append(vectors.T @ root @ (weight * crude + mean * level.mean / level.sd**2))
    return {name: np.array(values) for name, values in found.items()}


def smooth_baseline(table: EventTable, priors: SurvivalPriors) -> pm.TensorVariable:
    """Add ``log_baseline`` (cause, interval) and its ``smoothness`` (cause) to the model being built."""
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.logprob.transforms import Transform

    levels = [priors.for_cause(cause)[0] for cause in table.causes]
    mean, sd = [level.mean for level in levels], [level.sd for level in levels]
    if len(table.grid) == 1:
        return pm.Normal("log_baseline", np.c_[mean], np.c_[sd], dims=("cause", "interval"))

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

    step = pm.HalfNormal("smoothness", priors.smoothness.scale, dims="cause")
    data = [pm.Data(name, values, shape=values.shape) for name, values in whitening(table, priors).items()]
    return pm.CustomDist(
        "log_baseline", mean, sd, step, *data, logp=_log_prior, random=_draw, signature="(),(),(),(j,j),(j),(j)->(j)",
        transform=Whitened(), dims=("cause", "interval"),
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
