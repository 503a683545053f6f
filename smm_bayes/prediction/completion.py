"""Completing a trial from every posterior draw: arrays in, sufficient statistics of final analyses out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.prediction.final import Enrolment, FinalAnalysis, FinalData
from smm_bayes.prediction.trigger import Outlook
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.law import Law
from smm_bayes.survival.schedule import FoundAtVisits, no_visits
from smm_bayes.trial.calendar import ticks
from smm_bayes.trial.patients import UNKNOWN, Patients

AUXILIARY = 2**63  # key of the stream for rates, beyond any replicate
ANOTHER = 2**63  # added to a seed, which is below it


@dataclass(frozen=True, eq=False)
class Completion:
    """Everything that completing a trial needs, as arrays; replicate r is the same whoever computes it.

    Attributes
    ----------
    patients : Patients
    final : FinalAnalysis
    law : Law
        Leading dim (draw,).
    draw : numpy.ndarray of int, shape (replicate,)
        Posterior draw of each replicate.
    known : numpy.ndarray, shape (patient, component)
        Log probability of what is known of each patient, given the component of the law.
    followed : numpy.ndarray of bool, shape (patient,)
        Patients whose remaining time is drawn.
    new_arms : numpy.ndarray of int
    rate, dropout : numpy.ndarray, shape (replicate,)
        Accrual and loss per month.
    seed : int
    final_grid : TimeGrid
        Intervals of the final analysis.
    visits : FoundAtVisits, optional
    dates : numpy.ndarray, shape (replicate,), optional
        Calendar time of each final analysis that is made with another one.
    trigger : str
        What is known of the trigger already (:func:`~smm_bayes.prediction.trigger.final_status`).
    """

    patients: Patients
    final: FinalAnalysis
    law: Law
    draw: np.ndarray
    known: np.ndarray
    followed: np.ndarray
    new_arms: np.ndarray
    rate: np.ndarray
    dropout: np.ndarray
    seed: int
    final_grid: TimeGrid
    visits: FoundAtVisits | None = None
    dates: np.ndarray | None = None
    trigger: str = ""

    @classmethod
    def plan(
        cls, patients: Patients, law: Law, draw: np.ndarray, *, final: FinalAnalysis, enrolment: Enrolment,
        complete: tuple[str, ...], dropout: bool, seed: int, final_grid: TimeGrid | None = None,
        known: np.ndarray | None = None, visits: FoundAtVisits | None = None, dates: np.ndarray | None = None,
    ) -> Completion:  # fmt: skip
        """Check everything and draw the rates."""
        _refuse_delayed_entry(patients)
        _refuse_unknown_reasons(patients)
        counted = final.counted(patients.causes)
        if visits is not None:
            visits.arrays(patients, counted)
        new_arms = enrolment.new_arms(patients)
        if patients.enrolled is None and (final.at != "follow_up" or not final.truncate):
            raise SpecificationError(
                "a final analysis by events or date needs the dates of enrolment; give STARTDT, or follow everyone "
                "for a fixed time (final.at = 'follow_up')"
            )
        outlook = Outlook.of(patients, final, enrolment, complete)
        if dates is not None:
            seed += ANOTHER  # the dates may have come of the same seed, and say nothing of the patients' times here
        rng = np.random.Generator(np.random.Philox(key=np.array([seed, AUXILIARY], dtype=np.uint64)))
        size = len(draw)
        rate = enrolment.rates(patients, size, rng=rng) if len(new_arms) else np.ones(size)
        lost = np.zeros(size)
        if dropout:
            early = ~patients.event & np.isin(patients.censoring, ("lost", "withdrawn"))
            lost = rng.gamma(0.5 + early.sum(), size=size) / patients.time.sum()
        followed = ~patients.event & np.isin(patients.censoring, complete)
        known = np.zeros((len(patients), law.components)) if known is None else known
        return cls(patients, outlook.final, law, draw.astype(np.int64), known, followed, new_arms, rate, lost, seed,
                   final_grid or law.grid, visits, _spread(dates, size), outlook.sentence)  # fmt: skip

    @classmethod
    def nothing_to_draw(cls, patients: Patients, final: FinalAnalysis, grid: TimeGrid) -> Completion:
        """Take a trial as it is: the final analysis of patients that are all known."""
        _refuse_delayed_entry(patients)
        shape = (1, len(patients.arms), len(patients.causes), len(grid))
        law = Law.plain(np.zeros(shape), grid, patients.arms, patients.causes)
        return cls(patients, final, law, np.zeros(1, np.int64), np.zeros((len(patients), 1)),
                   np.zeros(len(patients), bool), np.zeros(0, np.int64), np.ones(1), np.zeros(1), 0, grid)  # fmt: skip

    def run(self, first: int, last: int) -> FinalData:
        """Complete replicates ``first`` to ``last - 1``."""
        from smm_bayes.prediction.kernels import complete_trials
        from smm_bayes.prediction.stream import STATE_SIZE

        patients, final, law = self.patients, self.final, self.law
        counted = final.counted(patients.causes)
        out = FinalData.empty(last - first, patients.arms, patients.causes, len(self.final_grid), counted)
        enrolled = patients.enrolled if patients.enrolled is not None else np.zeros(len(patients))
        dates = np.full(last - first, final.date or 0.0) if self.dates is None else self.dates[first:last]
        limits = [final.follow_up or 0.0, final.limit, final.cap]
        size, components, intervals = len(patients) + len(self.new_arms), law.components, len(law.grid)
        rows = len(patients.arms) * components
        visits, found = no_visits(len(patients.arms)), np.zeros(len(patients.causes), bool)
        if self.visits is not None:
            visits, found = self.visits.arrays(patients, counted)
        log_share = np.array(law.log_share.reshape(-1, rows), dtype=float, order="C")
        known = np.array(self.known, dtype=float, order="C")
        possible = np.isfinite(known)
        certain = np.where(possible.sum(axis=1) == 1, possible.argmax(axis=1), -1)
        for table in (log_share, known):
            table.setflags(write=False)  # alike for all laws: the kernel is compiled once
        complete_trials(
            np.uint64(self.seed), first, self._hazards, self.draw[first:last], law.grid.starts,
            ticks(enrolled), patients.arm.astype(np.int64), patients.time, ticks(patients.time),
            patients.cause.astype(np.int64), self.followed, self.new_arms, self.rate[first:last],
            self.dropout[first:last], float(patients.data_cutoff or 0.0),
            final.kind, int(final.events or 0), ticks(dates), *map(float, ticks(np.array(limits))), counted,
            ticks(self.final_grid.starts), components, log_share, known, law.grid.index(patients.time),
            certain, visits, found,
            out.date, out.reached, out.number, out.events, out.score, out.variance, out.cell_events, out.cell_exposure,
            np.empty((2, STATE_SIZE), np.uint64), np.empty((2, rows, intervals)), np.empty((2, components)),
            np.empty((5, size)), np.zeros((5, size + 1), np.int64),
        )  # fmt: skip
        return out

    @cached_property
    def _hazards(self) -> np.ndarray:
        """Hazards with one row for each arm and component, shape (draw, row, cause, interval)."""
        shaped = self.law.log_hazard.reshape(len(self.law.log_hazard), -1, *self.law.log_hazard.shape[-2:])
        return np.exp(shaped, order="C")  # alike for all laws: the kernel is compiled once


def _spread(dates: np.ndarray | None, size: int) -> np.ndarray | None:
    """Give each replicate a date, each date to as many replicates as the others."""
    return None if dates is None else np.asarray(dates, dtype=float)[np.arange(size) * len(dates) // size]


def _refuse_unknown_reasons(patients: Patients) -> None:
    """Ask which patients are still followed, where their table does not say why they were censored."""
    if unknown := int(np.sum(patients.censoring == UNKNOWN)):
        raise SpecificationError(
            f"whether the {unknown} censored patients are still followed is not known: the table gives no reasons. If "
            'they are, say so: snapshot.censoring = {1 = "administrative"}, or censoring="administrative" when a plain '
            "table is read"
        )


def _refuse_delayed_entry(patients: Patients) -> None:
    """Refuse what the kernels cannot do: their log-rank test and final cells have everybody at risk from 0."""
    if late := int(patients.delayed.sum()):
        raise SpecificationError(
            f"a final analysis is not yet for patients with delayed entry; {late} of these {len(patients)} came under "
            "observation after time zero. Fit their hazards and curves, or count time from enrolment and give no entry"
        )
