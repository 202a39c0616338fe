"""The one log line about an event, and its metrics: what became of it, how late it is, what it cost."""

from __future__ import annotations

import logging
from datetime import datetime

from shared import telemetry
from shared.labels import Names
from shared.storage.envelope import Envelope
from shared.storage.journal import Entry
from shared.storage.statistics import Statistics
from shared.timestamps import parse_time
from shared.work import Work

log = logging.getLogger("outreach_dynamics.event")

_HISTORY = ".backfill"


def report(
    entry: Entry, envelope: Envelope, *, names: Names, work: Work, now: datetime, seconds: float, statistics: Statistics
) -> None:
    """Log and measure one attempt that took `seconds` and ended at `now` with `entry`."""
    received = now - parse_time(entry.received_at)
    lag = lag_seconds(entry, now)
    event = names.event(entry.event)
    resource = event.partition(".")[0]
    log.info(
        telemetry.line(
            "event",
            correlation_id=entry.correlation_id,
            event=event,
            meeting=names.meeting(entry.meeting),
            outcome=entry.outcome,
            attempts=entry.attempts,
            appointment=entry.appointment_id,
            columns=len(entry.columns),
            code=entry.error_code,
            request_id=entry.request_id,
            seconds=round(seconds, 3),
            age_seconds=round(received.total_seconds(), 3),
            lag_seconds=lag,
            rounds=work.rounds,
            status=work.status,
            calls=work.calls,
            call_seconds={service: round(spent, 3) for service, spent in work.seconds.items()},
            cache_hits=work.cache_hits,
            unresolved=work.unresolved,
        )
    )
    telemetry.EVENTS.record(1, resource=resource, outcome=entry.outcome)
    for service in ("dataverse", "outreach", "storage"):
        telemetry.EVENT_CALLS.record(work.calls.get(service, 0), service=service)
    if work.rounds > 1:
        telemetry.CONFLICTS.record(work.rounds - 1)
    if work.cache_hits:
        telemetry.CACHE_HITS.record(work.cache_hits)
    if envelope.attempt == 0:
        telemetry.EVENT_WAIT.record(max(0.0, received.total_seconds() - seconds))
    if not entry.outcome.comes_again:
        statistics.record(entry.outcome, lag=lag)
    if lag is not None:
        telemetry.EVENT_AGE.record(lag, resource=resource)


def lag_seconds(entry: Entry, now: datetime) -> float | None:
    """From the change in Outreach until Dynamics had it; None where nothing was written, or history was read in."""
    if not entry.outcome.applied or not entry.changed_at or entry.event.endswith(_HISTORY):
        return None
    return round(max(0.0, (now - parse_time(entry.changed_at)).total_seconds()), 3)
