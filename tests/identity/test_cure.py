"""The mixture cure model: exact identities of likelihood, law, priors and estimands."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit, logsumexp
from scipy.stats import expon, multivariate_normal, norm

from smm_bayes.inference.densities import Densities
from smm_bayes.survival import (
    BaselinePrior,
    Cure,
    CuredPrior,
    CurePriors,
    CureTable,
    Estimands,
    HazardRatioPrior,
    LateHazardPrior,
    Law,
    OddsRatioPrior,
    PiecewiseExponential,
    Separate,
    SmoothnessPrior,
    SurvivalPriors,
    TimeGrid,
    cumulative_incidence,
    cure_data,
    cure_law,
    cure_log_likelihood,
    cure_model,
    log_likelihood,
)
from smm_bayes.survival.cure import crude_curve
from smm_bayes.survival.walk import Curve, draw_walk, last_interval, smooth_curves, spacing, whitening
from smm_bayes.trial import Patients

GRID = TimeGrid((6, 24))
CAUSES = ("progression", "death")
PRIORS = CurePriors(CuredPrior(0.25, 0.6), LateHazardPrior(18, 54),
                    others=SurvivalPriors({"death": BaselinePrior(120, 480)}))  # fmt: skip


def made(entry, follow_up, cause, arm=None):
    """Patients of two arms by turns; ``cause`` is 0, 1, or -1 for censored."""
    entry, cause = np.array(entry, float), np.array(cause)
    time, size = entry + np.array(follow_up, float), len(entry)
    return Patients(
        patient=np.arange(size).astype(str).astype(object), arm=np.arange(size) % 2 if arm is None else np.array(arm),
        time=time, event=cause >= 0, cause=cause, censoring=np.where(cause >= 0, "", "administrative").astype(object),
        enrolled=None, arms=("control", "experimental"), arm_names=("Old", "New"), causes=CAUSES, entry=entry,
        provenance="simulated",
    )  # fmt: skip


days = st.integers(1, 900).map(lambda n: n / 16)
trials = st.lists(st.tuples(st.one_of(st.just(0.0), days), days, st.integers(-1, 1)), min_size=2, max_size=12).map(
    lambda rows: made(*zip(*rows, strict=True))
)


def drawn(rng, *lead, grid=GRID, others=1):
    """Random parameters."""
    found = {"cured": rng.uniform(0.02, 0.9, (*lead, 2)),
             "log_hazard_uncured": np.log(rng.uniform(0.002, 0.2, (*lead, 2, len(grid))))}  # fmt: skip
    if others:
        found["log_hazard_other"] = np.log(rng.uniform(0.001, 0.05, (*lead, 2, others, len(grid))))
    return found


def hazards(parameters):
    """Hazards of all causes among the uncured."""
    return np.concatenate([parameters["log_hazard_uncured"][..., None, :], parameters["log_hazard_other"]], axis=-2)


# ---- the likelihood

def by_hand(patients, parameters):
    """Sum over patients of the log density given survival to entry, with integrals by SciPy."""
    total = 0.0
    for arm, time, cause, entry in zip(patients.arm, patients.time, patients.cause, patients.entry, strict=True):
        share = parameters["cured"][arm]
        rates = np.exp([parameters["log_hazard_uncured"][arm], parameters["log_hazard_other"][arm, 0]])

        def integral(of, until, rates=rates):
            inside = [cut for cut in GRID.cuts if cut < until]
            rate = lambda t: rates[of, np.searchsorted(GRID.cuts, t)]  # noqa: E731
            return quad(rate, 0, until, points=inside or None)[0] if until else 0.0

        def log_free(until, share=share):
            return logsumexp([0, -integral(0, until)], b=[share, 1 - share])

        here = rates[:, np.searchsorted(GRID.cuts, time)]
        total += np.log(1 - share) + np.log(here[0]) - integral(0, time) if cause == 0 else log_free(time)
        total += (np.log(here[1]) if cause == 1 else 0.0) - integral(1, time)
        total -= log_free(entry) - integral(1, entry)
    return total


@settings(deadline=None, max_examples=40)
@given(trials, st.integers(0, 2**31))
def test_the_likelihood_is_that_of_every_patient(patients, seed):
    parameters = drawn(np.random.default_rng(seed))
    exact = by_hand(patients, parameters)
    for rows in (None, 2 * len(patients)):
        found = float(cure_log_likelihood(parameters, CureTable.of(patients, GRID, "progression", rows=rows)))
        assert abs(found - exact) < 1e-10 * max(1, abs(exact))


@settings(deadline=None)
@given(trials, st.integers(0, 2**31))
def test_without_cure_it_is_the_likelihood_of_piecewise_constant_hazards(patients, seed):
    parameters = drawn(np.random.default_rng(seed), 3)
    parameters["cured"][:] = 0
    exact = log_likelihood(hazards(parameters), GRID.tabulate(patients))
    found = cure_log_likelihood(parameters, CureTable.of(patients, GRID, "progression"))
    np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-10)


def test_without_cure_on_real_patients(mgus2_1985, grid12):
    parameters = drawn(np.random.default_rng(1), 3, grid=grid12)
    parameters["log_hazard_uncured"] -= 3  # or nobody but the cured would be left at the end
    parameters["cured"][:] = [[0.0], [1e-14], [1e-3]]
    exact = log_likelihood(hazards(parameters), grid12.tabulate(mgus2_1985))
    found = cure_log_likelihood(parameters, CureTable.of(mgus2_1985, grid12, "progression"))
    np.testing.assert_allclose(found[:2], exact[:2], rtol=1e-10)
    assert abs(found[2] - exact[2]) > 0.01  # it does see a share of a thousandth


@given(days, days, st.booleans(), st.floats(0.001, 0.5), st.floats(0.01, 0.99))
def test_delayed_entry_is_the_ratio_of_density_and_survival(entry, follow_up, event, rate, share):
    patients = made([entry], [follow_up], [0 if event else -1]).count_only("progression")
    law, time = expon(scale=1 / rate), entry + follow_up
    free = [share + (1 - share) * law.sf(t) for t in (entry, time)]
    exact = np.log((1 - share) * law.pdf(time) if event else free[1]) - np.log(free[0])
    parameters = {"cured": np.full(2, share), "log_hazard_uncured": np.full((2, 1), np.log(rate))}
    found = cure_log_likelihood(parameters, CureTable.of(patients, TimeGrid(), "progression"))
    assert found == pytest.approx(exact, abs=1e-9)


FIRST = ("progression",)


def law_of(parameters, grid):
    """Give the law of cured and uncured: progression is curable."""
    others = parameters["log_hazard_other"].shape[-2] if "log_hazard_other" in parameters else 0
    causes = ("progression", *("death", "other")[:others])
    return cure_law(parameters, grid, causes, arms=("control", "experimental")[: parameters["cured"].shape[-1]])


def test_splitting_an_interval_with_equal_hazards_changes_nothing(mgus2_1985):
    fine, copies = TimeGrid((3, 6, 13, 24, 60)), [0, 0, 1, 1, 2, 2]
    parameters = drawn(np.random.default_rng(2))
    split = {name: values if name == "cured" else values[..., copies] for name, values in parameters.items()}
    coarse, finer = (CureTable.of(mgus2_1985, grid, "progression") for grid in (GRID, fine))
    assert cure_log_likelihood(split, finer) == pytest.approx(cure_log_likelihood(parameters, coarse), rel=1e-12)
    at = np.array([0.0, 5, 6, 20, 100])
    for name, counted in (("survival", ()), ("survival", (FIRST,)), ("hazard", (FIRST,)), ("cumulative_incidence", ()),
                        ("shares", ())):  # fmt: skip
        ours, theirs = (getattr(law_of(p, g), name)(at, *counted) for p, g in ((split, fine), (parameters, GRID)))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(law_of(split, fine).rmst(50), law_of(parameters, GRID).rmst(50))


@settings(deadline=None)
@given(trials, st.floats(0.05, 0.95))
def test_a_patient_in_two_pieces_is_the_same_patient(patients, share):
    """Watched until s and censored, then entering at s."""
    halfway = patients.entry + np.round(share * patients.follow_up * 16) / 16
    first = made(patients.entry, halfway - patients.entry, np.full(len(patients), -1))
    keep = halfway < patients.time
    entry = np.concatenate([first.entry, np.where(keep, halfway, patients.entry)])
    time, cause = np.concatenate([first.time, patients.time]), np.concatenate([first.cause, patients.cause])
    rows = np.concatenate([keep, np.ones(len(patients), bool)])
    both = made(entry[rows], (time - entry)[rows], cause[rows], np.concatenate([patients.arm, patients.arm])[rows])
    whole, pieces = (CureTable.of(p, GRID, "progression") for p in (patients, both))
    np.testing.assert_allclose(pieces.row_exposure, whole.row_exposure)  # what cancels leaves no row
    np.testing.assert_array_equal(pieces.row_count, whole.row_count)
    np.testing.assert_allclose(pieces.spent, whole.spent)
    np.testing.assert_allclose(pieces.table.exposure, whole.table.exposure, atol=1e-9)


# ---- the model

def check_twin(patients, priors, grid, cut):
    rows = 2 * len(patients)
    table = CureTable.of(patients, grid, "progression", rows=rows)
    model = cure_model(table, priors)
    names = [name for name in ("cured", "log_hazard_uncured", "log_hazard_other") if name in model]
    outputs = [*model.logp(vars=model.observed_RVs, sum=False),
               *model.replace_rvs_by_values([model[name] for name in names])]  # fmt: skip
    function = model.compile_fn(outputs, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")
    rng = np.random.default_rng(3)
    for refit in (table, CureTable.of(patients.take(cut), grid, "progression", rows=rows)):
        with model:
            for name, values in cure_data(refit, priors).items():
                model.set_data(name, values)
        for _ in range(3):
            point = {v.name: rng.normal(size=np.shape(x)) for v, x in
                     zip(model.value_vars, model.initial_point().values(), strict=True)}  # fmt: skip
            terms = function(point)
            parameters = dict(zip(names, terms[-len(names):], strict=True))
            total, twin = sum(term.sum() for term in terms[: -len(names)]), cure_log_likelihood(parameters, refit)
            assert abs(total - twin) < 1e-10 * max(1, abs(twin))


@pytest.mark.parametrize("others", [PRIORS.others, replace(PRIORS.others, effect=Separate())], ids=["same", "separate"])
def test_model_log_likelihood_equals_its_numpy_twin(mgus2_1985, grid12, others):
    check_twin(mgus2_1985, replace(PRIORS, others=others), grid12, mgus2_1985.time > 10)


def test_model_of_one_arm_one_cause_or_one_interval_equals_its_twin(mgus2_1985):
    keep = mgus2_1985.arm == 1
    one = mgus2_1985.take(keep, arm=np.zeros(keep.sum(), int), arms=("experimental",), arm_names=("low",))
    check_twin(one, PRIORS, GRID, one.time > 10)
    alone = mgus2_1985.count_only("progression")
    check_twin(alone, replace(PRIORS, others=None), TimeGrid(), alone.time > 10)


def test_model_with_delayed_entry_equals_its_twin():
    rng = np.random.default_rng(4)
    patients = made(rng.uniform(0, 20, 60) * (rng.random(60) < 0.6), rng.exponential(20, 60), rng.integers(-1, 2, 60))
    assert patients.delayed.any()
    check_twin(patients, PRIORS, GRID, patients.time > 10)


def test_prior_of_the_model_is_that_of_its_numpy_twin(mgus2_1985, grid12):
    import pymc as pm

    priors = replace(PRIORS, odds_ratio=OddsRatioPrior(1.5, 5), hazard_ratio=HazardRatioPrior(0.8, 2))
    names = ["cured", "log_hazard_uncured", "log_hazard_other", "smoothness_uncured", "smoothness", "log_odds_ratio",
             "log_hazard_ratio_uncured"]  # fmt: skip
    model = cure_model(CureTable.of(mgus2_1985, grid12, "progression"), priors)
    with model:
        draws = pm.draw([model[name] for name in names], draws=4000, random_seed=1, mode="FAST_COMPILE")
    twin = priors.sample(("death",), 2, grid12, 4000, rng=np.random.default_rng(2))
    for name, ours in zip(names, draws, strict=True):
        theirs = twin[name]
        assert ours.shape == theirs.shape, name
        error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 4000)
        assert np.abs((ours.mean(axis=0) - theirs.mean(axis=0)) / error).max() < 4.5, name
        spread = np.log(ours.std(axis=0) / theirs.std(axis=0))
        assert np.abs(spread).max() < 4.5 * np.sqrt(1.5 / 4000) * 1.6, name  # heavier tails than normal


def test_priors_are_what_they_say(grid12):
    found = PRIORS.sample(("death",), 2, grid12, 400_000, rng=np.random.default_rng(5))
    cured, half = found["cured"][:, 0], np.log(2) / np.exp(found["log_hazard_uncured"][:, 0, -1])
    ratio = np.exp(found["log_odds_ratio"])
    odds = found["cured"] / (1 - found["cured"])
    np.testing.assert_allclose(odds[:, 1] / odds[:, 0], ratio)
    for draws, median, upper in ((cured, 0.25, 0.6), (half, 18, 54), (ratio, 1, 4)):
        for value, level in ((median, 0.5), (upper, 0.975)):
            error = np.sqrt(level * (1 - level) / len(draws))
            assert abs((draws <= value).mean() - level) < 4 * error
    said = PRIORS.statements()
    low = expit(norm.ppf(0.025, PRIORS.cured.mean, PRIORS.cured.sd))
    assert said["cured share of control"] == f"95 % of prior cured shares between {low:.2g} and 0.6, median 0.25"
    assert "half have the event within 18 months, at most 54 (97.5 %)" in said["late hazard of the uncured"]
    assert {"odds ratio of being cured", "hazard ratio of the uncured", "baseline of death"} <= set(said)


def test_no_cause_besides_needs_no_prior_besides(grid12):
    found = replace(PRIORS, others=None).sample((), 1, grid12, 10, rng=np.random.default_rng(6))
    assert set(found) == {"cured", "log_hazard_uncured", "smoothness_uncured"}
    assert found["cured"].shape == (10, 1)


def test_the_crude_curve_is_near_the_maximum_of_the_likelihood():
    """It makes coordinates only, but a bad one would sample badly: with much data it maximises the likelihood."""
    rng = np.random.default_rng(7)
    time = np.where(rng.random(40_000) < 0.3, np.inf, rng.exponential(20, 40_000))
    patients = made(np.zeros(40_000), np.minimum(np.round(time, 1) + 0.05, 80), np.where(time < 80, 0, -1))
    table = CureTable.of(patients.count_only("progression"), TimeGrid((12, 24)), "progression")
    np.testing.assert_allclose(crude_curve(table, PRIORS).estimate, np.log(1 / 20), atol=0.06)


# ---- the anchored walk

@given(st.integers(0, 2**31))
def test_level_and_differences_have_determinant_one_whatever_the_weights(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 8))
    weights = rng.normal(size=size)
    weights += (1 - weights.sum()) / size

    def coordinates(values):
        return np.concatenate([[weights @ values], np.diff(values)])

    at, step = rng.normal(size=size), 0.5
    jacobian = np.stack([(coordinates(at + step * e) - coordinates(at - step * e)) / (2 * step)
                         for e in np.eye(size)], axis=1)  # fmt: skip
    assert abs(np.linalg.det(jacobian)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("weights", [None, [0, 0, 0, 1], [0.5, 0.2, 0.2, 0.1], [2, -1, 0, 0]], ids=str)
def test_the_prior_of_a_walk_is_its_normal_density(weights):
    """The model's density of the curve is that of the multivariate normal with the level's and the steps' variances."""
    import pymc as pm

    grid, prior = TimeGrid((6, 12, 30)), BaselinePrior(20, 60)
    curve = Curve.of_hazard(prior, np.array([3.0, 2, 9, 1]), np.array([100.0, 90, 200, 50]))
    given_weights = None if weights is None else np.array(weights, float)
    with pm.Model(coords={"line": ["one"], "interval": list(grid.labels)}) as model:
        smooth_curves("curve", [curve], SmoothnessPrior(), grid, dim="line", step="step", weights=given_weights)
    rng = np.random.default_rng(8)
    values, steps = rng.normal(-3, 1, (5, 1, 4)), rng.uniform(0.2, 2, (5, 1))
    found = Densities(model)({"curve": values, "step": steps})["curve"]
    used = np.full(4, 0.25) if given_weights is None else given_weights
    back = np.linalg.inv(np.vstack([used, np.diff(np.eye(4), axis=0)]))
    for value, step, density in zip(values[:, 0], steps[:, 0], found.ravel(), strict=True):
        variances = np.concatenate([[prior.sd**2], spacing(grid) * step**2])
        law = multivariate_normal(np.full(4, prior.mean), back @ np.diag(variances) @ back.T)
        assert density == pytest.approx(law.logpdf(value), abs=1e-8)


