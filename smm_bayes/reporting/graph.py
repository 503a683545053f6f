"""The graph of a PyMC model, drawn with matplotlib alone: no system program is needed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.reporting.plots import new_axes

if TYPE_CHECKING:
    import pymc as pm
    from matplotlib.axes import Axes

FREE, FIXED, OBSERVED = "#ffffff", "#e6e6e6", "#cfe0f1"
HALF_HEIGHT = 0.21  # of a node's box, where a layer is 1 high


def plot_model_graph(model: pm.Model, ax: Axes | None = None) -> Axes:
    """Draw the graph of a PyMC model in layers, parents above children.

    White boxes are free variables and what follows from them, grey boxes are data, the blue box is what is
    observed. Each box has the variable's name, its distribution and its dims with their lengths. Data without dims
    (the sampler's coordinates) are left out.

    Parameters
    ----------
    model : pymc.Model
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    import pymc as pm

    graph = pm.model_to_networkx(model)
    graph.remove_nodes_from([v.name for v in model.data_vars if v.name not in model.named_vars_to_dims])
    layers = _layers(graph)
    place = {node: (x, float(-depth)) for depth, layer in enumerate(layers) for node, x in layer.items()}
    widest = max(len(layer) for layer in layers)
    ax = new_axes(ax, figsize=(max(5.0, 1.75 * widest), 1.2 * len(layers)))
    observed = {variable.name for variable in model.observed_RVs}
    data = {variable.name for variable in model.data_vars}
    for parent, child in graph.edges:
        (x0, y0), (x1, y1) = place[parent], place[child]
        ax.annotate("", xy=(x1, y1 + HALF_HEIGHT), xytext=(x0, y0 - HALF_HEIGHT),
                    arrowprops={"arrowstyle": "-|>", "color": "#777777", "linewidth": 0.9,
                                "shrinkA": 0, "shrinkB": 0})  # fmt: skip
    for node, (x, y) in place.items():
        colour = OBSERVED if node in observed else FIXED if node in data else FREE
        style = "square,pad=0.4" if node in data else "round,pad=0.4"
        ax.text(x, y, _label(node, graph.nodes[node]), ha="center", va="center", fontsize=8, linespacing=1.25,
                bbox={"boxstyle": style, "facecolor": colour, "edgecolor": "#333333"})  # fmt: skip
    ax.set(xlim=(-0.6, widest - 0.4), ylim=(0.5 - len(layers), 0.5))
    ax.axis("off")
    return ax


def _layers(graph: Any) -> list[dict[str, float]]:
    """Horizontal place of every node by layer: parents over their children, a node alone under its parents."""
    import networkx as nx  # type: ignore[import-untyped]

    generations = [list(layer) for layer in nx.topological_generations(graph)]
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
