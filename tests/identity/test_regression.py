"""Strata, covariates and subgroups: what collapses, what agrees with what, and what shrinks to what."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.errors import SpecificationError
from smm_bayes.survival import (
    Estimands,
    HazardRatioPrior,
    PiecewiseExponential,
    Separate,
    SpreadPrior,
    TimeGrid,
    Varying,
    Waning,
    log_likelihood,
)
from smm_bayes.survival.law import Law
from smm_bayes.survival.patterns import PatternTable
from smm_bayes.survival.regression import (
    Regression,
    pattern_log_hazard,
    pattern_log_likelihood,
    regression_data,
    regression_model,
    subgroup_log_hazard_ratios,
)
from smm_bayes.survival.regression_priors import CovariatePrior, RegressionPriors
from smm_bayes.trial import Patients

GRID = TimeGrid((6, 12, 24, 60, 120))
ALL = {"strata": True, "covariates": ("age",), "subgroups": ("sex", "band")}


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Real patients by M-protein, with age in decades and sex, under two strata of haemoglobin."""
    import pandas as pd

    raw = pd.read_csv(Path(__file__).parents[2] / "data/patients/mgus2.csv").dropna(subset=["mspike", "hgb"])
    frame = pd.DataFrame({
        "patient": raw["id"].astype(str), "arm": np.where(raw["mspike"] < 1.5, "low", "high"),
        "time": np.where(raw["pstat"] == 1, raw["ptime"], raw["futime"]), "event": (raw["pstat"] | raw["death"]),
        "cause": np.where(raw["pstat"] == 1, "progression", np.where(raw["death"] == 1, "death", "")),
        "age": (raw["age"] / 10).round() * 10, "sex": raw["sex"], "band": np.digitize(raw["age"], [60, 75]),
        "stratum": np.where(raw["hgb"] < 12, "anaemic", "not"),
    })  # fmt: skip
    path = tmp_path_factory.mktemp("people") / "people.csv"
    frame.to_csv(path, index=False)
    return Patients.from_frame(path, arms={"control": "high", "experimental": "low"}, causes=("progression", "death"),
                               covariates=("age",), subgroups=("sex", "band"), censoring="administrative")  # fmt: skip


@pytest.fixture(scope="module")
def regression(priors):
    return RegressionPriors(priors, {"age": CovariatePrior(1.2, 3.0, per=10, centre=70)}, SpreadPrior(2.0))


def drawn(table, regression, draws=5, seed=1):
    return regression.sample(table, draws, rng=np.random.default_rng(seed))


def test_patterns_hold_everybody_once(people):
    table = PatternTable.of(people, GRID, **ALL)
    assert table.patients.sum() == len(people)
    whole = GRID.tabulate(people)
    np.testing.assert_allclose(table.by_arm().events, whole.events)
    np.testing.assert_allclose(table.by_arm().exposure, whole.exposure)
    np.testing.assert_allclose(table.by_stratum().events.sum(axis=0), whole.events.sum(axis=0))
    assert len(table) < 120 < len(people)
    assert "1371 patients" in repr(table) or str(len(people)) in repr(table)
    assert "age has" in repr(table)
    assert table.level_names == ("sex: F", "sex: M", "band: 0", "band: 1", "band: 2")


def test_collapsing_patients_changes_no_likelihood(people, regression):
    """Every patient as a row of his own gives the same likelihood as the patterns."""
    some = people.take(np.arange(len(people)) < 200)
    table = PatternTable.of(some, GRID, **ALL)
    parameters = drawn(table, regression)
    together = pattern_log_likelihood(parameters, table, regression)
    apart = np.zeros(5)
    hazards = pattern_log_hazard(parameters, table, regression)
    keys = [tuple(row) for row in np.column_stack([table.arm, table.stratum, table.level, table.covariates])]
    for i in range(len(some)):
        key = (some.arm[i], table.strata.index(some.stratum[i]), ("F", "M").index(some.covariates["sex"][i]),
               int(some.covariates["band"][i]), some.covariates["age"][i])  # fmt: skip
        mine = hazards[:, keys.index(key)]
        apart -= np.exp(mine).sum(axis=1) @ GRID.exposure(some.time[i])
        if some.event[i]:
            apart += mine[:, some.cause[i], GRID.index(some.time[i])]
    np.testing.assert_allclose(together, apart, rtol=1e-12)