@pytest.mark.parametrize("weights", [None, [0, 0, 0, 1], [0.5, 0.2, 0.2, 0.1]], ids=str)
def test_the_coordinates_of_a_walk_go_there_and_back(weights):
    """The log density in the sampler's coordinates is that of the curve, plus a numerical Jacobian less a constant."""
    import pymc as pm

    grid = TimeGrid((6, 12, 30))
    curve = Curve.of_hazard(BaselinePrior(20, 60), np.array([3.0, 2, 9, 1]), np.array([100.0, 90, 200, 50]))
    weights = None if weights is None else np.array(weights, float)
    with pm.Model(coords={"line": ["one"], "interval": list(grid.labels)}) as model:
        smooth_curves("curve", [curve], SmoothnessPrior(), grid, dim="line", step="step", weights=weights)
    logp = model.compile_logp(mode="FAST_COMPILE")
    back = model.compile_fn(model.replace_rvs_by_values([model["curve"], model["step"]]), inputs=model.value_vars,
                            mode="FAST_COMPILE", on_unused_input="ignore")  # fmt: skip
    names, rng, apart = [v.name for v in model.value_vars], np.random.default_rng(9), []
    inner = next(name for name in names if name.startswith("curve"))
    for _ in range(4):
        point = {name: rng.normal(size=np.shape(x)) for name, x in model.initial_point().items()}
        value, step = back(point)
        moves = [np.zeros((1, 4)) for _ in range(4)]
        for place, move in enumerate(moves):
            move[0, place] = 0.5
        columns = [(back(point | {inner: point[inner] + move})[0] - back(point | {inner: point[inner] - move})[0])[0]
                   for move in moves]  # fmt: skip
        found = Densities(model)({"curve": value[None], "step": step[None]})
        wanted = sum(float(np.sum(term)) for term in found.values()) + np.log(step).sum()  # and the log scale of the step
        apart.append(float(logp(point)) - wanted - np.linalg.slogdet(np.array(columns))[1])
    assert np.ptp(apart) < 1e-8


