"""The whole stack on real storage: how it starts, what it keeps out, and that nothing of it is left."""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from ops.settings import environment
from sandbox import stack as module
from sandbox.appointments import CANCELED, Appointment, differences
from sandbox.child import ChildFailed
from sandbox.outreach.deliveries import MeetingScript, delivery_of
from sandbox.outreach.sender import Sender
from sandbox.plot import Chapter, Plot, Step, write_plot
from sandbox.service import OwnProgram, Service
from sandbox.stack import HostKind, Stack
from sandbox.story import play
from sandbox.up import instructions, write_examples, write_settings
from shared.settings import read_settings
from tests.patience import PATIENCE

NOW = datetime(2026, 2, 3, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, host_kind: HostKind) -> Iterator[Stack]:
    """One stack for all tests of this module."""
    with Stack("test", host=host_kind, logs=tmp_path_factory.mktemp("logs")) as running:
        yield running


@pytest.fixture
def fresh(stack: Stack) -> Stack:
    """The stack with no appointment in Dataverse and the app's default settings."""
    httpx.post(f"{stack.dataverse.url}/__sandbox/reset").raise_for_status()
    stack.host.restart(SYNC_ON_CANCEL="ignore")
    return stack


@pytest.fixture
def console() -> Console:
    """A console whose text can be read."""
    return Console(file=io.StringIO(), width=200)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_the_demos_story_ends_as_it_must(fresh: Stack, console: Console) -> None:
    """Every chapter has its outcome and every appointment its columns, on real storage."""
    assert await play(fresh, write_plot(datetime.now(UTC)), console) == 0, _text(console)
    assert "All as it must be: 16 deliveries, 5 appointments" in _text(console)


async def test_a_story_that_ends_otherwise_says_what_differs(fresh: Stack, console: Console) -> None:
    """A wrong outcome, a wrong column, a missing and a stray appointment are each named."""
    begin = datetime.now(UTC) - timedelta(hours=1)
    usual = write_plot(datetime.now(UTC)).appointments["5001"]
    steps = (
        Step("booked", "9001", MeetingScript(9001, now=begin).booked(), "updated"),
        Step("booked", "9002", MeetingScript(9002, now=begin).booked(), "created"),
        Step("signed wrongly", "9003", MeetingScript(9003, now=begin).booked(), "created", secret="wrong"),
    )
    plot = Plot((Chapter("as delivered", {}, steps),), {"9001": replace(usual, subject="Other"), "9003": usual})
    assert await play(fresh, plot, console) == 1
    said = _text(console)
    assert "9001, booked: outcome created, must be updated" in said
    assert "appointment of meeting 9001: subject is 'Intro call', must be 'Other'" in said
    assert "meeting 9003 must have one appointment" in said
    assert "signed wrongly: the app answered 401" in said
    assert "belongs to no meeting of the story" in said


def test_every_part_is_reachable(stack: Stack) -> None:
    """Health names the parts, all of them well."""
    response = httpx.get(f"{stack.host_url}/api/health")
    assert response.status_code == 200
    assert {part["status"] for part in response.json()["parts"].values()} == {"ok"}


def test_keys_are_asked_for(stack: Stack) -> None:
    """Without its key neither the webhook nor an admin route answers; the function key opens no admin route."""
    events = stack.webhook_url.partition("?")[0]
    admin = f"{stack.host_url}/api/deadletters"
    assert httpx.post(events, content=b"{}").status_code == 401
    assert httpx.get(admin).status_code == 401
    assert httpx.get(admin, headers={"x-functions-key": stack.access.function_key}).status_code == 401
    assert httpx.get(admin, headers={"x-functions-key": stack.access.admin_key}).status_code == 200


def test_a_crashed_app_comes_back_at_the_same_address(stack: Stack) -> None:
    """After a kill nobody listens; after a start the same address answers."""
    before = stack.host_url
    stack.host.kill()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{before}/api/health")
    stack.host.start()
    assert stack.host_url == before
    assert httpx.get(f"{before}/api/health").status_code == 200


async def test_what_up_prints_can_be_sent(stack: Stack, tmp_path: Path) -> None:
    """The examples are deliveries that the app accepts, and the printed commands name the real addresses and keys."""
    examples = write_examples(datetime.now(UTC), tmp_path)
    bodies = [path.read_text() for path in examples]
    settings = write_settings(stack, tmp_path / "settings.json")
    printed = "\n".join(instructions(stack, example=examples[0], settings=settings))
    for needed in (stack.host_url, stack.dataverse.url, stack.outreach.url, str(examples[0]), stack.access.admin_key):
        assert needed in printed
    assert f"--settings {settings}" in printed
    assert read_settings(environment(settings)).dataverse_url == stack.dataverse.url
    assert f"{stack.host_url}/api/console/home" in printed
    async with Sender(stack.webhook_url, secret=stack.access.webhook_secret, timeout_seconds=PATIENCE) as sender:
        sent = [await sender.send(delivery_of(json.loads(body))) for body in bodies]
    assert [one.status for one in sent] == [202] * 4


