"""Hazards after a landmark by arm and MRD status at the landmark: the regression model of the survival room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy.within.landmark import COVARIATE, Landmark
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.survival.patterns import PatternTable
from smm_bayes.survival.regression import regression_model
from smm_bayes.survival.regression_priors import CovariatePrior, RegressionPriors
from smm_bayes.survival.summary import SAMPLE, as_frame, monte_carlo_error, summarise

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm
    import xarray as xr

MRD_PRIOR = CovariatePrior(1.0, 5.0)


def landmark_regression(
    landmark: Landmark, grid: TimeGrid, priors: SurvivalPriors, mrd: CovariatePrior = MRD_PRIOR
) -> tuple[PatternTable, RegressionPriors]:
    """Table and priors of the regression on arm and MRD status, as the functions of the regression model take them.

    ``regression_data(*landmark_regression(...))`` refits a compiled model, to patients in as many of the patterns of
    arm and status.

    Parameters
    ----------
    landmark : Landmark
        With known statuses only.
    grid : TimeGrid
        Months from the landmark.
    priors : SurvivalPriors
        Of the hazard from the landmark on among patients not MRD-negative, and of the effect of treatment given status.
    mrd : CovariatePrior
        Of the hazard ratio of MRD-negative over not; by default 95 % between 1/5 and 5, favouring neither.

    Raises
    ------
    SpecificationError
        When a status is unknown or the patients share one, so that there is nothing to compare.
    """
    if len(np.unique(landmark.negative)) < 2:
        raise SpecificationError(f"all patients have the same MRD status at month {landmark.month:g}; choose another "
                                 "landmark")  # fmt: skip
    table = PatternTable.of(landmark.patients, grid, covariates=(COVARIATE,))
    return table, RegressionPriors(priors, {COVARIATE: mrd})


def landmark_model(
    landmark: Landmark, grid: TimeGrid, priors: SurvivalPriors, mrd: CovariatePrior = MRD_PRIOR
) -> pm.Model:
    r"""Build the regression of hazards after the landmark v on arm and MRD status Z at v.

    For a patient event-free at v in arm a (:math:`x_a = 1` experimental), cause c, and interval j of the time since v,

    .. math:: \log\lambda_{cj} = h_{cj} + \theta_{cj} x_a + \beta_c Z,

    which is :func:`~smm_bayes.survival.regression.regression_model` with one covariate: :math:`\beta_c` is
    ``covariate_effect``. It is an association among those event-free at v, not an effect of MRD; and
    :math:`\theta` compares arms among patients selected after randomisation.

    Parameters
    ----------
    landmark, grid, priors, mrd
        As in :func:`landmark_regression`.
    """
    return regression_model(*landmark_regression(landmark, grid, priors, mrd))


def landmark_hazard_ratio(posterior: xr.Dataset, probability: float = 0.95) -> pd.DataFrame:
    """Posterior hazard ratio of MRD-negative over not, one row a cause.

    Parameters
    ----------
    posterior : xarray.Dataset
        Of :func:`landmark_model`.
    probability : float
        Probability inside the credible intervals.

    Returns
    -------
    pandas.DataFrame
        ``median``, ``lower``, ``upper``, ``mcse`` of the median; ``probability`` that it is below 1 with its Monte
        Carlo error ``probability_mcse``.
    """
    effect = posterior["covariate_effect"].sel(covariate=COVARIATE, drop=True)
    draws = effect.copy(data=np.exp(effect.values))
    below = (draws < 1).astype(float)
    more = {"probability": below.mean(SAMPLE), "probability_mcse": monte_carlo_error(below, "mean")}
    return summarise(draws, probability).join(as_frame(more, draws))
