"""The log likelihood by patient sums to that of the model, for every model of survival."""

from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.errors import SpecificationError
from smm_bayes.survival import (
    BaselinePrior,
    CuredPrior,
    CurePriors,
    CureTable,
    LateHazardPrior,
    PatternTable,
    RegressionPriors,
    SpreadPrior,
    SurvivalPriors,
    TimeGrid,
    VisitTable,
    cure_log_likelihood,
    visits_log_likelihood,
)
from smm_bayes.survival.by_patient import cure_by_patient, pattern_of, regression_by_patient, visits_by_patient
from smm_bayes.survival.regression import pattern_log_likelihood
from smm_bayes.survival.regression_priors import CovariatePrior

GRID = TimeGrid((6, 12, 24))
PRIORS = SurvivalPriors({"progression": BaselinePrior(48, 150), "death": BaselinePrior(120, 480)})
ALL = {"strata": True, "covariates": ("age",), "subgroups": ("sex",)}


@pytest.fixture(params=[False, True], ids=["from the start", "delayed entry"])
def people(request, simulate):
    """A made-up trial with strata, ages and sexes; where entry is delayed, half the patients enter late."""
    patients, rng = simulate(size=80), np.random.default_rng(1)
    more = {"stratum": rng.choice(["a", "b"], len(patients)).astype(object),
            "covariates": {"age": rng.choice([50.0, 60.0, 70.0], len(patients)),
                           "sex": rng.choice(["f", "m"], len(patients)).astype(object)}}  # fmt: skip
    if request.param:
        more["entry"] = np.where(np.arange(len(patients)) % 4 < 2, patients.time / 3, 0.0)
    return replace(patients, **more)


def test_regression(people):
    table = PatternTable.of(people, GRID, **ALL)
    priors = RegressionPriors(PRIORS, {"age": CovariatePrior(1.2, 3.0, per=10, centre=60)}, SpreadPrior(2.0))
    drawn = priors.sample(table, 5, rng=np.random.default_rng(2))
    found = regression_by_patient(drawn, people, table, priors)
    assert found.shape == (5, len(people))
    np.testing.assert_allclose(found.sum(axis=-1), pattern_log_likelihood(drawn, table, priors), rtol=1e-12)


def test_everybody_is_in_the_row_that_counts_the_patient(people):
    table = PatternTable.of(people, GRID, **ALL)
    row = pattern_of(people, table)
    np.testing.assert_array_equal(np.bincount(row, minlength=len(table)), table.patients)
    np.testing.assert_array_equal(table.arm[row], people.arm)
    np.testing.assert_array_equal(table.covariates[row, 0], people.covariates["age"])
    half = PatternTable.of(people.take(people.covariates["age"] < 60), GRID, **ALL)
    with pytest.raises(SpecificationError, match="is in no row of the table"):
        pattern_of(people, half)
    mine = pattern_of(people.take(people.covariates["age"] < 60), table)  # a stratum may be missing among some
    np.testing.assert_array_equal(mine, row[people.covariates["age"] < 60])


@pytest.mark.parametrize("causes", [("progression", "death"), ("progression",)])
def test_cure(people, causes):
    patients = people if len(causes) > 1 else people.count_only("progression")
    table = CureTable.of(patients, GRID, "progression")
    others = SurvivalPriors({"death": BaselinePrior(120, 480)}) if len(causes) > 1 else None
    priors = CurePriors(CuredPrior(0.25, 0.6), LateHazardPrior(18, 54), others=others)
    drawn = priors.sample(table.other_causes, 2, GRID, 5, rng=np.random.default_rng(3))
    found = cure_by_patient(drawn, patients, table)
    np.testing.assert_allclose(found.sum(axis=-1), cure_log_likelihood(drawn, table), rtol=1e-12)


def test_visits(people):
    start = 0.0 if people.entry is None else people.entry
    seen = {"last_clear": np.where(people.event, start + 0.6 * (people.time - start), 0.0)}
    table = VisitTable.of(people, GRID, cause="progression", **seen)
    drawn = PRIORS.sample(people.causes, 2, GRID, 5, rng=np.random.default_rng(4))["log_hazard"]
    found = visits_by_patient(drawn, people, GRID, cause="progression", **seen)
    assert len(table.arm) > 10
    np.testing.assert_allclose(found.sum(axis=-1), visits_log_likelihood(drawn, table), rtol=1e-10)
