"""Real MRD tables: limits of detection by sample, samples outside of follow-up, and no row that disappears."""

import datetime

import numpy as np
import pytest

from smm_bayes.errors import DataError
from smm_bayes.surrogacy import MISSING, NEGATIVE, NOT_YET, POSITIVE, MrdSchedule, latest_status, mrd_rates
from smm_bayes.trial import MrdAssessments, Patients, cut_by_date
from smm_bayes.trial.mrd import COARSER, FINER, OTHER_LIMIT, death_in
from smm_bayes.trial.table import Table

ARMS = {"control": "Rd", "experimental": "KRd"}
CAUSES = {"progression": ["Progression"], "death": ["Death"]}
SCHEDULE = MrdSchedule((4,), before=1, after=1)
NAMES = ("00", "01", "02", "03", "04", "05")


def table(columns, rows):
    return Table("mrd.csv", {name: [row[i] for row in rows] for i, name in enumerate(columns)}, list(range(2, len(rows) + 2)))


def adtte(names=NAMES, fates=()):
    """Everybody followed for 700 days from 2020-01-01, but who has a fate: (days, event)."""
    known = dict(fates)
    rows = [("S", name, "PFS", str(known.get(name, (700, ""))[0]), "DAYS", str(int(not known.get(name, (0, ""))[1])),
             "2020-01-01", known.get(name, (0, ""))[1], "" if known.get(name, (0, ""))[1] else "Ongoing",
             ARMS["experimental" if i % 2 else "control"]) for i, name in enumerate(names)]  # fmt: skip
    return table(("STUDYID", "USUBJID", "PARAMCD", "AVAL", "AVALU", "CNSR", "STARTDT", "EVNTDESC", "CNSDTDSC", "TRT01P"), rows)


def read(rows, names=NAMES, fates=(), columns=("USUBJID", "MRDTM", "MRDRES", "MRDSENS"), causes=CAUSES):
    """Patients with an MRD table whose times are in days."""
    mrd = table(columns, rows)
    if "MRDTM" in columns:
        mrd.columns["MRDTMU"] = ["DAY"] * len(rows)
    return Patients.from_adtte(adtte(names, fates), "PFS", arms=ARMS, causes=causes, mrd=mrd)


def codes(patients, **options):
    return SCHEDULE.assign(patients, **options).code[:, 0].tolist()


def test_negative_by_a_finer_assay_is_negative():
    rows = [("00", "120", "POSITIVE", "1e-5"), ("01", "120", "NEGATIVE", "1e-5"), ("02", "120", "POSITIVE", "1e-5"),
            ("03", "120", "NEGATIVE", "1e-6"), ("04", "120", "POSITIVE", "1e-5"), ("05", "120", "NEGATIVE", "1e-5")]  # fmt: skip
    patients = read(rows)
    assert codes(patients, sensitivity=1e-5) == [0, 1, 0, 1, 0, 1]
    rates = {(one.arm, one.denominator): (one.negative, one.number)
             for one in mrd_rates(patients, SCHEDULE.assign(patients, sensitivity=1e-5))}  # fmt: skip
    assert rates["experimental", "randomised"] == (3, 3)
    assert latest_status(patients, 5.0, sensitivity=1e-5).tolist() == [0, 1, 0, 1, 0, 1]
    for refused in (lambda: SCHEDULE.assign(patients), lambda: latest_status(patients, 5.0)):
        with pytest.raises(DataError, match=r"sensitivities 1e-06, 1e-05 differ.*name one as sensitivity="):
            refused()


