"""Error budgets and bills outlive the process that counted them, and replay bit for bit."""

from dataclasses import replace

from runtime_harness import SCRAPE_NS, Stage, plan, stage

from homeostat.base.budgets import Accounts, MoneyPolicy, Price, SloSpec
from homeostat.base.units import HOUR
from homeostat.govern.burn import window
from homeostat.govern.money import spent
from homeostat.server.restore import replay

SLO = SloSpec(
    name="errors", signal="errors", subject="gateway", target_ppm=990_000,
    window_ns=30 * 24 * HOUR,
)  # fmt: skip
MONEY = MoneyPolicy(prices=(Price(pool="", milli=2_100),), day_milli=10**9)


async def begun(ready: Stage) -> Stage:
    await ready.runtime.start()
    await ready.runtime.settle()
    return ready


def books(ready: Stage) -> Accounts:
    accounts = ready.runtime.states["m"].accounts
    assert accounts is not None
    assert accounts.ledger is not None
    return accounts


async def test_a_restart_forgets_no_count_and_makes_none_up() -> None:
    first = await begun(stage("m", slos=(SLO,), money=MONEY))
    await first.cycles(23)
    before = books(first)
    again = stage("m", slos=(SLO,), money=MONEY, journal=first.journal)
    again.clock.advance(first.clock.now() - again.clock.now())
    await begun(again)
    assert books(again) == before
    again.clock.advance(600 * SCRAPE_NS)  # nobody looked
    await again.cycles(1)
    after = books(again)
    now, of_ns = again.clock.now(), 1000 * SCRAPE_NS
    was, found = (window(one.slos[0], of_ns, now) for one in (before, after))
    assert 0 < was.seen_ns <= 23 * SCRAPE_NS
    assert found.seen_ns <= was.seen_ns + 5 * SCRAPE_NS
    assert after.ledger is not None
    assert before.ledger is not None
    assert spent(after.ledger) > spent(before.ledger)  # what ran meanwhile is paid for
    assert after.ledger.days[-1].assumed_ms > 0


async def test_what_was_counted_replays_bit_for_bit() -> None:
    ready = await begun(stage("m", slos=(SLO,), money=MONEY))
    ready.faulty.add("m")
    await ready.cycles(40)
    managed = replace(plan("m"), slos=(SLO,), money=MONEY)
    answers = list(replay(ready.journal, ready.runtime.shell.parts, managed))
    assert len(answers) > 40
    assert [mismatch for *_, mismatch in answers if mismatch is not None] == []
