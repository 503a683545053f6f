"""Any law completes a trial: fast kernels against a slow twin that draws whole lives and rejects those that did not last."""

import numpy as np
import pytest

from smm_bayes.errors import SpecificationError
from smm_bayes.prediction import (
    Enrolment,
    EventCount,
    FinalAnalysis,
    FinalData,
    HazardRatioProbability,
    LogRank,
    probability_of_success,
)
from smm_bayes.priors.clinical import BaselinePrior, HazardRatioPrior, SpreadPrior
from smm_bayes.survival import (
    Cure,
    CuredPrior,
    CurePriors,
    CureTable,
    FoundAtVisits,
    LateHazardPrior,
    PatternTable,
    PiecewiseExponential,
    Regression,
    RegressionPriors,
    SurvivalPriors,
    TimeGrid,
    Visits,
    VisitSchedule,
    VisitTable,
    Waning,
)
from smm_bayes.survival.one_trial import OneTrial
from smm_bayes.survival.regression_priors import CovariatePrior
from smm_bayes.trial import Patients
from smm_bayes.trial.calendar import on_clock

GRID, CAUSES, ARMS = TimeGrid((6, 18)), ("progression", "death"), ("control", "experimental")
BASELINE = {"progression": BaselinePrior(24, 60), "death": BaselinePrior(150, 400)}
PLAIN = SurvivalPriors(BASELINE, {"progression": HazardRatioPrior(0.6, 1.5)})
EVERY = VisitSchedule.every((3, 24), (6, 36))
CUTOFF, DRAWS, SLOW = 30.0, 6, 300


def patients_at_interim(size=60, seed=3):
    """Two arms enrolled over 24 months and cut at 30, with strata, age and risk; progression found at visits."""
    rng = np.random.default_rng(seed)
    arm, enrolled = np.arange(size) % 2, on_clock(np.sort(rng.uniform(0, 24, size)))
    time = EVERY.at_or_after(rng.exponential(30, size))
    followed = on_clock(EVERY.before(on_clock(CUTOFF - enrolled)))  # until the last visit
    time = np.where(np.isfinite(time), time, 1e3)
    event = (time <= followed) & (time > 0)
    return Patients(
        patient=np.arange(size).astype(str).astype(object), arm=arm, time=np.maximum(np.minimum(time, followed), 0.1),
        event=event, cause=np.where(event, 0, -1), censoring=np.where(event, "", "administrative").astype(object),
        enrolled=enrolled, arms=ARMS, arm_names=("Rd", "KRd"), causes=CAUSES, data_cutoff=CUTOFF,
        provenance="simulated", stratum=np.where(rng.random(size) < 0.4, "high", "low").astype(object),
        covariates={"age": rng.normal(65, 8, size).round(), "risk": rng.choice(["a", "b", "c"], size).astype(object)},
    )  # fmt: skip


PATIENTS = patients_at_interim()


def regression(**options):
    priors = RegressionPriors(PLAIN, {"age": CovariatePrior(1.3, 2.5, per=8, centre=65)}, SpreadPrior(2.0), SpreadPrior(2.0))
    return Regression(PatternTable.of(PATIENTS, GRID, **options), priors)


def cure():
    priors = CurePriors(CuredPrior(0.4, 0.7), LateHazardPrior(12, 30), others=SurvivalPriors({"death": BASELINE["death"]}))
    return Cure(CureTable.of(PATIENTS, GRID, "progression"), priors)


def visits():
    of = FoundAtVisits("progression", EVERY)
    return Visits(VisitTable.of(PATIENTS, GRID, cause="progression", schedule=EVERY), PLAIN, of)


def waning():
    return OneTrial(GRID.tabulate(PATIENTS), SurvivalPriors(BASELINE, PLAIN.hazard_ratio, effect=Waning(6.0, 8.0, 24.0)))


