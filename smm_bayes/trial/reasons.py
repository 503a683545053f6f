"""Why follow-up ended: what the words of EVNTDESC, CNSDTDSC and DCSREAS say, and what they leave open."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from smm_bayes.errors import Problems
from smm_bayes.trial.identity import ByName, normal_form
from smm_bayes.trial.patients import REASONS, UNKNOWN
from smm_bayes.trial.table import Table

HIGHEST_USUAL_CODE = 9
CUT = (
    r"(?:(?:data|analysis|clinical) cut(?: ?off)?(?: date)?|(?:at|by) (?:the )?cut ?off(?: date)?|"
    r"cut ?off date|^cut ?off$)"
)
CANCER = r"(?:anti ?(?:cancer|neoplastic|myeloma|tumou?r|lymphoma|leuka?emia)|cancer|oncolog(?:ic|y)|myeloma|systemic)"
TREATMENT = rf"(?:{CANCER} |line (?:of )?|study )*(?:therap(?:y|ies)|treatments?|regimens?|medications?|drugs?)"
WHO = r"(?:the )?(?:subject|patient|participant|parent|guardian|parent guardian|family)"
# whole phrases, of text in small letters without punctuation
PHRASES = {
    "lost": (
        r"lost to (?:follow ?up|fu)",
        r"lost (?:follow ?up|contact)",
        r"^lost$",
        r"lo?tfu",
        r"contact (?:was )?lost",
        r"(?:unable|not able) to (?:contact|reach|locate)",
        r"could not be (?:contacted|reached|located)",
        r"no longer (?:contactable|reachable)",
        r"untraceable",
        r"moved away and lost",
    ),
    "withdrawn": (
        r"withdr(?:ew|awn|awal|awing)(?: of)?(?: \w+){0,2} consent",
        r"consent(?: was| is)? (?:withdrawn|revoked)",
        r"consent withdrawal",
        r"(?:revoked|revocation of)(?: informed)? consent",
        rf"withdr(?:awal|awn|ew) by {WHO}",
        r"withdr(?:awal|awn|ew|awing) from (?:the )?(?:study|trial|follow ?up)",
        rf"{WHO} withdr(?:awal|ew)",
        r"(?:study|trial) withdrawal",
        r"^withdr(?:awal|awn|ew)$",
        rf"{WHO} (?:decision|request)",
        r"refus(?:al of|ed|es|ing)(?: any| all)?(?: further)? (?:follow ?up|participation|contact)",
    ),
    "new_therapy": (
        rf"(?:new|subsequent|alternative|non ?protocol|further|additional|next(?: line)?|second line) {TREATMENT}",
        rf"(?:start(?:ed)?|initiat(?:ion|ed)|receipt|received|use)(?: of)? {CANCER} {TREATMENT}",
        rf"(?:new|subsequent|alternative|further) (?:line(?: of {TREATMENT})?|{CANCER}(?: (?:surgery|radiation))?)$",
        r"(?:new|subsequent) anti ?cancer",
    ),
    "administrative": (
        rf"{CUT}",
        r"data(?:base)? (?:lock|snapshot)",
        r"administrative(?:ly)?(?: censor(?:ed|ing))?$",
        r"administrative(?:ly)? censor(?:ed|ing)",
        r"^(?:still )?on ?going(?: (?:at|in|on|as of|without|and) .*)?$",
        r"(?:study|trial|follow ?up|subject|patient|participant)s?(?: is| are| was)?(?: still)? on ?going",
        r"on ?going (?:in |on )?(?:the )?(?:study|trial|follow ?up)",
        r"still (?:being )?(?:followed|in (?:the )?(?:study|trial|follow ?up)|on (?:study|trial|treatment)|at risk)",
        r"(?:continu(?:es|ing)|remain(?:s|ing)?|active|alive) (?:in|on) (?:the )?(?:study|trial|follow ?up|treatment)",
        r"(?:in|under|active) follow ?up$",
        r"follow ?up (?:is )?continu(?:es|ing)",
        r"^(?:in|on) (?:study|trial)$",
    ),
    "other": (
        r"(?:study|trial|protocol|follow ?up)(?: was)? complet(?:ion|ed)(?: date)?",
        r"^complet(?:ed|ion|er)$",
        r"complet(?:ed|ion of)(?: the)? (?:study|trial|protocol|follow ?up)",
        r"^other(?: reason)?s?$",
        r"end of (?:the )?(?:study|trial|follow ?up)(?! (?:visit|assessment))",
        r"(?:study|trial) end(?:ed)?",
        r"(?:study|trial|site) (?:was )?(?:closure|closed|terminat(?:ion|ed))",
        r"terminat(?:ion|ed) (?:of|by) (?:the )?(?:study|trial|sponsor)",
    ),
}
EVENTS = (
    r"progress(?:ion|ed|ive disease)(?! (?:assess|eval|follow|free))",
    r"death",
    r"died",
    r"dead",
    r"deceased",
    r"relapsed?",
    r"recurrence",
    r"pd",
)
# before a phrase these words deny it
FILLER = (
    r"(?:documented|confirmed|any|known|new|evidence|of|or|nor|the|a|an|start|started|received?|receiving|had|been|yet|"
    r"disease|progression|progressive|progressed|relapse|death|died|event|subsequent|further|pd)"
)
# what says that nothing happened, or which date it is, and not why it is not known later
NEUTRAL = (
    r"^(?:right )?censor(?:ed|ing)?$",
    rf"^(?:no|without|not)(?: {FILLER})+$",
    r"^no \w+ event$",
    r"^(?:\w+ )?event free$",
    r"^alive(?: without .*)?$",
    r"^progression free$",
    r"^(?:date of )?last .*(?:alive|assessment|contact|visit|evaluation)$",
)
DENIED = re.compile(rf"\b(?:no|not|without|never|non|none|absence of|free of|neither|nor)(?: {FILLER})* $")
EARLIER = re.compile(r"\b(?:before|prior to|until|up to|on or before|or before|preceding)(?: the)? $")
DENIED_AFTER = re.compile(r" ?(?:no|none|n|free)$")


@dataclass(frozen=True)
class Meaning:
    """What a text says.

    Attributes
    ----------
    reasons : frozenset of str
        Reasons for censoring that it gives; more than one is no answer.
    event : bool
        Whether it speaks of an event.
    neutral : bool
        Whether it says only that nothing happened, or which date it is.
    """

    reasons: frozenset[str]
    event: bool
    neutral: bool

    @property
    def reason(self) -> str:
        """The one reason that it gives; empty otherwise."""
        return next(iter(self.reasons)) if len(self.reasons) == 1 and not self.event else ""


@lru_cache(maxsize=4096)
def meaning_of(text: str) -> Meaning:
    """Say what a text means, by whole words and phrases; denied phrases do not count.

    >>> meaning_of("Missed two consecutive assessments").reasons
    frozenset()
    >>> meaning_of("No new therapy, ongoing at data cut-off").reason
    'administrative'
    """
    words = " ".join(re.sub(r"[^\w]|_", " ", text.casefold()).split())
    reasons = {reason for reason, phrases in PHRASES.items() if any(_says(words, p, reason) for p in phrases)}
    if "administrative" in reasons and re.search(r"\bdiscontinu", words):
        reasons -= {"administrative"}  # who has stopped is not followed, whatever else is going on
    event = any(_says(words, phrase, "event") for phrase in EVENTS)
    neutral = not reasons and not event and any(re.search(phrase, words) for phrase in NEUTRAL)
    return Meaning(frozenset(reasons), event, neutral)


def _says(words: str, phrase: str, what: str) -> bool:
    """Whether the words hold the phrase, as whole words, and do not deny it."""
    for found in re.finditer(rf"(?<!\w)(?:{phrase})(?!\w)", words):
        before, after = words[: found.start()], words[found.end() :]
        dated = what in ("administrative", "event") and EARLIER.search(before)  # says only which date it is
        if not (DENIED.search(before) or dated or DENIED_AFTER.fullmatch(after)):
            return True
    return False


def reason_in(text: str) -> str:
    """Reason for censoring that a text gives; empty where it gives none, or could mean two.

    >>> [reason_in(text) for text in ("LOST TO FOLLOW-UP", "Colostomy", "Study Completion Date")]
    ['lost', '', 'other']
    """
    return meaning_of(text).reason


def check_reasons(censoring: Mapping[int, str] | Mapping[str, str] | None, problems: Problems) -> None:
    """Note reasons for censoring that are none."""
    unknown = sorted(set((censoring or {}).values()) - set(REASONS))
    if unknown:
        problems.add(f"censoring: {', '.join(unknown)} is no reason; give one of {', '.join(REASONS)}")


@dataclass(frozen=True)
class Declared:
    """What a specification says that codes and texts mean."""

    codes: dict[int, str]
    texts: ByName[str]

    @classmethod
    def of(cls, censoring: Mapping[int, str] | Mapping[str, str] | None) -> Declared:
        """Take codes of CNSR (whole numbers) and texts apart."""
        given = {str(key).strip(): reason for key, reason in (censoring or {}).items()}
        codes = {key for key in given if key.isdecimal() and len(key) <= 3}
        return cls(
            {int(key): given[key] for key in codes},
            ByName((key, reason) for key, reason in given.items() if key not in codes),
        )


@dataclass(frozen=True)
class Described:
    """A row of ADTTE in words: CNSR, EVNTDESC (what happened, or why not) and CNSDTDSC (what the date is)."""

    code: int
    happened: str
    dated: str

    def reason(self, declared: Declared) -> str:
        """Give the reason for censoring; empty where it is not known."""
        for text in (self.happened, self.dated):
            if text and text in declared.texts:
                return declared.texts[text]
        if self.code in declared.codes:
            return declared.codes[self.code]
        if self.code > HIGHEST_USUAL_CODE:
            return ""
        silent = not self.happened or meaning_of(self.happened).neutral
        return reason_in(self.dated if silent else self.happened)

    def contradiction(self, declared: Declared, causes: ByName[int]) -> str:
        """Say in what the words contradict the code, or each other; empty where they do not."""
        first, second = meaning_of(self.happened), meaning_of(self.dated)
        settled = self.happened in declared.texts or self.dated in declared.texts
        if self.code == 0:
            known = self.happened in causes
            if not known and (first.neutral or (first.reasons and not first.event)):
                return f"CNSR 0, an event, for {self.happened!r}"
            same = normal_form(self.dated) in ("", "notcensored", "event", normal_form(self.happened))
            return "" if same or second.event or self.dated in causes else f"CNSR 0, an event, with {self.dated!r}"
        if settled:
            return ""
        for text, meaning in ((self.happened, first), (self.dated, second)):
            if text and (text in causes or (meaning.event and not meaning.reasons)):
                return f"CNSR {self.code}, a censoring, for {text!r}"
        if first.reason and second.reason and first.reason != second.reason:
            return f"{self.happened!r} with {self.dated!r}"
        return ""


def read_reasons(
    table: Table,
    code: np.ndarray,
    columns: Mapping[str, str],
    causes: Mapping[str, int],
    censoring: Mapping[int, str] | Mapping[str, str] | None,
    problems: Problems,
) -> np.ndarray:
    """Give the reason for censoring of every row of an ADTTE table; empty for events, unknown without any words.

    What is not known, and what contradicts CNSR or the other words of the row, is noted with the key that settles it.

    Parameters
    ----------
    table : Table
    code : numpy.ndarray of int
        CNSR; -1 where it could not be read.
    columns : mapping of str to str
        Columns of the roles ``censored``, ``event`` and ``censoring``.
    causes : mapping of str to int
        Texts that name an event.
    censoring : mapping, optional
        Codes of CNSR and texts to reasons.
    problems : Problems
    """
    declared, known = Declared.of(censoring), ByName(causes.items())
    if not censoring and columns["event"] not in table and columns["censoring"] not in table:
        return np.where(code > 0, UNKNOWN, "").astype(object)
    cells = [table.words(columns["event"]), table.words(columns["censoring"])]
    rows = [Described(int(number), *words) for number, *words in zip(code, *cells, strict=True)]
    reasons = [row.reason(declared) if row.code > 0 else "" for row in rows]
    wrong = [row.contradiction(declared, known) if row.code >= 0 else "" for row in rows]
    _note_contradictions(table, columns, rows, wrong, problems)
    open_ = [row.code > 0 and not reason and not fault for row, reason, fault in zip(rows, reasons, wrong, strict=True)]
    _note_unknown(table, columns, rows, open_, problems)
    return np.array(reasons, dtype=object)


def _note_contradictions(
    table: Table, columns: Mapping[str, str], rows: Sequence[Described], wrong: Sequence[str], problems: Problems
) -> None:
    hit = [bool(text) for text in wrong]
    said = next((text for text in wrong if text), "")
    row = next((row for row, bad in zip(rows, hit, strict=True) if bad), None)
    text = (row.happened or row.dated) if row else ""
    column = columns["event"] if row and row.happened else columns["censoring"]
    remedy = f"correct {columns['censored']} or the words"
    if row and row.code == 0:
        remedy += ", or name the words in causes"
    if row and row.code > 0:
        remedy += f', or say what the words mean: censoring = {{"{text}" = "other"}}'
    problems.add_rows(
        column, table.where(hit), f"the words contradict {columns['censored']} or each other", remedy, said
    )


def _note_unknown(
    table: Table, columns: Mapping[str, str], rows: Sequence[Described], unknown: Sequence[bool], problems: Problems
) -> None:
    """Ask once for each kind of thing that is not known."""
    kinds: dict[str, list[bool]] = {"happened": [], "dated": [], "above": [], "one": [], "code": []}
    for row, hit in zip(rows, unknown, strict=True):
        kind = "happened" if row.happened else "dated" if row.dated else "above" if row.code > 1 else "one"
        if row.code > HIGHEST_USUAL_CODE:
            kind = "code" if row.happened or row.dated else "above"
        for name, hits in kinds.items():
            hits.append(hit and name == kind)
    for name, column in (("happened", columns["event"]), ("dated", columns["censoring"])):
        texts = [row.happened or row.dated for row in rows]
        said = list(dict.fromkeys(text for text, hit in zip(texts, kinds[name], strict=True) if hit))
        example = f'censoring = {{"{said[0]}" = "lost"}}' if said else ""
        problems.add_rows(
            column,
            table.where(kinds[name]),
            "a reason that is not understood",
            f"say in the specification what it means, for example {example}",
            _quoted(said),
        )
    column, words = columns["censored"], f"a reason in {columns['event']} or {columns['censoring']}"
    problems.add_rows(
        column,
        table.where(kinds["above"]),
        f"a code above 1 without {words}",
        'say in the specification what each code means, for example censoring = {2 = "lost"}',
    )
    problems.add_rows(
        column,
        table.where(kinds["one"]),
        f"a censoring without {words}",
        'say whether these patients are still followed: censoring = {1 = "administrative"}',
    )
    codes = [str(row.code) for row in rows]
    found = next((code for code, hit in zip(codes, kinds["code"], strict=True) if hit), "")
    problems.add_rows(
        column,
        table.where(kinds["code"]),
        f"a code above {HIGHEST_USUAL_CODE} that is not declared",
        f'say what it means: censoring = {{{found} = "other"}}',
        found,
    )


def _quoted(texts: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(repr(text) for text in texts[:most])
    return f"{shown} and {len(texts) - most} more" if len(texts) > most else shown
