r"""MRD status at a landmark and time to event from there, joined by one global odds ratio.

Among patients of arm a event-free at the landmark let M = 1 with probability :math:`\pi_a`, and let the time T from the
landmark have survival :math:`S_a(t)`, piecewise exponential. Both margins hold whatever the association, which is one
number: at every t

.. math:: \Theta = \frac{P(M=1, T>t)\,P(M=0, T \le t)}{P(M=1, T \le t)\,P(M=0, T>t)},

so that :math:`P(M = 1, T > t) = C_\Theta(\pi_a, S_a(t))` with Plackett's distribution
(:mod:`smm_bayes.surrogacy.within.plackett`). A patient adds the survival likelihood of T, and where M is known the
probability of M given what is seen of T: at an event :math:`P(M = 1 \mid T = t) = \partial C / \partial v`, when
censored :math:`P(M = 1 \mid T > t) = C / v`, both at :math:`(\pi_a, S_a(t))`. With :math:`\Theta = 1` both are
:math:`\pi_a`. Where causes compete T is the time to the first event, and its cause, given T, does not depend on M.

The cohort is that of a landmark analysis: M compares patients who are event-free then, and says nothing of causes.

References
----------
Burzykowski T, Molenberghs G, Buyse M. J R Stat Soc A 2004;167:103-24, doi:10.1111/j.1467-985X.2004.00293.x.
Dale JR. Biometrics 1986;42:909-17.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.inference.made_for import carry, made_for
from smm_bayes.surrogacy.within.global_odds_priors import GlobalOddsPriors
from smm_bayes.surrogacy.within.global_odds_table import GlobalOddsTable
from smm_bayes.surrogacy.within.plackett import plackett_at, plackett_below
from smm_bayes.survival.likelihood import log_likelihood
from smm_bayes.survival.model import add_log_hazard, model_coords, model_data, observe_events

if TYPE_CHECKING:
    import pymc as pm

ROW_DATA = ("row_arm_data", "row_event_data", "row_exposure_data", "row_known_data", "row_negative_data")


def global_odds_ratio_log_likelihood(parameters: Mapping[str, np.ndarray], table: GlobalOddsTable) -> np.ndarray:
    r"""Log likelihood in NumPy, twin of the PyMC model's.

    :math:`\sum d \log\lambda - \lambda E + \sum_r k_r \log p_r + (n_r - k_r) \log(1 - p_r)` over rows r with
    :math:`n_r` patients of known status, :math:`k_r` of them negative, and :math:`p_r` the probability of being
    negative given the row's time and whether it ended in an event.

    Parameters
    ----------
    parameters : mapping of str to numpy.ndarray
        ``log_hazard`` (..., arm, cause, interval), ``negative`` (..., arm) and ``log_global_odds_ratio``
        (..., association), one association or one an arm; the same leading dims.
    table : GlobalOddsTable

    Returns
    -------
    numpy.ndarray
        One number per leading index.
    """
    log_hazard, negative = np.asarray(parameters["log_hazard"]), np.asarray(parameters["negative"])
    theta = np.broadcast_to(np.exp(parameters["log_global_odds_ratio"]), negative.shape)[..., table.row_arm]
    total = np.exp(log_hazard).sum(axis=-2)[..., table.row_arm, :]
    alive = np.exp(-np.einsum("...rj,rj->...r", total, table.row_exposure))
    u = negative[..., table.row_arm]
    ones, others = (np.where(table.row_event, plackett_at(p, alive, ratio), plackett_below(p, alive, ratio))
                    for p, ratio in ((u, theta), (1 - u, 1 / theta)))  # fmt: skip
    rows = table.row_negative * np.log(ones) + (table.row_known - table.row_negative) * np.log(others)
    return log_likelihood(log_hazard, table.table) + rows.sum(axis=-1)


def global_odds_ratio_model(table: GlobalOddsTable, priors: GlobalOddsPriors) -> pm.Model:
    r"""Build the model of MRD status and time to event with one global odds ratio.

    .. math:: \mathrm{logit}\,\pi_a = \gamma + \delta x_a, \quad \log\Theta \sim N(m, s^2)

    with normal priors of :math:`\gamma` and :math:`\delta`, :math:`x_a = 1` in the experimental arm, and hazards as in
    :func:`~smm_bayes.survival.model.piecewise_exponential_model`.

    Parameters
    ----------
    table : GlobalOddsTable
        Its shape fixes the model; its numbers are data that a refit may replace (:func:`global_odds_ratio_data`).
    priors : GlobalOddsPriors

    Returns
    -------
    pymc.Model
        Free variables of the survival model, ``logit_negative``, with two arms ``log_odds_ratio``, and
        ``log_global_odds_ratio`` (association). Deterministic ``log_hazard`` (arm, cause, interval), per month,
        ``negative`` (arm) and ``global_odds_ratio`` (association). Observed ``events`` (cell) and ``statuses`` (row),
        the number of MRD-negatives given the times.

    Raises
    ------
    SpecificationError
        When a cause has no prior.
    """
    import pymc as pm
    import pytensor.tensor as pt

    arms = table.table.arms
    coords = model_coords(table.table) | {
        "association": priors.associations(arms), "row": list(range(len(table.row_known))),
    }  # fmt: skip
    with pm.Model(coords=coords) as model:
        carry("association", priors=priors)
        log_hazard = add_log_hazard(table.table, priors.survival)
        observe_events(log_hazard.ravel(), table.table)
        logit = pm.Normal("logit_negative", priors.negative.mean, priors.negative.sd)
        logits = [logit]
        if len(arms) > 1:
            logits.append(logit + pm.Normal("log_odds_ratio", priors.odds_ratio.mean, priors.odds_ratio.sd))
        pm.Deterministic("negative", pt.sigmoid(pt.stack(logits)), dims="arm")
        association = pm.Normal("log_global_odds_ratio", priors.association.mean, priors.association.sd,
                                dims="association")  # fmt: skip
        pm.Deterministic("global_odds_ratio", pt.exp(association), dims="association")
        log_thetas = [association[a] for a in range(len(priors.associations(arms)))]
        _observe_statuses(pt.exp(log_hazard).sum(axis=1), logits, log_thetas, table)
    return model


def global_odds_ratio_data(table: GlobalOddsTable, priors: GlobalOddsPriors) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to a compiled model of the same shape and priors."""
    return {**model_data(table.table, priors.survival), **_row_data(table), **made_for("association", priors=priors)}


