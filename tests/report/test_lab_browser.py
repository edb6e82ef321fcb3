"""The report is for everybody: axe, narrow screens, both schemes, no script, no other host."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeostat.report.lab_html import Film, page
from homeostat.report.lab_results import Results

pytestmark = pytest.mark.browser

CHROMIUM = Path("/usr/bin/chromium")
ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"needs a Chromium at {CHROMIUM} (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="needs the extra [dev]: playwright")
    with api.sync_playwright() as play:
        made = play.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield made
        made.close()


@pytest.fixture(scope="module")
def report(results: Results, films: list[Film], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(page(results, films), encoding="utf-8")
    return file


def findings(opened: Any) -> list[str]:
    """Return axe's serious and critical findings."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    found = axe.Axe().run(opened).response["violations"]
    return [
        f"{v['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for v in found
        if v["impact"] in {"serious", "critical"}
        for node in v["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_serious_and_nothing_sticks_out(
    browser: Any, report: Path, width: int, scheme: str
) -> None:
    opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(report.as_uri())
    for closed in opened.query_selector_all("details:not([open]) > summary"):
        closed.click()
    assert findings(opened) == []
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    assert asked == [report.as_uri()]
    opened.close()


def test_the_judge_is_awake(browser: Any, report: Path) -> None:
    opened = browser.new_page()
    opened.goto(report.as_uri())
    opened.evaluate("document.querySelector('main').prepend(document.createElement('button'))")
    assert any(finding.startswith("button-name") for finding in findings(opened))
    opened.close()


def test_everything_is_there_without_scripts(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(report.as_uri())
    assert opened.locator("table").count() >= 8
    assert opened.locator("svg.strip").first.is_visible()
    context.close()
