"""The ladder of sources and the relation across trials, in tables, lines and figures, of decisions made by hand."""

from functools import partial
from types import SimpleNamespace

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from smm_bayes.analysis.answers import Answer
from smm_bayes.analysis.decision import AnswerEntry, Decision, MrdResult, MrdShare, RelationResult, Tipping
from smm_bayes.analysis.mrd.result import _relation
from smm_bayes.prediction.reweighting import reweight
from smm_bayes.reporting.by_source import (
    answer_rows,
    answer_table,
    mrd_rows,
    plot_answers,
    plot_tipping_points,
    relation_rows,
    tipping_table,
)
from smm_bayes.surrogacy import ConditionalDensity, Relation, Transport, Transported
from smm_bayes.surrogacy.joint.factor import RelationFactor
from tests import grounds

GROUNDS = grounds.GROUNDS | {"probability_of_success": 0.5}
RATIO = {"median": 0.6, "lower": 0.3, "upper": 1.1}


def entry(name, probability, moved=None, error=None, **changes):
    found = {"name": name, "how": "added", "sources": ["this trial's events"], "probability": probability, "mcse": 0.01,
             "reference": None, "moved": moved, "mcse_moved": error, "primary": False}  # fmt: skip
    return AnswerEntry(**found | changes)


ADDED = [
    entry("this trial's events", 0.3), entry("with earlier trials", 0.4, 0.1, 0.012, reference="this trial's events"),
    entry("with patients' MRD", 0.5, 0.1, 0.008, reference="with earlier trials", primary=True),
]  # fmt: skip
LEFT_OUT = [entry("without patients' MRD", 0.4, 0.1, 0.02, how="left out", reference="with patients' MRD")]

TIPPING = [Tipping(scale=None, shift=None, extra_sd=None, probability=0.42, mcse=0.01, reliable=True)] + [
    Tipping(scale=scale, shift=shift, extra_sd=extra, probability=0.45 + 0.1 * scale - 0.3 * shift - 0.1 * extra, mcse=0.01,
            reliable=extra > 0)
    for extra in (0.0, 0.4) for shift in (-0.2, 0.0) for scale in (0.0, 1.0)
]  # fmt: skip


def related(**changes):
    found = {
        "relation": "relation from pairs: six", "trust": "recalled", "visit": 12, "horizon": 36,
        "transport": {"scale": "the slope is 0.7 times", "shift": "hazard ratios are 1 times"},
        "event_effect": RATIO, "event_effect_related": {"median": 0.55, "lower": 0.4, "upper": 0.8},
        "weight": 0.5, "posterior_weight": 0.525, "mcse_posterior_weight": 0.004,
        "predicted": {"median": 0.5, "lower": 0.2, "upper": 1.3}, "extrapolation": "EXTRAPOLATION: outside",
        "extrapolated": True, "pareto_k": 0.31, "effective_draws": 812.0, "threshold": 0.5, "tipping": TIPPING,
    }  # fmt: skip
    return RelationResult(**found | changes)


def made(relation=None, **changes):
    shares = [MrdShare(arm=arm, visit=visit, among_event_free=RATIO, of_all_randomised=RATIO)
              for visit in (6, 12) for arm in ("control", "experimental")]  # fmt: skip
    mrd = MrdResult(hazard_ratio={"progression": RATIO}, odds_ratio=[RATIO, RATIO], shares=shares, contraction={},
                    diagnostics=GROUNDS["diagnostics"], relation=relation)  # fmt: skip
    return Decision(**GROUNDS | {"answers": ADDED + LEFT_OUT, "mrd": mrd} | changes)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_table_has_a_row_a_source_added_and_one_a_source_left_out():
    table = answer_table(made())
    assert list(table.index) == [one.name for one in ADDED] + ["without patients' MRD"]
    assert table.loc["with earlier trials"].to_dict() == {"probability": 0.4, "mcse": 0.01, "moved": 0.1, "mcse_moved": 0.012, "primary": False}
    assert np.isnan(table["moved"].iloc[0])
    assert list(table.index[table["primary"]]) == ["with patients' MRD"]
    assert table.loc["without patients' MRD", "mcse_moved"] == 0.02


