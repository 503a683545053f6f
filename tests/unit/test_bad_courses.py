"""Malformed tables of courses: one clear error that names column, row and remedy; the command line refuses them too."""

import datetime
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smm_bayes.cli import main
from smm_bayes.errors import DataError, SmmBayesError
from smm_bayes.trial import Courses
from smm_bayes.trial.endpoints import ENDPOINTS
from smm_bayes.trial.table import Table

ARMS = {"control": "Observation", "experimental": "Active"}
COLUMNS = ("STUDYID", "USUBJID", "TRT01P", "RANDDT", "RSPDT", "PDDT", "NTXDT", "PD2DT", "DTHDT", "LASTASDT", "LSTALVDT",
           "NTXASDT", "DCSREAS", "STRATUM", "AGE")  # fmt: skip
ROWS = [
    "SMM,P1,Active,2020-01-15,2020-04-01,2021-02-01,2021-03-01,2021-09-01,2022-01-01,2021-09-01,,2021-02-01,,high,50",
    "SMM,P2,Observation,2020-02-15,,2020-12-01,,,,2020-12-01,2022-02-01,,,low,51",
    "SMM,P3,Active,2020-03-15,2020-07-01,,2021-01-10,,,2022-01-10,2022-02-01,2021-01-05,,high,52",
    "SMM,P4,Observation,2020-04-15,,,,,2021-04-15,2021-03-01,2021-04-01,,DEATH,low,53",
    "SMM,P5,Active,2020-05-15,,,,,,2020-11-15,2020-12-15,,LOST TO FOLLOW-UP,high,54",
    "SMM,P6,Observation,2020-06-15,,,,,,2022-01-15,2022-02-01,,,low,55",
]


def table(*changes):
    """The table with some cells changed: (column, text, patients); without text the column is dropped."""
    columns = {name: [row.split(",")[position] for row in ROWS] for position, name in enumerate(COLUMNS)}
    for column, text, *patients in changes:
        if text is None:
            columns.pop(column)
        for patient in patients:
            columns[column][patient - 1] = text
    return Table("courses.csv", columns, list(range(2, len(ROWS) + 2)))


def read(source, **options):
    return Courses.from_table(source, arms=ARMS, covariates=("AGE",), **options)


def in_row(column, rows, what):
    return rf"courses\.csv: 1 problem: column '{column}', {rows}: {what}; \w+[^\n]*$"


