r"""Power priors: earlier likelihoods count with a power between 0 (ignored) and 1 (pooled), fixed or learnt.

With initial prior :math:`\pi_0` and earlier likelihoods :math:`L_k`, fixed powers give the prior
:math:`\pi(\theta) \propto \pi_0(\theta) \prod_k L_k(\theta)^{a_k}`. Where the powers are learnt it must be divided by
its own integral, which depends on them (:mod:`smm_bayes.borrowing.trials.conjugate`):

.. math:: \pi(\theta, a) = \frac{\pi_0(\theta) \prod_k L_k(\theta)^{a_k}}{C(a)}
          \prod_k \mathrm{Beta}(a_k \mid p_k, q_k).

Without C(a) the powers would depend on constants of the likelihood that mean nothing, such as the unit of time.

How little a learnt power can learn
-----------------------------------
Even where the current data agree with those of one earlier trial perfectly, their evidence for a large power is weak.
With J hazards (cells) and n times as many events earlier as now, all of them many, it is as
:math:`(a / (1 + na))^{J/2}`. Under a flat prior the posterior mean is then between 1/2, for large n, and
:math:`(J + 2)/(J + 4)`, for small n: 0.6 at most for one hazard. With more trials it is lower for each. The mean
for the sizes at hand is :attr:`~smm_bayes.borrowing.trials.power_posterior.PowerPosterior.if_agreeing`.

References
----------
Ibrahim JG, Chen MH. Statistical Science 2000;15:46-60. Duan Y, Ye K, Smith EP. Environmetrics 2006;17:95-106 (the
normalised form). Neuenschwander B, Branson M, Spiegelhalter DJ. Statistics in Medicine 2009;28:3562-3566 (why it must
be). Pawel S, Aust F, Held L, Wagenmakers EJ. Stat 2023;12:e591, arXiv:2206.04379 (powers do not go to 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.trials.conjugate import History
from smm_bayes.borrowing.trials.histories import HazardHistory
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures import Mixture
from smm_bayes.survival.gamma import GammaHazards
from smm_bayes.survival.grid import EventTable

if TYPE_CHECKING:
    from smm_bayes.borrowing.trials.power_posterior import PowerPosterior


@dataclass(frozen=True, eq=False)
class PowerPrior:
    """Power prior with fixed powers.

    Parameters
    ----------
    history : HazardHistory or ResponseHistory
    powers : sequence of float
        One a trial, from 0 to 1.

    Raises
    ------
    SpecificationError
        When there is not one power in [0, 1] for each trial.
    """

    history: History
    powers: Any

    def __post_init__(self) -> None:
        """Check the powers."""
        found = self.history.check_powers(self.powers)
        found.setflags(write=False)
        object.__setattr__(self, "powers", found)

    @cached_property
    def cells(self) -> tuple[Mixture, ...]:
        """Prior of every cell: one gamma distribution a hazard, or one beta distribution."""
        return self._cells(None)

    def update(self, current: Any) -> tuple[Mixture, ...]:
        """Posterior of every cell after the current data.

        Parameters
        ----------
        current : EventTable, or (responders, patients)
        """
        return self._cells(self.history.current_sums(current))

    def log_marginal_likelihood(self, current: Any) -> float:
        """Log marginal likelihood of the current patients' data, one by one (no binomial coefficient)."""
        return float(self.history.log_evidence(self.powers, self.history.current_sums(current)))

    def hazards(self, current: EventTable | None = None) -> GammaHazards:
        """Prior, or posterior after ``current``, of all hazards, shape (arm, cause, interval) with one arm.

        Raises
        ------
        SpecificationError
            When the history is of response rates.
        """
        if not isinstance(self.history, HazardHistory):
            raise SpecificationError("this history is of response rates; ask for cells or update instead of hazards")
        return self.history.hazards(self.powers, current)

    def _cells(self, current: np.ndarray | None) -> tuple[Mixture, ...]:
        parameters = self.history.parameters(self.powers, current)
        return tuple(self.history.mixture(np.ones(1), parameters[None, :, cell]) for cell in range(parameters.shape[1]))

    def __repr__(self) -> str:
        said = ", ".join(f"{name} at {power:.3g}" for name, power in zip(self.history.names, self.powers, strict=True))
        cells = "".join(f"\n  {label}: {cell!r}" for label, cell in zip(self.history.labels, self.cells, strict=True))
        return f"PowerPrior: {said}{cells}"


