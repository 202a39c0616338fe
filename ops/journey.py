"""The file of a back-fill: read as a stream, its progress noted beside it, and what was left out.

The progress stands beside the export and not in a table, because a row number means something for this very file only:
the note holds the digest of the file's content, and another file is another run. It needs no right on anything either.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from ops.report import USAGE, Refused, visible
from shared.admin.backfill import Progress, Reject, run_of
from shared.admin.export import RESOURCE, BadRow, Numbered, read_rows

_BLOCK = 1024 * 1024
_FORMULA = re.compile(r"""((?:^|[;\t\n])[\s"']*)(?=[=+\-@＝＋－＠])""")  # noqa: RUF001 - wide forms count as well
_REJECT_COLUMNS = ("row", "meeting", "reason")


@contextmanager
def _beside() -> Iterator[None]:
    """Raises `Refused` where a companion of the file cannot be read or written."""
    try:
        yield
    except OSError as error:
        raise Refused(
            f"{error.filename}: {error.strerror}. Progress and rejects are kept beside the export: they must be files "
            "that can be written there.",
            code="cannot_write",
        ) from error


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Keep every other back-fill of `file` out until this one ends or is killed. Raises `Refused` where one is on."""
    if sys.platform == "win32":  # it has no such lock: there nobody is kept out
        yield
        return
    from fcntl import LOCK_EX, LOCK_NB, flock  # noqa: PLC0415 - Windows has no such module

    with file.open("rb") as held:
        try:
            flock(held, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            raise Refused(
                f"Another back-fill of {file} is under way on this machine. Wait until it ends, or stop it.",
                code="under_way",
            ) from error
        yield


class Journey:
    """One export file with its two companions: `FILE.progress.json` and `FILE.rejects.csv`.

    `name` stands in their names in place of the file's own, so that a dry run has others. `resource`: what the rows are
    taken for.
    """

    def __init__(self, file: Path, *, resource: str = RESOURCE, name: str = "") -> None:
        name = name or file.name
        self.file = file
        self.progress_file = file.with_name(f"{name}.progress.json")
        self.rejects_file = file.with_name(f"{name}.rejects.csv")
        self.resource = resource
        self.run = run_of(_digest(file), resource)

    @_beside()
    def load(self) -> Progress:
        """How far it is; from the start where nothing is noted. Raises `Refused` where another run's progress lies."""
        try:
            noted = json.loads(self.progress_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return self.begin()
        try:
            size = int(noted.pop("rejects_bytes"))
            progress = Progress(**noted)
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(
                f"{self.progress_file} is damaged. Remove it to begin anew; nothing is written twice by that.",
                code="bad_progress",
            ) from error
        if progress.resource != self.resource:
            raise Refused(
                f"{self.file} was begun with --resource {progress.resource}. Go on with that; or, if it was wrong, "
                "begin anew with --again.",
                code="other_resource",
            )
        if progress.run != self.run:
            raise Refused(
                f"{self.file} has changed since it was begun. To back-fill the new file, remove {self.progress_file}.",
                code="file_changed",
            )
        _cut(self.rejects_file, size)
        return progress

    @_beside()
    def begin(self) -> Progress:
        """A new beginning."""
        _cut(self.rejects_file, 0)
        return Progress(self.run, resource=self.resource)

    @_beside()
    def add_rejects(self, rejects: list[Reject]) -> None:
        """Write down what is left out, and nothing else."""
        if rejects:
            self._add(rejects)

    @_beside()
    def record(self, progress: Progress, rejects: list[Reject]) -> None:
        """Note `progress` and `rejects` so that a kill at any moment loses neither and doubles neither.

        The rejects are written first, and the progress holds how long their file was then: what was written after that
        is cut off when the run is taken up again.
        """
        size = self._add(rejects) if rejects else _size(self.rejects_file)
        _replace(self.progress_file, json.dumps({**asdict(progress), "rejects_bytes": size}))

    @contextmanager
    def rows(self) -> Iterator[tuple[Iterator[Numbered], Callable[[], float]]]:
        """The rows of the file, and a function that says which part of the file is read (0 to 1)."""
        total = max(1, self.file.stat().st_size)
        with self.file.open("rb") as raw:
            packed: Any = gzip.GzipFile(fileobj=raw) if self.file.suffix == ".gz" else raw
            # Bytes that are no UTF-8 become lone surrogates here, and a reject with its row number there.
            with TextIOWrapper(packed, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
                try:
                    yield read_rows(text), lambda: min(1.0, raw.tell() / total)
                except BadRow as error:
                    raise Refused(f"{self.file}: {error}", code="bad_file", exit_code=USAGE) from error
                except (OSError, EOFError) as error:
                    raise Refused(f"{self.file} cannot be read: {error}", code="bad_file", exit_code=USAGE) from error

    def _add(self, rejects: list[Reject]) -> int:
        is_new = _size(self.rejects_file) == 0
        with self.rejects_file.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(_REJECT_COLUMNS)
            writer.writerows((reject.row, _cell(reject.meeting), _cell(reject.reason)) for reject in rejects)
            file.flush()
            os.fsync(file.fileno())
            return file.tell()


def _cell(text: str) -> str:
    """`text` as a cell that is shown: a spreadsheet carries out what begins like a formula, and a terminal obeys.

    Where lists are separated by semicolons, a spreadsheet cuts there too.
    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return _FORMULA.sub(r"\1'", visible(text))


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _cut(file: Path, size: int) -> None:
    if _size(file) > size:
        os.truncate(file, size)


def _replace(file: Path, text: str) -> None:
    """Write `file` so that it has either the old content or the new, whenever we are stopped."""
    beside = file.with_name(f"{file.name}.new")
    with beside.open("w", encoding="utf-8") as new:
        new.write(text)
        new.flush()
        os.fsync(new.fileno())
    beside.replace(file)
