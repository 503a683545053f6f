"""Weighted maximum likelihood of one component, for all components at once: the M-steps of :mod:`em`."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

Parameters = tuple[np.ndarray, ...]
NARROWEST = 1e-3  # a component, as a share of the standard deviation of all draws on the real line: no spikes
LARGEST = 1e12  # where Newton's method for a spike stops


class Family(ABC):
    """Draws of one family with what its estimates need of them computed once."""

    each: int  # parameters of one component, its weight left out
    draws: np.ndarray
    line: np.ndarray  # draws on the real line, where starts are looked for; shape (draw, dim)

    @abstractmethod
    def estimate(self, share: np.ndarray, start: Parameters | None) -> Parameters:
        """Maximise the likelihood of each component under its ``share`` (draw, component) of the draws."""

    @abstractmethod
    def log_density(self, parameters: Parameters) -> np.ndarray:
        """Log densities of the draws, shape (draw, component)."""


def _variance(draws: np.ndarray, whole: np.ndarray) -> float:
    return float(np.average((draws - np.average(draws, weights=whole)) ** 2, weights=whole))


class NormalFamily(Family):
    """Means and standard deviations."""

    each = 2

    def __init__(self, draws: np.ndarray, whole: np.ndarray) -> None:
        self.draws, self.line = draws, draws[:, None]
        self.least = NARROWEST**2 * _variance(draws, whole)

    def estimate(self, share: np.ndarray, start: Parameters | None) -> Parameters:
        total = share.sum(axis=0)
        mean = (self.draws @ share) / total
        variance = ((self.draws[:, None] - mean) ** 2 * share).sum(axis=0) / total
        return mean, np.sqrt(np.maximum(variance, self.least))

    def log_density(self, parameters: Parameters) -> np.ndarray:
        mean, sd = parameters
        return -0.5 * ((self.draws[:, None] - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)


class GammaFamily(Family):
    """Shapes and rates; shapes of 1 or more when ``bounded``."""

    each = 2

    def __init__(self, draws: np.ndarray, whole: np.ndarray, bounded: bool) -> None:
        self.draws, self.logs, self.bounded = draws, np.log(draws), bounded
        self.line = self.logs[:, None]
        self.most = 1 / (NARROWEST**2 * _variance(self.logs, whole))  # log draws of a shape vary by about 1/shape

    def estimate(self, share: np.ndarray, start: Parameters | None) -> Parameters:
        total = share.sum(axis=0)
        mean = (self.draws @ share) / total
        shape = _gamma_shape(np.maximum(np.log(mean) - (self.logs @ share) / total, 1 / LARGEST))
        shape = np.clip(shape, 1.0 if self.bounded else 0.0, max(self.most, 1.0))
        return shape, shape / mean

    def log_density(self, parameters: Parameters) -> np.ndarray:
        from scipy.special import gammaln

        shape, rate = parameters
        return (shape - 1) * self.logs[:, None] - rate * self.draws[:, None] + shape * np.log(rate) - gammaln(shape)


def _gamma_shape(gap: np.ndarray) -> np.ndarray:
    """Solve log(shape) - digamma(shape) = gap by Newton's method in the logarithm of the shape."""
    from scipy.special import digamma, polygamma

    shape = (3 - gap + np.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap)
    for _ in range(50):
        error = np.log(shape) - digamma(shape) - gap
        step = error / (shape * polygamma(1, shape) - 1)
        shape = np.minimum(shape * np.exp(np.clip(step, -2, 2)), LARGEST)
        if np.all(np.abs(step) < 1e-13):
            break
    return shape