def test_a_walk_anchored_at_the_end_has_the_stated_prior_there():
    rng, grid = np.random.default_rng(10), TimeGrid((6, 12, 24, 36, 60))
    mean, sd, step = (np.full(200_000, value) for value in (-3.0, 0.5, 0.8))
    draws = draw_walk(mean, sd, step, grid, last_interval(grid), rng=rng)
    assert draws[:, -1].mean() == pytest.approx(-3, abs=4 * 0.5 / np.sqrt(200_000))
    assert draws[:, -1].std() == pytest.approx(0.5, rel=4 / np.sqrt(400_000))
    np.testing.assert_allclose(np.diff(draws, axis=-1).var(axis=0), 0.64 * spacing(grid), rtol=0.02)
    assert np.abs(np.corrcoef(draws[:, -1], np.diff(draws, axis=-1).T)[0, 1:]).max() < 4.5 / np.sqrt(200_000)


def test_the_default_level_of_a_walk_is_its_mean():
    grid = TimeGrid((6, 12, 30))
    curve = Curve.of_hazard(BaselinePrior(20, 60), np.array([3.0, 2, 9, 1]), np.array([100.0, 90, 200, 50]))
    for name, values in whitening([curve], grid).items():
        np.testing.assert_array_equal(values, whitening([curve], grid, weights=np.full(4, 0.25))[name])
    ours, theirs = (draw_walk(np.zeros(50), np.ones(50), np.ones(50), grid, weights, rng=np.random.default_rng(1))
                    for weights in (None, np.full(4, 0.25)))  # fmt: skip
    np.testing.assert_allclose(ours, theirs, atol=1e-14)


