"""What tables really look like: who is still followed, which day is which, who is the same, and what contradicts."""

import datetime
import json
import re

import numpy as np
import pandas as pd
import pytest

from smm_bayes.errors import DataError, SmmBayesError
from smm_bayes.trial import Courses, Patients, cut_by_date
from smm_bayes.trial.calendar import DAYS_PER_MONTH, calendar_date
from smm_bayes.trial.identity import normal_form, one_slip_apart
from smm_bayes.trial.reasons import meaning_of, reason_in
from smm_bayes.trial.table import MOST_COLUMNS, Table
from smm_bayes.trial.writers import write_adtte

ARMS = {"control": "Rd", "experimental": "KRd"}
CAUSES = {"progression": ["Progression"], "death": ["Death"]}
DAY = datetime.date


def table(text, name="adtte.csv"):
    header, *rows = [[cell.strip() for cell in line.split(",")] for line in text.strip().splitlines()]
    columns = {label: [row[place] for row in rows] for place, label in enumerate(header)}
    return Table(name, columns, list(range(2, len(rows) + 2)))


def read(text, parameter="PFS", **options):
    options = {"arms": ARMS, "causes": CAUSES, **options}
    return Patients.from_adtte(table(text), parameter, **options)


def refused(text, *words, **options):
    """Refuse the table in one message that holds all of the words."""
    with pytest.raises(DataError) as error:
        read(text, **options)
    for word in words:
        assert re.search(word, str(error.value)), f"{word!r} is not in {error.value}"
    return str(error.value)


# ---- who is still followed

HEAD = "STUDYID,USUBJID,PARAMCD,AVAL,AVALU,CNSR,STARTDT,EVNTDESC,CNSDTDSC,TRT01P\n"
EVENTS = """S1,001,PFS,365,DAYS,0,2020-01-01,Progression,,KRd
S1,003,PFS,100,DAYS,0,2020-02-01,Death,,Rd
"""


def with_rows(*rows):
    """Two events, and for each (CNSR, EVNTDESC, CNSDTDSC) a patient who is censored at 300 days."""
    more = (f"S1,X{n},PFS,300,DAYS,{code},2020-03-01,{what},{when},Rd\n" for n, (code, what, when) in enumerate(rows))
    return HEAD + EVENTS + "".join(more)


def test_the_reason_is_in_evntdesc():
    patients = read(with_rows((1, "LOST TO FOLLOW-UP", "LAST DATE KNOWN ALIVE"), (1, "WITHDRAWAL BY SUBJECT", ""),
                              (1, "START OF NEW ANTI-CANCER THERAPY", ""), (1, "", "Ongoing at data cut-off"),
                              (1, "Censored", "Ongoing"), (1, "ALIVE", "Data cut-off")))  # fmt: skip
    assert patients.censoring[2:].tolist() == ["lost", "withdrawn", "new_therapy", *["administrative"] * 3]
    assert dict(patients.summary())["censored"] == "still followed 3, lost 1, withdrawn 1, new therapy 1"


WORDS = {
    "administrative": ("Ongoing", "ON-GOING", "Data cutoff", "Clinical Cut Off", "Administrative censoring", "On study",
                       "Subject ongoing", "Alive, in follow-up", "No progression or death at data cut-off", "Cut-off date",
                       "No new therapy, ongoing at data cut-off", "Progression-free at data cut", "Database lock"),
    "lost": ("Lost to follow-up", "LOST TO FU", "LTFU", "Lost", "Unable to contact", "Lost to follow-up, alive"),
    "withdrawn": ("Withdrew consent", "Withdrawal of informed consent", "Withdrawal by Subject", "Consent revoked",
                  "Withdrawal by parent/guardian", "Patient decision", "Discontinued: withdrew consent", "Withdrawn"),
    "new_therapy": ("Started new therapy", "Subsequent anti-myeloma treatment", "New anti-cancer therapy without progression",
                    "Last assessment before new anti-cancer therapy", "Initiation of subsequent systemic therapy"),
    "other": ("Study Completion Date", "Completed", "End of study", "Study terminated by sponsor", "Other reason"),
    "": ("Missed two or more consecutive assessments", "Discontinued due to acute kidney injury", "Colostomy",
         "Subsequent visit missing", "Executive decision", "Last date known alive", "Last adequate assessment", "Alive",
         "No new therapy", "Not lost to follow-up", "New therapy: none", "Ongoing toxicity", "No longer ongoing", "Haircut",
         "Lost to follow-up after withdrawal of consent", "Alive without new therapy", "Adverse event", "Subsequently",
         "Last assessment prior to data cut-off", "Study drug withdrawn", "Discontinued; study ongoing", "lostness"),
}  # fmt: skip


@pytest.mark.parametrize(("reason", "text"), [(reason, text) for reason, texts in WORDS.items() for text in texts])
def test_whole_words_and_phrases_decide(reason, text):
    assert reason_in(text) == reason
    assert reason_in(text.upper().replace(" ", "  ")) == reason
    if not reason:
        refused(with_rows((2, "", text)), "'CNSDTDSC', row 4: a reason that is not understood", re.escape(repr(text)))


def test_events_are_told_from_what_did_not_happen():
    assert all(meaning_of(text).event for text in ("Disease progression", "Died", "DEATH", "Relapsed", "PD"))
    assert not any(meaning_of(text).event for text in ("No progression", "Progression-free", "Before progression",
                                                       "Without documented progression or death", "Progressively",
                                                       "Updated address", "Deadline passed"))  # fmt: skip


