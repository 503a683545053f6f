"""Patients: reading them, their words and frame, data cuts, causes, follow-up."""

import datetime
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sksurv.nonparametric import kaplan_meier_estimator

from smm_bayes.errors import DataError
from smm_bayes.trial import MrdAssessments, Patients, cut_by_date, cut_by_events
from smm_bayes.trial.calendar import DAYS_PER_MONTH, calendar_date, calendar_time, months_per
from smm_bayes.trial.table import Table
from smm_bayes.trial.writers import write_adtte

DATA = Path(__file__).parents[2] / "data/patients"
ARMS = {"control": "Observation", "experimental": "Active"}
CAUSES = {"progression": ["Disease progression", "SLiM-CRAB"], "death": ["Death"]}
ADTTE = ("STUDYID", "USUBJID", "PARAMCD", "AVAL", "AVALU", "CNSR", "STARTDT", "EVNTDESC", "CNSDTDSC", "TRT01P")
ROWS = [
    ("SMM", "P1", "PFS", "61", "DAY", "0", "2020-03-01", "Disease progression", "", "Active"),
    ("SMM", "P2", "PFS", "52", "WEEKS", "0", "2020-01-01", "Death", "", "Observation"),
    ("SMM", "P3", "PFS", "9", "MONTH", "1", "2020-06-01", "", "Ongoing", "Active"),
    ("SMM", "P4", "PFS", "0.5", "Year", "2", "2020-02-01", "", "Lost to follow-up", "Observation"),
    ("SMM", "P5", "PFS", "3", "MONTH", "3", "2020-04-01", "", "Started new therapy", "Active"),
    ("SMM", "P6", "PFS", "10", "MONTH", "0", "2020-05-01", "slim-crab", "", "Observation"),
    ("SMM", "P6", "OS", "99", "MONTH", "0", "2020-05-01", "Death", "", "Observation"),
]
MRD = [("P1", "1", "month", "negative", "1e-5"), ("P3", "9", "month", "positive", "1e-5"),
       ("P2", "26", "week", "Negative", "1e-6"), ("P3", "2", "month", "NEG", "1e-4")]  # fmt: skip


def table(columns, rows, name="table"):
    return Table(name, {c: [row[i] for row in rows] for i, c in enumerate(columns)}, list(range(2, len(rows) + 2)))


def read(rows=ROWS, mrd=None, **options):
    options = {"arms": ARMS, "causes": CAUSES, "provenance": "simulated", **options}
    return Patients.from_adtte(table(ADTTE, rows), "PFS", mrd=mrd, **options)


def mrd_table(rows=MRD, clock=("MRDTM", "MRDTMU")):
    return table(("USUBJID", *clock, "MRDRES", "MRDSENS"), rows)


def same(left, right):
    """Whether two tables of patients say the same."""
    for attribute in fields(Patients):
        one, two = getattr(left, attribute.name), getattr(right, attribute.name)
        if isinstance(one, MrdAssessments):
            assert isinstance(two, MrdAssessments)
            for inner in fields(MrdAssessments):
                np.testing.assert_array_equal(getattr(one, inner.name), getattr(two, inner.name))
        elif attribute.name == "covariates":
            assert {k: v.tolist() for k, v in one.items()} == {k: v.tolist() for k, v in two.items()}
        elif isinstance(one, np.ndarray) and one.dtype.kind == "f":
            np.testing.assert_allclose(one, two, atol=1e-9, err_msg=attribute.name)
        elif isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, two, err_msg=attribute.name)
        else:
            assert one == pytest.approx(two) if isinstance(one, float) else one == two, attribute.name


# ---- reading

def test_one_clock_in_months():
    assert DAYS_PER_MONTH == 365.25 / 12
    assert [months_per(unit) for unit in ("Day", " weeks ", "MONTH", "years", "decade")] == [
        pytest.approx(12 / 365.25), pytest.approx(84 / 365.25), 1.0, 12.0, None
    ]  # fmt: skip
    patients = read()
    expected = [61 / (365.25 / 12), 52 * 7 / (365.25 / 12), 9, 6, 3, 10]
    np.testing.assert_allclose(patients.time, expected, rtol=1e-12)
    assert patients.unit == "month"


def test_columns_of_adtte():
    patients = read()
    assert len(patients) == 6
    assert list(patients.patient) == ["P1", "P2", "P3", "P4", "P5", "P6"]
    assert patients.trial == "SMM"
    assert patients.provenance == "simulated"
    assert patients.arms == ("control", "experimental")
    assert patients.arm_names == ("Observation", "Active")
    assert patients.arm_name("control") == "Observation"
    assert patients.arm.tolist() == [1, 0, 1, 0, 1, 0]
    assert patients.causes == ("progression", "death")
    assert patients.event.tolist() == [True, True, False, False, False, True]
    assert patients.cause.tolist() == [0, 1, -1, -1, -1, 0]
    assert patients.events == 3
    assert patients.censoring.tolist() == ["", "", "administrative", "lost", "new_therapy", ""]
    assert patients.at_risk.tolist() == [False, False, True, False, False, False]


