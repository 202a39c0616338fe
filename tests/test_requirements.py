"""What is installed is what is asked for: the lock files hold every package of requirements*.in, each with its hash."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LOCKS = {"requirements.txt": ["requirements.in"], "requirements-dev.txt": ["requirements.in", "requirements-dev.in"]}
_ENTRY = re.compile(
    r"([a-z0-9.-]+)==(\S+)(?: ; (.+?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)((?:    #.*\n)*)"
)


@dataclass(frozen=True, slots=True)
class Locked:
    """One entry of a lock file. `via`: what brings it in, a package or `-r FILE`."""

    name: str
    version: str
    marker: Marker | None
    hashes: frozenset[str]
    via: frozenset[str]

    def applies(self, **environment: str) -> bool:
        """Whether it is installed there."""
        return self.marker is None or self.marker.evaluate(environment)


def locked(file: str) -> list[Locked]:
    """The entries of a lock file; nothing else may stand in it."""
    text = re.sub(r"\A(#.*\n)+", "", (ROOT / file).read_text(encoding="utf-8"))
    assert _ENTRY.sub("", text) == ""
    return [
        Locked(
            name,
            version,
            Marker(marker) if marker else None,
            frozenset(re.findall(r"sha256:\w+", hashes)),
            frozenset(re.findall(r"(?:# via|#  ) +(\S.*)", comment)),
        )
        for name, version, marker, hashes, comment in _ENTRY.findall(text)
    ]


def asked(file: str) -> Iterator[Requirement]:
    """What a .in file asks for."""
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text and not text.startswith("-"):
            yield Requirement(text)


def environment(python: str) -> dict[str, str]:
    """Where markers are read as that Python reads them."""
    return {"python_version": python, "python_full_version": f"{python}.0"}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("file", LOCKS)
def test_the_lock_holds_what_is_asked_for(file: str, python: str) -> None:
    """On every Python that the app takes, each package is locked at the version that its .in file names."""
    here = environment(python)
    versions = {one.name: one.version for one in locked(file) if one.applies(**here)}
    for source in LOCKS[file]:
        for requirement in asked(source):
            if requirement.marker is None or requirement.marker.evaluate(here):
                assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("file", LOCKS)
def test_the_lock_holds_nothing_else(file: str) -> None:
    """Whatever is locked is asked for, or brought in by something that is: what was dropped is gone."""
    entries = locked(file)
    names = {canonicalize_name(one.name) for source in LOCKS[file] for one in asked(source)}
    assert names == {one.name for one in entries if any(via.startswith("-r ") for via in one.via)}
    reached: set[str] = set()
    while more := {one.name for one in entries if one.name in names or one.via & reached} - reached:
        reached |= more
    assert reached == {one.name for one in entries}


def test_developers_have_what_runs_in_azure() -> None:
    """The tests run on the very packages that a deployment installs."""
    assert set(map(_pin, locked("requirements.txt"))) <= set(map(_pin, locked("requirements-dev.txt")))


def _pin(one: Locked) -> tuple[str, str, frozenset[str]]:
    return one.name, one.version, one.hashes


def test_what_packages_need_is_locked_too() -> None:
    """Whatever a locked package says it needs here is locked, at a version that it takes."""
    versions = {one.name: one.version for one in locked("requirements-dev.txt") if one.applies()}
    for name in versions:
        for text in metadata.requires(name) or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert needed.specifier.contains(versions[canonicalize_name(needed.name)], prereleases=True), text


@pytest.mark.parametrize("file", LOCKS)
def test_the_lock_names_no_machine(file: str) -> None:
    """Packages come from whatever index pip is set to; no path and no host of whoever made the file stands in it."""
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not re.search(r"https?:|file:|--(?:extra-)?index-url|--find-links", text)
