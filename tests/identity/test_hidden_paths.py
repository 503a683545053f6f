"""Completing a trial whose patients have a hidden status: closed forms, a slow twin, and wrong twins that fail."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import stats

from smm_bayes.prediction import (
    Enrolment,
    EventCount,
    FinalAnalysis,
    LogRank,
    probability_of_success,
)
from smm_bayes.survival import TimeGrid
from smm_bayes.survival.law import Law
from smm_bayes.trial.patients import Patients


def completed(patients, log_hazard, grid, *, paths=None, **options):
    """Complete a trial from log hazards; with paths, pairs of shares and of what is known, they have a dim more."""
    if paths is None:
        return probability_of_success(patients, Law.plain(log_hazard, grid, patients.arms, patients.causes), **options)
    share, known = paths
    law = Law(log_hazard, share, grid, patients.arms, patients.causes)
    return probability_of_success(patients, law, known=known, **options)

NEVER = 1e-300  # a hazard that no patient lives to see
ANY = EventCount(at_least=1)


def followed(times, arm=None, causes=("event",)):
    """Patients who were event-free for ``times`` months and still are followed."""
    times = np.asarray(times, dtype=float)
    size, cutoff = len(times), float(np.max(times))
    arms = ("control", "experimental") if arm is not None else ("control",)
    return Patients(
        patient=np.arange(size).astype(str), arm=np.zeros(size, int) if arm is None else np.asarray(arm), time=times,
        event=np.zeros(size, bool), cause=np.full(size, -1), censoring=np.full(size, "administrative"),
        enrolled=cutoff - times, arms=arms, arm_names=arms, causes=causes, data_cutoff=cutoff, provenance="simulated",
    )  # fmt: skip


def paths_of(probability, log_weight, draws=1):
    """Give the same law to every draw; ``probability`` by arm and path."""
    with np.errstate(divide="ignore"):
        law = np.log(np.atleast_2d(probability))
    return (np.tile(law, (1, draws, 1, 1)), np.asarray(log_weight, dtype=float))


# --- the path that a patient is on ------------------------------------------------------------------------------------

VISITS = TimeGrid((6.0, 12.0))
LEVEL, GAMMA = np.array([0.04, 0.10, 0.05]), -1.5
FOUR = np.array([0.42, 0.18, 0.12, 0.28])  # (Z1, Z2) = (0, 0), (1, 0), (0, 1), (1, 1)


def hazards_of_four():
    """Total hazard by path and interval: the status at the latest visit, from the visit on and not before."""
    status = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]])
    return LEVEL * np.exp(GAMMA * status)


def cumulative(hazard, time):
    """Cumulative hazards at ``time``, by plain sums."""
    widths = np.clip(time - VISITS.starts, 0, np.diff([*VISITS.starts, np.inf]))
    return (hazard * widths).sum(axis=-1)


def law_at(time, log_weight):
    """P(path | event-free for ``time`` months, what was observed), in closed form."""
    share = FOUR * np.exp(np.asarray(log_weight) - cumulative(hazards_of_four(), time))
    return share / share.sum()


def count_paths(time, log_weight, replicates, size=40):
    """Number of patients on each path: path p has events of cause p only, and in the end everybody has one."""
    patients = followed(np.full(size, time), causes=("a", "b", "c", "d"))
    hazard = np.full((1, 1, 1, 4, 4, 3), NEVER)
    for path, total in enumerate(hazards_of_four()):
        hazard[0, 0, 0, path, path] = total
    found = completed(
        patients, np.log(hazard), VISITS, final=FinalAnalysis("date", date=1e5), rule=ANY, seed=8,
        replicates=replicates, paths=paths_of(FOUR, np.tile(log_weight, (size, 1))),
    )  # fmt: skip
    return np.array([found.columns[f"control:{cause}"].sum() for cause in "abcd"])


def check_paths(counts, expected):
    """Counts agree with a law of paths: none where it has none, and chi-square elsewhere."""
    assert (counts[expected == 0] == 0).all()
    some = expected > 0
    if some.sum() > 1:
        assert stats.chisquare(counts[some], expected[some] * counts.sum()).pvalue > 1e-3


NONE = [0.0, 0.0, 0.0, 0.0]
NEGATIVE_FIRST = [-np.inf, 0.0, -np.inf, 0.0]
READ_WITH_ERROR = np.log([0.1, 0.8, 0.1, 0.8])


@pytest.mark.parametrize("log_weight", [NONE, NEGATIVE_FIRST, READ_WITH_ERROR, [-np.inf, -np.inf, 0.0, -np.inf]])
@pytest.mark.parametrize("time", [0.5, 6.0, 9.0, 12.0, 30.0])
def test_path_given_survival_has_its_closed_form(time, log_weight):
    counts = count_paths(time, log_weight, 1000)
    assert counts.sum() == 40_000
    check_paths(counts, law_at(time, log_weight))


def test_ignoring_survival_or_observation_is_found_out():
    check_paths(count_paths(4.0, NONE, 1000), FOUR)  # before the first visit survival says nothing
    with pytest.raises(AssertionError):
        check_paths(count_paths(9.0, NONE, 1000), FOUR)
    with pytest.raises(AssertionError):
        check_paths(count_paths(9.0, READ_WITH_ERROR, 1000), law_at(9.0, NONE))
    with pytest.raises(AssertionError):  # crediting a status with the time before its visit
        early = LEVEL * np.exp(GAMMA * np.array([[0, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1]]))
        share = FOUR * np.exp(-cumulative(early, 9.0))
        check_paths(count_paths(9.0, NONE, 1000), share / share.sum())


def test_tiny_weights_do_not_vanish():
    """Adding a constant to a patient's log weights changes nothing, however far it is."""
    check_paths(count_paths(9.0, np.array(READ_WITH_ERROR) - 3000, 500), law_at(9.0, READ_WITH_ERROR))


