"""A posterior with what is known of it: convergence, settings, seed, and the model it is of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes import markup
from smm_bayes.errors import ConvergenceError, IncompleteError, SpecificationError
from smm_bayes.inference.cells import CELLS
from smm_bayes.inference.convergence import Convergence

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

    from smm_bayes.inference.model import Model

POSTERIOR, BY_PATIENT = "posterior", "log_likelihood"
BINS = 20  # of a plot of ranks


@dataclass(frozen=True)
class Attempt:
    """Settings of one attempt at sampling."""

    target_accept: float
    tune: int
    draws: int


@dataclass(frozen=True, eq=False)
class Fit:
    """A posterior with its convergence report, which ArviZ takes as it is.

    Attributes
    ----------
    data : xarray.DataTree
        Groups ``posterior``, ``sample_stats``, ``observed_data``, ``constant_data`` and ``log_prior``.
        ``log_likelihood`` is by patient, or by what the observations of a model of your own are. Where only sums over
        patients are known it is called ``cell_log_likelihood``, and cross-validation is refused: it would leave out
        cells, and may rank models the wrong way round. ``posterior_predictive`` is of models that can draw data.
    convergence : Convergence
    attempts : tuple of Attempt
        The settings tried, the last being those of ``data``.
    seed : int
    fingerprint : str
        Hash of the model with its priors, its data, settings, seed, versions and kind of machine
        (:func:`~smm_bayes.inference.fingerprint.machine`). Where it is the same, so are the draws, to the last bit.
    seconds : dict of str to float
        Time spent compiling and sampling.
    model : Model or None
        What was fitted, where that was a value of this package.
    description : dict of str to str
        The model in words, its priors among them.

    Notes
    -----
    A fit is a virtual subclass of :class:`xarray.DataTree`, to which it hands whatever it does not know itself: ``fit``
    goes wherever ArviZ takes a ``DataTree``.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> from smm_bayes.survival import exact_fit
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> model = smm.OneTrial.of(patients, smm.TimeGrid((12,)), smm.GammaPrior(0.5, 50))
    >>> posterior = exact_fit(model, seed=1)  # draws of the exact posterior, in the place of smm.fit(model, seed=1)
    >>> posterior.convergence.passed, posterior.seed
    (True, 1)
    >>> import arviz as az
    >>> az.summary(posterior, var_names=["hazard"]).shape[0]  # an arm and interval each
    4
    """

    data: xr.DataTree
    convergence: Convergence
    attempts: tuple[Attempt, ...]
    seed: int
    fingerprint: str
    seconds: dict[str, float] = field(default_factory=dict)
    model: Model | None = None
    description: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Tell xarray that a fit is used as a tree."""
        type(self.data).register(Fit)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Do so of a copy, or of what was pickled, too."""
        self.__dict__.update(state)
        self.__post_init__()

    @property
    def posterior(self) -> xr.Dataset:
        """Posterior draws (chain, draw, ...)."""
        from smm_bayes.inference.posterior import Posterior

        return Posterior.of(self.data.children[POSTERIOR])

    def require_convergence(self) -> Fit:
        """Return the fit itself, or refuse it.

        Raises
        ------
        ConvergenceError
            When the fit may not be used for a decision, saying why.
        """
        if not self.convergence.complete:
            raise IncompleteError("the fit is not complete: sampling was interrupted; fit again")
        if not self.convergence.passed:
            tried = ", ".join(f"{a.draws} draws at target acceptance {a.target_accept}" for a in self.attempts)
            raise ConvergenceError(
                f"the fit did not converge: {'; '.join(self.convergence.reasons)}. Tried: {tried}. "
                "Look at the model and its priors before sampling longer."
            )
        return self

    def with_data(self, data: Any, *, seed: int | None = None, **settings: Any) -> Fit:
        """Fit the same model to other data; nothing is compiled again where their shape is the same.

        Parameters
        ----------
        data : Patients or what else the model's ``with_data`` takes
        seed : int, optional
            That of this fit by default.
        **settings
            As in :func:`~smm_bayes.inference.sampling.fit`.
        """
        from smm_bayes.inference.sampling import fit

        return fit(self._known_model("with_data").with_data(data), seed=self.seed if seed is None else seed, **settings)

    def with_prior(self, draws: int = 1000) -> Fit:
        """Give the fit with a group ``prior``: draws from the prior, by the names of the posterior."""
        import xarray as xr

        model = self._known_model("prior")
        found = model.prior(draws, rng=np.random.default_rng([self.seed, draws]))
        shown = {name: (("chain", "draw", *variable.dims[2:]), np.asarray(found[str(name)])[None])
                 for name, variable in self._ordered().data_vars.items() if str(name) in found}  # fmt: skip
        coords = {name: values for name, values in self.posterior.coords.items() if name not in ("chain", "draw")}
        used = {dim for dims, _ in shown.values() for dim in dims}
        prior = xr.Dataset(shown, coords={name: values for name, values in coords.items() if name in used})
        groups = {**{name: self.data[name].dataset for name in self.data.children}, "prior": prior}
        return replace(self, data=xr.DataTree.from_dict(groups))

    def save(self, path: str | Path) -> None:
        """Write the fit to one NetCDF file, which :meth:`load` and ArviZ read; nothing in it is code."""
        from smm_bayes.inference.stored import save_fit

        save_fit(self, path)

    @staticmethod
    def load(path: str | Path, model: Model | None = None) -> Fit:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        path : str or Path
        model : Model, optional
            What was fitted, for whatever needs more of it than the description in the file.

        Raises
        ------
        DataError
            When the file holds no fit, or one of another model.
        """
        from smm_bayes.inference.stored import load_fit

        return load_fit(path, model)

    def summary(self) -> str:
        """Say in one sentence what the fit is, and whether it may be used for a decision."""
        sizes = self.posterior.sizes
        return f"{sizes['chain']} chains of {sizes['draw']} draws; {self.convergence}."

    def table(self, probability: float = 0.95) -> pd.DataFrame:
        """Give every parameter as a row: mean, standard deviation, interval, effective sample sizes and R-hat.

        Parameters
        ----------
        probability : float
            Inside the equal-tailed credible intervals.
        """
        import arviz as az

        return az.summary(self.data, ci_prob=probability, ci_kind="eti")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Show the ranks of the draws of each chain among all, of the parameter whose R-hat is the largest.

        Chains that agree have every rank equally often.
        """
        import arviz as az
        from matplotlib import pyplot as plt
        from scipy.stats import rankdata

        axes = plt.subplots()[1] if ax is None else ax
        named = self._ordered()[self.convergence.worst or next(iter(self.posterior.data_vars))]
        flat = named.values.reshape(*named.shape[:2], -1)
        rhat = np.asarray(az.rhat(named).values).ravel() if flat.shape[1] > 3 else np.zeros(flat.shape[2])
        ranks = rankdata(flat[..., int(np.nanargmax(rhat))]).reshape(flat.shape[:2])
        edges = np.linspace(0.5, ranks.size + 0.5, BINS + 1)
        for chain, row in enumerate(ranks):
            name = f"chain {chain}" if len(ranks) < 6 else None
            axes.stairs(np.histogram(row, edges)[0] / len(row), edges, label=name)
        axes.axhline(1 / BINS, color="black", linestyle=":")
        axes.set(xlabel=f"rank of {named.name} among all draws", ylabel="share of the chain", ylim=(0, None))
        if len(ranks) < 6:
            axes.legend()
        return axes

    def __repr__(self) -> str:
        return f"Fit: {self.summary().removesuffix('.')}"

    def _repr_html_(self) -> str:
        rows = [*self.description.items(), ("fit", self.summary()), ("seed", self.seed)]
        return markup.table(rows, caption="Fit")

    def __eq__(self, other: object) -> bool:
        """Whether the draws, what they are of and how they came about are the same; the time taken does not count."""
        if not isinstance(other, Fit):
            return NotImplemented
        mine, its = ((fit.convergence, fit.attempts, fit.seed, fit.fingerprint, fit.description)
                     for fit in (self, other))  # fmt: skip
        return mine == its and self.data.equals(other.data)

    def __hash__(self) -> int:
        return hash((self.fingerprint, self.seed))

    def __getattr__(self, name: str) -> Any:
        """Give what the tree has: groups above all."""
        if name.startswith("__") or name == "data":  # not there yet while it is unpickled
            raise AttributeError(f"Fit has no attribute {name!r}")
        self._refuse(name)
        return getattr(self.data, name)

    def __getitem__(self, name: str) -> Any:
        self._refuse(name)
        return self.data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.data.children)

    def __len__(self) -> int:
        return len(self.data.children)

    def __contains__(self, name: object) -> bool:
        return name in self.data.children

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self.data.children})

    def _refuse(self, name: str) -> None:
        if name == BY_PATIENT and name not in self.data.children and CELLS in self.data.children:
            raise SpecificationError(
                "this fit knows the log likelihood of sums over patients only, not of each patient: fit a model value "
                "that has its patients, such as OneTrial.of(patients, grid, priors)"
            )

    def _known_model(self, what: str) -> Any:
        if not hasattr(self.model, what):
            raise SpecificationError(
                f"this fit does not know a model with {what}(); fit a value, such as OneTrial, or give it to Fit.load"
            )
        return self.model

    def _ordered(self) -> xr.Dataset:
        return self.posterior.transpose("chain", "draw", ...)


def described(model: Model) -> dict[str, str]:
    """Say what was fitted, priors included."""
    return {"model": repr(model) if type(model).__repr__ is not object.__repr__ else type(model).__name__,
            **{f"prior: {name}": words for name, words in model.statements().items()}}  # fmt: skip


def joined(groups: Mapping[str, xr.Dataset]) -> xr.DataTree:
    """Put groups together, in this order."""
    import xarray as xr

    return xr.DataTree.from_dict(dict(groups))
