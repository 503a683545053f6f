"""Association of MRD with survival: exact identities of the parts of a difference, of Plackett's law and of the model."""

from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import logit
from scipy.stats import halfnorm, norm

from smm_bayes.inference.densities import Densities
from smm_bayes.surrogacy import (
    GlobalOddsPriors,
    GlobalOddsTable,
    MilestoneEffects,
    SharePrior,
    global_odds_ratio_data,
    global_odds_ratio_log_likelihood,
    global_odds_ratio_model,
    implied_odds_ratio,
    landmark_patients,
    landmark_regression,
    plackett_at,
    plackett_below,
    plackett_distribution,
    plackett_pairs,
    survival_by_status,
)
from smm_bayes.survival import (
    BaselinePrior,
    GammaPrior,
    PiecewiseExponential,
    Separate,
    SurvivalPriors,
    TimeGrid,
    log_likelihood,
    patient_log_likelihood,
)

GRID = TimeGrid((4, 12))
PRIORS = GlobalOddsPriors(SurvivalPriors({"progression": BaselinePrior(30, 120), "death": BaselinePrior(120, 480)}),
                          SharePrior(0.3, 0.6))  # fmt: skip
inside = st.floats(0.01, 0.99)
odds_ratios = st.floats(-5, 5).map(np.exp)


def drawn(rng, statuses=4, shape=(2, 25)):
    """Survival, shares and later survival of made-up draws."""
    return (rng.uniform(0.5, 1, (*shape, 2)), rng.dirichlet(np.ones(statuses), (*shape, 2)),
            rng.uniform(0.2, 0.9, (*shape, 2, statuses)))  # fmt: skip


def effects(survival, share, later):
    return MilestoneEffects(survival, share, later, landmark=12, time=36, delta_min=0.0)


def statuses(patients, rng, unknown=0.2):
    """Any status, or none."""
    return rng.choice([-1, 0, 1], len(patients), p=[unknown, 0.6 * (1 - unknown), 0.4 * (1 - unknown)])


def parameters(rng, size=3, arms=2, causes=2, associations=1):
    return {"log_hazard": rng.normal(-3.5, 0.7, (size, arms, causes, 3)), "negative": rng.uniform(0.1, 0.9, (size, arms)),
            "log_global_odds_ratio": rng.normal(0, 1.5, (size, associations))}  # fmt: skip


# the parts of a difference


def test_parts_sum_to_the_difference():
    for statuses_ in (2, 8):
        found = effects(*drawn(np.random.default_rng(statuses_), statuses_))
        parts = found.before_landmark + found.mrd + found.residual
        np.testing.assert_allclose(parts, found.difference, atol=1e-14)
        # another order of the same sum, which a slip in a weight would not survive
        wrong = found.before_landmark + found.mrd + found.residual * found.survival[..., 1] / found.survival[..., 0]
        assert np.abs(wrong - found.difference).max() > 0.01


def test_difference_is_that_of_simulated_patients():
    """Patients made one by one: at the landmark or not, a status, and alive later or not."""
    rng, size = np.random.default_rng(1), 400_000
    survival, share, later = (values[:1, :1] for values in drawn(rng, 3))
    alive, crossed = [], []
    for arm in (0, 1):
        there = rng.random(size) < survival[0, 0, arm]
        status = rng.choice(3, size, p=share[0, 0, arm])
        alive.append((there & (rng.random(size) < later[0, 0, arm, status])).mean())
        there, status = rng.random(size) < survival[0, 0, 0], rng.choice(3, size, p=share[0, 0, 0])
        crossed.append((there & (rng.random(size) < later[0, 0, arm, status])).mean())
    found, error = effects(survival, share, later), 4 * np.sqrt(0.5 / size)
    assert alive[1] - alive[0] == pytest.approx(found.difference.item(), abs=error)
    assert crossed[1] - crossed[0] == pytest.approx(found.residual.item(), abs=error)
    assert abs(found.difference.item() - found.residual.item()) > 3 * error  # the two can be told apart