def test_any_code_above_0_is_censored_and_never_one_minus_the_code():
    """``event = 1 - CNSR`` makes -1, which is true, of the 2 that ADTTE writes for another reason."""
    patients = read()
    code = np.array([int(row[5]) for row in ROWS if row[2] == "PFS"])
    assert (code >= 2).sum() == 2
    assert not patients.event[code >= 1].any()
    assert patients.event.dtype == bool
    assert patients.events == 3 != int((1 - code).astype(bool).sum())
    assert (patients.cause[code >= 1] == -1).all()
    assert all(reason for reason in patients.censoring[code >= 1])


def test_reasons_by_code_win_over_words():
    patients = read(censoring={2: "withdrawn", 1: "other"})
    assert patients.censoring.tolist() == ["", "", "other", "withdrawn", "new_therapy", ""]
    with pytest.raises(DataError, match="censoring: moved is no reason; give one of administrative"):
        read(censoring={2: "moved"})


@pytest.mark.parametrize(
    ("words", "reason"),
    [("Lost to follow-up", "lost"), ("WITHDRAWAL OF CONSENT", "withdrawn"), ("Consent revoked", "withdrawn"),
     ("ongoing", "administrative"), ("Alive and still followed", "administrative"), ("Data cut-off", "administrative"),
     ("Subsequent anti-myeloma treatment", "new_therapy")],
)  # fmt: skip
def test_reasons_by_words(words, reason):
    rows = [*ROWS]
    rows[3] = (*ROWS[3][:8], words, ROWS[3][9])
    assert read(rows).censoring[3] == reason


def test_without_causes_every_event_is_of_one_cause():
    patients = read(causes=None)
    assert patients.causes == ("event",)
    assert patients.cause.tolist() == [0, 0, -1, -1, -1, 0]
    with pytest.raises(DataError, match=r"'EVNTDESC', row 3: a cause that is not declared .found 'Death'"):
        read(causes={"progression": CAUSES["progression"]})


def test_calendar_counts_from_the_first_enrolment():
    patients = read()
    assert patients.origin == datetime.date(2020, 1, 1)
    expected = [60, 0, 152, 31, 91, 121]  # days of the year 2020, which has a 29th of February
    np.testing.assert_allclose(patients.enrolled, np.array(expected) / DAYS_PER_MONTH, rtol=1e-12)
    assert patients.data_cutoff == pytest.approx((patients.enrolled + patients.time).max())
    date = datetime.date(2023, 5, 17)
    assert calendar_date(calendar_time(date, patients.origin), patients.origin) == date


def test_without_dates_there_is_no_calendar():
    patients = Patients.from_adtte(
        table([c for c in ADTTE if c != "STARTDT"], [(*row[:6], *row[7:]) for row in ROWS]), "PFS", arms=ARMS
    )
    assert patients.enrolled is None
    assert patients.origin is None
    assert patients.data_cutoff is None
    assert "cut-off" not in repr(patients)
    for cut in (lambda: cut_by_date(patients, 3.0), lambda: cut_by_events(patients, 1)):
        with pytest.raises(DataError, match="needs the calendar time of enrolment; give column STARTDT"):
            cut()


def test_mrd_by_time():
    mrd = read(mrd=mrd_table()).mrd
    assert len(mrd) == 4
    assert mrd.row.tolist() == [0, 2, 1, 2]
    np.testing.assert_allclose(mrd.time, [1, 9, 26 * 7 / DAYS_PER_MONTH, 2])
    assert mrd.negative.tolist() == [True, False, True, True]
    assert mrd.sensitivity.tolist() == [1e-5, 1e-5, 1e-6, 1e-4]


def test_mrd_that_was_not_done_or_failed_is_kept_and_is_not_valid():
    words = ("not done", "QNS", "not_done", "Not-Evaluable", "indeterminate", "ne", "inconclusive", "insufficient", "failed")
    rows = [("P3", str(1 + i / 4), "month", word, "1e-5" if i % 2 else "", "flow") for i, word in enumerate(words)]
    rows.append(("P1", "1", "month", "negative", "1e-6", ""))
    patients = read(mrd=table(("USUBJID", "MRDTM", "MRDTMU", "MRDRES", "MRDSENS", "MRDASSAY"), rows))
    mrd = patients.mrd
    assert mrd.valid.tolist() == [False] * len(words) + [True]
    assert mrd.negative.tolist() == mrd.valid.tolist()
    assert np.isnan(mrd.sensitivity).tolist() == [i % 2 == 0 for i in range(len(words))] + [False]
    assert mrd.assay.tolist() == ["flow"] * len(words) + [""]
    assert dict(patients.summary())["MRD assessments"] == "10 (9 without valid result)"
    kept = patients.take(patients.patient == "P1").mrd
    assert (kept.row.tolist(), kept.valid.tolist(), kept.assay.tolist()) == ([0], [True], [""])


