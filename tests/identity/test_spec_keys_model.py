"""Keys of spec.toml, each against a closed form: intervals, priors and effects of the model."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.one_trial import OneTrial

DRAWS = 40_000
Z = 1.959963984540054
checks = pytest.mark.checks_key


def drawn(spec, *, arms: tuple[str, ...] = ("control", "experimental"), seed: int = 1) -> dict[str, np.ndarray]:
    """Draws of the prior of the model that a specification names, without any data."""
    causes = spec.snapshot.cause_names
    events, exposure = np.zeros((len(arms), len(causes), len(spec.grid))), np.zeros((len(arms), len(spec.grid)))
    table = EventTable(events, exposure, spec.grid, arms, causes)
    return OneTrial(table, spec.priors).prior(DRAWS, rng=np.random.default_rng(seed))


def assert_quantile(draws: np.ndarray, probability: float, value: float) -> None:
    """``value`` is the ``probability`` point, within 4 Monte Carlo errors of the share below it."""
    error = math.sqrt(probability * (1 - probability) / len(draws))
    assert abs(np.mean(draws <= value) - probability) < 4 * error


@checks("model.cuts")
def test_cuts_end_intervals(spec_file) -> None:
    spec = spec_file.load({"model.cuts": [3, 7.5]})
    assert spec.grid.index(np.array([0.0, 3.0, 3.0001, 7.5, 7.6])).tolist() == [0, 0, 1, 1, 2]
    assert spec.grid.exposure(np.array([10.0]))[0].tolist() == [3.0, 4.5, 2.5]


@checks("model.prior.baseline.median", "model.prior.baseline.upper")
def test_baseline_by_median_time(spec_file) -> None:
    """The median time that a constant hazard implies, log 2 / λ, has the stated median and 97.5 % point."""
    spec = spec_file.load({"model.prior.baseline.progression": {"median": 30, "upper": 75}})
    times = math.log(2) / np.exp(drawn(spec)["level"][:, 0])
    assert_quantile(times, 0.5, 30)
    assert_quantile(times, 0.975, 75)
    assert_quantile(times, 0.025, 30**2 / 75)


@checks("model.prior.baseline.time", "model.prior.baseline.survival")
def test_baseline_by_survival_at_a_time(spec_file) -> None:
    spec = spec_file.load({"model.prior.baseline.progression": {"time": 36, "survival": 0.4, "upper": 0.8}})
    survival = np.exp(-36 * np.exp(drawn(spec)["level"][:, 0]))
    assert_quantile(survival, 0.5, 0.4)
    assert_quantile(survival, 0.975, 0.8)


@checks("model.prior.hazard_ratio.median", "model.prior.hazard_ratio.upper")
def test_hazard_ratio(spec_file) -> None:
    found = drawn(spec_file.load({"model.prior.hazard_ratio.progression": {"median": 0.5, "upper": 1.5}}))
    between_arms = np.exp(found["log_hazard"][:, 1, 0, 0] - found["log_hazard"][:, 0, 0, 0])
    assert_quantile(between_arms, 0.5, 0.5)
    assert_quantile(between_arms, 0.975, 1.5)


@checks("model.prior.smoothness.fold_change", "model.prior.smoothness.months")
@pytest.mark.parametrize("months", [12, 6])
def test_smoothness_is_of_a_change_within_so_many_months(spec_file, months: int) -> None:
    """Two intervals whose middles are ``months`` apart: 95 % of prior changes are within the fold."""
    spec = spec_file.load({"model.cuts": [months, 2 * months, 3 * months],
                           "model.prior.smoothness": {"fold_change": 1.7, "months": months}})  # fmt: skip
    hazard = drawn(spec)["log_hazard"][:, 0, 0]
    assert_quantile(np.abs(hazard[:, 1] - hazard[:, 0]), 0.95, math.log(1.7))
    assert_quantile(np.abs(hazard[:, 2] - hazard[:, 1]), 0.95, math.log(1.7))


@checks("model.effect")
def test_effect_proportional_separate(spec_file) -> None:
    proportional = drawn(spec_file.load({"model.effect": "proportional"}))["log_hazard"][:, :, 0]
    ratio = proportional[:, 1] - proportional[:, 0]
    assert np.allclose(ratio, ratio[:, :1], atol=1e-12)
    spec = spec_file.load({"model.effect": "separate", "model.prior.hazard_ratio": None})
    level = drawn(spec)["log_hazard"][:, :, 0].mean(axis=-1)
    assert abs(np.corrcoef(level.T)[0, 1]) < 4 / math.sqrt(DRAWS)
    assert_quantile(math.log(2) / np.exp(level[:, 1]), 0.975, 96)


@checks("model.prior.ratio_smoothness.fold_change", "model.prior.ratio_smoothness.months")
@pytest.mark.parametrize("months", [12, 24])
def test_effect_varying(spec_file, months: int) -> None:
    spec = spec_file.load({"model.effect": "varying", "model.cuts": [months, 2 * months],
                           "model.prior.ratio_smoothness": {"fold_change": 1.4, "months": months}})  # fmt: skip
    hazard = drawn(spec)["log_hazard"][:, :, 0]
    ratio = hazard[:, 1] - hazard[:, 0]
    assert_quantile(np.abs(ratio[:, 1] - ratio[:, 0]), 0.95, math.log(1.4))
    assert_quantile(np.exp(ratio.mean(axis=1)), 0.975, 2.0)  # the hazard ratio's own prior is of its mean


@checks("model.prior.waning.stops", "model.prior.waning.median", "model.prior.waning.upper")
def test_effect_waning(spec_file) -> None:
    """The log hazard ratio in each interval is the mean of β·2^{−(t − s)₊/T} there, by numerical integration."""
    waning = {"stops": 15, "median": 10, "upper": 40}
    found = drawn(spec_file.load({"model.effect": "waning", "model.prior.waning": waning}))
    half_life = np.exp(found["log_half_life"])
    assert_quantile(half_life, 0.5, 10)
    assert_quantile(half_life, 0.975, 40)
    ratio = found["log_hazard"][:, 1, 0] - found["log_hazard"][:, 0, 0]
    inside = 12 + (np.arange(6000) + 0.5) / 6000 * 12  # (12, 24]
    for i in range(20):
        weight = np.mean(0.5 ** (np.maximum(inside - 15, 0) / half_life[i]))
        assert ratio[i, 0] == pytest.approx(found["log_hazard_ratio"][i, 0], abs=1e-12)
        assert ratio[i, 1] == pytest.approx(found["log_hazard_ratio"][i, 0] * weight, rel=1e-6)


@checks("model.baseline", "model.prior.gamma.shape", "model.prior.gamma.rate")
def test_gamma_hazards(spec_file) -> None:
    """Gamma(2, 50) a month in every cell: mean 0.04, variance 2 / 50²."""
    spec = spec_file.load({"model.baseline": "gamma", "model.prior": {"gamma": {"shape": 2.0, "rate": 50.0}}})
    hazard = np.exp(drawn(spec)["log_hazard"][:, 1, 1, 2])
    assert abs(hazard.mean() - 0.04) < 4 * math.sqrt(2) / 50 / math.sqrt(DRAWS)
    assert hazard.var() == pytest.approx(2 / 50**2, rel=0.05)


@checks("sampling.draws", "sampling.tune", "sampling.chains")
def test_sampler_settings_reach_the_sampler(spec_file) -> None:
    from smm_bayes.analysis.interim import run_interim

    changes = {"model.baseline": "gamma", "model.prior": {"gamma": {"shape": 2.0, "rate": 50.0}}, "model.cuts": [],
               "sampling": {"draws": 410, "tune": 220, "chains": 3}, "prediction.replicates": 300}  # fmt: skip
    result = run_interim(spec_file.followed(10).inputs(changes), seed=2)
    assert (result.fit.posterior.sizes["chain"], result.fit.posterior.sizes["draw"]) == (3, 410)
    assert (result.fit.attempts[0].tune, result.fit.attempts[0].draws) == (220, 410)


@checks("calibration.replicates")
def test_calibration_is_as_long_as_it_says(spec_file) -> None:
    from smm_bayes.validation.validate import Calibration

    spec_file.followed(5).inputs({"calibration.replicates": 321})
    path = spec_file.folder / "spec.toml"
    wanted = Calibration("x/spec", path, path.with_suffix(".csv"), path.with_suffix(".json")).design()[1]
    assert wanted == 321
