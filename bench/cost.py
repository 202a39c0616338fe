"""What a million events cost in Azure, from the counts of this run and the prices of infra/README.md."""

from __future__ import annotations

from typing import Final

from bench.builds import WORKERS
from bench.calls import PerEvent
from bench.report import Measure

MILLION: Final = 1_000_000

# Dollars, by the names that infra/README.md gives them.
ON_DEMAND: Final = 0.000026  # p1, per GB-s
ALWAYS_READY: Final = 0.000016  # p3, per GB-s
EXECUTIONS: Final = 0.40  # p4, per million
QUEUE: Final = 0.004  # p5, per 10,000
TABLE: Final = 0.00036  # p6, per 10,000
LOGS: Final = 2.30  # p7, per GB

_GB: Final = 0.5  # of the instance
TELEMETRY_KB: Final = 5.8  # per event, assumed there
_HOST_KB: Final = 2.0  # the host's own part of it, all that the naive build has
# The trigger takes each message out and deletes it; that is not in the app's own count.
_TRIGGER: Final = 2


def measures(ours: PerEvent, naive: PerEvent) -> list[Measure]:
    """The table's lines, one after the other as in infra/README.md; an execution is billed for a second at least."""
    section = "dollars for a million events, list prices"
    seconds = MILLION * 1.0
    ingest = seconds * _GB * ALWAYS_READY + EXECUTIONS
    sync = seconds * _GB * ON_DEMAND + EXECUTIONS
    shared = seconds / WORKERS * _GB * (ALWAYS_READY + ON_DEMAND) + 2 * EXECUTIONS
    naive_shared = seconds / WORKERS * _GB * ALWAYS_READY + EXECUTIONS
    puts = ours.queue_puts + _TRIGGER
    queue, tables = puts * MILLION / 10_000 * QUEUE, ours.tables * MILLION / 10_000 * TABLE
    # A kilobyte each for a million events is a gigabyte.
    logs, naive_logs = TELEMETRY_KB * LOGS, _HOST_KB * LOGS
    naive_tables = naive.tables * MILLION / 10_000 * TABLE
    return [
        Measure(section, "functions, one event at a time", ingest + sync, "$", naive=ingest, note="(1 s each, 0.5 GB)"),
        Measure(
            section, f"functions, {WORKERS} at a time", shared, "$", naive=naive_shared, note="(they share the second)"
        ),
        Measure(section, "queue", queue, "$", naive=0, note=f"({puts:.2f} operations: puts, get, delete)"),
        Measure(section, "tables", tables, "$", naive=naive_tables, note=f"({ours.tables:.2f} operations)"),
        Measure(section, "telemetry", logs, "$", naive=naive_logs, note=f"({TELEMETRY_KB} KB, assumed)"),
        Measure(
            section,
            "together, one at a time",
            ingest + sync + queue + tables + logs,
            "$",
            naive=ingest + naive_tables + naive_logs,
        ),
        Measure(
            section,
            f"together, {WORKERS} at a time",
            shared + queue + tables + logs,
            "$",
            naive=naive_shared + naive_tables + naive_logs,
        ),
    ]