def test_mrd_follows_its_patients_through_a_cut():
    patients = read(mrd=table(("USUBJID", "MRDTM", "MRDTMU", "MRDRES", "MRDSENS", "MRDASSAY"), [
        ("P3", "1", "month", "failed", "", "flow"), ("P3", "8", "month", "negative", "1e-5", "sequencing"),
        ("P2", "2", "month", "positive", "1e-5", "flow"),
    ]))  # fmt: skip
    at = float(patients.enrolled[2]) + 4
    cut = cut_by_date(patients, at)
    who = cut.patient[cut.mrd.row].tolist()
    assert sorted(zip(who, cut.mrd.valid.tolist(), cut.mrd.assay.tolist(), strict=True)) == [
        ("P2", True, "flow"), ("P3", False, "flow")]  # fmt: skip


def test_results_contradict_each_other_on_one_day_with_one_assay():
    def sheet(*rows):
        return table(("USUBJID", "MRDTM", "MRDTMU", "MRDRES", "MRDSENS", "MRDASSAY"), list(rows))

    negative = ("P3", "61", "day", "negative", "1e-5", "flow")
    for fine in (("P3", "61", "day", "positive", "1e-6", "flow"), ("P3", "61", "day", "positive", "1e-5", "sequencing"),
                 ("P3", "62", "day", "positive", "1e-5", "flow"), ("P2", "61", "day", "positive", "1e-5", "flow"),
                 ("P3", "61", "day", "failed", "1e-5", "flow")):  # fmt: skip
        assert len(read(mrd=sheet(negative, fine)).mrd) == 2
    for wrong in ("1e-5", "1e-4"):
        with pytest.raises(DataError, match=r"column 'MRDRES', rows 2, 3: valid results of one patient and day"):
            read(mrd=sheet(negative, ("P3", "61", "day", "positive", wrong, "flow")))


def test_assessments_in_columns_of_different_lengths_are_refused():
    row = np.array([0, 1])
    with pytest.raises(DataError, match="columns differ in length"):
        MrdAssessments(row, row * 1.0, row > 0, row + 1e-5, np.ones(3, bool))
    assert MrdAssessments(row, row * 1.0, row > 0, row + 1e-5).valid.all()


def test_mrd_by_date_is_the_same_time():
    rows = [("P1", "2020-03-31", "negative", "1e-5"), ("P3", "2020-06-01", "positive", "1e-5")]
    mrd = read(mrd=mrd_table(rows, clock=("MRDDT",))).mrd
    np.testing.assert_allclose(mrd.time, [30 / DAYS_PER_MONTH, 0], atol=1e-9)


def test_a_plain_table():
    rows = [("a", "Active", "365.25", "1", "death", "", "0", "61"),
            ("b", "Observation", "730.5", "0", "", "lost", "30", "70"),
            ("c", "Active", "30", "0", "", "", "40", "55")]  # fmt: skip
    columns = ("patient", "arm", "time", "event", "cause", "censoring", "enrolled", "age")
    patients = Patients.from_frame(
        table(columns, rows), arms=ARMS, unit="day", causes=["progression", "death"], covariates=["age"], trial="plain",
        censoring="administrative",
    )  # fmt: skip
    np.testing.assert_allclose(patients.time, [12, 24, 30 / DAYS_PER_MONTH])
    assert patients.cause.tolist() == [1, -1, -1]
    assert patients.censoring.tolist() == ["", "lost", "administrative"]
    assert patients.covariates["age"].tolist() == [61, 70, 55]
    assert patients.table()["age"].tolist() == [61, 70, 55]
    frame = patients.table().assign(arm=[patients.arm_names[index] for index in patients.arm])
    again = Patients.from_frame(
        frame, arms=ARMS, causes=["progression", "death"], covariates=["age"], trial="plain"
    )
    same(again, patients)


def test_pandas_and_csv_are_read_alike(tmp_path):
    import pandas as pd

    path = tmp_path / "adtte.csv"
    path.write_text("".join(",".join(row) + "\n" for row in [ADTTE, *ROWS]))
    from_file = Patients.from_adtte(path, "PFS", arms=ARMS, causes=CAUSES, provenance="simulated")
    frame = pd.read_csv(path, parse_dates=["STARTDT"])
    assert frame["CNSR"].dtype.kind == "i"
    same(Patients.from_adtte(frame, "PFS", arms=ARMS, causes=CAUSES, provenance="simulated"), from_file)
    same(from_file, read())


