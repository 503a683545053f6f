"""Tables that are right: small trials made at random, in the layouts that the readers take."""

import datetime
import random

from mutate import Columns

CUT = datetime.date(2022, 1, 1)
ARMS = {"control": "Rd", "experimental": "KRd"}
CAUSES = {"progression": ["Progression"], "death": ["Death"]}
DAY = datetime.timedelta(days=1)


def course(rng: random.Random) -> tuple[datetime.date, int, str]:
    """Start of a patient, days to the end, and what the end is: a cause, a reason, or nothing: still followed."""
    start = CUT - rng.randint(200, 900) * DAY
    end = rng.choice(("Progression", "Progression", "Death", "", "", "Lost to follow-up"))
    return start, (CUT - start).days if not end else rng.randint(5, (CUT - start).days - 1), end


def adtte(rng: random.Random) -> Columns:
    """ADTTE of four to six patients, sometimes with a second parameter; the first day counts as 0 or 1."""
    names = ["STUDYID", "USUBJID", "PARAMCD", "PARAM", "AVAL", "AVALU", "CNSR", "STARTDT", "ADT", "EVNTDESC", "CNSDTDSC",
             "TRT01P", "ENTRYTM", "STRATUM"]  # fmt: skip
    found, first = [], rng.randrange(2)
    for i in range(rng.randint(4, 6)):
        start, days, end = course(rng)
        event = end in ("Progression", "Death")
        row = ["S1", f"{i + 1:03d}", "PFS", "Progression-free survival (Days)", str(days + first), "DAYS", "0" if event else "1",
               start.isoformat(), (start + days * DAY).isoformat(), end if event else "",
               "" if event else end or "Ongoing", ("Rd", "KRd")[i % 2], "0", rng.choice("ab")]  # fmt: skip
        found.append(row)
        if rng.random() < 0.2:
            found.append([*row[:2], "OS", "Overall survival (Days)", *row[4:]])
    columns = dict(zip(names, map(list, zip(*found, strict=True)), strict=True))
    kept = {"STUDYID", "USUBJID", "PARAMCD", "AVAL", "AVALU", "CNSR", "EVNTDESC", "CNSDTDSC", "TRT01P"}
    more = {name for name in ("PARAM", "ENTRYTM", "STRATUM") if rng.random() < 0.4}
    dated = rng.choice((set(), {"STARTDT"}, {"STARTDT", "ADT"}, {"STARTDT", "ADT"}))
    return {name: values for name, values in columns.items() if name in kept | more | dated}


def plain(rng: random.Random) -> Columns:
    """A plain table in months."""
    names = ["patient", "arm", "enrolled", "time", "event", "cause", "censoring", "entry", "stratum"]
    found = []
    for i in range(rng.randint(4, 6)):
        start, days, end = course(rng)
        event = end in ("Progression", "Death")
        since, months = (start - CUT + 900 * DAY).days / 30.4375, days / 30.4375
        found.append([f"P{i + 1}", ("Rd", "KRd")[i % 2], f"{since:.4f}", f"{months:.4f}", str(int(event)),
                      end.lower() if event else "", "" if event else end.lower() or "administrative", "0", "a"])  # fmt: skip
    columns = dict(zip(names, map(list, zip(*found, strict=True)), strict=True))
    gone = {name for name in ("enrolled", "entry", "stratum") if rng.random() < 0.5}
    return {name: values for name, values in columns.items() if name not in gone}


def dates(rng: random.Random) -> Columns:
    """Courses of patients by dates."""
    names = ["STUDYID", "USUBJID", "TRT01P", "RANDDT", "RSPDT", "PDDT", "NTXDT", "PD2DT", "DTHDT", "LASTASDT", "LSTALVDT",
             "DCSREAS", "ENRLDT", "RFICDT", "STRATUM"]  # fmt: skip
    found = []
    for i in range(rng.randint(4, 6)):
        start, days, end = course(rng)
        days = max(days, 40)
        last = min(start + days * DAY, CUT)
        progressed = last - 10 * DAY if end == "Progression" else None
        died = last if end == "Death" or (progressed and rng.random() < 0.3) else None
        therapy = progressed + 5 * DAY if progressed and rng.random() < 0.5 else None
        given = [start, start + 9 * DAY if rng.random() < 0.5 else None, progressed, therapy, None, died, last - 2 * DAY, last]
        said = [date.isoformat() if date else "" for date in given]
        followed = end == "" or (died is None and end == "Progression" and (CUT - last).days < 300)
        found.append(["S1", f"{i + 1:02d}", ("Rd", "KRd")[i % 2], *said, "" if followed or died else "Lost to follow-up",
                      (start - 3 * DAY).isoformat(), (start - 9 * DAY).isoformat(), "a"])  # fmt: skip
    columns = dict(zip(names, map(list, zip(*found, strict=True)), strict=True))
    gone = {name for name in ("RSPDT", "NTXDT", "PD2DT", "ENRLDT", "RFICDT", "STRATUM") if rng.random() < 0.5}
    gone |= {"PD2DT"} if "NTXDT" in gone else set()
    return {name: values for name, values in columns.items() if name not in gone}


def mrd(rng: random.Random, patients: Columns) -> Columns:
    """Assessments of the patients of an ADTTE table: before, during and after follow-up, at several limits."""
    found = []
    for patient, code in zip(patients["USUBJID"], patients["PARAMCD"], strict=True):
        for day in (-5, 90, 250, 700) if code == "PFS" else ():
            if rng.random() < 0.6:
                result = rng.choice(("NEGATIVE", "POSITIVE", "POSITIVE", "Not done"))
                found.append([patient, str(day + rng.randrange(20)), "DAY", result, rng.choice(("1e-5", "1e-5", "1e-6", "1e-4"))])
    found = found or [[patients["USUBJID"][0], "30", "DAY", "POSITIVE", "1e-5"]]
    columns = dict(zip(("USUBJID", "MRDTM", "MRDTMU", "MRDRES", "MRDSENS"), map(list, zip(*found, strict=True)), strict=True))
    if rng.random() < 0.3:
        columns["MRDASSAY"] = ["flow"] * len(found)
    return columns


def reconstructions(rng: random.Random) -> Columns:
    """Two reconstructions of an earlier trial."""
    names = ["reconstruction", "patient", "trial", "arm", "regimen", "time", "event", "cause", "censoring", "enrolled", "provenance"]
    found = []
    for number in ("1", "2"):
        for i in range(4):
            _, days, end = course(rng)
            event = end in ("Progression", "Death")
            found.append([number, f"P{i}", "OLD", ("Obs", "Len")[i % 2], ("observation", "lenalidomide")[i % 2],
                          f"{days / 30.4375:.2f}", str(int(event)), end.lower() if event else "",
                          "" if event else end.lower() or "administrative", "0", "reconstructed"])  # fmt: skip
    columns = dict(zip(names, map(list, zip(*found, strict=True)), strict=True))
    gone = {"enrolled", "censoring"} if rng.random() < 0.7 else set()
    return {name: values for name, values in columns.items() if name not in gone}
