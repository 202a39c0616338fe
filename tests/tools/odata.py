"""Microsoft's OData library, which Dataverse's Web API is built on, over what the stand-in for Dataverse took.

`../shared/tools/odata/check` holds requests against the library and the real metadata. A request that the stand-in
answers well and the library refuses is a fault of the stand-in and, mostly, of the product. The metadata is older than
the stand-in's tables, which `tests/sandbox/dataverse/test_metadata_contract.py` holds against newer lists: what it
lacks, and what an organisation adds, is added to it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest
from aiohttp import web

from sandbox.azurite import ROOT
from sandbox.dataverse import app
from sandbox.dataverse.call import Answer
from sandbox.dataverse.schema import EDM_TYPES, TABLES, Table
from sandbox.dataverse.store import Store

SHARED: Final = ROOT.parent / "shared"
CHECK: Final = SHARED / "tools/odata/check"
METADATA: Final = SHARED / "reference/data/dataverse/appointment-subset.v8.2.edmx.xml"
_EDM: Final = "http://docs.oasis-open.org/odata/ns/edm"
_LARGEST_BODY: Final = 1024 * 1024
_VERSION: Final = re.compile(r"/v9\.\d/")
_A_ROW: Final = re.compile(r"/v9\.\d/\w+(\([^/]*\))?$")
_CLEARED: Final = re.compile(r'@odata\.bind"\s*:\s*null')
_STANDARD: Final = {table.entity_set: table for table in TABLES}


def missing() -> str | None:
    """What is not here and is needed, or None."""
    return next((f"{path} is not here" for path in (CHECK, METADATA) if not path.is_file()), None)


@dataclass(frozen=True, slots=True)
class Custom:
    """A column or lookup that an organisation added. `type`: of the column, or the table that the lookup leads to."""

    table: str
    name: str
    type: str


class Taken:
    """The requests that the stand-in answered well, each once, by what the organisation had added to its tables."""

    def __init__(self) -> None:
        self._requests: dict[frozenset[Custom], set[str]] = defaultdict(set)

    def note(self, store: Store, *, method: str, path: str, query: str, body: bytes) -> None:
        """Remember a request."""
        request = {"method": method, "path": _VERSION.sub("/v9.2/", path), "query": query, "body": _body(path, body)}
        self._requests[_added_to(store)].add(json.dumps(request))

    def __len__(self) -> int:
        return sum(map(len, self._requests.values()))

    def refused(self) -> str:
        """What the library has against them; nothing where it takes them all."""
        return "".join(_check(requests, customs) for customs, requests in self._merged())

    def _merged(self) -> list[tuple[set[Custom], set[str]]]:
        """As few models as there can be in which no column has two types: each costs a start of the library."""
        models: list[tuple[set[Custom], set[str]]] = []
        for customs, requests in self._requests.items():
            for model in models:
                if _one_type_each(model[0] | customs):
                    model[0].update(customs)
                    model[1].update(requests)
                    break
            else:
                models.append((set(customs), set(requests)))
        return models


@contextmanager
def taking() -> Iterator[Taken]:
    """Within it, what every stand-in of this process takes is remembered."""
    taken = Taken()
    answer = app._answer

    def remember(request: web.Request, body: bytes, store: Store) -> Answer:
        answered = answer(request, body, store)
        if answered.status < 400:
            taken.note(
                store, method=request.method, path=request.path, query=request.rel_url.raw_query_string, body=body
            )
        return answered

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "_answer", remember)
        yield taken


def _body(path: str, body: bytes) -> str | None:
    """The body in the form that the checker reads: it knows rows, and none of more than 1 MiB."""
    if not body or len(body) > _LARGEST_BODY or not _A_ROW.search(path):
        return None
    # Beyond OData, and documented: "Disassociate with a single-valued navigation property",
    # https://learn.microsoft.com/power-apps/developer/data-platform/webapi/associate-disassociate-entities-using-web-api
    return _CLEARED.sub('": null', body.decode())


def _added_to(store: Store) -> frozenset[Custom]:
    """What the tables have beyond the standard ones."""
    return frozenset(
        custom
        for entity_set, table in store.tables.items()
        if table is not _STANDARD[entity_set]
        for custom in _customs(table) - _customs(_STANDARD[entity_set])
    )


def _customs(table: Table) -> frozenset[Custom]:
    columns = {name: EDM_TYPES[column.type] for name, column in table.props.items() if name}
    lookups = {name: navigation.targets[0] for name, navigation in table.navigations.items()}
    return frozenset(Custom(table.logical_name, name, kind) for name, kind in (columns | lookups).items())


def _one_type_each(customs: Iterable[Custom]) -> bool:
    names = [(custom.table, custom.name) for custom in customs]
    return len(names) == len(set(names))


def _check(requests: Iterable[str], customs: Iterable[Custom]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        metadata, listed = Path(folder, "metadata.xml"), Path(folder, "requests.json")
        _model(customs).write(metadata, encoding="utf-8")
        listed.write_text(f"[{','.join(sorted(requests))}]", encoding="utf-8")
        done = subprocess.run(  # noqa: S603 - the checker, on our own files
            [sys.executable, str(CHECK), str(listed), "--metadata", str(metadata)],
            capture_output=True,
            text=True,
            check=False,
        )
    return "" if done.returncode == 0 and "0 invalid" in done.stdout else done.stdout + done.stderr


def _model(customs: Iterable[Custom]) -> ET.ElementTree[ET.Element]:
    """The real metadata with what it lacks."""
    model = ET.parse(METADATA)  # noqa: S314 - Microsoft's own, which stands beside the project
    types = {str(kind.get("Name")): kind for kind in model.iter(f"{{{_EDM}}}EntityType")}
    sets = {str(each.get("Name")): each for each in model.iter(f"{{{_EDM}}}EntitySet")}
    set_names = {table.logical_name: table.entity_set for table in TABLES}
    for custom in {*customs, *(standard for table in TABLES for standard in _customs(table))}:
        if custom.name in _names(types, custom.table):
            continue
        if custom.type.startswith("Edm."):
            ET.SubElement(types[custom.table], f"{{{_EDM}}}Property", Name=custom.name, Type=custom.type)
        elif custom.type in set_names:  # the others lead to tables that nobody here knows
            kind = f"mscrm.{custom.type}"
            ET.SubElement(types[custom.table], f"{{{_EDM}}}NavigationProperty", Name=custom.name, Type=kind)
            binding = {"Path": custom.name, "Target": set_names[custom.type]}
            ET.SubElement(sets[set_names[custom.table]], f"{{{_EDM}}}NavigationPropertyBinding", binding)
    return model


def _names(types: Mapping[str, ET.Element], name: str) -> set[str]:
    """The columns and lookups of a type and of those that it is built on."""
    kind = types[name]
    base = kind.get("BaseType", "").removeprefix("mscrm.")
    own = {str(child.get("Name")) for child in kind if child.get("Name")}
    return own | _names(types, base) if base else own
