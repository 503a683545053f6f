"""Patients of earlier trials: what is read, what is refused, and where trust and sources come from."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from smm_bayes.analysis.interim import read_inputs
from smm_bayes.analysis.sources import source_entries
from smm_bayes.borrowing.trials.history import read_cohorts
from smm_bayes.cli import app
from smm_bayes.errors import DataError, SmmBayesError
from smm_bayes.evidence import declared, facts, origin
from smm_bayes.evidence.declared import load_declarations
from smm_bayes.evidence.made import make, read_reconstructions
from smm_bayes.evidence.origin import causes_of, told_apart
from smm_bayes.reporting.words import input_rows
from smm_bayes.survival import TimeGrid

ROOT = Path(__file__).parents[2]
STORED = ROOT / "data/patients/reconstructed"
GRID = TimeGrid((6, 12))
ARMS = {"control": "observation", "experimental": "Rd"}
COUNTS = [["progression"], ["death"]]
HEADER = "reconstruction,patient,trial,arm,regimen,time,event,cause,censoring,enrolled,provenance"
ONE = ("{r},C1,FIRST,Obs,observation,{c1}.5,1,progression,,0,reconstructed",
       "{r},C2,FIRST,Obs,observation,18,0,,administrative,2,reconstructed",
       "{r},C3,FIRST,Obs,observation,4,1,death,,4,reconstructed",
       "{r},E1,FIRST,Rd,Rd,12,1,progression,,1,reconstructed",
       "{r},E2,FIRST,Rd,Rd,17,0,,administrative,3,reconstructed",
       "{r},E3,FIRST,Rd,Rd,11,0,,lost,0,reconstructed")  # fmt: skip
ROWS = [line.format(r=r, c1=r) for r in range(1, 5) for line in ONE]  # four reconstructions; row 2 of the file is first


def written(tmp_path, rows=ROWS, name="first.csv"):
    path = tmp_path / name
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def with_cell(row, column, value):
    """The table with another value in a row of the file (the header is row 1)."""
    cells = ROWS[row - 2].split(",")
    cells[HEADER.split(",").index(column)] = value
    return [*ROWS[: row - 2], ",".join(cells), *ROWS[row - 1 :]]


def everywhere(column, old, new):
    place = HEADER.split(",").index(column)
    cells = [row.split(",") for row in ROWS]
    return [",".join([*row[:place], new if row[place] == old else row[place], *row[place + 1 :]]) for row in cells]


def read(path, counts=COUNTS, **options):
    return read_cohorts(path, "first", ARMS, counts, GRID, **options)


def test_cohorts_are_what_the_rows_say(tmp_path):
    sets = read(written(tmp_path))
    assert len(sets) == 4
    for r, (control, experimental) in enumerate(sets, 1):
        assert (control.role, control.regimen, experimental.regimen) == ("control", "observation", "Rd")
        np.testing.assert_array_equal(control.events, [[1, 0, 0], [1, 0, 0]])
        np.testing.assert_array_equal(experimental.events, [[0, 1, 0], [0, 0, 0]])  # an event at a cut ends the interval
        np.testing.assert_array_equal(control.exposure, [r + 0.5 + 6 + 4, 6, 6])
        np.testing.assert_array_equal(experimental.exposure, [18, 6 + 6 + 5, 5])


def test_an_ignored_cause_ends_the_time_at_risk(tmp_path):
    path = written(tmp_path)
    ((control, _), *_) = read(path, [["progression"]], ignores=["death"])
    np.testing.assert_array_equal(control.events, [[1, 0, 0]])
    np.testing.assert_array_equal(control.exposure, [11.5, 6, 6])
    with pytest.raises(DataError, match=r"'cause', rows 4, 10, 16, 22: a cause that is neither counted nor ignored"):
        read(path, [["progression"]])


def pilot(events=()):
    cause = {index: name for index, name in enumerate(events)}
    return [f"1,E{i},PILOT,single,KRd,{12 + i},{int(i in cause)},{cause.get(i, '')},"
            f"{'' if i in cause else 'administrative'},0,reconstructed" for i in range(12)]  # fmt: skip


def test_an_arm_without_events_is_information(tmp_path):
    """12 patients followed for 12 to 23 months, and nobody progressed; or one did, and nobody died."""
    for events, counts, total in (((), [["progression"]], [0]), (("progression",), COUNTS, [1, 0])):
        ((one,),) = read_cohorts(written(tmp_path, pilot(events)), "PILOT", {"single": "KRd"}, counts, GRID)
        assert (one.role, one.exposure.sum()) == ("single", 210)
        assert one.events.sum(axis=1).tolist() == total


TWICE = [*ROWS[:6], ROWS[0].replace("1,C1", "1,C2", 1), *ROWS[6:]]
BAD = {
    "cause misspelt": (with_cell(2, "cause", "progresion"), "'cause', row 2: a cause that is neither counted"),
    "cause in another case": (with_cell(2, "cause", "Progression"), "(found 'Progression'); declared are 'progression'"),
    "cause by a code": (everywhere("cause", "progression", "PD"), "rows 2, 5, 8, 11, 14, 17, 20, 23: a cause that is nei"),
    "cause that is a script": (with_cell(5, "cause", "<script>alert(1)</script>"), "row 5: a cause that is neither"),
    "regimen misspelt": (with_cell(3, "regimen", "obervation"), "'regimen', row 3: an arm that is not declared"),
    "regimen in another case": (with_cell(6, "regimen", "RD"), "(found 'RD'); declared are control = 'observation'"),
    "regimen misspelt everywhere": (everywhere("regimen", "Rd", "R-d"), "column 'regimen' never says 'Rd'"),
    "regimen empty": (with_cell(6, "regimen", ""), "'regimen', row 6: an arm that is not declared"),
    "regimen of the other arm": (with_cell(6, "regimen", "observation"), "row 6: not the regimen that goes with column"),
    "arm in another case": (with_cell(6, "arm", "RD"), "row 6: not the regimen that goes with column 'arm'"),
    "arm that comes later in the alphabet": (with_cell(6, "arm", "Zd"), "row 6: not the regimen that goes with column"),
    "event denied": (with_cell(2, "event", "0"), "row 2"),
    "event without cause": (with_cell(3, "event", "1"), "row 3"),
    "event that is neither": (with_cell(2, "event", "2"), "column 'event', row 2: neither 0 nor 1"),
    "time of 5000 months": (with_cell(3, "time", "5000"), "column 'time', row 3: more than 150 years (found 5000)"),
    "time of 1e9 months": (with_cell(3, "time", "1e9"), "column 'time', row 3: more than 150 years (found 1e9)"),
    "time below 0": (with_cell(3, "time", "-3"), "column 'time', row 3: negative (found -3)"),
    "time in words": (with_cell(3, "time", "long"), "column 'time', row 3: not a finite number (found 'long')"),
    "an event at 0": (with_cell(2, "time", "0"), "column 'time', row 2: an event at time 0"),
    "censoring unknown": (with_cell(3, "censoring", "gone"), "column 'censoring', row 3: not a known reason"),
    "patient twice": (TWICE, "'C2 (reconstruction 1)', first in row 3"),
    "patient empty": (with_cell(3, "patient", ""), "row 3"),
    "reconstruction 0": (with_cell(2, "reconstruction", "0"), "'reconstruction', row 2: no whole number from 1 to"),
    "reconstruction -1": (everywhere("reconstruction", "1", "-1"), "(found -1)"),
    "reconstruction 99 of 4": (everywhere("reconstruction", "4", "99"), "rows 20, 21, 22, 23, 24, 25: no whole number"),
    "reconstruction 2.5": (with_cell(9, "reconstruction", "2.5"), "(found 2.5)"),
    "reconstructions from 0": ([row.replace(row[0], str(int(row[0]) - 1), 1) for row in ROWS], "there is no row of 4"),
    "a patient is missing": ([*ROWS[:7], *ROWS[8:]], "reconstruction 2 has 2 patients of 'observation', not 3"),
    "half the patients": ([*ROWS[:6], *ROWS[6:18:2], *ROWS[18:]], "patients of 'observation', not 3"),
    "an arm is missing": ([*ROWS[:21], *ROWS[24:]], "reconstruction 4 has 0 patients of 'Rd', not 3"),
    "another trial": (with_cell(2, "trial", "SECOND"), "column 'trial'"),
    "no trial": (with_cell(4, "trial", ""), "column 'trial', row 4: no value"),
    "another provenance": (with_cell(8, "provenance", "real"), "'provenance', row 8: not 'reconstructed' (found 'real')"),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_table_is_refused(tmp_path, rows, message):
    with pytest.raises(DataError) as error:
        read(written(tmp_path, rows))
    assert message in str(error.value)


@pytest.mark.parametrize("column", ["event", "cause"])
@pytest.mark.parametrize("counts", [COUNTS, [["progression", "death"]]])
def test_event_and_cause_must_agree(tmp_path, column, counts):
    """Whichever of the two is wrong, and however many causes there are."""
    for row, value in ((2, "0" if column == "event" else ""), (3, "1" if column == "event" else "death")):
        with pytest.raises(DataError, match=f"row {row}"):
            read(written(tmp_path, with_cell(row, column, value)), counts)
    alone = pilot(("progression",))
    bare = [alone[0].replace("progression", ""), *alone[1:]]
    with pytest.raises(DataError, match="'cause', row 2: empty although column 'event' says an event"):
        read_cohorts(written(tmp_path, bare), "PILOT", {"single": "KRd"}, [["progression"]], GRID)


def test_a_missing_column_is_named_with_its_role(tmp_path):
    path = tmp_path / "first.csv"
    path.write_text("reconstruction,regimen,time,cause\n1,Rd,3,progression\n")
    with pytest.raises(DataError, match=r"(?s)column 'patient' is missing: it holds the patient.*column 'provenance'"):
        read(path)


def test_patients_are_those_of_each_reconstruction(tmp_path):
    """Names are given back as they were, and the last contact is that of the reconstruction."""
    rows = [*ROWS[:1], ROWS[1].replace(",18,", ",30,"), *ROWS[2:]]
    found = read_reconstructions(written(tmp_path, rows), arms={"control": "Obs", "experimental": "Rd"}, counts=COUNTS)
    assert [one.patient.tolist() for one in found] == [["C1", "C2", "C3", "E1", "E2", "E3"]] * 4
    assert [one.data_cutoff for one in found] == [32, 20, 20, 20]
    assert {one.provenance for one in found} == {"reconstructed"}


# the record beside a table


@pytest.fixture(scope="module")
def declarations():
    return load_declarations()


@pytest.fixture
def pilots(tmp_path, declarations):
    """Two reconstructions of single-arm pilots, with their record."""
    table, _ = make(declarations["krd_nci_n54_ttp"], number=2).write(tmp_path)
    return table


def pilots_of(path, counts=(("progression",),)):
    return read_cohorts(path, "pilots", {"single": "KRd then lenalidomide"}, counts, GRID)


def test_a_stored_table_agrees_with_its_facts_and_the_code(declarations):
    for path in STORED.glob("*.csv"):
        record = origin.read_origin(path)
        assert record.differences(path, declarations) == [], path.name
        assert record.causes == causes_of(declarations[path.stem])


def test_a_table_that_was_changed_is_refused(pilots):
    assert len(pilots_of(pilots)) == 2
    pilots.write_text(pilots.read_text().replace(",administrative,", ",lost,", 1))
    with pytest.raises(DataError, match="the table has been changed since it was made; make it anew: smm-bayes reconst"):
        pilots_of(pilots)


def test_time_beyond_the_data_cut_is_refused(pilots):
    lines = pilots.read_text().splitlines()
    lines[1] = re.sub(r"KRd then lenalidomide,[\d.]+", "KRd then lenalidomide,101", lines[1])
    pilots.write_text("\n".join(lines))
    with pytest.raises(DataError, match="row 2: more than the 100 months to the data cut"):
        pilots_of(pilots)


@pytest.mark.parametrize(("rows", "message"), [
    (slice(0, 54), "there is no row of 2, and they should go from 1 to 2"),
    (slice(1, None, 2), "reconstruction 1 has 27 patients of 'KRd then lenalidomide', not 54"),
])
def test_the_record_says_how_many_there_must_be(pilots, rows, message):
    head, *lines = pilots.read_text().splitlines()
    pilots.write_text("\n".join([head, *lines[rows]]))
    with pytest.raises(DataError) as error:
        pilots_of(pilots)
    assert message in str(error.value)


@pytest.mark.parametrize(("changes", "refused"), [
    ({"value": 0.9}, True), ({"trust": "recalled"}, True), ({"source": "elsewhere"}, True), ({"note": "read"}, False),
])  # fmt: skip
def test_facts_that_were_changed_are_named(pilots, declarations, changes, refused):
    declaration = declarations["krd_nci_n54_ttp"]
    items = tuple(replace(fact, **changes) if fact.id == "krd-nci-013" else fact for fact in declaration.facts)
    now = {declaration.name: replace(declaration, facts=facts.Facts(items))}
    found = origin.read_origin(pilots).differences(pilots, now)
    assert found == (["facts it was made from have changed since: krd-nci-013; make it anew: smm-bayes reconstruct "
                      "krd_nci_n54_ttp --out FOLDER"] if refused else [])  # fmt: skip


def test_another_declaration_is_noticed(pilots, declarations):
    declaration = declarations["krd_nci_n54_ttp"]
    arm = replace(declaration.summaries["experimental"], lost=0.3)
    now = {declaration.name: replace(declaration, summaries={"experimental": arm})}
    assert "declared differently" in origin.read_origin(pilots).differences(pilots, now)[0]
    assert "no reconstruction is declared as" in origin.read_origin(pilots).differences(pilots, {})[0]


CODE = '"""A module."""\n\n\ndef f(x, *, y=1.0):\n    """Say it."""\n    # why\n    return x + y\n'


@pytest.mark.parametrize(("old", "new", "same"), [
    ('"""Say it."""', '"""Say it otherwise."""', True), ("# why", "# because", True), ("x + y", "(\n        x + y\n    )", True),
    ("x + y", "x - y", False), ("1.0", "1.5", False), ("f(x", "f(z", False),
])  # fmt: skip
def test_what_of_the_code_counts(old, new, same):
    before, after = (origin._structure(origin.ast.parse(text)) for text in (CODE, CODE.replace(old, new)))
    assert (before == after) == same


def test_code_that_was_changed_is_noticed(pilots, declarations, monkeypatch):
    monkeypatch.setattr(origin.inspect, "getsource", lambda _: "CELLS = 24")
    origin.code_hash.cache_clear()
    try:
        (found,) = origin.read_origin(pilots).differences(pilots, declarations)
    finally:
        origin.code_hash.cache_clear()
    assert "the code that makes patients from summaries has changed since; make it anew" in found


@pytest.mark.parametrize("content", ["", "[]", "null", '{"name": ', '{"name": "x"}', "[" * 100_000, '{"name": 1}'])
def test_a_record_that_is_none_is_refused(pilots, content):
    pilots.with_suffix(".json").write_text(content)
    with pytest.raises(DataError, match=r"is no record of what krd_nci_n54_ttp\.csv was made from|\.json: not readable as JSON"):
        pilots_of(pilots)


def test_an_older_record_is_to_be_made_anew():
    table = ROOT / "data/patients/superseded/quiredex_2013_ttp.csv"
    with pytest.raises(DataError, match=r"is no record of what .*make table and record anew"):
        read_reconstructions(table, arms={"control": "Observation", "experimental": "Rd"})


def test_without_a_record_the_causes_must_be_said(pilots):
    pilots.with_suffix(".json").unlink()
    with pytest.raises(DataError, match=r"krd_nci_n54_ttp\.json, the record of what the table was made from, is not"):
        read_reconstructions(pilots, arms={"experimental": "KRd-R"})
    assert len(read_reconstructions(pilots, arms={"experimental": "KRd-R"}, counts=[["progression"]])) == 2


def test_what_a_table_does_not_tell_is_not_counted_as_nothing(pilots):
    """Deaths of the pilots are not recorded: that is not 0 deaths."""
    with pytest.raises(DataError, match=r"counts death, which the table does not record \(its causes: progression\)"):
        pilots_of(pilots, (("progression",), ("death",)))


def test_causes_that_are_not_told_apart_are_counted_together(declarations):
    causes = causes_of(declarations["e3a06_2020_pfs"])  # all its events are called progression
    assert causes == {"progression": ["progression", "death"]}
    assert told_apart(causes, [["progression", "death"]], []) == []
    for counts, ignores in (([["progression"]], []), ([["progression"]], ["death"]), ([["progression"], ["death"]], [])):
        assert "does not tell progression from death; count them together" in told_apart(causes, counts, ignores)[0]
    assert causes_of(declarations["aquila_pfs"]) == {"progression": ["progression"], "death": ["death"]}
    assert causes_of(declarations["quiredex_2013_os"]) == {"death": ["death"]}


def test_the_command_writes_table_and_record_that_agree(tmp_path, declarations):
    done = CliRunner().invoke(app, ["reconstruct", "gem_cesar_2024_ttp", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    table = tmp_path / "gem_cesar_2024_ttp.csv"
    assert table.read_bytes() == (STORED / table.name).read_bytes()
    assert json.loads(table.with_suffix(".json").read_text()) == json.loads((STORED / f"{table.stem}.json").read_text())


# in a specification

ADTTE = "STUDYID,USUBJID,PARAMCD,STARTDT,AVAL,AVALU,CNSR,TRT01P,EVNTDESC\n"
SNAPSHOT = ADTTE + "".join(
    f"NOW,{i:02d},PFS,2020-01-{i + 1:02d},{100 + 30 * i},DAY,{i % 2},{'Old' if i < 6 else 'New'},"
    f"{'' if i % 2 else 'Progression'}\n" for i in range(12)
)  # fmt: skip
COLON = ADTTE + "".join(
    f"COLON,{i:02d},RFS,2001-01-01,{100 * (i + 1)},DAY,{int(i in (2, 5, 7, 8))},{'Obs' if i < 5 else 'Lev'},"
    f"{'' if i in (2, 5, 7, 8) else 'Death' if i == 9 else 'Recurrence'}\n" for i in range(10)
)  # fmt: skip
SPEC = """
schema_version = 1
[trial]
name = "NOW"
[snapshot]
file = "now.csv"
parameter = "PFS"
provenance = "simulated"
arms = { control = "Old", experimental = "New" }
causes = { progression = ["Progression"], death = ["Death"] }
censoring = { 1 = "administrative" }
[model]
cuts = [6, 12]
[model.prior.baseline]
progression = { median = 24, upper = 96 }
death = { median = 700, upper = 5600 }
[evidence]
reference = "old"
regimens = { control = "old", experimental = "new" }
contrast = [{ regimen = "new", versus = "old", median = 1.0, upper = 2.7 }]
EARLIER
[final]
at = "events"
events = 9
[success]
rule = "log_rank"
alpha = 0.05
"""
TABLE = """
[[evidence.trial]]
name = "Colon"
source = "A trial of levamisole, as a registry holds it"
arms = { control = "old", experimental = "new" }
counts = [["progression"]]
ignores = ["death"]
[evidence.trial.table]
file = "colon.csv"
parameter = "RFS"
provenance = "real"
arms = { control = "Obs", experimental = "Lev" }
causes = { progression = ["Recurrence"], death = ["Death"] }
censoring = { 1 = "administrative" }
"""
FILE = """
[[evidence.trial]]
name = "First"
file = "first.csv"
arms = { control = "old", experimental = "new" }
counts = [["progression"], ["death"]]
provenance = "reconstructed"
source = "Digitised by hand from figure 2 of a paper"
"""


def specified(tmp_path, earlier, *changes):
    text = SPEC.replace("EARLIER", earlier)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    (tmp_path / "now.csv").write_text(SNAPSHOT)
    (tmp_path / "colon.csv").write_text(COLON)
    written(tmp_path, [row.replace("observation", "old").replace(",Rd,Rd,", ",Rd,new,") for row in ROWS])
    path = tmp_path / "spec.toml"
    path.write_text(text)
    return path


def test_real_earlier_patients_need_no_facts_of_ours(tmp_path, monkeypatch):
    """Two arms of real patients by the keys of a snapshot: one set of data, and their own source in the report."""
    monkeypatch.setattr(facts, "FOLDER", tmp_path / "nowhere")
    inputs = read_inputs(specified(tmp_path, TABLE))
    (trials,) = inputs.model.trials  # not one a reconstruction: there is nothing that could be otherwise
    control, experimental = trials.cohorts[:2]
    assert (control.trial, control.regimen, experimental.regimen) == ("Colon", "old", "new")
    assert (control.events.sum(), experimental.events.sum()) == (4, 1)
    month = 365.25 / 12
    assert control.exposure.sum() == pytest.approx(100 * (1 + 2 + 3 + 4 + 5) / month, rel=1e-3)
    assert experimental.exposure.sum() == pytest.approx(100 * (6 + 7 + 8 + 9 + 10) / month, rel=1e-3)
    assert len(inputs.model.data()) == 1
    assert "reconstruction" not in repr(inputs.model)
    (source,) = inputs.model.sources
    assert (source.provenance, source.facts) == ("real", ())
    entries = source_entries(inputs)
    decision = SimpleNamespace(sources=entries, fingerprint="", inputs=SimpleNamespace(
        sha256={}, seed=1, versions={}, frozen="", package={}, machine=""))
    said = dict(input_rows(decision))["outside evidence"]
    assert said == "Colon (real): A trial of levamisole, as a registry holds it"


def test_real_and_reconstructed_patients_go_together(tmp_path):
    inputs = read_inputs(specified(tmp_path, TABLE + FILE, ('reference = "old"', 'reference = "old"\nreconstructions = 3')))
    assert len(inputs.model.trials) == 3
    colon = [trials.cohorts[0].exposure for trials in inputs.model.trials]
    first = [trials.cohorts[2].exposure[0] for trials in inputs.model.trials]
    np.testing.assert_array_equal(colon, [colon[0]] * 3)
    assert first == [11.5, 12.5, 13.5]
    assert [(s.name, s.trust) for s in inputs.model.sources] == [("Colon", "real"), ("First", "reconstructed")]


def test_a_single_arm_of_real_patients_may_be_cut(tmp_path):
    single = TABLE.replace('arms = { control = "old", experimental = "new" }', 'arms = { single = "new" }').replace(
        'arms = { control = "Obs", experimental = "Lev" }', 'arms = { experimental = "Obs" }\ncut_by_events = 2')  # fmt: skip
    path = specified(tmp_path, single)
    (tmp_path / "colon.csv").write_text("".join(line for line in COLON.splitlines(True) if "Lev" not in line))
    cohort = read_inputs(path).model.trials[0].cohorts[0]
    assert (cohort.role, cohort.events.sum()) == ("single", 2)
    assert cohort.exposure.sum() == pytest.approx(100 * (1 + 2 + 2 + 2 + 2) * 12 / 365.25, rel=5e-3)


SAID = 'provenance = "reconstructed"\nsource = "Digitised by hand from figure 2 of a paper"\n'
BAD_SPEC = {
    "facts are typed": (FILE, (SAID, 'facts = ["e3a06-001"]\n'), "trust and sources are read from the record beside"),
    "no record and no source": (FILE, (SAID, ""), "first.json, the record of what the table was made from, is not"),
    "provenance without source": (FILE, (SAID, 'provenance = "real"\n'), "provenance and source belong together"),
    "no patients": (FILE, ('file = "first.csv"\n', ""), "give its patients as file"),
    "patients twice": (TABLE, ('name = "Colon"', 'name = "Colon"\nfile = "first.csv"'), "give its patients as file"),
    "real without source": (TABLE, ('source = "A trial of levamisole, as a registry holds it"\n', ""), "source is missing"),
    "provenance in both places": (TABLE, ('name = "Colon"', 'name = "Colon"\nprovenance = "real"'), "belongs into its table"),
    "provenance that the table denies": (FILE, (SAID, SAID.replace("reconstructed", "real")), "'provenance', rows 2, 3"),
    "cause counted and ignored": (TABLE, ('ignores = ["death"]', 'ignores = ["progression"]'), "is counted and ignored"),
    "cause neither counted nor ignored": (TABLE, ('ignores = ["death"]\n', ""), "holds the cause 'death', which is neither"),
    "cause that the table does not record": (
        TABLE, ('causes = { progression = ["Recurrence"], death = ["Death"] }', "causes = { death = [] }"),
        "counts progression, which the table does not record"),
    "arms that do not go together": (TABLE, ('{ control = "Obs", experimental = "Lev" }', '{ experimental = "Lev" }'),
                                     "arms are control, experimental, but table.arms names experimental"),
    "arm of the table misspelt": (TABLE, ('control = "Obs"', 'control = "Obervation"'), "an arm that is not declared"),
    "one regimen for both arms": (TABLE, ('{ control = "old", experimental = "new" }\ncounts',
                                          '{ control = "old", experimental = "old" }\ncounts'), "both arms are given 'old'"),
    "MRD of earlier patients": (TABLE, ('parameter = "RFS"', 'parameter = "RFS"\nmrd = "mrd.csv"'), "is not used"),
    "an unknown key of its table": (TABLE, ('parameter = "RFS"', 'parameters = "RFS"'), "parameters' is not known"),
    "too few reconstructions": (FILE, ("[[evidence.trial]]", "[[evidence.trial]]"), "holds 4 reconstructions"),
}  # fmt: skip


@pytest.mark.parametrize(("earlier", "change", "message"), BAD_SPEC.values(), ids=BAD_SPEC.keys())
def test_a_bad_section_is_refused(tmp_path, earlier, change, message):
    path = specified(tmp_path, earlier, change)
    out = tmp_path / "run"
    done = CliRunner().invoke(app, ["interim", str(path), "--out", str(out)])
    assert isinstance(done.exception, SmmBayesError), done.exception
    assert done.exception.exit_code == 2
    assert message in str(done.exception)
    assert not out.exists()


def test_a_record_and_a_source_contradict_each_other(tmp_path, pilots):
    said = FILE.replace("first.csv", str(pilots)).replace('{ control = "old", experimental = "new" }', '{ single = "new" }')
    with pytest.raises(SmmBayesError, match="provenance and source are read from"):
        read_inputs(specified(tmp_path, said))


def test_trust_is_that_of_the_least_trusted_fact_the_table_was_made_from():
    sources = {source.name: source for source in read_inputs(ROOT / "models/krd_vs_rd/spec.toml").model.sources}
    assert {name: source.trust for name, source in sources.items()} == {
        "QuiRedex 2013": "derived", "E3A06": "recalled", "KRd pilots": "recalled"}  # fmt: skip
    assert "krd-nci-020" in sources["KRd pilots"].facts  # its follow-up is recalled


def test_a_table_of_quarantined_facts_needs_an_admission(tmp_path, monkeypatch):
    folder = tmp_path / "evidence"
    shutil.copytree(ROOT / "data/evidence", folder)
    for path in folder.glob("*.csv"):
        lines = [line.replace(",published,", ",quarantined,") if line.startswith("krd-nci-013,") else line
                 for line in path.read_text().splitlines()]  # fmt: skip
        path.write_text("\n".join(lines) + "\n")
    for module in (facts, declared):
        monkeypatch.setattr(module, "FOLDER", folder)
    admitted = {"krd-nci-013": "to see the rule"}
    number = 'reference = "old"\nreconstructions = 2'
    made = make(load_declarations(facts=facts.load_facts(quarantined=admitted))["krd_nci_n54_ttp"], number=2)
    made.write(tmp_path)
    spec = FILE.replace(SAID, 'trust = "recalled"\n').replace("first.csv", "krd_nci_n54_ttp.csv").replace(
        '{ control = "old", experimental = "new" }', '{ single = "KRd then lenalidomide" }').replace(
        '[["progression"], ["death"]]', '[["progression"]]')  # fmt: skip
    regimen = ('contrast = [{', 'contrast = [{ regimen = "KRd then lenalidomide", versus = "old", median = 1, upper = 2 }, {')
    path = specified(tmp_path, spec, regimen, ('reference = "old"', number))
    with pytest.raises(SmmBayesError, match=r"quarantined, so for no model: krd-nci-013"):
        read_inputs(path)
    path = specified(tmp_path, spec, regimen, ('reference = "old"', f'{number}\nquarantined = {{ "krd-nci-013" = "so" }}'))
    assert read_inputs(path).model.sources[0].trust == "quarantined"
