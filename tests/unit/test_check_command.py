"""What would be done is said in words before it is done, and every problem is named."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.analysis.check import checked_inputs
from smm_bayes.analysis.freeze import freeze
from smm_bayes.analysis.interim import read_inputs
from smm_bayes.analysis.log import log_of
from smm_bayes.analysis.new import KINDS, new_trial
from smm_bayes.cli import main
from smm_bayes.errors import DataError, SmmBayesError
from smm_bayes.prediction.success import EventCount, HazardRatioProbability, LogRank
from smm_bayes.reporting.plan import plan, plan_as_json, printed_plan, success_in_words

ROOT = Path(__file__).parents[2]
HEAVY = ("pymc", "pytensor", "nutpie", "arviz", "numba", "pandas", "xarray", "matplotlib", "scipy")


@pytest.fixture
def folder(tmp_path):
    """A new trial of two arms."""
    return new_trial("mine", "two-arm", tmp_path / "mine")


@pytest.fixture
def run(monkeypatch, capsys):
    """The command line in this process: exit code, standard output, standard error."""

    def called(*arguments):
        monkeypatch.setattr(sys, "argv", ["smm-bayes", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return exit_.value.code, *capsys.readouterr()

    return called


def edit(path, *pairs):
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def said(inputs, heading):
    return dict(plan(inputs)[heading])


# ---- what is said

@pytest.mark.parametrize("kind", KINDS)
def test_a_new_folder_of_every_kind_passes(tmp_path, run, kind):
    place = new_trial("mine", kind, tmp_path / "mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, out, err = run("check", place)
    assert (code, err) == (0, "")
    headings = [line for line in out.splitlines() if line and not line.startswith(" ")]
    more = {"earlier-trials": ["Earlier trials"], "mrd": ["MRD"]}.get(kind, [])
    assert headings == ["Specification", "Patients", "Model", *more, "Final analysis", "Prediction"]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_patients_are_counted_by_arm_cause_and_reason(folder):
    """Against a count of the rows of the table."""
    rows = [line.split(",") for line in (folder / "simulated_adtte.csv").read_text().splitlines()[1:]]
    found = said(read_inputs(folder), "Patients")
    for arm, label in (("Standard", "Standard (control)"), ("New", "New (experimental)")):
        mine = [row for row in rows if row[-1] == arm]
        counts = {
            "progression": sum(row[8] == "Progression" for row in mine),
            "death": sum(row[8] == "Death without progression" for row in mine),
            "still followed": sum(row[9] == "Ongoing at data cut-off" for row in mine),
            "lost": sum(row[9] == "Lost to follow-up" for row in mine),
        }
        words = ", ".join(f"{name} {number}" for name, number in counts.items())
        assert found[label] == f"{len(mine)} patients: {words}"
        assert sum(counts.values()) == len(mine)
    assert found["data cut-off"] == "2025-06-30"
    assert found["endpoint"] == "PFS; the event is progression or death"
    assert found["table"] == "simulated_adtte.csv, simulated patients"


def test_a_cause_that_does_not_count_is_said_to_compete(folder):
    edit(folder / "spec.toml", ('causes = ["progression", "death"]', 'causes = ["progression"]'))
    assert said(read_inputs(folder), "Patients")["endpoint"] == "PFS; the event is progression; death competes"


@pytest.mark.parametrize(
    ("added", "words"),
    [("cut_by_date = 2025-01-01", "to what was known on 2025-01-01"), ("cut_by_events = 9", "to what was known at 9 events")],
)
def test_a_cut_of_the_table_is_said(folder, added, words):
    edit(folder / "spec.toml", ('parameter = "PFS"', f'{added}\nparameter = "PFS"'))
    inputs = read_inputs(folder)
    assert said(inputs, "Patients")["table cut"] == words
    assert said(inputs, "Final analysis")["so far"].startswith(f"{inputs.patients.events} counted events")


def test_every_prior_of_the_model_is_said(tmp_path):
    for name in ("krd_vs_rd", "mgus2", "quiredex_2013"):
        inputs = read_inputs(ROOT / "models" / name)
        model = said(inputs, "Model")
        for label, words in inputs.model.statements().items():
            if label != "borrowing":
                assert model[f"prior: {label}"] == words
        for label, words in (inputs.joint.statements() if inputs.joint else {}).items():
            assert said(inputs, "MRD")[f"prior: {label}"] == words


def test_one_arm_has_no_hazard_ratio(tmp_path):
    inputs = read_inputs(new_trial("mine", "single-arm", tmp_path / "mine"))
    words = printed_plan(inputs)
    assert "hazard ratio" not in words
    assert "arms" not in said(inputs, "Model")
    assert said(inputs, "Final analysis")["success"] == "at most 12 events in all: few events are a success"


def test_intervals_are_those_of_the_grid(folder):
    assert said(read_inputs(folder), "Model")["intervals"] == "6, divided at months 6, 12, 18, 24, 36"
    edit(folder / "spec.toml", ("cuts = [6, 12, 18, 24, 36]", "cuts = []"))
    assert said(read_inputs(folder), "Model")["intervals"] == "one"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('effect = "separate"', "each arm has hazards of its own"),
        ('effect = "varying"', "changes from interval to interval"),
        ('effect = "proportional"', "the same at all times"),
    ],
)
def test_how_the_arms_differ_is_said(folder, keys, words):
    text = (folder / "spec.toml").read_text().replace("[model]\n", f"[model]\n{keys}\n")
    if "separate" in keys:
        start, end = text.index("# Assumed: neither benefit"), text.index("# Assumed: within a year")
        text = text[:start] + text[end:]
    (folder / "spec.toml").write_text(text)
    assert words in said(read_inputs(folder), "Model")["arms"]


def test_earlier_trials_are_said_with_what_they_saw_and_their_trust():
    inputs = read_inputs(ROOT / "models/krd_vs_rd")
    earlier = said(inputs, "Earlier trials")
    for source in inputs.model.sources:
        assert f"trust: {source.trust}" in earlier[source.name]
    cohort = inputs.model.trials[0].cohorts[0]
    counts = ", ".join(f"{cause[0]} {int(events.sum())}" for cause, events in zip(cohort.series, cohort.events, strict=True))
    assert f"{cohort.regimen}: {counts} in {cohort.exposure.sum():,.0f} patient-months" in earlier[cohort.trial]
    assert earlier["how they are related"] == inputs.model.statements()["borrowing"]
    assert "exchangeable with probability 0.8" in earlier["how they are related"]
    assert "patients of population 'intermediate and high risk'" in earlier["E3A06"]
    assert earlier["reconstructions"].startswith("20 of each")


def test_patients_of_ones_own_are_one_data_set(tmp_path):
    inputs = read_inputs(new_trial("mine", "earlier-trials", tmp_path / "mine"))
    earlier = said(inputs, "Earlier trials")
    assert "reconstructions" not in earlier
    assert "reconstruction" not in printed_plan(inputs)
    assert earlier["left out in turn"] == "the answer is given without it too"


def test_mrd_is_counted_by_visit_and_arm(tmp_path):
    inputs = read_inputs(new_trial("mine", "mrd", tmp_path / "mine"))
    found = said(inputs, "MRD")
    assert found["primary answer"].startswith("events alone")
    code = inputs.joint.status.code
    for index, month in enumerate((3.7, 8.3)):
        for arm, name in enumerate(("Standard", "New")):
            seen = code[inputs.patients.arm == arm, index]
            counts = [int((seen == value).sum()) for value in (1, 0, -1, -2)]
            words = found[f"visit at {month} months, {name}"]
            assert words.startswith("negative {}, not negative {}, missing {}, not due {} ".format(*counts))
            assert sum(counts) == len(seen)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (LogRank(0.025), "one-sided log-rank p below 0.025, in favour of New (experimental)"),
        (HazardRatioProbability(0.8, 0.9),
         "posterior probability of a hazard ratio below 0.8 above 0.9; the ratio is New v Standard, below 1 favours New "
         "(experimental)"),
        (EventCount(at_most=9), "at most 9 events in all: few events are a success"),
        (EventCount(at_least=9, arm="control"), "at least 9 events in control: many events are a success"),
        (EventCount(3, 9), "at least 3 and at most 9 events in all"),
        (LogRank() & EventCount(at_most=9),
         "(one-sided log-rank p below 0.025, in favour of New (experimental)) and (at most 9 events in all: few events are "
         "a success)"),
    ],
)  # fmt: skip
def test_success_is_said_with_its_direction(folder, rule, words):
    assert success_in_words(rule, read_inputs(folder).patients) == words


def test_the_direction_is_that_of_the_rule():
    """Fewer events on the experimental arm give a z below 0, which is what the rule asks for."""
    inputs = read_inputs(ROOT / "models/mgus2")
    assert inputs.outcome().z[0] < 0
    assert inputs.outcome().hazard_ratio[0] < 1
    assert LogRank(0.025)(inputs.outcome())[0]


def test_what_is_known_of_the_trigger_is_said(folder):
    final = said(read_inputs(folder), "Final analysis")
    assert (final["trigger"], final["so far"]) == ("still to come", "15 counted events so far of 60")
    edit(folder / "spec.toml", ("events = 60", "events = 10"))
    assert said(read_inputs(folder), "Final analysis")["trigger"].startswith("The trigger of the final analysis was reached")


def test_enrolment_is_said_and_may_be_closed(folder):
    inputs = read_inputs(folder)
    new = inputs.spec.enrolment_plan().new_arms(inputs.patients)
    words = said(inputs, "Final analysis")["enrolment"]
    assert words.startswith(f"{len(new)} patients to come ({(new == 0).sum()} Standard, {(new == 1).sum()} New)")
    text = (folder / "spec.toml").read_text()
    start, end = text.index("[enrolment]"), text.index("# The final analysis")
    (folder / "spec.toml").write_text((text[:start] + text[end:]).replace("events = 60", "events = 40"))
    assert said(read_inputs(folder), "Final analysis")["enrolment"] == "closed: nobody is to come"


def test_who_is_followed_on_and_who_is_lost_is_said(folder):
    edit(folder / "spec.toml", ("dropout = false", 'dropout = true\ncomplete = ["administrative", "lost"]'))
    inputs = read_inputs(folder)
    final = said(inputs, "Final analysis")
    number = int(np.isin(inputs.patients.censoring, ["administrative", "lost"]).sum())
    assert final["followed on"] == f"{number} patients who are censored so far as administrative or lost"
    assert "assumed lost to follow-up from now on at the rate seen so far" in final["assumed"]


def test_settings_and_frozen_state_are_said(folder):
    edit(folder / "spec.toml", ("replicates = 10000", "replicates = 2500"))
    inputs = read_inputs(folder)
    assert said(inputs, "Specification")["frozen"] == "not frozen"
    found = said(inputs, "Prediction")
    assert found["completed trials"] == "2,500; the Monte Carlo error of a probability near 0.5 is 0.010 or more"
    assert found["posterior"] == "4 chains of 1,000 draws after 500 of tuning"
    freeze(folder)
    assert said(read_inputs(folder), "Specification")["frozen"].startswith("as frozen on ")
    edit(folder / "spec.toml", ("alpha = 0.025", "alpha = 0.05"))
    assert "the specification changed" in said(read_inputs(folder), "Specification")["frozen"]


def test_json_holds_the_numbers_and_the_words(folder, run):
    code, out, _ = run("check", folder, "--json")
    found, inputs = json.loads(out), read_inputs(folder)
    assert code == 0
    assert found == json.loads(json.dumps(plan_as_json(inputs)))
    assert found["patients"] == {"control": 47, "experimental": 48}
    assert (found["counted_events"], found["planned_events"], found["data_cutoff"]) == (15, 60, "2025-06-30")
    assert found["sha256"] == inputs.sha256
    assert [list(row) for row in plan(inputs)["Model"]] == found["plan"]["Model"]


def test_another_table_of_patients_is_read(folder, run):
    lines = (folder / "simulated_adtte.csv").read_text().splitlines()
    (folder / "later.csv").write_text("\n".join(lines[:61]) + "\n")
    _, out, _ = run("check", folder, "--snapshot", folder / "later.csv", "--json")
    assert sum(json.loads(out)["patients"].values()) == 60


# ---- problems

def test_every_problem_of_every_file_is_named_at_once(tmp_path, run):
    place = new_trial("mine", "earlier-trials", tmp_path / "mine")
    edit(place / "spec.toml", ('regimen = "New"', 'facts = ["no-such-fact"]\nregimen = "New"'))
    edit(place / "simulated_adtte.csv", (",Standard", ",Standart"))
    edit(place / "simulated_earlier_adtte.csv", ("AVALU", "UNIT"))
    code, out, err = run("check", place)
    assert (code, out) == (2, "")
    assert "evidence.contrast.New: " in err
    assert "no-such-fact" in err
    assert "arm 'Standard' (control) has no patient (did you mean 'Standart'?)" in err
    assert "evidence.trial 'Earlier trial'" in err
    assert "column 'AVALU' is missing" in err


def test_a_problem_is_named_once(folder):
    edit(folder / "simulated_adtte.csv", ("AVALU", "UNIT"))
    with pytest.raises(DataError) as refused:
        checked_inputs(folder)
    assert str(refused.value).count("AVALU") == 1
    with pytest.raises(DataError) as alone:
        read_inputs(folder)
    assert str(refused.value) == str(alone.value)


def test_slips_of_a_specification_are_all_named(folder, run):
    edit(folder / "spec.toml", ("[prediction]", "[predicton]"), ("alpha = 0.025", "alpha = 0.6"))
    code, _, err = run("check", folder)
    assert code == 2
    assert "key 'predicton' is not known (did you mean 'prediction'?)" in err
    assert "success.alpha must be above 0 and below 0.5" in err


def test_a_log_that_was_edited_is_refused(folder):
    freeze(folder)
    edit(log_of(folder / "spec.toml"), ("frozen", "thawed"))
    with pytest.raises(SmmBayesError, match="log"):
        checked_inputs(folder)


def test_an_unknown_command_is_answered_with_the_nearest(run):
    code, _, err = run("chekc", "x")
    assert code == 2
    assert "Did you mean 'check'?" in err


# ---- how it is called

@pytest.mark.parametrize("arguments", [["check", "{folder}"], ["check", "{folder}", "--json"], ["keys"], ["keys", "--help"]])
def test_nothing_heavy_is_imported(folder, arguments):
    code = ("import atexit, sys; atexit.register(lambda: print('MODULES', *sorted(sys.modules))); "
            "from smm_bayes.cli import main; main()")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, *(one.format(folder=folder) for one in arguments)],
                          capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert not set(done.stdout.splitlines()[-1].split()) & set(HEAVY)
