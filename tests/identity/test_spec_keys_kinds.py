"""Keys of spec.toml, each against a closed form: kinds of model beside hazards by arm."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from smm_bayes.analysis.models import model_of
from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.survival import Cure, Regression, Visits
from smm_bayes.survival.one_trial import OneTrial

DRAWS = 40_000
checks = pytest.mark.checks_key
CURE = {"share": {"median": 0.3, "upper": 0.6}, "late_hazard": {"median": 20, "upper": 50}}


def assert_quantile(draws: np.ndarray, probability: float, value: float) -> None:
    """``value`` is the ``probability`` point, within 4 Monte Carlo errors of the share below it."""
    error = math.sqrt(probability * (1 - probability) / len(draws))
    assert abs(np.mean(draws <= value) - probability) < 4 * error


@pytest.fixture
def with_columns(spec_file):
    """Patients with a stratum, an age and a risk group; the last patient of each arm has the event."""
    spec_file.followed(11)
    for row, patient in enumerate(spec_file.rows):
        patient |= {"STRATUM": "high" if row % 3 else "low", "AGE": 60 + row % 5, "RISK": "ab"[row % 2], "SITE": "one"}
    return spec_file


def model(inputs):
    return model_of(inputs.spec, inputs.patients)


def drawn(of, seed: int = 1) -> dict[str, np.ndarray]:
    return of.prior(DRAWS, rng=np.random.default_rng(seed))


@checks("model.kind")
def test_kind(with_columns) -> None:
    assert isinstance(model(with_columns.inputs()), OneTrial)
    for kind, keys, wanted in (("regression", {"model.strata": True}, Regression),
                               ("visits", {"model.visits": {"every": [[1, 48]], "window": 0.9}}, Visits)):  # fmt: skip
        assert isinstance(model(with_columns.inputs({"model.kind": kind} | keys)), wanted)
        with pytest.raises(SpecificationError, match=f"kind = '{kind}', but kind is 'survival'"):
            with_columns.load(keys)
        with pytest.raises(SpecificationError, match=f"kind = '{kind}' needs"):
            with_columns.load({"model.kind": kind})
    with pytest.raises(SpecificationError, match="kind = 'cure' needs cure"):
        with_columns.load({"model.kind": "cure"})
    with pytest.raises(SpecificationError, match="needs baseline = 'smooth'"):
        with_columns.load({"model.kind": "regression", "model.strata": True, "model.baseline": "gamma"})


@checks("model.strata")
def test_strata_have_baselines_of_their_own(with_columns) -> None:
    """Each stratum's level is drawn by itself from the prior of the baseline: their difference has twice its variance."""
    inputs = with_columns.inputs({"model.kind": "regression", "model.strata": True})
    of = model(inputs)
    assert of.table.strata == ("high", "low")
    level = drawn(of)["log_baseline"].mean(axis=-1)  # curves are stratum and cause
    one, other = level[:, 0], level[:, 2]
    assert np.var(one - other) == pytest.approx(np.var(one) + np.var(other), rel=0.05)
    exposure = of.table.by_stratum().exposure.sum(axis=1)
    for index, stratum in enumerate(of.table.strata):
        mine = inputs.patients.time[inputs.patients.stratum == stratum]
        assert exposure[index] == pytest.approx(mine.sum())


@checks("model.covariates.median", "model.covariates.upper", "model.covariates.per", "model.covariates.centre")
def test_covariates(with_columns) -> None:
    """The hazard ratio per so many units has the stated median and limit, and is 1 at the centre."""
    prior = {"median": 1.4, "upper": 2.8, "per": 4, "centre": 62}
    of = model(with_columns.inputs({"model.kind": "regression", "model.covariates": {"AGE": prior}}))
    found = drawn(of)
    ratio = np.exp(found["covariate_effect"][:, 0, 0])
    assert_quantile(ratio, 0.5, 1.4)
    assert_quantile(ratio, 0.975, 2.8)
    log_hazard = of.law_of({name: values[:50] for name, values in found.items()}).log_hazard  # draw, arm, profile, ...
    ages = np.unique(of.table.covariates[:, 0])
    slope = log_hazard[:, 0, ages == 64, 0, 0][:, 0] - log_hazard[:, 0, ages == 60, 0, 0][:, 0]
    np.testing.assert_allclose(slope, np.log(ratio[:50]), rtol=1e-9)
    np.testing.assert_allclose(log_hazard[:, 0, ages == 62, 0, 0][:, 0], found["log_baseline"][:50, 0, 0], rtol=1e-9)
    with pytest.raises(SpecificationError, match=r"nothing-001|nothing.001"):
        with_columns.inputs({"model.kind": "regression", "model.covariates": {"AGE": prior | {"facts": ["nothing-001"]}}})
    with pytest.raises(SpecificationError, match="for and against"):
        with_columns.load({"model.kind": "regression", "model.covariates": {
            "AGE": prior | {"facts": ["quiredex-001"], "facts_against": ["quiredex-001"]}}})  # fmt: skip


