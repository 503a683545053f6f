from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from smm_bayes.errors import SpecificationError
from smm_bayes.execution import run_chunks
from smm_bayes.prediction import (
    Enrolment,
    EventCount,
    FinalAnalysis,
    FinalData,
    HazardRatioProbability,
    LogRank,
    probability_of_success,
    stream,
)
from smm_bayes.prediction.completion import Completion
from smm_bayes.survival import GammaHazards, PiecewiseExponential, TimeGrid, cumulative_incidence
from smm_bayes.survival.law import Law
from smm_bayes.trial import cut_by_date


def completed(patients, log_hazard, grid, **options):
    """Complete a trial from log hazards (chain, draw, arm, cause, interval)."""
    law = Law.plain(log_hazard, grid, patients.arms, patients.causes)
    return probability_of_success(patients, law, **options)

GRID = TimeGrid((6, 12, 24))


def draws_for(patients, size=1000, seed=1):
    table = GRID.tabulate(patients)
    return GammaHazards.prior(table, 0.5, 10).update(table).sample(size, rng=np.random.default_rng(seed))[None]


def complete(patients, final=None, replicates=200, **options):
    draws = options.pop("draws", None)
    draws = draws_for(patients, replicates) if draws is None else draws
    plan = {"enrolment": Enrolment(), "complete": ("administrative",), "dropout": False, "seed": 3, "final_grid": None}
    law = Law.plain(draws[0], GRID, patients.arms, patients.causes)
    return Completion.plan(patients, law, np.arange(replicates) % draws.shape[1],
                           final=final or FinalAnalysis("date", date=60.0), **{**plan, **options})  # fmt: skip


def test_stream_is_numpys_philox():
    state = np.zeros(stream.STATE_SIZE, np.uint64)
    for seed, replicate in ((0, 0), (7, 123_456), (2**63 - 1, 2**40)):
        stream.start(state, np.uint64(seed), np.uint64(replicate))
        ours = [stream.uniform(state) for _ in range(50)]
        key = np.array([seed, replicate], dtype=np.uint64)
        np.testing.assert_array_equal(ours, np.random.Generator(np.random.Philox(key=key)).random(50))


@pytest.mark.parametrize("digits", [None, 1, 0])
@pytest.mark.parametrize("seed", range(5))
def test_log_rank_is_scikit_survivals(simulate, digits, seed):
    """With and without ties, to 1e-10."""
    from sksurv.compare import compare_survival
    from sksurv.util import Surv

    patients = simulate(seed=seed, digits=digits, size=60 + seed).count_only("progression")
    final = FinalData.of(patients, FinalAnalysis("follow_up", follow_up=1e6), GRID)
    chisq, _, table, _ = compare_survival(
        Surv.from_arrays(patients.event, patients.time), patients.arm, return_stats=True
    )
    assert final.z[0] ** 2 == pytest.approx(chisq, rel=1e-10)
    assert final.score[0] == pytest.approx(table.loc[1, "observed"] - table.loc[1, "expected"], abs=1e-10)


def test_completing_moves_nothing_observed(simulate):
    """Events and final censoring stay; nobody censored at u has an event before u."""
    patients = simulate()
    lost = patients.censoring.copy()
    lost[np.flatnonzero(patients.at_risk)[:5]] = "lost"
    patients = patients.take(np.ones(len(patients), bool), censoring=lost)
    observed = np.array([[((patients.arm == a) & (patients.cause == c)).sum() for c in (0, 1)] for a in (0, 1)])
    before = complete(patients, FinalAnalysis("date", date=patients.data_cutoff + 1e-6)).run(0, 200)
    assert (before.events == observed).all()
    end = complete(patients, FinalAnalysis("date", date=1e5)).run(0, 200)
    assert (end.events >= observed).all()
    assert (end.events.sum(axis=(1, 2)) == len(patients) - 5).all()  # the lost stay lost
    exposure = end.cell_exposure.sum(axis=(1, 2))
    assert (exposure >= patients.time.sum() - 1e-6).all()


def test_nobody_has_an_event_before_what_they_survived():
    import numba

    from smm_bayes.prediction.kernels import draw_event

    @numba.njit
    def many(survived, hazards, total, starts, size):
        state = np.zeros(8, np.uint64)
        stream.start(state, np.uint64(1), np.uint64(2))
        times, causes = np.empty(size), np.empty(size, np.int64)
        for index in range(size):
            times[index], causes[index] = draw_event(state, survived, hazards, total, starts)
        return times, causes

    hazards = np.array([[0.08, 0.05, 0.0, 0.03], [0.01, 0.03, 0.0, 0.03]])
    law = PiecewiseExponential(np.log(np.maximum(hazards.sum(axis=0), 1e-300)), GRID)
    size = 100_000
    for survived in (0.0, 3.0, 6.0, 12.0, 20.0, 40.0):
        times, causes = many(survived, hazards, hazards.sum(axis=0), GRID.starts, size)
        assert times.min() > survived or survived == 0.0
        assert not ((times > 12) & (times <= 24)).any()  # no hazard there
        for at in (8.0, 30.0, 60.0):
            if at <= survived:
                continue
            expected = float(law.survival(at)[0] / law.survival(survived)[0])
            assert abs((times > at).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / size)
    expected = cumulative_incidence(np.log(np.maximum(hazards, 1e-300)), GRID, np.array([24.0]))[:, 0]
    times, causes = many(0.0, hazards, hazards.sum(axis=0), GRID.starts, size)
    for cause in (0, 1):
        found = ((causes == cause) & (times <= 24)).mean()
        assert abs(found - expected[cause]) < 4 * np.sqrt(expected[cause] / size)


