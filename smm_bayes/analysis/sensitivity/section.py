"""The section of a specification that says under which other assumptions the answer is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError, model_validator

from smm_bayes.analysis.keys import known_at
from smm_bayes.analysis.sections import Number, Role, Scale, Section, Word
from smm_bayes.errors import SpecificationError, nearest
from smm_bayes.prediction.future import Future

if TYPE_CHECKING:
    from smm_bayes.analysis.spec import AnalysisSpec

CHANGEABLE = ("model", "evidence", "mrd", "enrolment", "final", "success", "prediction")  # what a row may change
METHOD = "method"  # whose settings go with it
TO_COME = ("effect_gone_after", "control_hazard", "hazard", "dropout", "informative", "accrual")
Rate = Annotated[Number, Field(ge=0)]
Simple = bool | Number | Word | list[Number]


class SensitivitySection(Section):
    """Other assumptions, one row of the table of what the answer depends on."""

    name: Word = Field(description="What to call the row")
    reason: Word = Field(description="Why it is looked at")
    set: dict[str, Simple | dict[Word, Simple]] = Field(
        default_factory=dict,
        description="Keys of the specification, with dots as in section assumed, and what they hold instead; a table "
        "changes the keys that it names, and one that names a method is all there is. Priors are changed by weights "
        "where these can be relied on",
    )
    refit: bool = Field(
        default=False,
        description="Whether the changed model is fitted anew; without it what weights cannot change has no number",
    )
    effect_gone_after: Rate | None = Field(
        default=None,
        description="Months since enrolment from which on the experimental arm has control's hazards, for the time to "
        "come; 0 is from now on",
    )
    control_hazard: Scale | None = Field(
        default=None, description="Factor on control's hazards of the counted causes, for the time to come"
    )
    hazard: Scale | None = Field(
        default=None, description="Factor on the hazards of the counted causes of all arms, for the time to come"
    )
    dropout: dict[Role, Rate] | None = Field(
        default=None,
        description="Rate a month at which patients of an arm are lost from now on, by role; 0 where not named",
    )
    informative: dict[Role, Scale] | None = Field(
        default=None,
        description="Patients lost so far are followed on, with their arm's hazards of the counted causes times a "
        "factor by role; 1 where not named",
    )
    accrual: Scale | None = Field(
        default=None, description="Factor on the rate at which patients to come are enrolled"
    )

    @model_validator(mode="after")
    def _changes_something(self) -> SensitivitySection:
        if not self.set and all(getattr(self, key) is None for key in TO_COME):
            raise ValueError(f"changes nothing; give set or one of {', '.join(TO_COME)}")
        if self.refit and not self.set:
            raise ValueError("refit is of a changed model; give set, or remove refit")
        return self

    @property
    def future(self) -> Future:
        """What is other in the time to come."""
        stated = {key: getattr(self, key) for key in TO_COME if getattr(self, key) is not None}
        named: dict[str, Any] = {
            key: {str(role): number for role, number in value.items()} if isinstance(value, Mapping) else value
            for key, value in stated.items()
        }
        return Future(**named)

    @property
    def words(self) -> str:
        """What is changed, in words."""
        parts = [f"{key}: {_said(value)}" for key, value in self.set.items()]
        return "; ".join(parts + ([] if self.future.is_as_expected else [str(self.future)]))

    def changed(self, spec: AnalysisSpec) -> AnalysisSpec:
        """Give the specification with the keys of ``set`` changed; the same one where none is.

        Raises
        ------
        SpecificationError
            When there is no such key.
        pydantic.ValidationError
            When what results is no specification.
        """
        if not self.set:
            return spec
        content = spec.model_dump(exclude_unset=True, exclude={"sensitivity", "endpoint", "assumed", "known"})
        for key, value in self.set.items():
            _put(content, key, value)
        found = type(spec).model_validate(content)
        found._path = spec.path
        return found

    def problems(self, spec: AnalysisSpec) -> list[str]:
        """Say what of it does not go with a specification."""
        arms, found = [str(role) for role in spec.snapshot.arms], []
        if len(arms) < 2 and not (self.effect_gone_after is None and self.control_hazard is None):
            found.append("effect_gone_after and control_hazard are of two arms, but snapshot.arms names one; remove it")
        for key in ("dropout", "informative"):
            for role in sorted(set(getattr(self, key) or ()) - set(arms)):
                found.append(f"{key}.{role}: snapshot.arms has no {role}; correct it")
        if self.accrual is not None and spec.enrolment is None:
            found.append("accrual needs the section enrolment, which says how many are to come; remove it")
        try:
            self.changed(spec)
        except ValidationError as error:
            from smm_bayes.analysis.spec import say

            found += [f"set: {text}" for one in error.errors() for text in say(one)]
        except SpecificationError as error:
            found.append(f"set: {error}")
        return [f"sensitivity '{self.name}': {text}" for text in found]


def _said(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(inner)}" for key, inner in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _put(content: dict[str, Any], key: str, value: object) -> None:
    """Change one key of a specification's content, in place."""
    if key.split(".")[0] not in CHANGEABLE:
        raise SpecificationError(f"'{key}' is of no section that may change{nearest(key.split('.')[0], CHANGEABLE)}; "
                                 f"these are {', '.join(CHANGEABLE)}")  # fmt: skip
    place: Any = content
    rest, passed = key, list[str]()
    while True:
        names = [_named(part, number) for number, part in enumerate(place, 1)] if isinstance(place, list) else [*place]
        name, rest = _first(rest, names)
        if name not in names and (isinstance(place, list) or rest):
            _refuse_unknown(name, names, passed, key, named=isinstance(place, list))
        at: Any = names.index(name) if isinstance(place, list) else name
        if not rest:
            break
        if name not in names:
            place[at] = {}
        place = place[at]
        passed.append(str(at))
        if not isinstance(place, dict | list):
            raise SpecificationError(f"'{key}': {'.'.join(passed)} has no keys; end there")
    old = place[at] if name in names else None
    if isinstance(old, dict) and isinstance(value, dict) and METHOD not in value:
        value = {**old, **value}
    place[at] = value


def _first(rest: str, names: list[str]) -> tuple[str, str]:
    """Split the first name off a dotted key: the longest that is there, which may hold dots itself."""
    there = [name for name in names if rest == name or rest.startswith(f"{name}.")]
    name = max(there, key=len, default=rest.partition(".")[0])
    return name, rest[len(name) + 1 :]


def _refuse_unknown(name: str, names: list[str], passed: list[str], key: str, *, named: bool) -> None:
    """Refuse a section that is not there, unless it is one that a specification may have."""
    from smm_bayes.analysis.spec import AnalysisSpec

    known = known_at(AnalysisSpec.model_json_schema(), passed)
    if named or name not in known:
        raise SpecificationError(f"'{key}': there is no '{name}'{nearest(name, [*names, *known])}; there are "
                                 f"{', '.join(dict.fromkeys(names))}")  # fmt: skip


def _named(part: Any, number: int) -> str:
    """Name of a section in a list, as assumptions have it."""
    return str(part.get("name") or part.get("regimen") or number) if isinstance(part, dict) else str(number)
