"""Bayesian interim monitoring for trials in high-risk smoldering multiple myeloma.

``import smm_bayes as smm``: what an analysis needs by name is here, and is loaded when it is used.
"""

from importlib import import_module
from typing import Any

from smm_bayes.compiling import find_a_home

__version__ = "0.1.0"

find_a_home()

# name: module and attribute; the rooms offer more
_NAMES = {
    # patients
    "read_patients": "trial.readers:read_frame",
    "read_adtte": "trial.readers:read_adtte",
    "Patients": "trial.patients:Patients",
    "cut": "trial.shortcuts:cut",
    "kaplan_meier": "trial.survival_curves:kaplan_meier",
    "TimeGrid": "survival.grid:TimeGrid",
    # priors, by their consequence
    "BaselinePrior": "priors.clinical:BaselinePrior",
    "HazardRatioPrior": "priors.clinical:HazardRatioPrior",
    "SurvivalPriors": "survival.model_priors:SurvivalPriors",
    "GammaPrior": "survival.model_priors:GammaPrior",
    # models
    "OneTrial": "survival.one_trial:OneTrial",
    "Regression": "survival.regression:Regression",
    "Cure": "survival.cure:Cure",
    "Visits": "survival.visits_model:Visits",
    "WithEarlierTrials": "borrowing.trials.with_earlier_trials:WithEarlierTrials",
    # MRD: the joint model of a trial, and the relation across trials
    "MrdSchedule": "surrogacy.visits.schedule:MrdSchedule",
    "JointTable": "surrogacy.joint.table:JointTable",
    "JointPriors": "surrogacy.joint.priors:JointPriors",
    "joint_model": "surrogacy.joint.model:joint_model",
    "TrialPairs": "surrogacy.across.pairs:TrialPairs",
    "AcrossTrials": "surrogacy.across.posterior:AcrossTrials",
    # fits
    "fit": "inference.sampling:fit",
    "Fit": "inference.fitted:Fit",
    "check_fit": "survival.check:check_fit",
    "loo": "survival.cross_validation:loo",
    "compare": "survival.cross_validation:compare",
    # estimands
    "Estimands": "survival.estimands:Estimands",
    "summarise": "survival.summary:summarise",
    # evidence, priors made of it, exact designs
    "load_facts": "evidence.facts:load_facts",
    "meta_analytic_predictive": "borrowing.meta_analysis.make:meta_analytic_predictive",
    "BetaMixture": "priors.mixtures.beta:BetaMixture",
    "NormalMixture": "priors.mixtures.normal:NormalMixture",
    "OneSampleDesign": "response.exact.designs:OneSampleDesign",
    "TwoSampleDesign": "response.exact.designs:TwoSampleDesign",
    # prediction
    "FinalAnalysis": "prediction.final:FinalAnalysis",
    "Enrolment": "prediction.final:Enrolment",
    "LogRank": "prediction.success:LogRank",
    "HazardRatioProbability": "prediction.success:HazardRatioProbability",
    "probability_of_success": "prediction.probability:probability_of_success",
    # pre-specified analyses
    "read_inputs": "analysis.interim:read_inputs",
    "run_interim": "analysis.interim:run_interim",
    "open_interim": "analysis.outputs:open_interim",
    # pictures that need more than one result
    "plot_survival": "reporting.plots:plot_survival",
    "plot_prediction": "reporting.plots:plot_prediction",
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
