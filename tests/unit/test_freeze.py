"""Frozen means frozen: what was frozen is compared, runs are on a log that cannot be edited unnoticed, and both verified."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from smm_bayes.analysis.decision import Inputs
from smm_bayes.analysis.freeze import check_frozen, freeze, frozen_state, log_interim
from smm_bayes.analysis.interim import read_inputs
from smm_bayes.analysis.log import append, read_log
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.analysis.verify import verify
from smm_bayes.cli import _logged
from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.files import collecting, sealed, sha256, write_whole
from smm_bayes.reading import read_bytes

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "models/krd_vs_rd/spec.toml"


@pytest.fixture
def spec(tmp_path):
    """The flagship's specification with copies of its evidence, in a folder of its own."""
    content = SOURCE.read_text()
    for trial in AnalysisSpec.load(SOURCE).evidence.trial:
        file = (SOURCE.parent / trial.file).resolve()
        for path in (file, file.with_suffix(".json")):
            if path.exists():
                shutil.copy(path, tmp_path)
        content = content.replace(trial.file, file.name)
    path = tmp_path / "spec.toml"
    path.write_text(content.replace("../../data", str(ROOT / "data")))
    return path


def state(spec):
    return frozen_state(AnalysisSpec.load(spec))


def decision(state="as frozen on 2026-01-01", probability=0.5):
    inputs = Inputs(sha256={"spec": "a"}, frozen=state, seed=1, versions={})
    other = SimpleNamespace(endpoint="OS", probability_of_success=0.3)
    return SimpleNamespace(inputs=inputs, probability_of_success=probability, mcse=0.01, endpoints=[other])


def test_a_specification_says_whether_it_is_as_it_was_frozen(spec):
    assert state(spec) == "not frozen"
    record = json.loads(freeze(spec).read_text())
    assert state(spec) == f"as frozen on {record['frozen']}"
    assert record["sha256"]["spec"] == sha256(spec.read_bytes())
    assert len(record["sha256"]) == 1 + len(AnalysisSpec.load(spec).evidence.trial)
    trial = AnalysisSpec.load(spec).evidence.trial[0]
    table = spec.parent / trial.file
    kept = table.read_bytes()
    table.write_bytes(kept + b"\n")
    assert state(spec) == f"'evidence: {trial.name}' changed after being frozen on {record['frozen']}"
    table.write_bytes(kept)
    spec.write_text(spec.read_text() + "# later\n")
    assert state(spec) == f"the specification changed after being frozen on {record['frozen']}"


def test_freezing_anew_needs_a_reason_and_keeps_the_record_before(spec):
    first = json.loads(freeze(spec).read_text())
    with pytest.raises(SpecificationError, match="is unchanged; nothing to do"):
        freeze(spec)
    spec.write_text(spec.read_text() + "# later\n")
    with pytest.raises(SpecificationError, match="was changed since; restore it, or say why"):
        freeze(spec)
    second = json.loads(freeze(spec, because="the DMC asked").read_text())
    assert (second["after"], second["because"]) == (first["seal"], "the DMC asked")
    assert state(spec).endswith("(anew: the DMC asked)")
    assert [entry["what"] for entry in read_log(spec.with_suffix(".log.jsonl"))] == ["frozen", "frozen"]


def test_an_edited_record_is_refused(spec):
    path = freeze(spec)
    path.write_text(path.read_text().replace('"frozen": "2', '"frozen": "1'))
    with pytest.raises(DataError, match="was edited after it was made"):
        state(spec)


def test_every_run_of_a_frozen_specification_is_on_the_log(spec):
    loaded = AnalysisSpec.load(spec)
    assert log_interim(loaded, decision(), Path("/some/where/out"), "d") is None
    freeze(spec)
    seals = [log_interim(loaded, decision(probability=p), Path("/some/where/out"), "d") for p in (0.1, 0.9)]
    _, first, second = read_log(spec.with_suffix(".log.jsonl"))
    assert [first["seal"], second["seal"]] == seals
    assert second["after"] == first["seal"]
    assert (second["probability_of_success"], second["seed"], second["out"]) == (0.9, 1, "out")
    assert second["endpoints"] == {"OS": 0.3}
    assert check_frozen(spec).endswith("2 interim runs on the log")


def test_any_edit_of_a_log_is_noticed(tmp_path):
    path = tmp_path / "spec.log.jsonl"
    for number in range(4):
        append(path, {"what": "interim", "probability_of_success": number / 10})
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    edits = [b"".join(lines[:1] + lines[2:]), b"".join([lines[1], lines[0], *lines[2:]]), b"".join(lines[1:]),
             whole.replace(b"0.2", b"0.3"), whole[:-5], whole + b"x", whole.replace(b": ", b":", 1), whole + lines[0]]  # fmt: skip
    changed = json.loads(lines[1])
    again = json.dumps(sealed({**changed, "probability_of_success": 0.9})).encode() + b"\n"  # sealed anew
    edits.append(b"".join([lines[0], again, *lines[2:]]))
    for content in edits:
        path.write_bytes(content)
        with pytest.raises(DataError, match="was changed, or one before it was removed"):
            read_log(path)
        with pytest.raises(DataError):
            append(path, {})
        assert path.read_bytes() == content


