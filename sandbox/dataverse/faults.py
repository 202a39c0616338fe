"""Trouble on request: throttling, outages, dropped connections and slow answers, planned or at random.

Kinds that refuse, without applying: those of `_ANSWERS`, and any `status` of one's own. Kinds that break: `drop_before`
(not applied, connection closed), `drop_after` (applied, connection closed), `timeout` (applied, no answer for
`hold_seconds`, connection closed), `late` (applied and answered after `hold_seconds`: the write of a client that has
given up). Deciding is here; carrying it out on the wire is in `app`.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.dataverse.errors import ODataError

BROKEN: Final = ("drop_before", "drop_after", "timeout")
LATE: Final = "late"

_ANSWERS: Final = {
    "429": (429, "0x80072322", "Number of requests exceeded the limit over the time window."),
    "429_time": (429, "0x80072321", "Combined execution time of incoming requests exceeded the limit."),
    "429_concurrency": (429, "0x80072326", "Number of concurrent requests exceeded the limit."),
    "503": (503, "0x80040216", "The service is unavailable."),
    "500": (500, "0x80040216", "An unexpected error occurred."),
    "401": (401, "0x8005f101", "The access token expired."),
    "403": (403, "0x80040220", "The calling user lacks a privilege."),
    "412_alternate_key": (412, "0x80060892", "A record with matching alternate key values exists."),
    "412_duplicate_rule": (412, "0x80040333", "A duplicate detection rule found another record."),
    "deadlock": (500, "-2147204784", "The transaction was chosen as the victim of a deadlock."),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One trouble; `method` and `entity` narrow a queued fault to the requests it is meant for."""

    kind: str
    status: int = 0
    code: str = ""
    message: str = ""
    retry_after: float | None = None
    hold_seconds: float = 30.0
    method: str | None = None
    entity: str | None = None

    @classmethod
    def parse(cls, entry: str | dict[str, Any], *, retry_after: float, hold_seconds: float) -> Fault:
        """Read a kind by name, or an object with `kind` or `status`, `code`, `message`."""
        given: dict[str, Any] = {"kind": entry} if isinstance(entry, str) else dict(entry)
        kind = str(given.setdefault("kind", "custom"))
        known = [*_ANSWERS, *BROKEN, LATE]
        if kind not in known and "status" not in given:
            raise ValueError(f"unknown fault {kind!r}: use one of {known} or give a status")
        status, code, message = _ANSWERS.get(kind, (500, "", "Planned fault."))
        defaults: dict[str, Any] = {"status": status, "code": code, "message": message, "hold_seconds": hold_seconds}
        if status in (429, 503):
            defaults["retry_after"] = retry_after
        try:
            return cls(**(defaults | given))
        except TypeError as error:
            raise ValueError(f"unknown field in fault {given}") from error

    @property
    def refuses(self) -> bool:
        """Whether the request is not applied."""
        return self.kind not in ("drop_after", "timeout", LATE)

    @property
    def breaks_connection(self) -> bool:
        """Whether the client gets no answer."""
        return self.kind in BROKEN

    def error(self) -> ODataError:
        """Return the refusal this fault stands for."""
        headers = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        return ODataError(self.message, status=self.status, code=self.code, headers=headers)


@dataclass(slots=True)
class FaultPlan:
    """Which request meets which fault: first the queue, then chance."""

    rate: float = 0.0
    faults: tuple[Fault, ...] = ()
    latency_ms: float = 0.0
    queue: deque[Fault] = field(default_factory=deque)
    chance: random.Random = field(default_factory=random.Random)

    def draw(self, *, method: str, entity: str) -> Fault | None:
        """Return the fault of this request, taking it out of the queue where it came from there."""
        for fault in self.queue:
            if fault.method in (None, method) and fault.entity in (None, entity):
                self.queue.remove(fault)
                return fault
        if self.rate and self.faults and self.chance.random() < self.rate:
            return self.chance.choice(self.faults)
        return None
