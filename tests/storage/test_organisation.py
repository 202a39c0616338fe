"""One organisation per storage account: an app with another one takes nothing in, and leaves what is there alone."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandbox.outreach.deliveries import MeetingScript
from shared.errors import AnothersAccount, BadSettings, Transient
from shared.settings import read_organisation
from shared.storage import checkpoints
from tests.product.bench import Installation

OTHERS = {"OUTREACH_ORG_ID": "8"}


async def noted(product: Installation) -> dict[str, Any]:
    """What the account notes."""
    found = await product.runtime._table(checkpoints.TABLE).get("account", "organisation")
    return {} if found is None else {name: found[0][name] for name in ("outreach", "dataverse")}


@pytest.mark.parametrize(
    ("values", "outreach", "dataverse"),
    [
        ({}, "", ""),
        (
            {"OUTREACH_ORG_ID": " 7 ", "DATAVERSE_URL": "https://Contoso.crm4.dynamics.com/"},
            "7",
            "contoso.crm4.dynamics.com",
        ),
        ({"DATAVERSE_URL": "https://contoso.api.crm4.dynamics.com"}, "", "contoso.crm4.dynamics.com"),
        ({"DATAVERSE_URL": "http://127.0.0.1:8800"}, "", "localhost"),
        ({"DATAVERSE_URL": "http://localhost:8801"}, "", "localhost"),
        ({"OUTREACH_ORG_ID": "7", "DATAVERSE_URL": "https://example.com"}, "7", ""),
        ({"DATAVERSE_URL": "contoso"}, "", ""),
        ({"OUTREACH_ORG_ID": "@Microsoft.KeyVault(SecretUri=https://v/s)"}, "", ""),
    ],
)
def test_what_the_settings_say(values: dict[str, str], outreach: str, dataverse: str) -> None:
    """What is missing or wrong is unknown; two ways to write one host are one."""
    found = read_organisation(values)
    assert (found.outreach, found.dataverse) == (outreach, dataverse)


async def test_the_first_start_notes_whose_it_is(product: Installation) -> None:
    """And what a later one knows beside is noted too."""
    await product.sync(MeetingScript(1).booked())
    assert await noted(product) == {"outreach": "", "dataverse": "localhost"}
    await product.restart(OUTREACH_ORG_ID="7")
    await product.sync(MeetingScript(2).booked())
    assert await noted(product) == {"outreach": "7", "dataverse": "localhost"}
    await product.restart(OUTREACH_ORG_ID="")
    await product.sync(MeetingScript(3).booked())
    assert await noted(product) == {"outreach": "7", "dataverse": "localhost"}
    assert len(product.crm.appointments) == 3


@pytest.mark.parametrize(
    "others",
    [OTHERS, {"DATAVERSE_URL": "https://fabrikam.crm.dynamics.com"}, {"OUTREACH_ORG_ID": "8", "MAPPING_FILE": "/no"}],
)
async def test_another_organisation_takes_nothing_in(product: Installation, others: dict[str, str]) -> None:
    """Neither deliveries nor what waits in the queue, and no admin sees what is there; health says how to mend it."""
    await product.restart(OUTREACH_ORG_ID="7")
    (waits,) = await product.send(MeetingScript(1).booked())
    right = {name: product.environment.get(name, "") for name in others}
    await product.restart(**others)
    with pytest.raises(AnothersAccount, match="storage claim"):
        await product.send(MeetingScript(2).booked())
    with pytest.raises(AnothersAccount):
        _ = product.runtime.admin
    assert "storage claim" in (await product.status())["parts"]["settings"]["reason"]
    (before,) = await product.queue.peek_messages()
    assert await product.work(limit=1) == 1
    (after,) = await product.queue.peek_messages()
    assert after.content == before.content
    assert not product.crm.appointments
    await product.restart(**right)
    await product.work()
    assert (await product.journal(waits))["outcome"] == "created"


async def test_poison_stays_with_whom_it_belongs_to(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler of poison puts it back to where it came from."""
    await product.restart(OUTREACH_ORG_ID="7")
    await product.send(MeetingScript(1).booked())
    await product.restart(**OTHERS)
    sent: list[str] = []

    async def send(message: str, *, delay: float) -> None:
        assert delay > 0
        sent.append(message)

    monkeypatch.setattr(product.runtime._poison_queue, "send", send)
    await product.runtime.carry_out_poisoned(b"whatever it is")
    assert [base64.b64decode(message) for message in sent] == [b"whatever it is"]


async def test_a_claim_confirms_a_move(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """From then on the account is the other app's, without a restart, and no longer the first one's."""
    await product.restart(OUTREACH_ORG_ID="7")
    await product.sync(MeetingScript(1).booked())
    await product.restart(**OTHERS)
    with pytest.raises(AnothersAccount):
        await product.send(MeetingScript(2).booked())
    before = await product.runtime.owner.claim()
    assert before is not None
    assert before.outreach == "7"
    monkeypatch.setattr("shared.storage.organisation.LOOK_AGAIN_SECONDS", 0.0)
    await product.sync(MeetingScript(2).booked())
    await product.restart(OUTREACH_ORG_ID="7")
    with pytest.raises(BadSettings):
        await product.send(MeetingScript(3).booked())


async def test_storage_that_is_away_blocks_nothing(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be known is no reason to refuse, and it is asked again later."""
    await product.restart(OUTREACH_ORG_ID="7")
    await product.sync(MeetingScript(1).booked())
    await product.restart(**OTHERS)

    async def away(*_: object) -> None:
        raise Transient("Away.", service="storage")

    with monkeypatch.context() as broken:
        broken.setattr(product.runtime.owner._table, "get", away)
        await product.send(MeetingScript(2).booked())
    monkeypatch.setattr("shared.storage.organisation.LOOK_AGAIN_SECONDS", 0.0)
    with pytest.raises(AnothersAccount):
        await product.send(MeetingScript(3).booked())


async def test_an_ordinary_delivery_asks_nothing(product: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process looks once, not with each event."""
    looks = 0
    get = product.runtime.owner._table.get

    async def counted(partition: str, row: str) -> Any:
        nonlocal looks
        looks += 1
        return await get(partition, row)

    monkeypatch.setattr(product.runtime.owner._table, "get", counted)
    script = MeetingScript(1)
    await product.sync(script.booked(), script.changed(title="a"), script.changed(title="b"))
    assert looks == 1
