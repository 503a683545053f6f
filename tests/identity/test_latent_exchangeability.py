"""Latent exchangeability: the likelihood by enumeration, its limits, and that PyMC and NumPy agree."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from smm_bayes.borrowing import (
    HistoricalRows,
    LatentPriors,
    ShareOfPatients,
    exchangeable_patients,
    latent_exchangeability_data,
    latent_exchangeability_model,
    latent_log_likelihood,
    memberships,
)
from smm_bayes.borrowing.trials.latent_rows import class_log_density
from smm_bayes.errors import SpecificationError
from smm_bayes.inference.densities import Densities
from smm_bayes.survival import (
    BaselinePrior,
    EventTable,
    SurvivalPriors,
    TimeGrid,
    Varying,
    log_likelihood,
    patient_log_likelihood,
)

GRID = TimeGrid((6, 12, 24))
PRIORS = SurvivalPriors({"progression": BaselinePrior(30, 120), "death": BaselinePrior(100, 400)})
NAMES = ("log_hazard", "log_hazard_other", "class_share")


@pytest.fixture
def trials(simulate):
    """Current trial as a table, earlier patients of the control arm, and these as patients."""
    earlier = simulate(size=24, seed=5)
    return GRID.tabulate(simulate()), HistoricalRows.of(earlier, GRID, simulated=True), earlier.take(earlier.arm == 0)


def drawn(priors, draws=7, seed=1, arms=2):
    return priors.sample(("progression", "death"), arms, GRID, draws, rng=np.random.default_rng(seed))


def pooled(current, rows):
    events, exposure = current.events.copy(), current.exposure.copy()
    events[0] += rows.events
    exposure[0] += rows.months
    return replace(current, events=events, exposure=exposure)


# ---- the likelihood

@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_the_sum_over_who_belongs_where(trials, classes):
    """Over all memberships of 7 of the patients, each a product over patients written out by the survival likelihood."""
    current, _, earlier = trials
    few = earlier.take(np.arange(len(earlier)) < 7)
    rows = HistoricalRows.of(few, GRID, simulated=True)
    parameters = drawn(LatentPriors(PRIORS, classes=classes))
    of_class = np.concatenate([parameters["log_hazard"][:, :1], parameters["log_hazard_other"]], axis=1)
    by_patient = np.stack([patient_log_likelihood(of_class[:, [k]].repeat(2, axis=1), few, GRID) for k in range(classes)], -1)
    total = np.full(len(of_class), -np.inf)
    first = np.zeros((len(of_class),))
    for belongs in product(range(classes), repeat=7):
        term = sum(by_patient[:, i, k] + np.log(parameters["class_share"][:, k]) for i, k in enumerate(belongs))
        first = first + belongs.count(0) * np.exp(term)
        total = np.logaddexp(total, term)
    found = latent_log_likelihood(parameters, current, rows) - log_likelihood(parameters["log_hazard"], current)
    np.testing.assert_allclose(found, total, rtol=1e-10)
    np.testing.assert_allclose(exchangeable_patients(parameters, rows), first / np.exp(total), rtol=1e-9)


def test_a_share_of_1_is_pooling_and_of_0_is_none(trials):
    current, rows, _ = trials
    parameters = drawn(LatentPriors(PRIORS))
    parameters["class_share"] = np.tile([1.0, 0.0], (7, 1))
    np.testing.assert_allclose(latent_log_likelihood(parameters, current, rows),
                               log_likelihood(parameters["log_hazard"], pooled(current, rows)), rtol=1e-12)  # fmt: skip
    np.testing.assert_allclose(exchangeable_patients(parameters, rows), rows.patients)
    parameters["class_share"] = np.tile([0.0, 1.0], (7, 1))
    alone = EventTable(rows.events[None], rows.months[None], GRID, ("control",), rows.causes)
    np.testing.assert_allclose(
        latent_log_likelihood(parameters, current, rows),
        log_likelihood(parameters["log_hazard"], current) + log_likelihood(parameters["log_hazard_other"], alone), rtol=1e-12,
    )  # fmt: skip
    np.testing.assert_allclose(exchangeable_patients(parameters, rows), 0)


def test_no_earlier_patients_say_nothing(trials):
    current, _, earlier = trials
    nobody = HistoricalRows.of(earlier.take(np.zeros(len(earlier), bool)), GRID, simulated=True)
    parameters = drawn(LatentPriors(PRIORS, classes=3))
    np.testing.assert_array_equal(latent_log_likelihood(parameters, current, nobody),
                                  log_likelihood(parameters["log_hazard"], current))  # fmt: skip
    assert exchangeable_patients(parameters, nobody).tolist() == [0] * 7
    assert latent_exchangeability_data(current, nobody, LatentPriors(PRIORS))["count_data"].tolist() == [0]


def test_classes_alike_leave_the_shares_as_they_are(trials):
    """Where hazards do not differ nobody's membership is known: the expected number is the share of the patients."""
    current, rows, _ = trials
    parameters = drawn(LatentPriors(PRIORS, classes=3))
    parameters["log_hazard_other"] = parameters["log_hazard"][:, :1].repeat(2, axis=1)
    np.testing.assert_allclose(memberships(parameters, rows), parameters["class_share"][:, None].repeat(len(rows.count), 1))
    np.testing.assert_allclose(exchangeable_patients(parameters, rows), parameters["class_share"][:, 0] * rows.patients)
    np.testing.assert_allclose(latent_log_likelihood(parameters, current, rows),
                               log_likelihood(parameters["log_hazard"], pooled(current, rows)), rtol=1e-11)  # fmt: skip


