"""Names, titles and notes are text wherever they are shown: no markup, no formula, nothing from the web."""

import ast
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from smm_bayes import cli, markup
from smm_bayes.evidence.facts import Facts
from smm_bayes.inference.fitted import Fit
from smm_bayes.prediction.result import Prediction
from smm_bayes.priors.mixtures import GammaMixture
from smm_bayes.priors.mixtures.mixture import Mixture
from smm_bayes.progress import _State
from smm_bayes.reporting import plots
from smm_bayes.reporting.answer import Section, section
from smm_bayes.reporting.report import render
from smm_bayes.reporting.words import Rows
from smm_bayes.results import Result
from smm_bayes.surrogacy.across.pairs import TrialPairs
from smm_bayes.surrogacy.across.summary import AcrossSummary
from smm_bayes.survival import TimeGrid
from smm_bayes.survival.grid import EventTable
from smm_bayes.trial import Courses, Patients

PACKAGE = Path(cli.__file__).parent
HOSTILE = ("<script>alert(1)</script>", "<img src=http://x/y.png>", '"><svg onload=alert(1)>', "](http://evil)",
           "![](http://evil/p.png)", r"$\foo$ and $x^2$", "{{ 7*7 }} {% raw %}", "`code` ``", "one\ntwo", "' onclick='x")  # fmt: skip
EVERY = " ".join(HOSTILE)
TAGS = {"table", "caption", "tr", "th", "td", "p", "h3"}


class Seen(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]

    def handle_data(self, data):
        self.text.append(data)


def patients_of(name):
    time = np.array([3.0, 9.0, 14.0, 20.0])
    event = np.array([True, False, True, False])
    return Patients(
        patient=np.array([f"{name}{i}" for i in range(4)], dtype=object), arm=np.array([0, 1, 0, 1]), time=time, event=event,
        cause=np.where(event, 0, -1), censoring=np.where(event, "", "administrative").astype(object), enrolled=None,
        arms=("control", "experimental"), arm_names=(f"{name} a", f"{name} b"), causes=(name,), provenance="simulated", trial=name,
    )  # fmt: skip


def shown(kind, name):
    """A value of every kind that shows itself as HTML, each of its texts being ``name``."""
    rows = [(name, name)]
    frame = pd.DataFrame({name: [name]}, index=pd.Index([name], name=name))
    made = {
        Rows: lambda: Rows(rows)._repr_html_(),
        Section: lambda: section(name, name, Rows(rows), frame)._repr_html_(),
        Patients: lambda: patients_of(name)._repr_html_(),
        EventTable: lambda: TimeGrid((6, 12)).tabulate(patients_of(name))._repr_html_(),
        Courses: lambda: Courses._repr_html_(SimpleNamespace(trial=name, summary=lambda: rows)),
        Prediction: lambda: Prediction._repr_html_(SimpleNamespace(summary=lambda: rows)),
        TrialPairs: lambda: TrialPairs._repr_html_(SimpleNamespace(
            table=lambda: frame.assign(facts="", source=""), left_out=[(name, name)])),
        AcrossSummary: lambda: AcrossSummary._repr_html_(SimpleNamespace(summary=lambda: name, table=lambda: frame,
                                                                          probabilities=lambda: frame)),
        Mixture: lambda: type(name, (GammaMixture,), {"_summary": lambda _: name})([1.0], [2.0], [3.0])._repr_html_(),
        Facts: lambda: Facts._repr_html_(Listed(name)),
        Fit: lambda: Fit._repr_html_(SimpleNamespace(description={name: name}, summary=lambda: name, seed=1)),
        Result: lambda: Result._repr_html_(SimpleNamespace(summary=lambda: name, table=lambda: frame)),
        _State: lambda: told(name)._repr_html_(),
    }  # fmt: skip
    return made[kind]()


def told(name):
    """A bar that was told what is being done."""
    state = _State()
    state.told(1, 2, name, 0.0)
    return state


class Listed:
    """Facts, all of whose words are one name."""

    def __init__(self, name):
        columns = ("id", "trial", "arm", "endpoint", "measure", "time", "n", "events", "cut", "trust")
        fact = SimpleNamespace(**dict.fromkeys(columns, name), value=1.0, interval=lambda: name)
        self.name, self.items = name, [fact]

    def summary(self):
        return self.name.replace("\n", " ")


KINDS = (Rows, Section, Patients, EventTable, Courses, Prediction, TrialPairs, AcrossSummary, Mixture, Facts, Fit,
         Result, _State)  # fmt: skip


