"""What Outreach sent, read once into types.

The shapes are those recorded from webhooks (flat relationships `{type, id}`, integer ids, `attributes` or
`relationships` missing or empty) and of the REST API (`{data: {type, id}}`, string ids); both are read everywhere,
because nobody outside Outreach knows which one a meeting delivery has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import from_json

from shared.errors import BadDelivery, problem_in_words
from shared.timestamps import parse_time

# Outreach's public list for webhooks, after what its list does not name: meetings, and its events API.
KNOWN_RESOURCES = (
    "meeting",
    "calendarEvent",
    "event",
    "account",
    "call",
    "emailAddress",
    "import",
    "kaiaRecording",
    "mailing",
    "opportunity",
    "opportunityProspectRole",
    "prospect",
    "sequence",
    "sequenceState",
    "task",
    "user",
)

TypeName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


def _id_as_text(value: object) -> object:
    """Ids come as integers in webhooks and as strings in parts of the REST API."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("an id is an integer or a string")  # noqa: TRY004 - pydantic collects ValueError only
    return str(value).strip()


def _nothing_as_empty(value: object) -> object:
    """Some serialisers write an empty object as null or as an empty list."""
    return {} if value is None or value == [] else value


def _moment_or_none(value: object) -> datetime | None:
    """A time that cannot be read is no reason to lose an event: it counts from its receipt then."""
    try:
        return parse_time(value).astimezone(UTC)
    except ValueError:
        return None


def _text_or_none(value: object) -> str | None:
    return value[:200] if isinstance(value, str) else None


RecordId = Annotated[
    str,
    BeforeValidator(_id_as_text),
    StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"),
]
Members = Annotated[dict[str, Any], BeforeValidator(_nothing_as_empty)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore")
    type: TypeName
    id: RecordId
    attributes: Members = Field(default_factory=dict)
    relationships: Members = Field(default_factory=dict)


class _Meta(BaseModel):
    model_config = ConfigDict(extra="ignore")
    event_name: Annotated[str | None, BeforeValidator(_text_or_none)] = Field(default=None, alias="eventName")
    delivered_at: Annotated[datetime | None, BeforeValidator(_moment_or_none)] = Field(
        default=None, alias="deliveredAt"
    )


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")
    data: _Data
    meta: Annotated[_Meta, BeforeValidator(_nothing_as_empty)] = Field(default_factory=_Meta)


class _Reference(BaseModel):
    model_config = ConfigDict(extra="ignore")
    type: str | None = None
    id: RecordId


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """One Outreach record that a delivery points at: `type` as Outreach writes it, `id` as text."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event about one Outreach record.

    `attributes` holds only what was created or changed; a name that is absent means unchanged, `None` means cleared.
    `relationships` maps a name to the records it points at; an empty tuple means cleared. `unreadable` names those in
    no known form: they matter only where the mapping reads them. `delivered_at` is when Outreach sent it, or `None`
    where it does not say.
    """

    resource: str
    record_id: str
    action: str
    attributes: Mapping[str, Any]
    relationships: Mapping[str, tuple[Reference, ...]]
    delivered_at: datetime | None
    unreadable: frozenset[str] = frozenset()


def parse_json(raw: bytes) -> Any:
    """`raw` as JSON. Refuses invalid UTF-8, NaN and nesting that no delivery has.

    Half an emoji, as a text cut at a fixed length may end in, is replaced: it must not cost the event.
    """
    try:
        return from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        try:
            return from_json(_without_half_pairs(raw), allow_inf_nan=False)
        except (ValueError, RecursionError):
            raise BadDelivery("not_json", "The body is not JSON in UTF-8.") from error


def _without_half_pairs(raw: bytes) -> bytes:
    """The same JSON; the standard library reads half of a surrogate pair, which is then replaced."""
    text = json.dumps(json.loads(raw.decode()), ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def parse_delivery(body: object) -> Delivery:
    """The delivery in `body` (JSON already decoded). Raises `BadDelivery` that names the first wrong member."""
    try:
        parsed = _Body.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise BadDelivery(
            "not_a_delivery", f"This is not an Outreach delivery: {where}: {problem_in_words(first)}."
        ) from error
    relationships: dict[str, tuple[Reference, ...]] = {}
    unreadable = set()
    for name, value in parsed.data.relationships.items():
        try:
            references = _references(name, value)
        except ValidationError:
            unreadable.add(name)
            continue
        if references is not None:
            relationships[name] = references
    return Delivery(
        resource=parsed.data.type,
        record_id=parsed.data.id,
        action=_action(parsed.meta.event_name),
        attributes=parsed.data.attributes,
        relationships=relationships,
        delivered_at=parsed.meta.delivered_at,
        unreadable=frozenset(unreadable),
    )


def _action(event_name: str | None) -> str:
    """`updated` of `meeting.updated`. A delivery without a name is read as a change, which every patch is."""
    if not event_name:
        return "updated"
    return event_name.rpartition(".")[2].lower()


def _references(name: str, value: object) -> tuple[Reference, ...] | None:
    """The records behind one relationship, or `None` where the member only holds links and so says nothing."""
    match value:
        case {"data": wrapped}:
            return _references(name, wrapped)
        case None | {"id": None}:
            return ()
        case {"id": _}:
            found = _Reference.model_validate(value)
            return (Reference(found.type or name, found.id),)
        case str() | int() if not isinstance(value, bool):
            return _references(name, {"id": value})
        case list():
            return tuple(reference for item in value for reference in _references(name, item) or ())
        case _:
            return None
