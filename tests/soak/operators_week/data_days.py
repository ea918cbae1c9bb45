"""What can be wrong with what comes: rubbish, what the edge says, and silver that lacks records."""

from __future__ import annotations

import subprocess
import sys

from harvester.simulator.faults import Override, edge, wrong_body
from tests.cli_bench import CHECKOUT
from tests.soak.operators_week.day import Day
from tests.soak.operators_week.desk import PATIENCE
from tests.soak.operators_week.runbook import section

_DAMAGE = """import sys
from harvester.store.engine import Engine
with Engine(sys.argv[1], "poe_trade").open() as handle:
    handle.run("ALTER TABLE silver_stashes DELETE WHERE seq = 2 SETTINGS mutations_sync = 1")
"""


def rubbish(day: Day) -> None:
    """A page that is none, twice; records that cannot be read; both are dead letters afterwards."""
    book, switch = section("Rubbish pages, dead letters"), day.market.switch
    day.begin()
    struck: set[str] = set()

    def no_page(cursor: str) -> Override | None:
        """The same rubbish for one cursor as often as it is asked for."""
        struck.add(cursor) if not struck else None
        return wrong_body(b"<html>maintenance</html>") if cursor in struck else None

    day.inject("a page is HTML", lambda: switch.set(no_page))
    day.recognise(book.says("the answer is no page"))
    day.recognise(book.says("is no page, again and again"))
    day.cure(book.says("Nothing to do"))
    day.desk.ask(book.query(), "maintenance")
    broken: set[str] = set()

    def bad_records(cursor: str) -> Override | None:
        """Two records of one page are none."""
        broken.add(cursor) if not broken else None
        return Override("bad records", transform=_two_bad) if cursor in broken else None

    day.inject("two records of a page are none", lambda: switch.set(bad_records))
    day.recognise("2 records of page", book.says("were set aside"))
    day.cure(book.says("the rest of the page is derived, and the bytes are kept"), lambda: switch.set(None))
    day.desk.ask(book.query(), "record")
    day.altered = 1
    day.count()


def _two_bad(body: bytes) -> bytes:
    return body.replace(b'"stashes":[', b'"stashes":[17,"no record",', 1)


def edge_answers(day: Day) -> None:
    """The edge answers in place of the API: it cannot reach it, and it wants a challenge solved."""
    book, switch = section("Edge answers, bans"), day.market.switch
    day.begin()
    day.inject("the edge says 522", lambda: switch.set(edge(522, b"<html>the web server is down</html>")))
    day.recognise(book.says("a page of the edge, not of the API"), "HTTP 522")
    day.cure(book.says("Cure: wait"), lambda: switch.set(None))
    challenged = edge(403, b"<html>Just a moment...</html>", ("cf-mitigated", "challenge"))
    day.inject("the edge wants a challenge solved", lambda: switch.set(challenged))
    day.recognise("HTTP 403: " + book.says("challenge"))
    # Half a minute at least: what the edge refuses counts as well.
    day.cure(book.says("The pauses grow up to half an hour"), lambda: switch.set(None), within=2 * PATIENCE)
    day.count()


def sanity(day: Day) -> None:
    """Silver lacks the records of a page: a check is red until silver is rebuilt."""
    book, rebuild, desk = section("A sanity check is red"), section("Rebuild silver"), day.desk
    day.begin()
    desk.leave()

    def damage() -> None:
        url = f"chdb://{desk.data}/clickhouse"
        subprocess.run([sys.executable, "-c", _DAMAGE, url], cwd=CHECKOUT, check=True)
        desk.open()
        desk.well()
        run_checks()

    def run_checks() -> None:
        book.says("In the app press 3: a runs all")
        desk.press(b"3")
        desk.see("Checks (c)")
        desk.press(b"a")

    day.inject("silver lacks the records of a page", damage)
    desk.until(lambda screen: _verdict(screen) == "red", "a red check")
    day.recognise(book.says("Every record of every page is derived"))
    book.says("silver lacks records | [rebuild silver]")

    def derive() -> None:
        desk.leave()
        done = desk.shell(rebuild.command("poe-ledger --headless rebuild silver"))
        assert done.code == 0, done
        desk.open()
        desk.well()
        run_checks()
        desk.keep("rebuilt", desk.until(lambda screen: _verdict(screen) == "green", "a green check"))

    day.cure(rebuild.says("poe-ledger --headless rebuild silver"), derive)
    day.count()


def _verdict(screen: str) -> str:
    line = next((line for line in screen.splitlines() if "Every record of every page is derived" in line), "")
    return next((word for word in ("red", "amber", "green") if f" {word} " in line), "")
