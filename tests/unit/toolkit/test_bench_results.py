"""What `make bench` has measured takes the place of what it had measured before."""

from __future__ import annotations

from bench.__main__ import OURS, heading, replace_section


def test_the_newest_section_takes_the_place_of_the_one_before() -> None:
    assert OURS.match(heading().lstrip())
    old = "## 2026-11-22, commit ecb82c2\n\n| old |\n"
    other = "## 2026-11-22, scoring, commit 7b83e80\n\n| other |\n"
    new = "\n## 2026-12-01, commit 1234567\n\n| new |\n"
    results, history = replace_section(f"# Results\n\n{old}\n{other}", new)
    assert results == f"# Results\n\n{other}{new}"
    assert history == f"\n{old}"
    assert replace_section(results, new) == (results, new)