def test_what_is_not_known_is_asked_for_once_with_the_key_that_settles_it():
    text = with_rows((1, "", ""), (1, "", ""), (1, "Visit missed", ""), (1, "", "LAST DATE KNOWN ALIVE"))
    said = refused(text, "3 problems", r"'EVNTDESC', row 6: .*censoring = \{\"Visit missed\" = \"lost\"\}",
                   r"'CNSDTDSC', row 7: .*'LAST DATE KNOWN ALIVE'",
                   r"'CNSR', rows 4, 5: a censoring without a reason .*censoring = \{1 = \"administrative\"\}")  # fmt: skip
    assert said.count("censoring = ") == 3
    by_text = {"visit MISSED": "other", "Last date  known alive": "lost"}
    assert read(text, censoring={"1": "administrative", **by_text}).censoring[2:].tolist() == [
        "administrative", "administrative", "other", "lost"]  # fmt: skip
    assert read(text, censoring={1: "withdrawn"}).censoring[2:].tolist() == ["withdrawn"] * 4
    refused(with_rows((99, "", "Ongoing")), r"'CNSR', row 4: a code above 9 that is not declared .*censoring = \{99")
    assert read(with_rows((99, "", "Ongoing")), censoring={99: "lost"}).censoring[2] == "lost"


@pytest.mark.parametrize(("row", "words"), [
    ((1, "Progression", ""), r"'EVNTDESC', row 4: .*contradict.*CNSR 1, a censoring, for 'Progression'"),
    ((1, "Disease progression", "Ongoing"), "a censoring, for 'Disease progression'"),
    ((1, "", "Date of death"), "a censoring, for 'Date of death'"),
    ((0, "Progression", "Lost to follow-up"), "CNSR 0, an event, with 'Lost to follow-up'"),
    ((0, "Progression", "Study day 30"), "CNSR 0, an event, with 'Study day 30'"),
    ((1, "Lost to follow-up", "Data cut-off"), "'Lost to follow-up' with 'Data cut-off'"),
])  # fmt: skip
def test_words_that_contradict_the_code_or_each_other(row, words):
    refused(with_rows(row), words)


def test_a_contradiction_is_settled_by_the_text_and_events_need_no_causes():
    assert read(with_rows((1, "Relapse", "")), censoring={"relapse": "other"}).censoring[2] == "other"
    refused(with_rows((0, "Withdrawal by subject", "")), "an event, for 'Withdrawal by subject'", causes=None)
    refused(with_rows((0, "Alive", "")), "an event, for 'Alive'", causes=None)
    started = {"event": ["Progression", "Death", "New therapy"]}
    assert read(with_rows((0, "NEW THERAPY", "Death")), causes=started).events == 3


# ---- which day is which

PILOT = """STUDYID,USUBJID,PARAMCD,AVAL,AVALU,CNSR,STARTDT,ADT,EVNTDESC,CNSDTDSC,TRT01P
S1,001,PFS,365,DAYS,0,2020-01-01,2020-12-30,Progression,,KRd
S1,002,PFS,400,DAYS,1,2020-01-05,2021-02-07,,Ongoing,KRd
S1,003,PFS,100,DAYS,0,2020-02-01,2020-05-10,Death,,Rd
S1,004,PFS,302,DAYS,1,2020-03-01,2020-12-27,,Ongoing,Rd
"""


def ends(patients):
    return [calendar_date(day, patients.origin) for day in patients.enrolled + patients.follow_up]


def test_aval_counts_the_first_day_as_1_and_adt_is_the_day():
    patients = read(PILOT)
    assert patients.first_day == 1
    np.testing.assert_allclose(patients.time * DAYS_PER_MONTH, [365, 400, 100, 302], atol=1e-9)
    assert ends(patients) == [DAY(2020, 12, 30), DAY(2021, 2, 7), DAY(2020, 5, 10), DAY(2020, 12, 27)]
    assert patients.enrolled.min() == 0
    assert cut_by_date(patients, DAY(2020, 12, 30)).events == 2
    assert cut_by_date(patients, DAY(2020, 12, 29)).events == 1
    assert dict(patients.summary())["data cut-off"] == "not stated; last date in the table is 2021-02-07"


def test_without_adt_whole_days_count_the_first_as_1():
    lines = [line.split(",") for line in PILOT.strip().splitlines()]
    text = "\n".join(",".join(cell for place, cell in enumerate(line) if place != 7) for line in lines)
    assert ends(read(text)) == ends(read(PILOT))
    assert read(text, first_day=0).first_day == 0
    assert ends(read(text, first_day=0))[0] == DAY(2020, 12, 31)
    weeks = text.replace("DAYS", "WEEKS").replace(",400,", ",40,").replace(",365,", ",36,").replace(",302,", ",30,")
    assert read(weeks.replace(",100,", ",10,")).first_day == 0
    refused(PILOT, "first_day 2 is neither 0 nor 1", first_day=2)


def test_first_day_0_from_the_dates():
    text = PILOT
    for days in ("365", "400", "100", "302"):
        text = text.replace(f",{days},", f",{int(days) - 1},")
    patients = read(text)
    assert patients.first_day == 0
    assert ends(patients) == ends(read(PILOT))
    np.testing.assert_allclose(patients.time, read(PILOT).time - 1 / DAYS_PER_MONTH)