def test_same_answer_for_any_workers_and_chunks(simulate):
    patients = simulate(cutoff=15.0)
    options = {
        "final": FinalAnalysis("events", events=70, cap=80.0, causes=("progression",)), "seed": 11, "replicates": 1000,
        "rule": LogRank(0.05) & HazardRatioProbability(1.0, 0.9), "enrolment": Enrolment({"control": 60, "experimental": 60}),
        "dropout": True,
    }  # fmt: skip
    draws = draws_for(patients)
    alone = completed(patients, draws, GRID, **options)
    with ThreadPoolExecutor(4) as threads, ProcessPoolExecutor(1) as processes:
        for executor, chunk in ((None, 37), (threads, 100), (threads, 999), (processes, 400)):
            other = completed(patients, draws, GRID, executor=executor, chunk=chunk, **options)
            assert other.probability == alone.probability
            assert other.mcse == alone.mcse
            for name, values in alone.columns.items():
                np.testing.assert_array_equal(other.columns[name], values)
    another = completed(patients, draws, GRID, **{**options, "seed": 12})
    assert not np.array_equal(another.columns["z"], alone.columns["z"])


def _twice(number):
    return 2 * number


def _die(number, parent):
    import os

    if os.getpid() != parent:
        os._exit(1)
    return 2 * number


def test_what_a_dead_worker_held_is_done_again():
    import os

    with ProcessPoolExecutor(1) as pool:
        assert list(run_chunks(_die, [(n, os.getpid()) for n in range(12)], pool)) == [2 * n for n in range(12)]
    with ThreadPoolExecutor(2) as pool:
        assert list(run_chunks(_twice, [(n,) for n in range(50)], pool, window=3)) == [2 * n for n in range(50)]


def test_final_by_events_happens_at_that_event(simulate):
    patients = simulate(cutoff=15.0)
    final = FinalAnalysis("events", events=30, causes=("progression",))
    data = complete(patients, final, enrolment=Enrolment({"control": 60, "experimental": 60})).run(0, 200)
    assert data.reached.mean() > 0.9
    assert (data.counted_events[data.reached].sum(axis=1) == 30).all()
    assert (data.counted_events[~data.reached].sum(axis=1) < 30).all()
    assert (data.date > patients.data_cutoff).all()
    capped = complete(patients, FinalAnalysis("events", events=30, cap=25.0, causes=("progression",))).run(0, 200)
    assert (capped.date <= 25.0).all()
    assert (capped.date[~capped.reached] == 25.0).all()
    assert not capped.reached.all()
    with pytest.raises(SpecificationError, match="500, more than the"):
        complete(patients, FinalAnalysis("events", events=500))
    most = patients.count_only("progression").events + int(patients.at_risk.sum())
    late = FinalAnalysis("events", events=most, causes=("progression",))  # nobody of those may die before
    many = complete(patients, late).run(0, 200)
    assert not many.reached.any()


def test_accrual_rate_is_learned(simulate):
    patients = simulate(size=400, accrual=40.0, cutoff=20.0)
    plan = Enrolment({"control": 200, "experimental": 200}, prior_rate=1.0, prior_months=0.5)
    rates = plan.rates(patients, 50_000, rng=np.random.default_rng(1))
    expected = (0.5 + len(patients) - 1) / (0.5 + 20.0)
    assert rates.mean() == pytest.approx(expected, rel=0.01)
    assert rates.std() == pytest.approx(np.sqrt(0.5 + len(patients) - 1) / 20.5, rel=0.02)
    data = complete(patients, FinalAnalysis("follow_up", follow_up=6.0, truncate=False), enrolment=plan).run(0, 200)
    assert (data.number.sum(axis=1) == 400).all()
    last = data.date - 6.0
    assert last.mean() == pytest.approx(20 + (400 - len(patients)) / expected, rel=0.02)


def test_bayesian_rule_is_exact(simulate):
    """P(HR < 1) by quadrature in the kernel against SciPy's on the same marginal posterior."""
    from scipy.integrate import quad

    final = FinalData.of(simulate(size=80, seed=4), FinalAnalysis("follow_up", follow_up=1e6), GRID)
    rule = HazardRatioProbability(0.8, 0.9, prior_median=0.9, prior_upper=3.0, shape=0.3, rate=2.0)
    events, exposure = final.cell_events[0], final.cell_exposure[0]
    sd = np.log(3 / 0.9) / 1.959963984540054

    def log_density(beta):
        held = 2.0 + exposure[0] + np.exp(beta) * exposure[1]
        return (-0.5 * ((beta - np.log(0.9)) / sd) ** 2 + beta * events[1].sum()
                - np.sum((0.3 + events.sum(axis=0)) * np.log(held)))  # fmt: skip

    top = max(log_density(b) for b in np.linspace(-4, 3, 701))
    mass = quad(lambda b: np.exp(log_density(b) - top), -6, 5, limit=400, epsabs=1e-13)[0]
    below = quad(lambda b: np.exp(log_density(b) - top), -6, np.log(0.8), limit=400, epsabs=1e-13)[0]
    assert rule.posterior(final)[0] == pytest.approx(below / mass, abs=1e-7)


