"""The webhook's secret comes late, is wrong on one side, or is rotated: nothing genuine is lost, nothing else gets in.

The timer is the app's own function, called as the host calls it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from sandbox.azurite import StorageNames
from sandbox.outreach.deliveries import Delivery, MeetingScript
from shared.errors import BadDelivery, BadSettings
from shared.pipeline.ingest import Receipt
from shared.pipeline.signature import SIGNATURE_HEADER, sign
from shared.runtime import new_trace
from tests.handlers import HANDLERS
from tests.product.bench import SECRET, Installation, installation

REFERENCE = "@Microsoft.KeyVault(VaultName=kv;SecretName=outreach-webhook-secret)"
NEW, SHORT, FORGED = "a-new-secret-of-the-webhook", "short", "what-an-attacker-guesses"


@pytest.fixture
async def product(
    azurite: str, storage_names: StorageNames, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Installation]:
    """An installation whose timer can be run."""
    async with installation(azurite, storage_names.queue("events")) as made:
        monkeypatch.setattr("shared.runtime.runtime", lambda: made.runtime)
        yield made


async def deliver(product: Installation, delivery: Delivery, *, secret: str) -> Receipt | int:
    """What the app answers: a receipt, or the status that says no."""
    headers = {SIGNATURE_HEADER: sign(delivery.body, secret)}
    try:
        return await product.runtime.ingest.receive(delivery.body, headers=headers, trace=new_trace())
    except BadDelivery as refused:
        return refused.status


async def minute(product: Installation) -> None:
    """The timer runs once, and what it sends on is carried out."""
    product.runtime.later += timedelta(minutes=1)
    await HANDLERS["sweep"](None)
    await product.work()


def titles(product: Installation) -> list[str]:
    return sorted(str(row.values["subject"]) for row in product.crm.appointments.values())


def booked(number: int, title: str = "genuine") -> Delivery:
    return MeetingScript(number).booked(title=title)


@pytest.mark.parametrize(
    "unresolved",
    [
        {"OUTREACH_WEBHOOK_SECRET": REFERENCE},
        {"OUTREACH_WEBHOOK_SECRET": REFERENCE.lower()},
        {"OUTREACH_WEBHOOK_SECRET": REFERENCE, "OUTREACH_WEBHOOK_SECRET_PREVIOUS": "the-one-of-last-year"},
        {"OUTREACH_WEBHOOK_SECRET": REFERENCE, "OUTREACH_WEBHOOK_SECRET_PREVIOUS": REFERENCE},
        {"OUTREACH_WEBHOOK_SECRET": NEW, "OUTREACH_WEBHOOK_SECRET_PREVIOUS": REFERENCE},
    ],
)
async def test_a_secret_that_comes_later(product: Installation, unresolved: dict[str, str]) -> None:
    """Deliveries of before are accepted, kept, and applied within a minute of the start with the secret."""
    await product.restart(**unresolved)
    genuine = await deliver(product, booked(1), secret=SECRET)
    forged = await deliver(product, booked(2, "forged"), secret=FORGED)
    assert [getattr(one, "way", one) for one in (genuine, forged)] == ["unverified", "unverified"]
    await minute(product)
    assert titles(product) == []
    await product.restart(OUTREACH_WEBHOOK_SECRET=SECRET, OUTREACH_WEBHOOK_SECRET_PREVIOUS="")
    await minute(product)
    assert titles(product) == ["genuine"]
    assert isinstance(genuine, Receipt)
    assert isinstance(forged, Receipt)
    assert (await product.journal(genuine))["outcome"] == "created"
    assert (await product.journal(forged))["outcome"] == "refused"


async def test_a_previous_secret_that_cannot_be_read_takes_nothing_from_the_current_one(product: Installation) -> None:
    """What fits goes its way at once, and the worker carries it out."""
    await product.restart(OUTREACH_WEBHOOK_SECRET_PREVIOUS=REFERENCE)
    receipt = await deliver(product, booked(1), secret=SECRET)
    assert getattr(receipt, "way", receipt) == "queue"
    await product.work()
    assert titles(product) == ["genuine"]


async def test_a_secret_that_is_put_right_later(product: Installation) -> None:
    """It was changed in Outreach alone: each delivery is refused, as it must be, and applied after all."""
    assert await deliver(product, booked(1), secret=NEW) == 401
    assert await deliver(product, booked(2, "forged"), secret=FORGED) == 401
    await minute(product)
    await product.restart(OUTREACH_WEBHOOK_SECRET="still-not-the-right-one")
    await minute(product)
    assert titles(product) == []
    await product.restart(OUTREACH_WEBHOOK_SECRET=NEW, OUTREACH_WEBHOOK_SECRET_PREVIOUS=SECRET)
    await minute(product)
    assert titles(product) == ["genuine"]


async def test_rotating_away_from_a_short_secret(product: Installation) -> None:
    """A short one does not count, so what it signed waits; as the previous one it counts, and all is applied."""
    await product.restart(OUTREACH_WEBHOOK_SECRET=SHORT)
    receipt = await deliver(product, booked(1), secret=SHORT)
    assert getattr(receipt, "way", receipt) == "unverified"
    await minute(product)
    assert titles(product) == []
    await product.restart(OUTREACH_WEBHOOK_SECRET=NEW, OUTREACH_WEBHOOK_SECRET_PREVIOUS=SHORT)
    await minute(product)
    assert getattr(await deliver(product, booked(2), secret=SHORT), "way", None) == "queue"
    assert getattr(await deliver(product, booked(3), secret=NEW), "way", None) == "queue"
    await product.work()
    assert titles(product) == ["genuine"] * 3


async def test_no_secret_at_all_is_no(product: Installation) -> None:
    """There is nothing that a delivery could ever be held against."""
    await product.restart(OUTREACH_WEBHOOK_SECRET="")
    with pytest.raises(BadSettings):
        await deliver(product, booked(1), secret=SECRET)
    assert (await product.runtime.unverified.totals()).rows == 0


async def test_judging_needs_the_secret_and_storage_only(product: Installation) -> None:
    """Whatever else is wrong: what fits is in the queue, and goes out when that is mended."""
    right = product.environment["DATAVERSE_URL"]
    await product.restart(OUTREACH_WEBHOOK_SECRET=REFERENCE)
    await deliver(product, booked(1), secret=SECRET)
    wrong = {"DATAVERSE_URL": "https://example.com", "MAPPING_FILE": "/nowhere.json", "SYNC_PUSHING": "perhaps"}
    await product.restart(OUTREACH_WEBHOOK_SECRET=SECRET, **wrong)
    product.runtime.later += timedelta(minutes=1)
    await HANDLERS["sweep"](None)
    assert await product.runtime.queue.depth() == 1
    assert (await product.runtime.unverified.totals()).rows == 0
    await product.restart(DATAVERSE_URL=right, MAPPING_FILE="", SYNC_PUSHING="")
    await product.work()
    assert titles(product) == ["genuine"]


async def test_a_crash_between_queue_and_table_sends_it_twice(
    product: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which changes nothing: the second time it is known."""
    await product.restart(OUTREACH_WEBHOOK_SECRET=REFERENCE)
    await deliver(product, booked(1), secret=SECRET)
    await product.restart(OUTREACH_WEBHOOK_SECRET=SECRET)

    async def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(product.runtime.unverified, "forget", killed)
        with pytest.raises(KeyboardInterrupt):
            await HANDLERS["sweep"](None)
    await minute(product)
    assert titles(product) == ["genuine"]
    assert (await product.runtime.unverified.totals()).rows == 0