def test_equal_shares_and_survival_leave_it_all_to_the_residual():
    survival, share, later = drawn(np.random.default_rng(2))
    survival[..., 1], share[..., 1, :] = survival[..., 0], share[..., 0, :]
    found = effects(survival, share, later)
    np.testing.assert_allclose(found.residual, found.difference, atol=1e-14)
    np.testing.assert_allclose(found.mrd, 0, atol=1e-14)


def test_equal_later_survival_leaves_no_residual():
    survival, share, later = drawn(np.random.default_rng(3))
    later[..., 1, :] = later[..., 0, :]
    found = effects(survival, share, later)
    np.testing.assert_allclose(found.residual, 0, atol=1e-14)
    assert np.abs(found.mrd).max() > 0.01


def test_equal_survival_at_the_landmark_leaves_no_part_before_it():
    survival, share, later = drawn(np.random.default_rng(4))
    survival[..., 1] = survival[..., 0]
    np.testing.assert_allclose(effects(survival, share, later).before_landmark, 0, atol=1e-14)


def test_exchanged_arms_change_the_sign():
    survival, share, later = drawn(np.random.default_rng(5))
    there = effects(survival, share, later)
    back = effects(survival[..., ::-1], share[..., ::-1, :], later[..., ::-1, :])
    np.testing.assert_allclose(back.difference, -there.difference, atol=1e-14)


def test_proportion_is_one_less_the_ratio_and_one_without_residual():
    survival, share, later = drawn(np.random.default_rng(6), 2)
    share[..., 0, :], share[..., 1, :] = (0.8, 0.2), (0.3, 0.7)
    later[..., 0], later[..., 1], survival[:] = 0.4, 0.8, 0.9
    found = effects(survival, share, later)
    np.testing.assert_allclose(found.proportion, 1, atol=1e-12)
    later[..., 1, :] += 0.05
    found = effects(survival, share, later)
    np.testing.assert_allclose(found.proportion, (found.mrd + found.before_landmark) / found.difference, atol=1e-12)


# odds ratios


def test_implied_odds_ratio_of_two_statuses_is_that_of_survival():
    _, share, later = drawn(np.random.default_rng(7), 2)
    wanted = np.exp(logit(later[..., 1]) - logit(later[..., 0]))
    np.testing.assert_allclose(implied_odds_ratio(share, later), wanted, rtol=1e-10)


def test_implied_odds_ratio_of_paths_is_that_of_the_statuses_merged():
    _, share, later = drawn(np.random.default_rng(8), 4)
    negative = np.array([False, True, False, True])  # negative at the first of two visits
    merged = np.stack([share[..., ~negative].sum(-1), share[..., negative].sum(-1)], -1)
    alive = np.stack([(share * later)[..., ~negative].sum(-1), (share * later)[..., negative].sum(-1)], -1) / merged
    np.testing.assert_allclose(implied_odds_ratio(share, later, negative), implied_odds_ratio(merged, alive), rtol=1e-10)


@pytest.mark.parametrize("month", [1.0, 7.0, 30.0])
def test_the_copula_implies_its_own_odds_ratio_at_every_month(month):
    rng = np.random.default_rng(9)
    for associations in (1, 2):
        point = parameters(rng, associations=associations)
        share, later = survival_by_status(point, GRID, month)
        wanted = np.broadcast_to(np.exp(point["log_global_odds_ratio"]), (3, 2))
        np.testing.assert_allclose(implied_odds_ratio(share, later), wanted, rtol=1e-9)
        total = np.log(np.exp(point["log_hazard"]).sum(axis=-2))
        margin = PiecewiseExponential(total, GRID).survival(month)[..., 0]
        np.testing.assert_allclose((share * later).sum(-1), margin, rtol=1e-12)


# Plackett's law


