"""Jobs of ours whose owner is gone: no turn on anything would ever delete them."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from alcove_kube.resources import COMPETITIONS, DATASETS, JOBS, SUBMISSIONS
from alcove_operator import logs
from alcove_operator.api import Api
from alcove_operator.core import names
from alcove_operator.index import Index
from alcove_operator.records import AGGREGATE, CHECK, JobRecord

log = logging.getLogger(__name__)
ORPHANED_AFTER = timedelta(seconds=60)


async def delete_orphans(index: Index, api: Api, namespace: str, now: datetime) -> None:
    """Deletes them; their pods and Secrets go with them. ``namespace``: the competition's. Raises ApiError."""
    for record in list(index.jobs.values()):
        job = record.view
        if (
            job.created_at < now - ORPHANED_AFTER
            and not job.deleting
            and _is_orphan(record, index, namespace)
        ):
            about = {"job": job.name, "submission_uid": job.submission_uid}
            with logs.bind(**about, team=record.labels.get(names.TEAM, "")):
                log.info("The Job is an orphan and is deleted.", extra={"cause": "Orphan"})
            await api.delete(JOBS, namespace, job.name, job.uid)


def _is_orphan(job: JobRecord, index: Index, namespace: str) -> bool:
    role = job.view.role
    if role in (names.RUN, names.SCORE):
        # Where a team's namespace could not be listed, that its Submission is not seen says nothing.
        # A rerun is in the competition's own namespace, and that is listed first of all.
        seen = index.is_filled(SUBMISSIONS, job.labels.get(names.TEAM, ""))
        return seen and index.submission_by_uid(job.view.submission_uid) is None
    if role == CHECK:
        alias = job.labels.get(names.DATASET)
        unreadable = any(resource is DATASETS for resource, *_ in index.unreadable)
        return not unreadable and all(d.spec.alias != alias for d in index.datasets.values())
    if role == AGGREGATE:
        competition = (namespace, job.labels.get(names.COMPETITION, ""))
        unreadable = (COMPETITIONS, *competition) in index.unreadable
        return not unreadable and competition not in index.competitions
    return False
