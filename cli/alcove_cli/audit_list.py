"""``alcove audit``: the list of changes of a competition, out of the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alcove_api import keys
from alcove_api.change_documents import CompetitionChange
from alcove_api.phase_dates import format_time
from alcove_cli.errors import FailedError
from alcove_cli.evidence import AUDITOR_SECRET
from alcove_cli.exchange import StoreAccess
from alcove_cli.options import parse_competition
from alcove_kube.client import KubeClient
from alcove_store.client import get_bytes, store_errors


def read_entries(kube: KubeClient, competition: str, endpoint: str | None) -> list[CompetitionChange]:
    """Oldest first.

    Raises:
        FailedError: the list is empty, or the store cannot be reached.
        ApiError: the Secret of the auditor cannot be read: only an organizer may.
    """
    namespace, name = parse_competition(competition)
    access = StoreAccess.of_secret(kube, namespace, AUDITOR_SECRET, endpoint)
    prefix = keys.changes(namespace, name)
    with access.reach() as store:
        with store_errors(f"listing {prefix}"):
            found = sorted(str(o.object_name) for o in store.list_objects(access.bucket, prefix=prefix))
        entries = [
            CompetitionChange.model_validate_json(get_bytes(store, access.bucket, key)) for key in found
        ]
    if not entries:
        raise FailedError(
            f"Nothing is known of a competition {namespace}/{name}. Give --competition NAMESPACE/NAME."
        )
    return entries


def describe_entries(entries: Sequence[CompetitionChange]) -> Iterator[str]:
    """Two lines a change: when and who, then what."""
    for number, entry in enumerate(entries):
        if number == 0 or entry.competition_uid != entries[number - 1].competition_uid:
            yield f"{format_time(entry.seen_at)}  the list begins"
        for change in entry.changes:
            yield f"{format_time(change.at or entry.seen_at)}  {change.author}  {change.kind}"
            yield f"    {change.text}"
