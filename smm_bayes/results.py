"""What every result answers: ``table()``, ``summary()``, ``plot(ax=None)`` where a picture helps, and HTML."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from smm_bayes import markup
from smm_bayes.errors import SpecificationError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST = 60  # rows of a table that a notebook shows with a result; all of them are in table()


class Tabulated(Protocol):
    """A result: a table, and a sentence."""

    def table(self) -> pd.DataFrame:
        """Numbers by name, one row a thing."""
        ...

    def summary(self) -> str:
        """Say what was found, in a sentence or a few lines."""
        ...


class Result:
    """Show a result in a notebook: what it says, and its table where that is not long.

    Whoever inherits gives ``table()`` and ``summary()``.
    """

    def _repr_html_(self: Tabulated) -> str:
        import pandas as pd

        found = self.table()
        said = "".join(markup.paragraph(line) for line in self.summary().splitlines())
        if len(found) > MOST:
            return said + markup.paragraph(f"{len(found):,} rows in table()")
        return said + markup.frame(found, index=not isinstance(found.index, pd.RangeIndex))


def tails(probability: float) -> tuple[float, float]:
    """Probabilities below the limits of an equal-tailed interval.

    Raises
    ------
    SpecificationError
        When ``probability`` is not between 0 and 1.
    """
    if not 0 < probability < 1:
        raise SpecificationError(f"probability must be between 0 and 1, such as 0.95; got {probability}")
    return (1 - probability) / 2, (1 + probability) / 2


def literal[**P, R](draw: Callable[P, R]) -> Callable[P, R]:
    """Make a plot show every text as it is: a name may hold dollar signs, and is no formula."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        from matplotlib.artist import Artist
        from matplotlib.text import Text

        found = draw(*args, **kwargs)
        for text in found.findobj(Text) if isinstance(found, Artist) else ():
            text.set_parse_math(False)
        return found

    return drawn


def new_axes(ax: Axes | None, **size: Any) -> Axes:
    """Give ``ax``, or axes of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained", **size)[1]


@literal
def plot_intervals(
    table: pd.DataFrame, ax: Axes | None = None, *, middle: str = "median", xlabel: str = "", line: float | None = None
) -> Axes:
    """Draw a row of a table as a point and its interval, from above down.

    Parameters
    ----------
    table : pandas.DataFrame
        With columns ``lower``, ``upper`` and that of the point; the index names the rows.
    ax : matplotlib.axes.Axes, optional
    middle : str
        Column of the point.
    xlabel : str
    line : float, optional
        Where nothing would be different.
    """
    axes = new_axes(ax, figsize=(6.5, 1.2 + 0.32 * len(table)))
    place = np.arange(len(table))[::-1]
    axes.hlines(place, table["lower"], table["upper"])
    axes.plot(table[middle], place, "o", markersize=5)
    names = [", ".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in table.index]
    axes.set_yticks(place, names)
    if line is not None:
        axes.axvline(line, color="0.5", linestyle=":")
    axes.set(xlabel=xlabel, ylim=(-0.6, len(table) - 0.4))
    return axes


@literal
def plot_density(of: Any, ax: Axes | None = None, *, xlabel: str = "") -> Axes:
    """Draw the density of what has ``pdf`` and ``quantile``, between its 0.5 % and 99.5 % points."""
    axes = new_axes(ax)
    low, high = (float(edge) for edge in of.quantile(np.array([0.005, 0.995])))
    inside = (np.arange(301) + 0.5) / 301
    value = low + (high - low) * inside
    axes.plot(value, of.pdf(value))
    axes.set(xlabel=xlabel, ylabel="density", ylim=(0, None))
    return axes
