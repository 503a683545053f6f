"""Patients simulated from the joint model: times, statuses, and which results are missing."""

from __future__ import annotations

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy.joint.law import JointLaw
from smm_bayes.surrogacy.joint.table import AssayError
from smm_bayes.surrogacy.visits.schedule import MISSING, NOT_YET, MrdSchedule, MrdStatus
from smm_bayes.trial.patients import Patients


def simulate_joint(
    law: JointLaw, schedule: MrdSchedule, arm: np.ndarray, *, rng: np.random.Generator,
    arms: tuple[str, ...] = ("control", "experimental"), causes: tuple[str, ...] = ("progression", "death"),
    enrolled: np.ndarray | None = None, cutoff: float = np.inf, missing: float | np.ndarray = 0.0,
    assay: AssayError | None = None,
) -> tuple[Patients, MrdStatus]:  # fmt: skip
    """Simulate patients of a joint law without leading dims, with their MRD status, as known at a data cut.

    Parameters
    ----------
    law : JointLaw
    schedule : MrdSchedule
        Its months are the law's.
    arm : numpy.ndarray of int, shape (patient,)
    rng : numpy.random.Generator
    arms, causes : tuple of str
    enrolled : numpy.ndarray, optional
        Calendar months of enrolment; all at 0 by default.
    cutoff : float
        Calendar month of the data cut; nobody is censored by default.
    missing : float or numpy.ndarray, shape (state,) or (visit, state)
        Probability of a result being missing, of patients who are at risk at a visit.
    assay : AssayError, optional

    Returns
    -------
    patients : Patients
        Censored only by the data cut.
    status : MrdStatus
        A result is known as soon as the visit is reached.

    Raises
    ------
    SpecificationError
        When the visits differ, or nobody is enrolled by the data cut.
    """
    if len(schedule) != len(law.months) or not np.allclose(schedule.months, law.months):
        theirs, ours = (", ".join(f"{month:g}" for month in months) for months in (schedule.months, law.months))
        raise SpecificationError(f"the schedule has visits at {theirs} months and the law at {ours}; give the same")
    size = len(arm)
    start = np.zeros(size) if enrolled is None else np.asarray(enrolled, float)
    if np.any(start > cutoff):
        raise SpecificationError("patients are enrolled after the data cut; choose a later one")
    time, cause, path = law.sample(arm, rng=rng)
    state = law.states[path]
    followed = cutoff - start
    event = time <= followed
    time = np.minimum(time, followed)
    patients = Patients(
        patient=np.arange(1, size + 1).astype(str).astype(object), arm=np.asarray(arm), time=time, event=event,
        cause=np.where(event, cause, -1), censoring=np.where(event, "", "administrative").astype(object),
        enrolled=start, arms=arms, arm_names=arms, causes=causes, provenance="simulated",
        data_cutoff=float(cutoff) if np.isfinite(cutoff) else None,
    )  # fmt: skip
    at_risk = time[:, None] > law.months
    result = state
    if assay is not None:
        chance = np.exp(assay.log_probability)[1][state]  # of a negative result
        result = (rng.random(state.shape) < chance).astype(int)
    chance = np.broadcast_to(missing, (len(law.months), 2))[np.arange(len(law.months)), state]
    code = np.where(rng.random(state.shape) < chance, MISSING, result)
    code = np.where(at_risk, code, NOT_YET)
    return patients, MrdStatus(schedule, code, at_risk, patients.arm, arms)
