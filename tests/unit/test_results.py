"""One protocol of results: whatever a user gets back answers with a table, a sentence and HTML, and draws itself."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import smm_bayes as smm
from smm_bayes.borrowing import HalfNormal, exchangeable_nonexchangeable
from smm_bayes.results import MOST, Result
from smm_bayes.surrogacy import AcrossTrials, Relation, Transport, Transported, TrialPairs, leave_one_out, summarise
from smm_bayes.surrogacy.visits.compare_rates import RateComparison
from smm_bayes.survival import exact_fit
from smm_bayes.trial import CoxRatio, cox_ratio

mpl.use("Agg")

PACKAGE = Path(smm.__file__).parent
ROOMS = ("trial", "survival", "inference", "priors", "priors.mixtures", "borrowing", "surrogacy", "prediction", "design",
         "response.exact", "evidence", "analysis")  # fmt: skip
# what goes into an analysis, by what it is: it has words of its own and nothing to tabulate
INGREDIENTS = {
    "prior": """AcrossPriors BaselinePrior BetaPower BetweenTrials Contrast CovariatePrior CurePriors CuredPrior
        EffectPrior Fixed GammaHazards GammaPrior GlobalOddsPriors GlobalOddsRatioPrior HalfCauchy HalfNormal
        HalfStudentT HazardRatioPrior InteractionPrior JointPriors LateHazardPrior LatentPriors LogNormal
        MrdOddsRatioPrior NegativeOddsRatioPrior Normal NormalisedPowerPrior OddsRatioPrior PersistencePrior PowerPrior
        RatioPrior RegressionPriors SDPrior ShareOfPatients SharePrior SmoothnessPrior SpreadPrior StatusPriors SurvivalPriors
        TrialsPriors Uniform""",
    "part of a model": """AssayError Commensurate Constant Exchangeable Fading Layer Lost Power Proportional Robust
        Separate Transport Varying Waning ConditionalDensity JointShape Profiles""",
    "model": "Cure Model OneTrial Regression Visits WithEarlierTrials",
    "law of times": "JointLaw Law PiecewiseExponential SurvivalCurve",
    "data": """ArmHistory Baskets Cohort CureTable Endpoint EvidenceSource Fact FinalData FoundAtVisits
        GlobalOddsTable HazardHistory HistoricalRows JointTable Landmark MetaAnalysis MrdAssessments MrdSchedule
        MrdStatus PatternTable PublishedRegression RegisteredEndpoint ResponseHistory TimeGrid Trial TrialPair Trials
        VisitSchedule VisitTable""",
    "row of a table": "Conflict Extrapolation MrdRate",
    "specification": "AnalysisSpec Declaration ForecastSection HistorySection TrialDesign",
    "plan": """Accrual Enrolment EventCount FinalAnalysis Future HazardRatioProbability LogRank Spending SuccessRule Criterion
        OneSampleRule TwoSampleRule""",
    "computation": "CountUpdates Draws FitProgress Nodes Quadrature",
}  # fmt: skip
# in rooms that are being rebuilt, and in modules whose mutants are counted: each is to answer, and then to leave
AWAITED = {
    "Answer", "AverageHazardRatio", "BinaryArm", "ConditionalPowerSpread", "CountPredictive", "Crossing",
    "GroupSequential", "SequentialResult", "Courses", "Decision", "Difference", "EventTable", "Interim",
    "InterimInputs", "LogRatioPrior", "Method", "MultivariateNormalMixture", "NormalArm", "OneSampleDesign", "Patients",
    "PoissonArm", "Posteriors", "Prediction", "RatioPosterior", "Reweighted", "SuccessRegion", "TrialEffects",
    "TwoArmDesign", "TwoArmTrials", "TwoSampleDesign",
}  # fmt: skip
PARTS = {  # that share their name with a result: how trials relate, and a forecast that is scored
    "smm_bayes.borrowing.trials.relations.Relation", "smm_bayes.analysis.scores.Forecast",
}  # fmt: skip
FORMER = ("to_frame", "words", "describe", "sentence")


def classes():
    """Every public class of the package, by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(("smm_bayes", *path.relative_to(PACKAGE).with_suffix("").parts))
        if "validation" in path.parts or path.name == "__init__.py":
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(module)
    return found


