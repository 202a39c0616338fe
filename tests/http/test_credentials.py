"""A token that is kept until it ends: fetched once however many wait, and renewed in time."""

from __future__ import annotations

import asyncio

from shared.http.credentials import CachedToken


async def test_cached_token_is_fetched_once() -> None:
    """However many wait, one fetches; a rejected token is replaced once, by whoever comes first."""
    fetched: list[str | None] = []

    async def fetch(rejected: str | None) -> tuple[str, float]:
        fetched.append(rejected)
        await asyncio.sleep(0)
        return f"token-{len(fetched)}", 3600.0

    token = CachedToken(fetch, clock=lambda: 0.0)
    assert set(await asyncio.gather(*(token() for _ in range(5)))) == {"token-1"}
    assert set(await asyncio.gather(*(token(rejected="token-1") for _ in range(5)))) == {"token-2"}
    assert await token() == "token-2"
    assert fetched == [None, "token-1"]


async def test_cached_token_is_renewed_before_it_ends() -> None:
    """Five minutes before its end a token is replaced; a short one after half its life."""
    now, lives = [0.0], [3600.0, 100.0, 3600.0]

    async def fetch(_: str | None) -> tuple[str, float]:
        return f"token-{len(lives)}", lives.pop(0)

    token = CachedToken(fetch, clock=lambda: now[0])
    given = []
    for now[0] in (0.0, 3299.0, 3300.0, 3349.0, 3350.0):
        given.append(await token())
    assert given == ["token-3", "token-3", "token-2", "token-2", "token-1"]