@dataclass(frozen=True)
class BetaPower:
    """Beta prior of a power, stated by what it says.

    Parameters
    ----------
    p, q : float
        Beta(p, q); 1 and 1, the default, is flat.
    """

    p: float = 1.0
    q: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        if not (0 < self.p < np.inf and 0 < self.q < np.inf):
            raise SpecificationError(f"the prior of a power needs p and q above 0; got {self.p} and {self.q}")

    @property
    def mean(self) -> float:
        """Mean power."""
        return self.p / (self.p + self.q)

    def __str__(self) -> str:
        if self.p == self.q == 1:
            return "flat prior of the power"
        return f"prior of the power Beta({self.p:g}, {self.q:g}), mean {self.mean:.3g}"


@dataclass(frozen=True, eq=False)
class NormalisedPowerPrior:
    """Power prior whose powers are learnt.

    Parameters
    ----------
    history : HazardHistory or ResponseHistory
    power : BetaPower, or mapping of str to BetaPower
        Prior of all powers, or by name of the trial.

    Raises
    ------
    SpecificationError
        When a trial has no prior of its power.
    """

    history: History
    power: BetaPower | Mapping[str, BetaPower] = field(default_factory=BetaPower)

    def __post_init__(self) -> None:
        """Refuse priors that do not go with the trials."""
        if isinstance(self.power, Mapping) and set(self.power) != set(self.history.names):
            raise SpecificationError(f"give a prior of the power of each of {', '.join(self.history.names)}; "
                                     f"got {', '.join(self.power) or 'none'}")  # fmt: skip

    @property
    def priors(self) -> tuple[BetaPower, ...]:
        """Prior of every power."""
        if isinstance(self.power, Mapping):
            return tuple(self.power[name] for name in self.history.names)
        return (self.power,) * len(self.history.names)

    def at(self, powers: Any) -> PowerPrior:
        """Give the power prior with these powers fixed."""
        return PowerPrior(self.history, powers)

    def posterior(
        self, current: Any = None, *, nodes: int | None = None, rng: np.random.Generator | None = None
    ) -> PowerPosterior:
        """Posterior after the current data, by quadrature over the powers; the prior without them.

        See :func:`smm_bayes.borrowing.trials.power_posterior.power_posterior`.
        """
        from smm_bayes.borrowing.trials.power_posterior import power_posterior

        return power_posterior(self, current, nodes=nodes, rng=rng)

    def log_density(
        self, power: np.ndarray, log_hazard: np.ndarray, current: EventTable | None = None
    ) -> np.ndarray:  # fmt: skip
        r"""Log density of powers and log hazards times the likelihood of the current data, in NumPy.

        Twin of the PyMC model of hazards, written as in the definition: initial prior, powers of likelihoods, minus
        log C(a).

        Parameters
        ----------
        power : numpy.ndarray, shape (..., trial)
        log_hazard : numpy.ndarray, shape (..., cell)
            Causes by intervals; the density is that of the logarithm.
        current : EventTable, optional

        Returns
        -------
        numpy.ndarray, shape (...,)

        Raises
        ------
        SpecificationError
            When the history is of response rates.
        """
        from scipy.stats import beta, gamma

        history = self.history
        if not isinstance(history, HazardHistory):
            raise SpecificationError("the log density in log hazards needs a history of hazards")
        hazard = np.exp(log_hazard)
        found = (gamma.logpdf(hazard, history.initial[0], scale=1 / history.initial[1]) + log_hazard).sum(axis=-1)
        for index, (events, exposure) in enumerate(history.sums):
            each = (events * log_hazard - exposure * hazard).sum(axis=-1)
            found = found + power[..., index] * each
            found = found + beta.logpdf(power[..., index], self.priors[index].p, self.priors[index].q)
        if current is not None:
            events, exposure = history.current_sums(current)
            found = found + (events * log_hazard - exposure * hazard).sum(axis=-1)
        return found - history.log_constant(power)

    def __repr__(self) -> str:
        said = "; ".join(f"{name}: {prior}" for name, prior in zip(self.history.names, self.priors, strict=True))
        return f"NormalisedPowerPrior: {said}"