@pytest.mark.parametrize(
    ("limit", "word", "at"),
    [  # what a result at a limit says at 1e-4, 1e-5 and 1e-6
        ("1e-4", "negative", (NEGATIVE, None, None)),
        ("1e-4", "positive", (POSITIVE, POSITIVE, POSITIVE)),
        ("1e-5", "negative", (NEGATIVE, NEGATIVE, None)),
        ("1e-5", "positive", (None, POSITIVE, POSITIVE)),
        ("1e-6", "negative", (NEGATIVE, NEGATIVE, NEGATIVE)),
        ("1e-6", "positive", (None, None, POSITIVE)),
        ("3e-6", "negative", (NEGATIVE, NEGATIVE, None)),
        ("3e-6", "positive", (None, None, POSITIVE)),
        ("0.00001", "negative", (NEGATIVE, NEGATIVE, None)),
        ("9.9999999e-6", "positive", (None, POSITIVE, POSITIVE)),
    ],
)
def test_what_a_result_says_at_other_limits(limit, word, at):
    others = [(name, "120", result, f"1e-{exponent}") for name, result, exponent in
              (("00", "negative", 4), ("01", "positive", 4), ("02", "negative", 6), ("04", "positive", 6))]  # fmt: skip
    patients = read([*others, ("03", "120", word, limit)])
    for exponent, code in zip((4, 5, 6), at, strict=True):
        status = SCHEDULE.assign(patients, sensitivity=10.0**-exponent)
        assert status.code[3, 0] == (MISSING if code is None else code)
        alone = patients.mrd.take(patients.mrd.row == 3).at(10.0**-exponent)
        reason = FINER if word == "positive" else COARSER
        assert (len(alone), alone.set_aside) == ((1, {}) if code is not None else (0, {reason: 1}))
        assert latest_status(patients, 5.0, sensitivity=10.0**-exponent)[3] == (-1 if code is None else code)


def test_results_of_one_window_combine():
    """By hand, at 1e-5: two patients contradict each other, one is decided by its coarser and one by its finer result."""
    both = [("00", "110", "negative", "1e-4"), ("00", "120", "positive", "1e-6"),  # neither says anything: missing
            ("01", "110", "positive", "1e-4"), ("01", "120", "positive", "1e-6"),  # the first is positive
            ("02", "110", "negative", "1e-4"), ("02", "120", "negative", "1e-6"),  # the second is negative
            ("03", "110", "negative", "1e-5"), ("03", "120", "positive", "1e-6"),  # between 1e-6 and 1e-5: negative
            ("04", "110", "failed", "1e-6"), ("04", "120", "not done", ""),
            ("05", "110", "failed", "1e-6")]  # fmt: skip
    status = SCHEDULE.assign(read(both), sensitivity=1e-5)
    assert status.code[:, 0].tolist() == [MISSING, POSITIVE, NEGATIVE, NEGATIVE, MISSING, MISSING]
    assert status.set_aside == {FINER: 3, COARSER: 2, OTHER_LIMIT: 2}
    assert repr(status).splitlines()[0].endswith("; set aside: 3 positive at a finer limit, 2 negative at a coarser limit, "
                                                 "2 without valid result at another limit")  # fmt: skip
    with pytest.raises(DataError, match="contradict each other within its window, of 00;"):
        SCHEDULE.assign(read([("00", "110", "negative", "1e-6"), ("00", "120", "positive", "1e-4")]), sensitivity=1e-5)


def test_a_result_that_says_nothing_does_not_end_the_wait():
    """Followed until day 125, before the window ends: another result may still come."""
    rows = [("00", "120", "positive", "1e-6"), ("01", "120", "negative", "1e-5")]
    patients = cut_by_date(read(rows), datetime.date(2020, 5, 5))
    assert codes(patients, sensitivity=1e-5)[:2] == [NOT_YET, NEGATIVE]


def test_where_only_one_of_two_results_could_be_found_the_limit_is_asked_for():
    fine = read([("00", "120", "positive", "1e-6"), ("01", "120", "negative", "1e-6")])
    with pytest.raises(DataError, match=r"no valid result at sensitivity 1e-05 or coarser: only the negative ones count"):
        SCHEDULE.assign(fine, sensitivity=1e-5)
    coarse = read([("00", "120", "positive", "1e-4"), ("01", "120", "negative", "1e-4")])
    with pytest.raises(DataError, match=r"or finer: only the positive ones count there, and 1 others .* for what there is: 0.0001"):
        SCHEDULE.assign(coarse, sensitivity=1e-5)
    assert codes(fine, sensitivity=1e-6)[:2] == [POSITIVE, NEGATIVE]
    assert codes(read([("01", "120", "negative", "1e-6")]), sensitivity=1e-5)[1] == NEGATIVE  # nothing is lost