def test_a_log_that_cannot_be_written_is_said_and_stops_nothing(spec, tmp_path, capsys):
    freeze(spec)
    log = spec.with_suffix(".log.jsonl")
    log.unlink()
    log.mkdir()
    (tmp_path / "decision.json").write_text("{}")
    result = SimpleNamespace(inputs=SimpleNamespace(spec=AnalysisSpec.load(spec)), decision=decision())
    assert _logged(result, tmp_path, tmp_path / "out") == {}
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("WARNING: this run is not on the log of the frozen specification (")


def test_verify_checks_all_that_is_below_a_folder(spec):
    with pytest.raises(SpecificationError, match="no run, frozen specification, forecast or reconstruction"):
        verify([spec])
    freeze(spec)
    found = {one.path: one for one in verify([spec.parent])}
    assert found[spec].good
    assert [one.good for one in verify([spec])] == [True]
    (spec.parent / "spec.frozen.json").unlink()
    assert not next(one for one in verify([spec.parent]) if one.path == spec).good
    spec.unlink()
    assert not next(one for one in verify([spec.parent]) if one.path == spec).good
    with pytest.raises(SpecificationError, match="not there"):
        verify([spec.parent / "absent"])


def test_verify_checks_the_forecasts_of_the_project(tmp_path):
    found = [one for one in verify([ROOT / "models"]) if "forecasts on record" in one.words]
    assert len(found) == len(list((ROOT / "models").glob("*/forecast.json")))
    assert all(one.good for one in found)
    for text in ("", "[]", "{}", "not JSON", '{"a": NaN'):
        (tmp_path / "forecast.json").write_text(text)
        (one,) = verify([tmp_path])
        assert not one.good
        assert "\n" not in str(one)


def test_a_key_given_twice_cannot_hide_an_edit_of_a_forecast(tmp_path):
    kept = (ROOT / "models/quiredex_2013/forecast.json").read_text()
    (tmp_path / "forecast.json").write_text(kept.replace('{\n "schema', '{\n "seed": 0,\n "schema', 1))
    assert '"seed": 0' in (tmp_path / "forecast.json").read_text()
    assert not verify([tmp_path])[0].good


def test_a_forecast_whose_predecessor_was_exchanged_is_noticed(tmp_path):
    for path in (ROOT / "models/quiredex_2013").glob("forecast*.json*"):
        shutil.copy(path, tmp_path)
    assert verify([tmp_path])[0].good
    content = json.loads((tmp_path / "forecast.json").read_text())
    content["quantities"][0]["median"] += 1
    (tmp_path / "forecast.json").write_text(json.dumps(sealed(content), indent=1) + "\n")
    (one,) = verify([tmp_path])
    assert "does not follow the record before it" in one.words


# ---- what was read is what is pinned

def test_the_hash_is_of_the_bytes_that_were_read(spec):
    inputs = read_inputs(spec)
    before = dict(inputs.sha256)
    names = {f"evidence: {trial.name}" for trial in inputs.spec.evidence.trial}
    assert set(before) >= {"spec", "snapshot", "mrd", "facts used", *names}
    assert not any("/" in name.removeprefix("evidence: ") for name in before if name not in names)
    spec.write_bytes(spec.read_bytes() + b"\n")  # whatever happens to the file afterwards
    assert inputs.sha256 == before
    assert inputs.spec.sha256 == before["spec"]
    assert read_inputs(spec).sha256["spec"] != before["spec"]


def test_a_specification_changed_in_python_is_not_taken_for_its_file(spec):
    loaded = AnalysisSpec.load(spec)
    other = loaded.model_copy(update={"model": loaded.model.model_copy(update={"cuts": [6.0]})})
    assert loaded.sha256 == sha256(spec.read_bytes()) != other.sha256


def test_facts_that_are_used_are_pinned_and_no_others(spec):
    before, text = read_inputs(spec).sha256["facts used"], spec.read_text()
    fewer = text.replace('         "candor-003", "candor-004"]', "         ]")
    assert fewer != text
    spec.write_text(fewer)
    assert read_inputs(spec).sha256["facts used"] != before
    spec.write_text(text + "\n# no other fact\n")
    assert read_inputs(spec).sha256["facts used"] == before


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("one")
    with collecting() as outer:
        with collecting() as inner:
            read_bytes(path)
        assert inner.files == outer.files == {path.resolve(): sha256(b"one")}
        path.write_text("two")
        with pytest.raises(DataError, match="changed while it was being read"):
            read_bytes(path)
    with collecting() as fresh:
        read_bytes(path)
    assert fresh.files == {path.resolve(): sha256(b"two")}


def test_a_file_is_written_whole_through_a_link(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("a.txt")
    write_whole(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "a.txt").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "link.txt"]
