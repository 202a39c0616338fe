"""Azurite under our hands takes what Azure's documentation lets through, and refuses the next larger thing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import BadStatusLine
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableClient, TableTransactionError
from azure.storage.queue import QueueClient

from sandbox.azurite import StorageNames

KIB = 1024
KEYS = {"PartitionKey": "p", "RowKey": "r"}
# 64 KiB in UTF-16, which is what counts: 32 Ki characters, and half as many beyond the basic plane.
FULL_TEXT = "x" * (32 * KIB)
FULL_EMOJI = "\N{PARTY POPPER}" * (16 * KIB)
FORBIDDEN = ["\\", "#", "?", "\x00", "\x1f", "\x7f", "\x9f", "\t", "\n"]

TAKEN: list[dict[str, Any]] = [
    {f"p{number}": 1 for number in range(252)},
    {"a" * 255: 1},
    {"text": FULL_TEXT},
    {"text": FULL_EMOJI},
    {"bytes": b"x" * (64 * KIB)},
    {f"text{number}": FULL_TEXT for number in range(15)},
    {"date": datetime(1601, 1, 1, tzinfo=UTC)},
    {"PartitionKey": "p" * 512, "RowKey": "r" * 512},
    {"Grüße_1": 1},
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("TooManyProperties", {f"p{number}": 1 for number in range(253)}),
    ("PropertyNameTooLong", {"a" * 256: 1}),
    ("PropertyNameInvalid", {"a-b": 1}),
    ("PropertyValueTooLarge", {"text": FULL_TEXT + "x"}),
    ("PropertyValueTooLarge", {"text": FULL_EMOJI + "x"}),
    ("PropertyValueTooLarge", {"bytes": b"x" * (64 * KIB + 1)}),
    ("EntityTooLarge", {f"text{number}": FULL_TEXT for number in range(16)}),
    ("OutOfRangeInput", {"date": datetime(1600, 12, 31, tzinfo=UTC)}),
    ("InvalidInput", {"PartitionKey": "p" * 513}),
    ("InvalidInput", {"RowKey": "r" * 513}),
]


@pytest.fixture
def table(azurite: str, storage_names: StorageNames) -> Iterator[TableClient]:
    """Yield a table of the test's own."""
    with TableClient.from_connection_string(azurite, storage_names.table("limits"), retry_total=0) as client:
        client.create_table()
        yield client


def code_of(refused: HttpResponseError) -> str:
    """The service's code; where the SDK does not decode it, it stands in the body."""
    assert refused.status_code == 400
    assert refused.response is not None
    return str(refused.response.text())


@pytest.mark.parametrize("entity", TAKEN, ids=lambda entity: next(iter(entity))[:10])
def test_what_azure_lets_through_is_taken(table: TableClient, entity: dict[str, Any]) -> None:
    """At the limit an entity is inserted and replaced."""
    table.create_entity(KEYS | entity)
    table.upsert_entity(KEYS | entity)


@pytest.mark.parametrize(("code", "entity"), REFUSED)
def test_what_azure_refuses_is_refused(table: TableClient, code: str, entity: dict[str, Any]) -> None:
    """Beyond the limit it is neither inserted, nor replaced, nor part of a batch, and Azure's code says why."""
    for write in (table.create_entity, table.upsert_entity):
        with pytest.raises(HttpResponseError) as refused:
            write(KEYS | entity)
        assert code in code_of(refused.value)
    with pytest.raises(TableTransactionError):
        table.submit_transaction([("create", KEYS | entity)])


@pytest.mark.parametrize("character", FORBIDDEN)
@pytest.mark.parametrize("key", KEYS)
def test_characters_that_no_key_may_have_are_refused(table: TableClient, key: str, character: str) -> None:
    """In reading too: "not there" would hide that Azure answers 400."""
    keys = KEYS | {key: f"a{character}b"}
    for call in (
        table.create_entity,
        table.upsert_entity,
        table.delete_entity,
        lambda it: table.get_entity(*it.values()),
    ):
        with pytest.raises(HttpResponseError) as refused:
            call(keys)
        assert "InvalidInput" in code_of(refused.value)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_has_no_slash(table: TableClient, key: str) -> None:
    """Where the key is part of the address, Azurite's own reader of addresses gives up first."""
    with pytest.raises(HttpResponseError) as refused:
        table.create_entity(KEYS | {key: "a/b"})
    assert "InvalidInput" in code_of(refused.value)
    with pytest.raises(HttpResponseError):
        table.upsert_entity(KEYS | {key: "a/b"})


def test_a_filter_has_fifteen_comparisons_at_most(table: TableClient) -> None:
    """Words in quotes are no comparisons."""
    fifteen = " or ".join(["a eq 'x eq y'"] * 15)
    assert list(table.query_entities(fifteen)) == []
    with pytest.raises(HttpResponseError) as refused:
        list(table.query_entities(f"{fifteen} or a eq 'z'"))
    assert "InvalidInput" in code_of(refused.value)


def test_a_batch_has_a_hundred_operations_at_most(table: TableClient) -> None:
    """And 4 MiB."""
    table.submit_transaction([("create", {"PartitionKey": "p", "RowKey": f"{number}"}) for number in range(100)])
    with pytest.raises(BadStatusLine):  # all that the SDK makes of Azurite's answer
        table.submit_transaction([("upsert", {"PartitionKey": "p", "RowKey": f"{number}"}) for number in range(101)])
    large = {f"text{number}": FULL_TEXT for number in range(15)}
    with pytest.raises(HttpResponseError, match="RequestBodyTooLarge"):
        table.submit_transaction(
            [("upsert", {"PartitionKey": "p", "RowKey": f"{number}", **large}) for number in range(9)]
        )


def test_a_message_has_64_kib_at_most(azurite: str, storage_names: StorageNames) -> None:
    """As it travels: in base64, 48 KiB of content."""
    with QueueClient.from_connection_string(azurite, storage_names.queue("limits"), retry_total=0) as queue:
        queue.create_queue()
        queue.send_message("x" * (64 * KIB))
        with pytest.raises(HttpResponseError) as refused:
            queue.send_message("x" * (64 * KIB + 1))
        assert refused.value.status_code == 413
