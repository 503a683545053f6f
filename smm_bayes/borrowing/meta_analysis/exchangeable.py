"""Cohorts that may borrow from each other (EXNEX), computed exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from smm_bayes.borrowing.meta_analysis.basket_quadrature import BasketQuadrature
from smm_bayes.borrowing.meta_analysis.baskets import Baskets
from smm_bayes.borrowing.meta_analysis.composite import Wrapped
from smm_bayes.borrowing.meta_analysis.distribution import Distribution
from smm_bayes.priors.normal import Normal, SDPrior
from smm_bayes.priors.spread import HalfNormal
from smm_bayes.results import Result, plot_intervals

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class CohortEstimate(Wrapped):
    """Response rate of one cohort.

    Attributes
    ----------
    name : str
    responders, patients : int
    distribution : Distribution
        Posterior of its response rate.
    alone : Distribution
        What it would be under the cohort's own prior, with nothing borrowed.
    memberships : tuple of float
        Posterior probability that it belongs to each exchangeable distribution.
    """

    name: str
    responders: int
    patients: int
    distribution: Distribution
    alone: Distribution
    memberships: tuple[float, ...]

    @property
    def exchangeable(self) -> float:
        """Posterior probability that the cohort is exchangeable with others."""
        return sum(self.memberships)

    @property
    def borrowed(self) -> float:
        """Patients borrowed: how many more the posterior is worth than under the cohort's own prior alone.

        A posterior of a rate is worth as many patients as the beta distribution with its mean and variance. Cohorts
        that disagree can make it negative.
        """
        return _worth(self.distribution) - _worth(self.alone)

    def __repr__(self) -> str:
        low, high = self.interval()
        return (
            f"{self.name}: {self.responders} of {self.patients}; response rate {self.mean:.3g} ({low:.3g} to "
            f"{high:.3g}), exchangeable with probability {self.exchangeable:.2g}, borrows {self.borrowed:.1f} patients"
        )


@dataclass(frozen=True, eq=False, repr=False)
class ExchangeableNonexchangeable(Result):
    """Response rates of cohorts, each exchangeable with the others with some probability.

    Attributes
    ----------
    baskets : Baskets
        Data and priors.
    """

    baskets: Baskets

    @cached_property
    def _engine(self) -> BasketQuadrature:
        return BasketQuadrature(self.baskets)

    @cached_property
    def cohorts(self) -> tuple[CohortEstimate, ...]:
        """Every cohort's response rate."""
        data = self.baskets.summaries
        return tuple(
            CohortEstimate(name, int(data.first[k]), int(data.second[k]), self._engine.rate(k), self._engine.alone(k),
                           tuple(self._engine.memberships[:, k].tolist()))
            for k, name in enumerate(data.names)
        )  # fmt: skip

    @cached_property
    def between_cohort_sd(self) -> tuple[Distribution, ...]:
        """Standard deviation of log odds within each exchangeable distribution."""
        return tuple(self._engine.between(h) for h in range(len(self.baskets.sd_priors)))

    def table(self, probability: float = 0.95) -> pd.DataFrame:
        """Cohorts: data, mean, SD and limits of the response rate, exchangeability, patients borrowed.

        Parameters
        ----------
        probability : float
            Inside the equal-tailed credible intervals.
        """
        import pandas as pd

        rows = [(c.responders, c.patients, c.mean, c.sd, *c.interval(probability), c.exchangeable, c.borrowed)
                for c in self.cohorts]  # fmt: skip
        columns = ["responders", "patients", "mean", "sd", "lower", "upper", "exchangeable", "borrowed"]
        return pd.DataFrame(rows, index=[c.name for c in self.cohorts], columns=columns)

    def summary(self) -> str:
        """Say every cohort's rate, one a line."""
        return repr(self)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw mean and 95 % interval of every cohort's response rate."""
        return plot_intervals(self.table(), ax, middle="mean", xlabel="response rate")

    def __repr__(self) -> str:
        said = "".join(f"\n  {cohort!r}" for cohort in self.cohorts)
        return f"EXNEX analysis of {len(self.cohorts)} cohorts (quadrature):{said}"


def exchangeable_nonexchangeable(
    responders: Any,
    patients: Any,
    *,
    probability: Any = 0.5,
    mean_prior: Normal | tuple[Normal, Normal] = Normal(0.0, 2.0),  # noqa: B008 - a frozen value
    sd_prior: SDPrior | tuple[SDPrior, SDPrior] = HalfNormal(1.0),  # noqa: B008
    own_prior: Normal | Sequence[Normal] = Normal(0.0, 2.0),  # noqa: B008
    names: Sequence[str] | None = None,
) -> ExchangeableNonexchangeable:
    r"""Analyse response rates of cohorts that may, or may not, be exchangeable.

    .. math:: \theta_k \sim \sum_h \pi_{kh} N(\mu_h, \tau_h^2) + \pi_{k0} N(m_k, s_k^2)

    Parameters
    ----------
    responders, patients : array_like
        One number a cohort: the tumour types of a basket trial, or the arms of a trial.
    probability : float or array_like
        :math:`\pi`: one number, one a cohort, or with two exchangeable distributions two numbers or shape (cohort, 2).
        1 is a plain hierarchical model, 0 analyses every cohort alone.
    mean_prior : Normal or tuple of Normal
        Of :math:`\mu_h`; a tuple of two makes two exchangeable distributions. See :meth:`Normal.unit_information`.
    sd_prior : SDPrior or tuple of SDPrior
        Of :math:`\tau_h`.
    own_prior : Normal or sequence of Normal
        :math:`N(m_k, s_k^2)`, one for all or one a cohort.
    names : sequence of str, optional
        Of the cohorts.

    Returns
    -------
    ExchangeableNonexchangeable

    Raises
    ------
    SpecificationError
        With every problem, and positions from 1.

    References
    ----------
    Neuenschwander B, Wandel S, Roychoudhury S, Bailey S. Robust exchangeability designs for early phase clinical
    trials with multiple strata. Pharmaceutical Statistics 2016;15:123-134, doi:10.1002/pst.1730.
    """
    return ExchangeableNonexchangeable(Baskets.read(
        responders, patients, names=names, probability=probability, mean_prior=mean_prior, sd_prior=sd_prior,
        own_prior=own_prior,
    ))  # fmt: skip


def _worth(distribution: Distribution) -> float:
    mean = distribution.mean
    return mean * (1 - mean) / distribution.sd**2 - 1
