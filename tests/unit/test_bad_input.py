"""Malformed input: one clear error, exit code 2, nothing written, nothing heavy imported; valid variants pass."""

import codecs
import datetime
import json
import os
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smm_bayes.analysis.interim import read_inputs
from smm_bayes.cli import main
from smm_bayes.errors import SmmBayesError
from smm_bayes.trial import Patients
from smm_bayes.trial.table import Table, read_csv

HEAVY = ("pymc", "pytensor", "nutpie", "arviz", "arviz_stats", "numba", "pandas", "xarray", "scipy", "matplotlib")
PROGRESSION, DEATH, ONGOING = "Disease progression", "Death", "Ongoing at data cut"
# time, CNSR, EVNTDESC, CNSDTDSC of patients P01 to P12; patient n is in row n + 1, arms alternate
FATES = [
    ("8", "0", PROGRESSION, ""), ("10", "0", DEATH, ""), ("5", "0", PROGRESSION, ""), ("12", "0", PROGRESSION, ""),
    ("6", "2", "", "Lost to follow-up"), ("14", "0", DEATH, ""), ("16", "1", "", ONGOING), ("15.5", "1", "", ONGOING),
    ("9", "0", PROGRESSION, ""), ("3", "2", "", "Withdrew consent"), ("12", "1", "", ONGOING), ("11", "1", "", ONGOING),
]  # fmt: skip
MRD = [("P01", "3", "month", "negative", "1e-5"), ("P05", "100", "day", "positive", "1e-5"),
       ("P07", "12", "month", "negative", "1e-6")]  # fmt: skip


@dataclass
class Sheet:
    """A CSV file before it is written; ``raw`` takes its place, ``absent`` leaves it out."""

    header: list[str]
    rows: list[list[str]]
    separator: str = ","
    raw: bytes | None = None
    absent: bool = False

    def set(self, column, value, *patients):
        for patient in patients:
            self.rows[patient - 1][self.header.index(column)] = value

    def drop(self, column):
        position = self.header.index(column)
        self.header.pop(position)
        for row in self.rows:
            row.pop(position)

    @property
    def text(self):
        return "".join(self.separator.join(row) + "\n" for row in [self.header, *self.rows])

    def write(self, path):
        if not self.absent:
            path.write_bytes(self.text.encode() if self.raw is None else self.raw)


@dataclass
class Trial:
    """A small valid trial that a case spoils: two tables, a specification, arguments of the command line."""

    adtte: Sheet = field(default_factory=lambda: Sheet(
        ["STUDYID", "USUBJID", "PARAMCD", "AVAL", "AVALU", "CNSR", "STARTDT", "EVNTDESC", "CNSDTDSC", "TRT01P"],
        [["SMM", f"P{n:02d}", "PFS", time, "MONTH", code, f"2020-{n:02d}-15", event, reason,
          "Active" if n % 2 else "Observation"] for n, (time, code, event, reason) in enumerate(FATES, 1)],
    ))  # fmt: skip
    mrd: Sheet = field(default_factory=lambda: Sheet(
        ["USUBJID", "MRDTM", "MRDTMU", "MRDRES", "MRDSENS"], [list(row) for row in MRD]
    ))  # fmt: skip
    spec: dict = field(default_factory=lambda: {
        "schema_version": 1,
        "trial": {"name": "small"},
        "snapshot": {
            "file": "adtte.csv", "parameter": "PFS", "provenance": "simulated", "mrd": "mrd.csv",
            "cut_by_date": datetime.date(2021, 7, 1),
            "arms": {"control": "Observation", "experimental": "Active"},
            "causes": {"progression": [PROGRESSION], "death": [DEATH]},
        },
        "model": {"cuts": [6, 12], "prior": {
            "baseline": {"progression": {"median": 20, "upper": 80}, "death": {"median": 60, "upper": 300}},
            "hazard_ratio": {"progression": {"median": 1.0, "upper": 3.0}},
        }},
        "final": {"at": "date", "date": datetime.date(2023, 1, 1), "causes": ["progression"]},
        "success": {"rule": "log_rank", "alpha": 0.025},
        "prediction": {"replicates": 1000},
    })  # fmt: skip
    spec_raw: bytes | None = None
    arguments: list[str] = field(default_factory=list)
    other_files: dict[str, str] = field(default_factory=dict)

    def one_arm(self):
        self.adtte.set("TRT01P", "Active", *range(1, 13))
        self.spec["snapshot"]["arms"].pop("control")
        self.spec["success"] = {"rule": "event_count", "at_most": 8}

    def write(self, folder):
        self.adtte.write(folder / "adtte.csv")
        self.mrd.write(folder / "mrd.csv")
        content = to_toml(self.spec).encode() if self.spec_raw is None else self.spec_raw
        (folder / "spec.toml").write_bytes(content)
        for name, text in self.other_files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        return ["interim", str(folder / "spec.toml"), "--out", str(folder / "out"),
                *(argument.format(folder=folder) for argument in self.arguments)]  # fmt: skip


def to_toml(content, prefix=""):
    plain = "".join(f"{key} = {_value(value)}\n" for key, value in content.items() if not isinstance(value, dict))
    tables = "".join(
        f"[{prefix}{key}]\n" + to_toml(value, f"{prefix}{key}.")
        for key, value in content.items() if isinstance(value, dict)
    )  # fmt: skip
    return plain + tables


