"""Spans go over TLS to whoever has a certificate that is trusted, for the name that was written."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from homeostat.adapters.traces.otlp import Otlp, OtlpSettings
from homeostat.base.errors import TracesError
from homeostat.base.spans import Span
from homeostat.base.types import TimeNs

NAME = "collector.example"
SPAN = Span(name="homeostat.act", trace=1, id=1, parent=None, start=TimeNs(0), end=TimeNs(1))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

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
async def served(cert: Path, key: Path, heard: list[bytes]) -> AsyncIterator[int]:
    """Take one request over TLS with this certificate, and keep its head."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(OK)
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


async def sent(port: int, ca_file: Path | None, token_file: Path) -> int:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    url = f"https://{NAME}:{port}/v1/traces"
    settings = OtlpSettings(url=url, ca_file=ca_file, token_file=token_file, timeout_s=30.0)
    to = Otlp(settings, version="1", instance="a", resolve=resolve)
    try:
        return await to.send([SPAN])
    finally:
        await to.close()


async def test_a_token_leaves_only_to_who_has_the_right_certificate(tmp_path: Path) -> None:
    right, key = certificate(tmp_path / "right", NAME)
    wrong, wrong_key = certificate(tmp_path / "wrong", "other.example")
    token = tmp_path / "token"
    token.write_text("a-token-of-ours", encoding="utf-8")
    heard: list[bytes] = []
    async with served(right, key, heard) as port:
        assert await sent(port, right, token) == 1
        assert b"authorization: Bearer a-token-of-ours" in heard.pop()
        for trusted in (None, wrong):
            with pytest.raises(TracesError, match=r"(?i)certificate"):
                await sent(port, trusted, token)
    async with served(wrong, wrong_key, heard) as port:
        with pytest.raises(TracesError, match=r"(?i)certificate|hostname"):
            await sent(port, wrong, token)
    assert heard == []