BY_DATE, BY_EVENTS = FinalAnalysis("date", date=60.0), FinalAnalysis("events", events=30, cap=80.0)
FOLLOWED = FinalAnalysis("follow_up", follow_up=20.0)
CASES = {
    "hazards by arm, log-rank at 30 events": (lambda: OneTrial(GRID.tabulate(PATIENTS), PLAIN), BY_EVENTS, LogRank(0.2)),
    "a waning effect, hazard ratio": (waning, BY_DATE, HazardRatioProbability(0.8, 0.7)),
    "a waning effect, log-rank": (waning, BY_EVENTS, LogRank(0.2)),
    "strata, log-rank": (lambda: regression(strata=True), BY_DATE, LogRank(0.2)),
    "a covariate, log-rank at 30 events": (lambda: regression(covariates=("age",)), BY_EVENTS, LogRank(0.2)),
    "strata, a covariate and subgroups, count": (
        lambda: regression(strata=True, covariates=("age",), subgroups=("risk",)), FOLLOWED, EventCount(at_most=25)),
    "cure, log-rank": (cure, BY_DATE, LogRank(0.2)),
    "cure, count within 20 months": (cure, FOLLOWED, EventCount(at_most=12, arm="control")),
    "visits, log-rank at 30 events": (visits, BY_EVENTS, LogRank(0.2)),
    "visits, hazard ratio": (visits, BY_DATE, HazardRatioProbability(0.8, 0.7)),
}  # fmt: skip


def law_of(model, draws=DRAWS, seed=7):
    """Draws from the prior as the law, known of each patient, and the visits, with the leading dims (1, draw)."""
    law = model.law_of(model.prior(draws, rng=np.random.default_rng(seed)))
    law = type(law)(law.log_hazard[None], np.array(law.log_share[None]), law.grid, law.arms, law.causes)
    known = model.known() if hasattr(model, "known") else np.zeros((len(PATIENTS), law.components))
    return law, known, getattr(model, "visits", None)


