"""Registered endpoints: the table, what each row makes, and patients worked by hand under every distinct definition."""

import csv
import datetime
import re
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.evidence import load_trials
from smm_bayes.evidence.registered import STARTS, registered_endpoints
from smm_bayes.trial import Courses
from smm_bayes.trial.calendar import DAYS_PER_MONTH
from smm_bayes.trial.table import Table

FOLDER = Path(__file__).parents[2] / "data" / "evidence"
FIRST = datetime.date(2021, 3, 1)
NO = None
COLUMNS = ("RFICDT", "ENRLDT", "RSPDT", "PDDT", "NTXDT", "PD2DT", "DTHDT", "LASTASDT", "LSTALVDT")
# days from randomisation to each of COLUMNS; all who are alive are still followed
BY_DAY = {
    "followed": (-9, -2, NO, NO, NO, NO, NO, 500, 520),
    "responds": (-9, -2, 60, NO, NO, NO, NO, 500, 520),
    "responds, progresses": (-9, -2, 60, 200, NO, NO, NO, 200, 520),
    "responds, dies": (-9, -2, 60, NO, NO, NO, 300, 280, 300),
    "progresses, treated, again": (-9, -2, 60, 200, 210, 400, NO, 400, 520),
    "twice before any treatment": (-9, -2, NO, 100, NO, 250, NO, 260, 520),
    "treated without progression": (-9, -2, NO, 300, 120, NO, NO, 300, 520),
    "progresses, dies": (-9, -2, NO, 100, NO, NO, 150, 100, 150),
    "dies": (-9, -2, NO, NO, NO, NO, 90, 80, 90),
    "treated, dies on it": (-9, -2, NO, 100, 110, NO, 400, 390, 400),
}
P, D, S, R, N, A = "progression", "death", "progression_after_therapy", "response", "new_therapy", "administrative"
PFS = ((500, A), (500, A), (200, P), (300, D), (200, P), (100, P), (300, P), (100, P), (90, D), (100, P))
OS = ((520, A), (520, A), (520, A), (300, D), (520, A), (520, A), (520, A), (150, D), (90, D), (400, D))
PFS2 = ((500, A), (500, A), (200, A), (300, D), (400, S), (260, A), (300, S), (150, D), (90, D), (400, D))
RESPONSE = ((500, A), (60, R), (60, R), (60, R), (60, R), (100, P), (300, P), (100, P), (90, D), (100, P))
TREATED = ((520, A), (520, A), (520, A), (300, D), (210, N), (520, A), (120, N), (150, D), (90, D), (110, N))
LASTING = {"responds": (440, A), "responds, progresses": (140, P), "responds, dies": (240, D),
           "progresses, treated, again": (140, P)}  # fmt: skip


def later(ends, days):
    return {name: (time + days, end) for name, (time, end) in zip(BY_DAY, ends, strict=True)}


# causes, those that count, start: ends by patient, in days from the start
BY_HAND = {
    ((P, D), (P, D), "study_entry"): later(PFS, 2),
    ((P, D), (P, D), "enrolment"): later(PFS, 0),
    ((P, D), (P, D), "consent"): later(PFS, 9),
    ((P, D), (P,), "enrolment"): later(PFS, 0),
    ((S, D), (S, D), "enrolment"): later(PFS2, 0),
    ((P, D), (P, D), "response"): LASTING,
    ((P, D), (P,), "response"): LASTING,
    ((D,), (D,), "enrolment"): later(OS, 0),
    ((D,), (D,), "consent"): later(OS, 9),
    ((R, P, D), (R,), "consent"): later(RESPONSE, 9),
    ((N, D), (N,), "enrolment"): later(TREATED, 0),
}
ROWS = registered_endpoints()


@pytest.fixture(scope="module")
def courses():
    day = lambda days: "" if days is None else (FIRST + datetime.timedelta(days=days)).isoformat()  # noqa: E731
    columns = {"STUDYID": ["SMM"] * len(BY_DAY), "USUBJID": list(BY_DAY), "TRT01P": ["Active"] * len(BY_DAY),
               "RANDDT": [day(0)] * len(BY_DAY)}  # fmt: skip
    columns |= {name: [day(days[n]) for days in BY_DAY.values()] for n, name in enumerate(COLUMNS)}
    return Courses.from_table(Table("courses", columns, list(range(2, 12))), arms={"experimental": "Active"},
                              censoring={"": "administrative"})  # fmt: skip


