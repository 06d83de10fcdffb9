"""Offers a dataset to all teams: packs it, and uploads it into one of the team's slots by the permits in its Secret."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from pydantic import ValidationError

from alcove_api.offers import OFFERS_SECRET, PERMITS_KEY, OfferedDataset, OfferPermits
from alcove_api.uploads import UploadPermit
from alcove_api.words import count_of, format_bytes
from alcove_cli.code_folder import say
from alcove_cli.errors import CommandError, choose_failure
from alcove_cli.upload import send_by_permit

if TYPE_CHECKING:
    from alcove_cli.exchange import StoreAccess
    from alcove_kube.client import KubeClient


def offer_dataset(
    kube: KubeClient, access: StoreAccess, team: str, name: str, folder: Path, solution: Path | None
) -> OfferedDataset:
    """Puts the dataset into the slot that holds one of its name, or into a free one.

    Raises:
        CommandError: there is no slot, no permit or no room for it, or the store did not take it.
        FormatError, SolutionError: the dataset cannot be read.
    """
    from alcove_toolkit.offers import list_offers, pack_offer

    permits = _read_permits(kube, team)
    with access.reach("Nothing was offered.") as store:
        taken = {offer.slot: offer.offered.name for offer in list_offers(store, access.uploads, team)}
    slot = _choose_slot(permits, taken, name)
    with tempfile.TemporaryFile() as archive:
        offered = pack_offer(folder, solution, name, cast(BinaryIO, archive))
        if offered.bytes > permits.bytes_at_most:
            raise CommandError(
                f"{name} has {format_bytes(offered.bytes)} packed, and may have {format_bytes(permits.bytes_at_most)} "
                "(a quarter of the competition's limits.sharedBytes). Nothing was sent. Offer fewer examples."
            )
        say(
            f"{name} is uploaded: {format_bytes(offered.bytes)} of at most {format_bytes(permits.bytes_at_most)}."
        )
        _send(access, permits.slots[slot].archive, cast(BinaryIO, archive), offered.bytes)
    entry = offered.canonical()
    with tempfile.TemporaryFile() as file:
        file.write(entry)
        # Last: what it names is there.
        _send(access, permits.slots[slot].entry, cast(BinaryIO, file), len(entry))
    return offered


def _read_permits(kube: KubeClient, team: str) -> OfferPermits:
    data = kube.read_secret(team, OFFERS_SECRET).get(PERMITS_KEY)
    try:
        permits = OfferPermits.model_validate_json(data or b"")
    except ValidationError:
        raise CommandError(
            f"There are no permits in secrets/{OFFERS_SECRET} in {team} yet. Nothing was offered. The operator makes "
            "them within a minute of its start: try again, or ask the organizer."
        ) from None
    if not permits.slots:
        raise CommandError(
            "This competition lets no team offer datasets (limits.sharedBytes). Nothing was sent."
        )
    return permits


def _choose_slot(permits: OfferPermits, taken: dict[int, str], name: str) -> int:
    same = [slot for slot, offered in sorted(taken.items()) if offered == name]
    free = [slot for slot in range(len(permits.slots)) if slot not in taken]
    if not same and not free:
        names = ", ".join(sorted(taken.values()))
        raise CommandError(
            f"The team offers {count_of(len(permits.slots), 'dataset')} already, as many as it may: {names}. "
            "Nothing was sent. Push under one of these names to replace that one."
        )
    return (same or free)[0]


def _send(access: StoreAccess, permit: UploadPermit, source: BinaryIO, size: int) -> None:
    from alcove_store.errors import StoreError
    from alcove_store.post import find_url

    url = find_url(permit, access.endpoint)
    try:
        send_by_permit(permit, source, size, url)
    except StoreError as error:
        raise choose_failure(error)(
            f"The dataset could not be uploaded to {url} (from {access.source}). {error.cause}",
            consequence="It is not offered.",
            remedy="Push it again; it starts from the beginning. Where the store has another address from here, give "
            "--store http://HOST:PORT.",
        ) from error
