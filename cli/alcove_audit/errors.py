"""Why an audit cannot be made at all; what differs is no error but a finding."""

from __future__ import annotations

from alcove_api.errors import AlcoveError


class AuditError(AlcoveError):
    """What is to be audited cannot be read, or is not there."""
