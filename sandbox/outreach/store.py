"""Everything that one stand-in holds: records, tokens, how the organisation is set up, trouble and the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sandbox.outreach.faults import FaultPlan
from sandbox.outreach.records import BY_TYPE, Record
from sandbox.outreach.requestlog import RequestLog
from sandbox.outreach.tokens import Tokens

PUBLISHED_WEBHOOK_RESOURCES = frozenset(
    {
        "*",
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
    }
)


@dataclass(frozen=True, slots=True)
class Switches:
    """How the organisation is set up.

    bearer             `ignore`: no token is asked for
    media_type         `strict`: 415 for a request without the JSON:API content type, as published
    missing_scopes     scopes that no token has
    meeting_webhooks   whether webhooks for `meeting` and `calendarEvent` may be registered; nobody outside knows
    s2s_webhooks       whether registering with an S2S token needs an `authorizer`; Outreach only hints that it may
    used_refresh_token what a refresh token that was used before does: it is refused, or all its successors go too
    token_throttle     `on`: one access token per app and minute, the next gets a plain-text 429
    rate_limit         requests an hour before 429
    """

    bearer: Literal["check", "ignore"] = "check"
    media_type: Literal["strict", "lenient"] = "strict"
    missing_scopes: frozenset[str] = frozenset()
    meeting_webhooks: Literal["refuse", "allow"] = "refuse"
    s2s_webhooks: Literal["plain", "authorizer"] = "plain"
    used_refresh_token: Literal["refuse", "revoke_family"] = "refuse"
    token_throttle: Literal["off", "on"] = "off"
    rate_limit: int = 10_000


class Clock:
    """The time in seconds since 1970, which a test may move forward."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds


class Store:
    """One organisation. `clear()` puts it back to empty with default switches; the clock keeps what it was moved by."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.records: dict[str, dict[int, Record]] = {kind: {} for kind in BY_TYPE}
        self.switches = Switches()
        self.faults = FaultPlan()
        self.log = RequestLog()
        self.tokens = Tokens(self.clock.now)
        self._window_start = 0.0
        self._in_window = 0
        self._last_id = 1_000_000

    def put(self, record: Record) -> None:
        """Add or replace a record."""
        self.records[record.type][record.id] = record

    def next_id(self) -> int:
        """An id that no record has yet."""
        self._last_id += 1
        return self._last_id

    def stamp(self) -> str:
        """Now, as Outreach writes times."""
        return _text(self.clock.now())

    def count_request(self) -> tuple[int, int]:
        """Count one request against the hourly limit; what remains (negative: over it) and when it starts anew."""
        now = self.clock.now()
        if now - self._window_start >= 3600:
            self._window_start = now
            self._in_window = 0
        self._in_window += 1
        return self.switches.rate_limit - self._in_window, int(self._window_start + 3600)

    @property
    def webhook_resources(self) -> frozenset[str]:
        """What a webhook may be registered for."""
        more = {"meeting", "calendarEvent"} if self.switches.meeting_webhooks == "allow" else set()
        return PUBLISHED_WEBHOOK_RESOURCES | more


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
