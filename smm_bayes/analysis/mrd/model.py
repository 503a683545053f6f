"""The joint model of an analysis: MRD beside events, with earlier trials and a relation across trials."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.models import ByArm
from smm_bayes.analysis.mrd.sections import SurrogacySection
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.errors import Problems, SmmBayesError, SpecificationError
from smm_bayes.evidence.facts import load_facts
from smm_bayes.surrogacy.across import AcrossTrials, PublishedRegression, Relation, TrialPairs
from smm_bayes.surrogacy.across.conditional import EffectPrior
from smm_bayes.surrogacy.across.transport import Transported
from smm_bayes.surrogacy.joint.factor import RelationFactor
from smm_bayes.surrogacy.joint.hazards import CONDITIONAL, MARGINAL, HazardsOf
from smm_bayes.surrogacy.joint.law import JointLaw
from smm_bayes.surrogacy.joint.priors import JointPriors
from smm_bayes.surrogacy.joint.table import JointTable
from smm_bayes.surrogacy.visits.status import MISSING, MrdStatus
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.survival.one_trial import OneTrial
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

RELATION_SEED, RELATION_DRAWS = 20261121, 1000  # the relation is part of the specification, the same in every run


@dataclass(frozen=True, eq=False)
class WithMrd:
    """A trial whose patients' MRD is known at visits, by itself or with earlier trials.

    Attributes
    ----------
    base : OneTrial or WithEarlierTrials
        The model without MRD.
    status : MrdStatus
    table : JointTable
    priors : JointPriors
    factor : RelationFactor or None
        The relation across trials.
    """

    base: ByArm
    status: MrdStatus
    table: JointTable
    priors: JointPriors
    factor: RelationFactor | None = None

    @property
    def hazards_of(self) -> HazardsOf:
        """Whose hazards the model's are: earlier trials know those of everyone."""
        return MARGINAL if isinstance(self.base, WithEarlierTrials) else CONDITIONAL

    def build(self, *, with_relation: bool = False) -> pm.Model:
        """Make the PyMC model; the relation across trials is in it only if asked for."""
        factor = self.factor if with_relation else None
        if isinstance(self.base, WithEarlierTrials):
            from smm_bayes.surrogacy.joint.history import joint_history_model

            return joint_history_model(self.base.trials[0], self.base.priors, self.table, self.priors, factor=factor)
        from smm_bayes.surrogacy.joint.model import joint_model

        return joint_model(self.table, self.base.priors, self.priors, rough=self.base.table, factor=factor)

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data, one set a reconstruction of the earlier trials."""
        if isinstance(self.base, WithEarlierTrials):
            from smm_bayes.surrogacy.joint.history import joint_history_data

            return [joint_history_data(trials, self.base.priors, self.table, self.priors)
                    for trials in self.base.trials]  # fmt: skip
        from smm_bayes.surrogacy.joint.model import joint_data

        return [joint_data(self.table, self.base.priors, self.priors, rough=self.base.table)]

    def without(self, *names: str, reconstructions: int | None = None) -> WithMrd:
        """Give the same model with some earlier trials silent, from so many reconstructions."""
        assert isinstance(self.base, WithEarlierTrials)
        return replace(self, base=self.base.without(*names, reconstructions=reconstructions))

    def law(self, posterior: xr.Dataset) -> JointLaw:
        """Paths and hazards of every posterior draw, leading dims (chain, draw)."""
        return JointLaw.of_posterior(posterior, self.table.shape, self.priors, self.hazards_of)

    def prior_effects(
        self, visit: int, horizon: float, draws: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Draw the effects on MRD at a visit and on events at a horizon from the prior, without the relation."""
        shape, drawn = self.table.shape, self.base.prior(draws, rng=rng)
        drawn |= self.priors.sample(shape.causes, len(shape.months), len(shape.arms), draws, rng=rng)
        law = JointLaw.of(drawn, shape, self.priors, self.hazards_of)
        return law.status_effect(visit), law.event_effect(horizon)

    def known(self, posterior: xr.Dataset | None = None) -> np.ndarray:
        """Log probability of each patient's results given the path, shape (patient, path).

        A result from the window of a visit counts also for a patient followed up to a time before that visit: it is the
        status that the patient will have then. Where results are missing more often in one status, a missing one tells
        of the status too; its log odds are at their posterior mean, because what is known of patients has no draws.

        Parameters
        ----------
        posterior : xarray.Dataset, optional
            Needed where the priors have ``missing_log_odds``.

        Raises
        ------
        SpecificationError
            When it is needed and not given.
        """
        states, code = self._states, self.status.code[:, None, :]
        allowed = ((code < 0) | (code == states)).all(axis=-1)
        return np.where(allowed, self._log_missing(posterior), -np.inf)

    @property
    def _states(self) -> np.ndarray:
        """Status of every path, shape (path, visit)."""
        visits = self.status.code.shape[1]
        return (np.arange(2**visits)[:, None] >> np.arange(visits)) & 1

    def _log_missing(self, posterior: xr.Dataset | None) -> np.ndarray:
        """Log probability of each patient's missing results given the path, shape (patient, path)."""
        missing = self.status.at_risk & (self.status.code == MISSING)
        if not self.priors.missing_log_odds:
            return np.zeros((len(missing), len(self._states)))
        if posterior is None:
            raise SpecificationError("known: results are missing more often in one status; give the posterior, which "
                                     "has their log odds")  # fmt: skip
        odds = posterior["log_odds_missing"].mean(("chain", "draw")).values
        odds = odds + self.priors.missing_log_odds * self._states
        return -missing.astype(float) @ np.logaddexp(0.0, -odds).T

    def statements(self) -> dict[str, str]:
        """Every prior that MRD adds, in words."""
        words = self.priors.statements()
        if self.factor is not None:
            words["relation across trials"] = (
                f"holds here with probability {self.factor.weight:g}, and then takes the place of what the priors "
                "above say of the effect on events given that on MRD"
            )
            words |= {f"relation across trials: {name}": said
                      for name, said in self.factor.transported.transport.statements().items()}  # fmt: skip
        return words


