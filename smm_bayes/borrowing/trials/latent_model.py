"""The PyMC model of latent exchangeability: which earlier patients are like the current control arm is learnt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.trials.latent_priors import LatentPriors, ShareOfPatients
from smm_bayes.borrowing.trials.latent_rows import HistoricalRows
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.inference.made_for import carry, made_for
from smm_bayes.survival.grid import EventTable, TimeGrid
from smm_bayes.survival.model import add_log_hazard, cell_data, coordinate_data, model_coords, observe_events
from smm_bayes.survival.walk import spacing

if TYPE_CHECKING:
    import pymc as pm

    from smm_bayes.trial.patients import Patients


def latent_exchangeability_model(
    current: EventTable, historical: Patients | HistoricalRows, priors: LatentPriors, *, rows: int | None = None
) -> pm.Model:
    r"""Build the latent exchangeability model of the current trial and one earlier arm.

    The current trial is that of :func:`~smm_bayes.survival.model.piecewise_exponential_model`. Every earlier patient
    belongs to one of K classes: class 1 has the hazards of the current control arm (or of the single arm),
    :math:`\lambda_{1cj}`, the others have their own. With events :math:`d_{icj}` and exposure :math:`E_{ij}` of patient
    i, the log likelihood of the earlier patients is

    .. math:: \sum_i \log \sum_{k=1}^K \gamma_k \prod_{cj} \lambda_{kcj}^{d_{icj}} e^{-\lambda_{kcj} E_{ij}},

    :math:`\gamma_1` beta, cut off where asked, and the others sharing the rest by a Dirichlet distribution. The other
    classes' log hazards are smooth as the baseline is (:mod:`smm_bayes.survival.walk`).

    Parameters
    ----------
    current : EventTable
        Its shape fixes the model; events and exposure are data that a refit may replace.
    historical : Patients or HistoricalRows
        Patients are taken by :meth:`HistoricalRows.of`, which refuses reconstructed and simulated ones.
    priors : LatentPriors
    rows : int, optional
        Room for so many rows of earlier patients; as many as there are by default. A refit must fit in.

    Returns
    -------
    pymc.Model
        Beside the variables of the current trial: free ``exchangeable_share``, ``other_level`` (other), of competing
        causes ``other_level_competing`` (competing, other), ``other_smoothness`` and ``other_move`` (other, cause,
        step), with K > 2 ``other_split`` (other); deterministic ``class_share`` (class), ``log_hazard_other`` (other,
        cause, interval) and ``exchangeable_patients``, the expected number of earlier patients in class 1.

    Raises
    ------
    SpecificationError
        When the earlier patients cannot be used, do not fit the current table, or need more ``rows``.

    Notes
    -----
    Earlier patients do not collapse to cells: a gradient takes time in proportion to rows times classes times
    intervals. Class 1 is held in place by the current data; the others are in order of their mean log hazard.
    ``patients`` has no random draws: data of the model are simulated patient by patient.

    References
    ----------
    Alt EM, Chang X, Jiang X, Liu Q, Mo M, Xia HA, Ibrahim JG. Biometrics 2024;80(3):ujae083,
    doi:10.1093/biomtc/ujae083.
    """
    import pymc as pm

    table = _rows(historical, current)
    arrays = row_data(table, rows=rows)
    with pm.Model(coords=_coords(current, priors, len(arrays["count_data"]))) as model:
        carry("latent", priors=priors)
        log_hazard = add_log_hazard(_rough(current, table, priors), priors.survival)
        observe_events(log_hazard.ravel(), current)
        others, share = _other_hazards(current, priors), _class_shares(priors)
        curves = [log_hazard[0], *(others[k] for k in range(priors.classes - 1))]
        _observe_patients(curves, share, arrays, len(current.causes) * len(current.grid))
    return model


def latent_exchangeability_data(
    current: EventTable, historical: Patients | HistoricalRows, priors: LatentPriors, *, rows: int | None = None
) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to a compiled model of the same shape, priors and ``rows``.

    Raises
    ------
    SpecificationError
        When the earlier patients cannot be used, do not fit the current table, or need more ``rows``.
    """
    table = _rows(historical, current)
    coordinates = coordinate_data(_rough(current, table, priors), priors.survival)
    return {**cell_data(current), **coordinates, **row_data(table, rows=rows), **made_for("latent", priors=priors)}


