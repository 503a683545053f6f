"""Endpoints from one table of dates: patients worked out by hand, definitions that make no sense, specifications."""

import datetime
import json
from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.analysis.interim import describe_outcome, read_inputs
from smm_bayes.analysis.sections import EndpointSection
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.trial import Courses, Endpoint, cut_by_date
from smm_bayes.trial.calendar import DAYS_PER_MONTH, calendar_time
from smm_bayes.trial.courses import BROKEN, MILESTONES, ORDER, breaches
from smm_bayes.trial.courses_table import COLUMNS
from smm_bayes.trial.endpoints import (
    DURATION_OF_RESPONSE,
    ENDPOINTS,
    OS,
    PFS,
    PFS2,
    TIME_TO_RESPONSE,
    TTP,
)
from smm_bayes.trial.second_line import progression_after_therapy
from smm_bayes.trial.table import Table
from smm_bayes.trial.writers import write_courses

ARMS = {"control": "Observation", "experimental": "Active"}
FIRST = datetime.date(2020, 1, 6)
NO = None
DATES = ("RSPDT", "PDDT", "NTXDT", "PD2DT", "DTHDT", "LASTASDT", "LSTALVDT")
# days from enrolment to each of DATES, and DCSREAS; patient n is enrolled 20 (n - 1) days after the first
BY_DAY = {
    "followed": (NO, NO, NO, NO, NO, 300, 310, ""),
    "progressed": (NO, 100, NO, NO, NO, 100, 400, ""),
    "died": (NO, NO, NO, NO, 200, 150, NO, "Death"),
    "everything": (60, 250, 260, 500, 700, 500, 700, ""),
    "therapy in response": (60, NO, 120, NO, NO, 300, 330, ""),
    "therapy first": (NO, 180, 120, NO, NO, 180, 400, "Lost to follow-up"),
    "therapy at progression": (NO, 120, 120, NO, 300, 120, 290, ""),
    "progression at death": (NO, 150, NO, NO, 150, 150, 150, ""),
    "left in response": (90, NO, NO, NO, NO, 90, 95, "WITHDRAWAL BY SUBJECT"),
    "never assessed": (NO, NO, NO, NO, NO, 0, 30, "Lost to follow-up"),
    "response to the therapy": (200, 400, 120, NO, NO, 400, 450, ""),
    "therapy at death": (NO, NO, 120, NO, 120, 100, NO, ""),
}
ASSESSED = {"everything": 250, "therapy in response": 100, "therapy first": 110, "therapy at progression": 120,
            "response to the therapy": 90, "therapy at death": 100}  # NTXASDT  # fmt: skip
P, D, S, R, N = "progression", "death", "progression_after_therapy", "response", "new_therapy"
A, LOST, LEFT = "administrative", "lost", "withdrawn"
PLAIN = ((300, A), (100, P), (200, D), (250, P), (300, A), (180, P), (120, P), (150, P), (90, LEFT), (0, LOST),
         (400, P), (120, D))  # fmt: skip
SURVIVAL = ((310, A), (400, A), (200, D), (700, D), (330, A), (400, LOST), (300, D), (150, D), (95, LEFT), (30, LOST),
            (450, A), (120, D))  # fmt: skip
SECOND = ((300, A), (100, A), (200, D), (500, S), (300, A), (180, S), (300, D), (150, D), (90, LEFT), (0, LOST),
          (400, S), (120, D))  # fmt: skip
RESPONSE = ((300, A), (100, P), (200, D), (60, R), (60, R), (180, P), (120, P), (150, P), (90, R), (0, LOST),
            (200, R), (120, D))  # fmt: skip
DURATION = {"everything": (190, P), "therapy in response": (240, A), "left in response": (0, LEFT),
            "response to the therapy": (200, P)}  # fmt: skip


def but(expected, **changes):
    """The same patients, some with another end."""
    return dict(zip(BY_DAY, expected, strict=True)) | {name.replace("_", " "): end for name, end in changes.items()}