def test_rules_combine():
    final = FinalData.empty(4, ("control", "experimental"), ("event",), 2, np.array([True]))
    final.score[:], final.variance[:] = [-20, -20, 5, 5], 9.0
    final.events[:, 1, 0] = [3, 30, 3, 30]
    few, fast = EventCount(at_most=10, arm="experimental"), LogRank(0.025)
    assert (fast & few)(final).tolist() == [True, False, False, False]
    assert (fast | few)(final).tolist() == [True, True, True, False]
    assert str(fast & few) == "(one-sided log-rank p below 0.025) and (at most 10 events in experimental)"


def test_mean_predicted_probability_is_the_designs(simulate):
    """Over interims simulated from the fitting model, the mean predicted probability is the rate of success."""
    rng = np.random.default_rng(20)
    grid, prior = TimeGrid(()), (20.0, 800.0)
    predicted, happened = [], []
    final, rule = FinalAnalysis("date", date=40.0), LogRank(0.1)
    for trial in range(150):
        truth = rng.gamma(prior[0], 1 / prior[1], size=(2, 1))
        whole = simulate(size=80, hazards=tuple((float(h), 1e-12) for h in truth[:, 0]), cutoff=None, seed=1000 + trial)
        whole = whole.count_only("progression")
        interim = cut_by_date(whole, 24.0)
        table = grid.tabulate(interim)
        draws = GammaHazards.prior(table, *prior).update(table).sample(400, rng=rng)[None]
        found = completed(interim, draws, grid, final=final, rule=rule, seed=trial, replicates=400,
                                       enrolment=Enrolment())  # fmt: skip
        predicted.append(found.probability)
        same = whole.take(np.isin(whole.patient, interim.patient))
        happened.append(bool(rule(FinalData.of(cut_by_date(same, 40.0), final, grid))[0]))
    predicted, happened = np.array(predicted), np.array(happened)
    error = np.sqrt(np.sum(predicted * (1 - predicted))) / len(predicted)
    assert abs(predicted.mean() - happened.mean()) < 3 * error
    assert 0.02 < happened.mean() < 0.98  # otherwise this could not fail
    # and the predictions discriminate: a constant one would not
    assert predicted[happened].mean() > predicted[~happened].mean() + 0.1


def test_ignoring_death_predicts_half_too_many_progressions(mgus2, mgus2_1985):
    """860 deaths compete with 115 progressions: a prediction that ignores them is half above what happened."""
    final = FinalAnalysis("date", date=450.0, causes=("progression",))
    counts = {}
    for name, patients in (("competing", mgus2_1985), ("ignored", mgus2_1985.count_only("progression"))):
        table = GRID.tabulate(patients)
        draws = GammaHazards.prior(table, 0.1, 10).update(table).sample(2000, rng=np.random.default_rng(1))[None]
        found = completed(patients, draws, GRID, final=final, rule=LogRank(), seed=1, replicates=2000)
        counts[name] = found.counted_events
    assert counts["ignored"].mean() > 1.25 * counts["competing"].mean()
    same = mgus2.take(np.isin(mgus2.patient, mgus2_1985.patient))
    truth = cut_by_date(same, 450.0).count_only("progression").events
    low, high = np.quantile(counts["competing"], [0.025, 0.975])
    assert low <= truth <= high
    assert counts["ignored"].mean() > 1.45 * truth
    assert truth < np.quantile(counts["ignored"], 0.025)


def test_requests_that_do_not_fit_are_refused(simulate):
    patients = simulate()
    draws = draws_for(patients, 10)
    options = {"final": FinalAnalysis("date", date=60.0), "rule": LogRank(), "seed": 1}
    with pytest.raises(SpecificationError, match="before the data cut"):
        completed(patients, draws, GRID, **{**options, "final": FinalAnalysis("date", date=1.0)})
    with pytest.raises(SpecificationError, match="are enrolled already"):
        completed(patients, draws, GRID, **options, enrolment=Enrolment({"control": 3}))
    with pytest.raises(SpecificationError, match="not finite"):
        completed(patients, draws * np.nan, GRID, **options)
    with pytest.raises(SpecificationError, match=r"ending in \(2, 1, 2, 4\)"):
        completed(patients, draws[..., :2], GRID, **options)
    rows = patients.arm == 1
    one = patients.take(rows, arm=np.zeros(rows.sum(), int), arms=("experimental",), arm_names=("x",))
    with pytest.raises(SpecificationError, match="compares two arms"):
        completed(one, draws[:, :, 1:], GRID, **options)
