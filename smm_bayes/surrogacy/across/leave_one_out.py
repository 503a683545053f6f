"""Each trial's hazard ratio predicted from its odds ratio by the other trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.normal import Normal
from smm_bayes.results import Result, plot_intervals, tails
from smm_bayes.surrogacy.across.pairs import TrialPair
from smm_bayes.surrogacy.across.posterior import AcrossTrials
from smm_bayes.surrogacy.across.predictive import Predicted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PROBABILITIES = (0.8, 0.95)
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def wilson_interval(successes: int, trials: int, probability: float = 0.95) -> tuple[float, float]:
    r"""Interval of a proportion by inverting the score test.

    .. math:: \frac{\hat p + z^2/2n \pm z\sqrt{\hat p(1 - \hat p)/n + z^2/4n^2}}{1 + z^2/n}

    References
    ----------
    Wilson EB. Journal of the American Statistical Association 1927;22:209-212.
    """
    z = NormalDist().inv_cdf(0.5 + probability / 2)
    share, extra = successes / trials, z**2 / trials
    half = z * math.sqrt(share * (1 - share) / trials + extra / (4 * trials))
    low, high = ((share + extra / 2 + sign * half) / (1 + extra) for sign in (-1, 1))
    return (0.0 if successes == 0 else low), (1.0 if successes == trials else high)


@dataclass(frozen=True, repr=False)
class LeftOut(Result):
    """Predictions of observed log hazard ratios by the other trials.

    Attributes
    ----------
    trials : tuple of str
    observed : numpy.ndarray, shape (trial,)
        Log hazard ratios.
    median : numpy.ndarray, shape (trial,)
        Of the predictions.
    limits : dict of float to numpy.ndarray, shape (trial, 2)
        Predictive interval of the observed log hazard ratio, by probability.
    tail : numpy.ndarray, shape (trial,)
        Probability, before, of a log hazard ratio at most the observed one: uniform where the model is right.
    """

    trials: tuple[str, ...]
    observed: np.ndarray
    median: np.ndarray
    limits: dict[float, np.ndarray]
    tail: np.ndarray

    def covered(self, probability: float) -> int:
        """How many observed log hazard ratios are within their interval."""
        low, high = self.limits[probability].T
        return int(((low <= self.observed) & (self.observed <= high)).sum())

    def coverage(self) -> pd.DataFrame:
        """Give count, share and Wilson's 95 % interval of the share, one row a probability."""
        import pandas as pd

        size = len(self.trials)
        counts = [self.covered(probability) for probability in self.limits]
        rows = [[count, size, count / size, *wilson_interval(count, size)] for count in counts]
        return pd.DataFrame(rows, index=pd.Index(list(self.limits), name="probability"),
                            columns=["covered", "trials", "share", "lower", "upper"])  # fmt: skip

    def table(self) -> pd.DataFrame:
        """Hazard ratios by trial: observed, predicted median and limits of every probability, tail probability."""
        import pandas as pd

        columns = {"observed": np.exp(self.observed), "median": np.exp(self.median)}
        for probability, limits in self.limits.items():
            percent = f"{100 * probability:g}"
            columns |= {f"lower_{percent}": np.exp(limits[:, 0]), f"upper_{percent}": np.exp(limits[:, 1])}
        return pd.DataFrame(columns | {"tail": self.tail}, index=pd.Index(self.trials, name="trial"))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw every prediction with its widest interval, and what was observed as a cross."""
        low, high = np.exp(self.limits[max(self.limits)]).T
        found = self.table().assign(lower=low, upper=high)
        axes = plot_intervals(found, ax, xlabel="hazard ratio, predicted by the other trials", line=1.0)
        axes.plot(np.exp(self.observed), np.arange(len(self.trials))[::-1], "x", color="black")
        return axes

    def summary(self) -> str:
        """Say how many were covered."""
        said = [f"{self.covered(probability)} of {len(self.trials)} within {100 * probability:g} % (share "
                f"{low:.2f} to {high:.2f})" for probability in self.limits
                for low, high in [wilson_interval(self.covered(probability), len(self.trials))]]  # fmt: skip
        return f"each trial predicted by the others: {', '.join(said)}"

    def __repr__(self) -> str:
        return self.summary()


def leave_one_out(posterior: AcrossTrials, probabilities: tuple[float, ...] = PROBABILITIES) -> LeftOut:
    """Predict every trial's OBSERVED log hazard ratio from its observed log odds ratio by the others.

    The prediction has the errors of both estimates in it, the posterior of the other trials and the residual SD.

    Raises
    ------
    SpecificationError
        For fewer than three trials, and probabilities outside (0, 1).
    """
    pairs = posterior.pairs
    if len(pairs) < 3 or not all(0 < probability < 1 for probability in probabilities):
        raise SpecificationError("leaving one out needs three trials at least and probabilities above 0 and below 1; "
                                 f"found {len(pairs)} trials and probabilities {probabilities}")  # fmt: skip
    chances = np.array([0.5, *(p for probability in probabilities for p in tails(probability))])
    quantiles, below = [], []
    for pair in pairs.items:
        found = _predicted(posterior, pair)
        quantiles.append(found.quantile(chances))
        below.append(float(found.cdf(pair.log_hazard_ratio)))
    table = np.array(quantiles)
    limits = {probability: table[:, 1 + 2 * k : 3 + 2 * k] for k, probability in enumerate(probabilities)}
    return LeftOut(pairs.trials, pairs.log_hazard_ratio, table[:, 0], limits, np.array(below))


def weight_scores(posterior: AcrossTrials, own: Normal, weights: Sequence[float] = WEIGHTS) -> pd.DataFrame:
    r"""Log score of each trial's observed log hazard ratio, under mixtures of the relation and a prior of its own.

    .. math:: \log\{(1 - w)\, N(\hat\theta_P;\ m, v^2 + s_P^2) + w\, p(\hat\theta_P \mid \hat\theta_M,
              \text{the others})\}

    Parameters
    ----------
    posterior : AcrossTrials
    own : Normal
        What would be believed of a trial's log hazard ratio without the relation: N(m, v²).
    weights : sequence of float
        Each w.

    Returns
    -------
    pandas.DataFrame
        A row a trial, the last one their sum; a column a weight.
    """
    import pandas as pd

    share, rows = np.asarray(weights, float), []
    for pair in posterior.pairs.items:
        spread = math.hypot(own.sd, pair.hazard_ratio_se)
        alone = math.exp(float(Normal(own.mean, spread).log_pdf(pair.log_hazard_ratio)))
        related = float(_predicted(posterior, pair).pdf(pair.log_hazard_ratio))
        rows.append(np.log((1 - share) * alone + share * related))
    table = pd.DataFrame(np.array(rows), pd.Index(posterior.pairs.trials, name="trial"), share)
    return pd.concat([table, table.sum().to_frame("all").T])


def _predicted(posterior: AcrossTrials, pair: TrialPair) -> Predicted:
    """Predict a trial's observed log hazard ratio by the other trials."""
    others = replace(posterior, pairs=posterior.pairs.without(pair.trial))
    return others.predict(pair.log_odds_ratio, pair.odds_ratio_se, hazard_ratio_se=pair.hazard_ratio_se)