def row_data(table: HistoricalRows, *, rows: int | None = None) -> dict[str, np.ndarray]:
    """Rows as arrays of fixed shape; one more is empty, in the last cell: an index may be as large as it first was."""
    size = len(table.count)
    room = size if rows is None else rows
    if room < size:
        raise SpecificationError(f"{size} rows of earlier patients do not fit in rows = {rows}; build the model with "
                                 "more (the number of patients is always enough)")  # fmt: skip
    fill = (0, room + 1 - size)
    last = len(table.causes) * len(table.grid) - 1
    return {
        "row_cell_data": np.pad(table.cell, fill, constant_values=last), "row_event_data": np.pad(table.event, fill),
        "row_exposure_data": np.pad(table.exposure, (fill, (0, 0))), "count_data": np.pad(table.count, fill),
    }  # fmt: skip


def _rows(historical: Patients | HistoricalRows, current: EventTable) -> HistoricalRows:
    if not isinstance(historical, HistoricalRows):
        return HistoricalRows.of(historical, current.grid, current.causes)
    with Problems("earlier patients", SpecificationError).collecting() as problems:
        if historical.grid != current.grid:
            problems.add(f"their grid has cuts {historical.grid.cuts}, the current table {current.grid.cuts}")
        if historical.causes != current.causes:
            problems.add(f"they have the causes {', '.join(historical.causes)}, the current table "
                         f"{', '.join(current.causes)}; count the same in the same order")  # fmt: skip
    return historical


def _rough(current: EventTable, table: HistoricalRows, priors: LatentPriors) -> EventTable:
    """Table for the sampler's coordinates: the first arm with the prior's share of the earlier patients."""
    events, exposure = current.events.copy(), current.exposure.copy()
    events[0] += priors.share.mean * table.events
    exposure[0] += priors.share.mean * table.months
    return EventTable(events, exposure, current.grid, current.arms, current.causes)


def _coords(current: EventTable, priors: LatentPriors, rows: int) -> dict[str, list[Any]]:
    numbers = list(range(1, priors.classes + 1))
    return {**model_coords(current), "class": numbers, "other": numbers[1:], "competing": list(current.causes[1:]),
            "step": list(current.grid.labels[1:]), "row": list(range(rows))}  # fmt: skip


def _class_shares(priors: LatentPriors) -> Any:
    """Add the share of every class."""
    import pymc as pm
    import pytensor.tensor as pt

    prior = priors.share
    if prior.cut:
        first = _cut_off_share("exchangeable_share", prior)
    else:
        first = pm.Beta("exchangeable_share", prior.a, prior.b)
    rest = pt.ones(1)
    if priors.classes > 2:
        rest = pm.Dirichlet("other_split", priors.split, dims="other")
    return pm.Deterministic("class_share", pt.concatenate([first[None], (1 - first) * rest]), dims="class")


def _cut_off_share(name: str, prior: ShareOfPatients) -> Any:
    """Add a beta variable between bounds (PyMC's truncated one is NaN between 0.999 and 1)."""
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.distributions.transforms import Interval

    def draw(_: np.ndarray, *, rng: np.random.Generator, size: Any = None) -> np.ndarray:
        shape = () if size is None else tuple(size)
        return prior.sample(int(np.prod(shape)), rng=rng).reshape(shape)

    return pm.CustomDist(
        name, prior.log_normaliser, random=draw, transform=Interval(prior.lower, prior.upper),
        logp=lambda value, log_normaliser: (
            (prior.a - 1) * pt.log(value) + (prior.b - 1) * pt.log1p(-value) - log_normaliser
        ),
        support_point=lambda *_: pt.constant((prior.lower + prior.upper) / 2),
    )  # fmt: skip


