"""The one door for files: what is no file, and TOML and JSON that no reader should have to bear."""

import os
import shutil
import time
from pathlib import Path

import pytest

from smm_bayes.analysis.forecast import load_forecast
from smm_bayes.analysis.forecast import main as forecast
from smm_bayes.analysis.simulation import Declaration
from smm_bayes.analysis.simulation import main as simulate
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import DataError, SmmBayesError, SpecificationError
from smm_bayes.evidence.declared import load_declarations
from smm_bayes.evidence.digitised import read_at_risk, read_curve
from smm_bayes.inference.fingerprint import hash_file
from smm_bayes.reading import LARGEST_TEXT, read_bytes, read_json, read_toml, resolved
from smm_bayes.trial.table import read_csv

ROOT = Path(__file__).parents[2]


def read_forecast_toml(path):
    folder = path.parent / "folder"
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / "forecast.toml")
    return load_forecast(folder)


TOML = {"spec.toml": AnalysisSpec.load, "simulation.toml": Declaration.load, "reconstructions.toml": load_declarations,
        "forecast.toml": read_forecast_toml}  # fmt: skip
READERS = {**TOML, "a table": read_csv, "a curve": read_curve, "numbers at risk": read_at_risk, "bytes": read_bytes,
           "JSON": read_json, "a hash": hash_file}  # fmt: skip
del READERS["forecast.toml"]

TOO_MUCH = {
    "arrays 500 deep": ("a = " + "[" * 500 + "]" * 500, "nested more than 32 deep"),
    "arrays 100,000 deep": ("a = " + "[" * 100_000 + "]" * 100_000, "nested more than 32 deep"),
    "inline tables 500 deep": ("a = " + "{a = " * 500 + "1" + "}" * 500, "nested more than 32 deep"),
    "tables 500 deep": ("[" + ".".join(["a"] * 500) + "]\nb = 1", "more than 32 parts"),
    "tables 33 deep, one by one": ("a." * 20 + "b = {" + "c." * 20 + "d = 1}", "nested more than 32 deep"),
    "a key of 100,000 parts": ("a." * 100_000 + "a = 1", "more than 32 parts"),
    "a key of 100,000 quoted parts": (".".join(['"a b"'] * 100_000) + " = 1", "more than 32 parts"),
    "a key of 100,000 spaced parts": ("x = {" + " . ".join(["a"] * 100_000) + " = 1}", "more than 32 parts"),
    "a number of 5,000 digits": ("a = " + "1" * 5000, "more than 64 bits"),
    "a number of 5,000 hexadecimal digits": ("a = 0x" + "f" * 5000, "more than 64 bits"),
    "a number of 30 digits in a table": ("[a]\nb = [{c = -" + "1" * 30 + "}]", "more than 64 bits"),
    "NUL": ('a = "x\\u0000y"', r"the text 'x\\x00y' holds a NUL"),
    "not UTF-8": (b"a = '\xff'", "byte 5 is not UTF-8"),
    "5 MB": ("#" * 5_000_000, "5,000,000 bytes"),
    "a string that does not end": ('"\\' * 200_000, "not readable as TOML"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOML)
@pytest.mark.parametrize("case", TOO_MUCH)
def test_toml_that_is_too_much_is_refused_in_one_sentence(name, case, tmp_path):
    content, words = TOO_MUCH[case]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    start = time.perf_counter()
    with pytest.raises(SmmBayesError, match=words) as refused:
        TOML[name](path)
    assert time.perf_counter() - start < 10  # the key of 100,000 parts took minutes
    text = str(refused.value)
    assert "\n" not in text
    assert len(text) < 600
    assert refused.value.exit_code == 2


def test_the_commands_say_one_sentence(tmp_path, capsys):
    (tmp_path / "forecast.toml").write_text(TOO_MUCH["arrays 500 deep"][0])
    for main, arguments in ((simulate, [str(tmp_path / "forecast.toml"), "--out", str(tmp_path)]),
                            (forecast, [str(tmp_path)])):  # fmt: skip
        assert main(arguments) == 2
        out, error = capsys.readouterr()
        assert out == ""
        assert error.startswith("error: ")
        assert len(error.splitlines()) == 1


def test_what_is_allowed_is_read(tmp_path):
    path = tmp_path / "good.toml"
    path.write_bytes(b"\xef\xbb\xbf" + b"a = " + b"[" * 30 + b"]" * 30 + b"\nn = -9223372036854775808\nd.e.f = 1.5\n"
                     + b'note = """' + b"one.two.three.four." * 30 + b'"""\n# ' + b"a." * 100)  # fmt: skip
    content = read_toml(path)
    assert content["n"] == -(2**63)
    assert content["d"] == {"e": {"f": 1.5}}
    assert content["note"].count("two") == 30


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_refused_by_every_reader(name, tmp_path):
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("a")
    paths = {"one": "symbolic links lead back", "folder": "folder", "pipe": "no regular file",
             "none": "there is no such file", "file/below": "there is no such file", "x" * 300: "too long",
             "/".join(["y" * 200] * 30): "too long", "a\0b": "no path can hold"}  # fmt: skip
    for end, words in paths.items():
        if name == "spec.toml" and end == "folder":
            words = "there is no such file"  # of the spec.toml in it
        with pytest.raises(SmmBayesError, match=words) as refused:
            READERS[name](tmp_path / end)
        assert "\n" not in str(refused.value)
        assert "\0" not in str(refused.value)
        assert len(str(refused.value)) < 400


def test_paths_are_resolved_or_refused(tmp_path):
    (tmp_path / "one").symlink_to(tmp_path / "one")
    assert resolved(tmp_path / "a" / ".." / "b") == (tmp_path / "b").resolve()
    for end, words in {"one": "lead back", "a\0b": "no path can hold"}.items():
        with pytest.raises(SpecificationError, match=words):
            resolved(tmp_path / end, SpecificationError)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"), (" \n", "the file is empty"), ("forecast", "Expecting value"),
        ("[]", "no object with keys"), ("3", "no object"), ('{"a": 1, "b": 2, "a": 3}', "the key 'a' is there twice"),
        ('{"a": [{"b": 1, "b": 1}]}', "the key 'b' is there twice"), ("[" * 100_000, "more than 32 deep"),
        ('{"a":' * 500 + "1" + "}" * 500, "more than 32 deep"), ('{"a": ' + "1" * 5000 + "}", "more than 64 bits"),
        ('{"a": NaN}', "NaN is no number"), ('{"\\u0000": 1}', "NUL"), (b"\xff", "not UTF-8"),
        (" " * (LARGEST_TEXT + 1), "bytes"),
    ],
)  # fmt: skip
def test_json_that_is_no_record_is_refused(text, words, tmp_path):
    path = tmp_path / "record.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=words) as refused:
        read_json(path)
    assert "\n" not in str(refused.value)