@settings(max_examples=200, deadline=None)
@given(inside, inside, odds_ratios)
def test_distribution_solves_the_odds_ratio_and_is_the_textbook_one(u, v, theta):
    c = plackett_distribution(u, v, theta)
    assert max(0, u + v - 1) < c < min(u, v)
    assert c * (1 - u - v + c) / ((u - c) * (v - c)) == pytest.approx(theta, rel=1e-6)
    if abs(theta - 1) > 1e-3:
        a = 1 + (u + v) * (theta - 1)
        assert c == pytest.approx((a - np.sqrt(a**2 - 4 * u * v * theta * (theta - 1))) / (2 * (theta - 1)), rel=1e-9)


@settings(max_examples=200, deadline=None)
@given(inside, inside, odds_ratios)
def test_conditional_is_the_derivative_of_the_distribution(u, v, theta):
    step = 1e-5 * min(v, 1 - v)
    slope = (plackett_distribution(u, v + step, theta) - plackett_distribution(u, v - step, theta)) / (2 * step)
    assert plackett_at(u, v, theta) == pytest.approx(slope, abs=2e-6)


@settings(max_examples=100, deadline=None)
@given(inside, inside, odds_ratios)
def test_exchanging_the_statuses_inverts_the_odds_ratio(u, v, theta):
    for of in (plackett_at, plackett_below):
        assert of(u, v, theta) + of(1 - u, v, 1 / theta) == pytest.approx(1, abs=1e-12)


def test_independence_and_its_neighbourhood():
    """At θ = 1 exactly uv; close to it the series uv + uv(1 − u)(1 − v)(θ − 1) + …, where the textbook form fails."""
    u, v = np.meshgrid(np.linspace(0.05, 0.95, 7), np.linspace(0.05, 0.95, 7))
    np.testing.assert_allclose(plackett_distribution(u, v, 1.0), u * v, rtol=1e-15)
    np.testing.assert_allclose(plackett_at(u, v, 1.0), u, rtol=1e-14)
    for k in (1e-6, -1e-6, 1e-9, 1e-12):
        series = u * v * (1 + (1 - u) * (1 - v) * k)
        np.testing.assert_allclose(plackett_distribution(u, v, 1 + k), series, rtol=1e-11)
        slope = u * (1 + (1 - u) * (1 - 2 * v) * k)
        np.testing.assert_allclose(plackett_at(u, v, 1 + k), slope, rtol=1e-11)
    a = 1 + (u + v) * 1e-12
    textbook = (a - np.sqrt(a**2 - 4 * u * v * (1 + 1e-12) * 1e-12)) / 2e-12
    assert np.abs(textbook / (u * v) - 1).max() > 1e-5


@pytest.mark.parametrize("log_theta", [-7, -3, 3, 7])
def test_twelve_digits_are_right(log_theta):
    """Against the textbook form with 80 digits."""
    theta = float(np.exp(log_theta))
    for u in (0.01, 0.5, 0.99):
        for v in (1e-8, 0.01, 0.5, 0.99, 1 - 1e-9):
            with localcontext(prec=80):
                exact_u, exact_v, ratio = Decimal(u), Decimal(v), Decimal(theta)
                a, b = 1 + (exact_u + exact_v) * (ratio - 1), 1 + exact_v * (ratio - 1) - exact_u * (ratio + 1)
                root = (a * a - 4 * exact_u * exact_v * ratio * (ratio - 1)).sqrt()
                both, at = (a - root) / (2 * (ratio - 1)), (root - b) / (2 * root)
            assert plackett_distribution(u, v, theta) == pytest.approx(float(both), rel=1e-12)
            assert plackett_at(u, v, theta) == pytest.approx(float(at), rel=1e-12)


