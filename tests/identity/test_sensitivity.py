"""The answer under other assumptions: nothing changed is the answer to the last bit, and changes have their closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.analysis.sensitivity.defaults import WIDER
from smm_bayes.analysis.sensitivity.weights import prior_factors
from smm_bayes.errors import SpecificationError
from smm_bayes.prediction import Enrolment, FinalAnalysis, Future, LogRank, probability_of_success
from smm_bayes.prediction.completion import Completion
from smm_bayes.prediction.reweighting import reweight
from smm_bayes.priors.factors import log_ratio
from smm_bayes.survival import (
    BaselinePrior,
    GammaPrior,
    HazardRatioPrior,
    SmoothnessPrior,
    SurvivalPriors,
    TimeGrid,
)
from smm_bayes.survival.effects import Separate, Varying, Waning
from smm_bayes.survival.law import Law
from smm_bayes.survival.one_trial import OneTrial
from smm_bayes.trial import Patients

SIZE, DRAWS, CUT = 60, 4000, 10.0  # patients of an arm, posterior draws, months followed


def followed(lost: int = 0) -> Patients:
    """Two arms of sixty, followed for ten months without event; the first few of each arm lost then."""
    arm = np.repeat([0, 1], SIZE)
    reason = np.where(np.tile(np.arange(SIZE), 2) < lost, "lost", "administrative").astype(object)
    return Patients(
        patient=np.array([f"{i:03d}" for i in range(2 * SIZE)], dtype=object), arm=arm, time=np.full(2 * SIZE, CUT),
        event=np.zeros(2 * SIZE, bool), cause=np.full(2 * SIZE, -1), censoring=reason, enrolled=np.zeros(2 * SIZE),
        arms=("control", "experimental"), arm_names=("A", "B"), causes=("progression", "death"), data_cutoff=CUT,
        provenance="simulated",
    )  # fmt: skip


PROGRESSION, DEATH = (0.05, 0.02), 0.01  # a month: progression of control and experimental, death of both


def law(components: int = 1) -> Law:
    """Constant hazards in two intervals, the same in every draw and component."""
    hazard = np.array([[[rate] * 2, [DEATH] * 2] for rate in PROGRESSION])
    shape = (1, DRAWS, 2, components, 2, 2)
    share = np.full((1, DRAWS, 2, components), -math.log(components))
    return Law(np.log(np.broadcast_to(hazard[:, None], shape)), share, TimeGrid([20.0]), ("control", "experimental"),
               ("progression", "death"))  # fmt: skip


def completed(future: Future | None = None, *, months: float = 24.0, lost: int = 0, seed: int = 5, **options):
    final = FinalAnalysis("date", date=CUT + months, causes=("progression",))
    settings = {"rule": LogRank(alpha=0.025), "final": final, "replicates": DRAWS, "progress": False} | options
    return probability_of_success(followed(lost), settings.pop("law", law()), seed=seed, future=future, **settings)


def assert_share(events: np.ndarray, number: int, share: float) -> None:
    """The mean number of events is ``number · share``, within 4 Monte Carlo errors of independent patients."""
    assert abs(events.mean() - number * share) < 4 * math.sqrt(number * share * (1 - share) / len(events))


def incidence(rate: float, others: float, months: float) -> float:
    """Probability of an event of constant hazard within so many months, while others compete."""
    return rate / (rate + others) * (1 - math.exp(-(rate + others) * months))


# --- the time to come ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("future", [
    None, Future(), Future(control_hazard=1.0, hazard=1.0, accrual=1.0), Future(dropout={"control": 0.0}),
    Future(informative={"experimental": 5.0}),
], ids=str)  # fmt: skip
def test_a_future_that_changes_nothing_is_the_answer_to_the_last_bit(future) -> None:
    """Factors of 1, losses of nobody, and lost patients followed on where nobody was lost."""
    base, found = completed(), completed(future)
    assert np.array_equal(base.columns["z"], found.columns["z"])
    assert found.difference(base).difference == found.difference(base).discordant == 0


def test_without_effect_both_arms_have_the_hazards_of_control() -> None:
    """From now on is the law made by hand, to the last bit; later, control's share after the month and its own before."""
    by_hand = law()
    log_hazard = by_hand.log_hazard.copy()
    log_hazard[:, :, 1] = log_hazard[:, :, 0]
    found = completed(Future(effect_gone_after=0.0))
    assert np.array_equal(found.columns["z"], completed(law=replace(by_hand, log_hazard=log_hazard)).columns["z"])
    late, own = 24.0 - 5.0, incidence(PROGRESSION[1], DEATH, 5.0)  # gone 15 months after enrolment: 5 after the cut
    free = math.exp(-(PROGRESSION[1] + DEATH) * 5.0)
    gone = completed(Future(effect_gone_after=CUT + 5.0))
    assert_share(gone.columns["experimental:progression"], SIZE, own + free * incidence(PROGRESSION[0], DEATH, late))
    assert np.array_equal(gone.columns["control:progression"], completed().columns["control:progression"])


