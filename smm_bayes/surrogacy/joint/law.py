r"""The joint model with known parameters: statuses, hazards, survival; draws of them, or numbers.

A path is the status at every visit. Since :math:`Z_k` depends on the past only through arm and :math:`Z_{k-1}`, the
whole path may be drawn at enrolment, :math:`P(\text{path} \mid a) = \prod_k P(Z_k \mid a, Z_{k-1})`, and the hazards
after :math:`v_k` follow it: the law of event times and of the statuses of patients who are event-free at each visit
is the
model's. So each arm is a mixture, over paths, of piecewise-exponential distributions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy.joint.hazards import CONDITIONAL, MARGINAL, HazardsOf
from smm_bayes.survival.law import Law

if TYPE_CHECKING:
    import xarray as xr

    from smm_bayes.surrogacy.joint.priors import JointPriors
    from smm_bayes.surrogacy.joint.shape import JointShape

PARAMETERS = (
    "log_hazard", "log_mrd_hazard_ratio", "log_mrd_interaction", "log_mrd_half_life", "status_level",
    "status_log_odds_ratio", "status_persistence",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class JointLaw(Law):
    """The law of the joint model: component p is a path, with status bit k - 1 of p at visit k.

    Attributes
    ----------
    months : numpy.ndarray, shape (visit,)
        Of the visits. The grid is that of the cells: intervals cut at visits.
    """

    months: np.ndarray

    @classmethod
    def of(
        cls, parameters: Mapping[str, np.ndarray], shape: JointShape, priors: JointPriors,
        hazards_of: HazardsOf = CONDITIONAL,
    ) -> JointLaw:  # fmt: skip
        """Give the law of parameters by the names of the PyMC model, in NumPy.

        Parameters
        ----------
        parameters : mapping of str to numpy.ndarray
            ``log_hazard`` (..., arm, cause, interval) and those of status and MRD effect, with the same leading dims.
        shape : JointShape
        priors : JointPriors
            Which causes MRD acts on, and how.
        hazards_of : {"not negative", "everyone"}

        Raises
        ------
        SpecificationError
            When each patient has visits of his own, so that there is no law of an arm.
        """
        if shape.own_visits:
            raise SpecificationError("visits at months of each patient's own: an arm has no law of paths and times; "
                                     "read the hazard ratios of MRD from the posterior")  # fmt: skip
        states = shape.states
        log_path = _log_paths(parameters, states, len(shape.arms))
        log_ratio = _log_ratios(parameters, shape, priors)  # (..., arm, cause, cell)
        now = np.column_stack([np.zeros(len(states), int), states])[:, shape.period]  # (path, cell)
        log_hazard = np.asarray(parameters["log_hazard"])[..., shape.interval][..., :, None, :, :]
        log_hazard = log_hazard + log_ratio[..., :, None, :, :] * now[:, None, :]
        if hazards_of == MARGINAL:
            log_hazard = _shifted(log_hazard, log_path, log_ratio, now, shape)
        return cls(log_hazard, log_path, shape.cells, shape.arms, shape.causes, np.asarray(shape.months, float))

    @classmethod
    def of_posterior(
        cls, posterior: xr.Dataset, shape: JointShape, priors: JointPriors, hazards_of: HazardsOf = CONDITIONAL
    ) -> JointLaw:
        """Give the law of every posterior draw, leading dims (chain, draw); arguments as in :meth:`of`."""
        found = {str(name): values.transpose("chain", "draw", ...).values
                 for name, values in posterior.data_vars.items() if name in PARAMETERS}  # fmt: skip
        return cls.of(found, shape, priors, hazards_of)

    @property
    def states(self) -> np.ndarray:
        """Status of every path, shape (path, visit)."""
        return (np.arange(self.components)[:, None] >> np.arange(len(self.months))) & 1

    def negative(self, visit: int) -> np.ndarray:
        """Share MRD-negative at a visit among patients who are event-free then, shape (..., arm)."""
        free = self._event_free(self.months[visit])
        return free[..., self.states[:, visit] == 1].sum(axis=-1) / free.sum(axis=-1)

    def negative_of_all(self, visit: int) -> np.ndarray:
        """Share of all randomised that is event-free and MRD-negative at a visit, shape (..., arm)."""
        return self._event_free(self.months[visit])[..., self.states[:, visit] == 1].sum(axis=-1)

    def status_effect(self, visit: int = -1) -> np.ndarray:
        """Intention-to-treat log odds ratio of MRD-negativity at a visit, experimental over control."""
        share = self.negative_of_all(visit)
        odds = np.log(share) - np.log1p(-share)
        return odds[..., 1] - odds[..., 0]

    def event_effect(self, horizon: float) -> np.ndarray:
        r"""Marginal effect on the time to event at a horizon, :math:`\log\{\log S_1(h) / \log S_0(h)\}`.

        Under proportional hazards it is the log hazard ratio, whatever the horizon.
        """
        cumulative = np.log(-np.log(self.survival(horizon)[..., 0]))
        return cumulative[..., 1] - cumulative[..., 0]

    def milestone(self, time: float, visit: int = -1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the effect at a milestone is made of, with the visit as landmark.

        Parameters
        ----------
        time : float
            Months from enrolment to the milestone, after the visit.
        visit : int

        Returns
        -------
        survival : numpy.ndarray, shape (..., arm)
            Event-free at the visit, S_a.
        status : numpy.ndarray, shape (..., arm, state)
            Status then among patients who are event-free, π_am; state 0 is not negative.
        after : numpy.ndarray, shape (..., arm, state)
            Event-free at the milestone given both, ψ_am.

        Raises
        ------
        SpecificationError
            When the milestone is not after the visit.
        """
        if not time > self.months[visit]:
            raise SpecificationError(
                f"the milestone must be after the visit, at {self.months[visit]:g} months; got {time:g}"
            )
        free = self._event_free(self.months[visit])
        later = self._event_free(time)
        here = [self.states[:, visit] == state for state in (0, 1)]
        alive = np.stack([free[..., rows].sum(axis=-1) for rows in here], axis=-1)
        after = np.stack([later[..., rows].sum(axis=-1) for rows in here], axis=-1) / alive
        survival = alive.sum(axis=-1)
        return survival, alive / survival[..., None], after

    def survival_after(self, month: float, time: np.ndarray | float, *, visit: int = -1) -> np.ndarray:
        r"""Survival from a landmark on, by arm and MRD status at a visit, of patients event-free at the landmark.

        .. math:: P_a(T > v + t \mid T > v, Z_k = z) = \frac{\sum_p P(p)\, S_{ap}(v + t)}{\sum_p P(p)\, S_{ap}(v)}

        over the paths p with :math:`Z_k = z`.

        Parameters
        ----------
        month : float
            The landmark v in months from enrolment, at the visit or later.
        time : array_like of float
            Months t from the landmark.
        visit : int
            The visit k of the status.

        Returns
        -------
        numpy.ndarray, shape (..., arm, state, time)
            State 0 is not negative.

        Raises
        ------
        SpecificationError
            When the landmark is before the visit.
        """
        if not month >= self.months[visit] - 1e-9:
            raise SpecificationError(f"the landmark must be at the visit, {self.months[visit]:g} months, or later; got "
                                     f"{month}")  # fmt: skip
        share, at = np.exp(self.log_share)[..., None], np.atleast_1d(np.asarray(time, float))
        now, later = share * self.by_component.survival(month), share * self.by_component.survival(month + at)
        here = [self.states[:, visit] == state for state in (0, 1)]
        return np.stack([later[..., rows, :].sum(axis=-2) / now[..., rows, :].sum(axis=-2) for rows in here], axis=-2)

    def _event_free(self, time: float) -> np.ndarray:
        """Probability of a path and of being event-free at a time, shape (..., arm, path)."""
        return np.exp(self.log_share) * self.by_component.survival(time)[..., 0]