# ---- the law and its estimands

AT = np.array([0.0, 3, 6, 12, 24, 30, 100])


def test_without_cure_every_estimand_is_that_of_piecewise_constant_hazards():
    parameters = drawn(np.random.default_rng(11), 2, 5, others=2)
    log_hazard = hazards(parameters)
    for share, within in ((0.0, 1e-12), (1e-13, 1e-11)):
        mixed = law_of(parameters | {"cured": np.full((2, 5, 2), share)}, GRID)
        law = PiecewiseExponential(np.logaddexp.reduce(log_hazard, axis=-2), GRID)
        first = PiecewiseExponential(log_hazard[..., 0, :], GRID)
        pairs = [(mixed.survival(AT), law.survival(AT)), (mixed.survival(AT, FIRST), first.survival(AT)),
                 (mixed.rmst(40), law.rmst(40)), (mixed.quantile(0.3), law.quantile(0.3)),
                 (mixed.cumulative_incidence(AT), cumulative_incidence(log_hazard, GRID, AT))]  # fmt: skip
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours, theirs, rtol=within, atol=within)
        np.testing.assert_allclose(mixed.hazard(AT[:-1], FIRST), first.hazard(AT[:-1]), rtol=1e-4)  # few are left at 100
        np.testing.assert_allclose(mixed.shares(0.0)[..., 0, 0], share, rtol=1e-12)


