"""Mutants put to their tests: one process a mutant, forked when everything it needs has been imported.

So a mutant costs its tests and little else. Nothing on disk changes: a mutation exists only in the memory of its process,
and what hashes the sources of the package sees those that were not changed.
"""

from __future__ import annotations

import gc
import importlib
import importlib.machinery
import inspect
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from mutants import PACKAGE, ROOT, Mutant

LIBRARIES = ("numpy", "scipy.integrate", "scipy.linalg", "scipy.optimize", "scipy.special", "scipy.stats", "pytest",
             "hypothesis", "pydantic")  # fmt: skip
EXAMPLES = 12
LIMIT, LEAST = 4.0, 3.0  # times the processor seconds that the tests take, and seconds more
LONGEST = 1200.0  # seconds by the clock, of one that waits for ever
STREAM, LOST = "smm_bayes.prediction.stream", 99
MEMORY = 6 * 2**30  # bytes; a mutant that wants more is stopped


def prepare() -> None:
    """Import what most tests need; kernels run as Python, so that a mutation needs no compiling."""
    os.nice(19 - os.nice(0))
    os.environ |= {"NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg",
                   "PYTENSOR_FLAGS": "mode=FAST_COMPILE,linker=py,cxx="}  # fmt: skip
    for name in LIBRARIES:
        importlib.import_module(name)
    from hypothesis import Phase, settings

    settings.register_profile("mutation", derandomize=True, database=None, deadline=None, max_examples=EXAMPLES,
                              phases=(Phase.explicit, Phase.generate))  # fmt: skip
    settings.load_profile("mutation")


def put_to_tests(
    module: str, mutants: Sequence[Mutant | None], tests: Sequence[str], slow: Sequence[str] = ()
) -> Iterator[tuple[int, str, float]]:
    """Run the tests on each mutant (None: the module as it is); yield its index, outcome and seconds.

    Outcomes are ``survived``, ``caught`` and ``timeout``. Nothing is yielded where the tests never import the module.
    """
    source = (PACKAGE / module).read_text()
    codes = [source if mutant is None else mutant.code() for mutant in mutants]
    later = [index for index, code in enumerate(codes) if _functions_changed(source, code) is not None]
    sooner = [index for index in range(len(codes)) if index not in later]
    for when, chosen in (("tests", later), ("import", sooner)):
        read, write = os.pipe()
        process = os.fork() if chosen else None
        if process == 0:
            os.close(read)
            _serve(_Forking(module, source, {index: codes[index] for index in chosen}, when, write), tests, slow)
        os.close(write)
        with os.fdopen(read) as lines:
            for line in lines:
                yield tuple(json.loads(line))
        if process:
            os.waitpid(process, 0)


def _serve(forking: _Forking, tests: Sequence[str], slow: Sequence[str]) -> None:
    """Run pytest up to where it is forked for every mutant; never returns."""
    log = os.open(os.environ.get("MUTATION_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    code = 70
    try:
        import pytest

        sys.meta_path.insert(0, forking)
        options = ["-x", "-q", "-s", "--tb=no", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:nbval",
                   "-W", "ignore::RuntimeWarning:smm_bayes.prediction.stream"]  # fmt: skip
        options += [f"--deselect=tests/{test}" for test in slow]
        os.chdir(ROOT)
        gc.freeze()
        code = int(pytest.main([*options, *(f"tests/{test}" for test in tests)], plugins=[_FewExamples(), forking]))
    except BaseException as error:
        print(repr(error))
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
    """Forks for every mutant: before the first test if functions are to be changed, or when the module is imported.

    Where only functions differ their code is exchanged, after everything has been imported and collected; constants,
    defaults and decorators are run anew.
    """

    def __init__(self, module: str, source: str, codes: Mapping[int, str], when: str, pipe: int) -> None:
        self.name = ".".join(["smm_bayes", *Path(module).with_suffix("").parts])
        self.path, self.source, self.codes, self.when, self.pipe = str(PACKAGE / module), source, codes, when, pipe

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        change = {self.name: self._imported if self.when == "import" else None, STREAM: _stream}.get(fullname)
        if change is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            usual = spec.loader.exec_module
            spec.loader.exec_module = lambda module: change(usual, module)  # type: ignore[method-assign]
        return spec

    def _imported(self, usual: Callable[[Any], None], module: Any) -> None:
        code = self._forked()
        exec(compile(code, self.path, "exec", dont_inherit=True), module.__dict__)

    def pytest_runtestloop(self, session: Any) -> None:
        if self.when == "tests" and not session.testsfailed:
            importlib.import_module(self.name)
            gc.freeze()
            changed = _functions_changed(self.source, self._forked()) or {}
            for function in _functions(sys.modules[self.name]):
                if function.__qualname__ in changed:
                    function.__code__ = changed.pop(function.__qualname__)
            if changed:
                os._exit(LOST)

    def _forked(self) -> str:
        """Code of the module, in a process for each; the parent waits for all of them and ends."""
        limit = 60.0
        for index, code in self.codes.items():
            process = os.fork()
            if process == 0:
                os.setpgid(0, 0)
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
                resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 1))
                return code
            status, spent = _wait(process, time.monotonic() + LONGEST)
            if status == LOST:
                raise RuntimeError("a function that was changed is not among those of the module")
            if code == self.source:
                limit = LIMIT * spent + LEAST
            outcome = "survived" if status == 0 else "timeout" if status in (-signal.SIGXCPU, -signal.SIGKILL) else "caught"
            os.write(self.pipe, (json.dumps([index, outcome, round(spent, 2)]) + "\n").encode())
        os._exit(0)


def _functions_changed(source: str, changed: str) -> dict[str, CodeType] | None:
    """Code of the functions that differ, by their qualified names; None where anything else does."""

    def parts(code: CodeType) -> tuple[dict[str, CodeType], list[object]]:
        found, rest = {}, [code.co_code, code.co_names]
        for constant in code.co_consts:
            if isinstance(constant, CodeType) and constant.co_flags & inspect.CO_NEWLOCALS and constant.co_name[0] != "<":
                found[constant.co_qualname] = constant
            elif isinstance(constant, CodeType) and constant.co_name[0] != "<":
                inner, outer = parts(constant)
                found |= inner
                rest.append(outer)
            else:
                rest.append((type(constant), constant))
        return found, rest

    try:
        (old, constants), (new, others) = (parts(compile(text, "", "exec", dont_inherit=True)) for text in (source, changed))
    except SyntaxError:
        return None
    if old.keys() != new.keys() or constants != others:
        return None
    return {name: code for name, code in new.items() if code != old[name]}


def _functions(module: Any) -> Iterator[FunctionType]:
    """Functions of a module and methods of its classes, without what decorates them."""

    def walk(values: Iterable[Any]) -> Iterator[FunctionType]:
        for value in values:
            for name in ("fget", "func", "__func__", "__wrapped__"):
                value = getattr(value, name, None) or value
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                yield value
            elif isinstance(value, type) and value.__module__ == module.__name__:
                yield from walk(list(vars(value).values()))

    yield from walk(list(vars(module).values()))


def _wait(process: int, until: float) -> tuple[int, float]:
    """Give exit code (negative: a signal) and processor seconds of a process; end it, and what it started, in time."""
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        if time.monotonic() > until:
            os.killpg(process, signal.SIGKILL)
            until = math.inf
        time.sleep(0.005)


def _stream(usual: Callable[[Any], None], module: Any) -> None:
    import numpy as np

    usual(module)
    module._high = lambda a, b: np.uint64((int(a) * int(b)) >> 64)
