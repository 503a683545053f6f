r"""The relation across trials as a prior of the effect on events, in the place of the model's own and not besides it.

With :math:`\phi` the parameters of the joint model, :math:`p_0` their prior and D the data of the trial,

.. math:: p(\phi \mid D) \propto p(D \mid \phi)\, p_0(\phi) \left[(1 - w) + w\,
          \frac{f(\theta_P \mid \theta_M)}{q(\theta_P \mid \theta_M)}\right], \qquad
          f = \mathrm{E}\, N(\theta_P;\ a + s + b k \theta_M,\ \psi^2 + g^2)

over what is known of the relation (:class:`~smm_bayes.surrogacy.across.transport.Transported`), and q the density that
:math:`p_0` gives :math:`\theta_P` given :math:`\theta_M`. :math:`\theta_M` is the log odds ratio of being event-free
and MRD-negative at a visit among all randomised, :math:`\theta_P = \log\{\log S_1(h) / \log S_0(h)\}` the marginal
effect at a horizon h; both are functions of :math:`\phi`, so the data on MRD enter once, in :math:`p(D \mid \phi)`. The
log hazard ratios of published trials stand for :math:`\theta_P` under proportional hazards.

So the effect has one prior, a mixture as robust priors of historical data are: the model's own with weight 1 - w, and
with weight w that in which :math:`\theta_P` given :math:`\theta_M` is what the relation says and the rest is as before.
The prior of :math:`\theta_M` is the same whatever w. Weight 0 is the analysis without the relation, to the last bit.
The data move w: Bayes's factor is the mean of f/q over the posterior without the relation, and
:meth:`RelationFactor.holds` gives the probability that the relation holds here. A gap g that grows makes f flat, and
the data then speak for the model's own prior; an infinite one is the analysis without the relation, whatever w.

:math:`\theta_M` is not quite what the pairs of published trials are of. These mostly count patients who were negative
at any time, a few at a landmark; progression afterwards does not count, and patients who were not assessed are
not negative. Here patients count who are negative at the visit and event-free until then, and the status of
those not assessed is inferred. Scale and extra SD of the transport have to cover the difference.

The weight 0.5 by default. Where one of the two priors is right, the other costs the log score of the data at most
:math:`-\log w` or :math:`-\log(1 - w)`, whatever the data are: the larger of the two is least, log 2, at one half. In
the normal case the relation with its transport is about as wide as a contrast's own prior, so that the effect of a
trial moves the weight little and w is a judgement, which is to be stated. Published trials do not contradict the
relation among themselves: each of five predicted by the other four
(:func:`~smm_bayes.surrogacy.across.leave_one_out.weight_scores`) has log scores that rise with w, by 3.0 in all from 0
to 0.5 and by 1.8 from there to 1. But they are trials of other diseases, mostly of drugs that worked, and say nothing
of whether the relation reaches this one; that is why w is not near 1.

References
----------
Schmidli H et al. Biometrics 2014;70:1023-1032, doi:10.1111/biom.12242.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.inference.monte_carlo import mean_error
from smm_bayes.surrogacy.joint.law import JointLaw
from smm_bayes.surrogacy.joint.shape import STATES, JointShape

if TYPE_CHECKING:
    from smm_bayes.surrogacy.across.conditional import EffectPrior
    from smm_bayes.surrogacy.across.transport import Transported

WEIGHT = 0.5  # prior probability that the relation holds in the trial, unless another is stated

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
    weight : float
        w, the prior probability that the relation holds in this trial.
    prior : EffectPrior or None
        What the joint model's prior says of the effect on events; needed where the relation says something.

    Raises
    ------
    SpecificationError
        For a weight outside [0, 1], and a relation without what it replaces.
    """

    transported: Transported
    horizon: float
    visit: int = -1
    weight: float = WEIGHT
    prior: EffectPrior | None = None

    def __post_init__(self) -> None:
        """Refuse a weight that is no probability, and a relation that would come on top of a prior."""
        with Problems("relation across trials", SpecificationError).collecting() as problems:
            if not 0 <= self.weight <= 1:
                problems.add(f"weight must be 0 to 1; got {self.weight}")
            elif self.is_informative and self.prior is None:
                problems.add("it replaces what the model's prior says of the effect on events; give that prior")

    @property
    def is_informative(self) -> bool:
        """Whether it changes anything: not with weight 0, and not where nothing is carried over."""
        return self.weight > 0 and self.transported.transport.is_informative

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
        """Log weight of every draw of a posterior that was made without the relation; all 0 where it says nothing."""
        return self.log_density(*self.effects_of(law))

    def effects_of(self, law: JointLaw) -> tuple[np.ndarray, np.ndarray]:
        """The two effects that it relates, of every draw."""
        return law.status_effect(self.visit), law.event_effect(self.horizon)

    def log_density(self, on_status: np.ndarray, on_event: np.ndarray) -> np.ndarray:
        """Log of the mixture's density over that of the model's own prior, by the two effects."""
        if not self.is_informative:
            return np.zeros(np.broadcast_shapes(np.shape(on_status), np.shape(on_event)))
        assert self.prior is not None
        return self.transported.log_weight(on_status, on_event, self.prior.density, self.weight)

    def carried_by(self, transported: Transported) -> RelationFactor:
        """Give the same with another relation or transport, in the place of the same prior."""
        return replace(self, transported=transported)

    def split(self, parts: int = 10) -> tuple[RelationFactor, ...]:
        """Split the relation's draws, for Monte Carlo errors; see :meth:`.Transported.split`."""
        return tuple(map(self.carried_by, self.transported.split(parts)))

    def holds(self, on_status: np.ndarray, on_event: np.ndarray) -> np.ndarray:
        """Probability that the relation holds, given the effects; w where it says nothing."""
        from scipy.special import expit, logit

        if not self.is_informative or self.weight == 1:
            return np.full(np.broadcast_shapes(np.shape(on_status), np.shape(on_event)), self.weight)
        assert self.prior is not None
        return expit(logit(self.weight) + self.transported.log_ratio(on_status, on_event, self.prior.density))

    def posterior_weight(self, law: JointLaw, *, inside: bool = False, data_sets: int = 1) -> tuple[float, float]:
        """Posterior probability that the relation holds, and its Monte Carlo error.

        Parameters
        ----------
        law : JointLaw
            Of the posterior, leading dims (chain, draw).
        inside : bool
            Whether the posterior was made with the relation in it; otherwise its draws are weighted here.
        data_sets : int
            That the chains come from.
        """
        effects = self.effects_of(law)
        holds = self.holds(*effects)
        log_weight = np.zeros(holds.shape) if inside else self.log_density(*effects)
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.mean()
        mean = float((weight * holds).mean())
        return mean, mean_error(weight * (holds - mean), data_sets)

    def add(self, log: Any, status: Any, shape: JointShape) -> None:
        """Add the relation to the model being built; arguments as in :func:`.model.state_hazards`."""
        import pymc as pm

        self.check(shape)
        if not self.is_informative:
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
        """Log of the mixture's density over that of the model's own prior, in PyTensor."""
        import pytensor.tensor as pt

        assert self.prior is not None
        line = self.transported
        away = (on_event - line.intercept - line.slope * on_status) / line.sd
        constant = -np.log(line.sd) - 0.5 * math.log(2 * math.pi) - math.log(len(line.sd))
        ratio = pt.logsumexp(constant - 0.5 * away**2)
        ratio = ratio - self.prior.density.log_density_in_model(on_status, on_event)
        if self.weight == 1:
            return ratio
        return pt.logaddexp(math.log1p(-self.weight), math.log(self.weight) + ratio)


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
