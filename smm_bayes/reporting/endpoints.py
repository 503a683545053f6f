"""The endpoints of an interim analysis side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smm_bayes.analysis.decision import Decision, EndpointResult
from smm_bayes.reporting.words import Rows, convergence

if TYPE_CHECKING:
    import pandas as pd

MEASURES = {
    "event_free_survival": "event-free at", "rmst": "months free of events within",
    "cumulative_incidence": "event of the counted causes by",
}  # fmt: skip
ALONE = ("Each probability is of its endpoint alone, from a model of its own: no endpoint waits for another, and what "
         "the endpoints of one patient have to do with each other is not used.")  # fmt: skip


def endpoint_table(decision: Decision) -> pd.DataFrame | None:
    """Answer by endpoint; None where there is one.

    Returns
    -------
    pandas.DataFrame
        Indexed by endpoint: ``status``, ``success``, ``final analysis``, ``probability`` and ``mcse``, ``events`` so
        far, ``hazard ratio`` now with its 95 % interval, and ``fit`` of the model to the data.
    """
    import pandas as pd

    if not decision.endpoints:
        return None
    rows = {one.endpoint: _row(one) for one in (decision.result, *decision.endpoints)}
    return pd.DataFrame.from_dict(rows, orient="index")


def _row(one: EndpointResult) -> dict[str, object]:
    ratio = one.hazard_ratio
    return {
        "status": one.status, "success": one.success_rule, "final analysis": one.final_analysis,
        "probability": one.probability_of_success, "mcse": one.mcse, "events": one.events.observed,
        "hazard ratio": "" if ratio is None else f"{ratio.median:.2f} ({ratio.lower:.2f} to {ratio.upper:.2f})",
        "fit": "not checked" if one.fit_check is None else one.fit_check.verdict,
    }  # fmt: skip


def estimate_rows(decision: Decision) -> Rows | None:
    """Estimands at the interim with their 95 % credible intervals; None where none is asked for."""
    rows = Rows()
    for one in decision.estimates:
        value, places = one.estimate, 1 if one.measure == "rmst" else 3
        said = f"{value.median:.{places}f} ({value.lower:.{places}f} to {value.upper:.{places}f})"
        if one.probability_above_0 is not None:
            said += f"; above 0 with probability {one.probability_above_0:.3f}"
        if one.beyond_follow_up:
            said += "; BEYOND THE FOLLOW-UP: from model and prior alone"
        rows.append((f"{MEASURES[one.measure]} {one.months:g} months, {one.of}", said))
    return rows or None


def endpoint_rows(decision: Decision) -> Rows | None:
    """The same in words, a row an endpoint; None where there is one."""
    if not decision.endpoints:
        return None
    rows = Rows()
    for one in (decision.result, *decision.endpoints):
        fit = "not checked" if one.fit_check is None else one.fit_check.verdict
        converged = convergence(one.diagnostics).split(":")[0]
        said = (f"{one.probability_of_success:.3f} ± {one.mcse:.3f} that it succeeds: {one.success_rule}, "
                f"{one.final_analysis}; {converged}; fit to the data {fit}")  # fmt: skip
        rows.append((f"{one.endpoint} ({one.status})", f"{one.trigger} {said}".strip()))
    return Rows([*rows, ("together", ALONE)])