@pytest.mark.parametrize(("divisor", "digits"), [(30.4375, 2), (30.4375, 9), (30.4368750, 6), (30.4, 4), (30, 3)])
def test_months_by_the_usual_conventions_are_the_days_of_adt(divisor, digits):
    text = PILOT.replace("DAYS", "MONTHS")
    for days in ("365", "400", "100", "302"):
        text = text.replace(f",{days},", f",{int(days) / divisor:.{digits}f},")
    patients = read(text)
    assert patients.first_day == 1
    np.testing.assert_allclose(patients.time, read(PILOT).time, atol=1e-12)
    assert ends(patients) == ends(read(PILOT))
    refused(text.replace(",2020-12-30,", ",2021-01-30,"), "'ADT', row 2: ADT − STARTDT contradicts AVAL")


def test_rows_that_count_otherwise_are_named_and_the_key_settles_it():
    text = PILOT.replace(",302,", ",301,")
    refused(text, r"'ADT', row 5: ADT − STARTDT contradicts AVAL.*found 301 days against 301 days.*first_day = 1")
    patients = read(text, first_day=1)
    assert ends(patients) == ends(read(PILOT))
    np.testing.assert_array_equal(patients.time, read(PILOT).time)
    refused(PILOT.replace(",302,", ",200,"), "'ADT', row 5", first_day=1)


def test_months_labelled_days_are_refused():
    text = """STUDYID,USUBJID,PARAMCD,PARAM,AVAL,AVALU,CNSR,STARTDT,ADT,EVNTDESC,CNSDTDSC,TRT01P
S1,001,PFS,Progression-free survival (Months),12.0,DAYS,0,2020-01-01,2020-12-30,Progression,,KRd
S1,002,PFS,Progression-free survival (Months),13.1,DAYS,1,2020-01-05,2021-02-07,,Ongoing,KRd
S1,003,PFS,Progression-free survival (Months),3.3,DAYS,0,2020-02-01,2020-05-10,Death,,Rd
S1,004,PFS,Progression-free survival (Months),9.9,DAYS,1,2020-03-01,2020-12-26,,Ongoing,Rd
"""
    refused(text, "2 problems", r"'AVALU', rows 2, 3, 4, 5: another unit than 'PARAM' says .*'DAYS' with",
            r"'ADT', rows 2, 3, 4, 5: ADT − STARTDT contradicts AVAL.*364 days against 12.0 days")  # fmt: skip
    refused(text.replace("(Months)", "at 12 months"), "1 problem: column 'ADT'")
    assert read(text.replace("DAYS", "")).first_day in (0, 1)
    refused(text.replace("DAYS", ""), "another unit than unit = 'day' states", unit="day")


def test_dates_in_the_wrong_order_after_the_cutoff_or_in_the_future():
    refused(PILOT.replace("2020-12-30", "2019-12-30"), "'ADT', row 2: before STARTDT")
    refused(PILOT, r"'ADT', row 3: after the data cut-off \(2021-02-06\)", data_cutoff=DAY(2021, 2, 6))
    refused(PILOT, r"'STARTDT', row 5: after the data cut-off", data_cutoff=DAY(2020, 2, 15))
    text = PILOT.replace("400", "14644").replace("2021-02-07", "2060-02-07")
    refused(text, "'ADT', row 3: in the future")
    refused(PILOT.replace("2021-02-07", "9999-02-07"), "'ADT', row 3: not a year from 1900 to 2100")


def test_the_data_cutoff_is_stated():
    patients = read(PILOT, data_cutoff=DAY(2021, 3, 1))
    assert dict(patients.summary())["data cut-off"] == "2021-03-01"
    assert calendar_date(patients.data_cutoff, patients.origin) == DAY(2021, 3, 1)
    assert (patients.enrolled + patients.time <= patients.data_cutoff).all()
    long_ago = DAY(2022, 1, 1)
    refused(PILOT, r"'ADT', row 5: still followed, but not seen for more than 12 months .*longest_gap = 24",
            data_cutoff=long_ago)  # fmt: skip
    assert len(read(PILOT, data_cutoff=long_ago, longest_gap=13)) == 4
    refused(PILOT, "rows 3, 5: still followed", data_cutoff=DAY(2022, 3, 1), longest_gap=12)
    refused(PILOT, "row 5: still followed", longest_gap=1)  # of the last date, where the cut-off is not stated


def test_one_who_was_not_seen_for_long_among_many_is_asked_about():
    rows = [f"S1,Q{n:02d},PFS,{400 - n},DAYS,1,2020-01-05,,,Ongoing,KRd" for n in range(30)]
    assert len(read(PILOT + "\n".join(rows))) == 34
    many = [row.replace(f",{400 - n},", ",20,") if n < 9 else row for n, row in enumerate(rows)]
    assert len(read(PILOT + "\n".join(many))) == 34  # the last date is no cut-off
    early = rows[5].replace(",395,", ",20,")
    refused(PILOT + "\n".join([*rows, early.replace("Q05", "Q99")]), "row 36: still followed, but not seen")


def test_days_that_are_equal_are_equal_floats():
    rows = [f"S1,Q{n:03d},PFS,200,DAYS,1,{DAY(2020, 1, 5) + datetime.timedelta(days=n)},"
            f"{DAY(2020, 7, 22) + datetime.timedelta(days=n)},,Ongoing,KRd" for n in range(100)]  # fmt: skip
    assert len(set(read(PILOT + "\n".join(rows)).time[4:].tolist())) == 1


