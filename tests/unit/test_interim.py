"""The pipeline and its outputs, end to end on real patients."""

import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from smm_bayes import cli
from smm_bayes.analysis import read_inputs
from smm_bayes.analysis.answers import predict
from smm_bayes.analysis.decision import Decision
from smm_bayes.analysis.interim import describe_outcome
from smm_bayes.analysis.outputs import load, whole_folder
from smm_bayes.analysis.pinned import seal_folder
from smm_bayes.analysis.verify import verify
from smm_bayes.errors import DataError, ReportError
from smm_bayes.files import sha256

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
        "manifest.json",
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
    assert decision.inputs.sha256 == {"spec": sha256(SPEC.read_bytes()), "snapshot": sha256(inputs.snapshot.read_bytes())}
    assert decision.inputs.frozen == "not frozen"
    assert set(decision.inputs.package) >= {"version", "source"}
    assert 0 < decision.mcse < 0.02
    stored = json.loads((ROOT / "models/decision.schema.json").read_text())
    assert stored == Decision.model_json_schema(), "the schema changed: raise SCHEMA_VERSION and store it anew"


def test_the_answer_is_looked_at_under_other_assumptions(finished):
    """Priors by weights, the time to come from the same draws; the report says what would change the answer before it goes on."""
    decision = Decision.model_validate_json((finished / "decision.json").read_text())
    rows = {one.name: one for one in decision.sensitivity}
    assert {one.group for one in decision.sensitivity} == {"priors", "hazards to come", "loss to follow-up"}
    assert all(one.probability is not None and one.mcse_moved < 0.02 for one in rows.values())
    assert all(one.pareto_k is not None and one.pareto_k < 0.7 for one in rows.values() if one.how == "by weights")
    for one in rows.values():
        assert one.moved == pytest.approx(one.probability - decision.probability_of_success, abs=1e-12)
    assert rows["effect gone from now on"].moved < rows["effect gone after three years"].moved < -0.3
    assert rows["control's hazard × 1.5 from now on"].moved > 0 > rows["control's hazard × 0.67 from now on"].moved
    page = (finished / "report.html").read_text()
    parts = ["The probability that the final", "What it rests on", "Does the model describe the data?", "What would change it",
             "What the final analysis will show"]  # fmt: skip
    assert [page.index(part) for part in parts] == sorted(page.index(part) for part in parts)
    assert "Probability of success under the assumptions that move it most" in page


def test_results_are_read_back(finished):
    interim = load(read_inputs(SPEC), finished)
    assert interim.prediction.probability == interim.decision.probability_of_success
    assert interim.prediction.success.mean() == pytest.approx(interim.prediction.probability)
    assert interim.fit.convergence.passed
    assert interim.fit.fingerprint == interim.decision.fingerprint
    assert interim.log_hazard.dims == ("chain", "draw", "arm", "cause", "interval")
    assert interim.prediction.seed == 7
    unchanged = interim.prediction.reweighted(np.zeros(interim.log_hazard.shape[:2]))
    assert unchanged.probability == interim.prediction.success.mean()
    again = predict(interim.inputs, interim.fit, seed=7).difference(interim.prediction)  # the same trials, to the last
    assert (again.difference, again.discordant) == (0.0, 0.0)


def edit(folder, kind, rng):
    """Change something in a run's folder, as an accident or a hand would; say what."""
    name = rng.choice(sorted(path.name for path in folder.iterdir()))
    path, content = folder / name, bytearray((folder / name).read_bytes())
    if kind == "flip":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == "truncate":
        del content[rng.randrange(len(content)):]
    elif kind == "number":
        path = folder / "decision.json"
        text = path.read_text()
        digits = [match.start() for match in re.finditer(r"[0-9]", text)]
        at = rng.choice(digits)
        content = bytearray((text[:at] + rng.choice([d for d in "0123456789" if d != text[at]]) + text[at + 1:]).encode())
    elif kind == "remove":
        path.unlink()
        return f"{name} removed"
    elif kind == "swap":
        other = folder / rng.choice([one.name for one in folder.iterdir() if one.name != name])
        content, mine = bytearray(other.read_bytes()), bytes(content)
        other.write_bytes(mine)
    path.write_bytes(content)
    return f"{path.name}: {kind}"


def test_a_hundred_edits_of_a_run_are_noticed(finished, tmp_path):
    inputs, rng, kinds = read_inputs(SPEC), random.Random(1), ("flip", "truncate", "number", "remove", "swap")
    before = sorted((path.name, sha256(path.read_bytes())) for path in finished.iterdir())
    for number in range(100):
        folder = tmp_path / f"run{number}"
        shutil.copytree(finished, folder)
        what = edit(folder, kinds[number % len(kinds)], rng)
        with pytest.raises(DataError) as raised:
            load(inputs, folder)
        assert "\n" not in str(raised.value), what
        (found,) = verify([folder])
        assert not found.good, what
        shutil.rmtree(folder)
    assert load(inputs, finished).decision.trial == inputs.spec.trial.name
    (found,) = verify([finished])
    assert found.good, found
    assert before == sorted((path.name, sha256(path.read_bytes())) for path in finished.iterdir())


@pytest.mark.parametrize(("key", "said"), [
    ("probability_of_success", "do not belong together .probability_of_success."), ("mcse", "mcse"),
    ("probability_reached", "probability_reached"),
])  # fmt: skip
def test_an_answer_that_its_simulated_trials_do_not_give_is_noticed_even_if_sealed_anew(finished, tmp_path, key, said):
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run/decision.json"
    content = json.loads(path.read_text())
    content[key] = content[key] * 0.99
    path.write_text(json.dumps(content))
    seal_folder(tmp_path / "run", complete=True)
    with pytest.raises(DataError, match=said):
        load(read_inputs(SPEC), tmp_path / "run")


def test_a_run_of_other_inputs_or_another_version_is_not_opened(finished, tmp_path, monkeypatch):
    inputs = read_inputs(SPEC)
    later = tmp_path / "later.csv"
    later.write_bytes(inputs.snapshot.read_bytes().rstrip() + b"\n\n")  # the same patients, in other bytes
    with pytest.raises(DataError, match=r"made from other inputs than those given now \(snapshot\)"):
        load(read_inputs(SPEC, later), finished)
    text = SPEC.read_text()
    changed = tmp_path / "spec.toml"
    changed.write_text(text.replace("../../data", str(ROOT / "data")) + "# another\n")
    with pytest.raises(DataError, match=r"other inputs than those given now \(spec\)"):
        load(read_inputs(changed), finished)
    monkeypatch.setattr("smm_bayes.analysis.outputs.package_state", lambda: {"version": "0.0.1", "source": "x"})
    with pytest.raises(DataError, match=r"made by smm-bayes .*, and this is smm-bayes 0\.0\.1"):
        load(inputs, finished)


def test_a_folder_of_an_earlier_version_is_refused(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run/manifest.json").unlink()
    with pytest.raises(DataError, match=r"has no manifest.json, so it was made by an earlier version"):
        load(read_inputs(SPEC), tmp_path / "run")
    assert not verify([tmp_path])[0].good


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
