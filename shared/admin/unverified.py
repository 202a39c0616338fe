"""Deliveries that could not be verified, in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.admin.health import Check
from shared.storage.unverified import Totals


def unverified_check(totals: Callable[[], Awaitable[Totals]]) -> Check:
    """Says how many there are; that is no trouble of the app."""

    async def check() -> str:
        return in_words(await totals())

    return check


def in_words(totals: Totals) -> str:
    """How many of each kind, how much, and since when; empty where there are none. Nothing of what is in them."""
    kinds = [
        f"{_deliveries(many)} {what}"
        for many, what in (
            (totals.secret_not_known, "came while the webhook's secret was not known"),
            (totals.does_not_fit, "fitted no known secret"),
        )
        if many
    ]
    if not kinds:
        return ""
    return (
        f"Kept until a secret fits: {' and '.join(kinds)}; {totals.bytes:,} bytes, the oldest of {totals.oldest[:19]}Z."
    )


def _deliveries(many: int) -> str:
    return f"{many:,} {'delivery' if many == 1 else 'deliveries'} that"
