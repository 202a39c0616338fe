from __future__ import annotations

import asyncio
import base64
import json
import logging
from typing import Any

import azure.functions as func
import pytest

from sandbox.azurite import Azurite, StorageNames
from sandbox.host import queues as queues_module
from sandbox.host.invoke import Invoker
from sandbox.host.load import QueueTrigger, load_functions
from sandbox.host.queues import QueueListener
from sandbox.host.settings import HostJson
from sandbox.host.storage import open_queue_service, read_connection
from tests.patience import PATIENCE
from tests.sandbox.host.running import count, queue_app, queue_client, queues, running, until

LONG = "01:00:00"


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Recorder:
    """A queue function that notes what it gets and does as it is reported."""

    def __init__(self, *, fail: bool = False, answer: object = None) -> None:
        self.messages: list[func.QueueMessage] = []
        self.contexts: list[func.Context] = []
        self._fail = fail
        self._answer = answer

    def app(self, queue: str) -> func.FunctionApp:
        async def work(message: func.QueueMessage, context: func.Context):  # type: ignore[no-untyped-def]  # noqa: ANN202 - the worker allows it
            self.messages.append(message)
            self.contexts.append(context)
            if self._fail:
                raise RuntimeError("told to fail")
            return self._answer

        return queue_app(work, queue)


@pytest.fixture
def queue(azurite: str, storage_names: StorageNames) -> str:
    """Create an empty queue."""
    name = storage_names.queue("work")
    with queue_client(azurite, name) as client:
        client.create_queue()
    return name


def send(azurite: str, queue: str, *texts: str) -> None:
    with queue_client(azurite, queue) as client:
        for text in texts:
            client.send_message(text)


def texts_in(azurite: str, queue: str) -> list[str]:
    with queue_client(azurite, queue) as client:
        return [message.content for message in client.peek_messages(32)]


@pytest.mark.parametrize("traced", [True, False])
async def test_a_message_is_given_to_the_function_and_deleted(azurite: str, queue: str, *, traced: bool) -> None:
    """With its decoded body, its metadata and, where Application Insights is set, a trace of its own."""
    recorder = Recorder()
    environ = {"AzureWebJobsStorage": azurite}
    send(azurite, queue, encode('{"a": "ü"}'))

    async with running(recorder.app(queue), host_json=queues(), environ=environ, traced=traced) as host:
        await host.until(lambda report: report["queues"]["work"]["deleted"] == 1)

    [message] = recorder.messages
    assert message.get_json() == {"a": "ü"}
    assert message.dequeue_count == 1
    assert message.id
    assert message.pop_receipt
    assert recorder.contexts[0].trace_context.trace_parent.startswith("00-") is traced
    assert count(azurite, queue) == 0


async def test_a_sync_queue_function_runs_too(azurite: str, queue: str) -> None:
    """It gets its message in a thread."""
    bodies = []

    def work(message: func.QueueMessage) -> None:
        bodies.append(message.get_body())

    app = func.FunctionApp()
    app.queue_trigger(arg_name="message", queue_name=queue, connection="Storage")(work)
    send(azurite, queue, encode("text"))

    async with running(app, host_json=queues(), environ={"AzureWebJobsStorage": azurite}) as host:
        await host.until(lambda report: report["queues"]["work"]["deleted"] == 1)

    assert bodies == [b"text"]


async def test_a_failing_message_is_retried_and_then_goes_to_poison(azurite: str, queue: str) -> None:
    """At once, as visibilityTimeout is 0; the poison queue is made on demand and holds the text as it was."""
    recorder = Recorder(fail=True)
    send(azurite, queue, encode("bad"))

    settings = queues(maxDequeueCount=3)
    async with running(recorder.app(queue), host_json=settings, environ={"AzureWebJobsStorage": azurite}) as host:
        report = await host.until(lambda report: report["queues"]["work"]["poisoned"] == 1)

    assert [message.dequeue_count for message in recorder.messages] == [1, 2, 3]
    assert report["queues"]["work"]["released"] == 2
    assert report["functions"]["work"]["failures"] == 3
    assert count(azurite, queue) == 0
    assert texts_in(azurite, f"{queue}-poison") == [encode("bad")]


async def test_a_failed_message_stays_invisible_for_the_visibility_timeout(azurite: str, queue: str) -> None:
    """It is in the queue, but nobody gets it."""
    recorder = Recorder(fail=True)
    send(azurite, queue, encode("bad"))

    settings = queues(visibilityTimeout=LONG)
    async with running(recorder.app(queue), host_json=settings, environ={"AzureWebJobsStorage": azurite}) as host:
        report = await host.until(lambda report: report["queues"]["work"]["released"] == 1)
        polls = report["queues"]["work"]["polls"]
        await host.until(lambda report: report["queues"]["work"]["polls"] > polls + 2)

    assert len(recorder.messages) == 1
    assert count(azurite, queue) == 1
    assert texts_in(azurite, queue) == []


