"""What was asked of the stand-in: a bounded log of requests, and counters over all of them. It keeps no credentials."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

LOG_SIZE = 5_000


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request; status 0 means that the connection was closed instead of an answer."""

    number: int
    method: str
    path: str
    query: str
    content_type: str
    traceparent: str
    status: int
    fault: str | None


class RequestLog:
    """The last requests, and counters such as `GET prospects 200`."""

    def __init__(self, *, size: int = LOG_SIZE) -> None:
        self._requests: deque[LoggedRequest] = deque(maxlen=size)
        self.counters: Counter[str] = Counter()
        self.total = 0

    def add(
        self,
        *,
        method: str,
        path: str,
        query: str,
        content_type: str,
        traceparent: str,
        status: int,
        fault: str | None,
    ) -> None:
        """Log one request and count it."""
        self.total += 1
        self._requests.append(LoggedRequest(self.total, method, path, query, content_type, traceparent, status, fault))
        collection = path.removeprefix("/api/v2/").partition("/")[0] if path.startswith("/api/v2/") else path
        self.counters[f"{method} {collection} {status}"] += 1
        if fault is not None:
            self.counters[f"fault {fault}"] += 1

    def last(self, limit: int) -> list[dict[str, Any]]:
        """The last requests, oldest first."""
        entries = list(self._requests)
        return [asdict(entry) for entry in entries[max(0, len(entries) - limit) :]]