@checks("model.subgroups.columns", "model.subgroups.prognostic", "model.subgroups.predictive")
def test_subgroups(with_columns) -> None:
    """95 % of spreads are below log(fold); differences of hazards and of hazard ratios sum to 0 over a factor's groups."""
    keys = {"columns": ["RISK"], "prognostic": 3.0, "predictive": 1.2}
    of = model(with_columns.inputs({"model.kind": "regression", "model.subgroups": keys}))
    found = drawn(of)
    assert of.table.level_names == ("RISK: a", "RISK: b")
    for name, fold in (("prognostic", 3.0), ("predictive", 1.2)):
        spread, effect = found[f"{name}_spread"][:, 0, 0], found[f"{name}_effect"][:, 0]
        assert np.abs(effect.sum(axis=-1)).max() < 1e-12
        # a normal deviation with a half-normal standard deviation of scale s: 95 % within 2.18 s
        assert_quantile(spread, 0.95, 1.959963984540054 * math.log(fold) / 2.1826)
    with pytest.raises(SpecificationError, match=r"nothing-001|nothing.001"):
        with_columns.inputs({"model.kind": "regression", "model.subgroups": keys | {"facts": ["nothing-001"]}})
    with pytest.raises(SpecificationError, match="for and against"):
        with_columns.load({"model.kind": "regression", "model.subgroups": keys | {
            "facts": ["quiredex-001"], "facts_against": ["quiredex-001"]}})  # fmt: skip


@checks("model.cure.cause", "model.cure.share.median", "model.cure.share.upper", "model.cure.late_hazard.median",
        "model.cure.late_hazard.upper", "model.cure.odds_ratio.median", "model.cure.odds_ratio.upper",
        "model.cure.hazard_ratio.median", "model.cure.hazard_ratio.upper")
def test_cure(with_columns) -> None:
    """Share, months to half in the last interval, and both ratios have the stated medians and limits."""
    ratios = {"odds_ratio": {"median": 2.0, "upper": 5.0}, "hazard_ratio": {"median": 0.7, "upper": 1.1}}
    changes = {"model.kind": "cure", "model.cure": CURE | ratios, "model.prior.baseline.progression": None,
               "model.prior.hazard_ratio.progression": None}  # fmt: skip
    of = model(with_columns.inputs(changes))
    assert isinstance(of, Cure)
    assert of.table.curable == "progression"
    found = drawn(of)
    half = math.log(2) / np.exp(found["log_hazard_uncured"][:, 0, -1])
    for draws, median, upper in (
        (found["cured"][:, 0], 0.3, 0.6), (half, 20, 50), (np.exp(found["log_odds_ratio"]), 2.0, 5.0),
        (np.exp(found["log_hazard_ratio_uncured"]), 0.7, 1.1),
    ):  # fmt: skip
        assert_quantile(draws, 0.5, median)
        assert_quantile(draws, 0.975, upper)
    default = model(with_columns.inputs(changes | {"model.cure": CURE}))
    assert (default.priors.odds_ratio.median, default.priors.odds_ratio.upper) == (1.0, 4.0)
    with pytest.raises(SpecificationError, match=r"model\.prior\.baseline\.progression is not used"):
        with_columns.load({"model.kind": "cure", "model.cure": CURE})
    other = {"model.kind": "cure", "model.cure": CURE | {"cause": "death"}, "model.prior.baseline.death": None,
             "model.prior.hazard_ratio.death": None}  # fmt: skip
    assert model(with_columns.inputs(other)).table.curable == "death"
    with pytest.raises(SpecificationError, match=r"model\.cure\.cause: 'relapse' is not one"):
        with_columns.load({"model.kind": "cure", "model.cure": CURE | {"cause": "relapse"}})


