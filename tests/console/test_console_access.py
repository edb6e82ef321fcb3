"""The console is for everybody: axe, keyboard, narrow screens, both schemes, words."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from homeostat.base.events import Record
from homeostat.base.units import SECOND

pytestmark = pytest.mark.browser

PATHS = ["/", "/d/credit", "/d/nobody"]


def findings(page: Any) -> list[str]:
    """Return axe's serious and critical findings."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{v['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for v in found
        if v["impact"] in {"serious", "critical"}
        for node in v["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing_serious(
    open_page: Callable[..., Any], path: str, width: int, scheme: str
) -> None:
    page = open_page(path, color_scheme=scheme, viewport={"width": width, "height": 800})
    if path == "/d/nobody":
        open_page.complaints.clear()  # type: ignore[attr-defined]  # the 404 is the point
    page.wait_for_timeout(300)
    assert findings(page) == []


def test_the_judge_is_awake(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.evaluate("document.getElementById('main').prepend(document.createElement('button'))")
    assert any(finding.startswith("button-name") for finding in findings(page))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("dialog", ["#open-freeze", "#open-keys"])
def test_axe_finds_nothing_serious_in_the_dialogs(
    open_page: Callable[..., Any], dialog: str, scheme: str
) -> None:
    page = open_page(color_scheme=scheme)
    page.click(dialog)
    assert findings(page) == []


def test_axe_finds_nothing_serious_in_the_table_of_numbers(open_page: Callable[..., Any]) -> None:
    page = open_page()
    for summary in page.query_selector_all(".chart summary"):
        summary.click()
    assert page.locator(".chart table tbody tr").count() >= 100
    assert findings(page) == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("width", [320, 360, 768, 1024])
def test_nothing_scrolls_sideways(open_page: Callable[..., Any], path: str, width: int) -> None:
    page = open_page(path, viewport={"width": width, "height": 800})
    open_page.complaints.clear()  # type: ignore[attr-defined]  # the 404 of /d/nobody
    page.wait_for_timeout(200)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right >"
        " innerWidth + 1).slice(0, 5).map(e => e.outerHTML.slice(0, 120))"
    )


def focused(page: Any) -> str:
    return str(
        page.evaluate(
            "(() => { const e = document.activeElement; return e.id || e.dataset.key ||"
            " e.dataset.range || e.textContent.trim().slice(0, 40) })()"
        )
    )


def test_every_control_is_reached_by_tab_in_order_and_shows_it(
    open_page: Callable[..., Any],
) -> None:
    page = open_page()
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(focused(page))
        outline = page.evaluate(
            "(() => { const e = document.activeElement; if (e === document.body) return 'body';"
            " const s = getComputedStyle(e); return s.outlineStyle + ' ' + s.outlineWidth })()"
        )
        if outline == "body":
            break
        assert outline.startswith(("solid", "auto")), (seen[-1], outline)
        assert not outline.endswith(" 0px"), (seen[-1], outline)
    wanted = [
        "Skip to content", "Homeostat", "Fleet", "open-keys", "open-freeze",
        "reject-d-0002", "approve-d-0002", "60", "300", "900", "t-d-0002", "t-d-0001", "As JSON",
    ]  # fmt: skip
    places = [seen.index(name) for name in wanted]
    assert places == sorted(places)


def test_the_skip_link_goes_to_the_content(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert focused(page) == "main"


def test_shortcuts_work_are_listed_and_can_be_switched_off(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.keyboard.press("?")
    assert page.is_visible("#keys-dialog")
    listed = page.inner_text("#keys-dialog")
    assert "Kill switch" in listed
    page.keyboard.press("Escape")
    page.wait_for_selector("#keys-dialog", state="hidden")  # a closing dialog still takes keys
    for _ in range(40):  # a dialog that has just closed may still take the focus back
        page.keyboard.press("a")
        if focused(page) == "reject-d-0002":
            break
        page.wait_for_timeout(50)
    assert focused(page) == "reject-d-0002"
    page.keyboard.press("1")
    assert page.get_attribute('[data-range="60"]', "aria-pressed") == "true"
    page.keyboard.press("f")
    assert page.is_visible("#freeze-dialog")
    page.keyboard.press("Escape")
    page.wait_for_selector("#freeze-dialog", state="hidden")
    page.keyboard.press("?")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.wait_for_selector("#keys-dialog", state="hidden")
    page.keyboard.press("f")
    assert not page.is_visible("#freeze-dialog")
    page.reload()
    page.wait_for_selector('#link[data-state="live"]')
    page.keyboard.press("f")
    assert not page.is_visible("#freeze-dialog")


def test_a_letter_typed_into_a_field_is_no_shortcut(open_page: Callable[..., Any]) -> None:
    page = open_page("/")
    page.keyboard.press("/")
    assert focused(page) == "filter"
    page.keyboard.type("f")
    assert not page.is_visible("#freeze-dialog")
    assert page.input_value("#filter") == "f"


def test_each_chart_is_also_said_in_words_and_numbers(open_page: Callable[..., Any]) -> None:
    page = open_page()
    charts = page.query_selector_all(".chart")
    assert len(charts) == 8
    for chart in charts:
        label = chart.query_selector('[role="img"]').get_attribute("aria-labelledby")
        words = page.inner_text(f"#{label}")
        assert len(words) > 15, words
    p95 = page.inner_text("#cap-latency_p95_ms")
    assert p95.startswith("anomalous, 1")
    assert "expected 52 to 70 ms" in p95


def test_a_new_decision_is_announced_politely(
    until: Callable[..., None], site: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    assert page.get_attribute("#say", "aria-live") == "polite"
    record = site.call(lambda: site.view.deployment("credit").decisions.get("d-0002"))
    site.call(lambda: site.view.command(_fresh(record, site.clock(), 7)))
    until(page, "document.getElementById('say').textContent.includes('d-0007')")


def test_reduced_motion_is_respected(open_page: Callable[..., Any]) -> None:
    page = open_page(reduced_motion="reduce")
    page.evaluate("document.querySelector('.card').classList.add('flash')")
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.card')).animationName") == "none"
    )


def _fresh(record: Any, now: int, number: int) -> Any:
    asked = replace(record.decision, expires_at=now + 300 * SECOND)
    return Record(fact=replace(record, id=f"d-{number:04d}", at=now, decision=asked))
