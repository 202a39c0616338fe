"""How a command speaks: words and tables for people, one JSON document with `--json`, and exit codes.

0: all is well. 1: something was found or went wrong. 2: the command was called wrongly (Typer's own).
130: Ctrl-C (Typer's own too).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from shared.errors import BadConfiguration, SyncError, describe

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

FOUND = 1
USAGE = 2
INTERRUPTED = 130
# What a terminal obeys instead of showing it: control characters but tab and line feed, and changes of direction. And
# halves of a character, which it cannot be sent at all.
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Refused(Exception):
    """The command cannot do what was asked. The message is a sentence that says what to do."""

    def __init__(self, message: str, *, code: str, exit_code: int = FOUND) -> None:
        super().__init__(message)
        self.code = code
        self.exit_code = exit_code


class Report:
    """Where results go. `console` is for people; progress goes to `progress`, on standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = _console()
        self.progress = _console(stderr=True, quiet=as_json)

    def show(self, document: Any, say: Callable[[Console], None]) -> None:
        """Print `document`, or let `say` print it."""
        if self._as_json:
            print(_as_json(document))
        else:
            say(self._console)

    def refuse(self, code: str, problems: list[str]) -> None:
        """Say why nothing could be done."""
        if self._as_json:
            print(_as_json({"error": {"code": code, "message": " ".join(problems)}}))
            return
        table = Table.grid(padding=(0, 2))
        for problem in problems:
            table.add_row(Text("error", style="red"), Text(problem, overflow="fold"))
        _console(stderr=True).print(table)


class _Console(Console):
    """Prints brackets and colons as they are, and shows what a terminal would obey: texts come from outside."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Whatever is printed comes through here; a segment that is a control code is Rich's own."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))

    def render_str(self, text: str, **options: Any) -> Text:
        """What is given as plain text, so that its width is that of what is shown."""
        return super().render_str(visible(text), **options)


def _console(**options: Any) -> Console:
    return _Console(highlight=False, markup=False, emoji=False, **options)


def _as_json(document: Any) -> str:
    """What a terminal would obey can only stand inside a string, where JSON has an escape for it."""
    return _shown(json.dumps(document, indent=2, ensure_ascii=False))


@contextmanager
def reporting(*, as_json: bool) -> Iterator[Report]:
    """Run a command; an error of ours becomes a sentence and an exit code."""
    report = Report(as_json=as_json)
    try:
        yield report
    except Refused as error:
        report.refuse(error.code, [str(error)])
        raise typer.Exit(error.exit_code) from error
    except SyncError as error:
        described = describe(error)
        problems = list(error.problems) if isinstance(error, BadConfiguration) else [described.words]
        report.refuse(described.refusal, problems)
        raise typer.Exit(FOUND) from error


def visible(value: Any) -> Any:
    """`value` with the control characters in its texts made visible: titles come from outside, and a terminal obeys."""
    if isinstance(value, str):
        return _shown(value)
    if isinstance(value, Mapping):
        return {name: visible(item) for name, item in value.items()}
    return [visible(item) for item in value] if isinstance(value, list) else value


def _shown(text: str) -> str:
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def camel(document: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with its own names written as the app's routes write theirs."""
    return {_camel(name): value for name, value in document.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
