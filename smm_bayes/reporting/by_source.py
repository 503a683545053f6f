"""What each source of information moved, and what the decision says of a relation across trials."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from smm_bayes.analysis.decision import Decision, Interval, Milestone, RelationResult
from smm_bayes.prediction.reweighting import RELIABLE_UP_TO
from smm_bayes.reporting.plots import COLOURS, literal, new_axes
from smm_bayes.reporting.words import Rows, convergence, with_error

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NARROW, WIDE = 36, 88  # characters of a line of a label and of a title


def answer_table(decision: Decision) -> pd.DataFrame | None:
    """Probability of success as sources are added, then with each left out; None where there is one source only.

    Where the relation across trials is among them, show :func:`relation_rows` beside it.

    Returns
    -------
    pandas.DataFrame
        Columns ``probability`` and ``mcse``; ``moved``, what the source that was added or left out moved the answer
        by, with ``mcse_moved`` (both NaN in the first row); and ``primary``.
    """
    import pandas as pd

    if len(decision.answers) < 2:
        return None
    columns = ["probability", "mcse", "moved", "mcse_moved", "primary"]
    rows = {one.name: [getattr(one, name) for name in columns] for one in decision.answers}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.astype({"moved": float, "mcse_moved": float})


def answer_rows(decision: Decision) -> Rows | None:
    """The same in words, one row a set of sources."""
    table = answer_table(decision)
    if table is None:
        return None
    rows = Rows()
    for name, row in table.iterrows():
        moved = "" if row.isna()["moved"] else f", moved it by {with_error(row['moved'], row['mcse_moved'])}"
        primary = " (primary)" if row["primary"] else ""
        rows.append((str(name), f"{row['probability']:.3f} ± {row['mcse']:.3f}{moved}{primary}"))
    return rows


def mrd_rows(decision: Decision) -> Rows | None:
    """What the joint model says of MRD, with its convergence; None without patients' MRD."""
    found = decision.mrd
    if found is None:
        return None
    rows = Rows((f"hazard ratio of {cause}, MRD-negative over not", _said(ratio))
                for cause, ratio in found.hazard_ratio.items())  # fmt: skip
    visits = dict.fromkeys(share.visit for share in found.shares)
    rows += [(f"odds ratio at {visit:g} months, event-free and negative of all randomised", _said(ratio))
             for visit, ratio in zip(visits, found.odds_ratio, strict=False)]  # fmt: skip
    rows += [(f"MRD-negative at {share.visit:g} months, {share.arm}",
              f"{_said(share.among_event_free)} of patients who are event-free; "
              f"{_said(share.of_all_randomised)} of all")
             for share in found.shares]  # fmt: skip
    rows += [(f"contraction of {name.replace('_', ' ')}", f"{value:.2f}") for name, value in found.contraction.items()]
    if found.milestone is not None:
        rows += _milestone_rows(found.milestone)
    rows.append(("convergence", convergence(found.diagnostics)))
    return rows


def _milestone_rows(found: Milestone) -> list[tuple[str, str]]:
    """Difference and residual always; the proportion with what it assumes, or why there is none."""
    what = f"event-free at {found.month:g} months, experimental less control"
    rows = [(what, _said(found.difference)),
            (f"the same with MRD at {found.landmark:g} months as in control", _said(found.residual))]  # fmt: skip
    if found.proportion is not None:
        rows.append(("proportion explained by MRD", _said(found.proportion)))
    return [*rows, ("on the proportion", found.note)]


def relation_rows(decision: Decision) -> Rows | None:
    """What the relation across trials did, with everything that the claim rests on; None where there is none.

    How it was carried over, whether it is extrapolated and how far its weights can be relied on are always among the
    rows: without them its numbers are not to be read.
    """
    found = decision.mrd.relation if decision.mrd else None
    if found is None:
        return None
    rows = Rows([("relation across trials", found.relation), ("trust", found.trust)])
    rows += [(f"carried over: {name}", words) for name, words in found.transport.items()]
    if found.weight is not None and found.posterior_weight is not None:
        after = f"{found.posterior_weight:.3f} ± {found.mcse_posterior_weight or 0:.3f}"
        rows.append(("probability that it holds here", f"{found.weight:g} before the data, {after} after"))
    rows.append(("extrapolation", found.extrapolation))
    rows.append(("weights", _weights(found)))
    what = f"at {found.horizon:g} months"
    nothing = "nothing: the relation is not used"
    rows += [
        (f"predicted from the effect on MRD at {found.visit:g} months",
         nothing if found.predicted is None else f"{_said(found.predicted)}, log S1 / log S0 {what}"),
        (f"effect on the event {what} without the relation", _said(found.event_effect)),
        (f"effect on the event {what} with it", _said(found.event_effect_related)),
    ]  # fmt: skip
    return rows


