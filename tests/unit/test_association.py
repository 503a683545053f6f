"""Association of MRD with survival: what is refused, and what values say of themselves."""

import re
import subprocess
import sys

import numpy as np
import pytest

from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.surrogacy import (
    GlobalOddsPriors,
    GlobalOddsRatioPrior,
    GlobalOddsTable,
    MilestoneEffects,
    SharePrior,
    cox_ratio,
    ever_negative,
    implied_odds_ratio,
    landmark_patients,
    landmark_regression,
    latest_status,
    naive_responder_hazard_ratio,
)
from smm_bayes.survival import BaselinePrior, SurvivalPriors, TimeGrid
from smm_bayes.trial.mrd import MrdAssessments

HEAVY = ("pymc", "nutpie", "arviz", "pandas", "matplotlib", "numba", "scipy")


def with_results(patients, row, time, negative):
    row = np.array(row)
    return patients.take(np.ones(len(patients), bool), mrd=MrdAssessments(
        row, np.array(time, float), np.array(negative, bool), np.full(len(row), 1e-5)))  # fmt: skip


def effects(gap=0.2, draws=200, delta_min=0.02, **changes):
    """Made-up draws; ``gap`` between the arms' later survival."""
    rng = np.random.default_rng(1)
    survival = rng.normal(0.9, 0.005, (2, draws, 2))
    share = np.broadcast_to([[0.7, 0.3], [0.4, 0.6]], (2, draws, 2, 2))
    later = np.clip(np.array([[0.4, 0.6], [0.4 + gap, 0.6 + gap]]) + rng.normal(0, 0.02, (2, draws, 2, 2)), 0, 1)
    given = {"survival": survival, "share": share, "later": later, "landmark": 12, "time": 36, "delta_min": delta_min}
    given |= changes
    return MilestoneEffects(**given)


def test_nothing_heavy_is_imported():
    code = f"import sys, smm_bayes.surrogacy; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# landmark


def test_landmark_counts_who_is_left_out_and_why(simulate):
    patients, month = simulate(), 9.0
    status = np.where(np.arange(len(patients)) % 5 == 0, -1, np.arange(len(patients)) % 2)
    landmark = landmark_patients(patients, status, month)
    early = patients.time <= month
    after = ~early & (status == -1)
    wanted = {"event": early & patients.event, "censored": early & ~patients.event, "unknown": after}
    for reason, rows in wanted.items():
        assert rows.any()
        assert landmark.left_out[reason] == tuple(int((rows & (patients.arm == arm)).sum()) for arm in (0, 1))
    gone = sum(int(rows.sum()) for rows in wanted.values())
    assert len(landmark.patients) + gone == len(patients)
    said = repr(landmark)
    assert f"{len(landmark.patients)} of {len(patients)} patients" in said
    assert f"left out {gone}: {wanted['event'].sum()} event by then, {wanted['censored'].sum()} censored by then, " \
           f"{after.sum()} MRD status unknown" in said  # fmt: skip
    kept = landmark_patients(patients, status, month, keep_unknown=True)
    assert kept.left_out["unknown"] == (0, 0)
    assert (kept.negative == -1).sum() == after.sum()
    with pytest.raises(SpecificationError, match="not a number for every patient"):
        landmark_regression(kept, TimeGrid(), SurvivalPriors({}))


def test_event_at_the_landmark_is_before_it(simulate):
    patients = simulate(cutoff=None, digits=0)
    month = float(patients.time[3])
    assert (patients.time == month).any()
    landmark = landmark_patients(patients, np.ones(len(patients), bool), month)
    assert landmark.patients.time.min() > 0
    assert sum(landmark.left_out["event"]) == (patients.time <= month).sum()


def test_landmark_clock_and_calendar(simulate):
    patients = simulate()
    landmark = landmark_patients(patients, np.arange(len(patients)) % 2 == 0, 4.0)
    rows = np.flatnonzero(patients.time > 4)
    np.testing.assert_allclose(landmark.patients.time, patients.time[rows] - 4)
    np.testing.assert_allclose(landmark.patients.enrolled, patients.enrolled[rows] + 4)
    np.testing.assert_array_equal(landmark.patients.covariates["mrd_negative"], landmark.negative)
    assert "from month 4" in landmark.patients.endpoint


def test_latest_status_looks_at_nothing_later(simulate):
    patients = with_results(simulate(), [0, 0, 1, 2, 2], [3, 9, 9, 1, 8], [True, False, True, False, True])
    status = latest_status(patients, 8.0)
    assert status[:4].tolist() == [1, -1, 1, -1]  # first result, none yet, the later of two, none
    assert latest_status(patients, 9.0, since=5.0)[:3].tolist() == [0, 1, 1]
    assert latest_status(patients, 2.0)[:3].tolist() == [-1, -1, 0]


