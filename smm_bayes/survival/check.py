"""Whether a fit of survival may be believed: convergence, data, cross-validation, prior.

References
----------
Vehtari A, Gelman A, Gabry J. Stat Comput 2017;27:1413-32, doi:10.1007/s11222-016-9696-4 (leave-one-out). Kallioinen N
et al. Stat Comput 2024;34:57, doi:10.1007/s11222-023-10366-5 (power scaling). Of the comparison with the data see
:mod:`smm_bayes.survival.replicated`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.inference.cells import CELLS
from smm_bayes.inference.fitted import BY_PATIENT
from smm_bayes.results import Result
from smm_bayes.survival.by_patient import pattern_of
from smm_bayes.survival.cross_validation import MAX_PARETO_K, at_visits, hazards_of, loo, whose
from smm_bayes.survival.patterns import PatternTable
from smm_bayes.survival.regression import pattern_log_hazard
from smm_bayes.survival.replicated import DIMS, PredictiveCheck, listed, predictive_check

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

    from smm_bayes.inference.convergence import Convergence
    from smm_bayes.inference.sampling import Fit
    from smm_bayes.survival.cross_validation import CrossValidation
    from smm_bayes.survival.grid import TimeGrid
    from smm_bayes.trial.patients import Patients

SENSITIVE = 0.05  # power-scaling sensitivity from which a component moves the posterior
PARAMETERS = ("log_hazard_ratio", "level", "smoothness", "ratio_smoothness", "log_half_life", "covariate_effect",
              "logit_cured", "log_odds_ratio", "log_hazard_ratio_uncured", "smoothness_uncured")  # fmt: skip
DATA_DECIDE = "the data decide"
BOTH_MOVE = "prior and data both move it: a prior-data conflict is possible"
PRIOR_DECIDES = "weak likelihood: the prior decides"


@dataclass(frozen=True, eq=False)
class FitCheck(Result):
    """A fit's convergence, its agreement with the data, its predictive density, and what its prior does.

    Attributes
    ----------
    patients : Patients
    predictive : PredictiveCheck or None
        None where data of the model cannot be replicated yet, as ``unchecked`` says.
    loo : CrossValidation or None
        PSIS leave-one-patient-out cross-validation; None where the hazards were given.
    sensitivity : pandas.DataFrame or None
        Power-scaling sensitivity: ``prior`` and ``likelihood`` by parameter; None without log densities.
    convergence : Convergence
    unchecked : str
        What was not checked, and why, in a sentence.
    """

    patients: Patients
    predictive: PredictiveCheck | None
    loo: CrossValidation | None
    sensitivity: pd.DataFrame | None
    convergence: Convergence
    unchecked: str = ""

    @property
    def passed(self) -> bool:
        """Whether the fit converged and the data look like data from it; never where they were not compared."""
        return self.convergence.passed and self.predictive is not None and not self.predictive.misfits

    @property
    def compared(self) -> PredictiveCheck:
        """Data beside replicated data.

        Raises
        ------
        SpecificationError
            When they were not compared, saying why.
        """
        if self.predictive is None:
            raise SpecificationError(self.unchecked)
        return self.predictive

    @property
    def crossed(self) -> CrossValidation:
        """Cross-validation.

        Raises
        ------
        SpecificationError
            When the hazards were given, so that patients could not be left out.
        """
        if self.loo is None:
            raise SpecificationError("there is no cross-validation: the hazards were given, not the fit's own")
        return self.loo

    @property
    def unreliable(self) -> int:
        """Patients whose Pareto k is above 0.7: cross-validation does not know how they would be predicted."""
        return 0 if self.loo is None else self.loo.unreliable

    def table(self) -> pd.DataFrame:
        """Give every check as a row: check, statistic, value, reference, verdict."""
        import pandas as pd

        return pd.DataFrame(self._rows(), columns=["check", "statistic", "value", "reference", "verdict"])

    def _rows(self) -> list[tuple[str, str, float, str, str]]:
        loo, converged = self.loo, self.convergence
        verdict = "passed" if converged.passed else "; ".join(converged.reasons)
        rows = [("convergence", "largest R-hat", converged.max_rhat, "1.01 at most", verdict), *self._compared()]
        reliable = "reliable" if not self.unreliable else "not reliable for these patients"
        what = "leave one patient out"
        if loo is not None:
            rows += [
                (what, "elpd", loo.elpd, f"standard error {loo.se:.1f}", ""),
                (what, "effective parameters", loo.effective_parameters, "", ""),
                (what, f"patients with Pareto k above {MAX_PARETO_K}", float(self.unreliable),
                 f"0 of {len(loo)}", reliable),
            ]
        for name, prior, likelihood, words in self._sensitive():
            reference = f"it matters from {SENSITIVE:g}; to the likelihood {likelihood:.2f}"
            rows.append((f"power scaling: {name}", "sensitivity to the prior", prior, reference, words))
        return rows

    def _compared(self) -> list[tuple[str, str, float, str, str]]:
        """Data beside replicated data."""
        seen = self.predictive
        if seen is None:
            return [("replicated data", "not compared", float("nan"), "", self.unchecked)]
        share = float(seen.inside.mean())
        rows = [("events", "share of cells inside 95 % limits", share, f"of {len(seen.inside)} cells", "")]
        for name, one in seen.discrepancies.items():
            limit = np.quantile(one.replicated, 0.95)
            verdict = "DOES NOT FIT" if name in seen.misfits else "fits"
            statistic = "chi-square" if name == "events" else "largest distance from exp(−x)"
            rows.append((name, statistic, one.observed, f"95 % of replicated data below {limit:.3g}", ""))
            rows.append((name, "p-value", one.p_value, f"{seen.least_p_value:.2g} at least", verdict))
        return rows

    def _sensitive(self) -> list[tuple[str, float, float, str]]:
        """Sensitivity of every parameter to prior and likelihood, in words."""
        if self.sensitivity is None:
            return []
        rows = self.sensitivity.astype(float).itertuples()
        return [(str(name), prior, likelihood, _diagnose(prior, likelihood)) for name, prior, likelihood in rows]

    def summary(self) -> str:
        """Say what fits and what does not."""
        said = [self.predictive.summary() if self.predictive is not None else self.unchecked]
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
        return f"FitCheck: {self.summary()}"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw events observed and predicted, one row a cell, as :meth:`.PredictiveCheck.plot` does.

        Raises
        ------
        SpecificationError
            When the data were not compared with replicated data, saying why.
        """
        return self.compared.plot(ax)