def test_factors_are_on_the_hazards_of_counted_causes() -> None:
    """Progression counts and death does not: a factor on control's, and on those of both arms."""
    found = completed(Future(control_hazard=2.0))
    assert_share(found.columns["control:progression"], SIZE, incidence(2 * PROGRESSION[0], DEATH, 24.0))
    assert_share(found.columns["control:death"], SIZE, incidence(DEATH, 2 * PROGRESSION[0], 24.0))
    assert_share(found.columns["experimental:progression"], SIZE, incidence(PROGRESSION[1], DEATH, 24.0))
    both = completed(Future(hazard=0.5))
    for arm, rate in zip(("control", "experimental"), PROGRESSION, strict=True):
        assert_share(both.columns[f"{arm}:progression"], SIZE, incidence(rate / 2, DEATH, 24.0))


def test_losses_compete_in_the_arm_that_has_them() -> None:
    """P(event) = λ/(λ+μ+δ)·(1 − e^{−(λ+μ+δ)t}) in the arm that loses patients; a lost patient is censored, no event."""
    found = completed(Future(dropout={"experimental": 0.03}))
    assert_share(found.columns["experimental:progression"], SIZE, incidence(PROGRESSION[1], DEATH + 0.03, 24.0))
    assert_share(found.columns["experimental:lost to follow-up"], SIZE, incidence(0.03, DEATH + PROGRESSION[1], 24.0))
    assert not found.columns["control:lost to follow-up"].any()
    assert_share(found.columns["control:progression"], SIZE, incidence(PROGRESSION[0], DEATH, 24.0))


def test_losses_as_a_cause_are_the_losses_of_the_kernel() -> None:
    """Twin: the kernel draws a loss beside the event, patient by patient. Events, z and success agree in distribution."""
    plain = law()
    flat = Law(plain.log_hazard[0], plain.log_share[0], plain.grid, plain.arms, plain.causes)
    final = FinalAnalysis("date", date=CUT + 24.0, causes=("progression",))
    plan = Completion.plan(followed(), flat, np.arange(DRAWS), final=final, enrolment=Enrolment(),
                           complete=("administrative",), dropout=False, seed=9)  # fmt: skip
    object.__setattr__(plan, "dropout", np.full(DRAWS, 0.04))
    twin, found = plan.run(0, DRAWS), completed(Future(dropout={"control": 0.04, "experimental": 0.04}))
    for mine, its in ((found.columns["z"], twin.z), (found.success, LogRank(alpha=0.025)(twin)),
                      (found.columns["control:progression"], twin.events[:, 0, 0])):  # fmt: skip
        error = math.sqrt((mine.var() + its.var()) / DRAWS)
        assert abs(mine.mean() - its.mean()) < 4 * error
    assert abs(found.columns["z"].std() / twin.z.std() - 1) < 4 / math.sqrt(DRAWS)


