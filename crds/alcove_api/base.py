"""What the four kinds share: naming, conditions, and the metadata of a custom resource definition."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

GROUP = "alcove.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


def _rfc3339(moment: datetime) -> str:
    """Seconds are as fine as Kubernetes' own timestamps are."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


Time = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str, when_used="json")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", max_length=64)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
Alias = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=32)]
"""Short, since it becomes part of a Job's name beside a uid and an attempt."""
RunName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[1-9][0-9]?)?$", min_length=1, max_length=35)
]
"""An alias, and behind a dot the number of the repeat; see :mod:`alcove_api.run_names`."""
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$", max_length=16)]


class FrozenModel(BaseModel):
    """Base of every model here: immutable, so a change makes another one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def replace(self, **changes: object) -> Self:
        """The same with other values in the named fields; pydantic's ```model_copy`` checks neither.

        Raises:
            TypeError: a name that is not a field's.
            ValidationError: a value that the field does not take.
        """
        unknown = changes.keys() - type(self).model_fields.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}")
        set_fields = {name: getattr(self, name) for name in self.model_fields_set}
        return self.model_validate({**set_fields, **changes})


class ApiModel(FrozenModel):
    """snake_case here, camelCase in the API; unknown fields are an error."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )


class StatusModel(ApiModel):
    """A status is read back from the cluster, where a newer operator may have added fields."""

    model_config = ConfigDict(extra="ignore")


ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(StatusModel):
    """The standard condition of Kubernetes."""

    type: Annotated[str, Field(max_length=64)]
    status: ConditionStatus
    reason: Annotated[str, Field(max_length=64)]
    """One CamelCase word, for programs."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """A sentence that says what to do, for people."""
    last_transition_time: Time
    observed_generation: int | None = None


Conditions = Annotated[
    tuple[Condition, ...],
    Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


def cel(rule: str, message: str, **more: str) -> dict[str, Any]:
    """A validation in CEL, for ``json_schema_extra``; ``message`` names the field and the fix."""
    return {"rule": rule, "message": message, **more}


@dataclass(frozen=True)
class Column:
    """One printer column; ``priority`` 1 shows it with ``-o wide`` only."""

    name: str
    path: str
    type: str = "string"
    description: str = ""
    priority: int = 0


@dataclass(frozen=True)
class Kind:
    """A custom resource definition, but for its schema, which comes from the two models."""

    name: str
    plural: str
    short_names: tuple[str, ...]
    spec: type[ApiModel]
    status: type[StatusModel]
    description: str
    columns: tuple[Column, ...] = field(default=())

    @property
    def crd_name(self) -> str:
        return f"{self.plural}.{GROUP}"
