"""Several endpoints in one analysis: run, written, read back, shown; and decisions of the former schema."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from smm_bayes.analysis import AnalysisSpec, read_inputs
from smm_bayes.analysis.decision import Decision
from smm_bayes.analysis.decision_versions import UNNAMED, read_decision
from smm_bayes.analysis.freeze import pinned_by_freezing
from smm_bayes.analysis.interim import run_interim
from smm_bayes.analysis.outputs import load, save
from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.files import sha256
from smm_bayes.reporting.endpoints import endpoint_rows, endpoint_table, estimate_rows
from smm_bayes.reporting.plan import plan
from smm_bayes.survival import Estimands

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "models/mgus2/spec.toml"
FORMER = Path(__file__).parents[1] / "reference/decision_schema_1.json"


@pytest.fixture(scope="module")
def interim():
    return run_interim(read_inputs(SPEC), seed=5)


def test_each_endpoint_has_its_answer_its_fit_and_its_check(interim):
    decision, (other,) = interim.decision, interim.others
    assert (decision.endpoint, decision.status) == ("PFS", "primary")
    (found,) = decision.endpoints
    assert (found.endpoint, found.status) == ("OS", "secondary")
    assert found == other.decision.result
    assert found.events.observed == other.inputs.patients.events == 262
    assert found.fit_check.cells == 2 * 11
    assert found.fingerprint != decision.fingerprint
    assert found.probability_of_success == other.prediction.probability
    assert [one.name for one in found.answers] == ["this trial's events"]
    assert decision.of("OS").trial == "mgus2"
    assert [(one.measure, one.months, one.of) for one in decision.estimates] == [
        ("cumulative_incidence", 120, of) for of in ("control", "experimental", "experimental less control")
    ]  # fmt: skip
    rows = dict(estimate_rows(decision.of("OS")))
    assert "above 0 with probability" in rows["event-free at 120 months, experimental less control"]
    law = other.inputs.model.law(other.fit.posterior)
    low, median, high = np.quantile(Estimands(law, horizon=120).rmst().sel(arm="control"), (0.025, 0.5, 0.975))
    assert rows["months free of events within 120 months, control"] == f"{median:.1f} ({low:.1f} to {high:.1f})"
    assert decision.of("PFS").endpoints == []
    with pytest.raises(SpecificationError, match="endpoint 'TTP' is not one of PFS, OS"):
        decision.of("TTP")


def test_all_is_read_back_and_an_answer_that_was_changed_is_refused(interim, tmp_path):
    save(interim, tmp_path)
    again = load(interim.inputs, tmp_path)
    assert again.decision == interim.decision
    assert (again.others[0].prediction.success == interim.others[0].prediction.success).all()
    assert again.others[0].decision == interim.decision.of("OS")
    stored = json.loads((tmp_path / "decision.json").read_text())
    stored["endpoints"][0]["probability_of_success"] = 0.99
    (tmp_path / "decision.json").write_text(json.dumps(stored))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    from smm_bayes.analysis.pinned import seal_folder

    seal_folder(tmp_path, complete=manifest["complete"])
    with pytest.raises(DataError, match=r"do not belong together .*probability_of_success"):
        load(interim.inputs, tmp_path)


def test_they_stand_side_by_side(interim):
    table = endpoint_table(interim.decision)
    assert list(table.index) == ["PFS", "OS"]
    assert table.loc["OS", ["status", "events", "fit"]].tolist() == ["secondary", 262, "passed"]
    rows = dict(endpoint_rows(interim.decision))
    assert rows["OS (secondary)"].startswith(f"{table.loc['OS', 'probability']:.3f} ± ")
    assert "of its endpoint alone" in rows["together"]
    one = interim.decision.of("OS")
    assert endpoint_table(one) is endpoint_rows(one) is None
    assert {"OS (secondary): Model", "OS (secondary): Final analysis"} < set(plan(interim.inputs))


def test_evidence_of_every_endpoint_is_frozen(tmp_path, monkeypatch):
    (tmp_path / "earlier.csv").write_text("a")
    spec = AnalysisSpec.load(SPEC)
    trial = SimpleNamespace(name="Earlier", patients="earlier.csv")
    other = SimpleNamespace(evidence=SimpleNamespace(trial=[trial]))
    monkeypatch.setattr(AnalysisSpec, "by_endpoint", property(lambda _: {"PFS": spec, "OS": other}))
    monkeypatch.setattr(AnalysisSpec, "file", lambda _, name: tmp_path / name)
    assert pinned_by_freezing(spec) == {"spec": spec.sha256, "evidence: Earlier": sha256(b"a")}


def test_a_decision_of_the_former_schema_is_read():
    """The flagship's decision as version 1 wrote it: the same numbers, each answer with what it is given."""
    former = json.loads(FORMER.read_text())
    assert former["schema_version"] == 1
    found = read_decision(FORMER.read_bytes())
    assert (found.schema_version, found.endpoint, found.endpoints) == (2, UNNAMED, [])
    assert found.probability_of_success == former["probability_of_success"]
    assert found.fingerprint == former["inputs"]["fingerprint"]
    by_name = {one.name: one for one in found.answers}
    assert [by_name[one["name"]].probability for one in former["ladder"]] == [one["probability"] for one in former["ladder"]]
    for one in former["left_out"]:
        answer = by_name[f"without {one['name']}"]
        assert (answer.probability, answer.moved) == (one["probability_without"], one["difference"])
        assert answer.reference == "with surrogacy across trials"
    for one in former["sources"]:
        answer = by_name[f"without {one['name']}, by events alone"]
        assert (answer.probability, answer.moved) == (one["probability_without"], one["difference"])
        assert one["name"] not in answer.sources
    everything = ["this trial's events", "QuiRedex 2013", "E3A06", "KRd pilots", "patients' MRD", "surrogacy across trials"]
    assert by_name["with surrogacy across trials"].sources == everything
    assert by_name["without E3A06"].sources == [name for name in everything if name != "E3A06"]
    assert by_name["without all earlier trials, by events alone"].sources == everything[:1]
    assert read_decision(found.model_dump_json()) == found


def test_a_former_decision_without_mrd_or_earlier_trials_is_read():
    former = json.loads(FORMER.read_text())
    plain = {**former, "ladder": [], "left_out": [], "mrd": None}
    answers = {one.name: one for one in read_decision(json.dumps(plain)).answers}
    assert list(answers)[:2] == ["with earlier trials", "without QuiRedex 2013"]
    assert answers["with earlier trials"].primary
    (alone,) = read_decision(json.dumps({**plain, "sources": []})).answers
    assert (alone.name, alone.sources) == ("this trial's events", ["this trial's events"])
    with pytest.raises(ValueError, match="schema_version"):
        read_decision(json.dumps({**former, "schema_version": 3}))
    assert Decision.model_fields.keys() >= {"answers", "endpoints"}