def _value(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    return json.dumps(value) if isinstance(value, str | bool) else str(value)


def spoil(path, value):
    """Set ``spec[a][b][c]`` by ``"a.b.c"``; None removes the key."""
    *parents, last = path.split(".")

    def change(trial):
        section = trial.spec
        for name in parents:
            section = section.setdefault(name, {})
        if value is None:
            del section[last]
        else:
            section[last] = value

    return change


def cell(column, value, *patients, sheet="adtte"):
    return lambda trial: getattr(trial, sheet).set(column, value, *patients)


def all_of(*changes):
    def change(trial):
        for one in changes:
            one(trial)

    return change


def call(text):
    """Run a statement on the trial ``t``: for changes that are one assignment."""
    return lambda trial: exec(text, {"t": trial, "codecs": codecs, "datetime": datetime})


def in_rows(column, rows, what, table="adtte"):
    """A problem of a table: it names the column, the rows, what is wrong, and after a semicolon a remedy."""
    inner = r"MRD table \S*mrd\.csv: " if table == "mrd" else ""
    return rf"adtte\.csv: 1 problem: {inner}column '{column}', {rows}: [^\n]*{what}[^\n]*; \w+[^\n]*\n$"


def no_column(column, table="adtte"):
    inner = r"MRD table \S*mrd\.csv: " if table == "mrd" else ""
    return rf"adtte\.csv: 1 problem: {inner}column '{column}' is missing: it holds \w+[^\n]*; add it\n$"


def in_spec(text):
    return rf"spec\.toml: 1 problem: {text}[^\n]*\n$"


PARQUET = b"PAR1\x15\x04\x15\x10\x15\x14L\x15\x02PAR1"
TABLES = [
    *((f"no {column}", lambda trial, column=column: trial.adtte.drop(column), no_column(column))
      for column in ("STUDYID", "USUBJID", "PARAMCD", "AVAL", "AVALU", "CNSR", "TRT01P", "EVNTDESC")),
    ("no STARTDT", call("t.adtte.drop('STARTDT')"), r"adtte\.csv: .*cut_by_date: .*STARTDT"),
    ("negative time", cell("AVAL", "-3", 7), in_rows("AVAL", "row 8", "negative .found -3.")),
    ("time is text", cell("AVAL", "five", 2), in_rows("AVAL", "row 3", "not a finite number .found 'five'.")),
    ("time with a decimal comma", cell("AVAL", '"15,5"', 2, 3), in_rows("AVAL", "rows 3, 4", "found '15,5'")),
    ("time with an underscore", cell("AVAL", "1_0", 2), in_rows("AVAL", "row 3", "found '1_0'")),
    ("time empty", cell("AVAL", "", 12), in_rows("AVAL", "row 13", "no value")),
    ("time infinite", cell("AVAL", "inf", 7), in_rows("AVAL", "row 8", "not a finite number")),
    ("time overflows", cell("AVAL", "1e999", 7), in_rows("AVAL", "row 8", "not a finite number")),
    ("time nan", cell("AVAL", "NaN", 7), in_rows("AVAL", "row 8", "no value")),
    ("time minus nan", cell("AVAL", "-nan", 7), in_rows("AVAL", "row 8", "not a finite number")),
    ("time of 900 years", all_of(cell("AVALU", "YEAR", 7), cell("AVAL", "900", 7)),
     in_rows("AVAL", "row 8", "more than 150 years .found 900.")),
    ("event at time 0", cell("AVAL", "0", 3), in_rows("AVAL", "row 4", "an event at time 0")),
    ("unknown unit", cell("AVALU", "FORTNIGHT", 4),
     in_rows("AVALU", "row 5", "not a unit of time .found 'FORTNIGHT'.")),
    ("unit empty", cell("AVALU", "", 4), in_rows("AVALU", "row 5", "no value")),
    ("patient twice", cell("USUBJID", "P01", 6),
     in_rows("USUBJID", "row 7", "a patient that appears twice .found 'P01', first in row 2.")),
    ("patients without a name", cell("USUBJID", "", 6, 8), in_rows("USUBJID", "rows 7, 9", "no value")),
    ("unknown arm", cell("TRT01P", "Placebo", 6), in_rows("TRT01P", "row 7", "an arm that is not declared")),
    ("arm empty", cell("TRT01P", "", 6), in_rows("TRT01P", "row 7", "no value")),
    ("an arm without patients", cell("TRT01P", "Active", *range(1, 13)),
     r"adtte\.csv: 1 problem: column 'TRT01P': arm 'Observation' \(control\) has no patient; correct"),
    ("CNSR is text", cell("CNSR", "yes", 5), in_rows("CNSR", "row 6", "not a finite number .found 'yes'.")),
    ("CNSR fractional", cell("CNSR", "0.5", 5), in_rows("CNSR", "row 6", "not a whole number .*found 0.5.")),
    ("CNSR negative", cell("CNSR", "-1", 5), in_rows("CNSR", "row 6", "negative")),
    ("CNSR empty", cell("CNSR", "", 5), in_rows("CNSR", "row 6", "no value")),
    ("CNSR huge", cell("CNSR", "1e300", 5), in_rows("CNSR", "row 6", "not a whole number below 1000")),
    ("CNSR 2 without reason", cell("CNSDTDSC", "", 5),
     in_rows("CNSR", "row 6", "a code above 1 without a reason")),
    ("CNSR 2 without CNSDTDSC", all_of(call("t.adtte.drop('CNSDTDSC')"),
                                       spoil("snapshot.censoring", {"1": "administrative"})),
     in_rows("CNSR", "rows 6, 11", "without a reason")),
    ("reason not understood", cell("CNSDTDSC", "moved house", 5),
     in_rows("CNSDTDSC", "row 6", "a reason that is not understood .found 'moved house'.")),
    ("date in German", cell("STARTDT", "15.03.2020", 3),
     in_rows("STARTDT", "row 4", "not a date .found '15.03.2020'.")),
    ("date that does not exist", cell("STARTDT", "2020-02-30", 3), in_rows("STARTDT", "row 4", "not a date")),
    ("date with something after it", cell("STARTDT", "2020-02-03?", 3),
     in_rows("STARTDT", "row 4", "not a date")),
    ("date in another age", cell("STARTDT", "0202-02-03", 3),
     in_rows("STARTDT", "row 4", "not a year from 1900 to 2100 .found '0202-02-03'.")),
    ("date empty", cell("STARTDT", "", 3), in_rows("STARTDT", "row 4", "no date")),
    ("dates all empty", cell("STARTDT", "", *range(1, 13)),
     in_rows("STARTDT", "rows 2, 3, .* and 4 more", "no date")),
    ("unknown cause", cell("EVNTDESC", "Relapse", 1),
     in_rows("EVNTDESC", "row 2", "a cause that is not declared")),
    ("unknown cause beside a single one",
     all_of(call("t.spec['snapshot']['causes'].pop('death')"),
     call("t.spec['model']['prior']['baseline'].pop('death')")),
     in_rows("EVNTDESC", "rows 3, 7", "a cause that is not declared .found 'Death'.")),
    ("event without cause", cell("EVNTDESC", "", 1), in_rows("EVNTDESC", "row 2", "no cause for the event")),
    ("progression of a censored row", cell("EVNTDESC", PROGRESSION, 7),
     in_rows("EVNTDESC", "row 8", "the words contradict CNSR or each other")),
    ("reason of an event", cell("CNSDTDSC", "Lost to follow-up", 1),
     in_rows("EVNTDESC", "row 2", "CNSR 0, an event, with 'Lost to follow-up'")),
    ("death of a censored row", cell("CNSDTDSC", "Date of death", 7), in_rows("CNSDTDSC", "row 8", "CNSR 1, a censoring")),
    ("CNSR 99", cell("CNSR", "99", 7), in_rows("CNSR", "row 8", "a code above 9 that is not declared .found 99.")),
    ("CNSR 1 without words", cell("CNSDTDSC", "", 12), in_rows("CNSR", "row 13", "a censoring without a reason")),
    ("event at a time that is none", cell("AVAL", "1e-320", 3), in_rows("AVAL", "row 4", "an event at time 0")),
    ("parameter in small letters", cell("PARAMCD", "pfs", 8), in_rows("PARAMCD", "row 9", "almost 'PFS'")),
    ("parameter with an invisible space", cell("PARAMCD", "PFS\u200b", 8), in_rows("PARAMCD", "row 9", "almost 'PFS'")),
    ("no parameter", cell("PARAMCD", "", 8), in_rows("PARAMCD", "row 9", "no value")),
    ("patient again in small letters", cell("USUBJID", "p 1", 6), in_rows("USUBJID", "row 7", "first as 'P01' in row 2")),
    ("followed until 2060", all_of(cell("AVALU", "YEAR", 7), cell("AVAL", "40", 7)), in_rows("AVAL", "row 8", "in the future")),
    ("after the data cut-off", spoil("snapshot.data_cutoff", datetime.date(2021, 11, 20)),
     in_rows("AVAL", "row 9", "after the data cut-off .2021-11-20.")),
    ("not seen for long", all_of(spoil("snapshot.data_cutoff", datetime.date(2022, 1, 1)), cell("AVAL", "1", 8)),
     in_rows("AVAL", "row 9", "still followed, but not seen for more than 12 months")),
    ("fewer patients than stated", spoil("snapshot.patients", 13), r"1 problem: 12 patients, but patients = 13 is stated; find"),
    ("two trials", cell("STUDYID", "OTHER", 11, 12),
     in_rows("STUDYID", "rows 12, 13", "another trial than 'SMM'")),
    ("PARAMCD not there", cell("PARAMCD", "OS", *range(1, 13)),
     r"adtte\.csv: 1 problem: column 'PARAMCD' has no row with 'PFS'; ask for what it has: 'OS'"),
    ("duplicate column", call("t.adtte.header[2] = 'AVAL'"),
     r"adtte\.csv: 1 problem: column 'AVAL' appears 2 times; give"),
    ("unnamed column", all_of(call("t.adtte.header.insert(0, '')"),
                              call("[row.insert(0, str(n)) for n, row in enumerate(t.adtte.rows)]")),
     r"adtte\.csv: 1 problem: column number 1 has no name; name it"),
    ("header only", call("t.adtte.rows.clear()"),
     r"adtte\.csv: 1 problem: there is a header but no row; give"),
    ("empty file", call("t.adtte.raw = b''"), r"adtte\.csv: the file is empty; it needs a header"),
    ("blank lines only", call("t.adtte.raw = b' \\n\\n'"),
     r"adtte\.csv: the file is empty; it needs a header"),
    ("commas only", call("t.adtte.raw = b',,\\n,,\\n'"), r"adtte\.csv: there are commas but no header; name"),
    ("binary file", call("t.adtte.raw = bytes(range(256))"),
     r"adtte\.csv: this is a binary file, .*; export it as CSV"),
    ("parquet", lambda trial: setattr(trial.adtte, "raw", PARQUET),
     r"adtte\.csv: this is a binary file, .*; export it"),
    ("Excel", call("t.adtte.raw = b'PK\\x03\\x04rest'"),
     r"adtte\.csv: this is a binary file, .*; export it as CSV"),
    ("UTF-16", call("t.adtte.raw = t.adtte.text.encode('utf-16')"),
     r"adtte\.csv: this is UTF-16 text; save .*UTF-8"),
    ("Latin-1", call("t.adtte.raw = t.adtte.text.replace('SMM', 'Münster').encode('latin-1')"),
     r"adtte\.csv: byte \d+ is not UTF-8; save the file as CSV \(UTF-8\)"),
    ("semicolons", call("t.adtte.separator = ';'"),
     r"adtte\.csv: the header has no comma; separate columns by commas"),
    ("tabs", call("t.adtte.separator = '\\t'"),
     r"adtte\.csv: the header has no comma; separate columns by commas"),
    ("ragged rows", all_of(call("t.adtte.rows[1].pop()"), call("t.adtte.rows[4].pop()")),
     r"adtte\.csv: 1 problem: rows 3, 6: 9 values where the header has 10; mend the commas"),
    ("quotation mark left open", cell("TRT01P", '"Active', 3),
     r"adtte\.csv: not readable as comma-separated text .*; "),
    ("missing file", call("t.adtte.absent = True"), r"adtte\.csv: there is no such file; give the path"),
    ("--snapshot missing", call("t.arguments = ['--snapshot', '{folder}/else.csv']"),
     r"else\.csv: there is no such file; give the path"),
    ("--snapshot is a folder", call("t.arguments = ['--snapshot', '{folder}']"),
     r"this is a folder; give the path of a CSV file"),
]  # fmt: skip

MRD_TABLES = [
    *((f"no {column}", lambda trial, column=column: trial.mrd.drop(column), no_column(column, "mrd"))
      for column in ("USUBJID", "MRDTM", "MRDTMU", "MRDRES", "MRDSENS")),
    ("unknown patient", cell("USUBJID", "P99", 2, sheet="mrd"),
     in_rows("USUBJID", "row 3", "no such patient in the trial .found 'P99'.", "mrd")),
    ("after death", all_of(cell("MRDTM", "10.5", 1, sheet="mrd"), cell("USUBJID", "P02", 1, sheet="mrd")),
     in_rows("MRDTM", "row 2", "MRD after the patient's death .found 10.5.", "mrd")),
    ("not done after death", all_of(cell("MRDTM", "11", 1, sheet="mrd"), cell("USUBJID", "P02", 1, sheet="mrd"),
                                    cell("MRDRES", "not done", 1, sheet="mrd")),
     in_rows("MRDTM", "row 2", "MRD after the patient's death", "mrd")),
    ("centuries later", cell("MRDTM", "80000", 2, sheet="mrd"),
     in_rows("MRDTM", "row 3", "more than 150 years from enrolment", "mrd")),
    ("bad result", cell("MRDRES", "maybe", 3, sheet="mrd"),
     in_rows("MRDRES", "row 4", "not a result .found 'maybe'.", "mrd")),
    ("result empty", cell("MRDRES", "", 3, sheet="mrd"), in_rows("MRDRES", "row 4", "no value", "mrd")),
    ("result in another word", cell("MRDRES", "non detectable", 3, sheet="mrd"),
     in_rows("MRDRES", "row 4", "not a result .found 'non detectable'.", "mrd")),
    ("sensitivity empty", cell("MRDSENS", "", 1, sheet="mrd"),
     in_rows("MRDSENS", "row 2", "no value for a valid result", "mrd")),
    ("result a dash", cell("MRDRES", "-", 3, sheet="mrd"), in_rows("MRDRES", "row 4", "not a result .found '-'.", "mrd")),
    ("result a dot", cell("MRDRES", ".", 3, sheet="mrd"), in_rows("MRDRES", "row 4", "no value", "mrd")),
    ("results in three words", all_of(*(cell("MRDRES", word, n, sheet="mrd") for n, word in enumerate("+-_", 1))),
     in_rows("MRDRES", "rows 2, 3, 4", r"not a result .found '\+', '-', '_'.", "mrd")),
    ("not done or not detected", cell("MRDRES", "ND", 1, sheet="mrd"),
     in_rows("MRDRES", "row 2", "ND may be not done or not detected", "mrd")),
    ("not done, sensitivity 7", all_of(cell("MRDRES", "not done", 1, sheet="mrd"), cell("MRDSENS", "7", 1, sheet="mrd")),
     in_rows("MRDSENS", "row 2", "not between 0 and 1", "mrd")),
    ("two results of one day", call("t.mrd.rows.append(['P01', '91', 'day', 'positive', '1e-5'])"),
     in_rows("MRDRES", "rows 2, 5", "valid results of one patient and day, negative and positive", "mrd")),
    ("positive at a coarser sensitivity", call("t.mrd.rows.append(['P01', '91', 'day', 'positive', '1e-4'])"),
     in_rows("MRDRES", "rows 2, 5", "valid results of one patient and day, negative and positive", "mrd")),
    ("sensitivity 1", cell("MRDSENS", "1", 1, sheet="mrd"),
     in_rows("MRDSENS", "row 2", "not between 0 and 1", "mrd")),
    ("sensitivity -5", cell("MRDSENS", "-5", 1, sheet="mrd"),
     in_rows("MRDSENS", "row 2", "not between 0 and 1", "mrd")),
    ("sensitivity is text", cell("MRDSENS", "10^-5", 1, sheet="mrd"),
     in_rows("MRDSENS", "row 2", "not a finite number .found '10.-5'.", "mrd")),
    ("unknown unit", cell("MRDTMU", "cycle", 1, sheet="mrd"),
     in_rows("MRDTMU", "row 2", "not a unit of time .found 'cycle'.", "mrd")),
    ("time is text", cell("MRDTM", "C3D1", 1, sheet="mrd"),
     in_rows("MRDTM", "row 2", "not a finite number", "mrd")),
    ("bad date", all_of(call("t.mrd.header[1] = 'MRDDT'"), cell("MRDDT", "2020-12-15", 1, 2, 3, sheet="mrd"),
                        cell("MRDDT", "May", 2, sheet="mrd"), cell("MRDDT", "2020-06-01", 1, sheet="mrd")),
     in_rows("MRDDT", "row 3", "not a date .found 'May'.", "mrd")),
    ("missing file", call("t.mrd.absent = True"),
     r"MRD table \S*mrd\.csv: there is no such file; give the path"),
    ("empty file", call("t.mrd.raw = b''"), r"MRD table \S*mrd\.csv: the file is empty; it needs"),
    ("semicolons", call("t.mrd.separator = ';'"),
     r"MRD table \S*mrd\.csv: the header has no comma; separate"),
]  # fmt: skip

SPECS = [
    ("not TOML", call("t.spec_raw = b'schema_version: 1'"), r"spec\.toml: not readable as TOML: .*line 1"),
    ("UTF-16", call("t.spec_raw = 'schema_version = 1'.encode('utf-16')"),
     r"spec\.toml: not readable as TOML: .*UTF-8"),
    ("key twice", call("t.spec_raw = b'schema_version = 1\\nschema_version = 1'"),
     r"spec\.toml: not readable as TOML"),
    ("wrong schema_version", spoil("schema_version", 2),
     in_spec(r"schema_version: input should be 1 \(found 2\)")),
    ("no schema_version", spoil("schema_version", None), in_spec("key 'schema_version' is missing; add it")),
    ("unknown key", spoil("model.knots", [6]), in_spec("key 'model.knots' is not known; correct")),
    ("unknown key at the top", spoil("path", "x"), in_spec("key 'path' is not known; correct")),
    ("unknown section", spoil("power_prior", {"weight": 0.5}),
     in_spec("key 'power_prior' is not known; correct")),
    *((f"no section {name}", spoil(name, None), in_spec(f"key '{name}' is missing; add it"))
      for name in ("trial", "snapshot", "model", "final", "success")),
    ("trial without a name", spoil("trial.name", ""), in_spec("trial.name: ")),
    ("cuts unsorted", spoil("model.cuts", [12, 6]),
     in_spec("model.cuts: cuts must be .*strictly increasing.*Give")),
    ("cuts twice the same", spoil("model.cuts", [6, 6]),
     in_spec("model.cuts: cuts must be .*strictly increasing.*Give")),
    ("cuts with 0", spoil("model.cuts", [0, 6]),
     in_spec("model.cuts: cuts must be positive.*0 and infinity are added")),
    ("cuts as text", spoil("model.cuts", ["6", 12]),
     in_spec(r"model\.cuts\.0: must be a number, not text .*'6'")),
    ("cuts as one text", spoil("model.cuts", "6, 12"), in_spec("model.cuts: input should be a valid list")),
    ("cuts with nan", spoil("model.cuts", [6.0, float("nan")]),
     in_spec(r"model\.cuts\.1: input should be a finite")),
    ("prior median above upper", spoil("model.prior.baseline.death", {"median": 60, "upper": 60}),
     in_spec(r"model\.prior\.baseline\.death: upper \(60\) must be above median \(60\)")),
    ("prior median 0", spoil("model.prior.baseline.death.median", 0),
     in_spec("model.prior.baseline.death.median: input should be greater than 0")),
    ("prior upper infinite", spoil("model.prior.baseline.death.upper", float("inf")),
     in_spec("model.prior.baseline.death.upper: input should be a finite number")),
    ("prior is true", spoil("model.prior.baseline.death.median", True),
     in_spec("model.prior.baseline.death.median: must be a number, not text or true/false")),
    ("no prior for a cause", spoil("model.prior.baseline.death", None),
     in_spec("model.prior.baseline has no 'death'; give it median and upper")),
    ("prior for another cause", spoil("model.prior.hazard_ratio.relapse", {"median": 1, "upper": 2}),
     in_spec("model.prior.hazard_ratio.relapse: the causes are death, progression; correct it")),
    ("gamma without its prior", spoil("model.baseline", "gamma"),
     in_spec("model: baseline = 'gamma' needs prior.gamma")),
    ("smoothness of 1", spoil("model.prior.smoothness", {"fold_change": 1}),
     in_spec("model.prior.smoothness.fold_change: ")),
    ("final without trigger", spoil("final.date", None),
     in_spec("final: at = 'date' needs the key 'date'; add it")),
    ("final with a second trigger", spoil("final.events", 5),
     in_spec("final: at = 'date' does not use 'events'; remove")),
    ("a section where a number belongs", spoil("model.prior.smoothness.fold_change", {}),
     in_spec(r"model.prior.smoothness.fold_change: input should be a valid number \(found a section\)")),
    ("final at something else", spoil("final.at", "leisure"),
     in_spec("final.at: input should be 'events', 'date', 'follow_up' or 'primary'")),
    ("final date as a number", spoil("final.date", 20230101),
     in_spec("final.date: must be a date, written YYYY-MM-DD")),
    ("final date as a word", spoil("final.date", "soon"), in_spec("final.date: .*soon")),
    ("final date before the cut", spoil("final.date", datetime.date(2021, 6, 30)),
     r"final\.date 2021-06-30 is before the data cut \(2021-07-01\); choose a later date"),
    ("final date before the trial", spoil("final.date", datetime.date(2019, 1, 1)),
     r"final\.date 2019-01-01 is before the data cut \(2021-07-01\); choose a later date"),
    ("final cap before the cut", spoil("final.cap", datetime.date(2021, 1, 1)),
     r"final\.cap 2021-01-01 is before the data cut \(2021-07-01\); choose a later date"),
    ("final events out of reach", spoil("final", {"at": "events", "events": 11}),
     r"final\.events is 11 and cannot be reached any more: 5 events so far, 5 patients still followed and 0 to come make "
     r"at most 10 events; correct it, say in prediction\.complete which are still followed, or give final\.cap"),
    ("more patients than any trial has", spoil("enrolment", {"planned": {"control": 99_999_999_999, "experimental": 9}}),
     in_spec(r"enrolment\.planned\.control: a trial has from 0 to 100,000 patients")),
    ("more final events than patients", spoil("final", {"at": "events", "events": 13}),
     r"final\.events is 13, more than the 12 patients there will be; correct it, or plan"),
    ("final events 0", spoil("final", {"at": "events", "events": 0}),
     in_spec("final.events: input should be greater than 0")),
    ("final causes not known", spoil("final.causes", ["relapse"]),
     in_spec("final.causes: 'relapse' is not one of the causes death, progression; correct it")),
    ("planned smaller than enrolled", spoil("enrolment", {"planned": {"control": 5, "experimental": 9}}),
     r"enrolment\.planned\.control is 5 but 6 are enrolled already; correct it"),
    ("planned for no arm", all_of(call("t.one_arm()"), spoil("enrolment", {"planned": {"control": 20}})),
     in_spec("enrolment.planned names an arm that snapshot.arms does not; correct")),
    ("unknown success rule", spoil("success.rule", "p_value"),
     in_spec("success.rule must be one of log_rank, .*'p_value'")),
    ("no success rule", spoil("success.rule", None), in_spec("success.rule must be one of log_rank, .*None")),
    ("success rule a list", spoil("success.rule", ["log_rank"]),
     in_spec("success: is not understood; write")),
    ("success of a list of words", spoil("success", {"all": ["log_rank", "event_count"]}),
     in_spec("success: is not underst")),
    ("unknown rule setting", spoil("success.beta", 0.2),
     in_spec("success: beta is no setting of log_rank; its settings are")),
    ("alpha too large", spoil("success.alpha", 0.6), in_spec("success.alpha must be above 0 and below 0.5")),
    ("alpha 0", spoil("success.alpha", 0), in_spec("success.alpha must be above 0 and below 0.5")),
    ("alpha as text", spoil("success.alpha", "0.025"),
     in_spec("success: the settings of log_rank must be numbers")),
    ("threshold infinite", spoil("success", {"rule": "hazard_ratio_probability", "threshold": float("inf")}),
     in_spec("success: threshold must be a finite number")),
    ("event count of no arm", spoil("success", {"rule": "event_count", "at_most": 3, "arm": "Active"}),
     in_spec("success.arm: 'Active' is not one of the arms control, experimental; correct")),
    ("log-rank with one arm", all_of(call("t.one_arm()"), spoil("success", {"rule": "log_rank"})),
     in_spec("success: .*compares two arms, but snapshot.arms names one; use event_count")),
    ("both arms of one name", spoil("snapshot.arms.control", "Active"),
     in_spec("snapshot.arms: both arms are called 'Active'; give each its own name")),
    ("arms without experimental", spoil("snapshot.arms", {"control": "Active"}),
     in_spec("snapshot.arms: must name 'experimental'")),
    ("arm of another role", spoil("snapshot.arms.placebo", "Placebo"),
     in_spec("snapshot.arms.placebo: input should be")),
    ("arm without a name", spoil("snapshot.arms.control", ""), in_spec("snapshot.arms.control: ")),
    ("cause without text", spoil("snapshot.causes.death", []),
     in_spec("snapshot.causes: 'death' has no text; give")),
    ("text of two causes", spoil("snapshot.causes.death", [PROGRESSION]),
     in_spec("snapshot.causes: 'disease progression' is named twice; let it mean one cause")),
    ("censoring of code 0", spoil("snapshot.censoring", {"0": "lost"}),
     in_spec("snapshot.censoring: has values of CNSR")),
    ("censoring of no reason", spoil("snapshot.censoring", {"2": "moved"}),
     in_spec("snapshot.censoring.2: input should be")),
    ("provenance not known", spoil("snapshot.provenance", "guessed"),
     in_spec("snapshot.provenance: input should be 'real'")),
    ("both kinds of cut", spoil("snapshot.cut_by_events", 3),
     in_spec("snapshot: give cut_by_date or cut_by_events, not")),
    ("cut before the first enrolment", spoil("snapshot.cut_by_date", datetime.date(2020, 1, 14)),
     r"cut_by_date: nobody had been enrolled at the data cut; choose a date after the first enrolment \(2020-01-15\)"),
    ("no events at the cut", spoil("snapshot.cut_by_date", datetime.date(2020, 6, 1)),
     r"adtte\.csv: 1 problem: no event at the data cut; .*cut later"),
    ("an arm empty at the cut", spoil("snapshot.cut_by_date", datetime.date(2020, 1, 20)),
     r"2 problems:\n.*arm 'Observation' \(control\) has no patient at the data cut; cut later\n.*no event"),
    ("a cut by too many events",
     all_of(spoil("snapshot.cut_by_date", None), spoil("snapshot.cut_by_events", 5)),
     r"cut_by_events: a cut at 5 events, but the patients have 4; choose a number from 1 to that"),
    ("replicates too few", spoil("prediction.replicates", 99),
     in_spec("prediction.replicates: .*greater than or equal to 100")),
    ("replicates a fraction", spoil("prediction.replicates", 1000.5),
     in_spec("prediction.replicates: .*integer")),
    ("no dates for a final date",
     all_of(call("t.adtte.drop('STARTDT')"), spoil("snapshot.cut_by_date", None)),
     r"final\.date needs the patients' dates to count from; give column STARTDT"),
    ("no dates for enrolling more",
     all_of(call("t.adtte.drop('STARTDT')"), spoil("snapshot.cut_by_date", None),
            spoil("final", {"at": "follow_up", "follow_up": 24}),
            spoil("enrolment", {"planned": {"control": 9, "experimental": 9}})),
     r"enrolling more patients needs the dates of enrolment so far; give STARTDT"),
]  # fmt: skip

SEVERAL = [
    ("five cells", all_of(cell("AVAL", "-3", 7), cell("AVALU", "FORTNIGHT", 4), cell("CNSR", "maybe", 5),
                          cell("TRT01P", "Placebo", 6), cell("STARTDT", "soon", 3)),
     r"adtte\.csv: 5 problems:\n(?=(?:.*\n)*.*'AVAL', row 8: negative)(?=(?:.*\n)*.*'AVALU', row 5: not a unit)"
     r"(?=(?:.*\n)*.*'CNSR', row 6: not a finite)(?=(?:.*\n)*.*'TRT01P', row 7: an arm)"
     r"(?=(?:.*\n)*.*'STARTDT', row 4: not a date)"),
    ("two columns and two cells", all_of(call("t.adtte.drop('AVALU')"), call("t.adtte.drop('TRT01P')"),
                                         cell("CNSR", "maybe", 5), cell("AVAL", "", 2)),
     r"adtte\.csv: 4 problems:\n.*'AVALU' is missing.*\n.*'TRT01P' is missing.*\n.*'AVAL', row 3: no value.*\n"
     r".*'CNSR', row 6: not a finite"),
    ("no patients' names and a bad reason",
     all_of(call("t.adtte.drop('USUBJID')"), cell("CNSDTDSC", "moved", 5)),
     r"adtte\.csv: 2 problems:\n.*'USUBJID' is missing.*\n.*'CNSDTDSC', row 6: a reason"),
    ("both tables", all_of(cell("AVAL", "x", 6), cell("MRDRES", "maybe", 3, sheet="mrd"),
     call("t.mrd.drop('MRDSENS')")),
     r"adtte\.csv: 3 problems:\n.*'AVAL', row 7: not a finite.*\n.*MRD table .*'MRDSENS' is missing.*\n"
     r".*MRD table .*'MRDRES', row 4"),
    ("MRD table, four ways", all_of(
        call("t.mrd.rows.append(['P01', '91', 'day', 'positive', '1e-5'])"), cell("MRDTM", "x", 2, sheet="mrd"),
        cell("MRDRES", "odd", 3, sheet="mrd"), call("t.mrd.rows.append(['P11', '2', 'month', 'pos', ''])")),
     r"adtte\.csv: 4 problems:\n.*'MRDTM', row 3: not a finite number.*\n.*'MRDRES', row 4: not a result.*\n"
     r".*'MRDSENS', row 6: no value for a valid result.*\n.*'MRDRES', rows 2, 5: valid results of one patient"),
    ("ragged rows of two lengths", all_of(call("t.adtte.rows[1].pop()"), call("t.adtte.rows[4].append('x')")),
     r"adtte\.csv: 2 problems:\n.*row 3: 9 values .*\n.*row 6: 11 values"),
    ("header twice wrong", all_of(call("t.adtte.header[2] = 'AVAL'"), call("t.adtte.header[5] = ''")),
     r"adtte\.csv: 2 problems:\n.*column number 6 has no name; .*\n.*'AVAL' appears 2 times; "),
    ("many sections",
     all_of(spoil("model.cuts", [12, 6]), spoil("success.alpha", 2), spoil("prediction.replicates", 1),
                             spoil("final.date", None), spoil("snapshot.cut", 3), spoil("trial", None)),
     r"spec\.toml: 6 problems:\n.*'trial' is missing.*\n.*'snapshot\.cut' is not known.*\n.*model\.cuts: .*\n"
     r".*final: at = 'date' needs.*\n.*success\.alpha must .*\n.*prediction\.replicates: "),
    ("sections that do not fit",
     all_of(spoil("model.prior.baseline.death", None), spoil("final.causes", ["relapse"]),
                                        spoil("snapshot.arms", {"experimental": "Active"})),
     r"spec\.toml: 3 problems:\n.*baseline has no 'death'.*\n.*final\.causes: 'relapse'.*\n"
     r".*success: .*compares two arms"),
]  # fmt: skip

FOREIGN = {"out/decision.json": "{}", "out/thesis.tex": "mine"}
ARGUMENTS = [
    ("--out with foreign files", lambda trial: trial.other_files.update(FOREIGN),
     r"--out \S*out holds other files \(thesis\.tex\); give a new folder"),
    ("--out is a file", lambda trial: trial.other_files.update({"out": "mine"}),
     r"--out \S*out is a file; give a folder"),
    ("--out under a file", call("t.arguments = ['--out', '{folder}/adtte.csv/out']"),
     r"--out \S*out: \S*adtte\.csv is a file; give another folder"),
    ("--seed negative", call("t.arguments = ['--seed', '-1']"), r"Invalid value for '--seed'"),
    ("--seed too large", call("t.arguments = ['--seed', str(2**64)]"), r"Invalid value for '--seed'"),
    ("--seed as text", call("t.arguments = ['--seed', 'x']"), r"Invalid value for '--seed'"),
    ("--workers 0", call("t.arguments = ['--workers', '0']"), r"Invalid value for '--workers'"),
    ("an option that is none", call("t.arguments = ['--fast']"), r"No such option.*--fast"),
]  # fmt: skip

GROUPS = (("table", TABLES), ("mrd", MRD_TABLES), ("spec", SPECS), ("several", SEVERAL), ("arguments", ARGUMENTS))
BAD = [pytest.param(change, regex, id=f"{group}: {name}") for group, cases in GROUPS for name, change, regex in cases]


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def without_warnings(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return function(*arguments, **options)


def refusal(function, *arguments, **options):
    """What the function gives and None, or None and the words in which it refuses; other errors pass through."""
    try:
        return without_warnings(function, *arguments, **options), None
    except SmmBayesError as error:
        return None, str(error)


def run(arguments, monkeypatch, capsys):
    """Run the command line in this process: exit code, standard output, standard error."""

    def accepted():
        raise AssertionError("the input was accepted")

    monkeypatch.setattr("smm_bayes.cli._Progress", accepted)
    monkeypatch.setattr(sys, "argv", ["smm-bayes", *arguments])
    with pytest.raises(SystemExit) as exit_:
        without_warnings(main)
    return exit_.value.code, *capsys.readouterr()


def check_refusal(code, out, error, regex):
    assert code == 2
    assert out == ""
    assert error.count("Error:") == 1
    assert error.startswith(("Error: ", "Usage: "))
    assert "Traceback" not in error
    assert "pydantic" not in error
    assert re.search(regex, error), error


@pytest.mark.parametrize(("change", "regex"), BAD)
def test_bad_input_is_refused_in_one_message(change, regex, tmp_path, monkeypatch, capsys):
    trial = Trial()
    change(trial)
    arguments = trial.write(tmp_path)
    before = tree(tmp_path)
    check_refusal(*run(arguments, monkeypatch, capsys), regex)
    assert tree(tmp_path) == before


def test_at_least_fifty_cases():
    assert len(BAD) >= 50
    assert len({param.id for param in BAD}) == len(BAD)


def test_no_specification_and_no_such_specification(tmp_path, monkeypatch, capsys):
    out = ["--out", str(tmp_path / "out")]
    for name, shown in (("else.toml", "else"), ("", "spec")):
        done = run(["interim", str(tmp_path / name), *out], monkeypatch, capsys)
        check_refusal(*done, rf"{shown}\.toml: there is no such file; give the path")
    check_refusal(*run(["interim"], monkeypatch, capsys), r"Missing argument 'spec'")


def test_a_folder_that_may_not_be_written_to(tmp_path, monkeypatch, capsys):
    arguments = Trial().write(tmp_path)
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK and access(path, mode))
    check_refusal(*run(arguments, monkeypatch, capsys),
    r"--out \S*out: \S+ cannot be written to; give another folder")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch, capsys):
    read = Path.read_bytes

    def refuse(path):
        if path.name == "adtte.csv":
            raise PermissionError(13, "Permission denied")
        return read(path)

    arguments = Trial().write(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    check_refusal(*run(arguments, monkeypatch, capsys),
    r"adtte\.csv: cannot be read \(Permission denied\); check")


# ---- valid variants: what looks odd and is right

def in_unit(unit, per_month):
    def change(trial):
        for n, (time, *_) in enumerate(FATES, 1):
            trial.adtte.set("AVAL", repr(float(time) * per_month), n)
            trial.adtte.set("AVALU", unit, n)

    return change


GOOD = [
    ("as it is", lambda trial: None),
    ("days", in_unit("DAYS", 365.25 / 12)),
    ("weeks", in_unit("weeks", 365.25 / 12 / 7)),
    ("years", in_unit("Year", 1 / 12)),
    ("units mixed", all_of(cell("AVALU", "year", 4), cell("AVAL", "1.0", 4))),
    ("reason lost", cell("CNSDTDSC", "LOST TO FOLLOW-UP", 5)),
    ("reason withdrawn", cell("CNSDTDSC", "Withdrawal by subject", 5)),
    ("reason ongoing", cell("CNSDTDSC", "ongoing", 7)),
    ("reason by code", all_of(cell("CNSDTDSC", "", 5), spoil("snapshot.censoring", {"2": "lost"}))),
    ("CNSR as a decimal", cell("CNSR", "1.0", 7)),
    ("no reasons, codes 0 and 1", all_of(call("t.adtte.drop('CNSDTDSC')"), cell("CNSR", "1", 5, 10),
                                         spoil("snapshot.censoring", {"1": "administrative"}))),
    ("columns in small letters", call("t.adtte.header[:] = [name.lower() for name in t.adtte.header]")),
    ("extra columns", all_of(call("t.adtte.header.append('AGE')"),
     call("[row.append('61') for row in t.adtte.rows]"))),
    ("columns in another order", all_of(call("t.adtte.header.reverse()"),
     call("[row.reverse() for row in t.adtte.rows]"))),
    ("other parameters, even bad",
     call("t.adtte.rows.append(['SMM', 'P01', 'OS', '-1', 'x', 'y', 'z', '', '', ''])")),
    ("byte order mark", call("t.adtte.raw = codecs.BOM_UTF8 + t.adtte.text.encode()")),
    ("blank lines", call("t.adtte.raw = ('\\n' + t.adtte.text.replace('\\n', '\\n\\n')).encode()")),
    ("rows of commas", call("t.adtte.raw = (t.adtte.text + ',,,,,,,,,\\n').encode()")),
    ("Windows lines", call("t.adtte.raw = t.adtte.text.replace('\\n', '\\r\\n').encode()")),
    ("spaces around values", call("t.adtte.separator = ' , '")),
    ("quoted values", cell("TRT01P", '"Active"', 1)),
    ("date with time of day", cell("STARTDT", "2020-03-15T00:00:00", 3)),
    ("cause in capitals", cell("EVNTDESC", "DEATH", 2)),
    ("one cause without texts", all_of(spoil("snapshot.causes", {"any": []}), spoil("final.causes", ["any"]),
                                       spoil("model.prior", {"baseline": {"any": {"median": 20, "upper": 80}}}))),
    ("censored at time 0", cell("AVAL", "0", 12)),
    ("one arm and an event count", call("t.one_arm()")),
    ("one arm and a count in it", all_of(call("t.one_arm()"), spoil("success.arm", "experimental"))),
    ("two rules", spoil("success", {"all": [{"rule": "log_rank"}, {"rule": "event_count", "at_least": 2}]})),
    ("no upper bound", spoil("success", {"rule": "event_count", "at_least": 2, "at_most": float("inf")})),
    ("no MRD", spoil("snapshot.mrd", None)),
    ("MRD results in other words",
     all_of(cell("MRDRES", "NEG", 1, sheet="mrd"), cell("MRDRES", "detectable", 2, sheet="mrd"))),
    ("MRD not done and failed, without sensitivity", all_of(
        cell("MRDRES", "not_done", 1, sheet="mrd"), cell("MRDRES", "Not Evaluable", 2, sheet="mrd"),
        cell("MRDRES", "FAILED", 3, sheet="mrd"), cell("MRDSENS", "", 1, 2, 3, sheet="mrd"))),
    ("MRD assay in a column", all_of(call("t.mrd.header.append('MRDASSAY')"),
     call("[row.append(how) for row, how in zip(t.mrd.rows, ('flow', 'sequencing', ''))]"))),
    ("MRD at a finer sensitivity on the same day", call("t.mrd.rows.append(['P01', '91', 'day', 'positive', '1e-6'])")),
    ("MRD not done and negative on the same day", call("t.mrd.rows.append(['P01', '91', 'day', 'not done', ''])")),
    ("MRD twice the same on the same day", call("t.mrd.rows.append(['P01', '91', 'day', 'neg', '1e-5'])")),
    ("MRD on the day of the event", cell("MRDTM", "8", 1, sheet="mrd")),
    ("MRD after progression", cell("MRDTM", "9", 1, sheet="mrd")),
    ("MRD after censoring", cell("MRDTM", "400", 2, sheet="mrd")),
    ("MRD before enrolment", cell("MRDTM", "-2", 1, sheet="mrd")),
    ("MRD by a date before enrolment",
     all_of(call("t.mrd.header[1] = 'MRDDT'"), cell("MRDDT", "2020-08-01", 1, 2, 3, sheet="mrd"),
            cell("MRDDT", "2019-12-24", 1, sheet="mrd"))),
    ("no cut", spoil("snapshot.cut_by_date", None)),
    ("a cut by events", all_of(spoil("snapshot.cut_by_date", None), spoil("snapshot.cut_by_events", 4))),
    ("final at events", spoil("final", {"at": "events", "events": 10})),  # 5 so far and 5 still followed
    ("final at events with more patients", all_of(
        spoil("final", {"at": "events", "events": 16}),
        spoil("enrolment", {"planned": {"control": 9, "experimental": 9}}))),
    ("follow-up without dates", all_of(call("t.adtte.drop('STARTDT')"), spoil("snapshot.cut_by_date", None),
                                       spoil("final", {"at": "follow_up", "follow_up": 24}))),
    ("a date in quotation marks", spoil("final.date", "2023-01-01")),
    ("no cuts", spoil("model.cuts", [])),
    ("a gamma prior", all_of(spoil("model.baseline", "gamma"),
                             spoil("model.prior", {"gamma": {"shape": 0.1, "rate": 0.1}}))),
    ("specification with a byte order mark", lambda trial: setattr(
        trial, "spec_raw", codecs.BOM_UTF8 + to_toml(trial.spec).encode())),
]  # fmt: skip


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in GOOD])
def test_valid_variants_are_read(change, tmp_path):
    trial = Trial()
    change(trial)
    trial.write(tmp_path)
    inputs = without_warnings(read_inputs, tmp_path / "spec.toml")
    assert len(inputs.everyone) == 12
    assert inputs.everyone.events == 6
    assert inputs.spec.path == tmp_path / "spec.toml"
    assert inputs.table.exposure.sum() == pytest.approx(inputs.patients.time.sum())


