"""Writes what the chart has from elsewhere: its copy of the CRDs, the schemas of Competition and Dataset in
``values.schema.json``, the dashboards, and what SeaweedFS reads when it starts.

``python helm/generate.py``; with ``--check`` it only compares.

The copies are files, not links: Helm follows links, but says so with a line for each at every command.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from alcove_api.__main__ import main as write_crds
from alcove_api.competition import CompetitionSpec
from alcove_api.dataset import DatasetSpec
from alcove_operator.credentials import seaweedfs_configuration
from monitoring.dashboards import render

CHART = Path(__file__).parent / "alcove"
SCHEMA = CHART / "values.schema.json"
DASHBOARDS = CHART / "dashboards"
IAM = CHART / "files" / "seaweedfs-iam.json"

Schema = dict[str, Any]


def _model(model: type[BaseModel], definitions: Schema) -> Schema:
    """The JSON schema of ``model``, its parts put into ``definitions``."""
    schema = model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions.update(schema.pop("$defs", {}))
    return schema


def _without(schema: Any, dropped: frozenset[str]) -> Any:
    if isinstance(schema, dict):
        return {
            # The names of fields are not keywords.
            key: {name: _without(field, dropped) for name, field in value.items()}
            if key in ("properties", "$defs")
            else _without(value, dropped)
            for key, value in schema.items()
            if key not in dropped and not key.startswith("x-kubernetes-")
        }
    if isinstance(schema, list):
        return [_without(item, dropped) for item in schema]
    return schema


def values_schema(written: Schema) -> Schema:
    """``written`` by hand, with its generated definitions replaced."""
    definitions: Schema = {}
    competition = _model(CompetitionSpec, definitions)
    dataset = _model(DatasetSpec, definitions)
    name = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
    dataset["properties"] = {
        "name": {**name, "description": "Name of the Dataset object."},
        **dataset["properties"],
    }
    dataset["required"] = ["name", *dataset["required"]]
    definitions |= {"CompetitionSpec": competition, "NamedDataset": dataset}
    # Defaults are the server's, and titles repeat the names.
    clean = _without(definitions, frozenset({"title", "default"}))
    return {**written, "$defs": dict(sorted(clean.items()))}


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    old = SCHEMA.read_text()
    new = json.dumps(values_schema(json.loads(old)), indent=2) + "\n"
    stale = write_crds([str(CHART / "crds"), *(["--check"] if check else [])])
    if check and old != new:
        print(f"{SCHEMA.name} differs from the models: run `python helm/generate.py` and commit the result.")
        stale = 1
    if not check:
        SCHEMA.write_text(new)
    return max(stale, write_dashboards(check), write_iam(check))


def write_iam(check: bool) -> int:
    """1 where ``check`` finds that the file differs from the code. The chart fills in the key and the capitals."""
    wanted = seaweedfs_configuration("OPERATOR", "SCORER", b"", "BUCKET", "SOLUTIONS")
    text = json.dumps(wanted, indent=2) + "\n"
    if not check:
        IAM.write_text(text)
    elif text != IAM.read_text():
        print(f"{IAM.name} differs from the code: run `python helm/generate.py` and commit the result.")
        return 1
    return 0


def write_dashboards(check: bool) -> int:
    """1 where ``check`` finds that the files differ from the code."""
    wanted = render()
    found = {path.name: path.read_text() for path in DASHBOARDS.glob("*.json")}
    if check and wanted != found:
        print(
            "dashboards/ differs from helm/monitoring: run `python helm/generate.py` and commit the result."
        )
        return 1
    if not check:
        DASHBOARDS.mkdir(exist_ok=True)
        for name in found.keys() - wanted.keys():
            (DASHBOARDS / name).unlink()
        for name, text in wanted.items():
            (DASHBOARDS / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
