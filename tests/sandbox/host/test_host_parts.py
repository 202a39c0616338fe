"""The small parts: keys, trace context, polling delays, schedules, connections, log lines."""

from __future__ import annotations

import logging
import random
import re
import threading
from datetime import UTC, datetime

import pytest

from sandbox.host.backoff import PollingDelay
from sandbox.host.context import Context, continue_trace, start_trace
from sandbox.host.invoke import current_invocation
from sandbox.host.keys import AuthLevel, Keys
from sandbox.host.logs import CategoryFilter, OneLineFormatter
from sandbox.host.schedule import parse_schedule
from sandbox.host.storage import QueueConnection, read_connection

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = f"00-{TRACE}-b7ad6b7169203331-00"


@pytest.mark.parametrize(
    ("keys", "level", "presented", "allowed"),
    [
        (Keys(), "ADMIN", "", True),
        (Keys("f", "a"), "ANONYMOUS", "", True),
        (Keys("f", "a"), "FUNCTION", "f", True),
        (Keys("f", "a"), "FUNCTION", "a", True),
        (Keys("f", "a"), "FUNCTION", "", False),
        (Keys("f", "a"), "FUNCTION", "F", False),
        (Keys("f", "a"), "ADMIN", "a", True),
        (Keys("f", "a"), "ADMIN", "f", False),
        (Keys("f", ""), "ADMIN", "", False),
        (Keys("", "a"), "FUNCTION", "", False),
        (Keys("f", "a"), "FUNCTION", "\udcff", False),
    ],
)
def test_keys_open_their_level(keys: Keys, level: AuthLevel, presented: str, *, allowed: bool) -> None:
    """An admin key opens everything, an unset key nothing, and without any key nothing is checked."""
    assert keys.allow(level, presented=presented) is allowed


def test_a_valid_trace_parent_is_continued() -> None:
    """The trace id and flags stay, the span id is new."""
    trace = continue_trace(CALLER, "vendor=1")

    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-00", trace.trace_parent)
    assert trace.trace_parent != CALLER
    assert trace.trace_state == "vendor=1"


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "nonsense",
        CALLER.upper(),
        CALLER.replace(TRACE, "0" * 32),
        CALLER.replace("b7ad6b7169203331", "0" * 16),
        CALLER.replace("00-", "ff-", 1),
        f"{CALLER}\n",
    ],
)
def test_a_broken_trace_parent_starts_a_new_trace(broken: str) -> None:
    """Nothing of it is taken over, nor the trace state."""
    trace = continue_trace(broken, "vendor=1")

    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace.trace_parent)
    assert TRACE not in trace.trace_parent
    assert trace.trace_state == ""


def test_polling_slows_down_to_the_maximum_and_starts_over_after_messages() -> None:
    """100 ms, then 100 ms more, doubling with a fifth of chance, up to the maximum."""
    delay = PollingDelay(2.0, chance=random.Random(1))  # noqa: S311 - a chance that can be replayed

    first = delay.after_messages()
    slower = [delay.after_nothing() for _ in range(8)]

    assert first == 0.1
    assert all(0.1 + 0.08 * 2**step <= value <= 0.1 + 0.12 * 2**step for step, value in enumerate(slower[:4]))
    assert slower[-3:] == [2.0, 2.0, 2.0]
    assert delay.after_messages() == 0.1


def test_a_queue_that_never_had_messages_is_polled_after_100_ms_first() -> None:
    """The first wait of a new listener is the shortest one."""
    assert PollingDelay(60.0).after_nothing() == 0.1


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("*/10 * * * * *", "2026-03-01T12:00:40+00:00"),
        ("0 */5 * * * *", "2026-03-01T12:05:00+00:00"),
        ("*/5 * * * *", "2026-03-01T12:05:00+00:00"),
        ("0 30 9 * * Mon-Fri", "2026-03-02T09:30:00+00:00"),
        ("0 0 0 13 * 5", "2026-03-13T00:00:00+00:00"),
        ("0 0 0 1 Jan *", "2027-01-01T00:00:00+00:00"),
    ],
)
def test_schedules_begin_with_seconds(text: str, due: str) -> None:
    """Six fields; five are taken without seconds; the two day fields must both match."""
    moment = datetime(2026, 3, 1, 12, 0, 35, tzinfo=UTC)

    assert parse_schedule(text).after(moment).isoformat() == due


