"""A small mixture in place of a tabulated distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smm_bayes.borrowing.meta_analysis.distribution import Distribution
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures.beta import BetaMixture
from smm_bayes.priors.mixtures.gamma import GammaMixture
from smm_bayes.priors.mixtures.mixture import Mixture
from smm_bayes.priors.mixtures.normal import NormalMixture

LARGEST = 4
DRAWS = 4000  # what the criterion takes the distribution to be known by
Z = np.linspace(-4.5, 4.5, 181)  # the distribution is known by its quantiles at these normal scores


def approximate(distribution: Distribution, family: type[Mixture], components: int | None = None) -> Mixture:
    """Mixture nearest to a distribution: that with the largest expected log density.

    Parameters
    ----------
    distribution : Distribution
    family : type of Mixture
    components : int, optional
        Chosen unless given, up to 4, by Bayes' information criterion as if 4000 draws had been fitted.

    Raises
    ------
    SpecificationError
        When ``components`` is not a whole number from 1.
    """
    if components is not None and (components != int(components) or components < 1):
        raise SpecificationError(f"components must be a whole number from 1; got {components}")
    from scipy.special import ndtr

    values, masses = distribution.quantile(ndtr(Z)), np.exp(-0.5 * Z**2)
    masses = masses / masses.sum()
    found, best = None, np.inf
    for size in [int(components)] if components else range(1, LARGEST + 1):
        mixture = fit_mixture(values, masses, family, size)
        score = -2 * DRAWS * float(mixture.log_pdf(values) @ masses) + (3 * size - 1) * np.log(DRAWS)
        if score >= best:
            break
        found, best = mixture, score
    assert found is not None
    return found


def fit_mixture(values: np.ndarray, masses: np.ndarray, family: type[Mixture], components: int) -> Mixture:
    """Most likely mixture of so many components for values with probabilities, from two starts."""
    from scipy.optimize import minimize

    log_density, names = FAMILIES[family]
    best, bounds = None, _bounds(values, masses, family, components)
    for centred in (False, True):
        start = np.concatenate([np.zeros(components), _start(values, masses, family, components, centred)])
        found = minimize(_negative, start, (values, masses, log_density, components), jac=True, bounds=bounds,
                         method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-7})  # fmt: skip
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    weights = _softmax(best.x[:components])
    first, second = best.x[components:].reshape(2, components)
    parameters = dict(zip(names, (first if family is NormalMixture else np.exp(first), np.exp(second)), strict=True))
    order = np.argsort(-weights)
    return family(weights[order], **{name: value[order] for name, value in parameters.items()})


def _negative(
    x: np.ndarray, values: np.ndarray, masses: np.ndarray, log_density: Callable[..., Any], size: int
) -> tuple[float, np.ndarray]:
    """Minus the mean log likelihood, and its gradient."""
    weights = _softmax(x[:size])
    first, second = x[size:].reshape(2, size)
    height, by_first, by_second = log_density(values[:, None], first, second)
    height = height + np.log(np.maximum(weights, 1e-300))
    top = height.max(axis=1, keepdims=True)
    share = np.exp(height - top)
    total = share.sum(axis=1, keepdims=True)
    share /= total
    slopes = [masses @ share - weights, masses @ (share * by_first), masses @ (share * by_second)]
    return -float(masses @ (np.log(total) + top)[:, 0]), -np.concatenate(slopes)


def _moments(values: np.ndarray, masses: np.ndarray) -> tuple[float, float]:
    mean = float(values @ masses / masses.sum())
    return mean, float(np.sqrt((values - mean) ** 2 @ masses / masses.sum()))


def _bounds(values: np.ndarray, masses: np.ndarray, family: type[Mixture], size: int) -> list[tuple[float, float]]:
    """Keep components from collapsing on a value: at most 100 times as precise as the whole."""
    mean, sd = _moments(values, masses)
    if family is NormalMixture:
        each = [(float(values.min()), float(values.max())), (float(np.log(sd / 10)), float(np.log(sd * 100)))]
    elif family is GammaMixture:
        middle, width = _moments(np.log(values), masses)
        each = [(-7.0, 4.6 - 2 * float(np.log(width))), (-middle - 14.0, -middle + 14.0)]
    else:
        largest = float(np.log(100 * mean * (1 - mean) / sd**2))
        each = [(-7.0, largest), (-7.0, largest)]
    return [(-20.0, 20.0)] * size + [each[0]] * size + [each[1]] * size


def _softmax(x: np.ndarray) -> np.ndarray:
    found = np.exp(x - x.max())
    return found / found.sum()


def _start(values: np.ndarray, masses: np.ndarray, family: type[Mixture], size: int, centred: bool) -> np.ndarray:
    """Parameters of components that share the sorted values out, or that lie on top of each other, ever wider."""
    line = np.log(values) if family is GammaMixture else values  # a rate may have no mean
    middle, width = _moments(line, masses)
    if centred:
        mean, sd = np.full(size, middle), width * 2.0 ** (np.arange(size) - (size - 1) / 2)
    else:
        part = np.minimum(np.cumsum(masses) * size, size - 1e-9).astype(int)
        mean, sd = np.array([_moments(line[part == k], masses[part == k]) for k in range(size)]).T
    if family is NormalMixture:
        return np.concatenate([mean, np.log(sd)])
    if family is GammaMixture:
        return np.concatenate([-2 * np.log(sd), -2 * np.log(sd) - mean])
    worth = np.maximum(mean * (1 - mean) / sd**2 - 1, 0.5)
    return np.log(np.concatenate([mean * worth, (1 - mean) * worth]))


def _normal(x: np.ndarray, mean: np.ndarray, log_sd: np.ndarray) -> tuple[np.ndarray, ...]:
    scaled = (x - mean) * np.exp(-log_sd)
    return -0.5 * scaled**2 - log_sd - 0.5 * np.log(2 * np.pi), scaled * np.exp(-log_sd), scaled**2 - 1


def _gamma(x: np.ndarray, log_shape: np.ndarray, log_rate: np.ndarray) -> tuple[np.ndarray, ...]:
    from scipy.special import digamma, gammaln

    shape, rate = np.exp(log_shape), np.exp(log_rate)
    height = shape * log_rate - gammaln(shape) + (shape - 1) * np.log(x) - rate * x
    return height, shape * (log_rate + np.log(x) - digamma(shape)), shape - rate * x


def _beta(x: np.ndarray, log_a: np.ndarray, log_b: np.ndarray) -> tuple[np.ndarray, ...]:
    from scipy.special import betaln, digamma

    a, b = np.exp(log_a), np.exp(log_b)
    height = (a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - betaln(a, b)
    whole = digamma(a + b)
    return height, a * (np.log(x) - digamma(a) + whole), b * (np.log1p(-x) - digamma(b) + whole)


FAMILIES: dict[type[Mixture], tuple[Callable[..., Any], tuple[str, str]]] = {
    BetaMixture: (_beta, ("a", "b")),
    GammaMixture: (_gamma, ("shape", "rate")),
    NormalMixture: (_normal, ("mean", "sd")),
}