BEFORE = {"therapy_in_response": (120, N), "therapy_first": (120, N), "response_to_the_therapy": (120, N)}
ONLY_PROGRESSION = {"died": (200, "other"), "therapy_at_death": (120, "other")}
IN_RESPONSE = {name: end for name, end in DURATION.items() if name != "response to the therapy"}
CASES = [
    (PFS, but(PLAIN)),
    (replace(PFS, new_therapy="censored"), but(PLAIN, **BEFORE)),
    (replace(PFS, new_therapy="event"), but(PLAIN, **BEFORE)),
    (replace(PFS, censored_at="last_alive"),
     but(PLAIN, followed=(310, A), therapy_in_response=(330, A), left_in_response=(95, LEFT), never_assessed=(30, LOST))),
    (TTP, but(PLAIN)),
    (replace(TTP, competing_as="censored"), but(PLAIN, **ONLY_PROGRESSION)),
    (replace(TTP, competing_as="censored", new_therapy="censored"), but(PLAIN, **ONLY_PROGRESSION, **BEFORE)),
    (OS, but(SURVIVAL)),
    (replace(OS, new_therapy="censored"),
     but(SURVIVAL, **BEFORE, everything=(260, N), therapy_at_progression=(120, N))),
    (PFS2, but(SECOND)),
    (TIME_TO_RESPONSE, but(RESPONSE)),
    (replace(TIME_TO_RESPONSE, new_therapy="censored"),
     but(RESPONSE, therapy_first=(120, N), response_to_the_therapy=(120, N))),
    (replace(TIME_TO_RESPONSE, new_therapy="event"),
     but(RESPONSE, therapy_first=(120, N), response_to_the_therapy=(120, N))),
    (DURATION_OF_RESPONSE, DURATION),
    (DURATION_OF_RESPONSE.counting("progression"), DURATION),
    (replace(DURATION_OF_RESPONSE, new_therapy="censored"), IN_RESPONSE | {"therapy in response": (60, N)}),
    (replace(DURATION_OF_RESPONSE, new_therapy="event"), IN_RESPONSE | {"therapy in response": (60, N)}),
    (Endpoint("time to next therapy", {N: (N,), D: (D,)}, new_therapy="event", censored_at="last_alive"),
     but(SURVIVAL, **BEFORE, everything=(260, N), therapy_at_progression=(120, N), therapy_at_death=(120, N))),
]  # fmt: skip


def enrolment(name):
    return FIRST + datetime.timedelta(days=20 * list(BY_DAY).index(name))


def as_table(assessed=None, without=(), name="courses"):
    columns = {"STUDYID": ["SMM"] * len(BY_DAY), "USUBJID": list(BY_DAY),
               "TRT01P": ["Active" if n % 2 else "Observation" for n in range(len(BY_DAY))],
               "RANDDT": [enrolment(name).isoformat() for name in BY_DAY],
               "DCSREAS": [ends[-1] for ends in BY_DAY.values()]}  # fmt: skip
    for position, column in enumerate(DATES):
        columns[column] = [day_of(name, ends[position]) for name, ends in BY_DAY.items()]
    if assessed:
        columns["NTXASDT"] = [day_of(name, assessed.get(name)) for name in BY_DAY]
    for column in without:
        columns.pop(column)
    return Table(name, columns, list(range(2, len(BY_DAY) + 2)))


def day_of(name, days):
    return "" if days is None else (enrolment(name) + datetime.timedelta(days=days)).isoformat()


def read(censoring=None, **options):
    return Courses.from_table(as_table(**options), arms=ARMS, provenance="simulated", censoring=censoring)


def check(patients, expected):
    assert patients.patient.tolist() == list(expected)
    np.testing.assert_allclose(patients.time * DAYS_PER_MONTH, [days for days, _ in expected.values()], atol=1e-6)
    ends = [patients.causes[cause] if cause >= 0 else reason
            for cause, reason in zip(patients.cause, patients.censoring, strict=True)]  # fmt: skip
    assert ends == [end for _, end in expected.values()]
    assert (patients.event == np.isin(ends, patients.causes)).all() or "new_therapy" in patients.causes


# ---- patients by hand

@pytest.mark.parametrize(("endpoint", "expected"), [pytest.param(*case, id=str(case[0])[:75]) for case in CASES])
def test_patients_by_hand(endpoint, expected):
    courses = read()
    patients = endpoint.patients(courses)
    check(patients, expected)
    assert patients.causes == endpoint.causes
    assert patients.endpoint == str(endpoint)
    stops = endpoint.new_therapy == "event"
    for name, event in zip(patients.patient, patients.event, strict=True):
        assert event == (expected[name][1] in (P, D, S, R) or (stops and expected[name][1] == N)), name


def test_last_assessment_before_the_therapy_where_it_is_known():
    moved = {"therapy_in_response": (100, N), "therapy_first": (110, N), "response_to_the_therapy": (90, N)}
    check(replace(PFS, new_therapy="censored").patients(read(assessed=ASSESSED)), but(PLAIN, **moved))
    alive = replace(PFS, new_therapy="censored", censored_at="last_alive").patients(read(assessed=ASSESSED))
    assert alive.time[4] * DAYS_PER_MONTH == pytest.approx(120)
    check(PFS.patients(read(assessed=ASSESSED)), but(PLAIN))


