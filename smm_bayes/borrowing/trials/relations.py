"""How the hazards of an earlier trial relate to those of the current one: the methods of borrowing, as values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import Z_UPPER, SpreadPrior

if TYPE_CHECKING:
    from smm_bayes.borrowing.trials.priors import BetweenTrials

By = Literal["trial", "interval"]


@dataclass(frozen=True)
class Layer:
    """One way in which trials may deviate: standard deviations of log hazards and of log hazard ratios.

    Attributes
    ----------
    name : str
        Of its parameters: ``trial`` or ``apart``.
    hazard, effect : SpreadPrior or float
        Half-normal prior of the standard deviation, or its known value.
    shared : bool
        Whether all trials share one unknown standard deviation, or have one each.
    """

    name: str
    hazard: SpreadPrior | float
    effect: SpreadPrior | float
    shared: bool = True


@dataclass(frozen=True)
class Relation:
    """What every method shares; see the methods."""

    def layers(self, between: BetweenTrials) -> tuple[Layer, ...]:
        """Ways in which trials may deviate: none, one, or two of which each trial has one."""
        return ()

    def power(self, trial: str) -> float:
        """Weight of an earlier trial's log likelihood."""
        return 1.0

    @property
    def first(self) -> float:
        """Prior probability that a trial deviates in the first way."""
        return 1.0

    @property
    def around_current(self) -> bool:
        """Whether deviations are from the current trial, which then has none, and not from a typical trial."""
        return False

    @property
    def interval_by_interval(self) -> bool:
        """Whether each interval deviates by itself, and not the whole trial by a common shift."""
        return False

    def statements(self, between: BetweenTrials) -> dict[str, str]:
        """Give the method in words."""
        raise NotImplementedError


def _spread_statements(between: BetweenTrials) -> dict[str, str]:
    return {"hazard between trials": str(between.hazard),
            "hazard ratio between trials": f"95 % within {between.effect.fold:.3g}-fold of the contrast"}  # fmt: skip


@dataclass(frozen=True)
class Exchangeable(Relation):
    r"""Every trial, this one too, deviates from a typical one, :math:`\delta_t \sim N(0, \tau^2)`.

    Parameters
    ----------
    by : {"trial", "interval"}
        Whether a trial's hazards shift together, or interval by interval.
    """

    by: By = "trial"

    @property
    def interval_by_interval(self) -> bool:
        """Whether each interval deviates by itself."""
        return self.by == "interval"

    def layers(self, between: BetweenTrials) -> tuple[Layer, ...]:
        """One, with standard deviations to be learned."""
        return (Layer("trial", between.hazard, between.effect),)

    def statements(self, between: BetweenTrials) -> dict[str, str]:
        """Give the method in words."""
        how = "" if self.by == "trial" else ", interval by interval"
        return {"borrowing": f"trials are exchangeable{how}", **_spread_statements(between)}


@dataclass(frozen=True)
class Robust(Exchangeable):
    r"""Each trial, this one too, is exchangeable with the others or stands apart.

    .. math:: \delta_t \sim p\,N(0, \tau^2) + (1-p)\,N(0, s^2)

    The membership is summed out of the likelihood, trial by trial.

    Parameters
    ----------
    by : {"trial", "interval"}
    exchangeable : float
        Prior probability p that a trial is exchangeable.
    hazard_fold, effect_fold : float
        95 % of trials that stand apart have a hazard (hazard ratio) within this many fold of the typical one;
        s is its logarithm over 1.96.

    References
    ----------
    Schmidli H et al. Biometrics 2014;70:1023-1032, doi:10.1111/biom.12242.
    Neuenschwander B et al. Pharmaceutical Statistics 2016;15:123-134, doi:10.1002/pst.1730.
    """

    exchangeable: float = 0.8
    hazard_fold: float = 10.0
    effect_fold: float = 3.0

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        _check_share("exchangeable", self.exchangeable)
        _check_fold("hazard_fold", self.hazard_fold)
        _check_fold("effect_fold", self.effect_fold)

    @property
    def first(self) -> float:
        """Prior probability that a trial is exchangeable."""
        return self.exchangeable

    def layers(self, between: BetweenTrials) -> tuple[Layer, ...]:
        """Exchangeable, and apart."""
        apart = Layer("apart", math.log(self.hazard_fold) / Z_UPPER, math.log(self.effect_fold) / Z_UPPER)
        return (*super().layers(between), apart)

    def statements(self, between: BetweenTrials) -> dict[str, str]:
        """Give the method in words."""
        said = super().statements(between)
        said["borrowing"] = (
            f"{said['borrowing']} with probability {self.exchangeable:g} each; one that is not has a hazard within "
            f"{self.hazard_fold:g}-fold and a hazard ratio within {self.effect_fold:g}-fold of the typical (95 %)"
        )
        return said