@pytest.mark.parametrize(("status", "month", "error", "words"), [
    (np.array([0, 1]), 3.0, DataError, r"each of 120 patients; got shape \(2,\)"),
    (np.full(120, 2), 3.0, DataError, r"values \[2\]"),
    (np.full(120, np.nan), 3.0, DataError, r"values \[nan\]"),
    (np.zeros(120, int), 500.0, DataError, "nobody of known MRD status.*month 500.*earlier landmark"),
    (np.full(120, -1), 3.0, DataError, "nobody of known MRD status"),
    (np.zeros(120, int), -1.0, SpecificationError, "month of 0 or later; got -1"),
    (np.zeros(120, int), np.nan, SpecificationError, "got nan"),
])  # fmt: skip
def test_what_is_no_landmark_is_refused(simulate, status, month, error, words):
    with pytest.raises(error, match=words):
        landmark_patients(simulate(), status, month)


def test_delayed_entry_and_wrong_codes_are_named_together(simulate):
    patients = simulate()
    late = patients.take(np.ones(len(patients), bool), entry=patients.time / 2)
    with pytest.raises(DataError, match=r"2 problems(.|\n)*got shape(.|\n)*120 patients have delayed entry"):
        landmark_patients(late, np.zeros(3), 3.0)


def test_one_status_gives_nothing_to_compare(simulate):
    landmark = landmark_patients(simulate(), np.ones(120, bool), 3.0)
    with pytest.raises(SpecificationError, match="same MRD status at month 3"):
        landmark_regression(landmark, TimeGrid(), SurvivalPriors({"progression": BaselinePrior(30, 90)}))
    with pytest.raises(DataError, match="both groups are at risk"):
        landmark.cox_ratio()


# hazard ratios


def test_ratio_without_events_in_a_group_is_at_the_edge():
    time, event, group = np.arange(1.0, 9.0), np.array([1, 1, 1, 0, 0, 0, 0, 0], bool), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    found = cox_ratio(time, event, group)
    assert (found.hazard_ratio, found.standard_error, found.interval()) == (0.0, np.inf, (0.0, np.inf))
    assert cox_ratio(time, event, 1 - group).hazard_ratio == np.inf
    assert repr(found) == "CoxRatio: 0 (95 % 0 to inf); 3 events in 4 and 0 events in 4 patients"
    with pytest.raises(SpecificationError, match="probability"):
        found.interval(95)


def test_stratum_with_one_group_says_nothing(simulate):
    patients = simulate()
    group = np.arange(len(patients)) % 3 == 0
    alone = cox_ratio(patients.time, patients.event, group, patients.arm)
    more = [np.concatenate([a, b]) for a, b in ((patients.time, [1.0, 2.0]), (patients.event, [True, True]),
                                                (group, [True, True]), (patients.arm, [2, 2]))]  # fmt: skip
    assert cox_ratio(*more).log_hazard_ratio == pytest.approx(alone.log_hazard_ratio, abs=1e-12)


def test_naive_comparison_needs_results_and_says_what_it_is(simulate):
    patients = simulate()
    for of in (ever_negative, naive_responder_hazard_ratio, lambda p: latest_status(p, 3.0)):
        with pytest.raises(DataError, match="no MRD results"):
            of(patients)
    assert "immortal" in naive_responder_hazard_ratio.__doc__
    assert "demonstration of bias only" in naive_responder_hazard_ratio.__doc__
    some = with_results(patients, [4, 5, 4], [1, 1, 2], [False, False, True])
    assert np.flatnonzero(ever_negative(some)).tolist() == [4]
    with pytest.raises(DataError, match="one value for each of 120"):
        naive_responder_hazard_ratio(patients, negative=np.zeros(3, bool))


# parts of a difference


def test_proportion_only_beside_an_established_difference():
    clear, unclear = effects(0.2), effects(0.0, share=np.full((2, 200, 2, 2), 0.5))
    assert clear.proportion is not None
    assert clear.reason == ""
    assert "Assumptions of the proportion: Arms are randomised" in clear.summary()
    assert unclear.proportion is None
    table = unclear.table()
    assert np.isnan(table.loc["proportion", "median"])
    assert re.search(r"probability that the difference exceeds 0.02 is 0\.\d+ \(MCSE 0\.\d+\), not above 0.95",
                     table.loc["proportion", "note"])  # fmt: skip
    assert "No proportion explained" in repr(unclear)
    assert effects(0.2, delta_min=0.9).proportion is None


