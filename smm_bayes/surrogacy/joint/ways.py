r"""The joint likelihood of a trial that deviates from earlier ones in one of several ways, which are summed out.

With :math:`\lambda_k` the hazards in way k, of weight :math:`q_k`, and cells and rows i = 1, 2, ... of the trial, each
term of the model is

.. math:: \log \sum_k q_k \prod_{i \le n} L_i(\lambda_k) - \log \sum_k q_k \prod_{i < n} L_i(\lambda_k),

so that cells, then rows, sum to the trial's log likelihood. The transitions of MRD status do not depend on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smm_bayes.surrogacy.joint.factor import RelationFactor
from smm_bayes.surrogacy.joint.model import Added, not_drawn


def observe_in_two_ways(
    added: Added, log_hazards: Sequence[Any], log_weights: Sequence[Any], factor: RelationFactor | None
) -> list[Any]:
    """Add the likelihood to the model being built.

    Parameters
    ----------
    added : Added
    log_hazards : sequence of tensor
        In each way, flat over (arm, cause, interval).
    log_weights : sequence of tensor
    factor : RelationFactor, optional
        A relation across trials, checked.

    Returns
    -------
    list of tensor
        Log likelihood of cells and rows in each way, with the factor in it.
    """
    import pymc as pm
    import pytensor.tensor as pt

    data, hazards = added.data, [added.hazards(one) for one in log_hazards]
    weights, before, related = list(log_weights), pt.as_tensor(0.0), [0.0, 0.0]
    if factor is not None and factor.is_informative:
        related = [factor.log_factor(*factor.effects(one, added.status, added.shape)) for one in hazards]
        weights = [weight + one for weight, one in zip(weights, related, strict=True)]
        before = pt.logaddexp(*weights) - pt.logaddexp(*log_weights)
        pm.Potential("relation_across_trials", before)
    exposure = data["state_exposure_data"]
    pm.CustomDist("state_events", *hazards, *weights, before, exposure, logp=_cells, random=not_drawn,
                  observed=data["state_events_data"], dims="state_cell")  # fmt: skip
    rows = list(map(added.observe_status(), hazards))
    cells = [_poisson(data["state_events_data"], one, exposure).sum() for one in hazards]
    starts = [weight + one for weight, one in zip(weights, cells, strict=True)]
    pm.CustomDist("rows", *rows, *starts, logp=_rows, random=not_drawn, observed=data["row_count_data"], dims="row")
    return [cell + (data["row_count_data"] * row).sum() + one
            for cell, row, one in zip(cells, rows, related, strict=True)]  # fmt: skip


def _poisson(events: Any, log_hazard: Any, exposure: Any) -> Any:
    import pytensor.tensor as pt

    return events * log_hazard - exposure * pt.exp(log_hazard)


def _cells(events: Any, one: Any, other: Any, *rest: Any) -> Any:
    *weights, before, exposure = rest
    return _terms([_poisson(events, log_hazard, exposure) for log_hazard in (one, other)], weights, before)


def _rows(count: Any, one: Any, other: Any, *starts: Any) -> Any:
    import pytensor.tensor as pt

    return _terms([count * one, count * other], starts, pt.logaddexp(*starts))


def _terms(in_ways: Sequence[Any], starts: Sequence[Any], before: Any) -> Any:
    """Terms that sum to the log of the sum over ways, from those of each way and what both begin with."""
    import pytensor.tensor as pt

    total = pt.logaddexp(*(start + pt.cumsum(terms) for terms, start in zip(in_ways, starts, strict=True)))
    return total - pt.concatenate([pt.atleast_1d(before), total[:-1]])
