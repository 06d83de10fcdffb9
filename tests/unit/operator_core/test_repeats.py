"""Repeats of a run: one Job each, told apart by a seed alone, with the resources that are drawn for all teams alike."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alcove_api.phase import MAX_RUNS, Phase, Resources
from alcove_api.run_names import alias_of, list_run_names, name_run, repeat_of
from alcove_operator.core import names, repeats
from alcove_operator.core.published_rules import describe_resources
from alcove_operator.core.run_ends import describe_memory
from tests.unit.operator_core.cluster import Cluster

ALIASES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
PROFILES: list[dict[str, Any]] = [{"memory": "2Gi"}, {"memory": "4Gi", "cpu": "1"}, {"gpus": 2}]


def phase(**changes: Any) -> Phase:
    return Phase.model_validate({"name": "p", "datasets": ["d"], "budget": {"seconds": 9}, **changes})


@given(ALIASES, st.integers(1, MAX_RUNS))
def test_a_runs_name_tells_its_dataset_and_repeat(alias: str, repeat: int) -> None:
    name = name_run(alias, repeat)
    assert (alias_of(name), repeat_of(name)) == (alias, repeat)
    assert (name == alias) is (repeat == 1)


@given(st.lists(ALIASES, min_size=1, max_size=6, unique=True), st.integers(1, 8), st.integers(1, 4))
def test_no_two_runs_of_a_submission_share_a_job(aliases: list[str], count: int, attempts: int) -> None:
    uid = "0f1e2d3c-0000-4000-8000-000000000001"
    runs = list_run_names(tuple(aliases), count)
    jobs = [names.run_job(uid, run, attempt) for run in runs for attempt in range(1, attempts + 1)]
    assert len(set(jobs)) == len(aliases) * count * attempts
    assert all(len(job) <= 53 and "." not in job for job in jobs)


@given(st.integers(0, 2**31 - 1), st.integers(1, MAX_RUNS))
def test_seeds_differ_by_repeat_and_are_the_same_each_time(seed: int, count: int) -> None:
    drawn = [repeats.compute_seed(phase(seed=seed), repeat) for repeat in range(1, count + 1)]
    assert drawn == [repeats.compute_seed(phase(seed=seed), repeat) for repeat in range(1, count + 1)]
    assert len(set(drawn)) == count
    assert all(0 <= value < 2**31 for value in drawn)


@given(st.integers(0, 1000))
def test_each_profile_is_drawn_once_before_any_is_drawn_again(seed: int) -> None:
    asked = phase(seed=seed, repeats=7, resources={"memory": "8Gi", "disk": "1Gi", "profiles": PROFILES})
    drawn = [repeats.draw_resources(asked, repeat) for repeat in range(1, 8)]
    every = {
        Resources.model_validate({"memory": "8Gi", "disk": "1Gi", "profiles": PROFILES, **profile})
        for profile in PROFILES
    }
    assert set(drawn[:3]) == set(drawn[3:6]) == every
    assert drawn[6] in every


def test_the_seed_decides_the_order_of_profiles() -> None:
    first = {
        repeats.draw_resources(phase(seed=seed, resources={"profiles": PROFILES}), 1).memory
        for seed in range(30)
    }
    assert len(first) == 3


def test_without_profiles_a_run_gets_what_the_phase_says() -> None:
    asked = phase(resources={"cpu": "3"})
    assert repeats.draw_resources(asked, 5) == asked.resources


def test_teams_are_told_of_every_profile_or_of_none() -> None:
    told = describe_resources(phase(resources={"gpus": 0, "profiles": PROFILES}))
    assert all(profile in told for profile in ("2Gi memory", "1 CPU, 4Gi memory", "2 GPUs"))
    assert describe_resources(phase(resources={"gpus": 0, "profiles": PROFILES, "disclosed": False})) == ""


def test_memory_that_is_not_disclosed_is_in_no_message() -> None:
    assert describe_memory(phase(resources={"memory": "3Gi"}), "d") == "3Gi"
    assert describe_memory(phase(resources={"memory": "3Gi", "disclosed": False}), "d") == ""


def test_a_repeat_that_the_platform_loses_is_tried_again_and_one_that_the_program_loses_is_not() -> None:
    cluster = Cluster({"d": ["finished"], "d.2": ["node-lost", "deadline"], "d.3": ["oom"]}, capacity=3)
    cluster.settle()
    runs = {run["dataset"]: run for run in cluster.history[-1]["runs"]}
    assert {name: (run["attempt"], run["cause"]) for name, run in runs.items()} == {
        "d": (1, "Finished"),
        "d.2": (2, "DeadlineReached"),
        "d.3": (1, "OutOfMemory"),
    }
    assert sorted(cluster.verdicts) == ["d", "d.2", "d.3"]
    # What the one that ran out of memory had saved is scored all the same.
    assert all(run["alc"] is not None for run in runs.values())
    assert cluster.history[-1]["phase"] == "Done"
