"""Fitting mixtures to draws or to weighted points, by expectation and maximisation (EM)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures.beta import BetaMixture
from smm_bayes.priors.mixtures.em_climb import choose
from smm_bayes.priors.mixtures.em_families import BetaFamily, GammaFamily, MultivariateFamily, NormalFamily
from smm_bayes.priors.mixtures.gamma import GammaMixture
from smm_bayes.priors.mixtures.mixture import Mixture
from smm_bayes.priors.mixtures.multivariate import MultivariateNormalMixture
from smm_bayes.priors.mixtures.normal import NormalMixture

FAMILIES = ("beta", "normal", "gamma")
PENALTIES = ("bic", "aic")


def _checked(
    draws: np.ndarray, weights: Any, components: int | None, criterion: str, largest: int, problems: Problems
) -> np.ndarray:
    """Weights of the draws, with everything noted that is wrong whatever the family."""
    if criterion not in PENALTIES:
        problems.add(f"criterion must be bic or aic; got {criterion!r}")
    if components is not None and (components < 1 or components != int(components)):
        problems.add(f"components must be a whole number from 1; got {components}")
    if largest < 1:
        problems.add(f"largest must be 1 or more; got {largest}")
    bad = int((~np.isfinite(draws)).sum())
    if bad:
        problems.add(f"draws must be finite numbers; {bad} of {draws.size} are not")
    whole = np.ones(len(draws)) if weights is None else np.asarray(weights, float).ravel()
    if whole.shape != (len(draws),) or not np.all((whole >= 0) & (whole < np.inf)) or not whole.sum() > 0:
        problems.add(f"weights must be {len(draws)} numbers from 0, not all 0, one a draw")
        whole = np.ones(len(draws))
    if len(draws) == 0 or (not bad and np.any(np.ptp(draws[whole > 0], axis=0) == 0)):
        problems.add("draws must differ; all are the same, or there are none")
    return whole


def fit_mixture(
    draws: Any, family: Literal["beta", "normal", "gamma"] = "normal", *, components: int | None = None,
    criterion: Literal["bic", "aic"] = "bic", weights: Any = None, largest: int = 4, bounded: bool = True,
    rng: np.random.Generator | None = None,
) -> Mixture:  # fmt: skip
    r"""Mixture that maximises the (weighted) likelihood of draws, :math:`\sum_i u_i \log p(\theta_i)`.

    Parameters
    ----------
    draws : array_like
        Any shape; the points of a quadrature serve too, with their ``weights``.
    family : {"beta", "normal", "gamma"}
    components : int, optional
        Chosen from 1 to ``largest`` by the criterion unless given.
    criterion : {"bic", "aic"}
        -2 log likelihood + (3 components - 1) times log n, or times 2.
    weights : array_like, optional
        :math:`u_i`, one a draw. Their sum is n, the number of draws that the points are worth to the criterion: scale
        the weights of a quadrature to thousands for a close fit. Draws count 1 each unless given.
    largest : int
    bounded : bool
        Keep a, b and shapes at 1 or more, as the local information of :meth:`Mixture.effective_sample_size` needs.
    rng : numpy.random.Generator, optional
        Of the starts (six for each number of components, two without chance); a fixed one unless given.

    Returns
    -------
    BetaMixture, NormalMixture or GammaMixture
        Components by decreasing weight.

    Raises
    ------
    SpecificationError
        When draws are not finite, outside the family's range, all alike, or not more than the parameters; or an
        argument is unknown.

    References
    ----------
    Dempster AP, Laird NM, Rubin DB. J R Stat Soc B 1977;39:1-38.
    """
    values = np.asarray(draws, float).ravel()
    problems = Problems("fit_mixture", SpecificationError)
    whole = _checked(values, weights, components, criterion, largest, problems)
    if family not in FAMILIES:
        problems.add(f"family must be one of {', '.join(FAMILIES)}; got {family!r}")
    top = {"beta": 1.0, "gamma": np.inf}.get(family)
    if top is not None and (outside := int(((values <= 0) | (values >= top)).sum())):
        said = "between 0 and 1, ends left out" if family == "beta" else "above 0"
        problems.add(f"draws of a {family} mixture must be {said}; {outside} are not")
    problems.raise_if_any()
    values, whole = values[whole > 0], whole[whole > 0]
    rng = np.random.default_rng(1) if rng is None else rng
    if family == "normal":
        found = choose(NormalFamily(values, whole), whole, components, criterion, largest, rng)
        return NormalMixture(found.weights, *found.parameters)
    if family == "beta":
        found = choose(BetaFamily(values, whole, bounded), whole, components, criterion, largest, rng)
        return BetaMixture(found.weights, *found.parameters)
    found = choose(GammaFamily(values, whole, bounded), whole, components, criterion, largest, rng)
    return GammaMixture(found.weights, *found.parameters)


def fit_multivariate(
    draws: Any, *, components: int | None = None, criterion: Literal["bic", "aic"] = "bic", weights: Any = None,
    largest: int = 4, labels: Sequence[str] = (), rng: np.random.Generator | None = None,
) -> MultivariateNormalMixture:  # fmt: skip
    """Multivariate normal mixture that maximises the (weighted) likelihood of draws.

    Parameters
    ----------
    draws : array_like, shape (..., dim)
    components, criterion, weights, largest, rng
        As for :func:`fit_mixture`.
    labels : sequence of str, optional
        Of the dimensions.

    Raises
    ------
    SpecificationError
        As for :func:`fit_mixture`; or an element of the vector is a linear function of the others.
    """
    values = np.asarray(draws, float)
    problems = Problems("fit_multivariate", SpecificationError)
    if values.ndim < 2 or values.shape[-1] == 0:
        raise SpecificationError(f"draws must have shape (..., dim); got {values.shape}")
    values = values.reshape(-1, values.shape[-1])
    whole = _checked(values, weights, components, criterion, largest, problems)
    problems.raise_if_any()
    values, whole = values[whole > 0], whole[whole > 0]
    family = MultivariateFamily(values, whole)
    together = np.cov(family.line.T, aweights=whole).reshape(values.shape[1], -1)
    if len(values) > values.shape[1] and np.linalg.eigvalsh(together).min() < 1e-10:
        raise SpecificationError("an element of the draws is a linear function of the others; leave it out")
    rng = np.random.default_rng(1) if rng is None else rng
    found = choose(family, whole, components, criterion, largest, rng)
    mean, covariance = found.parameters
    return MultivariateNormalMixture(found.weights, mean, covariance, labels)
