r"""Mixture cure model: a share of each arm never has the event of one cause.

In arm a a share :math:`\pi_a` is cured; the uncured have the piecewise-constant hazard :math:`\lambda_a(t)` with
integral :math:`H_a`. Without other causes a share

.. math:: S_a(t) = \pi_a + (1 - \pi_a)\, e^{-H_a(t)}

is event-free at t. The cured share is that at time zero, also where patients enter later. Causes that nobody is cured
of compete with the same hazards for cured and uncured, independently, so that the likelihood is a product over causes.

A plateau of :math:`S_a` may be cure, or a hazard of the uncured that falls towards zero: no follow-up tells them apart.
The prior of the uncured's hazard in the last interval does (:class:`~smm_bayes.survival.cure_priors.LateHazardPrior`),
and :func:`~smm_bayes.survival.cure_summary.cure_summary` says how much the data add.

References
----------
Farewell VT. Biometrics 1982;38:1041-6, doi:10.2307/2529885. Amico M, Van Keilegom I. Annual Review of Statistics and
Its Application 2018;5:311-42, doi:10.1146/annurev-statistics-031017-100101.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.inference.cells import observes_cells
from smm_bayes.inference.made_for import carry, made_for
from smm_bayes.survival.cure_priors import CurePriors
from smm_bayes.survival.cure_table import CureTable
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.law import Law, draws_first
from smm_bayes.survival.likelihood import log_likelihood
from smm_bayes.survival.model import HAZARDS, hazards_for, model_data, observe_events, smooth_log_hazard
from smm_bayes.survival.walk import FLOOR, Curve, last_interval, smooth_curves, whitening

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

    from smm_bayes.trial.patients import Patients

ROUNDS = 50  # of the crude estimate that makes the sampler's coordinates


def cure_law(
    parameters: Mapping[str, np.ndarray], grid: TimeGrid, causes: tuple[str, ...], *, curable: str | None = None,
    arms: tuple[str, ...] = ("control", "experimental"),
) -> Law:  # fmt: skip
    r"""Give the law of parameters: component 0 are the cured, component 1 the uncured.

    Among the cured the curable cause has hazard 0. Net of the other causes survival levels off at the cured share,
    :math:`\pi + (1 - \pi) e^{-H(t)}`; the share cured among the event-free is ``law.shares(time)[..., 0, :]``. Look at
    :func:`~smm_bayes.survival.cure_summary.cure_summary` before believing it.

    Parameters
    ----------
    parameters : mapping of str to numpy.ndarray
        By the names of the model, as in :func:`cure_log_likelihood`.
    grid : TimeGrid
    causes : tuple of str
        In the order that the law is to have.
    curable : str, optional
        The cause that the cured never have; the first by default.
    arms : tuple of str
    """
    cured = np.asarray(parameters["cured"])
    uncured, position = np.asarray(parameters["log_hazard_uncured"])[..., None, :], causes.index(curable or causes[0])
    if len(causes) > 1:
        others = np.asarray(parameters["log_hazard_other"])
        uncured = np.concatenate([others[..., :position, :], uncured, others[..., position:, :]], axis=-2)
    never = uncured.copy()
    never[..., position, :] = -np.inf
    with np.errstate(divide="ignore"):
        share = np.stack([np.log(cured), np.log1p(-cured)], axis=-1)
    return Law(np.stack([never, uncured], axis=-3), share, grid, arms, causes)


@dataclass(frozen=True, eq=False)
class Cure:
    """A trial in which a share of each arm never has the event of one cause.

    Attributes
    ----------
    table : CureTable
    priors : CurePriors
    patients : Patients or None
        Whom the table counts, for what is asked of each: cross-validation and checks.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> from smm_bayes.survival import CuredPrior, CurePriors, LateHazardPrior
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> priors = CurePriors(CuredPrior(0.3, 0.6), LateHazardPrior(24, 96))
    >>> smm.Cure.of(patients, smm.TimeGrid((12,)), priors).table.curable
    'event'
    """

    table: CureTable
    priors: CurePriors
    patients: Patients | None = None

    @classmethod
    def of(cls, patients: Patients, grid: TimeGrid, priors: CurePriors, *, curable: str | None = None) -> Cure:
        """Give the model of patients, of whom a share is cured of ``curable``, the first cause by default.

        Raises
        ------
        SpecificationError
            When the cause is unknown, or another has no prior.
        """
        table = CureTable.of(patients, grid, curable or patients.causes[0])
        priors.check(table.other_causes)
        return cls(table, priors, patients)

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        return cure_model(self.table, self.priors)

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data: one set."""
        return [cure_data(self.table, self.priors)]

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        return self.priors.statements()

    def prior(self, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw parameters from the prior."""
        of = self.table.table
        return self.priors.sample(self.table.other_causes, len(of.arms), of.grid, draws, rng=rng)

    def log_likelihood(self, parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Log likelihood of parameters with draws first."""
        return cure_log_likelihood(parameters, self.table)

    def simulated(self, table: CureTable, truth: dict[str, np.ndarray], *, rng: np.random.Generator) -> Cure:
        """Give the model of simulated patients of this trial."""
        return replace(self, table=table, patients=None)

    def patient_log_likelihood(self, posterior: xr.Dataset) -> np.ndarray:
        """Log likelihood by patient, (chain, draw, patient)."""
        from smm_bayes.survival.by_patient import by_patient

        return by_patient(self, posterior)

    def law(self, posterior: xr.Dataset) -> Law:
        """Give the law of every posterior draw, leading dims (chain, draw)."""
        return self.law_of(draws_first(posterior)).by_chain(posterior)

    def law_of(self, parameters: dict[str, np.ndarray]) -> Law:
        """Give the law of parameters with draws first."""
        of = self.table.table
        return cure_law(parameters, of.grid, of.causes, curable=self.table.curable, arms=of.arms)


def cure_log_likelihood(parameters: Mapping[str, np.ndarray], table: CureTable) -> np.ndarray:
    r"""Log likelihood in NumPy, twin of the PyMC model's.

    With events :math:`d_{aj}` of the curable cause and :math:`E_{aj}` the exposure of those who had them,

    .. math:: \sum_{aj} d_{aj} \{\log(1 - \pi_a) + \log\lambda_{aj}\} - \lambda_{aj} E_{aj}
              + \sum_r n_r \log\{\pi_{a_r} + (1 - \pi_{a_r})\, e^{-H_{a_r}(t_r)}\}

    over the rows r of the table, and :math:`\sum d \log\lambda - \lambda E` of the other causes.

    Parameters
    ----------
    parameters : mapping of str to numpy.ndarray
        ``cured`` (..., arm), ``log_hazard_uncured`` (..., arm, interval) and, where there are other causes,
        ``log_hazard_other`` (..., arm, cause, interval); the same leading dims. A share of 0 is allowed.
    table : CureTable

    Returns
    -------
    numpy.ndarray
        One number per leading index.
    """
    cured, log_hazard = np.asarray(parameters["cured"]), np.asarray(parameters["log_hazard_uncured"])
    hazard, uncured = np.exp(log_hazard), np.log1p(-cured)
    events = (table.events * (log_hazard + uncured[..., None]) - table.spent * hazard).sum(axis=(-2, -1))
    spent = np.einsum("...rj,rj->...r", hazard[..., table.row_arm, :], table.row_exposure)
    with np.errstate(divide="ignore"):
        free = np.logaddexp(np.log(cured)[..., table.row_arm], uncured[..., table.row_arm] - spent)
    total = events + (table.row_count * free).sum(axis=-1)
    others = table.others
    return total if others is None else total + log_likelihood(parameters["log_hazard_other"], others)


def cure_model(table: CureTable, priors: CurePriors) -> pm.Model:
    """Build a mixture cure model of one cause, with competing causes.

    Parameters
    ----------
    table : CureTable
        Its shape fixes the model; its numbers are data that a refit may replace (:func:`cure_data`).
    priors : CurePriors

    Returns
    -------
    pymc.Model
        Free variables ``logit_cured`` of the control arm, ``log_baseline_uncured`` (curable, interval),
        ``smoothness_uncured`` (curable) and with two arms ``log_odds_ratio`` and ``log_hazard_ratio_uncured``; those
        of the other causes as in :func:`~smm_bayes.survival.model.piecewise_exponential_model`. Deterministic
        ``cured`` (arm), ``log_hazard_uncured`` (arm, interval) and ``log_hazard_other`` (arm, cause, interval), per
        month.

    Raises
    ------
    SpecificationError
        When another cause has no prior.
    """
    import pymc as pm

    priors.check(table.other_causes)
    with pm.Model(coords=_coords(table)) as model:
        carry("cure", **_built_for(table, priors))
        observes_cells()
        _observe_curable(*_curable(table, priors), table)
        others = table.others
        if others is not None and priors.others is not None:
            carry(HAZARDS, **hazards_for(others, priors.others))
            flat = smooth_log_hazard(others, priors.others)
            shaped = flat.reshape(others.events.shape)
            log_hazard = pm.Deterministic("log_hazard_other", shaped, dims=("arm", "cause", "interval"))
            observe_events(log_hazard.ravel(), others)
    return model


def cure_data(table: CureTable, priors: CurePriors) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to a compiled model of the same shape and priors."""
    grid, others = table.table.grid, table.others
    theirs = {} if others is None or priors.others is None else model_data(others, priors.others)
    coordinates = whitening([crude_curve(table, priors)], grid, "uncured", last_interval(grid))
    return {**_cells(table), **coordinates, **theirs, **made_for("cure", **_built_for(table, priors))}


def _built_for(table: CureTable, priors: CurePriors) -> dict[str, Any]:
    return {"priors": priors, "intervals": table.table.grid.cuts, "arms": table.table.arms, "curable": table.curable}


def crude_curve(table: CureTable, priors: CurePriors) -> Curve:
    r"""Log hazard of the uncured, roughly, for the sampler's coordinates: arms as one, a few rounds of EM.

    A row counts as exposed to the extent that its patients are uncured, :math:`(1-\pi) e^{-H} / S`; the share cured
    is pulled towards the prior's median as if by two patients.
    """
    events, exposure, count = table.events.sum(axis=0), table.row_exposure, table.row_count
    prior, share = priors.late_hazard, priors.cured.median
    spent, cured = table.spent.sum(axis=0), share
    size = events.sum() + count.sum()
    curve = Curve.of_hazard(prior, events, spent + count @ exposure)
    for _ in range(ROUNDS):
        left = (1 - cured) * np.exp(-exposure @ np.exp(curve.estimate))
        uncured = count * left / (cured + left)
        cured = float(np.clip((count.sum() - uncured.sum() + 2 * share) / (size + 2), 0.01, 0.99))
        curve = Curve.of_hazard(prior, events, np.maximum(spent + uncured @ exposure, FLOOR))
    return curve


def _coords(table: CureTable) -> dict[str, list[Any]]:
    arms, causes = table.table.arms, table.other_causes
    size = table.table.exposure.size
    coords: dict[str, list[Any]] = {
        "arm": list(arms), "curable": [table.curable], "interval": list(table.table.grid.labels),
        "curable_cell": list(range(size)), "row": list(range(len(table.row_count))),
    }  # fmt: skip
    if causes:
        curves = [f"{arm}:{cause}" for arm in arms for cause in causes]
        coords |= {"cause": list(causes), "curve": curves, "cell": list(range(size * len(causes)))}
    return coords


def _cells(table: CureTable) -> dict[str, np.ndarray]:
    """Numbers of the curable cause; arms as numbers, to be packed with the others."""
    return {
        "curable_data": table.events.ravel(), "spent_data": table.spent.ravel(),
        "row_arm_data": table.row_arm.astype(float), "row_exposure_data": table.row_exposure,
        "row_count_data": table.row_count,
    }  # fmt: skip


def _curable(table: CureTable, priors: CurePriors) -> tuple[Any, Any, Any, Any]:
    """Log odds of cure and log hazards (interval) of the control arm, and what treatment adds to them."""
    import pymc as pm
    import pytensor.tensor as pt

    grid, arms = table.table.grid, len(table.table.arms)
    odds = pm.Normal("logit_cured", priors.cured.mean, priors.cured.sd)
    curve = smooth_curves("log_baseline_uncured", [crude_curve(table, priors)], priors.smoothness, grid, dim="curable",
                          step="smoothness_uncured", coordinates="uncured", weights=last_interval(grid))[0]  # fmt: skip
    odds_ratio = hazard_ratio = np.zeros(())
    if arms > 1:
        odds_ratio = pm.Normal("log_odds_ratio", priors.odds_ratio.mean, priors.odds_ratio.sd)
        hazard_ratio = pm.Normal("log_hazard_ratio_uncured", priors.hazard_ratio.mean, priors.hazard_ratio.sd)
    treated = np.arange(float(arms))
    pm.Deterministic("cured", pt.sigmoid(odds + treated * odds_ratio), dims="arm")
    pm.Deterministic("log_hazard_uncured", curve[None, :] + (treated * hazard_ratio)[:, None], dims=("arm", "interval"))
    return odds, curve, odds_ratio, hazard_ratio


def _observe_curable(odds: Any, curve: Any, odds_ratio: Any, hazard_ratio: Any, table: CureTable) -> None:
    """Add the curable events of every cell, and the rows without the event, to the model."""
    import pymc as pm
    import pytensor.tensor as pt

    dims = {"row_arm_data": "row", "row_exposure_data": ("row", "interval"), "row_count_data": "row"}
    data = {name: pm.Data(name, values, dims=dims.get(name, "curable_cell")) for name, values in _cells(table).items()}
    arm, interval = (index.ravel() for index in np.indices(table.events.shape))
    log_hazard = curve[interval] + hazard_ratio * arm.astype(float)
    pm.CustomDist(
        "curable_events", log_hazard, -pt.softplus(odds + odds_ratio * arm.astype(float)), data["spent_data"],
        logp=lambda events, log_hazard, uncured, spent: events * (log_hazard + uncured) - spent * pt.exp(log_hazard),
        random=_not_drawn, observed=data["curable_data"], dims="curable_cell",
    )  # fmt: skip
    second = data["row_arm_data"]  # 0 or 1: numbers of the arms are spread over the rows without an index

    def spread(of: Any) -> Any:
        return of(0.0) + second * (of(1.0) - of(0.0))

    spent = (data["row_exposure_data"] * pt.exp(curve)).sum(axis=-1) * spread(lambda x: pt.exp(hazard_ratio * x))
    cured, uncured = (spread(lambda x, s=s: -pt.softplus(s * (odds + odds_ratio * x))) for s in (-1, 1))
    pm.CustomDist(
        "event_free", cured, uncured - spent, logp=lambda count, cured, uncured: count * pt.logaddexp(cured, uncured),
        random=_not_drawn, observed=data["row_count_data"], dims="row",
    )  # fmt: skip


def _not_drawn(*_: Any, **__: Any) -> np.ndarray:
    raise NotImplementedError(
        "new counts cannot be drawn given the exposure, because it depends on who is cured; simulate patients from the "
        "model's law"
    )