@pytest.mark.parametrize(("name", "places"), [("days", 10), ("weeks", 10), ("years", 10), ("as it is", 10)])
def test_units_give_the_same_months(name, places, tmp_path):
    trial = Trial()
    dict(GOOD)[name](trial)
    trial.write(tmp_path)
    time = read_inputs(tmp_path / "spec.toml").everyone.time
    np.testing.assert_allclose(time, [float(fate[0]) for fate in FATES], rtol=10.0**-places)


# ---- nothing but our own errors, whatever the text

BASE = Trial().adtte
ODD = st.one_of(
    st.text(max_size=8), st.floats().map(repr), st.integers().map(str), st.dates().map(str),
    st.sampled_from(["", "0", "1", "2", "nan", "-nan", "1e308", "²", "१२", "Infinity", "9999-12-31", "\x00", "'"]),
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 11), st.sampled_from(BASE.header), ODD), max_size=4), st.booleans())
def test_any_text_in_any_cell_is_read_or_refused(changes, with_causes):
    columns = {name: [row[position] for row in BASE.rows] for position, name in enumerate(BASE.header)}
    for row, name, text in changes:
        columns[name][row] = text
    causes = {"progression": [PROGRESSION], "death": [DEATH]} if with_causes else None
    arms = {"control": "Observation", "experimental": "Active"}
    table = Table("a table", columns, list(range(2, 14)))
    patients, words = refusal(Patients.from_adtte, table, "PFS", arms=arms, causes=causes)
    if patients is None:
        assert re.match(r"a table: \d+ problems?:", words)
    else:
        assert "Patients" in repr(patients)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=60), st.text(alphabet='ab,;\t"\n\r \ufeff', max_size=60).map(str.encode)))
