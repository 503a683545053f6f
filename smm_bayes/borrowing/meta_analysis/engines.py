"""Two ways to compute a meta-analysis: exactly by quadrature, and by PyMC."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from smm_bayes.borrowing.meta_analysis.analysis import MetaAnalysis
from smm_bayes.borrowing.meta_analysis.distribution import LINE, Coordinate, Distribution, Known, Tabulated
from smm_bayes.borrowing.meta_analysis.draws import Draws, KernelDraws
from smm_bayes.borrowing.meta_analysis.kinds import Counts, Estimates
from smm_bayes.borrowing.meta_analysis.marginal import log_marginal
from smm_bayes.borrowing.meta_analysis.predict import tabulate, tabulate_mean
from smm_bayes.borrowing.meta_analysis.summaries import Summaries
from smm_bayes.borrowing.meta_analysis.surface import Regression, Surface, explore
from smm_bayes.priors.normal import SDPrior

if TYPE_CHECKING:
    from smm_bayes.inference.sampling import Fit


class Engine(Protocol):
    """What a computed meta-analysis can tell."""

    @property
    def method(self) -> str:
        """Its name."""

    def of(self, analysis: MetaAnalysis) -> Engine:
        """Give the same posterior for another new trial."""

    def new(self) -> Distribution:
        """Parameter of a new trial, on the scale of the response."""

    def population_mean(self, response: bool) -> Distribution:
        """Mean of the population that the new trial is from, on the line or as a response."""

    def between(self, stratum: str) -> Distribution:
        """Standard deviation between trials."""

    def trial(self, at: int) -> Distribution:
        """Parameter of one of the trials, as a response."""

    def updated(self, data: Summaries) -> Distribution:
        """Parameter of the new trial after data of its own."""


def response_coordinate(summaries: Summaries) -> Coordinate:
    """Map from the line to the response."""
    kind = type(summaries)
    return Coordinate(kind.respond, kind.to_line, kind.response_slope)


def existing_moments(summaries: Summaries, prior: SDPrior) -> int:
    r"""How many moments (up to 2) a new trial's parameter is sure to have, on the scale of the response.

    Rates have both. Given the population mean, the marginal likelihood of trials whose likelihood falls on both sides
    is of order :math:`\tau^{-1}` each; exponentials of a normal need :math:`E\exp(k^2\tau^2/2)`.
    """
    if isinstance(summaries, Counts):
        return sum(prior.exponential_moment(k) for k in (1, 2))
    if isinstance(summaries, Estimates):
        return _polynomial_moments(summaries, prior)
    return 2


def _polynomial_moments(summaries: Summaries, prior: SDPrior) -> int:
    return sum(prior.tail + summaries.bounded.sum() > k for k in (1, 2))


@dataclass(frozen=True, eq=False)
class Quadrature:
    """Exact: one stratum, no covariate or one.

    Attributes
    ----------
    analysis : MetaAnalysis
    """

    analysis: MetaAnalysis
    method = "quadrature"

    def of(self, analysis: MetaAnalysis) -> Quadrature:
        return replace(self, analysis=analysis)

    def surface(self, value: float) -> Surface:
        """Posterior of the mean of trials with a value of the covariate, and of the SD."""
        if value not in self._surfaces:
            self._surfaces[value] = self._explore(value)
        return self._surfaces[value]

    @cached_property
    def _surfaces(self) -> dict[float, Surface]:
        return {}

    def _explore(self, value: float) -> Surface:
        analysis = self.analysis
        covariate = next(iter(analysis.covariates.values()), None)
        slope = next(iter(analysis.covariate_priors.values()), None)
        regression = Regression.at(analysis.summaries, analysis.mean_prior, covariate, slope, value)
        order = existing_moments(analysis.summaries, analysis.sd_prior)
        if not isinstance(analysis.summaries, Counts):
            order = 0

        def tilt(sd: np.ndarray) -> np.ndarray:
            return np.log1p(sd**2) + order**2 * sd**2 / 2

        return explore(regression, analysis.sd_prior, tilt)

    @cached_property
    def _new_surface(self) -> Surface:
        return self.surface(float(self.analysis.new_row.sum()))

    @property
    def _coordinate(self) -> Coordinate:
        return response_coordinate(self.analysis.summaries)

    def new(self) -> Distribution:
        moments = self._moments(self._new_surface)
        return tabulate(self._new_surface, self._coordinate, moments=moments)

    def _moments(self, surface: Surface) -> tuple[float, float] | None:
        """Mean and SD of a new rate or mean in closed form given the surface; infinite where they do not exist."""
        summaries = self.analysis.summaries
        exist = existing_moments(summaries, self.analysis.sd_prior)
        joint, sd = surface.joint, surface.sd[:, None]
        if isinstance(summaries, Counts):
            first, second = (
                float((joint * np.exp(np.minimum(k * surface.mean + k**2 * sd**2 / 2, 700))).sum()) for k in (1, 2)
            )
        elif isinstance(summaries, Estimates):
            first = float((joint * surface.mean).sum())
            second = float((joint * (surface.mean**2 + sd**2)).sum())
        else:
            return None
        spread = float(np.sqrt(max(second - first**2, 0))) if exist == 2 else np.inf
        return (first if exist else np.inf), spread

    def population_mean(self, response: bool) -> Distribution:
        return tabulate_mean(self._new_surface, self._coordinate if response else LINE)

    def between(self, stratum: str) -> Distribution:
        found = self._new_surface.between
        exist = _polynomial_moments(self.analysis.summaries, self.analysis.sd_prior)
        if isinstance(found, Known) or exist == 2:
            return found
        assert isinstance(found, Tabulated)
        return Tabulated(found.cuts, found.density, found.coordinate, (found.mean if exist else np.inf, np.inf))

    def trial(self, at: int) -> Distribution:
        analysis = self.analysis
        own = analysis.summaries.take([at])
        surface = self.surface(float(analysis.matrix[at].sum()))
        known = log_marginal(own, surface.mean[..., None], surface.sd[:, None, None])[..., 0]
        return tabulate(surface, self._coordinate, lambda theta: own.log_likelihood(theta[:, None])[:, 0], -known)

    def updated(self, data: Summaries) -> Distribution:
        return tabulate(self._new_surface, self._coordinate, lambda theta: data.log_likelihood(theta[:, None])[:, 0])


@dataclass(frozen=True, eq=False)
class Sampled:
    """From a fit of the PyMC model.

    Attributes
    ----------
    analysis : MetaAnalysis
    fit : Fit
    """

    analysis: MetaAnalysis
    fit: Fit
    method = "mcmc"

    def of(self, analysis: MetaAnalysis) -> Sampled:
        return replace(self, analysis=analysis)

    @property
    def _coordinate(self) -> Coordinate:
        return response_coordinate(self.analysis.summaries)

    @cached_property
    def _mean(self) -> np.ndarray:
        posterior = self.fit.posterior
        mean = posterior["mean"].values
        if self.analysis.covariates:
            mean = mean + posterior["coefficient"].values @ self.analysis.new_row
        return mean

    def _sd(self, stratum: str) -> np.ndarray:
        return self.fit.posterior["between_trial_sd"].values[..., self.analysis.stratum_names.index(stratum)]

    def new(self) -> Distribution:
        exist = existing_moments(self.analysis.summaries, self.analysis.sd_prior)
        return KernelDraws(self._mean, self._sd(self.analysis.new_stratum), self._coordinate, exist)

    def population_mean(self, response: bool) -> Distribution:
        return Draws(self._mean, self._coordinate if response else LINE)

    def between(self, stratum: str) -> Distribution:
        draws = self._sd(stratum)
        return Known(float(draws.flat[0])) if np.ptp(draws) == 0 else Draws(draws, LINE)

    def trial(self, at: int) -> Distribution:
        return Draws(self.fit.posterior["trial_parameter"].values[..., at], self._coordinate)

    def updated(self, data: Summaries) -> Distribution:
        found = self.new()
        assert isinstance(found, KernelDraws)
        return found.tabulated(lambda theta: data.log_likelihood(theta[:, None])[:, 0])
