"""Readers given valid input that was changed at random: nothing but their own errors, no hang, and no row lost."""

import importlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.analysis.freeze import frozen_state
from smm_bayes.analysis.pinned import check_folder
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import DataError
from smm_bayes.files import as_json, sealed, sha256
from smm_bayes.trial import Patients
from smm_bayes.trial.table import Table

ROOT = Path(__file__).parents[2]
FUZZ = ROOT / "tests/fuzz"
KINDS = {"accepted", "refused"}


@pytest.fixture(scope="module")
def fuzz():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FUZZ)
        yield importlib.import_module("readers")


@pytest.fixture(scope="module")
def doors(fuzz):
    return importlib.import_module("doors")


def test_two_thousand_executions_have_no_fault(fuzz, doors, tmp_path):
    found = fuzz.run(20261201, range(2000), tmp_path)
    assert found["faults"] == []
    assert set(found["doors"]) == set(doors.DOORS)
    for name, counts in found["doors"].items():
        assert set(counts) <= KINDS
        if sum(counts.values()) >= 100:  # shares of a hundred have an error of five points
            assert 0.1 < counts["accepted"] / sum(counts.values()) < 0.7, name


def test_every_valid_input_is_accepted(doors, tmp_path, monkeypatch):
    """Some of the small trials lack an event of an arm, or ask for causes that are not said."""
    for name in ("table", "raw", "lines", "json_value"):
        monkeypatch.setattr(doors.mutate, name, lambda rng, value, most=0: value)
    monkeypatch.setattr(doors, "options", lambda rng, kind: {})
    monkeypatch.setattr(doors, "CHOICES", ("",))
    random = importlib.import_module("random")
    for name in ("ADTTE", "courses", "plain table", "MRD", "reconstructions", "earlier trial", "CSV bytes", "specification",
                 "decision", "record of a table", "figure", "Dataset-JSON"):  # fmt: skip
        refused = []
        for number in range(30):
            try:
                doors.DOORS[name][0](random.Random(number), tmp_path)
            except DataError as error:
                refused.append(str(error))
        died = [words for words in refused if "MRD after the patient's death" in words]
        assert len(refused) - len(died) <= 6, (name, refused[:2])


def test_the_stored_run_has_no_fault(doors):
    said = json.loads((FUZZ / "summary.json").read_text())
    assert said["executions"] == said["accepted"] + said["refused"] >= 1_000_000
    assert said["crash"] == said["hang"] == said["lost"] == 0
    assert said["slowest_s"] < 2
    assert set(said["doors"]) == set(doors.DOORS)
    for name, door in said["doors"].items():
        assert door["executions"] == door["accepted"] + door["refused"] >= 1000, name
        assert 0.15 <= door["share_accepted"] <= 0.60, name
        assert door["share_accepted"] == pytest.approx(door["accepted"] / door["executions"], abs=5e-4)


@pytest.mark.parametrize(("fault", "kind"), [("loses a row", "lost"), ("fails", "crash"), ("warns", "crash"), ("hangs", "hang")])
def test_a_faulty_reader_is_caught(fuzz, doors, tmp_path, monkeypatch, fault, kind):
    def lossy(columns):
        return doors.Table("t", {name: values[:-1] for name, values in columns.items()},
                           list(range(len(next(iter(columns.values()))) - 1)))  # fmt: skip

    def fails(rng, folder):
        return {}["a"]

    def warns(rng, folder):
        warnings.warn("x", stacklevel=2)

    def hangs(rng, folder):
        while True:
            pass

    if fault == "loses a row":
        monkeypatch.setattr(doors, "as_table", lossy)
    elif fault == "hangs":
        monkeypatch.setitem(doors.DOORS, "ADTTE", (hangs, 1.0))
        monkeypatch.setattr(fuzz, "LONGEST", 0.05)
    else:
        monkeypatch.setitem(doors.DOORS, "ADTTE", (fails if fault == "fails" else warns, 1.0))
    found = fuzz.run(1, range(12 if fault == "loses a row" else 2), tmp_path, "ADTTE")
    assert kind in {one["what"].split(":")[0] for one in found["faults"]}


# what it found