def test_the_clock_of_a_response_starts_at_the_response():
    patients = DURATION_OF_RESPONSE.patients(read())
    days = {"everything": 3 * 20 + 60, "therapy in response": 4 * 20 + 60, "left in response": 8 * 20 + 90,
            "response to the therapy": 10 * 20 + 200}  # fmt: skip
    np.testing.assert_allclose(patients.enrolled * DAYS_PER_MONTH, list(days.values()), atol=1e-9)
    assert patients.origin == FIRST
    cut = cut_by_date(patients, datetime.date(2020, 7, 1))  # day 177: two have responded
    assert cut.patient.tolist() == ["everything", "therapy in response"]
    np.testing.assert_allclose(cut.time * DAYS_PER_MONTH, [177 - 120, 177 - 140], atol=1e-6)


def test_courses_as_they_are_read():
    courses = read()
    assert len(courses) == 12
    assert courses.trial == "SMM"
    assert courses.origin == FIRST
    last = max(20 * n + max(d for d in ends[:-1] if d) for n, ends in enumerate(BY_DAY.values()))
    assert courses.data_cutoff * DAYS_PER_MONTH == pytest.approx(last)
    assert courses.last_before_therapy is None
    np.testing.assert_array_equal(courses.last_alive[[2, 6]], courses.death[[2, 6]])
    assert courses.censoring.tolist() == [A, A, "", "", A, LOST, "", "", LEFT, LOST, A, ""]
    assert repr(courses) == (
        "Courses: SMM, 6 control / 6 experimental, 4 response, 6 progression, 6 new therapy, 1 second progression, "
        "5 death, data cut-off 2022-02-04, simulated"
    )
    assert "<td>2022-02-04</td>" in courses._repr_html_()
    with pytest.raises(ValueError, match="read-only"):
        courses.death[0] = 1.0


def test_what_the_trial_did_not_record_is_refused_where_it_is_needed():
    courses = read(without=("RSPDT", "NTXDT", "PD2DT", "DCSREAS"), censoring={"": "administrative"})
    check(PFS.patients(courses), but(PLAIN, left_in_response=(90, A), never_assessed=(0, A)))
    for endpoint, words in (
        (PFS2, r"PFS2 needs the dates of new therapy \(column NTXDT\), the start of second-line treatment; add"),
        (replace(PFS, start="study_entry"), r'study entry \(column ENRLDT\); add .* none; or, .*, start = "enrolment"'),
        (replace(PFS, start="consent"), r"needs the dates of consent \(column RFICDT\); add"),
        (DURATION_OF_RESPONSE, r"needs the dates of response \(column RSPDT\); add"),
        (replace(TIME_TO_RESPONSE, new_therapy="event"), r"response \(column RSPDT\) and new therapy \(column NTXDT\);"),
        (replace(OS, new_therapy="censored"), r"OS needs the dates of new therapy \(column NTXDT\); add"),
    ):
        with pytest.raises(DataError, match=words):
            endpoint.patients(courses)


# days to first progression, new therapy, second progression, death, last assessment; then the end of PFS2
SECOND_LINE = {
    "no therapy, two progressions": ((100, NO, 200, NO, 300), (300, A)),
    "both progressions before the therapy": ((100, 250, 200, NO, 250), (250, A)),  # never assessed on it
    "one before, one after": ((100, 110, 200, NO, 300), (200, S)),
    "therapy without a progression": ((180, 120, NO, NO, 400), (180, S)),
    "therapy without one, then two": ((180, 120, 260, NO, 400), (180, S)),
    "progression on the day of the therapy": ((120, 120, NO, NO, 400), (400, A)),
    "second one on the day of the therapy": ((100, 200, 200, NO, 200), (200, A)),
    "died on the second line": ((100, 110, NO, 300, 250), (300, D)),
    "died before it": ((100, NO, NO, 300, 250), (300, D)),
    "progressed and died on one day": ((100, 110, 300, 300, 300), (300, S)),
    "neither": ((NO, NO, NO, NO, 365), (365, A)),
}