def test_conditional_probabilities_integrate_to_the_share():
    for u, theta in ((0.3, 8.0), (0.7, 0.05)):
        assert quad(lambda v, u=u, theta=theta: plackett_at(u, v, theta), 0, 1)[0] == pytest.approx(u, abs=1e-9)
        mass = quad(lambda v, u=u, theta=theta: plackett_at(u, v, theta), 0, 0.4)[0]
        assert mass == pytest.approx(plackett_distribution(u, 0.4, theta), abs=1e-9)


@pytest.mark.parametrize("theta", [0.1, 1.0, 6.0])
def test_pairs_follow_the_law(theta):
    size = 200_000
    u, v = plackett_pairs(theta, size, rng=np.random.default_rng(10))
    for a, b in ((0.3, 0.2), (0.5, 0.5), (0.2, 0.9)):
        p = plackett_distribution(a, b, theta)
        assert ((u <= a) & (v <= b)).mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / size))
    if theta != 1:  # the law turned round would be seen
        p, turned = plackett_distribution(0.5, 0.5, theta), plackett_distribution(0.5, 0.5, 1 / theta)
        assert abs(p - turned) > 40 * np.sqrt(p * (1 - p) / size)


# the model


def test_with_no_association_the_likelihood_is_that_of_survival_and_of_the_shares(simulate):
    rng, patients = np.random.default_rng(11), simulate()
    landmark = landmark_patients(patients, statuses(patients, rng), 3.0, keep_unknown=True)
    table, point = GlobalOddsTable.of(landmark, GRID), parameters(rng)
    point["log_global_odds_ratio"][:] = 0.0
    negative, others = ([(landmark.negative[landmark.patients.arm == a] == code).sum() for a in (0, 1)] for code in (1, 0))
    shares = (negative * np.log(point["negative"]) + others * np.log1p(-point["negative"])).sum(axis=-1)
    survival = log_likelihood(point["log_hazard"], GRID.tabulate(landmark.patients))
    np.testing.assert_allclose(global_odds_ratio_log_likelihood(point, table), survival + shares, rtol=1e-12)


def test_without_statuses_only_the_margin_is_left(simulate):
    rng, patients = np.random.default_rng(12), simulate()
    landmark = landmark_patients(patients, statuses(patients, rng), 3.0, keep_unknown=True)
    table, point = GlobalOddsTable.of(landmark, GRID), parameters(rng)
    nobody = replace(table, row_known=np.zeros(len(table.row_known)), row_negative=np.zeros(len(table.row_known)))
    margin = patient_log_likelihood(point["log_hazard"], landmark.patients, GRID).sum(axis=-1)
    np.testing.assert_allclose(global_odds_ratio_log_likelihood(point, nobody), margin, rtol=1e-12)


def by_patient(point, landmark, draw):
    """Log likelihood patient by patient from the joint distribution: differences in time are its density."""
    patients, total = landmark.patients, 0.0
    by_cause = np.exp(point["log_hazard"][draw])

    def joint(arm, status, time):
        """P(M = status, T > time)."""
        alive = np.exp(-(GRID.exposure(np.array(time)) * by_cause[arm].sum(axis=0)).sum())
        associations = point["log_global_odds_ratio"][draw]
        theta, u = np.exp(associations[arm if len(associations) > 1 else 0]), point["negative"][draw, arm]
        a = 1 + (u + alive) * (theta - 1)
        both = (a - np.sqrt(a**2 - 4 * u * alive * theta * (theta - 1))) / (2 * (theta - 1))
        return {1: both, 0: alive - both, -1: alive}[status]

    for i in range(len(patients)):
        arm, status, time = patients.arm[i], landmark.negative[i], patients.time[i]
        if not patients.event[i]:
            total += np.log(joint(arm, status, time))
            continue
        low, high = time - 1e-5, time
        share = by_cause[arm, patients.cause[i], GRID.index(time)] / by_cause[arm, :, GRID.index(time)].sum()
        total += np.log((joint(arm, status, low) - joint(arm, status, high)) / 1e-5 * share)
    return total