def test_another_assay_is_counted():
    rows = [("00", "120", "positive", "1e-5", "flow"), ("01", "120", "negative", "1e-6", "sequencing")]
    patients = read(rows, columns=("USUBJID", "MRDTM", "MRDRES", "MRDSENS", "MRDASSAY"))
    status = SCHEDULE.assign(patients, sensitivity=1e-5, assay="flow")
    assert (status.code[:2, 0].tolist(), status.set_aside) == ([POSITIVE, MISSING], {"by another assay": 1})


def test_samples_outside_of_follow_up_are_set_aside():
    rows = [("00", "120", "POSITIVE", "1e-5"), ("01", "120", "NEGATIVE", "1e-5"), ("04", "-5", "POSITIVE", "1e-5"),
            ("05", "120", "NEGATIVE", "1e-5"), ("05", "701", "NEGATIVE", "1e-5"), ("02", "100", "negative", "1e-5"),
            ("02", "101", "not done", ""), ("05", "700", "positive", "1e-5"), ("04", "0", "positive", "1e-5")]  # fmt: skip
    patients = read(rows, fates=[("02", (100, "Progression"))])
    counts = {"before enrolment": 1, "after the event": 1, "after the last assessment of the endpoint": 1}
    assert patients.mrd.set_aside == counts
    assert len(patients.mrd) + sum(counts.values()) == len(rows)
    assert (patients.mrd.time >= 0).all()
    assert patients.time[5] == pytest.approx(700 * 12 / 365.25)
    words = ("set aside: 1 before enrolment, 1 after the event, 1 after the last assessment of the endpoint")
    assert dict(patients.summary())["MRD assessments"] == f"6 ({words})"
    status = SCHEDULE.assign(patients, sensitivity=1e-5)
    assert status.code[:, 0].tolist() == [POSITIVE, NEGATIVE, NEGATIVE, MISSING, MISSING, NEGATIVE]
    assert status.set_aside == counts
    assert words in repr(status)


def test_what_is_set_aside_follows_its_patient_through_a_cut():
    rows = [("04", "-5", "positive", "1e-5"), ("05", "701", "negative", "1e-5"), ("02", "150", "negative", "1e-5"),
            ("01", "120", "negative", "1e-5")]  # fmt: skip
    patients = read(rows, fates=[("02", (100, "Progression"))])
    early = cut_by_date(patients, datetime.date(2020, 2, 1))  # neither the event nor later samples are known
    assert (len(early.mrd), early.mrd.set_aside) == (0, {"before enrolment": 1})
    middle = cut_by_date(patients, datetime.date(2020, 12, 1))
    assert middle.mrd.set_aside == {"before enrolment": 1, "after the event": 1}
    fewer = patients.take(np.array([name in "02 05" for name in patients.patient]))
    assert fewer.mrd.set_aside == {"after the event": 1, "after the last assessment of the endpoint": 1}
    assert {fewer.patient[one.row]: one.reason for one in fewer.mrd.aside} == {
        "02": "after the event", "05": "after the last assessment of the endpoint"}  # fmt: skip


def test_by_date_the_clock_is_that_of_enrolment():
    rows = [("00", "2019-12-27", "positive", "1e-5"), ("00", "2020-04-30", "negative", "1e-5"),
            ("01", "2021-12-01", "negative", "1e-5"), ("01", "2021-11-30", "negative", "1e-5")]  # fmt: skip
    patients = read(rows, columns=("USUBJID", "MRDDT", "MRDRES", "MRDSENS"))
    assert patients.mrd.set_aside == {"before enrolment": 1, "after the last assessment of the endpoint": 1}
    np.testing.assert_allclose(patients.mrd.time * 365.25 / 12, [121, 700])  # the day of enrolment is day 1


