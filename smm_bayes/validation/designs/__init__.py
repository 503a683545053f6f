"""Designs of calibrations: what is drawn, simulated, fitted and ranked.

Every pre-specified analysis is a design (:class:`InterimDesign`). What no specification of a trial uses has a small
design of its own in this room, in :data:`VARIANTS` by name.
"""

from collections.abc import Callable
from functools import partial

from smm_bayes.borrowing.trials.relations import Commensurate, Exchangeable, Robust
from smm_bayes.survival.effects import Waning
from smm_bayes.validation.designs.cure import CureDesign
from smm_bayes.validation.designs.design import Design
from smm_bayes.validation.designs.interim import InterimDesign
from smm_bayes.validation.designs.joint import JointDesign
from smm_bayes.validation.designs.latent import LatentDesign
from smm_bayes.validation.designs.meta_analysis import CohortsDesign, MetaAnalysisDesign
from smm_bayes.validation.designs.power_prior import PowerPriorDesign
from smm_bayes.validation.designs.regression import RegressionDesign
from smm_bayes.validation.designs.relations import RelationDesign
from smm_bayes.validation.designs.visits import VisitsDesign

VARIANTS: dict[str, Callable[[], Design]] = {
    "cure": CureDesign, "latent_exchangeability": LatentDesign, "power_prior": PowerPriorDesign,
    "regression": RegressionDesign, "visits": VisitsDesign,
    "joint_complete": JointDesign, "joint_missing": partial(JointDesign, missing=0.3),
    "meta_analysis": MetaAnalysisDesign, "cohorts": CohortsDesign,
    "by_interval": partial(RelationDesign, Exchangeable("interval")),
    "commensurate": partial(RelationDesign, Commensurate()),
    "robust": partial(RelationDesign, Robust()),
    "spike_and_slab": partial(RelationDesign, Commensurate("spike-and-slab")),
    "waning_with_trials": partial(RelationDesign, Exchangeable(), Waning(stops=12, median=12, upper=48)),
}  # fmt: skip

# replicates of those that are not calibrated with 1000
FEWER = {
    "spike_and_slab": 500, "power_prior": 500, "latent_exchangeability": 500, "meta_analysis": 500, "cohorts": 500,
    "joint_complete": 500, "joint_missing": 500, "waning_with_trials": 250,
}  # fmt: skip

__all__ = ["FEWER", "VARIANTS", "Design", "InterimDesign"]
