r"""The time to come, other than the posterior has it: hazards, losses and enrolment from the data cut on.

Nothing is fitted anew: the law of the posterior is changed where the completion of the trial draws from it, and what
was observed stays. Loss to follow-up competes with the events as a further cause, one that does not count, at a rate of
its own in each arm. Patients lost so far who are followed on with other hazards than the rest are a further component
of the law, of which each patient's membership is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.prediction.final import Enrolment, FinalAnalysis
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.law import Law
from smm_bayes.trial.calendar import on_clock
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    from smm_bayes.survival.schedule import FoundAtVisits

LOST = ("lost", "withdrawn")
LOSS = "lost to follow-up"  # the cause that does not count
POSITIVE = ("control_hazard", "hazard", "accrual")


@dataclass(frozen=True)
class Future:
    """What is other than the posterior has it, from the data cut on; by default nothing.

    Parameters
    ----------
    effect_gone_after : float, optional
        Months since enrolment from which on the experimental arm has the control arm's hazards; 0 is from now on.
    control_hazard, hazard : float
        Factor on the hazards of the counted causes, of the control arm and of all arms.
    dropout : mapping of str to float, optional
        Share of the patients of an arm, by role, lost in a month: a rate. It replaces other statements on losses.
    informative : mapping of str to float, optional
        Patients who were lost or withdrew so far are followed on, so that the final analysis is as it would be with
        them in it; their hazards of the counted causes are those of their arm times this factor by role, 1 by default.
    accrual : float
        Factor on the rate at which patients still to come are enrolled.

    Raises
    ------
    SpecificationError
        When a number is out of range.
    """

    effect_gone_after: float | None = None
    control_hazard: float = 1.0
    hazard: float = 1.0
    dropout: Mapping[str, float] | None = None
    informative: Mapping[str, float] = field(default_factory=dict)
    accrual: float = 1.0

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        with Problems("the time to come", SpecificationError).collecting() as problems:
            after = self.effect_gone_after
            if after is not None and not 0 <= after < math.inf:
                problems.add(f"effect_gone_after must be months from 0 on; got {after}")
            numbers = {name: getattr(self, name) for name in POSITIVE}
            numbers |= {f"informative.{role}": factor for role, factor in self.informative.items()}
            for name, value in numbers.items():
                if not 0 < value < math.inf:
                    problems.add(f"{name} must be above 0; got {value}")
            for role, rate in (self.dropout or {}).items():
                if not 0 <= rate < math.inf:
                    problems.add(f"dropout.{role} must be a rate a month from 0 on; got {rate}")

    @property
    def is_as_expected(self) -> bool:
        """Whether nothing is other than the posterior has it."""
        return self == Future()

    def __str__(self) -> str:
        said = {
            "effect_gone_after": lambda months: f"no effect of treatment {_from(months)}",
            "control_hazard": lambda factor: f"hazard of control × {factor:g}",
            "hazard": lambda factor: f"hazard of both arms × {factor:g}",
            "dropout": lambda rates: f"lost a month: {_by_role(rates, 100, ' %')}",
            "informative": lambda factors: f"patients lost so far followed on, hazard × {_by_role(factors)}",
            "accrual": lambda factor: f"enrolment × {factor:g}",
        }
        parts = [said[one.name](getattr(self, one.name)) for one in fields(self)
                 if getattr(self, one.name) != getattr(Future(), one.name)]  # fmt: skip
        return "; ".join(parts) or "as expected"


@dataclass(frozen=True, eq=False)
class Course:
    """How a trial goes on: what completing it draws from.

    Attributes
    ----------
    patients : Patients
    law : Law
    final : FinalAnalysis
    enrolment : Enrolment
    complete : tuple of str
    dropout : bool
    known : numpy.ndarray, shape (patient, component), or None
    visits : FoundAtVisits or None
    """

    patients: Patients
    law: Law
    final: FinalAnalysis
    enrolment: Enrolment
    complete: tuple[str, ...]
    dropout: bool
    known: np.ndarray | None = None
    visits: FoundAtVisits | None = None

    def under(self, future: Future | None) -> Course:
        """Give the course under another future; itself where that is as expected.

        Raises
        ------
        SpecificationError
            When an arm is not of the trial, or the law does not know how a patient's past and future hang together.
        """
        if future is None or future.is_as_expected:
            return self
        self._check(future)
        found = self
        if future.accrual != 1.0:
            found = replace(found, enrolment=replace(found.enrolment, pace=found.enrolment.pace * future.accrual))
        if future.effect_gone_after is not None:
            found = replace(found, law=_without_effect(found.law, future.effect_gone_after))
        found = replace(found, law=found._scaled(dict.fromkeys(found.law.arms, future.hazard)))
        found = replace(found, law=found._scaled({"control": future.control_hazard}))
        found = found._followed_on(future.informative)
        return found if future.dropout is None else found._with_losses(future.dropout)

    def _check(self, future: Future) -> None:
        arms = self.law.arms
        with Problems("the time to come", SpecificationError).collecting() as problems:
            for name, given in (("dropout", future.dropout or {}), ("informative", future.informative)):
                for role in sorted(set(given) - set(arms)):
                    problems.add(f"{name} names {role}; the arms are {', '.join(arms)}")
            two = future.effect_gone_after is not None or future.control_hazard != 1.0
            if two and len(arms) < 2:
                problems.add("effect_gone_after and control_hazard are of two arms; this trial has one")
            if self.visits is not None and any((future.dropout or {}).values()):
                problems.add(f"a loss before the visit that finds {self.visits.cause} hides it, which dropout by arm "
                             "does not know")  # fmt: skip
            hazards = two or future.hazard != 1.0 or bool(future.informative)
            if hazards and self.law.components > 1 and self._of_uncertain_component:
                problems.add("which component of the mixture a patient is of is known by what the patient survived, "
                             "under hazards that must not change")  # fmt: skip

    @property
    def _of_uncertain_component(self) -> bool:
        """Whether there is a patient whose component what was survived so far bears on."""
        return self.known is None or bool((np.isfinite(self.known).sum(axis=1) > 1).any())

    def _scaled(self, factors: Mapping[str, float], of: slice = slice(None)) -> Law:
        """Give the law with hazards of the counted causes times a factor by arm, in some of the components."""
        if all(factor == 1.0 for factor in factors.values()):
            return self.law
        log_hazard, counted = self.law.log_hazard.copy(), np.flatnonzero(self.final.counted(self.law.causes))
        for role, factor in factors.items():
            for cause in counted:
                log_hazard[..., self.law.arms.index(role), of, cause, :] += math.log(factor)
        return replace(self.law, log_hazard=log_hazard)

    def _followed_on(self, factors: Mapping[str, float]) -> Course:
        """Follow patients who were lost so far on, as a component of their own with hazards times a factor."""
        lost = ~self.patients.event & np.isin(self.patients.censoring, LOST)
        if not (factors and lost.any()):
            return self
        law, size = self.law, self.law.components
        twice = replace(law, log_hazard=np.concatenate([law.log_hazard] * 2, axis=-3),
                        log_share=np.concatenate([law.log_share, np.full_like(law.log_share, -np.inf)], axis=-1))
        known = np.zeros((len(lost), size)) if self.known is None else self.known
        both = np.hstack([np.where(lost[:, None], -np.inf, known), np.where(lost[:, None], known, -np.inf)])
        found = replace(self, law=twice, known=both, complete=tuple(dict.fromkeys((*self.complete, *LOST))))
        return replace(found, law=found._scaled(factors, slice(size, None)))

    def _with_losses(self, rates: Mapping[str, float]) -> Course:
        """Let losses compete as a cause that does not count."""
        found = replace(self, dropout=False)
        if not any(rates.values()):
            return found
        law, final = self.law, self.final
        with np.errstate(divide="ignore"):
            rate = np.log([rates.get(role, 0.0) for role in law.arms])
        loss = np.broadcast_to(rate[:, None, None, None], (*law.log_hazard.shape[:-2], 1, len(law.grid)))
        causes = (*law.causes, LOSS)
        counted = tuple(name for name, counts in zip(law.causes, final.counted(law.causes), strict=True) if counts)
        law = Law(np.concatenate([law.log_hazard, loss], axis=-2), law.log_share, law.grid, law.arms, causes)
        patients = replace(self.patients, causes=causes)
        return replace(found, law=law, patients=patients, final=replace(final, causes=counted))


def _without_effect(law: Law, after: float) -> Law:
    """Give the experimental arm the control arm's hazards from so many months since enrolment on."""
    after = on_clock(after)
    cuts = sorted({*law.grid.cuts, after} - {0.0})
    grid = TimeGrid(cuts)
    log_hazard = law.log_hazard[..., law.grid.index(grid.middles)].copy()
    control, experimental = law.arms.index("control"), law.arms.index("experimental")
    log_hazard[..., experimental, :, :, grid.starts >= after] = log_hazard[..., control, :, :, grid.starts >= after]
    return replace(law, log_hazard=log_hazard, grid=grid)


def _from(months: float) -> str:
    return f"after {months:g} months since enrolment" if months else "from now on"


def _by_role(values: Mapping[str, float], times: float = 1.0, unit: str = "") -> str:
    if len(set(values.values())) == 1 and len(values) > 1:
        return f"{next(iter(values.values())) * times:g}{unit}"
    return ", ".join(f"{value * times:g}{unit} ({role})" for role, value in values.items())
