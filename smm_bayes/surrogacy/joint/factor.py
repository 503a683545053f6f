r"""The relation across trials as a factor of the joint model's posterior, once and only once.

With :math:`\phi` the parameters of the joint model and D the data of the trial,

.. math:: p(\phi \mid D) \propto p(D \mid \phi)\, p_0(\phi)\, f\{\theta_M(\phi), \theta_P(\phi)\}, \qquad
          f = \mathrm{E}\, N(\theta_P;\ a + s + b k \theta_M,\ \psi^2 + g^2)

over what is known of the relation (:class:`~smm_bayes.surrogacy.across.transport.Transported`). :math:`\theta_M` is the
log odds ratio of being event-free and MRD-negative at a visit among all randomised,
:math:`\theta_P = \log\{\log S_1(h) / \log S_0(h)\}` the marginal effect at a horizon h; both are functions of
:math:`\phi`, so the data on MRD enter once, in :math:`p(D \mid \phi)`. The log hazard ratios of published trials stand
for :math:`\theta_P` under proportional hazards. An infinite g gives f constant: the posterior without the relation.

:math:`\theta_M` is not quite what the pairs of published trials are of. These mostly count patients who were negative
at any
time, a few who was at a landmark; progression afterwards does not count, and patients who were not assessed are not
negative. Here
a patient counts who is negative at the visit and event-free until then, and the status of who was not assessed is
inferred. Scale and extra SD of the transport have to cover the difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.surrogacy.joint.law import JointLaw
from smm_bayes.surrogacy.joint.shape import STATES, JointShape

if TYPE_CHECKING:
    from smm_bayes.surrogacy.across.transport import Transported



@dataclass(frozen=True, eq=False)
class RelationFactor:
    """A relation across trials, and what it relates in this trial.

    Parameters
    ----------
    transported : Transported
        The relation, carried over to this trial's setting.
    horizon : float
        Months h of the effect on the time to event.
    visit : int
        Position of the visit of the effect on MRD; the last by default.
    """

    transported: Transported
    horizon: float
    visit: int = -1

    def check(self, shape: JointShape) -> None:
        """Refuse a horizon or a visit that a trial of this shape does not have.

        Raises
        ------
        SpecificationError
        """
        problems = Problems("relation across trials", SpecificationError)
        visits = len(shape.months)
        if len(shape.arms) < 2:
            problems.add("the trial has one arm; effects need two")
        if not -visits <= self.visit < visits:
            problems.add(f"visit {self.visit} is not one of the {visits} visits; count from 0")
        elif not shape.months[self.visit] < self.horizon < math.inf:
            problems.add(f"the horizon must be after the visit, at {shape.months[self.visit]:g} months; "
                         f"got {self.horizon}")  # fmt: skip
        problems.raise_if_any()

    def log_weight(self, law: JointLaw) -> np.ndarray:
        """Log of the factor at every draw of a posterior that was made without it."""
        return self.transported.log_density(law.status_effect(self.visit), law.event_effect(self.horizon))

    def add(self, log: Any, status: Any, shape: JointShape) -> None:
        """Add the factor to the model being built; arguments as in :func:`.model.state_hazards`."""
        import pymc as pm

        self.check(shape)
        if not self.transported.transport.is_informative:
            return
        on_status, on_event = self.add_effects(log, status, shape)
        pm.Potential("relation_across_trials", self.log_factor(on_status, on_event))

    def effects(self, log: Any, status: Any, shape: JointShape) -> tuple[Any, Any]:
        """The two effects that it relates; arguments as in :meth:`add`."""
        return effects(log, status, shape, self.visit % len(shape.months), self.horizon)

    def add_effects(self, log: Any, status: Any, shape: JointShape) -> tuple[Any, Any]:
        """Add the two effects to the model being built; arguments as in :meth:`add`."""
        import pymc as pm

        on_status, on_event = self.effects(log, status, shape)
        pm.Deterministic("status_effect", on_status)
        pm.Deterministic("event_effect", on_event)
        return on_status, on_event

    def log_factor(self, on_status: Any, on_event: Any) -> Any:
        """Log of the factor from the two effects, in PyTensor, up to a constant."""
        import pytensor.tensor as pt

        intercept, slope, sd = self.transported.intercept, self.transported.slope, self.transported.sd
        return pt.logsumexp(-0.5 * ((on_event - intercept - slope * on_status) / sd) ** 2 - np.log(sd))


def effects(log: Any, status: Any, shape: JointShape, visit: int, horizon: float) -> tuple[Any, Any]:
    """Effects on MRD at a visit and on the event at a horizon, from hazards and transitions, in PyTensor."""
    import pytensor.tensor as pt

    arms, causes, size, _ = shape.dims
    starts, each = shape.cells.starts, np.arange(arms)
    ends = np.minimum(np.append(starts[1:], np.inf), horizon)
    mass: list[Any] = [np.ones(arms), np.zeros(arms)]  # event-free in each state
    negative: Any = None
    for cell, period in enumerate(shape.period):
        if starts[cell] >= horizon:
            break
        if period and shape.period[cell - 1] < period:
            at = ((each * len(shape.months) + period - 1) * STATES) * STATES
            mass = [sum(mass[before] * pt.exp(status[at + before * STATES + state]) for before in range(STATES))
                    for state in range(STATES)]  # fmt: skip
            negative = mass[1] if period - 1 == visit else negative
        hazards = [sum(pt.exp(log[((each * causes + cause) * size + cell) * STATES + state]) for cause in range(causes))
                   for state in range(STATES)]  # fmt: skip
        mass = [mass[state] * pt.exp(-hazards[state] * (ends[cell] - starts[cell])) for state in range(STATES)]
    odds = pt.log(negative) - pt.log1p(-negative)
    cumulative = pt.log(-pt.log(mass[0] + mass[1]))
    return odds[1] - odds[0], cumulative[1] - cumulative[0]
