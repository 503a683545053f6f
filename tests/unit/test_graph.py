"""Graphs of models: what is drawn, and from whom to whom."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from smm_bayes.reporting.graph import _graph, plot_model_graph


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")


def model_of(random):
    """Three counts, whose rates share a level."""
    import pymc as pm

    with pm.Model(coords={"cell": ["a", "b", "c"]}) as model:
        level = pm.Normal("level", 0.0, 1.0)
        rate = pm.Deterministic("rate", level + np.zeros(3), dims="cell")
        size = pm.Data("size", np.ones(3), dims="cell")
        pm.CustomDist("seen", rate, size, logp=lambda seen, rate, size: seen * rate * size, random=random,
                      observed=np.zeros(3), dims="cell")  # fmt: skip
    return model


def drawn(rate, exposure, rng=None, size=None):
    return rng.poisson(exposure * np.exp(rate), size=size).astype(float)


def not_drawn(*_, **__):
    raise NotImplementedError("cannot be drawn")


def test_graph_of_a_model_that_cannot_be_drawn_from_is_that_of_one_that_can():
    one, other = _graph(model_of(drawn)), _graph(model_of(not_drawn))
    assert set(one.edges) == set(other.edges) == {("level", "rate"), ("rate", "seen"), ("size", "seen")}
    assert set(one.nodes) == set(other.nodes)
    for name in ("level", "rate", "size", "seen"):
        assert one.nodes[name]["cluster"] == other.nodes[name]["cluster"] if name != "level" else True
        first, second = (graph.nodes[name]["label"].split("\n~\n")[-1] for graph in (one, other))
        assert first.removesuffix(f"_{name}") == second.removesuffix(f"_{name}"), name


def test_data_can_be_left_out():
    texts = [{text.get_text().split("\n")[0]: text.get_position()[1] for text in ax.texts if text.get_text()}
             for ax in (plot_model_graph(model_of(not_drawn)), plot_model_graph(model_of(not_drawn), data=False))]  # fmt: skip
    assert set(texts[0]) == {"level", "rate", "size", "seen"}
    assert texts[1] == {"level": 0.0, "rate": -1.0, "seen": -2.0}


def test_what_has_no_children_is_lowest():
    import pymc as pm

    with pm.Model() as model:
        first = pm.Normal("first", 0, 1)
        pm.Deterministic("end", first + 1)
        pm.Normal("deep", pm.Deterministic("middle", first + 2), 1, observed=1.0)
    heights = {text.get_text().split("\n")[0]: text.get_position()[1] for text in
               plot_model_graph(model, data=False).texts if text.get_text()}  # fmt: skip
    assert heights["end"] == heights["deep"] == -2.0
    assert heights["middle"] == -1.0
