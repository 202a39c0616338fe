"""Every line for the Azure CLI that our pages, hooks and workflows hold is one that the CLI's own parser takes."""

from __future__ import annotations

import pytest

from tests.infra.az_lines import AzLine, az_lines, read
from tests.tools import azure_cli
from tests.tools.bicep import ROOT

PAGES = read(ROOT, "*.md", "docs/**/*.md", "infra/*.md")
HOOKS = read(ROOT, "infra/hooks/*")
WORKFLOWS = read(ROOT, ".github/workflows/*.yml")
LINES = [*PAGES, *HOOKS, *WORKFLOWS]

PAGE = """Say `az login`, not az here.

```sh
# az in a comment of a page is text of the page
az group create --name "a b" \\
  --location $(az account show --query location -o tsv) | cat
X=1 az rest --url '$vault/secrets?x=1&y=2' > /dev/null # az is done
```
"""


@pytest.fixture(scope="module")
def objections() -> dict[AzLine, str | None]:
    """What the parser says of all lines, asked once."""
    if azure_cli.cache() is None:
        pytest.skip(azure_cli.missing())
    return dict(zip(LINES, azure_cli.objections([line.words for line in LINES]), strict=True))


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.where)
def test_the_cli_takes_the_line(line: AzLine, objections: dict[AzLine, str | None]) -> None:
    """It can be copied as it stands: no unknown command or option, no value that is missing."""
    assert objections[line] is None


def test_a_page_is_read_as_a_shell_would_read_its_code() -> None:
    """Continued lines, quotes, variables, pipes, commands within commands; neither prose nor comments."""
    assert [(line.where, " ".join(line.words)) for line in az_lines("page.md", PAGE)] == [
        ("page.md:1", "login"),
        ("page.md:5", "group create --name a b --location value"),
        ("page.md:6", "account show --query location -o tsv"),
        ("page.md:7", "rest --url $vault/secrets?x=1&y=2"),
    ]


def test_there_are_lines_of_each_kind() -> None:
    """The reader of our texts has not gone blind."""
    assert PAGES
    assert HOOKS
    assert WORKFLOWS


def test_the_parser_refuses_what_it_should() -> None:
    """The test above can fail: on a command that does not exist, a wrong option, a missing one, a wrong value."""
    if azure_cli.cache() is None:
        pytest.skip(azure_cli.missing())
    wrong = (
        "grop create --name a --location b",
        "group create --nam a --location b --colour red",
        "functionapp keys list --query masterKey",
        "group show --name a --output table-ish",
    )
    assert all(azure_cli.objections([line.split() for line in wrong]))
