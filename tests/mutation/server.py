"""Mutants put to their tests: one process a mutant, forked at the moment when the mutated module would be imported.

Python, pytest, the libraries and every module that does not depend on the mutated one are there by then, so that a
mutant costs its tests and little else. Nothing on disk changes: a mutation exists only in the memory of its process,
and what hashes the sources of the package sees those that were not changed.
"""

from __future__ import annotations

import gc
import importlib
import importlib.machinery
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from mutants import PACKAGE, ROOT, Mutant

LIBRARIES = ("numpy", "scipy.optimize", "scipy.stats", "scipy.linalg", "scipy.integrate", "pandas", "xarray", "pymc",
             "pydantic", "pytest", "hypothesis", "hypothesis.extra.numpy", "statsmodels.api", "matplotlib")  # fmt: skip
EXAMPLES = 12
LIMIT, LEAST = 4.0, 5.0  # times what the tests take, and seconds more
MEMORY = 6 * 2**30  # bytes; a mutant that wants more is stopped


def prepare() -> None:
    """Import what all tests need; kernels run as Python, so that a mutation needs no compiling."""
    os.nice(19 - os.nice(0))
    os.environ |= {"NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg",
                   "PYTENSOR_FLAGS": "mode=FAST_COMPILE,linker=py,cxx="}  # fmt: skip
    sys.dont_write_bytecode = False
    for name in LIBRARIES:
        importlib.import_module(name)
    from hypothesis import settings

    settings.register_profile("mutation", derandomize=True, database=None, deadline=None, max_examples=EXAMPLES)
    settings.load_profile("mutation")


def put_to_tests(
    module: str, mutants: Sequence[Mutant | None], tests: Sequence[str], slow: Sequence[str] = ()
) -> Iterator[tuple[int, str, float]]:
    """Run the tests on each mutant (None: the module as it is); yield its index, outcome and seconds.

    Outcomes are ``survived``, ``caught``, ``timeout`` and ``not imported`` (the tests never import the module).
    """
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read)
        _serve(module, mutants, tests, slow, lambda *result: os.write(write, (json.dumps(result) + "\n").encode()))
    os.close(write)
    with os.fdopen(read) as lines:
        for line in lines:
            yield tuple(json.loads(line))
    os.waitpid(process, 0)


def _serve(
    module: str, mutants: Sequence[Mutant | None], tests: Sequence[str], slow: Sequence[str], tell: Callable[..., Any]
) -> None:
    """Run pytest up to the import of the module, there fork for every mutant; never returns."""
    log = os.open(os.environ.get("MUTATION_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    code = 70
    try:
        import pytest

        name = ".".join(["smm_bayes", *Path(module).with_suffix("").parts])
        sys.meta_path.insert(0, _Forking(name, mutants, tell))
        options = ["-x", "-q", "-s", "--tb=short", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:nbval",
                   "-W", "ignore::RuntimeWarning:smm_bayes.prediction.stream"]  # fmt: skip
        options += [f"--deselect=tests/{test}" for test in slow]
        os.chdir(ROOT)
        gc.freeze()
        code = int(pytest.main([*options, *(f"tests/{test}" for test in tests)], plugins=[_FewExamples()]))
    finally:
        sys.stdout.flush()
        os._exit(code)


class _FewExamples:
    """Tests of properties are given few examples, the same each time, also where they ask for more."""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        from hypothesis import settings

        for item in items:
            function = getattr(item, "obj", None)
            own = getattr(function, "_hypothesis_internal_use_settings", None)
            if own is not None and own.max_examples > EXAMPLES:
                function._hypothesis_internal_use_settings = settings(own, max_examples=EXAMPLES)


class _Forking(MetaPathFinder):
    """Finds the mutated module, and the random stream, whose one machine instruction needs a twin in Python."""

    def __init__(self, name: str, mutants: Sequence[Mutant | None], tell: Callable[..., Any]) -> None:
        self.name, self.mutants, self.tell = name, mutants, tell

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname not in (self.name, "smm_bayes.prediction.stream"):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            usual = spec.loader.exec_module
            spec.loader.exec_module = self._fork if fullname == self.name else lambda module: _stream(usual, module)  # type: ignore[method-assign]
        return spec

    def _fork(self, module: Any) -> None:
        limit = 300.0
        for index, mutant in enumerate(self.mutants):
            began = time.monotonic()
            process = os.fork()
            if process == 0:
                os.setpgid(0, 0)
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
                path = module.__spec__.origin
                code = Path(path).read_text() if mutant is None else mutant.code()
                exec(compile(code, path, "exec", dont_inherit=True), module.__dict__)
                return
            status = _wait(process, began + limit)
            spent = time.monotonic() - began
            if mutant is None:
                limit = LIMIT * spent + LEAST
            self.tell(index, "timeout" if status is None else "survived" if status == 0 else "caught", round(spent, 2))
        os._exit(0)


def _wait(process: int, until: float) -> int | None:
    """Wait for a process; after ``until`` end it and those it started, and give None."""
    while time.monotonic() < until:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.005)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def _stream(usual: Callable[[Any], None], module: Any) -> None:
    import numpy as np

    usual(module)
    module._high = lambda a, b: np.uint64((int(a) * int(b)) >> 64)
