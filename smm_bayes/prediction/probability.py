"""The probability that the final analysis succeeds, with its Monte Carlo error."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError, name_rows
from smm_bayes.execution import run_chunks
from smm_bayes.prediction.completion import Completion
from smm_bayes.prediction.final import Enrolment, FinalAnalysis, FinalData
from smm_bayes.prediction.future import Course, Future
from smm_bayes.prediction.monte_carlo import Layout, monte_carlo_error
from smm_bayes.prediction.result import Prediction
from smm_bayes.prediction.success import SuccessRule
from smm_bayes.progress import counting
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.law import Law
from smm_bayes.survival.schedule import FoundAtVisits
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    from smm_bayes.inference.sampling import Fit


def probability_of_success(
    patients: Patients,
    law: Law | Fit,
    *,
    final: FinalAnalysis,
    rule: SuccessRule,
    seed: int,
    enrolment: Enrolment | None = None,
    complete: tuple[str, ...] = ("administrative",),
    dropout: bool = False,
    replicates: int = 10_000,
    final_grid: TimeGrid | None = None,
    known: np.ndarray | None = None,
    visits: FoundAtVisits | None = None,
    dates: np.ndarray | None = None,
    data_sets: int = 1,
    future: Future | None = None,
    executor: Executor | None = None,
    chunk: int = 1000,
    progress: Callable[[int, int], None] | bool | None = None,
) -> Prediction:
    """Complete the trial from posterior draws and count how often its final analysis succeeds.

    Parameters
    ----------
    patients : Patients
        The interim data.
    law : Law or Fit
        Of time and cause of event, with the leading dims (chain, draw); independent draws are one chain. A fit of a
        model of survival stands for its law, for what its patients' profiles or MRD results say, for the visits of its
        model and for its equally likely data sets.
    final : FinalAnalysis
    rule : SuccessRule
    seed : int
        The answer depends on it alone, not on ``executor`` or ``chunk``.
    enrolment : Enrolment, optional
        Patients still to come; none by default.
    complete : tuple of str
        Reasons for censoring of the patients who get their remaining time. Only patients still followed, by default.
    dropout : bool
        Whether patients are lost from now on at the rate seen so far (losses and withdrawals per patient-month,
        Gamma posterior with a Jeffreys prior). Otherwise nobody is.
    replicates : int
        Simulated trials; rounded up to the same number for every posterior draw used.
    final_grid : TimeGrid, optional
        Intervals of the hazard ratio in the final analysis; those of the law by default.
    known : numpy.ndarray, shape (patient, component), optional
        Of a law that is a mixture: log probability of what is known of each patient, given the component. 0 for a
        component that agrees with it and minus infinity for one that does not, where it is observed without error; 0
        for all where nothing is known, as by default. A component is drawn for every patient still followed or to
        come, given what the patient survived, then the remaining time with its hazards. Components have random numbers
        of their own: where hazards do not differ between them the answer is that of one component, to the last bit.
    visits : FoundAtVisits, optional
        A cause of event that is found at planned visits.
    dates : numpy.ndarray, shape (any,), optional
        Calendar times, in months since the origin, of the final analysis of another endpoint with which this one is
        analysed (``final.at = "primary"``): each is given to as many simulated trials as the others.
    data_sets : int
        Equally likely data sets that the chains were fitted to, one after the other and as many chains of each. How
        much they differ is part of the Monte Carlo error.
    future : Future, optional
        What is other from the data cut on than the law has it; nothing by default. With the same seed the replicates
        are paired with those of another future.
    executor : concurrent.futures.Executor, optional
    chunk : int
        Replicates computed at a time.
    progress : callable or bool, optional
        Called with replicates done and wanted. By default a bar where somebody looks; False shows none.

    Returns
    -------
    Prediction

    Raises
    ------
    SpecificationError
        When final analysis, rule, enrolment and patients do not fit together; when the final analysis is before the
        data cut-off; and when its number of events cannot be reached any more and it has no latest date.
    """
    if not isinstance(law, Law):
        of = of_fit(law)
        law, data_sets, visits = of["law"], of["data_sets"], visits or of["visits"]
        known = of["known"] if known is None else known
    assert isinstance(law, Law)
    _check(patients, law, rule, seed, replicates, chunk, known)
    if (final.at == "primary") != (dates is not None):
        raise SpecificationError("dates are those of a final analysis with final.at = 'primary'; give both or neither")
    chains, draws = law.lead
    layout = Layout.of(chains, draws, replicates, data_sets)
    way = Course(patients, law, final, enrolment or Enrolment(), complete, dropout, known, visits).under(future)
    task = Completion.plan(
        way.patients, _flat(way.law), layout.draw, final=way.final, enrolment=way.enrolment, complete=way.complete,
        dropout=way.dropout, seed=seed, final_grid=final_grid or law.grid, known=way.known, visits=visits,
        dates=dates,
    )  # fmt: skip
    size = layout.replicates
    chunks = [(task, rule, first, min(first + chunk, size)) for first in range(0, size, chunk)]
    parts, done = [], 0
    with counting(progress, "completing the trial") as told:
        for part in run_chunks(_run_chunk, chunks, executor):
            parts.append(part)
            done += len(part["success"])
            told(done, size)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    success = columns.pop("success")
    error = monte_carlo_error(layout.by_draw(success).mean(axis=2), size, data_sets)
    return Prediction(float(success.mean()), error, success, columns, rule, final, patients, layout, seed,
                      task.trigger)


def _run_chunk(task: Completion, rule: SuccessRule, first: int, last: int) -> dict[str, np.ndarray]:
    final = task.run(first, last)
    columns = {"success": rule(final), **describe(final)}
    return columns


def describe(final: FinalData) -> dict[str, np.ndarray]:
    """Columns of a table of final analyses, one row a replicate."""
    events = {
        f"{arm}:{cause}": final.events[:, a, c]
        for a, arm in enumerate(final.arms)
        for c, cause in enumerate(final.causes)
    }
    return {"date": final.date, "reached": final.reached, "enrolled": final.number.sum(axis=1), "z": final.z,
            "hazard_ratio": final.hazard_ratio, **events}  # fmt: skip


def of_fit(fit: Fit) -> dict[str, Any]:
    """Give what completing a trial needs of the fit of a model: ``law``, ``known``, ``visits`` and ``data_sets``.

    Raises
    ------
    SpecificationError
        When the fit does not know its model, or the model is not of survival.
    """
    from smm_bayes.inference.each import data_sets

    model = getattr(fit, "model", None)
    if not hasattr(model, "law"):
        raise SpecificationError("this fit is of no model of survival that it knows; give its law, such as "
                                 "Law.of_draws(fit.posterior['log_hazard'], grid)")  # fmt: skip
    assert model is not None
    known = model.known(fit.posterior) if hasattr(model, "known") else None
    return {"law": model.law(fit.posterior), "known": known, "visits": getattr(model, "visits", None),
            "data_sets": data_sets(fit.posterior)}  # fmt: skip


def _flat(law: Law) -> Law:
    """Give the law with chains end to end."""
    hazard, share = (values.reshape(-1, *values.shape[2:]) for values in (law.log_hazard, law.log_share))
    return Law(hazard, share, law.grid, law.arms, law.causes)


def _check(
    patients: Patients, law: Law, rule: SuccessRule, seed: int, replicates: int, chunk: int, known: np.ndarray | None
) -> None:
    """Collect what does not fit together."""
    with Problems("completing the trial", SpecificationError).collecting() as problems:
        if len(law.lead) != 2:
            problems.add(f"the law must have the leading dims (chain, draw); got {law.lead}")
        if (law.arms, law.causes) != (patients.arms, patients.causes):
            problems.add(f"the law has the arms {', '.join(law.arms)} and causes {', '.join(law.causes)}, the patients "
                         f"{', '.join(patients.arms)} and {', '.join(patients.causes)}; give the law of these patients")
        elif known is not None and len(law.lead) == 2:
            _check_known(np.asarray(known, dtype=float), law, patients.arm, problems)
        if rule.two_arms and len(patients.arms) < 2:
            problems.add(f"the rule '{rule}' compares two arms; this trial has one. Use an event count")
        if replicates < 1 or chunk < 1 or not 0 <= seed < 2**63:
            problems.add("replicates and chunk must be 1 or more, and seed a whole number from 0 to 2**63 - 1")


def _check_known(known: np.ndarray, law: Law, arm: np.ndarray, problems: Problems) -> None:
    """Note where what is known of the patients does not fit the law or them."""
    wanted = (len(arm), law.components)
    if known.shape != wanted:
        problems.add(f"known must have shape (patient, component) = {wanted}; got {known.shape}")
        return
    if np.isnan(known).any() or np.isposinf(known).any():
        problems.add("known has values that are NaN or +inf; give logarithms, -inf for what cannot be")
        return
    possible = np.isfinite(law.log_share).reshape(-1, len(law.arms), law.components)
    stuck = []
    for role in range(len(law.arms)):
        patterns, which = np.unique(np.isfinite(known), axis=0, return_inverse=True)
        never = ~(possible[:, role] @ patterns.T).all(axis=0)  # of a pattern: in some draw none of its components
        stuck += np.flatnonzero(never[which.ravel()] & (arm == role)).tolist()
    if stuck:
        problems.add(f"known, {name_rows(sorted(stuck))} (counted from 0): in some posterior draw every component that "
                     "agrees with the patient has share 0; correct known or the law")  # fmt: skip
