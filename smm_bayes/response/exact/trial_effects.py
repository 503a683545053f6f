"""Joint posterior of the effects of several trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures.normal import NormalMixture


@dataclass(frozen=True, eq=False)
class TrialEffects:
    r"""Joint posterior of the effects of several trials, a mixture over nodes of the between-trial SD.

    Attributes
    ----------
    weights : numpy.ndarray, shape (node,)
        Posterior probabilities, summing to 1.
    mean, loading, variance : numpy.ndarray, shape (node, trial)
        :math:`m_i`, :math:`l_i` and :math:`v_i`: given the node, effects have covariance
        :math:`l_i l_j + [i = j]\,v_i`.

    Raises
    ------
    SpecificationError
        When shapes do not agree, weights are no probabilities or a variance is negative.
    """

    weights: np.ndarray
    mean: np.ndarray
    loading: np.ndarray
    variance: np.ndarray

    def __post_init__(self) -> None:
        problems = Problems("TrialEffects", SpecificationError)
        shapes = {np.shape(x) for x in (self.mean, self.loading, self.variance)}
        if len(shapes) != 1 or len(shape := next(iter(shapes))) != 2 or np.shape(self.weights) != shape[:1]:
            problems.add(f"mean, loading and variance must be (node, trial), weights (node,); got {sorted(shapes)} and "
                         f"{np.shape(self.weights)}")  # fmt: skip
        if np.any(self.weights < 0) or abs(np.sum(self.weights) - 1) > 1e-6:
            problems.add(f"weights must be probabilities that sum to 1; they sum to {np.sum(self.weights):.6g}")
        if np.any(self.variance < 0):
            problems.add(f"variance must not be negative; the smallest is {np.min(self.variance):.3g}")
        problems.raise_if_any()

    @classmethod
    def from_covariance(cls, weights: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> TrialEffects:
        """Effects from their covariances at each node, shape (node, trial, trial), where these have one common factor.

        Raises
        ------
        SpecificationError
            When the covariances are not those of one common factor.
        """
        trials = covariance.shape[-1]
        diagonal = np.einsum("nii->ni", covariance)
        off = covariance * ~np.eye(trials, dtype=bool)
        if trials <= 2:  # any share of the correlation will do
            correlation = off[:, 0, -1] / np.sqrt(diagonal[:, 0] * diagonal[:, -1])
            loading = np.sqrt(np.abs(correlation)[:, None] * diagonal)
            loading[:, -1] *= np.where(correlation < 0, -1, 1)
        else:  # products of covariances with two other trials, over the covariances of those two
            products = off.sum(axis=2) ** 2 - (off**2).sum(axis=2)
            others = off.sum(axis=(1, 2))[:, None] - 2 * off.sum(axis=2)
            with np.errstate(invalid="ignore", divide="ignore"):
                loading = np.sqrt(np.where(products > 0, products / others, 0))
        left = covariance - loading[:, :, None] * loading[:, None, :]
        variance = np.einsum("nii->ni", left)
        rest = np.abs(left * ~np.eye(trials, dtype=bool)).max()
        if not max(rest, -variance.min()) <= 1e-8 * diagonal.max():
            raise SpecificationError(
                "covariances of more than two trials must be those of one common factor with loadings of one sign; "
                f"{rest:.3g} is left over"
            )
        return cls(weights, mean, loading, np.maximum(variance, 0))

    def of(self, trial: int) -> NormalMixture:
        """Posterior of the effect of one trial, by position."""
        sd = np.sqrt(self.variance[:, trial] + self.loading[:, trial] ** 2)
        return NormalMixture(self.weights, self.mean[:, trial], sd)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the effects over all nodes, shape (trial, trial)."""
        centred = self.mean - self.weights @ self.mean
        loading, each = (np.einsum("n,ni,nj->ij", self.weights, x, x) for x in (self.loading, centred))
        return loading + each + np.diag(self.weights @ self.variance)