def draws_of(parameters):
    dims = ("chain", "draw", "arm", "cause", "interval")
    coords = {"arm": ["control", "experimental"], "cause": list(CAUSES)}
    log_hazard = xr.DataArray(hazards(parameters), dims=dims, coords=coords | {"chain": [0, 1], "draw": range(5)})
    cured = xr.DataArray(parameters["cured"], dims=dims[:3], coords={n: log_hazard[n] for n in dims[:3]})
    return cured, log_hazard


def test_without_cure_named_estimands_are_the_ordinary_ones():
    parameters = drawn(np.random.default_rng(12), 2, 5)
    parameters["cured"][:] = 0
    log_hazard = draws_of(parameters)[1]
    theirs = Estimands(Law.of_draws(log_hazard, GRID), horizon=120)
    ours = replace(theirs, law=law_of(parameters, GRID))
    ours_alone, alone = (replace(one, causes=FIRST) for one in (ours, theirs))
    for found, expected in (
        (ours.survival_curve(AT), theirs.survival_curve(AT)), (ours_alone.survival_curve(AT), alone.survival_curve(AT)),
        (ours_alone.hazard_curve(AT), alone.hazard_curve(AT)), (ours.rmst(), theirs.rmst()),
        (ours.rmst(30), theirs.rmst(30)), (ours.median_survival(120), theirs.median_survival(120)),
        (ours.cumulative_incidence_curve(AT), theirs.cumulative_incidence_curve(AT)),
        (ours.milestone_difference(24), theirs.milestone_difference(24)),
        (ours.rmst_difference(24), theirs.rmst_difference(24)),
    ):  # fmt: skip
        xr.testing.assert_allclose(found, expected, rtol=1e-11)