def second_line(after=None, without=(), **changes):
    """Courses of SECOND_LINE, with a column of the first progression after the new therapy where it is given."""
    ends = {name: changes.get(name.replace(" ", "_").replace(",", ""), dates) for name, (dates, _) in SECOND_LINE.items()}
    first = datetime.date(2020, 1, 6)
    day = lambda days: "" if days is None else (first + datetime.timedelta(days=days)).isoformat()  # noqa: E731
    columns = {"STUDYID": ["SMM"] * len(ends), "USUBJID": list(ends), "TRT01P": ["Active"] * len(ends),
               "RANDDT": [day(0)] * len(ends)}  # fmt: skip
    for position, column in enumerate(("PDDT", "NTXDT", "PD2DT", "DTHDT", "LASTASDT")):
        columns[column] = [day(dates[position]) for dates in ends.values()]
    columns["LSTALVDT"] = [day(max(dates[3] or 0, dates[4])) for dates in ends.values()]
    if after is not None:
        columns["PDNTXDT"] = [day(after.get(name)) for name in ends]
    kept = {name: cells for name, cells in columns.items() if name not in without}
    return Courses.from_table(Table("courses", kept, list(range(2, len(ends) + 2))), arms={"experimental": "Active"},
                              censoring={"": "administrative"})  # fmt: skip


def test_pfs2_is_progression_after_second_line_treatment():
    expected = {name: end for name, (_, end) in SECOND_LINE.items()}
    check(PFS2.patients(second_line()), expected)
    recorded = {name: end[0] for name, end in expected.items() if end[1] == S}
    check(PFS2.patients(second_line(recorded)), expected)
    check(PFS2.patients(second_line(recorded, without=["PD2DT"])), expected)


def test_a_third_progression_is_asked_for():
    late = {"both_progressions_before_the_therapy": (100, 250, 200, NO, 400)}
    with pytest.raises(DataError, match=r"PFS2: both .* \(1 of 11 patients: both progressions before the therapy\), .*PDNTXDT"):
        PFS2.patients(second_line(**late))
    recorded = {name: end[0] for name, (_, end) in SECOND_LINE.items() if end[1] == S}
    third = {"both progressions before the therapy": 390}
    expected = {name: end for name, (_, end) in SECOND_LINE.items()} | {"both progressions before the therapy": (390, S)}
    check(PFS2.patients(second_line(recorded | third, **late)), expected)
    assert not PFS2.patients(second_line(recorded, **late)).event[1]
    with pytest.raises(DataError, match=r"PFS2 needs the dates of progression after the new therapy \(column PDNTXDT\), or"):
        PFS2.patients(second_line(without=["PD2DT"]))


@pytest.mark.parametrize(("name", "day", "words"), [
    ("therapy without a progression", NO, r"not the same day as progression \(PDDT\)"),
    ("therapy without a progression", 181, r"not the same day as progression \(PDDT\)"),
    ("one before, one after", NO, r"not the same day as second progression \(PD2DT\)"),
    ("progression on the day of the therapy", 300, r"not the same day as second progression \(PD2DT\)"),
    ("both progressions before the therapy", 250, r"not after the new therapy \(NTXDT\)"),
    ("died before it", 250, r"without the new therapy \(NTXDT\)"),
])  # fmt: skip
def test_a_progression_after_the_therapy_that_other_dates_contradict(name, day, words):
    recorded = {name: end[0] for name, (_, end) in SECOND_LINE.items() if end[1] == S}
    with pytest.raises(DataError, match=rf"column 'PDNTXDT', row \d+: {words}"):
        second_line(recorded | {name: day})


def test_three_origins(tmp_path):
    table = as_table()
    days = {"ENRLDT": -4, "RFICDT": -10}
    more = {name: [day_of(patient, day) for patient in BY_DAY] for name, day in days.items()}
    courses = Courses.from_table(replace(table, columns=table.columns | more), arms=ARMS)
    for start, earlier in (("enrolment", 0), ("study_entry", 4), ("consent", 10)):
        endpoint = replace(PFS, start=start)
        patients = endpoint.patients(courses)
        check(patients, {name: (time + earlier, end) for name, (time, end) in but(PLAIN).items()})
        assert patients.origin == FIRST - datetime.timedelta(days=earlier)
        assert patients.enrolled.min() == pytest.approx(0)
        when = patients.origin + datetime.timedelta(days=round(patients.data_cutoff * DAYS_PER_MONTH))
        assert when == datetime.date(2022, 2, 4)
        assert f"months from {start.replace('_', ' ')} to progression" in str(endpoint)
    after = replace(courses, progression_after_therapy=progression_after_therapy(courses))
    write_courses(after, tmp_path / "courses.csv")
    again = Courses.from_table(tmp_path / "courses.csv", arms=ARMS)
    for name in ("study_entry", "consent", "progression_after_therapy"):
        np.testing.assert_array_equal(getattr(again, name), getattr(after, name))
    lacking = replace(courses, consent=np.where(np.arange(12) == 3, np.nan, courses.consent))
    with pytest.raises(DataError, match="PFS counts from consent, which some patients lack, first everything; add it"):
        replace(PFS, start="consent").patients(lacking)
    with pytest.raises(DataError, match="column 'RFICDT', row 3: after study entry"):
        wrong = more | {"RFICDT": [day_of(patient, -3 if patient == "progressed" else -10) for patient in BY_DAY]}
        Courses.from_table(replace(table, columns=table.columns | wrong), arms=ARMS)


