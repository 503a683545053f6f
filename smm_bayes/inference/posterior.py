"""Posterior draws as a Dataset that also answers as the node of a tree, which ArviZ asks of a group."""

from __future__ import annotations

import xarray as xr


class Posterior(xr.Dataset):
    """Draws (chain, draw, ...), with what a node of :class:`xarray.DataTree` has beside."""

    __slots__ = ()

    @classmethod
    def of(cls, node: xr.DataTree) -> Posterior:
        """Give the variables of a node."""
        return cls(dict(node.data_vars), coords=node.coords, attrs=node.attrs)

    @property
    def dataset(self) -> xr.Dataset:
        """The draws as a plain Dataset."""
        return xr.Dataset(dict(self.data_vars), coords=self.coords, attrs=self.attrs)

    @property
    def ds(self) -> xr.Dataset:
        """The draws as a plain Dataset."""
        return self.dataset

    def to_dataset(self, inherit: bool = True) -> xr.Dataset:
        """Give the draws as a plain Dataset."""
        return self.dataset
