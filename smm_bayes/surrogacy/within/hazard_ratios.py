"""The hazard ratio of MRD-negative over not by three ways of comparing, side by side and in simulated trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy.joint.law import JointLaw
from smm_bayes.surrogacy.joint.simulate import simulate_joint
from smm_bayes.surrogacy.visits.schedule import NEGATIVE, MrdSchedule, MrdStatus
from smm_bayes.surrogacy.within.landmark import UNKNOWN, landmark_patients
from smm_bayes.surrogacy.within.naive import naive_responder_hazard_ratio
from smm_bayes.trial.cox import CoxRatio
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from smm_bayes.surrogacy.joint.priors import JointPriors
    from smm_bayes.surrogacy.joint.shape import JointShape

NAIVE, LANDMARK, JOINT = "ever negative v never", "landmark", "joint model"
BIASED = "biased by construction"


def hazard_ratio_table(naive: CoxRatio, landmark: CoxRatio, joint: pd.DataFrame, *, month: float) -> pd.DataFrame:
    """Put the hazard ratios of MRD-negative over not beside each other.

    Parameters
    ----------
    naive : CoxRatio
        Of :func:`~smm_bayes.surrogacy.within.naive.naive_responder_hazard_ratio`.
    landmark : CoxRatio
        Of :meth:`~smm_bayes.surrogacy.within.landmark.Landmark.cox_ratio`.
    joint : pandas.DataFrame
        One row, of :func:`~smm_bayes.survival.summary.summarise` of the joint model's hazard ratio.
    month : float
        The landmark.

    Returns
    -------
    pandas.DataFrame
        One row a way of comparing: ``ratio`` (estimate, or posterior median), ``lower`` and ``upper`` (95 %), and
        ``note``, which says of the first that it is biased by construction.

    Raises
    ------
    SpecificationError
        When ``joint`` has not one row.
    """
    import pandas as pd

    if len(joint) != 1:
        raise SpecificationError(f"joint must be one row, of one cause; got {len(joint)}")
    own = joint.iloc[0]
    rows = {
        NAIVE: (naive.hazard_ratio, *naive.interval(), BIASED),
        f"{LANDMARK} at month {month:g}": (landmark.hazard_ratio, *landmark.interval(), "patients event-free then"),
        JOINT: (own["median"], own["lower"], own["upper"], "status counts from the visit on"),
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["ratio", "lower", "upper", "note"])


def law_without_effect(posterior: xr.Dataset, shape: JointShape, priors: JointPriors) -> JointLaw:
    """Give the law at the posterior medians, but MRD does nothing: a truth under which to look at biases.

    Parameters
    ----------
    posterior : xarray.Dataset
        Of :func:`~smm_bayes.surrogacy.joint.model.joint_model`.
    shape : JointShape
    priors : JointPriors
    """
    middle = {str(name): draws.median(("chain", "draw")).values for name, draws in posterior.data_vars.items()}
    for name in ("log_mrd_hazard_ratio", "log_mrd_interaction"):
        if name in middle:
            middle[name] = np.zeros_like(middle[name])
    return JointLaw.of(middle, shape, priors)


def simulated_ratios(
    law: JointLaw, schedule: MrdSchedule, arm: np.ndarray, trials: int, *, rng: np.random.Generator,
    enrolled: np.ndarray | None = None, cutoff: float = np.inf, missing: float = 0.0,
    causes: tuple[str, ...] = ("progression", "death"), counted: tuple[str, ...] = ("progression",),
) -> pd.DataFrame:  # fmt: skip
    """Simulate trials of a joint law, and estimate the hazard ratio of MRD in each, naively and from a landmark.

    With a law in which MRD does nothing the mean of the log hazard ratios shows the bias of each.

    Parameters
    ----------
    law : JointLaw
        Without leading dims.
    schedule, arm, enrolled, cutoff, missing, causes
        As in :func:`~smm_bayes.surrogacy.joint.simulate.simulate_joint`.
    trials : int
    rng : numpy.random.Generator
    counted : tuple of str
        Causes that count.

    Returns
    -------
    pandas.DataFrame
        One row a way of comparing: ``ratio``, the geometric mean of the hazard ratios, with ``lower`` and ``upper``
        two Monte Carlo errors from it; ``mcse`` of its logarithm; ``trials`` whose ratio is neither 0 nor infinite (the
        others are left out: simulate trials large enough to have none); ``covered``, the share of them whose 95 %
        interval holds 1.

    Raises
    ------
    SpecificationError
        When there are fewer than two trials, or in fewer than two a ratio is finite.
    DataError
        When in a trial a ratio is not defined.
    """
    import pandas as pd

    if trials < 2:
        raise SpecificationError(f"at least two trials are needed for a Monte Carlo error; got {trials}")
    found = []
    for _ in range(trials):
        patients, status = simulate_joint(law, schedule, arm, rng=rng, enrolled=enrolled, cutoff=cutoff,
                                          missing=missing, causes=causes)  # fmt: skip
        found.append(_ratios(patients, status, counted))
    return pd.DataFrame({name: _mean([ratios[name] for ratios in found], name) for name in found[0]}).T


def _ratios(patients: Patients, status: MrdStatus, counted: tuple[str, ...]) -> dict[str, CoxRatio]:
    ever = (status.code == NEGATIVE).any(axis=1)
    month, latest = status.schedule.months[-1], np.maximum(status.code[:, -1], UNKNOWN)
    return {NAIVE: naive_responder_hazard_ratio(patients, *counted, negative=ever),
            LANDMARK: landmark_patients(patients, latest, month).cox_ratio(*counted)}  # fmt: skip


def _mean(ratios: list[CoxRatio], name: str) -> dict[str, float]:
    """Geometric mean of the finite ratios, with its Monte Carlo error."""
    finite = [ratio for ratio in ratios if np.isfinite(ratio.log_hazard_ratio)]
    if len(finite) < 2:
        raise SpecificationError(f"{name}: in fewer than two trials the ratio is finite; simulate larger ones")
    logs = np.array([ratio.log_hazard_ratio for ratio in finite])
    error = float(logs.std(ddof=1) / np.sqrt(len(logs)))
    middle = float(logs.mean())
    ends = [ratio.interval() for ratio in finite]
    covered = float(np.mean([low < 1 < high for low, high in ends]))
    ratio, lower, upper = (float(np.exp(middle + errors * error)) for errors in (0, -2, 2))
    return {"ratio": ratio, "lower": lower, "upper": upper, "mcse": error, "trials": len(finite), "covered": covered}
