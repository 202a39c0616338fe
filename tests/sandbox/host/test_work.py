"""What becomes of work on both hosts: messages, calls whose caller is gone, kills, stops.

All of it was measured on the real host, and is asserted on both. What takes its time there, or a start of its own, runs
there with `make test HOST=functions` only; our host has shorter times for the same.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import pytest
from azure.core.exceptions import ResourceNotFoundError

from sandbox.patience import PATIENCE
from sandbox.stack import HostKind
from tests.sandbox.host.hosts import ProbeHost, choose, probe_host, until
from tests.sandbox.host.raw import RawAnswer, ask, request
from tests.sandbox.host.table.messages import MESSAGES, MessageRow

OURS: Final = {"SANDBOX_SHUTDOWN_GRACE_SECONDS": "4", "SANDBOX_QUEUE_LEASE_SECONDS": "4"}
# Seconds: from SIGTERM until connections are cut; from then until functions are given up; a message's lease.
ANSWERING: Final = {"functions": 30.0, "sandbox": 12.0}
GRACE: Final = {"functions": 10.0, "sandbox": 4.0}
LEASE: Final = {"functions": 600.0, "sandbox": 4.0}
NO_ANSWER: Final = 0

Start = Callable[..., AbstractContextManager[ProbeHost]]


@pytest.fixture(scope="module", params=["sandbox", "functions"])
def host(
    request: pytest.FixtureRequest, host_kind: HostKind, azurite: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProbeHost]:
    """One start of either host; the last test of this module stops it."""
    kind = choose(request.param, host_kind)
    with probe_host(kind, tmp_path_factory.mktemp(kind), azurite) as running:
        yield running


@pytest.fixture(params=["sandbox", "functions"])
def start(request: pytest.FixtureRequest, host_kind: HostKind, azurite: str, tmp_path: Path) -> Start:
    """Start hosts for one test."""
    kind = choose(request.param, host_kind, slow=True)

    def one(name: str = "one", **options: Any) -> AbstractContextManager[ProbeHost]:
        return probe_host(kind, tmp_path / name, azurite, settings=OURS, **options)

    return one


def call(host: ProbeHost, target: str) -> RawAnswer:
    """Call a function and wait for its answer."""
    [answer] = ask(host.port, request(f"GET /api/{target}"))
    return answer


def begun(host: ProbeHost, *names: str) -> None:
    """Wait until these are in work."""
    until(lambda: all(host.noted("begin", name) for name in names))


def poisoned(host: ProbeHost) -> set[str]:
    """What the poison queue holds, as it is stored."""
    with host.client("-poison") as queue:
        try:
            return {message.content for message in queue.peek_messages(32)}
        except ResourceNotFoundError:
            return set()


def test_messages_end_as_on_the_real_host(host: ProbeHost) -> None:
    """All rows at once: what the function gets of each, how often, and where it ends."""
    with host.client() as queue:
        for row in MESSAGES:
            queue.send_message(row.stored)
    until(lambda: host.left() == 0)
    poison = {row.stored for row in MESSAGES if row.ends == "poison"}
    until(lambda: poisoned(host) == poison)

    assert {row.name: seen(host, row) for row in MESSAGES} == {row.name: row.attempts for row in MESSAGES}


def seen(host: ProbeHost, row: MessageRow) -> tuple[int, ...]:
    """The attempts of a message that reached the function."""
    return tuple(note["attempt"] for note in host.journal(row.text) if note["what"] == "message")


def test_a_function_runs_on_after_its_caller_has_hung_up(host: ProbeHost) -> None:
    """Nobody tells it."""
    with socket.create_connection(("127.0.0.1", host.port)) as connection:
        connection.sendall(request("GET /api/call/hung?seconds=1"))
        begun(host, "hung")
    until(lambda: host.noted("end", "hung"))


def test_a_hundred_calls_are_in_work_at_once(host: ProbeHost) -> None:
    """None waits for another: each ends only when all have begun."""
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda number: call(host, f"call/crowd{number}?kind=crowd"), range(100)))

    assert {(answer.status, answer.body) for answer in answers} == {(200, b"done")}


def test_a_killed_worker_costs_the_calls_in_work_and_no_message(host: ProbeHost) -> None:
    """An empty 500; a new worker answers the next call, and the message comes back at once, not after its lease."""
    if host.kind == "sandbox":
        pytest.skip("our host runs the app in its own process: the death of a worker is that of the host")
    host.send({"name": "orphan", "seconds": 3})
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(call, host, "call/widowed?seconds=60")
        begun(host, "orphan", "widowed")
        host.service.kill_worker()
        assert (answer.result().status, answer.result().body) == (500, b"")
    assert call(host, "call/newborn").body == b"done"
    until(lambda: host.noted("end", "orphan"))

    assert [note["attempt"] for note in host.journal() if note["what"] == "message" and "orphan" in note["name"]] == [
        1,
        2,
    ]
    assert host.noted("end", "widowed") == 0


def test_a_stop_lets_short_work_finish(host: ProbeHost) -> None:
    """SIGTERM: the call is answered, the message is done, and nothing new is taken in. The last test of this host."""
    host.send({"name": "last", "seconds": 3})
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(call, host, "call/latest?seconds=2")
        begun(host, "last", "latest")
        host.service.child.signal(signal.SIGTERM)
        assert answer.result().body == b"done"
    assert host.service.child.wait(PATIENCE) == 0

    assert host.noted("end", "last") == 1
    assert host.left() == 0
    with pytest.raises(ConnectionRefusedError):
        call(host, "called")


def test_a_stop_cuts_long_calls_off_and_lets_their_functions_run_on(start: Start) -> None:
    """Their connections are reset; a function that ends within the grace after that runs to its end."""
    with start() as host, ThreadPoolExecutor(1) as pool:
        host.send({"name": "message", "kind": "until"})
        answer = pool.submit(call, host, "call/long?kind=until")
        begun(host, "long", "message")
        signalled = time.monotonic()
        host.service.child.signal(signal.SIGTERM)
        assert answer.result().status == NO_ANSWER
        cut_after = time.monotonic() - signalled
        host.release()
        assert host.service.child.wait(PATIENCE) == 0

        assert cut_after >= ANSWERING[host.kind] - 0.5
        assert host.noted("end", "long") == host.noted("end", "message") == 1
        assert host.left() == 0


def test_a_stop_gives_up_what_is_longer_than_its_grace(start: Start) -> None:
    """The process ends with code 0; the message stays in the queue, hidden for its lease."""
    with start() as host:
        host.send({"name": "too long", "seconds": 60})
        begun(host, "too long")
        signalled = time.monotonic()
        host.service.child.signal(signal.SIGTERM)
        assert host.service.child.wait(PATIENCE) == 0

        assert time.monotonic() - signalled >= GRACE[host.kind] - 0.5
        assert host.noted("end", "too long") == 0
        assert host.left() == 1
        with host.client() as queue:
            assert list(queue.peek_messages()) == []


def test_a_killed_host_hides_its_message_for_the_lease(start: Start) -> None:
    """Ten minutes on the real host; another message is worked on meanwhile."""
    with start() as host:
        host.send({"name": "hidden", "seconds": 3600})
        begun(host, "hidden")
        killed = time.monotonic()
        host.service.kill()
        host.service.start()
        host.send({"name": "other"})
        until(lambda: host.noted("end", "other"))
        with host.client() as queue:
            assert list(queue.peek_messages()) == []
        until(lambda: host.noted("begin", "hidden") == 2, seconds=LEASE[host.kind] + PATIENCE)

        assert time.monotonic() - killed >= LEASE[host.kind] - 10


def test_two_hosts_share_a_queue(start: Start) -> None:
    """Each message is worked on once, and both hosts work."""
    names = [f"shared{number}" for number in range(60)]
    with start("one") as one, start("two", queue=one.queue) as two:
        one.send(*({"name": name, "kind": "until"} for name in names))
        until(lambda: one.journal() and two.journal())
        one.release()
        two.release()
        until(lambda: one.left() == 0)

        done = [note["name"] for host in (one, two) for note in host.journal() if note["what"] == "end"]
        assert sorted(done) == sorted(names)


def test_what_takes_too_long_is_ended(start: Start) -> None:
    """functionTimeout: an empty 500 for a call, on the loop or in a thread; a message begins again.

    So it is with a function that lets a CancelledError escape: the worker never tells the host of its end.
    """
    with start(host_json={"functionTimeout": "00:00:05"}) as host, ThreadPoolExecutor(3) as pool:
        host.send({"name": "slow", "seconds": 3600}, {"name": "cancelled", "kind": "cancel"})
        targets = ("call/waits?seconds=60", "thread/blocks?seconds=60", "call/vanishes?kind=cancel")
        answers = list(pool.map(lambda target: call(host, target), targets))
        until(lambda: host.noted("begin", "slow") > 1 and host.noted("begin", "cancelled") > 1)

        assert {(answer.status, answer.body) for answer in answers} == {(500, b"")}
        assert host.noted("end", "waits") == 0
        assert call(host, "call/again").body == b"done"
