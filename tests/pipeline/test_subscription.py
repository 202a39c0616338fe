"""The subscription guard: our webhooks only, told when they are dead, switched on with patience, no secret said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, Literal

import pytest

from sandbox.azurite import StorageNames
from sandbox.outreach.faults import FaultPlan
from sandbox.outreach.store import Store, Switches
from shared.errors import Permanent, Transient
from shared.outreach.client import Outreach
from shared.pipeline.subscription import Subscription
from shared.pipeline.sweep import failing_parts
from shared.storage.account import Table
from shared.storage.checkpoints import Checkpoints
from tests.clock import Clock
from tests.outreach.support import add_webhook, client
from tests.product.bench import installation

OURS = "https://sync.example.com"
URL = f"{OURS}/api/outreach/events?code=a-function-key"
DEAD = {
    "disabledReason": f"POST {URL} failed: Private IP",
    "disabledSince": "2026-03-01T10:00:00Z",
    "disabledUntil": "2026-03-01T11:00:00Z",
}


@pytest.fixture
async def outreach(stand_in: tuple[Store, str]) -> AsyncIterator[Outreach]:
    async with client(stand_in[1]) as made:
        yield made


class Guard:
    """The guard over one table, with the lines that it alerts by."""

    def __init__(self, outreach: Outreach, table: Table, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        self._parts = (outreach, Checkpoints(table))
        self._clock = clock
        self._caplog = caplog

    async def look(
        self, *, url: str = OURS, guard: Literal["repair", "watch"] = "repair"
    ) -> tuple[dict[str, int], list[dict[str, Any]]]:
        """One look: its counts and its alerts."""
        self._caplog.clear()
        outreach, checkpoints = self._parts
        subscription = Subscription(
            outreach=outreach, checkpoints=checkpoints, url=url, guard=guard, now=self._clock.now
        )
        counts = dict(await subscription.run())
        lines = [record for record in self._caplog.records if record.name == "outreach_dynamics.subscription"]
        assert all(record.levelname == "ERROR" for record in lines)
        return counts, [json.loads(record.getMessage()) for record in lines]


@pytest.fixture
def guard(outreach: Outreach, tables: Callable[[str], Table], clock: Clock, caplog: pytest.LogCaptureFixture) -> Guard:
    return Guard(outreach, tables("sweep"), clock, caplog)


async def test_alive(stand_in: tuple[Store, str], guard: Guard) -> None:
    """A webhook that is alive needs one call and no word."""
    add_webhook(stand_in[0], 1, URL)
    assert await guard.look() == ({"webhooks": 1, "disabled": 0, "repaired": 0}, [])
    assert stand_in[0].log.total == 1


@pytest.mark.parametrize("how", [DEAD, {"active": False}, {**DEAD, "active": False}])
async def test_dead(stand_in: tuple[Store, str], guard: Guard, how: dict[str, Any]) -> None:
    """A disabled webhook is told and switched on; without the key in its URL, its secret or its cleanup token."""
    webhook = add_webhook(stand_in[0], 1, URL, **how)
    counts, (alert,) = await guard.look()
    assert counts == {"webhooks": 1, "disabled": 1, "repaired": 1}
    assert (alert["what"], alert["state"], alert["webhook"], alert["done"]) == (
        "subscription",
        "disabled",
        "1",
        "repaired",
    )
    assert alert["disabled_since"] == how.get("disabledSince")
    assert not any(secret in json.dumps(alert) for secret in ("a-function-key", "never-to-be-shown"))
    assert webhook.attributes["active"] is True
    assert webhook.attributes["disabledReason"] is None
    assert (await guard.look())[0]["disabled"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example.com/api/outreach/events",
        "https://sync.example.com/api/other",
        "https://sync.example.com.example.org/api/outreach/events",
        "https://sync.example.com:8443/api/outreach/events",
        "https://[broken/api/outreach/events",
        "",
    ],
)
async def test_webhooks_of_others_are_left_alone(stand_in: tuple[Store, str], guard: Guard, url: str) -> None:
    """What does not point here is not ours, however dead; and that none points here is reported."""
    webhook = add_webhook(stand_in[0], 1, url, active=False)
    counts, (alert,) = await guard.look()
    assert counts == {"webhooks": 0, "disabled": 0, "repaired": 0}
    assert alert["state"] == "missing"
    assert OURS in alert["sentence"]
    assert webhook.attributes["active"] is False


@pytest.mark.parametrize(
    "url",
    [
        f"{OURS}/api/outreach/events",
        f"{OURS}/api/outreach/events/",
        URL,
        f"{OURS}:443/api/outreach/events?code=x",
        "https://user:secret@sync.example.com/api/outreach/events",
    ],
)
async def test_ours_in_every_spelling(stand_in: tuple[Store, str], guard: Guard, url: str) -> None:
    """With and without key or slash, in whatever case the host is written, it is ours."""
    add_webhook(stand_in[0], 1, url.replace("sync.example", "Sync.Example"))
    assert (await guard.look())[0]["webhooks"] == 1


async def test_watch_only(stand_in: tuple[Store, str], guard: Guard) -> None:
    """With the setting `watch` the guard alerts and touches nothing."""
    webhook = add_webhook(stand_in[0], 1, URL, active=False)
    counts, (alert,) = await guard.look(guard="watch")
    assert (counts["disabled"], counts["repaired"], alert["done"]) == (1, 0, "watched")
    assert webhook.attributes["active"] is False


async def test_back_off(stand_in: tuple[Store, str], guard: Guard, clock: Clock) -> None:
    """A webhook that dies again and again is switched on at growing intervals, and told at every look."""
    webhook = add_webhook(stand_in[0], 1, URL)
    repaired = []
    for look in range(100):
        webhook.attributes["active"] = False
        counts, alerts = await guard.look()
        assert len(alerts) == 1
        if counts["repaired"]:
            repaired.append(look * 10)
        clock.pass_by(minutes=10)
    assert repaired == [0, 10, 30, 70, 150, 310, 630, 990]


async def test_patience_comes_back(stand_in: tuple[Store, str], guard: Guard, clock: Clock) -> None:
    """A webhook that stayed alive is helped at once the next time."""
    webhook = add_webhook(stand_in[0], 1, URL, active=False)
    await guard.look()
    clock.pass_by(minutes=30)
    assert (await guard.look())[0]["disabled"] == 0
    webhook.attributes["active"] = False
    assert (await guard.look())[0]["repaired"] == 1


async def test_refused_repair(stand_in: tuple[Store, str], guard: Guard) -> None:
    """Where the app may not change webhooks, the alert says that the repair was refused."""
    stand_in[0].switches = Switches(missing_scopes=frozenset({"webhooks.write"}))
    add_webhook(stand_in[0], 1, URL, active=False)
    counts, (alert,) = await guard.look()
    assert (counts["repaired"], alert["done"]) == (0, "refused")


async def test_failed_repair(stand_in: tuple[Store, str], guard: Guard, clock: Clock) -> None:
    """Trouble at Outreach while one webhook is switched on is reported with that one, and keeps no other off."""
    store, _ = stand_in
    store.faults = FaultPlan.parse({"next": [{"kind": "500", "path": "/api/v2/webhooks/1"}]})
    for number in (1, 2):
        add_webhook(store, number, URL, active=False)
    counts, alerts = await guard.look()
    assert counts == {"webhooks": 2, "disabled": 2, "repaired": 1}
    assert [alert["done"] for alert in alerts] == ["failed", "repaired"]
    clock.pass_by(minutes=10)
    assert (await guard.look())[0]["repaired"] == 1


@pytest.mark.parametrize(
    "reason",
    [
        f"POST {URL} failed",
        "POST https%3A%2F%2Fsync.example.com%2Fapi%2Foutreach%2Fevents%3Fcode%3Da-function-key failed",
        "failed with code=a-function-key",
        {"url": URL},
    ],
)
async def test_no_key_in_an_alert(stand_in: tuple[Store, str], guard: Guard, reason: Any) -> None:
    """A reason may quote our address, in whatever form; the function key in it is not repeated."""
    add_webhook(stand_in[0], 1, URL, active=False, disabledReason=reason)
    _, (alert,) = await guard.look()
    assert alert["state"] == "disabled"
    assert "a-function-key" not in json.dumps(alert)


@pytest.mark.parametrize(("fault", "error"), [("403", Permanent), ("500", Transient), ("drop_before", Transient)])
async def test_trouble_at_outreach(
    stand_in: tuple[Store, str], guard: Guard, fault: str, error: type[Exception]
) -> None:
    """That nobody knows how the webhooks are is an error of its own."""
    stand_in[0].faults = FaultPlan.parse({"next": [fault]})
    with pytest.raises(error):
        await guard.look()


async def test_many_webhooks(stand_in: tuple[Store, str], guard: Guard) -> None:
    """Ours is found on whichever page."""
    for number in range(1, 151):
        add_webhook(stand_in[0], number, "https://other.example.com/hook")
    add_webhook(stand_in[0], 151, URL, active=False)
    assert (await guard.look())[0] == {"webhooks": 1, "disabled": 1, "repaired": 1}


async def test_without_an_address_there_is_nothing_to_look_for(stand_in: tuple[Store, str], guard: Guard) -> None:
    """On a laptop no webhook can point here."""
    assert await guard.look(url="") == ({}, [])
    assert stand_in[0].log.total == 0


async def test_by_the_sweep(azurite: str, storage_names: StorageNames) -> None:
    """The app finds its webhook by its public address, every ten minutes."""
    async with installation(azurite, storage_names.queue("events"), PUBLIC_URL=OURS) as product:
        webhook = add_webhook(product.outreach, 1, URL, active=False)
        assert (await product.runtime.sweep.run()).counts["subscription"]["repaired"] == 1
        assert webhook.attributes["active"] is True
        assert "subscription" not in (await product.runtime.sweep.run()).counts
        product.runtime.later = timedelta(minutes=10)
        assert (await product.runtime.sweep.run()).counts["subscription"]["disabled"] == 0


async def test_where_no_webhook_is_used(
    azurite: str, storage_names: StorageNames, caplog: pytest.LogCaptureFixture
) -> None:
    """With the guard off the sweep asks for no webhooks, none is missed, and a failure from before is over."""
    async with installation(azurite, storage_names.queue("events"), PUBLIC_URL=OURS) as product:
        product.outreach.faults = FaultPlan.parse({"next": ["403"]})
        assert "subscription" in (await product.runtime.sweep.run()).failed
        asked = product.outreach.log.total
        await product.restart(SYNC_SUBSCRIPTION_GUARD="off")
        swept = await product.runtime.sweep.run()
        assert not swept.failed
        assert "subscription" not in swept.counts
        assert product.outreach.log.total == asked
        assert await failing_parts(product.runtime._checkpoints) == {}
    assert '"what": "subscription"' not in caplog.text