def test_nobody_has_responded():
    courses = read().cut_by_date(datetime.date(2020, 3, 1))
    with pytest.raises(DataError, match="nobody has responded; choose another endpoint, or cut later"):
        DURATION_OF_RESPONSE.patients(courses)
    with pytest.raises(DataError, match=r"nobody had been enrolled .* \(2020-01-06\)"):
        read().cut_by_date(datetime.date(2020, 1, 5))


def test_a_cut_knows_nothing_of_what_came_later():
    courses = read(assessed=ASSESSED)
    cut = courses.cut_by_date(datetime.date(2020, 7, 1))  # day 177
    day = 177 / DAYS_PER_MONTH
    assert cut.patient.tolist() == list(BY_DAY)[:9]  # enrolled on day 160, 9th
    assert cut.data_cutoff == pytest.approx(calendar_time(datetime.date(2020, 7, 1), FIRST))
    for name in set(MILESTONES) & set(cut.dates()):
        assert not (getattr(cut, name) > day + 1e-9).any()
    assert (cut.last_alive <= day).all()
    assert (cut.last_assessment <= cut.last_alive).all()
    np.testing.assert_allclose(cut.last_assessment[1], 120 / DAYS_PER_MONTH)  # progressed, last assessed earlier
    assert cut.censoring.tolist() == [A] * 9
    assert np.isfinite(cut.last_before_therapy).tolist() == np.isfinite(cut.new_therapy).tolist()
    again = cut.cut_by_date(courses.data_cutoff)
    np.testing.assert_array_equal(again.last_alive, cut.last_alive)


def test_courses_read_back_as_they_were_written(tmp_path):
    courses = Courses.from_table(with_more(as_table(assessed=ASSESSED)), arms=ARMS, covariates=("AGE",))
    courses = replace(courses, censoring=np.where(courses.censoring == LOST, "other", courses.censoring))
    write_courses(courses, tmp_path / "courses.csv")
    again = Courses.from_table(tmp_path / "courses.csv", arms=ARMS, covariates=("AGE",),
                               censoring={"other reason": "other"})  # fmt: skip
    for name, when in courses.dates().items():
        np.testing.assert_array_equal(getattr(again, name), when, err_msg=name)
    for name in ("patient", "arm", "censoring", "stratum"):
        assert getattr(again, name).tolist() == getattr(courses, name).tolist(), name
    assert again.covariates["AGE"].tolist() == courses.covariates["AGE"].tolist()
    assert (again.trial, again.origin, again.data_cutoff) == (courses.trial, courses.origin, courses.data_cutoff)
    patients = PFS.patients(again)
    assert patients.stratum.tolist() == courses.stratum.tolist()
    assert patients.covariates["AGE"].tolist() == courses.covariates["AGE"].tolist()
    with pytest.raises(DataError, match="months without a date of origin"):
        write_courses(replace(courses, origin=None), tmp_path / "courses.csv")
    with pytest.raises(DataError, match="between days"):
        write_courses(replace(courses, enrolled=courses.enrolled - 0.01), tmp_path / "courses.csv")


def with_more(table):
    extra = {"STRATUM": ["high", "low"] * 6, "AGE": [str(50 + n) for n in range(12)]}
    return replace(table, columns=table.columns | extra)


# ---- definitions

def test_definitions_in_words():
    assert str(PFS) == (
        "PFS: months from enrolment to progression or death, whichever is first; a new therapy is ignored (treatment "
        "policy); otherwise censored at the last disease assessment"
    )
    assert str(replace(TTP, new_therapy="censored", competing_as="censored")) == (
        "TTP: months from enrolment to progression; death before it censors; a new therapy censors at the last disease "
        "assessment before it (hypothetical); otherwise censored at the last disease assessment"
    )
    assert "progression, death or new therapy, whichever is first (composite)" in str(replace(PFS, new_therapy="event"))
    assert "months from response to progression;" in str(DURATION_OF_RESPONSE.counting("progression"))
    patients = TTP.patients(read())
    assert dict(patients.summary())["endpoint"] == str(TTP)
    assert "endpoint" not in dict(replace(patients, endpoint="").summary())


