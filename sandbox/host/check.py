"""What the Python worker and the host refuse in an app: one bad function takes the whole app down there.

Rules: https://github.com/Azure/azure-functions-python-worker (functions.py, loader.py) and
https://github.com/Azure/azure-functions-host (ScriptHost, Utility). This module only looks; `load.py` loads.
"""

from __future__ import annotations

import collections
import importlib.metadata
import inspect
import itertools
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import azure.functions as func

from sandbox.host.bindings import Binding, read_bindings
from sandbox.host.routes import parse_template
from sandbox.host.schedule import parse_schedule

# https://github.com/Azure/azure-functions-host/blob/dev/src/WebJobs.Script/Utility.cs
_FUNCTION_NAME = re.compile(r"(?!host$)[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE)
_QUEUE_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*")
_EXPRESSION = re.compile(r"%[^%]+%|\{[^{}]+\}")
_RESERVED_ROUTES = ("admin", "runtime")
# What the worker itself imports by these names: an app's own would take their place in Azure.
_WORKER_MODULES = frozenset({"azure", "azure_functions_worker", "dateutil", "google", "grpc", "werkzeug"})
_ROOT_MODULE = "function_app"


def check_app(app: func.FunctionRegister) -> list[str]:
    """Every reason why the worker or the host would not run `app`; an empty list when it would."""
    problems: list[str] = []
    functions: list[tuple[func.Function, list[Binding]]] = []
    for builder in app._function_builders:  # noqa: SLF001 - get_functions() stops at the first problem
        try:
            function = builder.build(app.auth_level)
            functions.append((function, read_bindings(function)))
        except (ValueError, TypeError, AttributeError) as error:
            problems.append(str(error))
    if not functions and not problems:
        problems.append("The app has no functions; register at least one on the FunctionApp.")
    for function, bindings in functions:
        name = function.get_function_name()
        problems += (f"{name}: {problem}" for problem in _check_function(function, bindings))
    problems += _duplicate_names([str(function.get_function_name()) for function, _ in functions])
    problems += _route_conflicts(
        [(str(function.get_function_name()), bindings[-1]) for function, bindings in functions]
    )
    return problems


def check_module_names(root: Path) -> list[str]:
    """Top-level modules of the app that something else takes the place of, here or in Azure."""
    problems = []
    installed = importlib.metadata.packages_distributions()
    for path in sorted(root.iterdir()):
        name = path.stem
        is_module = path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
        if not is_module or not name.isidentifier():
            continue
        if name in sys.stdlib_module_names or name in _WORKER_MODULES:
            problems.append(
                f"{path.name}: the app comes first in Azure, so it hides {name!r} from the worker; rename it."
            )
        elif name in installed:
            problems.append(
                f"{path.name}: the package {installed[name][0]} is also called {name!r}; rename the module."
            )
    return problems


def _duplicate_names(names: list[str]) -> Iterator[str]:
    for name, count in collections.Counter(name.lower() for name in names).items():
        if count > 1:
            yield f"{name}: {count} functions have this name; give each its own with @app.function_name()."


def _route_conflicts(functions: list[tuple[str, Binding]]) -> Iterator[str]:
    triggers = [(name, binding.values) for name, binding in functions if binding.type == "httpTrigger"]
    for (name, one), (other_name, other) in itertools.combinations(triggers, 2):
        same = _plain(one.get("route")) == _plain(other.get("route"))
        methods = {*one.get("methods", ())}, {*other.get("methods", ())}
        if same and (not all(methods) or methods[0] & methods[1]):
            yield f"{name}: route {one.get('route')!r} is also that of {other_name}; change the route or the methods."


def _plain(route: object) -> str:
    return str(route).strip("/").lower()


def _check_function(function: func.Function, bindings: list[Binding]) -> Iterator[str]:
    handler = function.get_user_function()
    name = str(function.get_function_name())
    if not _FUNCTION_NAME.fullmatch(name):
        yield "the name must begin with a letter, hold only letters, digits, _ and -, and not be 'host'."
    yield from _check_handler(handler)
    try:
        annotations = typing.get_type_hints(handler)
        parameters = dict(inspect.signature(handler).parameters)
    except Exception as error:  # noqa: BLE001 - an annotation can raise anything when it is evaluated
        yield f"its annotations do not resolve at run time ({error}); import the names outside `if TYPE_CHECKING`."
        return
    bound = {binding.name: binding for binding in bindings if binding.name != "$return"}
    yield from _check_context(parameters, bound, annotations)
    yield from _check_parameter_names(parameters, bound)
    for binding in bindings:
        if binding.direction == "INOUT":
            yield f"binding {binding.name!r} has direction inout, which Python functions do not have."
        elif binding.name == "$return":
            yield from _check_return(binding, annotations)
        elif binding.name in parameters and binding.name in annotations:
            yield from _check_annotation(binding, annotations[binding.name])
        yield from _check_values(binding)


def _check_handler(handler: Callable[..., Any]) -> Iterator[str]:
    try:
        inspect.getfile(handler)
    except TypeError:
        yield "the worker wants a plain `def` or `async def`, not an object that can be called."
        return
    original = inspect.unwrap(handler)
    if inspect.iscoroutinefunction(original) and not inspect.iscoroutinefunction(handler):
        yield "a decorator wraps its `async def` in a plain function, so it would never be awaited; make it async."


def _check_context(
    parameters: dict[str, inspect.Parameter], bound: Mapping[str, Binding], annotations: Mapping[str, object]
) -> Iterator[str]:
    """Take `context` out of the parameters where it is the invocation context."""
    if "context" not in parameters or "context" in bound:
        return
    del parameters["context"]
    annotation = annotations.get("context")
    if "context" in annotations and getattr(annotation, "__name__", None) != "Context":
        yield f"`context` must be annotated as azure.functions.Context or not at all, not as {annotation!r}."


def _check_parameter_names(parameters: Iterable[str], bound: Iterable[str]) -> Iterator[str]:
    for extra in sorted(set(parameters) - set(bound)):
        yield f"parameter {extra!r} is no binding (a default value does not help); remove it."
    for missing in sorted(set(bound) - set(parameters)):
        yield f"binding {missing!r} has no parameter of that name; a decorator without functools.wraps hides it too."


def _check_annotation(binding: Binding, annotation: object) -> Iterator[str]:
    origin = typing.get_origin(annotation) or annotation
    is_out = getattr(origin, "__name__", "") == "Out"
    if is_out != (binding.direction == "OUT"):
        yield f"parameter {binding.name!r}: func.Out[...] belongs to output bindings, and only to them."
        return
    wanted = typing.get_args(annotation)[0] if is_out and typing.get_args(annotation) else annotation
    if not _is_type(wanted):
        yield f"parameter {binding.name!r} is annotated with {annotation!r}, which is not a class."
    elif wanted not in (str, bytes) and not _accepts(binding, wanted):
        yield f"parameter {binding.name!r}: {binding.type} cannot be given as {wanted!r}."


def _check_return(binding: Binding, annotations: Mapping[str, object]) -> Iterator[str]:
    if binding.direction != "OUT":
        yield "a `$return` binding must have the direction out."
    if "return" not in annotations:
        return
    annotation = annotations["return"]
    if not isinstance(annotation, type) or isinstance(annotation, types.GenericAlias):
        yield f"the return annotation {annotation!r} is not a class; a union such as `X | None` is none."
    elif not _accepts(binding, annotation):
        yield f"the return annotation {annotation!r} does not fit the {binding.type} binding."


def _is_type(annotation: object) -> bool:
    return isinstance(annotation, type) or typing.get_origin(annotation) not in (None, typing.Union, types.UnionType)


def _accepts(binding: Binding, annotation: object) -> bool:
    converter = func.get_binding_registry().get(binding.type)
    if converter is None:
        return annotation in (str, bytes)
    check = (
        converter.check_output_type_annotation if binding.direction == "OUT" else converter.check_input_type_annotation
    )
    try:
        return bool(check(annotation))
    except TypeError:
        return False


def _check_values(binding: Binding) -> Iterator[str]:
    """Look at the names in a binding that the host itself checks; `%SETTING%` is only known at the start."""
    if binding.type == "httpTrigger":
        route = str(binding.values.get("route", ""))
        if _plain(route).startswith(_RESERVED_ROUTES):
            yield f"route {route!r} begins with {' or '.join(_RESERVED_ROUTES)}, which the host keeps for itself."
        yield from _try(parse_template, route)
    elif binding.type == "timerTrigger":
        yield from _try(parse_schedule, str(binding.values.get("schedule", "")))
    elif binding.type == "queueTrigger":
        queue = str(binding.values.get("queueName", ""))
        if not _EXPRESSION.search(queue) and not _QUEUE_NAME.fullmatch(queue):
            yield f"queue name {queue!r} must be 3 to 63 lower-case letters, digits and single hyphens."


def _try(parse: Callable[[str], object], text: str) -> Iterator[str]:
    if "%" in text:
        return
    try:
        parse(text)
    except ValueError as error:
        yield f"{error}."
