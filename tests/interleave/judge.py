"""Says what is not as it must be: from objects, pods and verdicts alone, by none of the operator's own code."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from alcove_api.run_documents import Verdict
from alcove_kube.client import Object
from tests.unit.operator_core.cluster import FATES, NEVER_WENT
from tests.unit.operator_wiring.hackathon import CUP, HACK

if TYPE_CHECKING:
    from tests.interleave.world import World

LABEL = "alcove.dev/"
ENDED = ("Done", "Failed", "Rejected")
LOST_SCORES = NEVER_WENT | {"nothing"}
PROCESSORS = 2
"""Of a run, where the Competition says nothing."""
SLACK = 0.01
"""Seconds of compute."""


class Judge:
    def __init__(self, world: World) -> None:
        self.world = world
        self.faults: list[str] = []
        self.deleted: set[str] = set()
        """UIDs of the Submissions that somebody deletes."""
        self.two_operators = False
        """Whether there were two at once: each gives the places away that it believes to be free."""
        self.late: Counter[tuple[str, str, str]] = Counter()
        """What was made by requests that nobody waited for any more: their operator was dead, or had given them up."""
        self.last: dict[str, Object] = {}
        """Each Submission as it was last seen, by UID."""

    def seconds_since(self, moment: str) -> float:
        at = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        return (self.world.now - at).total_seconds()

    # --- at every change

    def hear(self, plural: str, raw: Object, gone: bool) -> None:
        if plural == "submissions":
            self._look_at_submission(raw)
        elif plural == "pods" and not gone:
            self._look_at_pods()
        elif plural == "teamusages":
            self._look_at_usage(raw)

    def _look_at_submission(self, raw: Object) -> None:
        uid, old = raw["metadata"]["uid"], (self.last.get(raw["metadata"]["uid"]) or {}).get("status") or {}
        new = self.last.setdefault(uid, raw).get("status") or {}
        self.last[uid] = raw
        new = raw.get("status") or {}
        if old.get("phase") in ENDED and new.get("phase") != old["phase"]:
            self.faults.append(f"{uid} had ended as {old['phase']} and is {new.get('phase')}.")
        before = {run["dataset"]: run for run in old.get("runs", ())}
        for run in new.get("runs", ()):
            past = before.get(run["dataset"])
            if past is not None and run["attempt"] < past["attempt"]:
                self.faults.append(f"{uid} on {run['dataset']} went back to attempt {run['attempt']}.")

    def _look_at_pods(self) -> None:
        spec = self.world.server.objects["competitions", HACK, CUP]["spec"]
        live = [raw["metadata"]["labels"] for raw in self.world.live_pods()]
        runs = Counter((labels[LABEL + "submission-uid"], labels[LABEL + "dataset"]) for labels in live)
        teams = Counter(labels[LABEL + "team"] for labels in live)
        self.faults += [f"{uid} on {alias} has {n} live pods." for (uid, alias), n in runs.items() if n > 1]
        if self.two_operators:
            return
        if len(live) > spec["capacity"]:
            self.faults.append(f"{len(live)} pods live; there are {spec['capacity']} places.")
        most = spec["limits"]["parallel"]
        self.faults += [
            f"{n} pods of {team} live; it has {most} places." for team, n in teams.items() if n > most
        ]

    def _look_at_usage(self, raw: Object) -> None:
        used = raw.get("status")
        if used and (not 0 <= used["total"] <= self.world.total or used["today"] < 0):
            self.faults.append(f"{raw['spec']['team']} has used {used['total']} of {self.world.total}.")

    # --- at the end

    def list_unfinished(self, submissions: int) -> list[str]:
        """What is not over yet."""
        objects = self.world.server.objects
        there = [raw for (plural, *_), raw in objects.items() if plural == "submissions"]
        found = [f"Only {len(self.last)} were submitted."] if len(self.last) < submissions else []
        for raw in there:
            phase = (raw.get("status") or {}).get("phase")
            if phase not in ENDED or "deletionTimestamp" in raw["metadata"]:
                found.append(f"{raw['metadata']['name']} is {phase!r} for ever: {raw.get('status')}")
        found += [
            f"The ticket {uid} is never given back." for used in self._usage() for uid in used["settling"]
        ]
        running = [raw["metadata"]["name"] for raw in self.world.live_pods()]
        return found + [f"The pod {name} runs on." for name in running]

    def _usage(self) -> list[Object]:
        """Of each team, with its name."""
        objects = self.world.server.objects.items()
        there = [raw for (plural, *_), raw in objects if plural == "teamusages" and raw.get("status")]
        return [{"team": raw["spec"]["team"], **raw["status"]} for raw in there]

    def look_at_the_end(self) -> None:
        for raw in self.last.values():
            self._look_at_runs(raw)
        self._balance()
        # A request that arrives late cannot be taken back. The Job that it makes goes as soon as it is seen.
        jobs = [spot for spot in self.world.server.created if spot[0] == "jobs"]
        created = Counter(spot[2] for spot in (Counter(jobs) - self.late).elements())
        # A score is named after all that it depends on: a second Job finds it, and changes nothing.
        created = Counter({name: n for name, n in created.items() if name.startswith("r")})
        self.faults += [f"The Job {name} was made {n} times." for name, n in created.items() if n > 1]

    def _look_at_runs(self, raw: Object) -> None:
        uid, status = raw["metadata"]["uid"], raw.get("status") or {}
        runs = status.get("runs", ())
        retries = sum(max(0, run["attempt"] - 1) for run in runs)
        for run in runs:
            alias, attempt = run["dataset"], run["attempt"]
            said = [v for v in self.world.store.asked[uid, alias]]  # type: ignore[attr-defined]
            if any((v.attempt or 0, v.pod_uid) != (said[0].attempt or 0, said[0].pod_uid) for v in said):
                self.faults.append(f"{uid} on {alias} has several verdicts: {said}")
            if uid in self.deleted or attempt == 0:
                continue
            if not said or said[0].attempt != (attempt if run["podUid"] else None):
                self.faults.append(
                    f"{uid} on {alias}: attempt {attempt} is the last, and scored is {said[:1]}."
                )
            fates = self.world.fates[uid, alias]
            if (run["cause"], run["chargedTo"]) != FATES[fates[attempt - 1]]:
                self.faults.append(
                    f"{uid} on {alias} met {fates[:attempt]}, and its cause is {run['cause']}."
                )
            if any(FATES[fate][1] != "Platform" for fate in fates[: attempt - 1]):
                self.faults.append(f"{uid} on {alias} met {fates[:attempt]}: it was repeated for nothing.")
            if run["chargedTo"] == "Platform" and attempt < 3 and retries < len(runs) + 1:
                self.faults.append(f"{uid} on {alias} was not repeated after {fates[attempt - 1]}.")
            done = run["chargedTo"] != "Platform" and fates[attempt - 1] not in LOST_SCORES
            if (run["phase"] == "Done") != done:
                self.faults.append(f"{uid} on {alias} met {fates[attempt - 1]} and is {run['phase']}.")

    def has_saved(self, verdict: Verdict) -> bool:
        """Whether the attempt that is scored left a prediction."""
        fates = self.world.fates[verdict.submission_uid, verdict.alias]
        return bool(verdict.pod_uid) and fates[(verdict.attempt or 1) - 1] not in LOST_SCORES

    def _balance(self) -> None:
        """Each counted Submission is counted once, but for those whose place the platform owes."""
        total: Counter[str] = Counter()
        compute: defaultdict[str, float] = defaultdict(float)
        unclear = {self.last[uid]["metadata"]["namespace"] for uid in self.deleted}
        for raw in self.last.values():
            status, team = raw.get("status") or {}, raw["metadata"]["namespace"]
            runs = status.get("runs", ())
            owed = {run["chargedTo"] for run in runs if run["phase"] == "Failed"} == {"Platform"}
            # A score that was shown, though of an attempt that a fault cut short, costs the place.
            owed = owed and all(run["phase"] == "Failed" and run.get("alc") is None for run in runs)
            total[team] += "admittedAt" in status and not owed
            for run in runs:
                if run["chargedTo"] != "Platform" and run.get("startedAt") and run.get("endedAt"):
                    spent = datetime.fromisoformat(run["endedAt"]) - datetime.fromisoformat(run["startedAt"])
                    compute[team] += PROCESSORS * spent.total_seconds()
        for used in self._usage():
            team = used["team"]
            if team in unclear:
                continue
            if used["total"] != total[team]:
                self.faults.append(f"{team} has {total[team]} Submissions, and {used['total']} are counted.")
            if abs(used.get("computeSeconds", 0.0) - compute[team]) > SLACK:
                said = f"{team} used {compute[team]} s, and {used.get('computeSeconds')} are counted."
                self.faults.append(said)