def lives(hazard, grid, rng):
    """Times and causes: the first of independent times of each cause, from log hazards (patient, cause, interval)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.stack([PiecewiseExponential(hazard[:, c], grid).sample(rng=rng) for c in range(hazard.shape[1])])
    return times.min(axis=0), times.argmin(axis=0)


def complete_slowly(law, known, visits, rng):
    """Complete patients from one draw: whole lives from time 0, drawn again until they last as long as the patient."""
    arm, time, cause = PATIENTS.arm, PATIENTS.time.copy(), PATIENTS.cause.copy()
    weight = np.exp(law.log_share)[arm] * np.exp(known)
    share = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
    waiting = np.flatnonzero(~PATIENTS.event)
    while len(waiting):
        component = (rng.random((len(waiting), 1)) > share[waiting]).sum(axis=1)
        drawn, of = lives(law.log_hazard[arm[waiting], component], law.grid, rng)
        lasted = drawn > PATIENTS.time[waiting]
        time[waiting[lasted]], cause[waiting[lasted]] = drawn[lasted], of[lasted]
        waiting = waiting[~lasted]
    if visits is not None:
        found = ~PATIENTS.event & (cause == law.causes.index(visits.cause)) & np.isfinite(time)
        at = np.where(time <= 36, EVERY.at_or_after(np.minimum(time, 36)), 36 + 6 * np.ceil((time - 36) / 6))
        time = np.where(found, at, time)
    finite = np.isfinite(time)
    return PATIENTS.take(
        np.ones(len(PATIENTS), bool), time=on_clock(np.where(finite, time, 1e4)), event=finite, mrd=None,
        cause=np.where(finite, cause, -1), censoring=np.where(finite, "", "administrative").astype(object),
        data_cutoff=None,
    )  # fmt: skip


def last_visits(whole, final, visits):
    """What is known at the final analysis where events are found at visits: no event until the last visit."""
    if visits is None:
        return whole
    by = {"date": lambda: final.date, "events": lambda: min(np.sort((whole.enrolled + whole.time)[whole.event])[29], 80.0)}
    limit = on_clock(np.minimum(by[final.at]() - whole.enrolled, final.limit))
    all_visits = np.array([0.0, *EVERY.visits, *np.arange(42.0, 200, 6)])
    last = all_visits[np.searchsorted(all_visits, limit + 1e-9) - 1]
    seen = whole.time <= limit
    return whole.take(np.ones(len(whole), bool), time=np.where(seen, whole.time, np.minimum(np.maximum(last, PATIENTS.time), limit)),
                      event=seen, cause=np.where(seen, whole.cause, -1),
                      censoring=np.where(seen, "", "administrative").astype(object))  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_fast_and_slow_completions_agree(name):
    """Probability of success, events by arm and the log-rank statistic, within 4 Monte Carlo errors of both."""
    make, final, rule = CASES[name]
    law, known, visits = law_of(make())
    fast = probability_of_success(PATIENTS, law, final=final, rule=rule, seed=5, replicates=12_000, known=known,
                                  visits=visits)  # fmt: skip
    rng, rows = np.random.default_rng(11), []
    for replicate in range(SLOW):
        one = replicate % DRAWS
        draw = type(law)(law.log_hazard[0, one], law.log_share[0, one], law.grid, law.arms, law.causes)
        whole = complete_slowly(draw, known, visits, rng)
        found = FinalData.of(last_visits(whole, final, visits), final, law.grid)
        rows.append([rule(found)[0], found.events[0, 0, 0], found.events[0, 1].sum(), found.z[0]])
    slow, columns = np.array(rows, float), fast.columns
    ours = np.column_stack([fast.success, columns["control:progression"],
                            columns["experimental:progression"] + columns["experimental:death"], columns["z"]])  # fmt: skip
    for k, what in enumerate(("success", "control progressions", "experimental events", "z")):
        error = np.sqrt(slow[:, k].var() / len(slow) + ours[:, k].var() / len(ours))
        assert abs(slow[:, k].mean() - ours[:, k].mean()) <= 4 * error + 1e-12, what
    assert 0.02 < slow[:, 0].mean() < 0.98


def test_patients_to_come_draw_a_profile():
    """Events among patients still to come are those of the arm's law, whatever the profiles of patients so far."""
    law, known, _ = law_of(regression(strata=True, covariates=("age",)), draws=200)
    final = FinalAnalysis("follow_up", follow_up=24.0)
    done = PATIENTS.take(np.ones(len(PATIENTS), bool), censoring=np.where(PATIENTS.event, "", "lost").astype(object))
    found = probability_of_success(done, law, final=final, rule=EventCount(at_least=1), seed=2, replicates=20_000,
                                   known=known, enrolment=Enrolment({"control": 130, "experimental": 30}))  # fmt: skip
    so_far = (done.event & (done.arm == 0) & (done.time <= 24)).sum()
    more = found.columns["control:progression"] + found.columns["control:death"] - so_far
    expected = 100 * (1 - law.survival(24.0)[0, :, 0, 0].mean())
    by_draw = more.reshape(1, 200, -1).mean(axis=2)
    exact = 100 * (1 - law.survival(24.0)[0, :, 0, 0])
    assert abs(more.mean() - expected) < 4 * np.sqrt(np.var(by_draw[0] - exact) / 200)


def test_a_profile_that_is_known_moves_the_answer():
    """With profiles unknown the patients still followed are a mixture of all profiles, which is another answer."""
    law, known, _ = law_of(regression(strata=True, covariates=("age",)), draws=100)
    options = {"final": BY_DATE, "rule": LogRank(0.2), "seed": 5, "replicates": 4000}
    told = probability_of_success(PATIENTS, law, known=known, **options)
    not_told = probability_of_success(PATIENTS, law, **options)
    assert not np.array_equal(told.columns["z"], not_told.columns["z"])
    same = regression()  # one profile: nothing to know
    plain, nothing, _ = law_of(same)
    assert plain.components == 1
    one = probability_of_success(PATIENTS, plain, known=nothing, **options)
    np.testing.assert_array_equal(one.success, probability_of_success(PATIENTS, plain, **options).success)


