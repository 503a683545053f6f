"""A counter-based random stream for kernels: Philox 4x64 with ten rounds, keyed by (seed, replicate).

The stream of a replicate does not depend on which chunk or worker computes it. It is the stream of
``numpy.random.Philox(key=[seed, replicate])``, against which it is tested.

References
----------
Salmon JK et al. Parallel random numbers: as easy as 1, 2, 3. SC'11, doi:10.1145/2063384.2063405.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from smm_bayes.compiling import kernel

_M0, _M1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_W0, _W1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_11 = np.uint64(11)
_ONE, _ZERO = np.uint64(1), np.uint64(0)
_UNIT = 1.0 / 9007199254740992.0  # 2**-53

KEY0, KEY1, COUNTER, POSITION, BUFFER = 0, 1, 2, 3, 4
STATE_SIZE = 8


@intrinsic
def _high(typing_context: Any, a: Any, b: Any) -> Any:
    """High word of the 128-bit product of two words, as the processor's own instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        left, right = (builder.zext(argument, wide) for argument in arguments)
        return builder.trunc(builder.lshr(builder.mul(left, right), ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@kernel(inline="always")
def start(state: np.ndarray, seed: np.uint64, replicate: np.uint64) -> None:
    """Set ``state`` to the beginning of the stream of ``replicate``."""
    state[KEY0], state[KEY1], state[COUNTER], state[POSITION] = seed, replicate, _ZERO, np.uint64(4)


@kernel(inline="always")
def _refill(state: np.ndarray) -> None:
    state[COUNTER] += _ONE
    k0, k1 = state[KEY0], state[KEY1]
    c0, c1, c2, c3 = state[COUNTER], _ZERO, _ZERO, _ZERO
    for round_ in range(10):
        if round_ > 0:
            k0 += _W0
            k1 += _W1
        high0, low0 = _high(_M0, c0), _M0 * c0
        high1, low1 = _high(_M1, c2), _M1 * c2
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
    state[BUFFER], state[BUFFER + 1], state[BUFFER + 2], state[BUFFER + 3] = c0, c1, c2, c3
    state[POSITION] = _ZERO


@kernel(inline="always")
def uniform(state: np.ndarray) -> float:
    """Next number in [0, 1)."""
    if state[POSITION] == np.uint64(4):
        _refill(state)
    word = state[BUFFER + np.int64(state[POSITION])]
    state[POSITION] += _ONE
    return (word >> _11) * _UNIT


@kernel(inline="always")
def exponential(state: np.ndarray) -> float:
    """Next standard exponential number."""
    return -np.log(1.0 - uniform(state))  # exact: 1 - u is a double; twice as fast as log1p(-u)
