r"""Whose hazards the log hazards of the joint model are.

``not negative``: those of patients who are not MRD-negative, :math:`\log\lambda = h + \gamma Z(t)`. The effect of the
arm in h is the direct one, beside what MRD explains.

``everyone``: those of all patients of the arm who are event-free at the start of a cell (intervals cut at visits),

.. math:: \log\lambda = h + \gamma Z(t) - \log\{1 - q + q\,e^{\gamma}\},

with q the share of the negative among them, which follows from the status model and the hazards before. This is what
earlier trials without MRD results know of, so it is the form in which they are borrowed from; it is the same family of
models, its h in other coordinates. With no MRD effect both are the model without MRD.
"""

from __future__ import annotations

from typing import Literal

from smm_bayes.errors import SpecificationError

HazardsOf = Literal["not negative", "everyone"]
CONDITIONAL: HazardsOf = "not negative"
MARGINAL: HazardsOf = "everyone"


def check_hazards_of(hazards_of: str) -> None:
    """Refuse a word that says nothing.

    Raises
    ------
    SpecificationError
    """
    if hazards_of not in (CONDITIONAL, MARGINAL):
        raise SpecificationError(f"hazards_of must be '{CONDITIONAL}' or '{MARGINAL}'; got {hazards_of!r}")
