"""What a phase gives to code that was written for another challenge."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from alcove_api.base import ApiModel, cel

FREE_CONSTRUCTOR_SECONDS = 1200
"""For import and constructor of a ``model.py`` before the go. AutoDL's public ingestion program gave as many."""


class Compatibility(ApiModel):
    """For phases that repeat an old challenge."""

    free_constructor: Annotated[
        bool,
        Field(
            json_schema_extra={
                "x-kubernetes-validations": [
                    cel(
                        "self == oldSelf",
                        "a phase's compat.freeConstructor cannot be changed, since runs before and after it could not "
                        "be compared: add a phase of another name",
                    )
                ]
            },
        ),
    ] = False
    """Whether import and constructor of a model.py run before the go, as in AutoDL's public program. They are free of
    charge for at most 1200 s, in which they may learn; then the budget begins, whether they have ended or not."""

    @property
    def free_seconds(self) -> int:
        """What import and constructor have before the go; 0 where they are charged."""
        return FREE_CONSTRUCTOR_SECONDS if self.free_constructor else 0
