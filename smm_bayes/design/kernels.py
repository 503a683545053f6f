"""Numba kernel of the design room. Single-threaded; it releases the GIL."""

from __future__ import annotations

import numpy as np

from smm_bayes.compiling import kernel
from smm_bayes.prediction.kernels import log_rank


@kernel()
def log_ranks(time: np.ndarray, event: np.ndarray, experimental: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-rank statistic and its variance in every trial, from (trial, patient).

    A patient with time 0 and no event leaves before the first event and so takes no part.
    """
    score, variance = np.empty(len(time)), np.empty(len(time))
    for row in range(len(time)):
        score[row], variance[row] = log_rank(time[row], event[row], experimental)
    return score, variance