class BetaFamily(Family):
    """Parameters a and b; both 1 or more when ``bounded``."""

    each = 2

    def __init__(self, draws: np.ndarray, whole: np.ndarray, bounded: bool) -> None:
        self.draws, self.bounded = draws, bounded
        self.logs, self.others = np.log(draws), np.log1p(-draws)
        self.line = (self.logs - self.others)[:, None]
        self.most = 2 / (NARROWEST**2 * _variance(self.line[:, 0], whole))  # logits vary by about 1/a + 1/b

    def estimate(self, share: np.ndarray, start: Parameters | None) -> Parameters:
        total = share.sum(axis=0)
        g, h = (self.logs @ share) / total, (self.others @ share) / total
        if start is None:
            mean = (self.draws @ share) / total
            variance = ((self.draws[:, None] - mean) ** 2 * share).sum(axis=0) / total
            size = np.clip(mean * (1 - mean) / np.maximum(variance, 1e-12) - 1, 0.1, 1e6)
            start = mean * size, (1 - mean) * size
        a, b = _beta_parameters(g, h, *start)
        scale = np.minimum(1.0, self.most / np.maximum(a, b))
        a, b = a * scale, b * scale
        if self.bounded:
            # the log likelihood is concave: where a free maximum is out of bounds, the maximum is on a bound
            low_a, low_b = a < 1, b < 1
            a, b = (np.where(low_a, 1.0, np.where(low_b, np.maximum(-1 / g, 1.0), a)),
                    np.where(low_b & ~low_a, 1.0, np.where(low_a, np.maximum(-1 / h, 1.0), b)))  # fmt: skip
        return a, b

    def log_density(self, parameters: Parameters) -> np.ndarray:
        from scipy.special import betaln

        a, b = parameters
        return (a - 1) * self.logs[:, None] + (b - 1) * self.others[:, None] - betaln(a, b)


def _beta_parameters(g: np.ndarray, h: np.ndarray, a: np.ndarray, b: np.ndarray) -> Parameters:
    """Maximise (a - 1) g + (b - 1) h - log B(a, b) by Newton's method with halved steps, in logarithms."""
    from scipy.special import betaln, digamma, polygamma

    def height(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a * g + b * h - betaln(a, b)

    now = height(a, b)
    for _ in range(100):
        both, joint = digamma(a + b), polygamma(1, a + b)
        slope_a, slope_b = g - digamma(a) + both, h - digamma(b) + both
        faa, fbb = polygamma(1, a) - joint, polygamma(1, b) - joint
        determinant = faa * fbb - joint**2
        step_a = (fbb * slope_a + joint * slope_b) / determinant
        step_b = (faa * slope_b + joint * slope_a) / determinant
        promised = step_a * slope_a + step_b * slope_b
        if np.all(~(promised > 1e-15 * (1 + np.abs(now)))):
            break
        size = np.minimum(1.0, 0.9 / np.maximum(np.maximum(-step_a / a, -step_b / b), 1e-300))
        for _ in range(40):
            next_a, next_b = np.minimum(a + size * step_a, LARGEST), np.minimum(b + size * step_b, LARGEST)
            reached = height(next_a, next_b)
            short = reached < now
            if not short.any():
                break
            size = np.where(short, size / 2, size)
        a, b, now = np.where(short, a, next_a), np.where(short, b, next_b), np.where(short, now, reached)
    return a, b


class MultivariateFamily(Family):
    """Means and covariances; draws of shape (draw, dim)."""

    def __init__(self, draws: np.ndarray, whole: np.ndarray) -> None:
        self.draws = draws
        apart = draws - np.average(draws, axis=0, weights=whole)
        scale = np.sqrt(np.average(apart**2, axis=0, weights=whole))
        self.line = apart / scale
        self.least = NARROWEST**2 * np.diag(scale**2)
        dim = draws.shape[1]
        self.each = dim + dim * (dim + 1) // 2

    def estimate(self, share: np.ndarray, start: Parameters | None) -> Parameters:
        total = share.sum(axis=0)
        mean = (share.T @ self.draws) / total[:, None]
        covariance = np.empty((len(total), *self.least.shape))
        for k in range(len(total)):
            apart = self.draws - mean[k]
            covariance[k] = (apart * share[:, k, None]).T @ apart / total[k]
            if np.any(np.linalg.eigvalsh(covariance[k] - self.least) < 0):
                covariance[k] += self.least
        return mean, covariance

    def log_density(self, parameters: Parameters) -> np.ndarray:
        mean, covariance = parameters
        found = np.empty((len(self.draws), len(mean)))
        for k, root in enumerate(np.linalg.cholesky(covariance)):
            scaled = (self.draws - mean[k]) @ np.linalg.inv(root).T
            found[:, k] = -0.5 * (scaled**2).sum(axis=1) - np.log(np.diag(root)).sum()
        return found - 0.5 * self.draws.shape[1] * np.log(2 * np.pi)
