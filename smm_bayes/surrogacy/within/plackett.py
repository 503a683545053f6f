r"""Plackett's distribution of two uniform variables, with one odds ratio wherever the square is cut.

:math:`C = C_\theta(u, v) = P(U \le u, V \le v)` solves

.. math:: \theta = \frac{C\,(1 - u - v + C)}{(u - C)(v - C)}.

With :math:`k = \theta - 1`, :math:`A = 1 + (u + v) k`, :math:`B = 1 + v k - u(\theta + 1)` and
:math:`D = A^2 - 4uv\theta k = B^2 + 4\theta u (1 - u)`,

.. math:: C = \frac{A - \sqrt D}{2k} = \frac{2uv\theta}{A + \sqrt D}, \qquad
          \frac{\partial C}{\partial v} = P(U \le u \mid V = v) = \frac{\sqrt D - B}{2 \sqrt D}.

The second form of C does not divide by k: it holds at :math:`\theta = 1`, where :math:`C = uv`, without a series. Of
the two conditional probabilities the smaller is computed as :math:`2\theta u(1 - u) / \{\sqrt D (\sqrt D + |B|)\}`, so
that close numbers are not subtracted. Relative errors stay below :math:`10^{-12}` for :math:`|\log\theta| \le 7`.

References
----------
Plackett RL. J Am Stat Assoc 1965;60:516-22. Nelsen RB. An Introduction to Copulas,
2nd ed., Springer 2006, section 3.3.1.
"""

from __future__ import annotations

import numpy as np


def plackett_distribution(u: np.ndarray | float, v: np.ndarray | float, theta: np.ndarray | float) -> np.ndarray:
    """P(U ≤ u, V ≤ v); arguments are broadcast.

    Parameters
    ----------
    u, v : array or float
        Inside (0, 1); v from 0 to 1.
    theta : array or float
        Odds ratio, above 0.
    """
    return np.asarray(v) * plackett_below(u, v, theta)


def plackett_below(u: np.ndarray | float, v: np.ndarray | float, theta: np.ndarray | float) -> np.ndarray:
    """P(U ≤ u | V ≤ v), also as v goes to 0; parameters as in :func:`plackett_distribution`."""
    u, v, theta = (np.asarray(x, dtype=float) for x in (u, v, theta))
    root, _ = _root(u, v, theta)
    return 2 * u * theta / (1 + (u + v) * (theta - 1) + root)


def plackett_at(u: np.ndarray | float, v: np.ndarray | float, theta: np.ndarray | float) -> np.ndarray:
    """P(U ≤ u | V = v); parameters as in :func:`plackett_distribution`."""
    u, v, theta = (np.asarray(x, dtype=float) for x in (u, v, theta))
    root, b = _root(u, v, theta)
    small = 2 * theta * u * (1 - u) / (root * (root + np.abs(b)))  # the conditional probability that is below a half
    return np.where(b > 0, small, (root + np.abs(b)) / (2 * root))


def plackett_pairs(theta: float, size: int, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    r"""Draw pairs (U, V): U and W uniform, and V where its conditional distribution given U reaches W.

    With :math:`a = W(1 - W)`, the equation :math:`\partial C / \partial u = W` is quadratic in V:

    .. math:: V = \frac{2a(U\theta^2 + 1 - U) + \theta(1 - 2a) - (1 - 2W)\sqrt{\theta}
              \sqrt{\theta + 4aU(1 - U)(1 - \theta)^2}}{2\{\theta + a(\theta - 1)^2\}}.

    Parameters
    ----------
    theta : float
    size : int
    rng : numpy.random.Generator

    Returns
    -------
    u, v : numpy.ndarray, shape (size,)
    """
    u, w = rng.random((2, size))
    a = w * (1 - w)
    middle = 2 * a * (u * theta**2 + 1 - u) + theta * (1 - 2 * a)
    root = np.sqrt(theta * (theta + 4 * a * u * (1 - u) * (1 - theta) ** 2))
    return u, (middle - (1 - 2 * w) * root) / (2 * (theta + a * (theta - 1) ** 2))


def _root(u: np.ndarray, v: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """√D and B."""
    b = 1 + v * (theta - 1) - u * (theta + 1)
    return np.sqrt(b**2 + 4 * theta * u * (1 - u)), b