def test_a_cured_share_of_nothing_is_hazards_by_arm():
    """With nobody cured the trial is completed as without the model, replicate by replicate."""
    parameters = cure().prior(DRAWS, rng=np.random.default_rng(2))
    nobody = parameters | {"cured": np.zeros((DRAWS, 2))}
    mixed = cure().law_of(nobody)
    of = cure().law_of(parameters).log_hazard[None, :, :, 1]
    plain = type(mixed).plain(of, GRID, ARMS, CAUSES)
    law = type(mixed)(mixed.log_hazard[None], mixed.log_share[None], GRID, ARMS, CAUSES)
    options = {"final": BY_DATE, "rule": LogRank(0.2), "seed": 5, "replicates": 600}
    found, expected = (probability_of_success(PATIENTS, one, **options) for one in (law, plain))
    np.testing.assert_array_equal(found.columns["z"], expected.columns["z"])


def test_visits_close_together_are_no_visits():
    """With a visit every quarter of a day events are seen when they happen, but for the part of a day."""
    law, _, _ = law_of(visits(), draws=200)
    often = FoundAtVisits("progression", VisitSchedule(tuple(np.arange(1, 241) * 0.25)))
    options = {"final": BY_DATE, "rule": LogRank(0.2), "seed": 5, "replicates": 4000}
    seen = probability_of_success(PATIENTS, law, visits=often, **options)
    exact = probability_of_success(PATIENTS, law, **options)
    rare = probability_of_success(PATIENTS, law, visits=FoundAtVisits("progression", VisitSchedule((24.0, 48.0))), **options)
    assert abs(seen.columns["control:progression"] - exact.columns["control:progression"]).mean() < 0.15
    assert rare.columns["control:progression"].mean() < exact.columns["control:progression"].mean() - 0.3


def test_after_the_last_visit_visits_go_on_at_the_last_gap():
    short = FoundAtVisits("progression", VisitSchedule((6.0, 12.0)))
    long = FoundAtVisits("progression", VisitSchedule(tuple(np.arange(6.0, 240, 6))))
    law, _, _ = law_of(visits())
    options = {"final": BY_DATE, "rule": LogRank(0.2), "seed": 5, "replicates": 1200}
    found = [probability_of_success(PATIENTS, law, visits=of, **options).columns["z"] for of in (short, long)]
    np.testing.assert_array_equal(*found)


def test_visits_that_do_not_fit_are_refused():
    law, _, _ = law_of(visits())
    options = {"final": BY_DATE, "rule": LogRank(0.2), "seed": 5, "replicates": 600}
    with pytest.raises(SpecificationError, match="one of progression, death; got 'relapse'"):
        probability_of_success(PATIENTS, law, visits=FoundAtVisits("relapse", EVERY), **options)
    with pytest.raises(SpecificationError, match="a schedule for each of the arms"):
        probability_of_success(PATIENTS, law, visits=FoundAtVisits("progression", {"control": EVERY}), **options)
    by_arm = FoundAtVisits("progression", dict.fromkeys(ARMS, EVERY))
    one, other = (probability_of_success(PATIENTS, law, visits=of, **options).columns["z"]
                  for of in (by_arm, FoundAtVisits("progression", EVERY)))  # fmt: skip
    np.testing.assert_array_equal(one, other)


def test_a_fit_without_its_model_is_refused():
    with pytest.raises(SpecificationError, match="no model of survival that it knows"):
        probability_of_success(PATIENTS, object(), final=BY_DATE, rule=LogRank(), seed=1)


def test_what_is_known_is_each_patients_own_profile():
    """Stratum and age of the one component that a patient may be of are the patient's."""
    model = regression(strata=True, covariates=("age",))
    known, table, first = model.known(), model.table, model.table.profiles().first
    assert (np.isfinite(known).sum(axis=1) == 1).all()
    row = first[known.argmax(axis=1)]
    np.testing.assert_array_equal(np.array(table.strata)[table.stratum[row]], PATIENTS.stratum)
    np.testing.assert_array_equal(table.covariates[row, 0], PATIENTS.covariates["age"])
