"""Whether a fitted piecewise-exponential model may be believed: convergence, data, cross-validation, prior.

References
----------
Vehtari A, Gelman A, Gabry J. Stat Comput 2017;27:1413-32, doi:10.1007/s11222-016-9696-4 (leave-one-out). Kallioinen N
et al. Stat Comput 2024;34:57, doi:10.1007/s11222-023-10366-5 (power scaling). Of the comparison with the data see
:mod:`smm_bayes.survival.replicated`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.survival.likelihood import patient_log_likelihood
from smm_bayes.survival.replicated import DIMS, PredictiveCheck, listed, predictive_check

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from smm_bayes.inference.convergence import Convergence
    from smm_bayes.inference.sampling import Fit
    from smm_bayes.survival.grid import TimeGrid
    from smm_bayes.trial.patients import Patients

MAX_PARETO_K = 0.7
SENSITIVE = 0.05  # power-scaling sensitivity from which a component moves the posterior
PARAMETERS = ("log_hazard_ratio", "level", "smoothness", "ratio_smoothness", "log_half_life")
DATA_DECIDE = "the data decide"
BOTH_MOVE = "prior and data both move it: a prior-data conflict is possible"
PRIOR_DECIDES = "weak likelihood: the prior decides"


@dataclass(frozen=True, eq=False)
class FitCheck:
    """A fit's convergence, its agreement with the data, its predictive density, and what its prior does.

    Attributes
    ----------
    patients : Patients
    predictive : PredictiveCheck
    loo : arviz.ELPDData
        PSIS leave-one-patient-out cross-validation, pointwise; None where the hazards were given.
    sensitivity : pandas.DataFrame or None
        Power-scaling sensitivity: ``prior`` and ``likelihood`` by parameter; None without log densities.
    convergence : Convergence
    """

    patients: Patients
    predictive: PredictiveCheck
    loo: Any
    sensitivity: pd.DataFrame | None
    convergence: Convergence

    @property
    def passed(self) -> bool:
        """Whether the fit converged and the data look like data from it."""
        return self.convergence.passed and not self.predictive.misfits

    @property
    def unreliable(self) -> int:
        """Patients whose Pareto k is above 0.7: cross-validation does not know how they would be predicted."""
        if self.loo is None:
            return 0
        return int((self.loo.pareto_k.values > MAX_PARETO_K).sum())

    def table(self) -> pd.DataFrame:
        """Give every check as a row: check, statistic, value, reference, verdict."""
        import pandas as pd

        return pd.DataFrame(self._rows(), columns=["check", "statistic", "value", "reference", "verdict"])

    def _rows(self) -> list[tuple[str, str, float, str, str]]:
        seen, loo, converged = self.predictive, self.loo, self.convergence
        verdict = "passed" if converged.passed else "; ".join(converged.reasons)
        share = float(seen.inside.mean())
        rows = [("convergence", "largest R-hat", converged.max_rhat, "1.01 at most", verdict),
                ("events", "share of cells inside 95 % limits", share, f"of {len(seen.inside)} cells", "")]  # fmt: skip
        for name, one in seen.discrepancies.items():
            limit = np.quantile(one.replicated, 0.95)
            verdict = "DOES NOT FIT" if name in seen.misfits else "fits"
            statistic = "chi-square" if name == "events" else "largest distance from exp(−x)"
            rows.append((name, statistic, one.observed, f"95 % of replicated data below {limit:.3g}", ""))
            rows.append((name, "p-value", one.p_value, f"{seen.least_p_value:.2g} at least", verdict))
        reliable = "reliable" if not self.unreliable else "not reliable for these patients"
        what = "leave one patient out"
        if loo is not None:
            rows += [
                (what, "elpd", float(loo.elpd), f"standard error {loo.se:.1f}", ""),
                (what, "effective parameters", float(loo.p), "", ""),
                (what, f"patients with Pareto k above {MAX_PARETO_K}", float(self.unreliable),
                 f"0 of {loo.n_data_points}", reliable),
            ]
        for name, prior, likelihood, words in self._sensitive():
            reference = f"it matters from {SENSITIVE:g}; to the likelihood {likelihood:.2f}"
            rows.append((f"power scaling: {name}", "sensitivity to the prior", prior, reference, words))
        return rows

    def _sensitive(self) -> list[tuple[str, float, float, str]]:
        """Sensitivity of every parameter to prior and likelihood, in words."""
        if self.sensitivity is None:
            return []
        rows = self.sensitivity.astype(float).itertuples()
        return [(str(name), prior, likelihood, _diagnose(prior, likelihood)) for name, prior, likelihood in rows]

    def sentence(self) -> str:
        """Say what fits and what does not."""
        said = [self.predictive.sentence()]
        if not self.convergence.passed:
            said.insert(0, f"The fit did not converge ({'; '.join(self.convergence.reasons)}).")
        for words, meaning in ((BOTH_MOVE, "Prior and data both move {} (a prior-data conflict is possible)."),
                               (PRIOR_DECIDES, "The prior decides {} (a weak likelihood).")):  # fmt: skip
            names = [name for name, *_, diagnosis in self._sensitive() if diagnosis == words]
            said += [meaning.format(listed(names))] if names else []
        if self.unreliable:
            said.append(f"Cross-validation is not reliable for {self.unreliable} patients.")
        return f"{' '.join(said)} Data: {self.patients.provenance}."

    def __repr__(self) -> str:
        return f"FitCheck: {self.sentence()}"


def _diagnose(prior: float, likelihood: float) -> str:
    """Diagnose as ArviZ's ``psense_summary`` does, in words."""
    if prior < SENSITIVE:
        return DATA_DECIDE
    return BOTH_MOVE if likelihood >= SENSITIVE else PRIOR_DECIDES


