"""What host.json, local.settings.json and the environment say: read once, every problem named.

Defaults are the real host's: https://learn.microsoft.com/azure/azure-functions/functions-host-json. The environment
adds:

SANDBOX_FUNCTION_KEY, SANDBOX_ADMIN_KEY   keys to ask for (none set: nothing is checked)
SANDBOX_QUEUE_LEASE_SECONDS               how long a message in work is invisible, renewed at half time (600)
SANDBOX_SHUTDOWN_GRACE_SECONDS            how long a stop waits for functions, after thrice that for answers (10)
SANDBOX_STATE_FOLDER                      where timers remember their next run (none: they do not)
FUNCTIONS_REQUEST_BODY_SIZE_LIMIT         bytes of a request's body (104857600), as in the real host
AzureWebJobsDisableHomepage               true: `/` has no page, as in the real host
APPLICATIONINSIGHTS_CONNECTION_STRING     where it is set, calls have a trace, as in the real host; nothing is sent
PYTHON_THREADPOOL_THREAD_COUNT, PYTHON_ENABLE_DEBUG_LOGGING   as in the real worker
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from sandbox.host.errors import HostError
from sandbox.host.keys import Keys

_TIME_SPAN = re.compile(r"(?:(?P<days>\d+)\.)?(?P<hours>\d{1,2}):(?P<minutes>\d{1,2}):(?P<seconds>\d{1,2}(?:\.\d+)?)")
_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}
_HUNDRED_MEGABYTES = 104_857_600


def parse_time_span(value: object) -> float:
    """Seconds of a .NET time span such as `00:00:30`, `1.00:00:00` or `00:00:00.5`."""
    match = _TIME_SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a time span; write hh:mm:ss")
    hours = int(match["days"] or 0) * 24 + int(match["hours"])
    return (hours * 60 + int(match["minutes"])) * 60 + float(match["seconds"])


def _parse_timeout(value: object) -> float | None:
    return None if value == "-1" else parse_time_span(value)


def _parse_level(value: object) -> int:
    level = _LEVELS.get(value.lower()) if isinstance(value, str) else None
    if level is None:
        raise ValueError(f"{value!r} is not a log level; use one of {', '.join(_LEVELS)}")
    return level


TimeSpan = Annotated[float, BeforeValidator(parse_time_span)]
Level = Annotated[int, BeforeValidator(_parse_level)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True)


class QueueSettings(_Section):
    """`extensions.queues`: how queue triggers poll, retry and give up."""

    batch_size: int = Field(16, ge=1, le=32)
    new_batch_threshold: int | None = Field(None, ge=0)
    visibility_timeout: TimeSpan = 0.0
    max_dequeue_count: int = Field(5, ge=1)
    max_polling_interval: TimeSpan = Field(60.0, ge=0.1)
    message_encoding: Annotated[Literal["base64", "none"], BeforeValidator(lambda text: str(text).lower())] = "base64"

    @property
    def threshold(self) -> int:
        """The next batch is fetched once no more than this many messages are in work."""
        return self.batch_size // 2 if self.new_batch_threshold is None else self.new_batch_threshold


class HttpSettings(_Section):
    """`extensions.http`; -1 means no limit."""

    route_prefix: str = "api"
    max_concurrent_requests: int = -1
    max_outstanding_requests: int = -1


class _Extensions(_Section):
    queues: QueueSettings = QueueSettings.model_validate({})
    http: HttpSettings = HttpSettings.model_validate({})


class _Logging(_Section):
    log_level: dict[str, Level] = Field(default_factory=dict)


class HostJson(_Section):
    """The parts of host.json that this host acts upon."""

    version: Literal["2.0"] = "2.0"
    extensions: _Extensions = _Extensions.model_validate({})
    extension_bundle: dict[str, Any] | None = None
    # Thirty minutes is the default of every plan but the old Consumption plan.
    function_timeout: Annotated[float | None, BeforeValidator(_parse_timeout)] = 1800.0
    logging: _Logging = Field(default_factory=_Logging)


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Everything that the host itself is told; times in seconds."""

    root: Path
    host_json: HostJson = field(default_factory=lambda: HostJson.model_validate({}))
    keys: Keys = field(default_factory=Keys)
    queue_lease: float = 600.0
    shutdown_grace: float = 10.0
    body_limit: int = _HUNDRED_MEGABYTES
    home_page: bool = True
    traced: bool = False
    threads: int | None = None
    worker_debug: bool = False
    state_folder: Path | None = None


def read_settings(root: Path, environ: MutableMapping[str, str] = os.environ) -> HostSettings:
    """Read all settings of the app at `root`; `local.settings.json` fills what `environ` lacks. Raises `HostError`."""
    problems: list[str] = []
    host_json = HostJson.model_validate({})
    try:
        _apply_local_settings(root / "local.settings.json", environ)
        host_json = _read_host_json(root / "host.json")
    except ValueError as error:
        problems.append(str(error))
    lease = _number(environ, "SANDBOX_QUEUE_LEASE_SECONDS", 600.0, problems)
    grace = _number(environ, "SANDBOX_SHUTDOWN_GRACE_SECONDS", 10.0, problems)
    body_limit = _number(environ, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", float(_HUNDRED_MEGABYTES), problems)
    threads = _number(environ, "PYTHON_THREADPOOL_THREAD_COUNT", 0.0, problems)
    if lease < 1:
        problems.append("SANDBOX_QUEUE_LEASE_SECONDS must be at least 1 (a queue knows whole seconds).")
    if problems:
        raise HostError(problems)
    state_folder = environ.get("SANDBOX_STATE_FOLDER")
    return HostSettings(
        root=root,
        host_json=host_json,
        keys=Keys(function=environ.get("SANDBOX_FUNCTION_KEY", ""), admin=environ.get("SANDBOX_ADMIN_KEY", "")),
        queue_lease=lease,
        shutdown_grace=grace,
        body_limit=int(body_limit),
        home_page=environ.get("AzureWebJobsDisableHomepage", "").lower() != "true",
        traced=bool(environ.get("APPLICATIONINSIGHTS_CONNECTION_STRING")),
        threads=int(threads) or None,
        worker_debug=environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower() in {"1", "true"},
        state_folder=Path(state_folder) if state_folder else None,
    )


def _number(environ: Mapping[str, str], name: str, default: float, problems: list[str]) -> float:
    text = environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        problems.append(f"{name} is {text!r}; set a number that is not negative.")
        return default
    return value


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} must hold a JSON object.")  # noqa: TRY004 - one kind of error for the caller
    return content


def _read_host_json(path: Path) -> HostJson:
    content = _read_json(path)
    if content and "version" not in content:
        raise ValueError('host.json has no "version"; write "version": "2.0".')
    try:
        return HostJson.model_validate(content)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise ValueError(f"host.json: {'; '.join(lines)}") from error


def _apply_local_settings(path: Path, environ: MutableMapping[str, str]) -> None:
    content = _read_json(path)
    if content.get("IsEncrypted"):
        raise ValueError("local.settings.json is encrypted; run `func settings decrypt`.")
    values = content.get("Values") or {}
    wrong = [name for name, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise ValueError(f"local.settings.json: Values must be strings; change {', '.join(wrong)}.")
    for name, value in values.items():
        environ.setdefault(name, value)
