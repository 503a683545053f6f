"""Methods of borrowing as functions from the data of many simulated trials to their posteriors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smm_bayes.borrowing.mixtures import MultivariateNormalMixture
from smm_bayes.borrowing.trials.arm_prior import ArmHistory, arm_prior, normalised_power_arm_prior
from smm_bayes.borrowing.trials.priors import BetweenTrials
from smm_bayes.borrowing.trials.relations import POOLED, SEPARATE, Commensurate, Exchangeable, Power, Robust
from smm_bayes.errors import SpecificationError

CLOSE = 1e-4  # variance of what keeps hazards of two arms from being exactly proportional


@dataclass(frozen=True, eq=False)
class Method:
    """A prior of the control arm's log hazards, and whether its weights adapt to the data.

    Attributes
    ----------
    prior : MultivariateNormalMixture
    difference : float or None
        With a number the prior has two components, history and a vague one, and the weight of history is
        R/(1 + R), R the likelihood ratio of history's log hazards against ones higher or lower by so much, whichever
        fits better.
    """

    prior: MultivariateNormalMixture
    difference: float | None = None

    def weights(self, log_evidence: np.ndarray, events: np.ndarray, exposure: np.ndarray) -> np.ndarray:
        """Posterior weights (replicate, component) from evidence and the control arm's data (replicate, interval)."""
        from scipy.special import expit, softmax

        with np.errstate(divide="ignore"):
            if self.difference is None:
                return softmax(np.log(self.prior.weights) + log_evidence, axis=1)
            expected = exposure @ np.exp(self.prior.means[0])
            d = self.difference
            ratio = np.minimum(*((np.exp(by) - 1) * expected - by * events.sum(axis=1) for by in (d, -d)))
            share = expit(ratio)[:, None]
            return softmax(np.log(np.hstack([share, 1 - share])) + log_evidence, axis=1)


def methods_for(
    history: ArmHistory, initial: MultivariateNormalMixture, between: BetweenTrials, *, robust: Robust | None = None,
    power: float = 0.5, difference: float = float(np.log(2)), nodes: int = 6,
) -> dict[str, Method]:  # fmt: skip
    """Every method of borrowing that has an engine without sampling.

    Parameters
    ----------
    history : ArmHistory
    initial : MultivariateNormalMixture
        Before any data.
    between : BetweenTrials
    robust : Robust, optional
    power : float
        Of the fixed power prior.
    difference : float
        Log hazard ratio that matters to the self-adapting mixture.
    nodes : int
        Of unknown standard deviations and powers.
    """
    relations = {
        "no borrowing": SEPARATE, "full pooling": POOLED, f"power {power:g}": Power(power),
        "exchangeable": Exchangeable(), "robust": robust or Robust(), "commensurate, half-normal": Commensurate(),
        "commensurate, spike and slab": Commensurate("spike-and-slab"),
    }  # fmt: skip
    found = {name: Method(arm_prior(history, relation, between, initial, nodes=nodes).mixture)
             for name, relation in relations.items()}  # fmt: skip
    found["normalised power"] = Method(normalised_power_arm_prior(history, initial, nodes=nodes).mixture)
    pooled = found["full pooling"].prior
    both = MultivariateNormalMixture(
        [0.5, 0.5], np.concatenate([pooled.means, initial.means]),
        np.concatenate([pooled.covariances, initial.covariances]), pooled.labels,
    )  # fmt: skip
    return found | {"self-adapting mixture": Method(both, difference)}


@dataclass(frozen=True)
class RatioPrior:
    """Normal prior of the log hazard ratio of the experimental arm."""

    mean: float = 0.0
    sd: float = 2.0


def with_experimental(prior: MultivariateNormalMixture, ratio: RatioPrior) -> MultivariateNormalMixture:
    """Log hazards of both arms: the experimental arm's are proportional but for an SD of 0.01."""
    size = prior.dim
    means = np.concatenate([prior.means, prior.means + ratio.mean], axis=1)
    covariances = np.tile(prior.covariances, (1, 2, 2))
    covariances[:, size:, size:] += ratio.sd**2 + CLOSE * np.eye(size)
    labels = [f"{arm} {label}" for arm in ("control", "experimental") for label in prior.labels]
    return MultivariateNormalMixture(prior.weights, means, covariances, labels)


@dataclass(frozen=True, eq=False)
class RatioPosterior:
    """Posterior of the log hazard ratio in many trials: a normal mixture each.

    Attributes
    ----------
    weights, means, sds : numpy.ndarray, shape (replicate, component)
    """

    weights: np.ndarray
    means: np.ndarray
    sds: np.ndarray

    def below(self, threshold: float = 0.0) -> np.ndarray:
        """Probability that the log hazard ratio is below, shape (replicate,)."""
        from scipy.special import ndtr

        return (self.weights * ndtr((threshold - self.means) / self.sds)).sum(axis=1)

    @property
    def mean(self) -> np.ndarray:
        """Posterior means, shape (replicate,)."""
        return (self.weights * self.means).sum(axis=1)


def ratio_posterior(
    method: Method, events: np.ndarray, exposure: np.ndarray, ratio: RatioPrior | None = None
) -> RatioPosterior:
    """Posterior of the log hazard ratio after counts of both arms.

    Parameters
    ----------
    method : Method
    events, exposure : numpy.ndarray, shape (replicate, arm, interval)
        Control first.
    ratio : RatioPrior, optional

    Raises
    ------
    SpecificationError
        When there are not two arms on the prior's intervals.
    """
    size = method.prior.dim
    if events.shape[1:] != (2, size) or exposure.shape != events.shape:
        raise SpecificationError(f"need events and exposure of shape (replicate, 2, {size}); got {events.shape}")
    both = with_experimental(method.prior, ratio or RatioPrior())
    flat = events.reshape(len(events), -1), exposure.reshape(len(events), -1)
    updates = both.update_many(*flat)
    weights = method.weights(updates.log_evidence, events[:, 0], exposure[:, 0])
    contrast = np.repeat([-1.0, 1.0], size) / size
    variance = np.einsum("i,rkij,j->rk", contrast, updates.covariances, contrast)
    return RatioPosterior(weights, updates.means @ contrast, np.sqrt(variance))


def control_posterior(method: Method, events: np.ndarray, exposure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and SD of the control arm's log hazard, averaged over intervals, in many trials.

    Parameters
    ----------
    method : Method
    events, exposure : numpy.ndarray, shape (replicate, interval)
    """
    updates = method.prior.update_many(events, exposure)
    weights = method.weights(updates.log_evidence, events, exposure)
    contrast = np.full(method.prior.dim, 1 / method.prior.dim)
    means = updates.means @ contrast
    variances = np.einsum("i,rkij,j->rk", contrast, updates.covariances, contrast)
    mean = (weights * means).sum(axis=1)
    return mean, np.sqrt((weights * (variances + (means - mean[:, None]) ** 2)).sum(axis=1))


Methods = Mapping[str, Method]
