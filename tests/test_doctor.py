"""The doctor: what each kind of trouble looks like in its report, what it says to mend, and that it changes nothing."""

from __future__ import annotations

import fcntl
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harvester.api.restrictions import RestrictionFile, SavedLimits, SavedPolicy
from harvester.clock import VirtualClock, virtual_time
from harvester.commands.doctor import report_unusable_settings, run_doctor
from harvester.feeds.currency_exchange import DAY, start_of_hour
from harvester.model import Page, Queue, Rule, SpooledPage, Triplet
from harvester.settings import SettingsError, load_settings
from harvester.simulator.api import SimulatedApi, demo_settings
from harvester.simulator.exchange import CurrencyExchange
from harvester.simulator.exchange_endpoint import ExchangeEndpoint
from harvester.simulator.faults import Faults, Override, ScriptedFaults, answer, edge
from harvester.simulator.river import River
from harvester.simulator.transport import SimulatorTransport
from harvester.store.cursor_file import CursorFile
from harvester.store.engine import Engine
from harvester.store.lease import Lease
from harvester.store.spool import Spool
from tests.cli_bench import Home, simulated_api
from tests.store_bench import item, open_bench, page_of, stash

PC = Queue("psapi", "pc")
SECRET = "s3cret-that-nobody-may-see"
GIB = 1 << 30


@dataclass
class FakeDisk:
    """A disk with as much room as a test says."""

    free: int = 100 * GIB
    seconds: float = 0.01
    locks: bool = True
    refuses: Exception | None = None

    def free_bytes(self, directory: Path) -> int:
        return self.free

    def sync_seconds(self, directory: Path) -> float:
        if self.refuses:
            raise self.refuses
        return self.seconds

    def can_lock(self, directory: Path) -> bool:
        return self.locks


@dataclass
class Practice:
    """A doctor, the machine it looks at, and the API that it asks."""

    engine: Engine
    directory: Path
    secret: str = SECRET
    skew: float = 0.0
    faults: Faults | None = None
    disk: FakeDisk = field(default_factory=FakeDisk)
    environ: dict[str, str] = field(default_factory=dict)
    clock: VirtualClock = field(default_factory=VirtualClock)
    said: str = ""

    def examine(self) -> tuple[int, dict[str, list[dict[str, Any]]]]:
        """The exit code, and the findings by check."""
        code, out, err = self.run(as_json=True)
        self.said = out + err
        report = json.loads(out)
        assert report["exit_code"] == code
        by_check: dict[str, list[dict[str, Any]]] = {}
        for finding in report["checks"]:
            by_check.setdefault(finding["check"], []).append(finding)
            assert finding["verdict"] in ("ok", "note") or finding["todo"], "nothing is said about mending it"
        assert SECRET not in self.said
        return code, by_check

    def run(self, *, as_json: bool = False) -> tuple[int, str, str]:
        self.api = SimulatedApi(
            self.clock,
            River(1, "pc", self.clock.now(), pages=3),
            client_secret=SECRET,
            date_skew=self.skew,
            faults=self.faults,
            endpoints=[ExchangeEndpoint([CurrencyExchange(1, "pc", oldest=start_of_hour(self.clock.now()) - DAY)])],
        )
        environ = {
            **demo_settings("https://api.example"),
            "POE_OAUTH_CLIENT_SECRET": self.secret,
            "POE_FEEDS": "psapi",
            "POE_CLICKHOUSE_URL": self.engine.url,
            "POE_CLICKHOUSE_DATABASE": self.engine.database,
            "POE_CURSOR_DIR": str(self.directory / "cursors"),
            **self.environ,
        }
        out, err = io.StringIO(), io.StringIO()
        code = run_doctor(
            load_settings(environ, None),
            json=as_json,
            out=out,
            err=err,
            transport=lambda: SimulatorTransport(self.api),
            clock=self.clock,
            disk=self.disk,
            run_async=lambda main: virtual_time(main, self.clock),
        )
        return code, out.getvalue(), err.getvalue()


def verdicts(findings: dict[str, list[dict[str, Any]]]) -> set[str]:
    return {finding["verdict"] for found in findings.values() for finding in found}


@pytest.fixture
def practice(tmp_path: Path) -> Practice:
    """A machine on which nothing was harvested yet, in good health."""
    return Practice(Engine(f"chdb://{tmp_path}/none", "poe_trade"), tmp_path)


