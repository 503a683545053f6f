"""The PyMC model of hazards when one cause of event is found at visits; its NumPy twin is in ``visits``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.survival.law import Law
from smm_bayes.survival.model import add_log_hazard, cell_data, coordinate_data, model_coords, observe_events
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors
from smm_bayes.survival.schedule import FoundAtVisits, VisitSchedule
from smm_bayes.survival.visits import VisitTable, visits_log_likelihood

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

    from smm_bayes.survival.grid import TimeGrid
    from smm_bayes.trial.patients import Patients


@dataclass(frozen=True, eq=False)
class Visits:
    """A trial in which one cause of event is found at visits.

    Attributes
    ----------
    table : VisitTable
    priors : SurvivalPriors or GammaPrior
    visits : FoundAtVisits
        The visits to come: events are seen at them when the trial is completed.
    patients : Patients or None
        Whom the table counts, for what is asked of each: cross-validation and checks.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> from smm_bayes.survival import VisitSchedule
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 12, 9, 18], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> every = VisitSchedule.every((3, 24))
    >>> smm.Visits.of(patients, smm.TimeGrid((12,)), smm.GammaPrior(0.5, 50), every).table.count.tolist()
    [1.0, 1.0]
    """

    table: VisitTable
    priors: SurvivalPriors | GammaPrior
    visits: FoundAtVisits
    patients: Patients | None = None

    @classmethod
    def of(
        cls, patients: Patients, grid: TimeGrid, priors: SurvivalPriors | GammaPrior,
        schedule: VisitSchedule | Mapping[str, VisitSchedule], *, cause: str | None = None,
    ) -> Visits:  # fmt: skip
        """Give the model of patients of whom visits find ``cause``, the first by default; errors as of the table."""
        found = FoundAtVisits(cause or patients.causes[0], schedule)
        return cls(VisitTable.of(patients, grid, cause=found.cause, schedule=schedule), priors, found, patients)

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        return visits_model(self.table, self.priors)

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data: one set."""
        return [visits_data(self.table, self.priors)]

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        return self.priors.statements()

    def prior(self, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw parameters from the prior, ``log_hazard`` (draw, arm, cause, interval) among them."""
        of = self.table.exact
        return self.priors.sample(of.causes, len(of.arms), of.grid, draws, rng=rng)

    def log_likelihood(self, parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Log likelihood of parameters with draws first."""
        return visits_log_likelihood(parameters["log_hazard"], self.table)

    def simulated(self, table: VisitTable, truth: dict[str, np.ndarray], *, rng: np.random.Generator) -> Visits:
        """Give the model of simulated patients of this trial."""
        return replace(self, table=table, patients=None)

    def patient_log_likelihood(self, posterior: xr.Dataset) -> np.ndarray:
        """Log likelihood by patient, (chain, draw, patient)."""
        from smm_bayes.survival.by_patient import by_patient

        return by_patient(self, posterior)

    def law(self, posterior: xr.Dataset) -> Law:
        """Give the law of every posterior draw, leading dims (chain, draw): of the times of events, not of visits."""
        return Law.of_draws(posterior["log_hazard"], self.table.exact.grid)

    def law_of(self, parameters: dict[str, np.ndarray]) -> Law:
        """Give the law of parameters with draws first."""
        of = self.table.exact
        return Law.plain(parameters["log_hazard"], of.grid, of.arms, of.causes)


def visits_model(
    table: VisitTable, priors: SurvivalPriors | GammaPrior, *, rows: int | None = None, pieces: int | None = None
) -> pm.Model:
    r"""Build the model of :func:`~smm_bayes.survival.model.piecewise_exponential_model` for events found at visits.

    Parameters, priors and variables are those of that model. The log likelihood is

    .. math:: \sum_{acj} d_{acj} \log\lambda_{acj} - \lambda_{acj} E_{aj} + \sum_b n_b \log P_b

    with events d and exposure E of ``table.exact``, and :math:`n_b` patients in bracket b, of probability :math:`P_b`
    (:mod:`smm_bayes.survival.visits`).

    Parameters
    ----------
    table : VisitTable
        Arms, causes and intervals fix the model; events, exposure and brackets are data that a refit may replace.
    priors : SurvivalPriors or GammaPrior
    rows, pieces : int, optional
        Room for so many brackets, and for so many intervals that one bracket reaches into; what ``table`` needs by
        default. A refit must fit in. The number of patients is always enough of rows, and the number of intervals of
        pieces. Rows without a bracket have count 0 and change nothing; the time of a fit grows with rows times pieces.

    Returns
    -------
    pymc.Model
        With the observed ``brackets`` (bracket) beside ``events`` (cell), and the data ``width_data`` (piece, bracket),
        ``count_data`` (bracket) and ``first_cell_data`` (bracket).

    Raises
    ------
    SpecificationError
        When the table does not fit in ``rows`` and ``pieces``.

    Notes
    -----
    ``brackets`` has no random draws: how many patients are at risk at a visit depends on the others. Data of the model
    are simulated patient by patient.
    """
    import pymc as pm

    with pm.Model(coords=model_coords(table.exact)) as model:
        log_hazard = add_log_hazard(table.rough, priors)
        observe_events(log_hazard.ravel(), table.exact)
        _observe_brackets(log_hazard, table, bracket_data(table, rows=rows, pieces=pieces))
    return model


def visits_data(
    table: VisitTable, priors: SurvivalPriors | GammaPrior, *, rows: int | None = None, pieces: int | None = None
) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to a compiled model of the same shape, priors, ``rows`` and ``pieces``.

    Raises
    ------
    SpecificationError
        When the table does not fit in ``rows`` and ``pieces``.
    """
    brackets = bracket_data(table, rows=rows, pieces=pieces)
    return {**cell_data(table.exact), **coordinate_data(table.rough, priors), **brackets}


def bracket_data(table: VisitTable, *, rows: int | None = None, pieces: int | None = None) -> dict[str, np.ndarray]:
    """Brackets as arrays of fixed shape; a bracket's pieces are in the intervals from its first one on.

    One row more than ``rows`` is always empty. It lies in the last cell: an index may be as large as it first was.
    """
    size, brackets = len(table.exact.grid), len(table.arm)
    inside = table.widths > 0
    first = inside.argmax(axis=1)
    spans = size - inside[:, ::-1].argmax(axis=1) - first
    rows, pieces = _room(brackets, int(spans.max(initial=1)), size, rows, pieces)
    widths, count = np.zeros((pieces, rows + 1)), np.zeros(rows + 1)
    widths[0, brackets:] = 1.0  # a probability above 0, to the power 0
    for piece in range(pieces):
        at = np.minimum(first + piece, size - 1)
        widths[piece, :brackets] = np.where(piece < spans, table.widths[np.arange(brackets), at], 0.0)
    count[:brackets] = table.count
    cell = np.full(rows + 1, len(table.exact.arms) * size - 1)
    cell[:brackets] = table.arm * size + first
    return {"width_data": widths, "count_data": count, "first_cell_data": cell}


def _room(brackets: int, spans: int, size: int, rows: int | None, pieces: int | None) -> tuple[int, int]:
    """Rows and pieces of a model, as asked for or as needed."""
    with Problems("brackets", SpecificationError).collecting() as problems:
        if rows is not None and rows < brackets:
            problems.add(f"{brackets} different brackets do not fit in rows = {rows}; build the model with more rows "
                         "(the number of patients is always enough)")  # fmt: skip
        if pieces is not None and not spans <= pieces <= size:
            problems.add(f"a bracket reaches into {spans} of {size} intervals, which does not fit pieces = {pieces}; "
                         f"build the model with {spans} to {size} pieces")  # fmt: skip
    return brackets if rows is None else rows, spans if pieces is None else pieces


def _observe_brackets(log_hazard: Any, table: VisitTable, arrays: dict[str, np.ndarray]) -> None:
    """Add the brackets to the model, given log hazards (arm, cause, interval).

    P = Σ_s share_s·alive_s·(1 − exp(−Λ_s·δ_s)) over pieces s, with alive_{s+1} = alive_s·exp(−Λ_s·δ_s): all terms are
    positive, so nothing cancels. Pieces are written out: this samples and compiles faster than an array of them.
    """
    import pymc as pm
    import pytensor.tensor as pt

    pieces, rows = arrays["width_data"].shape
    pm.modelcontext(None).add_coords({"bracket": list(range(rows)), "piece": list(range(pieces))})
    widths = pm.Data("width_data", arrays["width_data"], dims=("piece", "bracket"))
    count, first = (pm.Data(name, arrays[name], dims="bracket") for name in ("count_data", "first_cell_data"))
    hazard = pt.exp(log_hazard)
    total = hazard.sum(axis=1)
    share = (hazard[:, table.exact.causes.index(table.cause)] / total).ravel()
    total, last = total.ravel(), len(table.exact.arms) * len(table.exact.grid) - 1
    probability, alive = 0.0, 1.0
    for piece in range(pieces):
        cell = pt.minimum(first + piece, last)  # a piece of width 0 adds nothing wherever it lies
        leave = -pt.expm1(-total[cell] * widths[piece])
        probability = probability + share[cell] * alive * leave
        alive = alive * (1 - leave)
    pm.CustomDist("brackets", pt.log(probability), logp=lambda count, log_p: count * log_p, observed=count,
                  dims="bracket")  # fmt: skip