async def test_a_message_dequeued_too_often_goes_to_poison_without_a_run(azurite: str, queue: str) -> None:
    """So a function that kills its process cannot do so for ever."""
    recorder = Recorder()
    send(azurite, queue, encode("killer"))
    with queue_client(azurite, queue) as client:
        for _ in range(2):
            message = client.receive_message()
            assert message is not None
            client.update_message(message, visibility_timeout=0)

    settings = queues(maxDequeueCount=2)
    async with running(recorder.app(queue), host_json=settings, environ={"AzureWebJobsStorage": azurite}) as host:
        await host.until(lambda report: report["queues"]["work"]["poisoned"] == 1)

    assert recorder.messages == []
    assert texts_in(azurite, f"{queue}-poison") == [encode("killer")]


async def test_plain_text_goes_to_poison_without_an_error(
    azurite: str, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where base64 is expected, the function never sees it."""
    recorder = Recorder()
    send(azurite, queue, "plain text")

    async with running(recorder.app(queue), host_json=queues(), environ={"AzureWebJobsStorage": azurite}) as host:
        report = await host.until(lambda report: report["queues"]["work"]["poisoned"] == 1)

    assert recorder.messages == []
    assert report["functions"]["work"]["failures"] == 0
    assert texts_in(azurite, f"{queue}-poison") == ["plain text"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_plain_text_is_read_where_host_json_says_so(azurite: str, queue: str) -> None:
    """With messageEncoding none, base64 is just text."""
    recorder = Recorder()
    send(azurite, queue, "plain text")

    settings = queues(messageEncoding="none")
    async with running(recorder.app(queue), host_json=settings, environ={"AzureWebJobsStorage": azurite}) as host:
        await host.until(lambda report: report["queues"]["work"]["deleted"] == 1)

    assert [message.get_body() for message in recorder.messages] == [b"plain text"]


async def test_a_returned_value_fails_the_run(azurite: str, queue: str, caplog: pytest.LogCaptureFixture) -> None:
    """A queue function has no place to return to."""
    recorder = Recorder(answer="done")
    send(azurite, queue, encode("text"))

    settings = queues(maxDequeueCount=1)
    async with running(recorder.app(queue), host_json=settings, environ={"AzureWebJobsStorage": azurite}) as host:
        report = await host.until(lambda report: report["queues"]["work"]["poisoned"] == 1)

    assert report["functions"]["work"]["failures"] == 1
    assert "returned a non-None value" in caplog.text


async def test_a_message_whose_own_dequeue_count_is_no_number_goes_to_poison(azurite: str, queue: str) -> None:
    """The envelope overwrote its metadata, so the function cannot be called."""
    recorder = Recorder()
    send(azurite, queue, encode(json.dumps({"dequeueCount": "many"})))

    settings = queues(maxDequeueCount=2)
    async with running(recorder.app(queue), host_json=settings, environ={"AzureWebJobsStorage": azurite}) as host:
        report = await host.until(lambda report: report["queues"]["work"]["poisoned"] == 1)

    assert recorder.messages == []
    assert report["functions"]["work"] == {
        **report["functions"]["work"],
        "invocations": 2,
        "failures": 2,
    }


async def test_the_trigger_waits_for_a_queue_that_does_not_exist(azurite: str, storage_names: StorageNames) -> None:
    """It does not create it, and begins as soon as somebody has."""
    queue = storage_names.queue("later")
    recorder = Recorder()

    async with running(recorder.app(queue), host_json=queues(), environ={"AzureWebJobsStorage": azurite}) as host:
        await host.until(lambda report: report["queues"]["work"]["state"] == "no queue")
        assert (await host.client.get("/admin/host/status")).json()["state"] == "Running"
        with queue_client(azurite, queue) as client:
            client.create_queue()
        send(azurite, queue, encode("text"))
        await host.until(lambda report: report["queues"]["work"]["deleted"] == 1)
        with queue_client(azurite, queue) as client:
            client.delete_queue()
        await host.until(lambda report: report["queues"]["work"]["state"] == "no queue")


async def test_the_listener_survives_an_outage_of_storage(storage_names: StorageNames) -> None:
    """It goes on by itself when storage is back."""
    recorder = Recorder()
    queue = storage_names.queue("outage")
    with Azurite() as own:
        environ = {"AzureWebJobsStorage": own.connection_string}
        with queue_client(own.connection_string, queue) as client:
            client.create_queue()
        async with running(recorder.app(queue), host_json=queues(), environ=environ) as host:
            await host.until(lambda report: report["queues"]["work"]["state"] == "polling")
            await asyncio.to_thread(own.stop)
            await host.until(lambda report: report["queues"]["work"]["state"] == "unreachable")
            # In this thread: the child process dies with the thread that started it.
            own.start()
            send(own.connection_string, queue, encode("text"))
            await host.until(lambda report: report["queues"]["work"]["deleted"] == 1)

    assert len(recorder.messages) == 1


class Gate:
    """A queue function that holds its messages until it is opened."""

    def __init__(self) -> None:
        self.entered = asyncio.Queue[str]()
        self.open = asyncio.Event()
        self.cancelled = 0

    async def work(self, message: func.QueueMessage) -> None:
        self.entered.put_nowait(message.get_body().decode())
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def app(self, queue: str) -> func.FunctionApp:
        async def work(message: func.QueueMessage) -> None:
            await self.work(message)

        return queue_app(work, queue)


async def test_no_more_than_batch_and_threshold_are_in_work(azurite: str, queue: str) -> None:
    """The next batch is fetched when no more than the threshold are left."""
    gate = Gate()
    send(azurite, queue, *(encode(str(number)) for number in range(7)))

    settings = queues(batchSize=2, newBatchThreshold=2)
    async with running(gate.app(queue), host_json=settings, environ={"AzureWebJobsStorage": azurite}) as host:
        full = await host.until(lambda report: report["functions"]["work"]["in_flight"] == 4)
        gate.open.set()
        await host.until(lambda report: report["queues"]["work"]["deleted"] == 7)

    assert full["queues"]["work"]["polls"] == 2
    assert full["queues"]["work"]["received"] == 4


async def test_a_long_run_keeps_its_message_invisible(
    azurite: str, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is renewed long before it ends, and the new receipt serves to delete."""
    monkeypatch.setattr(queues_module, "RENEWED_AT", 0.005)
    gate = Gate()
    send(azurite, queue, encode("long"))

    environ = {"AzureWebJobsStorage": azurite}
    async with running(gate.app(queue), host_json=queues(), environ=environ, lease=60) as host:
        await host.until(lambda report: report["queues"]["work"]["renewed"] >= 3)
        assert texts_in(azurite, queue) == []
        gate.open.set()
        await host.until(lambda report: report["queues"]["work"]["deleted"] == 1)

    assert gate.entered.qsize() == 1
    assert count(azurite, queue) == 0


async def test_a_message_that_somebody_else_took_over_is_left_alone(
    azurite: str, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its receipt no longer holds, so it is not deleted, and nothing is wrong with that."""

    async def work(message: func.QueueMessage) -> None:
        with queue_client(azurite, queue) as client:
            client.update_message(str(message.id), message.pop_receipt, visibility_timeout=3600)

    send(azurite, queue, encode("taken"))

    async with running(queue_app(work, queue), host_json=queues(), environ={"AzureWebJobsStorage": azurite}) as host:
        await host.until(lambda report: report["functions"]["work"]["invocations"] == 1)

    assert host.host.queues["work"].deleted == 0
    assert count(azurite, queue) == 1
    assert not [
        record for record in caplog.records if record.name.startswith("Host") and record.levelno >= logging.WARNING
    ]


async def test_a_stop_lets_messages_in_work_finish(azurite: str, queue: str) -> None:
    """And fetches no new ones."""
    gate = Gate()
    send(azurite, queue, encode("first"))

    async with running(gate.app(queue), host_json=queues(), environ={"AzureWebJobsStorage": azurite}) as host:
        async with asyncio.timeout(PATIENCE):
            await gate.entered.get()
        stop = asyncio.create_task(host.host.stop())
        await until(lambda: host.host.queues["work"].state == "stopping")
        send(azurite, queue, encode("second"))
        gate.open.set()
        await stop

    assert gate.cancelled == 0
    assert count(azurite, queue) == 1
    assert texts_in(azurite, queue) == [encode("second")]


async def test_a_stop_cancels_after_the_grace_period_and_leaves_the_message(azurite: str, queue: str) -> None:
    """It is still in the queue, invisible until its lease ends."""
    gate = Gate()
    send(azurite, queue, encode("slow"))

    environ = {"AzureWebJobsStorage": azurite}
    async with running(gate.app(queue), host_json=queues(), environ=environ, grace=0.1) as host:
        async with asyncio.timeout(PATIENCE):
            await gate.entered.get()
        await host.host.stop()
        counts = host.host.invoker.counts["work"]

    assert gate.cancelled == 1
    assert (counts.cancelled, counts.failures, counts.in_flight) == (1, 0, 0)
    assert count(azurite, queue) == 1
    assert texts_in(azurite, queue) == []


async def test_losing_patience_ends_the_grace_period(azurite: str, queue: str) -> None:
    """A second signal does not wait."""
    gate = Gate()
    send(azurite, queue, encode("slow"))

    environ = {"AzureWebJobsStorage": azurite}
    async with running(gate.app(queue), host_json=queues(), environ=environ, grace=3600) as host:
        async with asyncio.timeout(PATIENCE):
            await gate.entered.get()
        stop = asyncio.create_task(host.host.stop())
        host.host.lose_patience()
        async with asyncio.timeout(PATIENCE):
            await stop

    assert gate.cancelled == 1


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancelled_listener_ends_even_in_the_moment_it_wakes(azurite: str, queue: str, turns: int) -> None:
    """Whichever turn of the loop the cancellation comes in: a lost one would wait for what is in work for ever."""
    gate = Gate()
    send(azurite, queue, encode("slow"))
    [function] = load_functions(gate.app(queue), {"AzureWebJobsStorage": azurite})
    assert isinstance(function.trigger, QueueTrigger)
    async with open_queue_service(read_connection("Storage", {"Storage": azurite})) as service:
        listener = QueueListener(
            function,
            function.trigger,
            service=service,
            invoker=Invoker(),
            settings=HostJson.model_validate(queues(maxPollingInterval="00:01:00")).extensions.queues,
            lease=60,
            neighbours={},
        )
        running = asyncio.create_task(listener.run())
        await gate.entered.get()
        await until(lambda: listener.state.polls > 4)  # the pause after the fourth empty poll is 0.7 s or more
        await asyncio.sleep(0.2)

        listener.stop()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=PATIENCE)
        running.cancel()

    assert done
    assert gate.cancelled == 1


async def test_a_function_on_the_poison_queue_gets_what_fails(azurite: str, queue: str) -> None:
    """And has no poison queue of its own: what fails there stays, invisible."""
    poison = f"{queue}-poison"
    seen = asyncio.Queue[str]()

    async def fails(message: func.QueueMessage) -> None:
        raise RuntimeError(message.id)

    async def on_poison(message: func.QueueMessage) -> None:
        seen.put_nowait(message.get_body().decode())
        raise RuntimeError("not even here")

    app = queue_app(fails, queue)
    app.queue_trigger(arg_name="message", queue_name=poison, connection="AzureWebJobsStorage")(on_poison)
    send(azurite, queue, encode("bad"))

    settings = queues(maxDequeueCount=1)
    async with running(app, host_json=settings, environ={"AzureWebJobsStorage": azurite}) as host:
        async with asyncio.timeout(PATIENCE):
            assert await seen.get() == "bad"
        await host.until(lambda report: report["functions"]["on_poison"]["in_flight"] == 0)

    assert count(azurite, poison) == 1
    assert count(azurite, f"{poison}-poison") == 0


async def test_a_binary_binding_gets_bytes(azurite: str, queue: str) -> None:
    """What is no UTF-8 reaches such a function, and only such a one."""
    bodies: list[Any] = []

    async def work(message: func.QueueMessage) -> None:
        bodies.append(message.get_body())

    app = func.FunctionApp()
    decorate = app.queue_trigger(
        arg_name="message", queue_name=queue, connection="AzureWebJobsStorage", data_type=func.DataType.BINARY
    )
    decorate(work)
    send(azurite, queue, base64.b64encode(b"\xff\x00").decode())

    async with running(app, host_json=queues(), environ={"AzureWebJobsStorage": azurite}) as host:
        await host.until(lambda report: report["queues"]["work"]["deleted"] == 1)

    assert bodies == [b"\xff\x00"]


async def test_a_queue_function_can_be_run_by_hand(azurite: str, storage_names: StorageNames) -> None:
    """On a message that is in no queue."""
    recorder = Recorder()
    queue = storage_names.queue("hand")

    async with running(recorder.app(queue), host_json=queues(), environ={"AzureWebJobsStorage": azurite}) as host:
        response = await host.client.post("/admin/functions/work", json={"input": "by hand"})
        await host.until(lambda report: report["functions"]["work"]["invocations"] == 1)

    assert response.status_code == 202
    assert [message.get_body() for message in recorder.messages] == [b"by hand"]
