"""A file of certificates is trusted in place of the system's, for the name that was asked for."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from homeostat.adapters.sources.prometheus_access import Access
from homeostat.adapters.sources.prometheus_answer import QueryError
from homeostat.adapters.sources.prometheus_api import PrometheusApi
from homeostat.testing.hostile import response

EMPTY = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
NAME = "prom.example"

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="no openssl here to make a certificate with"
)


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate that signs itself, and return its file and its key's."""
    folder.mkdir()
    cert, key = folder / "cert.pem", folder / "key.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subprocess.run(
        [*words.split(), "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return cert, key


@asynccontextmanager
async def served(cert: Path, key: Path) -> AsyncIterator[int]:
    """Answer every request over TLS with this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(response(EMPTY, content_type="application/json"))
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def ask(port: int, ca_file: Path | None, times: int = 1) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    access = Access(
        url=f"https://{NAME}:{port}", timeout_s=60.0, attempts=1, ca_file=ca_file, reach="private"
    )
    api = PrometheusApi(access, resolve=resolve)
    try:
        for _ in range(times):
            await api.instant("up")
    finally:
        await api.close()


async def test_a_certificate_is_trusted_by_its_file_and_for_its_name_alone(tmp_path: Path) -> None:
    right, key = certificate(tmp_path / "right", NAME)
    wrong, wrong_key = certificate(tmp_path / "wrong", "other.example")
    async with served(right, key) as port:
        await ask(port, right, times=2)
        for distrust in (None, wrong):
            with pytest.raises(QueryError, match="certificate verify failed"):
                await ask(port, distrust)
    async with served(wrong, wrong_key) as port:
        with pytest.raises(QueryError, match="certificate verify failed"):
            await ask(port, wrong)


async def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    """Certificates are rotated under a controller that runs for months."""
    first, _ = certificate(tmp_path / "first", NAME)
    second, key = certificate(tmp_path / "second", NAME)
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(first.read_bytes())

    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    async with served(second, key) as port:
        access = Access(url=f"https://{NAME}:{port}", timeout_s=60.0, attempts=1, ca_file=trusted)
        api = PrometheusApi(access, resolve=resolve)
        with pytest.raises(QueryError, match="certificate verify failed"):
            await api.instant("up")
        trusted.write_bytes(second.read_bytes() + b"\n")
        await api.instant("up")
        await api.close()