def test_lines_on_mrd():
    said = dict(mrd_rows(made()))
    assert said["hazard ratio of progression, MRD-negative over not"] == "0.60 (95 % 0.30 to 1.10)"
    assert "odds ratio at 12 months, event-free and negative of all randomised" in said
    assert said["MRD-negative at 6 months, control"].endswith("of all")
    assert "R-hat at most 1.000" in said["convergence"]


@pytest.mark.parametrize("relation", [related(), related(pareto_k=0.9), related(extrapolated=False, extrapolation="outside with probability 0.01")])
def test_no_number_of_the_relation_without_what_it_rests_on(relation):
    rows = relation_rows(made(relation))
    labels = [label for label, _ in rows]
    before = labels.index("predicted from the effect on MRD at 12 months")
    for needed in ("trust", "carried over: scale", "carried over: shift", "extrapolation", "weights"):
        assert labels.index(needed) < before
    said = dict(rows)
    assert said["extrapolation"] == relation.extrapolation
    assert f"Pareto k {relation.pareto_k:.2f}" in said["weights"]
    assert said["weights"].startswith("NOT RELIABLE") == (relation.pareto_k > 0.7)
    assert said["effect on the event at 36 months with it"] == "0.55 (95 % 0.40 to 0.80)"


def test_weights_whose_tail_was_not_seen_are_not_reliable():
    assert dict(relation_rows(made(related(pareto_k=float("nan")))))["weights"].startswith("NOT RELIABLE")


def test_a_relation_that_carries_nothing_over_says_so():
    rows = dict(relation_rows(made(related(predicted=None, transport={"transport": "is not used"}))))
    assert rows["predicted from the effect on MRD at 12 months"] == "nothing: the relation is not used"
    assert rows["carried over: transport"] == "is not used"


def test_rows_say_how_probable_the_relation_is():
    rows = dict(relation_rows(made(related())))
    assert rows["probability that it holds here"] == "0.5 before the data, 0.525 ± 0.004 after"
    assert "probability that it holds here" not in dict(relation_rows(made(related(weight=None))))


def test_figure():
    given = plt.subplots()[1]
    ax = plot_answers(made(related()), given)
    assert ax is given
    assert [label.get_text() for label in ax.get_yticklabels()] == list(answer_table(made()).index)
    title = ax.get_title(loc="left").replace("\n", " ")
    assert "Data: simulated" in title
    for needed in ("the slope is 0.7 times; hazard ratios are 1 times", "EXTRAPOLATION: outside", "Pareto k 0.31"):
        assert needed in title
    markers = [bar.lines[0].get_marker() for bar in ax.containers]
    assert markers == ["o", "o", "D", "o"]
    assert [bar.lines[0].get_xdata()[0] for bar in ax.containers] == [0.3, 0.4, 0.5, 0.4]
    (ends,) = ax.containers[0].lines[2][0].get_segments()
    assert ends[:, 0] == pytest.approx([0.28, 0.32])  # two Monte Carlo errors each way
    assert plot_answers(made()).get_title(loc="left").endswith("Data: simulated")  # no relation, no claim


def test_long_names_are_wrapped():
    long = entry("without patients' MRD (and surrogacy across trials, which needs it)", 0.4, 0.1, 0.02, how="left out")
    label = plot_answers(made(answers=[*ADDED, long])).get_yticklabels()[-1].get_text()
    assert label.replace("\n", " ") == long.name
    assert max(map(len, label.split("\n"))) <= 36


def test_without_mrd_there_is_nothing_to_say():
    nothing = Decision(**GROUNDS)
    assert answer_table(nothing) is mrd_rows(nothing) is relation_rows(nothing) is plot_answers(nothing) is None
    assert relation_rows(made()) is None


# what the decision says of the relation


