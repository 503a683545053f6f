"""Binomial probabilities by addition alone, in NumPy: no cancellation, and no library that is slow to import."""

from __future__ import annotations

import numpy as np

TIE = 1e-12  # a probability that meets a limit exactly is below or above it by rounding


def pmf_table(size: int, p: float) -> np.ndarray:
    r"""Give :math:`P(X = x)` of Binomial(m, p) for m = 0 to ``size``, shape (m, x), 0 where x > m.

    Row by row :math:`b_{m+1}(x) = (1 - p)\, b_m(x) + p\, b_m(x - 1)`: every term is positive, so the relative error
    grows by about one rounding a row.
    """
    table = np.zeros((size + 1, size + 1))
    table[0, 0] = 1.0
    for m in range(size):
        table[m + 1, : m + 2] = (1 - p) * table[m, : m + 2]
        table[m + 1, 1 : m + 2] += p * table[m, : m + 1]
    return table


def above_table(mass: np.ndarray) -> np.ndarray:
    """Give P(X > x) for x = -1, 0, ..., shape (..., x + 1), of probabilities of 0, 1, ... in the last dim."""
    table = np.zeros((*mass.shape[:-1], mass.shape[-1] + 1))
    table[..., :-1] = np.cumsum(mass[..., ::-1], axis=-1)[..., ::-1]
    return table


def pmf(size: int, p: np.ndarray) -> np.ndarray:
    """Probabilities of 0 to ``size`` responses at every p, shape (..., size + 1)."""
    p = np.asarray(p, float)[..., None]
    found = np.zeros((*p.shape[:-1], size + 1))
    found[..., 0] = 1.0
    for m in range(size):
        found[..., 1 : m + 2] = (1 - p) * found[..., 1 : m + 2] + p * found[..., : m + 1]
        found[..., :1] *= 1 - p
    return found