def test_estimands_are_those_of_the_law():
    parameters = drawn(np.random.default_rng(13), 2, 5)
    cured, log_hazard = draws_of(parameters)
    posterior = xr.Dataset({"cured": cured, "log_hazard_uncured": log_hazard.isel(cause=0, drop=True),
                            "log_hazard_other": log_hazard.isel(cause=[1])})  # fmt: skip
    patients = made([0, 0, 0, 0], [10, 20, 30, 40], [0, 1, -1, -1])
    law, of = law_of(parameters, GRID), Cure(CureTable.of(patients, GRID, "progression"), PRIORS).law(posterior)
    found = Estimands(of, horizon=120)
    assert found.survival_curve(AT).dims == ("chain", "draw", "arm", "time")
    assert list(found.cumulative_incidence_curve(AT)["cause"].values) == list(CAUSES)
    np.testing.assert_array_equal(of.shares(AT), law.shares(AT))
    np.testing.assert_array_equal(found.survival_curve(AT).values, law.survival(AT))
    mean = law.rmst(24)
    np.testing.assert_allclose(found.rmst_difference(24).values, mean[..., 1] - mean[..., 0])
    turned = cure_law(parameters, GRID, CAUSES[::-1], curable="progression")  # the curable cause need not be the first
    np.testing.assert_array_equal(turned.survival(AT), law.survival(AT))
    np.testing.assert_array_equal(turned.cumulative_incidence(AT)[..., ::-1, :], law.cumulative_incidence(AT))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.floats(0.5, 90))
