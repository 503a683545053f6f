"""How the probability of success changes with the gap that a relation across trials has to bridge."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.decision import Tipping
from smm_bayes.surrogacy.across.tipping import TIPPING_DRAWS
from smm_bayes.surrogacy.across.transport import Transport, Transported

if TYPE_CHECKING:
    from smm_bayes.analysis.mrd.result import MrdAnalysis

SCALES, SHIFTS, EXTRA_SDS = (0.0, 0.5, 1.0, 1.5), (-0.2, 0.0, 0.2), (0.0, 0.2, 0.4, 0.8)


def success_tipping(analysis: MrdAnalysis) -> list[Tipping]:
    """Weight the completed trials anew under fixed scales, shifts and extra SDs, and without the relation.

    Parameters
    ----------
    analysis : MrdAnalysis
        With a relation across trials.

    Returns
    -------
    list of Tipping
        On common random numbers: rows differ by the transport alone.
    """
    factor = analysis.model.factor
    assert factor is not None
    effects = factor.effects_of(analysis.model.law(analysis.fit.posterior))
    thin = factor.transported.relation.thinned(TIPPING_DRAWS)
    alone = analysis.prediction
    rows = [Tipping(scale=None, shift=None, extra_sd=None, probability=alone.probability, mcse=alone.mcse,
                    reliable=True)]  # fmt: skip
    for extra, shift, scale in product(EXTRA_SDS, SHIFTS, SCALES):
        moved = Transported.of(thin, Transport(scale, shift, extra), rng=np.random.default_rng(0))
        found = alone.reweighted(factor.carried_by(moved).log_density(*effects))
        rows.append(Tipping(scale=scale, shift=shift, extra_sd=extra, probability=found.probability,
                            mcse=found.mcse, reliable=found.reliable and math.isfinite(found.pareto_k)))  # fmt: skip
    return rows