def test_paths_are_of_the_draw_that_the_hazards_are_of():
    """Every draw has one path of its own, in an arm of its own order."""
    probability = np.zeros((2, 3, 2, 4))
    for chain in range(2):
        for draw in range(3):
            probability[chain, draw, 0, (2 * chain + draw) % 4] = 1
            probability[chain, draw, 1, (2 * chain + draw + 1) % 4] = 1
    with np.errstate(divide="ignore"):
        paths = (np.log(probability), np.zeros((6, 4)))
    hazard = np.full((2, 3, 2, 4, 4, 1), NEVER)
    for path in range(4):
        hazard[..., path, path, 0] = 0.1
    patients = followed(np.full(6, 3.0), arm=[0, 1, 0, 1, 0, 1], causes=("a", "b", "c", "d"))
    found = completed(
        patients, np.log(hazard), TimeGrid(()), final=FinalAnalysis("follow_up", follow_up=1e5), rule=ANY, seed=1,
        replicates=60, paths=paths, enrolment=Enrolment({"control": 5, "experimental": 5}),
    )  # fmt: skip
    chain, draw = np.divmod(found.draw, 3)
    assert np.bincount(found.draw).tolist() == [10] * 6
    for arm, shift in (("control", 0), ("experimental", 1)):
        events = np.stack([found.columns[f"{arm}:{cause}"] for cause in "abcd"], axis=1)
        assert (events.sum(axis=1) == 5).all()
        assert (events.argmax(axis=1) == (2 * chain + draw + shift) % 4).all()
        assert (events.max(axis=1) == 5).all()


# --- what comes of it -------------------------------------------------------------------------------------------------


def two_paths(times, log_weight, final, rates=(0.08, 0.02), probability=(0.6, 0.4), replicates=4000, **options):
    hazard = np.array(rates)[None, None, None, :, None, None]
    return completed(
        followed(times), np.log(hazard), TimeGrid(()), final=final, rule=ANY, seed=3, replicates=replicates,
        paths=paths_of(probability, log_weight), **options,
    )  # fmt: skip


def mixture(times, log_weight, until, rates=(0.08, 0.02), probability=(0.6, 0.4)):
    """P(event within ``until`` months | event-free for ``times``), by patient."""
    times, rates = np.asarray(times, dtype=float)[:, None], np.array(rates)
    share = np.array(probability) * np.exp(np.asarray(log_weight) - rates * times)
    share /= share.sum(axis=1, keepdims=True)
    return (share * -np.expm1(-rates * (until[:, None] - times))).sum(axis=1)


def agrees(counts, chance):
    error = np.sqrt((chance * (1 - chance)).sum() / len(counts))
    return abs(counts.mean() - chance.sum()) < 4 * error


def test_events_by_a_date_are_the_mixtures():
    """Two paths, one arm, exponential times: patients of unknown status, at a calendar date."""
    times = np.linspace(1.0, 30.0, 50)
    weight = np.zeros((50, 2))
    found = two_paths(times, weight, FinalAnalysis("date", date=45.0))
    until = 45.0 - (30.0 - times)
    assert agrees(found.counted_events, mixture(times, weight, until))
    wrong = np.array([0.6, 0.4]) @ -np.expm1(-np.outer([0.08, 0.02], until - times))  # ignores survival so far
    assert not agrees(found.counted_events, wrong)


