"""Values of the numerical core cannot be changed, and those that hold arrays are equal to themselves only."""

import dataclasses
import importlib
import tomllib
from pathlib import Path

import numpy as np
import pytest

TABLE = tomllib.loads((Path(__file__).parents[1] / "mutation" / "modules.toml").read_text())
FILES = [entry["file"] for entry in TABLE["module"]]


def classes(file):
    module = importlib.import_module(".".join(["smm_bayes", *Path(file).with_suffix("").parts]))
    return [found for found in vars(module).values() if dataclasses.is_dataclass(found) and found.__module__ == module.__name__]


@pytest.mark.parametrize("file", FILES)
def test_values_are_frozen(file):
    for found in classes(file):
        assert found.__dataclass_params__.frozen, found


@pytest.mark.parametrize("file", FILES)
def test_values_with_arrays_are_keys_and_compare_without_asking_their_elements(file):
    for found in classes(file):
        if any("ndarray" in str(field.type) for field in dataclasses.fields(found)):
            value, other = object.__new__(found), object.__new__(found)
            for field in dataclasses.fields(found):
                for one in (value, other):
                    object.__setattr__(one, field.name, np.arange(3.0))
            assert isinstance(hash(value), int)
            assert value != other