@pytest.mark.parametrize("associations", [1, 2])
def test_likelihood_is_that_of_the_joint_distribution(simulate, associations):
    rng, patients = np.random.default_rng(13), simulate(60)
    landmark = landmark_patients(patients, statuses(patients, rng), 2.0, keep_unknown=True)
    table, point = GlobalOddsTable.of(landmark, GRID), parameters(rng, associations=associations)
    assert landmark.patients.events > 10
    found = global_odds_ratio_log_likelihood(point, table)
    for draw in range(3):
        assert found[draw] == pytest.approx(by_patient(point, landmark, draw), abs=2e-3)
    # events taken as if they were censored, or the odds ratio turned round, do not fit
    late = replace(table, row_event=np.zeros(len(table.row_event), bool))
    assert np.abs(global_odds_ratio_log_likelihood(point, late) - found).min() > 0.1
    turned = point | {"log_global_odds_ratio": -point["log_global_odds_ratio"]}
    assert np.abs(global_odds_ratio_log_likelihood(turned, table) - found).min() > 0.1


@pytest.mark.parametrize("by_arm", [False, True])
@pytest.mark.parametrize("survival", [PRIORS.survival, replace(PRIORS.survival, effect=Separate()), GammaPrior()],
                         ids=("shared", "separate", "gamma"))  # fmt: skip
