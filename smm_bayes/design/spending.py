"""Spending functions: how much of an error may be spent by a fraction of the information."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from smm_bayes.errors import Problems, SpecificationError, nearest

Kind = Literal["obrien-fleming", "pocock", "hwang-shih-decani", "kim-demets"]
PARAMETER = {"hwang-shih-decani": "gamma", "kim-demets": "rho"}


@dataclass(frozen=True)
class Spending:
    r"""A spending function :math:`f(t; \alpha)` with :math:`f(0) = 0` and :math:`f(t) = \alpha` from t = 1 on.

    ========================  ===========================================================
    kind                      error spent by t, within (0, 1]
    ========================  ===========================================================
    ``"obrien-fleming"``      :math:`2 - 2\Phi(z_{\alpha/2}/\sqrt{t})`
    ``"pocock"``              :math:`\alpha \log(1 + (e - 1)\,t)`
    ``"hwang-shih-decani"``   :math:`\alpha\,(1 - e^{-\gamma t})/(1 - e^{-\gamma})`
    ``"kim-demets"``          :math:`\alpha\,t^\rho`
    ========================  ===========================================================

    Parameters
    ----------
    kind : str
    parameter : float, optional
        :math:`\gamma` (any number, 0 is linear) or :math:`\rho` (above 0); the other kinds have none.

    Raises
    ------
    SpecificationError
        When the kind is unknown, or its parameter missing, superfluous or out of range.

    References
    ----------
    Lan KKG, DeMets DL. Biometrika 1983;70:659-663. Hwang IK, Shih WJ, De Cani JS. Stat Med 1990;9:1439-1445. Kim K,
    DeMets DL. Biometrika 1987;74:149-154.

    Examples
    --------
    >>> Spending("obrien-fleming")(0.5, 0.025).round(6)
    np.float64(0.001525)
    >>> Spending("hwang-shih-decani", -4.0)([0.5, 1.0, 1.2], 0.025).round(6)
    array([0.00298, 0.025  , 0.025  ])
    """

    kind: Kind = "obrien-fleming"
    parameter: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no spending function."""
        problems = Problems("spending function", SpecificationError)
        if self.kind not in get_args(Kind):
            problems.add(f"kind must be one of {', '.join(get_args(Kind))}; got {self.kind!r}"
                         f"{nearest(str(self.kind), get_args(Kind))}")  # fmt: skip
        elif self.kind not in PARAMETER and self.parameter is not None:
            problems.add(f"{self.kind} has no parameter; got {self.parameter}")
        elif self.kind in PARAMETER and not (self.parameter is not None and math.isfinite(self.parameter)):
            problems.add(
                f"{self.kind} needs its parameter {PARAMETER[self.kind]}, a finite number; got {self.parameter}"
            )
        elif self.kind == "kim-demets" and not (self.parameter or 0) > 0:
            problems.add(f"kim-demets needs rho above 0; got {self.parameter}")
        problems.raise_if_any()

    def __call__(self, fraction: Any, error: float) -> np.ndarray:
        """Error spent by each fraction of the information; all of it from 1 on."""
        from scipy.special import ndtr, ndtri

        t = np.clip(np.asarray(fraction, float), 0.0, 1.0)
        if self.kind == "obrien-fleming":
            with np.errstate(divide="ignore"):
                spent = 2 * ndtr(ndtri(error / 2) / np.sqrt(t))
        elif self.kind == "pocock":
            spent = error * np.log1p(math.expm1(1) * t)
        elif self.kind == "hwang-shih-decani":
            gamma = self.parameter or 0.0
            spent = error * (np.expm1(-gamma * t) / np.expm1(-gamma) if gamma else t)
        else:
            spent = error * t ** (self.parameter or 1.0)
        return np.where(t >= 1, error, spent)[()]
