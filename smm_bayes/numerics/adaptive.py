"""Integrals in one dimension, to about twelve digits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

NODES = 16
DEEPEST = 50  # halvings of one piece


def pieces(low: np.ndarray, high: np.ndarray, nodes: int = NODES) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights in each piece, shape (piece, node)."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    half = (high - low)[:, None] / 2
    return low[:, None] + half * (1 + x), half * w


def integrate(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray], cuts: np.ndarray, *, tolerance: float = 1e-13
) -> np.ndarray:  # fmt: skip
    """Integrals of several functions at once; pieces are halved until halving changes nothing.

    Parameters
    ----------
    function : callable
        Takes points, shape (point,), and of each the position of its integral, and returns values of the same shape;
        these may have kinks and jumps.
    cuts : numpy.ndarray, shape (integral, cut)
        Increasing; narrow enough that no feature hides between the points of one piece.
    tolerance : float
        Of the integral in one piece.

    Returns
    -------
    numpy.ndarray, shape (integral,)
    """

    def areas(low: np.ndarray, high: np.ndarray, which: np.ndarray) -> np.ndarray:
        points, weights = pieces(low, high)
        return (function(points.ravel(), np.repeat(which, NODES)).reshape(points.shape) * weights).sum(axis=1)

    low, high = cuts[:, :-1].ravel(), cuts[:, 1:].ravel()
    which = np.repeat(np.arange(len(cuts)), cuts.shape[1] - 1)
    whole, total = areas(low, high, which), np.zeros(len(cuts))
    for _ in range(DEEPEST):
        middle = (low + high) / 2
        left, right = np.split(areas(np.append(low, middle), np.append(middle, high), np.append(which, which)), 2)
        rough = np.abs(left + right - whole) > tolerance
        np.add.at(total, which[~rough], (left + right)[~rough])
        if not rough.any():
            return total
        low, middle, high, which = low[rough], middle[rough], high[rough], np.append(which[rough], which[rough])
        low, high, whole = np.append(low, middle), np.append(middle, high), np.append(left[rough], right[rough])
    np.add.at(total, which, whole)
    return total
