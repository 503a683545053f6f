"""Every number of a specification is a published fact with its id, or marked as assumed with an argument."""

from dataclasses import replace
from pathlib import Path

import pytest

from smm_bayes.analysis.assumptions import check_assumptions, explained
from smm_bayes.analysis.interim import read_inputs
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import SpecificationError
from smm_bayes.evidence import load_facts
from smm_bayes.reporting.plan import plan
from smm_bayes.reporting.words import number_rows, said_of

checks = pytest.mark.checks_key
ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "models").glob("*/spec*.toml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_number_of_a_shipped_plan_stands_alone(path):
    spec = AnalysisSpec.load(path)
    check_assumptions(spec)
    found = explained(spec)
    assert len(found) >= 8
    assert not [one.key for one in found if not one.is_explained]
    for one in found:
        assert one.facts or len(one.argument.split()) >= 5, one.key


def loaded(tmp_path, old="", new="", spec="mgus2"):
    text = (ROOT / f"models/{spec}/spec.toml").read_text()
    assert old in text
    (tmp_path / "spec.toml").write_text(text.replace(old, new, 1) if old else text)
    return AnalysisSpec.load(tmp_path / "spec.toml")


def alone(spec):
    return [one.key for one in explained(spec) if not one.is_explained]


def test_a_number_without_fact_or_argument_is_found(tmp_path):
    cut = '"success.alpha" = "One-sided 2.5 %, the usual level."\n"estimand"'
    assert alone(loaded(tmp_path, cut, '"estimand"')) == ["success.alpha"]
    assert alone(loaded(tmp_path, '"endpoint.OS.estimand" = ', "# ")) == ["endpoint.OS.estimand.1.months",
                                                                       "endpoint.OS.estimand.2.months"]  # fmt: skip
    assert alone(loaded(tmp_path, 'rule = "log_rank"\nalpha', 'rule = "log_rank"\n# alpha')) == []


def test_the_nearest_section_explains_and_facts_go_with_arguments():
    found = {one.key: one for one in explained(AnalysisSpec.load(ROOT / "models/krd_vs_rd/spec.toml"))}
    assert found["enrolment.planned.control"].facts == ("emn15-hovon147-001", "emn15-hovon147-002")
    assert found["enrolment.prior_rate"].argument.startswith("Two patients")
    assert found["model.prior.baseline.progression.median"].facts == ("mayo2008-004", "pethema2007-004")
    assert found["evidence.contrast.KRd then lenalidomide.upper"].value == 1.8
    assert found["evidence.contrast.Rd.median"].facts == ("quiredex-128",)
    assert not {key for key in found if key.startswith(("snapshot", "prediction", "sampling", "calibration"))}
    planned = {fact.value for fact in load_facts() if fact.id == "emn15-hovon147-001"}
    assert planned == {found["enrolment.planned.control"].value + found["enrolment.planned.experimental"].value}


@checks("assumed", "known")
def test_numbers_are_shown_with_what_they_rest_on():
    inputs = read_inputs(ROOT / "models/mgus2/spec.toml")
    rows = dict(number_rows(inputs.spec))
    assert rows["success.alpha"] == "0.025; assumed: One-sided 2.5 %, the usual level."
    assert dict(number_rows(AnalysisSpec.load(ROOT / "models/krd_vs_rd/spec.toml")))["enrolment.planned.control"] == (
        "40; published: emn15-hovon147-001, emn15-hovon147-002"
    )
    assert "neither" not in dict(plan(inputs)["Specification"])["numbers"]
    (one, *_) = explained(inputs.spec)
    bare = replace(one, argument="")
    assert said_of(bare).endswith("NEITHER A FACT NOR AN ARGUMENT IS NAMED")


@pytest.mark.parametrize(("new", "words"), [
    ('"succes.alpha" = "Why not?"\n"estimand"', r"assumed\.'succes\.alpha': no number has this key \(did you mean 'success\.alpha'"),
    ('"snapshot.arms" = "Data"\n"estimand"', r"assumed\.'snapshot\.arms': no number has this key"),
])  # fmt: skip
def test_what_explains_no_number_is_refused(tmp_path, new, words):
    with pytest.raises(SpecificationError, match=words):
        check_assumptions(loaded(tmp_path, '"estimand"', new))


def test_a_fact_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(SpecificationError, match=r"final\.date: .*nobody-001"):
        check_assumptions(loaded(tmp_path, "[assumed]", '[known]\n"final.date" = ["nobody-001"]\n\n[assumed]'))


def test_a_plan_that_is_changed_in_python_need_not_lose_its_arguments():
    spec = AnalysisSpec.load(ROOT / "models/krd_vs_rd/spec.toml")
    fewer = spec.model_copy(update={"enrolment": None})
    assert spec.is_as_loaded
    assert not fewer.is_as_loaded
    check_assumptions(fewer)
    assert not [one.key for one in explained(fewer) if one.key.startswith("enrolment")]