def test_twin_is_the_model(simulate, by_arm, survival):
    rng, patients = np.random.default_rng(14), simulate(60)
    priors = replace(PRIORS, by_arm=by_arm, survival=survival)
    landmark = landmark_patients(patients, statuses(patients, rng), 2.0, keep_unknown=True)
    other = landmark_patients(patients, statuses(patients, rng), 5.0, keep_unknown=True)
    first, second = (GlobalOddsTable.of(one, GRID, rows=70) for one in (landmark, other))
    model = global_odds_ratio_model(first, priors)
    names = ("log_hazard", "negative", "log_global_odds_ratio")
    wanted = [*model.logp(vars=model.observed_RVs, sum=False),
              *model.replace_rvs_by_values([model[name] for name in names])]  # fmt: skip
    function = model.compile_fn(wanted, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")
    for table in (first, second):
        with model:
            for name, values in global_odds_ratio_data(table, priors).items():
                model.set_data(name, values)
        for scale in (0.5, 1.5):
            point = {name: rng.normal(0, scale, np.shape(x)) for name, x in model.initial_point().items()}
            *terms, hazard, negative, association = function(point)
            values = dict(zip(names, (hazard, negative, association), strict=True))
            twin = global_odds_ratio_log_likelihood(values, table)
            assert sum(float(np.sum(term)) for term in terms) == pytest.approx(float(twin), rel=1e-10)
    assert association.shape == (2 if by_arm else 1,)


def test_model_draws_statuses_with_the_probabilities_of_the_twin(simulate):
    import pymc as pm

    rng, patients = np.random.default_rng(19), simulate(30)
    table = GlobalOddsTable.of(landmark_patients(patients, statuses(patients, rng, 0.0), 2.0), GRID)
    model, point = global_odds_ratio_model(table, PRIORS), parameters(rng, size=1)
    values = {"log_hazard": point["log_hazard"][0], "log_global_odds_ratio": point["log_global_odds_ratio"][0],
              "logit_negative": logit(point["negative"][0, 0]),
              "log_odds_ratio": logit(point["negative"][0, 1]) - logit(point["negative"][0, 0])}  # fmt: skip
    draws = pm.draw(pm.do(model, values)["statuses"], 4000, random_seed=20, mode="FAST_COMPILE")
    one = {name: value[0] for name, value in point.items()}
    for row in range(len(table.row_known)):
        only = {name: getattr(table, name)[row : row + 1] for name in ("row_arm", "row_event", "row_exposure")}
        p, q = (np.exp(global_odds_ratio_log_likelihood(one, replace(table, **only, row_known=np.ones(1), row_negative=k))
                       - log_likelihood(one["log_hazard"], table.table)) for k in (np.ones(1), np.zeros(1)))  # fmt: skip
        assert p + q == pytest.approx(1)
        spread = np.sqrt(p * q / table.row_known[row] / 4000)
        assert draws[:, row].mean() / table.row_known[row] == pytest.approx(p, abs=4.5 * spread)


def test_single_arm_has_no_contrast(simulate):
    rng, both = np.random.default_rng(15), simulate(80)
    one = replace(both, arm=np.zeros(len(both), int), arms=("experimental",), arm_names=("all",))
    table = GlobalOddsTable.of(landmark_patients(one, statuses(one, rng, 0.0), 2.0), GRID)
    model = global_odds_ratio_model(table, PRIORS)
    assert "log_odds_ratio" not in model.named_vars
    point = parameters(rng, arms=1)
    assert np.isfinite(global_odds_ratio_log_likelihood(point, table)).all()


def test_priors_of_the_model_are_those_stated_and_those_drawn(simulate):
    rng, patients = np.random.default_rng(16), simulate(40)
    table = GlobalOddsTable.of(landmark_patients(patients, statuses(patients, rng, 0.0), 2.0), GRID)
    draws = PRIORS.sample(table.table.causes, table.table.arms, GRID, 20_000, rng=rng)
    laws = {
        "logit_negative": norm(logit(0.3), (logit(0.6) - logit(0.3)) / norm.ppf(0.975)),
        "log_odds_ratio": norm(0, np.log(10) / norm.ppf(0.975)),
        "log_global_odds_ratio": norm(0, np.log(20) / norm.ppf(0.975)),
        "smoothness": halfnorm(scale=PRIORS.survival.smoothness.scale),
    }  # fmt: skip
    few = {name: values[:5] for name, values in draws.items()}
    hazard = few["log_hazard"]
    values = {**{name: few[name] for name in laws}, "log_baseline": hazard[:, 0],
              "log_hazard_ratio": few["log_hazard_ratio"]}  # fmt: skip
    found = Densities(global_odds_ratio_model(table, PRIORS))(values)
    for name, law in laws.items():
        np.testing.assert_allclose(found[name], law.logpdf(few[name]).reshape(found[name].shape), rtol=1e-9)
        assert draws[name].mean() == pytest.approx(law.mean(), abs=4 * law.std() / np.sqrt(draws[name].size))
    low, middle, high = np.quantile(draws["negative"][:, 0], [0.025, 0.5, 0.975])
    assert (middle, high) == pytest.approx((0.3, 0.6), abs=0.02)
    assert f"{low:.1f}" in str(PRIORS.negative)


# the landmark


def test_landmark_keeps_events_and_exposure_after_it(simulate):
    rng, patients = np.random.default_rng(17), simulate()
    landmark = landmark_patients(patients, statuses(patients, rng, 0.0), 6.0)
    whole, after = (TimeGrid((6, 10, 20)).tabulate(patients), TimeGrid((4, 14)).tabulate(landmark.patients))
    np.testing.assert_allclose(after.exposure, whole.exposure[:, 1:], atol=1e-9)
    np.testing.assert_array_equal(after.events, whole.events[..., 1:])
    ends = (value.enrolled + value.time for value in (patients.take(patients.time > 6), landmark.patients))
    np.testing.assert_allclose(*ends, atol=1e-12)


def test_landmark_regression_is_by_arm_and_status(simulate):
    rng, patients = np.random.default_rng(18), simulate()
    landmark = landmark_patients(patients, statuses(patients, rng), 6.0)
    table, priors = landmark_regression(landmark, GRID, PRIORS.survival)
    assert len(table) == 4
    for row in range(4):
        mine = (landmark.patients.arm == table.arm[row]) & (landmark.negative == table.covariates[row, 0])
        assert table.patients[row] == mine.sum()
        assert table.exposure[row].sum() == pytest.approx(landmark.patients.time[mine].sum())
    priors.check(table)
