"""MRD-negative rates: who is counted in which denominator, and what is refused."""

import numpy as np
import pytest

from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.surrogacy import MrdSchedule, RateComparison, jeffreys_interval, mrd_rates, windows_passed
from smm_bayes.trial import MrdAssessments, Patients

SCHEDULE = MrdSchedule((6, 12), before=1, after=2)
# months, event, reason, enrolled, results; control unless said. The data are cut at month 30
PEOPLE = [
    (30, 0, "administrative", 0, "6- 12-"),  # 0 negative twice
    (30, 0, "administrative", 0, "6- 12+"),  # 1
    (30, 0, "administrative", 0, "12-"),  # 2 missing, then negative
    (4, 1, "", 0, ""),  # 3 event before the first window's end
    (5.5, 1, "", 0, "5-"),  # 4 negative, event before the visit
    (10, 0, "lost", 0, "6-"),  # 5 lost between the visits
    (3, 0, "lost", 0, ""),  # 6 lost before the first
    (7, 0, "administrative", 23, "6-"),  # 7 the first window has not passed, and there is a result
    (2, 1, "", 25, ""),  # 8 the first window has not passed, and there is an event
    (10, 0, "administrative", 20, "6+"),  # 9 the second window has not passed
    (10, 0, "administrative", 0, "6-"),  # 10 last seen before the second window's end
]


def made(people=PEOPLE, arm=None, dates=True):
    time, event, reason, enrolled, results = (list(column) for column in zip(*people, strict=True))
    rows = [(i, float(one[:-1]), one[-1] == "-") for i, words in enumerate(results) for one in words.split()]
    row, month, negative = (np.array(column) for column in zip(*rows, strict=True))
    return Patients(
        patient=np.array([f"P{i}" for i in range(len(people))], dtype=object),
        arm=np.zeros(len(people), int) if arm is None else np.asarray(arm), time=np.array(time, float),
        event=np.array(event, bool), cause=np.where(event, 0, -1), censoring=np.array(reason, dtype=object),
        enrolled=np.array(enrolled, float) if dates else None, arms=("control", "experimental"), arm_names=("C", "E"),
        causes=("progression",), provenance="simulated", data_cutoff=30.0 if dates else None,
        mrd=MrdAssessments(row, month, negative, np.full(len(row), 1e-5)),
    )  # fmt: skip


def counts(rates, arm="control"):
    return {(one.outcome, one.denominator): (one.negative, one.number) for one in rates if one.arm == arm}


def test_who_counts():
    responders = np.isin(np.arange(len(PEOPLE)), [0, 2, 3, 7])
    found = counts(mrd_rates(made(), SCHEDULE, subset=("in complete response", responders)))
    sustained, best = "sustained, 6 and 12 months", "best, by 12 months"
    assert found == {
        ("6 months", "randomised"): (5, 9),  # without 7 and 8
        ("6 months", "at_risk"): (4, 6),  # without 3, 4 and 6 either
        ("6 months", "assessed"): (5, 6),  # 0, 1, 4, 5, 10 and, positive, 9
        ("6 months", "in complete response"): (1, 3),
        ("12 months", "randomised"): (2, 7),  # without 7 to 10
        ("12 months", "at_risk"): (2, 3),
        ("12 months", "assessed"): (2, 3),
        ("12 months", "in complete response"): (2, 3),
        (sustained, "randomised"): (1, 7), (sustained, "at_risk"): (1, 3), (sustained, "assessed"): (1, 2),
        (sustained, "in complete response"): (1, 3),
        (best, "randomised"): (5, 7), (best, "at_risk"): (4, 4), (best, "assessed"): (5, 5),
        (best, "in complete response"): (2, 3),
    }  # fmt: skip
    assert len(mrd_rates(made(), SCHEDULE)) == 2 * 4 * 3  # no subset, no row