BAD = [
    ("two trials", [("STUDYID", "OTHER", 3)], in_row("STUDYID", "row 4", r"another trial than 'SMM' \(found 'OTHER'\)")),
    ("patient twice", [("USUBJID", "P1", 4)],
     in_row("USUBJID", "row 5", r"a patient that appears twice \(found 'P1', first in row 2\)")),
    ("patient without a name", [("USUBJID", "", 4)], in_row("USUBJID", "row 5", "no value")),
    ("unknown arm", [("TRT01P", "Placebo", 2)], in_row("TRT01P", "row 3", r"an arm that is not declared \(found 'Placebo'\)")),
    ("an arm without patients", [("TRT01P", "Active", 2, 4, 6)], r"arm 'Observation' \(control\) has no patient; correct"),
    ("no enrolment", [("RANDDT", "", 6)], in_row("RANDDT", "row 7", "no date")),
    ("enrolment unreadable", [("RANDDT", "15.06.2020", 6)], in_row("RANDDT", "row 7", r"not a date \(found '15.06.2020'\)")),
    ("progression that does not exist", [("PDDT", "2020-02-30", 2)], in_row("PDDT", "row 3", r"not a date \(found '2020-02-30'\)")),
    ("a second progression, the first unreadable", [("PDDT", "soon", 1)], in_row("PDDT", "row 2", r"not a date \(found 'soon'\)")),
    ("death unreadable", [("DTHDT", "yes", 4)], in_row("DTHDT", "row 5", r"not a date \(found 'yes'\)")),
    ("last contact unreadable", [("LSTALVDT", "?", 6)], in_row("LSTALVDT", "row 7", r"not a date \(found '\?'\)")),
    ("another age", [("PDDT", "0202-12-01", 2)], in_row("PDDT", "row 3", r"not a year from 1900 to 2100 \(found '0202-12-01'\)")),
    ("response before enrolment", [("RSPDT", "2020-01-01", 3)],
     in_row("RSPDT", "row 4", r"not after enrolment \(RANDDT\) \(found 2020-01-01\)")),
    ("progression on the day of enrolment", [("PDDT", "2020-02-15", 2)],
     r"column 'PDDT', row 3: not after enrolment .*; the time to an event is positive, so correct either date$"),
    ("therapy before enrolment", [("NTXDT", "2019-12-01", 1), ("NTXASDT", "2020-01-15", 1)],
     r"column 'NTXDT', row 2: not after enrolment"),
    ("death before enrolment", [("DTHDT", "2020-04-01", 4), ("LASTASDT", "2020-04-15", 4)],
     r"column 'DTHDT', row 5: not after enrolment \(RANDDT\)"),
    ("assessed before enrolment", [("LASTASDT", "2020-06-14", 6)], in_row("LASTASDT", "row 7", r"before enrolment \(RANDDT\) .*")),
    ("alive before enrolment", [("LSTALVDT", "2020-05-14", 5), ("LASTASDT", "2020-05-15", 5)],
     r"2 problems:\n.*'LSTALVDT', row 6: before enrolment .*\n.*'LASTASDT', row 6: after last contact alive \(LSTALVDT\)"),
    ("second progression without the first", [("PDDT", "", 1)],
     in_row("PD2DT", "row 2", r"without progression \(PDDT\) \(found 2021-09-01\)")),
    ("second progression on the day of the first", [("PD2DT", "2021-02-01", 1)],
     in_row("PD2DT", "row 2", r"not after progression \(PDDT\) .*")),
    ("response after progression", [("RSPDT", "2021-02-02", 1), ("NTXASDT", "2021-02-28", 1)],
     in_row("RSPDT", "row 2", r"not before progression \(PDDT\) .*")),
    ("response on the day of death", [("RSPDT", "2021-04-15", 4)], in_row("RSPDT", "row 5", r"not before death \(DTHDT\) .*")),
    ("progression after death", [("PDDT", "2021-05-01", 4)], in_row("PDDT", "row 5", r"after death \(DTHDT\) .*")),
    ("therapy after death", [("NTXDT", "2022-01-02", 1)], in_row("NTXDT", "row 2", r"after death \(DTHDT\) .*")),
    ("assessed after death", [("LASTASDT", "2021-04-16", 4)], in_row("LASTASDT", "row 5", r"after death \(DTHDT\) .*")),
    ("alive after death", [("LSTALVDT", "2021-04-16", 4)], in_row("LSTALVDT", "row 5", r"after death \(DTHDT\) .*")),
    ("last contact before the last assessment", [("LSTALVDT", "2022-01-14", 6)],
     in_row("LASTASDT", "row 7", r"after last contact alive \(LSTALVDT\) .*")),
    ("progression after the last contact", [("LSTALVDT", "2020-11-30", 2), ("LASTASDT", "2020-11-30", 2)],
     in_row("PDDT", "row 3", r"after last contact alive \(LSTALVDT\) .*")),
    ("progression after the last assessment", [("LASTASDT", "2020-11-30", 2)],
     in_row("PDDT", "row 3", r"after the last assessment of the disease \(LASTASDT\) .*")),
    ("no last assessment", [("LASTASDT", "", 6)], in_row("LASTASDT", "row 7", "no date")),
    ("no last contact of the living", [("LSTALVDT", "", 5, 6)],
     in_row("LSTALVDT", "rows 6, 7", r"no date for a patient who has not died \(DTHDT\)")),
    ("assessment before a therapy that was not", [("NTXASDT", "2020-06-01", 5)],
     in_row("NTXASDT", "row 6", r"without the new therapy \(NTXDT\) .*")),
    ("therapy without its assessment", [("NTXASDT", "", 3)],
     in_row("NTXDT", "row 4", r"without the last assessment before the new therapy \(NTXASDT\) .*")),
    ("assessment before a therapy, after it", [("NTXASDT", "2021-01-11", 3)], in_row("NTXASDT", "row 4", r"after the new therapy \(NTXDT\) .*")),
    ("assessment before a therapy, before the response", [("NTXASDT", "2020-06-30", 3)],
     in_row("NTXASDT", "row 4", r"before response \(RSPDT\) .*")),
    ("assessments of therapies without therapies", [("NTXDT", None)], "'NTXASDT' needs column 'NTXDT', .*; add it"),
    ("reason not understood", [("DCSREAS", "MOVED", 5)], in_row("DCSREAS", "row 6", r"a reason that is not understood \(found 'MOVED'\)")),
    ("death without its date", [("DCSREAS", "Death", 6)], in_row("DCSREAS", "row 7", "death, but no date of death")),
    ("covariate as text", [("AGE", "old", 1)], in_row("AGE", "row 2", r"not a finite number \(found 'old'\)")),
    ("several", [("PDDT", "soon", 2), ("TRT01P", "Placebo", 1), ("LSTALVDT", "", 6), ("DCSREAS", "MOVED", 5), ("DTHDT", "2021-01-01", 4)],
     r"6 problems:\n.*'TRT01P', row 2.*\n.*'PDDT', row 3: not a date.*\n.*'LSTALVDT', row 7: no date.*\n"
     r".*'LASTASDT', row 5: after death.*\n.*'LSTALVDT', row 5: after death.*\n.*'DCSREAS', row 6"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), [pytest.param(*case, id=name) for name, *case in BAD])
def test_bad_courses_are_refused_in_one_message(changes, words):
    with pytest.raises(DataError) as error:
        read(table(*changes))
    assert re.search(words, str(error.value)), str(error.value)