def test_any_bytes_are_a_table_or_refused(tmp_path, content):
    path = tmp_path / "any.csv"
    path.write_bytes(content)
    table, words = refusal(read_csv, path)
    if table is None:
        assert words.startswith(str(path))
    else:
        assert len(table)
        assert all(table.columns)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["schema_version", "snapshot.arms", "snapshot.causes", "snapshot.cut_by_date", "snapshot.censoring",
                     "model.cuts", "model.prior.baseline", "final.date", "final.cap", "final.causes", "success",
                     "success.rule", "success.alpha", "success.all", "enrolment.planned", "prediction.replicates"]),
    st.recursive(
        st.one_of(st.booleans(), st.integers(), st.floats(), st.dates(), st.text(alphabet="ab1 ", max_size=3)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab1"), inner, max_size=2),
        max_leaves=4,
    ),
)  # fmt: skip
def test_any_value_of_any_key_is_read_or_refused(tmp_path, path, value):
    trial = Trial()
    spoil(path, value)(trial)
    trial.write(tmp_path)
    inputs, words = refusal(read_inputs, tmp_path / "spec.toml")
    assert words if inputs is None else inputs.patients.events


# ---- the command as it is called, and what it imports

AT_EXIT = "import atexit, sys; atexit.register(lambda: print('MODULES', *sorted(sys.modules))); "
CALL = AT_EXIT + "from smm_bayes.cli import main; main()"


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False)


