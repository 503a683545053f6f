"""Latent exchangeability of one constant hazard by quadrature: what the earlier patients alone say of it."""

from __future__ import annotations

import numpy as np

from smm_bayes.borrowing.trials.latent_priors import ShareOfPatients
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import BaselinePrior
from smm_bayes.priors.mixtures import NormalMixture

POINTS, SHARES, WIDTH = 120, 20, 5.5


def latent_hazard_prior(
    time: np.ndarray, event: np.ndarray, baseline: BaselinePrior, share: ShareOfPatients | None = None
) -> NormalMixture:
    r"""Prior of the current arm's log hazard from earlier patients of whom an unknown share is exchangeable with it.

    .. math:: p(\eta_1 \mid \text{earlier}) \propto \pi(\eta_1) \int\!\!\int \pi(\eta_2)\,\pi(\gamma)
        \prod_i \left[\gamma f(t_i \mid \eta_1) + (1 - \gamma) f(t_i \mid \eta_2)\right] d\eta_2\, d\gamma

    with one hazard :math:`e^{\eta}` a class and two classes, by quadrature over all three, and then as a normal mixture
    by EM. It does not depend on the current data, which multiply it by their likelihood.

    Parameters
    ----------
    time, event : numpy.ndarray, shape (patient,)
        Months at risk, and whether the event was seen, of **real** patients: membership of a pseudo-patient is no
        information.
    baseline : BaselinePrior
        Of the hazards of both classes.
    share : ShareOfPatients, optional
        Prior of :math:`\gamma`; flat unless given.

    Raises
    ------
    SpecificationError
        When there is no patient, or a time is not above 0.

    References
    ----------
    Alt EM et al. Biometrics 2024, doi:10.1093/biomtc/ujae083.
    """
    from scipy.special import betaincinv

    from smm_bayes.priors.mixtures import fit_mixture

    time, event, share = np.asarray(time, float), np.asarray(event, float), share or ShareOfPatients()
    if time.ndim != 1 or not len(time) or time.shape != event.shape or not np.all(time > 0) or share.cut:
        raise SpecificationError(
            f"need a time above 0 and an event for every patient, and a share without bounds; got {time.shape} times, "
            f"{event.shape} events"
        )
    x, w = np.polynomial.legendre.leggauss(SHARES)
    shares = betaincinv(share.a, share.b, (x + 1) / 2)
    line = np.linspace(-WIDTH, WIDTH, POINTS)
    eta, prior = baseline.mean + baseline.sd * line, np.exp(-0.5 * line**2)
    density = event * eta[:, None] - np.exp(eta)[:, None] * time  # log f, (point, patient)
    peak = density.max(axis=0)
    density = np.exp(density - peak)
    found = np.empty((SHARES, POINTS, POINTS))
    for k, gamma in enumerate(shares):
        for i in range(POINTS):
            found[k, i] = np.log(np.maximum(gamma * density[i] + (1 - gamma) * density, 1e-300)).sum(axis=1)
    weight = np.einsum("kij,k,j->i", np.exp(found - found.max()), w, prior) * prior
    kept = weight > 1e-12 * weight.max()
    fine = np.linspace(eta[kept][0], eta[kept][-1], 2000)
    weights = np.exp(np.interp(fine, eta[kept], np.log(weight[kept])))
    fitted = fit_mixture(fine, "normal", weights=10_000 * weights / weights.sum(), largest=6)
    assert isinstance(fitted, NormalMixture)
    return fitted