# ---- words and frame

def test_to_frame():
    patients = read()
    frame = patients.table()
    assert list(frame.columns) == ["patient", "arm", "enrolled", "time", "event", "cause", "censoring"]
    assert frame["arm"].tolist() == ["experimental", "control"] * 3
    assert frame["cause"].tolist() == ["progression", "death", "", "", "", "progression"]
    assert frame["event"].sum() == patients.events
    np.testing.assert_array_equal(frame["time"], patients.time)
    np.testing.assert_array_equal(frame["enrolled"], patients.enrolled)
    stratified = table([*ADTTE, "STRATUM"], [(*row, "high") for row in ROWS])
    assert Patients.from_adtte(stratified, "PFS", arms=ARMS).table()["stratum"].tolist() == ["high"] * 6


def test_what_it_says_of_itself():
    patients = cut_by_date(read(mrd=mrd_table()), datetime.date(2021, 1, 15))
    words = repr(patients)
    assert words.startswith("Patients: SMM, 3 control / 3 experimental, ")
    assert "2 (1 progression, 1 death) events" in words
    assert f"median follow-up {patients.median_follow_up:.1f} months" in words
    assert "data cut-off 2021-01-15" in words
    assert words.endswith("simulated")
    assert "\n" not in words
    html = patients._repr_html_()
    assert "Patients of SMM" in html
    assert "<th>MRD assessments</th><td>3</td>" in html
    assert dict(read(causes=None).summary())["events"] == "3"


def test_values_are_frozen_and_checked():
    patients = read()
    with pytest.raises(ValueError, match="read-only"):
        patients.time[0] = 1.0
    with pytest.raises(AttributeError):
        patients.trial = "x"
    with pytest.raises(DataError, match="not negative"):
        patients.take(np.ones(6, bool), time=-patients.time)
    with pytest.raises(DataError, match="every event needs its cause"):
        patients.take(np.ones(6, bool), event=np.ones(6, bool))


# ---- cuts

def test_a_cut_by_date():
    patients = read(mrd=mrd_table())
    cut = cut_by_date(patients, datetime.date(2020, 9, 1))
    assert list(cut.patient) == ["P1", "P2", "P3", "P4", "P5", "P6"]
    assert cut.event.tolist() == [True, False, False, False, False, False]
    assert cut.cause.tolist() == [0, -1, -1, -1, -1, -1]
    assert cut.censoring.tolist() == ["", "administrative", "administrative", "lost", "new_therapy", "administrative"]
    days = np.array([61, 244, 92, 6 * DAYS_PER_MONTH, 3 * DAYS_PER_MONTH, 123])
    np.testing.assert_allclose(cut.time * DAYS_PER_MONTH, days)
    assert cut.data_cutoff == pytest.approx(244 / DAYS_PER_MONTH)
    assert cut.causes == patients.causes
    assert cut.mrd.row.tolist() == [0, 1, 2]  # the second assessment of P3 is later than the cut
    assert patients.time[1] == pytest.approx(364 / DAYS_PER_MONTH)  # the original is as it was


def test_later_enrolled_are_dropped_and_mrd_moves_with_its_patient():
    cut = cut_by_date(read(mrd=mrd_table()), datetime.date(2020, 4, 15))
    assert list(cut.patient) == ["P1", "P2", "P4", "P5"]
    assert cut.mrd.row.tolist() == [0]
    assert cut.mrd.time.tolist() == [1.0]
    late = [*ROWS[:6], ("SMM", "P0", "PFS", "9", "MONTH", "1", "2021-06-01", "", "Ongoing", "Active")]
    reordered = read([late[6], *late[:6]], mrd=mrd_table([("P0", "1", "month", "neg", "1e-5"), *MRD]))
    cut = cut_by_date(reordered, datetime.date(2020, 4, 15))
    assert cut.patient[cut.mrd.row].tolist() == ["P1"]


def test_an_event_on_the_day_of_the_cut_is_known():
    patients = read()
    day = datetime.date(2020, 3, 1) + datetime.timedelta(days=61)
    assert cut_by_date(patients, day).event[0]
    before = cut_by_date(patients, day - datetime.timedelta(days=1))
    assert not before.event[0]
    assert before.censoring[0] == "administrative"
    assert before.time[0] == pytest.approx(60 / DAYS_PER_MONTH)


def test_a_patient_enrolled_on_the_day_of_the_cut_is_there():
    cut = cut_by_date(read(), datetime.date(2020, 6, 1))
    assert "P3" in cut.patient
    assert cut.time[2] == 0
    assert "P3" not in cut_by_date(read(), datetime.date(2020, 5, 31)).patient


