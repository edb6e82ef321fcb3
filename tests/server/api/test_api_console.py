"""The console's files and pages: small, self-contained, nothing inline, names escaped."""

import gzip
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typing_extensions import override

import homeostat.server.console
from homeostat.testing.story import story

HERE = Path(homeostat.server.console.__file__).parent
STATIC = HERE / "static"
OURS = sorted([*STATIC.glob("*.js"), *STATIC.glob("*.css"), *(HERE / "templates").glob("*.html")])

XSS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "{{constructor.constructor('alert(1)')()}}",
    "</title><svg/onload=alert(1)>",
    "javascript:alert(1)",
]


class Markup(HTMLParser):
    """Collects what a page loads, and what it must not contain."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self._script = False

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.bad += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.bad.append(f"inline {tag}")
        self.loads += [given[n] or "" for n in ("src", "href", "action", "srcset") if n in given]
        if "id" in given:
            self.ids.append(given["id"] or "")
        self._script = tag == "script"

    @override
    def handle_endtag(self, tag: str) -> None:
        self._script = False

    @override
    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.bad.append("script text")


@pytest.mark.parametrize("path", ["/", "/d/credit", "/d/nobody"])
def test_pages_have_nothing_inline_and_load_only_from_here(client: TestClient, path: str) -> None:
    page = Markup()
    page.feed(client.get(path).text)
    assert page.bad == []
    assert all(re.match(r"^(/(?!/)|#main$)", load) for load in page.loads), page.loads
    assert len(page.ids) == len(set(page.ids))
    for load in page.loads:
        if load.startswith("/static/"):
            assert client.get(load).status_code == 200, load


@pytest.mark.parametrize("name", XSS)
def test_a_name_is_text_wherever_a_page_shows_it(bench: Any, client: TestClient, name: str) -> None:
    plain = Markup()
    plain.feed(client.get("/").text)
    for beat in story(bench.now, name=name, ticks=30):
        for item in beat.items:
            bench.view.observe(name, item)
    for url in ("/", "/d/nobody"):
        page = Markup()
        page.feed(client.get(url).text)
        assert page.bad == []
        assert not {"svg/onload=alert(1)", "img"} & set(page.tags)
        assert all(load.startswith(("/", "#main")) for load in page.loads)


def test_everything_together_stays_small() -> None:
    files = [p for p in (*OURS, *STATIC.rglob("*")) if p.is_file() and p.suffix != ".md"]
    total = sum(len(gzip.compress(path.read_bytes())) for path in set(files))
    assert total <= 150_000


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_files_use_nothing_that_turns_text_into_code_or_leaves_this_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    banned = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
        r"|\beval\(|new Function|setTimeout\(\s*[\"'`]|\.cookie\b|@import|url\("
    )
    shown = re.sub(r"//.*", "", text) if path.suffix == ".js" else text
    assert not re.findall(banned, shown)
    hosts = set(re.findall(r"https?://[^\s\"'`)<]+", text))
    assert hosts <= {"http://www.w3.org/2000/svg"}


def test_vendored_files_are_the_ones_that_were_noted() -> None:
    table = (STATIC / "vendor" / "README.md").read_text(encoding="utf-8")
    noted = dict(re.findall(r"\| `([^`]+)` \|.*`([0-9a-f]{64})` \|", table))
    vendor = STATIC / "vendor"
    there = {p.name for p in vendor.iterdir()} - {"README.md", "uPlot.LICENSE"}
    assert set(noted) == there
    for name, digest in noted.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest


def test_static_files_are_revalidated_and_not_sent_twice(client: TestClient) -> None:
    first = client.get("/static/console.css")
    again = client.get("/static/console.css", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["content-security-policy"]