def test_what_counts_and_what_competes():
    assert PFS.counted == PFS.causes == (P, D)
    assert (TTP.counted, TTP.causes) == ((P,), (P, D))
    assert replace(TTP, competing_as="censored").causes == (P,)
    composite = replace(TTP, new_therapy="event")
    assert (composite.counted, composite.causes) == ((P, N), (P, D, N))
    assert composite.counting(P).counted == (P,)
    assert PFS.counting(P) == replace(TTP, name="PFS")
    response = TIME_TO_RESPONSE.counting(R)
    assert replace(response, new_therapy="event").counted == (R,)  # a new therapy is no response
    with pytest.raises(SpecificationError, match="'relapse' is not one of the causes progression, death; name some"):
        PFS.counting("relapse")


@pytest.mark.parametrize(("arguments", "words"), [
    ({"start": "diagnosis"}, "start must be one of enrolment, study_entry, consent, response; got 'diagnosis'"),
    ({"new_therapy": "switch"}, "new_therapy must be one of ignored, censored, event; got 'switch'"),
    ({"events": {"any": ("relapse", "death")}}, "events: 'relapse' is no milestone; name some of response"),
    ({"events": {P: (P,), "any": (P, D)}}, "'progression' is named twice; let it be of one cause"),
    ({"events": {P: (P,)}}, "no cause has 'death'; nobody is followed beyond it, so let it count or compete"),
    ({"events": {R: (R,), D: (D,)}, "start": "response"}, "'response' is where the clock starts; remove it"),
    ({"events": {N: (N,), D: (D,)}}, "'new_therapy' is named, so the key new_therapy must be 'event'"),
    ({"events": {N: (P,), D: (D,)}}, "the cause 'new_therapy' lacks the milestone 'new_therapy'; give it another name"),
    ({"events": {S: (S,), D: (D,)}, "new_therapy": "censored"}, "comes after a new therapy, so new_therapy must be"),
    ({"competing": ("relapse",)}, "competing: 'relapse' is not one of the causes progression, death; correct it"),
    ({"competing": (P, D)}, "every cause competes; leave one that counts"),
])  # fmt: skip
def test_definitions_that_contradict_themselves(arguments, words):
    with pytest.raises(SpecificationError, match=words):
        replace(PFS, **arguments)


@pytest.mark.parametrize(("changes", "words"), [
    ({"last_alive": np.full(12, np.nan)}, "enrolled, last_assessment and last_alive must be finite"),
    ({"censoring": np.full(12, "")}, "who is alive needs a reason in censoring"),
    ({"arm": np.zeros(3, int)}, "columns differ in length"),
    ({"provenance": "guessed"}, "provenance a known word"),
    ({"last_before_therapy": np.zeros(12), "new_therapy": None}, "last_before_therapy needs new_therapy"),
])  # fmt: skip
def test_courses_that_no_reader_could_have_made(changes, words):
    with pytest.raises(DataError, match=words):
        replace(read(), **changes)


@pytest.mark.parametrize("rule", ORDER, ids=" ".join)
def test_every_rule_of_order_is_enforced(rule):
    name, relation, other = rule

    def broken(one, two, therapy=np.nan):
        dates = {column: np.array([np.nan]) for column in COLUMNS}
        dates |= {"enrolled": np.zeros(1), "new_therapy": np.array([therapy]), name: np.array([one]), other: np.array([two])}
        return (name, BROKEN[relation], other) in [found[:3] for found in breaches(dates)]

    if relation == "with":
        assert broken(5.0, np.nan)
        assert not broken(5.0, 5.0)
    elif relation == "from":
        assert broken(4.0, 5.0, therapy=6.0)
        assert not broken(5.0, 5.0, therapy=6.0)
        assert not broken(4.0, 7.0, therapy=6.0)
    else:
        up = relation in (">", ">=")
        assert broken(4.0, 5.0) == up
        assert broken(5.0, 4.0) != up
        assert broken(5.0, 5.0) == (relation in ("<", ">"))
    assert not broken(np.nan, 5.0)


def test_a_broken_rule_is_named():
    courses = read()
    with pytest.raises(DataError, match="Courses: last_alive after death, first in patient died; correct either date"):
        replace(courses, last_alive=courses.last_alive + 0.1)


