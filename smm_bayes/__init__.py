"""Bayesian interim monitoring for trials in high-risk smoldering multiple myeloma.

``import smm_bayes as smm``: what an analysis needs by name is here, and is loaded when it is used.
"""

from importlib import import_module
from typing import Any

from smm_bayes.compiling import find_a_home

__version__ = "0.1.0"

find_a_home()

# name: module and attribute; the modules are those of the rooms, which offer more
_NAMES = {
    # patients
    "read_patients": "trial.readers:read_frame",
    "read_adtte": "trial.readers:read_adtte",
    "Patients": "trial.patients:Patients",
    "MrdAssessments": "trial.mrd:MrdAssessments",
    "Courses": "trial.courses:Courses",
    "Endpoint": "trial.endpoints:Endpoint",
    "cut": "trial.shortcuts:cut",
    "kaplan_meier": "trial.shortcuts:kaplan_meier",
    "TimeGrid": "survival.grid:TimeGrid",
    "EventTable": "survival.grid:EventTable",
    # priors, by their consequence
    "BaselinePrior": "priors.clinical:BaselinePrior",
    "HazardRatioPrior": "priors.clinical:HazardRatioPrior",
    "SmoothnessPrior": "priors.clinical:SmoothnessPrior",
    "SpreadPrior": "priors.clinical:SpreadPrior",
    "SurvivalPriors": "survival.model_priors:SurvivalPriors",
    "GammaPrior": "survival.model_priors:GammaPrior",
    # models
    "OneTrial": "survival.one_trial:OneTrial",
    "Regression": "survival.regression:Regression",
    "RegressionPriors": "survival.regression_priors:RegressionPriors",
    "CovariatePrior": "survival.regression_priors:CovariatePrior",
    "Cure": "survival.cure:Cure",
    "CurePriors": "survival.cure_priors:CurePriors",
    "CuredPrior": "survival.cure_priors:CuredPrior",
    "LateHazardPrior": "survival.cure_priors:LateHazardPrior",
    "Visits": "survival.visits_model:Visits",
    "VisitSchedule": "survival.schedule:VisitSchedule",
    "Law": "survival.law:Law",
    # fits
    "fit": "inference.sampling:fit",
    "Fit": "inference.fitted:Fit",
    "check_fit": "survival.check:check_fit",
    "loo": "survival.cross_validation:loo",
    "compare": "survival.cross_validation:compare",
    # estimands
    "Estimands": "survival.estimands:Estimands",
    # evidence, priors made of it, exact designs
    "load_facts": "evidence.facts:load_facts",
    "meta_analytic_predictive": "borrowing.meta_analysis.make:meta_analytic_predictive",
    "BetaMixture": "priors.mixtures.beta:BetaMixture",
    "NormalMixture": "priors.mixtures.normal:NormalMixture",
    "effective_sample_size": "priors.mixtures.effective_sample_size:effective_sample_size",
    "OneSampleDesign": "response.exact.designs:OneSampleDesign",
    "TwoSampleDesign": "response.exact.designs:TwoSampleDesign",
    # prediction
    "FinalAnalysis": "prediction.final:FinalAnalysis",
    "Enrolment": "prediction.final:Enrolment",
    "Future": "prediction.future:Future",
    "LogRank": "prediction.success:LogRank",
    "EventCount": "prediction.success:EventCount",
    "HazardRatioProbability": "prediction.success:HazardRatioProbability",
    "probability_of_success": "prediction.probability:probability_of_success",
    # pre-specified analyses, and forecasts on record
    "read_inputs": "analysis.interim:read_inputs",
    "run_interim": "analysis.interim:run_interim",
    "open_interim": "analysis.outputs:open_interim",
    "freeze": "analysis.freeze:freeze",
    "verify": "analysis.verify:verify",
    "make_forecast": "analysis.forecast:make_forecast",
    "read_forecast": "analysis.forecast:read_forecast",
    # what can go wrong
    "DataError": "errors:DataError",
    "SpecificationError": "errors:SpecificationError",
    "ConvergenceError": "errors:ConvergenceError",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    """Load what a name stands for."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _NAMES[name].split(":")
    found = getattr(import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Show the names, and not what they are made of."""
    return [*__all__, "__version__"]
