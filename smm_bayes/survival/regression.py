"""Hazards that depend on strata, covariates and subgroups: the PyMC model and its NumPy twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.inference.cells import observes_cells
from smm_bayes.inference.made_for import carry, made_for
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.law import Law, draws_first
from smm_bayes.survival.model import effect_data, log_hazard_ratios
from smm_bayes.survival.patterns import PatternTable
from smm_bayes.survival.regression_priors import RegressionPriors, factor_of
from smm_bayes.survival.walk import Curve, smooth_curves, whitening

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

    from smm_bayes.trial.patients import Patients

DIMS = {
    "events_data": ("pattern", "cause", "interval"), "exposure_data": ("pattern", "interval"),
    "group_data": ("group", "pattern"), "covariate_data": ("pattern", "covariate"), "level_data": ("pattern", "level"),
    "arm_data": ("pattern",),
}  # fmt: skip


def regression_model(table: PatternTable, priors: RegressionPriors) -> pm.Model:
    r"""Build a piecewise-exponential regression by pattern and by cause of event.

    For patients of pattern p, with stratum s, covariates x, subgroup :math:`g_f` of factor f and :math:`z_p = 1` in
    the experimental arm, cause c and interval j,

    .. math:: \log\lambda_{pcj} = h_{scj} + x_p'\beta_c + \sum_f a_{c f g_f}
              + z_p \Big(\theta_{cj} + \sum_f b_{c f g_f}\Big), \quad
              a_{cfg} \sim N(0, \tau_{cf}^2),\ b_{cfg} \sim N(0, \omega_{cf}^2)

    with a smooth baseline h of its own in every stratum, the effect :math:`\theta` of treatment as in
    :func:`~smm_bayes.survival.model.piecewise_exponential_model`, prognostic differences a that both arms share and
    predictive ones b, by which the effect of treatment differs. a and b sum to 0 over the subgroups of a factor, so
    that :math:`\theta` is the mean over subgroups (their densities are those of independent normals given that sum),
    and both shrink to nothing as far as the data let them: :math:`\tau` and :math:`\omega` are half-normal.

    Parameters
    ----------
    table : PatternTable
        Its shape fixes the model; the patterns, their events and exposure are data that a refit may replace.
    priors : RegressionPriors

    Returns
    -------
    pymc.Model
        Free variables ``log_baseline`` (curve, interval) and ``smoothness`` (curve), a curve being a stratum and a
        cause; those of the effect of treatment; ``covariate_effect`` (cause, covariate), ``prognostic`` and
        ``predictive`` (cause, contrast; standardised) with ``prognostic_spread`` and ``predictive_spread`` (cause,
        factor). Deterministic ``prognostic_effect`` and ``predictive_effect`` (cause, level) and, with two arms,
        ``log_hazard_ratio_curve`` (cause, interval). Data ``events_data`` (pattern, cause, interval),
        ``exposure_data`` (pattern, interval) and what says which pattern each is.

    Raises
    ------
    SpecificationError
        When a covariate or a cause has no prior, or the effect is none that subgroups can modify.

    References
    ----------
    Dixon DO, Simon R. Biometrics 1991;47:871-81 (subgroup effects that shrink).
    """
    import pymc as pm
    import pytensor.tensor as pt

    priors.check(table)
    causes, arms = len(table.causes), len(table.arms)
    with pm.Model(coords=_coords(table)) as model:
        carry("regression", **_built_for(table, priors))
        observes_cells()
        data = {name: pm.Data(name, values, dims=DIMS[name]) for name, values in _pattern_data(table, priors).items()}
        baseline = smooth_curves("log_baseline", _curves(table, priors), priors.survival.smoothness, table.grid,
                                 dim="curve", step="smoothness")  # fmt: skip
        curves = baseline.reshape((len(table.strata), 1, causes, len(table.grid)))
        rows = pt.zeros((len(table), causes))
        if table.covariate_names:
            ratios = [priors.covariates[name].ratio for name in table.covariate_names]
            slopes = pm.Normal("covariate_effect", [r.mean for r in ratios], [r.sd for r in ratios],
                               dims=("cause", "covariate"))  # fmt: skip
            rows = rows + (slopes[None] * data["covariate_data"][:, None, :]).sum(axis=-1)
        for name, prior in priors.spreads(table).items():
            effect = _subgroups(name, prior.scale, table)
            added = (effect[None] * data["level_data"][:, None, :]).sum(axis=-1)  # (pattern, cause)
            rows = rows + (added if name == "prognostic" else added * data["arm_data"][:, None])
        if arms > 1:
            ratio = log_hazard_ratios(table.by_arm(), priors.survival)
            if "log_hazard_ratio_curve" not in model.named_vars:
                ratio = pm.Deterministic("log_hazard_ratio_curve", ratio, dims=("cause", "interval"))
            curves = curves + ratio[None, None] * np.arange(2.0)[None, :, None, None]
        groups = curves.reshape((-1, causes, len(table.grid)))  # by stratum and arm: the only exponentials by interval
        pm.CustomDist(
            "events", groups, rows, data["exposure_data"], data["group_data"], observed=data["events_data"],
            logp=_log_likelihood, random=_draw_events, signature="(g,c,j),(p,c),(p,j),(g,p)->(p,c,j)",
            dims=DIMS["events_data"],
        )  # fmt: skip
    return model


def regression_data(table: PatternTable, priors: RegressionPriors) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to the compiled model of a table with as many patterns, strata and levels."""
    effect = effect_data(table.by_arm(), priors.survival) if len(table.arms) > 1 else {}
    said = made_for("regression", **_built_for(table, priors))
    return {**_pattern_data(table, priors), **whitening(_curves(table, priors), table.grid), **effect, **said}