def test_mrd_on_the_day_of_the_cut_or_of_the_censoring_is_known():
    start = datetime.date(2020, 6, 1)
    for days in range(1, 200):
        day = start + datetime.timedelta(days=days)
        rows = [(*ROWS[2][:3], str(days), "DAY", *ROWS[2][5:]), *ROWS[:2]]
        patients = read(rows, mrd=mrd_table([("P3", day.isoformat(), "neg", "1e-5")], clock=("MRDDT",)))
        assert len(cut_by_date(patients, day).mrd) == 1
        assert len(cut_by_date(patients, datetime.date(2021, 1, 1)).mrd) == 1
        assert len(cut_by_date(patients, day - datetime.timedelta(days=1)).mrd) == 0


def test_cuts_that_cannot_be():
    patients = read()
    with pytest.raises(DataError, match=r"nobody had been enrolled .*after the first enrolment \(2020-01-01\)"):
        cut_by_date(patients, datetime.date(2019, 12, 31))
    for number in (0, 4):
        with pytest.raises(DataError, match=f"a cut at {number} events, but the patients have 3"):
            cut_by_events(patients, number)
    with pytest.raises(DataError, match="a cut at 3 events, but the patients have 2"):
        cut_by_events(patients, 3, "progression")
    with pytest.raises(DataError, match="not among"):
        cut_by_events(patients, 1, "relapse")


def test_a_cut_by_events():
    patients = read()
    when = np.sort((patients.enrolled + patients.time)[patients.event])
    for number in (1, 2, 3):
        cut = cut_by_events(patients, number)
        assert cut.events == number
        assert cut.data_cutoff == pytest.approx(when[number - 1])
    of_death = cut_by_events(patients, 1, "death")
    assert of_death.data_cutoff == pytest.approx(364 / DAYS_PER_MONTH)
    assert of_death.causes == patients.causes
    rows = [ROWS[0], ("SMM", "P9", *ROWS[0][2:9], "Observation"), *ROWS[1:6]]
    assert cut_by_events(read(rows), 1).events == 2  # both happened on one day


def trial_of(arrivals, times, kinds):
    size = len(arrivals)
    enrolled = np.array(arrivals, dtype=float)
    event = np.array([kind < 2 for kind in kinds])
    reason = ["", "", "administrative", "lost"]
    time = np.array(times, dtype=float)
    return Patients(
        patient=np.array([f"P{i}" for i in range(size)], dtype=object), arm=np.arange(size) % 2, time=time, event=event,
        cause=np.where(event, kinds, -1), censoring=np.array([reason[kind] for kind in kinds], dtype=object),
        enrolled=enrolled, arms=("control", "experimental"), arm_names=("A", "B"), causes=("progression", "death"),
        data_cutoff=float((enrolled + time).max()),
        mrd=MrdAssessments(np.arange(size), time / 2, np.arange(size) % 3 == 0, np.full(size, 1e-5)),
    )  # fmt: skip


grain = st.integers(1, 400).map(lambda days: days / DAYS_PER_MONTH)
trials = st.lists(st.tuples(grain, grain, st.integers(0, 3)), min_size=1, max_size=20).map(
    lambda rows: trial_of(*zip(*rows, strict=True))
)


@settings(deadline=None)
@given(trials, grain, grain)
def test_an_earlier_cut_never_has_more(patients, first, second):
    cutoffs = sorted(max(cutoff, patients.enrolled.min()) for cutoff in (first, second))
    early, late = (cut_by_date(patients, cutoff) for cutoff in cutoffs)
    for less, more in ((early, late), (late, patients)):
        assert len(less) <= len(more)
        assert less.events <= more.events
        assert less.time.sum() <= more.time.sum() + 1e-9
        assert len(less.mrd) <= len(more.mrd)
        there = {name: index for index, name in enumerate(more.patient)}
        at = np.array([there[name] for name in less.patient])
        assert (less.time <= more.time[at] + 1e-9).all()
        assert (more.event[at] | ~less.event).all()
        assert (less.enrolled + less.time <= less.data_cutoff + 1e-9).all()


@settings(deadline=None)
@given(trials, grain, grain)
def test_cutting_twice_is_cutting_once_at_the_earlier_date(patients, first, second):
    early, late = sorted(max(cutoff, patients.enrolled.min()) for cutoff in (first, second))
    once = cut_by_date(patients, early)
    same(cut_by_date(cut_by_date(patients, late), early), once)
    again = cut_by_date(once, late)  # what was not known stays unknown
    np.testing.assert_array_equal(again.time, once.time)
    np.testing.assert_array_equal(again.event, once.event)
    np.testing.assert_array_equal(again.censoring, once.censoring)


@settings(deadline=None)
@given(trials)
def test_a_cut_at_the_end_changes_nothing(patients):
    same(cut_by_date(patients, patients.data_cutoff), patients)


