"""Settings of the server, from the environment that the chart sets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from alcove_api.errors import AlcoveError
from alcove_store.client import StoreConfig


class SettingsError(AlcoveError):
    """The environment lacks something, or has what cannot be used."""


@dataclass(frozen=True)
class BoardSettings:
    namespace: str
    """Of the competition: its Leaderboards are shown."""
    store: StoreConfig
    signed_endpoint: str
    """Address of the store that teams sign the links to their reports for: http(s)://host[:port]."""
    port: int = 8080
    metrics_port: int = 9090
    """0: no metrics are served."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> BoardSettings:
        """From ``ALCOVE_COMPETITION_NAMESPACE``, ``ALCOVE_STORE_*``, ``ALCOVE_STORE_SIGNED_ENDPOINT`` and
        ``ALCOVE_{,METRICS_}PORT``.

        Raises :class:`SettingsError`, or :class:`alcove_store.errors.StoreError` for what the store needs.
        """
        store = StoreConfig.from_environment(environment)
        try:
            return cls(
                environment["ALCOVE_COMPETITION_NAMESPACE"],
                store,
                environment.get("ALCOVE_STORE_SIGNED_ENDPOINT") or store.endpoint,
                int(environment.get("ALCOVE_PORT", cls.port)),
                int(environment.get("ALCOVE_METRICS_PORT", cls.metrics_port)),
            )
        except (KeyError, ValueError) as error:
            raise SettingsError(
                f"The environment of the board's server is not complete ({type(error).__name__}): {error}.",
                consequence="It did not start.",
                remedy="The chart sets it; see the description of alcove_board.settings.",
            ) from error
