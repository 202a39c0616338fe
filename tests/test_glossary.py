"""Public names are made of words that everybody knows: the glossary has the field's and ours, a list the plain ones."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from shared.meeting.outcome import OutcomeKind
from shared.meeting.status import Status
from shared.telemetry import LINES, METRICS

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
PLAIN = ROOT / "tests" / "plain_words.txt"


def words(name: str) -> list[str]:
    """`DeadLetters`, `dead_letters` and `deadLetters` are `dead` and `letters`."""
    return [word.lower() for word in re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+", name)]


def explained() -> set[str]:
    """The words in the first column of the glossary, but for those that things are only stored under."""
    table = GLOSSARY.partition("## Stored under another name")[0]
    return {word for entry in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for word in words(entry)}


def names() -> Iterator[tuple[str, str]]:
    """Each public name with the place where it stands."""
    for room in ("shared", "functions", "ops"):
        for file in sorted((ROOT / room).rglob("*.py")):
            place = str(file.relative_to(ROOT))
            yield file.stem, place
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
                    yield node.name, place
    for line in LINES:
        yield line.what, f"log line {line.what}"
        yield from ((field, f"log line {line.what}") for field in line.fields)
    yield from ((metric.name, f"metric {metric.name}") for metric in METRICS)
    for kind in (*OutcomeKind, *Status):
        yield kind.name, "outcome or status"


def is_known(word: str, known: set[str]) -> bool:
    """Whether the word is there, or what it is a form of."""
    stems = (word, re.sub("ies$", "y", word), re.sub("s$", "", word), re.sub("e?d$", "", word), re.sub("d$", "", word))
    return not known.isdisjoint((*stems, re.sub("ing$", "", word), re.sub("ing$", "e", word)))


def test_every_word_of_a_public_name_is_known() -> None:
    """A new word is the field's or ours, and is in docs/glossary.md; or it is plain, and in tests/plain_words.txt."""
    known = explained() | set(PLAIN.read_text(encoding="utf-8").split())
    strange = {
        f"{word} ({name} in {place})" for name, place in names() for word in words(name) if not is_known(word, known)
    }
    assert strange == set()


def test_the_plain_words_are_all_used() -> None:
    """A word that left the code leaves the list, and none is in both places."""
    plain = PLAIN.read_text(encoding="utf-8").split()
    used = {word for name, _ in names() for word in words(name)}
    assert [word for word in plain if not any(is_known(one, {word}) for one in used)] == []
    assert explained() & set(plain) == set()
    assert plain == sorted(set(plain))


def test_what_is_stored_under_another_name_says_which() -> None:
    """Each entry of the last table names what is stored and what it is called."""
    table = GLOSSARY.partition("## Stored under another name")[2]
    entries = re.findall(r"^\| (.*`\w[\w-]*`.*) \| (.+) \|$", table, re.MULTILINE)
    assert len(entries) >= 5
    for stored, _ in entries:
        for name in re.findall(r"`([\w-]+)`", stored):
            code = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "shared").rglob("*.py"))
            assert f'"{name}"' in code