def test_the_real_patients_cut_twice(mgus2):
    early, late = datetime.date(1980, 1, 1), datetime.date(1990, 1, 1)
    same(cut_by_date(cut_by_date(mgus2, late), early), cut_by_date(mgus2, early))


# ---- causes

def test_count_only():
    patients = read(mrd=mrd_table())
    counted = patients.count_only("progression")
    assert counted.causes == ("progression",)
    assert counted.event.tolist() == [True, False, False, False, False, True]
    assert counted.cause.tolist() == [0, -1, -1, -1, -1, 0]
    assert counted.censoring.tolist() == ["", "other", "administrative", "lost", "new_therapy", ""]
    np.testing.assert_array_equal(counted.time, patients.time)
    assert not counted.at_risk[1]  # who died is not followed any more
    assert len(counted.mrd) == 4
    turned = patients.count_only("death", "progression")
    assert turned.causes == ("death", "progression")
    assert turned.cause.tolist() == [1, 0, -1, -1, -1, 1]
    with pytest.raises(DataError, match="not among"):
        patients.count_only("relapse")


# ---- follow-up

@settings(deadline=None, max_examples=200)
@given(trials)
def test_median_follow_up_is_reverse_kaplan_meier(patients):
    found = patients.median_follow_up
    if patients.event.all():
        assert np.isnan(found)
        return
    time, remaining = kaplan_meier_estimator(~patients.event, patients.time)
    reached, below = (np.flatnonzero(remaining <= 0.5 + eps) for eps in (1e-12, -1e-12))
    if not len(reached):
        assert np.isnan(found)
        return
    flat = len(below) and below[0] > reached[0]  # at one half for a while: its middle, as R's survfit has it
    assert found == pytest.approx((time[reached[0]] + time[below[0]]) / 2 if flat else time[reached[0]])


def test_median_follow_up_where_exactly_half_remain():
    """The curve is at one half exactly, which a product of floats need not be; the middle of the flat piece counts."""
    for size in range(2, 400, 2):
        patients = trial_of(np.ones(size), np.arange(1.0, size + 1), np.full(size, 2))
        assert patients.median_follow_up == (size + 1) / 2


def test_median_follow_up_of_the_real_patients(mgus2):
    time, remaining = kaplan_meier_estimator(~mgus2.event, mgus2.time)
    assert mgus2.median_follow_up == time[remaining <= 0.5][0]
    assert mgus2.median_follow_up > np.median(mgus2.time)  # death shortens a time, not the follow-up


def test_a_reason_that_could_be_two_is_asked_for():
    """'Alive without new therapy' does not say whether the patient is still followed: no guess is made."""
    from smm_bayes.errors import DataError
    from smm_bayes.trial.table import Table

    def read(text, **options):
        columns = {"STUDYID": ["S", "S"], "USUBJID": ["1", "2"], "PARAMCD": ["PFS"] * 2, "AVAL": ["3", "4"],
                   "AVALU": ["MONTH"] * 2, "CNSR": ["1", "0"], "TRT01P": ["A", "A"], "CNSDTDSC": [text, ""]}  # fmt: skip
        return Patients.from_adtte(Table("t", columns, [2, 3]), "PFS", arms={"experimental": "A"}, **options)

    for text in ("Alive without new therapy", "Lost to follow-up before withdrawal of consent"):
        with pytest.raises(DataError, match=r"'CNSDTDSC', row 2: a reason that is not understood.*say in the specification"):
            read(text)
        assert read(text, censoring={1: "administrative"}).at_risk.tolist() == [True, False]
    assert read("New therapy started").censoring[0] == "new_therapy"


# ---- delayed entry

FRAME = ("patient", "arm", "enrolled", "entry", "time", "event")
LATE = [("a", "Active", "10", "0", "5", "1"), ("b", "Observation", "12", "4", "10", "0"),
        ("c", "Active", "20", "30", "36", "1"), ("d", "Observation", "26", "1.5", "2", "1")]  # fmt: skip


def late(rows=LATE, columns=FRAME, **options):
    return Patients.from_frame(table(columns, rows), arms=ARMS, censoring="administrative", **options)


def test_entry_is_read_in_the_unit_of_time():
    patients = late()
    assert patients.entry.tolist() == [0, 4, 30, 1.5]
    assert patients.delayed.tolist() == [False, True, True, True]
    assert patients.follow_up.tolist() == [5, 6, 6, 0.5]
    assert patients.data_cutoff == 26.5  # d was enrolled at 26 and followed for half a month
    np.testing.assert_allclose(late(unit="year").entry, 12 * patients.entry)
    plain = late([(*row[:3], *row[4:]) for row in LATE], [name for name in FRAME if name != "entry"])
    assert plain.entry is None
    assert not plain.delayed.any()
    np.testing.assert_array_equal(plain.follow_up, plain.time)