def test_case_does_not_matter_in_the_names_of_columns():
    columns = {name.lower(): cells for name, cells in table().columns.items()}
    courses = read(Table("courses.csv", columns, table().rows))
    for name, values in read(table()).dates().items():
        assert courses.dates()[name].tolist() == pytest.approx(values.tolist(), nan_ok=True)
    assert courses.censoring.tolist() == read(table()).censoring.tolist()
    twice = {"Pddt": columns["pddt"], **columns}
    with pytest.raises(DataError, match="columns 'Pddt', 'pddt': which is 'PDDT'"):
        read(Table("courses.csv", twice, table().rows))


def test_options_are_checked():
    with pytest.raises(DataError, match="both arms are called 'Active'"):
        Courses.from_table(table(), arms={"control": "Active", "experimental": "Active"})
    with pytest.raises(DataError, match="provenance 'guessed' is not known"):
        read(table(), provenance="guessed")
    with pytest.raises(DataError, match="censoring: moved is no reason; give one of administrative"):
        read(table(), censoring={"MOVED": "moved"})


@pytest.mark.parametrize("changes", [
    [], [("RSPDT", None)], [("PD2DT", None)], [("DCSREAS", None)], [("STRATUM", None)], [("NTXASDT", None)],
    [("NTXASDT", None), ("NTXDT", None)], [("PDDT", "2020-12-01T10:30", 2)], [("DCSREAS", "Ongoing", 6)],
    [("LASTASDT", "2020-06-15", 6)], [("LSTALVDT", "2021-04-15", 4)], [("NTXASDT", "2020-07-01", 3)],
    [("PDDT", "NA", 2), ("DTHDT", ".", 2)], [("LSTALVDT", "2022-01-01", 1)],
])  # fmt: skip
def test_valid_variants_are_read(changes):
    courses = read(table(*changes))
    assert len(courses) == 6
    assert courses.covariates["AGE"].tolist() == [50, 51, 52, 53, 54, 55]
    assert courses.censoring.tolist()[3:5] == ["", "unknown" if ("DCSREAS", None) in changes else "lost"]


def test_a_frame_is_a_table():
    import pandas as pd

    frame = pd.DataFrame(table().columns)
    frame["RANDDT"] = pd.to_datetime(frame["RANDDT"])
    frame["PDDT"] = pd.to_datetime(frame["PDDT"].replace("", None))
    assert (read(frame).enrolled == read(table()).enrolled).all()
    assert read(frame).origin == datetime.date(2020, 1, 15)


ODD = st.one_of(st.text(max_size=6), st.dates(datetime.date(2019, 6, 1), datetime.date(2022, 6, 1)).map(str),
                st.dates().map(str), st.floats().map(repr), st.sampled_from(["", "NA", "\x00", "2020-03-15"]))  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(COLUMNS), ODD, st.integers(1, 6)), max_size=4))
def test_any_text_in_any_cell_is_read_or_refused(changes):
    try:
        courses = read(table(*changes))
    except SmmBayesError as error:
        assert re.match(r"courses\.csv: \d+ problems?:", str(error))
        return
    for endpoint in ENDPOINTS.values():
        try:
            assert len(endpoint.patients(courses)) <= 6
        except DataError as error:
            assert "nobody has responded" in str(error)


SPEC = """
schema_version = 1
trial = { name = "small" }
snapshot.courses = "courses.csv"
snapshot.provenance = "simulated"
snapshot.arms = { control = "Observation", experimental = "Active" }
snapshot.endpoint = { name = "ENDPOINT" }
model.cuts = [6]
model.prior.baseline.progression = { median = 20, upper = 80 }
model.prior.baseline.death = { median = 20, upper = 80 }
final = { at = "date", date = 2024-01-01 }
success = { rule = "log_rank", alpha = 0.025 }
"""


@pytest.mark.parametrize(("changes", "endpoint", "words"), [
    ([("PDDT", "2021-05-01", 4)], "PFS", r"courses\.csv: 1 problem: column 'PDDT', row 5: after death"),
    ([("LSTALVDT", "", 6)], "TTP", r"courses\.csv: 1 problem: column 'LSTALVDT', row 7: no date for a patient"),
    ([("USUBJID", None)], "PFS", r"courses\.csv: 1 problem: column 'USUBJID' is missing"),
    ([("RSPDT", None)], "DURATION_OF_RESPONSE", r"courses\.csv: duration of response needs the dates of response \(column"),
    ([("RSPDT", "", 1, 3)], "DURATION_OF_RESPONSE", r"courses\.csv: duration of response: nobody has responded; choose"),
    ([], "EFS", r"spec\.toml: 1 problem: snapshot.endpoint.name: input should be 'PFS'"),
])  # fmt: skip
def test_the_command_line_refuses(changes, endpoint, words, tmp_path, monkeypatch, capsys):
    columns = table(*changes).columns
    lines = [",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))]
    (tmp_path / "courses.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "spec.toml").write_text(SPEC.replace("ENDPOINT", endpoint))
    monkeypatch.setattr(sys, "argv", ["smm-bayes", "interim", str(tmp_path / "spec.toml"), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as exit_:
        main()
    out, error = capsys.readouterr()
    assert exit_.value.code == 2
    assert out == ""
    assert error.count("Error:") == 1
    assert re.search(words, error), error
    assert not (tmp_path / "out").exists()