def functions(thing):
    """A function, or what a class offers."""
    if inspect.isfunction(thing):
        return [thing]
    offered = [inspect.getattr_static(thing, name) for name in dir(thing) if not name.startswith("_")]
    for wrapper in ("__func__", "fget", "func"):
        offered = [getattr(one, wrapper, one) for one in offered]
    return [one for one in offered if inspect.isfunction(one)]


def public():
    """Names and things that the face and the rooms offer."""
    modules = [smm, *(importlib.import_module(f"smm_bayes.{room}") for room in ROOMS)]
    named = {name: getattr(module, name, None) for module in modules for name in module.__all__}
    return {name: thing for name, thing in named.items() if inspect.isfunction(thing) or inspect.isclass(thing)}


def given_back(known):
    """Names of the classes that users meet: public ones, and what public functions and methods give back."""
    offered = public()
    found = {name for name, thing in offered.items() if inspect.isclass(thing)}
    for thing in offered.values():
        for function in functions(thing):
            found |= set(re.findall(r"\w+", str(function.__annotations__.get("return", ""))))
    return {name for name in found & set(known) if known[name] != ["smm_bayes.errors"]}


def lacking(kind):
    """What a class lacks of the protocol."""
    found = [name for name in ("table", "summary", "_repr_html_") if not callable(getattr(kind, name, None))]
    for name, wanted in (("table", "DataFrame"), ("summary", "str")):
        method = getattr(kind, name, None)
        if not callable(method):
            continue
        parameters = list(inspect.signature(method).parameters.values())[1:]
        if any(one.default is one.empty for one in parameters):
            found.append(f"{name} without arguments")
        if wanted not in str(method.__annotations__.get("return")).split("."):
            found.append(f"{name} that gives {wanted}")
    if hasattr(kind, "plot") and list(inspect.signature(kind.plot).parameters)[:2] != ["self", "ax"]:
        found.append("plot(ax=None)")
    return found + [f"not {name}" for name in FORMER if hasattr(kind, name)]


KNOWN = classes()
MET = given_back(KNOWN)
EXEMPT = {name for names in INGREDIENTS.values() for name in names.split()}


def kinds_of(name):
    """Classes of a name: several rooms may have one."""
    return [getattr(importlib.import_module(module), name) for module in KNOWN[name]]


@pytest.mark.parametrize("name", sorted(MET - EXEMPT - AWAITED))
def test_a_result_answers(name):
    for kind in kinds_of(name):
        if f"{kind.__module__}.{name}" not in PARTS:
            assert not lacking(kind), f"{kind.__module__}.{name}"


def test_results_that_are_awaited_are_not_there_yet():
    assert MET >= EXEMPT
    assert not [name for name in AWAITED & MET for kind in kinds_of(name) if not lacking(kind)]


def test_a_type_that_does_not_answer_is_seen():
    """Planted: a result without a sentence, one whose table needs an argument, one with a former name."""

    class Silent(Result):
        def table(self) -> "pd.DataFrame":
            return pd.DataFrame()

    class Asking(Silent):
        def table(self, what) -> "pd.DataFrame":
            return pd.DataFrame()

        def summary(self) -> "str":
            return ""

    class Former(Asking):
        def table(self) -> "pd.DataFrame":
            return pd.DataFrame()

        def to_frame(self) -> "pd.DataFrame":
            return pd.DataFrame()

    assert lacking(Silent) == ["summary"]
    assert lacking(Asking) == ["table without arguments"]
    assert lacking(Former) == ["not to_frame"]
    assert "Planted" not in MET
    assert "Planted" in given_back_with("Planted")


