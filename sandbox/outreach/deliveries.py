"""What Outreach sends for a meeting: a script of its life turned into webhook deliveries.

    script = MeetingScript(5001)
    deliveries = [script.booked(title="Intro"), script.changed(title="Intro call"), script.completed()]

The forms are those recorded from other resources' webhooks; nobody outside Outreach has seen a meeting's. A change
carries only what changed, a deletion the last full set.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

DEFAULT_START: Final = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
# Well in the past: a stamp from the future is not believed, and some machine's clock may be late.
DEFAULT_NOW: Final = datetime(2025, 2, 3, 9, 0, tzinfo=UTC)
DEFAULT_MINUTES: Final = 30
# Recorded deliveries came a second or two after the change that they tell of.
DELIVERY_DELAY: Final = timedelta(seconds=1, milliseconds=32)


class Target(NamedTuple):
    """A record that a relationship points at."""

    type: str
    id: int


@dataclass(frozen=True, slots=True)
class Form:
    """How deliveries are written.

    relationships   `flat` as recorded from webhooks: `{"user": {"type": "user", "id": 1}}`, where the type is the
                    relationship's own name; `wrapped` as in the REST API: `{"user": {"data": {…}}}`
    ids             integers as recorded, or text
    payload_version 2 adds the old values of what changed, as `beforeUpdate` (its place is a guess)
    """

    relationships: Literal["flat", "wrapped"] = "flat"
    ids: Literal["integer", "text"] = "integer"
    payload_version: Literal[1, 2] = 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery: the very bytes of its body, and what the headers say beside the signature."""

    event_name: str
    body: bytes
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    webhook_id: int = 1
    organisation: str = "sandbox"
    cleanup_token: str = "sandbox-cleanup-token"

    @property
    def document(self) -> dict[str, Any]:
        """The body as JSON."""
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded


Related = Target | tuple[Target, ...] | None


class MeetingScript:
    """One meeting in Outreach. Every method makes one thing happen to it and returns the delivery that tells of it.

    `resource` is `meeting`, or `calendarEvent` with the `meeting` that it belongs to. `now` is when the script begins;
    each event happens `step` later than the one before, so `updatedAt` grows.
    """

    def __init__(
        self,
        meeting_id: int,
        *,
        resource: Literal["meeting", "calendarEvent"] = "meeting",
        meeting: int | None = None,
        form: Form | None = None,
        now: datetime = DEFAULT_NOW,
        step: timedelta = timedelta(seconds=60),
    ) -> None:
        self.id = meeting_id
        self.resource = resource
        self.form = form or Form()
        self.attributes: dict[str, Any] = {}
        self.relationships: dict[str, Related] = {"meeting": Target("meeting", meeting)} if meeting is not None else {}
        self._now = now
        self._step = step

    def booked(
        self,
        *,
        title: str = "Intro call",
        start: datetime = DEFAULT_START,
        end: datetime | None = None,
        user: int | None = 1,
        booker: Target | int | None = 1,
        prospects: Iterable[int] = (101,),
        opportunity: int | None = None,
        **attributes: Any,
    ) -> Delivery:
        """The meeting is booked. `user` owns the calendar; a booker who is no user is given as a `Target`."""
        people = tuple(Target("prospect", number) for number in prospects)
        relationships: dict[str, Related] = {"prospects": people}
        if people:
            relationships["prospect"] = people[0]
        if user is not None:
            relationships["user"] = Target("user", user)
        if booker is not None:
            relationships["booker"] = Target("user", booker) if isinstance(booker, int) else booker
        if opportunity is not None:
            relationships["opportunity"] = Target("opportunity", opportunity)
        stamp = _seconds(self._now + self._step)
        values = {
            "title": title,
            "description": None,
            "location": None,
            "allDay": False,
            "startTime": _seconds(start),
            "endTime": _seconds(end or start + timedelta(minutes=DEFAULT_MINUTES)),
            "bookedAt": stamp,
            "createdAt": stamp,
            "canceled": False,
            "isOrganizer": True,
            **attributes,
        }
        return self._happens("created", values, self.relationships | relationships)

    def changed(self, *, relationships: Mapping[str, Related] | None = None, **attributes: Any) -> Delivery:
        """These attributes and relationships got new values; `None` clears one."""
        return self._happens("updated", attributes, relationships or {})

    def rescheduled(self, start: datetime, end: datetime | None = None) -> Delivery:
        """It moves to another time."""
        later = end or start + timedelta(minutes=DEFAULT_MINUTES)
        return self.changed(startTime=_seconds(start), endTime=_seconds(later))

    def completed(self) -> Delivery:
        """It was held."""
        return self.changed(state="completed")

    def canceled(self) -> Delivery:
        """It was called off."""
        return self.changed(canceled=True)

    def declined(self) -> Delivery:
        """The prospect declined."""
        return self.changed(state="declined")

    def destroyed(self) -> Delivery:
        """It was deleted."""
        return self._happens("destroyed", {}, {})

    def _happens(self, action: str, attributes: Mapping[str, Any], relationships: Mapping[str, Related]) -> Delivery:
        self._now += self._step
        stamp = {"updatedAt": _seconds(self._now)}
        before = {name: self.attributes.get(name) for name in attributes}
        self.attributes |= {**attributes, **stamp}
        self.relationships |= relationships
        full = action == "destroyed"
        data: dict[str, Any] = {
            "type": self.resource,
            "id": self._id(self.id),
            "attributes": self.attributes if full else {**attributes, **stamp},
            "relationships": self._written(self.relationships if full else relationships),
        }
        if self.form.payload_version == 2 and action == "updated":
            data["beforeUpdate"] = before
        name = f"{self.resource}.{action}"
        delivered = (self._now + DELIVERY_DELAY).isoformat(timespec="milliseconds")
        return Delivery(name, encode({"data": data, "meta": {"deliveredAt": delivered, "eventName": name}}))

    def _id(self, number: int) -> int | str:
        return number if self.form.ids == "integer" else str(number)

    def _written(self, relationships: Mapping[str, Related]) -> dict[str, Any]:
        return {name: self._relationship(name, target) for name, target in relationships.items()}

    def _relationship(self, name: str, target: Related) -> Any:
        wrapped = self.form.relationships == "wrapped"
        if target is None:
            return {"data": None} if wrapped else {"id": None}
        if isinstance(target, Target):
            return {"data": self._identifier(target)} if wrapped else self._identifier(target, name=name)
        listed = [self._identifier(item) for item in target]
        return {"data": listed} if wrapped else listed

    def _identifier(self, target: Target, *, name: str | None = None) -> dict[str, Any]:
        # Flat, the type is the relationship's name; only a booker who is a prospect must be told apart from a user.
        kind = name if name is not None and target.type == "user" else target.type
        return {"type": kind, "id": self._id(target.id)}


def encode(document: Mapping[str, Any]) -> bytes:
    """A body as Outreach writes it: JSON without spaces, in UTF-8."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def delivery_of(document: Mapping[str, Any]) -> Delivery:
    """A delivery of any JSON document, for sending what was recorded."""
    meta = document.get("meta")
    name = meta.get("eventName") if isinstance(meta, Mapping) else None
    return Delivery(str(name or "unknown"), encode(document))


def _seconds(moment: datetime) -> str:
    """A time as recorded: UTC, whole seconds, with the milliseconds written out."""
    whole = moment.astimezone(UTC).replace(microsecond=0)
    return whole.isoformat(timespec="milliseconds").replace("+00:00", "Z")
