"""Which namespaces are teams', as the release's values say at this moment.

The chart writes them into a ConfigMap. The operator reads it again and again, so that a team comes or goes without a
restart. Rights in a team's namespace come with it, from the same ``helm upgrade``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from alcove_kube.resources import CONFIG_MAPS
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.errors import OperatorError

log = logging.getLogger(__name__)
KEY = "namespaces"
"""Of the ConfigMap: one namespace a line."""


def parse_namespaces(data: dict[str, str], own: str) -> frozenset[str]:
    """The namespaces of teams that a ConfigMap names; the competition's ``own`` is none of them."""
    return frozenset(data.get(KEY, "").split()) - {own}


def with_listed_teams(settings: OperatorSettings, data: dict[str, str]) -> OperatorSettings:
    """The settings as if the teams that the ConfigMap's ``data`` names were in them: for who looks once."""
    listed = parse_namespaces(data, settings.competition_namespace)
    return OperatorSettings.model_validate(
        {**dict(settings), "namespaces": (*settings.namespaces, *sorted(listed))}
    )


@dataclass
class TeamList:
    """:meth:`refresh` alone writes; everybody else reads :attr:`namespaces`, and may find another list each time."""

    api: Api
    settings: OperatorSettings
    namespaces: frozenset[str] = field(init=False)
    """Of the teams, without the competition's own."""

    def __post_init__(self) -> None:
        self.namespaces = frozenset(self.settings.namespaces) - {self.settings.competition_namespace}

    def is_team(self, namespace: str) -> bool:
        return namespace in self.namespaces

    async def refresh(self) -> frozenset[str]:
        """Reads the list again; returns those that are no longer teams'.

        Raises:
            ApiError: it cannot be read.
            OperatorError: it is not there, which removes nobody: who removes a team takes its line out.
        """
        own, name = self.settings.competition_namespace, self.settings.teams_config_map
        if not name:
            return frozenset()
        found = await self.api.find(CONFIG_MAPS, own, name)
        if found is None:
            raise OperatorError(
                f"There is no ConfigMap {name} in {own}, which lists the teams.",
                consequence="Teams neither come nor go.",
                remedy="Run helm upgrade, which makes it.",
            )
        old = self.namespaces
        new = frozenset(self.settings.namespaces) - {own} | parse_namespaces(found.get("data") or {}, own)
        self.namespaces = new
        if old != new:
            log.info(
                "There are %d teams: %d have come and %d have gone.", len(new), len(new - old), len(old - new)
            )
        return old - new
