from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import azure.functions as func
import pytest

from sandbox.host import HostError, check_app, check_module_names
from sandbox.host.load import load_functions

if TYPE_CHECKING:
    from decimal import Decimal


def app_of(handler: Callable[..., Any], **route: Any) -> func.FunctionApp:
    app = func.FunctionApp()
    app.route(**{"route": "events", **route})(handler)
    return app


def only_problem(app: func.FunctionApp) -> str:
    [problem] = check_app(app)
    return problem


async def good(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.get_body())


def test_an_app_that_follows_the_rules_has_no_problems() -> None:
    """Context, all three triggers, sync and async, and a decorator with functools.wraps are fine."""
    app = func.FunctionApp()

    @app.route(route="events/{id}", methods=["GET"])
    @wrapped
    async def read(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        return func.HttpResponse(context.invocation_id + req.url)

    @app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
    def work(message: func.QueueMessage) -> None:
        message.get_body()

    @app.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
    async def sweep(timer: func.TimerRequest, context) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - allowed
        assert timer
        assert context

    assert check_app(app) == []


def test_checking_twice_finds_no_duplicates() -> None:
    """The library remembers names between calls; the check must not stumble over that."""
    app = app_of(good)

    assert check_app(app) == check_app(app) == []
    assert [function.name for function in load_functions(app, {})] == ["good"]
    assert check_app(app) == []


def test_an_empty_app_is_a_problem() -> None:
    """An app without functions is what a failed import looks like in Azure."""
    assert "no functions" in only_problem(func.FunctionApp())


def test_two_functions_of_one_name_are_refused() -> None:
    """Names must differ by more than their case, as the host compares them."""
    app = app_of(good)
    app.function_name("GOOD")(app.route(route="other")(good))

    assert "2 functions have this name" in only_problem(app)


@pytest.mark.parametrize("name", ["host", "1st", "a b", "x" * 129, "ü"])
def test_function_names_that_the_host_refuses(name: str) -> None:
    """Letters, digits, underscore and hyphen; a letter first; not `host`."""
    app = func.FunctionApp()
    app.function_name(name)(app.route(route="events")(good))

    assert "the name must begin" in only_problem(app)


def test_a_function_without_a_trigger_is_refused() -> None:
    """The library's own complaint is passed on."""
    app = func.FunctionApp()
    app.function_name("idle")(good)

    assert "does not have a trigger" in only_problem(app)


def test_a_parameter_that_is_no_binding_is_refused_even_with_a_default() -> None:
    """Parameters are exactly the bindings and `context`."""

    async def handler(req: func.HttpRequest, extra: int = 3) -> func.HttpResponse:
        return func.HttpResponse(f"{req.url}{extra}")

    assert "'extra' is no binding" in only_problem(app_of(handler))


def test_a_binding_without_a_parameter_is_refused() -> None:
    """The trigger's name must be that of a parameter."""
    problems = check_app(app_of(good, trigger_arg_name="request"))

    assert any("binding 'request' has no parameter" in problem for problem in problems)
    assert any("'req' is no binding" in problem for problem in problems)


def test_a_decorator_without_wraps_is_refused() -> None:
    """It hides the parameters' names."""

    def decorate(handler: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            return await handler(*args, **kwargs)

        return run

    problems = check_app(app_of(decorate(good)))

    assert any("functools.wraps" in problem for problem in problems)


def wrapped(handler: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handler)
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await handler(*args, **kwargs)

    return run


def test_an_async_function_behind_a_plain_wrapper_is_refused() -> None:
    """The worker would hand its coroutine to nobody and answer 500."""

    @functools.wraps(good)
    def plain(*args: Any, **kwargs: Any) -> Any:
        return good(*args, **kwargs)

    assert "plain function" in only_problem(app_of(plain))


def test_an_object_that_can_be_called_is_refused() -> None:
    """The worker looks for the file of a function."""

    class Handler:
        __name__ = "handler"

        async def __call__(self, req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse(req.url)

    problems = check_app(app_of(Handler()))

    assert any("plain `def`" in problem for problem in problems)


def test_a_name_that_exists_only_while_type_checking_is_refused() -> None:
    """The worker evaluates annotations when it indexes."""

    async def handler(req: Decimal) -> func.HttpResponse:
        return func.HttpResponse(str(req))

    assert "do not resolve" in only_problem(app_of(handler))


async def returns_union(req: func.HttpRequest) -> func.HttpResponse | None:
    return func.HttpResponse(req.url)


async def returns_none(req: func.HttpRequest) -> None:
    req.get_body()


async def takes_optional(req: func.HttpRequest | None) -> func.HttpResponse:
    return func.HttpResponse(str(req))


async def takes_message(req: func.QueueMessage) -> func.HttpResponse:
    return func.HttpResponse(req.get_body())


async def takes_list(req: list[func.HttpRequest]) -> func.HttpResponse:
    return func.HttpResponse(str(req))


async def takes_out(req: func.Out[str]) -> func.HttpResponse:
    return func.HttpResponse(req.get())


async def takes_optional_context(req: func.HttpRequest, context: func.Context | None) -> func.HttpResponse:
    return func.HttpResponse(f"{req.url}{context}")


async def takes_any_context(req: func.HttpRequest, context: Any) -> func.HttpResponse:
    return func.HttpResponse(f"{req.url}{context}")


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (returns_union, "union such as `X | None`"),
        (returns_none, "does not fit the http binding"),
        (takes_optional, "which is not a class"),
        (takes_message, "httpTrigger cannot be given as"),
        (takes_list, "httpTrigger cannot be given as"),
        (takes_out, "belongs to output bindings"),
        (takes_optional_context, "`context` must be annotated"),
        (takes_any_context, "`context` must be annotated"),
    ],
)
def test_annotations_that_the_worker_refuses(handler: Callable[..., Any], words: str) -> None:
    """An annotation must be a class that the binding's converter knows."""
    assert words in only_problem(app_of(handler))


@pytest.mark.parametrize("route", ["admin/x", "Administrators", "/runtime", "runtimes/{id}"])
def test_reserved_routes_are_refused(route: str) -> None:
    """The host compares beginnings, not whole parts."""
    assert "the host keeps for itself" in only_problem(app_of(good, route=route))


@pytest.mark.parametrize("route", ["a/{id", "a/{id:unknown}", "{a?}/b", "{*rest}/b", "{id}/{ID}"])
def test_route_templates_that_do_not_parse_are_refused(route: str) -> None:
    """A broken template is found before the start."""
    assert "route" in only_problem(app_of(good, route=route))


async def other(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.url)


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        (["GET"], ["POST"], False),
        (["GET", "POST"], ["POST"], True),
        (["GET"], None, True),
    ],
)
def test_two_functions_with_one_route_need_different_methods(
    first: list[str], second: list[str] | None, *, conflict: bool
) -> None:
    """Without methods a function answers to all of them."""
    app = app_of(good, route="Events/", methods=first)
    app.route(route="/events", methods=second)(other)

    assert bool(check_app(app)) is conflict


