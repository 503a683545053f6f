"""What the prior of one arm is made of: nodes of a half-normal prior, and Laplace's approximation given them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from smm_bayes.borrowing.trials.arm_history import ArmHistory
from smm_bayes.priors.mixtures import MultivariateNormalMixture

STEPS = 200  # of Newton's method
CLOSE = 1e-18  # of twice the rise that a step still promises, against the height


@lru_cache(maxsize=64)
def half_normal_rule(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Nodes and weights of Gauss's rule for :math:`E f(|Z|)`, :math:`Z \sim N(0, 1)`, exact to degree 2n - 1.

    From the recurrence of the orthogonal polynomials, by Stieltjes' procedure on a fine rule.

    Parameters
    ----------
    nodes : int

    References
    ----------
    Gautschi W. Orthogonal Polynomials: Computation and Approximation. Oxford University Press, 2004, section 2.2.
    """
    x, fine = np.polynomial.legendre.leggauss(400)
    x = 7 * (x + 1)  # of |Z| nothing is left beyond 14
    fine = fine * np.exp(-0.5 * x**2)
    fine = fine / fine.sum()
    centre, size = np.zeros(nodes), np.zeros(nodes)
    before, now, last = np.zeros_like(x), np.ones_like(x), 1.0
    for k in range(nodes):
        square = float(fine @ now**2)
        centre[k], size[k] = float(fine @ (x * now**2)) / square, square / last
        before, now, last = now, (x - centre[k]) * now - (size[k] if k else 0.0) * before, square
    off = np.sqrt(size[1:])
    values, vectors = np.linalg.eigh(np.diag(centre) + np.diag(off, 1) + np.diag(off, -1))
    return values, vectors[0] ** 2


def linear_laplace(
    mean: np.ndarray, covariance: np.ndarray, design: np.ndarray, events: np.ndarray, exposure: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    r"""Laplace's approximation of :math:`x \sim N(m, S)` after Poisson counts with log hazards :math:`Zx`.

    The mean is corrected from the peak by the first term of its expansion.

    Parameters
    ----------
    mean : numpy.ndarray, shape (dim,)
    covariance : numpy.ndarray, shape (dim, dim)
    design : numpy.ndarray, shape (cell, dim)
    events, exposure : numpy.ndarray, shape (cell,)

    Returns
    -------
    mean, covariance : numpy.ndarray
    log_evidence : float
        Up to a constant of the data.
    """
    precision = np.linalg.inv(covariance)
    seen = exposure > 0
    design, events, exposure = design[seen], events[seen], exposure[seen]

    def height(at: np.ndarray) -> float:
        eta = design @ at
        return float((events * eta - exposure * np.exp(eta)).sum() - 0.5 * (at - mean) @ precision @ (at - mean))

    x = np.array(mean)
    here = height(x)
    for _ in range(STEPS):
        expected = exposure * np.exp(design @ x)
        slope = design.T @ (events - expected) - precision @ (x - mean)
        curvature = precision + (design * expected[:, None]).T @ design
        step = np.linalg.solve(curvature, slope)
        if slope @ step < CLOSE * (1 + abs(here)):
            break
        share = 1.0
        with np.errstate(over="ignore"):
            while not height(x + share * step) >= here - 1e-12 * (1 + abs(here)) and share > 1e-12:
                share /= 2
        x = x + share * step
        here = height(x)
    found = np.linalg.inv(curvature)
    lean = expected * np.einsum("ij,jk,ik->i", design, found, design)
    evidence = here - 0.5 * (np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(curvature)[1])
    return x - 0.5 * found @ design.T @ lean, found, float(evidence)


@dataclass(frozen=True, eq=False)
class ArmComponent:
    """Log hazards of one arm in all trials, given how far each deviates.

    Attributes
    ----------
    history : ArmHistory
    initial : MultivariateNormalMixture
        Of what they deviate from, one component.
    powers : numpy.ndarray, shape (trial,)
        Of the earlier trials' likelihoods.
    sds, first : numpy.ndarray, shape (trial + 1,)
        SD of each one's deviation, and whether it deviates in the first way; the current trial last.
    by_interval : bool
        Whether they deviate interval by interval.
    """

    history: ArmHistory
    initial: MultivariateNormalMixture
    powers: np.ndarray
    sds: np.ndarray
    first: np.ndarray
    by_interval: bool = False

    def posterior(self, events: Any, exposure: Any) -> tuple[np.ndarray, np.ndarray, float]:
        """Mean and covariance of the current log hazards after their counts, and the log evidence of all counts."""
        trials, size = len(self.sds), len(self.history.grid)
        moves = np.eye(size) if self.by_interval else np.ones((size, 1))
        each = moves.shape[1]
        covariance = np.eye(size + trials * each)  # log hazards, then deviations in units of their SD
        covariance[:size, :size] = self.initial.covariances[0]
        design = np.zeros((trials, size, len(covariance)))
        design[:, :, :size] = np.eye(size)
        for k, sd in enumerate(self.sds):
            design[k, :, size + k * each : size + (k + 1) * each] = sd * moves
        mean = np.concatenate([self.initial.means[0], np.zeros(trials * each)])
        powers = self.powers[:, None]
        counts = (np.vstack([of_history * powers, now]).ravel() for of_history, now in (
            (self.history.events, events), (self.history.exposure, exposure)))  # fmt: skip
        centre, found, evidence = linear_laplace(mean, covariance, design.reshape(trials * size, -1), *counts)
        return design[-1] @ centre, design[-1] @ found @ design[-1].T, evidence
