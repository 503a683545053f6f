"""Keys of a specification: each says what it means, the stored references are those of the code, slips are answered."""

import datetime
import json
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from smm_bayes.analysis.keys import keys_of, known_at
from smm_bayes.analysis.reference import RULES, SUCCESS, page, reference, spec_schema, write
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import SpecificationError, nearest
from smm_bayes.evidence import load_facts
from smm_bayes.evidence.declared import find, load_declarations
from smm_bayes.evidence.listing import at_least, of_trial
from smm_bayes.prediction.success import rule_from

ROOT = Path(__file__).parents[2]
SCHEMA, PAGE = ROOT / "models/spec.schema.json", ROOT / "docs/spec_keys.md"
KEYS = keys_of(spec_schema())


# ---- descriptions

@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_every_key_says_what_it_means(key):
    assert key.meaning, f"{key.path}: give its field a description"
    assert not key.meaning[0].islower() or ":" in key.meaning, "a capital letter first, or the method it belongs to"
    assert not key.meaning.endswith("."), "a phrase, without a full stop"


def test_every_key_of_the_models_is_in_the_reference():
    """Keys that the shipped specifications use, dotted, with names and positions taken out."""
    known = {key.path for key in KEYS}
    tables = {key.path for key in KEYS if key.kind.startswith("table")}
    elsewhere = {key.path: key.kind.rsplit(" ", 1)[1] for key in KEYS if key.kind.startswith("the keys of section")}

    def used(value, path):
        if isinstance(value, list):
            for inner in value:
                if isinstance(inner, dict):
                    yield from used(inner, f"{path}[]")
        elif isinstance(value, dict):
            for name, inner in value.items():
                here = f"{path}.<name>" if path in tables else f"{path}.{name}" if path else name
                if f"{path}" not in tables or isinstance(inner, dict):
                    yield here if path not in tables else path
                yield from used(inner, elsewhere.get(here, here))

    for spec in sorted((ROOT / "models").glob("*/spec*.toml")):
        missing = set(used(tomllib.loads(spec.read_text()), "")) - known
        assert not missing, (spec, missing)


@pytest.mark.parametrize(
    ("path", "kind", "default"),
    [
        ("prediction.replicates", "whole number from 100 to 10,000,000", "10000"),
        ("prediction.dropout", "true or false", "false"),
        ("model.prior.baseline.<name>.survival", "number above 0 and below 1", ""),
        ("final.at", '"events" or "date" or "follow_up" or "primary"', "required"),
        ("endpoint[].success", "the keys of section success", "required"),
        ("final.cap", "date", ""),
        ("enrolment.planned", "table of control or experimental, each whole number", "required"),
        ("evidence.trial[].table", "the keys of section snapshot", ""),
        ("evidence.between.hazard", "number above 1", "2.5"),
        ("mrd.surrogacy.transport.shift", "number or section", "mean = 0.0, sd = 0.2"),
        ("success.alpha", "number", "0.025"),
    ],
)
def test_kinds_ranges_and_defaults_are_those_of_the_fields(path, kind, default):
    (key,) = [key for key in KEYS if key.path == path]
    assert (key.kind, key.default) == (kind, default)


def test_a_field_without_description_has_no_meaning():
    """What the test of every key would see, on a schema of its own."""
    bare = {"properties": {"x": {"type": "number"}}, "$defs": {}}
    assert keys_of(bare)[0].meaning == ""


def test_rules_and_their_settings_are_those_that_a_specification_may_name():
    with pytest.raises(SpecificationError) as refused:
        rule_from({"rule": "?"})
    named = re.search(r"one of (.*); got", str(refused.value))[1].split(", ")
    assert named == list(RULES) == list(SUCCESS)
    for name, rule in RULES.items():
        assert list(SUCCESS[name][1]) == [one.name for one in fields(rule)]


# ---- what is stored

def test_the_schema_is_stored_as_the_code_gives_it():
    stored = json.loads(SCHEMA.read_text())
    assert stored == spec_schema(), "python -m smm_bayes.analysis.reference . writes it anew"


def test_the_page_is_stored_as_the_code_gives_it():
    assert PAGE.read_text() == page(), "python -m smm_bayes.analysis.reference . writes it anew"


