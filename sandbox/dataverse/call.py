"""One request and its answer, free of the web framework: what `api` reads and what `app` sends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from multidict import CIMultiDictProxy, MultiMapping

from sandbox.dataverse.callers import Caller, resolve_caller
from sandbox.dataverse.conditions import Condition, read_condition
from sandbox.dataverse.errors import ODataError, query_error
from sandbox.dataverse.payload import parse_json_object
from sandbox.dataverse.render import Preferences, read_preferences
from sandbox.dataverse.store import Store


@dataclass(frozen=True, slots=True)
class Call:
    """One request as far as the Web API looks at it; `base` is the address up to the API version."""

    method: str
    base: str
    path: str
    options: MultiMapping[str]
    headers: CIMultiDictProxy[str]
    body: bytes
    store: Store

    @property
    def preferences(self) -> Preferences:
        """What the `Prefer` headers ask for."""
        return read_preferences(",".join(self.headers.getall("Prefer", [])))

    def check_versions(self) -> None:
        """Refuse an OData version that the Web API does not speak."""
        for header in ("OData-Version", "OData-MaxVersion"):
            if self.headers.get(header, "4.0") != "4.0":
                raise query_error(f"The header {header} must be 4.0, not {self.headers[header]!r}.")

    def caller(self) -> Caller:
        """Return the user this request counts for."""
        return resolve_caller(self.headers, store=self.store)

    def condition(self) -> Condition:
        """Return the conditional headers."""
        return read_condition(self.headers, switches=self.store.switches)

    def json_object(self) -> dict[str, Any]:
        """Return the body; refuse one that does not say it is JSON."""
        if not self.headers.get("Content-Type", "").lower().startswith("application/json"):
            raise ODataError("Send the body with Content-Type: application/json.", status=415, code="")
        return parse_json_object(self.body)

    def allow(self, *methods: str) -> None:
        """Refuse every other method."""
        if self.method not in methods:
            reason = f"The method {self.method} is not allowed here; use {' or '.join(methods)}."
            raise ODataError(reason, status=405, code="", headers={"Allow": ",".join(methods)})

    def context(self, fragment: str) -> dict[str, Any]:
        """Return the annotation that names what an answer holds."""
        return {"@odata.context": f"{self.base}/$metadata#{fragment}"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a status, a JSON body unless `None`, and headers."""

    status: int
    body: dict[str, Any] | None = None
    headers: tuple[tuple[str, str], ...] = ()


def encode(body: dict[str, Any]) -> bytes:
    """Return JSON as the wire carries it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
