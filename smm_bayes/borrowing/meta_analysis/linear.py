r"""Estimates of several trials that are linear in what trials share: a new one predicted, without sampling.

.. math:: y = X\beta + D\delta + \varepsilon,\quad \beta \sim N(m, S),\quad \delta_t \sim N(0, \tau^2),\quad
          \varepsilon \sim N(0, R)

Given the spreads :math:`\tau` (of hazards and of effects) all is normal; the spreads have half-normal priors and are
summed over the nodes of a quadrature. In a robust relation each trial is exchangeable with probability p or stands
apart with a known, larger spread: all memberships are summed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from smm_bayes.errors import SpecificationError

NODES, SMALL = (6, 8), 0.3  # of each spread, fewer where its scale is small
REACH = 8.0  # a half-normal's probability beyond so many scales is left out (1 in 10^15)


@dataclass(frozen=True)
class Spreads:
    """How much trials differ.

    Parameters
    ----------
    hazard, effect : float
        Scales of the half-normal priors of both standard deviations; 0 pools.
    exchangeable : float
        Prior probability that a trial is exchangeable; 1 for all.
    hazard_apart, effect_apart : float
        Standard deviations of a trial that is not.
    """

    hazard: float
    effect: float
    exchangeable: float = 1.0
    hazard_apart: float = 0.0
    effect_apart: float = 0.0

    def __post_init__(self) -> None:
        """Refuse negative spreads and no probability."""
        if min(self.hazard, self.effect, self.hazard_apart, self.effect_apart) < 0 or not 0 < self.exchangeable <= 1:
            raise SpecificationError(f"spreads must be 0 or more and a probability above 0 and at most 1; got {self}")


@dataclass(frozen=True, eq=False)
class Joint:
    """Estimates that are known, then those to be predicted, before anything is known of them.

    Attributes
    ----------
    mean : numpy.ndarray, shape (row,)
        Prior mean of every estimate.
    covariance : numpy.ndarray, shape (row, row)
        Of shared parameters and of sampling errors.
    hazard, effect : numpy.ndarray, shape (trial, row, row)
        What a trial's deviation of variance 1 adds.
    known : numpy.ndarray, shape (known,)
        The first rows' estimates.
    """

    mean: np.ndarray
    covariance: np.ndarray
    hazard: np.ndarray
    effect: np.ndarray
    known: np.ndarray


@cache
def _rule(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss's points and weights for the half-normal density, by Stieltjes' recursion and Golub and Welsch."""
    x, w = np.polynomial.legendre.leggauss(200)
    at = REACH * (1 + x) / 2
    mass = w * np.exp(-0.5 * at**2)
    mass /= mass.sum()
    diagonal: list[float] = []
    squares: list[float] = []
    before, now, norm = np.zeros(len(at)), np.ones(len(at)), 1.0
    for _ in range(nodes):
        diagonal.append(float(mass @ (at * now**2)) / norm)
        before, now = now, (at - diagonal[-1]) * now - (squares[-1] if squares else 0.0) * before
        norm, last = float(mass @ now**2), norm
        squares.append(norm / last)
    beside = np.sqrt(squares[:-1])
    points, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return points, vectors[0] ** 2


def _nodes(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Variances and weights of a half-normal standard deviation."""
    points, weights = _rule(NODES[scale > SMALL])
    return (np.zeros(1), np.ones(1)) if scale == 0 else ((scale * points) ** 2, weights)


def _variances(spreads: Spreads, trials: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log weight and variances (node, trial) of hazards and effects, for every node and membership."""
    (hazard, hazard_weight), (effect, effect_weight) = _nodes(spreads.hazard), _nodes(spreads.effect)
    weight = np.log(np.multiply.outer(hazard_weight, effect_weight).ravel())
    first, second = (grid.ravel() for grid in np.meshgrid(hazard, effect, indexing="ij"))
    members = np.ones((1, trials), bool)
    if spreads.exchangeable < 1:
        members = np.array(list(product([True, False], repeat=trials)))
    inside = members.sum(axis=1)
    chance = np.zeros(1) if spreads.exchangeable == 1 else (
        inside * math.log(spreads.exchangeable) + (trials - inside) * math.log1p(-spreads.exchangeable))  # fmt: skip
    log_weight = (weight[:, None] + chance).ravel()
    hazards = np.where(members, first[:, None, None], spreads.hazard_apart**2).reshape(-1, trials)
    effects = np.where(members, second[:, None, None], spreads.effect_apart**2).reshape(-1, trials)
    return log_weight, hazards, effects


def predicted(joint: Joint, spreads: Spreads) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predict the estimates that are not known, their sampling errors included.

    Returns
    -------
    weights : numpy.ndarray, shape (node,)
    means, sds : numpy.ndarray, shape (node, predicted)
    """
    log_weight, hazards, effects = _variances(spreads, len(joint.hazard))
    rows, size = len(joint.mean), len(joint.known)
    every = joint.covariance + (np.einsum("kt,tij->kij", hazards, joint.hazard)
                                + np.einsum("kt,tij->kij", effects, joint.effect))  # fmt: skip
    diagonal = np.einsum("kii->ki", every)[:, size:]
    if size == 0:
        weight = np.exp(log_weight - log_weight.max())
        return weight / weight.sum(), np.broadcast_to(joint.mean, (len(weight), rows)), np.sqrt(diagonal)
    root = np.linalg.cholesky(every[:, :size, :size])
    right = np.concatenate([np.broadcast_to((joint.known - joint.mean[:size])[:, None], (len(root), size, 1)),
                            every[:, :size, size:]], axis=2)  # fmt: skip
    solved = np.linalg.solve(root, right)
    residual, cross = solved[:, :, 0], solved[:, :, 1:]
    likelihood = -0.5 * (residual**2).sum(axis=1) - np.log(np.einsum("kii->ki", root)).sum(axis=1)
    weight = np.exp(log_weight + likelihood - (log_weight + likelihood).max())
    means = joint.mean[size:] + np.einsum("kij,ki->kj", cross, residual)
    return weight / weight.sum(), means, np.sqrt(diagonal - (cross**2).sum(axis=1))
