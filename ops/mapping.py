"""`mapping`: the mapping file, shown and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.columns import AREA, Columns, compare, read_file, read_live
from ops.doctor import Metadata
from ops.findings import Finding, has_problems, say, to_json
from ops.report import FOUND, AsJson, reporting
from ops.settings import SettingsFile, environment, mapping_path, running
from ops.subscriptions import unheard_of
from shared.errors import BadMapping
from shared.mapping_file import load_mapping
from shared.meeting.mapping import MappingFile

commands = typer.Typer(help="The mapping file, shown and checked.", no_args_is_help=True)

MappingPath = Annotated[
    Path | None, typer.Argument(help="The mapping file. [default: MAPPING_FILE of the settings, else the built-in one]")
]


@commands.command()
def show(file: MappingPath = None, *, settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """Show every row, its column and where its value comes from."""
    with reporting(as_json=as_json) as report:
        mapping = load_mapping(_path(file, environment(settings)))
        report.show(_document(mapping), lambda console: _say(mapping, console))


@commands.command()
def check(
    file: MappingPath = None,
    *,
    metadata: Metadata = None,
    live: Annotated[bool, typer.Option("--live", help="Hold it against the columns of DATAVERSE_URL.")] = False,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Check a mapping file before the app gets it.

    Its form always, its columns with --live or --metadata. Exit code 1: problems.
    """
    with reporting(as_json=as_json) as report:
        values = environment(settings)
        path = _path(file, values)
        findings = _findings(path, values, metadata, live=live)
        report.show(to_json(findings), lambda console: say(findings, console))
        if has_problems(findings):
            raise typer.Exit(FOUND)


def _path(file: Path | None, values: Mapping[str, str]) -> Path:
    return file or mapping_path(values)


def _findings(path: Path, values: Mapping[str, str], metadata: Path | None, *, live: bool) -> list[Finding]:
    saved = read_file(metadata) if metadata else None
    try:
        mapping = load_mapping(path)
    except BadMapping as error:
        return [Finding(AREA, "problem", problem) for problem in error.problems]
    columns = asyncio.run(_read_live(values, mapping)) if live and saved is None else saved
    found = [Finding(AREA, "ok", f"{path.name} is well formed: {len(mapping.rows)} rows."), *unheard_of(mapping)]
    if columns is None:
        what = "Its columns were not compared with Dynamics."
        return [*found, Finding(AREA, "skipped", what, "Give --live, or --metadata FILE.")]
    return found + compare(mapping, columns)


async def _read_live(values: Mapping[str, str], mapping: MappingFile) -> Columns:
    async with running(values) as runtime:
        return await read_live(runtime.dataverse, mapping)


def _document(mapping: MappingFile) -> dict[str, Any]:
    return {
        "resources": {name: resource.enabled for name, resource in mapping.declared.items()},
        "rows": [
            {
                "row": row.row,
                "field": row.field,
                "column": row.column,
                "transform": row.transform,
                "sources": [str(source) for source in row.sources],
            }
            for row in mapping.rows
        ],
        "signals": [
            {"field": signal.field, "sources": [str(source) for source in signal.sources]} for signal in mapping.signals
        ],
        "createConditions": [condition.words for condition in mapping.create_conditions],
        "attendees": {"order": list(mapping.attendees.order), "unresolved": mapping.attendees.unresolved},
        "deletedInDynamics": mapping.deleted_in_dynamics,
        "existing": {"adopt": mapping.existing.adopt, "bookedBefore": mapping.existing.booked_before},
    }


def _say(mapping: MappingFile, console: Console) -> None:
    console.print(f"Deliveries of: {', '.join(mapping.resources)}")
    off = [name for name in mapping.declared if name not in mapping.resources]
    if off:
        console.print(f"Switched off: {', '.join(off)}")
    console.print()
    rows = Table("row", "column", "transform", "first source", "more", box=None, pad_edge=False)
    for row in mapping.rows:
        first, *more = [str(source) for source in row.sources] or [""]  # a constant and a template read nothing
        rows.add_row(row.row, row.column, row.transform, first, str(len(more)) if more else "")
    console.print(rows)
    console.print()
    for condition in mapping.create_conditions:
        console.print(Text(f"A new appointment needs: {condition.words}. Else: {condition.otherwise}"))
    order, unresolved = mapping.attendees.order, mapping.attendees.unresolved
    console.print(f"Attendees: {', then '.join(order)}; nobody found: {unresolved}.")
    console.print(f"An appointment that was deleted in Dynamics: {mapping.deleted_in_dynamics}.")
    before = f" (before {mapping.existing.booked_before})" if mapping.existing.adopt == "booked_before" else ""
    console.print(f"An appointment that is there already is taken over: {mapping.existing.adopt}{before}.")
