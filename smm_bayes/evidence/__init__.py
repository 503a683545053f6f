"""Published facts with their source and trust, and the checks of their consistency."""

from smm_bayes.evidence.declared import load_declarations
from smm_bayes.evidence.facts import Fact, Facts, load_facts
from smm_bayes.evidence.registered import RegisteredEndpoint, registered_endpoints
from smm_bayes.evidence.schema import facts_schema
from smm_bayes.evidence.trials import Trial, load_trials
from smm_bayes.evidence.vocabulary import TRUST

__all__ = [
    "TRUST", "Fact", "Facts", "RegisteredEndpoint", "Trial", "consistency", "digitised", "digitising_error",
    "facts_schema", "load_declarations", "load_facts", "load_trials", "made", "pseudo", "reconstruct",
    "registered_endpoints",
]  # fmt: skip