@pytest.mark.parametrize(
    "text", ["", "soon", "* * *", "60 * * * * *", "00:05:00", "@hourly", "0 0 0 L * *", "0 0 0 * * 7", "0 0 0 30 2 *"]
)
def test_schedules_that_ncrontab_does_not_know(text: str) -> None:
    """Neither nicknames nor croniter's own additions, nor a day that never comes."""
    with pytest.raises(ValueError, match="schedule"):
        parse_schedule(text)


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"Storage": "x=1"}, QueueConnection("x=1")),
        ({"AzureWebJobsStorage": "x=2", "Storage": "x=1"}, QueueConnection("x=2")),
        ({"Storage__queueServiceUri": "https://q"}, QueueConnection(service_uri="https://q")),
        ({"Storage__accountName": "acc"}, QueueConnection(service_uri="https://acc.queue.core.windows.net")),
        (
            {"Storage__serviceUri": "https://q", "Storage__credential": "managedidentity", "Storage__clientId": "id"},
            QueueConnection("", "https://q", "id", managed_identity=True),
        ),
    ],
)
def test_a_connection_is_a_string_or_an_identity(environ: dict[str, str], found: QueueConnection) -> None:
    """The host's own prefix comes first; the identity form has several names."""
    assert read_connection("Storage", environ) == found


def test_the_emulator_has_a_short_name() -> None:
    """`UseDevelopmentStorage=true` stands for its default ports."""
    found = read_connection("Storage", {"Storage": "UseDevelopmentStorage=true"})

    assert "127.0.0.1:10001/devstoreaccount1" in found.connection_string


def test_a_missing_connection_says_what_to_set() -> None:
    """Both forms are named."""
    with pytest.raises(ValueError, match="set Storage to a connection string, or Storage__queueServiceUri"):
        read_connection("Storage", {})


def record_of(name: str, level: int = logging.INFO, message: str = "text") -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, None, None)


@pytest.mark.parametrize(
    ("levels", "name", "passes"),
    [
        ({}, "app", True),
        ({"default": logging.WARNING}, "app", False),
        ({"default": logging.WARNING, "Function": logging.INFO}, "Function.work", True),
        ({"Function": logging.INFO, "function.WORK": logging.ERROR}, "Function.work", False),
        ({"Function": logging.ERROR}, "Host.Queues", True),
        ({"Host.Queues": logging.ERROR}, "Host.Queues", False),
    ],
)
def test_the_longest_category_decides(levels: dict[str, int], name: str, *, passes: bool) -> None:
    """As in the host's own filter, without regard to case."""
    assert CategoryFilter(levels).filter(record_of(name)) is passes


def test_a_record_of_the_app_belongs_to_its_invocation() -> None:
    """Its category is `Function.<name>.User`, and the line shows the invocation."""
    context = Context("work", "/app", start_trace(), threading.local())
    token = current_invocation.set(context)
    record = record_of("app.module")

    passed = CategoryFilter({"Function.work.User": logging.WARNING}).filter(record)
    line = OneLineFormatter().format(record)
    current_invocation.reset(token)

    assert passed is False
    assert f"[Function.work.User {context.invocation_id[:8]}] app.module: text" in line


def test_a_record_is_one_line_even_with_a_traceback() -> None:
    """Line breaks are escaped, so that nobody can forge a line."""
    record = record_of("app", message="one\r\ntwo")
    error = RuntimeError("three\nfour")
    record.exc_info = (RuntimeError, error, None)
    line = OneLineFormatter().format(record)

    assert len(line.splitlines()) == 1
    assert r"one\r\ntwo" in line
    assert r"three\nfour" in line
