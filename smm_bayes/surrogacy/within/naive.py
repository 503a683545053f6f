"""Comparing patients who were ever MRD-negative with the others from time zero: biased, kept to show by how much."""

from __future__ import annotations

import numpy as np

from smm_bayes.errors import DataError
from smm_bayes.trial.cox import CoxRatio, cox_ratio
from smm_bayes.trial.patients import Patients


def ever_negative(patients: Patients) -> np.ndarray:
    """Whether each patient has any MRD-negative result, at whatever time, shape (patient,).

    Raises
    ------
    DataError
        When the patients have no MRD results.
    """
    if patients.mrd is None:
        raise DataError("the patients have no MRD results; read them with the patients (mrd=...)")
    found = np.zeros(len(patients), dtype=bool)
    found[patients.mrd.row[patients.mrd.negative]] = True
    return found


def naive_responder_hazard_ratio(patients: Patients, *causes: str, negative: np.ndarray | None = None) -> CoxRatio:
    """Hazard ratio of the ever MRD-negative over the never negative, from time zero: a demonstration of bias only.

    It is wrong whether or not MRD matters. To be found negative a patient must be event-free until an assessment, so
    the months before it are event-free by construction, and they are counted as months of a negative patient: immortal
    time. A patient with an event before the first assessment counts as never negative. The ratio is therefore below 1
    even where MRD status has nothing to do with the hazard. Use
    :func:`~smm_bayes.surrogacy.within.landmark.landmark_patients`, or a model in which the hazard follows the
    status at the latest visit.

    Parameters
    ----------
    patients : Patients
    *causes : str
        Causes that count; all by default.
    negative : numpy.ndarray of bool, shape (patient,), optional
        Who was ever negative; by the patients' own results if not given.

    Returns
    -------
    CoxRatio
        By Cox's partial likelihood, stratified by arm.

    Raises
    ------
    DataError
        When a cause is unknown, there are no MRD results, or the ratio is not defined.

    References
    ----------
    Anderson JR, Cain KC, Gelber RD. J Clin Oncol 1983;1:710-9.
    """
    group = ever_negative(patients) if negative is None else np.asarray(negative, dtype=bool)
    if group.shape != (len(patients),):
        raise DataError(f"negative must be one value for each of {len(patients)} patients; got shape {group.shape}")
    counted = patients.count_only(*causes) if causes else patients
    if counted.delayed.any():
        raise DataError(f"{counted.delayed.sum()} patients have delayed entry, which this comparison does not know")
    return cox_ratio(counted.time, counted.event, group, counted.arm)
