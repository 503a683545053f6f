"""Meta-analysis of summaries: predictive priors of a new trial, combined analyses, and baskets."""

from smm_bayes.borrowing.meta_analysis.analysis import MetaAnalysis
from smm_bayes.borrowing.meta_analysis.model import meta_analytic_data, meta_analytic_model
from smm_bayes.borrowing.meta_analysis.predictive import (
    MetaAnalyticCombined, MetaAnalyticPredictive, meta_analytic_combined, meta_analytic_predictive,
)  # fmt: skip
from smm_bayes.borrowing.meta_analysis.priors import (
    Fixed, HalfCauchy, HalfNormal, HalfStudentT, LogNormal, Normal, SDPrior, Uniform,
)  # fmt: skip

__all__ = [
    "Fixed", "HalfCauchy", "HalfNormal", "HalfStudentT", "LogNormal", "MetaAnalysis", "MetaAnalyticCombined",
    "MetaAnalyticPredictive", "Normal", "SDPrior", "Uniform", "meta_analytic_combined", "meta_analytic_data",
    "meta_analytic_model", "meta_analytic_predictive",
]  # fmt: skip
