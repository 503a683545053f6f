"""Tipping points: how far a relation may be wrong in a new setting before an answer changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.surrogacy.across.conditional import ConditionalDensity
from smm_bayes.surrogacy.across.relation import Relation
from smm_bayes.surrogacy.across.transport import Transport, Transported

if TYPE_CHECKING:
    import pandas as pd

TIPPING_DRAWS = 400  # of the relation, in every row of a table


def tipping_table(
    relation: Relation, theta_m: np.ndarray, theta_p: np.ndarray, answer: Callable[[np.ndarray], float], *,
    scales: Sequence[float], shifts: Sequence[float], extra_sds: Sequence[float], prior: ConditionalDensity,
    weight: float, draws: int = TIPPING_DRAWS,
) -> pd.DataFrame:  # fmt: skip
    """Answer a question under every combination of fixed scale, shift and extra SD.

    Parameters
    ----------
    relation : Relation
        Thinned to ``draws``, the same ones in every row, so that rows differ by the transport alone.
    theta_m, theta_p : numpy.ndarray, shape (draw,)
        Draws of both effects from a posterior made without the relation.
    answer : callable
        From the log weights of these draws to the number in question.
    scales, shifts, extra_sds : sequence of float
        Infinity among ``extra_sds`` gives the answer without the relation.
    prior : ConditionalDensity
        What the prior of that posterior says of the effect on the event, which the relation replaces.
    weight : float
        Prior probability that the relation holds, 0 to 1.
    draws : int

    Returns
    -------
    pandas.DataFrame
        Columns ``scale``, ``shift``, ``extra_sd``, ``answer`` and ``effective_draws``, Kish's size of the weights.
    """
    import pandas as pd

    thin, rows = relation.thinned(draws), []
    for extra in extra_sds:
        for scale in scales:
            for shift in shifts:
                moved = Transported.of(thin, Transport(scale, shift, extra), rng=np.random.default_rng(0))
                log_weight = moved.log_weight(theta_m, theta_p, prior, weight)
                each = np.exp(log_weight - log_weight.max())
                effective = float(each.sum() ** 2 / (each**2).sum())
                rows.append([scale, shift, extra, float(answer(log_weight)), effective])
    return pd.DataFrame(rows, columns=["scale", "shift", "extra_sd", "answer", "effective_draws"])


def probability_below(theta_p: np.ndarray, value: float = 0.0) -> Callable[[np.ndarray], float]:
    """Question for :func:`tipping_table`: how probable is an effect on the event below ``value``.

    Parameters
    ----------
    theta_p : numpy.ndarray, shape (draw,)
        Log hazard ratios, the same draws as in the table.
    value : float
        0 asks for a hazard ratio below 1.
    """
    below = np.asarray(theta_p) < value

    def answer(log_weight: np.ndarray) -> float:
        weight = np.exp(log_weight - log_weight.max())
        return float(weight @ below / weight.sum())

    return answer


def tipping_points(table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Find, for every scale and shift, the smallest extra SD at which the answer is on the other side of a threshold.

    The side is that at the smallest extra SD.

    Returns
    -------
    pandas.DataFrame
        Columns ``scale``, ``shift``, ``extra_sd`` (NaN where the answer never crosses) and ``first``, the answer at the
        smallest extra SD.
    """
    import pandas as pd

    rows = []
    for (scale, shift), part in table.groupby(["scale", "shift"], sort=False):
        part = part.sort_values("extra_sd")
        side = (part["answer"] >= threshold).to_numpy()
        crossed = np.flatnonzero(side != side[0])
        where = float(part["extra_sd"].iloc[crossed[0]]) if crossed.size else math.nan
        rows.append([scale, shift, where, float(part["answer"].iloc[0])])
    return pd.DataFrame(rows, columns=["scale", "shift", "extra_sd", "first"])