@pytest.mark.parametrize("name", ["share", "late_hazard", "odds_ratio", "hazard_ratio"])
def test_facts_of_the_priors_of_cure(with_columns, name) -> None:
    """Facts that are not there, and facts on both sides, are refused."""
    ratio = {"median": 1.0, "upper": 2.0}
    whole = CURE | {"odds_ratio": ratio, "hazard_ratio": ratio}
    changes = {"model.kind": "cure", "model.prior.baseline.progression": None, "model.prior.hazard_ratio.progression": None}
    for key in ("facts", "facts_against"):
        with pytest.raises(SpecificationError, match=r"nothing-001"):
            with_columns.inputs(changes | {"model.cure": whole | {name: whole[name] | {key: ["nothing-001"]}}})
    both = whole[name] | {"facts": ["quiredex-001"], "facts_against": ["quiredex-001"]}
    with pytest.raises(SpecificationError, match="for and against"):
        with_columns.load(changes | {"model.cure": whole | {name: both}})


@checks("model.visits.cause", "model.visits.every", "model.visits.window")
def test_visits(with_columns) -> None:
    """The event of day 31 was found at the visit of the first month, and lies between it and the visit before."""
    for every, window in (([[0.5, 48]], 0.49), ([[1, 48]], 0.9), ([[0.25, 48]], 0.2)):
        keys = {"every": every, "window": window}
        inputs = with_columns.inputs({"model.kind": "visits", "model.visits": keys})
        of = model(inputs)
        event = float(inputs.patients.time[inputs.patients.event][0])
        schedule = of.visits.schedule
        widths = of.table.widths.sum(axis=1)
        np.testing.assert_allclose(widths, event - float(schedule.before(event)))
        assert of.table.count.sum() == 2
        assert widths[0] == pytest.approx(every[0][0] + event - 1)
    with pytest.raises(DataError, match="at no planned visit"):
        with_columns.inputs({"model.kind": "visits", "model.visits": {"every": [[3, 48]]}})
    death = {"model.kind": "visits", "model.visits": {"every": [[3, 48]], "cause": "death"}}
    assert model(with_columns.inputs(death)).table.count.sum() == 0
    with pytest.raises(SpecificationError, match=r"model\.visits\.cause: 'relapse' is not one"):
        with_columns.load({"model.kind": "visits", "model.visits": {"every": [[3, 48]], "cause": "relapse"}})
    with pytest.raises(SpecificationError, match="does not end at a visit"):
        with_columns.load({"model.kind": "visits", "model.visits": {"every": [[5, 48]]}})


def test_what_kinds_do_not_go_with(with_columns) -> None:
    """A column that is not there, one that is a covariate and a subgroup, and effects that a kind has not."""
    twice = {"model.kind": "regression", "model.covariates": {"AGE": {"median": 1.0, "upper": 2.0}},
             "model.subgroups": {"columns": ["AGE"]}}  # fmt: skip
    with pytest.raises(SpecificationError, match="AGE is a covariate and a subgroup"):
        with_columns.load(twice)
    with pytest.raises(SpecificationError, match="no hazard ratio that subgroups could differ in"):
        with_columns.load({"model.kind": "regression", "model.strata": True, "model.effect": "separate",
                           "model.prior.hazard_ratio": {}})  # fmt: skip
    with pytest.raises(SpecificationError, match="effects of its own"):
        with_columns.load({"model.kind": "cure", "model.cure": CURE, "model.effect": "separate"})
    path = with_columns.folder / "adtte.csv"
    with_columns.inputs()
    rows = list(csv.DictReader(path.open()))
    assert "WEIGHT" not in rows[0]
    with pytest.raises(DataError, match="WEIGHT"):
        with_columns.inputs({"model.kind": "regression", "model.covariates": {"WEIGHT": {"median": 1.0, "upper": 2.0}}})