def test_every_class_that_shows_itself_is_here():
    defined = {
        node.name for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(one, ast.FunctionDef) and one.name.startswith("_repr_") for one in node.body)
    }  # fmt: skip
    assert defined == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_notebook_shows_is_text(kind, name):
    seen = Seen(shown(kind, name))
    tags, attributes = ({"div", "progress"}, {"value", "max"}) if kind is _State else (set(), set())
    assert set(seen.tags) <= TAGS | tags
    assert {attribute for _, attribute, _ in seen.attributes} <= {"class"} | attributes
    assert name.replace("\n", " ") in "".join(seen.text).replace("\n", " ")


def test_frames_are_shown_whole():
    wide = pd.DataFrame([["x" * 300] * 60] * 90)
    page = markup.frame(wide)
    assert page.count("x" * 300) == 90 * 60
    assert "..." not in page
    assert 'tex2jax_ignore wide"' in page
    assert "wide" not in markup.frame(wide.iloc[:, :4])


@pytest.mark.parametrize("name", HOSTILE)
def test_names_in_figures_are_no_formulas(name):
    patients = patients_of(name)
    hazard = {"axes that were given": plt.subplots()[1], "none": None}
    for ax in hazard.values():
        drawn = plots.plot_survival(patients, causes=(name,), ax=ax)
        drawn.figure.canvas.draw()  # a formula that cannot be read is found out here
        assert any(name.strip() in text.get_text() for text in drawn.findobj(mpl.text.Text))
    index = pd.MultiIndex.from_tuples([("control", name, "(0, inf)")], names=["arm", "cause", "interval"])
    events = pd.DataFrame({"observed": [1], "predicted": [1.0], "lower": [0.0], "upper": [3.0]}, index=index)
    plots.plot_events(events, name).figure.canvas.draw()
    plots.plot_probabilities(pd.DataFrame({"probability": [0.5], "mcse": [0.1]}, index=[name])).figure.canvas.draw()
    plt.close("all")


def test_every_figure_of_the_package_shows_text_as_it_is():
    for path in (PACKAGE / "reporting").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("plot_"):
                assert "literal" in {getattr(one, "id", "") for one in node.decorator_list}, f"{path.name}: {node.name}"


def test_figures_of_events_put_each_arm_at_its_intervals():
    """An arm without exposure in the first interval has no cell there."""
    index = pd.MultiIndex.from_tuples(
        [("control", "event", "(6, 12]"), ("experimental", "event", "(0, 6]"), ("experimental", "event", "(6, 12]")],
        names=["arm", "cause", "interval"],
    )
    check = pd.DataFrame({"observed": [5, 1, 2], "predicted": 2.0, "lower": 0.0, "upper": 6.0}, index=index)
    ax = plots.plot_events(check, "event")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["(0, 6]", "(6, 12]"]
    first, second = (line.get_xdata() for line in ax.lines)
    assert first.round().tolist() == [1]
    assert second.round().tolist() == [0, 1]
    plt.close("all")


# --- the page ---------------------------------------------------------------------------------------------------------


def judge(page):
    """Refuse a page that could run, load or send anything; give its text."""
    seen = Seen(page)
    assert not {"script", "iframe", "object", "embed", "form", "base", "svg", "link"} & set(seen.tags)
    for tag, name, value in seen.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in {"src", "href", "action", "data", "poster", "srcset"}:
            assert value.startswith(("data:image/png;base64,", "#")), (tag, name, value[:80])
    policy = [value for tag, name, value in seen.attributes if (tag, name) == ("meta", "content") and "default-src" in value]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]
    return "".join(seen.text)


def test_rendered_page_runs_and_loads_nothing(tmp_path):
    """What a report is made of, put into a notebook's outputs with figures, through the renderer."""
    import nbformat.v4 as nb

    cells = [nb.new_markdown_cell("# Interim analysis")]
    for kind in KINDS:
        data = {"text/html": shown(kind, EVERY), "text/plain": EVERY}
        cells.append(nb.new_code_cell("value", outputs=[nb.new_output("execute_result", data=data, execution_count=1)]))
    cells.append(nb.new_code_cell("print(name)", outputs=[nb.new_output("stream", text=EVERY)]))
    figure = nb.new_output("display_data", data={"image/png": "AAAA"}, metadata={"image/png": {"alt": EVERY}})
    cells.append(nb.new_code_cell("figure", outputs=[figure]))
    path = tmp_path / "report.ipynb"
    path.write_text(json.dumps(nb.new_notebook(cells=cells)))
    page = render(path)
    text = judge(page)
    assert text.count(EVERY) >= len(KINDS)
    assert ("img", "alt", EVERY) in Seen(page).attributes


