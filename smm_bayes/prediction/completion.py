"""Completing a trial from every posterior draw: arrays in, sufficient statistics of final analyses out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.prediction.final import Enrolment, FinalAnalysis, FinalData
from smm_bayes.prediction.paths import HiddenPaths
from smm_bayes.prediction.trigger import Outlook
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.trial.calendar import ticks
from smm_bayes.trial.patients import UNKNOWN, Patients

AUXILIARY = 2**63  # key of the stream for rates, beyond any replicate


@dataclass(frozen=True, eq=False)
class Completion:
    """Everything that completing a trial needs, as arrays; replicate r is the same whoever computes it.

    Attributes
    ----------
    patients : Patients
    final : FinalAnalysis
    hazards : numpy.ndarray, shape (draw, arm, cause, interval)
        With hidden paths (draw, arm, path, cause, interval).
    grid : TimeGrid
        Of the hazards.
    draw : numpy.ndarray of int, shape (replicate,)
        Posterior draw of each replicate.
    followed : numpy.ndarray of bool, shape (patient,)
        Patients whose remaining time is drawn.
    new_arms : numpy.ndarray of int
    rate, dropout : numpy.ndarray, shape (replicate,)
        Accrual and loss per month.
    seed : int
    final_grid : TimeGrid
        Intervals of the final analysis.
    paths : HiddenPaths, optional
        Of the same posterior draws and patients; chains end to end.
    trigger : str
        What is known of the trigger already (:func:`~smm_bayes.prediction.trigger.final_status`).
    """

    patients: Patients
    final: FinalAnalysis
    hazards: np.ndarray
    grid: TimeGrid
    draw: np.ndarray
    followed: np.ndarray
    new_arms: np.ndarray
    rate: np.ndarray
    dropout: np.ndarray
    seed: int
    final_grid: TimeGrid
    paths: HiddenPaths | None = None
    trigger: str = ""

    @classmethod
    def plan(
        cls, patients: Patients, log_hazard: np.ndarray, grid: TimeGrid, draw: np.ndarray, *, final: FinalAnalysis,
        enrolment: Enrolment, complete: tuple[str, ...], dropout: bool, seed: int, final_grid: TimeGrid | None,
        paths: HiddenPaths | None = None,
    ) -> Completion:  # fmt: skip
        """Check everything and draw the rates."""
        _refuse_delayed_entry(patients)
        _refuse_unknown_reasons(patients)
        final.counted(patients.causes)
        new_arms = enrolment.new_arms(patients)
        if patients.enrolled is None and (final.at != "follow_up" or not final.truncate):
            raise SpecificationError(
                "a final analysis by events or date needs the dates of enrolment; give STARTDT, or follow everyone "
                "for a fixed time (final.at = 'follow_up')"
            )
        outlook = Outlook.of(patients, final, enrolment, complete)
        rng = np.random.Generator(np.random.Philox(key=np.array([seed, AUXILIARY], dtype=np.uint64)))
        size = len(draw)
        rate = enrolment.rates(patients, size, rng=rng) if len(new_arms) else np.ones(size)
        lost = np.zeros(size)
        if dropout:
            early = ~patients.event & np.isin(patients.censoring, ("lost", "withdrawn"))
            lost = rng.gamma(0.5 + early.sum(), size=size) / patients.time.sum()
        followed = ~patients.event & np.isin(patients.censoring, complete)
        return cls(patients, outlook.final, np.exp(log_hazard), grid, draw.astype(np.int64), followed, new_arms, rate,
                   lost, seed, final_grid or grid, paths, outlook.sentence)  # fmt: skip

    @classmethod
    def nothing_to_draw(cls, patients: Patients, final: FinalAnalysis, grid: TimeGrid) -> Completion:
        """Take a trial as it is: the final analysis of patients that are all known."""
        _refuse_delayed_entry(patients)
        shape = (1, len(patients.arms), len(patients.causes), len(grid))
        return cls(patients, final, np.zeros(shape), grid, np.zeros(1, np.int64), np.zeros(len(patients), bool),
                   np.zeros(0, np.int64), np.ones(1), np.zeros(1), 0, grid)  # fmt: skip

    def run(self, first: int, last: int) -> FinalData:
        """Complete replicates ``first`` to ``last - 1``."""
        from smm_bayes.prediction.kernels import complete_trials
        from smm_bayes.prediction.stream import STATE_SIZE

        patients, final = self.patients, self.final
        counted = final.counted(patients.causes)
        out = FinalData.empty(last - first, patients.arms, patients.causes, len(self.final_grid), counted)
        enrolled = patients.enrolled if patients.enrolled is not None else np.zeros(len(patients))
        limits = [final.date or 0.0, final.follow_up or 0.0, final.limit, final.cap]
        size, (causes, intervals) = len(patients) + len(self.new_arms), self.hazards.shape[-2:]
        hazards = self.hazards.reshape(len(self.hazards), -1, causes, intervals)  # one row an arm, or an arm and path
        rows, paths = hazards.shape[1], self.paths.paths if self.paths else 1
        log_probability, log_weight = np.zeros((len(hazards), rows)), np.zeros((len(patients), 1))
        if self.paths:
            log_probability = self.paths.log_probability.reshape(len(hazards), rows)
            log_weight = self.paths.log_weight
        for table in (log_probability, log_weight):
            table.setflags(write=False)  # alike with and without paths: the kernel is compiled once
        complete_trials(
            np.uint64(self.seed), first, hazards, self.draw[first:last], self.grid.starts,
            ticks(enrolled), patients.arm.astype(np.int64), patients.time, ticks(patients.time),
            patients.cause.astype(np.int64), self.followed, self.new_arms, self.rate[first:last],
            self.dropout[first:last], float(patients.data_cutoff or 0.0),
            final.kind, int(final.events or 0), *map(float, ticks(np.array(limits))), counted,
            ticks(self.final_grid.starts), paths, log_probability, log_weight, self.grid.index(patients.time),
            out.date, out.reached, out.number, out.events, out.score, out.variance, out.cell_events, out.cell_exposure,
            np.empty((2, STATE_SIZE), np.uint64), np.empty((2, rows, intervals)), np.empty((2, paths)),
            np.empty((4, size)), np.zeros((5, size + 1), np.int64),
        )  # fmt: skip
        return out


def _refuse_unknown_reasons(patients: Patients) -> None:
    """Ask who is still followed, where the table of patients does not say why they were censored."""
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
