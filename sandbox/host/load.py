"""From `module:attribute` to functions that can run: import, check, resolve `%SETTING%`, read the triggers."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func

from sandbox.host.bindings import Binding, read_bindings
from sandbox.host.check import check_app
from sandbox.host.errors import HostError
from sandbox.host.keys import AuthLevel
from sandbox.host.routes import RouteTemplate, parse_template
from sandbox.host.schedule import Schedule, parse_schedule

_SETTING = re.compile(r"%([^%]+)%")
_AUTH_LEVELS: Mapping[str, AuthLevel] = {"ANONYMOUS": "ANONYMOUS", "FUNCTION": "FUNCTION", "ADMIN": "ADMIN"}


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    """An HTTP route; without methods it answers to all of them."""

    argument: str
    template: RouteTemplate
    methods: frozenset[str]
    auth_level: AuthLevel


@dataclass(frozen=True, slots=True)
class QueueTrigger:
    """A storage queue to be polled; `connection` names the settings of its storage account."""

    argument: str
    queue: str
    connection: str
    binary: bool


@dataclass(frozen=True, slots=True)
class TimerTrigger:
    """A schedule; `monitored` timers make up for a run that was missed while the host was down."""

    argument: str
    schedule: Schedule
    run_on_startup: bool
    monitored: bool


@dataclass(frozen=True, slots=True)
class AppFunction:
    """One function of the app, ready to be invoked."""

    name: str
    folder: str
    handler: Callable[..., Any]
    trigger: HttpTrigger | QueueTrigger | TimerTrigger

    @property
    def is_async(self) -> bool:
        """Whether it runs on the event loop rather than in a thread."""
        return inspect.iscoroutinefunction(self.handler)

    @property
    def wants_context(self) -> bool:
        """Whether it takes the invocation context."""
        return "context" in inspect.signature(self.handler).parameters


def import_app(spec: str, root: Path) -> func.FunctionRegister:
    """Import the app, its folder first on the path as in Azure. Raises `HostError`."""
    module_name, _, attribute = spec.partition(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise HostError([f"importing {module_name} failed: {type(error).__name__}: {error}"]) from error
    apps = {name: value for name, value in vars(module).items() if isinstance(value, func.FunctionRegister)}
    if len({id(app) for app in apps.values()}) > 1:
        raise HostError(
            [f"{module_name} holds several function apps ({', '.join(apps)}); the worker wants exactly one."]
        )
    if (attribute or next(iter(apps), "app")) not in apps:
        raise HostError([f"{module_name} has no FunctionApp called {attribute or 'app'}; define it at the top level."])
    return apps[attribute or next(iter(apps))]


def load_functions(app: func.FunctionRegister, environ: Mapping[str, str]) -> list[AppFunction]:
    """Check the app and make its functions ready. Raises `HostError` with everything that is wrong."""
    problems = check_app(app)
    if problems:
        raise HostError(problems)
    # The library remembers the names of an earlier call and would take the same functions for duplicates.
    app.functions_bindings = None
    loaded = []
    for function in app.get_functions():
        try:
            loaded.append(_load(function, environ))
        except ValueError as error:
            problems.append(f"{function.get_function_name()}: {error}")
    if problems:
        raise HostError(problems)
    return loaded


def _load(function: func.Function, environ: Mapping[str, str]) -> AppFunction:
    *others, trigger = read_bindings(function)
    foreign = [binding.type for binding in others if (binding.name, binding.type) != ("$return", "http")]
    if foreign:
        raise ValueError(f"this host has no {', '.join(foreign)} binding; use the service's SDK in the function")
    handler = function.get_user_function()
    folder = str(Path(inspect.getfile(handler)).parent)
    return AppFunction(str(function.get_function_name()), folder, handler, _read_trigger(trigger, environ))


def _read_trigger(binding: Binding, environ: Mapping[str, str]) -> HttpTrigger | QueueTrigger | TimerTrigger:
    values = {
        key: resolve_settings(value, environ) if isinstance(value, str) else value
        for key, value in binding.values.items()
    }
    if binding.type == "httpTrigger":
        level = _AUTH_LEVELS[values.get("authLevel", "FUNCTION")]
        return HttpTrigger(binding.name, parse_template(values["route"]), frozenset(values.get("methods", ())), level)
    if binding.type == "queueTrigger":
        connection = values.get("connection") or "AzureWebJobsStorage"
        return QueueTrigger(binding.name, values["queueName"], connection, values.get("dataType") == "BINARY")
    if binding.type == "timerTrigger":
        startup, monitored = bool(values.get("runOnStartup")), bool(values.get("useMonitor", True))
        return TimerTrigger(binding.name, parse_schedule(values["schedule"]), startup, monitored)
    raise ValueError(f"this host has no {binding.type}; it runs HTTP, queue and timer triggers")


def resolve_settings(text: str, environ: Mapping[str, str]) -> str:
    """Put settings in the place of `%NAME%`. Raises `ValueError` for one that is not set."""

    def value_of(match: re.Match[str]) -> str:
        if not environ.get(match[1]):
            raise ValueError(f"'%{match[1]}%' does not resolve to a value; set {match[1]}")
        return environ[match[1]]

    return _SETTING.sub(value_of, text)