def test_what_is_written_is_read_back_with_its_days(tmp_path):
    for first_day in (0, 1):
        text = PILOT if first_day else re.sub(r",(\d{3}),DAYS", lambda m: f",{int(m[1]) - 1},DAYS", PILOT)
        patients = read(text)
        for unit in ("day", "month", "year"):
            write_adtte(patients, tmp_path / "adtte.csv", unit=unit, causes={"progression": "Progression", "death": "Death"})
            again = Patients.from_adtte(tmp_path / "adtte.csv", "PFS", arms=ARMS, causes=CAUSES)
            assert (again.first_day, again.origin) == (first_day, patients.origin)
            np.testing.assert_array_equal(again.time, patients.time)
            np.testing.assert_array_equal(again.enrolled, patients.enrolled)
    assert "2020-12-30" in (tmp_path / "adtte.csv").read_text()


# ---- who is the same

@pytest.mark.parametrize(("one", "two"), [
    ("S-007", "s-7"), (" P01", "p 01"), ("Ｐ01", "P01"), ("P\u200b01", "P01"), ("7.0", "7"), ("0.0", "0"), ("81", "81.0"),
    ("Low\u00a0Dose", "LOW DOSE"), ("A\u2011B", "A-B"), ("01-701-0007", "1-701-7"), ("5.397605346934028e-79", "0"),
    ("STRASSE", "straße"),
])  # fmt: skip
def test_names_that_are_one(one, two):
    assert normal_form(one) == normal_form(two)


@pytest.mark.parametrize(("one", "two"), [
    ("0.05 mg", "0.5 mg"), ("1 11", "11 1"), ("P10", "P1"), ("1.05", "1.5"), ("P1", "P2"), ("10", "1"), ("1e5", "100000"),
])  # fmt: skip
def test_names_that_are_two(one, two):
    assert normal_form(one) != normal_form(two)


def test_one_slip():
    assert all(one_slip_apart("pfs", word) for word in ("pf", "pfss", "spfs", "psf", "fps", "pfx"))
    assert not any(one_slip_apart("pfs", word) for word in ("pfs", "", "os", "pfsss", "sfp"))


@pytest.mark.parametrize("alias", ["x0", " X0 ", "X00", "x\u200b0", "X0.0", "Ｘ0"])
def test_a_patient_appears_once_however_written(alias):
    again = with_rows((1, "", "Ongoing")) + f"S1,{alias},PFS,300,DAYS,1,2020-03-01,,Ongoing,Rd\n"
    refused(again, "'USUBJID', row 5: a patient that appears twice .*first as 'X0' in row 4|first in row 4")


@pytest.mark.parametrize("code", ["pfs", "PFS\u200b", "Pfs", "PSF", "PFSS", ""])
def test_a_code_that_almost_matches_is_a_question_and_no_lost_row(code):
    text = with_rows((1, "", "Ongoing")).replace("S1,X0,PFS,", f"S1,X0,{code},")
    refused(text, "'PARAMCD', row 4: " + ("almost 'PFS'" if code else "no value"))


def test_another_parameter_is_another_parameter():
    text = with_rows((1, "", "Ongoing")) + "S1,X0,PFS2,400,DAYS,1,2020-03-01,,Ongoing,Rd\nS1,Y,OS,1,DAYS,1,2020-03-01,,,Rd\n"
    patients = read(text)
    assert len(patients) == 3
    assert dict(patients.summary())["left out"] == "1 (without a row of PFS)"


def test_arms_and_causes_match_in_their_normal_form():
    text = with_rows((1, "", "Ongoing")).replace("Rd\n", "RD \n").replace("KRD ", "krd").replace("Progression", "PROGRESSION ")
    assert read(text).arm.tolist() == [1, 0, 0]
    refused(with_rows((1, "", "Ongoing")), "both arms are called", arms={"control": "KRD", "experimental": "krd"})


def test_the_number_of_patients_is_compared():
    assert len(read(PILOT, patients=4)) == 4
    refused(PILOT, "4 patients, but patients = 119 is stated", patients=119)


def test_patients_that_are_numbers_match_their_mrd(tmp_path):
    mrd = table("USUBJID,MRDTM,MRDTMU,MRDRES,MRDSENS\n3.0,30,DAY,negative,1e-5\n1,60,DAY,positive,1e-5\n", "mrd.csv")
    assert read(PILOT, mrd=mrd).mrd.row.tolist() == [2, 0]


# ---- the standard, unedited

