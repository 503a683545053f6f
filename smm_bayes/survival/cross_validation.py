"""Cross-validation that leaves out one patient at a time, and the comparison of models by it.

References
----------
Vehtari A, Gelman A, Gabry J. Stat Comput 2017;27:1413-32, doi:10.1007/s11222-016-9696-4.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.inference.cells import CELLS
from smm_bayes.inference.fitted import BY_PATIENT
from smm_bayes.results import Result, literal, new_axes, plot_intervals
from smm_bayes.survival.by_patient import by_patient
from smm_bayes.survival.likelihood import patient_log_likelihood
from smm_bayes.survival.replicated import DIMS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from smm_bayes.inference.fitted import Fit
    from smm_bayes.survival.grid import TimeGrid
    from smm_bayes.trial.patients import Patients

MAX_PARETO_K = 0.7  # above it leaving the patient out is more than the draws can tell
VISITS = "brackets"  # what a model of events found at visits observes


@dataclass(frozen=True, eq=False)
class CrossValidation(Result):
    """How well every patient is predicted by the others: expected log predictive density (elpd).

    Attributes
    ----------
    data : arviz.ELPDData
        Pointwise, for ArviZ.
    patients : numpy.ndarray of str, shape (patient,)
    """

    data: Any
    patients: np.ndarray

    @property
    def elpd(self) -> float:
        """Sum of the log predictive densities of the patients left out."""
        return float(self.data.elpd)

    @property
    def se(self) -> float:
        """Standard error of the sum, as over patients."""
        return float(self.data.se)

    @property
    def effective_parameters(self) -> float:
        """Log density of the data less ``elpd``."""
        return float(self.data.p)

    @property
    def by_patient(self) -> np.ndarray:
        """Log predictive density of every patient left out, shape (patient,)."""
        return self.data.elpd_i.values

    @property
    def pareto_k(self) -> np.ndarray:
        """Shape of the tail of every patient's weights, shape (patient,)."""
        return self.data.pareto_k.values

    @property
    def unreliable(self) -> int:
        """Patients whose Pareto k is above 0.7."""
        return int((self.pareto_k > MAX_PARETO_K).sum())

    def __len__(self) -> int:
        return len(self.patients)

    def table(self) -> pd.DataFrame:
        """Give every patient as a row: ``elpd`` and ``pareto_k``."""
        import pandas as pd

        columns = {"elpd": self.by_patient, "pareto_k": self.pareto_k}
        return pd.DataFrame(columns, index=pd.Index(self.patients, name="patient"))

    def summary(self) -> str:
        """Say the sum with its standard error, and for how many patients it is not reliable."""
        return (f"Each of {len(self)} patients predicted by the others: elpd {self.elpd:.1f} (SE {self.se:.1f}), "
                f"{self.effective_parameters:.1f} effective parameters, Pareto k above {MAX_PARETO_K} for "
                f"{self.unreliable} patients.")  # fmt: skip

    @literal
    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw Pareto k of every patient; above 0.7 leaving the patient out is more than the draws can tell."""
        axes = new_axes(ax)
        axes.plot(self.pareto_k, "o", markersize=4, alpha=0.6)
        axes.axhline(MAX_PARETO_K, color="0.2", linestyle="--")
        axes.set(xlabel="patient", ylabel="Pareto k")
        return axes

    def __repr__(self) -> str:
        return f"CrossValidation: {self.summary()}"


@dataclass(frozen=True, eq=False)
class Comparison(Result):
    """Models of the same patients, the best predicting one first.

    Attributes
    ----------
    models : dict of str to CrossValidation
    """

    models: dict[str, CrossValidation]
    _table: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Give every model as a row, the best first.

        Returns
        -------
        pandas.DataFrame
            ``elpd`` with ``se``, ``elpd_diff`` from the best with its standard error ``dse``, and the other columns
            of :func:`arviz.compare`.
        """
        return self._table

    def summary(self) -> str:
        """Say which model predicts best, and how far the others are behind."""
        best, *others = self._table.index
        gap, error = (self._table[name].abs() for name in ("elpd_diff", "dse"))
        behind = [f"{name} is behind by {gap[name]:.1f} (SE {error[name]:.1f})" for name in others]
        said = f"{best} predicts patients left out best (elpd {self.models[best].elpd:.1f})"
        return f"{'; '.join([said, *behind])}."

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how far each model is behind the best, with two standard errors either way."""
        behind, error = -self._table["elpd_diff"].abs(), 2 * self._table["dse"]
        found = self._table.assign(behind=behind, lower=behind - error, upper=behind + error)
        return plot_intervals(found, ax, middle="behind", xlabel="elpd less that of the best (± 2 SE)", line=0.0)

    def __repr__(self) -> str:
        return f"Comparison: {self.summary()}"


def loo(fit: Fit, patients: Patients | None = None, grid: TimeGrid | None = None) -> CrossValidation:
    """Leave-one-patient-out cross-validation by Pareto-smoothed importance sampling.

    The log likelihood by patient is a density of times, so that models with different intervals can be compared; of
    events found at visits it is a probability, which cannot be compared with a density.

    Parameters
    ----------
    fit : Fit
        Of a model value that has its patients; or with ``log_hazard`` (arm, cause, interval) of the patients given.
    patients, grid : optional
        Those of the fit's model by default.

    Returns
    -------
    CrossValidation

    Raises
    ------
    SpecificationError
        When the log likelihood of each patient is not known, or the fit is not one of these patients.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> from smm_bayes.survival import exact_fit
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> model = smm.OneTrial.of(patients, smm.TimeGrid((12,)), smm.GammaPrior(0.5, 50))
    >>> posterior = exact_fit(model, seed=1)  # draws of the exact posterior, in the place of smm.fit(model, seed=1)
    >>> found = smm.loo(posterior)
    >>> len(found), round(found.elpd)
    (4, -10)
    """
    import arviz as az
    import xarray as xr

    if BY_PATIENT in fit and patients in (None, getattr(fit.model, "patients", None)):
        groups = {name: fit.data[name].dataset for name in ("posterior", BY_PATIENT)}
    else:
        patients, grid = whose(fit, patients, grid)
        values = _by_patient(fit, patients, grid)
        found = xr.Dataset({"time": (("chain", "draw", "patient"), values)}, coords={"patient": patients.patient})
        groups = {"posterior": fit.posterior.dataset, BY_PATIENT: found}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a large Pareto k, which is reported
        found = az.loo(xr.DataTree.from_dict(groups), pointwise=True)
    return CrossValidation(found, found.elpd_i[found.elpd_i.dims[0]].values)


def compare(fits: Mapping[str, Fit | tuple[Fit, Patients, TimeGrid]]) -> Comparison:
    """Compare models of the same patients by leave-one-patient-out cross-validation.

    Parameters
    ----------
    fits : mapping of str to Fit
        Of model values that have their patients; or (Fit, Patients, TimeGrid). Intervals may differ between models,
        patients may not.

    Returns
    -------
    Comparison

    Raises
    ------
    SpecificationError
        When the patients are not the same, or not what is known of their events.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> from smm_bayes.survival import exact_fit
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> model = smm.OneTrial.of(patients, smm.TimeGrid((12,)), smm.GammaPrior(0.5, 50))
    >>> posterior = exact_fit(model, seed=1)  # draws of the exact posterior, in the place of smm.fit(model, seed=1)
    >>> other = exact_fit(smm.OneTrial.of(patients, smm.TimeGrid((6, 12)), smm.GammaPrior(0.5, 50)), seed=1)
    >>> found = smm.compare({"two intervals": posterior, "three intervals": other})
    >>> list(found.table().index)
    ['three intervals', 'two intervals']
    """
    import arviz as az

    given = {name: one if isinstance(one, tuple) else (one, *whose(one, None, None)) for name, one in fits.items()}
    first, patients, _ = next(iter(given.values()))
    for name, (fit, mine, _) in given.items():
        if any(not np.array_equal(getattr(mine, column), getattr(patients, column))
               for column in ("patient", "time", "cause")) or _entry(mine) != _entry(patients):  # fmt: skip
            raise SpecificationError(f"compare: the patients of '{name}' are not those of the first model; "
                                     "densities of different data cannot be compared")  # fmt: skip
        if at_visits(fit) != at_visits(first):
            raise SpecificationError(f"compare: either '{name}' or the first model takes events as found at visits; a "
                                     "probability cannot be compared with a density")  # fmt: skip
    models = {name: loo(*one) for name, one in given.items()}
    return Comparison(models, az.compare({name: one.data for name, one in models.items()}, round_to="none"))


def _entry(patients: Patients) -> list[float]:
    return [0.0] * len(patients) if patients.entry is None else patients.entry.tolist()


def whose(fit: Fit, patients: Patients | None, grid: TimeGrid | None) -> tuple[Patients, TimeGrid]:
    """Give patients and intervals as given, or those of the fit's model.

    Raises
    ------
    SpecificationError
        When neither is known.
    """
    model: Any = fit.model
    patients = getattr(model, "patients", None) if patients is None else patients
    grid = _grid(model) if grid is None else grid
    if patients is None or grid is None:
        raise SpecificationError("the fit does not know its patients and intervals; give them, or fit a model value "
                                 "that has them, such as OneTrial.of(patients, grid, priors)")  # fmt: skip
    return patients, grid


def _grid(model: Any) -> TimeGrid | None:
    """Intervals of a model value: its own, or those of the table or trials it has."""
    for where in (model, getattr(model, "table", None), *getattr(model, "trials", ())[:1]):
        for one in (where, getattr(where, "table", None), getattr(where, "exact", None)):
            if (found := getattr(one, "grid", None)) is not None:
                return found
    return None


def at_visits(fit: Fit) -> bool:
    """Say whether a fit takes events of a cause as found at visits."""
    return "observed_data" in fit and VISITS in fit.data["observed_data"].data_vars


def _by_patient(fit: Fit, patients: Patients, grid: TimeGrid) -> np.ndarray:
    """Log likelihood by patient (chain, draw, patient) of the hazards of a fit."""
    if fit.model is not None and not hasattr(fit.model, "trials"):  # with earlier trials its hazards are this trial's
        values = by_patient(fit.model, fit.posterior, patients)
        _require_same_data(fit, values)
        return values
    if "log_hazard" not in fit.posterior or at_visits(fit):
        raise SpecificationError("the fit has no hazards by arm, cause and interval that are those of its patients; "
                                 "fit a model value that has patient_log_likelihood and its patients")  # fmt: skip
    log_hazard = hazards_of(fit)
    shape = (len(patients.arms), len(patients.causes), len(grid))
    if log_hazard.shape[2:] != shape:
        raise SpecificationError(f"the fit's hazards have shape {log_hazard.shape[2:]} (arm, cause, interval); these "
                                 f"patients and intervals need {shape}")  # fmt: skip
    values = patient_log_likelihood(log_hazard, patients, grid)
    _require_same_data(fit, values)
    return values


def hazards_of(fit: Fit) -> np.ndarray:
    """Log hazards of a fit, (chain, draw, arm, cause, interval)."""
    return fit.posterior["log_hazard"].transpose(*DIMS).to_numpy()


def _require_same_data(fit: Fit, by_patient: np.ndarray) -> None:
    """Refuse patients whose log likelihood is not the fit's own, where all that the fit counts are theirs."""
    if CELLS not in fit or hasattr(fit.model, "trials"):
        return
    cells = fit.data[CELLS].dataset
    if fit.model is None and cells["events"].sizes["cell"] != hazards_of(fit)[0, 0].size:
        return  # earlier trials' cells are among them
    every = sum(values.sum([dim for dim in values.dims if dim not in ("chain", "draw")]) for values in cells.values())
    if not np.allclose(every.transpose("chain", "draw").values, by_patient.sum(axis=-1), rtol=1e-8):  # type: ignore[union-attr]
        raise SpecificationError("the fit is not one of these patients: their log likelihood is not the fit's")
