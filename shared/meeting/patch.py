"""The way in, from one delivery of Outreach to a patch: does it count, for which meeting, and what does it say, typed.

What Dynamics should have of all that was said stands in `appointment.py`, and what is written of that in `decide.py`.
Values are checked here, once. A value of the wrong type raises `Unmappable`, which ends as a dead letter with the
reason: answering Outreach with an error would lose the event, because Outreach counts any answer as delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Self

from shared.errors import Unmappable
from shared.meeting.delivery import Delivery, Reference
from shared.meeting.identity import MeetingKey
from shared.meeting.mapping import MappingFile, Resource, Signal
from shared.meeting.merge import NO_STAMP, Stamp, Stamped
from shared.meeting.sources import KeySource, Source
from shared.meeting.stamps import stamp_of
from shared.meeting.transforms import Kind, Row

_ABSENT: Final = object()
_RECORDS = frozenset(kind for kind in Kind if kind.is_reference)


@dataclass(frozen=True, slots=True)
class Patch:
    """What one event says of one meeting.

    `alias` is the calendar event that the delivery was about, where that is not the meeting itself: one meeting has one
    calendar event per synced calendar. It may also be a witness that is to be remembered.
    `unnamed`: a witness that names no meeting here; it counts only if it named one before. `stamp`: that of all fields.
    `notes`: which of the delivery's times cannot be true.
    """

    key: MeetingKey
    alias: MeetingKey | None
    fields: Mapping[str, Stamped]
    unnamed: bool = False
    stamp: Stamp = NO_STAMP
    notes: tuple[str, ...] = ()


class FieldName(NamedTuple):
    """The name a value is merged under, as text `title`, `owner@17`, `prospects/prospect` or `completed/state@17`.

    `calendar`: the calendar event that says it for itself. `source`: what is merged for itself. That is the
    relationship, where attendees are read from several, because a delivery names only those that changed; and the
    attribute whose words a flag is read from, because another word takes back only what this attribute said.
    """

    field: str
    source: str = ""
    calendar: str = ""

    def __str__(self) -> str:
        return self.field + (f"/{self.source}" if self.source else "") + (f"@{self.calendar}" if self.calendar else "")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The name in `text`."""
        rest, _, calendar = text.partition("@")
        field, _, source = rest.partition("/")
        return cls(field, source, calendar)


def accepts(delivery: Delivery, mapping: MappingFile) -> bool:
    """Whether the event counts: its resource is enabled, its action listed, its conditions met, a meeting named."""
    rule = mapping.resources.get(delivery.resource)
    if rule is None or (rule.actions is not None and delivery.action not in rule.actions):
        return False
    if not all(_read(source, delivery) is True for source in rule.when):
        return False
    if not rule.witness or _named(delivery, rule):
        return True
    return rule.remembers and bool(_constants(delivery, rule))


def why_not(delivery: Delivery, mapping: MappingFile) -> str:
    """Why an event does not count that `accepts` says no to; a sentence for people."""
    if delivery.resource in mapping.resources:
        return (
            f"The mapping's resource {delivery.resource} does not count such an event: see its actions, when and key."
        )
    if delivery.resource in mapping.declared:
        return f"The mapping's resource {delivery.resource} is not enabled."
    return f"The mapping has no resource {delivery.resource}; it has {', '.join(mapping.declared)}."


def read_patch(delivery: Delivery, *, mapping: MappingFile, received_at: datetime) -> Patch:
    """The patch in `delivery`, whose resource must be one of `mapping.resources`. Raises `Unmappable`."""
    rule = mapping.resources[delivery.resource]
    own = MeetingKey(delivery.resource, delivery.record_id)
    named = _named(delivery, rule)
    key = next((found for found in named if found.resource == "meeting"), named[0] if named else own)
    calendar = next((found for found in named if found.resource != "meeting"), None) if rule.witness else own
    alias = own if not rule.witness or (rule.remembers and named) else calendar
    stamp, notes = stamp_of(delivery, received_at=received_at)
    constants = _constants(delivery, rule)
    fields: dict[str, Stamped] = {}
    for item in mapping.inputs:
        by_name = item.field in constants  # the name of the event alone says it
        said = {FieldName(item.field): constants[item.field]} if by_name else _said_by(rule, item, delivery)
        of = calendar.record_id if rule.key and calendar is not None else ""
        for name, value in said.items():
            for_itself = item.per_calendar or (item.kind is Kind.FLAG and name.source)
            fields[str(name._replace(calendar=of if for_itself else ""))] = Stamped(value, stamp)
    return Patch(key, alias if alias != key else None, fields, rule.witness and not named, stamp, notes)


