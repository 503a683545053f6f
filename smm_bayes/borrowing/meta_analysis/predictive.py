"""Meta-analytic-predictive priors, and the combined analysis they stand for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.meta_analysis.analysis import MetaAnalysis
from smm_bayes.borrowing.meta_analysis.approximation import approximate
from smm_bayes.borrowing.meta_analysis.composite import Wrapped
from smm_bayes.borrowing.meta_analysis.distribution import Distribution
from smm_bayes.borrowing.meta_analysis.engines import Engine
from smm_bayes.borrowing.meta_analysis.kinds import Counts, Responses
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures.beta import BetaMixture
from smm_bayes.priors.mixtures.gamma import GammaMixture
from smm_bayes.priors.mixtures.mixture import Mixture
from smm_bayes.priors.mixtures.normal import NormalMixture
from smm_bayes.results import plot_intervals

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

@dataclass(frozen=True, eq=False, repr=False)
class TrialEstimate(Wrapped):
    """Parameter of one trial, shrunken towards the others.

    Attributes
    ----------
    name : str
    data : str
        What was observed.
    estimate : float
        From these data alone, as a response.
    distribution : Distribution
        Posterior, as a response.
    """

    name: str
    data: str
    estimate: float
    distribution: Distribution

    def __repr__(self) -> str:
        low, high = self.interval()
        return f"{self.name}: {self.data}, alone {self.estimate:.3g}; mean {self.mean:.3g} ({low:.3g} to {high:.3g})"


@dataclass(frozen=True, eq=False, repr=False)
class MetaAnalyticPredictive(Wrapped):
    """Parameter of a new trial as earlier trials predict it: a response rate, a rate, or a mean.

    ``mean``, ``sd``, ``quantile``, ``cdf``, ``pdf`` and ``interval`` are on the scale of the response.

    Attributes
    ----------
    analysis : MetaAnalysis
        Data and priors.
    engine : Engine
        What computed it.
    """

    analysis: MetaAnalysis
    engine: Engine

    @cached_property
    def distribution(self) -> Distribution:
        """Distribution of the new trial's parameter."""
        return self.engine.new()

    @property
    def method(self) -> str:
        """``quadrature`` or ``mcmc``."""
        return self.engine.method

    @cached_property
    def between_trial_sd(self) -> Distribution:
        """Standard deviation between trials, on the line; in the new trial's stratum."""
        return self.engine.between(self.analysis.new_stratum)

    @cached_property
    def between_trial_sds(self) -> dict[str, Distribution]:
        """Standard deviation between trials of every stratum."""
        return {name: self.engine.between(name) for name in self.analysis.stratum_names}

    @cached_property
    def typical(self) -> Distribution:
        """Response at the population mean (of trials with the new trial's covariates)."""
        return self.engine.population_mean(response=True)

    @cached_property
    def population_mean(self) -> Distribution:
        """Population mean on the line: a log odds, a log rate or a mean."""
        return self.engine.population_mean(response=False)

    @cached_property
    def trials(self) -> tuple[TrialEstimate, ...]:
        """Every trial's own parameter, given all trials."""
        data = self.analysis.summaries
        alone = data.first if data.KIND == "normal" else data.first / data.second
        return tuple(TrialEstimate(name, data.describe(j), float(alone[j]), self.engine.trial(j))
                     for j, name in enumerate(data.names))  # fmt: skip

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        infinite = [] if np.isfinite(self.sd) else [
            f"the {'SD' if np.isfinite(self.mean) else 'mean'} does not exist under {self.analysis.sd_prior._name()}: "
            "use quantiles, or a prior of the SD between trials with a lighter tail"
        ]  # fmt: skip
        return (*self.analysis.notes(), *infinite)

    def update(self, first: float, second: float) -> Distribution:
        """Posterior of the new trial's parameter after data of its own.

        Parameters
        ----------
        first, second : float
            Responders and patients, events and exposure, or estimate and standard error.

        Raises
        ------
        SpecificationError
            When they are impossible.
        """
        return self.engine.updated(new_trial(self.analysis, first, second))

    def in_stratum(self, name: str) -> MetaAnalyticPredictive:
        """Give the prediction for a new trial in another stratum, from the same posterior.

        Raises
        ------
        SpecificationError
            When there is no such stratum.
        """
        if name not in self.analysis.stratum_names:
            raise SpecificationError(f"no stratum {name!r}; there are {', '.join(self.analysis.stratum_names)}")
        analysis = replace(self.analysis, new_stratum=name)
        return MetaAnalyticPredictive(analysis, self.engine.of(analysis))

    def to_mixture(self, components: int | None = None) -> Mixture:
        """Mixture that approximates the distribution: beta, gamma or normal.

        Parameters
        ----------
        components : int, optional
            Chosen by Bayes' information criterion unless given.
        """
        kinds: dict[Any, Any] = {Responses: BetaMixture, Counts: GammaMixture}
        return approximate(self.distribution, kinds.get(type(self.analysis.summaries), NormalMixture), components)

    def table(self, probability: float = 0.95) -> pd.DataFrame:
        """Trials, the typical trial and the new one: mean, SD, median and the limits that leave out equal tails."""
        import pandas as pd

        rows: dict[str, Distribution] = {trial.name: trial for trial in self.trials}
        rows |= {"typical trial": self.typical, self._subject: self}
        table = [(each.mean, each.sd, each.median, *each.interval(probability)) for each in rows.values()]
        return pd.DataFrame(table, index=list(rows), columns=["mean", "sd", "median", "lower", "upper"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw median and 95 % interval of trials, the typical trial and the new one."""
        return plot_intervals(self.table(), ax, xlabel=self.analysis.summaries.PARAMETER)

    @property
    def _subject(self) -> str:
        return "new trial"

    def __repr__(self) -> str:
        data, spread = self.analysis.summaries, self.between_trial_sd
        at = ", ".join(f"{name} {value:g}" for name, value in self.analysis.new_covariates.items())
        stratum = f" in stratum '{self.analysis.new_stratum}'" if self.analysis.new_stratum else ""
        notes = "".join(f". Note: {note}" for note in self.notes)
        return (
            f"{data.PARAMETER.capitalize()} of a {self._subject}{stratum}{f' with {at}' if at else ''}, from "
            f"{data.total()} ({self.method}): {super().__repr__()}. SD between trials ({data.LINE} scale): {spread!r}. "
            f"Priors: mean {self.analysis.mean_prior._name()}, SD {self.analysis.sd_prior._name()}{notes}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class MetaAnalyticCombined(MetaAnalyticPredictive):
    """Parameter of a new trial from its own data and earlier trials', in one model; the new trial is the last."""

    @cached_property
    def distribution(self) -> Distribution:
        """Posterior of the new trial's parameter."""
        return self.engine.trial(len(self.analysis.summaries) - 1)

    @property
    def _subject(self) -> str:
        data = self.analysis.summaries
        return f"trial with {data.describe(len(data) - 1)} of its own"


def new_trial(analysis: MetaAnalysis, first: float, second: float) -> Any:
    """Check the new trial's own data."""
    problems = Problems("the new trial", SpecificationError)
    name = "new trial"
    while name in analysis.summaries.names:
        name += "'"
    found = type(analysis.summaries).read(first, second, [name], problems)
    problems.raise_if_any()
    return found
