"""Meta-analysis of summaries: predictive priors of a new trial, combined analyses, and cohorts that may borrow."""

from smm_bayes.borrowing.meta_analysis.analysis import MetaAnalysis
from smm_bayes.borrowing.meta_analysis.basket_model import (
    exchangeable_nonexchangeable_data,
    exchangeable_nonexchangeable_model,
)  # fmt: skip
from smm_bayes.borrowing.meta_analysis.baskets import Baskets
from smm_bayes.borrowing.meta_analysis.exchangeable import ExchangeableNonexchangeable, exchangeable_nonexchangeable
from smm_bayes.borrowing.meta_analysis.make import meta_analytic_combined, meta_analytic_predictive
from smm_bayes.borrowing.meta_analysis.model import meta_analytic_data, meta_analytic_model
from smm_bayes.borrowing.meta_analysis.predictive import MetaAnalyticCombined, MetaAnalyticPredictive
from smm_bayes.priors.normal import Normal, SDPrior
from smm_bayes.priors.spread import Fixed, HalfCauchy, HalfNormal, HalfStudentT, LogNormal, Uniform

__all__ = [
    "Baskets", "ExchangeableNonexchangeable", "Fixed", "HalfCauchy", "HalfNormal", "HalfStudentT", "LogNormal",
    "MetaAnalysis", "MetaAnalyticCombined", "MetaAnalyticPredictive", "Normal", "SDPrior", "Uniform",
    "exchangeable_nonexchangeable", "exchangeable_nonexchangeable_data", "exchangeable_nonexchangeable_model",
    "meta_analytic_combined", "meta_analytic_data", "meta_analytic_model", "meta_analytic_predictive",
]  # fmt: skip
