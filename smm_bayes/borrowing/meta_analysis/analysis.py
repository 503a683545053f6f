"""A meta-analysis as a value: trials, their covariates and strata, and the priors. It is checked, and fits nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smm_bayes.borrowing.meta_analysis.summaries import Summaries
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.normal import Normal, SDPrior
from smm_bayes.priors.spread import Fixed


@dataclass(frozen=True, eq=False)
class MetaAnalysis:
    r"""A random-effects meta-analysis.

    .. math:: \theta_j \sim N(\mu + x_j^\top\beta,\; \tau_{s(j)}^2), \quad \mu, \beta_c \text{ normal}

    with the data of trial j a function of :math:`\theta_j`, its log odds, log rate or mean.

    Attributes
    ----------
    summaries : Summaries
    mean_prior : Normal
        Of :math:`\mu`.
    sd_priors : mapping of str to SDPrior
        Of :math:`\tau_s`, by stratum; one stratum without a name where there are none.
    strata : tuple of str
        Of each trial.
    new_stratum : str
        Which the new trial belongs to.
    covariates : mapping of str to numpy.ndarray, each of shape (trial,)
    covariate_priors : mapping of str to Normal
    new_covariates : mapping of str to float
        Of the new trial.
    """

    summaries: Summaries
    mean_prior: Normal
    sd_priors: Mapping[str, SDPrior]
    strata: tuple[str, ...]
    new_stratum: str
    covariates: Mapping[str, np.ndarray]
    covariate_priors: Mapping[str, Normal]
    new_covariates: Mapping[str, float]

    @classmethod
    def read(
        cls, summaries: Summaries, *, mean_prior: Any, sd_prior: Any, strata: Any = None, new_stratum: Any = None,
        covariates: Any = None, covariate_prior: Any = None, new_covariates: Any = None,
    ) -> MetaAnalysis:  # fmt: skip
        """Check everything that goes with the summaries.

        Raises
        ------
        SpecificationError
            With every problem.
        """
        problems = Problems("meta-analysis", SpecificationError)
        if not isinstance(mean_prior, Normal):
            problems.add(f"mean_prior must be a Normal; got {mean_prior!r}")
        labels, new, priors = _read_strata(len(summaries), strata, new_stratum, sd_prior, problems)
        columns, slopes, at = _read_covariates(len(summaries), covariates, covariate_prior, new_covariates, problems)
        problems.raise_if_any()
        return cls(summaries, mean_prior, priors, labels, new, columns, slopes, at)

    @property
    def stratum_names(self) -> tuple[str, ...]:
        """Strata, in order."""
        return tuple(self.sd_priors)

    @property
    def stratum_index(self) -> np.ndarray:
        """Position of every trial's stratum."""
        return np.array([self.stratum_names.index(label) for label in self.strata])

    @property
    def sd_prior(self) -> SDPrior:
        """Prior of the new trial's stratum."""
        return self.sd_priors[self.new_stratum]

    @property
    def matrix(self) -> np.ndarray:
        """Covariates, shape (trial, covariate)."""
        return np.reshape([*self.covariates.values()], (len(self.covariates), len(self.summaries))).T

    @property
    def new_row(self) -> np.ndarray:
        """Covariates of the new trial."""
        return np.array([self.new_covariates[name] for name in self.covariates], float)

    def with_trial(self, new: Summaries) -> MetaAnalysis:
        """Add the new trial's own data, in its stratum and with its covariates."""
        columns = {name: np.append(values, self.new_covariates[name]) for name, values in self.covariates.items()}
        return replace(self, summaries=self.summaries.joined(new), strata=(*self.strata, self.new_stratum),
                       covariates=columns)  # fmt: skip

    def with_summaries(self, summaries: Summaries) -> MetaAnalysis:
        """Give the same analysis of other data."""
        return replace(self, summaries=summaries)

    def sample_prior(self, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw parameters in NumPy, draws first, by the names of the PyMC model."""
        normal = [self.mean_prior, *self.covariate_priors.values()]
        drawn = rng.normal([p.mean for p in normal], [p.sd for p in normal], (draws, len(normal)))
        sds = [prior.sample(draws, rng=rng) for prior in self.sd_priors.values()]
        return {
            "mean": drawn[:, 0], "coefficient": drawn[:, 1:], "between_trial_sd": np.stack(sds, axis=1),
            "deviation": rng.normal(size=(draws, len(self.summaries))),
        }  # fmt: skip

    def trial_parameters(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Parameters of the trials on the line, shape (draw, trial), from draws of the model's parameters."""
        sd = parameters["between_trial_sd"][:, self.stratum_index]
        means = parameters["mean"][:, None] + parameters["coefficient"] @ self.matrix.T
        return means + sd * parameters["deviation"]

    def log_prior(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Log prior density of draws (draw,), without Jacobians."""
        found = self.mean_prior.log_pdf(parameters["mean"])
        for column, prior in enumerate(self.covariate_priors.values()):
            found = found + prior.log_pdf(parameters["coefficient"][:, column])
        for column, sd_prior in enumerate(self.sd_priors.values()):
            if not isinstance(sd_prior, Fixed):
                found = found + sd_prior.log_pdf(parameters["between_trial_sd"][:, column])
        return found + Normal(0, 1).log_pdf(parameters["deviation"]).sum(axis=1)

    def log_likelihood(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Log likelihood of every trial (draw, trial)."""
        return self.summaries.log_likelihood(self.trial_parameters(parameters))

    def simulate(self, truth: Mapping[str, np.ndarray], *, rng: np.random.Generator) -> MetaAnalysis:
        """Simulate data from one draw of the parameters (first axis of length 1)."""
        return self.with_summaries(self.summaries.simulate(self.trial_parameters(truth)[0], rng=rng))

    def notes(self) -> tuple[str, ...]:
        """What a reader should know of these data and priors."""
        found = []
        alone = [name for name in self.stratum_names if self.strata.count(name) < 2]
        for name in alone:
            if not isinstance(self.sd_priors[name], Fixed):
                of = f" of stratum '{name}'" if name else ""
                count = ("one trial", "no trial")[self.strata.count(name) == 0]
                found.append(f"{count}{of} cannot tell how much trials differ: there the prior of the SD decides")
        estimate, information = self.summaries.rough()
        middle = float(estimate @ information / information.sum())
        if abs(middle - self.mean_prior.mean) > 3 * self.mean_prior.sd and not self.covariates:
            found.append(
                f"the trials together are near {middle:.3g} on the {self.summaries.LINE} scale, more than 3 SDs from "
                f"the mean of its prior, {self.mean_prior._name()}: give a mean_prior that fits"
            )
        return tuple(found)


def _read_strata(
    size: int, strata: Any, new: Any, sd_prior: Any, problems: Problems
) -> tuple[tuple[str, ...], str, dict[str, SDPrior]]:
    labels = ("",) * size if strata is None else tuple(map(str, strata))
    names = tuple(dict.fromkeys(labels))
    if len(labels) != size:
        problems.add(f"strata has {len(labels)} labels for {size} trials; give one a trial")
    if strata is None and new is not None:
        problems.add(f"new_stratum is {new!r} but there are no strata; give strata, a label a trial")
    if isinstance(sd_prior, Mapping):
        names = tuple(dict.fromkeys((*names, *map(str, sd_prior))))
        missing = [name for name in names if name not in sd_prior]
        if missing:
            problems.add(f"sd_prior names no prior for stratum {', '.join(missing)}")
    priors = {name: sd_prior[name] if isinstance(sd_prior, Mapping) else sd_prior for name in names
              if not isinstance(sd_prior, Mapping) or name in sd_prior}  # fmt: skip
    for prior in priors.values():
        if not isinstance(prior, SDPrior):
            problems.add("sd_prior must be HalfNormal, HalfCauchy, HalfStudentT, LogNormal, Uniform or Fixed; got "
                         f"{prior!r}")  # fmt: skip
    said = names[0] if new is None and len(names) == 1 else new
    if said is None:
        problems.add(f"with strata {', '.join(names)}, say in new_stratum which the new trial belongs to")
    elif strata is not None and str(said) not in names:
        problems.add(f"new_stratum is {said!r}; the strata are {', '.join(names)}")
    return labels, str(said), priors


def _read_covariates(
    size: int, covariates: Any, prior: Any, new: Any, problems: Problems
) -> tuple[dict[str, np.ndarray], dict[str, Normal], dict[str, float]]:
    columns: dict[str, np.ndarray] = {}
    if covariates is not None and not isinstance(covariates, Mapping):
        problems.add(f"covariates must map names to one value a trial; got {type(covariates).__name__}")
        return {}, {}, {}
    for name, values in (covariates or {}).items():
        found = np.asarray(values, float)
        if found.shape != (size,) or not np.all(np.isfinite(found)):
            problems.add(f"covariate '{name}' must have one finite number a trial ({size}); got {values!r}")
        columns[str(name)] = found
    by_name = prior if isinstance(prior, Mapping) else dict.fromkeys(columns, Normal(0, 2) if prior is None else prior)
    at = {name: 0.0 for name in columns} | {str(name): value for name, value in (new or {}).items()}
    for what, given in (("covariate_prior", by_name), ("new_covariates", at)):
        strange = [str(name) for name in given if str(name) not in columns]
        if strange:
            problems.add(f"{what} names {', '.join(strange)}; the covariates are {', '.join(columns) or 'none'}")
    for name in columns:
        if not isinstance(by_name.get(name), Normal):
            problems.add(f"covariate_prior of '{name}' must be a Normal; got {by_name.get(name)!r}")
        if not isinstance(at[name], int | float | np.number) or not np.isfinite(at[name]):
            problems.add(f"new_covariates['{name}'] must be a finite number; got {at[name]!r}")
    return columns, {name: by_name[name] for name in columns if name in by_name}, at