def test_both_are_written_where_asked(tmp_path):
    (tmp_path / "models").mkdir()
    schema, keys = write(tmp_path)
    assert schema.read_bytes() == SCHEMA.read_bytes()
    assert keys.read_bytes() == PAGE.read_bytes()


def test_the_schema_has_neither_null_nor_keys_that_no_editor_knows():
    text = SCHEMA.read_text()
    assert not re.search(r'"null"|: null|"g[te]":|"l[te]":', text)


def violations(schema, form, value):
    """What a small part of JSON schema says of a value: enough for the keywords that are used."""
    if "$ref" in form:
        return violations(schema, schema["$defs"][form["$ref"].rsplit("/", 1)[1]], value)
    if "anyOf" in form:
        found = [violations(schema, one, value) for one in form["anyOf"]]
        return [] if any(not one for one in found) else min(found, key=len)
    if "const" in form or "enum" in form:
        return [] if value in form.get("enum", [form.get("const")]) else [f"{value!r} is not one of {form}"]
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
    if not isinstance(value, kinds[form["type"]]):
        return [f"{value!r} is no {form['type']}"]
    if isinstance(value, list):
        return [one for inner in value for one in violations(schema, form["items"], inner)]
    if isinstance(value, dict):
        known, other = form.get("properties", {}), form.get("additionalProperties")
        found = [f"{name} is missing" for name in form.get("required", ()) if name not in value]
        for name, inner in value.items():
            inside = known.get(name, other)
            found += violations(schema, inside, inner) if inside else [f"{name} is not known"]
        return found
    bounds = {"exclusiveMinimum": value > form.get("exclusiveMinimum", 0) if "exclusiveMinimum" in form else True,
              "maximum": value <= form["maximum"] if "maximum" in form else True} if not isinstance(value, str) else {}  # fmt: skip
    return [name for name, good in bounds.items() if not good]


@pytest.mark.parametrize("spec", sorted((ROOT / "models").glob("*/spec*.toml")), ids=lambda path: path.parent.name)
def test_the_schema_admits_the_shipped_specifications(spec):
    schema = spec_schema()
    content = json.loads(json.dumps(tomllib.loads(spec.read_text()), default=datetime.date.isoformat))
    assert violations(schema, schema, content) == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("prediction", "replicate", 1000), ("prediction", "replicates", 10_000_001), ("success", "rule", "logrank"),
     ("success", "alfa", 0.1), ("final", "at", "event"), ("trial", "name", 3)],
)  # fmt: skip
def test_the_schema_refuses_what_the_code_refuses(section, key, value):
    schema = spec_schema()
    content = json.loads(json.dumps(tomllib.loads((ROOT / "models/krd_vs_rd/spec.toml").read_text()),
                                    default=datetime.date.isoformat))  # fmt: skip
    content[section][key] = value
    assert violations(schema, schema, content)
    with pytest.raises(ValueError, match=key):
        AnalysisSpec.model_validate(content)


# ---- what is printed

def test_a_section_is_printed_with_its_keys_only():
    printed = reference("final")
    lines = [line for line in printed.splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in lines] == ["final", "final.at", "final.events", "final.date",
                                                   "final.follow_up", "final.truncate", "final.cap", "final.causes"]  # fmt: skip
    assert "default true" in lines[5]
    assert reference("mrd.prior.share").splitlines()[0].startswith("mrd.prior.share  (section")
    assert len(reference().splitlines()) >= 2 * len(KEYS)


def test_a_section_that_does_not_exist_is_answered_with_the_nearest():
    with pytest.raises(SpecificationError, match=r"no key or section is called 'snapshto' \(did you mean 'snapshot'\?\)"):
        reference("snapshto")


# ---- slips

@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ([], "schema_version"),
        (["model", "prior", "baseline", "progression"], "median"),
        (["evidence", "trial", "0", "table"], "data_cutoff"),
        (["mrd", "surrogacy", "transport", "scale", "function-after[_ordered(), LogNormalSection]"], "upper"),
        (["enrolment"], "prior_rate"),
    ],
)
def test_keys_of_every_section_are_known(section, expected):
    assert expected in known_at(AnalysisSpec.model_json_schema(), section)


def test_no_key_is_known_where_there_is_no_section():
    assert known_at(AnalysisSpec.model_json_schema(), ["trial", "name"]) == []