def given_back_with(*planted):
    """Names that users would meet, did a room offer these classes too."""
    room = importlib.import_module("smm_bayes.survival")
    try:
        for name in planted:
            setattr(room, name, type(name, (), {}))
            room.__all__.append(name)
        return given_back({**KNOWN, **{name: ["planted"] for name in planted}})
    finally:
        for name in planted:
            delattr(room, name)
            room.__all__.remove(name)


# --- results themselves -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results():
    """One result of most kinds, without a compiled model."""
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"patient": range(60), "arm": ["old", "new"] * 30, "time": rng.exponential(20, 60) + 0.1,
                         "event": rng.uniform(size=60) < 0.6})  # fmt: skip
    patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"}, unit="month")
    model = smm.OneTrial.of(patients, smm.TimeGrid((6, 12, 24)), smm.GammaPrior(0.5, 50))
    posterior = exact_fit(model, seed=1)
    checked = smm.check_fit(posterior, rng=1, draws=50)
    rates = smm.meta_analytic_predictive(responders=[23, 12, 19], patients=[107, 44, 51])
    odds, hazard = np.log([1.5, 2.0, 3.0, 4.0]), np.log([0.9, 0.7, 0.6, 0.5])
    pairs = TrialPairs.from_arrays(odds, [0.3] * 4, hazard, [0.15] * 4)
    across = AcrossTrials(pairs)
    relation = Relation.from_pairs(across, 200, rng=rng)
    return [
        posterior, posterior.convergence, smm.Estimands.of(posterior), checked, checked.predictive,
        checked.loo, smm.compare({"one": posterior, "again": posterior}), smm.kaplan_meier(patients),
        cox_ratio(patients.time, patients.event, patients.arm == 1), rates, rates.between_trial_sd, rates.to_mixture(2),
        exchangeable_nonexchangeable([3, 5], [20, 20], sd_prior=HalfNormal(0.5)), pairs, across, relation,
        across.predict(0.5), leave_one_out(across), summarise(across, 200, rng=rng),
        Transported.of(relation, Transport.identity(), rng=rng), RateComparison.of((5, 20), (3, 20)),
        smm.load_facts(),
    ]  # fmt: skip


def test_tables_sentences_and_pages(results):
    assert len({type(one) for one in results}) == len(results)
    for one in results:
        table, said, page = one.table(), one.summary(), one._repr_html_()
        assert isinstance(table, pd.DataFrame), type(one)
        assert len(table), type(one)
        assert isinstance(said, str), type(one)
        assert len(said) > 10, type(one)
        assert "object at 0x" not in said, type(one)
        assert page.startswith("<"), type(one)


def test_pictures(results):
    from matplotlib import pyplot as plt

    drawn = 0
    for one in results:
        if hasattr(one, "plot"):
            ax = plt.subplots()[1]
            assert one.plot(ax) is ax, type(one)
            assert one.plot() is not ax
            drawn += 1
            plt.close("all")
    assert drawn > 12


def test_credible_mass_is_called_probability(results):
    """Wherever an interval's mass can be chosen, a larger one gives a wider interval."""
    chosen = [one for one in results if "probability" in inspect.signature(one.table).parameters]
    assert len(chosen) > 6
    for one in chosen:
        if isinstance(one, smm.Fit | CoxRatio):
            continue
        narrow, wide = one.table(probability=0.5), one.table(probability=0.9)
        width = [(found["upper"] - found["lower"]).replace(np.inf, 0).sum() for found in (narrow, wide)]
        assert width[0] < width[1], type(one)


def test_long_tables_are_not_shown_whole():
    class Long(Result):
        def table(self):
            return pd.DataFrame({"x": range(MOST + 1)})

        def summary(self):
            return "one\n<two>"

    page = Long()._repr_html_()
    assert f"{MOST + 1} rows in table()" in page
    assert "&lt;two&gt;" in page
    assert page.count("<td>") == 0