def test_a_mixture_of_sums_is_another_model(trials):
    """Were the whole arm of one class or the other, cells would do; patient by patient they do not."""
    current, rows, _ = trials
    parameters = drawn(LatentPriors(PRIORS))
    density = class_log_density(parameters, rows) - np.log(parameters["class_share"])[:, None]
    by_arm = np.logaddexp.reduce(np.log(parameters["class_share"]) + rows.count @ density, axis=-1)
    by_patient = latent_log_likelihood(parameters, current, rows) - log_likelihood(parameters["log_hazard"], current)
    assert np.abs(by_arm - by_patient).min() > 0.01
    assert np.abs(by_arm - by_patient).max() > 1


# ---- the PyMC model

CASES = {
    "two classes": LatentPriors(PRIORS),
    "three classes, share cut off": LatentPriors(PRIORS, ShareOfPatients(0.7, 5, 0.2, 0.9), {"death": BaselinePrior(40, 90)}, 3),
    "varying effect": LatentPriors(replace(PRIORS, effect=Varying())),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_model_is_its_numpy_twin_and_refits(case, trials, simulate):
    """Also with other current and earlier data, in rows that are not all used."""
    priors, (current, rows, _) = CASES[case], trials
    model = latent_exchangeability_model(current, rows, priors, rows=20)
    outputs = model.replace_rvs_by_values([model[name] for name in (*NAMES, "exchangeable_patients")])
    values = [*model.logp(vars=model.observed_RVs, sum=False), *outputs]
    function = model.compile_fn(values, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")
    other = simulate(size=30, seed=8)
    rng = np.random.default_rng(2)
    for given in (trials[:2], (GRID.tabulate(simulate(seed=9)), HistoricalRows.of(other, GRID, simulated=True))):
        with model:
            for name, array in latent_exchangeability_data(*given, priors, rows=20).items():
                model.set_data(name, array)
        for _ in range(3):
            cells, patients, *rest = function({name: rng.normal(size=np.shape(value)) for name, value in
                                               model.initial_point().items()})  # fmt: skip
            parameters = {name: np.asarray(value)[None] for name, value in zip(NAMES, rest, strict=False)}
            exact = latent_log_likelihood(parameters, *given)[0]
            assert cells.sum() + patients.sum() == pytest.approx(exact, rel=1e-10)
            assert rest[-1] == pytest.approx(exchangeable_patients(parameters, given[1])[0], rel=1e-9)
            assert parameters["class_share"].sum() == pytest.approx(1, abs=1e-12)
            level = parameters["log_hazard_other"][0, :, 0].mean(axis=-1)
            assert np.all(np.diff(level) > 0)  # put in order, whatever the sampler's variables are


@pytest.mark.parametrize("case", CASES)
def test_prior_draws_of_the_model_are_those_of_numpy(case, trials):
    import pymc as pm

    priors, (current, rows, _) = CASES[case], trials
    priors = replace(priors, share=ShareOfPatients(0.7, 5, 0.2, 0.9))
    model = latent_exchangeability_model(current, rows, priors)
    with model:
        ours = pm.draw([model[name] for name in NAMES], draws=4000, random_seed=1, mode="FAST_COMPILE")
    twin = drawn(priors, 4000, seed=2)
    for name, mine in zip(NAMES, ours, strict=True):
        theirs = twin[name]
        error = np.sqrt((mine.var(axis=0) + theirs.var(axis=0)) / 4000)
        assert np.abs((mine.mean(axis=0) - theirs.mean(axis=0)) / error).max() < 4.5, name
        assert np.abs(np.log(mine.std(axis=0) / theirs.std(axis=0))).max() < 0.16, name
    assert twin["class_share"][:, 0].min() > 0.2
    assert twin["class_share"][:, 0].max() < 0.9


def test_prior_draws_of_three_classes_are_in_order():
    """And alike otherwise: the two others together have the prior of two independent classes."""
    priors = LatentPriors(PRIORS, classes=3)
    twin = drawn(priors, 4000)
    level = twin["log_hazard_other"].mean(axis=-1)[..., 0]
    assert np.all(np.diff(level, axis=1) > 0)
    prior = PRIORS.for_cause("progression")[0]
    assert level.mean() == pytest.approx(prior.mean, abs=4 * prior.sd / np.sqrt(8000))
    assert level.std() == pytest.approx(prior.sd, rel=0.05)
    np.testing.assert_allclose(twin["class_share"].sum(axis=1), 1)
    assert twin["class_share"][:, 1:].mean() == pytest.approx(0.25, abs=0.01)


def test_densities_of_the_prior_are_those_of_numpy(trials):
    """Of every free variable of three classes, at draws in order."""
    from scipy import stats

    priors, (current, rows, _) = CASES["three classes, share cut off"], trials
    model = latent_exchangeability_model(current, rows, priors)
    rng, (mean, sd) = np.random.default_rng(4), priors.of_others(("progression", "death"))
    points = {
        "exchangeable_share": rng.uniform(0.2, 0.9, 5), "other_split": rng.dirichlet([1, 1], 5),
        "other_level": np.sort(rng.normal(-4, 1, (5, 2)), axis=1), "other_level_competing": rng.normal(-4, 1, (5, 1, 2)),
        "other_smoothness": rng.uniform(0.1, 1, (5, 2, 2)), "other_move": rng.normal(size=(5, 2, 2, 3)),
        "log_baseline": rng.normal(-4, 1, (5, 2, 4)), "smoothness": rng.uniform(0.1, 1, (5, 2)),
        "log_hazard_ratio": rng.normal(size=(5, 2)),
    }  # fmt: skip
    found = Densities(model)(points)
    law, split = stats.beta(3.5, 1.5), stats.dirichlet([0.75, 0.75])
    scale = PRIORS.smoothness.scale
    expected = {
        "exchangeable_share": law.logpdf(points["exchangeable_share"]) - np.log(law.cdf(0.9) - law.cdf(0.2)),
        "other_split": [split.logpdf(row) for row in points["other_split"]],
        "other_level": stats.norm.logpdf(points["other_level"], mean[0], sd[0]).sum(axis=1) + np.log(2),
        "other_level_competing": stats.norm.logpdf(points["other_level_competing"], mean[1], sd[1]),
        "other_smoothness": stats.halfnorm.logpdf(points["other_smoothness"], scale=scale),
        "other_move": stats.norm.logpdf(points["other_move"]),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)


def test_one_hazard_by_quadrature_and_by_weighting_the_prior():
    """What earlier patients alone say of the current hazard, against 400,000 weighted draws of the prior."""
    from smm_bayes.borrowing.trials.latent_quadrature import latent_hazard_prior

    time = -np.log1p(-(np.arange(9) + 0.5) / 9) / 0.04
    event = np.array([1.0, 1, 1, 0, 1, 1, 0, 1, 1])
    baseline = BaselinePrior(18, 90)
    found = latent_hazard_prior(time, event, baseline)
    rng = np.random.default_rng(1)
    first, second = (rng.normal(baseline.mean, baseline.sd, 400_000) for _ in range(2))
    share = rng.uniform(size=400_000)
    log_weight = sum(np.log(share * np.exp(d * first - np.exp(first) * t) + (1 - share) * np.exp(d * second - np.exp(second) * t))
                     for t, d in zip(time, event, strict=True))
    weight = np.exp(log_weight - log_weight.max())
    mean = np.average(first, weights=weight)
    sd = np.sqrt(np.average((first - mean) ** 2, weights=weight))
    assert found.mean == pytest.approx(mean, abs=0.01 * sd)
    assert found.sd == pytest.approx(sd, rel=0.01)
    pooled = np.log(event.sum() / time.sum())
    assert abs(found.mean - pooled) > 0.05  # pooling is another answer
    with pytest.raises(SpecificationError, match="a time above 0"):
        latent_hazard_prior(-time, event, baseline)
