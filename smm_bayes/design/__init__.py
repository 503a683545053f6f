"""Designs: those that borrow, and group-sequential ones; events, conditional power, assurance."""

from smm_bayes.design.across_phases import assurance_after, enthusiastic_and_sceptical
from smm_bayes.design.conditional_power import conditional_power, conditional_power_spread, predictive_power
from smm_bayes.design.drift import conflict_table, operating_characteristics
from smm_bayes.design.events import (
    Accrual,
    average_hazard_ratio,
    event_information,
    events_needed,
    expected_events,
    hazard_ratio_at,
    time_of_events,
)
from smm_bayes.design.group_sequential import (
    GroupSequential,
    as_observed,
    haybittle_peto,
    spending_design,
    wang_tsiatis,
)
from smm_bayes.design.methods import (
    LogRatioPrior,
    Method,
    RatioPosterior,
    control_posterior,
    methods_for,
    ratio_posterior,
    with_experimental,
)
from smm_bayes.design.recursion import crossing_probabilities
from smm_bayes.design.sequential_result import SequentialResult
from smm_bayes.design.spending import Spending
from smm_bayes.design.stopping import interim_success, log_rank_success, stopping_errors
from smm_bayes.design.two_arm import TwoArmDesign, TwoArmTrials

__all__ = [
    "Accrual", "GroupSequential", "LogRatioPrior", "Method", "RatioPosterior", "SequentialResult", "Spending",
    "TwoArmDesign", "TwoArmTrials", "as_observed", "assurance_after", "average_hazard_ratio", "conditional_power",
    "conditional_power_spread", "conflict_table", "control_posterior", "crossing_probabilities",
    "enthusiastic_and_sceptical", "event_information", "events_needed", "expected_events", "haybittle_peto",
    "hazard_ratio_at", "interim_success", "log_rank_success", "methods_for", "operating_characteristics",
    "predictive_power", "ratio_posterior", "spending_design", "stopping_errors", "time_of_events", "wang_tsiatis",
    "with_experimental",
]  # fmt: skip
