"""How far a fitted mixture is from what it was fitted to."""

from __future__ import annotations

from typing import Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures import line
from smm_bayes.priors.mixtures.mixture import Mixture


def divergence(mixture: Mixture, target: Mixture | tuple[Any, Any, Any]) -> float:
    r"""Kullback-Leibler divergence of a mixture from its target, :math:`E_{target}[\log target - \log mixture]`.

    Parameters
    ----------
    mixture : Mixture
    target : Mixture, or (points, weights, log_density)
        The points of a quadrature with weights summing to 1 and the target's log density there.

    Returns
    -------
    float
        In nats: 0 when they are the same; 0.001 takes about two thousand observations to notice.

    Raises
    ------
    SpecificationError
        When the points, weights and log densities do not agree in shape.
    """
    if isinstance(target, Mixture):
        if type(target) is type(mixture):
            nodes = line.quadrature(target, np.union1d(target._cuts, mixture._cuts))
            points = target._from_line(nodes.line)
            weights = nodes.step * (np.exp(nodes.log_density) @ target.weights)
        else:
            points, weights = target.quadrature
        log_density = target.log_pdf(points)
    else:
        points, weights, log_density = (np.asarray(values, float) for values in target)
        if not points.shape == weights.shape == log_density.shape:
            raise SpecificationError("points, weights and log densities must have the same shape; got "
                                     f"{points.shape}, {weights.shape} and {log_density.shape}")  # fmt: skip
        weights = weights / weights.sum()
    used = weights > 0
    return float(weights[used] @ (log_density[used] - mixture.log_pdf(points[used])))


def largest_gap(mixture: Mixture, draws: Any, weights: Any = None) -> float:
    """Largest difference between the cumulative probabilities of a mixture and of draws.

    Parameters
    ----------
    mixture : Mixture
    draws : array_like
    weights : array_like, optional
        One a draw.

    Returns
    -------
    float
        Of draws that are independent and from the mixture, about 0.9 divided by the square root of their number.
    """
    draws = np.asarray(draws, float).ravel()
    weights = np.ones(len(draws)) if weights is None else np.asarray(weights, float).ravel()
    if len(draws) == 0 or weights.shape != draws.shape:
        raise SpecificationError(f"need draws, and one weight a draw; got {len(draws)} and {len(weights)}")
    order = np.argsort(draws)
    after = np.cumsum(weights[order]) / weights.sum()
    cdf = mixture.cdf(draws[order])
    return float(np.maximum(np.abs(after - cdf), np.abs(after - weights[order] / weights.sum() - cdf)).max())
