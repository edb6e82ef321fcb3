"""Approvals, explanation, policy and audit in a real browser: for everybody who may."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homeostat.base.events import Approval
from homeostat.base.types import TimeNs
from homeostat.server.people import DAY_NS, Role, add
from homeostat.server.people_file import editing

pytestmark = pytest.mark.browser

PAGES = ("/approvals", "/d/credit/d-0001", "/policy", "/audit")


def findings(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    return [
        f"{v['id']}: {node['html'][:160]}"
        for v in axe.Axe().run(page).response["violations"]
        if v["impact"] in {"serious", "critical"}
        for node in v["nodes"]
    ]


@pytest.mark.slow
def test_the_pages_are_for_everybody(open_page: Callable[..., Any]) -> None:
    for path in PAGES:
        for width, scheme in ((360, "dark"), (1280, "light")):
            page = open_page(path, color_scheme=scheme, viewport={"width": width, "height": 800})
            page.wait_for_timeout(300)
            assert findings(page) == [], (path, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)


@pytest.mark.slow
def test_a_person_signs_in_reads_and_answers_under_their_own_name(
    site: Any, open_page: Callable[..., Any], until: Callable[..., None], tmp_path: Path
) -> None:
    now = TimeNs(site.clock())
    roster, token = add((), name="ada", role=Role.APPROVER, now=now, lasts_ns=DAY_NS, by="a test")
    with editing(tmp_path / "people.json") as write:
        write(roster)  # from now on reading needs a token
    page = open_page("/approvals", live=False)
    page.wait_for_selector("#token-dialog[open]")
    assert page.locator(".card").count() == 0  # nothing is shown to whoever has no token
    page.fill("#token-dialog [name=token]", token)
    page.press("#token-dialog [name=token]", "Enter")
    page.wait_for_selector('#link[data-state="live"]')  # the stream, too, is read with the token
    open_page.complaints.clear()  # type: ignore[attr-defined]  # the 401 that asked for the token
    card = page.locator("article[data-id=d-0002]")
    assert "What the question rests on" in card.inner_text()
    card.locator("[data-key=reject-d-0002]").click()
    assert "Say why" in card.locator(".error").inner_text()
    card.locator("textarea").fill("load is real; go")
    page.wait_for_timeout(5500)  # it is read anew meanwhile
    assert card.locator("textarea").input_value() == "load is real; go"
    card.locator("[data-key=approve-d-0002]").focus()
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('.card').length === 0")
    (event,) = site.submitted
    assert isinstance(event, Approval)
    assert (event.by, event.principal, event.why) == ("ada", "ada", "load is real; go")
    assert event.evidence_hash == site.state.asked.evidence_hash
    page.goto(site.url + "/")
    page.wait_for_selector('#link[data-state="live"]')  # the tab keeps the token
    assert "credit" in page.locator("#rows").inner_text()
