"""Arms of a design: the prior in the analysis and how much data will come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures.beta import BetaMixture
from smm_bayes.priors.mixtures.gamma import GammaMixture
from smm_bayes.priors.mixtures.normal import NormalMixture
from smm_bayes.priors.mixtures.predictive import CountPredictive
from smm_bayes.response.exact.arm import Arm, Law, Nothing, true_values
from smm_bayes.response.exact.posteriors import Posteriors, posterior_weights

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures.mixture import Mixture

TAIL = 1e-12  # probability of larger control counts, left out of a sum


@dataclass(frozen=True)
class BinaryArm(Arm):
    r"""Responders among patients to come: :math:`y \sim \mathrm{Binomial}(n, \theta)`, outcome y.

    Parameters
    ----------
    prior : BetaMixture
        In the analysis; at an interim the posterior so far.
    patients : int
        To come; 0 for an arm that is its prior.

    Raises
    ------
    SpecificationError
        When the prior is of another family or patients is no whole number from 0.
    """

    prior: BetaMixture
    patients: int
    FAMILY: ClassVar[type[Mixture]] = BetaMixture

    def __post_init__(self) -> None:
        problems = Problems("BinaryArm", SpecificationError)
        self._check_prior(problems)
        if not self.patients >= 0 or self.patients != int(self.patients):
            problems.add(f"patients must be a whole number from 0; got {self.patients}")
        problems.raise_if_any()

    @property
    def largest(self) -> float:
        return self.patients

    def posteriors(self, outcome: np.ndarray, *, consecutive: bool = False) -> Posteriors:
        from scipy.special import betaln

        y, (a, b) = np.asarray(outcome, float)[..., None], self.prior.parameters.values()
        first, second = a + y, b + self.patients - y
        weights = posterior_weights(self.prior.weights, betaln(first, second) - betaln(a, b))
        return Posteriors("Beta", weights, first, second, consecutive)

    def given(self, theta: Any) -> Law:
        from scipy import stats

        return stats.binom(int(self.patients), true_values(theta, 0, 1, "response rate"))

    def predictive(self, belief: BetaMixture) -> Law:
        self._require(belief)
        return belief.predictive(int(self.patients))

    def after(self, responders: int, *, patients: int) -> BinaryArm:
        """Arm as it stands after ``responders`` of ``patients``: the posterior, and the patients still to come.

        Raises
        ------
        SpecificationError
            When more patients are given than the arm has.
        """
        if not patients <= self.patients:
            raise SpecificationError(f"patients must be at most the {self.patients} of the arm; got {patients}")
        return BinaryArm(self.prior.update(responders, patients), self.patients - patients)


@dataclass(frozen=True)
class PoissonArm(Arm):
    r"""Events in an exposure to come: :math:`y \sim \mathrm{Poisson}(\theta E)`, outcome y.

    Parameters
    ----------
    prior : GammaMixture
    exposure : float
        To come, such as patient-months; 0 for an arm that is its prior.

    Raises
    ------
    SpecificationError
        When the prior is of another family or the exposure is negative.
    """

    prior: GammaMixture
    exposure: float
    FAMILY: ClassVar[type[Mixture]] = GammaMixture

    def __post_init__(self) -> None:
        problems = Problems("PoissonArm", SpecificationError)
        self._check_prior(problems)
        if not 0 <= self.exposure < np.inf:
            problems.add(f"exposure must be a finite number from 0; got {self.exposure}")
        problems.raise_if_any()

    @property
    def largest(self) -> float:
        return np.inf if self.exposure else 0

    def last_count(self, law: Any) -> int:
        if self.empty:
            return 0
        each = law.components if isinstance(law, CountPredictive) else law
        return int(np.max(each.isf(TAIL)))

    def posteriors(self, outcome: np.ndarray, *, consecutive: bool = False) -> Posteriors:
        from scipy.special import gammaln

        y, (shape, rate) = np.asarray(outcome, float)[..., None], self.prior.parameters.values()
        first, second = shape + y, rate + self.exposure + 0 * y
        evidence = gammaln(first) - gammaln(shape) - first * np.log(second) + shape * np.log(rate)
        return Posteriors("Gamma", posterior_weights(self.prior.weights, evidence), first, second, consecutive)

    def given(self, theta: Any) -> Law:
        from scipy import stats

        return stats.poisson(true_values(theta, 0, np.inf, "rate") * self.exposure)

    def predictive(self, belief: GammaMixture) -> Law:
        self._require(belief)
        return Nothing() if self.empty else belief.predictive(self.exposure)

    def after(self, events: int, *, exposure: float) -> PoissonArm:
        """Arm as it stands after ``events`` in ``exposure``: the posterior, and the exposure still to come.

        Raises
        ------
        SpecificationError
            When more exposure is given than the arm has.
        """
        if not exposure <= self.exposure:
            raise SpecificationError(f"exposure must be at most the {self.exposure} of the arm; got {exposure}")
        return PoissonArm(self.prior.update(events, exposure), self.exposure - exposure)


@dataclass(frozen=True)
class NormalArm(Arm):
    r"""An estimate to come: :math:`y \sim N(\theta, s^2)` with known standard error s, outcome y.

    Parameters
    ----------
    prior : NormalMixture
    standard_error : float
        Of the estimate from the data to come; infinite for an arm that is its prior.

    Raises
    ------
    SpecificationError
        When the prior is of another family or the standard error not above 0.
    """

    prior: NormalMixture
    standard_error: float
    FAMILY: ClassVar[type[Mixture]] = NormalMixture

    def __post_init__(self) -> None:
        problems = Problems("NormalArm", SpecificationError)
        self._check_prior(problems)
        if not self.standard_error > 0:
            problems.add(f"standard_error must be above 0; got {self.standard_error}")
        problems.raise_if_any()

    @classmethod
    def of_patients(cls, prior: NormalMixture, patients: float, *, sigma: float | None = None) -> NormalArm:
        """Arm with so many observations (or events), each of standard deviation ``sigma`` or the prior's own.

        Raises
        ------
        SpecificationError
            When patients is negative, or sigma is neither given nor the prior's.
        """
        if not 0 <= patients < np.inf:
            raise SpecificationError(f"patients must be a finite number from 0; got {patients}")
        width = prior.require_sigma(sigma)
        return cls(prior, width / np.sqrt(patients) if patients else np.inf)

    @property
    def largest(self) -> float:
        return 0 if np.isinf(self.standard_error) else np.inf

    def posteriors(self, outcome: np.ndarray, *, consecutive: bool = False) -> Posteriors:
        y, (mean, sd) = np.asarray(outcome, float)[..., None], self.prior.parameters.values()
        if self.empty:
            whole = (*y.shape[:-1], len(self.prior))
            weights, first, second = (np.broadcast_to(x, whole) for x in (self.prior.weights, mean, sd))
            return Posteriors("Normal", weights, first, second)
        total = np.hypot(sd, self.standard_error)
        weights = posterior_weights(self.prior.weights, -0.5 * ((y - mean) / total) ** 2 - np.log(total))
        precision = sd**-2 + self.standard_error**-2
        first = (mean * sd**-2 + y * self.standard_error**-2) / precision
        return Posteriors("Normal", weights, first, np.broadcast_to(precision**-0.5, first.shape))

    def given(self, theta: Any) -> Law:
        from scipy import stats

        found = true_values(theta, -np.inf, np.inf, "mean")
        return Nothing(found.shape) if self.empty else stats.norm(found, self.standard_error)

    def predictive(self, belief: NormalMixture) -> Law:
        self._require(belief)
        return Nothing() if self.empty else belief.predictive(self.standard_error)

    def after(self, mean: float, *, standard_error: float | None = None, patients: float | None = None,
              sigma: float | None = None) -> NormalArm:  # fmt: skip
        """Arm as it stands after an estimate: the posterior, and the standard error of what is still to come.

        Parameters
        ----------
        mean : float
            Estimate so far.
        standard_error : float, optional
            Of it; or
        patients, sigma : float, optional
            from so many observations.

        Raises
        ------
        SpecificationError
            When the estimate so far is more precise than the whole arm will be.
        """
        error = self.prior.standard_error(standard_error, patients, sigma)
        rest = self.standard_error**-2 - error**-2
        if rest < -1e-9 * error**-2:
            raise SpecificationError(
                f"the standard error so far must be at least the {self.standard_error:.4g} of the whole arm; "
                f"got {error:.4g}"
            )
        done = rest <= 1e-9 * error**-2
        return NormalArm(self.prior.update(mean, error), np.inf if done else rest**-0.5)
