"""Reading a mapping file: one that cannot be read says so with its path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.errors import BadMapping
from shared.mapping_file import load_mapping
from tests.samples import DEFAULT, default_content


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is reported by its path and the setting that names it."""
    with pytest.raises(BadMapping, match="Set MAPPING_FILE to an existing file") as caught:
        load_mapping(tmp_path / "none.json")
    assert str(tmp_path / "none.json") in caught.value.problems[0]


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b""])
def test_file_that_is_not_json(tmp_path: Path, raw: bytes) -> None:
    """A file that is no JSON, or no UTF-8, is reported as such."""
    path = tmp_path / "mapping.json"
    path.write_bytes(raw)
    with pytest.raises(BadMapping, match="is not JSON"):
        load_mapping(path)


def test_copy_of_the_default(tmp_path: Path) -> None:
    """A copy of the default file is the default."""
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps(default_content()), encoding="utf-8")
    assert load_mapping(path) == DEFAULT


def test_what_stands_twice(tmp_path: Path) -> None:
    """Of two members of one name JSON keeps the last without a word; in another object a name may come again."""
    text = json.dumps(default_content())
    path = tmp_path / "mapping.json"
    path.write_text(
        text.replace('{"version"', '{"attendees": {}, "version"').replace('{"row"', '{"row": "x", "row"', 1)
    )
    with pytest.raises(BadMapping) as caught:
        load_mapping(path)
    assert [problem.split(": ", 1)[1].split()[0] for problem in caught.value.problems] == ["row", "attendees"]