def test_without_anything_to_tell_apart_it_is_the_plain_model(people, regression):
    table = PatternTable.of(people, GRID)
    assert len(table) == 2
    parameters = drawn(table, regression)
    hazards = pattern_log_hazard(parameters, table, regression)
    np.testing.assert_allclose(hazards[:, 0], parameters["log_baseline"])
    np.testing.assert_allclose(hazards[:, 1] - hazards[:, 0],
                               np.repeat(parameters["log_hazard_ratio"][..., None], len(GRID), axis=-1))  # fmt: skip
    np.testing.assert_allclose(pattern_log_likelihood(parameters, table, regression),
                               log_likelihood(hazards, GRID.tabulate(people)), rtol=1e-12)  # fmt: skip


@pytest.mark.parametrize("effect", [None, Varying(), Waning(24, 12, 60)], ids=str)
def test_density_of_the_model_is_that_of_its_twin(people, regression, effect):
    """Log likelihood to 1e-10 at draws from the model's own prior."""
    import pymc as pm

    from smm_bayes.inference.densities import Densities

    regression = replace(regression, survival=replace(regression.survival, effect=effect or regression.survival.effect))
    table = PatternTable.of(people, GRID, **ALL)
    model = regression_model(table, regression)
    names = [v.name for v in model.free_RVs]
    more = [n for n in ("prognostic_effect", "predictive_effect", "log_hazard_ratio_curve") if n not in names]
    values = pm.draw([model[name] for name in names + more], draws=3, random_seed=1, mode="FAST_COMPILE")
    parameters = dict(zip(names + more, values, strict=True))
    for name, array in regression_data(table, regression).items():
        model.set_data(name, array)
    found = Densities(model)(parameters)["events"]
    np.testing.assert_allclose(found, pattern_log_likelihood(parameters, table, regression), rtol=1e-10)


def test_prior_of_the_model_is_that_of_its_numpy_twin(people, regression):
    import pymc as pm

    table = PatternTable.of(people, GRID, **ALL)
    model = regression_model(table, regression)
    names = ["prognostic_effect", "predictive_effect", "covariate_effect", "smoothness", "log_baseline"]
    ours = pm.draw([model[name] for name in names], draws=4000, random_seed=1, mode="FAST_COMPILE")
    twin = drawn(table, regression, 4000, seed=2)
    for name, values in zip(names, ours, strict=True):
        theirs = twin[name]
        error = np.sqrt((values.var(axis=0) + theirs.var(axis=0)) / 4000)
        assert np.abs((values.mean(axis=0) - theirs.mean(axis=0)) / error).max() < 4.5, name
        assert np.abs(np.log(values.std(axis=0) / theirs.std(axis=0))).max() < 4.5 * np.sqrt(4 / 4000), name
    for parameters in (dict(zip(names, ours, strict=True)), twin):
        for effect in ("prognostic_effect", "predictive_effect"):
            np.testing.assert_allclose(parameters[effect][..., :2].sum(axis=-1), 0, atol=1e-12)
            np.testing.assert_allclose(parameters[effect][..., 2:].sum(axis=-1), 0, atol=1e-12)


def test_a_spread_of_nothing_leaves_one_hazard_ratio(people, regression):
    table = PatternTable.of(people, GRID, **ALL)
    parameters = drawn(table, replace(regression, predictive=SpreadPrior(1 + 1e-12)))
    ratios = subgroup_log_hazard_ratios(parameters, table)
    np.testing.assert_allclose(ratios, np.repeat(parameters["log_hazard_ratio"][..., None], 5, axis=-1), atol=1e-9)


def test_hazard_ratio_of_a_subgroup_averages_over_the_other_factor(people, regression):
    table = PatternTable.of(people, GRID, subgroups=("sex", "band"))
    parameters = drawn(table, regression)
    women = people.covariates["sex"] == "F"
    band = people.covariates["band"][women].astype(int)
    expected = (parameters["log_hazard_ratio"] + parameters["predictive_effect"][:, :, 0]
                + parameters["predictive_effect"][:, :, 2:][..., band].mean(axis=-1))  # fmt: skip
    np.testing.assert_allclose(subgroup_log_hazard_ratios(parameters, table)[..., 0], expected)


@pytest.fixture(scope="module")
def posterior(people, regression):
    """Draws in the form of a posterior; which they are of does not matter to a transformation."""
    import xarray as xr

    table = PatternTable.of(people, GRID, **ALL)
    found = {}
    for name, values in drawn(table, regression, 12).items():
        dims = ("chain", "draw", *(f"{name}_{axis}" for axis in range(values.ndim - 1)))
        found[name] = (dims, values.reshape(2, 6, *values.shape[1:]))
    return table, xr.Dataset(found, coords={"chain": [0, 1], "draw": np.arange(6)})