def _built_for(table: PatternTable, priors: RegressionPriors) -> dict[str, Any]:
    return {"priors": priors, "intervals": table.grid.cuts, "arms": table.arms, "causes": table.causes,
            "strata": table.strata, "covariates": table.covariate_names, "subgroups": table.level_names}  # fmt: skip


def pattern_log_hazard(
    parameters: Mapping[str, np.ndarray], table: PatternTable, priors: RegressionPriors, *, arm: int | None = None
) -> np.ndarray:
    """Log hazards of every pattern from parameters with draws first, in NumPy: (draw, pattern, cause, interval).

    Twin of the model's linear predictor, written pattern by pattern.

    Parameters
    ----------
    parameters : mapping of str to numpy.ndarray
        By the names of the model, draws first.
    table : PatternTable
    priors : RegressionPriors
    arm : int, optional
        Give every pattern this arm, whatever its own: what standardisation asks for.
    """
    scaled, found = priors.scaled(table), []
    for p in range(len(table)):
        curves = table.stratum[p] * len(table.causes) + np.arange(len(table.causes))
        rows = parameters["log_baseline"][:, curves].copy()
        if table.covariate_names:
            rows += (parameters["covariate_effect"] @ scaled[p])[..., None]
        treated = table.arm[p] if arm is None else arm
        for k in table.level_index[p]:
            rows += parameters["prognostic_effect"][:, :, k, None]
            if treated:
                rows += parameters["predictive_effect"][:, :, k, None]
        if treated:
            rows += parameters["log_hazard_ratio_curve"]
        found.append(rows)
    return np.stack(found, axis=1)


def pattern_log_likelihood(
    parameters: Mapping[str, np.ndarray], table: PatternTable, priors: RegressionPriors
) -> np.ndarray:
    """Log likelihood Σ d·log λ − λ·E of parameters with draws first, shape (draw,)."""
    log_hazard = pattern_log_hazard(parameters, table, priors)
    return np.sum(table.events * log_hazard - table.exposure[:, None] * np.exp(log_hazard), axis=(1, 2, 3))


def regression_law(
    parameters: Mapping[str, np.ndarray], table: PatternTable, priors: RegressionPriors,
    within: Mapping[str, str] | None = None,
) -> Law:  # fmt: skip
    r"""Give the law of the trial's patients under either arm: one component for each profile of a patient.

    A profile is stratum, covariates and subgroups. With :math:`S_{pa}` the survival of profile p in arm a and
    :math:`n_p` patients of both arms, :math:`S_a(t) = \sum_p n_p S_{pa}(t) / \sum_p n_p` (standardisation,
    g-computation). The difference between arms is the effect in these patients; a hazard ratio of the regression is
    that of patients alike in everything else, which is another number and further from 1.

    Parameters
    ----------
    parameters : mapping of str to numpy.ndarray
        By the names of the model, draws first.
    table : PatternTable
        The patients averaged over: those fitted, or others with the same strata, covariates and factors.
    priors : RegressionPriors
        For the centres and units of covariates.
    within : mapping of str to str, optional
        Factor to level: average over these patients alone.

    Raises
    ------
    SpecificationError
        When no patient is within, or a subgroup is unknown.

    References
    ----------
    Daniel R, Zhang J, Farewell D. Biometrical Journal 2021;63:528-57.
    """
    profiles = table.profiles(within)
    each = table.only(profiles.first)
    by_arm = [pattern_log_hazard(parameters, each, priors, arm=arm) for arm in range(len(table.arms))]
    log_hazard = np.stack(by_arm, axis=1)  # (draw, arm, profile, cause, interval)
    share = np.log(profiles.patients / profiles.patients.sum())
    return Law(log_hazard, np.broadcast_to(share, log_hazard.shape[:3]), table.grid, table.arms, table.causes)


