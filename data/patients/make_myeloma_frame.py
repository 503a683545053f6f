"""Write myeloma_frame.csv from myeloma.csv: the patients as a plain table with delayed entry (standard library only).

Time is from diagnosis to death or last contact, in days; entry is the day of arrival at the clinic, from which a
patient is at risk of being seen to die. The arms are two periods of diagnosis, split at the median year. Only the year
of diagnosis is known; the day is put at 1 July, and enrolled counts days from 1 July 1947 to the arrival.
Patients whose follow-up ends on the day they arrive tell nothing and are left out (there are none).
Usage: python3 make_myeloma_frame.py
"""

import csv
import datetime
from pathlib import Path

HERE = Path(__file__).parent
COLUMNS = ["patient", "arm", "enrolled", "entry", "time", "event"]
ORIGIN = datetime.date(1947, 7, 1)
MEDIAN = 1982


def row(patient: dict[str, str]) -> dict[str, str]:
    year = 1900 + int(patient["year"])
    diagnosed = (datetime.date(year, 7, 1) - ORIGIN).days
    return {
        "patient": f"MM-{int(patient['id']):04d}",
        "arm": "1982-1996" if year >= MEDIAN else "1947-1981",
        "enrolled": str(diagnosed + int(patient["entry"])),
        "entry": patient["entry"],
        "time": patient["futime"],
        "event": patient["death"],
    }


def main() -> None:
    with open(HERE / "myeloma.csv", newline="") as source:
        patients = [row(patient) for patient in csv.DictReader(source)]
    kept = [patient for patient in patients if int(patient["entry"]) < int(patient["time"])]
    print(f"{len(kept)} patients written, {len(patients) - len(kept)} without time at risk left out")
    with open(HERE / "myeloma_frame.csv", "w", newline="") as target:
        writer = csv.DictWriter(target, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)


if __name__ == "__main__":
    main()
