"""Azurite under our hands: real storage operations, stopping and starting, installing once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from azure.core.exceptions import AzureError
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueClient

from sandbox import azurite as module
from sandbox.azurite import (
    AZURITE_VERSION,
    Azurite,
    InstallFailed,
    StorageNames,
    connection_string,
    find_node,
    install_azurite,
)
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


def test_an_installed_azurite_is_not_installed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call finds it and starts no npm."""
    install_azurite()
    monkeypatch.setattr(module, "_npm_install", lambda *_: pytest.fail("npm was started again"))
    node, script = install_azurite()
    assert node.exists()
    assert script.exists()


# Stands in for npm: takes a while and leaves what a real install would leave.
FAKE_NPM = """#!{python}
import json, pathlib, time
time.sleep(0.3)
with open({calls!r}, "a") as calls:
    calls.write("x")
package = pathlib.Path("node_modules/azurite")
package.mkdir(parents=True)
(package / "package.json").write_text(json.dumps({{"version": {version!r}}}))
"""


@pytest.fixture
def fake_npm(tmp_path: Path) -> dict[str, str]:
    """An environment whose `npm` is quick and counts its calls in `calls`."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "npm").write_text(
        FAKE_NPM.format(python=sys.executable, calls=str(tmp_path / "calls"), version=AZURITE_VERSION)
    )
    (tools / "npm").chmod(0o755)
    (tools / "node").write_text("#!/bin/sh\necho v22.0.0\n")
    (tools / "node").chmod(0o755)
    return {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}


def test_two_processes_install_once(tmp_path: Path, fake_npm: dict[str, str]) -> None:
    """Two runs that start at once end with one installation, and both succeed."""
    program = "import sys, pathlib, sandbox.azurite as a; a.install_azurite(pathlib.Path(sys.argv[1]))"
    runs = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=fake_npm, stderr=subprocess.DEVNULL)  # noqa: S603 - our own program
        for _ in range(3)
    ]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    assert (tmp_path / "calls").read_text() == "x"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("azurite-")) == []


def test_another_version_is_replaced(tmp_path: Path, fake_npm: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there of an older version goes away whole."""
    old = tmp_path / "azurite" / "node_modules" / "azurite"
    old.mkdir(parents=True)
    (old / "package.json").write_text('{"version": "1.0.0"}')
    (old / "leftover").touch()
    monkeypatch.setenv("PATH", fake_npm["PATH"])
    install_azurite(tmp_path)
    assert json.loads((old / "package.json").read_text())["version"] == AZURITE_VERSION
    assert not (old / "leftover").exists()


def test_a_failing_npm_leaves_nothing_and_says_so(
    tmp_path: Path, fake_npm: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error carries what npm said, and the next run starts from nothing."""
    (tmp_path / "tools" / "npm").write_text("#!/bin/sh\necho no network here >&2\nexit 1\n")
    monkeypatch.setenv("PATH", fake_npm["PATH"])
    with pytest.raises(InstallFailed, match="no network here"):
        install_azurite(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["azurite.lock", "tools"]


@pytest.mark.parametrize("version", ["v18.20.0", "nonsense"])
def test_a_node_that_is_too_old_is_not_taken(
    tmp_path: Path, fake_npm: dict[str, str], monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """An old or broken Node leads to the one from PyPI."""
    (tmp_path / "tools" / "node").write_text(f"#!/bin/sh\necho {version}\n")
    monkeypatch.setenv("PATH", fake_npm["PATH"])
    other = module.Node(Path("/node-of-pypi"), ("npm",))
    monkeypatch.setattr(module, "_node_from_pypi", lambda: other)
    assert find_node() == other


def test_a_node_that_is_new_enough_is_taken(fake_npm: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own Node is preferred."""
    monkeypatch.setenv("PATH", fake_npm["PATH"])
    assert find_node().program.parent == Path(fake_npm["PATH"].split(os.pathsep)[0])


def test_free_ports_are_below_the_ephemeral_range() -> None:
    """A client that keeps trying a stopped server's port must not be given that port for its own end."""
    assert all(12_000 <= free_port() < 32_000 for _ in range(20))