def cdisc_pilot(size=90, seed=3):
    """Look like the CDISC pilot's ADTTE: TRTP and TRTA, three arms, days without AVALU, flags, SAS dates, no CNSDTDSC."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(size):
        start = DAY(2012, 7, 1) + datetime.timedelta(days=int(rng.integers(500)))
        days = int(rng.integers(1, 190))
        event = days < 182 and rng.random() < 0.7
        arm, number = (("Placebo", 0.0), ("Xanomeline Low Dose", 54.0), ("Xanomeline High Dose", 81.0))[n % 3]
        rows.append({
            "STUDYID": "CDISCPILOT01", "USUBJID": f"01-701-{1001 + n}", "TRTP": arm, "TRTPN": number, "TRTA": arm, "TRTAN": number,
            "PARAM": "Time to First Dermatologic Event", "PARAMCD": "TTDE", "AVAL": float(days), "STARTDT": start,
            "ADT": start + datetime.timedelta(days=days - 1), "CNSR": float(not event),
            "EVNTDESC": "Dematologic Event Occured" if event else "Study Completion Date", "SRCDOM": "ADAE",
            "SAFFL": "Y", "ANL01FL": "Y",
        })  # fmt: skip
    rows[0] |= {"AVAL": 1.0, "ADT": rows[0]["STARTDT"], "CNSR": 0.0, "EVNTDESC": "Dematologic Event Occured"}
    rows.append(rows[3] | {"AVAL": 5.0, "ADT": rows[3]["STARTDT"] + datetime.timedelta(days=4), "ANL01FL": ""})
    return pd.DataFrame(rows)


def as_json(frame, path):
    types = {"STARTDT": "date", "ADT": "date"}
    cells = [[str(v) if isinstance(v, DAY) else v for v in row] for row in frame.itertuples(index=False)]
    path.write_text(json.dumps({
        "datasetJSONVersion": "1.1.0", "name": "ADTTE", "label": "Time to event", "records": len(cells),
        "columns": [{"itemOID": f"IT.{n}", "name": n, "label": n, "dataType": types.get(n, "string")} for n in frame],
        "rows": cells,
    }))  # fmt: skip


def as_csv(frame, path):
    frame.assign(STARTDT=frame["STARTDT"].map(lambda d: f"{d:%d%b%Y}".upper()),
                 ADT=frame["ADT"].map(lambda d: (d - DAY(1960, 1, 1)).days)).to_csv(path, index=False)  # fmt: skip


def as_xpt(frame, path):
    pyreadstat = pytest.importorskip("pyreadstat")
    pyreadstat.write_xport(frame, str(path), table_name="ADTTE", file_format_version=5)


PILOT_SAYS = {
    "arms": {"control": "Placebo", "experimental": "Xanomeline High Dose"}, "leave_out": ["Xanomeline Low Dose"],
    "flags": {"ANL01FL": "Y"}, "unit": "day",
}  # fmt: skip


def compare_with_scikit_survival(patients, time):
    """Compare log-rank and Cox on ``patients.time`` with scikit-survival's on ``time``, in any unit."""
    from sksurv.compare import compare_survival
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    from smm_bayes.prediction.kernels import log_rank
    from smm_bayes.trial.cox import cox_ratio

    outcome = Surv.from_arrays(patients.event, time)
    chi2, _ = compare_survival(outcome, patients.arm)
    score, variance = log_rank(patients.time, patients.event, patients.arm == 1)
    assert score**2 / variance == pytest.approx(chi2, rel=1e-9)
    cox = CoxPHSurvivalAnalysis(ties="efron").fit(patients.arm[:, None].astype(float), outcome)
    found = cox_ratio(patients.time, patients.event, patients.arm == 1)
    assert found.log_hazard_ratio == pytest.approx(cox.coef_[0], abs=1e-6)


@pytest.mark.parametrize(("name", "write"), [("a.csv", as_csv), ("a.xpt", as_xpt), ("a.json", as_json), ("frame", None)])
def test_the_cdisc_pilot_is_read_unedited(name, write, tmp_path):
    frame = cdisc_pilot()
    source = frame if write is None else tmp_path / name
    if write is not None:
        write(frame, source)
    patients = Patients.from_adtte(source, "TTDE", **PILOT_SAYS)
    kept = frame[(frame["ANL01FL"] == "Y") & (frame["TRTPN"] != 54)]
    np.testing.assert_allclose(patients.time * DAYS_PER_MONTH, kept["AVAL"])
    assert patients.first_day == 1
    assert (patients.event == (kept["CNSR"] == 0)).all()
    assert set(patients.censoring[~patients.event]) == {"other"}  # they completed the study: nobody is still followed
    assert not patients.at_risk.any()
    assert dict(patients.summary())["left out"] == "1 (rows without ANL01FL = Y), 30 (arm Xanomeline Low Dose)"
    assert patients.event[patients.time * DAYS_PER_MONTH == 1].any()
    compare_with_scikit_survival(patients, np.round(patients.time * DAYS_PER_MONTH))


def test_what_the_pilot_leaves_open_is_asked_for(tmp_path):
    as_csv(cdisc_pilot(), tmp_path / "a.csv")

    def ask(*words, **changes):
        options = {key: value for key, value in (PILOT_SAYS | changes).items() if value is not None}
        with pytest.raises(DataError) as error:
            Patients.from_adtte(tmp_path / "a.csv", "TTDE", **options)
        for word in words:
            assert re.search(word, str(error.value)), str(error.value)

    ask(r"'AVALU' is missing: it holds its unit, which PARAM does not say either .*unit = \"day\"", unit=None)
    ask(r"'TRTP', rows .*an arm that is not declared .*leave_out = \['Xanomeline Low Dose'\]", leave_out=None)
    ask(r"'USUBJID', row 92: a patient that appears twice .*flags = \{ANL01FL = \"Y\"\}", flags=None)
    ask("has no arm 'Middle Dose'", leave_out=["Xanomeline Low Dose", "Middle Dose"])
    ask("'Placebo' is an arm that is declared", leave_out=["Placebo"])
    ask("column 'ANL02FL' is missing: it holds a flag", flags={"ANL02FL": "Y"})
    ask("has no row with 'X' .flags.", flags={"ANL01FL": "X"})
    ask("columns: 'treatment' is not known; the roles are trial, patient", columns={"treatment": "TRTA"})
    ask("column 'TRT02A', named for 'arm' in columns, is not there", columns={"arm": "TRT02A"})
    by_number = PILOT_SAYS | {"arms": {"control": "0", "experimental": "81"}, "leave_out": ["54"], "columns": {"arm": "TRTAN"}}
    assert len(Patients.from_adtte(tmp_path / "a.csv", "TTDE", **by_number)) == 60