def check_fit(
    fit: Fit, patients: Patients, grid: TimeGrid, *, rng: np.random.Generator, draws: int = 400,
    log_hazard: xr.DataArray | None = None,
) -> FitCheck:  # fmt: skip
    """Check a fitted model of piecewise-constant hazards against the patients it was fitted to.

    Parameters
    ----------
    fit : Fit
        With ``log_hazard`` (arm, cause, interval) of these patients' trial.
    patients : Patients
    grid : TimeGrid
    rng : numpy.random.Generator
    draws : int
        Posterior draws, evenly spaced, from which data are replicated; cross-validation uses all.
    log_hazard : xarray.DataArray, optional
        Hazards of all patients of an arm, where the fit's own are of others (of patients by MRD). The patients are then
        compared with these, without cross-validation: what a patient's MRD says is not in them.

    Raises
    ------
    SpecificationError
        When the fit is not one of these patients in these intervals.

    Notes
    -----
    Power scaling scales the whole prior, a random walk given its smoothness too. With earlier trials it is of the joint
    model, the comparison with the data and cross-validation of this trial's patients.
    """
    loo = patient_loo(fit, patients, grid) if log_hazard is None else None
    drawn = _draws(fit) if log_hazard is None else log_hazard.transpose(*DIMS).to_numpy()
    every = drawn.reshape(-1, *drawn.shape[2:])
    return FitCheck(
        patients=patients,
        predictive=predictive_check(every, patients, grid, rng=rng, draws=draws),
        loo=loo,
        sensitivity=_sensitivity(fit),
        convergence=fit.convergence,
    )


def patient_loo(fit: Fit, patients: Patients, grid: TimeGrid) -> Any:
    """Leave-one-patient-out cross-validation by Pareto-smoothed importance sampling, pointwise (ArviZ's ELPDData).

    The log likelihood by patient is Σ d·log λ − λ·E over the patient's own cells; it is a density of times, so that
    models with different intervals can be compared.
    """
    import arviz as az
    import xarray as xr

    log_hazard = _draws(fit)
    shape = (len(patients.arms), len(patients.causes), len(grid))
    if log_hazard.shape[2:] != shape:
        raise SpecificationError(f"the fit's hazards have shape {log_hazard.shape[2:]} (arm, cause, interval); these "
                                 f"patients and intervals need {shape}")  # fmt: skip
    values = patient_log_likelihood(log_hazard, patients, grid)
    _require_same_data(fit, values)
    by_patient = xr.Dataset({"time": (("chain", "draw", "patient"), values)}, coords={"patient": patients.patient})
    groups = {"posterior": fit.posterior, "log_likelihood": by_patient}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a large Pareto k, which is reported
        return az.loo(xr.DataTree.from_dict(groups), pointwise=True)


def compare_fits(fits: Mapping[str, tuple[Fit, Patients, TimeGrid]]) -> pd.DataFrame:
    """Compare models of the same patients by leave-one-patient-out cross-validation.

    Parameters
    ----------
    fits : mapping of str to (Fit, Patients, TimeGrid)
        Intervals may differ between models, patients may not.

    Returns
    -------
    pandas.DataFrame
        One row a model, the best first: ``elpd`` with ``se``, ``elpd_diff`` from the best with its standard error
        ``dse``, and the other columns of :func:`arviz.compare`.

    Raises
    ------
    SpecificationError
        When the patients are not the same.
    """
    import arviz as az

    first = next(iter(fits.values()))[1]
    for name, (_, patients, _) in fits.items():
        if any(not np.array_equal(getattr(patients, column), getattr(first, column))
               for column in ("patient", "time", "cause", "entry")):  # fmt: skip
            raise SpecificationError(f"compare_fits: the patients of '{name}' are not those of the first model; "
                                     "densities of different data cannot be compared")  # fmt: skip
    return az.compare({name: patient_loo(*given) for name, given in fits.items()}, round_to="none")


def _draws(fit: Fit) -> np.ndarray:
    return fit.posterior["log_hazard"].transpose(*DIMS).to_numpy()


def _require_same_data(fit: Fit, by_patient: np.ndarray) -> None:
    """Refuse patients whose log likelihood is not the fit's own, where the fit is of one trial."""
    if "log_likelihood" not in fit.data:
        return
    cells = fit.data["log_likelihood"]["events"]
    if cells.sizes["cell"] != _draws(fit)[0, 0].size:
        return  # earlier trials' cells are among them
    if not np.allclose(cells.sum("cell").transpose("chain", "draw").values, by_patient.sum(axis=-1), rtol=1e-8):
        raise SpecificationError("the fit is not one of these patients: their log likelihood is not the fit's")


def _sensitivity(fit: Fit) -> pd.DataFrame | None:
    names = [name for name in PARAMETERS if name in fit.posterior]
    if not names or not {"log_prior", "log_likelihood"} <= set(fit.data.children):
        return None
    import arviz as az

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # no threshold: it would log advice for every parameter at its own
        return az.psense_summary(fit.data, var_names=names, threshold=np.inf, round_to=6)[["prior", "likelihood"]]
