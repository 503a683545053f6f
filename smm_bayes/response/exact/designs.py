"""Designs: a rule, the data to come, and what follows exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.numerics.adaptive import integrate
from smm_bayes.response.exact.arm import Arm, Law
from smm_bayes.response.exact.arms import NormalArm
from smm_bayes.response.exact.difference import require_link
from smm_bayes.response.exact.posteriors import Posteriors
from smm_bayes.response.exact.regions import SuccessRegion, control_counts, count_region, normal_region, settled
from smm_bayes.response.exact.rules import OneSampleRule, TwoSampleRule

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures.mixture import Mixture

MOST = 1e7  # counts that are searched for a boundary
REACH = 9.0  # standard deviations that an integral over control estimates covers
POINT = Posteriors("Normal", np.ones((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)))  # one sample: a control known as 0


@dataclass(frozen=True)
class OneSampleDesign:
    r"""A rule on the posterior of one arm after its data.

    The success region R of outcomes is found first; then :math:`P(y \in R)` is exact, at a true value or averaged over
    a distribution of it.

    Parameters
    ----------
    rule : OneSampleRule
    arm : BinaryArm, PoissonArm or NormalArm
        Its prior is what the final analysis starts from: at an interim, the posterior of the data so far
        (``arm.after(...)``).

    Raises
    ------
    SpecificationError
        When the rule is not for one sample or the arm is none.

    Examples
    --------
    >>> from smm_bayes.priors.mixtures import BetaMixture
    >>> from smm_bayes.response.exact import BinaryArm, OneSampleDesign, OneSampleRule, above
    >>> arm = BinaryArm(BetaMixture([1], [0.5], [0.5]), 40)
    >>> interim = OneSampleDesign(OneSampleRule(above(0.2, 0.95)), arm.after(7, patients=20))
    >>> print(interim.boundary)
    success from 6
    >>> round(interim.probability_of_success(), 6)
    0.694987
    """

    rule: OneSampleRule
    arm: Arm

    def __post_init__(self) -> None:
        problems = Problems("OneSampleDesign", SpecificationError)
        if not isinstance(self.rule, OneSampleRule):
            problems.add(f"rule must be a OneSampleRule; got {type(self.rule).__name__}")
        if not isinstance(self.arm, Arm):
            problems.add(f"arm must be a BinaryArm, PoissonArm or NormalArm; got {type(self.arm).__name__}")
        problems.raise_if_any()

    @cached_property
    def boundary(self) -> SuccessRegion:
        """Outcomes still to come that succeed: counts, or the estimate."""
        if isinstance(self.arm, NormalArm):
            region = normal_region(self.rule.criteria, self.arm, POINT, shape=(1,))
            return SuccessRegion(region.lowest[0], region.highest[0], counts=False)
        bounded = np.isfinite(self.arm.largest)
        rows = int(self.arm.largest) if bounded else 64
        while rows < MOST:
            posteriors = self.arm.posteriors(np.arange(rows + 1))
            met = [(each.side, each.met(posteriors.above(each.threshold))) for each in self.rule.criteria]
            if bounded or settled(met):
                return count_region(met, self.arm.largest)
            rows *= 4
        raise SpecificationError(f"no boundary up to {MOST:.0e} counts; look at the rule and the arm")

    def operating_characteristics(self, theta: Any) -> np.ndarray:
        """Probability of success at true values of the parameter, of the shape of ``theta``.

        At a value where success is wrong it is the type I error, at another the power; at an interim design it is the
        conditional power.
        """
        return self.boundary.probability(self.arm.given(theta))

    def conditional_power(self, theta: Any) -> np.ndarray:
        """Probability of success at true values, given the data that the arm's prior has: operating characteristics."""
        return self.operating_characteristics(theta)

    def probability_of_success(self, belief: Mixture | None = None) -> float:
        """Probability of success averaged over what is believed of the parameter.

        Parameters
        ----------
        belief : mixture of the arm's family, optional
            The arm's prior unless given: at an interim the posterior of the trial's own data. Give another to judge
            with more than the final analysis will use, such as earlier trials.
        """
        return float(self.boundary.probability(self.arm.predictive(self.arm.prior if belief is None else belief)))

    def assurance(self, design_prior: Mixture) -> float:
        """Probability of success averaged over a design prior, before there are data."""
        return self.probability_of_success(design_prior)


