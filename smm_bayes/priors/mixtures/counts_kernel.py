"""Numba kernel of Laplace's approximation for many data sets. Single-threaded; it releases the GIL."""

from __future__ import annotations

import numpy as np

from smm_bayes.compiling import kernel


@kernel()
def _cholesky(matrix: np.ndarray) -> None:
    """Replace the lower triangle by its Cholesky root."""
    for i in range(len(matrix)):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = np.sqrt(total) if i == j else total / matrix[j, j]


@kernel()
def _solve(root: np.ndarray, values: np.ndarray) -> None:
    """Replace ``values`` by the solution, given the Cholesky root of the matrix."""
    size = len(values)
    for i in range(size):
        for k in range(i):
            values[i] -= root[i, k] * values[k]
        values[i] /= root[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            values[i] -= root[k, i] * values[k]
        values[i] /= root[i, i]


@kernel()
def _height(
    theta: np.ndarray, mean: np.ndarray, precision: np.ndarray, events: np.ndarray, exposure: np.ndarray
) -> float:
    """Log posterior, up to a constant."""
    found = 0.0
    for i in range(len(theta)):
        found += events[i] * theta[i]
        if exposure[i] > 0:
            found -= exposure[i] * np.exp(theta[i])
        for j in range(len(theta)):
            found -= 0.5 * (theta[i] - mean[i]) * precision[i, j] * (theta[j] - mean[j])
    return found


@kernel()
def _newton(
    theta: np.ndarray, mean: np.ndarray, precision: np.ndarray, events: np.ndarray, exposure: np.ndarray,
    root: np.ndarray, step: np.ndarray, trial: np.ndarray, steps: int, close: float,
) -> float:  # fmt: skip
    """Move ``theta`` to the peak; leave the root of the curvature there in ``root``, and give the height."""
    size = len(theta)
    height = _height(theta, mean, precision, events, exposure)
    for _ in range(steps):
        for i in range(size):
            expected = exposure[i] * np.exp(theta[i])
            step[i] = events[i] - expected
            for j in range(size):
                step[i] -= precision[i, j] * (theta[j] - mean[j])
                root[i, j] = precision[i, j]
            root[i, i] += expected
            trial[i] = step[i]
        _cholesky(root)
        _solve(root, step)
        promised = 0.0
        for i in range(size):
            promised += step[i] * trial[i]
        if promised <= close * (1 + abs(height)):
            break
        share = 1.0
        for _ in range(60):
            for i in range(size):
                trial[i] = theta[i] + share * step[i]
            reached = _height(trial, mean, precision, events, exposure)
            if reached >= height - 1e-12 * (1 + abs(height)):
                break
            share /= 2
        for i in range(size):
            theta[i] = trial[i]
        height = reached
    return height


@kernel()
def posteriors(
    means: np.ndarray, precisions: np.ndarray, events: np.ndarray, exposure: np.ndarray, steps: int, close: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, covariance, and log evidence without the prior's determinant, for every replicate and component."""
    replicates, size, components = len(events), means.shape[1], len(means)
    found = np.empty((replicates, components, size))
    covariances = np.empty((replicates, components, size, size))
    log_evidence = np.empty((replicates, components))
    root, step, trial = np.empty((size, size)), np.empty(size), np.empty(size)
    for r in range(replicates):
        for k in range(components):
            theta = found[r, k]
            for i in range(size):
                theta[i] = means[k, i]
            height = _newton(
                theta, means[k], precisions[k], events[r], exposure[r], root, step, trial, steps, close
            )
            for i in range(size):
                height -= np.log(root[i, i])
                for j in range(size):
                    step[j] = 0.0
                step[i] = 1.0
                _solve(root, step)
                for j in range(size):
                    covariances[r, k, i, j] = step[j]
            log_evidence[r, k] = height
            for i in range(size):  # from the peak to the mean
                step[i] = 0.5 * exposure[r, i] * np.exp(theta[i]) * covariances[r, k, i, i]
            for i in range(size):
                for j in range(size):
                    theta[i] -= covariances[r, k, i, j] * step[j]
    return found, covariances, log_evidence
