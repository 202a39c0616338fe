"""Events of the sources beside meeting webhooks, made after Outreach's published schemas and recorded task webhooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shared.mapping_file import DEFAULT_MAPPING_FILE
from shared.meeting.mapping import MappingFile, parse_mapping

DELIVERED = "2026-03-02T16:00:01.032-08:00"


def mapping_content(*enabled: str, **changes: Any) -> dict[str, Any]:
    """The default mapping file with these resources enabled, and `changes` to their rules by resource."""
    content: dict[str, Any] = json.loads(DEFAULT_MAPPING_FILE.read_text(encoding="utf-8"))
    for name in enabled:
        content["resources"][name] |= {"enabled": True, **changes.get(name, {})}
    return content


def mapping_with(*enabled: str, **changes: Any) -> MappingFile:
    """The same, read."""
    return parse_mapping(mapping_content(*enabled, **changes), origin="test")


def mapping_file(folder: Path, *enabled: str, **changes: Any) -> str:
    """The same, as a file; returns its path."""
    path = folder / "mapping.json"
    path.write_text(json.dumps(mapping_content(*enabled, **changes)), encoding="utf-8")
    return str(path)


def recording(number: int, *, source: str = "17", format_: str = "meeting", action: str = "created") -> dict[str, Any]:
    """A delivery of `kaiaRecording`."""
    attributes = {
        "sourceId": source,
        "format": format_,
        "state": "ENDED",
        "title": "What the recorder called it",
        "startTime": "2026-03-02T15:02:11.000Z",
        "endTime": "2026-03-02T15:29:58.000Z",
        "createdAt": "2026-03-02T15:31:00.000Z",
        "updatedAt": "2026-03-02T15:31:00.000Z",
        "participantCount": 2,
        "host": {"type": "user", "id": 1},
        "participants": [{"type": "prospect", "id": 101}, {"type": "external", "displayName": "Somebody"}],
    }
    return {
        "data": {"type": "kaiaRecording", "id": number, "attributes": attributes, "relationships": {}},
        "meta": {"deliveredAt": DELIVERED, "eventName": f"kaiaRecording.{action}"},
    }


def task(number: int, action: str, *, subject: dict[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
    """A delivery of `task`; `task.completed` was recorded without attributes and relationships."""
    data: dict[str, Any] = {"type": "task", "id": number}
    if attributes:
        data["attributes"] = attributes
    if subject is not None:
        data["relationships"] = {"subject": subject, "owner": {"type": "owner", "id": 1}}
    return {"data": data, "meta": {"deliveredAt": DELIVERED, "eventName": f"task.{action}"}}


def event(number: int, name: str, payload: Any, **relations: int) -> dict[str, Any]:
    """A resource object of `GET /events`."""
    return {
        "type": "event",
        "id": number,
        "attributes": {
            "name": name,
            "eventAt": "2026-03-02T15:31:00.000Z",
            "createdAt": "2026-03-02T15:31:02.000Z",
            "payload": payload,
            "body": None,
            "externalUrl": None,
        },
        "relationships": {kind: {"data": {"type": kind, "id": target}} for kind, target in relations.items()},
    }
