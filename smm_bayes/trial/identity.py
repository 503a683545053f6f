"""One normal form of names: patients, parameters, arms, causes and units that are written alike are the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

DASHES = re.compile("[\u2010-\u2015\u2212]")
NUMBER = re.compile(r"[+-]?[0-9]+\.[0-9]+(e[+-]?[0-9]+)?|[+-]?[0-9]+e[+-][0-9]+")
AS_GOOD_AS_WHOLE = 1e-9


@lru_cache(maxsize=100_000)
def normal_form(text: str) -> str:
    r"""Text in the form in which names are compared.

    Case, Unicode variants, white space (but between two numbers), invisible characters, zeros that pad a number, and
    the decimal point of a whole number do not matter.

    >>> normal_form(" Low\u00a0Dose\u200b") == normal_form("LOW DOSE")
    True
    >>> [normal_form(text) for text in ("S-007", "7.0", "5.4e-79", "1 11", "0.05 mg")]
    ['s-7', '7', '0', '1 11', '0.05mg']
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    shown = "".join(" " if letter.isspace() else letter for letter in folded if _visible(letter))
    shown = re.sub(" +", " ", DASHES.sub("-", shown)).strip()
    shown = re.sub("(?<![0-9]) | (?![0-9])", "", shown)
    if NUMBER.fullmatch(shown) and abs(value := float(shown)) < 1e15 and abs(value - round(value)) < AS_GOOD_AS_WHOLE:
        return str(round(value))
    shown = re.sub(r"(?<=[0-9])\.0+(?![0-9.])", "", shown)
    return re.sub("(?<![0-9.])0+(?=[0-9])", "", shown)


def _visible(letter: str) -> bool:
    return letter.isspace() or unicodedata.category(letter) not in ("Cc", "Cf", "Cn", "Co", "Cs")


class ByName[Value](Mapping[str, Value]):
    """A mapping whose keys are compared in their normal form; of two names that are the same the first counts."""

    def __init__(self, items: Iterable[tuple[str, Value]] = ()) -> None:
        self._values: dict[str, Value] = {}
        self._names: dict[str, str] = {}
        for name, value in items:
            self._values.setdefault(normal_form(name), value)
            self._names.setdefault(normal_form(name), name)

    def __getitem__(self, name: str) -> Value:
        return self._values[normal_form(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names.values())

    def __len__(self) -> int:
        return len(self._values)


def one_slip_apart(one: str, two: str) -> bool:
    """Whether two names differ by one letter: left out, put in, another, or two that changed places.

    >>> [one_slip_apart("pfs", other) for other in ("pfss", "ps", "psf", "pfx", "pfs", "os")]
    [True, True, True, True, False, False]
    """
    if one == two or abs(len(one) - len(two)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    left, right = one[start:], two[start:]
    swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
    return left[1:] == right or left == right[1:] or left[1:] == right[1:] or swapped
