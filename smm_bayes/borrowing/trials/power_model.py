"""The PyMC model of learnt powers and hazards; its exact answer is in ``power_posterior``, its twin in ``power``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.trials.conjugate import draw_log_gamma
from smm_bayes.borrowing.trials.histories import HazardHistory
from smm_bayes.borrowing.trials.power import NormalisedPowerPrior
from smm_bayes.errors import SpecificationError
from smm_bayes.inference.cells import observes_cells
from smm_bayes.inference.made_for import carry, made_for
from smm_bayes.survival.grid import EventTable

if TYPE_CHECKING:
    import pymc as pm


def power_prior_model(prior: NormalisedPowerPrior, current: EventTable) -> pm.Model:
    r"""Build the model of one arm's hazards under a normalised power prior.

    Given the powers the prior of the hazards, divided by its integral C(a), is

    .. math:: \lambda_{cj} \mid a \sim
              \Gamma\left(\alpha + \textstyle\sum_k a_k d_{kcj},\ \beta + \sum_k a_k E_{kj}\right),
              \quad a_k \sim \mathrm{Beta}(p_k, q_k),

    so that C(a) need not be computed. The historical data are data: they are not drawn from the prior, and the model is
    calibrated by drawing a and the hazards given them.

    Parameters
    ----------
    prior : NormalisedPowerPrior
        With a history of hazards.
    current : EventTable
        Its shape fixes the model; current and earlier events and exposure are data that a refit may replace.

    Returns
    -------
    pymc.Model
        Free variables ``power`` (trial) and ``log_hazard_cell`` (cell); deterministic ``log_hazard`` (arm, cause,
        interval) with one arm; data ``earlier_events`` and ``earlier_exposure`` (trial, cell), ``events_data`` and
        ``exposure_data`` (cell).

    Raises
    ------
    SpecificationError
        When the history is of response rates, or the table does not fit it.
    """
    import pymc as pm

    history, arm = _checked(prior), _arm(prior, current)
    coords = {
        "trial": list(history.names), "arm": list(arm.arms), "cause": list(history.causes),
        "interval": list(history.grid.labels), "cell": list(range(history.initial.shape[1])),
    }  # fmt: skip
    with pm.Model(coords=coords) as model:
        carry("power", **_built_for(prior))
        observes_cells()
        power = pm.Beta("power", [p.p for p in prior.priors], [p.q for p in prior.priors], dims="trial")
        sums = [pm.Data(name, values, dims=("trial", "cell")) for name, values in _earlier(history).items()]
        shape, rate = (start + (power[:, None] * added).sum(axis=0)
                       for start, added in zip(history.initial, sums, strict=True))  # fmt: skip
        now = [pm.Data(name, values, dims="cell") for name, values in _current(arm).items()]
        log_hazard = _log_gamma("log_hazard_cell", shape, rate, *now)
        pm.Deterministic("log_hazard", log_hazard.reshape(arm.events.shape), dims=("arm", "cause", "interval"))
        pm.CustomDist("events", log_hazard, now[1], logp=_log_likelihood, random=_draw_events, observed=now[0],
                      dims="cell")  # fmt: skip
    return model


def _log_gamma(name: str, shape: Any, rate: Any, events: Any, exposure: Any) -> Any:
    """Add logarithms of gamma variables (cell) to the model being built.

    They are sampled in units of what is roughly their posterior given the powers, which may be wide where the powers
    are near 0 and narrow elsewhere: a change of variables, exact however rough; the density does not see the data.
    """
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.logprob.transforms import Transform

    def place(shape: Any, rate: Any, events: Any, exposure: Any) -> tuple[Any, Any]:
        after = shape + events
        return pt.log(after / (rate + exposure)) - 0.5 / after, pt.sqrt(1 / after + 0.5 / after**2)

    class Scaled(Transform):
        name = "scaled"

        def backward(self, value: Any, *inputs: Any) -> Any:
            middle, spread = place(*inputs[-4:])
            return middle + spread * value

        def forward(self, value: Any, *inputs: Any) -> Any:
            middle, spread = place(*inputs[-4:])
            return (value - middle) / spread

        def log_jac_det(self, value: Any, *inputs: Any) -> Any:
            return pt.log(place(*inputs[-4:])[1]) + 0 * value

    def log_prior(value: Any, shape: Any, rate: Any, *_: Any) -> Any:
        return shape * (value + pt.log(rate)) - rate * pt.exp(value) - pt.gammaln(shape)

    def draw(shape: np.ndarray, rate: np.ndarray, *_: Any, rng: np.random.Generator, size: Any = None) -> np.ndarray:
        return draw_log_gamma(shape, rate, rng=rng, size=size)

    return pm.CustomDist(
        name, shape, rate, events, exposure, logp=log_prior, random=draw, transform=Scaled(), dims="cell",
        support_point=lambda _, __, *inputs: place(*inputs[-4:])[0],
    )  # fmt: skip


def _log_likelihood(events: Any, log_hazard: Any, exposure: Any) -> Any:
    import pytensor.tensor as pt

    return events * log_hazard - exposure * pt.exp(log_hazard)


def _draw_events(log_hazard: np.ndarray, exposure: np.ndarray, rng: Any = None, size: Any = None) -> np.ndarray:
    return rng.poisson(exposure * np.exp(log_hazard), size=size).astype(float)


def power_prior_data(prior: NormalisedPowerPrior, current: EventTable) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to a compiled model of as many trials and cells, and the same priors."""
    arrays = {**_earlier(_checked(prior)), **_current(_arm(prior, current))}
    return {**arrays, **made_for("power", **_built_for(prior))}


def _built_for(prior: NormalisedPowerPrior) -> dict[str, Any]:
    history = _checked(prior)
    return {"priors": (prior.priors, history.initial), "intervals": history.grid.cuts, "causes": history.causes}


def sample_prior(prior: NormalisedPowerPrior, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw powers and hazards given the earlier data, in NumPy: a code path apart from the PyMC model.

    Returns
    -------
    dict of str to numpy.ndarray
        ``power`` (draw, trial) and ``log_hazard`` (draw, arm, cause, interval) with one arm.
    """
    history = _checked(prior)
    power = rng.beta([p.p for p in prior.priors], [p.q for p in prior.priors], (draws, len(prior.priors)))
    log_hazard = [history.hazards(powers).sample(1, rng=rng)[0] for powers in power]
    return {"power": power, "log_hazard": np.stack(log_hazard)}


def _checked(prior: NormalisedPowerPrior) -> HazardHistory:
    if not isinstance(prior.history, HazardHistory):
        raise SpecificationError("the model needs a history of hazards; a response rate has its posterior in "
                                 "NormalisedPowerPrior.posterior")  # fmt: skip
    return prior.history


def _arm(prior: NormalisedPowerPrior, current: EventTable) -> EventTable:
    """Give the table of the one arm."""
    history = _checked(prior)
    events, exposure = history.current_sums(current).reshape(2, 1, len(history.causes), len(history.grid))
    arms = current.arms if len(current.arms) == 1 else (str(history.arm),)
    return EventTable(events, exposure[:, 0], history.grid, arms, history.causes)


def _current(arm: EventTable) -> dict[str, np.ndarray]:
    return {"events_data": arm.events.ravel(), "exposure_data": arm.cell_exposure.ravel()}


def _earlier(history: HazardHistory) -> dict[str, np.ndarray]:
    return {"earlier_events": history.sums[:, 0], "earlier_exposure": history.sums[:, 1]}