@dataclass(frozen=True)
class TwoSampleDesign:
    r"""A rule on the difference of two arms after their data.

    For every outcome :math:`y_C` of the control arm the success region :math:`R(y_C)` of the experimental arm is found;
    then :math:`\sum_{y_C} p(y_C)\,P(y_E \in R(y_C))`, or the integral over estimates.

    Parameters
    ----------
    rule : TwoSampleRule
    experimental, control : BinaryArm, PoissonArm or NormalArm
        Of one kind. Each has the prior that the final analysis starts from.

    Raises
    ------
    SpecificationError
        When arms are of different kinds, or the rule's link does not go with them.
    """

    rule: TwoSampleRule
    experimental: Arm
    control: Arm

    def __post_init__(self) -> None:
        problems = Problems("TwoSampleDesign", SpecificationError)
        if not isinstance(self.rule, TwoSampleRule):
            problems.add(f"rule must be a TwoSampleRule; got {type(self.rule).__name__}")
        for name, arm in (("experimental", self.experimental), ("control", self.control)):
            if not isinstance(arm, Arm):
                problems.add(f"{name} must be a BinaryArm, PoissonArm or NormalArm; got {type(arm).__name__}")
        problems.raise_if_any()
        require_link(self.experimental.prior, self.control.prior, self.rule.link)

    def boundary(self, control_outcome: Any) -> SuccessRegion:
        """Outcomes of the experimental arm that succeed, at outcomes of the control arm.

        Raises
        ------
        SpecificationError
            When a control count is not a whole number from 0, or above the number of patients; when a control estimate
            is not finite.
        """
        found = np.asarray(control_outcome, float)
        if isinstance(self.experimental, NormalArm):
            if not np.all(np.isfinite(found)):
                raise SpecificationError(f"control estimates must be finite; got {control_outcome}")
            region = self._normal_boundary(found.ravel())
            return SuccessRegion(region.lowest.reshape(found.shape), region.highest.reshape(found.shape), counts=False)
        largest = self.control.largest
        if not np.all((found >= 0) & (found <= largest) & (found == np.floor(found))):
            raise SpecificationError(f"control counts must be whole numbers from 0 to {largest}; got {control_outcome}")
        whole = control_counts(self.rule, self.experimental, self.control, int(found.max(initial=0)))
        index = found.astype(int)
        return SuccessRegion(whole.lowest[index], whole.highest[index], counts=True)

    def operating_characteristics(self, experimental: Any, control: Any) -> np.ndarray:
        """Probability of success at true values of both parameters, which broadcast against each other."""
        experimental, control = np.broadcast_arrays(np.asarray(experimental, float), np.asarray(control, float))
        if not isinstance(self.experimental, NormalArm):
            return self._over_counts(self.experimental.given(experimental[..., None]),
                                     self.control.given(control[..., None]))  # fmt: skip
        e, c = experimental.ravel(), control.ravel()
        found = self._over_control(lambda which: self.experimental.given(e[which]),
                                   lambda which: self.control.given(c[which]), c[:, None], np.zeros(1))  # fmt: skip
        return found.reshape(experimental.shape)

    def conditional_power(self, experimental: Any, control: Any) -> np.ndarray:
        """Probability of success at true values, given the data that the priors have: operating characteristics."""
        return self.operating_characteristics(experimental, control)

    def probability_of_success(self, experimental: Mixture | None = None, control: Mixture | None = None) -> float:
        """Probability of success averaged over what is believed of both parameters, independently.

        Parameters
        ----------
        experimental, control : mixtures of the arms' family, optional
            The arms' priors unless given: at an interim the posteriors of the trial's own data.
        """
        e = self.experimental.prior if experimental is None else experimental
        c = self.control.prior if control is None else control
        laws = self.experimental.predictive(e), self.control.predictive(c)
        if isinstance(self.experimental, NormalArm):
            mean, sd = c.parameters.values()
            return float(self._over_control(lambda _: laws[0], lambda _: laws[1], mean[None], sd)[0])
        return float(self._over_counts(*laws))

    def assurance(self, experimental: Mixture, control: Mixture) -> float:
        """Probability of success averaged over design priors, before there are data."""
        return self.probability_of_success(experimental, control)

    def _normal_boundary(self, outcome: np.ndarray) -> SuccessRegion:
        controls = self.control.posteriors(outcome)
        return normal_region(self.rule.criteria, self.experimental, controls, shape=outcome.shape)  # type: ignore[arg-type]

    def _over_counts(self, experimental: Law, control: Any) -> np.ndarray:
        counts = np.arange(self.control.last_count(control) + 1)
        region = self.boundary(counts)
        return (control.pmf(counts) * region.probability(experimental)).sum(axis=-1)

    def _over_control(
        self, experimental: Callable[[np.ndarray], Law], control: Callable[[np.ndarray], Any], mean: np.ndarray,
        sd: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Integrals over the control estimate; parameters have means (integral, component) and ``sd`` (component,)."""
        if self.control.empty:
            every = np.arange(len(mean))
            return np.broadcast_to(self._normal_boundary(np.zeros(1)).probability(experimental(every)), len(mean))
        spread = np.hypot(sd, self.control.standard_error)  # type: ignore[attr-defined]
        steps = np.linspace(-REACH, REACH, 13)
        cuts = np.sort((mean[..., None] + spread[:, None] * steps).reshape(len(mean), -1), axis=1)

        def success(y: np.ndarray, which: np.ndarray) -> np.ndarray:
            return control(which).pdf(y) * self._normal_boundary(y).probability(experimental(which))

        return np.clip(integrate(success, cuts), 0, 1)
