"""The graph of a PyMC model, drawn with matplotlib alone: no system program is needed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.reporting.plots import literal, new_axes

if TYPE_CHECKING:
    import pymc as pm
    from matplotlib.axes import Axes

FREE, FIXED, OBSERVED = "#ffffff", "#e6e6e6", "#cfe0f1"
HALF_HEIGHT = 0.21  # of a node's box, where a layer is 1 high


@literal
def plot_model_graph(model: pm.Model, ax: Axes | None = None, *, data: bool = True) -> Axes:
    """Draw the graph of a PyMC model in layers, parents above children.

    White boxes are free variables and what follows from them, grey boxes are data, the blue box is what is
    observed. Each box has the variable's name, its distribution and its dims with their lengths. Data without dims
    (the sampler's coordinates) are left out.

    Parameters
    ----------
    model : pymc.Model
    ax : matplotlib.axes.Axes, optional
    data : bool
        Whether to draw the data. Without them what has no children is in the lowest layer.

    Returns
    -------
    matplotlib.axes.Axes
    """
    graph = _graph(model)
    graph.remove_nodes_from([v.name for v in model.data_vars if v.name not in model.named_vars_to_dims])
    if not data:
        graph.remove_nodes_from([v.name for v in model.data_vars if v.name in graph])
    layers = _layers(graph, last=not data)
    place = {node: (x, float(-depth)) for depth, layer in enumerate(layers) for node, x in layer.items()}
    widest = max(len(layer) for layer in layers)
    ax = new_axes(ax, figsize=(max(5.0, 1.75 * widest), 1.2 * len(layers)))
    observed = {variable.name for variable in model.observed_RVs}
    fixed = {variable.name for variable in model.data_vars}
    for parent, child in graph.edges:
        (x0, y0), (x1, y1) = place[parent], place[child]
        ax.annotate("", xy=(x1, y1 + HALF_HEIGHT), xytext=(x0, y0 - HALF_HEIGHT),
                    arrowprops={"arrowstyle": "-|>", "color": "#777777", "linewidth": 0.9,
                                "shrinkA": 0, "shrinkB": 0})  # fmt: skip
    for node, (x, y) in place.items():
        colour = OBSERVED if node in observed else FIXED if node in fixed else FREE
        style = "square,pad=0.4" if node in fixed else "round,pad=0.4"
        ax.text(x, y, _label(node, graph.nodes[node]), ha="center", va="center", fontsize=8, linespacing=1.25,
                bbox={"boxstyle": style, "facecolor": colour, "edgecolor": "#333333"})  # fmt: skip
    ax.set(xlim=(-0.6, widest - 0.4), ylim=(0.5 - len(layers), 0.5))
    ax.axis("off")
    return ax


def _graph(model: pm.Model) -> Any:
    """Graph by PyMC, which draws what is observed to see its shape; where that cannot be drawn, by the dims."""
    import networkx as nx  # type: ignore[import-untyped]
    import pymc as pm
    from pymc.model_graph import ModelGraph

    try:
        return pm.model_to_networkx(model)
    except NotImplementedError:
        named = ModelGraph(model)
    graph = nx.DiGraph()
    for name in named.vars_to_plot():
        dims = " x ".join(f"{dim} ({len(model.coords[dim])})" for dim in model.named_vars_to_dims.get(name, ()))
        graph.add_node(name, label=f"{name}\n~\n{_kind(model, name)}", cluster=f"cluster{dims}")
    graph.add_edges_from((parent, child) for child, parent in named.edges())
    return graph


def _kind(model: pm.Model, name: str) -> str:
    variable = model[name]
    if variable in model.data_vars:
        return "Data"
    if variable in model.deterministics:
        return "Deterministic"
    return str(getattr(variable.owner.op, "_print_name", ("CustomDist",))[0])


def _layers(graph: Any, last: bool = False) -> list[dict[str, float]]:
    """Horizontal place of every node by layer: parents over their children, a node alone under its parents.

    With ``last`` nodes without children are all in the last layer.
    """
    import networkx as nx

    generations = [list(layer) for layer in nx.topological_generations(graph)]
    if last:
        ends = [node for layer in generations for node in layer if not graph.out_degree(node)]
        generations = [[node for node in layer if node not in ends] for layer in generations]
        generations = [*(layer for layer in generations if layer), ends]
    widest = max(len(layer) for layer in generations)
    placed: list[dict[str, float]] = []
    below: dict[str, float] = {}
    for layer in reversed(generations):
        wanted = {node: _middle(graph.successors(node), below) for node in layer}
        places = (np.arange(len(layer)) + 0.5) * widest / len(layer) - 0.5
        below = dict(zip(sorted(layer, key=wanted.__getitem__), places.tolist(), strict=True))
        placed.insert(0, below)
    for above, layer_places in pairwise(placed):
        if len(layer_places) == 1:
            (node,) = layer_places
            layer_places[node] = _middle(graph.predecessors(node), above)
    return placed


def _middle(nodes: Iterable[str], places: dict[str, float]) -> float:
    """Mean place of those of ``nodes`` that have one; left of everything where none has."""
    known = [places[node] for node in nodes if node in places]
    return float(np.mean(known)) if known else -1.0


def _label(name: str, attributes: dict[str, str]) -> str:
    """Name, distribution and dims, one a line."""
    kind = attributes["label"].split("\n~\n")[-1].removesuffix(f"_{name}")
    dims = attributes.get("cluster", "").removeprefix("cluster")
    return "\n".join(filter(None, (name, kind, dims.replace(" x ", " × "))))