def tipping_table(decision: Decision) -> pd.DataFrame | None:
    """Probability of success by scale, shift and extra SD of the transport; None where there is no relation.

    Returns
    -------
    pandas.DataFrame
        Columns ``scale``, ``shift``, ``extra_sd`` (infinity: the relation is not used), ``answer``, ``mcse`` and
        ``reliable``.
    """
    import pandas as pd

    found = decision.mrd.relation if decision.mrd else None
    if found is None:
        return None
    shown = [one for one in found.tipping if one.scale is not None]
    rows = [(one.scale, one.shift, one.extra_sd, one.probability, one.mcse, one.reliable) for one in shown]
    for one in found.tipping:
        if one.scale is None:
            rows += [(scale, shift, float("inf"), one.probability, one.mcse, one.reliable)
                     for scale, shift in dict.fromkeys((row[0], row[1]) for row in rows)]  # fmt: skip
    return pd.DataFrame(rows, columns=["scale", "shift", "extra_sd", "answer", "mcse", "reliable"])


@literal
def plot_tipping_points(decision: Decision) -> Figure | None:
    """Draw where the conclusion changes as the gap between the relation's trials and this one does, by shift."""
    import matplotlib.pyplot as plt

    from smm_bayes.reporting.transport import plot_tipping

    table = tipping_table(decision)
    if table is None or decision.mrd is None or decision.mrd.relation is None:
        return None
    shifts = sorted(set(table["shift"]))
    figure, axes = plt.subplots(1, len(shifts), figsize=(1.0 + 3.3 * len(shifts), 3.2), layout="constrained",
                                squeeze=False, sharey=True)  # fmt: skip
    for ax, shift in zip(axes.flat, shifts, strict=True):
        plot_tipping(table, decision.mrd.relation.threshold, ax, shift=shift, answer="probability of success")
        ax.set_ylabel("extra SD g" if ax is axes.flat[0] else "")
    doubtful = int((~table["reliable"]).sum())
    said = f"; {doubtful} cells rest on few draws" if doubtful else ""
    figure.suptitle(f"Data: {decision.data}{said}; Monte Carlo errors up to {table['mcse'].max():.3f}", fontsize=9)
    return figure


def _said(interval: Interval) -> str:
    return f"{interval.median:.2f} (95 % {interval.lower:.2f} to {interval.upper:.2f})"


def _weights(found: RelationResult) -> str:
    k = "not known" if found.pareto_k is None else f"{found.pareto_k:.2f}"
    said = f"Pareto k {k}, {found.effective_draws:.0f} effective draws"
    if found.pareto_k is not None and found.pareto_k <= RELIABLE_UP_TO:
        return said
    return f"NOT RELIABLE: {said}; the model was fitted with the relation in it instead"


@literal
def plot_answers(decision: Decision, ax: Axes | None = None) -> Axes | None:
    """Draw the probability of success as sources are added, then with each left out; None for one source only.

    Bars are two Monte Carlo errors each way. The answer that the specification names is a diamond. Where the relation
    across trials is among the sources the title says how it was carried over, whether it is extrapolated and how far
    its weights can be relied on.
    """
    table = answer_table(decision)
    if table is None:
        return None
    size, added = len(table), sum(one.how == "added" for one in decision.answers)
    title = _title(decision)
    ax = new_axes(ax, figsize=(9.0, 1.0 + 0.16 * len(title) + 0.42 * size))
    for place, (_, row) in enumerate(table.iterrows()):
        colour = COLOURS["experimental"] if place < added else "0.5"
        ax.errorbar(row["probability"], place, xerr=2 * row["mcse"], fmt="D" if row["primary"] else "o", color=colour,
                    ms=9 if row["primary"] else 6, capsize=3)  # fmt: skip
        moved = "" if place == 0 else f"  {row['moved']:+.3f} ± {row['mcse_moved']:.3f}"
        ax.text(1.01, place, f"{row['probability']:.3f}{moved}", transform=ax.get_yaxis_transform(), va="center",
                fontsize=8)  # fmt: skip
    ax.plot(table["probability"].iloc[:added], range(added), color=COLOURS["experimental"], lw=0.9, zorder=1)
    if added < size:
        ax.axhline(added - 0.5, color="0.7", lw=0.8)
    ax.set_yticks(range(size), ["\n".join(wrap(name, NARROW)) for name in table.index], fontsize=8)
    ax.set(ylim=(size - 0.5, -0.5), xlim=(0, 1), xlabel="probability of success (bars: two Monte Carlo errors)")
    ax.set_title("\n".join(title), fontsize=8.5, loc="left")
    return ax


def _title(decision: Decision) -> list[str]:
    """What was drawn, and what a relation among it rests on."""
    lines = [f"Sources added one by one, then left out. Data: {decision.data}"]
    relation = decision.mrd.relation if decision.mrd else None
    if relation is not None:
        carried = "; ".join(relation.transport.values())
        for said in (f"Relation carried over: {carried}", f"{relation.extrapolation}. {_weights(relation)}"):
            lines += wrap(said, WIDE)
    return lines
