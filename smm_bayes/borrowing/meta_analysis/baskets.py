"""Cohorts of one trial that may borrow from each other, as a value: data and priors of an EXNEX model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smm_bayes.borrowing.meta_analysis.kinds import Responses
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.normal import Normal, SDPrior
from smm_bayes.priors.spread import Fixed


@dataclass(frozen=True, eq=False)
class Baskets:
    r"""Responders of cohorts, each exchangeable with others or on its own.

    .. math:: \theta_k \sim \sum_h \pi_{kh} N(\mu_h, \tau_h^2) + \pi_{k0} N(m_k, s_k^2), \quad
        r_k \sim \mathrm{Binomial}(n_k, \mathrm{logit}^{-1}\theta_k)

    Attributes
    ----------
    summaries : Responses
    probability : numpy.ndarray, shape (cohort, distribution)
        Prior probability that a cohort belongs to each exchangeable distribution; what is left is its own.
    mean_priors : tuple of Normal
        Of :math:`\mu_h`.
    sd_priors : tuple of SDPrior
        Of :math:`\tau_h`.
    own_priors : tuple of Normal
        :math:`N(m_k, s_k^2)` of each cohort.
    """

    summaries: Responses
    probability: np.ndarray
    mean_priors: tuple[Normal, ...]
    sd_priors: tuple[SDPrior, ...]
    own_priors: tuple[Normal, ...]

    @classmethod
    def read(
        cls, responders: Any, patients: Any, *, names: Sequence[str] | None, probability: Any, mean_prior: Any,
        sd_prior: Any, own_prior: Any,
    ) -> Baskets:  # fmt: skip
        """Check data and priors.

        Raises
        ------
        SpecificationError
            With every problem.
        """
        problems = Problems("cohorts", SpecificationError)
        named = names
        summaries = Responses.read(responders, patients, names, problems)
        if named is None:
            summaries = replace(summaries, names=tuple(f"cohort {k + 1}" for k in range(len(summaries))))
        means, sds = (given if isinstance(given, tuple) else (given,) for given in (mean_prior, sd_prior))
        size = max(len(means), len(sds))
        means, sds = (given * size if len(given) == 1 else given for given in (means, sds))
        if len(means) != len(sds) or size > 2:
            problems.add(f"one or two exchangeable distributions; got {len(means)} mean_prior and {len(sds)} sd_prior")
        own = own_prior if isinstance(own_prior, Sequence) else (own_prior,) * len(summaries)
        if len(own) != len(summaries):
            problems.add(f"own_prior has {len(own)} priors for {len(summaries)} cohorts; give one, or one a cohort")
        kinds = (("mean_prior", means, Normal), ("sd_prior", sds, SDPrior), ("own_prior", own, Normal))
        for name, given, kind in kinds:
            for prior in given:
                if not isinstance(prior, kind):
                    problems.add(f"{name} must be a {kind.__name__}; got {prior!r}")
        chance = _read_probability(probability, len(summaries), size, problems)
        problems.raise_if_any()
        return cls(summaries, chance, tuple(means), tuple(sds), tuple(own))

    @property
    def alone(self) -> np.ndarray:
        """Prior probability that a cohort is on its own, shape (cohort,)."""
        return np.maximum(1 - self.probability.sum(axis=1), 0.0)

    @property
    def log_weights(self) -> np.ndarray:
        """Log prior probabilities, shape (distribution + 1, cohort); the last is on its own."""
        with np.errstate(divide="ignore"):
            return np.log(np.vstack([self.probability.T, self.alone]))

    @property
    def own(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations of the cohorts' own priors."""
        return np.array([p.mean for p in self.own_priors]), np.array([p.sd for p in self.own_priors])

    def with_summaries(self, summaries: Responses) -> Baskets:
        """Give the same model of other data."""
        return replace(self, summaries=summaries)

    def sample_prior(self, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw parameters in NumPy, draws first, by the names of the PyMC model."""
        cohorts, means = len(self.summaries), self.mean_priors
        return {
            "mean": rng.normal([p.mean for p in means], [p.sd for p in means], (draws, len(means))),
            "between_cohort_sd": np.stack([p.sample(draws, rng=rng) for p in self.sd_priors], axis=1),
            "deviation": rng.normal(size=(draws, len(means), cohorts)),
            "own_deviation": rng.normal(size=(draws, cohorts)),
        }  # fmt: skip

    def log_odds(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Log odds under every membership, shape (draw, distribution + 1, cohort)."""
        mean, sd = (parameters[name][..., None] for name in ("mean", "between_cohort_sd"))
        centre, width = self.own
        own = centre + width * parameters["own_deviation"]
        return np.concatenate([mean + sd * parameters["deviation"], own[:, None]], axis=1)

    def log_memberships(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Log of prior probability times likelihood of every membership, shape (draw, distribution + 1, cohort)."""
        return self.log_weights + self.summaries.log_likelihood(self.log_odds(parameters))

    def log_likelihood(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Log likelihood of every cohort (draw, cohort), over its memberships."""
        from scipy.special import logsumexp

        return logsumexp(self.log_memberships(parameters), axis=1)

    def log_prior(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Log prior density of draws (draw,), without Jacobians."""
        found = sum(prior.log_pdf(parameters["mean"][:, h]) for h, prior in enumerate(self.mean_priors))
        for h, prior in enumerate(self.sd_priors):
            if not isinstance(prior, Fixed):
                found = found + prior.log_pdf(parameters["between_cohort_sd"][:, h])
        unit = Normal(0, 1)
        return found + unit.log_pdf(parameters["deviation"]).sum(axis=(1, 2)) + unit.log_pdf(
            parameters["own_deviation"]).sum(axis=1)  # fmt: skip

    def simulate(self, truth: Mapping[str, np.ndarray], *, rng: np.random.Generator) -> Baskets:
        """Simulate memberships and data from one draw of the parameters (first axis of length 1)."""
        weights = np.exp(self.log_weights)
        member = [rng.choice(len(weights), p=column / column.sum()) for column in weights.T]
        theta = self.log_odds(truth)[0][member, np.arange(len(member))]
        return self.with_summaries(self.summaries.simulate(theta, rng=rng))


def _read_probability(given: Any, cohorts: int, size: int, problems: Problems) -> np.ndarray:
    try:
        found = np.array(given, float)
    except (TypeError, ValueError):
        problems.add(f"probability must be numbers; got {given!r}")
        return np.zeros((cohorts, size))
    if found.ndim == 0 and size == 1:
        found = np.full((cohorts, 1), float(found))
    elif found.shape == (cohorts,) and size == 1:
        found = found[:, None]
    elif found.shape == (size,) and size == 2:
        found = np.tile(found, (cohorts, 1))
    if found.shape != (cohorts, size):
        problems.add(
            f"probability must be one number, one a cohort ({cohorts}), or with two exchangeable distributions two "
            f"numbers or two a cohort; got shape {np.shape(given)}"
        )
        return np.zeros((cohorts, size))
    if np.any(~(found >= 0)) or np.any(found.sum(axis=1) > 1 + 1e-12):
        problems.add(f"probabilities must be from 0, and at most 1 together for each cohort; got {found.tolist()}")
    return found