DECLARED = """[x]
trial = "QuiRedex"
cut = "2013"
endpoint = "TTP"
seed = 1
number = 1
follow_up = { low = 1, high = 2, assumed = "x", facts = [] }
arms = [{ role = "experimental", arm = "Rd", regimen = "Rd", facts = ["quiredex-005"] }]
"""


@pytest.mark.parametrize("facts", ["[1]", "[[1]]", "[{a = 1}]", "[true]", '["quiredex-005", 1]'])
@pytest.mark.parametrize("old", ["[]", '["quiredex-005"]'])
def test_facts_that_are_no_words_are_refused(facts, old, evidence):
    evidence.write_text(DECLARED.replace(old, facts))
    with pytest.raises(DataError, match=r"facts = .* is of the wrong kind"):
        load_declarations(evidence)


def test_arms_that_are_no_tables_are_refused(evidence):
    evidence.write_text(DECLARED)
    assert list(load_declarations(evidence)) == ["x"]
    evidence.write_text(DECLARED.replace("arms = [{", "arms = [1, {"))
    with pytest.raises(DataError, match="arms: 1 is no table"):
        load_declarations(evidence)


@pytest.fixture
def evidence(tmp_path):
    """Path of a file of reconstructions beside the tables of facts."""
    shutil.copytree(ROOT / "data/evidence", tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.toml"))
    return tmp_path / "reconstructions.toml"