def transport(path, version, rows=9):
    pd, pyreadstat = pytest.importorskip("pandas"), pytest.importorskip("pyreadstat")
    frame = pd.DataFrame({"USUBJID": [f"S-{i:02d}" for i in range(rows)], "AVAL": [100.0 + i for i in range(rows)],
                          "TRT01P": ["Rd", "KRd", ""] * (rows // 3)})  # fmt: skip
    pyreadstat.write_xport(frame, str(path), table_name="ADTTE", file_format_version=version)
    return path.read_bytes()


@pytest.mark.parametrize("version", [5, 8])
def test_a_transport_file_that_was_cut_short_is_refused(tmp_path, version):
    """The library gives the rows there are; a file of version 5 does not say how many there should be."""
    path = tmp_path / "a.xpt"
    content = transport(path, version)
    assert len(Table.of(path)) == 9
    for size in range(len(content) - 160, len(content), 7):
        path.write_bytes(content[:size])
        if size % 80:
            with pytest.raises(DataError, match=r"damaged or was cut short after \d+ rows|has no row"):
                Table.of(path)
    path.write_bytes(content[:-80])  # whole records, within a row
    with pytest.raises(DataError, match=r"damaged or was cut short after \d rows; copy it again"):
        Table.of(path)


def test_a_transport_file_of_two_tables_is_refused(tmp_path):
    path = tmp_path / "a.xpt"
    content = transport(path, 5)
    path.write_bytes(content + content[content.index(b"HEADER RECORD*******MEMBER") :])
    with pytest.raises(DataError, match="holds 2 tables, of which one would be read; write one table a file"):
        Table.of(path)


def test_a_list_of_rows_that_hides_another_is_refused(tmp_path):
    path = tmp_path / "a.json"
    head = '{"datasetJSONVersion": "1.1.0", "columns": [{"name": "A"}], "rows": [["1"], ["2"], ["3"]]'
    path.write_text(head + "}")
    assert len(Table.of(path)) == 3
    path.write_text(head + ', "rows": [["1"]]}')
    with pytest.raises(DataError, match="the key 'rows' is there twice; keep one"):
        Table.of(path)


def test_quotation_marks_that_swallow_rows_are_noticed(tmp_path):
    """A mark at the start of a cell and one at the end of a cell below make one row of all rows between."""
    path, rng = tmp_path / "a.csv", np.random.default_rng(1)
    for _ in range(200):
        columns, rows = rng.integers(2, 9), rng.integers(3, 9)
        cells = [[f"{i}x{j}" if rng.random() < 0.8 else "" for j in range(columns)] for i in range(rows)]
        column, (first, second) = rng.integers(columns), np.sort(rng.choice(rows, 2, replace=False))
        cells[first][column] = '"' + cells[first][column]
        cells[second][column] += '"'
        end = str(rng.choice(["\n", "\r\n", "\r"]))
        header = ",".join(f"c{j}" for j in range(columns))
        path.write_bytes(end.join([header, *map(",".join, cells)]).encode())
        with pytest.raises(DataError, match=rf"row {first + 2}: a quotation mark opens a cell that closes in another row"):
            Table.of(path)


def test_remarks_of_several_lines_stay_whole(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('USUBJID,NOTE,AVAL\n1,"seen, twice\nand well",3\n2,"\n",4\n3,"a\nb\nc, d",5\n')
    table = Table.of(path)
    assert table.cells("NOTE") == ["seen, twice\nand well", "", "a\nb\nc, d"]
    assert table.cells("AVAL") == ["3", "4", "5"]


def test_a_sealed_manifest_of_something_else_is_refused(tmp_path):
    (tmp_path / "decision.json").write_text("{}")
    files = {"decision.json": sha256(b"{}")}
    for content in ({}, {"files": files}, {"complete": True}, {"files": [], "complete": True}, {"files": files, "complete": 1}):
        (tmp_path / "manifest.json").write_text(as_json(sealed(content)))
        with pytest.raises(DataError, match=r"manifest\.json is no manifest of a run; restore the folder"):
            check_folder(tmp_path)


def test_a_sealed_record_of_something_else_freezes_nothing(tmp_path):
    text = (ROOT / "models/mgus2/spec.toml").read_text()
    (tmp_path / "spec.toml").write_text(text.replace("../../data", str(ROOT / "data")))
    spec = AnalysisSpec.load(tmp_path / "spec.toml")
    for content in ({}, {"sha256": {}}, {"frozen": "2026-01-01"}, {"sha256": True, "frozen": "2026-01-01"}):
        (tmp_path / "spec.frozen.json").write_text(as_json(sealed(content)))
        with pytest.raises(DataError, match="is no record of a frozen specification; restore it, or freeze"):
            frozen_state(spec)


def test_an_assessment_beyond_all_time_is_refused_without_a_warning():
    patients = Table("t", {
        "STUDYID": ["S"] * 2, "USUBJID": ["1", "2"], "PARAMCD": ["PFS"] * 2, "AVAL": ["300", "200"], "AVALU": ["DAY"] * 2,
        "CNSR": ["0", "0"], "TRT01P": ["Rd", "KRd"],
    }, [2, 3])  # fmt: skip
    mrd = Table("m", {"USUBJID": ["1"], "MRDTM": ["1e308"], "MRDTMU": ["DAY"], "MRDRES": ["NEGATIVE"], "MRDSENS": ["1e-5"]}, [2])
    with warnings.catch_warnings(), pytest.raises(DataError, match="'MRDTM', row 2: more than 150 years from enrolment"):
        warnings.simplefilter("error")
        Patients.from_adtte(patients, "PFS", arms={"control": "Rd", "experimental": "KRd"}, mrd=mrd)