def joint_model_of(spec: AnalysisSpec, patients: Patients, base: ByArm) -> WithMrd | None:
    """Put together what the specification's section ``mrd`` names; None without one.

    Raises
    ------
    SpecificationError, DataError
        Naming every problem of patients' MRD, of facts and of what does not go together.
    """
    section = spec.mrd
    if section is None:
        return None
    _check(spec, base)
    status = section.schedule.assign(patients, sensitivity=section.sensitivity, assay=section.assay)
    table = JointTable.of(patients, status, spec.grid)
    found = WithMrd(base, status, table, section.priors)
    if section.surrogacy is None:
        return found
    surrogacy = section.surrogacy
    visit = section.visits.index(surrogacy.visit) if surrogacy.visit is not None else len(section.visits) - 1
    prior = EffectPrior(partial(found.prior_effects, visit, surrogacy.horizon))
    factor = RelationFactor(_transported(spec, surrogacy), surrogacy.horizon, visit, surrogacy.weight, prior)
    factor.check(table.shape)
    return replace(found, factor=factor)


def _check(spec: AnalysisSpec, base: ByArm) -> None:
    with Problems(str(spec.path), SpecificationError).collecting() as problems:
        if isinstance(base, OneTrial) and not isinstance(base.priors, SurvivalPriors):
            problems.add("mrd needs model.baseline = 'smooth'")


def _refuse_twice(spec: AnalysisSpec, trials: tuple[str, ...]) -> None:
    """Refuse a trial that is a source of the relation and of the hazards too: its patients would count twice."""
    used = {spec.trial.name, *(trial.name for trial in spec.evidence.trial)} if spec.evidence else {spec.trial.name}
    if twice := sorted(used & set(trials)):
        raise SpecificationError(f"{', '.join(twice)}: a trial of the relation whose patients enter this analysis too; "
                                 "leave it out of the pairs, or its data would count twice")  # fmt: skip


def _transported(spec: AnalysisSpec, section: SurrogacySection) -> Transported:
    quarantined = dict(spec.evidence.quarantined) if spec.evidence else {}
    facts, rng = load_facts(quarantined=quarantined), np.random.default_rng(RELATION_SEED)
    try:
        if section.pairs is not None:
            pairs = TrialPairs.from_facts(facts, section.pairs.facts, trust=section.pairs.trust)
            _refuse_twice(spec, pairs.trials)
            posterior = AcrossTrials(pairs, correlation=section.pairs.correlation, form=section.pairs.form)
            relation = Relation.from_pairs(posterior, RELATION_DRAWS, rng=rng)
        else:
            assert section.published is not None
            named = section.published.model_dump()
            relation = Relation.from_published(PublishedRegression.from_facts(facts, **named), RELATION_DRAWS, rng=rng)
        return Transported.of(relation, section.transport.transport, rng=rng)
    except SmmBayesError as error:
        raise SpecificationError(f"{spec.path}: mrd.surrogacy: {error}") from None