def test_restricted_mean_and_incidence_are_integrals(seed, horizon):
    parameters = drawn(np.random.default_rng(seed), others=2)
    law = law_of(parameters, GRID)
    points = [cut for cut in GRID.cuts if cut < horizon] or None
    others = PiecewiseExponential(parameters["log_hazard_other"][:, 0, :], GRID)
    for arm in (0, 1):
        area = quad(lambda t, arm=arm: law.survival(t)[arm, 0], 0, horizon, points=points)[0]
        assert law.rmst(horizon)[arm] == pytest.approx(area, rel=1e-7)
        incidence = law.cumulative_incidence(horizon)[arm, :, 0]
        leaving = quad(lambda t, arm=arm: (law.hazard(t, FIRST) * law.survival(t))[arm, 0], 0, horizon, points=points)[0]
        assert incidence[0] == pytest.approx(leaving, rel=1e-6)
        dying = quad(lambda t, arm=arm: (others.hazard(t) * law.survival(t))[arm, 0], 0, horizon, points=points)[0]
        assert incidence[1] == pytest.approx(dying, rel=1e-6)
    np.testing.assert_allclose(law.cumulative_incidence(AT).sum(axis=-2) + law.survival(AT), 1, atol=1e-12)


def test_net_survival_levels_off_at_the_cured_share():
    parameters = drawn(np.random.default_rng(14), 20)
    law, cured = law_of(parameters, GRID), parameters["cured"]
    at = np.array([0.0, 10, 100, 1e3, 1e5])
    assert (np.diff(law.survival(at, FIRST), axis=-1) <= 0).all()
    np.testing.assert_allclose(law.survival(1e5, FIRST)[..., 0], cured, rtol=1e-12)
    np.testing.assert_allclose(law.shares(0.0)[..., 0, 0], cured)
    np.testing.assert_allclose(law.shares(1e4)[..., 0, 0], 1)
    assert (law.survival(1e5) < 1e-12).all()  # nobody is cured of the other causes
    alone = law_of({name: parameters[name] for name in ("cured", "log_hazard_uncured")}, GRID)  # no other causes
    np.testing.assert_allclose(alone.survival(1e5)[..., 0], cured, rtol=1e-12)
    np.testing.assert_allclose(alone.rmst(1e6) / 1e6, cured, rtol=0.1)
    never = cured > 0.5
    assert never.any()
    np.testing.assert_array_equal(np.isinf(alone.quantile(0.5)), never)
    found = alone.quantile(0.5)[~never]
    every = alone._survival_at(np.where(never, 1.0, alone.quantile(0.5)), None)[~never]
    assert found.size
    np.testing.assert_allclose(every, 0.5, rtol=1e-9)


