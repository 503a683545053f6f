"""Meta-analytic-predictive priors, and the combined analysis they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from smm_bayes.borrowing.meta_analysis.analysis import MetaAnalysis
from smm_bayes.borrowing.meta_analysis.approximation import approximate
from smm_bayes.borrowing.meta_analysis.distribution import Distribution, Wrapped
from smm_bayes.borrowing.meta_analysis.engines import Engine, Quadrature, Sampled
from smm_bayes.borrowing.meta_analysis.model import meta_analytic_model
from smm_bayes.borrowing.meta_analysis.priors import HalfNormal, Normal, SDPrior
from smm_bayes.borrowing.meta_analysis.summaries import Counts, Responses, read_summaries
from smm_bayes.borrowing.mixtures.beta import BetaMixture
from smm_bayes.borrowing.mixtures.gamma import GammaMixture
from smm_bayes.borrowing.mixtures.mixture import Mixture
from smm_bayes.borrowing.mixtures.normal import NormalMixture
from smm_bayes.errors import Problems, SpecificationError

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["quadrature", "mcmc"]


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
        return self.engine.updated(_one(self.analysis, first, second))

    def to_mixture(self, components: int | None = None) -> Mixture:
        """Mixture that approximates the distribution: beta, gamma or normal.

        Parameters
        ----------
        components : int, optional
            Chosen by Bayes' information criterion unless given.
        """
        family: type[Mixture] = {Responses: BetaMixture, Counts: GammaMixture}.get(
            type(self.analysis.summaries), NormalMixture
        )
        return approximate(self.distribution, family, components)

    def to_frame(self) -> pd.DataFrame:
        """Trials, the typical trial and the new one: mean, SD, median and 95 % interval."""
        import pandas as pd

        rows: dict[str, Distribution] = {trial.name: trial for trial in self.trials}
        rows |= {"typical trial": self.typical, self._subject: self}
        table = [(each.mean, each.sd, each.median, *each.interval()) for each in rows.values()]
        return pd.DataFrame(table, index=list(rows), columns=["mean", "sd", "median", "lower", "upper"])

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


def meta_analytic_predictive(
    *,
    responders: Any = None,
    patients: Any = None,
    events: Any = None,
    exposure: Any = None,
    estimates: Any = None,
    standard_errors: Any = None,
    sd_prior: SDPrior | Mapping[str, SDPrior] = HalfNormal(1.0),  # noqa: B008 - a frozen value
    mean_prior: Normal = Normal(0.0, 2.0),  # noqa: B008
    names: Sequence[str] | None = None,
    covariates: Mapping[str, Any] | None = None,
    covariate_prior: Normal | Mapping[str, Normal] | None = None,
    new_covariates: Mapping[str, float] | None = None,
    strata: Sequence[str] | None = None,
    new_stratum: str | None = None,
    method: Method | None = None,
    **sampling: Any,
) -> MetaAnalyticPredictive:
    r"""Prior of a new trial's parameter from summaries of earlier trials.

    .. math:: \theta_1, \dots, \theta_J, \theta^* \sim N(\mu, \tau^2)

    with :math:`r_j \sim \mathrm{Binomial}(n_j, \mathrm{logit}^{-1}\theta_j)`,
    :math:`d_j \sim \mathrm{Poisson}(E_j e^{\theta_j})` or :math:`y_j \sim N(\theta_j, s_j^2)`.

    Parameters
    ----------
    responders, patients : array_like
        One number a trial; or
    events, exposure : array_like
        with rates per unit of exposure; or
    estimates, standard_errors : array_like
    sd_prior : SDPrior, or mapping of str to SDPrior
        Of :math:`\tau`; by stratum if a mapping. The default, half-normal with scale 1, allows the odds (rates) of two
        trials to differ very much, and has its median at substantial heterogeneity.
    mean_prior : Normal
        Of :math:`\mu`, on the line. The default has 95 % of response rates between 0.02 and 0.98; give another one
        for rates far from 1 per unit of exposure, and for estimates that are not log ratios.
    names : sequence of str, optional
        Of the trials.
    covariates : mapping of str to array_like, optional
        One value a trial, by name; :math:`\mu` then is :math:`\mu + x_j^\top\beta`.
    covariate_prior : Normal, or mapping of str to Normal, optional
        Of :math:`\beta`; Normal(0, 2) unless given.
    new_covariates : mapping of str to float, optional
        Of the new trial; 0 unless given.
    strata : sequence of str, optional
        A label a trial; each stratum has its own :math:`\tau`.
    new_stratum : str, optional
        Which stratum the new trial is in.
    method : {"quadrature", "mcmc"}, optional
        Quadrature where it can (one stratum, at most one covariate), PyMC otherwise.
    **sampling
        ``seed``, ``draws``, ``chains`` and so on of :func:`smm_bayes.inference.fit`, for mcmc.

    Returns
    -------
    MetaAnalyticPredictive

    Raises
    ------
    SpecificationError
        With every problem, and positions from 1.

    References
    ----------
    Neuenschwander B, Capkun-Niggli G, Branson M, Spiegelhalter DJ. Summarizing historical information on controls in
    clinical trials. Clinical Trials 2010;7:5-18, doi:10.1177/1740774509356002. Schmidli H et al. Robust meta-analytic-
    predictive priors in clinical trials with historical control information. Biometrics 2014;70:1023-1032,
    doi:10.1111/biom.12242.

    Examples
    --------
    >>> prior = meta_analytic_predictive(responders=[23, 12, 19], patients=[107, 44, 51])
    >>> prior.to_mixture().robustify(0.2).effective_sample_size("elir")  # doctest: +SKIP
    """
    columns = {"responders": responders, "patients": patients, "events": events, "exposure": exposure,
               "estimates": estimates, "standard_errors": standard_errors}  # fmt: skip
    summaries = read_summaries(columns, names, "meta-analysis")
    analysis = MetaAnalysis.read(
        summaries, mean_prior=mean_prior, sd_prior=sd_prior, strata=strata, new_stratum=new_stratum,
        covariates=covariates, covariate_prior=covariate_prior, new_covariates=new_covariates,
    )  # fmt: skip
    return MetaAnalyticPredictive(analysis, _engine(analysis, method, sampling))


def meta_analytic_combined(
    first: float, second: float, *, method: Method | None = None, **settings: Any
) -> MetaAnalyticCombined:
    r"""Analyse a new trial together with earlier ones, in the model of :func:`meta_analytic_predictive`.

    The posterior of :math:`\theta^*` is what updating the predictive prior with the new trial's data gives.

    Parameters
    ----------
    first, second : float
        Of the new trial: responders and patients, events and exposure, or estimate and standard error.
    method : {"quadrature", "mcmc"}, optional
    **settings
        As in :func:`meta_analytic_predictive`: earlier trials and priors.

    Returns
    -------
    MetaAnalyticCombined

    Raises
    ------
    SpecificationError

    References
    ----------
    Schmidli H et al. Biometrics 2014;70:1023-1032, doi:10.1111/biom.12242.
    """
    known = set(meta_analytic_predictive.__kwdefaults__ or {})
    sampling = {name: settings.pop(name) for name in list(settings) if name not in known}
    columns = {name: settings.pop(name, None) for pair in _pairs() for name in pair}
    earlier = read_summaries(columns, settings.pop("names", None), "meta-analysis")
    defaults = {name: meta_analytic_predictive.__kwdefaults__[name] for name in ("mean_prior", "sd_prior")}
    analysis = MetaAnalysis.read(earlier, **{**defaults, **settings})
    both = analysis.with_trial(_one(analysis, first, second))
    return MetaAnalyticCombined(both, _engine(both, method, sampling))


def _pairs() -> list[tuple[str, str]]:
    from smm_bayes.borrowing.meta_analysis.summaries import KINDS

    return list(KINDS)


def _one(analysis: MetaAnalysis, first: float, second: float) -> Any:
    problems = Problems("the new trial", SpecificationError)
    name = "new trial"
    while name in analysis.summaries.names:
        name += "'"
    found = type(analysis.summaries).read(first, second, [name], problems)
    problems.raise_if_any()
    return found


def _engine(analysis: MetaAnalysis, method: Method | None, sampling: dict[str, Any]) -> Engine:
    exact = len(analysis.stratum_names) == 1 and len(analysis.covariates) <= 1
    if method not in (None, "quadrature", "mcmc"):
        raise SpecificationError(f"method must be quadrature or mcmc; got {method!r}")
    if method == "quadrature" and not exact:
        raise SpecificationError(
            f"quadrature is for one stratum and at most one covariate; got {len(analysis.stratum_names)} and "
            f"{len(analysis.covariates)}. Use method='mcmc'"
        )
    if exact and method != "mcmc":
        if sampling:
            raise SpecificationError(f"{', '.join(sampling)}: quadrature takes no such setting; use method='mcmc'")
        return Quadrature(analysis)
    from smm_bayes.inference.sampling import fit

    settings = {"seed": 1, "target_accept": 0.99, "tune": 1000, **sampling}
    return Sampled(analysis, fit(meta_analytic_model(analysis), **settings).require_convergence())
