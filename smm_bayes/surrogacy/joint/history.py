"""The joint model with earlier trials, of which no patient's MRD is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.trials.cohorts import Trials
from smm_bayes.borrowing.trials.hierarchical import hierarchical_model, trials_data
from smm_bayes.borrowing.trials.membership import Elsewhere, cell_data
from smm_bayes.borrowing.trials.priors import TrialsPriors
from smm_bayes.surrogacy.joint.factor import RelationFactor
from smm_bayes.surrogacy.joint.hazards import MARGINAL
from smm_bayes.surrogacy.joint.model import Added, joint_coords, observe_joint, status_data
from smm_bayes.surrogacy.joint.priors import JointPriors
from smm_bayes.surrogacy.joint.table import JointTable
from smm_bayes.surrogacy.joint.ways import observe_in_two_ways

if TYPE_CHECKING:
    import pymc as pm


def joint_history_model(
    trials: Trials, priors: TrialsPriors, table: JointTable, joint: JointPriors, *, factor: RelationFactor | None = None
) -> pm.Model:
    """Build the joint model of the current trial, whose hazards are related to those of earlier ones.

    Where a trial may deviate in two ways, that of the current one is summed out of its joint likelihood
    (:mod:`smm_bayes.surrogacy.joint.ways`).

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
    """
    import pymc as pm

    joint.check(table.shape.causes)
    if len(priors.relation.layers(priors.between)) < 2:
        model = hierarchical_model(trials.without(trials.current), priors)
        with model:
            model.add_coords(joint_coords(table, joint))
            observe_joint(model["log_hazard"], table, joint, hazards_of=MARGINAL, factor=factor)
        return model
    parts: list[Added] = []

    def observe(log_hazards: list[Any], log_weights: list[Any]) -> Sequence[Any]:
        pm.modelcontext(None).add_coords(joint_coords(table, joint))
        if len(log_hazards) == 1:  # the current trial does not deviate
            observe_joint(log_hazards[0], table, joint, hazards_of=MARGINAL, factor=factor)
            return ()
        parts.append(Added.to(table, joint, MARGINAL, factor))
        return observe_in_two_ways(parts[0], log_hazards, log_weights, factor)

    elsewhere = Elsewhere(*_cells_of_current(trials, priors), observe)
    model = hierarchical_model(trials.without(trials.current), priors, elsewhere=elsewhere)
    if factor is not None and parts and factor.is_informative:
        with model:  # in the way that is drawn
            factor.add_effects(parts[0].hazards(model["log_hazard"]), parts[0].status, table.shape)
    return model


def _cells_of_current(trials: Trials, priors: TrialsPriors) -> tuple[np.ndarray, np.ndarray]:
    """Events and exposure of all cells, 0 but for the current trial's."""
    whole, others = cell_data(trials, priors), cell_data(trials.without(trials.current), priors)
    return whole["events_data"] - others["events_data"], whole["exposure_data"] - others["exposure_data"]


def joint_history_data(
    trials: Trials, priors: TrialsPriors, table: JointTable, joint: JointPriors
) -> dict[str, np.ndarray]:  # fmt: skip
    """Arrays that a refit hands to a compiled model of the same shape."""
    found = {**trials_data(trials, priors), **cell_data(trials.without(trials.current), priors),
             **status_data(table, joint)}  # fmt: skip
    if len(priors.relation.layers(priors.between)) > 1:
        found |= Elsewhere.arrays(*_cells_of_current(trials, priors))
    return found
