"""The model of a trial with earlier ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.borrowing.trials.cohorts import Trials
from smm_bayes.borrowing.trials.over_time import OverTime, log_hazard_ratio
from smm_bayes.borrowing.trials.priors import TrialsPriors
from smm_bayes.errors import SpecificationError
from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.law import Law
from smm_bayes.survival.likelihood import patient_log_likelihood
from smm_bayes.survival.one_trial import DIMS
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr


@dataclass(frozen=True)
class EvidenceSource:
    """An earlier trial that entered a model, and where its patients are from.

    Attributes
    ----------
    name : str
    trust : str
        That of the least trusted fact its patients were made from; their provenance where they were made from no fact
        of the package.
    source : str
    facts : tuple of str
        Ids.
    provenance : str
        ``real``, ``reconstructed`` or ``simulated``.
    """

    name: str
    trust: str
    source: str
    facts: tuple[str, ...] = ()
    provenance: str = "reconstructed"


@dataclass(frozen=True, eq=False)
class WithEarlierTrials:
    """A trial with earlier ones.

    Attributes
    ----------
    trials : tuple of Trials
        One a reconstruction of the earlier patients; the current trial, and those whose own patients are known, are the
        same in all.
    priors : TrialsPriors
    sources : tuple of EvidenceSource
    patients : Patients or None
        Of the current trial, for what is asked of each: cross-validation and checks.

    Examples
    --------
    >>> import numpy as np, smm_bayes as smm
    >>> from smm_bayes.borrowing import Cohort, Trials, TrialsPriors
    >>> arms = [Cohort("earlier", "old", "single", (("event",),), np.array([[5.0, 4]]), np.array([200.0, 150])),
    ...         Cohort("now", "old", "single", (("event",),), np.array([[2.0, 1]]), np.array([90.0, 40]))]
    >>> trials = Trials(tuple(arms), smm.TimeGrid((12,)), ("event",), "now")
    >>> priors = TrialsPriors(smm.SurvivalPriors({"event": smm.BaselinePrior(24, 96)}), (), "old")
    >>> model = smm.WithEarlierTrials((trials,), priors, ())
    >>> model.prior(2, rng=np.random.default_rng(1))["log_hazard"].shape  # draw, arm, cause, interval
    (2, 1, 1, 2)
    >>> posterior = smm.fit(model, seed=1)  # doctest: +SKIP
    """

    trials: tuple[Trials, ...]
    priors: TrialsPriors
    sources: tuple[EvidenceSource, ...]
    patients: Patients | None = None

    def __post_init__(self) -> None:
        """Refuse patients whom the current trial does not count."""
        if self.patients is None:
            return
        trials, seen = self.trials[0], self.trials[0].grid.tabulate(self.patients)
        counted = [cohort.exposure for cohort in trials.cohorts if cohort.trial == trials.current]
        if np.shape(counted) != seen.exposure.shape or not np.allclose(counted, seen.exposure):
            raise SpecificationError("the patients are not those of the current trial; tabulate these patients")

    def __repr__(self) -> str:
        if len(self.trials) == 1:
            return repr(self.trials[0])
        return f"{self.trials[0]!r} ({len(self.trials)} reconstructions of the earlier ones, this is the first)"

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        from smm_bayes.borrowing.trials.hierarchical import hierarchical_model

        return hierarchical_model(self.trials[0], self.priors)

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data, one set a reconstruction."""
        from smm_bayes.borrowing.trials.hierarchical import trials_data

        return [trials_data(trials, self.priors) for trials in self.trials]

    def without(self, *names: str, reconstructions: int | None = None) -> WithEarlierTrials:
        """Give the same model with some trials silent, from so many reconstructions."""
        kept = self.trials[:reconstructions]
        patients = None if self.trials[0].current in names else self.patients
        return replace(self, trials=tuple(trials.without(*names) for trials in kept), patients=patients)

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        trials = self.trials[0]
        unused = f"hazard ratio of {trials.causes[0]}"  # a contrast takes its place
        said = {name: words for name, words in self.priors.statements().items() if name != unused}
        return said | OverTime.of(trials, self.priors).statements(self.priors, trials)

    def prior(self, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw parameters from the prior, ``log_hazard`` (draw, arm, cause, interval) of this trial among them."""
        from smm_bayes.borrowing.trials.hierarchical import cohort_log_hazard

        trials = self.trials[0]
        found = self.priors.sample(trials, draws, rng=rng)
        mine = [index for index, cohort in enumerate(trials.cohorts) if cohort.trial == trials.current]
        log_hazard = cohort_log_hazard(found, trials, self.priors)[:, mine]
        found["log_hazard"] = log_hazard
        ratio = log_hazard_ratio(log_hazard, found, trials, self.priors)
        if ratio is not None:
            found["log_hazard_ratio"] = ratio
        return found

    def simulated(
        self, table: EventTable, truth: dict[str, np.ndarray], *, rng: np.random.Generator
    ) -> WithEarlierTrials:
        """Give the model of simulated patients of this trial, and of simulated counts of the earlier ones.

        Those are Poisson given the patient-months of the first reconstruction, as the likelihood has them.
        """
        from smm_bayes.borrowing.trials.hierarchical import cohort_log_hazard, simulate_counts

        trials = self.trials[0]
        drawn = simulate_counts(cohort_log_hazard(truth, trials, self.priors)[0], trials, rng=rng)
        regimens = {arm: cohort.regimen for arm, cohort in
                    zip(table.arms, [c for c in trials.cohorts if c.trial == trials.current], strict=True)}  # fmt: skip
        return replace(self, trials=(drawn.with_current(table, regimens),), patients=None)

    def log_likelihood(self, parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Log likelihood of parameters with draws first, in NumPy, under the first reconstruction."""
        from smm_bayes.borrowing.trials.hierarchical import log_likelihood

        return log_likelihood(parameters, self.trials[0], self.priors).sum(axis=-1)

    def law(self, posterior: xr.Dataset) -> Law:
        """Give the law of this trial's patients for every posterior draw, leading dims (chain, draw)."""
        return Law.of_draws(posterior["log_hazard"], self.trials[0].grid)

    def law_of(self, parameters: dict[str, np.ndarray]) -> Law:
        """Give the law of this trial's patients for parameters with draws first."""
        trials = self.trials[0]
        arms = ("control", "experimental") if parameters["log_hazard"].shape[1] == 2 else ("experimental",)
        return Law.plain(parameters["log_hazard"], trials.grid, arms, trials.causes)

    def patient_log_likelihood(self, posterior: xr.Dataset) -> np.ndarray:
        """Log likelihood by patient of the current trial, (chain, draw, patient).

        Raises
        ------
        SpecificationError
            When the patients are not known.
        """
        if self.patients is None:
            raise SpecificationError("the model has tables of its patients only; give it those of the current trial")
        log_hazard = posterior["log_hazard"].transpose(*DIMS).values
        return patient_log_likelihood(log_hazard, self.patients, self.trials[0].grid)