def test_every_column_has_its_name():
    recorded = read(assessed=ASSESSED)
    none = np.full(12, np.nan)
    courses = replace(recorded, study_entry=recorded.enrolled, consent=recorded.enrolled,
                      progression_after_therapy=progression_after_therapy(recorded))  # fmt: skip
    assert set(COLUMNS) == set(courses.dates())
    with pytest.raises(DataError, match="progression_after_therapy not the same day as progression, first in"):
        replace(recorded, progression_after_therapy=none)


# ---- specifications

SPEC = """
schema_version = 1
[trial]
name = "small"
[snapshot]
courses = "courses.csv"
provenance = "simulated"
{snapshot}
[snapshot.arms]
control = "Observation"
experimental = "Active"
[snapshot.endpoint]
{endpoint}
[model]
cuts = [4, 8]
[model.prior.baseline]
{causes}
[final]
{final}
[success]
rule = "log_rank"
alpha = 0.025
{rest}
"""


def spec(folder, endpoint='name = "PFS"', causes=(P, D), snapshot="", final='at = "date"\ndate = 2024-01-01', rest=""):
    table = as_table()
    lines = [",".join(table.columns), *(",".join(row) for row in zip(*table.columns.values(), strict=True))]
    (folder / "courses.csv").write_text("\n".join(lines) + "\n")
    priors = "\n".join(f"{cause} = {{ median = 20, upper = 80 }}" for cause in causes)
    path = folder / "spec.toml"
    path.write_text(SPEC.format(endpoint=endpoint, causes=priors, snapshot=snapshot, final=final, rest=rest))
    return path


@pytest.mark.parametrize(("endpoint", "expected", "counted"), [
    ('name = "PFS"', PFS, None),
    ('name = "PFS"\nnew_therapy = "censored"', replace(PFS, new_therapy="censored"), None),
    ('name = "PFS"\nnew_therapy = "event"', replace(PFS, new_therapy="event"), None),
    ('name = "PFS"\nnew_therapy = "event"\ncauses = ["progression", "death"]',
     replace(PFS, new_therapy="event", competing=(N,)), (P, D)),
    ('name = "TTP"', TTP, (P,)),
    ('name = "TTP"\ncompeting_as = "censored"', replace(TTP, competing_as="censored"), None),
    ('name = "OS"', OS, None),
    ('name = "PFS2"\ncensored_at = "last_alive"', replace(PFS2, censored_at="last_alive"), None),
    ('name = "TIME_TO_RESPONSE"', TIME_TO_RESPONSE, (R,)),
    ('name = "DURATION_OF_RESPONSE"', DURATION_OF_RESPONSE, None),
    ('name = "DURATION_OF_RESPONSE"\ncauses = ["progression"]', DURATION_OF_RESPONSE.counting(P), (P,)),
    ('name = "PFS"\nstart = "response"', replace(PFS, start="response"), None),
])  # fmt: skip
def test_a_specification_chooses_the_endpoint(endpoint, expected, counted, tmp_path):
    inputs = read_inputs(spec(tmp_path, endpoint, expected.causes))
    assert inputs.source.endpoint == expected
    assert inputs.final.causes == inputs.spec.counted == counted
    assert inputs.patients.endpoint == str(expected)
    np.testing.assert_array_equal(inputs.patients.time, expected.patients(read()).time)
    assert inputs.patients.causes == expected.causes
    assert inputs.observed_events == np.isin(inputs.patients.cause, [expected.causes.index(c) for c in expected.counted]).sum()
    assert inputs.snapshot == tmp_path / "courses.csv"
    assert inputs.table.events.shape == (2, len(expected.causes), 3)


def test_names_of_a_specification_are_those_of_the_endpoints():
    assert set(EndpointSection.model_fields["name"].annotation.__args__) == set(ENDPOINTS)


def test_courses_are_cut_before_the_endpoint_is_derived(tmp_path):
    day = datetime.date(2020, 7, 20)  # day 196: who died on day 40 + 200 was last assessed on day 40 + 150
    inputs = read_inputs(spec(tmp_path, snapshot="cut_by_date = 2020-07-20"))
    check(inputs.patients, dict(zip(inputs.patients.patient, [
        (196, A), (100, P), (150, A), (136, A), (116, A), (96, A), (76, A), (56, A), (36, A), (0, A)], strict=True)))  # fmt: skip
    assert inputs.patients.data_cutoff == pytest.approx(calendar_time(day, FIRST))
    by_events = read_inputs(spec(tmp_path, snapshot="cut_by_events = 4"))
    assert by_events.patients.events == 4
    assert by_events.observed_events == 4
    ttp = read_inputs(spec(tmp_path, 'name = "TTP"', snapshot="cut_by_events = 4"))
    assert ttp.observed_events == 4
    assert ttp.patients.events == 5  # with the death that competes


