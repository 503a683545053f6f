"""Priors of a regression of trials' effects, stated by their consequence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.normal import Normal, SDPrior
from smm_bayes.priors.spread import HalfNormal


@dataclass(frozen=True)
class AcrossPriors:
    r"""Priors of :math:`\theta_{Pi} \sim N(a + b\theta_{Mi}, \psi^2)`, :math:`\theta_{Mi} \sim N(\mu, \tau^2)`.

    Attributes
    ----------
    intercept : Normal
        Of a, the log hazard ratio of a trial without an effect on negativity.
    slope : Normal
        Of b, log hazard ratio per unit of log odds ratio.
    residual_sd : SDPrior
        Of :math:`\psi`.
    mean : Normal
        Of :math:`\mu`, the mean log odds ratio of trials; unused in the Daniels-Hughes form.
    spread : SDPrior
        Of :math:`\tau`; unused in the Daniels-Hughes form.
    """

    intercept: Normal = field(default_factory=lambda: Normal(0.0, 0.5))
    slope: Normal = field(default_factory=lambda: Normal(0.0, 1.0))
    residual_sd: SDPrior = field(default_factory=lambda: HalfNormal(0.25))
    mean: Normal = field(default_factory=lambda: Normal(0.0, 1.0))
    spread: SDPrior = field(default_factory=lambda: HalfNormal(0.75))

    def __post_init__(self) -> None:
        """Refuse what is no prior."""
        with Problems("priors across trials", SpecificationError).collecting() as problems:
            for name in ("intercept", "slope", "mean"):
                if not isinstance(getattr(self, name), Normal):
                    problems.add(f"{name} must be a Normal; found {getattr(self, name)!r}")
            for name in ("residual_sd", "spread"):
                if not isinstance(getattr(self, name), SDPrior):
                    problems.add(f"{name} must be a prior of a standard deviation; found {getattr(self, name)!r}")

    def statements(self, *, bivariate: bool = True) -> dict[str, str]:
        """Every prior in words, by what it makes of ratios."""
        within = math.exp(1.96 * float(self.residual_sd.quantile(0.5)))
        widest = math.exp(min(1.96 * float(self.residual_sd.quantile(0.95)), 700))
        doubled = [math.exp(math.log(2) * limit) for limit in _limits(self.slope)]
        said = {
            "intercept": f"{_ratios('hazard ratios', self.intercept)} in trials with equal odds of negativity",
            "slope": f"doubling the odds of negativity multiplies the hazard of progression by {doubled[0]:.2g} to "
                     f"{doubled[1]:.2g} (95 %)",
            "residual SD": f"95 % of trials have a hazard ratio within {within:.2g}-fold of the line's (median), at "
                           f"most {widest:.2g}-fold (95 %)",
        }  # fmt: skip
        if bivariate:
            middle = math.exp(1.96 * float(self.spread.quantile(0.5)))
            said["mean of log odds ratios"] = f"{_ratios('typical odds ratios', self.mean)}"
            said["spread of log odds ratios"] = f"95 % of trials' odds ratios within {middle:.2g}-fold of it (median)"
        return said

    def sample(self, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw every parameter, shape (draw,), by the names of the PyMC model."""
        names = ("intercept", "slope", "residual_sd", "mean", "spread")
        return {name: getattr(self, name).sample(draws, rng=rng) for name in names}

    def hazard_ratios(self, log_odds_ratio: np.ndarray, draws: int = 4000, *, rng: np.random.Generator) -> np.ndarray:
        r"""Draw hazard ratios of new trials from the prior, :math:`\exp N(a + b\theta_M, \psi^2)`.

        Parameters
        ----------
        log_odds_ratio : numpy.ndarray, shape (point,)
            Effects on negativity, taken as known.
        draws : int
        rng : numpy.random.Generator

        Returns
        -------
        numpy.ndarray, shape (draw, point)
            Points of one draw share its line and its residual.
        """
        drawn = self.sample(draws, rng=rng)
        residual = drawn["residual_sd"] * rng.standard_normal(draws)
        along = drawn["slope"][:, None] * np.asarray(log_odds_ratio, float)
        return np.exp((drawn["intercept"] + residual)[:, None] + along)


def _limits(prior: Normal) -> tuple[float, float]:
    return float(prior.quantile(0.025)), float(prior.quantile(0.975))


def _ratios(what: str, prior: Normal) -> str:
    low, high = (math.exp(min(limit, 700)) for limit in _limits(prior))
    return f"95 % of {what} between {low:.2g} and {high:.2g}, median {math.exp(prior.mean):.2g}"
