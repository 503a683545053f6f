"""Mixtures of multivariate normal distributions: priors of vectors, such as the log hazards of intervals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures.components import check_weights
from smm_bayes.priors.mixtures.normal import NormalMixture

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures.counts import CountUpdates

SYMMETRY = 1e-8


class MultivariateNormalMixture:
    r"""Prior of a vector, :math:`p(\theta) = \sum_k w_k\,\mathrm{N}(\theta \mid m_k, S_k)`.

    Parameters
    ----------
    weights : array_like, shape (component,)
    mean : array_like, shape (component, dim)
        Of the components; the attribute ``mean`` is that of the whole mixture.
    covariance : array_like, shape (component, dim, dim)
        Of the components, symmetric and positive definite; the attribute ``covariance`` is that of the whole mixture.
    labels : sequence of str, optional
        Of the dimensions, such as a time grid's intervals.

    Attributes
    ----------
    weights : numpy.ndarray, shape (component,)
    means : numpy.ndarray, shape (component, dim)
    covariances : numpy.ndarray, shape (component, dim, dim)
    labels : tuple of str

    Raises
    ------
    SpecificationError
        When weights are not within [0, 1] or do not sum to 1, shapes do not agree, a number is not finite, or a
        covariance is not symmetric and positive definite.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    labels: tuple[str, ...]

    def __init__(self, weights: Any, mean: Any, covariance: Any, labels: Sequence[str] = ()) -> None:
        problems = Problems(type(self).__name__, SpecificationError)
        w, m, s = np.atleast_1d(np.array(weights, float)), np.array(mean, float), np.array(covariance, float)
        if w.ndim != 1 or m.ndim != 2 or s.shape != (len(m), *m.shape[1:] * 2) or len(w) != len(m) or m.shape[1] == 0:
            problems.add(
                "need weights (component,), mean (component, dim) and covariance (component, dim, dim); got "
                f"{w.shape}, {m.shape} and {s.shape}"
            )
            problems.raise_if_any()
        w = check_weights(w, problems)
        if not (np.all(np.isfinite(m)) and np.all(np.isfinite(s))):
            problems.add("means and covariances must be finite numbers")
        else:
            _check_covariances(s, problems)
        names = tuple(labels) or tuple(str(index) for index in range(m.shape[1]))
        if len(names) != m.shape[1] or len(set(names)) != len(names):
            problems.add(f"labels must be {m.shape[1]} different names; got {list(names)}")
        problems.raise_if_any()
        s = (s + np.swapaxes(s, 1, 2)) / 2
        for name, value in (("weights", w), ("means", m), ("covariances", s)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "labels", names)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} does not change; make another one")

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def dim(self) -> int:
        """Length of the vector."""
        return self.means.shape[1]

    @cached_property
    def _roots(self) -> np.ndarray:
        return np.linalg.cholesky(self.covariances)

    def _given(self, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> MultivariateNormalMixture:
        return MultivariateNormalMixture(weights, means, covariances, self.labels)

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean of the mixture, shape (dim,)."""
        return self.weights @ self.means

    @cached_property
    def covariance(self) -> np.ndarray:
        """Covariance of the mixture, shape (dim, dim)."""
        apart = self.means - self.mean
        return np.einsum("k,kij->ij", self.weights, self.covariances + apart[:, :, None] * apart[:, None, :])

    @property
    def sd(self) -> np.ndarray:
        """Standard deviations of the mixture, shape (dim,)."""
        return np.sqrt(np.diag(self.covariance))

    def component_log_pdf(self, theta: Any) -> np.ndarray:
        """Log densities of the components at values of shape (..., dim): shape (..., component)."""
        theta = np.asarray(theta, float)
        if theta.ndim == 0 or theta.shape[-1] != self.dim:
            raise SpecificationError(f"values must have a last axis of {self.dim}; got shape {theta.shape}")
        apart = (theta[..., None, :] - self.means)[..., None]
        scaled = np.linalg.solve(self._roots, apart)[..., 0]
        log_root = np.log(np.diagonal(self._roots, axis1=1, axis2=2)).sum(axis=1)
        return -0.5 * (scaled**2).sum(axis=-1) - log_root - 0.5 * self.dim * np.log(2 * np.pi)

    def log_pdf(self, theta: Any) -> np.ndarray:
        """Logarithm of the density at values of shape (..., dim)."""
        from scipy.special import logsumexp

        with np.errstate(divide="ignore"):
            return logsumexp(self.component_log_pdf(theta) + np.log(self.weights), axis=-1)

    def pdf(self, theta: Any) -> np.ndarray:
        """Density at values of shape (..., dim)."""
        return np.exp(self.log_pdf(theta))

    def sample(self, draws: int, *, rng: np.random.Generator) -> np.ndarray:
        """Draw from the mixture, shape (draws, dim)."""
        which = rng.choice(len(self), size=draws, p=self.weights)
        noise = rng.standard_normal((draws, self.dim))
        return self.means[which] + np.einsum("nij,nj->ni", self._roots[which], noise)

    def marginal(self, index: int | str) -> NormalMixture:
        """Distribution of one element, by its position or its label.

        Raises
        ------
        SpecificationError
            When there is no such element.
        """
        if isinstance(index, str):
            if index not in self.labels:
                raise SpecificationError(f"no element '{index}'; there are {', '.join(self.labels)}")
            index = self.labels.index(index)
        if not -self.dim <= index < self.dim:
            raise SpecificationError(f"no element {index}; there are {self.dim}")
        return NormalMixture(self.weights, self.means[:, index], np.sqrt(self.covariances[:, index, index]))

    def robustify(self, weight: float, *, covariance: Any, mean: Any = None) -> MultivariateNormalMixture:
        """Add a vague component with ``weight``.

        Parameters
        ----------
        weight : float
        covariance : array_like, shape (dim, dim)
            Of the vague component.
        mean : array_like, shape (dim,), optional
            Of the vague component; that of the mixture unless given.

        Raises
        ------
        SpecificationError
            When the weight is outside [0, 1], or shapes do not agree.
        """
        if not 0 <= weight <= 1:
            raise SpecificationError(f"the robust weight must be within [0, 1]; got {weight}")
        vague, wide = self._vector(self.mean if mean is None else mean, covariance)
        return self._given(np.append(self.weights * (1 - weight), weight), np.vstack([self.means, vague]),
                           np.concatenate([self.covariances, wide[None]]))  # fmt: skip

    def _vector(self, values: Any, covariance: Any) -> tuple[np.ndarray, np.ndarray]:
        values, covariance = np.asarray(values, float), np.asarray(covariance, float)
        if values.shape != (self.dim,) or covariance.shape != (self.dim, self.dim):
            raise SpecificationError(f"need a vector of {self.dim} and its covariance; got shapes {values.shape} and "
                                     f"{covariance.shape}")  # fmt: skip
        return values, covariance

    def update(self, estimate: Any, covariance: Any) -> MultivariateNormalMixture:
        """Posterior after an estimate of the vector, exactly.

        Parameters
        ----------
        estimate : array_like, shape (dim,)
        covariance : array_like, shape (dim, dim)
            Of its sampling error.

        Raises
        ------
        SpecificationError
            When shapes do not agree, or the covariance is not symmetric and positive definite.
        """
        from scipy.special import softmax

        estimate, error = self._vector(estimate, covariance)
        seen = MultivariateNormalMixture(self.weights, self.means, self.covariances + error)
        single = MultivariateNormalMixture([1.0], estimate[None], error[None])  # refuses what is no covariance
        gain = np.swapaxes(np.linalg.solve(seen.covariances, self.covariances), 1, 2)
        # a sum of squares: stays positive definite where subtraction would not
        keep = np.eye(self.dim) - gain
        left = keep @ self.covariances @ np.swapaxes(keep, 1, 2) + gain @ error @ np.swapaxes(gain, 1, 2)
        means = self.means + np.einsum("kij,kj->ki", gain, single.mean - self.means)
        with np.errstate(divide="ignore"):
            weights = softmax(np.log(self.weights) + seen.component_log_pdf(estimate))
        return self._given(weights, means, left)

    def update_counts(self, events: Any, exposure: Any) -> MultivariateNormalMixture:
        """Posterior after Poisson counts of events, by Laplace's approximation; see :func:`counts.laplace`."""
        from smm_bayes.priors.mixtures.counts import laplace

        weights, means, covariances, _ = laplace(self, events, exposure)
        return self._given(weights, means, covariances)

    def update_many(self, events: Any, exposure: Any) -> CountUpdates:
        """Posteriors after each of many data sets; see :func:`counts.update_many`."""
        from smm_bayes.priors.mixtures.counts import update_many

        return update_many(self, events, exposure)

    def __repr__(self) -> str:
        columns = zip(self.labels, self.mean, self.sd, strict=True)
        shown = [f"{name} {mean:.3g} (SD {sd:.2g})" for name, mean, sd in columns]
        return f"{len(self)} multivariate normal component{'s' * (len(self) > 1)} of {self.dim}: {', '.join(shown)}"


def _check_covariances(covariances: np.ndarray, problems: Problems) -> None:
    for number, one in enumerate(covariances):
        scale = np.sqrt(np.abs(np.outer(np.diag(one), np.diag(one)))) + 1e-300
        if np.any(np.abs(one - one.T) > SYMMETRY * scale):
            problems.add(f"covariance of component {number} is not symmetric")
        elif np.any(np.diag(one) <= 0) or np.linalg.eigvalsh(one / scale).min() <= 0:
            problems.add(f"covariance of component {number} is not positive definite")
