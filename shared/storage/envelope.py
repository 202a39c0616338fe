"""What travels through the queue: one verified event with what is needed to trace and to retry it.

The queue trigger overwrites a message's metadata with top-level JSON members of the same name, so none of ours may be
called `id`, `dequeueCount`, `expirationTime`, `insertionTime`, `nextVisibleTime`, `popReceipt` or `text`.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from shared.errors import Unmappable
from shared.storage.layout import Upgrade, upgraded, version_of

MAX_MESSAGE_BYTES = 64 * 1024
_UPGRADES: tuple[Upgrade, ...] = ()
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Envelope(BaseModel):
    """One message.

    kind            `delivery`: `body` is what Outreach sent; `reconcile`: bring meeting `meeting` up to date;
                    `spilled`: the envelope lies in the spill table under `spill_key`
    correlation_id  the W3C trace id of the request that brought it, 32 hex digits
    event_id        Outreach's id of the delivery with a digest of the body: with `correlation_id` it names the event
    received_at     ISO 8601, UTC
    attempt         how often it was put back; 0 the first time
    first_failed_at when it was put back first; empty before
    by              who sent it again: the name of a key, or a person's id; empty where nobody has
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: Literal["delivery", "reconcile", "spilled"] = "delivery"
    correlation_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    traceparent: str = ""
    event_id: str = ""
    event_name: str = ""
    received_at: str
    attempt: int = 0
    first_failed_at: str = ""
    by: str = ""
    meeting: str = ""
    spill_key: str = ""
    body: Any = None

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

    def spilled(self) -> Envelope:
        """The pointer to this envelope in the spill table, which fits the queue."""
        key = f"{self.received_at}-{self.correlation_id}"
        return self.model_copy(update={"kind": "spilled", "spill_key": key, "body": None})

    @classmethod
    def from_message(cls, text: str | bytes) -> Envelope:
        """The envelope in a decoded message. Raises `NewerLayout`, and `Unmappable` for what is none."""
        try:
            # Pydantic's own reader goes less deep: it would refuse a body of the depth that it has just accepted.
            return cls.from_document(json.loads(text))
        except (ValueError, TypeError, RecursionError) as error:
            raise Unmappable("not_an_envelope", "The queue message is not one of this app's.") from error


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
