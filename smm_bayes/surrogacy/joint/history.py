"""The joint model with earlier trials, of which no patient's MRD is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.borrowing.trials.cohorts import Trials
from smm_bayes.borrowing.trials.hierarchical import hierarchical_model, trials_data
from smm_bayes.borrowing.trials.membership import cell_data
from smm_bayes.borrowing.trials.priors import TrialsPriors
from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy.joint.factor import RelationFactor
from smm_bayes.surrogacy.joint.hazards import MARGINAL
from smm_bayes.surrogacy.joint.model import joint_coords, observe_joint, status_data
from smm_bayes.surrogacy.joint.priors import JointPriors
from smm_bayes.surrogacy.joint.table import JointTable

if TYPE_CHECKING:
    import pymc as pm


def joint_history_model(
    trials: Trials, priors: TrialsPriors, table: JointTable, joint: JointPriors, *, factor: RelationFactor | None = None
) -> pm.Model:
    """Build the joint model of the current trial, whose hazards are related to those of earlier ones.

    Hazards, priors and relation are those of :func:`~smm_bayes.borrowing.trials.hierarchical.hierarchical_model`. The
    hazards of the current trial are everyone's (:mod:`smm_bayes.surrogacy.joint.hazards`), which is what earlier trials
    know of; its patients contribute through status and time together, and only so.

    Parameters
    ----------
    trials : Trials
        The current trial among them; its cells only make the sampler's coordinates.
    priors : TrialsPriors
    table : JointTable
        Of the current trial.
    joint : JointPriors
    factor : RelationFactor, optional

    Returns
    -------
    pymc.Model

    Raises
    ------
    SpecificationError
        When a trial may deviate in two ways, which are summed out of cells that a joint model does not have.
    """
    if len(priors.relation.layers(priors.between)) > 1:
        raise SpecificationError(
            "a relation with two ways to deviate does not go with patients' MRD; choose exchangeable, commensurate or "
            "a power prior"
        )
    joint.check(table.shape.causes)
    model = hierarchical_model(trials.without(trials.current), priors)
    with model:
        model.add_coords(joint_coords(table, joint))
        observe_joint(model["log_hazard"], table, joint, hazards_of=MARGINAL, factor=factor)
    return model


def joint_history_data(
    trials: Trials, priors: TrialsPriors, table: JointTable, joint: JointPriors
) -> dict[str, np.ndarray]:  # fmt: skip
    """Arrays that a refit hands to a compiled model of the same shape."""
    return {**trials_data(trials, priors), **cell_data(trials.without(trials.current), priors),
            **status_data(table, joint)}  # fmt: skip
