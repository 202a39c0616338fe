"""The piece of work under way: which event it is for, and what it has cost so far.

One per invocation, found through a context variable, so that a client deep down can send the trace on and count its
calls without every function in between passing it along.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Work:
    """`calls` counts requests by service; `seconds` their time; `cache_hits` what the directory knew already.

    `unresolved`: how many Outreach records are nobody in Dynamics. `rounds`: how often the merge had to begin, because
    others wrote the same meeting. `status`: how the meeting stands after it.
    """

    correlation_id: str = ""
    traceparent: str = ""
    calls: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    cache_hits: int = 0
    unresolved: int = 0
    rounds: int = 0
    status: str = ""

    def count(self, service: str, seconds: float) -> None:
        """One call to `service` that took `seconds`."""
        self.calls[service] = self.calls.get(service, 0) + 1
        self.seconds[service] = self.seconds.get(service, 0.0) + seconds


_current: ContextVar[Work | None] = ContextVar("work", default=None)


def begin(work: Work) -> Work:
    """Make `work` the piece of work of this task and of what it awaits."""
    _current.set(work)
    return work


def current() -> Work:
    """The piece of work under way; a fresh one outside any invocation."""
    return _current.get() or begin(Work())
