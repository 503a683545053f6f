"""What an answer holds under: whether the model describes the data, and what is assumed of follow-up and evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.mrd.sections import EVENTS
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.survival import Cure, Regression, Visits
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import xarray as xr

    from smm_bayes.analysis.decision import FitVerdict
    from smm_bayes.analysis.interim import InterimInputs

LOST = ("lost", "withdrawn")
PER = 1200  # patient-months in 100 patient-years


def fit_verdict(inputs: InterimInputs, log_hazard: xr.DataArray, *, seed: int) -> FitVerdict:
    """Compare this trial's patients with patients replicated from the primary fit.

    Parameters
    ----------
    inputs : InterimInputs
    log_hazard : xarray.DataArray
        Of all patients of an arm (chain, draw, arm, cause, interval), from the primary fit.
    seed : int
    """
    from smm_bayes.analysis.decision import FitVerdict
    from smm_bayes.survival.replicated import DIMS, predictive_check

    draws = log_hazard.transpose(*DIMS).to_numpy()
    found = predictive_check(draws.reshape(-1, *draws.shape[2:]), inputs.patients, inputs.spec.grid,
                             rng=np.random.default_rng(seed))  # fmt: skip
    return FitVerdict(
        verdict="use with caution" if found.misfits else "passed", checked=what_is_checked(inputs),
        p_values=found.p_values, least_p_value=found.least_p_value, cells=len(found.inside),
        cells_inside=int(found.inside.sum()), sentence=found.summary(),
    )  # fmt: skip


def what_is_checked(inputs: InterimInputs) -> str:
    """Say which part of the model the comparison with the data is of."""
    said = "event times of this trial's patients"
    if inputs.joint is not None and inputs.primary != EVENTS:
        said += ", under hazards averaged over MRD (MRD results themselves are not checked)"
    if isinstance(inputs.model, Cure | Regression):
        said += ", under hazards averaged over each arm"
    if isinstance(inputs.model, Visits):
        said += f"; {inputs.model.visits.cause} is taken as seen when it happens, although visits find it"
    if isinstance(inputs.model, WithEarlierTrials):
        said += "; earlier trials are compared with what all others predict of them"
    return said


def assumptions(inputs: InterimInputs) -> list[str]:
    """Say what the prediction assumes of patients lost from now on, and of evidence that is known in one form only."""
    said = [_loss(inputs.patients, inputs.spec.prediction.dropout)]
    model = inputs.model
    if isinstance(model, WithEarlierTrials) and len(model.trials) == 1 and _reconstructed(model):
        said.append("Earlier trials enter by one data set: how far another reconstruction would move the answer is not "
                    "in the Monte Carlo error.")  # fmt: skip
    return said


def _reconstructed(model: WithEarlierTrials) -> bool:
    """Whether there could be other sets of patients of an earlier trial, which its real or simulated ones have not."""
    return any(source.provenance == "reconstructed" for source in model.sources)


def _loss(patients: Patients, dropout: bool) -> str:
    """Whether patients are lost from now on, at which rate, and how many were so far."""
    lost = int((~patients.event & np.isin(patients.censoring, LOST)).sum())
    seen = f"{lost} of {len(patients)} patients were lost or withdrew so far" if lost else "none was lost so far"
    if not dropout:
        return f"No patient is assumed lost to follow-up from now on ({seen})."
    rate = PER * (0.5 + lost) / patients.time.sum()
    return (f"Patients are assumed lost to follow-up from now on at the rate seen so far, {rate:.2g} per 100 "
            f"patient-years ({seen}).")  # fmt: skip
