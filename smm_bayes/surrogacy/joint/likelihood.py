"""The joint likelihood patient by patient in NumPy: twin of the PyMC model, by another route."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.surrogacy.joint.law import JointLaw
from smm_bayes.surrogacy.joint.table import AssayError

if TYPE_CHECKING:
    from smm_bayes.surrogacy.visits.schedule import MrdStatus
    from smm_bayes.trial.patients import Patients


def patient_log_likelihood(
    law: JointLaw, patients: Patients, status: MrdStatus, *, assay: AssayError | None = None,
    missing: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Log likelihood of every patient, shape (..., patient): all paths are gone through for everybody.

    Parameters
    ----------
    law : JointLaw
    patients : Patients
    status : MrdStatus
    assay : AssayError, optional
    missing : numpy.ndarray, shape (..., visit, state), optional
        Probability of a result being missing, where that depends on the status.

    Returns
    -------
    numpy.ndarray
        Left out, as in the PyMC model: the probability of a missing result where it does not depend on the status.
    """
    grid, exposure = law.grid, law.grid.exposure(patients.time)
    result = np.empty((*law.log_share.shape[:-2], len(patients)))
    emission = (assay or AssayError()).log_probability
    for row in range(len(patients)):
        arm, hit = patients.arm[row], patients.event[row]
        value = law.log_share[..., arm, :] - (law.by_component.hazards[..., arm, :, :] * exposure[row]).sum(axis=-1)
        if hit:
            value = value + law.log_hazard[..., arm, :, patients.cause[row], grid.index(patients.time[row])]
        for visit, month in enumerate(law.months):
            if not patients.time[row] > month:
                continue
            code, state = status.code[row, visit], law.states[:, visit]
            if code >= 0:
                value = value + emission[code, state]
            if missing is not None and code >= -1:
                chance = missing[..., visit, :][..., state]
                value = value + np.log(chance if code == -1 else 1 - chance)
        result[..., row] = np.logaddexp.reduce(value, axis=-1)
    return result


def log_likelihood(law: JointLaw, patients: Patients, status: MrdStatus) -> np.ndarray:
    """Log likelihood of all patients, one number per leading index."""
    return patient_log_likelihood(law, patients, status).sum(axis=-1)