def test_planned_and_actual_arms():
    text = with_rows((1, "", "Ongoing"))
    refused(text.replace("TRT01P", "TRTA"), r"no planned arm .*columns = \{arm = \"TRTA\"\}")
    assert len(read(text.replace("TRT01P", "TRTA"), columns={"arm": "trta"})) == 3
    lines = text.strip().splitlines()
    both = "\n".join([lines[0] + ",TRTP", *(line + "," + line.split(",")[-1] for line in lines[1:])])
    assert len(read(both)) == 3
    refused(both.rsplit(",", 1)[0] + ",KRd", "'TRT01P' and 'TRTP' differ; say which is the arm")


def test_the_vis_sig_layout_is_read_unedited():
    """Look like the PSI VIS-SIG's ADTTE: four arms by TRT01P and its number, months that only PARAM says, no dates."""
    rng = np.random.default_rng(8)
    size, arms = 120, ["tablemab + vismab 52 weeks", "vismab 52 weeks", "tablemab 52 weeks", "tablemab x 12 week -> vismab"]
    frame = pd.DataFrame({
        "STUDYID": "SMM", "SUBJID": np.arange(size) + 1, "USUBJID": [f"SMM.{n + 1:03d}" for n in range(size)],
        "AGE": rng.integers(40, 80, size), "TRT01P": [arms[n % 4] for n in range(size)], "TRT01PN": np.arange(size) % 4 + 1,
        "PARAM": "Progression-free survival (Months)", "PARAMCD": "PFS", "AVAL": rng.exponential(20, size).round(5) + 0.01,
        "CNSR": rng.integers(0, 2, size),
    })  # fmt: skip
    frame["EVNTDESC"] = np.where(frame["CNSR"] == 0, "PD", "Lost to follow-up")
    patients = Patients.from_adtte(
        frame, "PFS", arms={"control": arms[1], "experimental": arms[0]}, leave_out=arms[2:], covariates=["age"]
    )
    kept = frame[frame["TRT01PN"] <= 2]
    np.testing.assert_allclose(patients.time, kept["AVAL"], rtol=0, atol=1e-6 / 30.4375)
    np.testing.assert_array_equal(patients.covariates["age"], kept["AGE"])
    assert dict(patients.summary())["left out"] == f"30 (arm {arms[2]}), 30 (arm {arms[3]})"
    compare_with_scikit_survival(patients, patients.time)


def test_lower_case_names_and_floats_that_pandas_made():
    lower = "studyid,usubjid,trt01p,paramcd,aval,avalu,cnsr\nP,01,Placebo,TTDE,30,DAYS,0.0\nP,02,High Dose,TTDE,182,DAYS,1.0\n"
    arms = {"control": "Placebo", "experimental": "High Dose"}
    assert len(Patients.from_adtte(table(lower), "TTDE", arms=arms, censoring={1: "administrative"})) == 2
    frame = pd.DataFrame({"patient": [1.0, 2.0], "arm": [0.0, 81.0], "time": [5.0, 6.0], "event": [1.0, 0.0]})
    numbers = {"control": "0", "experimental": "81"}
    for source in (frame, table(frame.to_csv(index=False), "plain.csv")):
        patients = Patients.from_frame(source, arms=numbers, censoring="administrative")
        assert patients.arm.tolist() == [0, 1]
        assert patients.event.tolist() == [True, False]
    assert Patients.from_frame(frame, arms=numbers, censoring="administrative").patient.tolist() == ["1", "2"]


def test_zeros_that_sas_writes():
    zero = "5.397605346934028e-79"
    text = with_rows((1, "", "Ongoing"))
    assert read(text.replace(",DAYS,0,", f",DAYS,{zero},")).events == 2
    for tiny in (zero, "1e-320", "0.0009"):
        refused(text.replace(",100,DAYS", f",{tiny},DAYS"), "'AVAL', row 3: an event at time 0")
        assert read(text.replace(",300,DAYS", f",{tiny},DAYS"), first_day=0).time[2] == 0
    assert read(text.replace(",DAYS,1,", ",DAYS,0.9999999999999,")).events == 2
    refused(text.replace(",DAYS,0,", ",DAYS,1e-6,"), "'CNSR', rows 2, 3: not a whole number")


def test_what_is_not_read_is_said_plainly(tmp_path):
    missing = with_rows((1, "", "Ongoing")).replace("TRT01P\n", "TRT01P,AGE\n").replace("KRd\n", "KRd,61\n")
    missing = re.sub(",Rd\n", ",Rd,\n", missing)
    refused(missing, "'AGE', rows 3, 4: no value of a covariate; no covariate may be missing", covariates=["AGE"])
    start_stop = "STUDYID,USUBJID,PARAMCD,AVAL,AVALU,CNSR,TRT01P,TSTART,TSTOP\n" + "".join(
        f"S,{who},PFS,{stop},DAYS,0,{arm},{stop - 10},{stop}\n"
        for who, arm, stop in (("a", "Rd", 10), ("a", "Rd", 20), ("b", "KRd", 10))
    )
    refused(start_stop, "'USUBJID', row 3: a patient that appears twice .*start–stop rows .* are not read", causes=None)