def _diagnose(prior: float, likelihood: float) -> str:
    """Diagnose as ArviZ's ``psense_summary`` does, in words."""
    if prior < SENSITIVE:
        return DATA_DECIDE
    return BOTH_MOVE if likelihood >= SENSITIVE else PRIOR_DECIDES


def check_fit(
    fit: Fit, patients: Patients | None = None, grid: TimeGrid | None = None, *, rng: np.random.Generator | int,
    draws: int = 400, log_hazard: xr.DataArray | None = None,
) -> FitCheck:  # fmt: skip
    """Check the fit of a model of survival against the patients it was fitted to.

    Parameters
    ----------
    fit : Fit
        Of a model value that has its patients; or with ``log_hazard`` (arm, cause, interval) of the patients given.
    patients : Patients, optional
        Those of the fit's model by default.
    grid : TimeGrid, optional
        That of the fit's model by default.
    rng : numpy.random.Generator or int
        Or a seed of one.
    draws : int
        Posterior draws, evenly spaced, from which data are replicated; cross-validation uses all.
    log_hazard : xarray.DataArray, optional
        Hazards of all patients of an arm, where the fit's own are of others (of patients by MRD). The patients are then
        compared with these, without cross-validation: what a patient's MRD says is not in them.

    Returns
    -------
    FitCheck
        Where a model's data cannot be replicated yet, as those of visits or of a mixture, it says so, and does not
        pass.

    Raises
    ------
    SpecificationError
        When the fit is not one of these patients in these intervals, or does not know its patients.

    Notes
    -----
    Power scaling scales the whole prior, a random walk given its smoothness too. With earlier trials it is of the joint
    model, the comparison with the data and cross-validation of this trial's patients.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> from smm_bayes.survival import exact_fit
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> model = smm.OneTrial.of(patients, smm.TimeGrid((12,)), smm.GammaPrior(0.5, 50))
    >>> posterior = exact_fit(model, seed=1)  # draws of the exact posterior, in the place of smm.fit(model, seed=1)
    >>> smm.check_fit(posterior, rng=1).passed
    True
    """
    patients, grid = whose(fit, patients, grid)
    rng = np.random.default_rng(rng)
    crossed = loo(fit, patients, grid) if log_hazard is None else None
    predictive, unchecked = None, ""
    if log_hazard is not None:
        found, row = log_hazard.transpose(*DIMS).to_numpy(), patients.arm
    else:
        found, row, unchecked = _hazards(fit, patients)
    if not unchecked:
        every = found.reshape(-1, *found.shape[-3:])
        predictive = predictive_check(every, patients, grid, rng=rng, draws=draws, row=row)
    return FitCheck(patients, predictive, crossed, power_scaling(fit), fit.convergence, unchecked)


def _hazards(fit: Fit, patients: Patients) -> tuple[np.ndarray, np.ndarray, str]:
    """Hazards (chain, draw, row, cause, interval), the row of every patient, and why there are none."""
    table, none = getattr(fit.model, "table", None), np.empty(0)
    if at_visits(fit):
        return none, none, "The data were not compared with replicated data: visits cannot be replicated yet."
    if isinstance(table, PatternTable):
        posterior: Any = fit.posterior
        parameters = {str(name): values.transpose("chain", "draw", ...).values for name, values in posterior.items()}
        flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in parameters.items()}
        return pattern_log_hazard(flat, table, fit.model.priors), pattern_of(patients, table), ""  # type: ignore[union-attr]
    if "log_hazard" in fit.posterior:
        return hazards_of(fit), patients.arm, ""
    return none, none, "The data were not compared with replicated data: hazards of a mixture are not refitted yet."


def power_scaling(fit: Fit) -> pd.DataFrame | None:
    """Give the sensitivity of every main parameter to the prior and to the likelihood, by power scaling.

    Of the whole likelihood, which sums over patients give as well as patients do. None without log densities.
    """
    names = [name for name in PARAMETERS if name in fit.posterior]
    likelihood = next((name for name in (CELLS, BY_PATIENT) if name in fit), None)
    if not names or likelihood is None or "log_prior" not in fit:
        return None
    import arviz as az
    import xarray as xr

    groups = {"posterior": fit.posterior.dataset, "log_prior": fit.data["log_prior"].dataset,
              "log_likelihood": fit.data[likelihood].dataset}  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # no threshold: it would log advice for every parameter at its own
        return az.psense_summary(xr.DataTree.from_dict(groups), var_names=names, threshold=np.inf,
                                 round_to=6)[["prior", "likelihood"]]  # fmt: skip