@pytest.mark.parametrize("queue", ["Upper", "a", "two--hyphens", "-first", "under_score", "x" * 64])
def test_queue_names_that_storage_refuses(queue: str) -> None:
    """Names with `%SETTING%` are only known at the start."""
    app = func.FunctionApp()

    @app.queue_trigger(arg_name="message", queue_name=queue, connection="AzureWebJobsStorage")
    async def work(message: func.QueueMessage) -> None:
        message.get_body()

    assert "queue name" in only_problem(app)


def test_a_schedule_that_is_not_ncrontab_is_refused() -> None:
    """A Unix nickname is no schedule for the host."""
    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule="@daily")
    async def sweep(timer: func.TimerRequest) -> None:
        assert timer

    assert "not NCRONTAB" in only_problem(app)


def test_all_problems_are_told_at_once() -> None:
    """Who fixes one sees the others too."""
    app = app_of(returns_union, route="admin")
    app.route(route="x/{id:nonsense}")(takes_message)

    with pytest.raises(HostError) as failure:
        load_functions(app, {})

    assert len(failure.value.problems) == 4


def test_bindings_that_this_host_does_not_have_are_refused_at_loading() -> None:
    """They are fine for the worker, so only the host complains."""
    app = func.FunctionApp()

    @app.blob_trigger(arg_name="blob", path="box/{name}", connection="AzureWebJobsStorage")
    def read(blob: func.InputStream) -> None:
        blob.read()

    assert check_app(app) == []
    with pytest.raises(HostError, match="no blobTrigger"):
        load_functions(app, {})


@pytest.mark.parametrize("environ", [{}, {"QUEUE": ""}])
def test_a_binding_expression_without_its_setting_is_refused(environ: dict[str, str]) -> None:
    """The message names the setting, as the host's does."""
    app = func.FunctionApp()

    @app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
    async def work(message: func.QueueMessage) -> None:
        message.get_body()

    with pytest.raises(HostError, match="'%QUEUE%' does not resolve to a value"):
        load_functions(app, environ)


def test_module_names_that_something_else_takes_are_found(tmp_path: Path) -> None:
    """A module of the standard library, one of the worker's own, and one of an installed package."""
    for name in ("queue.py", "httpx.py", "fine.py"):
        (tmp_path / name).touch()
    (tmp_path / "grpc").mkdir()
    (tmp_path / "grpc" / "__init__.py").touch()
    (tmp_path / "docs").mkdir()

    found = check_module_names(tmp_path)

    assert [problem.split(":")[0] for problem in found] == ["grpc", "httpx.py", "queue.py"]
