"""The Jobs of ``alcove rescore``: they score and compare, and are gone afterwards.

The operator ignores their role: it neither counts nor deletes them. Where the command is killed, the
cluster removes them an hour after they have ended.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from alcove_api.base import API_VERSION, GROUP
from alcove_api.comparison import CompareRequest, Comparison
from alcove_api.score_documents import ScoreRequest
from alcove_api.words import count_of
from alcove_cli.errors import FailedError
from alcove_kube.client import Object
from alcove_kube.resources import CONFIG_MAPS, JOBS, PODS
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.core import names, parse_objects
from alcove_operator.core.model import CompetitionView, JobView
from alcove_operator.scorer_jobs import compare_job, rescore_job

JOBS_AT_ONCE = 8
"""Jobs at a time."""
POLL_SECONDS = 1.0
LABEL = f"{GROUP}/rescore"
REQUEST_BYTES = 1 << 20
"""That a ConfigMap holds."""


@dataclass
class PreviewJobs:
    api: Api
    settings: OperatorSettings
    competition: CompetitionView
    say: Callable[[str], None]
    run: str = field(default_factory=lambda: secrets.token_hex(4))
    """In the names and a label of everything: two who rescore at a time do not meet."""

    async def score(self, requests: Sequence[ScoreRequest]) -> None:
        """Raises FailedError with the scorer's words at the first that cannot be scored."""
        wanted = {f"rescore-{self.run}-{number}": request for number, request in enumerate(requests, 1)}
        waiting, done = list(wanted), set[str]()
        if wanted:
            self.say(f"Scoring {count_of(len(wanted), 'submission')} from what the store holds…")
        while len(done) < len(wanted):
            jobs = await self._jobs()
            failed = next((job for job in jobs if job.finished == "Failed"), None)
            if failed is not None:
                request = wanted[failed.name]
                what = f"{request.namespace}/{request.submission} could not be scored"
                raise FailedError(f"{what}: {await self._why(failed)} Nothing was changed.")
            # What has ended is remembered: of hundreds the cluster removes the first before the last has ended.
            ended = done | {job.name for job in jobs if job.finished}
            if ended > done and len(wanted) > 1:
                self.say(f"  {len(ended)} of {len(wanted)} are scored")
            done = ended
            under_way = wanted.keys() - done - set(waiting)
            if gone := sorted(under_way - {job.name for job in jobs}):
                raise FailedError(f"Somebody deleted the Job {gone[0]}. Nothing was changed: try again.")
            room = JOBS_AT_ONCE - len(under_way)
            for name in waiting[:room]:
                await self._create(rescore_job(name, self._labels(), wanted[name], self.settings))
            del waiting[:room]
            await asyncio.sleep(POLL_SECONDS)

    async def compare(self, request: CompareRequest) -> Comparison:
        """Raises FailedError with the scorer's words."""
        name = f"rescore-{self.run}"
        data = request.canonical().decode()
        if len(data) > REQUEST_BYTES:
            raise FailedError(
                "There are too many submissions to compare at once. Nothing was changed: compare one --phase at a time."
            )
        job = await self._create(compare_job(name, self._labels(), self.settings))
        owner = {"apiVersion": JOBS.api_version, "kind": "Job", "name": name, "uid": job["metadata"]["uid"]}
        body = {"metadata": {"name": name, "labels": self._labels(), "ownerReferences": [owner]}}
        await self.api.create(CONFIG_MAPS, self._namespace, {**body, "data": {"request.json": data}})
        self.say("Comparing the boards…")
        while True:
            found = next((job for job in await self._jobs() if job.name == name), None)
            if found is None:
                raise FailedError(f"Somebody deleted the Job {name}. Nothing was changed: try again.")
            if found.finished:
                break
            await asyncio.sleep(POLL_SECONDS)
        if found.finished == "Failed":
            raise FailedError(
                f"The boards could not be compared: {await self._why(found)} Nothing was changed."
            )
        for pod in await self._pods(name):
            for line in (await self.api.read_log(self._namespace, pod["metadata"]["name"])).splitlines():
                try:
                    return Comparison.model_validate_json(line)
                except ValidationError:
                    continue  # what it says to people
        raise FailedError(
            "The comparison printed nothing that could be read. Nothing was changed: try again."
        )

    async def delete(self) -> None:
        for job in await self._jobs():
            await self.api.delete(JOBS, self._namespace, job.name)

    @property
    def _namespace(self) -> str:
        return self.settings.competition_namespace

    def _labels(self) -> dict[str, str]:
        return {names.ROLE: names.RESCORE, names.COMPETITION: self.competition.name, LABEL: self.run}

    async def _jobs(self) -> list[JobView]:
        found = await self.api.find_all(JOBS, self._namespace, f"{LABEL}={self.run}")
        return [parse_objects.job_view(job) for job in found]

    async def _create(self, job: Object) -> Object:
        """It goes with the Competition, should nothing else remove it."""
        about = {"apiVersion": API_VERSION, "kind": "Competition"}
        owner = {**about, "name": self.competition.name, "uid": self.competition.object_uid}
        job["metadata"]["ownerReferences"] = [owner]
        return await self.api.create(JOBS, self._namespace, job)

    async def _pods(self, job: str) -> list[Object]:
        return await self.api.find_all(PODS, self._namespace, f"batch.kubernetes.io/job-name={job}")

    async def _why(self, job: JobView) -> str:
        """The last words of its pods; else those of the Job controller."""
        for pod in await self._pods(job.name):
            for status in pod.get("status", {}).get("containerStatuses") or ():
                said = (status.get("state", {}).get("terminated") or {}).get("message")
                if said:
                    return f"{str(said).strip().rstrip('.')}."
        return f"{job.message or job.reason} (Job {job.name})."
