"""What travels through the queue: one verified event with what is needed to trace and to retry it.

The queue trigger overwrites a message's metadata with top-level JSON members of the same name, so none of ours may be
called `id`, `dequeueCount`, `expirationTime`, `insertionTime`, `nextVisibleTime`, `popReceipt` or `text`.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.errors import Unmappable
from shared.storage.layout import Upgrade, upgraded, version_of
from shared.timestamps import parse_time

MAX_MESSAGE_BYTES = 64 * 1024
_UPGRADES: tuple[Upgrade, ...] = (lambda document: {**document, "version": 2},)  # nobody could ask for a write again
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# From here on the app may have been running, and until then its clock may say so.
_YEARS = range(2000, 3000)


def _moment(text: str) -> str:
    if parse_time(text).year not in _YEARS:
        raise ValueError("the app was not running then")
    return text


def _moment_or_nothing(text: str) -> str:
    return _moment(text) if text else text


def _trace_or_nothing(text: str) -> str:
    """What is no trace costs the trace, not the event."""
    return text if _TRACEPARENT.fullmatch(text) else ""


# A table's property holds 32 Ki characters; none of ours comes near.
_Short = Annotated[str, StringConstraints(max_length=1000)]


class Envelope(BaseModel):
    """One message. Each member is checked here, once: what could not be carried out to the end is none of ours.

    kind            `delivery`: `body` is what Outreach sent; `reconcile`: bring meeting `meeting` up to date;
                    `spilled`: the envelope lies in the overflow table under `spill_key`
    correlation_id  the W3C trace id of the request that brought it, 32 hex digits
    event_id        Outreach's id of the delivery with a digest of the body: with `correlation_id` it names the event
    received_at     ISO 8601, UTC
    attempt         how often it was put back; 0 the first time
    first_failed_at when it was put back first; empty before
    again           with `reconcile`: write again what differs in Dynamics, and try what was refused
    by              who sent it again: the name of a key, or a person's id; empty where nobody has
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: Literal["delivery", "reconcile", "spilled"] = "delivery"
    correlation_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    traceparent: Annotated[str, AfterValidator(_trace_or_nothing)] = ""
    event_id: _Short = ""
    event_name: _Short = ""
    received_at: Annotated[str, AfterValidator(_moment)]
    attempt: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    first_failed_at: Annotated[str, AfterValidator(_moment_or_nothing)] = ""
    by: _Short = ""
    meeting: _Short = ""
    again: bool = False
    spill_key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:+\-]{0,200}$")] = ""
    body: Any = None

    @model_validator(mode="after")
    def _says_of_what(self) -> Self:
        if (self.kind == "spilled" and not self.spill_key) or (self.kind == "reconcile" and not self.meeting):
            raise ValueError("it does not say of what")
        return self

    def to_document(self) -> dict[str, Any]:
        """What is stored of it: members that differ from what they are without, and the version of the layout."""
        return self.model_dump(exclude_defaults=True) | {"version": version_of(_UPGRADES)}

    @classmethod
    def from_document(cls, document: object) -> Envelope:
        """The envelope in a document that this or an older version stored. Raises `NewerLayout`, `ValueError`."""
        return cls.model_validate(upgraded(document, _UPGRADES) if isinstance(document, dict) else document)

    def to_message(self) -> str:
        """The queue's text: JSON in base64, which is what the trigger expects unless host.json says otherwise."""
        text = json.dumps(self.to_document(), separators=(",", ":"), ensure_ascii=False)
        return base64.b64encode(text.encode()).decode()

    def pointer(self) -> Envelope:
        """The pointer to this envelope in the overflow table, which fits the queue."""
        key = f"{self.received_at}-{self.correlation_id}"
        return self.model_copy(update={"kind": "spilled", "spill_key": key, "body": None})

    @classmethod
    def from_message(cls, text: str | bytes) -> Envelope:
        """The envelope in a decoded message. Raises `NewerLayout`, and `Unmappable` for what is none."""
        try:
            # Pydantic's own reader goes less deep: it would refuse a body of the depth that it has just accepted.
            one = cls.from_document(json.loads(text))
            one.to_message()  # it may have to go back
        except (ValueError, TypeError, RecursionError) as error:
            raise Unmappable("not_an_envelope", "The queue message is not one of this app's.") from error
        return one


@dataclass(frozen=True, slots=True)
class Trace:
    """A W3C trace context: `traceparent` as received or made, and its trace id, which is the correlation id."""

    traceparent: str

    @property
    def correlation_id(self) -> str:
        """The 32 hex digits of the trace id."""
        return self.traceparent.split("-")[1]

    @classmethod
    def of(cls, *, trace_id: str, span_id: str) -> Trace:
        """A sampled trace from its two ids."""
        return cls(f"00-{trace_id}-{span_id}-01")

    @classmethod
    def read(cls, traceparent: str | None) -> Trace | None:
        """The trace in a `traceparent` header (https://www.w3.org/TR/trace-context/), or None for a malformed one."""
        text = (traceparent or "").strip()
        return cls(text) if _TRACEPARENT.fullmatch(text) else None

    @classmethod
    def of_call(cls, *, called: str | None, hosted: str | None) -> Trace | None:
        """The caller's trace, from the request's header; where there is none, the host's, or None without either.

        The host tells nothing while Application Insights is not set. Where it does, its span goes on from the caller's,
        and what follows hangs below it.
        """
        caller, host = cls.read(called), cls.read(hosted)
        if caller and host and caller.correlation_id == host.correlation_id:
            return host
        return caller or host


def fits_queue(message: str) -> bool:
    """Whether Azure Storage takes the message: 64 KiB after base64."""
    return len(message) <= MAX_MESSAGE_BYTES
