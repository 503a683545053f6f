"""The probability that the final analysis succeeds, with its Monte Carlo error."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.execution import run_chunks
from smm_bayes.prediction.completion import Completion
from smm_bayes.prediction.final import Enrolment, FinalAnalysis, FinalData
from smm_bayes.prediction.success import SuccessRule
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.trial.calendar import calendar_date
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the final analysis will show, given the interim.

    Attributes
    ----------
    probability, mcse : float
        Probability of success and its Monte Carlo standard error, which counts the posterior draws'
        autocorrelation.
    success : numpy.ndarray of bool, shape (replicate,)
    columns : dict of str to numpy.ndarray
        One row a replicate: ``date``, ``reached``, ``z``, ``hazard_ratio``, ``enrolled`` and the events by
        arm and cause.
    rule : SuccessRule
    final : FinalAnalysis
    patients : Patients
        The interim.
    """

    probability: float
    mcse: float
    success: np.ndarray
    columns: dict[str, np.ndarray]
    rule: SuccessRule
    final: FinalAnalysis
    patients: Patients

    @property
    def replicates(self) -> pd.DataFrame:
        """One row a simulated trial."""
        import pandas as pd

        return pd.DataFrame({"success": self.success, **self.columns})

    @property
    def probability_reached(self) -> float:
        """Probability that what triggers the final analysis happens before the cap."""
        return float(np.mean(self.columns["reached"]))

    @property
    def event_columns(self) -> list[str]:
        """Names of the columns that hold events by arm and cause."""
        return [f"{arm}:{cause}" for arm in self.patients.arms for cause in self.patients.causes]

    @property
    def counted_events(self) -> np.ndarray:
        """Counted events at the final analysis, all arms together."""
        hit = self.final.counted(self.patients.causes)
        names = [f"{arm}:{cause}" for arm in self.patients.arms
                 for cause, counts in zip(self.patients.causes, hit, strict=True) if counts]  # fmt: skip
        return np.sum([self.columns[name] for name in names], axis=0)

    def intervals(self, level: float = 0.95) -> dict[str, tuple[float, float, float]]:
        """Median, lower and upper predictive limit of every numeric column with events in all."""
        tail = (1 - level) / 2
        values = {name: self.columns[name] for name in (*self.event_columns, "date")}
        if len(self.patients.arms) > 1:
            values["hazard_ratio"] = self.columns["hazard_ratio"]
        values["counted events"] = self.counted_events
        return {
            name: tuple(float(np.quantile(column, q, method="inverted_cdf")) for q in (0.5, tail, 1 - tail))  # type: ignore[misc]
            for name, column in values.items()
        }

    def summary(self) -> list[tuple[str, str]]:
        """What the reader asks first, as label and value."""
        rows = [("success rule", str(self.rule)), ("final analysis", str(self.final)),
                ("probability of success", f"{self.probability:.3f} (Monte Carlo error {self.mcse:.3f})")]  # fmt: skip
        if np.isfinite(self.final.cap) and self.final.at != "date":
            rows.append(("probability that the trigger is reached", f"{self.probability_reached:.3f}"))
        for name, (middle, low, high) in self.intervals().items():
            if name == "date" and self.patients.origin is not None:
                words = [calendar_date(value, self.patients.origin).isoformat() for value in (middle, low, high)]
                rows.append(("date of the final analysis", f"{words[0]} ({words[1]} to {words[2]})"))
            elif name == "hazard_ratio":
                rows.append(("final hazard ratio", f"{middle:.2f} ({low:.2f} to {high:.2f})"))
            elif name != "date":
                arm, _, cause = name.partition(":")
                label = f"{cause}, {self.patients.arm_name(arm)}" if cause else name
                rows.append((label, f"{middle:.0f} ({low:.0f} to {high:.0f})"))
        rows.append(("simulated trials", f"{len(self.success):,}"))
        return rows

    def __repr__(self) -> str:
        return f"Prediction: probability of success {self.probability:.3f} ± {self.mcse:.2g}; {self.rule}; {self.final}"

    def _repr_html_(self) -> str:
        cells = "".join(f"<tr><th>{label}</th><td>{value}</td></tr>" for label, value in self.summary())
        return f"<table><caption>Prediction (median and 95 % predictive interval)</caption>{cells}</table>"


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
        Posterior draws of the log hazard per month; independent draws are one chain.
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
        When final analysis, rule, enrolment and patients do not fit together.
    """
    _check(patients, log_hazard, grid, rule, seed, replicates, chunk)
    chains, draws = log_hazard.shape[:2]
    used, repeats = _layout(chains, draws, replicates)
    # replicate (chain, draw, repeat) in that order
    index = (np.arange(chains)[:, None, None] * draws + used[None, :, None]).repeat(repeats, axis=2)
    task = Completion.plan(
        patients, log_hazard.reshape(chains * draws, *log_hazard.shape[2:]), grid, index.ravel(), final=final,
        enrolment=enrolment or Enrolment(), complete=complete, dropout=dropout, seed=seed, final_grid=final_grid,
    )  # fmt: skip
    size = index.size
    chunks = [(task, rule, first, min(first + chunk, size)) for first in range(0, size, chunk)]
    parts, done = [], 0
    for part in run_chunks(_run_chunk, chunks, executor):
        parts.append(part)
        done += len(part["success"])
        if progress:
            progress(done, size)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    success = columns.pop("success")
    by_draw = success.reshape(chains, len(used), repeats).mean(axis=2)
    return Prediction(float(success.mean()), _monte_carlo_error(by_draw, size), success, columns, rule, final, patients)


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


def _layout(chains: int, draws: int, replicates: int) -> tuple[np.ndarray, int]:
    """Which draws of every chain are used, evenly spaced, and how many replicates each gets."""
    per_chain = -(-replicates // chains)
    if per_chain >= draws:
        return np.arange(draws), -(-per_chain // draws)
    return np.unique(np.linspace(0, draws - 1, per_chain).round().astype(int)), 1


def _monte_carlo_error(by_draw: np.ndarray, size: int) -> float:
    """Standard error of the mean over (chain, draw), never below that of the Jeffreys posterior of a proportion."""
    hits = float(by_draw.mean() * size)
    a, b = hits + 0.5, size - hits + 0.5
    floor = float(np.sqrt(a * b / ((a + b) ** 2 * (a + b + 1))))
    if by_draw.std() == 0 or by_draw.shape[1] < 4:
        return floor
    from arviz_stats.base import array_stats

    return max(float(array_stats.mcse(by_draw, chain_axis=0, draw_axis=1)), floor)


def _check(
    patients: Patients,
    log_hazard: np.ndarray,
    grid: TimeGrid,
    rule: SuccessRule,
    seed: int,
    replicates: int,
    chunk: int,
) -> None:
    shape = (len(patients.arms), len(patients.causes), len(grid))
    if log_hazard.ndim != 5 or log_hazard.shape[2:] != shape:
        raise SpecificationError(
            f"log_hazard must have shape (chain, draw, arm, cause, interval) ending in {shape}; got {log_hazard.shape}"
        )
    if not np.all(np.isfinite(log_hazard)):
        raise SpecificationError("log_hazard has values that are not finite; look at the fit")
    if rule.two_arms and len(patients.arms) < 2:
        raise SpecificationError(f"the rule '{rule}' compares two arms; this trial has one. Use an event count")
    if replicates < 1 or chunk < 1 or not 0 <= seed < 2**63:
        raise SpecificationError("replicates and chunk must be 1 or more, and seed a whole number from 0 to 2**63 - 1")