def _row_data(table: GlobalOddsTable) -> dict[str, np.ndarray]:
    """Rows as floating numbers, to be packed with the others."""
    values = (table.row_arm, table.row_event, table.row_exposure, table.row_known, table.row_negative)
    return {name: array.astype(float) for name, array in zip(ROW_DATA, values, strict=True)}


def _observe_statuses(hazard: Any, logits: list[Any], log_thetas: list[Any], table: GlobalOddsTable) -> None:
    """Add the statuses to the model, given hazards (arm, interval), log odds by arm and log global odds ratios."""
    import pymc as pm
    import pytensor.tensor as pt

    data = {name: pm.Data(name, values, dims=("row", "interval") if values.ndim > 1 else "row")
            for name, values in _row_data(table).items()}  # fmt: skip
    second, event = data["row_arm_data"], data["row_event_data"]  # numbers of the arms are spread without an index

    def spread(by_arm: list[Any]) -> Any:
        return by_arm[0] if len(by_arm) == 1 else by_arm[0] + second * (by_arm[1] - by_arm[0])

    spent = spread([(data["row_exposure_data"] * hazard[a]).sum(axis=-1) for a in range(len(logits))])
    logit = spread(logits) + pt.zeros_like(second)
    log_theta = spread(log_thetas) + pt.zeros_like(second)
    at, below = _log_probabilities(logit, pt.exp(-spent), log_theta)
    log_p, log_q = (event * now + (1 - event) * free for now, free in zip(at, below, strict=True))
    pm.CustomDist(
        "statuses", log_p, log_q, data["row_known_data"],
        logp=lambda negative, log_p, log_q, known: negative * log_p + (known - negative) * log_q,
        random=_draw_statuses, observed=data["row_negative_data"], dims="row",
    )  # fmt: skip


def _log_probabilities(logit: Any, alive: Any, log_theta: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    r"""Log probabilities of M = 1 and of M = 0, at an event and when event-free.

    With u and v for :math:`\pi` and S, the root of D is common to all four, and
    :math:`P(M = 0 \mid T > t) = 2(1 - u) / (1 + (u - v)(\theta - 1) + \sqrt D)`.
    """
    import pytensor.tensor as pt

    u, theta = pt.sigmoid(logit), pt.exp(log_theta)
    log_u, log_not, k = -pt.softplus(-logit), -pt.softplus(logit), theta - 1
    b = 1 + alive * k - u * (theta + 1)
    root = pt.sqrt(b**2 + 4 * theta * u * (1 - u))
    far = pt.log(root + pt.abs(b))
    small = np.log(2) + log_theta + log_u + log_not - pt.log(root) - far
    large = far - np.log(2) - pt.log(root)
    at = pt.switch(b > 0, small, large), pt.switch(b > 0, large, small)
    below = (np.log(2) + log_u + log_theta - pt.log(1 + (u + alive) * k + root),
             np.log(2) + log_not - pt.log(1 + (u - alive) * k + root))  # fmt: skip
    return at, below


def _draw_statuses(
    log_p: np.ndarray, log_q: np.ndarray, known: np.ndarray, rng: Any = None, size: Any = None
) -> np.ndarray:
    return rng.binomial(known.astype(int), np.minimum(np.exp(log_p), 1.0), size=size).astype(float)
