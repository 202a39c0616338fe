"""`backfill`: meetings from before the sync, from a Data Sharing export."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from ops.journey import Journey, alone
from ops.report import FOUND, INTERRUPTED, AsJson, Refused, Report, camel, reporting
from ops.settings import SettingsFile, environment, running
from shared.admin.backfill import (
    Backfill,
    Feed,
    Outcomes,
    Pace,
    Progress,
    QueueFeed,
    Record,
    Reject,
    Rules,
    count_outcomes,
)
from shared.admin.export import RESOURCE
from shared.runtime import Runtime
from shared.settings import read_settings
from shared.storage.envelope import Envelope

_SECONDS_BETWEEN_LOOKS = 1.0
_REASONS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class _Outcome:
    """`counted`: what became of the queued rows; None where nobody waited for it. `dry`: nothing was queued."""

    progress: Progress
    counted: Outcomes | None = None
    dry: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether every queued row has an end, and none is a dead letter."""
        if self.counted is None:
            return True
        outcomes = self.counted.outcomes
        unsettled = any(kind.comes_again or kind.needs_person for kind in outcomes)
        return sum(outcomes.values()) >= self.progress.queued and not unsettled


def backfill(
    file: Annotated[
        Path, typer.Argument(help="The table MEETINGS as CSV or JSON lines; .gz too.", exists=True, dir_okay=False)
    ],
    *,
    rate: Annotated[float, typer.Option(help="Rows a second at most.", min=0.01, max=1000)] = 2.0,
    ahead: Annotated[int, typer.Option(help="Wait while this many messages are in the queue.", min=1)] = 100,
    starting_from: Annotated[
        datetime | None, typer.Option(help="Leave out meetings that begin earlier (UTC).", formats=["%Y-%m-%d"])
    ] = None,
    resource: Annotated[
        str, typer.Option(help="What ID is the id of, as deliveries call it: meeting or calendarEvent.")
    ] = RESOURCE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only read and check; queue nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="From the first row, though it was begun before.")] = False,
    wait: Annotated[
        bool, typer.Option(help="Wait until the queue is empty, and count what became of the rows.")
    ] = True,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Queue the rows of a Data Sharing export.

    They count as events of their age, so they never overwrite anything later. Stop it whenever you like and run it
    again: it goes on where it was. Rows that cannot be meetings are left out, with the reason in FILE.rejects.csv.
    It needs the app's settings, and reaches for the storage account only: the app itself does the rest. Live events
    go first: rows go in only while the queue is short. Exit code 1: rows were rejected, or not all came to a good end.
    """
    pace = Pace(rate, ahead)
    since = starting_from.date() if starting_from else None
    with reporting(as_json=as_json) as report, alone(file):
        journey = Journey(file, resource=resource, name=f"{file.name}.dry-run" if dry_run else "")
        values = environment(settings)
        rules = _rules(values, since, resource)
        progress = journey.begin() if again or dry_run else journey.load()
        try:
            outcome = (
                _check(journey, rules, report, progress)
                if dry_run
                else asyncio.run(_run(journey, values, rules, pace, report, progress, until_done=wait))
            )
        except KeyboardInterrupt:
            raise Refused(
                "Stopped. Run the same command again to go on.", code="stopped", exit_code=INTERRUPTED
            ) from None
        report.show(_document(outcome, journey), lambda console: _say(outcome, journey, console))
        if outcome.progress.rejected or not outcome.is_settled:
            raise typer.Exit(FOUND)


def _rules(values: Mapping[str, str], since: date | None, resource: str) -> Rules:
    settings = read_settings(values)
    meetings = [name for name, rule in settings.mapping.resources.items() if not rule.witness]
    if resource not in meetings:
        raise Refused(
            f"The rows cannot be of resource {resource}: in the mapping file the records of {' and '.join(meetings)} "
            "are meetings. Say which with --resource.",
            code="no_resource",
        )
    return Rules(settings.mapping, settings.policy, since, resource)


async def _run(
    journey: Journey,
    values: Mapping[str, str],
    rules: Rules,
    pace: Pace,
    report: Report,
    progress: Progress,
    *,
    until_done: bool,
) -> _Outcome:
    async with running(values) as runtime:
        if not progress.finished:
            await runtime.owner.insist()
            feed = QueueFeed(runtime.queue, runtime.outbox)
            with _watched(journey, report, journey.record) as (rows, record):
                progress = await _work(feed, rules, pace, record).run(rows, progress)
        if not until_done:
            return _Outcome(progress)
        await _drain(runtime, report)
        return _Outcome(progress, await count_outcomes(runtime.journal, progress))


def _check(journey: Journey, rules: Rules, report: Report, progress: Progress) -> _Outcome:
    """Everything but the queue and the progress."""

    def record(_: Progress, rejects: list[Reject]) -> None:
        journey.add_rejects(rejects)

    with _watched(journey, report, record) as (rows, watched):
        work = _work(_Nowhere(), rules, Pace(sys.maxsize, 1), watched)
        return _Outcome(asyncio.run(work.run(rows, progress)), dry=True)


def _work(feed: Feed, rules: Rules, pace: Pace, record: Record) -> Backfill:
    return Backfill(
        feed=feed,
        rules=rules,
        pace=pace,
        record=record,
        now=lambda: datetime.now(UTC),
        clock=time.monotonic,
        sleep=asyncio.sleep,
    )


class _Nowhere:
    """A feed that keeps nothing."""

    async def put(self, envelope: Envelope) -> None:
        """Forget it."""

    async def depth(self) -> int:
        """Nothing ever waits."""
        return 0


@contextmanager
def _watched(journey: Journey, report: Report, record: Record) -> Iterator[tuple[Iterator[Any], Record]]:
    """The rows, and `record` with a progress bar on standard error."""
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    is_seen = report.progress.is_terminal
    with (
        journey.rows() as (rows, part),
        Bar(*columns, console=report.progress, transient=True, disable=not is_seen) as bar,
    ):
        task = bar.add_task("", total=1.0)

        def recorded(progress: Progress, rejects: list[Reject]) -> None:
            record(progress, rejects)
            bar.update(task, completed=part(), description=_counts(progress))

        yield rows, recorded


async def _drain(runtime: Runtime, report: Report) -> None:
    """Wait until the queue is empty. Messages that were put back with a delay count as waiting."""
    with report.progress.status("Waiting for the queue …") as status:
        while waiting := await runtime.queue.depth():
            status.update(f"Waiting for the queue: {waiting} …")
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)


def _counts(progress: Progress) -> str:
    return f"{progress.queued:,} queued, {progress.skipped:,} left out, {progress.rejected:,} rejected"


def _document(outcome: _Outcome, journey: Journey) -> dict[str, Any]:
    counted = outcome.counted
    return {
        **camel(asdict(outcome.progress)),
        "rejectsFile": str(journey.rejects_file) if outcome.progress.rejected else None,
        "outcomes": None if counted is None else dict(counted.outcomes),
        "reasons": None
        if counted is None
        else [
            {"outcome": kind, "reason": reason, "rows": many}
            for (kind, reason), many in counted.reasons.most_common(_REASONS_SHOWN)
        ],
    }


def _say(outcome: _Outcome, journey: Journey, console: Console) -> None:
    progress = outcome.progress
    console.print(f"{progress.row:,} rows: {_counts(progress)}.")
    if outcome.dry:
        console.print("A dry run: this is what would be; nothing was queued.")
    if progress.rejected:
        console.print(Text(f"Why rows were rejected: {journey.rejects_file}"))
    if outcome.counted is None or not progress.queued:
        return
    console.print(Text("What became of those queued:"))
    for kind, many in outcome.counted.outcomes.most_common():
        console.print(Text(f"  {many:>7,}  {kind}"))
        for (of, reason), times in outcome.counted.reasons.most_common(_REASONS_SHOWN):
            if of == kind:
                console.print(Text(f"           {times:,} x {reason}"))
    missing = progress.queued - sum(outcome.counted.outcomes.values())
    if missing > 0:
        console.print(Text(f"  {missing:>7,}  not known yet; run the same command later to count again"))
