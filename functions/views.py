"""What the routes answer: the product's own types as JSON, with the names of the API. Those stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.admin.admin import MeetingReport
    from shared.admin.dry_run import DryRun
    from shared.admin.health import Report
    from shared.storage.dead_letters import DeadLetter
    from shared.storage.journal import Entry


def journal_json(entries: Sequence[Entry]) -> dict[str, Any]:
    """The journal of one event; others of the same trace under `others`."""
    first, *others = map(_entry, entries)
    return first | ({"others": others} if others else {})


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "correlationId": entry.correlation_id,
        "eventId": entry.event_id,
        "event": entry.event,
        "meetingId": entry.meeting,
        "outcome": entry.outcome,
        "receivedAt": entry.received_at,
        "finishedAt": entry.finished_at,
        "attempts": entry.attempts,
        "appointmentId": entry.appointment_id or None,
        "columns": list(entry.columns),
        "notes": list(entry.notes),
        "dataverseRequestId": entry.request_id or None,
        "dataverseCalls": entry.dataverse_calls,
        "nextAttemptAt": entry.next_attempt_at or None,
        "changedAt": entry.changed_at or None,
        "deliveredAt": entry.delivered_at or None,
        "dismissedBecause": entry.dismissed_because or None,
        "by": entry.by or None,
        "lastError": {"code": entry.error_code, "reason": entry.reason} if entry.reason else None,
    }


def dead_letter_json(dead_letter: DeadLetter) -> dict[str, Any]:
    """A dead letter."""
    return {
        "correlationId": dead_letter.correlation_id,
        "meetingId": dead_letter.meeting,
        "event": dead_letter.event,
        "reason": dead_letter.reason,
        "code": dead_letter.error_code,
        "dataverseRequestId": dead_letter.request_id or None,
        "attempts": dead_letter.attempts,
        "firstFailedAt": dead_letter.first_failed_at,
        "lastFailedAt": dead_letter.last_failed_at,
    }


def meeting_json(report: MeetingReport) -> dict[str, Any]:
    """How a meeting stands."""
    from shared.meeting.dead_letters import LEFT_IN_DOUBT_ADVICE
    from shared.meeting.refused import REFUSED_ADVICE

    meeting, mirror = report.meeting, report.meeting.mirror
    return {
        "meetingId": str(report.key),
        "appointmentId": mirror.appointment_id,
        "appointmentUrl": report.appointment_url,
        "status": meeting.status,
        "state": meeting.status.state,
        "parked": meeting.held.reason if meeting.held is not None else None,
        "fields": {
            name: {"value": value, "changedAt": stamp.changed, "deliveredAt": stamp.delivered}
            for name, (value, stamp) in sorted(meeting.facts.items())
        },
        "written": dict(mirror.applied),
        "columnsInDoubt": sorted(mirror.doubt),
        "leftInDoubt": LEFT_IN_DOUBT_ADVICE if meeting.is_left_in_doubt else None,
        "refused": [
            {"column": name, "code": one.code or None, "reason": one.reason, "advice": REFUSED_ADVICE}
            for name, one in sorted(mirror.refused.items())
        ],
        "takenOver": camel_json(mirror.taken_over),
        "appointmentVersion": mirror.version,
        "recent": [camel_json(recent) for recent in report.recent],
        "lastError": camel_json(report.last_error),
    }


def dry_run_json(dry_run: DryRun) -> dict[str, Any]:
    """What a delivery would do."""
    people = [
        camel_json(found) | {"reference": f"{found.reference.type}:{found.reference.id}"} for found in dry_run.people
    ]
    shown: dict[str, Any] = camel_json(dry_run)
    return shown | {"people": people}


def health_json(report: Report) -> dict[str, Any]:
    """What a stranger may know: which parts are well. Reasons name files, addresses and people's mistakes."""
    parts = {name: {"status": "ok" if part.well else "unreachable"} for name, part in report.parts.items()}
    return {"status": "ok" if report.well else "unhealthy", "parts": parts}


def status_json(report: Report) -> dict[str, Any]:
    """How each part is, for an admin; one that is `ok` has a reason only where something is to be noted."""
    known = health_json(report)
    parts = {
        name: known["parts"][name] | ({"reason": part.reason} if part.reason else {})
        for name, part in report.parts.items()
    }
    return {"status": known["status"], "checkedAt": report.checked_at, "parts": parts}


def camel_json(value: Any) -> Any:
    """`value` with the members of dataclasses in the API's way of writing; what is JSON already stays as it is."""
    if is_dataclass(value):
        return {_camel(one.name): camel_json(getattr(value, one.name)) for one in fields(value)}
    return [camel_json(item) for item in value] if isinstance(value, list | tuple) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
