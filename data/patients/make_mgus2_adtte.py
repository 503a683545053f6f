"""Write mgus2_adtte.csv from mgus2.csv: the same patients in ADaM ADTTE form (standard library only).

Enrolment is known by calendar year only and is put at 1 July. Time is to progression to a plasma-cell malignancy, to
death without it, or to the last contact (PFS); and to death or the last contact (OS). Arms are by size of the
monoclonal protein; 11 patients without it are left out. Strata are periods of diagnosis.
Usage: python3 make_mgus2_adtte.py
"""

import csv
from pathlib import Path

HERE = Path(__file__).parent
COLUMNS = ["STUDYID", "USUBJID", "PARAMCD", "AVAL", "AVALU", "CNSR", "STARTDT", "EVNTDESC", "CNSDTDSC", "TRT01P",
           "AGE", "AGEGR1", "SEX", "STRATUM"]


def row(patient: dict[str, str], parameter: str) -> dict[str, str]:
    progressed, died = parameter == "PFS" and patient["pstat"] == "1", patient["death"] == "1"
    death = "Death without progression" if parameter == "PFS" else "Death"
    event = "Progression" if progressed else death if died else ""
    return {
        "STUDYID": "MGUS2",
        "USUBJID": f"MGUS2-{int(patient['id']):04d}",
        "PARAMCD": parameter,
        "AVAL": patient["ptime"] if progressed else patient["futime"],
        "AVALU": "MONTH",
        "CNSR": "0" if event else "1",
        "STARTDT": f"{patient['dxyr']}-07-01",
        "EVNTDESC": event,
        "CNSDTDSC": "" if event else "Alive at last contact",
        "TRT01P": "M-protein 1.5 g/dL or more" if float(patient["mspike"]) >= 1.5 else "M-protein below 1.5 g/dL",
        "AGE": patient["age"],
        "AGEGR1": "below 60" if int(patient["age"]) < 60 else "60 to 74" if int(patient["age"]) < 75 else "75 or older",
        "SEX": patient["sex"],
        "STRATUM": "diagnosed before 1980" if int(patient["dxyr"]) < 1980 else "diagnosed from 1980",
    }


def main() -> None:
    with open(HERE / "mgus2.csv", newline="") as source:
        patients = [patient for patient in csv.DictReader(source) if patient["mspike"] not in ("", "NA")]
    with open(HERE / "mgus2_adtte.csv", "w", newline="") as target:
        writer = csv.DictWriter(target, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row(patient, parameter) for parameter in ("PFS", "OS") for patient in patients)


if __name__ == "__main__":
    main()