def test_standardised_survival_is_the_mean_over_patients(people, regression, posterior):
    table, draws = posterior
    curves = Estimands(Regression(table, regression).law(draws), horizon=240)
    time = np.array([0.0, 12.0, 60.0, 200.0])
    parameters = {name: v.values.reshape(-1, *v.shape[2:]) for name, v in draws.data_vars.items()}
    for arm in (0, 1):
        hazards = np.logaddexp.reduce(pattern_log_hazard(parameters, table, regression, arm=arm), axis=2)
        survival = PiecewiseExponential(hazards, GRID).survival(time)
        expected = np.einsum("p,dpt->dt", table.patients / table.patients.sum(), survival)
        np.testing.assert_allclose(curves.survival_curve(time).values[:, :, arm].reshape(12, 4), expected, rtol=1e-12)
    fine = np.linspace(0, 120, 4001)
    area = np.trapezoid(curves.survival_curve(fine).values, fine, axis=-1)
    np.testing.assert_allclose(curves.rmst(120).values, area, rtol=1e-6)
    np.testing.assert_allclose(curves.cumulative_incidence_curve(60).sum("cause").values,
                               1 - curves.survival_curve(60).values, rtol=1e-10)  # fmt: skip
    difference = curves.milestone_difference(60)
    assert difference.dims == ("chain", "draw")
    women = Estimands(Regression(table, regression).law(draws, {"sex": "F"}), horizon=240)
    men = Estimands(Regression(table, regression).law(draws, {"sex": "M"}), horizon=240)
    share = np.mean(people.covariates["sex"] == "F")
    np.testing.assert_allclose(share * women.rmst(60) + (1 - share) * men.rmst(60), curves.rmst(60))


def test_standardised_over_one_profile_is_the_ordinary_estimand(people, regression):
    import xarray as xr

    table = PatternTable.of(people, GRID)
    parameters = drawn(table, regression, 6)
    draws = xr.Dataset({n: (("chain", "draw", *(f"{n}{k}" for k in range(v.ndim - 1))), v[None])
                        for n, v in parameters.items()}, coords={"chain": [0], "draw": np.arange(6)})  # fmt: skip
    hazards = xr.DataArray(pattern_log_hazard(parameters, table, regression)[None],
                           dims=("chain", "draw", "arm", "cause", "interval"),
                           coords={"chain": [0], "draw": np.arange(6), "arm": ["control", "experimental"],
                                   "cause": ["progression", "death"]})  # fmt: skip
    plain = Estimands(Law.of_draws(hazards, GRID), horizon=200)
    averaged = Estimands(Regression(table, regression).law(draws), horizon=200)
    np.testing.assert_allclose(averaged.rmst(120), plain.rmst(120))
    np.testing.assert_allclose(averaged.rmst_difference(), plain.rmst_difference())
    np.testing.assert_allclose(averaged.milestone_survival(60), plain.milestone_survival(60))


def test_what_is_refused(people, regression, posterior):
    for options, words in (({"covariates": ("weight",)}, "no covariate 'weight'"),
                           ({"covariates": ("sex",)}, "not a number"),
                           ({"covariates": ("age",), "subgroups": ("age",)}, "choose one")):  # fmt: skip
        with pytest.raises(SpecificationError, match=words):
            PatternTable.of(people, GRID, **options)
    with pytest.raises(SpecificationError, match="no stratum"):
        PatternTable.of(replace(people, stratum=None), GRID, strata=True)
    table, draws = posterior
    with pytest.raises(SpecificationError, match="no prior for covariate 'age'"):
        replace(regression, covariates={}).check(table)
    with pytest.raises(SpecificationError, match="separate"):
        replace(regression, survival=replace(regression.survival, effect=Separate())).check(table)
    with pytest.raises(SpecificationError, match="beyond the horizon"):
        Estimands(Regression(table, regression).law(draws), horizon=100).survival_curve(120)
    with pytest.raises(SpecificationError, match="no subgroup sex: X"):
        Estimands(Regression(table, regression).law(draws, {"sex": "X"}), horizon=100)
    with pytest.raises(SpecificationError):
        CovariatePrior(per=0)
    one_arm = replace(people.take(people.arm == 1), arm=np.zeros((people.arm == 1).sum(), int),
                      arms=("experimental",), arm_names=("low",))  # fmt: skip
    single = PatternTable.of(one_arm, GRID, subgroups=("sex",))
    with pytest.raises(SpecificationError, match="one arm"):
        subgroup_log_hazard_ratios(drawn(single, regression), single)
    assert "log_hazard_ratio" not in drawn(single, regression)
    assert set(regression.spreads(single)) == {"prognostic"}


