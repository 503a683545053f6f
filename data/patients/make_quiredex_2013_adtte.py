"""Make quiredex_2013_adtte.csv: one reconstruction of QuiRedex's first cut, its hazard ratio rounding to 0.18.

Reads data/evidence only; a test runs this and compares.
"""

import csv
import datetime
import sys
from pathlib import Path

import numpy as np

from smm_bayes.evidence.declared import find, load_declarations
from smm_bayes.evidence.pairs import reconstruct_pair

FIRST, SEED, DAYS_PER_MONTH = datetime.date(2007, 11, 8), 18, 365.25 / 12
COLUMNS = ("STUDYID", "USUBJID", "PARAMCD", "AVAL", "AVALU", "CNSR", "STARTDT", "EVNTDESC", "CNSDTDSC", "TRT01P")
EVENTS = {"progression": "Symptomatic progression", "death": "Death without progression"}
CENSORED = {"administrative": (1, "Ongoing at data cut-off"), "lost": (2, "Lost to follow-up")}


def rows():
    declaration = find("quiredex_2013_ttp", load_declarations())
    summaries = declaration.summaries
    pair = reconstruct_pair(summaries["control"], summaries["experimental"], rng=np.random.default_rng(SEED),
                            hazard_ratio=(0.18, 2))
    for arm in pair:
        for index in range(len(arm)):
            cause = arm.cause[index]
            code, reason = (0, "") if cause else CENSORED[arm.censoring[index]]
            start = FIRST + datetime.timedelta(days=round(arm.enrolled[index] * DAYS_PER_MONTH))
            yield ("QUIREDEX RECONSTRUCTED", f"RECONSTRUCTED-{arm.summary.arm}-{index + 1:02d}", "TTP",
                   f"{arm.time[index]:.2f}", "MONTH", code, start, EVENTS.get(cause, ""), reason, arm.summary.arm)


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "quiredex_2013_adtte.csv"
    with out.open("w", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows())
