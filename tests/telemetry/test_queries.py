"""Queries, alerts, runbook and code speak of the same lines, metrics and outcomes."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest
from azure import identity
from azure.core import exceptions as azure_errors

from shared.meeting.outcome import OutcomeKind
from shared.pipeline.sweep import RETRY
from shared.settings import Guard
from shared.telemetry import LINES, METRICS
from tests.tools import kusto

ROOT = Path(__file__).resolve().parents[2]
QUERIES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "infra/kql").glob("*.kql"))}
ALERTS = [name for name in QUERIES if name.startswith("alert-")]
MAIN = (ROOT / "infra/main.bicep").read_text(encoding="utf-8")
MONITORING = (ROOT / "infra/modules/monitoring.bicep").read_text(encoding="utf-8")
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
SOURCES = [path for folder in ("shared", "functions") for path in sorted((ROOT / folder).rglob("*.py"))]

LINE = {line.what: line for line in LINES}
METRIC = {metric.name: metric for metric in METRICS}

# The columns of Azure Monitor's tables that the queries may use:
# https://learn.microsoft.com/azure/azure-monitor/reference/tables-category
COLUMNS = {
    "AppTraces": {"TimeGenerated", "Message", "OperationId", "SeverityLevel"},
    "AppMetrics": {"TimeGenerated", "Name", "Sum", "Max", "ItemCount", "Properties"},
    "AppRequests": {"TimeGenerated", "Name", "Url", "ResultCode", "DurationMs", "OperationId"},
    "AppDependencies": {"TimeGenerated", "Name", "Target", "ResultCode", "DurationMs", "OperationId"},
    "AzureDiagnostics": {"TimeGenerated", "ResourceProvider", "OperationName"},
    "AZKVAuditLogs": {"TimeGenerated", "OperationName"},
    "Usage": {"DataType", "Quantity", "IsBillable"},
}


def code(query: str) -> str:
    """A query without comments and texts."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|//[^\n]*", "''", query)


@pytest.mark.parametrize("name", QUERIES)
def test_lines_and_their_members_exist(name: str) -> None:
    """A query reads lines that the app writes, and members that those lines have."""
    whats = re.findall(r"""startswith '\{"what": "(\w+)"'""", QUERIES[name])
    assert len(whats) == QUERIES[name].count("Message startswith")
    known = {field for what in whats for field in LINE[what].fields} | {"what"}
    assert set(re.findall(r"\bline\.(\w+)", QUERIES[name])) <= known


@pytest.mark.parametrize("name", QUERIES)
def test_metrics_and_their_attributes_exist(name: str) -> None:
    """A query reads metrics that the app records, by attributes that they have."""
    names = re.findall(r'Name == "([\w.]+)"', QUERIES[name])
    attributes = {attribute for metric in names for attribute in METRIC[metric].attributes}
    assert set(re.findall(r"\bProperties\.(\w+)", QUERIES[name])) <= attributes
    if "AppMetrics" in QUERIES[name]:
        assert names


@pytest.mark.parametrize("name", QUERIES)
def test_outcomes_exist(name: str) -> None:
    """An outcome that a query asks for is one that an event can have."""
    compared = re.findall(r"tostring\(line\.outcome\) (?:==|in) \(?([^)\n]+)", QUERIES[name])
    for outcome in re.findall(r'"([\w-]+)"', " ".join(compared)):
        assert outcome in list(OutcomeKind)


@pytest.mark.parametrize("name", QUERIES)
def test_values_are_compared_as_text(name: str) -> None:
    """A member of a line is of no type until it is given one; `in` and `!=` would compare it with nothing."""
    assert not re.search(r"(?<!\()\bline\.\w+ *(==|!=|in|has|startswith)\b", QUERIES[name])


def test_error_codes_exist() -> None:
    """The codes that mean a refused credential are those that the code gives, statuses, and errors of the SDK."""
    codes = re.findall(
        r'"([^"]+)"', re.findall(r"^let refused = (.+);$", QUERIES["alert-credentials.kql"], re.MULTILINE)[0]
    )
    given = {code for path in SOURCES for code in re.findall(r'\bcode="(\w+)"', path.read_text(encoding="utf-8"))}
    assert {"no_token", "invalid_grant", "unauthorized"} <= given
    for code in codes:
        assert code in given or code.isdecimal() or hasattr(azure_errors, code) or hasattr(identity, code), code


def test_parts_exist() -> None:
    """A part that a query asks for is one of the timer, or says which side found the settings wrong."""
    parts = {
        part
        for path in SOURCES
        for part in re.findall(r'\bPart\("(\w+)"|\bpart="(\w+)"', path.read_text(encoding="utf-8"))
    }
    known = {first or second for first, second in parts}
    asked = {part for query in QUERIES.values() for part in re.findall(r'line\.part\) == "(\w+)"', query)}
    assert asked
    assert asked <= known


def test_without_a_webhook_its_silence_is_no_alert() -> None:
    """The setting that says that no webhook is used switches off the one rule that expects deliveries."""
    assert re.findall(r"enabled: webhooks \|\| alert.name != '([a-z-]+)'", MONITORING) == ["ingest-silent"]
    given = re.search(r"webhooks: toLower\(settings\.\?(\w+) \?\? .*\) != '(\w+)'", MAIN)
    assert given
    assert given[1] == "SYNC_SUBSCRIPTION_GUARD"
    assert given[2] in get_args(Guard)


def test_a_window_overlaps_the_one_before() -> None:
    """What reaches the log some minutes late is seen by the next evaluation: a window is longer than its step."""

    def minutes(text: str) -> int:
        return int(text[2:-1]) * (60 if text.endswith("H") else 1)

    rules = re.findall(r"frequency: '(\w+)'\n(?: +//.*\n)* +window: '(\w+)'", MONITORING)
    assert len(rules) == len(ALERTS)
    assert all(minutes(window) >= 2 * minutes(step) for step, window in rules)


