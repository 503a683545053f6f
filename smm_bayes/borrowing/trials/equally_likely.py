"""Priors under several equally likely reconstructions of the earlier patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smm_bayes.borrowing.trials.arm_prior import ArmPrior
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures import MultivariateNormalMixture


def equally_likely(priors: Sequence[ArmPrior]) -> ArmPrior:
    """Mix the priors that equally likely reconstructions give, each with the same weight.

    Parameters
    ----------
    priors : sequence of ArmPrior
        Of one method and the same trials, one a reconstruction.

    Raises
    ------
    SpecificationError
        When there is none, or they are of different methods or trials.
    """
    if not priors:
        raise SpecificationError("give the prior of one reconstruction at least")
    first = priors[0]
    if any((one.names, one.method, one.mixture.labels) != (first.names, first.method, first.mixture.labels)
           for one in priors):  # fmt: skip
        raise SpecificationError("the priors must be of one method, the same trials and the same intervals")
    parts = [one.mixture for one in priors]
    mixture = MultivariateNormalMixture(
        np.concatenate([part.weights for part in parts]) / len(parts), np.concatenate([part.means for part in parts]),
        np.concatenate([part.covariances for part in parts]), first.mixture.labels,
    )  # fmt: skip
    return ArmPrior(mixture, first.method, first.names, np.concatenate([one.first for one in priors]),
                    np.concatenate([one.powers for one in priors]),
                    tuple(component for one in priors for component in one._components))  # fmt: skip
