r"""Likelihood of a trial's data with its own parameter integrated out.

.. math:: L_j(\mu, \tau) = \int p(y_j \mid \mu + \tau z)\,\varphi(z)\,dz

The integrand is log-concave in z. The trapezoidal rule is used on a grid around its mode that stretches outwards,
:math:`z = \hat z + s (t + bt^3)` with s from the curvature there: for such integrands it converges geometrically, for a
normal one about as fast as Gauss-Hermite and for a lopsided one (no responders, a wide :math:`\tau`) much faster.
"""

from __future__ import annotations

import numpy as np

from smm_bayes.borrowing.meta_analysis.kinds import Estimates
from smm_bayes.borrowing.meta_analysis.summaries import Summaries

STRETCH = 0.025  # b
STEP = 0.45  # of t, in a trial's integral
ROUNDS = 60
DROP = 25.0  # an integrand is followed until its logarithm has fallen so far


def stretched(
    left: np.ndarray, right: np.ndarray, scale: np.ndarray, nodes: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets from -left to right, fine near 0 on the given scale, and their trapezoidal weights.

    Parameters
    ----------
    left, right, scale : numpy.ndarray, shape (...)
    nodes : int, optional
        As many as make every step ``STEP`` at most, unless given.

    Returns
    -------
    offsets, weights : numpy.ndarray, shape (node, ...)
    """
    low, high = unstretch(left / scale), unstretch(right / scale)
    nodes = int(np.ceil((low + high).max() / STEP)) + 1 if nodes is None else nodes
    step = (low + high) / (nodes - 1)
    at = step * np.arange(nodes).reshape(-1, *(1,) * low.ndim) - low
    cube = STRETCH * at * at
    return scale * at * (1 + cube), scale * step * (1 + 3 * cube)


def unstretch(x: np.ndarray) -> np.ndarray:
    """Solve t + bt³ = x."""
    root = np.sqrt(3 * STRETCH)
    return 2 / root * np.sinh(np.arcsinh(1.5 * root * x) / 3)


def reach(drop: np.ndarray, tried: np.ndarray) -> np.ndarray:
    """Distance at which a concave function has fallen by ``DROP``, at most, from how far it fell at a tried one."""
    return tried * np.maximum(1.0, DROP / np.maximum(drop, 0.2))


def log_marginal(summaries: Summaries, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    r"""Log marginal likelihood of every trial.

    Parameters
    ----------
    summaries : Summaries
    mean : numpy.ndarray, shape (..., trial)
        :math:`\mu` of each trial.
    sd : numpy.ndarray
        :math:`\tau`, of a shape that broadcasts against ``mean``; 0 is allowed.

    Returns
    -------
    numpy.ndarray, shape (..., trial)
    """
    if isinstance(summaries, Estimates):
        whole = Estimates(summaries.names, summaries.first, np.hypot(summaries.second, sd))
        return whole.log_likelihood(mean)
    mode = _mode(summaries, mean, sd)
    curvature = 1 + sd**2 * summaries.slopes(mean + sd * mode)[1]
    scale = np.minimum(curvature**-0.5, 0.5 / np.maximum(sd, 0.5))
    top = summaries.log_likelihood(mean + sd * mode) - mode**2 / 2
    far = []
    for side in (-1.0, 1.0):
        z = mode + side * 7 * scale
        fallen = top - summaries.log_likelihood(mean + sd * z) + z**2 / 2
        far.append(np.minimum(reach(fallen, 7 * scale), np.sqrt(2 * DROP) + 0.5))
    offsets, weights = stretched(far[0], far[1], scale)
    z = mode + offsets
    height = summaries.log_likelihood(mean + sd * z) - z * z / 2 - top
    whole = (np.exp(height) * weights).sum(axis=0)
    return np.log(whole) + top - 0.5 * np.log(2 * np.pi)


def rough_marginal(
    summaries: Summaries, mean: np.ndarray, sd: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Laplace's approximation of the log marginal likelihood, its derivative by :math:`\mu`, minus the second.

    It only says where to look.
    """
    if isinstance(summaries, Estimates):
        whole = Estimates(summaries.names, summaries.first, np.hypot(summaries.second, sd))
        return whole.log_likelihood(mean), *whole.slopes(mean)
    mode = _mode(summaries, mean, sd, 1e-3)
    theta = mean + sd * mode
    slope, curvature = summaries.slopes(theta)
    shrunk = 1 + sd**2 * curvature
    value = summaries.log_likelihood(theta) - mode**2 / 2 - 0.5 * np.log(shrunk)
    return value, slope, curvature / shrunk


def _mode(summaries: Summaries, mean: np.ndarray, sd: np.ndarray, near: float = 0.3) -> np.ndarray:
    """Where the integrand is highest, to within some part of its width: Newton's steps in a bracket that shrinks."""
    estimate, information = summaries.rough()
    end = sd * summaries.slopes(mean)[0]
    low, high = np.minimum(end, 0.0), np.maximum(end, 0.0)
    z = np.clip(sd * information * (estimate - mean) / (1 + sd**2 * information), low, high)
    for _ in range(ROUNDS):
        slope, curvature = summaries.slopes(mean + sd * z)
        rise = sd * slope - z
        low, high = np.where(rise > 0, z, low), np.where(rise < 0, z, high)
        sharp = 1 + sd**2 * curvature
        step = rise / sharp
        new = z + step
        z = np.where((new >= low) & (new <= high), new, (low + high) / 2)
        if (step**2 * sharp).max() < near**2:
            break
    return z
