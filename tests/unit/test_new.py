"""The folder of a new trial: it passes the check, runs as it is, and is written whole or not at all."""

import hashlib
import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.analysis import new
from smm_bayes.analysis.interim import read_inputs, run_interim
from smm_bayes.analysis.new import KINDS, example, new_trial
from smm_bayes.cli import main
from smm_bayes.errors import SpecificationError

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "smm_bayes/analysis/templates"
TABLES = {"two-arm": {"simulated_adtte.csv"}, "single-arm": {"simulated_adtte.csv"},
          "earlier-trials": {"simulated_adtte.csv", "simulated_earlier_adtte.csv"},
          "mrd": {"simulated_adtte.csv", "simulated_mrd.csv"}}  # fmt: skip


@pytest.fixture
def run(monkeypatch, capsys):
    """The command line in this process: exit code, standard output, standard error."""

    def called(*arguments):
        monkeypatch.setattr(sys, "argv", ["smm-bayes", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return exit_.value.code, *capsys.readouterr()

    return called


@pytest.fixture(scope="module", params=KINDS)
def made(request, tmp_path_factory):
    """A folder of each kind."""
    return request.param, new_trial("mine", request.param, tmp_path_factory.mktemp("new") / "mine")


def test_the_folder_holds_specification_tables_and_card(made):
    kind, folder = made
    assert {path.name for path in folder.iterdir()} == {"spec.toml", "card.md", *TABLES[kind]}


def test_the_inputs_are_read_and_labelled_simulated(made):
    kind, folder = made
    inputs = read_inputs(folder)
    assert inputs.spec.trial.name == "mine"
    assert inputs.patients.provenance == "simulated"
    assert inputs.patients.trial == "mine SIMULATED"
    assert all(name.startswith("SIMULATED-") for name in inputs.patients.patient)
    assert len(inputs.patients.arms) == (1 if kind == "single-arm" else 2)
    assert (inputs.joint is not None) == (kind == "mrd")
    assert (inputs.spec.evidence is not None) == (kind == "earlier-trials")
    assert inputs.trigger == ""  # an interim: the final analysis is still to come
    assert inputs.spec.enrolment_plan().new_arms(inputs.patients).size > 0


def test_the_patients_read_are_those_simulated(made):
    kind, folder = made
    read, drawn = read_inputs(folder).patients, example(kind)
    np.testing.assert_array_equal(read.time, drawn.time)
    np.testing.assert_array_equal(read.cause, drawn.cause)
    np.testing.assert_array_equal(read.censoring, drawn.censoring)
    assert read.arm_names == drawn.arm_names
    if kind == "mrd":
        np.testing.assert_array_equal(read.mrd.negative, drawn.mrd.negative)


def test_every_table_names_its_patients_simulated(made):
    kind, folder = made
    for name in TABLES[kind]:
        first = (folder / name).read_text().splitlines()[1]
        assert "SIMULATED" in first, name


def test_the_specification_says_what_is_the_readers_to_change(made):
    _, folder = made
    text = (folder / "spec.toml").read_text()
    assert "EVERY PATIENT IN THIS FOLDER IS SIMULATED" in text
    assert text.count("YOURS") > 15
    assert "$" not in text
    assert "TODO" not in text
    # every table of names that is a prior follows a comment that marks it as assumed
    blocks = re.split(r"\n\n", text)
    for block in blocks:
        if re.search(r"^\[(model\.prior\.|mrd\.prior\.|evidence\.between|\[evidence\.contrast)", block, re.MULTILINE):
            assert "Assumed" in block, block


def test_every_section_is_explained(made):
    _, folder = made
    blocks = [block for block in (folder / "spec.toml").read_text().split("\n\n") if "[" in block]
    silent = [block for block in blocks if not re.search(r"^#", block, re.MULTILINE)]
    assert [block.splitlines()[0] for block in silent] == ["[trial]"]  # explained by the lines before it


def test_the_same_folder_is_written_every_time(made, tmp_path):
    kind, folder = made
    again = new_trial("mine", kind, tmp_path / "again")
    for path in folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()


def test_the_tables_are_the_ones_that_were_looked_at():
    """The example's patients by hash: what the notebook and the comments of the templates say is of these."""
    patients = example("mrd")
    said = json.dumps([patients.time.tolist(), patients.cause.tolist(), patients.arm.tolist(), patients.mrd.negative.tolist()])
    assert hashlib.sha256(said.encode()).hexdigest()[:12] == "d0728f040656"
    assert (len(patients), patients.events, len(patients.mrd.row)) == (95, 15, 138)


def test_only_the_name_differs_between_trials(tmp_path):
    one, other = new_trial("one", "two-arm", tmp_path / "one"), new_trial("other", "two-arm", tmp_path / "other")
    for path in one.iterdir():
        text = (other / path.name).read_text()
        assert path.read_text().replace("one SIMULATED", "other SIMULATED").replace('"one', '"other').replace(
            "# one:", "# other:") == text  # fmt: skip


def test_every_template_is_used_and_is_toml():
    used = {f"{part}.toml" for parts in KINDS.values() for part in parts} | {"card.md"}
    assert {path.name for path in TEMPLATES.iterdir()} == used
    for kind, parts in KINDS.items():
        text = "".join((TEMPLATES / f"{part}.toml").read_text() for part in parts)
        assert tomllib.loads(text)["schema_version"] == 1, kind


# ---- where it is written, and what is refused

def test_the_default_folder_is_below_models_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert new_trial("first") == Path("first")
    (tmp_path / "models").mkdir()
    assert new_trial("second") == Path("models/second")
    assert (tmp_path / "models/second/spec.toml").is_file()


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", ".hidden", "-x", "ä", "a" * 65, "x\n", 'x"', "$name"])
def test_an_odd_name_is_refused_in_one_sentence(tmp_path, monkeypatch, run, name):
    monkeypatch.chdir(tmp_path)
    code, out, said = run("new", "--", name)
    assert (code, out, said.count("\n")) == (2, "", 1)
    assert re.search(r"^Error: .* cannot be the name of a trial; use up to 64 letters, digits, hyphens", said)
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_refused_and_left_alone(tmp_path, run):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    code, _, said = run("new", "mine", "--out", folder)
    assert code == 2
    assert said == f"Error: {folder} exists already; give another name, or a new folder with --out\n"
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("kind", ["file", "dangling"])
def test_a_file_or_a_broken_link_in_its_place_is_refused(tmp_path, kind):
    place = tmp_path / "mine"
    place.symlink_to(tmp_path / "nowhere") if kind == "dangling" else place.write_text("x")
    with pytest.raises(SpecificationError, match="exists already"):
        new_trial("mine", out=place)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_kind_that_does_not_exist_is_answered_with_the_nearest(tmp_path, run):
    code, _, said = run("new", "mine", "--kind", "two-arms", "--out", tmp_path / "mine")
    assert code == 2
    assert "--kind two-arms: there is no such kind (did you mean 'two-arm'?); use one of two-arm, single-arm" in said


def test_nothing_is_left_where_writing_fails(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(new, "write_adtte", fails)
    with pytest.raises(SpecificationError, match=r"cannot be written \(No space left on device\); give another"):
        new_trial("mine", out=tmp_path / "a" / "mine")
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_it_wrote_and_what_is_next(tmp_path, run):
    code, said, _ = run("new", "mine", "--kind", "mrd", "--out", tmp_path / "mine")
    assert code == 0
    first, second = said.splitlines()
    assert first.endswith("card.md, simulated_adtte.csv, simulated_mrd.csv, spec.toml")
    assert second == f"All patients in it are simulated. Next: smm-bayes check {tmp_path / 'mine'}"


def test_the_smallest_runs_as_an_interim_analysis(tmp_path):
    """With fewer draws than it has by default; everything else is as written."""
    folder = new_trial("mine", "single-arm", tmp_path / "mine")
    spec = folder / "spec.toml"
    spec.write_text(spec.read_text().replace("replicates = 10000", "replicates = 1000")
                    + "\n[sampling]\ndraws = 200\ntune = 200\nchains = 2\n")  # fmt: skip
    interim = run_interim(read_inputs(folder), seed=1)
    prediction, decision = interim.prediction, interim.decision
    assert decision.data == "simulated"
    assert decision.diagnostics.passed
    assert decision.events.observed == 3  # one of the four events is after 24 months, when follow-up ends
    assert decision.probability_of_success == np.mean(prediction.counted_events <= 12)
    assert 0.5 < decision.probability_of_success < 0.9
