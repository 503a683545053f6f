"""What a regression across trials says: slope, R squared, surrogate threshold effect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes import markup
from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy.across.posterior import AcrossTrials
from smm_bayes.surrogacy.across.quadrature import Draws

if TYPE_CHECKING:
    import pandas as pd

LARGEST = math.log(1000)  # log odds ratio beyond which no threshold is looked for
POINTS = 2001


def r_squared(slope: np.ndarray, spread: np.ndarray | float, residual_sd: np.ndarray) -> np.ndarray:
    r"""Share of the variance of effects that the relation explains, :math:`b^2\tau^2 / (b^2\tau^2 + \psi^2)`."""
    explained = np.square(slope) * np.square(spread)
    return explained / np.maximum(explained + np.square(residual_sd), 1e-300)


def thresholds(
    intercept: np.ndarray, slope: np.ndarray, residual_sd: np.ndarray, probability: float = 0.975
) -> np.ndarray:
    r"""Surrogate threshold effect of known parameters, :math:`-(a + z\psi)/b`; infinite where b is not below 0.

    Parameters
    ----------
    intercept, slope, residual_sd : numpy.ndarray
    probability : float
        That the new trial's log hazard ratio is below 0; 0.975 gives z = 1.96, the two-sided 95 % limit in use.

    References
    ----------
    Burzykowski T, Buyse M. Pharmaceutical Statistics 2006;5:173-186, doi:10.1002/pst.207.
    """
    from scipy.special import ndtri

    below = slope < 0
    return np.where(below, -(intercept + ndtri(probability) * residual_sd) / np.where(below, slope, -1.0), np.inf)


def predictive_threshold(posterior: AcrossTrials, probability: float = 0.975) -> tuple[float, float]:
    """Log odds ratios, 0 or more, at which a new trial's hazard ratio is below 1 with this probability: from and to.

    The probability is over the posterior, and of a trial whose log odds ratio is known. The first end is the threshold,
    infinite where no odds ratio up to 1000 suffices. The second is finite where a larger effect on negativity no
    longer suffices: far from the trials' own odds ratios the error of the slope decides.
    """
    grid = np.linspace(0.0, LARGEST, POINTS)
    enough = posterior.probability_of_benefit(grid) >= probability
    if not enough.any():
        return math.inf, math.inf
    first = int(np.argmax(enough))
    after = np.flatnonzero(~enough[first:])
    low = 0.0 if first == 0 else _crossing(posterior, probability, grid[first - 1], grid[first])
    if not after.size:
        return low, math.inf
    last = first + int(after[0])
    return low, _crossing(posterior, probability, grid[last], grid[last - 1])


def _crossing(posterior: AcrossTrials, probability: float, outside: float, inside: float) -> float:
    """Halve an interval with the crossing in it; give the end where the probability is reached."""
    for _ in range(50):
        middle = (outside + inside) / 2
        if float(posterior.probability_of_benefit(middle)) >= probability:
            inside = middle
        else:
            outside = middle
    return float(inside)


@dataclass(frozen=True, eq=False, repr=False)
class AcrossSummary:
    """Posterior of what is reported of a regression across trials.

    Attributes
    ----------
    posterior : AcrossTrials
    draws : Draws
    r_squared : numpy.ndarray, shape (draw,)
    spread_of : str
        Whose spread of log odds ratios the R squared is with.
    threshold : numpy.ndarray, shape (draw,)
        Surrogate threshold effect on the log odds ratio; infinite where the slope is not negative.
    predictive_threshold : (float, float)
        The same over the posterior, and the log odds ratio from which an effect is again too uncertain.
    probability : float
        That a trial at the threshold has a hazard ratio below 1.
    """

    posterior: AcrossTrials
    draws: Draws
    r_squared: np.ndarray
    spread_of: str
    threshold: np.ndarray
    predictive_threshold: tuple[float, float]
    probability: float

    @property
    def negative_slope(self) -> float:
        """Posterior probability that the slope is negative: that there is a finite threshold."""
        return float((self.draws.slope < 0).mean())

    @property
    def positive_threshold(self) -> float:
        """Posterior probability that the threshold is finite and an odds ratio above 1."""
        return float((np.isfinite(self.threshold) & (self.threshold > 0)).mean())

    def table(self) -> pd.DataFrame:
        """Posterior medians and 95 % intervals, one row a quantity; thresholds are log odds ratios."""
        import pandas as pd

        rows = {"slope": self.draws.slope, "intercept": self.draws.intercept, "residual SD": self.draws.residual_sd}
        if self.posterior.is_bivariate:
            rows |= {"mean log odds ratio": self.draws.mean, "spread of log odds ratios": self.draws.spread}
        rows |= {"R squared": self.r_squared, "threshold": self.threshold}
        found = {name: np.quantile(values, [0.5, 0.025, 0.975], method="inverted_cdf") for name, values in rows.items()}
        return pd.DataFrame.from_dict(found, orient="index", columns=["median", "lower", "upper"])

    def words(self) -> str:
        """Say it in sentences."""
        table = self.table()
        slope, share, residual = (table.loc[name] for name in ("slope", "R squared", "residual SD"))
        low, high = (math.exp(limit) if math.isfinite(limit) else math.inf for limit in self.predictive_threshold)
        if math.isinf(low):
            reached = "no odds ratio up to 1000 predicts a hazard ratio below 1"
        else:
            where = f"from {low:.3g} on" if math.isinf(high) else f"from {low:.3g} to {high:.3g}, not beyond,"
            reached = f"odds ratios {where} predict a new trial's hazard ratio below 1"
        return (
            f"{len(self.posterior.pairs)} trials. Slope {slope['median']:.2f} (95 % {slope['lower']:.2f} to "
            f"{slope['upper']:.2f}), negative with probability {self.negative_slope:.2f}. R squared with the spread of "
            f"{self.spread_of} {share['median']:.2f} ({share['lower']:.2f} to {share['upper']:.2f}). "
            f"Residual SD {residual['median']:.2f} ({residual['lower']:.2f} to {residual['upper']:.2f}). Over the "
            f"posterior {reached} with probability {self.probability:g}."
        )

    def __repr__(self) -> str:
        """Say it in sentences."""
        return self.words()

    def _repr_html_(self) -> str:
        return markup.paragraph(self.words()) + markup.frame(self.table())


def summarise(
    posterior: AcrossTrials, draws: int = 4000, *, rng: np.random.Generator, probability: float = 0.975
) -> AcrossSummary:
    r"""Summarise a regression across trials.

    R squared is with :math:`\tau` of each draw in the bivariate form. The other form has no distribution of effects on
    negativity: there it is with the spread of these trials by the method of moments, as if it were known.

    Raises
    ------
    SpecificationError
        For a probability outside (0, 1).
    """
    if not 0 < probability < 1:
        raise SpecificationError(f"the probability of a threshold must be above 0 and below 1; found {probability}")
    found = posterior.draws(draws, rng=rng)
    spread = found.spread if posterior.is_bivariate else np.full(draws, posterior.pairs.spread)
    of = "all such trials" if posterior.is_bivariate else "these trials by the method of moments"
    return AcrossSummary(
        posterior, found, r_squared(found.slope, spread, found.residual_sd), of,
        thresholds(found.intercept, found.slope, found.residual_sd, probability),
        predictive_threshold(posterior, probability), probability,
    )  # fmt: skip