@pytest.fixture(scope="module")
def harvested(file_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A store with two committed pages."""
    with file_engine.open() as handle:
        bench = open_bench(handle, file_engine, tmp_path_factory.mktemp("bench"))
        bench.commit(page_of([stash("S", item("a"))]))
        bench.commit(page_of([stash("S", item("a"), item("b"))]))
    return file_engine


@pytest.fixture
def in_use(harvested: Engine, tmp_path: Path) -> Practice:
    """A harvest in good health: two pages committed, the cursor file beside them."""
    CursorFile(tmp_path / "cursors", PC).write("c3", VirtualClock().now())
    return Practice(harvested, tmp_path)


@contextmanager
def altered(engine: Engine, table: str, change: str) -> Iterator[None]:
    """The migration records changed, and put back."""
    with engine.open() as handle:
        handle.run(f"CREATE TABLE kept_{table} AS {table}")
        handle.run(f"INSERT INTO kept_{table} SELECT * FROM {table}")
        try:
            handle.run(f"ALTER TABLE {table} {change}", settings={"mutations_sync": 2})
            yield
        finally:
            handle.run(f"EXCHANGE TABLES {table} AND kept_{table}")
            handle.run(f"DROP TABLE kept_{table} SYNC")


def test_a_healthy_harvest_is_ok_in_every_part(in_use: Practice) -> None:
    code, found = in_use.examine()

    assert code == 0
    assert verdicts(found) == {"ok"}
    assert set(found) == {"settings", "credentials", "clock", "disk", "store", "schema", "limits", "spool", "cursor"}
    of_the_engine = {"data"} if in_use.engine.embedded_directory else set()
    assert {f["found"].split(":")[0] for f in found["disk"]} == {"spool", "cursors", "temporary files"} | of_the_engine
    assert "page 2, next c3" in found["cursor"][0]["found"]
    assert [asked.path for asked in in_use.api.truth.asked] == ["/oauth/token"]
    assert in_use.api.truth.complaints == []


def test_without_a_terminal_each_finding_is_a_line_with_the_cure_below(practice: Practice) -> None:
    practice.disk.free = 0
    code, out, err = practice.run()

    lines = out.splitlines()
    assert code == 1
    assert lines[0].startswith("ok      settings: queues psapi:pc")
    failed = [place for place, line in enumerate(lines) if line.startswith("FAILED  disk: ")]
    assert len(failed) == 4
    assert all(lines[place + 1].startswith("        → ") for place in failed)
    assert "Mend what has failed first." in err


def test_looking_changes_nothing(practice: Practice) -> None:
    before = sorted(practice.directory.rglob("*"))
    practice.examine()
    assert sorted(practice.directory.rglob("*")) == before


def test_a_wrong_secret_is_told_after_one_request_and_never_shown(practice: Practice) -> None:
    practice.secret = "another-secret-word"
    code, found = practice.examine()

    assert code == 2
    assert found["credentials"][0]["verdict"] == "failed"
    assert "POE_OAUTH_CLIENT_SECRET" in found["credentials"][0]["found"]
    assert len(practice.api.truth.asked) == 1
    assert "another-secret-word" not in practice.said
    assert found["clock"][0]["verdict"] == "ok", "a refusal tells the time too"


def test_a_secret_file_that_has_gone_is_a_matter_of_configuration(practice: Practice) -> None:
    file = practice.directory / "secret"
    file.write_text(SECRET)
    practice.environ = {"POE_OAUTH_CLIENT_SECRET": "", "POE_OAUTH_CLIENT_SECRET_FILE": str(file)}
    assert practice.examine()[0] == 0
    file.write_text(f"not {SECRET[:5]}")
    assert practice.examine()[0] == 2


@pytest.mark.parametrize(
    ("faults", "words"),
    [(answer(503, b""), "503"), (edge(403), "edge"), (answer(429, b"", ("Retry-After", "77")), "77 s")],
)
def test_a_token_endpoint_in_trouble_is_no_fault_of_the_settings(practice: Practice, faults: Any, words: str) -> None:
    practice.faults = ScriptedFaults([faults], on="oauth")
    code, found = practice.examine()

    assert code == 1
    assert words in found["credentials"][0]["found"] + found["credentials"][0]["todo"]


def test_no_client_is_a_failure_where_every_feed_needs_one(practice: Practice) -> None:
    practice.environ = {"POE_OAUTH_CLIENT_ID": "", "POE_OAUTH_CLIENT_SECRET": ""}
    code, found = practice.examine()

    assert code == 2
    assert "POE_OAUTH_CLIENT_ID" in found["credentials"][0]["todo"]
    assert practice.api.truth.asked == [], "nobody is asked without credentials"


@pytest.mark.parametrize(
    ("skew", "verdict", "code"), [(3.0, "ok", 0), (-30.0, "warning", 0), (600.0, "failed", 1), (-600.0, "failed", 1)]
)
def test_the_clock_is_held_against_the_server_s_date(practice: Practice, skew: float, verdict: str, code: int) -> None:
    practice.skew = skew
    got, found = practice.examine()

    assert (got, found["clock"][0]["verdict"]) == (code, verdict)
    if verdict != "ok":
        assert ("ahead of" if skew < 0 else "behind") in found["clock"][0]["found"]


@pytest.mark.parametrize(
    ("disk", "check", "verdict"),
    [
        (FakeDisk(free=5 * GIB), "data", "warning"),
        (FakeDisk(free=1000), "spool", "failed"),
        (FakeDisk(refuses=OSError(30, "Read-only file system")), "cursors", "failed"),
        (FakeDisk(refuses=OSError(28, "No space left on device")), "temporary files", "failed"),
        (FakeDisk(locks=False), "spool", "failed"),
        (FakeDisk(seconds=4.0), "data", "warning"),
    ],
)
def test_disks_that_are_full_read_only_slow_or_without_locks(
    practice: Practice, disk: FakeDisk, check: str, verdict: str
) -> None:
    practice.disk = disk
    code, found = practice.examine()

    place = next(finding for finding in found["disk"] if finding["found"].startswith(check))
    assert place["verdict"] == verdict
    assert code == (1 if verdict == "failed" else 0)


def test_the_real_disk_is_tried_and_left_clean(practice: Practice, tmp_path: Path) -> None:
    from harvester.diagnosis.disk import RealDisk

    assert RealDisk().sync_seconds(tmp_path) > 0
    assert RealDisk().can_lock(tmp_path)
    assert RealDisk().free_bytes(tmp_path) > 0
    assert not list(tmp_path.glob(".poe-ledger*"))
    with pytest.raises(OSError, match="No such file"):
        RealDisk().sync_seconds(tmp_path / "none")


def held_by(directory: Path, process: int) -> Engine:
    (directory / "store").mkdir()
    (directory / "store" / "status").write_text(f"PID: {process}\n")
    return Engine(f"chdb://{directory}/store", "poe_trade")


def test_a_store_in_foreign_hands_is_a_failure_that_names_them(tmp_path: Path) -> None:
    practice = Practice(held_by(tmp_path, 1), tmp_path)
    with (tmp_path / "store" / "status").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, found = practice.examine()

    assert code == 1
    assert "process 1" in found["store"][0]["found"]
    assert "ps -fp 1" in found["store"][0]["todo"]


def test_a_store_in_the_hands_of_the_running_harvest_is_as_it_should_be(tmp_path: Path) -> None:
    practice = Practice(held_by(tmp_path, 4711), tmp_path)
    lease = Lease(Spool(tmp_path / "cursors" / "spool", PC).directory, "psapi:pc")
    (tmp_path / "cursors" / "spool" / "psapi_pc" / "lease").write_text("process 4711\n")
    with (tmp_path / "store" / "status").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, found = practice.examine()
    lease.release()

    assert code == 0
    assert "process 4711" in found["store"][0]["found"]
    assert "the running harvest" in found["store"][0]["found"]
    assert "psapi:pc: run by process 4711" in [finding["found"] for finding in found["spool"]]


def test_a_store_that_does_not_exist_yet_is_no_fault_and_is_not_made(tmp_path: Path) -> None:
    practice = Practice(Engine(f"chdb://{tmp_path}/none", "poe_trade"), tmp_path)
    code, found = practice.examine()

    assert code == 0
    assert "the first harvest" in found["store"][0]["found"]
    assert "oldest page" in found["cursor"][0]["found"]
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_is_named_with_the_variable(tmp_path: Path) -> None:
    code, found = Practice(Engine("http://127.0.0.1:9", "poe_trade"), tmp_path).examine()

    assert code == 1
    assert "POE_CLICKHOUSE_URL" in found["store"][0]["todo"]


@pytest.mark.parametrize(("version", "code", "verdict"), [("0005", 0, "warning"), ("0003", 3, "failed")])
def test_a_pending_migration_counts_where_the_harvest_needs_it(
    in_use: Practice, version: str, code: int, verdict: str
) -> None:
    with altered(in_use.engine, "poe_schema_migrations", f"DELETE WHERE version = '{version}'"):
        got, found = in_use.examine()

    assert got == code
    assert {finding["verdict"] for finding in found["schema"]} == {verdict}
    assert "migrate --apply" in found["schema"][0]["todo"]


def test_drift_is_a_fault_of_the_schema(in_use: Practice) -> None:
    edit = "UPDATE token_checksum = 'x', checksum = 'y' WHERE version = '0002'"
    with altered(in_use.engine, "poe_schema_migrations", edit):
        code, found = in_use.examine()

    assert code == 3
    assert "not those of this release" in found["schema"][0]["found"]


def test_limits_and_a_restriction_in_force_are_told_to_the_second(practice: Practice) -> None:
    now = practice.clock.now()
    rules = (Rule("Ip", (Triplet(2, 1, 60),)),)
    file = RestrictionFile(practice.directory / "cursors")
    file.save(SavedLimits({"stash": SavedPolicy(now + 42, 42, rules), "long": SavedPolicy(now + 3000, 3000, rules)}))
    code, found = practice.examine()

    assert code == 0
    by_name = {finding["found"].split(":")[0]: finding for finding in found["limits"]}
    assert "Ip 2:1:60; the API wants no request for another 42 s" in by_name["stash"]["found"]
    assert (by_name["stash"]["verdict"], by_name["long"]["verdict"]) == ("note", "warning")


def test_the_token_endpoint_is_not_asked_while_it_restricts_us(practice: Practice) -> None:
    now = practice.clock.now()
    RestrictionFile(practice.directory / "cursors").save(
        SavedLimits({"token": SavedPolicy(now + 600, 600)}, {"oauth": "token"})
    )
    code, found = practice.examine()

    assert code == 0
    assert practice.api.truth.asked == []
    assert "another 600 s" in found["credentials"][0]["found"]


def test_a_torn_file_of_limits_is_a_warning(practice: Practice) -> None:
    (practice.directory / "cursors").mkdir()
    (practice.directory / "cursors" / "rate-limits.json").write_text("{torn")
    assert practice.examine()[1]["limits"][0]["verdict"] == "warning"


def spool_a_page(directory: Path, seq: int, cursor: str = "c3") -> Path:
    spool = Spool(directory / "cursors" / "spool", PC)
    spool.put(SpooledPage(seq, Page(PC, cursor, "c4", 0.0, b"{}")))
    return spool.directory / f"{seq:012d}.page"


def test_pages_that_wait_are_counted_and_their_cursor_agrees(in_use: Practice) -> None:
    spool_a_page(in_use.directory, 3)
    CursorFile(in_use.directory / "cursors", PC).write("c4", 0.0)
    code, found = in_use.examine()

    assert code == 0
    assert "1 pages wait" in found["spool"][0]["found"]
    assert found["cursor"][0]["verdict"] == "ok"


def test_damaged_and_set_aside_files_are_named(in_use: Practice) -> None:
    page = spool_a_page(in_use.directory, 3)
    page.write_bytes(page.read_bytes()[:-3])
    page.with_name("000000000001.discarded").write_bytes(b"")
    page.with_name("000000000002.foreign").write_bytes(b"")
    code, found = in_use.examine()

    assert code == 0, "a start heals it"
    damaged, aside = found["spool"][0], found["spool"][1]
    assert "000000000003.page" in damaged["found"]
    assert "a start sets damaged files aside" in damaged["found"]
    assert "Start the harvest" in damaged["todo"]
    assert "2 files were set aside: 000000000001.discarded, 000000000002.foreign" in aside["found"]
    assert (damaged["verdict"], aside["verdict"]) == ("warning", "warning")


def test_a_damaged_page_that_the_store_has_begun_with_is_taken_from_there(in_use: Practice) -> None:
    page = spool_a_page(in_use.directory, 2)
    page.write_bytes(page.read_bytes()[:-3])
    with altered(in_use.engine, "bronze_ingest_checkpoints", "DELETE WHERE seq >= 2"):
        code, found = in_use.examine()

    assert (code, found["spool"][0]["verdict"]) == (0, "warning")
    assert "a start takes page 2 from the store" in found["spool"][0]["found"]


def test_a_damaged_first_page_of_an_empty_store_is_a_failure(practice: Practice) -> None:
    page = spool_a_page(practice.directory, 1)
    spool_a_page(practice.directory, 2)
    page.write_bytes(page.read_bytes()[:-3])
    code, found = practice.examine()

    assert (code, found["spool"][0]["verdict"]) == (1, "failed")
    assert "a start stops at it" in found["spool"][0]["found"]
    assert "Move the file out of" in found["spool"][0]["todo"]


def test_a_page_of_another_queue_is_told_for_what_it_is(in_use: Practice) -> None:
    page = spool_a_page(in_use.directory, 3)
    other = Spool(in_use.directory / "cursors" / "spool", Queue("psapi", "xbox"))
    other.put(SpooledPage(3, Page(Queue("psapi", "xbox"), "c3", "c4", 0.0, b"{}")))
    (other.directory / page.name).replace(page)
    code, found = in_use.examine()

    assert (code, found["spool"][0]["verdict"]) == (0, "warning")
    assert "it is a page of psapi:xbox" in found["spool"][0]["found"]
    assert "damaged" not in found["spool"][0]["found"]


def test_a_cursor_file_that_contradicts_the_store_is_told(in_use: Practice) -> None:
    CursorFile(in_use.directory / "cursors", PC).write("9-9-9", 0.0)
    code, found = in_use.examine()

    assert code == 0
    assert found["cursor"][0]["verdict"] == "warning"
    assert "9-9-9" in found["cursor"][0]["found"]


def test_a_damaged_cursor_file_is_a_failure(practice: Practice) -> None:
    (practice.directory / "cursors").mkdir()
    (practice.directory / "cursors" / "psapi_pc.json").write_text("{torn")
    code, found = practice.examine()

    assert (code, found["cursor"][0]["verdict"]) == (1, "failed")


def test_configuration_counts_more_than_schema_and_that_more_than_the_rest(in_use: Practice) -> None:
    in_use.disk.free = 0
    assert in_use.examine()[0] == 1
    with altered(in_use.engine, "poe_schema_migrations", "DELETE WHERE version = '0003'"):
        assert in_use.examine()[0] == 3
        in_use.secret = "wrong"
        assert in_use.examine()[0] == 2


@pytest.mark.parametrize(
    ("fault", "verdict", "code"), [(None, "ok", 0), (answer(503), "failed", 1)], ids=["there", "away"]
)
def test_the_currency_exchange_is_asked_where_it_is_harvested(
    practice: Practice, fault: Override | None, verdict: str, code: int
) -> None:
    practice.environ = {"POE_FEEDS": "cxapi", "POE_OAUTH_CLIENT_ID": "", "POE_OAUTH_CLIENT_SECRET": ""}
    practice.faults = ScriptedFaults([fault], on="currency-exchange") if fault else None
    practice.skew = 20.0
    found_code, found = practice.examine()

    assert (found_code, found["exchange"][0]["verdict"]) == (code, verdict)
    assert len(practice.api.truth.asked) == 1, "one request, and nothing more"
    if code == 0:
        assert found["clock"][0]["verdict"] == "warning", "its Date tells the time where no token does"
    else:
        assert "POE_CX_BASE_URL" in found["exchange"][0]["todo"]


def test_what_cannot_run_is_not_spoken_of_as_if_it_did(practice: Practice) -> None:
    practice.environ = {"POE_FEEDS": "psapi,cxapi", "POE_OAUTH_CLIENT_ID": "", "POE_OAUTH_CLIENT_SECRET": ""}
    _, found = practice.examine()

    assert "queues cxapi:pc (psapi:pc is left out: no OAuth client)" in found["settings"][-1]["found"]
    assert [finding["found"].split(": ")[0] for finding in found["cursor"]] == ["cxapi:pc"]


def test_settings_that_cannot_be_used_are_the_whole_report() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"POE_REALMS": "mars", "POE_LAG_RED_SECONDS": "soon"}, None)
    out, err = io.StringIO(), io.StringIO()
    code = report_unusable_settings(caught.value, json=True, out=out, err=err)

    checks = json.loads(out.getvalue())["checks"]
    assert code == 2
    assert {finding["check"] for finding in checks} == {"settings"}
    assert any("POE_REALMS" in finding["found"] for finding in checks)
    assert all(finding["todo"] for finding in checks)


def test_text_of_strangers_cannot_steer_the_terminal(practice: Practice) -> None:
    CursorFile(practice.directory / "cursors", PC).write("\x1b[31mred", 0.0)
    _, out, err = practice.run()
    assert "\x1b" not in out + err


def test_the_command_over_http(tmp_path: Path) -> None:
    with simulated_api(pages=3) as (api, environ):
        home = Home(tmp_path, environ)
        done = home.run("--headless", "doctor", "--json")
        assert done.code == 0, done.out + done.err
        assert {asked.path for asked in api.truth.asked} == {"/oauth/token"}
    assert not (tmp_path / "cursors").exists()
    bad = home.run("--headless", "doctor", POE_REALMS="mars")
    assert bad.code == 2
    assert bad.out.startswith("FAILED  settings: POE_REALMS")
