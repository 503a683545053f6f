"""The pipeline and its outputs, end to end on real patients."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from smm_bayes import cli
from smm_bayes.analysis import read_inputs
from smm_bayes.analysis.decision import Decision
from smm_bayes.analysis.interim import describe_outcome, predict
from smm_bayes.analysis.outputs import load, whole_folder
from smm_bayes.errors import ReportError

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "models/mgus2/spec.toml"


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["smm-bayes", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    out = tmp_path_factory.mktemp("interim") / "out"
    assert run(patch, "interim", SPEC, "--out", out, "--seed", 7, "--workers", 2) == 0
    patch.undo()
    return out


def test_outputs_are_whole(finished):
    assert {path.name for path in finished.iterdir()} == {
        "decision.json",
        "posterior.nc",
        "report.html",
        "report.ipynb",
    }
    assert [path.name for path in finished.parent.iterdir()] == ["out"]  # no leftovers beside it


def test_decision_follows_its_schema_and_the_data(finished):
    decision = Decision.model_validate_json((finished / "decision.json").read_text())
    inputs = read_inputs(SPEC)
    counted = (inputs.patients.cause == inputs.patients.causes.index("progression")).sum()
    assert decision.events.observed == counted == 36
    assert decision.events.planned is None
    assert 0.2 < decision.information_fraction < 0.6
    assert decision.diagnostics.passed
    assert decision.data == "real"
    assert decision.inputs.seed == 7
    assert set(decision.inputs.sha256) == {"spec", "snapshot"}
    assert 0 < decision.mcse < 0.02
    stored = json.loads((ROOT / "models/decision.schema.json").read_text())
    assert stored == Decision.model_json_schema(), "the schema changed: raise SCHEMA_VERSION and store it anew"


def test_results_are_read_back(finished):
    interim = load(read_inputs(SPEC), finished)
    assert interim.prediction.probability == interim.decision.probability_of_success
    assert interim.prediction.success.mean() == pytest.approx(interim.prediction.probability)
    assert interim.fit.convergence.passed
    assert interim.fit.fingerprint == interim.decision.inputs.fingerprint
    assert interim.log_hazard.dims == ("chain", "draw", "arm", "cause", "interval")
    assert interim.prediction.seed == 7
    unchanged = interim.prediction.reweighted(np.zeros(interim.log_hazard.shape[:2]))
    assert unchanged.probability == interim.prediction.success.mean()
    again = predict(interim.inputs, interim.fit, seed=7).difference(interim.prediction)  # the same trials, to the last
    assert (again.difference, again.discordant) == (0.0, 0.0)


def test_report_opens_offline_with_described_figures(finished):
    page = (finished / "report.html").read_text()
    assert not re.search(r"<script[^>]+src=|<link[^>]+href=|@import", page)
    assert "<script" not in page
    images = re.findall(r"<img[^>]*>", page)
    assert len(images) >= 4
    assert all(re.search(r'alt="[^"]{10,}"', image) for image in images)
    assert "The probability that the final analysis succeeds is" in page
    # the answer comes before everything else that is numbered
    assert page.index("The probability that") < page.index("Convergence")


def test_same_seed_same_decision(finished, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "interim", SPEC, "--out", tmp_path / "again", "--seed", 7, "--workers", 1, "--json") == 0
    again = Decision.model_validate_json(capsys.readouterr().out)
    assert again == Decision.model_validate_json((finished / "decision.json").read_text())


def test_what_happened_is_what_the_table_says():
    inputs = read_inputs(SPEC)
    happened = describe_outcome(inputs)
    assert happened["enrolled"] == len(inputs.patients) == 749
    assert happened["control:progression"] + happened["experimental:progression"] == 75
    assert happened["success"] == 1.0


def test_a_failure_leaves_nothing_and_keeps_what_was_there(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "decision.json").write_text("earlier")
    def fail():
        with whole_folder(out) as folder:
            (folder / "decision.json").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (out / "decision.json").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with whole_folder(out) as folder:
        (folder / "decision.json").write_text("new")
    assert (out / "decision.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_fit_that_does_not_converge_decides_nothing(tmp_path, monkeypatch, capsys):
    """Exit code 1, one sentence, nothing written: chains far too short to pass, and no second attempt."""
    import smm_bayes.inference.each as module

    honest = module.fit
    monkeypatch.setattr(module, "fit", lambda model, **options: honest(
        model, **{**options, "draws": 20, "tune": 20, "attempts": 1}))  # fmt: skip
    assert run(monkeypatch, "interim", SPEC, "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "Error: the fit did not converge:" in said
    assert not any(tmp_path.iterdir())


def test_information_fraction_is_of_the_data_not_the_plan(finished):
    decision = json.loads((finished / "decision.json").read_text())
    mean = load(read_inputs(SPEC), finished).prediction.counted_events.mean()
    assert decision["information_fraction"] == pytest.approx(36 / np.mean(mean))


def test_a_report_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    """Its process ends without writing: one error with an exit code of its own, and the process is gone."""
    from smm_bayes.reporting import report

    monkeypatch.setattr(report.sys, "executable", shutil.which("false"))
    with (
        report.report_writer(tmp_path, spec=SPEC, snapshot=SPEC, seed=1) as write,
        pytest.raises(ReportError, match="the report could not be written, so nothing was") as found,
    ):
        write()
    assert found.value.exit_code == 3


def test_a_report_nobody_asks_for_ends_with_the_analysis(tmp_path):
    from smm_bayes.reporting.report import report_writer

    with pytest.raises(KeyError), report_writer(tmp_path, spec=SPEC, snapshot=SPEC, seed=1):
        raise KeyError
    assert not any(tmp_path.iterdir())
