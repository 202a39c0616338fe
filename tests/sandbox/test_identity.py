"""What an app with an identity finds on a laptop: tokens, who checks them, storage behind TLS, and a name."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from sandbox.azurite import ACCOUNT, ROOT, Azurite
from sandbox.certificates import Certificates
from sandbox.identity import CLIENT_ID, HEADER, TENANT_ID, TOKEN_PATH, create_app
from sandbox.identity.checking import is_accepted
from tests.product.bench import served

STORAGE = "https://storage.azure.com"
NAME = "made-up.crm.dynamics.com"
# Azurite's tables take no other way to say JSON.
ACCEPT = "application/json;odata=nometadata"
RIGHT = {"api-version": "2019-08-01", "resource": STORAGE, "client_id": CLIENT_ID}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"), [NAME])


@pytest.fixture(scope="module")
def key(certificates: Certificates) -> RSAPrivateKey:
    return certificates.private_key()


@pytest.fixture
async def endpoint(key: RSAPrivateKey) -> AsyncIterator[httpx.AsyncClient]:
    async with served(create_app(key)) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


async def ask(endpoint: httpx.AsyncClient, header: str = HEADER, **changes: str) -> httpx.Response:
    return await endpoint.get(TOKEN_PATH, params=RIGHT | changes, headers={"X-IDENTITY-HEADER": header})


async def test_it_answers_as_app_service_does(endpoint: httpx.AsyncClient, key: RSAPrivateKey) -> None:
    """The members that are documented, and a token for the resource that was asked for, of this tenant and identity."""
    given = (await ask(endpoint)).json()
    assert (given["token_type"], given["resource"], given["client_id"]) == ("Bearer", STORAGE, CLIENT_ID)
    claims = jwt.decode(given["access_token"], key.public_key(), algorithms=["RS256"], audience=STORAGE)
    assert (claims["tid"], claims["appid"], str(claims["exp"])) == (TENANT_ID, CLIENT_ID, given["expires_on"])


@pytest.mark.parametrize(
    ("header", "changes", "status"),
    [
        ("another", {}, 401),
        ("", {}, 401),
        (HEADER, {"client_id": "00000000-0000-4000-8000-000000000000"}, 400),
        (HEADER, {"client_id": ""}, 400),
        (HEADER, {"resource": ""}, 400),
        (HEADER, {"api-version": "2017-09-01"}, 400),
    ],
)
async def test_nobody_else_gets_a_token(
    endpoint: httpx.AsyncClient, header: str, changes: dict[str, str], status: int
) -> None:
    """Only this app, for its one identity, in the version of the protocol that is served."""
    assert (await ask(endpoint, header, **changes)).status_code == status
    assert (await endpoint.get("/__sandbox/counters")).json()["given"] == {}


@pytest.mark.parametrize("status", [500, 429])
async def test_it_fails_when_it_is_told_to(endpoint: httpx.AsyncClient, status: int) -> None:
    """Until it is told to stop, or the seconds are over; what it refused is counted."""
    await endpoint.post("/__sandbox/faults", json={"status": status, "seconds": 600})
    assert (await ask(endpoint)).status_code == status
    await endpoint.post("/__sandbox/faults", json={})
    assert (await ask(endpoint)).status_code == 200
    assert (await endpoint.get("/__sandbox/counters")).json() == {"given": {STORAGE: 1}, "refused": 1}


async def test_it_gives_tokens_that_end_soon(endpoint: httpx.AsyncClient) -> None:
    """As soon as it is told to; a wrong word to a lever is told too."""
    await endpoint.post("/__sandbox/tokens", json={"seconds": 100})
    assert int((await ask(endpoint)).json()["expires_on"]) <= time.time() + 100
    assert (await endpoint.post("/__sandbox/tokens", json={"minutes": 1})).status_code == 400


def token(key: RSAPrivateKey, **changes: Any) -> str:
    """Times are seconds from now."""
    now = int(time.time())
    issuer = f"https://sts.windows.net/{TENANT_ID}/"
    claims = {"aud": STORAGE, "iss": issuer, "iat": -10, "nbf": -10, "exp": 600, **changes}
    told = {
        name: now + value if isinstance(value, int) else value for name, value in claims.items() if value is not None
    }
    return jwt.encode(told, key, algorithm="RS256")


@pytest.mark.parametrize("audience", [STORAGE, f"{STORAGE}/"])
def test_a_token_is_accepted_for_its_audience(key: RSAPrivateKey, audience: str) -> None:
    """With a slash at its end or without."""
    assert is_accepted(f"Bearer {token(key, aud=audience)}", audience=STORAGE, key=key.public_key())


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.crm.dynamics.com"},
        {"iss": "https://sts.windows.net/another-tenant/"},
        {"exp": -1},
        {"nbf": 600},
        {"aud": None},
        {"exp": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_wrong_token_is_refused(key: RSAPrivateKey, changes: dict[str, Any]) -> None:
    """Another audience or tenant, one that has ended or not begun, and one that says neither."""
    assert not is_accepted(f"Bearer {token(key, **changes)}", audience=STORAGE, key=key.public_key())


def test_a_token_signed_by_somebody_else_is_refused(key: RSAPrivateKey, tmp_path: Path) -> None:
    """So is what is no token, and none."""
    other = Certificates.make(tmp_path, [NAME]).private_key()
    for header in (f"Bearer {token(other)}", "Bearer nonsense", f"Basic {token(key)}", "", None):
        assert not is_accepted(header, audience=STORAGE, key=key.public_key())


def test_storage_takes_an_identitys_token_behind_tls(certificates: Certificates, key: RSAPrivateKey) -> None:
    """Azurite itself looks at audience, issuer and times; without a token nobody gets in."""
    with (
        Azurite(persistence="memory", certificates=certificates) as azurite,
        httpx.Client(verify=certificates.client_context()) as client,
    ):
        for service, uri in azurite.service_uris.items():
            assert uri.startswith("https://127.0.0.1:")
            path = f"{uri}/Tables" if service == "table" else f"{uri}?comp=list"

            def status(header: str, path: str = path) -> int:
                headers = {"Authorization": header, "x-ms-version": "2026-06-06", "Accept": ACCEPT}
                return client.get(path, headers=headers).status_code

            assert status(f"Bearer {token(key)}") == 200
            for changes in ({"aud": "https://vault.azure.net"}, {"iss": "https://example.com/"}, {"exp": -1}):
                assert status(f"Bearer {token(key, **changes)}") == 403
            assert client.get(f"{uri}/{ACCOUNT}").status_code >= 400


def test_one_process_finds_a_name(certificates: Certificates) -> None:
    """With the folder on its path and the name in its environment; every other name is looked up as ever."""
    code = f"""
import socket
print(socket.getaddrinfo({NAME!r}, 443)[0][4][0], socket.getaddrinfo("127.0.0.2", 443)[0][4][0])
"""
    names = {"PYTHONPATH": str(ROOT / "sandbox" / "names"), "SANDBOX_NAMES": NAME}
    environment = {**os.environ, **names, "SSL_CERT_FILE": str(certificates.authority)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - our own program
    assert done.stdout.split() == ["127.0.0.1", "127.0.0.2"]