def test_priors_in_words(people, regression):
    words = regression.statements(PatternTable.of(people, GRID, **ALL))
    assert words["covariate age"] == f"{HazardRatioPrior(1.2, 3.0)}, per 10 from 70"
    assert words["hazard between subgroups of sex"] == "95 % within 2-fold of the typical"


def test_likelihood_of_a_covariate_is_that_of_poisson_regression(people, regression):
    """The maximum over baseline, treatment and age of the twin's likelihood is statsmodels' (to 1e-6)."""
    import statsmodels.api as sm
    from scipy.optimize import minimize

    some = people.count_only("death")
    table = PatternTable.of(some, GRID, covariates=("age",))
    priors = replace(regression, survival=replace(regression.survival, baseline={"death": regression.survival.baseline["death"]}))
    p, j = np.nonzero(table.exposure)
    design = np.zeros((len(p), len(GRID) + 2))
    design[np.arange(len(p)), j] = 1
    design[:, -2], design[:, -1] = table.arm[p], priors.scaled(table)[p, 0]
    fitted = sm.GLM(table.events[p, 0, j], design, family=sm.families.Poisson(), offset=np.log(table.exposure[p, j])).fit(tol=1e-12)

    def loss(x):
        parameters = {"log_baseline": x[None, None, :-2], "covariate_effect": x[None, None, -1:],
                      "log_hazard_ratio_curve": np.full((1, 1, len(GRID)), x[-2])}  # fmt: skip
        return -float(pattern_log_likelihood(parameters, table, priors)[0])

    found = minimize(loss, fitted.params + 0.1, method="BFGS", options={"gtol": 1e-6})
    np.testing.assert_allclose(found.x, fitted.params, atol=2e-5)
    assert loss(fitted.params) <= found.fun + 1e-6


def test_table_of_subgroups_counts_everybody(people, posterior):
    from smm_bayes.survival.subgroups import subgroup_hazard_ratios, subgroup_table

    table, draws = posterior
    found = subgroup_table(draws, table, "progression")
    assert list(found.index) == ["all patients", *table.level_names]
    for arm, index in (("control", 0), ("experimental", 1)):
        assert found[f"patients_{arm}"].iloc[0] == (people.arm == index).sum()
        assert found[f"events_{arm}"].iloc[0] == ((people.arm == index) & (people.cause == 0)).sum()
        assert found[f"patients_{arm}"].iloc[1:3].sum() == found[f"patients_{arm}"].iloc[0]
        women = (people.covariates["sex"] == "F") & (people.arm == index)
        assert found.loc["sex: F", f"patients_{arm}"] == women.sum()
    ratios = np.log(subgroup_hazard_ratios(draws, table, "progression"))
    for factor, name in ((["sex: F", "sex: M"], "sex"), (["band: 0", "band: 1", "band: 2"], "band")):
        sizes = [np.sum(people.covariates[name] == label.split(": ")[1]) for label in factor]
        mean = np.average(ratios.sel(level=factor).values, axis=-1, weights=sizes)
        np.testing.assert_allclose(mean, ratios.sel(level="all patients").values, rtol=1e-10)


def test_a_refit_takes_other_patterns(people, regression):
    """A compiled model given another table of the same shape has that table's likelihood, patterns and all."""
    import pymc as pm

    from smm_bayes.inference.densities import Densities

    women = people.covariates["sex"] == "F"
    first, second = (PatternTable.of(people.take(rows), GRID, strata=True, covariates=("age",), subgroups=("band",))
                     for rows in (women, ~women))  # fmt: skip
    size = min(len(first), len(second))
    first, second = (replace(table, **{name: getattr(table, name)[-size:] for name in
                                       ("events", "exposure", "arm", "stratum", "covariates", "level", "patients")})
                     for table in (first, second))  # fmt: skip
    assert not np.array_equal(first.covariates, second.covariates)
    model = regression_model(first, regression)
    density = Densities(model)
    names = [v.name for v in model.free_RVs]
    more = ["prognostic_effect", "predictive_effect", "log_hazard_ratio_curve"]
    values = pm.draw([model[name] for name in names + more], draws=3, random_seed=1, mode="FAST_COMPILE")
    parameters = dict(zip(names + more, values, strict=True))
    for name, array in regression_data(second, regression).items():
        model.set_data(name, array)
    np.testing.assert_allclose(density(parameters)["events"], pattern_log_likelihood(parameters, second, regression), rtol=1e-10)
