"""Joint model of MRD status at scheduled visits and a time to event."""

from smm_bayes.surrogacy.joint.effects import Constant, Fading, InteractionPrior, Lost
from smm_bayes.surrogacy.joint.law import JointLaw
from smm_bayes.surrogacy.joint.likelihood import patient_log_likelihood
from smm_bayes.surrogacy.joint.model import joint_data, joint_model
from smm_bayes.surrogacy.joint.priors import JointPriors, MrdOddsRatioPrior, PersistencePrior, SharePrior, StatusPriors
from smm_bayes.surrogacy.joint.sensitivity import joint_sensitivity
from smm_bayes.surrogacy.joint.shape import JointShape
from smm_bayes.surrogacy.joint.simulate import simulate_joint
from smm_bayes.surrogacy.joint.summary import joint_summary
from smm_bayes.surrogacy.joint.table import AssayError, JointTable

__all__ = [
    "AssayError", "Constant", "Fading", "InteractionPrior", "JointLaw", "JointPriors", "JointShape", "JointTable",
    "Lost", "MrdOddsRatioPrior", "PersistencePrior", "SharePrior", "StatusPriors", "joint_data", "joint_model",
    "joint_sensitivity", "joint_summary", "patient_log_likelihood", "simulate_joint",
]  # fmt: skip