@dataclass(frozen=True, eq=False)
class Regression:
    """A trial whose hazards depend on strata, covariates and subgroups.

    Attributes
    ----------
    table : PatternTable
    priors : RegressionPriors
    patients : Patients or None
        Whom the table counts, for what is asked of each: cross-validation and checks.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> from smm_bayes.survival import CovariatePrior, RegressionPriors
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"], "age": [60, 70, 60, 75],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"}, covariates=["age"])
    >>> priors = RegressionPriors(smm.SurvivalPriors({"event": smm.BaselinePrior(24, 96)}),
    ...                           {"age": CovariatePrior(upper=2.5, per=10, centre=65)})
    >>> len(smm.Regression.of(patients, smm.TimeGrid((12,)), priors, covariates=["age"]).table)
    4
    """

    table: PatternTable
    priors: RegressionPriors
    patients: Patients | None = None

    @classmethod
    def of(
        cls, patients: Patients, grid: TimeGrid, priors: RegressionPriors, *, strata: bool = False,
        covariates: Sequence[str] = (), subgroups: Sequence[str] = (),
    ) -> Regression:  # fmt: skip
        """Give the model of patients; arguments and errors as :meth:`PatternTable.of`."""
        table = PatternTable.of(patients, grid, strata=strata, covariates=covariates, subgroups=subgroups)
        priors.check(table)
        return cls(table, priors, patients)

    def build(self) -> pm.Model:
        """Make the PyMC model."""
        return regression_model(self.table, self.priors)

    def data(self) -> list[dict[str, np.ndarray]]:
        """Give the model's data: one set."""
        return [regression_data(self.table, self.priors)]

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        return self.priors.statements(self.table)

    def prior(self, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw parameters from the prior."""
        return self.priors.sample(self.table, draws, rng=rng)

    def log_likelihood(self, parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Log likelihood of parameters with draws first."""
        return pattern_log_likelihood(parameters, self.table, self.priors)

    def simulated(self, table: PatternTable, truth: dict[str, np.ndarray], *, rng: np.random.Generator) -> Regression:
        """Give the model of simulated patients of this trial."""
        return replace(self, table=table, patients=None)

    def patient_log_likelihood(self, posterior: xr.Dataset) -> np.ndarray:
        """Log likelihood by patient, (chain, draw, patient)."""
        from smm_bayes.survival.by_patient import by_patient

        return by_patient(self, posterior)

    def law(self, posterior: xr.Dataset, within: Mapping[str, str] | None = None) -> Law:
        """Give the law of the trial's patients for every posterior draw, leading dims (chain, draw)."""
        return self.law_of(draws_first(posterior), within).by_chain(posterior)

    def law_of(self, parameters: dict[str, np.ndarray], within: Mapping[str, str] | None = None) -> Law:
        """Give the law of the trial's patients for parameters with draws first."""
        return regression_law(parameters, self.table, self.priors, within)

    def known(self, posterior: xr.Dataset | None = None) -> np.ndarray:
        """Log probability of what is known of each patient tabulated, given the component: the profile is known."""
        profiles = self.table.profiles()
        mine = profiles.of_row[self.table.row]
        return np.where(mine[:, None] == np.arange(len(profiles.first)), 0.0, -np.inf)


def subgroup_log_hazard_ratios(
    parameters: Mapping[str, np.ndarray], table: PatternTable, causes: tuple[str, ...] | None = None
) -> np.ndarray:
    r"""Log hazard ratio of treatment in every subgroup, averaged over the other factors, (draw, cause, level).

    :math:`\bar\theta_c + b_{cfg} + \sum_{f' \neq f} \bar b_{cf'}`: the mean over intervals of the effect in the typical
    subgroup, what this subgroup adds, and what the other factors add on average over the patients in it.
    """
    if len(table.arms) < 2:
        raise SpecificationError("subgroups have no hazard ratio with one arm; give patients of two")
    chosen = [table.causes.index(cause) for cause in (causes or table.causes)]
    effect = parameters["predictive_effect"][:, chosen]
    typical = parameters["log_hazard_ratio_curve"][:, chosen].mean(axis=-1)
    added = effect[..., table.level_index].sum(axis=-1)  # (draw, cause, pattern)
    found = []
    for k in range(len(table.level_names)):
        weight = table.patients * (table.level_index == k).any(axis=1)
        found.append(typical + np.average(added, axis=-1, weights=weight))
    return np.stack(found, axis=-1)


def _pattern_data(table: PatternTable, priors: RegressionPriors) -> dict[str, np.ndarray]:
    """Events and exposure of every pattern, and which pattern it is."""
    group = table.stratum * len(table.arms) + table.arm
    found = {
        "events_data": table.events, "exposure_data": table.exposure,
        "group_data": (group == np.arange(len(table.strata) * len(table.arms))[:, None]).astype(float),
    }  # fmt: skip
    if table.covariate_names:
        found["covariate_data"] = priors.scaled(table)
    if table.factors:
        level = np.arange(len(table.level_names))
        found["level_data"] = (table.level_index[:, :, None] == level).any(axis=1).astype(float)
        found["arm_data"] = table.arm.astype(float)
    return found


def _curves(table: PatternTable, priors: RegressionPriors) -> list[Curve]:
    of = table.by_stratum()
    return [Curve.of_hazard(priors.survival.for_cause(cause)[0], of.events[s, c], of.exposure[s])
            for s in range(len(table.strata)) for c, cause in enumerate(table.causes)]  # fmt: skip


def _subgroups(name: str, scale: float, table: PatternTable) -> Any:
    """Add the differences between subgroups (cause, level) to the model being built."""
    import pymc as pm

    spread = pm.HalfNormal(f"{name}_spread", scale, dims=("cause", "factor"))
    standard = pm.Normal(name, 0.0, 1.0, dims=("cause", "contrast"))
    zero_sum = (standard[:, None, :] * _contrasts(table)[None]).sum(axis=-1)
    return pm.Deterministic(f"{name}_effect", spread[:, factor_of(table)] * zero_sum, dims=("cause", "level"))


def _contrasts(table: PatternTable) -> np.ndarray:
    """Orthonormal contrasts of the levels of every factor, shape (level, contrast): their columns sum to 0."""
    from scipy.linalg import block_diag

    blocks = []
    for factor in table.factors:
        size = len(factor.levels)
        blocks.append(np.linalg.qr(np.column_stack([np.ones(size), np.eye(size)[:, 1:]]))[0][:, 1:])
    return block_diag(*blocks)


def _coords(table: PatternTable) -> dict[str, list[Any]]:
    return {
        "cause": list(table.causes), "interval": list(table.grid.labels), "pattern": list(range(len(table))),
        "group": [f"{stratum}:{arm}" for stratum in table.strata for arm in table.arms],
        "curve": [f"{stratum}:{cause}" for stratum in table.strata for cause in table.causes],
        "covariate": list(table.covariate_names), "factor": [factor.name for factor in table.factors],
        "level": list(table.level_names), "contrast": list(range(len(table.level_names) - len(table.factors))),
    }  # fmt: skip


def _log_likelihood(events: Any, groups: Any, rows: Any, exposure: Any, member: Any) -> Any:
    r"""Log likelihood of all patterns: :math:`\sum d (\log\lambda_g + r) - \lambda_g \sum_{p \in g} e^{r_p} E_p`.

    With the sum over patterns inside, an exponential is taken for each pattern, not for each of its intervals.
    """
    import pytensor.tensor as pt

    causes = groups.type.shape[1]
    counted = pt.dot(member, events.reshape((events.shape[0], -1))).reshape(groups.shape)
    expected = [pt.dot(member * pt.exp(rows[:, c]), exposure) * pt.exp(groups[:, c]) for c in range(causes)]
    return (counted * groups).sum() + (events.sum(axis=-1) * rows).sum() - sum(part.sum() for part in expected)


def _draw_events(
    groups: np.ndarray, rows: np.ndarray, exposure: np.ndarray, member: np.ndarray, rng: Any = None, size: Any = None
) -> np.ndarray:
    hazard = np.exp(groups[member.argmax(axis=0)] + rows[..., None])
    return rng.poisson(exposure[:, None, :] * hazard).astype(float)
