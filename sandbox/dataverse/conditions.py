"""`If-Match` and `If-None-Match`: under which condition a write takes place.

https://learn.microsoft.com/power-apps/developer/data-platform/webapi/perform-conditional-operations-using-web-api
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.dataverse.errors import CONCURRENCY_OFF, VERSION_MISMATCH, ODataError, query_error
from sandbox.dataverse.store import Row, Switches

_ETAG: Final = re.compile(r'W/"\d+"')


@dataclass(frozen=True, slots=True)
class Condition:
    """The two headers as read; `None` where absent."""

    if_match: str | None = None
    if_none_match: str | None = None

    @property
    def needs_row(self) -> bool:
        """Whether the row must be there already: no create."""
        return self.if_match is not None

    @property
    def needs_no_row(self) -> bool:
        """Whether the row must not be there: no update."""
        return self.if_none_match == "*"

    def check(self, row: Row) -> None:
        """Refuse a row whose version is not the one the client last saw."""
        if self.if_match not in (None, "*", row.etag):
            raise ODataError(
                "The version of the existing record doesn't match the RowVersion property provided.",
                status=412,
                code=VERSION_MISMATCH,
            )

    def unchanged(self, row: Row) -> bool:
        """Whether a conditional read may be answered with 304."""
        return self.if_none_match == row.etag


def read_condition(headers: Mapping[str, str], *, switches: Switches) -> Condition:
    """Read the conditional headers; `If-None-Match: null` means none, as Microsoft's own samples send it."""
    if_match, if_none_match = headers.get("If-Match"), headers.get("If-None-Match")
    if if_none_match == "null":
        if_none_match = None
    for header, value in (("If-Match", if_match), ("If-None-Match", if_none_match)):
        if value not in (None, "*") and not _ETAG.fullmatch(str(value)):
            raise query_error(f'The header {header} takes * or an etag such as W/"123", not {value!r}.')
    if if_match is not None and if_none_match is not None:
        raise query_error("Send If-Match or If-None-Match, not both.")
    if if_match not in (None, "*") and not switches.optimistic_concurrency:
        raise ODataError("Optimistic concurrency isn't enabled for entity type appointment.", code=CONCURRENCY_OFF)
    return Condition(if_match, if_none_match)
