"""The mixture cure model: what it refuses, and what it says of itself."""

import re

import numpy as np
import pytest
import xarray as xr

from smm_bayes.errors import SpecificationError
from smm_bayes.survival import (
    BaselinePrior,
    Cure,
    CuredPrior,
    CurePriors,
    CureTable,
    Estimands,
    LateHazardPrior,
    OddsRatioPrior,
    SurvivalPriors,
    TimeGrid,
    cure_data,
    cure_law,
    cure_model,
    cure_summary,
)
from smm_bayes.survival.walk import draw_walk, last_interval, whitening
from smm_bayes.validation.designs import VARIANTS

GRID = TimeGrid((6, 24))
PRIORS = CurePriors(CuredPrior(0.25, 0.6), LateHazardPrior(18, 54),
                    others=SurvivalPriors({"death": BaselinePrior(120, 480)}))  # fmt: skip


@pytest.mark.parametrize(("prior", "words"), [
    (lambda: CuredPrior(0.5, 0.4), "0 < median < upper < 1.*median 0.5 and upper 0.4"),
    (lambda: CuredPrior(0.5, 1.0), "upper 1.0"),
    (lambda: CuredPrior(0.0, 0.4), "median 0.0"),
    (lambda: CuredPrior(0.1, float("nan")), "upper nan"),
    (lambda: OddsRatioPrior(1, 1), "odds_ratio: need 0 < median < upper; got median 1 and upper 1"),
    (lambda: LateHazardPrior(54, 18), "late_hazard: need 0 < median < upper; got median 54 and upper 18"),
])  # fmt: skip
def test_priors_that_name_no_distribution_are_refused(prior, words):
    with pytest.raises(SpecificationError, match=words):
        prior()


def test_unknown_cause_is_refused_with_those_there_are(simulate):
    with pytest.raises(SpecificationError, match="one of progression, death; got 'relapse'"):
        CureTable.of(simulate(), GRID, "relapse")


def test_too_few_rows_are_refused_with_their_number(simulate):
    patients = simulate()
    needed = len(CureTable.of(patients, GRID, "progression").row_count)
    with pytest.raises(SpecificationError, match=rf"{needed} unique times.*there are {needed - 1} rows"):
        CureTable.of(patients, GRID, "progression", rows=needed - 1)
    assert len(CureTable.of(patients, GRID, "progression", rows=needed).row_count) == needed


def test_equal_times_share_a_row(simulate):
    patients = simulate(hazards=((0.03, 0.05), (0.02, 0.05)), digits=0, cutoff=None)
    table = CureTable.of(patients, GRID, "progression", rows=120)
    others = patients.cause != 0
    assert table.row_count.sum() == others.sum()
    assert (table.row_count != 0).sum() == len(set(zip(patients.arm[others], patients.time[others], strict=True)))
    assert table.row_count.max() > 1
    assert repr(table).startswith("CureTable: progression curable, ")
    with pytest.raises(ValueError, match="read-only"):
        table.row_count[0] = 1


def test_all_causes_without_a_prior_are_named(simulate):
    table = CureTable.of(simulate(), GRID, "progression")
    bare = CurePriors(CuredPrior(0.25, 0.6), LateHazardPrior(18, 54))
    with pytest.raises(SpecificationError, match=re.escape("cause 'death' has no prior; give others=SurvivalPriors")):
        cure_model(table, bare)
    with pytest.raises(SpecificationError, match=r"2 problems:\n.*'death'.*\n.*'other'"):
        bare.sample(("death", "other"), 2, GRID, 1, rng=np.random.default_rng(1))


def test_a_refit_needs_the_same_rows(simulate):
    from smm_bayes.inference.compiled import CompiledModel

    patients = simulate()
    model = cure_model(CureTable.of(patients, GRID, "progression", rows=120), PRIORS)
    other = cure_data(CureTable.of(patients, GRID, "progression", rows=110), PRIORS)
    assert {variable.name for variable in model.data_vars} == set(other)
    with pytest.raises(SpecificationError, match=r"has shape \(110.*the compiled model needs \(120"):
        CompiledModel(model, None).with_data(other)  # refused before anything compiled is touched


def test_new_counts_are_not_drawn(simulate):
    import pymc as pm

    model = cure_model(CureTable.of(simulate(), GRID, "progression"), PRIORS)
    with pytest.raises(NotImplementedError, match=r"simulate patients from the model's law"):
        pm.draw(model["event_free"], mode="FAST_COMPILE")