def _log_paths(parameters: Mapping[str, np.ndarray], states: np.ndarray, arms: int) -> np.ndarray:
    level = np.asarray(parameters["status_level"])
    lead, visits = level.shape[:-1], level.shape[-1]
    total = np.zeros((*lead, arms, len(states)))
    for visit in range(visits):
        for path, state in enumerate(states):
            odds = np.repeat(level[..., visit, None], arms, axis=-1)
            if arms > 1:
                odds[..., 1] += parameters["status_log_odds_ratio"][..., visit]
            if visit and state[visit - 1]:
                odds += parameters["status_persistence"][..., visit - 1, None]
            total[..., path] -= np.logaddexp(0.0, -odds if state[visit] else odds)
    return total


def _log_ratios(parameters: Mapping[str, np.ndarray], shape: JointShape, priors: JointPriors) -> np.ndarray:
    """Log hazard ratio of the negative, shape (..., arm, cause, cell)."""
    ratio = np.asarray(parameters["log_mrd_hazard_ratio"])
    found = np.zeros((*ratio.shape[:-1], len(shape.arms), len(shape.causes), len(shape.cells)))
    half_life = parameters.get("log_mrd_half_life")
    log_time = None if half_life is None else np.asarray(half_life)[..., None]
    for position, cause in enumerate(priors.acting(shape.causes)):
        for arm in range(len(shape.arms)):
            size = ratio[..., position]
            if arm and "log_mrd_interaction" in parameters:
                size = size + parameters["log_mrd_interaction"]
            found[..., arm, cause, :] = priors.effect.log_ratio(size[..., None], log_time, *shape.since)
    return found * shape.acts


def _shifted(
    log_hazard: np.ndarray, log_path: np.ndarray, log_ratio: np.ndarray, now: np.ndarray, shape: JointShape
) -> np.ndarray:
    """Hazards of paths whose mean over patients who are event-free, at the start of every cell, is that of everyone."""
    out, mass = log_hazard.copy(), log_path
    widths = np.append(np.diff(shape.cells.starts), 0.0)
    for cell in range(len(shape.cells)):
        share = np.exp(mass - np.logaddexp.reduce(mass, axis=-1)[..., None])
        negative = (share * now[:, cell]).sum(axis=-1)  # (..., arm)
        mean = np.log1p(negative[..., None] * np.expm1(log_ratio[..., cell]))  # (..., arm, cause)
        out[..., cell] -= mean[..., :, None, :]
        mass = mass - np.exp(out[..., cell]).sum(axis=-1) * widths[cell]
    return out