def spoiled(tmp_path, *slips):
    """What loading the specification of the flagship says after each first text is replaced by the second."""
    text = (ROOT / "models/krd_vs_rd/spec.toml").read_text()
    for right, wrong in slips:
        assert right in text
        text = text.replace(right, wrong, 1)
    (tmp_path / "spec.toml").write_text(text)
    with pytest.raises(SpecificationError) as refused:
        AnalysisSpec.load(tmp_path)
    return str(refused.value)


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("[snapshot.causes]", "[snapshot.cuases]", "key 'snapshot.cuases' is not known (did you mean 'causes'?); correct its"),
        ("fold_change", "foldchange", "key 'model.prior.smoothness.foldchange' is not known (did you mean 'fold_change'?)"),
        ("endpoint = ", "endpiont = ", "key 'evidence.trial.0.endpiont' is not known (did you mean 'endpoint'?)"),
        ("scale = { median", "scale = { medain", "key 'mrd.surrogacy.transport.scale.medain' is not known (did you mean 'median'?)"),
        ('at = "events"', 'at = "event"', "(found 'event'; did you mean 'events'?)"),
        ('"simulated"', '"simulation"', "(found 'simulation'; did you mean 'simulated'?)"),
        ("[mrd.prior.hazard_ratio.progression]", "[mrd.prior.hazard_ratio.progresion]", "progression (did you mean 'progression'?)"),
        ("[model.prior.hazard_ratio.death]", "[model.prior.hazard_ratio.daeth]", "(did you mean 'death'?); correct it"),
        ('causes = ["progression", "death"]', 'causes = ["progression", "deth"]', "(did you mean 'death'?); correct it"),
        ('endpoint = "clinical"', 'endpoint = "clincal"', "endpoint 'clincal' has no prior (did you mean 'clinical'?); add"),
        ('control = "Rd"\nexperimental = "KRd then lenalidomide"', 'control = "Rd"\nexperimental = "KRd then lenalidomid"',
         "regimen 'KRd then lenalidomid' has no contrast (did you mean 'KRd then lenalidomide'?)"),
        ('method = "robust"\nexchangeable = 0.8', 'method = "power"\npowers = { E3A6 = 0.5 }',
         "borrowing.powers: no trial 'E3A6' (did you mean 'E3A06'?); there are"),
    ],
)  # fmt: skip
def test_a_slip_is_answered_with_the_nearest_known(tmp_path, right, wrong, words):
    AnalysisSpec.load(ROOT / "models/krd_vs_rd")  # the text that the slips are made in is right
    assert words in spoiled(tmp_path, (right, wrong))


def test_what_is_near_to_nothing_is_answered_without_a_guess(tmp_path):
    said = spoiled(tmp_path, ("[prediction]\n", "[prediction]\nweather = 1\n"))
    assert "key 'prediction.weather' is not known; correct its spelling or remove it" in said


def test_paths_in_messages_are_those_of_the_file(tmp_path):
    said = spoiled(tmp_path, ("half_normal = 0.3", "half_normal = -1"), ("scale = { median = 0.7", "scale = { median = 0"))
    assert "function" not in said
    assert "Section" not in said
    assert "mrd.surrogacy.transport.extra_sd.half_normal: input should be greater than 0" in said


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        (lambda: of_trial(load_facts(), "quiredx"), "no facts of 'quiredx' (did you mean 'QuiRedex'?)"),
        (lambda: at_least(load_facts(), "publshed"), "no such trust (did you mean 'published'?)"),
        (lambda: find("quiredex_2013_tp", load_declarations()), "'quiredex_2013_tp' (did you mean 'quiredex_2013_ttp'?)"),
        (lambda: AnalysisSpec.load(ROOT / "models/krd_v_rd/spec.toml"), "no such file (did you mean 'krd_vs_rd'?)"),
        (lambda: AnalysisSpec.load(ROOT / "models/krd_vs_rd/spec.tml"), "no such file (did you mean 'spec.toml'?)"),
    ],
)  # fmt: skip
def test_slips_on_the_command_line_are_answered(slip, words):
    with pytest.raises(SpecificationError) as refused:
        slip()
    assert words in str(refused.value)


def test_the_nearest_word_ignores_case_and_may_be_none():
    assert nearest("quiredex", ["QuiRedex", "E3A06"]) == " (did you mean 'QuiRedex'?)"
    assert nearest("zzz", ["QuiRedex", "E3A06"]) == ""
    assert nearest("x", []) == ""