def test_patients_lost_so_far_are_followed_on_with_hazards_of_their_own() -> None:
    """Twenty lost of each arm: those of the experimental arm with three times its hazard, those of control as the rest."""
    lost = 20
    found = completed(Future(informative={"experimental": 3.0}), lost=lost)
    rates = incidence(PROGRESSION[1], DEATH, 24.0), incidence(3 * PROGRESSION[1], DEATH, 24.0)
    events, number = found.columns["experimental:progression"], (SIZE - lost, lost)
    error = math.sqrt(sum(n * p * (1 - p) for n, p in zip(number, rates, strict=True)) / DRAWS)
    assert abs(events.mean() - sum(n * p for n, p in zip(number, rates, strict=True))) < 4 * error
    assert_share(found.columns["control:progression"], SIZE, incidence(PROGRESSION[0], DEATH, 24.0))
    assert_share(completed(lost=lost).columns["control:progression"], SIZE - lost, incidence(PROGRESSION[0], DEATH, 24.0))
    as_the_rest = completed(Future(informative={"experimental": 1.0}), lost=lost)
    asked = completed(complete=("administrative", "lost"), lost=lost)
    assert np.array_equal(as_the_rest.columns["z"], asked.columns["z"])


def test_patients_to_come_arrive_at_another_pace() -> None:
    """Ten patients to come at the rate r: the last arrives ten gaps of 1/r after the cut, which a pace of 1/2 doubles."""
    options = {"enrolment": Enrolment({"control": SIZE + 10, "experimental": SIZE}, prior_rate=2.0, prior_months=1e6),
               "final": FinalAnalysis("follow_up", follow_up=1.0), "months": 0.0}  # fmt: skip
    for pace in (1.0, 0.5):
        dates = completed(Future(accrual=pace), **options).columns["date"]
        gaps = 10 / (2.0 * pace)
        assert abs(dates.mean() - (CUT + gaps + 1.0)) < 4 * math.sqrt(10) / (2.0 * pace) / math.sqrt(DRAWS) + 0.02
    assert np.array_equal(completed(**options).columns["z"], completed(Future(accrual=1.0), **options).columns["z"])


def test_a_mixture_whose_components_the_past_tells_apart_is_refused() -> None:
    """Losses in all components alike are no matter; hazards to come are."""
    with pytest.raises(SpecificationError, match="known by what the patient survived"):
        completed(Future(hazard=2.0), law=law(2), known=np.zeros((2 * SIZE, 2)))
    certain = np.where(np.arange(2) == 0, 0.0, -np.inf) * np.ones((2 * SIZE, 1))
    assert_share(completed(Future(hazard=2.0), law=law(2), known=certain).columns["control:progression"], SIZE,
                 incidence(2 * PROGRESSION[0], DEATH, 24.0))  # fmt: skip
    lost = completed(Future(dropout={"control": 0.03}), law=law(2), known=np.zeros((2 * SIZE, 2)))
    assert_share(lost.columns["control:progression"], SIZE, incidence(PROGRESSION[0], DEATH + 0.03, 24.0))


@pytest.mark.parametrize(("changes", "words"), [
    ({"hazard": 0.0}, "hazard must be above 0"), ({"effect_gone_after": -1.0}, "effect_gone_after"),
    ({"dropout": {"control": -0.1}}, r"dropout\.control"), ({"informative": {"control": 0.0}}, r"informative\.control"),
])  # fmt: skip
def test_a_future_out_of_range_is_refused(changes, words) -> None:
    with pytest.raises(SpecificationError, match=words):
        Future(**changes)


def test_an_arm_that_is_not_there_is_refused() -> None:
    with pytest.raises(SpecificationError, match="dropout names placebo"):
        completed(Future(dropout={"placebo": 0.1}))


