"""A binary endpoint at an interim analysis, with patients who are not followed to the end yet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.response.exact.arms import BinaryArm
from smm_bayes.response.exact.designs import OneSampleDesign
from smm_bayes.response.exact.rules import OneSampleRule
from smm_bayes.response.two_stage import is_count

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures import BetaMixture


@dataclass(frozen=True, eq=False)
class BinaryInterim:
    r"""Responders, patients known not to respond, and patients who may still.

    A responder is seen as one by a share F of the follow-up with probability F. A pending patient followed to F without
    response so contributes :math:`1 - F\theta = (1 - \theta) + (1 - F)\,\theta`: a patient who will not respond, or one
    who will and has not yet. Multiplied out, the posterior is a mixture of Beta distributions over the number of
    pending patients who will respond, exactly.

    Parameters
    ----------
    prior : BetaMixture
    responders, others : int
        Patients seen to respond, and those followed to the end without response.
    pending : tuple of float
        F of each of the others: the share of responses that come by the time to which the patient is followed. 0 says
        nothing yet, 1 is followed to the end.

    Raises
    ------
    SpecificationError
        When counts are not whole numbers from 0, or a share is not within [0, 1].

    References
    ----------
    Cai C, Liu S, Yuan Y. Statistics in Medicine 2014;33:4017-4028 (likelihood of patients still followed).

    Examples
    --------
    >>> from smm_bayes.priors.mixtures import BetaMixture
    >>> from smm_bayes.response.exact import OneSampleRule, above
    >>> interim = BinaryInterim(BetaMixture([1], [1], [1]), responders=5, others=7, pending=(0.2, 0.5, 0.8))
    >>> round(float(interim.posterior.mean), 4)
    0.3956
    >>> round(interim.predictive_probability(OneSampleRule(above(0.3, 0.9)), final=40), 4)
    0.4926
    """

    prior: BetaMixture
    responders: int
    others: int
    pending: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse counts and shares that are none."""
        problems = Problems("binary interim", SpecificationError)
        if not (is_count(self.responders) and is_count(self.others)):
            problems.add(f"responders and others must be whole numbers from 0; got {self.responders} and {self.others}")
        if not all(0 <= share <= 1 for share in self.pending):
            problems.add(f"pending must be shares of responses within [0, 1]; got {tuple(self.pending)}")
        problems.raise_if_any()

    @property
    def patients(self) -> int:
        """All of them, pending ones too."""
        return self.responders + self.others + len(self.pending)

    @cached_property
    def _late(self) -> tuple[np.ndarray, BetaMixture]:
        """Number of late responders of every component, and the posterior of as many components."""
        from scipy.special import betaln, softmax

        from smm_bayes.priors.mixtures import BetaMixture

        ways = np.ones(1)
        for share in self.pending:
            ways = np.convolve(ways, [1.0, 1.0 - share])
        late = np.flatnonzero(ways > 0)
        first, second = self.prior.parameters.values()
        a = first + self.responders + late[:, None]
        b = second + self.others + len(self.pending) - late[:, None]
        with np.errstate(divide="ignore"):
            evidence = np.log(self.prior.weights) + np.log(ways[late])[:, None] + betaln(a, b) - betaln(first, second)
        mixture = BetaMixture(softmax(evidence.ravel()), a.ravel(), b.ravel())
        return np.repeat(late, len(self.prior)), mixture

    @property
    def posterior(self) -> BetaMixture:
        """Posterior of the response rate."""
        return self._late[1]

    @property
    def late_responders(self) -> np.ndarray:
        """Probability that 0, 1, ... of the pending patients will respond."""
        late, mixture = self._late
        return np.bincount(late, mixture.weights, minlength=len(self.pending) + 1)

    def predictive_probability(self, rule: OneSampleRule, *, final: int) -> float:
        """Probability that the analysis of ``final`` patients, all followed to the end, succeeds.

        Raises
        ------
        SpecificationError
            When there are fewer of them than patients so far.
        """
        from smm_bayes.priors.mixtures import BetaMixture

        if not (is_count(final) and final >= self.patients):
            raise SpecificationError(f"final must be at least the {self.patients} patients so far; got {final}")
        region = OneSampleDesign(rule, BinaryArm(self.prior, final)).boundary
        late, mixture = self._late
        total = 0.0
        for k, weight, a, b in zip(late, mixture.weights, *mixture.parameters.values(), strict=True):
            law = BetaMixture([1.0], [a], [b]).predictive(final - self.patients)
            seen = self.responders + int(k)
            total += weight * float(law.cdf(region.highest - seen) - law.cdf(region.lowest - seen - 1))
        return float(np.clip(total, 0.0, 1.0))