def test_events_of_known_and_unknown_and_new_patients_are_the_mixtures():
    times = np.tile([2.0, 8.0, 15.0], 20)
    weight = np.zeros((60, 2))
    weight[:20, 0], weight[20:40, 1] = -np.inf, -np.inf
    final = FinalAnalysis("follow_up", follow_up=24.0)
    found = two_paths(times, weight, final, enrolment=Enrolment({"control": 100}))
    chance = mixture(np.r_[times, np.zeros(40)], np.r_[weight, np.zeros((40, 2))], np.full(100, 24.0))
    assert agrees(found.counted_events, chance)
    known = two_paths(times[:20], weight[:20], final)
    assert agrees(known.counted_events, -np.expm1(-0.02 * (24.0 - times[:20])))
    assert not agrees(known.counted_events, -np.expm1(-0.08 * (24.0 - times[:20])))


# --- without and with paths -------------------------------------------------------------------------------------------


def posterior(rng, grid, paths=4, draws=50):
    """Hazards and laws of paths of made-up posterior draws, shapes (2, draws, 2, [path,] ...)."""
    log_hazard = np.log([[0.03, 0.006], [0.018, 0.006]])[:, None, :, None] + rng.normal(
        0, 0.3, (2, draws, 2, paths, 2, len(grid))
    )
    law = rng.normal(0, 1, (2, draws, 2, paths))
    return log_hazard, law - np.logaddexp.reduce(law, axis=-1, keepdims=True)


OPTIONS = {
    "final": FinalAnalysis("events", events=60, cap=60.0), "rule": LogRank(0.1), "seed": 5, "dropout": True,
    "enrolment": Enrolment({"control": 60, "experimental": 60}, 4.0, 5.0),
}  # fmt: skip


def test_paths_that_change_nothing_change_nothing(simulate):
    """Hazards alike for all paths: number by number the trial without paths, and with another seed the same law."""
    patients, grid = simulate(cutoff=15.0), TimeGrid((4, 9, 20))
    log_hazard, law = posterior(np.random.default_rng(1), grid)
    log_hazard[:] = log_hazard[:, :, :, :1]
    weight = np.random.default_rng(2).normal(size=(len(patients), 4))
    plain = completed(patients, log_hazard[:, :, :, 0], grid, replicates=3000, **OPTIONS)
    found = completed(patients, log_hazard, grid, replicates=3000, paths=(law, weight), **OPTIONS)
    assert (found.probability, found.mcse) == (plain.probability, plain.mcse)
    for name, values in plain.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)
    one = completed(patients, log_hazard[:, :, :, :1], grid, replicates=3000,
                                 paths=(0 * law[..., :1], 0 * weight[:, :1]), **OPTIONS)  # fmt: skip
    np.testing.assert_array_equal(one.columns["z"], plain.columns["z"])
    assert 0.05 < plain.probability < 0.95
    other = completed(patients, log_hazard, grid, replicates=3000, paths=(law, weight),
                                   **{**OPTIONS, "seed": 77})  # fmt: skip
    assert abs(other.probability - plain.probability) < 4 * np.hypot(other.mcse, plain.mcse)
    assert same_counts(other.columns["control:progression"], plain.columns["control:progression"]) > 1e-3


def same_counts(first, second):
    """P-value of a chi-square test that two samples of counts have one law."""
    edges = np.unique(np.quantile(np.r_[first, second], np.linspace(0, 1, 9)))
    table = [np.bincount(np.searchsorted(edges[1:-1], x), minlength=len(edges) - 1) for x in (first, second)]
    table = np.array(table)[:, np.sum(table, axis=0) > 0]
    return stats.chi2_contingency(table).pvalue


def test_same_answer_with_paths_for_any_workers_and_chunks(simulate):
    patients, grid = simulate(cutoff=15.0), TimeGrid((4, 9, 20))
    log_hazard, law = posterior(np.random.default_rng(1), grid)
    paths = (law, np.random.default_rng(2).normal(size=(len(patients), 4)))
    alone = completed(patients, log_hazard, grid, paths=paths, replicates=600, **OPTIONS)
    with ThreadPoolExecutor(2) as pool:
        shared = completed(patients, log_hazard, grid, paths=paths, replicates=600, executor=pool, chunk=37, **OPTIONS)
    for name, values in alone.columns.items():
        np.testing.assert_array_equal(shared.columns[name], values)


