"""The app as it is deployed: the settings that `infra/` gives the site, what Azure adds to them, and no key at all.

`tests/product/test_as_deployed.py` holds the names against the Bicep files. Otherwise than in Azure the services have
ports, and the name of the Dynamics organisation is known in the app's own process only (`names/sitecustomize.py`).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sandbox.azurite import ROOT
from sandbox.certificates import Certificates
from sandbox.identity import CLIENT_ID, HEADER, TOKEN_PATH
from sandbox.insights import INSTRUMENTATION_KEY
from sandbox.service import OwnProgram, Service
from shared.settings import SETTINGS, TOKEN_KEY_BYTES

DATAVERSE_NAME: Final = "sandbox.crm.dynamics.com"
S2S_GUID: Final = "5a9d0b5e-0000-4000-8000-000000000525"
S2S_INSTALL_ID: Final = "sandbox-installation"

# Settings with a value of their own below, or that Bicep sets for another kind of Outreach credentials only.
_NOT_PLAIN: Final = frozenset(
    {"AzureWebJobsStorage", "AZURE_CLIENT_ID", "OUTREACH_CLIENT_ID", "OUTREACH_S2S_GUID", "OUTREACH_S2S_INSTALL_ID"}
)
_NOT_INSTRUMENTED: Final = "azure_sdk,django,fastapi,flask,httpx,httpx2,psycopg2,requests,urllib,urllib3"
# The exporter tells Microsoft about itself, and asks it for orders, unless it is told not to.
_NOTHING_LEAVES_THE_MACHINE: Final = {
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
}
# What the Python worker 4.34 calls the two settings of the platform that switch telemetry on; later ones, and Azure's,
# know the names in Bicep (https://github.com/Azure/azure-functions-python-worker/pull/1621).
_OLDER_NAMES: Final = {
    "PYTHON_ENABLE_OPENTELEMETRY": "true",
    "PYTHON_AZURE_MONITOR_LOGGER_NAME": "outreach_dynamics",
}


class Deployment:
    """What is there beside the app, its storage and its two services: an identity, and Application Insights."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        """`environment`: all of that of the two stand-ins."""
        self.certificates = Certificates.make(logs / "certificates", [DATAVERSE_NAME])
        self.identity = self._part("identity", logs, environment)
        self.insights = self._part("insights", logs, environment)

    def _part(self, name: str, logs: Path, environment: Mapping[str, str]) -> Service:
        program = OwnProgram("identity" if name == "identity" else "insights", certificates=self.certificates)
        return Service(program, log=logs / f"{name}.log", environment=environment)

    def start(self, outreach: Service) -> None:
        """Start both, and let Outreach know the app's S2S key."""
        self.identity.start()
        self.insights.start()
        public = self.certificates.private_key().public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        app = {"install_id": S2S_INSTALL_ID, "guid": S2S_GUID, "public_key": pem}
        httpx.post(f"{outreach.url}/__sandbox/s2s", json=app).raise_for_status()

    def stop(self) -> None:
        """Stop both."""
        self.insights.stop()
        self.identity.stop()

    def settings(self, *, storage: Mapping[str, str], dataverse: Service) -> dict[str, str]:
        """What the site has but the webhook's secret. `storage`: the address of each of its services."""
        insights = f"https://127.0.0.1:{self.insights.tls_port}/"
        key = self.certificates.private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {
            **{one.name: one.default or "" for one in SETTINGS if not one.secret and one.name not in _NOT_PLAIN},
            **{f"AzureWebJobsStorage__{service}ServiceUri": uri for service, uri in storage.items()},
            "AzureWebJobsStorage__credential": "managedidentity",
            "AzureWebJobsStorage__clientId": CLIENT_ID,
            "AZURE_CLIENT_ID": CLIENT_ID,
            "AzureWebJobsDisableHomepage": "true",
            "APPLICATIONINSIGHTS_CONNECTION_STRING": (
                f"InstrumentationKey={INSTRUMENTATION_KEY};IngestionEndpoint={insights};LiveEndpoint={insights}"
            ),
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": f"ClientId={CLIENT_ID};Authorization=AAD",
            "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true",
            "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME": "outreach_dynamics",
            "OTEL_TRACES_SAMPLER": "microsoft.fixed_percentage",
            "OTEL_TRACES_SAMPLER_ARG": "1.0",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": _NOT_INSTRUMENTED,
            "DATAVERSE_URL": f"https://{DATAVERSE_NAME}:{dataverse.tls_port}",
            "OUTREACH_S2S_GUID": S2S_GUID,
            "OUTREACH_S2S_INSTALL_ID": S2S_INSTALL_ID,
            "OUTREACH_S2S_PRIVATE_KEY": key.decode(),
            "SYNC_TOKEN_KEY": base64.b64encode(secrets.token_bytes(TOKEN_KEY_BYTES)).decode(),
        }

    def platform(self) -> dict[str, str]:
        """What Azure itself adds to the app's environment, and what keeps the app on this machine."""
        return {
            "IDENTITY_ENDPOINT": f"{self.identity.url}{TOKEN_PATH}",
            "IDENTITY_HEADER": HEADER,
            "SSL_CERT_FILE": str(self.certificates.authority),
            # The telemetry exporter sends with requests, which looks for its authorities here.
            "REQUESTS_CA_BUNDLE": str(self.certificates.authority),
            "PYTHONPATH": str(ROOT / "sandbox" / "names"),
            "SANDBOX_NAMES": DATAVERSE_NAME,
            **_NOTHING_LEAVES_THE_MACHINE,
            **_OLDER_NAMES,
        }
