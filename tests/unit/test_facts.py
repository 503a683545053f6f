"""Published facts: the shipped tables, good and bad ones, quarantine, light imports, consistency, the command."""

import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
import pytest

from smm_bayes.cli import main
from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.evidence import TRUST, Fact, Facts, facts_schema, load_facts, load_trials
from smm_bayes.evidence import consistency as rules
from smm_bayes.evidence.vocabulary import COLUMNS, MEASURES, PRIMARY, UNITS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "data" / "evidence"
TABLES = sorted(path for path in FOLDER.glob("*.csv") if path.stem not in ("trials", "endpoints", "known_inconsistencies"))
NAMES = [column.name for column in COLUMNS]


def row(**changes):
    """A valid row of text, changed."""
    values = dict.fromkeys(NAMES, "")
    values |= dict(id="one-001", trial="ONE", arm="A_vs_B", endpoint="PFS", measure="hazard_ratio", value="0.5",
                   lower="0.25", upper="1", level="0.95", unit="ratio", n="100", events="40", trust="published",
                   source="a paper")  # fmt: skip
    return values | {name: str(value) for name, value in changes.items()}


def write(folder, *rows, name="facts.csv", header=NAMES):
    with open(folder / name, "w", newline="") as file:
        writer = csv.DictWriter(file, header, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return folder / name


def fact(**changes):
    """A valid fact, changed."""
    values = dict.fromkeys(NAMES)
    values |= dict(id="one-001", trial="ONE", arm="A_vs_B", endpoint="PFS", measure="hazard_ratio", value=0.5,
                   unit="ratio", cut="", trust="published", source="a paper", note="")  # fmt: skip
    return Fact(**(values | changes))


# ---- the shipped tables


@pytest.fixture(scope="module")
def facts():
    return load_facts()


def test_all_collected_numbers_are_there(facts):
    first, later = 490 - 3 - 1 + 2 + 23, 54 - 7 - 1 + 2 + 2
    assert len(facts) == first + later == 511 + 50
    assert facts.by_trust() == {"registry": 7, "published": 270, "secondary": 172, "derived": 36, "recalled": 44,
                                "quarantined": 32}  # fmt: skip
    described = (ROOT / "data/README.md").read_text()
    for trust, count in facts.by_trust().items():
        assert re.search(rf"^\| {trust} \|.*\| {count} \|$", described, re.MULTILINE)


def test_numbers_that_models_rest_on(facts):
    first = facts.one(trial="QuiRedex", endpoint="TTP", measure="hazard_ratio", cut="2013")
    assert (first.value, first.lower, first.upper, first.level, first.events) == (0.18, 0.09, 0.32, 0.95, 60)
    assert facts.one(trial="QuiRedex", endpoint="TTP", measure="hazard_ratio", cut="2016").value == 0.24
    milestone = facts.one(trial="E3A06", arm="Observation", endpoint="PFS", measure="survival_probability", time=36)
    assert (milestone.value, milestone.n) == (0.66, 90)
    assert facts.one(trial="QuiRedex", arm="Rd", cut="2013", measure="median_not_reached").value is None
    assert {fact.level for fact in facts.select(trial="CENTAURUS", cut="15.8mo", measure="event_rate")} == {0.8}
    pairs = facts.select(endpoint="MRD", measure="negative", sensitivity=1e-5, arm=("experimental", "control"))
    assert len(pairs) >= 24
    assert {fact.time for fact in pairs} == {None, 12}


def test_no_time_hides_in_a_word(facts):
    for fact in facts:
        assert not re.search(r"\d+mo|1e-\d|month", fact.measure + fact.endpoint), fact.id


def test_trials_with_several_cuts_say_which(facts):
    listed = {(trial.trial, trial.cut) for trial in load_trials()}
    assert listed - {(fact.trial, fact.cut) for fact in facts} == {("FDA_MRD_guidance", "")}  # it has no numbers
    assert {(fact.trial, fact.cut) for fact in facts} <= listed


def test_what_is_computed_is_derived(facts):
    """Sums, differences and inverses of printed numbers, and shares whose count was worked out from a percentage."""
    computed = ("less the", "inverse of", "printed as a risk reduction", "so is the share", "from the count", "who improved",
                "exclusive split", "progressions and", "PFS events less", "% alive", "person-years", "cycles of 28 days;",
                "of the 50 who")  # fmt: skip
    told = [fact for fact in facts if any(words in fact.note for words in computed) and fact.time != 8.3]
    assert len(told) >= 30
    assert {fact.trust for fact in told} == {"derived"}
    for name in ("quiredex-026", "quiredex-029", "quiredex-050"):
        assert facts.require([name])[0].trust == "derived"
    worked_out = [fact for fact in facts if "the count is derived" in fact.note and fact.unit == "fraction" and fact.value]
    printed = [fact for fact in worked_out if fact.trust != "derived"]
    assert all(round(fact.value, 3) == fact.value for fact in printed)  # a print; four decimals are count over patients
    assert PRIMARY == "derived"
    assert TRUST.index("secondary") < TRUST.index(PRIMARY) < TRUST.index("recalled")


def test_schema_accepts_the_shipped_tables(facts):
    schema = facts_schema()
    schema.validate(facts.table(), lazy=True)
    for path in TABLES:
        schema.validate(pd.read_csv(path, keep_default_na=False, na_values=[""]), lazy=True)


# ---- good and bad tables: name, rows, words of the refusal (None: it is good); whether one row alone can show it

CASES = [
    ("as it is", [row()], None),
    ("no interval", [row(lower="", upper="", level="")], None),
    ("one limit", [row(upper="")], None),
    ("a range", [row(measure="median_follow_up", endpoint="design", unit="months", value=40, lower=27, upper=57,
                     level="", events="")], None),
    ("not reached", [row(measure="median_not_reached", value="", lower="", upper="", level="", unit="months")], None),
    ("no events", [row(measure="events", unit="patients", value=0, lower="", upper="", level="", events=0)], None),
    ("count", [row(measure="infection_grade_3", endpoint="toxicity", unit="patients", value=4, lower="", upper="",
                   level="", events=4)], None),
    ("slope", [row(measure="slope_log_hr_on_log_or", endpoint="MRD_to_PFS", unit="slope", value=-0.36, lower=-0.56,
                   upper=-0.17)], None),
    ("trust", [row(trust="hearsay")], "column 'trust', row 2: unknown word 'hearsay'"),
    ("endpoint", [row(endpoint="PSF")], "did you mean PFS"),
    ("measure", [row(measure="hazard ratio")], "did you mean hazard_ratio"),
    ("unit", [row(unit="percent")], "column 'unit', row 2"),
    ("unit of another measure", [row(unit="months")], "hazard_ratio in months; give it in ratio"),
    ("no number", [row(value="about 0.5")], "column 'value', row 2: not a finite number (found 'about 0.5')"),
    ("infinite", [row(upper="inf")], "column 'upper', row 2: not a finite number"),
    ("no value", [row(value="")], "column 'value', row 2: no value; give the number, or use median_not_reached"),
    ("value of a median not reached", [row(measure="median_not_reached", unit="months", value=9, lower="", upper="",
                                           level="")], "median_not_reached has a value"),
    ("probability", [row(measure="survival_probability", unit="probability", value=77, time=36, lower="", upper="",
                         level="")], "77 is not in [0, 1], as a probability has to be"),
    ("ratio of zero", [row(value=0, lower="", upper="", level="")], "0 is not above 0"),
    ("milestone without time", [row(measure="survival_probability", unit="probability")], "without a time"),
    ("negative time", [row(time=-1)], "column 'time', row 2: -1 is not 0 or more"),
    ("value below", [row(value=0.2)], "lower 0.25 is above value 0.2"),
    ("value above", [row(value=1.2)], "value 1.2 is above upper 1"),
    ("limits", [row(lower=2, value=2, upper=1)], "lower 2 is above upper 1"),
    ("events", [row(events=101)], "events 101 is above n 100"),
    ("part of a patient", [row(events=4.5)], "4.5 is not a whole number"),
    ("nobody", [row(n=0, events=0)], "column 'n', row 2: 0 is not above 0"),
    ("two counts", [row(measure="events", unit="patients", value=39, lower="", upper="", level="")],
     "differs from the count in value"),
    ("level", [row(level=95)], "95 is not in (0, 1)"),
    ("level alone", [row(lower="", upper="")], "a level without an interval"),
    ("sensitivity", [row(sensitivity=5)], "5 is not in (0, 1)"),
    ("no source", [row(source="")], "column 'source', row 2: no value; give where it is printed"),
    ("no trial", [row(trial="")], "column 'trial', row 2: no value"),
    ("id", [row(id="One 1")], "not a name of this form"),
    ("twice", [row(), row()], "id 'one-001' is in facts.csv row 2 and facts.csv row 3"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_light_check_and_schema_agree(tmp_path, rows, words):
    path = write(tmp_path, *rows)
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    if words is None:
        assert len(load_facts(tmp_path)) == len(rows)
        facts_schema().validate(frame, lazy=True)
        return
    with pytest.raises(DataError) as caught:
        load_facts(tmp_path)
    assert words in str(caught.value)
    assert "facts.csv" in str(caught.value)
    with pytest.raises(pa.errors.SchemaErrors):
        facts_schema().validate(frame, lazy=True)


def test_every_problem_of_every_file_is_named_at_once(tmp_path):
    write(tmp_path, row(trust="x", value="?"), row(id="one-002", events=500), name="a.csv")
    write(tmp_path, row(source=""), name="b.csv")
    write(tmp_path, row(id="one-003"), name="c.csv", header=[*NAMES[:-1], "remark"])
    (tmp_path / "d.csv").write_bytes(b"id;trial\n1;2\n")
    with pytest.raises(DataError) as caught:
        load_facts(tmp_path)
    for words in ("a.csv", "'trust', row 2", "'value', row 2", "'events', row 3", "b.csv", "'source', row 2", "c.csv",
                  "'note' is missing", "'remark' is not one", "d.csv"):  # fmt: skip
        assert words in str(caught.value)


def test_rules_between_tables(tmp_path):
    write(tmp_path, row(cut="first"), name="a.csv")
    write(tmp_path, row(), row(id="one-002"), name="b.csv")
    (tmp_path / "trials.csv").write_bytes((FOLDER / "trials.csv").read_bytes())
    with pytest.raises(DataError) as caught:
        load_facts(tmp_path)
    for words in ("id 'one-001' is in a.csv row 2 and b.csv row 2", "b.csv row 2: column 'cut' is empty but ONE has",
                  "'ONE' with cut 'first' is not in trials.csv"):  # fmt: skip
        assert words in str(caught.value)


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(SpecificationError, match="no evidence tables"):
        load_facts(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("accrual_start", "2020-13-01", "not a date"), ("design", "random", "unknown word"), ("source", "", "no value")],
)
def test_bad_trials_table(tmp_path, column, value, words):
    with open(FOLDER / "trials.csv", newline="") as file:
        first, *rest = csv.DictReader(file)
    write(tmp_path, {**first, column: value}, *rest, name="trials.csv", header=list(first))
    with pytest.raises(DataError) as caught:
        load_trials(tmp_path)
    assert f"column '{column}', row 2" in str(caught.value)
    assert words in str(caught.value)


def test_a_fact_is_valid_from_birth():
    with pytest.raises(DataError, match="2 problems"):
        fact(trust="hearsay", value=-1.0)


# ---- choosing


def test_select_takes_values_tuples_and_lowest_trust():
    held = Facts((fact(), fact(id="two", trial="TWO", trust="recalled"), fact(id="three", time=12.0, cut="late")))
    assert [f.id for f in held.select(trial=("ONE", "TWO"), trust="derived")] == ["one-001", "three"]
    assert [f.id for f in held.select(time=(12, 24))] == ["three"]
    assert [f.id for f in held.select(cut="")] == ["one-001", "two"]
    assert [f.id for f in held.require(["three", "two"])] == ["three", "two"]
    assert (held.trials, held.sources) == (("ONE", "TWO"), ("a paper",))
    assert held[1].id == "two"
    assert isinstance(held[:2], Facts)


@pytest.mark.parametrize(
    ("choose", "words"),
    [
        (lambda held: held.one(trial="ONE"), "found 2: one-001, three"),
        (lambda held: held.one(trial="NONE"), "found none"),
        (lambda held: held.require(["four", "two", "five"]), "no fact four, five"),
        (lambda held: held.select(endpoint="PSF"), "did you mean PFS"),
        (lambda held: held.select(measure="hr"), "no measure 'hr'"),
        (lambda held: held.select(trust="high"), "no trust 'high'"),
    ],
)
def test_choosing_amiss_is_refused(choose, words):
    with pytest.raises(SpecificationError, match=re.escape(words)):
        choose(Facts((fact(), fact(id="two", trial="TWO"), fact(id="three"))))


def test_the_same_id_twice_is_refused():
    with pytest.raises(DataError, match="appears 2 times"):
        Facts((fact(), fact()))


# ---- quarantine


def test_quarantined_facts_are_shown_but_given_to_no_model(facts):
    held = facts.quarantined()
    assert len(held) == 32
    trial = held.trials[0]
    assert any(fact.trust == "quarantined" for fact in facts)
    assert len(facts.usable()) == len(facts) - 32
    assert not facts.select(endpoint="PFS", trust="quarantined").quarantined()
    for refused in (
        lambda: facts.select(trial=trial),
        lambda: facts.select(trial=(trial, "AQUILA"), trust="quarantined"),
        lambda: facts.one(trial=trial, measure="hazard_ratio"),
        lambda: facts.require([held[0].id]),
    ):
        with pytest.raises(SpecificationError, match="quarantined, so for no model"):
            refused()


def test_quarantined_facts_enter_when_named_with_a_reason(facts):
    held = facts.quarantined()
    trial, other = held.trials[0], next(fact for fact in held if fact.trial != held.trials[0])
    named = load_facts(quarantined={trial: "a scenario", other.id: "a scenario"})
    assert len(named.usable()) == len(facts.usable()) + sum(fact.trial == trial for fact in held) + 1
    assert named.select(trial=trial).usable() == named.select(trial=trial)
    assert named.require([other.id])[0] == other
    assert "admitted from quarantine" in repr(named)


@pytest.mark.parametrize(
    ("named", "words"),
    [({"DART-SMM": " "}, "has no reason"), ({"AQUILA": "wanted"}, "'AQUILA' is not quarantined")],
)
def test_naming_amiss_is_refused(named, words):
    with pytest.raises(SpecificationError, match=re.escape(words)):
        load_facts(quarantined=named)


# ---- showing


def test_facts_print_what_they_hold(facts):
    assert repr(facts).startswith("561 facts of 57 trials: 7 registry, 270 published")
    one = facts.select(trial="QuiRedex", endpoint="TTP", measure="hazard_ratio", cut="2013")
    assert "0.18 (95 %: 0.09 to 0.32)" in repr(one)
    assert "<td>0.18 (95 %: 0.09 to 0.32)</td>" in one._repr_html_()
    assert list(one.table().columns) == NAMES


def test_loading_imports_nothing_heavy():
    code = (
        "import sys; from smm_bayes.evidence import load_facts; from smm_bayes.evidence.consistency import check; "
        "check(load_facts().select(trust='published')); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    heavy = {"pandas", "pandera", "xarray", "pymc", "pytensor", "scipy", "numba", "arviz", "matplotlib", "pydantic"}
    assert not heavy & set(done.stdout.split())


# ---- consistency: a rule, facts that keep it, facts that break it

ONE = dict(measure="hazard_ratio", value=0.5, lower=0.305, upper=0.82, level=0.95)
COUNT = dict(measure="events", unit="patients", n=100)
SURVIVES = dict(measure="survival_probability", unit="probability", arm="A")
MEDIAN = dict(measure="median_time", unit="months", arm="A")
SHARE = dict(endpoint="response", unit="fraction", arm="A")
ARMS = [fact(id="a", arm="A", value=20, events=20, **COUNT), fact(id="b", arm="B", value=40, events=40, **COUNT)]
PARTS = [
    fact(id=name.lower().replace("_", "-"), measure=name, value=value, **SHARE)
    for name, value in (("sCR", 0.1), ("CR_only", 0.2), ("VGPR_only", 0.3), ("PR_only", 0.2))
]
CONSISTENCY = [
    ("fraction", [fact(measure="fraction", unit="fraction", value=0.23, n=57, events=13)],
     [fact(measure="fraction", unit="fraction", value=0.24, n=57, events=13)]),
    ("standard_error", [fact(**{**ONE, "lower": 0.29, "upper": 0.86}), *ARMS],
     [fact(**{**ONE, "lower": 0.4, "upper": 0.625}), *ARMS]),
    ("standard_error", [fact(**ONE, events=60)], [fact(**{**ONE, "lower": 0.45, "upper": 0.55}, events=60)]),
    ("centre", [fact(**ONE)], [fact(**{**ONE, "upper": 1.2})]),
    ("monotone", [fact(id="a", time=12.0, value=0.9, **SURVIVES), fact(id="b", time=24.0, value=0.8, **SURVIVES)],
     [fact(id="a", time=12.0, value=0.8, **SURVIVES), fact(id="b", time=24.0, value=0.9, **SURVIVES)]),
    ("monotone", [fact(id="a", time=12.0, value=0.9, **SURVIVES, cut="early"),
                  fact(id="b", time=24.0, value=0.95, **SURVIVES, cut="late")],
     [fact(id="a", time=12.0, value=0.9, **SURVIVES),
      fact(id="b", time=24.0, value=0.05, **{**SURVIVES, "measure": "cumulative_incidence"})]),
    ("median", [fact(id="a", time=36.0, value=0.3, **SURVIVES), fact(id="b", value=21.0, **MEDIAN)],
     [fact(id="a", time=36.0, value=0.6, **SURVIVES), fact(id="b", value=21.0, **MEDIAN)]),
    ("median", [fact(id="a", time=36.0, value=0.77, **SURVIVES),
                fact(id="b", value=None, **{**MEDIAN, "measure": "median_not_reached"})],
     [fact(id="a", time=36.0, value=0.4, **SURVIVES),
      fact(id="b", value=None, **{**MEDIAN, "measure": "median_not_reached"})]),
    ("conflict", [fact(id="a", cut="1"), fact(id="b", value=0.6, cut="2")], [fact(id="a"), fact(id="b", value=0.6)]),
    ("conflict", [fact(id="a", **ONE), fact(id="b", **{**ONE, "value": 0.504})],
     [fact(id="a", **ONE), fact(id="b", **{**ONE, "upper": 0.9})]),
    ("conflict", [fact(id="a", time=12.0, value=0.9, cut="1", **SURVIVES)],
     [fact(id="a", time=12.0, value=0.9, cut="1", **SURVIVES), fact(id="b", time=12.0, value=0.8, cut="2", **SURVIVES)]),
    ("total", [*PARTS, fact(id="all", measure="PR_or_better", value=0.8, **SHARE)],
     [*PARTS, fact(id="all", measure="PR_or_better", value=0.9, **SHARE)]),
    ("total", [*PARTS, fact(id="sd", measure="SD", value=0.2, **SHARE)],
     [*PARTS, fact(id="sd", measure="SD", value=0.1, **SHARE)]),
    ("total", [fact(id="a", endpoint="PFS", value=15, events=15, **COUNT, arm="A"),
               fact(id="b", endpoint="TTP", value=13, events=13, **COUNT, arm="A"),
               fact(id="c", endpoint="OS", value=2, events=2, arm="A", n=100, unit="patients",
                    measure="deaths_without_progression")],
     [fact(id="a", endpoint="PFS", value=15, events=15, **COUNT, arm="A"),
      fact(id="b", endpoint="TTP", value=14, events=14, **COUNT, arm="A"),
      fact(id="c", endpoint="OS", value=2, events=2, arm="A", n=100, unit="patients",
           measure="deaths_without_progression")]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "good", "bad"), CONSISTENCY, ids=[case[0] for case in CONSISTENCY])
def test_each_rule_finds_what_breaks_it(rule, good, bad):
    assert rules.check(Facts(tuple(good))) == ()
    found = rules.check(Facts(tuple(bad)))
    assert [finding.rule for finding in found] == [rule]
    assert set(found[0].ids) <= {fact.id for fact in bad}
    assert str(found[0]).startswith(rule)


def test_more_events_than_patients_cannot_be_a_fact_at_all():
    with pytest.raises(DataError, match="above n"):
        fact(events=3, n=2)
    assert rules.check(Facts((fact(n=2, events=2),))) == ()


def test_known_inconsistencies_are_those_the_rules_find(facts):
    found = {(finding.rule, finding.ids) for finding in rules.check(facts, load_trials())}
    known = rules.known_inconsistencies()
    assert {(one.rule, one.ids) for one in known} == found
    assert len(known) == len(found) == 42


def test_what_is_set_aside_or_contradicted_is_explained(facts):
    explained = {name for one in rules.known_inconsistencies() for name in one.ids}
    for fact in facts:
        if rules.CONTRADICTION.search(fact.note):
            assert fact.id in explained, f"{fact}: {fact.note}"
    for trial in load_trials():
        if rules.CONTRADICTION.search(trial.note):
            assert trial.trial in explained, f"{trial.trial}: {trial.note}"
    words = {one.ids: one.explanation for one in rules.known_inconsistencies()}
    assert "61 of 63 observed patients" in words[("quiredex-127",)]
    assert "15 cycles with a range to 41" in words[("quiredex-155",)]
    assert "g/dL where g/L is meant" in words[("QuiRedex",)]
    assert "g/dL where g/L is meant" in load_trials()[0].note
    assert "two data cuts" in words[("GMMG-HD7",)]


@pytest.mark.parametrize("note", ["cannot be squared with it", "set aside", "implausible", "0.65 elsewhere"])
def test_a_contradiction_that_nobody_explained_is_found(note):
    (found,) = rules.check(Facts((fact(note=note),)))
    assert (found.rule, found.ids, found.words) == ("noted", ("one-001",), note)
    clash = rules.check(Facts((fact(note=note), fact(id="b", value=0.6))))
    assert [one.rule for one in clash] == ["conflict"]  # one finding says it already
    trial = replace(load_trials()[0], note=note)
    assert [(one.rule, one.ids) for one in rules.check(Facts(()), [trial])] == [("source", (trial.trial,))]


def test_known_inconsistencies_are_shown_in_the_readme():
    shown = (ROOT / "data/README.md").read_text()
    for one in rules.known_inconsistencies():
        assert f"| {one.rule} | {' '.join(one.ids)} | {one.explanation} |" in shown


def test_published_results_agree_where_they_should(facts):
    """The hazard ratios of the main trials carry the standard errors of their events."""
    with_events = facts.select(measure="hazard_ratio", endpoint=("TTP", "PFS", "OS"), trust="recalled")
    checked = [fact for fact in with_events if rules._arms_with_events(fact, list(facts))]
    assert len(checked) >= 8
    assert not list(rules.standard_error(list(facts)))


# ---- the command


def command(capsys, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["smm-bayes", "evidence", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    printed = capsys.readouterr()
    return caught.value.code or 0, printed.out, printed.err


def test_command_counts_the_trials(capsys, monkeypatch, facts):
    code, out, _ = command(capsys, monkeypatch)
    assert code == 0
    assert len(out.splitlines()) == 1 + len(facts.trials)
    assert re.search(r"^QuiRedex +156 .* 2013, 2016, 2022$", out, re.MULTILINE)


def test_command_shows_a_trial_and_its_inconsistencies(capsys, monkeypatch):
    code, out, _ = command(capsys, monkeypatch, "e3a06", "--trust", "published")
    assert code == 0
    assert "0.28 (95 %: 0.12 to 0.62)" in out
    assert "recalled" not in out
    assert "Known inconsistencies:" in out
    assert "conflict (e3a06-005, e3a06-027)" in out


def test_command_speaks_json(capsys, monkeypatch, facts):
    _, out, _ = command(capsys, monkeypatch, "AQUILA", "--json")
    held = json.loads(out)
    assert len(held["facts"]) == sum(fact.trial == "AQUILA" for fact in facts)
    assert held["inconsistencies"][0]["rule"] == "conflict"
    _, out, _ = command(capsys, monkeypatch, "--json")
    assert sum(sum(trial["facts"].values()) for trial in json.loads(out)["trials"]) == len(facts)


@pytest.mark.parametrize(
    ("words", "said"),
    [(("NOSUCH",), "the trials are QuiRedex, E3A06"), (("--trust", "high"), "use one of registry, published")],
)
def test_command_refuses(capsys, monkeypatch, words, said):
    code, out, err = command(capsys, monkeypatch, *words)
    assert (code, out) == (2, "")
    assert said in err


def test_vocabulary_hangs_together():
    assert all(unit in UNITS for units in MEASURES.values() for unit in units)
    assert TRUST[0] == "registry"
    assert TRUST[-1] == "quarantined"
