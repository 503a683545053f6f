"""A plot of a prior: its density with its components, and how data move it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures import BetaMixture, GammaMixture, Mixture, NormalMixture
from smm_bayes.reporting.plots import literal, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PRIOR, LIKELIHOOD, POSTERIOR = "#1f5f99", "0.35", "#b5541c"  # also told apart by their lines
LABELS = ((BetaMixture, "response rate"), (GammaMixture, "hazard per month"), (NormalMixture, "log scale"))
SHOWN = 4e-3  # of either tail is left out
PARTS = ("#9ecae1", "#fdd0a2", "#c7e9c0", "#dadaeb", "#d9d9d9")
CEILING = 2.0  # times the highest density further in: where a density without bound is cut


def prior_curves(
    mixture: Mixture, data: Mapping[str, float] | None = None, posterior: Mixture | None = None, points: int = 601
) -> dict[str, np.ndarray]:
    """What :func:`plot_prior` draws: value, prior, components (share by value), likelihood and posterior."""
    value = _values([mixture] if posterior is None else [mixture, posterior], points)
    density = mixture.pdf(value)
    found = {"value": value, "prior": density, "components": (mixture.shares(value) * density[:, None]).T}
    if posterior is not None:
        found["posterior"] = posterior.pdf(value)
    if data is not None:
        after = _flat(mixture).update(**data)  # type: ignore[attr-defined]
        found["likelihood"] = after.pdf(value)
    return found


def _flat(mixture: Mixture) -> Mixture:
    """Give a prior under which the posterior is the likelihood scaled to an area of 1."""
    if isinstance(mixture, BetaMixture):
        return BetaMixture([1], [1], [1])
    if isinstance(mixture, GammaMixture):
        return GammaMixture([1], [1], [1e-9 * mixture.parameters["rate"].min()])
    assert isinstance(mixture, NormalMixture)
    return NormalMixture([1], [mixture.mean], [1e4 * mixture.sd], sigma=mixture.sigma)


def _values(shown: list[Mixture], points: int) -> np.ndarray:
    ends = np.array([one.quantile([SHOWN, 1 - SHOWN]) for one in shown])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    if isinstance(shown[0], BetaMixture):
        margin = 0.03 * (high - low)
        return np.linspace(max(low - margin, 1e-6), min(high + margin, 1 - 1e-6), points)
    if isinstance(shown[0], GammaMixture):
        return np.linspace(max(0.9 * low, 1e-4 * high), high, points)
    return np.linspace(low, high, points)


@literal
def plot_prior(
    mixture: Mixture, ax: Axes | None = None, *, data: Mapping[str, float] | None = None,
    posterior: Mixture | None = None, label: str | None = None, components: bool = True,
) -> Axes:  # fmt: skip
    """Draw a prior with its components; with data, the likelihood and the posterior over it.

    Parameters
    ----------
    mixture : Mixture
    ax : matplotlib.axes.Axes, optional
    data : mapping, optional
        What ``mixture.update`` takes, such as ``{"responders": 5, "patients": 20}``. The likelihood is scaled to an
        area of 1.
    posterior : Mixture, optional
        Drawn in place of the mixture's own posterior after ``data``.
    label : str, optional
        Of the horizontal axis.
    components : bool
        Show what each component adds to the density.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    SpecificationError
        When prior and posterior are of different families, or the data are not of the mixture's kind.
    """
    if posterior is not None and type(posterior) is not type(mixture):
        raise SpecificationError(f"a {type(mixture).__name__} has no {type(posterior).__name__} for a posterior")
    if data is not None and posterior is None:
        try:
            posterior = mixture.update(**data)  # type: ignore[attr-defined]
        except TypeError as error:
            taken = f"{type(mixture).__name__}.update"
            raise SpecificationError(f"data must be what {taken} takes; got {dict(data)}") from error
    curves = prior_curves(mixture, data, posterior)
    ax = new_axes(ax, figsize=(7.5, 4.2))
    value = curves["value"]
    if components and len(mixture) > 1:
        base = np.zeros_like(value)
        for number, part in enumerate(curves["components"]):
            ax.fill_between(value, base, base + part, color=PARTS[number % len(PARTS)], alpha=0.7, linewidth=0,
                            label=f"component {number + 1}, weight {mixture.weights[number]:.2g}")  # fmt: skip
            base = base + part
    said = "prior" if posterior is not None or data is not None else "density"
    ax.plot(value, curves["prior"], color=PRIOR, linewidth=2, label=_name(said, mixture))
    if "likelihood" in curves:
        ax.plot(value, curves["likelihood"], color=LIKELIHOOD, linestyle=":", linewidth=1.8, label="likelihood, scaled")
    if posterior is not None:
        ax.plot(value, curves["posterior"], color=POSTERIOR, linestyle="--", linewidth=2,
                label=_name("posterior", posterior))  # fmt: skip
    ax.set_xlim(value[0], value[-1])
    ax.set_ylim(0, _ceiling(curves))
    ax.set_yticks([])
    default = next(words for kind, words in LABELS if isinstance(mixture, kind))
    ax.set(xlabel=label or default, ylabel="density")
    ax.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return ax


def _name(what: str, mixture: Mixture) -> str:
    low, high = mixture.interval()
    return f"{what}: mean {mixture.mean:.3g}, 95 % from {low:.3g} to {high:.3g}"


def _ceiling(curves: Mapping[str, np.ndarray]) -> float:
    """Give the height of the axis: all that is drawn, but a peak without bound is cut."""
    heights = []
    for name in ("prior", "likelihood", "posterior"):
        if name in curves:
            edge = max(curves[name][0], curves[name][-1])
            inner = curves[name][len(curves[name]) // 50 : -len(curves[name]) // 50].max()
            heights.append(min(max(edge, inner), CEILING * inner))
    return 1.08 * max(heights)