def imported(done):
    *_, last = done.stdout.splitlines()
    assert last.startswith("MODULES ")
    return set(last.split())


@pytest.mark.parametrize(
    ("change", "regex"),
    [param for param in BAD if param.id in {
        "table: negative time", "table: parquet", "mrd: after death", "spec: cuts unsorted",
        "spec: final date before the cut", "arguments: --out with foreign files", "arguments: --workers 0",
    }],
)  # fmt: skip
def test_bad_input_is_refused_before_anything_heavy_is_imported(change, regex, tmp_path):
    trial = Trial()
    change(trial)
    arguments = trial.write(tmp_path)
    before = tree(tmp_path)
    done = python("-c", CALL, *arguments)
    assert done.stdout.startswith("MODULES ")
    check_refusal(done.returncode, "", done.stderr, regex)
    assert not imported(done) & set(HEAVY)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("arguments", [["--help"], ["interim", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    done = python("-c", CALL, *arguments)
    assert done.returncode == 0
    assert done.stderr == ""
    assert not imported(done) & set(HEAVY)


def test_the_module_itself_by_import_times(tmp_path):
    trial = Trial()
    trial.adtte.drop("AVAL")
    done = python("-X", "importtime", "-m", "smm_bayes.cli", *trial.write(tmp_path))
    lines = done.stderr.splitlines()
    names = {line.rsplit("|", 1)[1].strip() for line in lines if line.startswith("import time:")}
    rest = [line for line in lines if not line.startswith("import time:")]
    assert done.returncode == 2
    assert "numpy" in names
    assert not names & set(HEAVY)
    assert len(rest) == 1
    assert re.search(r"^Error: \S*adtte\.csv: 1 problem: column 'AVAL' is missing", rest[0])


@pytest.mark.parametrize(
    "statement",
    ["import smm_bayes", "import smm_bayes.cli",
     "import smm_bayes.trial, smm_bayes.survival, smm_bayes.surrogacy, smm_bayes.prediction, smm_bayes.analysis"],
)  # fmt: skip
def test_packages_import_nothing_heavy(statement):
    done = python("-c", AT_EXIT + statement)
    assert done.returncode == 0, done.stderr
    assert not imported(done) & set(HEAVY)
