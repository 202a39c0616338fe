from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from sandbox.host import HostError
from sandbox.host.settings import parse_time_span, read_settings


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content))


def problem_of(folder: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(HostError) as failure:
        read_settings(folder, environ or {})
    return str(failure.value)


def test_the_defaults_are_those_of_the_real_host(tmp_path: Path) -> None:
    """Without host.json and without settings."""
    settings = read_settings(tmp_path, {})
    queues = settings.host_json.extensions.queues

    assert (queues.batch_size, queues.threshold, queues.max_dequeue_count) == (16, 8, 5)
    assert (queues.visibility_timeout, queues.max_polling_interval, queues.message_encoding) == (0, 60, "base64")
    assert settings.host_json.extensions.http.route_prefix == "api"
    assert settings.host_json.function_timeout == 1800
    assert (settings.queue_lease, settings.body_limit, settings.keys.checked) == (600, 104_857_600, False)


def test_host_json_is_read(tmp_path: Path) -> None:
    """Its own names and time spans, other sections ignored."""
    queues = {"batchSize": 4, "newBatchThreshold": 0, "visibilityTimeout": "00:01:30", "messageEncoding": "None"}
    extensions = {"queues": {**queues, "maxPollingInterval": "00:00:02"}, "http": {"routePrefix": ""}, "blobs": {}}
    levels = {"default": "Warning", "Function": "Debug"}
    content = {"version": "2.0", "functionTimeout": "-1", "extensions": extensions, "logging": {"logLevel": levels}}
    write(tmp_path, "host.json", content)

    host_json = read_settings(tmp_path, {}).host_json

    read = host_json.extensions.queues
    assert (read.batch_size, read.threshold, read.visibility_timeout, read.message_encoding) == (4, 0, 90, "none")
    assert (read.max_polling_interval, host_json.extensions.http.route_prefix) == (2, "")
    assert host_json.function_timeout is None
    assert host_json.logging.log_level == {"default": logging.WARNING, "Function": logging.DEBUG}


def test_settings_of_the_sandbox_come_from_the_environment(tmp_path: Path) -> None:
    """Lease, grace period, body limit, home page, traces, threads and keys."""
    environ = {
        "SANDBOX_QUEUE_LEASE_SECONDS": "2",
        "SANDBOX_SHUTDOWN_GRACE_SECONDS": "0.5",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "1000",
        "AzureWebJobsDisableHomepage": "true",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=x",
        "PYTHON_THREADPOOL_THREAD_COUNT": "3",
        "SANDBOX_ADMIN_KEY": "a",
        "SANDBOX_STATE_FOLDER": "/somewhere",
    }

    settings = read_settings(tmp_path, environ)

    assert (settings.queue_lease, settings.shutdown_grace, settings.body_limit) == (2, 0.5, 1000)
    assert (settings.home_page, settings.traced) == (False, True)
    assert (settings.threads, settings.keys.admin, settings.state_folder) == (3, "a", Path("/somewhere"))


def test_local_settings_fill_what_the_environment_lacks(tmp_path: Path) -> None:
    """The environment wins."""
    write(tmp_path, "local.settings.json", {"IsEncrypted": False, "Values": {"ONE": "file", "TWO": "file"}})
    environ = {"TWO": "environment"}

    read_settings(tmp_path, environ)

    assert environ == {"ONE": "file", "TWO": "environment"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, ""),
        ({"extensions": {}}, 'has no "version"'),
        ({"version": "1.0"}, "version"),
        ({"version": "2.0", "extensions": {"queues": {"batchSize": 33}}}, "extensions.queues.batchSize"),
        ({"version": "2.0", "extensions": {"queues": {"maxPollingInterval": 2000}}}, "write hh:mm:ss"),
        ({"version": "2.0", "extensions": {"queues": {"messageEncoding": "utf8"}}}, "messageEncoding"),
        ({"version": "2.0", "functionTimeout": "soon"}, "functionTimeout"),
        ({"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}, "not a log level"),
        ([], "must hold a JSON object"),
    ],
)
def test_what_is_wrong_in_host_json_is_named(tmp_path: Path, content: object, words: str) -> None:
    """The path of the wrong value stands in the message; an empty object is fine."""
    write(tmp_path, "host.json", content)

    if words:
        assert words in problem_of(tmp_path)
    else:
        read_settings(tmp_path, {})


def test_broken_files_and_numbers_are_told_together(tmp_path: Path) -> None:
    """Every problem at once, each with the name of what to change."""
    (tmp_path / "host.json").write_text("{")
    environ = {"SANDBOX_QUEUE_LEASE_SECONDS": "soon", "SANDBOX_SHUTDOWN_GRACE_SECONDS": "-1"}

    message = problem_of(tmp_path, environ)

    assert all(name in message for name in ("host.json", *environ))


@pytest.mark.parametrize(
    ("content", "words"),
    [({"IsEncrypted": True}, "encrypted"), ({"Values": {"PORT": 7071}}, "change PORT")],
)
def test_local_settings_that_cannot_be_used(tmp_path: Path, content: object, words: str) -> None:
    """Core Tools would stumble there too."""
    write(tmp_path, "local.settings.json", content)

    assert words in problem_of(tmp_path)


def test_a_lease_below_a_second_is_refused(tmp_path: Path) -> None:
    """Queues know whole seconds only."""
    assert "at least 1" in problem_of(tmp_path, {"SANDBOX_QUEUE_LEASE_SECONDS": "0.5"})


@pytest.mark.parametrize(("text", "seconds"), [("00:00:30", 30), ("1.00:00:01", 86_401), ("00:00:00.25", 0.25)])
def test_time_spans(text: str, seconds: float) -> None:
    """Days, hours, minutes, seconds and fractions."""
    assert parse_time_span(text) == seconds
