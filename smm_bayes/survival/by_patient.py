"""Log likelihood patient by patient, in NumPy: what leave-one-patient-out cross-validation needs of every model.

The models themselves know sums over patients. Each function here sums to the log likelihood of its model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.survival.cure_table import CureTable
from smm_bayes.survival.grid import EventTable, TimeGrid
from smm_bayes.survival.likelihood import likelihood_in_rows, patient_log_likelihood
from smm_bayes.survival.patterns import PatternTable
from smm_bayes.survival.regression import pattern_log_hazard
from smm_bayes.survival.regression_priors import RegressionPriors
from smm_bayes.survival.schedule import VisitSchedule
from smm_bayes.survival.visits import VisitTable, bracket_log_probability, until_clear

if TYPE_CHECKING:
    import xarray as xr

    from smm_bayes.trial.patients import Patients


def by_patient(model: Any, posterior: xr.Dataset, patients: Patients | None = None) -> np.ndarray:
    """Log likelihood by patient of the fit of a model value, (chain, draw, patient).

    Parameters
    ----------
    model : Model
        With a table of patients: by arm, of patterns, of a mixture cure model or of events found at visits.
    posterior : xarray.Dataset
    patients : Patients, optional
        Whom the table counts; those of the model by default.

    Raises
    ------
    SpecificationError
        When the patients are not known, or the table is not one of these.
    """
    table, patients = getattr(model, "table", None), getattr(model, "patients", None) if patients is None else patients
    if patients is None:
        raise SpecificationError("the model has a table of its patients only; give them, or make the model of them")
    drawn = {str(name): values.transpose("chain", "draw", ...).values for name, values in posterior.data_vars.items()}
    if isinstance(table, EventTable):
        return patient_log_likelihood(drawn["log_hazard"], patients, table.grid)
    if isinstance(table, CureTable):
        return cure_by_patient(drawn, patients, table)
    if isinstance(table, PatternTable):
        flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in drawn.items()}
        found = regression_by_patient(flat, patients, table, model.priors)
        return found.reshape(posterior.sizes["chain"], posterior.sizes["draw"], len(patients))
    if isinstance(table, VisitTable) and getattr(model, "visits", None) is not None:
        seen = {"cause": model.visits.cause, "schedule": model.visits.schedule}
        return visits_by_patient(drawn["log_hazard"], patients, table.exact.grid, **seen)
    raise SpecificationError(f"the log likelihood of each patient is not known of {type(model).__name__}; give the "
                             "model a method patient_log_likelihood")  # fmt: skip


def pattern_of(patients: Patients, table: PatternTable) -> np.ndarray:
    """Give the row of a table that each patient belongs to, shape (patient,).

    Raises
    ------
    SpecificationError
        When a patient belongs to none.
    """
    strata = len(table.strata) > 1 or table.strata != ("all",)
    names = [factor.name for factor in table.factors]
    again = PatternTable.of(patients, table.grid, strata=strata, covariates=table.covariate_names, subgroups=names)
    known = {key: row for row, key in enumerate(_keys(table))}
    stratum = np.zeros(len(patients), int) if not strata else _position(patients.stratum, again.strata)
    level = [_position(patients.covariates[factor.name], factor.levels) for factor in again.factors]
    values = [np.asarray(patients.covariates[name], float) for name in table.covariate_names]
    found = np.empty(len(patients), int)
    for index in range(len(patients)):
        key = (patients.arms[patients.arm[index]], again.strata[stratum[index]],
               tuple(factor.levels[at[index]] for factor, at in zip(again.factors, level, strict=True)),
               tuple(column[index] for column in values))  # fmt: skip
        if key not in known:
            raise SpecificationError(f"patient {patients.patient[index]} is in no row of the table; tabulate anew")
        found[index] = known[key]
    return found


def _keys(table: PatternTable) -> list[tuple[object, ...]]:
    """Arm, stratum, levels and covariates of every row."""
    return [
        (table.arms[table.arm[row]], table.strata[table.stratum[row]],
         tuple(factor.levels[at] for factor, at in zip(table.factors, table.level[row], strict=True)),
         tuple(table.covariates[row]))
        for row in range(len(table))
    ]  # fmt: skip


def _position(column: np.ndarray | None, names: tuple[str, ...]) -> np.ndarray:
    assert column is not None
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[str(value)] for value in column], int)


def regression_by_patient(
    parameters: Mapping[str, np.ndarray], patients: Patients, table: PatternTable, priors: RegressionPriors
) -> np.ndarray:
    """Log likelihood by patient of a regression, shape (draw, patient).

    Parameters
    ----------
    parameters : mapping of str to numpy.ndarray
        By the names of the model, draws first.
    patients : Patients
        Whom the table counts.
    table : PatternTable
    priors : RegressionPriors
    """
    row = pattern_of(patients, table)
    return likelihood_in_rows(pattern_log_hazard(parameters, table, priors), row, patients, table.grid)


def cure_by_patient(parameters: Mapping[str, np.ndarray], patients: Patients, table: CureTable) -> np.ndarray:
    r"""Log likelihood by patient of a mixture cure model, shape (..., patient).

    The curable event at t adds :math:`\log(1-\pi) + \log\lambda(t) - H(t)`, anything else :math:`\log S(t)`
    with :math:`S = \pi + (1-\pi)e^{-H}`; who entered at u adds :math:`-\log S(u)`. Other causes add their own.

    Parameters
    ----------
    parameters : mapping of str to numpy.ndarray
        ``cured`` (..., arm), ``log_hazard_uncured`` (..., arm, interval) and, where there are other causes,
        ``log_hazard_other`` (..., arm, cause, interval).
    patients : Patients
    table : CureTable
        For its grid and the curable cause.
    """
    grid, arm, time = table.table.grid, patients.arm, patients.time
    cured, log_hazard = (np.asarray(parameters[name]) for name in ("cured", "log_hazard_uncured"))
    uncured, hazard = np.log1p(-cured)[..., arm], np.exp(log_hazard)
    with np.errstate(divide="ignore"):
        never = np.log(cured)[..., arm]

    def cumulative(until: np.ndarray) -> np.ndarray:
        return np.einsum("...pj,pj->...p", hazard[..., arm, :], grid.exposure(until))

    spent = cumulative(time)
    hit = patients.event & (patients.cause == patients.causes.index(table.curable))
    result = np.where(hit, uncured + log_hazard[..., arm, grid.index(time)] - spent,
                      np.logaddexp(never, uncured - spent))  # fmt: skip
    if patients.entry is not None:
        result = result - np.logaddexp(never, uncured - cumulative(patients.entry))
    if not table.other_causes:
        return result
    others = patients.count_only(*table.other_causes)
    return result + patient_log_likelihood(np.asarray(parameters["log_hazard_other"]), others, grid)


def visits_by_patient(
    log_hazard: np.ndarray, patients: Patients, grid: TimeGrid, *, cause: str,
    schedule: VisitSchedule | Mapping[str, VisitSchedule] | None = None, last_clear: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Log likelihood by patient where one cause is found at visits, (..., patient); a probability of its bracket.

    Parameters
    ----------
    log_hazard : numpy.ndarray, shape (..., arm, cause, interval)
    patients, grid, cause, schedule, last_clear
        As of :meth:`~smm_bayes.survival.visits.VisitTable.of`.
    """
    known, found = until_clear(patients, cause, schedule=schedule, last_clear=last_clear)
    result = patient_log_likelihood(log_hazard, known, grid)
    if found.any():
        widths = grid.exposure(patients.time[found], known.time[found])
        own = VisitTable(grid.tabulate(known), cause, patients.arm[found], widths, np.ones(int(found.sum())))
        result[..., found] += bracket_log_probability(log_hazard, own)
    return result