def test_settings_of_a_real_organisation_stay_out(monkeypatch: pytest.MonkeyPatch, stack: Stack) -> None:
    """What a shell or a local.settings.json holds for a real organisation never reaches the sandbox."""
    for name in ("OUTREACH_S2S_PRIVATE_KEY", "DATAVERSE_URL", "AZURE_CLIENT_ID", "AzureWebJobsStorage__accountName"):
        monkeypatch.setenv(name, "real")
    monkeypatch.setenv("SYNC_PUSHING", "false")
    clean = Stack("clean", logs=stack.logs)
    assert "real" not in clean._environment.values()
    settings = stack.app_settings()
    assert settings["SYNC_PUSHING"] == "true"
    assert settings["OUTREACH_S2S_PRIVATE_KEY"] == ""
    assert settings["DATAVERSE_URL"] == stack.dataverse.url


def test_a_taken_port_is_not_insisted_on(tmp_path: Path) -> None:
    """Where the wanted port is taken, the part listens on another one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        service = Service(OwnProgram("outreach"), log=tmp_path / "outreach.log", environment=environment, port=port)
        service.start()
        assert not service.url.endswith(f":{port}")
        assert httpx.get(f"{service.url}/__sandbox/counters").status_code == 200
        service.stop()


def test_a_stack_that_fails_half_way_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where one part does not come up, those that were up are stopped."""
    started: list[Service] = []
    real_start = Service.start

    def start(service: Service) -> None:
        if service.name == "outreach":
            raise ChildFailed("no such luck")
        real_start(service)
        started.append(service)

    monkeypatch.setattr(Service, "start", start)
    half = Stack("half", logs=tmp_path)
    with pytest.raises(ChildFailed, match="no such luck"), half:
        pytest.fail("the stack must not come up")
    assert [service.name for service in started] == ["dataverse"]
    assert not started[0].child.running
    assert not half.azurite.running


def test_a_part_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The error carries the part's own last words."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "SANDBOX_QUEUE_LEASE_SECONDS": "nonsense"}
    with pytest.raises(ChildFailed, match="SANDBOX_QUEUE_LEASE_SECONDS"):
        Service(OwnProgram("host"), log=tmp_path / "host.log", environment=environment).start()


def test_there_is_no_address_before_the_start(tmp_path: Path) -> None:
    """The error says what to do."""
    idle = Stack("idle", logs=tmp_path)
    with pytest.raises(ChildFailed, match=r"start\(\)"):
        _ = idle.host_url
    with pytest.raises(ChildFailed, match=r"start\(\)"):
        _ = idle.dataverse.url


def test_only_the_last_log_folders_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each run has a folder of its own, and old ones go."""
    monkeypatch.setattr(module, "SANDBOX_FOLDER", tmp_path)
    folders = [module._log_folder("run") for _ in range(module.LOG_FOLDERS_KEPT + 3)]
    assert len(set(folders)) == len(folders)
    assert len(list((tmp_path / "logs").iterdir())) == module.LOG_FOLDERS_KEPT
    assert folders[-1].is_dir()


CHANGES: dict[str, Any] = {
    "subject": "Other",
    "description": "Other",
    "location": None,
    "is_all_day": True,
    "start": NOW,
    "end": NOW,
    "created_on": NOW,
    "created_by": "other",
    "owner": "other",
    "regarding": None,
    "attendees": frozenset({"other"}),
    "organizer": "other",
    "state": CANCELED,
}


@pytest.mark.parametrize("column", CHANGES)
def test_a_difference_in_any_column_is_found_and_named(column: str) -> None:
    """The comparison overlooks no column."""
    wanted = write_plot(NOW).appointments["5001"]
    assert differences(wanted, wanted) == []
    changed: Appointment = replace(wanted, **{column: CHANGES[column]})
    (sentence,) = differences(changed, wanted)
    assert sentence.startswith(f"{column} is ")


def test_the_list_of_changes_covers_every_column() -> None:
    """A column that is added later must be added to the test above as well."""
    assert set(CHANGES) == set(Appointment.__dataclass_fields__)