def analysed(fit):
    """Analysis made by hand: effects are given, and moved by -1 in a fit that has the relation."""

    def law(posterior):
        return SimpleNamespace(status_effect=lambda _: ODDS, event_effect=lambda _: EVENT + posterior)

    relation = Relation([-0.1], [-0.5], [0.1], "pairs", "some", 9, "published", (0.0, 1.0))
    moved = Transported.of(relation, Transport(1.0, 0.0, 0.2), rng=np.random.default_rng(0))
    weighted = SimpleNamespace(pareto_k=0.9 if fit else 0.2, effective_draws=10.0)
    table = SimpleNamespace(shape=SimpleNamespace(months=(12.0,)))
    model = SimpleNamespace(factor=RelationFactor(moved, 36.0, weight=1.0, prior=OWN), law=law, table=table)
    success = EVENT[..., None] < np.log(0.8)
    prediction = SimpleNamespace(probability=float(success.mean()), mcse=0.01, reweighted=partial(reweight, success),
                                 layout=SimpleNamespace(data_sets=1))  # fmt: skip
    analysis = SimpleNamespace(model=model, fit=SimpleNamespace(posterior=0.0), prediction=prediction,
                               related=Answer(frozenset(), model, fit, prediction, weighted, fit is not None))  # fmt: skip
    return analysis, law(0.0), moved


RNG = np.random.default_rng(3)
OWN = SimpleNamespace(density=ConditionalDensity.normal(0.0, 0.5))
ODDS, EVENT = RNG.normal(1.0, 0.2, (4, 2000)), RNG.normal(-0.1, 0.3, (4, 2000))


def test_effect_with_the_relation_by_weights():
    analysis, law, moved = analysed(None)
    found = _relation(analysis, law, 0.5)
    weight = np.exp(moved.log_weight(ODDS, EVENT, OWN.density, 1.0)).ravel()
    order = np.argsort(EVENT.ravel())
    level = np.cumsum(weight[order]) / weight.sum()
    assert np.log(found.event_effect_related.median) == pytest.approx(EVENT.ravel()[order][np.searchsorted(level, 0.5)])
    assert found.event_effect_related.median < found.event_effect.median - 0.05
    assert found.extrapolated
    assert (found.weight, found.posterior_weight) == (1.0, 1.0)
    tipping = {(one.scale, one.shift, one.extra_sd): one.probability for one in found.tipping}
    assert tipping[1.0, 0.0, 0.8] > tipping[None, None, None]  # the relation favours the experimental arm here
    assert tipping[1.0, 0.0, 0.0] > tipping[1.0, 0.0, 0.8]
    assert tipping[1.0, -0.2, 0.2] > tipping[1.0, 0.2, 0.2]


def test_effect_with_the_relation_is_of_the_fit_that_has_it():
    """The weights were not reliable, so that nothing may be taken from them."""
    analysis, law, _ = analysed(SimpleNamespace(posterior=-1.0))
    found = _relation(analysis, law, 0.5)
    assert np.log(found.event_effect_related.median) == pytest.approx(np.log(found.event_effect.median) - 1)
    assert found.pareto_k == 0.9


def test_rows_of_the_ladder_say_what_each_source_moved():
    rows = dict(answer_rows(made()))
    assert rows["with patients' MRD"] == "0.500 ± 0.010, moved it by +0.100 ± 0.008 (primary)"
    assert rows["this trial's events"] == "0.300 ± 0.010"
    assert answer_rows(made(answers=ADDED[:1], mrd=None)) is None


def test_tipping_points_are_drawn_by_shift_and_hold_the_answer_without_the_relation():
    decision = made(related())
    table = tipping_table(decision)
    assert set(table.loc[np.isinf(table["extra_sd"]), "answer"]) == {0.42}
    assert len(table) == 8 + 4
    figure = plot_tipping_points(decision)
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "probability of success, shift -0.2; line: 0.5", "probability of success, shift 0; line: 0.5",
    ]  # fmt: skip
    assert "4 cells rest on few draws" in figure.get_suptitle()
    assert plot_tipping_points(made()) is None
    assert tipping_table(made()) is None
