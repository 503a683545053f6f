"""The probability that the final analysis succeeds, with its Monte Carlo error."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.execution import run_chunks
from smm_bayes.prediction.completion import Completion
from smm_bayes.prediction.final import Enrolment, FinalAnalysis, FinalData
from smm_bayes.prediction.monte_carlo import Layout, monte_carlo_error
from smm_bayes.prediction.paths import HiddenPaths
from smm_bayes.prediction.result import Prediction
from smm_bayes.prediction.success import SuccessRule
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.trial.patients import Patients


def probability_of_success(
    patients: Patients,
    log_hazard: np.ndarray,
    grid: TimeGrid,
    *,
    final: FinalAnalysis,
    rule: SuccessRule,
    seed: int,
    enrolment: Enrolment | None = None,
    complete: tuple[str, ...] = ("administrative",),
    dropout: bool = False,
    replicates: int = 10_000,
    final_grid: TimeGrid | None = None,
    paths: HiddenPaths | None = None,
    data_sets: int = 1,
    executor: Executor | None = None,
    chunk: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> Prediction:
    """Complete the trial from posterior draws and count how often its final analysis succeeds.

    Parameters
    ----------
    patients : Patients
        The interim data.
    log_hazard : numpy.ndarray, shape (chain, draw, arm, cause, interval)
        Posterior draws of the log hazard per month; independent draws are one chain. With ``paths`` of shape
        (chain, draw, arm, path, cause, interval).
    grid : TimeGrid
        Of ``log_hazard``.
    final : FinalAnalysis
    rule : SuccessRule
    seed : int
        The answer depends on it alone, not on ``executor`` or ``chunk``.
    enrolment : Enrolment, optional
        Patients still to come; none by default.
    complete : tuple of str
        Reasons for censoring of the patients who get their remaining time. Only who is still followed, by default.
    dropout : bool
        Whether patients are lost from now on at the rate seen so far (losses and withdrawals per patient-month,
        Gamma posterior with a Jeffreys prior). Otherwise nobody is.
    replicates : int
        Simulated trials; rounded up to the same number for every posterior draw used.
    final_grid : TimeGrid, optional
        Intervals of the hazard ratio in the final analysis; ``grid`` by default.
    paths : HiddenPaths, optional
        Law of a hidden status that changes the hazards, and what is known of each patient's. A path is drawn for
        every patient who is followed or to come, then the remaining time with that path's hazards. Paths have
        random numbers of their own, so that predictions with and without them share those of the times.
    data_sets : int
        Equally likely data sets that the chains were fitted to, one after the other and as many chains of each. How
        much they differ is part of the Monte Carlo error.
    executor : concurrent.futures.Executor, optional
    chunk : int
        Replicates computed at a time.
    progress : callable, optional
        Called with replicates done and wanted.

    Returns
    -------
    Prediction

    Raises
    ------
    SpecificationError
        When final analysis, rule, enrolment and patients do not fit together; when the final analysis is before the
        data cut-off; and when its number of events cannot be reached any more and it has no latest date.
    """
    _check(patients, log_hazard, grid, rule, seed, replicates, chunk, paths)
    chains, draws = log_hazard.shape[:2]
    layout = Layout.of(chains, draws, replicates, data_sets)
    task = Completion.plan(
        patients, log_hazard.reshape(chains * draws, *log_hazard.shape[2:]), grid, layout.draw, final=final,
        enrolment=enrolment or Enrolment(), complete=complete, dropout=dropout, seed=seed, final_grid=final_grid,
        paths=paths,
    )  # fmt: skip
    size = layout.replicates
    chunks = [(task, rule, first, min(first + chunk, size)) for first in range(0, size, chunk)]
    parts, done = [], 0
    for part in run_chunks(_run_chunk, chunks, executor):
        parts.append(part)
        done += len(part["success"])
        if progress:
            progress(done, size)
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


def _check(
    patients: Patients,
    log_hazard: np.ndarray,
    grid: TimeGrid,
    rule: SuccessRule,
    seed: int,
    replicates: int,
    chunk: int,
    paths: HiddenPaths | None,
) -> None:
    """Collect what does not fit together."""
    with Problems("completing the trial", SpecificationError).collecting() as problems:
        by_path = () if paths is None else (paths.paths,)
        shape = (len(patients.arms), *by_path, len(patients.causes), len(grid))
        if log_hazard.ndim != 2 + len(shape) or log_hazard.shape[2:] != shape or 0 in log_hazard.shape:
            dims = "(chain, draw, arm, path, cause, interval)" if by_path else "(chain, draw, arm, cause, interval)"
            problems.add(f"log_hazard must have shape {dims} ending in {shape}; got {log_hazard.shape}")
        if not np.all(np.isfinite(log_hazard)):
            problems.add("log_hazard has values that are not finite; look at the fit")
        if paths is not None:
            chains, draws = (*log_hazard.shape, 0, 0)[:2]
            paths.check(problems, chains=chains, draws=draws, arm=patients.arm, arms=len(patients.arms))
        if rule.two_arms and len(patients.arms) < 2:
            problems.add(f"the rule '{rule}' compares two arms; this trial has one. Use an event count")
        if replicates < 1 or chunk < 1 or not 0 <= seed < 2**63:
            problems.add("replicates and chunk must be 1 or more, and seed a whole number from 0 to 2**63 - 1")