def test_entry_in_words_and_frame():
    patients = late()
    assert dict(patients.summary())["delayed entry"] == "3 patients, median 4.0 months"
    assert ", delayed entry 3 patients, median 4.0 months, data cut-off not stated; last date" in repr(patients)
    frame = patients.table()
    assert list(frame.columns) == ["patient", "arm", "enrolled", "entry", "time", "event", "cause", "censoring"]
    named = frame.assign(arm=[patients.arm_names[index] for index in patients.arm])
    same(Patients.from_frame(named, arms=ARMS, causes=["event"]), patients)
    nobody = late([(*row[:3], "0", *row[4:]) for row in LATE])
    assert "delayed" not in repr(nobody)
    assert nobody.entry.tolist() == [0, 0, 0, 0]


def test_entry_moves_with_its_patient_and_is_frozen():
    patients = late()
    assert patients.take(patients.event).entry.tolist() == [0, 30, 1.5]
    assert patients.count_only("event").entry.tolist() == [0, 4, 30, 1.5]
    with pytest.raises(ValueError, match="read-only"):
        patients.entry[0] = 1.0


@pytest.mark.parametrize(
    ("entry", "message"),
    [([0, 11, 30, 1.5], "not after time"), ([0, -1, 30, 1.5], "not negative"), ([0, np.nan, 30, 1.5], "not negative"),
     ([0, np.inf, 30, 1.5], "not after time"), ([0, 4, 30], "one number a patient"),
     ([5, 4, 30, 1.5], "under observation before it")],
)  # fmt: skip
def test_entries_that_cannot_be(entry, message):
    with pytest.raises(DataError, match=message):
        replace(late(), entry=np.array(entry, dtype=float))


def test_the_door_names_every_bad_entry():
    rows = [(*row[:3], entry, *row[4:]) for row, entry in zip(LATE, ("5", "-4", "", "1,5"), strict=True)]
    with pytest.raises(DataError) as caught:
        late([*rows, ("e", "Active", "3", "9", "8", "0"), ("f", "Active", "3", "inf", "8", "0")])
    text = str(caught.value)
    assert "4 problems" in text
    assert "column 'entry', rows 5, 7: not a finite number (found '1,5'); give a plain number" in text
    assert "column 'entry', row 3: negative (found -4); give a value of 0 or more" in text
    assert "column 'entry', row 4: no value; write 0 for who was at risk from time 0" in text
    assert "column 'entry', rows 2, 6: not before the end of follow-up (found 5); correct the time or the entry" in text
    same(late(columns=[name.replace("entry", "Entry") for name in FRAME]), late())


def test_time_0_without_delay_is_read_with_a_column_entry_as_without():
    assert late([("e", "Active", "3", "0", "0", "0"), *LATE]).time[0] == 0


def test_median_follow_up_counts_from_enrolment():
    patients = late([(*row[:5], "0") for row in LATE])
    assert patients.median_follow_up == 5.5  # of 5, 6, 6 and 0.5; on the clock of time it would be 7.5 of 5, 10, 36, 2
    assert late().median_follow_up == 6  # b alone is censored, with nobody longer under observation


ENTERED = [(*row, entry) for row, entry in zip(ROWS, ("31", "0", "4", "0.25", "0", "2", "0"), strict=True)]


def test_entry_in_adtte():
    """STARTDT is what AVAL counts from; enrolment is ENTRYTM later, in the unit AVALU."""
    patients = Patients.from_adtte(table([*ADTTE, "ENTRYTM"], ENTERED), "PFS", arms=ARMS, causes=CAUSES)
    plain = read()
    np.testing.assert_allclose(patients.entry, [31 / DAYS_PER_MONTH, 0, 4, 3, 0, 2])
    np.testing.assert_allclose(patients.enrolled, plain.enrolled + patients.entry)
    np.testing.assert_array_equal(patients.time, plain.time)
    assert patients.origin == plain.origin  # that of P2, who had no delay
    assert patients.data_cutoff == pytest.approx(plain.data_cutoff)  # dates of the last contact are as they were
    wrong = [(*ENTERED[0][:-1], "61"), *ENTERED[1:5], (*ENTERED[5][:-1], "?"), ENTERED[6]]
    with pytest.raises(DataError) as caught:
        Patients.from_adtte(table([*ADTTE, "ENTRYTM"], wrong), "PFS", arms=ARMS, causes=CAUSES)
    assert "2 problems" in str(caught.value)
    assert "'ENTRYTM', row 2: not before the end of follow-up (found 61); correct" in str(caught.value)
    assert "'ENTRYTM', row 7: not a finite number (found '?')" in str(caught.value)


