"""Time of an exact meta-analytic-predictive prior of eight trials, beside PyMC's, in one run; nothing is asserted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from statistics import median
from typing import Any

RESPONDERS, PATIENTS = [23, 12, 19, 9, 39, 6, 9, 10], [107, 44, 51, 39, 139, 20, 78, 35]
P = (0.025, 0.5, 0.975)


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


def summary(prior: Any) -> tuple[Any, ...]:
    """All that a reader asks first: the new trial's mean, SD and quantiles, the SD between trials."""
    return prior.mean, prior.sd, prior.quantile(P), prior.between_trial_sd.mean


def main() -> None:
    logging.getLogger("pymc").setLevel(logging.CRITICAL)
    from smm_bayes.borrowing import HalfNormal, meta_analytic_model, meta_analytic_predictive
    from smm_bayes.inference import fit

    def exact() -> Any:
        return summary(meta_analytic_predictive(responders=RESPONDERS, patients=PATIENTS, sd_prior=HalfNormal(1)))

    first, found = seconds(exact)
    warm = median(seconds(exact)[0] for _ in range(21))
    analysis = meta_analytic_predictive(responders=RESPONDERS, patients=PATIENTS).analysis
    model = meta_analytic_model(analysis)
    settings = {"draws": 1000, "tune": 1000, "target_accept": 0.99, "log_densities": False}
    compiled, _ = seconds(lambda: fit(model, seed=1, **settings))
    refit = median(seconds(lambda seed=seed: fit(model, seed=seed, **settings))[0] for seed in range(2, 5))
    print(f"new trial: mean {found[0]:.6f}, SD {found[1]:.6f}; SD between trials {found[3]:.6f}")
    print(f"quadrature, first call (imports SciPy)  {first * 1e3:8.0f} ms")
    print(f"quadrature, after that (median of 21)   {warm * 1e3:8.1f} ms")
    print(f"PyMC, compiling and 4 x 1000 draws      {compiled * 1e3:8.0f} ms = {compiled / warm:6.0f} x quadrature")
    print(f"PyMC, refit of the compiled model       {refit * 1e3:8.0f} ms = {refit / warm:6.0f} x quadrature")


if __name__ == "__main__":
    main()