@dataclass(frozen=True)
class Commensurate(Relation):
    r"""Each earlier trial deviates from the current one by a discrepancy of its own, :math:`\delta_t`.

    Half-normal: :math:`\delta_t \sim N(0, \tau_t^2)`, with a half-normal prior of each :math:`\tau_t`. Spike and slab:
    :math:`\delta_t \sim p\,N(0, s_0^2) + (1-p)\,N(0, s_1^2)`, known :math:`s_0 < s_1`, summed out.

    Parameters
    ----------
    discrepancy : {"half-normal", "spike-and-slab"}
    spike : float
        Prior probability p of the spike.
    spike_fold, slab_fold : float
        95 % of trials in the spike (slab) have a hazard within this many fold of the current trial's, and a hazard
        ratio too.

    References
    ----------
    Hobbs BP et al. Bayesian Analysis 2012;7:639-674, doi:10.1214/12-BA722.
    """

    discrepancy: Literal["half-normal", "spike-and-slab"] = "half-normal"
    spike: float = 0.5
    spike_fold: float = 1.1
    slab_fold: float = 10.0

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        if self.discrepancy not in ("half-normal", "spike-and-slab"):
            raise SpecificationError(f"discrepancy must be half-normal or spike-and-slab; got {self.discrepancy!r}")
        _check_share("spike", self.spike)
        _check_fold("spike_fold", self.spike_fold)
        if not self.spike_fold < self.slab_fold < math.inf:
            raise SpecificationError(f"slab_fold must be above spike_fold, {self.spike_fold}; got {self.slab_fold}")

    @property
    def first(self) -> float:
        """Prior probability of the spike."""
        return self.spike if self.discrepancy == "spike-and-slab" else 1.0

    @property
    def around_current(self) -> bool:
        """Discrepancies are from the current trial."""
        return True

    def layers(self, between: BetweenTrials) -> tuple[Layer, ...]:
        """One with a standard deviation for each trial; or spike and slab."""
        if self.discrepancy == "half-normal":
            return (Layer("trial", between.hazard, between.effect, shared=False),)
        spike, slab = (math.log(fold) / Z_UPPER for fold in (self.spike_fold, self.slab_fold))
        return Layer("trial", spike, spike), Layer("apart", slab, slab)

    def statements(self, between: BetweenTrials) -> dict[str, str]:
        """Give the method in words."""
        if self.discrepancy == "half-normal":
            return {"borrowing": "each earlier trial has a discrepancy from this one, of its own size",
                    **_spread_statements(between)}  # fmt: skip
        return {"borrowing": f"each earlier trial is within {self.spike_fold:g}-fold of this one with probability "
                f"{self.spike:g}, else within {self.slab_fold:g}-fold (95 %)"}  # fmt: skip


@dataclass(frozen=True)
class Power(Relation):
    """All trials have the same hazards, and each earlier one's log likelihood counts to a fixed power.

    Parameters
    ----------
    default : float
        Within [0, 1]; 1 is pooling and 0 no borrowing.
    of : mapping of str to float
        Powers of single trials.

    References
    ----------
    Ibrahim JG et al. Statistics in Medicine 2015;34:3724-3749, doi:10.1002/sim.6728.
    """

    default: float = 0.5
    of: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse powers out of range."""
        for name, power in {"power": self.default, **{f"power of {name}": p for name, p in self.of.items()}}.items():
            if not 0 <= power <= 1:
                raise SpecificationError(f"{name} must be within [0, 1]; got {power}")

    def power(self, trial: str) -> float:
        """Weight of an earlier trial's log likelihood."""
        return self.of.get(trial, self.default)

    def statements(self, between: BetweenTrials) -> dict[str, str]:
        """Give the method in words."""
        said = {0.0: "no borrowing", 1.0: "full pooling"}.get(self.default, f"earlier trials count {self.default:g}")
        return {"borrowing": "; ".join([said, *(f"{name} counts {power:g}" for name, power in self.of.items())])}


POOLED, SEPARATE = Power(1.0), Power(0.0)


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise SpecificationError(f"{name} must be above 0 and below 1; got {value}")


def _check_fold(name: str, value: float) -> None:
    if not 1 < value < math.inf:
        raise SpecificationError(f"{name} must be above 1; got {value}")