def test_parts_are_always_given_with_intervals_and_errors():
    for one in (effects(0.2), effects(0.0)):
        table = one.table().loc[["difference", "before_landmark", "mrd", "residual"]]
        assert (table["lower"] < table["median"]).all()
        assert (table["median"] < table["upper"]).all()
        assert (table["mcse"] > 0).all()
        assert table["probability"].between(0, 1).all()
        for name in table.index:
            assert table.loc[name, "median"] == pytest.approx(np.median(getattr(one, name)), abs=1e-12)
        for line in one.summary().splitlines()[1:5]:
            assert re.search(r"-?\d\.\d{3} \(-?\d\.\d{3} to -?\d\.\d{3}; MCSE 0\.\d{4}\)", line)


def test_every_array_that_does_not_fit_is_named():
    with pytest.raises(SpecificationError) as error:
        effects(share=np.full((2, 200, 2, 2), 0.6), later=np.full((2, 200, 2, 2), 1.2), time=6, delta_min=-0.1)
    for words in ("later must be probabilities", "share must sum to 1", "need 0 <= landmark < time; got 12 and 6",
                  "delta_min must be from 0"):  # fmt: skip
        assert words in str(error.value)
    with pytest.raises(SpecificationError, match="survival must have shape"):
        effects(survival=np.full((2, 200), 0.5))
    with pytest.raises(SpecificationError, match="later must have shape"):
        effects(later=np.full((2, 200, 2, 3), 0.5))
    with pytest.raises(SpecificationError, match="later must be probabilities"):
        effects(later=np.full((2, 200, 2, 2), np.nan))


def test_draws_cannot_be_changed_afterwards():
    given = np.full((2, 200, 2), 0.5)
    one = effects(survival=given)
    with pytest.raises(ValueError, match="read-only"):
        one.survival[:] = 0
    given[:] = 0.9
    assert one.survival.max() == 0.5


def test_odds_ratio_needs_every_cell():
    share, later = np.full((3, 2, 2), 0.5), np.full((3, 2, 2), 0.5)
    with pytest.raises(SpecificationError, match="no probability"):
        implied_odds_ratio(share, np.ones_like(later))
    with pytest.raises(SpecificationError, match="must end with 2 statuses"):
        implied_odds_ratio(share[..., :1], later[..., :1])
    with pytest.raises(SpecificationError, match="no probability"):
        implied_odds_ratio(share, later, (True, True))


# one global odds ratio


@pytest.mark.parametrize(("prior", "words"), [
    (lambda: SharePrior(0.5, 0.4), "share: need 0 < median < upper < 1"),
    (lambda: SharePrior(0.5, 1.0), "upper 1.0"),
    (lambda: GlobalOddsRatioPrior(1, 1), "global_odds_ratio: need 0 < median < upper"),
])  # fmt: skip
def test_priors_that_name_no_distribution_are_refused(prior, words):
    with pytest.raises(SpecificationError, match=words):
        prior()


def test_priors_are_said_in_words():
    priors = GlobalOddsPriors(SurvivalPriors({"progression": BaselinePrior(30, 90)}), SharePrior(0.3, 0.6), by_arm=True)
    said = priors.statements()
    assert said["negative share of control"] == "95 % of prior shares between 0.11 and 0.6, median 0.3"
    assert said["global odds ratio"] == "each arm its own, 95 % of prior global odds ratios between 0.05 and 20, median 1"
    assert "baseline of progression" in said


def test_table_counts_and_refuses(simulate):
    patients, rng = simulate(digits=0), np.random.default_rng(2)
    landmark = landmark_patients(patients, rng.choice([-1, 0, 1], 120), 2.0, keep_unknown=True)
    table = GlobalOddsTable.of(landmark, TimeGrid((6,)))
    known = landmark.negative >= 0
    assert len(table.row_known) < known.sum()  # equal times share a row
    assert table.row_known.sum() == known.sum()
    assert table.row_negative.sum() == (landmark.negative == 1).sum()
    assert (table.row_known * table.row_exposure.sum(axis=1)).sum() == pytest.approx(landmark.patients.time[known].sum())
    assert table.table.events.sum() == landmark.patients.events
    assert f"{int(table.row_negative.sum())} of {known.sum()} patients of known status" in repr(table)
    needed = len(table.row_known)
    with pytest.raises(SpecificationError, match=f"{needed} different arms, times and endings, and there are {needed - 1}"):
        GlobalOddsTable.of(landmark, TimeGrid((6,)), rows=needed - 1)
    nobody = landmark_patients(patients, np.full(120, -1), 2.0, keep_unknown=True)
    with pytest.raises(SpecificationError, match="nobody's MRD status is known"):
        GlobalOddsTable.of(nobody, TimeGrid((6,)))
