"""Who is signed in to the console (table `sessions`): a row per session, under a digest of the cookie's token.

A row instead of a signed cookie, so that nothing else that somebody may know (the webhook's secret, say) can make a
session, and signing out ends it for good.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest, new

from cryptography.fernet import Fernet, InvalidToken

from shared.storage.account import Table
from shared.timestamps import Clock, sortable

TABLE = "sessions"
LENGTH = timedelta(hours=8)
_PARTITION = "session"
_TIDY_AT_MOST = 100


@dataclass(frozen=True, slots=True)
class Session:
    """`token` is what the cookie holds; `who` came in: `key`, or the id of a person whom the platform signed in."""

    token: str = field(repr=False)
    who: str

    @property
    def form_token(self) -> str:
        """What a form must send back; another site cannot read it."""
        return new(self.token.encode(), b"form", sha256).hexdigest()

    def seal(self, text: str) -> str:
        """`text` for an address that only this session can read: what stands in an address may reach a log."""
        return self._cipher().encrypt(text.encode("utf-8", "replace")).decode()

    def unseal(self, sealed: str) -> str:
        """What `seal` was given; empty for anything else."""
        try:
            return self._cipher().decrypt(sealed.encode("utf-8", "replace")).decode()
        except (InvalidToken, ValueError):
            return ""

    def _cipher(self) -> Fernet:
        return Fernet(urlsafe_b64encode(new(self.token.encode(), b"seal", sha256).digest()))

    def made(self, form_token: str) -> bool:
        """Whether `form_token` stood in one of this session's forms."""
        return compare_digest(self.form_token.encode(), form_token.encode("utf-8", "replace"))


class Sessions:
    """The console's sessions, one row each."""

    def __init__(self, table: Table, *, now: Clock) -> None:
        self._table = table
        self._now = now

    async def begin(self, who: str) -> Session:
        """A new session; rows that have run out are removed on the way."""
        token = secrets.token_urlsafe(32)
        until = sortable(self._now() + LENGTH)
        await self._table.put({"PartitionKey": _PARTITION, "RowKey": _digest(token), "who": who, "until": until})
        over = await self._table.query(
            "PartitionKey eq @session and until lt @now",
            {"session": _PARTITION, "now": sortable(self._now())},
            limit=_TIDY_AT_MOST,
        )
        for row in over:
            await self._table.delete(row["PartitionKey"], row["RowKey"])
        return Session(token, who)

    async def find(self, token: str) -> Session | None:
        """The session, unless there is none or it has run out."""
        if not token:
            return None
        found = await self._table.get(_PARTITION, _digest(token))
        if found is None or str(found[0]["until"]) < sortable(self._now()):
            return None
        return Session(token, str(found[0]["who"]))

    async def end(self, token: str) -> None:
        """Sign out."""
        await self._table.delete(_PARTITION, _digest(token))


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "replace")).hexdigest()
