"""Functions that make meta-analytic-predictive priors and combined analyses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from smm_bayes.borrowing.meta_analysis.analysis import MetaAnalysis
from smm_bayes.borrowing.meta_analysis.engines import Engine, Quadrature, Sampled
from smm_bayes.borrowing.meta_analysis.kinds import KINDS, read_summaries
from smm_bayes.borrowing.meta_analysis.model import meta_analytic_model
from smm_bayes.borrowing.meta_analysis.predictive import MetaAnalyticCombined, MetaAnalyticPredictive, new_trial
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.normal import Normal, SDPrior
from smm_bayes.priors.spread import HalfNormal

Method = Literal["quadrature", "mcmc"]


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
    >>> import smm_bayes as smm
    >>> prior = smm.meta_analytic_predictive(responders=[23, 12, 19], patients=[107, 44, 51])
    >>> prior.table().round(2)
                   mean    sd  median  lower  upper
    trial 1        0.23  0.04    0.23   0.16   0.31
    trial 2        0.28  0.05    0.27   0.17   0.39
    trial 3        0.33  0.06    0.33   0.23   0.47
    typical trial  0.29  0.08    0.28   0.16   0.48
    new trial      0.30  0.14    0.28   0.08   0.67
    >>> mixture = prior.to_mixture(2).robustify(0.2)
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
    known: dict[str, Any] = meta_analytic_predictive.__kwdefaults__ or {}
    sampling = {name: settings.pop(name) for name in list(settings) if name not in known}
    columns = {name: settings.pop(name, None) for pair in KINDS for name in pair}
    earlier = read_summaries(columns, settings.pop("names", None), "meta-analysis")
    defaults = {name: known[name] for name in ("mean_prior", "sd_prior")}
    analysis = MetaAnalysis.read(earlier, **{**defaults, **settings})
    both = analysis.with_trial(new_trial(analysis, first, second))
    return MetaAnalyticCombined(both, _engine(both, method, sampling))


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
