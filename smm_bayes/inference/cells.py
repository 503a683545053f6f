"""Which models observe sums over patients: their log likelihood by observation is no patient's.

Leaving out one cell of a table leaves out all its patients. A model that says so has its log likelihood in a group of
another name, which ArviZ does not take for that of observations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pymc as pm

CELLS = "cell_log_likelihood"
_MARK = "_smm_bayes_cells"


def observes_cells() -> None:
    """Say of the model being built that what it observes are sums over patients."""
    import pymc as pm

    setattr(pm.modelcontext(None), _MARK, True)


def has_cells(model: pm.Model) -> bool:
    """Whether a model observes sums over patients."""
    return bool(getattr(model, _MARK, False))