def test_the_calendar_starts_at_the_first_enrolment_under_delayed_entry():
    rows = [(*row[:6], "2020-01-01", *row[7:-1], "3") for row in ENTERED if row[4] == "MONTH" and float(row[3]) > 3]
    rows = [(*rows[0][:-1], "5"), *rows[1:], (*rows[0][:1], "P8", *rows[0][2:9], "Observation", "4")]
    patients = Patients.from_adtte(table([*ADTTE, "ENTRYTM"], rows), "PFS", arms=ARMS, causes=CAUSES)
    assert patients.origin == datetime.date(2020, 4, 1)  # three months later, to the day
    first = calendar_time(datetime.date(2020, 1, 1), patients.origin)
    np.testing.assert_allclose(patients.enrolled, first + patients.entry)
    assert abs(patients.enrolled.min()) < 0.5 / DAYS_PER_MONTH


def test_delayed_entry_is_written_and_read_back(tmp_path):
    patients = Patients.from_adtte(table([*ADTTE, "ENTRYTM"], ENTERED), "PFS", arms=ARMS, causes=CAUSES)
    for unit in ("day", "month"):
        write_adtte(patients, tmp_path / "adtte.csv", unit=unit, causes={name: words[0] for name, words in CAUSES.items()})
        again = Patients.from_adtte(tmp_path / "adtte.csv", "PFS", arms=ARMS, causes=CAUSES)
        same(again, patients)
    on_the_day = cut_by_date(late(), 20.0)
    with pytest.raises(DataError, match="have no time at risk; leave them out"):
        write_adtte(on_the_day, tmp_path / "adtte.csv")


def test_mrd_with_delayed_entry_is_refused():
    options = {"arms": ARMS, "causes": CAUSES, "mrd": mrd_table()}
    with pytest.raises(DataError, match="do not go with delayed entry yet; give no MRD table, or count time from enrolment"):
        Patients.from_adtte(table([*ADTTE, "ENTRYTM"], ENTERED), "PFS", **options)
    nobody = table([*ADTTE, "ENTRYTM"], [(*row, "0") for row in ROWS])
    assert len(Patients.from_adtte(nobody, "PFS", **options).mrd) == 4
    with pytest.raises(DataError, match="do not go with delayed entry yet; leave them out"):
        replace(read(mrd=mrd_table()), entry=np.array([1.0, 0, 0, 0, 0, 0]))


def test_a_cut_by_date_under_delayed_entry():
    cut = cut_by_date(late(), 20.0)
    assert list(cut.patient) == ["a", "b", "c"]  # d was enrolled later
    assert cut.time.tolist() == [5, 10, 30]  # c had come under observation on that day, 30 months after time zero
    assert cut.entry.tolist() == [0, 4, 30]
    assert cut.event.tolist() == [True, False, False]
    assert cut.follow_up.tolist() == [5, 6, 0]
    assert cut_by_date(late(), 15.0).time.tolist() == [5, 7]  # b's clock stands at 4 + 15 - 12
    assert cut_by_date(late(), 26.0).event.tolist() == [True, False, True, False]  # c's event is at 20 + 36 - 30
    assert cut_by_date(late(), 25.9).event.tolist() == [True, False, False]


def test_a_cut_by_events_under_delayed_entry():
    assert [cut_by_events(late(), number).data_cutoff for number in (1, 2, 3)] == [15, 26, 26.5]
    assert [cut_by_events(late(), number).events for number in (1, 2, 3)] == [1, 2, 3]


def test_the_myeloma_frame_is_made_from_the_raw_table(tmp_path):
    for name in ("myeloma.csv", "make_myeloma_frame.py"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    run = subprocess.run([sys.executable, tmp_path / "make_myeloma_frame.py"], check=True, capture_output=True, text=True)
    assert run.stdout == "3882 patients written, 0 without time at risk left out\n"
    assert (tmp_path / "myeloma_frame.csv").read_bytes() == (DATA / "myeloma_frame.csv").read_bytes()


def test_year_of_the_myeloma_data_is_that_of_diagnosis():
    """R's help calls it the year of entry; but then who lived long before arriving would be in other years."""
    patients = Patients.from_frame(
        DATA / "myeloma_frame.csv", arms={"control": "1947-1981", "experimental": "1982-1996"}, unit="day",
        censoring="administrative")  # fmt: skip
    assert (len(patients), patients.events, patients.delayed.sum()) == (3882, 2769, 1688)
    assert (patients.entry == patients.time).sum() == 0
    last = 1947.5 + (patients.enrolled + patients.follow_up) / 12
    alive = ~patients.event
    for entry in (0, 12, 24, 60):
        assert last[alive & (patients.entry >= entry)].max() == pytest.approx(1996.5, abs=0.25)
    if_arrival = last - patients.entry / 12  # then nobody who arrived late would be seen in the last years
    assert if_arrival[alive & (patients.entry >= 60)].max() < 1991