# --- priors by weights ----------------------------------------------------------------------------------------------------

CAUSES, GRID = ("progression", "death"), TimeGrid([6.0, 12.0, 24.0])


def of_priors(priors) -> OneTrial:
    return OneTrial(GRID.tabulate(followed()), priors)


def smooth(effect=None, *, medians=(24.0, 300.0), ratio=1.0, fold=2.0) -> SurvivalPriors:
    more = {} if effect is None else {"effect": effect}
    return SurvivalPriors(
        {"progression": BaselinePrior(medians[0], medians[0] * 3), "death": BaselinePrior(medians[1], medians[1] * 3)},
        {"progression": HazardRatioPrior(ratio, 2.0 * ratio), "death": HazardRatioPrior(1.0, 2.0)},
        smoothness=SmoothnessPrior(fold), **more,
    )  # fmt: skip


PAIRS = [
    (smooth(), smooth(medians=(20.0, 350.0), ratio=0.8, fold=1.8)),
    (smooth(Separate()), smooth(Separate(), medians=(20.0, 300.0), fold=1.8)),
    (smooth(Varying(SmoothnessPrior(1.6))), smooth(Varying(SmoothnessPrior(1.4)), ratio=0.8)),
    (smooth(Waning(6.0, 12.0, 30.0)), smooth(Waning(6.0, 9.0, 22.0), ratio=0.8)),
    (GammaPrior(2.0, 50.0), GammaPrior(1.6, 50.0)),
]


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=["proportional", "separate", "varying", "waning", "gamma"])
def test_prior_draws_weighted_by_the_ratio_are_draws_of_the_other_prior(old, new) -> None:
    """Mean and spread of every log hazard under the new prior, within 4 errors of the weighted and the new draws."""
    draws, rng = 40_000, np.random.default_rng(8)
    before, after = of_priors(old), of_priors(new)
    drawn, wanted = before.prior(draws, rng=rng), after.prior(draws, rng=rng)
    for one in (drawn, wanted):
        if isinstance(old, GammaPrior):
            one["hazard"] = np.exp(one["log_hazard"])
        elif "log_baseline" not in one:
            one["log_baseline"] = (one["log_hazard"] if old.separate else one["log_hazard"][:, :1]).reshape(draws, -1, len(GRID))
    ratio = np.exp(log_ratio(prior_factors(before), prior_factors(after), drawn, draws))
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / math.sqrt(draws)
    weight = ratio / ratio.mean()
    for power in (1, 2):
        mine = drawn["log_hazard"].reshape(draws, -1) ** power
        its = wanted["log_hazard"].reshape(draws, -1) ** power
        mean = (weight[:, None] * mine).mean(axis=0)
        error = np.sqrt((weight[:, None] * (mine - mean)).var(axis=0) / draws + its.var(axis=0) / draws)
        assert np.all(np.abs(mean - its.mean(axis=0)) < 4 * error)


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=["proportional", "separate", "varying", "waning", "gamma"])
def test_a_prior_weighted_to_itself_has_weights_of_one(old, new) -> None:
    model = of_priors(old)
    assert not log_ratio(prior_factors(model), prior_factors(of_priors(old)), {}, 7).any()
    assert prior_factors(model) != prior_factors(of_priors(new))


def test_weights_of_a_wider_prior_can_be_relied_on() -> None:
    """Without data a normal 1.5 times as wide has weights of Pareto k 1 − 1/1.5², below 0.7; three times as wide above."""
    draws = np.random.default_rng(6).normal(size=(4, 10_000))
    succeeded = (draws > 0.3)[..., None]
    for wide, reliable in ((WIDER, True), (3.0, False)):
        found = reweight(succeeded, 0.5 * draws**2 * (1 - 1 / wide**2))
        assert found.reliable is reliable
        assert found.pareto_k == pytest.approx(1 - 1 / wide**2, abs=0.15)