def test_formats_that_are_not_what_they_say(tmp_path):
    for name, content, words in (
        ("a.xpt", b"PK\x03\x04", "not a SAS transport file"), ("a.xpt", b"", "not a SAS transport file"),
        ("a.xpt", b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!" + b"0" * 40, "not readable as a SAS transport file"),
        ("a.json", b"[" * 100_000, "not JSON"), ("a.json", b"[]", "not Dataset-JSON"), ("a.json", b"{}", "not Dataset-JSON"),
        ("a.json", b"\xff\xff", "not JSON"), ("a.json", b'{"datasetJSONVersion": "1.0.0"}', "version 1.1"),
        ("a.json", b'{"datasetJSONVersion": "1.1.0", "columns": [{"name": 3}], "rows": [[1]]}', "names of its columns"),
        ("a.json", b'{"datasetJSONVersion": "1.1.0", "columns": [{"name": "A"}], "rows": []}', "no row"),
        ("a.json", b'{"datasetJSONVersion": "1.1.0", "columns": [{"name": "A"}], "rows": [[1], [1, 2]]}', "row 2 of the data"),
        ("a.json", b'{"datasetJSONVersion": "1.1.0", "records": 3, "columns": [{"name": "A"}], "rows": [[1]]}', "3 records"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        if name == "a.xpt" and b"HEADER" in content:
            pytest.importorskip("pyreadstat")
        with pytest.raises(DataError, match=words):
            Table.of(tmp_path / name)


def test_tables_beyond_all_reason_are_refused_at_once(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{n}" for n in range(100_000)) + "\n" + ",".join(["1"] * 100_000) + "\n")
    with pytest.raises(DataError, match=f"there are 100000 columns, more than {MOST_COLUMNS}"):
        Table.of(path)
    for name in ("a\0b.csv", "x" * 5000 + ".csv", "x" * 5000 + ".xpt"):
        with pytest.raises(DataError, match=r"no path can hold|too long|lead back|there is no such file"):
            Table.of(name)
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    with pytest.raises(DataError, match=r"no path can hold|too long|lead back|there is no such file"):
        Table.of(loop)


# ---- the plain door

PLAIN = "patient,arm,enrolled,time,event,cause,censoring\na,Rd,0,30,1,death,\nb,KRd,2,34,0,,lost\nc,KRd,3,33,0,,Ongoing\n"


def plain(text=PLAIN, **options):
    return Patients.from_frame(table(text, "plain.csv"), arms=ARMS, **{"causes": ["progression", "death"], **options})


def test_the_plain_door_has_the_same_checks():
    assert plain().censoring.tolist() == ["", "lost", "administrative"]
    assert plain(data_cutoff=36).data_cutoff == 36
    for changes, words in (
        (("30,1", "5000,1"), "'time', row 2: more than 150 years"),
        ((",lost", ","), "'censoring', row 3: no reason for censoring; .*censoring='administrative'"),
        ((",lost", ",moved"), "'censoring', row 3: not a known reason .*moved"),
        (("death,", "death,lost"), "'censoring', row 2: a reason for censoring, but there is an event"),
        ((",,lost", ",death,lost"), "'cause', row 3: the cause of an event, but there is none"),
        (("death", "PD"), "'cause', row 2: a cause that is not declared"),
        (("c,KRd", "A,KRd"), "'patient', row 4: a patient that appears twice"),
        (("30,1", "1e-320,1"), "'time', row 2: an event at time 0"),
        (("Rd,0", "Rd,1e308"), "'enrolled', row 2: more than 2500 years from 0"),
        (("30,1", "1e308,1"), "'time', row 2: more than 150 years"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            plain(PLAIN.replace(*changes, 1))
    for options, words in (
        ({"data_cutoff": 30}, "rows 3, 4: after the data cut-off"), ({"patients": 4}, "3 patients, but patients = 4"),
        ({"data_cutoff": 60}, "'time', row 4: still followed, but not seen"), ({"leave_out": ["X"]}, "has no arm 'X'"),
        ({"censoring": "gone"}, "gone is no reason"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            plain(**options)
    assert plain(data_cutoff=60, longest_gap=30).data_cutoff == 60
    assert plain(PLAIN.replace("lost", "moved"), censoring={"Moved": "lost"}).censoring[1] == "lost"
    assert len(plain(PLAIN.replace("cause", "why"), columns={"cause": "why"}, causes=["death"])) == 3
    two = PLAIN + "d,Rd,0,3,1,PD,\n"
    with pytest.raises(DataError, match=r"names 'death', 'PD'; say which causes there are"):
        plain(two, causes=None)


def test_days_read_as_months():
    """A table in days, read without its unit: a median follow-up of decades is asked about, of centuries refused."""
    days = "patient,arm,time,event\n" + "".join(f"p{n},{('Rd', 'KRd')[n % 2]},{1000 + n},{n % 3 == 0:d}\n" for n in range(40))
    with pytest.raises(DataError, match=r"the median follow-up would be 8\d years; .*unit = \"month\""):
        plain(days, causes=None, censoring="administrative")
    assert plain(days, causes=None, censoring="administrative", unit="day").median_follow_up < 36
    assert plain(days, causes=None, censoring="administrative", unit="month").median_follow_up > 1000  # stated: so be it
    with pytest.raises(DataError, match="more than 150 years"):
        plain(days.replace(",1", ",5"), causes=None, censoring="administrative", unit="month")
    months = with_rows((1, "", "Ongoing")).replace("DAYS", "MONTHS").replace("20-0", "00-0").replace("2000-", "1950-")
    refused(months.replace(",300,", ",800,").replace(",365,", ",600,").replace(",100,", ",600,"), "median follow-up would be")


# ---- courses

COURSES = """STUDYID,USUBJID,TRTP,RANDDT,PDDT,DTHDT,LASTASDT,LSTALVDT,DCSREAS
S,01,Rd,02JAN2020,,,01DEC2020,01JAN2021,
S,02,KRd,05JAN2020,01JUN2020,,01JUN2020,03FEB2021,Colostomy
S,03,KRd,07JAN2020,,01JUN2020,01MAY2020,,
S,04,Mid,07JAN2020,,01JUN2020,01MAY2020,,
"""


def courses(text=COURSES, **options):
    options = {"arms": ARMS, "leave_out": ["Mid"], "censoring": {"Colostomy": "other"}, **options}
    return Courses.from_table(table(text, "courses.csv"), **options)


def test_courses_come_in_by_the_same_door():
    found = courses()
    assert found.censoring.tolist() == ["administrative", "other", ""]
    assert (found.left_out, found.cutoff_stated) == ((("arm Mid", 1),), False)
    assert calendar_date(courses(data_cutoff=DAY(2021, 3, 1)).data_cutoff, found.origin) == DAY(2021, 3, 1)
    for changes, options, words in (
        (("", ""), {"data_cutoff": DAY(2021, 2, 1)}, r"'LSTALVDT', row 3: after the data cut-off \(2021-02-01\)"),
        (("", ""), {"data_cutoff": DAY(2023, 2, 1)}, "'LSTALVDT', row 2: still followed, but not seen for more than 12"),
        (("", ""), {"censoring": None}, "'DCSREAS', row 3: a reason that is not understood .*Colostomy"),
        (("", ""), {"patients": 119}, "3 patients, but patients = 119"),
        (("01JAN2021", "01JAN2060"), {}, "'LSTALVDT', row 2: in the future"),
        (("S,02", "S,1"), {}, "'USUBJID', row 3: a patient that appears twice .'1', first as '01' in row 2|appears twice"),
        (("Colostomy", "Executive decision"), {}, "not understood"), (("Colostomy", "Acute injury"), {}, "not understood"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            courses(COURSES.replace(*changes), **options)
    assert len(courses(data_cutoff=DAY(2023, 2, 1), longest_gap=30)) == 3


# ---- by a specification

SPEC = """
schema_version = 1
trial = {{ name = "small" }}
model.cuts = [6]
model.prior.baseline.{cause} = {{ median = 20, upper = 80 }}
final = {{ at = "date", date = 2030-01-01 }}
success = {{ rule = "event_count", at_most = 8, arm = "experimental" }}
[snapshot]
provenance = "simulated"
arms = {{ control = "Placebo", experimental = "Xanomeline High Dose" }}
{keys}
"""
KEYS = """
file = "adtte.csv"
parameter = "TTDE"
leave_out = ["Xanomeline Low Dose"]
flags = { ANL01FL = "Y" }
unit = "day"
first_day = 1
data_cutoff = 2014-12-31
longest_gap = 24
patients = 60
columns = { arm = "TRTA" }
censoring = { "Study Completion Date" = "withdrawn" }
"""


def snapshot(tmp_path, keys, cause="event"):
    from smm_bayes.analysis.snapshot import Snapshot
    from smm_bayes.analysis.spec import AnalysisSpec

    (tmp_path / "spec.toml").write_text(SPEC.format(keys=keys, cause=cause))
    spec = AnalysisSpec.load(tmp_path / "spec.toml")
    return Snapshot.read(spec, spec.file(spec.snapshot.table)).everyone


def test_every_key_of_the_snapshot_reaches_the_reader(tmp_path):
    as_csv(cdisc_pilot(), tmp_path / "adtte.csv")
    patients = snapshot(tmp_path, KEYS)
    assert len(patients) == 60
    assert patients.left_out == (("rows without ANL01FL = Y", 1), ("arm Xanomeline Low Dose", 30))
    assert calendar_date(patients.data_cutoff, patients.origin) == DAY(2014, 12, 31)
    assert patients.cutoff_stated
    assert set(patients.censoring) == {"", "withdrawn"}
    for key, other, words in (
        ("first_day = 1", "first_day = 2", "first_day"), ("patients = 60", "patients = 61", "patients = 61 is stated"),
        ("2014-12-31", "2012-08-01", "after the data cut-off"), ('unit = "day"', "", "unit"), ('"TRTA"', '"TRTX"', "'TRTX'"),
        ('flags = { ANL01FL = "Y" }', "", "appears twice"), ('leave_out = ["Xanomeline Low Dose"]', "", "not declared"),
        ("2014-12-31", "2014-12-31\ncut_by_date = 2015-01-01", "cut_by_date 2015-01-01 is after data_cutoff"),
        ('"Study Completion Date"', '"0"', "has values of CNSR"), ('"Study Completion Date"', '"-1"', "has values of CNSR"),
    ):  # fmt: skip
        with pytest.raises(SmmBayesError, match=words):
            snapshot(tmp_path, KEYS.replace(key, other))
    still = KEYS.replace('"withdrawn"', '"administrative"').replace("longest_gap = 24", "longest_gap = 1")
    with pytest.raises(SmmBayesError, match="still followed, but not seen for more than 1 months"):
        snapshot(tmp_path, still)


def test_keys_of_the_snapshot_for_courses(tmp_path):
    rows = COURSES.replace("KRd", "Xanomeline High Dose").replace(",Rd", ",Placebo")
    (tmp_path / "courses.csv").write_text(rows)
    keys = """courses = "courses.csv"
endpoint = { name = "OS" }
leave_out = ["Mid"]
data_cutoff = 2021-03-01
patients = 3
censoring = { Colostomy = "other" }
"""
    patients = snapshot(tmp_path, keys, cause="death")
    assert patients.left_out == (("arm Mid", 1),)
    assert patients.cutoff_stated
    assert calendar_date(patients.data_cutoff, patients.origin) == DAY(2021, 3, 1)
    with pytest.raises(SmmBayesError, match="'unit' is of an ADTTE table"):
        snapshot(tmp_path, keys + 'unit = "day"\n', cause="death")
