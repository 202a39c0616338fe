"""Lookup columns, on the wire: which row a text names, what it costs to find it, and what becomes of a wrong one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.azurite import StorageNames
from sandbox.dataverse.schema import ACCOUNT, APPOINTMENT, Column, Navigation
from sandbox.dataverse.seed import ACCOUNT_ID
from sandbox.outreach.deliveries import MeetingScript
from shared.admin.admin import BY_KEY
from tests.product.bench import Installation, installation
from tests.samples import ACCOUNT_BY_NUMBER, default_content, guid

BY_GUID = ACCOUNT_BY_NUMBER | {
    "row": "Partner",
    "field": "partner",
    "column": "new_partner",
    "bind": "new_Partner_Appointment",
    "by": None,
    "sources": ["attributes.partner"],
}


def mapping_of(folder: Path, *rows: dict[str, Any]) -> str:
    """The built-in mapping with more rows, as a file."""
    content = default_content()
    content["rows"] += rows
    path = folder / "mapping.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.fixture
async def linked(azurite: str, storage_names: StorageNames, tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation whose table has two lookups to accounts, one of which is A-1."""
    mapping = mapping_of(tmp_path, ACCOUNT_BY_NUMBER, BY_GUID)
    async with installation(azurite, storage_names.queue("events"), MAPPING_FILE=mapping) as product:
        product.crm.tables["appointments"] = APPOINTMENT.extended(
            Column("new_account", "Lookup"),
            Column("new_partner", "Lookup"),
            navigations=(
                Navigation("new_Account_Appointment", "new_account", ("account",)),
                Navigation("new_Partner_Appointment", "new_partner", ("account",)),
            ),
        )
        product.crm.put(ACCOUNT, {"accountid": ACCOUNT_ID, "name": "Account One", "accountnumber": "A-1"})
        yield product


def account(product: Installation) -> Any:
    """The account that the one appointment points at."""
    return product.appointment.values["_new_account_value"]


def look_ups(product: Installation) -> int:
    """How often accounts were asked for."""
    return sum("/accounts" in one["path"] for one in product.crm.log.last(1000) if one["method"] == "GET")


async def test_a_row_is_found_by_its_key(linked: Installation) -> None:
    """With one call; what is cleared is cleared."""
    script = MeetingScript(1)
    await linked.sync(script.booked(account="A-1", partner=ACCOUNT_ID.upper()))
    assert (account(linked), linked.appointment.values["_new_partner_value"]) == (ACCOUNT_ID, ACCOUNT_ID)
    assert look_ups(linked) == 1
    await linked.sync(script.changed(account=None, partner=""))
    assert (account(linked), linked.appointment.values["_new_partner_value"]) == (None, None)


async def test_what_is_known_is_not_asked_for_again(linked: Installation) -> None:
    """Neither by another meeting nor by a change of something else; nor is it written again."""
    script = MeetingScript(1)
    await linked.sync(script.booked(account="A-1"))
    entry = await linked.sync(script.changed(title="Another"))
    assert set(linked.writes()[-1]) == {"subject", "headers"}
    assert entry["dataverseCalls"] == 1
    await linked.sync(MeetingScript(2).booked(account="A-1"))
    assert look_ups(linked) == 1
    await linked.runtime.admin.write("1", by=BY_KEY)
    await linked.work()
    assert len(linked.writes()) == 3


async def test_a_row_that_is_not_there_leaves_the_column(linked: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a note; it is looked for again later, and written once it is there."""
    monkeypatch.setattr("shared.pipeline.people.NOBODY_SECONDS", 0.0)
    script = MeetingScript(1)
    await linked.sync(script.booked(account="A-1"))
    entry = await linked.sync(script.changed(account="A-2", title="Another"))
    assert (account(linked), linked.appointment.values["subject"]) == (ACCOUNT_ID, "Another")
    assert entry["notes"] == [
        "Account: accounts has no row with such a text in accountnumber; new_account stays as it is."
    ]
    linked.crm.put(ACCOUNT, {"accountid": guid(2), "name": "Account Two", "accountnumber": "A-2"})
    await linked.runtime.admin.write("1", by=BY_KEY)
    await linked.work()
    assert account(linked) == guid(2)


async def test_several_rows_leave_the_column(linked: Installation) -> None:
    """Nobody knows which one is meant."""
    linked.crm.put(ACCOUNT, {"accountid": guid(2), "name": "Account Two", "accountnumber": "A-1"})
    entry = await linked.sync(MeetingScript(1).booked(account="A-1"))
    assert account(linked) is None
    assert "several rows of accounts" in str(entry["notes"])


@pytest.mark.parametrize("wrong", [{"by": "accountnumer"}, {"table": "acounts"}])
async def test_a_look_up_that_is_refused_costs_the_column(
    linked: Installation, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    """A mistake in the mapping, or a table that the app's user may not read, is in the notes; the rest is written."""
    await linked.restart(MAPPING_FILE=mapping_of(tmp_path, ACCOUNT_BY_NUMBER | wrong))
    entry = await linked.sync(MeetingScript(1).booked(account="A-1"))
    assert (entry["outcome"], account(linked)) == ("created", None)
    assert "Dynamics refuses to look in" in str(entry["notes"])


async def test_a_row_that_was_deleted_is_looked_for_again(linked: Installation) -> None:
    """What is remembered of it does not keep the meeting from being written."""
    await linked.sync(MeetingScript(1).booked(account="A-1"))
    del linked.crm.rows["account"][ACCOUNT_ID]
    linked.crm.put(ACCOUNT, {"accountid": guid(2), "name": "Account Two", "accountnumber": "A-1"})
    await linked.sync(MeetingScript(2).booked(account="A-1"))
    assert {row.values["_new_account_value"] for row in linked.crm.appointments.values()} == {ACCOUNT_ID, guid(2)}


async def test_a_guid_that_nothing_has_costs_its_column(linked: Installation) -> None:
    """The rest is written, and the meeting names the column."""
    await linked.sync(MeetingScript(1).booked(partner=guid(7)))
    assert linked.appointment.values["subject"] == "Intro call"
    assert [one["column"] for one in (await linked.meeting("1"))["refused"]] == ["new_partner"]


async def test_the_dry_run_says_how_a_row_was_found(linked: Installation) -> None:
    """Beside the people."""
    body = json.loads(MeetingScript(1).booked(account="A-1").body)
    found = await linked.runtime.dry_runner.run(body)
    (how,) = [one.how for one in found.people if one.reference.type == "accounts/accountnumber"]
    assert how == "Found in accounts by accountnumber."


async def test_a_letter_in_quotes_ends_no_filter(linked: Installation) -> None:
    """Whatever the text holds."""
    linked.crm.put(ACCOUNT, {"accountid": guid(2), "name": "O'Neill", "accountnumber": "' or 1 eq 1"})
    await linked.sync(MeetingScript(1).booked(account="' or 1 eq 1"))
    assert account(linked) == guid(2)
