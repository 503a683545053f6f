"""Operating characteristics of designs that borrow."""

from smm_bayes.design.drift import conflict_table, operating_characteristics
from smm_bayes.design.methods import (
    LogRatioPrior,
    Method,
    RatioPosterior,
    control_posterior,
    methods_for,
    ratio_posterior,
    with_experimental,
)
from smm_bayes.design.stopping import interim_success, log_rank_success, stopping_errors
from smm_bayes.design.two_arm import TwoArmDesign, TwoArmTrials

__all__ = [
    "LogRatioPrior",
    "Method",
    "RatioPosterior",
    "TwoArmDesign",
    "TwoArmTrials",
    "conflict_table",
    "control_posterior",
    "interim_success",
    "log_rank_success",
    "methods_for",
    "operating_characteristics",
    "ratio_posterior",
    "stopping_errors",
    "with_experimental",
]  # fmt: skip