@pytest.mark.parametrize("weights", [np.ones(3), np.array([0.5, 0.5]), np.array([np.nan, 0, 1])], ids=str)
def test_weights_of_a_level_must_be_one_an_interval_and_sum_to_one(weights):
    with pytest.raises(SpecificationError, match="must be 3, one an interval, and sum to 1"):
        whitening([], GRID, weights=weights)
    with pytest.raises(SpecificationError, match="sum to 1"):
        draw_walk(np.zeros(2), np.ones(2), np.ones(2), GRID, weights, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(last_interval(GRID), [0, 0, 1])


@pytest.mark.parametrize(("cured", "shape", "words"), [
    (np.full(2, 0.3), (2, 4), r"ending in \(2, 2, 1, 3\).*got \(2, 2, 1, 4\)"),
    (np.array([0.3, 0.2]), (1, 3), "same number of dimensions|must have shape|must match"),
    (np.array([0.3, 1.1]), (2, 3), "add up to 1|0 to 1"),
    (np.array([0.3, -0.1]), (2, 3), "add up to 1|0 to 1"),
    (np.array([0.3, np.nan]), (2, 3), "add up to 1|0 to 1"),
])  # fmt: skip
def test_a_law_of_wrong_shape_or_share_is_refused(cured, shape, words):
    with pytest.raises(SpecificationError, match=words), np.errstate(invalid="ignore"):
        cure_law({"cured": cured, "log_hazard_uncured": np.zeros(shape)}, GRID, ("progression",))


def draws(arms=("control", "experimental"), size=200, cured=0.3, spread=0.01):
    rng = np.random.default_rng(1)
    coords = {"chain": [0, 1], "draw": range(size), "arm": list(arms)}
    shape = (2, size, len(arms))
    intervals = {"interval": list(GRID.labels)}
    return xr.Dataset(
        {"cured": (tuple(coords), np.clip(rng.normal(cured, spread, shape), 0.001, 0.999)),
         "log_hazard_uncured": ((*coords, "interval"), rng.normal(-3, 0.05, (*shape, 3))),
         "log_hazard_other": ((*coords, "cause", "interval"), rng.normal(-5, 0.1, (*shape, 1, 3)))}
        | ({"log_odds_ratio": (("chain", "draw"), rng.normal(0, 0.69, (2, size))),
            "log_hazard_ratio_uncured": (("chain", "draw"), rng.normal(0, 0.05, (2, size)))} if len(arms) > 1 else {}),
        coords=coords | intervals | {"cause": ["death"]},
    )  # fmt: skip


def test_estimands_keep_to_their_horizon(simulate):
    law = Cure(CureTable.of(simulate(), GRID, "progression"), PRIORS).law(draws())
    found = Estimands(law, horizon=30)
    for name in ("survival_curve", "hazard_curve", "cumulative_incidence_curve", "rmst", "milestone_difference",
                 "rmst_difference"):  # fmt: skip
        with pytest.raises(SpecificationError, match="month 31 is beyond the horizon of 30 months"):
            getattr(found, name)(31.0)
        assert np.isfinite(getattr(found, name)(30.0)).all()
    assert Estimands(law, extrapolate=True).survival_curve([10, 500]).sizes["time"] == 2
    assert "a mixture of 2 components" in repr(law)


def test_one_arm_has_no_difference(simulate):
    patients = simulate()
    one = patients.take(patients.arm == 1, arm=np.zeros((patients.arm == 1).sum(), int), arms=("experimental",),
                        arm_names=("new",))  # fmt: skip
    table, posterior = CureTable.of(one, GRID, "progression"), draws(("experimental",))
    with pytest.raises(SpecificationError, match="needs the arms control and experimental"):
        Estimands(Cure(table, PRIORS).law(posterior), horizon=30).rmst_difference()
    said = cure_summary(posterior, table, PRIORS, rng=np.random.default_rng(1))
    assert [name for name, _ in said.index] == ["cured share", "months to half of the uncured, last interval"]


def test_the_summary_says_where_the_prior_is_most_of_it(simulate):
    table = CureTable.of(simulate(), GRID, "progression")
    said = cure_summary(draws(), table, PRIORS, rng=np.random.default_rng(1))
    prior = PRIORS.sample(("death",), 2, GRID, 100_000, rng=np.random.default_rng(2))["cured"].var(axis=0)
    for index, arm in enumerate(("control", "experimental")):
        row = said.loc[("cured share", arm)]
        assert row["contraction"] == pytest.approx(1 - 0.01**2 / prior[index], abs=0.001)
        assert row["note"] == ""
        assert row["lower"] < row["median"] < row["upper"]
    ratio = said.loc[("odds ratio of being cured", "experimental / control")]
    assert ratio["note"] == "The data say little about the odds ratio of being cured; what is shown is mostly the prior."
    late = said.loc[("months to half of the uncured, last interval", "control")]
    assert late["median"] == pytest.approx(np.log(2) * np.exp(3), rel=0.02)
    vague = cure_summary(draws(spread=0.14), table, PRIORS, rng=np.random.default_rng(1))
    shown = vague.loc[("cured share", "control")]
    assert shown["contraction"] < 0.3
    assert shown["note"] == "The data say little about cure; what is shown is mostly the prior."


def test_the_calibration_design_simulates_what_its_model_takes():
    design, rng = VARIANTS["cure"](), np.random.default_rng(1)
    model, truth = design.build(), design.prior(1, rng=rng)
    simulated = design.simulate(truth, rng=rng)
    (data,) = simulated.data()
    assert {variable.name: variable.get_value().shape for variable in model.data_vars} == {
        name: values.shape for name, values in data.items()
    }
    assert set(design.prior(1, rng=rng)) <= set(model.named_vars)
    assert simulated.log_likelihood(design.prior(7, rng=rng)).shape == (7,)
    ranked = design.ranked(design.prior(7, rng=rng))
    assert {values.shape for values in ranked.values()} == {(7,)}
    assert len(ranked) <= 24
    table = simulated.table
    assert table.events.sum() + table.row_count.sum() == 150
