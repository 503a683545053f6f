"""Keys of spec.toml, each against patients worked by hand: which table, which rows, what it means, when it was cut."""

from __future__ import annotations

import datetime

import pytest

from smm_bayes.errors import DataError, SmmBayesError, SpecificationError
from smm_bayes.trial.calendar import DAYS_PER_MONTH

checks = pytest.mark.checks_key
DAY, START, CUT = datetime.date, datetime.date(2020, 1, 1), datetime.date(2022, 1, 1)


@checks("trial.title", "trial.question")
def test_words_of_the_trial(spec_file) -> None:
    spec = spec_file.load({"trial.title": "KRd v Rd", "trial.question": "Is it better?"})
    assert (spec.trial.title, spec.trial.question) == ("KRd v Rd", "Is it better?")


@checks("snapshot.file", "snapshot.parameter", "snapshot.arms", "snapshot.causes", "snapshot.provenance")
def test_patients_by_hand(spec_file) -> None:
    """Two arms, two causes and another parameter that is not meant: counts, times and arms as the rows say."""
    spec_file.patient("Rd", START, DAY(2020, 12, 31), 0, "PD")
    spec_file.patient("KRd", START, DAY(2021, 1, 30), 0, "Died")
    spec_file.patient("KRd", START, CUT)
    spec_file.rows.append(spec_file.rows[0] | {"PARAMCD": "OS", "CNSR": 1, "EVNTDESC": ""})
    causes = {"progression": ["PD", "Clinical progression"], "death": ["Died"]}
    inputs = spec_file.inputs({"snapshot.causes": causes, "snapshot.arms": {"control": "KRd", "experimental": "Rd"},
                               "snapshot.provenance": "reconstructed"})  # fmt: skip
    patients = inputs.patients
    assert (len(patients), patients.provenance) == (3, "reconstructed")
    assert [patients.causes[c] if c >= 0 else "" for c in patients.cause] == ["progression", "death", ""]
    assert [patients.arms[a] for a in patients.arm] == ["experimental", "control", "control"]
    assert patients.time * DAYS_PER_MONTH == pytest.approx([366, 396, 732], abs=1e-6)  # the first day is day 1
    spec_file.rows = [row for row in spec_file.rows if row["PARAMCD"] == "OS"]
    with pytest.raises(DataError, match="PFS"):
        spec_file.inputs()


@checks("snapshot.censoring")
def test_reasons_of_censoring(spec_file) -> None:
    spec_file.followed(2)
    spec_file.patient("Rd", START, DAY(2021, 1, 1), 7)
    spec_file.patient("Rd", START, CUT, 1, "Site closed")
    with pytest.raises(DataError, match="censoring"):
        spec_file.inputs()
    reasons = {"1": "administrative", "7": "withdrawn", "Site closed": "other"}
    patients = spec_file.inputs({"snapshot.censoring": reasons}).patients
    assert patients.censoring[-2:].tolist() == ["withdrawn", "other"]
    assert int(patients.at_risk.sum()) == 4


@checks("snapshot.cut_by_date")
def test_cut_by_date(spec_file) -> None:
    spec_file.followed(1)  # events on day 31
    spec_file.patient("Rd", START, DAY(2021, 6, 1), 0, "Death")
    spec_file.patient("Rd", DAY(2021, 7, 1), CUT)
    known = [spec_file.inputs({"snapshot.cut_by_date": day}).patients for day in (DAY(2021, 5, 31), DAY(2021, 6, 1))]
    assert [(len(p), p.events) for p in known] == [(5, 2), (5, 3)]


@checks("snapshot.cut_by_events")
def test_cut_by_events(spec_file) -> None:
    spec_file.followed(1)
    for month in (3, 5, 5, 9):
        spec_file.patient("Rd", START, DAY(2021, month, 1), 0, "Death")
    known = [spec_file.inputs({"snapshot.cut_by_events": number}).patients.events for number in (3, 4, 6)]
    assert known == [3, 5, 6]  # two on one day: both are known


@checks("snapshot.columns", "snapshot.unit", "snapshot.leave_out", "snapshot.flags")
def test_a_delivered_table_is_read_as_it_is(spec_file) -> None:
    spec_file.followed(2)
    spec_file.patient("Placebo", START, CUT)
    for row in spec_file.rows:
        row |= {"ARMNAME": row.pop("TRT01P"), "ANL01FL": "Y"}
        row.pop("AVALU")
    spec_file.rows.append(spec_file.rows[0] | {"ANL01FL": "", "AVAL": 5, "ADT": DAY(2020, 1, 5)})
    keys = {"snapshot.columns": {"arm": "ARMNAME"}, "snapshot.unit": "day", "snapshot.leave_out": ["Placebo"],
            "snapshot.flags": {"ANL01FL": "Y"}}  # fmt: skip
    patients = spec_file.inputs(keys).patients
    assert len(patients) == 6
    assert patients.time[0] * DAYS_PER_MONTH == pytest.approx(732)
    for key in keys:
        with pytest.raises(SmmBayesError):
            spec_file.inputs({name: value for name, value in keys.items() if name != key})