@pytest.mark.skipif(not (shutil.which("chromium") and shutil.which("pdftotext")), reason="no browser to print with")
def test_printed_page_loses_no_column(tmp_path):
    import nbformat.v4 as nb

    words = [f"col{number}" for number in range(14)]
    wide = markup.frame(pd.DataFrame([[f"{word} is a long name" for word in words]] * 3, columns=words))
    data = {"text/html": wide, "text/plain": ""}
    output = nb.new_output("execute_result", data=data, execution_count=1)
    path = tmp_path / "report.ipynb"
    path.write_text(json.dumps(nb.new_notebook(cells=[nb.new_code_cell("table", outputs=[output])])))
    (tmp_path / "report.html").write_text(render(path))
    printed = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
               f"--print-to-pdf={tmp_path / 'page.pdf'}", (tmp_path / "report.html").as_uri()]  # fmt: skip
    subprocess.run(printed, check=True, capture_output=True, timeout=240)
    pages = ["pdftotext", "-bbox", tmp_path / "page.pdf", "-"]
    text = subprocess.run(pages, check=True, capture_output=True, text=True).stdout
    width = float(re.search(r'<page width="([\d.]+)"', text)[1])
    right = [float(edge) for edge in re.findall(r'xMax="([\d.]+)" yMax="[\d.]+">col\d+<', text)]
    assert len(right) == 4 * len(words)
    assert max(right) < width


SPEC = r"""
schema_version = 1
[trial]
name = '''{name}'''
title = '''{name} title'''
question = '''{name} question'''
[snapshot]
file = "adtte.csv"
parameter = "PFS"
provenance = "simulated"
[snapshot.arms]
control = '''{name}'''
experimental = '''$\foo$ {name}'''
[snapshot.causes]
'<svg onload=alert(1)>$\foo$' = ["Progression"]
"](http:evil)`" = ["Death"]
[model]
baseline = "gamma"
cuts = [6, 12]
[model.prior.gamma]
shape = 1.0
rate = 40.0
[final]
at = "events"
events = 60
cap = 2030-12-31
[success]
rule = "log_rank"
alpha = 0.05
[prediction]
replicates = 500
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The whole way from tables to a page, with names that nobody should have."""
    folder = tmp_path_factory.mktemp("names")
    name = " ".join(part for part in HOSTILE if "\n" not in part)
    (folder / "spec.toml").write_text(SPEC.replace("{name}", name))
    rng = np.random.default_rng(1)
    days, event = rng.integers(60, 900, 80), rng.uniform(size=80) < 0.5
    arm = np.where(np.arange(80) % 2, name, rf"$\foo$ {name}")
    table = pd.DataFrame({
        "STUDYID": name, "USUBJID": [f"<b>{i}</b>" for i in range(80)], "PARAMCD": "PFS", "AVAL": days, "AVALU": "DAY",
        "CNSR": (~event).astype(int), "STARTDT": "2020-01-01",
        "EVNTDESC": np.where(event, np.where(rng.uniform(size=80) < 0.7, "Progression", "Death"), "Study ongoing"),
        "CNSDTDSC": np.where(event, "", "DATA CUT-OFF"), "TRT01P": arm,
    })  # fmt: skip
    table.to_csv(folder / "adtte.csv", index=False)
    patch = pytest.MonkeyPatch()
    patch.setattr("sys.argv", ["smm-bayes", "interim", str(folder / "spec.toml"), "--out", str(folder / "out"), "--seed", "1"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    patch.undo()
    assert not ended.value.code
    return folder / "out", name


def test_report_of_hostile_names_is_text(finished):
    out, name = finished
    text = judge((out / "report.html").read_text())
    for said in (f"{name} title", f"{name} question", f"Patients of {name}", "<svg onload=alert(1)>$\\foo$", "](http:evil)`"):
        assert said in text
    notebook = json.loads((out / "report.ipynb").read_text())
    shown = [output["data"] for cell in notebook["cells"] for output in cell.get("outputs", []) if "data" in output]
    assert not any("text/markdown" in data or "application/javascript" in data for data in shown)
    pages = ["".join(data["text/html"]) for data in shown if "text/html" in data]
    assert len(pages) > 8
    for page in pages:
        assert set(Seen(page).tags) <= TAGS


def test_report_has_the_sections_that_apply_and_no_others(finished):
    text = judge((finished[0] / "report.html").read_text())
    for heading in ("What happened", "How much each earlier trial", "What was borrowed", "How much MRD", "relation across trials"):
        assert heading not in text
    assert "myeloma" not in text.replace("smm", "")
    assert "Limits" in text


def test_answer_stands_first_with_its_conditions(finished):
    out, _ = finished
    decision = json.loads((out / "decision.json").read_text())
    assert decision["fit_check"]["verdict"] in {"passed", "use with caution"}
    assert 0 < decision["mcse_within"] <= decision["mcse"]
    assert decision["assumptions"][0].startswith("No patient is assumed lost to follow-up from now on")
    text = judge((out / "report.html").read_text())
    for said in (html.unescape(decision["fit_check"]["sentence"]), decision["assumptions"][0], "converged: R-hat at most"):
        assert text.index(said) < text.index("Patients at the data cut")