# --- a slow twin ------------------------------------------------------------------------------------------------------


def complete_slowly(patients, log_hazard, grid, paths, *, final, enrolment, replicates, rng, heed_survival=True):
    """Complete a trial patient by patient in plain NumPy: path, time by inverting, cause; cut at date or cap."""
    hazards, law = np.exp(log_hazard), np.exp(paths[0])
    chains, draws = hazards.shape[:2]
    edges = np.r_[grid.starts, np.inf]
    new = enrolment.new_arms(patients)
    rows = []
    for _ in range(replicates):
        chain, draw = rng.integers(chains), rng.integers(draws)
        rate = enrolment.rates(patients, 1, rng=rng)[0]
        arrivals = patients.data_cutoff + np.cumsum(rng.exponential(1 / rate, len(new)))
        people = [*zip(patients.arm, patients.enrolled, patients.time, patients.cause, np.exp(paths[1]), strict=True),
                  *((arm, at, 0.0, -2, np.ones(paths[0].shape[-1])) for arm, at in zip(rng.permutation(new), arrivals, strict=True))]  # fmt: skip
        whole = []
        for arm, start, time, cause, weight in people:
            if cause < 0:
                total = hazards[chain, draw, arm].sum(axis=1)
                past = np.diff(np.minimum(edges, time)) if heed_survival else np.zeros(len(grid))
                share = law[chain, draw, arm] * weight * np.exp(-total @ past)
                path = rng.choice(len(share), p=share / share.sum())
                ahead = np.diff(np.maximum(edges, time))
                at, interval, goal = time, 0, rng.exponential()
                while goal > total[path, interval] * ahead[interval]:
                    goal -= total[path, interval] * ahead[interval]
                    at += ahead[interval]
                    interval += 1
                time = at + goal / total[path, interval]
                by_cause = hazards[chain, draw, arm, path, :, interval]
                cause = rng.choice(len(by_cause), p=by_cause / by_cause.sum())
            whole.append((arm, start, time, cause))
        arm, start, time, cause = (np.array(column) for column in zip(*whole, strict=True))
        date = min(np.sort(start + time)[final.events - 1], final.cap)
        seen = start + time <= date
        rows.append([date, (seen & (arm == 0)).sum(), (seen & (arm == 1)).sum(), (seen & (cause == 1)).sum()])
    return np.array(rows)


def test_slow_twin_agrees_and_a_wrong_one_does_not():
    """Two visits, two arms, two causes, patients to come: date of the final analysis and events, against plain NumPy."""
    rng = np.random.default_rng(3)
    times = rng.uniform(10, 30, 30)
    patients = followed(times, arm=np.arange(30) % 2, causes=("progression", "death"))
    status = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]])
    log_hazard = np.log([0.08, 0.01])[:, None] - 2.5 * status[:, None, :] * np.array([1, 0.3])[:, None]
    log_hazard = log_hazard + rng.normal(0, 0.1, (1, 20, 2, 1, 2, 3))
    law = np.tile(np.log(FOUR), (1, 20, 2, 1))
    weight = np.zeros((30, 4))
    weight[::3] = NEGATIVE_FIRST
    paths = (law, weight)
    final, plan = FinalAnalysis("events", events=18, cap=50.0), Enrolment({"control": 18, "experimental": 18}, 2.0, 30.0)
    found = completed(patients, log_hazard, VISITS, final=final, rule=LogRank(), seed=2, enrolment=plan,
                                   replicates=4000, paths=paths)  # fmt: skip
    events = {name: found.columns[name] for name in found.event_columns}
    fast = np.stack([found.columns["date"], events["control:progression"] + events["control:death"],
                     events["experimental:progression"] + events["experimental:death"],
                     events["control:death"] + events["experimental:death"]], axis=1)  # fmt: skip

    def pvalues(**options):
        slow = complete_slowly(patients, log_hazard, VISITS, paths, final=final, enrolment=plan, replicates=500,
                               rng=np.random.default_rng(4), **options)  # fmt: skip
        return [stats.ks_2samp(fast[:, 0], slow[:, 0]).pvalue, *(same_counts(fast[:, i], slow[:, i]) for i in (1, 2, 3))]

    assert min(pvalues()) > 1e-3
    assert min(pvalues(heed_survival=False)) < 1e-6