def _ordered_levels(name: str, mean: float, sd: float, size: int) -> Any:
    """Add normal variables put in order: their density is ``size`` factorial times that of independent ones."""
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.distributions.transforms import ordered

    def log_prior(value: Any, mean: Any, sd: Any) -> Any:
        each = -0.5 * ((value - mean) / sd) ** 2 - pt.log(sd) - 0.5 * np.log(2 * np.pi)
        return each.sum(axis=-1) + math.lgamma(size + 1)

    def draw(mean: np.ndarray, sd: np.ndarray, *, rng: np.random.Generator, size: Any = None) -> np.ndarray:
        return np.sort(rng.normal(mean, sd, size=None if size is None else (*size, mean.shape[-1])), axis=-1)

    return pm.CustomDist(
        name, np.full(size, mean), np.full(size, sd), logp=log_prior, random=draw, signature="(k),(k)->(k)",
        support_point=lambda _, __, mean, sd: mean + sd * np.linspace(-1, 1, size), transform=ordered, dims="other",
    )  # fmt: skip


def _other_hazards(current: EventTable, priors: LatentPriors) -> Any:
    """Add log hazards of the other classes (other, cause, interval)."""
    import pymc as pm
    import pytensor.tensor as pt

    mean, sd = priors.of_others(current.causes)
    if priors.classes > 2:
        levels = _ordered_levels("other_level", mean[0], sd[0], priors.classes - 1)[:, None]
    else:
        levels = pm.Normal("other_level", mean[0], sd[0], dims="other")[:, None]
    if len(current.causes) > 1:
        more = pm.Normal("other_level_competing", mean[1:, None], sd[1:, None], dims=("competing", "other"))
        levels = pt.concatenate([levels, more.T], axis=1)
    curves = levels[..., None]
    if len(current.grid) > 1:
        step = pm.HalfNormal("other_smoothness", priors.survival.smoothness.scale, dims=("other", "cause"))
        move = pm.Normal("other_move", 0.0, 1.0, dims=("other", "cause", "step"))
        curves = curves + step[..., None] * (move[..., None, :] * _centred_steps(current.grid)).sum(axis=-1)
    return pm.Deterministic("log_hazard_other", curves, dims=("other", "cause", "interval"))


def _centred_steps(grid: TimeGrid) -> np.ndarray:
    """Walk with mean 0 from standard steps, shape (interval, step)."""
    walk = np.tri(len(grid), len(grid) - 1, -1) * np.sqrt(spacing(grid))
    return walk - walk.mean(axis=0)


def _observe_patients(curves: list[Any], share: Any, arrays: dict[str, np.ndarray], cells: int) -> None:
    """Add the earlier patients, given log hazards (cause, interval) of every class; classes are written out."""
    import pymc as pm
    import pytensor.tensor as pt

    cell, event, count = (pm.Data(name, arrays[name], dims="row")
                          for name in ("row_cell_data", "row_event_data", "count_data"))  # fmt: skip
    exposure = pm.Data("row_exposure_data", arrays["row_exposure_data"], dims=("row", "interval"))
    terms = [pt.log(share[k]) + event * curve.reshape((cells,))[cell]
             - (exposure * pt.exp(curve).sum(axis=0)).sum(axis=-1) for k, curve in enumerate(curves)]  # fmt: skip
    total = terms[0]
    for term in terms[1:]:
        total = pt.logaddexp(total, term)
    pm.Deterministic("exchangeable_patients", (count * pt.exp(terms[0] - total)).sum())
    pm.CustomDist("patients", total, logp=lambda count, log_p: count * log_p, observed=count, dims="row")