def test_the_hazard_falls_although_that_of_the_uncured_does_not():
    law = law_of({"cured": np.array([0.4]), "log_hazard_uncured": np.log([[0.04, 0.05, 0.06]]),
                  "log_hazard_other": np.log([[[0.01, 0.01, 0.01]]])}, GRID)  # fmt: skip
    at = np.array([1.0, 5.9])
    around = np.stack([at - 1e-5, at + 1e-5], axis=1).ravel()
    slope = -np.diff(np.log(law.survival(around, FIRST)[0]).reshape(2, 2))[:, 0]
    np.testing.assert_allclose(law.hazard(at, FIRST)[0], slope / 2e-5, rtol=1e-6)
    inside = [law.hazard(np.linspace(low + 1e-6, high, 20), FIRST) for low, high in ((0, 6), (6, 24), (24, 90))]
    assert all((np.diff(values) < 0).all() for values in inside)
    assert law.hazard(90.0, FIRST)[0, 0] < 0.1 * law.hazard(6.0, FIRST)[0, 0]


def test_sampled_times_have_the_law():
    rng, size = np.random.default_rng(15), 100_000
    given = {"cured": np.array([0.3]), "log_hazard_uncured": np.log([[0.08, 0.05, 0.03]]),
             "log_hazard_other": np.log([[[0.004, 0.006, 0.01]]])}  # fmt: skip
    one = law_of(given, GRID)
    time, cause, component = one.sample(np.zeros(size, int), rng=rng)
    assert abs((component == 0).mean() - 0.3) < 4 * np.sqrt(0.21 / size)
    assert not np.any((component == 0) & (cause == 0))  # the cured never have the curable event
    for at in (3.0, 12.0, 60.0):
        shares = [(time > at).mean(), *((time <= at) & (cause == which) for which in (0, 1))]
        expected = [one.survival(at)[0, 0], *one.cumulative_incidence(at)[0, :, 0]]
        for share, exact in zip(shares, expected, strict=True):
            assert abs(np.mean(share) - exact) < 4 * np.sqrt(exact * (1 - exact) / size)
    alone = law_of({name: given[name] for name in ("cured", "log_hazard_uncured")}, GRID)
    time, cause, _ = alone.sample(np.zeros(size, int), rng=rng)
    assert abs(np.isinf(time).mean() - 0.3) < 4 * np.sqrt(0.21 / size)
    np.testing.assert_array_equal(cause, np.where(np.isinf(time), -1, 0))
    known = alone.sample(np.zeros(10, int), rng=rng, component=np.arange(10) % 2)
    np.testing.assert_array_equal(np.isinf(known[0]), np.arange(10) % 2 == 0)
