"""Azurite under our hands: real storage operations, stopping and starting."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.core.exceptions import AzureError
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueClient

from sandbox.azurite import Azurite, StorageNames, connection_string
from sandbox.child import ChildFailed, free_port


def test_queue_and_table_work_on_the_shared_azurite(azurite: str, storage_names: StorageNames) -> None:
    """The session's connection string serves both SDKs."""
    with QueueClient.from_connection_string(azurite, storage_names.queue("events")) as queue:
        queue.create_queue()
        queue.send_message("hello")
        received = queue.receive_message()
        assert received is not None
        assert received.content == "hello"
    with TableServiceClient.from_connection_string(azurite) as tables:
        table = tables.create_table(storage_names.table("rows"))
        table.create_entity({"PartitionKey": "p", "RowKey": "r", "value": 1})
        assert table.get_entity("p", "r")["value"] == 1


def test_what_was_acknowledged_survives_a_stop_on_the_same_ports(tmp_path: Path) -> None:
    """After stop() nobody answers; after start() the same connection string finds the message."""
    with Azurite(tmp_path) as azurite:
        before = azurite.connection_string
        with QueueClient.from_connection_string(before, "events", retry_total=0) as queue:
            queue.create_queue()
            queue.send_message("kept")
            azurite.stop()
            assert not azurite.running
            with pytest.raises(AzureError):
                queue.peek_messages()
            azurite.start()
            assert azurite.connection_string == before
            assert [message.content for message in queue.peek_messages()] == ["kept"]
    assert not azurite.running


def test_a_temporary_folder_goes_away() -> None:
    """Without a folder of its own nothing is left behind."""
    with Azurite() as azurite:
        folder = azurite.folder
        assert folder.is_dir()
    assert not folder.exists()


def test_a_taken_port_is_named_in_the_error(tmp_path: Path) -> None:
    """On a second start its ports are fixed; if one is taken, the error carries what Azurite said."""
    with Azurite(tmp_path / "one") as first:
        second = Azurite(tmp_path / "two")
        second._ports = first._ports
        with pytest.raises(ChildFailed, match="EADDRINUSE"):
            second.start()


def test_there_is_no_connection_string_before_the_first_start(tmp_path: Path) -> None:
    """The error says what to do."""
    with pytest.raises(ChildFailed, match=r"start\(\)"):
        _ = Azurite(tmp_path).connection_string


def test_the_connection_string_is_the_full_form() -> None:
    """All three end points are named, so that no default port is ever used."""
    parts = dict(part.split("=", 1) for part in connection_string(1, 2, 3).rstrip(";").split(";"))
    assert parts["BlobEndpoint"] == "http://127.0.0.1:1/devstoreaccount1"
    assert parts["QueueEndpoint"] == "http://127.0.0.1:2/devstoreaccount1"
    assert parts["TableEndpoint"] == "http://127.0.0.1:3/devstoreaccount1"


def test_names_fit_queues_and_tables(storage_names: StorageNames) -> None:
    """Queue names keep the hyphen, table names have letters and digits only."""
    assert storage_names.queue("a-b") == f"{storage_names.prefix}-a-b"
    assert storage_names.table("a-b").isalnum()


def test_free_ports_are_below_the_ephemeral_range() -> None:
    """A client that keeps trying a stopped server's port must not be given that port for its own end."""
    assert all(12_000 <= free_port() < 32_000 for _ in range(20))