def test_a_part_that_fails_stays_in_sight() -> None:
    """Whatever its rest, a failing part of the timer is told more than once while the alert on it looks back."""
    found = re.search(r"window: 'PT(\d+)M'\n    query: loadTextContent\('../kql/alert-not-running.kql'\)", MONITORING)
    assert found
    assert timedelta(minutes=int(found[1])) > 2 * RETRY


@pytest.mark.parametrize("name", QUERIES)
def test_columns_exist(name: str) -> None:
    """Whatever begins with a capital is a table of Azure Monitor or a column of one that the query reads."""
    words = set(re.findall(r"\b[A-Z]\w+", code(QUERIES[name])))
    tables = words & COLUMNS.keys()
    assert tables
    assert words - tables <= set().union(*(COLUMNS[table] for table in tables))


def test_the_language_service_takes_every_query(tmp_path: Path) -> None:
    """Syntax, names and types, against the real tables: alerts, workbook, and what our pages have to copy."""
    if (missing := kusto.missing()) is not None:
        pytest.skip(missing)
    files = [ROOT / "infra/kql" / name for name in QUERIES]
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "infra").glob("*.md")]):
        blocks = re.findall(r"^```(?:kql|kusto)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        for number, block in enumerate(blocks, 1):
            files.append(tmp_path / f"{page.stem}-{number}.kql")
            files[-1].write_text(block, encoding="utf-8")
    assert kusto.refused(files) == ""


def test_the_language_service_refuses_what_it_should(tmp_path: Path) -> None:
    """The test above can fail: on a column that does not exist, a value of another type, a word left out."""
    if (missing := kusto.missing()) is not None:
        pytest.skip(missing)
    for number, query in enumerate(("where Massage == ''", "where SeverityLevel has 'x'", "summarize by")):
        wrong = tmp_path / f"{number}.kql"
        wrong.write_text(f"AppTraces | {query}")
        assert "1 refused" in kusto.refused([wrong])


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_is_deployed(name: str) -> None:
    """No query lies around unused."""
    assert f"loadTextContent('../kql/{name}')" in MONITORING


def test_the_alerts_are_those_of_the_runbook() -> None:
    """Every alert has a query and a section in the runbook that its link leads to; there are no others."""
    rules = re.findall(r"name: '([a-z-]+)'\n    title:", MONITORING)
    sections = re.findall(r"^### (.+)$", RUNBOOK.partition("## Alerts")[2].partition("\n## ")[0], re.MULTILINE)
    assert rules
    assert {f"alert-{rule}.kql" for rule in rules} == set(ALERTS)
    assert [section.lower().replace(" ", "-") for section in sections] == rules


def test_replaced_defaults_stand_in_the_queries() -> None:
    """Where a parameter takes the place of a query's default, that default is there to be replaced."""
    pairs = re.findall(r"'(let \w+ = [^']+;)',\s+'let", MONITORING)
    assert len(pairs) == 5
    for default in pairs:
        assert sum(default in query for query in QUERIES.values()) == 1, default


def test_the_runbook_has_every_metric_and_line() -> None:
    """Its tables are those of the code."""
    for metric in METRICS:
        attributes = ", ".join(f"`{attribute}`" for attribute in metric.attributes) or "none"
        assert f"| `{metric.name}` | {metric.kind} | {metric.unit} | {attributes} | {metric.meaning} |" in RUNBOOK
    for line in LINES:
        members = ", ".join(f"`{field}`" for field in line.fields)
        assert f"| `{line.what}` | {line.meaning} | {members} |" in RUNBOOK
    assert RUNBOOK.count("\n| `") - RUNBOOK.partition("### Metrics")[0].count("\n| `") == len(METRICS) + len(LINES)


def test_names_are_unique() -> None:
    """No two metrics and no two lines share a name."""
    assert len(METRIC) == len(METRICS)
    assert len(LINE) == len(LINES)


def test_every_line_in_the_code_is_in_the_table() -> None:
    """A line that the code can write is in the table, and the table has no line that nothing writes."""
    written = {
        what
        for path in SOURCES
        for what in re.findall(r'\b_?line\(\s*"(\w+)"|"what": "(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert {first or second for first, second in written} == LINE.keys()


def test_every_logger_is_exported() -> None:
    """All loggers lie below the one that the worker exports."""
    exported = re.search(r"PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME: '(\w+)'", app_bicep())
    assert exported
    names = [
        name for path in SOURCES for name in re.findall(r'getLogger\("([^"]+)"\)', path.read_text(encoding="utf-8"))
    ]
    assert names
    assert all(name == exported[1] or name.startswith(f"{exported[1]}.") for name in names)


def test_nothing_configures_telemetry() -> None:
    """Only the worker does; a second exporter or handler would send every line twice."""
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for call in ("configure_azure_monitor(", "addHandler(", "basicConfig(", "set_tracer_provider(", "dictConfig("):
            assert call not in text, path


def test_no_library_adds_spans() -> None:
    """Every instrumentation that the worker's distribution would switch on is switched off: they tell whole URLs."""
    found = re.search(r"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS: '([\w,]+)'", app_bicep())
    assert found
    from azure.monitor.opentelemetry._constants import _FULLY_SUPPORTED_INSTRUMENTED_LIBRARIES as SUPPORTED

    assert set(found[1].split(",")) == set(SUPPORTED)


def app_bicep() -> str:
    return (ROOT / "infra/modules/app.bicep").read_text(encoding="utf-8")
