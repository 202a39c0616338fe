"""What comes out of a command: text from outside is shown, and obeyed by no terminal."""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.report import Report, visible
from tests.samples import law

# U+009B begins a command as ESC [ does; U+202E turns the direction of what follows.
HOSTILE = "\x1b[2J\x1b]0;title\x07 \x9b31m \u202eexe.fdp \u2066\u200f\x00\x7f\x85\r\ud800"
texts = st.text(st.characters(codec=None), max_size=30) | st.just(HOSTILE)

WAYS: dict[str, Callable[[str, Console], None]] = {
    "text": lambda text, console: console.print(text),
    "styled": lambda text, console: console.print(Text(text, style="red")),
    "assembled": lambda text, console: console.print(Text.assemble((text, "bold"), "  x")),
    "a cell": lambda text, console: console.print(_table(text)),
    "a styled cell": lambda text, console: console.print(_table(Text(text, overflow="fold"))),
    "unwrapped": lambda text, console: console.print(Text(text), soft_wrap=True),
}


def _table(cell: str | Text) -> Table:
    table = Table("column", title="t", box=None)
    table.add_row("1", cell)
    table.add_row(cell)
    return table


def obeyed(text: str) -> list[str]:
    """The characters in `text` that a terminal would act upon, or that turn the direction of writing."""
    turns = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return [
        char
        for char in text
        if (unicodedata.category(char) == "Cc" and char not in "\n\t")
        or unicodedata.category(char) == "Cs"
        or (unicodedata.category(char) == "Cf" and unicodedata.bidirectional(char) in turns)
        or char in "\u200e\u200f\u061c"
    ]


def printed(command: Callable[[], None]) -> str:
    """What it prints, on standard error too."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        command()
    return out.getvalue()


@pytest.mark.parametrize("way", WAYS)
@law
@given(text=texts)
def test_no_terminal_obeys_what_a_command_prints(way: str, text: str) -> None:
    """However it is printed: as a result, as progress, as a refusal."""

    def command() -> None:
        report = Report(as_json=False)
        report.show({}, lambda console: WAYS[way](text, console))
        WAYS[way](text, report.progress)
        report.refuse("code", [text])

    assert obeyed(printed(command)) == []


@law
@given(text=texts)
def test_json_is_obeyed_by_none_and_says_the_same(text: str) -> None:
    """What is read from it is what was there, character by character."""
    report = Report(as_json=True)
    result = printed(lambda: report.show({text: [text]}, lambda _: None))
    assert obeyed(result) == []
    # Two halves of one character that stood side by side are that character then.
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert json.loads(result) == {whole: [whole]}
    assert obeyed(printed(lambda: report.refuse("code", [text]))) == []


def test_what_is_shown_in_its_place_can_be_read() -> None:
    """Who looks at it sees that somebody has tried; other writing stays as it is."""
    assert visible({"a": ["\x9b31m", "\u202e"]}) == {"a": ["\\u009b31m", "\\u202e"]}
    assert visible("Zoë\t1\n会议 🗓") == "Zoë\t1\n会议 🗓"