@pytest.mark.parametrize("causes", [CAUSES, {"event": ["Progression", "Death"]}, None])
def test_no_sample_is_taken_after_a_death(causes):
    fates = [("02", (100, "Death"))]
    with pytest.raises(DataError, match=r"column 'MRDTM', row 2: MRD after the patient's death .found 101.; correct"):
        read([("02", "101", "negative", "1e-5")], fates=fates, causes=causes)
    assert len(read([("02", "100", "negative", "1e-5")], fates=fates, causes=causes).mrd) == 1


def test_which_words_are_a_death():
    assert [death_in(text) for text in ("DEATH", "Died", "death due to progression", "Disease Progression or Death", "PFS event",
                                        "progression/death", "Deathly ill", "")] == [True] * 3 + [False] * 5  # fmt: skip


@pytest.mark.parametrize("word", ["-", "--", "_", "+", "maybe", "non detectable", "not available", "ND", "nd", "", ".", "NA"])
def test_no_word_is_read_that_is_not_known(word):
    with pytest.raises(DataError, match=r"column 'MRDRES', row 2: (not a result|no value|ND may be)"):
        read([("00", "120", word, "1e-5")])


def test_every_row_ends_somewhere():
    words = ("negative", "Positive", "MRD-NEGATIVE", "not detected", "DETECTED", "not done", "failed", "undetectable")
    rows = [("00", str(10 + i), word, "1e-5") for i, word in enumerate(words)] + [("01", "-1", "pos", "1e-5")]
    mrd = read(rows).mrd
    assert mrd.negative[mrd.valid].tolist() == [True, False, True, True, False, True]
    assert (int(mrd.valid.sum()), int((~mrd.valid).sum()), sum(mrd.set_aside.values())) == (6, 2, 1)


def test_a_whole_number_is_itself_however_it_is_written():
    for one, other in (("7", "7.0"), ("7.0", "7"), ("7.0", "7.00")):
        patients = read([(other, "120", "negative", "1e-5")], names=(one, "8"))
        assert patients.patient[patients.mrd.row].tolist() == [one]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("007", "7"), ("s-01", "S-1"), ("S-001", "S-1"), ("S -1", "S-1"), ("S-1\u200b", "S-1"), ("Ｓ-1", "S-1")],
)
def test_a_name_written_otherwise_is_the_same_patient(name, meant):
    rows = [("8", "120", "negative", "1e-5"), (name, "120", "negative", "1e-5")]
    patients = read(rows, names=("7", "8", "S-1", "100"))
    assert patients.patient[patients.mrd.row].tolist() == ["8", meant]
    with pytest.raises(DataError, match=r"row 4: no such patient in the trial .found '70'"):
        read([*rows, ("70", "120", "negative", "1e-5")], names=("7", "8", "S-1", "100"))


def test_the_latest_results_must_agree():
    rows = [("00", "120", "negative", "1e-6"), ("00", "120", "positive", "1e-4"), ("01", "100", "negative", "1e-5"),
            ("01", "110", "positive", "1e-5"), ("01", "115", "failed", "")]  # fmt: skip
    columns = ("USUBJID", "MRDTM", "MRDRES", "MRDSENS", "MRDASSAY")
    patients = read([(*row, f"assay {i}") for i, row in enumerate(rows)], columns=columns)
    with pytest.raises(DataError, match="the latest results of 00 contradict each other"):
        latest_status(patients, 5.0, sensitivity=1e-5)
    assert latest_status(patients, 3.8, sensitivity=1e-5).tolist()[:2] == [-1, 0]


def test_limits_that_are_one():
    row = np.arange(3)
    mrd = MrdAssessments(row, row + 1.0, row > 0, np.array([1e-5, 1.0000001e-5, 1e-6]))
    np.testing.assert_allclose(mrd.limits, [1e-6, 1e-5], rtol=1e-6)
    assert mrd.at(1e-5).row.tolist() == [0, 1, 2]