def test_what_happened_is_by_the_definition_too(tmp_path):
    inputs = read_inputs(spec(tmp_path, snapshot="cut_by_date = 2020-07-20", final='at = "date"\ndate = 2020-12-31'))
    happened = describe_outcome(inputs)
    known = PFS.patients(read().cut_by_date(datetime.date(2020, 12, 31)))
    known = known.take(np.isin(known.patient, inputs.patients.patient))
    assert sum(happened[f"{arm}:{cause}"] for arm in known.arms for cause in known.causes) == known.events


def test_the_report_prints_the_definition(tmp_path):
    inputs = read_inputs(spec(tmp_path))
    assert ("endpoint", str(PFS)) in inputs.patients.summary()
    assert str(PFS) in inputs.patients._repr_html_()


BAD_SPECS = [
    ({"endpoint": 'name = "pfs"'}, r"snapshot.endpoint.name: input should be 'PFS', 'TTP'.* \(found 'pfs'; did you mean 'PFS'\?\)"),
    ({"endpoint": 'name = "PFS"\nnew_therapy = "drop"'}, "snapshot.endpoint.new_therapy: input should be 'ignored', "),
    ({"endpoint": 'name = "PFS"\ncauses = ["relapse"]'}, "snapshot.endpoint: endpoint PFS: 'relapse' is not one of the causes"),
    ({"endpoint": 'name = "PFS"\nevents = 1'}, "key 'snapshot.endpoint.events' is not known"),
    ({"endpoint": 'name = "TIME_TO_RESPONSE"\nstart = "response"'}, "'response' is where the clock starts; remove it"),
    ({"endpoint": "", "rest": ""}, "key 'snapshot.endpoint.name' is missing; add it"),
    ({"snapshot": 'file = "adtte.csv"\nparameter = "PFS"'},
     r"2 problems:\n.*snapshot: 'file' is of an ADTTE table; remove it.*\n.*'parameter' is of an ADTTE table"),
    ({"snapshot": 'mrd = "mrd.csv"'}, "snapshot: 'mrd' is of an ADTTE table; remove it, or courses and endpoint"),
    ({"endpoint": 'name = "PFS"\nnew_therapy = "event"'}, "model.prior.baseline has no 'new_therapy'; give it"),
    ({"endpoint": 'name = "TTP"', "final": 'at = "events"\nevents = 9\ncauses = ["progression", "death"]'},
     "final.causes: 'death' competes by snapshot.endpoint; remove it here, or count it in its causes"),
    ({"endpoint": 'name = "DURATION_OF_RESPONSE"',
      "rest": "[enrolment.planned]\ncontrol = 9\nexperimental = 9"},
     "enrolment: snapshot.endpoint starts at response, and patients still to come have not responded; remove the section"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "words"), BAD_SPECS)
def test_specifications_that_make_no_sense(options, words, tmp_path):
    with pytest.raises(SpecificationError, match=words):
        AnalysisSpec.load(spec(tmp_path, **options))


def test_a_specification_needs_one_kind_of_table(tmp_path):
    path = spec(tmp_path)
    for removed, words in (('courses = "courses.csv"\n', "snapshot: key 'courses' is missing; add it"),
                           ('[snapshot.endpoint]\nname = "PFS"\n', "snapshot: key 'endpoint' is missing; add it")):  # fmt: skip
        other = path.with_name("other.toml")
        other.write_text(path.read_text().replace(removed, ""))
        with pytest.raises(SpecificationError, match=words):
            AnalysisSpec.load(other)


def test_reasons_by_the_specification(tmp_path):
    path = spec(tmp_path, snapshot='censoring = { "Physician decision" = "other" }')
    table = path.with_name("courses.csv")
    table.write_text(table.read_text().replace("WITHDRAWAL BY SUBJECT", "PHYSICIAN DECISION"))
    assert read_inputs(path).patients.censoring[8] == "other"
    path.write_text(path.read_text().replace('censoring = { "Physician decision" = "other" }', ""))
    with pytest.raises(DataError, match=r"'DCSREAS', row 10: a reason that is not understood \(found 'PHYSICIAN DECISION'\)"):
        read_inputs(path)


def test_a_specification_of_an_adtte_table_says_what_it_said(mgus2):
    read_again = AnalysisSpec.load("models/mgus2")
    assert read_again.snapshot.cause_names == mgus2.causes
    assert read_again.snapshot.outcome == "PFS"
    assert read_again.counted == tuple(read_again.final.causes)
    assert "endpoint" not in json.dumps(mgus2.summary())
