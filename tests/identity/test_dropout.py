"""Loss to follow-up in the prediction: it counts from the patient's last day, and competes with the event."""

from __future__ import annotations

import numpy as np
import pytest

from smm_bayes.prediction import EventCount, FinalAnalysis
from smm_bayes.prediction.completion import Completion
from smm_bayes.prediction.final import Enrolment
from smm_bayes.prediction.probability import probability_of_success
from smm_bayes.survival import TimeGrid
from smm_bayes.survival.law import Law
from smm_bayes.trial import Patients


def completed(patients, log_hazard, grid, **options):
    """Complete a trial from log hazards (chain, draw, arm, cause, interval)."""
    law = Law.plain(log_hazard, grid, patients.arms, patients.causes)
    return probability_of_success(patients, law, **options)

REPLICATES, NUMBER = 4000, 40
HAZARD, LOSS = 0.03, 0.05


def followed(survived: float) -> Patients:
    """Forty patients without event, each followed for ``survived`` months, who end on the day of the data cut."""
    size = NUMBER
    return Patients(
        patient=np.array([f"{i:02d}" for i in range(size)], dtype=object), arm=np.zeros(size, int),
        time=np.full(size, survived), event=np.zeros(size, bool), cause=np.full(size, -1),
        censoring=np.full(size, "administrative", dtype=object), enrolled=np.zeros(size),
        arms=("experimental",), arm_names=("KRd",), causes=("event",), data_cutoff=survived, provenance="simulated",
    )  # fmt: skip


def events_of(survived: float, horizon: float, loss: float) -> np.ndarray:
    """Events in completed trials at ``horizon`` months after the data cut, with a loss rate known exactly."""
    plan = Completion.plan(
        followed(survived), Law.plain(np.log(np.full((1, 1, 1, 1), HAZARD)), TimeGrid(()), ("single",)), np.zeros(REPLICATES),
        final=FinalAnalysis("date", date=survived + horizon), enrolment=Enrolment(), complete=("administrative",),
        dropout=False, seed=11, final_grid=None,
    )  # fmt: skip
    object.__setattr__(plan, "dropout", np.full(REPLICATES, loss))
    return plan.run(0, REPLICATES).events[:, 0, 0]


@pytest.mark.parametrize("survived", [0.5, 12.0, 60.0])
@pytest.mark.parametrize("horizon", [6.0, 1000.0])
def test_loss_counts_from_the_last_day_followed(survived: float, horizon: float) -> None:
    """P(event within h) = λ/(λ+δ)·(1 − e^{−(λ+δ)h}), whatever a patient survived before: both hazards are constant."""
    total = HAZARD + LOSS
    share = HAZARD / total * (1 - np.exp(-total * horizon))
    found = events_of(survived, horizon, LOSS) / NUMBER
    error = np.sqrt(share * (1 - share) / (REPLICATES * NUMBER))
    assert abs(found.mean() - share) < 4 * error


def test_no_loss_is_the_event_alone() -> None:
    found = events_of(12.0, 24.0, 0.0) / NUMBER
    share = 1 - np.exp(-HAZARD * 24)
    assert abs(found.mean() - share) < 4 * np.sqrt(share * (1 - share) / (REPLICATES * NUMBER))


def test_the_rate_of_loss_is_the_posterior_from_patients_lost_so_far() -> None:
    """Three patients lost in 480 patient-months: Gamma(3.5, 480); the share of events is its expectation."""
    patients = followed(12.0)
    reason = patients.censoring.copy()
    reason[:3] = ("lost", "withdrawn", "lost")
    some = patients.take(np.ones(NUMBER, bool), censoring=reason)
    found = completed(
        some, np.log(np.full((1, 4000, 1, 1, 1), HAZARD)), TimeGrid(()), seed=3, replicates=4000,
        final=FinalAnalysis("date", date=10_000.0), rule=EventCount(at_most=1e9), dropout=True,
    )  # fmt: skip
    rates = np.random.default_rng(5).gamma(3.5, 1 / 480, size=400_000)
    expected = 37 * np.mean(HAZARD / (HAZARD + rates))
    events = found.counted_events
    assert abs(events.mean() - expected) < 4 * events.std() / np.sqrt(len(events))
