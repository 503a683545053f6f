"""Piecewise-constant hazards: time grid, events and exposure, distribution, PyMC model, estimands."""

from smm_bayes.priors.clinical import BaselinePrior, HazardRatioPrior, SmoothnessPrior, SpreadPrior
from smm_bayes.survival.check import FitCheck, check_fit
from smm_bayes.survival.cross_validation import Comparison, CrossValidation, compare, loo
from smm_bayes.survival.cure import Cure, cure_data, cure_law, cure_log_likelihood, cure_model
from smm_bayes.survival.cure_priors import CuredPrior, CurePriors, LateHazardPrior, OddsRatioPrior
from smm_bayes.survival.cure_summary import cure_summary
from smm_bayes.survival.cure_table import CureTable
from smm_bayes.survival.effects import Proportional, Separate, Varying, Waning
from smm_bayes.survival.estimands import Estimands, follow_up_horizon
from smm_bayes.survival.exact import exact_fit
from smm_bayes.survival.gamma import GammaHazards
from smm_bayes.survival.grid import EventTable, TimeGrid
from smm_bayes.survival.law import Law
from smm_bayes.survival.likelihood import log_likelihood, maximum_likelihood, patient_log_likelihood
from smm_bayes.survival.model import model_data, piecewise_exponential_model
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors
from smm_bayes.survival.one_trial import OneTrial
from smm_bayes.survival.patterns import PatternTable
from smm_bayes.survival.piecewise import PiecewiseExponential, cumulative_incidence
from smm_bayes.survival.regression import Regression, regression_data, regression_law, regression_model
from smm_bayes.survival.regression_priors import CovariatePrior, RegressionPriors
from smm_bayes.survival.replicated import PredictiveCheck
from smm_bayes.survival.schedule import FoundAtVisits, VisitSchedule
from smm_bayes.survival.subgroups import subgroup_table
from smm_bayes.survival.summary import labelled, summarise, summarise_median
from smm_bayes.survival.visits import VisitTable, visits_log_likelihood
from smm_bayes.survival.visits_model import Visits, visits_data, visits_model

__all__ = [
    "BaselinePrior", "Comparison", "CovariatePrior", "CrossValidation", "Cure", "CurePriors", "CureTable", "CuredPrior",
    "Estimands", "EventTable", "FitCheck", "FoundAtVisits", "GammaHazards", "GammaPrior", "HazardRatioPrior",
    "LateHazardPrior", "Law", "OddsRatioPrior", "OneTrial", "PatternTable", "PiecewiseExponential", "PredictiveCheck",
    "Proportional", "Regression", "RegressionPriors", "Separate", "SmoothnessPrior", "SpreadPrior", "SurvivalPriors",
    "TimeGrid", "Varying", "VisitSchedule", "VisitTable", "Visits", "Waning", "check_fit", "compare",
    "cumulative_incidence", "cure_data", "cure_law", "cure_log_likelihood", "cure_model", "cure_summary", "exact_fit",
    "follow_up_horizon", "labelled", "log_likelihood", "loo", "maximum_likelihood", "model_data",
    "patient_log_likelihood", "piecewise_exponential_model", "regression_data", "regression_law", "regression_model",
    "subgroup_table", "summarise", "summarise_median", "visits_data", "visits_log_likelihood", "visits_model",
]  # fmt: skip
