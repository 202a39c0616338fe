"""What was asked of the stand-in: a bounded log of requests and counters over all of them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

HEADERS_OF_INTEREST: Final = (
    "If-Match",
    "If-None-Match",
    "Prefer",
    "MSCRMCallerID",
    "CallerObjectId",
    "OData-Version",
    "OData-MaxVersion",
    "Content-Type",
    "Accept",
    "Cookie",
    "User-Agent",
    "traceparent",
    "x-ms-client-request-id",
    "x-ms-correlation-id",
    "MSCRM.SuppressDuplicateDetection",
)
BODY_KEPT: Final = 16_384


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request with its outcome; status 0 means that the connection was closed instead of an answer."""

    number: int
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str
    status: int
    fault: str | None
    service_request_id: str


class RequestLog:
    """The last requests and the counters over all since the last clearing."""

    def __init__(self, *, size: int) -> None:
        self._requests: deque[LoggedRequest] = deque(maxlen=size)
        self.counters: Counter[str] = Counter()
        self.total = 0

    def clear(self) -> None:
        """Forget all."""
        self._requests.clear()
        self.counters.clear()
        self.total = 0

    def add(
        self,
        *,
        method: str,
        path: str,
        query: str,
        entity: str,
        headers: Mapping[str, str],
        body: bytes,
        status: int,
        fault: str | None,
        service_request_id: str,
    ) -> None:
        """Log one request and count it."""
        self.total += 1
        kept = {name: headers[name] for name in HEADERS_OF_INTEREST if name in headers}
        text = body[:BODY_KEPT].decode("utf-8", "replace")
        self._requests.append(
            LoggedRequest(self.total, method, path, query, kept, text, status, fault, service_request_id)
        )
        self.counters[f"{method} {entity} {status}"] += 1
        if fault is not None:
            self.counters[f"fault {fault}"] += 1
        if "Cookie" in kept:
            self.counters["with_cookie"] += 1
        if "OData-Version" not in kept or "OData-MaxVersion" not in kept:
            self.counters["without_odata_version"] += 1

    def last(self, limit: int) -> list[dict[str, Any]]:
        """Return the last requests, oldest first."""
        skipped = max(0, len(self._requests) - limit)
        return [asdict(entry) for number, entry in enumerate(self._requests) if number >= skipped]