def key(endpoint):
    return tuple(endpoint.milestones), endpoint.counted, endpoint.start


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.trial} {row.endpoint}" for row in ROWS])
def test_every_row_has_an_endpoint_or_a_reason(row, courses):
    assert (row.definition is None) == bool(row.reason)
    assert row.sentence
    assert row.source
    assert row.ambiguous == bool(row.reading)
    if row.definition is None:
        return
    assert row.start == "not stated" or STARTS[row.start] == row.definition.start
    expected = BY_HAND[key(row.definition)]  # a definition of another kind needs patients worked by hand
    patients = row.definition.patients(courses)
    ends = [patients.causes[cause] if cause >= 0 else why
            for cause, why in zip(patients.cause, patients.censoring, strict=True)]  # fmt: skip
    assert dict(zip(patients.patient, ends, strict=True)) == {name: end for name, (_, end) in expected.items()}
    np.testing.assert_allclose(patients.time * DAYS_PER_MONTH, [days for days, _ in expected.values()], atol=1e-6)
    counts = np.isin(ends, row.definition.counted).sum()
    assert patients.count_only(*row.definition.counted).events == counts


def test_every_case_by_hand_is_registered_somewhere():
    assert {key(row.definition) for row in ROWS if row.definition is not None} == set(BY_HAND)


def row_of(trial, endpoint):
    (found,) = (row for row in registered_endpoints(trial) if row.endpoint == endpoint)
    return found


def test_trials_mean_different_things_by_one_name():
    first, second = (row_of(trial, "duration of response") for trial in ("EMN15_HOVON147", "KRD-2ndASCT_relapsed"))
    assert first.definition.counted == (P, D)
    assert second.definition.counted == (P,)
    starts = {row.definition.start for row in ROWS if row.definition is not None}
    assert starts == {"enrolment", "study_entry", "consent", "response"}
    disputed = row_of("KRD-2ndASCT_relapsed", "PFS at 2 years")
    assert "disease free or alive" in disputed.sentence
    assert disputed.ambiguous
    assert disputed.month == 24
    assert row_of("ISAMAR", "MRD at complete remission").condition == "complete remission"
    assert row_of("EMN15_HOVON147", "PFS2").definition.milestones == {S: (S,), D: (D,)}
    assert "Ambiguous" in str(disputed)
    assert "months from consent" in str(disputed)


def test_registry_numbers_are_those_of_the_trials():
    listed = {trial.trial: trial.registry for trial in load_trials()}
    assert all(row.registry == listed[row.trial] for row in ROWS)


@pytest.mark.parametrize(("changes", "words"), [
    ({"ambiguous": "perhaps"}, "column 'ambiguous', row 2: unknown word"),
    ({"reading": "as it is"}, "column 'reading', row 2: goes with ambiguous = yes"),
    ({"reason": "none"}, "column 'events', row 2: events or a reason"),
    ({"start": "not stated", "zero": "enrolment"}, "column 'ambiguous', row 2: a start that is not stated is ambiguous"),
    ({"zero": "consent"}, "column 'zero', row 2: not where the registered clock starts"),
    ({"events": "relapse death"}, "row 2: endpoint PFS: .*'relapse' is no milestone"),
    ({"registry": "NCT1"}, "column 'registry', row 2: not the number of trials.csv"),
    ({"trial": "NONE"}, "column 'trial', row 2: not in trials.csv"),
    ({"sentence": ""}, "column 'sentence', row 2: no value"),
    ({"month": "two years"}, "column 'month', row 2: not a finite number"),
])  # fmt: skip
def test_a_bad_row_is_named(tmp_path, changes, words):
    (tmp_path / "trials.csv").write_bytes((FOLDER / "trials.csv").read_bytes())
    with open(FOLDER / "endpoints.csv", newline="") as file:
        first, *rest = csv.DictReader(file)
    with open(tmp_path / "endpoints.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(first))
        writer.writeheader()
        writer.writerows([first | changes, *rest])
    with pytest.raises(DataError) as caught:
        registered_endpoints(folder=tmp_path)
    assert re.search(words, str(caught.value))


def test_a_trial_without_registered_endpoints():
    with pytest.raises(SpecificationError, match="no registered endpoints of 'AQUILA'; the trials are EMN15_HOVON147"):
        registered_endpoints("AQUILA")
