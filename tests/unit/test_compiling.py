"""Compiled code where folders cannot be written to, and kernels that are kept with the source of their folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

USES_EVERYTHING = """
import numpy as np
import smm_bayes.design.kernels, smm_bayes.priors.mixtures.counts_kernel
from smm_bayes.prediction.kernels import log_rank
import matplotlib.pyplot, nutpie, pymc, pytensor.link.numba.cache  # which makes its folder
print(round(log_rank(np.array([1.0, 2, 3]), np.ones(3, bool), np.array([True, False, True]))[1], 4))
print(log_rank._cache.cache_path)
"""


def run(program, **environment):
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTENSOR_FLAGS", "XDG_CACHE_HOME")}
    done = subprocess.run([sys.executable, "-P", "-c", program], env={**kept, "PYTHONPATH": str(ROOT), **environment},
                          capture_output=True, text=True)  # fmt: skip
    return done


@pytest.fixture
def read_only(tmp_path):
    """A copy of the package whose folders for compiled code are files: nobody can write in them, not even root."""
    copied = tmp_path / "smm_bayes"
    for path in (ROOT / "smm_bayes").rglob("*.py"):
        target = copied / path.relative_to(ROOT / "smm_bayes")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    for folder in {path.parent for path in copied.rglob("*.py")}:
        (folder / "__pycache__").touch()
    return tmp_path


def test_a_read_only_installation_without_a_home_works(read_only):
    done = run(USES_EVERYTHING, PYTHONPATH=str(read_only), HOME="/proc/nonexistent", NUMBA_CACHE_DIR="/proc/nonexistent",
               TMPDIR=str(read_only))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0.4722", "None"]  # no cache
    assert not list(read_only.glob("smm_bayes-*"))  # the temporary home went with the process


def test_a_folder_of_the_user_is_used_and_settings_stay(tmp_path):
    program = "import os, smm_bayes; from smm_bayes.prediction.stream import start; print(start._cache.cache_path);"
    done = run(program + "print(os.environ['PYTENSOR_FLAGS'])", NUMBA_CACHE_DIR=str(tmp_path / "kept"),
               HOME="/proc/nonexistent", PYTENSOR_FLAGS=f"compiledir={tmp_path / 'mine'}")  # fmt: skip
    where, flags = done.stdout.split()
    assert where.startswith(str(tmp_path / "kept"))
    assert flags == f"compiledir={tmp_path / 'mine'}"


def test_machine_code_belongs_to_the_source_of_its_whole_folder(tmp_path):
    """Kernels are inlined across files: a kernel kept from before another file changed would compute as it did."""
    inner, outer = tmp_path / "inner.py", tmp_path / "outer.py"
    head = "from smm_bayes.compiling import kernel\n"
    inner.write_text(head + "@kernel(inline='always')\ndef add(x):\n    return x + 1.0\n")
    outer.write_text(head + "from inner import add\n@kernel()\ndef twice(x):\n    return 2 * add(x)\n")
    program = "from outer import twice; print(twice(1.0))"
    where = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": ""}
    assert run(program, **where).stdout == "4.0\n"
    inner.write_text(inner.read_text().replace("1.0", "2.0"))
    assert run(program, **where).stdout == "6.0\n"


def test_every_kernel_is_made_in_one_place():
    for path in (ROOT / "smm_bayes").rglob("*.py"):
        assert path.name == "compiling.py" or "njit" not in path.read_text(), path