@checks("snapshot.first_day")
def test_what_the_first_day_counts_as(spec_file) -> None:
    """AVAL 366 days from 2020-01-01: the event is on 2020-12-31 if that day is 1, on 2021-01-01 if it is 0."""
    spec_file.followed(1)
    spec_file.patient("Rd", START, DAY(2020, 12, 31), 0, "Death")
    for row in spec_file.rows:
        row.pop("ADT")
    for first_day, cut, events in ((1, DAY(2020, 12, 31), 3), (0, DAY(2020, 12, 31), 2), (0, DAY(2021, 1, 1), 3)):
        inputs = spec_file.inputs({"snapshot.first_day": first_day, "snapshot.cut_by_date": cut})
        assert inputs.patients.events == events


@checks("snapshot.data_cutoff", "snapshot.longest_gap")
def test_the_data_cutoff_is_stated(spec_file) -> None:
    trial = spec_file.followed(2, end=DAY(2021, 12, 1))
    assert trial.inputs({"snapshot.data_cutoff": CUT}).patients.data_cutoff == pytest.approx(
        (CUT - START).days / DAYS_PER_MONTH + 1 / DAYS_PER_MONTH
    )
    with pytest.raises(DataError, match="2021-11-30"):
        trial.inputs({"snapshot.data_cutoff": DAY(2021, 11, 30)})
    late = {"snapshot.data_cutoff": DAY(2023, 6, 1)}  # last seen 18 months before
    with pytest.raises(DataError, match="longest_gap"):
        trial.inputs(late)
    assert len(trial.inputs(late | {"snapshot.longest_gap": 19}).patients) == 6


@checks("snapshot.patients")
def test_the_number_of_patients_is_stated(spec_file) -> None:
    trial = spec_file.followed(3)
    assert len(trial.inputs({"snapshot.patients": 8}).patients) == 8
    with pytest.raises(DataError, match="9"):
        trial.inputs({"snapshot.patients": 9})


@checks("snapshot.mrd")
def test_mrd_is_of_the_table_named(spec_file) -> None:
    (spec_file.folder / "m.csv").write_text("USUBJID,MRDTM,MRDTMU,MRDRES,MRDSENS\n001,122,DAY,NEGATIVE,1e-5\n")
    patients = spec_file.followed(3).inputs({"snapshot.mrd": "m.csv"}).patients
    assert patients.patient[patients.mrd.row].tolist() == ["001"]


COURSES = """STUDYID,USUBJID,TRT01P,RANDDT,RSPDT,PDDT,NTXDT,DTHDT,LASTASDT,LSTALVDT,DCSREAS
T,1,Rd,2020-01-01,2020-03-01,2020-09-01,,,2020-09-01,2021-01-01,
T,2,Rd,2020-01-01,2020-02-01,,2020-06-01,,2020-12-01,2021-01-01,
T,3,KRd,2020-01-01,2020-04-01,,,2020-11-01,2020-10-01,2020-11-01,
T,4,KRd,2020-01-01,,,,,2020-12-15,2021-01-01,
"""


@pytest.fixture
def endpoint(spec_file):
    """Patients derived from a table of dates by an endpoint, and what the specification refuses."""
    (spec_file.folder / "courses.csv").write_text(COURSES)

    def make(**keys):
        causes = {"progression": {"median": 24, "upper": 96}, "death": {"median": 700, "upper": 5600}}
        if keys.get("new_therapy") == "event":
            causes["new_therapy"] = {"median": 100, "upper": 900}
        changes = {
            "snapshot": {"courses": "courses.csv", "provenance": "simulated", "endpoint": keys,
                         "arms": {"control": "Rd", "experimental": "KRd"}},
            "model.prior.baseline": causes, "final.date": DAY(2024, 1, 1),
        }  # fmt: skip
        spec = spec_file.load(changes)
        from smm_bayes.analysis.interim import read_inputs

        return read_inputs(spec).patients

    return make


def days(patients) -> list[int]:
    return [round(time * DAYS_PER_MONTH) for time in patients.time]


def between(first: str, last: str) -> int:
    return (DAY.fromisoformat(last) - DAY.fromisoformat(first)).days


@checks("snapshot.courses", "snapshot.endpoint.name")
def test_an_endpoint_from_dates(endpoint) -> None:
    found = endpoint(name="PFS")
    assert days(found) == [between("2020-01-01", day) for day in ("2020-09-01", "2020-12-01", "2020-11-01", "2020-12-15")]
    assert found.event.tolist() == [True, False, True, False]


@checks("snapshot.endpoint.new_therapy", "snapshot.endpoint.censored_at")
def test_a_new_therapy_and_where_follow_up_ends(endpoint) -> None:
    assert days(endpoint(name="PFS", new_therapy="censored"))[1] == between("2020-01-01", "2020-06-01")
    composite = endpoint(name="PFS", new_therapy="event", causes=["progression", "death"])
    assert days(composite)[1] == between("2020-01-01", "2020-06-01")
    assert days(endpoint(name="PFS", censored_at="last_alive"))[3] == between("2020-01-01", "2021-01-01")


@checks("snapshot.endpoint.start")
def test_the_clock_starts_at_response(endpoint) -> None:
    found = endpoint(name="PFS", start="response")
    assert found.patient.tolist() == ["1", "2", "3"]
    assert days(found)[0] == between("2020-03-01", "2020-09-01")


@checks("snapshot.endpoint.competing_as", "snapshot.endpoint.causes")
def test_what_counts_and_what_competes(endpoint) -> None:
    apart = endpoint(name="PFS", causes=["progression"])
    assert apart.causes == ("progression", "death")
    with pytest.raises(SpecificationError, match="death"):
        endpoint(name="PFS", causes=["progression"], competing_as="censored")  # its prior then belongs to no cause
    assert apart.events == 2