def test_without_dates_an_event_always_counts():
    found = counts(mrd_rates(made(dates=False), SCHEDULE, denominators=("randomised",)))
    assert found["6 months", "randomised"] == (5, 10)  # with 8
    passed = windows_passed(made(), SCHEDULE)
    assert np.flatnonzero(~passed[:, 0]).tolist() == [7, 8]
    assert np.flatnonzero(~passed[:, 1]).tolist() == [7, 8, 9, 10]


def test_arms_are_compared_and_the_table_says_so():
    arm = np.arange(len(PEOPLE)) % 2
    rates = mrd_rates(made(arm=arm), SCHEDULE.assign(made(arm=arm)), denominators=("assessed",), probability=0.9)
    (x, n), (y, m) = (counts(rates, role)["6 months", "assessed"] for role in ("experimental", "control"))
    assert (x, n, y, m) == (2, 3, 3, 3)
    assert rates.comparisons["6 months", "assessed"] == RateComparison.of((x, n), (y, m), 0.9)
    text = repr(rates)
    assert text.startswith("MrdRates: 8 rates, 90 % intervals under Jeffreys priors Beta(1/2, 1/2)\n")
    assert "\n  6 months, of assessed, experimental: 2 of 3, 0.667 (" in text
    assert "\n  6 months, of assessed: difference -" in text
    frame, compared = rates.table(), rates.comparisons_table()
    assert frame["rate"].tolist() == [one.rate for one in rates]
    assert compared["measure"].tolist() == ["difference", "odds_ratio"] * 4
    assert compared["median"][1] == rates.comparisons["6 months", "assessed"].odds_ratio[0]


def test_nobody_in_a_denominator_leaves_the_prior():
    rates = mrd_rates(made(), SCHEDULE, denominators=("assessed",))
    empty = next(one for one in rates if one.arm == "experimental")
    assert (empty.negative, empty.number) == (0, 0)
    assert np.isnan(empty.rate)
    assert (empty.lower, empty.upper) == pytest.approx((np.sin(np.pi * 0.025 / 2) ** 2, np.sin(np.pi * 0.975 / 2) ** 2))


def test_one_visit_is_neither_sustained_nor_best():
    assert {one.outcome for one in mrd_rates(made(), MrdSchedule((6,), 1, 2))} == {"6 months"}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"denominators": ("everybody",)}, "denominators must be some of randomised, at_risk, assessed, subset"),
        ({"denominators": "randomised"}, "denominators must be some of"),
        ({"denominators": ()}, "denominators must be some of"),
        ({"denominators": ("assessed", "assessed")}, "each once"),
        ({"denominators": ("subset",)}, "needs subset="),
        ({"subset": ("few", np.ones(3, bool))}, r"subset 'few' must be true or false for each of 11 patients; got bool of shape \(3,\)"),
        ({"subset": ("few", np.arange(11))}, "got int64"),
        ({"subset": ("assessed", np.ones(11, bool))}, "name of a denominator"),
        ({"probability": 1.0}, "probability must be between 0 and 1; got 1"),
        ({"probability": 2.0, "denominators": ("all",)}, "2 problems"),
    ],
)
def test_what_cannot_be_tabulated_is_refused(options, word):
    with pytest.raises(SpecificationError, match=word):
        mrd_rates(made(), SCHEDULE, **options)


def test_a_status_of_others_and_contradictions_are_refused():
    with pytest.raises(SpecificationError, match="status is of 2 patients, not 11"):
        mrd_rates(made(), SCHEDULE.assign(made(PEOPLE[:2])))
    twice = [(30, 0, "administrative", 0, "6- 7+")]
    with pytest.raises(DataError, match="contradict"):
        mrd_rates(made(twice), SCHEDULE)
    with pytest.raises(SpecificationError, match="negative must be from 0 to the number of patients, 3; got 4"):
        jeffreys_interval(4, 3)
    with pytest.raises(SpecificationError, match="probability"):
        RateComparison.of((1, 2), (1, 2), 0.0)