def _constants(delivery: Delivery, rule: Resource) -> Mapping[str, bool]:
    return (rule.actions or {}).get(delivery.action, {})


def _named(delivery: Delivery, rule: Resource) -> tuple[MeetingKey, ...]:
    """The meeting, the calendar event, or both, as the delivery names them."""
    found = (_key_in(delivery, source) for source in rule.key)
    return tuple(dict.fromkeys(key for key in found if key is not None))


def _key_in(delivery: Delivery, source: KeySource) -> MeetingKey | None:
    if source.place == "relationships":
        for reference in delivery.relationships.get(source.name, ()):
            if not source.types or reference.type in source.types:
                return MeetingKey(source.names or reference.type, reference.id)
        return None
    found = delivery.attributes.get(source.name)
    if isinstance(found, str | int) and not isinstance(found, bool) and str(found).strip():
        return MeetingKey(source.names, str(found).strip())
    return None


def _said_by(rule: Resource, item: Row | Signal, delivery: Delivery) -> Mapping[FieldName, Any]:
    """What `delivery` says of this field, as far as events of its resource may."""
    if rule.fields is not None and item.field not in rule.fields:
        return {}
    try:
        return _said(item, delivery)
    except Unmappable:
        if not rule.lenient:
            raise
        return {}


def _said(item: Row | Signal, delivery: Delivery) -> dict[FieldName, Any]:
    """What `delivery` says of this field, by the name that it is merged under; nothing where it is silent."""
    name = FieldName(item.field)
    found = [(source, value) for source in item.sources if (value := _read(source, delivery)) is not _ABSENT]
    if not found:
        return {}
    if item.kind is Kind.PROSPECT:
        # A meeting may name one prospect and the list of all of them; every other relationship has one target.
        return {name._replace(source=one.name): _references(item, one, value, delivery) for one, value in found}
    if item.kind.is_reference:
        return {name: _references(item, *found[0], delivery)}
    words: dict[FieldName, bool] = {}
    for source, is_one_of_them in found:
        if source.equals:
            word = name._replace(source=source.name)
            words[word] = words.get(word, False) or is_one_of_them
    wrong: Unmappable | None = None
    for value in (value for source, value in found if not source.equals):
        try:
            return {**words, name: None if value is None else item.kind.read(value, item.field)}
        except Unmappable as error:
            wrong = wrong or error  # the sources are guesses at a name: the next one may be meant
    if words or isinstance(item, Signal) or wrong is None:
        return words
    raise wrong


def _read(source: Source, delivery: Delivery) -> Any:
    if source.place == "action":
        return True if delivery.action == source.name else _ABSENT
    if source.place == "relationships":
        if source.name in delivery.unreadable:
            raise Unmappable("wrong_type", f"{source.name}: this relationship has a form that nobody knows.")
        return delivery.relationships.get(source.name, _ABSENT)
    value = delivery.attributes.get(source.name, _ABSENT)
    if value is _ABSENT:
        return _ABSENT
    if source.presence:
        return value is not None and value != ""
    if source.equals:
        return isinstance(value, str) and value.lower() in source.equals
    return value


def _references(item: Row | Signal, source: Source, value: Any, delivery: Delivery) -> list[dict[str, str]]:
    """Plain JSON for the records found, each once, the lowest id first: a relationship is a set, its order no change.

    A flat relationship's type is the relationship's own name (`owner`), so a type that is none of ours means what the
    attribute `ownerType` says, where there is one (a booker may be a prospect), else the kind of the row.
    """
    declared = str(delivery.attributes.get(f"{source.name}Type", "")).lower()
    seen: dict[tuple[str, str], None] = {}
    reference: Reference
    for reference in sorted(value, key=lambda one: (len(one.id), one.id)):
        kinds = (reference.type, declared, item.kind)
        seen[next(str(kind) for kind in kinds if kind in _RECORDS), reference.id] = None
    return [{"type": kind, "id": record_id} for kind, record_id in seen]
