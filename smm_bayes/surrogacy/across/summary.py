"""What a regression across trials says: slope, R squared, surrogate threshold effect."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
PRIOR_SEED, PRIOR_DRAWS = 20261128, 100_000
QUANTILES = {"median": 0.5, "lower": 0.025, "upper": 0.975}


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
    """Posterior of what is reported of a regression across trials, beside its prior.

    R squared and threshold are functions of parameters, each with a prior of its own: what these priors say of them
    together was stated by nobody, and with few trials it is much of the posterior.

    Attributes
    ----------
    posterior : AcrossTrials
    draws : Draws
    prior : mapping of str to numpy.ndarray
        Draws of every quantity of the table from the prior.
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
    prior: Mapping[str, np.ndarray]
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
        return _above_one(self.threshold)

    def quantities(self) -> dict[str, np.ndarray]:
        """Posterior draws of what the table is of."""
        found = self.draws
        return _quantities(self.posterior.is_bivariate, vars(found), self.r_squared, self.threshold)

    def table(self) -> pd.DataFrame:
        """Medians and 95 % intervals of posterior and prior, one row a quantity; thresholds are log odds ratios."""
        import pandas as pd

        rows = {name: [*_limits(values), *_limits(self.prior[name])] for name, values in self.quantities().items()}
        columns = [*QUANTILES, *(f"prior_{name}" for name in QUANTILES)]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)

    def probabilities(self) -> pd.DataFrame:
        """Probability of what is decided by it, in the posterior and the prior."""
        import pandas as pd

        before = self.prior
        rows = {
            "the slope is negative: a threshold exists": [self.negative_slope, _mean(before["slope"] < 0)],
            "the threshold is an odds ratio above 1": [self.positive_threshold, _above_one(before["threshold"])],
            "R squared above 0.5": [_mean(values > 0.5) for values in (self.r_squared, before["R squared"])],
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=["posterior", "prior"])

    def summary(self) -> str:
        """Say it in sentences."""
        table, chance = self.table(), self.probabilities()
        slope, share, residual = (table.loc[name] for name in ("slope", "R squared", "residual SD"))
        exists = chance.loc["the slope is negative: a threshold exists"]
        low, high = (math.exp(limit) if math.isfinite(limit) else math.inf for limit in self.predictive_threshold)
        if math.isinf(low):
            reached = "no odds ratio up to 1000 predicts a hazard ratio below 1"
        else:
            where = f"from {low:.3g} on" if math.isinf(high) else f"from {low:.3g} to {high:.3g}, not beyond,"
            reached = f"odds ratios {where} predict a new trial's hazard ratio below 1"
        return (
            f"{len(self.posterior.pairs)} trials. Slope {slope['median']:.2f} (95 % {slope['lower']:.2f} to "
            f"{slope['upper']:.2f}), negative, so that a threshold exists, with probability {exists['posterior']:.2f} "
            f"(prior {exists['prior']:.2f}). R squared with the spread of {self.spread_of} {share['median']:.2f} "
            f"({share['lower']:.2f} to {share['upper']:.2f}; prior {share['prior_median']:.2f}, "
            f"{share['prior_lower']:.2f} to {share['prior_upper']:.2f}). "
            f"Residual SD {residual['median']:.2f} ({residual['lower']:.2f} to {residual['upper']:.2f}). Over the "
            f"posterior {reached} with probability {self.probability:g}."
        )

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return markup.paragraph(self.summary()) + markup.frame(self.table()) + markup.frame(self.probabilities())


def _quantities(
    bivariate: bool, drawn: Mapping[str, np.ndarray], shares: np.ndarray, threshold: np.ndarray
) -> dict[str, np.ndarray]:  # fmt: skip
    rows = {"slope": drawn["slope"], "intercept": drawn["intercept"], "residual SD": drawn["residual_sd"]}
    if bivariate:
        rows |= {"mean log odds ratio": drawn["mean"], "spread of log odds ratios": drawn["spread"]}
    return rows | {"R squared": shares, "threshold": threshold}


def _limits(values: np.ndarray) -> list[float]:
    return np.quantile(values, list(QUANTILES.values()), method="inverted_cdf").tolist()


def _mean(which: np.ndarray) -> float:
    return float(which.mean())


def _above_one(threshold: np.ndarray) -> float:
    return _mean(np.isfinite(threshold) & (threshold > 0))


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
    found, bivariate = posterior.draws(draws, rng=rng), posterior.is_bivariate
    drawn = posterior.priors.sample(PRIOR_DRAWS, rng=np.random.default_rng(PRIOR_SEED))
    spread, before = (one if bivariate else np.full(len(one), posterior.pairs.spread)
                      for one in (found.spread, drawn["spread"]))  # fmt: skip
    reached = thresholds(drawn["intercept"], drawn["slope"], drawn["residual_sd"], probability)
    prior = _quantities(bivariate, drawn, r_squared(drawn["slope"], before, drawn["residual_sd"]), reached)
    of = "all such trials" if posterior.is_bivariate else "these trials by the method of moments"
    return AcrossSummary(
        posterior, found, prior, r_squared(found.slope, spread, found.residual_sd), of,
        thresholds(found.intercept, found.slope, found.residual_sd, probability),
        predictive_threshold(posterior, probability), probability,
    )  # fmt: skip
