"""The guard before the spool: one salt for all, never a silent new one, and nothing on disk before it."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zstandard

from harvester.clock import VirtualClock
from harvester.files import create_durably
from harvester.model import Page, Queue, SpooledPage
from harvester.offload import InPlace
from harvester.queue_store import ClickHouseQueueStore
from harvester.store.cursor_file import CursorFile
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.layer_registry import make_layers
from harvester.store.name_guard import guard_for, hashed_name
from harvester.store.name_salt import SaltFile, SaltUnusable
from harvester.store.queue_lease import LEASE_TABLE
from harvester.store.spool import Spool
from harvester.store.sql_script import split
from tests.schema_template import migrate
from tests.store_bench import START, TABLES, item, page_of, stash

NAME = "Zwiebel#0815"
BODY = page_of([stash("a", item("1"), accountName=NAME, lastCharacterName=NAME), stash("b", accountName=None)])


class PulledPlug(BaseException):
    """The process dies here."""


class Harvest:
    """The store of one queue as the supervisor puts it together; `restart` makes it anew."""

    def __init__(self, engine: Engine, directory: Path, realm: str = "pc") -> None:
        self.engine = engine
        self.directory = directory
        self.queue = Queue("psapi", realm)
        self.warnings: list[str] = []
        self.next_seq = 1
        self.crash_at = ""

    def _crash_point(self, step: str) -> None:
        if step == self.crash_at:
            raise PulledPlug(step)

    def start(self, account_names: str) -> None:
        with self.engine.open() as handle:  # on a server, the lease of a harvester that died would be waited for
            handle.run(f"TRUNCATE TABLE IF EXISTS {LEASE_TABLE}")
        cursors = self.directory / "cursors"
        names = guard_for(self.queue, account_names, cursors, self.warnings.append)
        self.spool = Spool(cursors / "spool", self.queue)
        self.store = ClickHouseQueueStore(
            self.engine,
            self.queue,
            lambda handle, crash_point: make_layers(self.queue, handle, (), crash_point, names=names),
            self.spool,
            CursorFile(cursors, self.queue),
            VirtualClock(),
            spool_thread=InPlace(),
            store_thread=InPlace(),
            warn=self.warnings.append,
            names=names,
            crash_point=self._crash_point,
        )
        self.next_seq = asyncio.run(self.store.open()).standing.next_seq

    @property
    def salt_file(self) -> SaltFile:
        return SaltFile(self.directory / "cursors")

    def put(self, body: bytes = BODY, rejected: str = "") -> None:
        page = Page(self.queue, f"c{self.next_seq}", f"c{self.next_seq + 1}", START, body, rejected=rejected)
        asyncio.run(self.store.put(SpooledPage(self.next_seq, page)))
        self.next_seq += 1

    def commit(self) -> None:
        for seq in self.spool.sequences:
            asyncio.run(self.store.commit(seq))

    def on_disk(self) -> bytes:
        """What the files of the spool hold, unpacked."""
        return b"".join(
            zstandard.ZstdDecompressor().decompress(path.read_bytes().split(b"\n", 3)[3])
            for path in self.spool.directory.glob("*.page")
        )

    def stop(self) -> None:
        asyncio.run(self.store.close())


@pytest.fixture(scope="module")
def migrated(file_engine: Engine) -> Engine:
    """One migrated database for all tests here."""
    migrate(file_engine)
    return file_engine


@pytest.fixture
def handle(migrated: Engine) -> Iterator[Handle]:
    """A handle on the database, without a row of an earlier test."""
    with migrated.open() as handle:
        for table in TABLES:
            handle.run(f"TRUNCATE TABLE {table}")
        yield handle


@pytest.fixture
def harvest(handle: Handle, migrated: Engine, tmp_path: Path) -> Harvest:
    del handle  # empties the tables
    return Harvest(migrated, tmp_path)


def accounts(handle: Handle) -> list[Any]:
    return handle.rows("SELECT realm, stash_id, account FROM v_stashes_current ORDER BY realm, stash_id")


def treatments(handle: Handle) -> list[str]:
    return [row[0] for row in handle.rows("SELECT account_names FROM raw_public_stash_pages ORDER BY realm, seq")]


def test_nothing_but_a_pseudonym_reaches_the_disk_the_same_in_every_realm_and_after_a_restart(
    harvest: Harvest, handle: Handle, tmp_path: Path
) -> None:
    harvest.start("hash")
    harvest.put()
    assert NAME.encode() not in harvest.on_disk()
    harvest.commit()
    harvest.stop()
    again = Harvest(harvest.engine, tmp_path)
    console = Harvest(harvest.engine, tmp_path, "xbox")
    for other in (again, console):
        other.start("hash")
        other.put()
        other.commit()
        other.stop()

    salt = harvest.salt_file.read()
    assert salt is not None
    pseudonym = hashed_name(salt, NAME)
    assert len(pseudonym) == 21
    assert accounts(handle) == [
        ("pc", "a", pseudonym), ("pc", "b", ""), ("xbox", "a", pseudonym), ("xbox", "b", "")
    ]  # fmt: skip
    assert len(set(treatments(handle))) == 1
    assert len(treatments(handle)) == 3
    assert treatments(handle)[0].startswith("hash:")
    body = handle.value("SELECT body FROM raw_public_stash_pages WHERE realm = 'pc' AND seq = 2")
    assert body == BODY.decode().replace(NAME, pseudonym)
    assert harvest.warnings + again.warnings + console.warnings == []
    assert stat.S_IMODE(harvest.salt_file.path.stat().st_mode) == 0o600


def test_dropped_names_leave_nothing_and_need_no_salt(harvest: Harvest, handle: Handle) -> None:
    harvest.start("drop")
    harvest.put()
    assert NAME.encode() not in harvest.on_disk()
    harvest.commit()
    harvest.stop()

    assert accounts(handle) == [("pc", "a", ""), ("pc", "b", "")]
    assert treatments(handle) == ["drop"]
    assert handle.value("SELECT body_sha256 = lower(hex(SHA256(body))) FROM raw_public_stash_pages") == 1
    assert not harvest.salt_file.path.exists()


def test_kept_names_are_byte_for_byte(harvest: Harvest, handle: Handle) -> None:
    harvest.start("keep")
    harvest.put()
    assert harvest.on_disk() == BODY
    harvest.commit()
    harvest.stop()

    assert accounts(handle)[0] == ("pc", "a", NAME)
    assert treatments(handle) == ["keep"]


@pytest.mark.parametrize(
    "broken", [b"<html>" + NAME.encode(), BODY[:-30], page_of([])[:-2] + b'{"accountName":"Zwiebel#0815"']
)
def test_of_a_body_that_is_no_page_only_a_description_is_kept(harvest: Harvest, handle: Handle, broken: bytes) -> None:
    harvest.start("hash")
    harvest.put(broken, rejected="JSON is malformed")
    assert NAME.encode() not in harvest.on_disk()
    harvest.commit()
    harvest.stop()

    body, reason = handle.rows("SELECT body, reason FROM bronze_dead_letters WHERE kind = 'page'")[0]
    assert reason == "JSON is malformed"
    assert json.loads(body)["withheld"] == "JSON is malformed"
    assert json.loads(body)["bytes"] == len(broken)


def test_of_a_bad_record_only_a_description_is_kept_and_the_others_are_derived(
    harvest: Harvest, handle: Handle
) -> None:
    bad = b'{"id":"x","accountName":"%b","public":tru,"items":[]}' % NAME.encode()
    harvest.start("drop")
    harvest.put(page_of([stash("a", item("1")), bad, stash("b", item("2"))]))
    harvest.commit()
    harvest.stop()

    ((body, position),) = handle.rows("SELECT body, position FROM bronze_dead_letters")
    assert position == 1
    assert "JSON is malformed" in json.loads(body)["withheld"]
    assert accounts(handle) == [("pc", "a", ""), ("pc", "b", "")]


@pytest.mark.parametrize(("before", "after"), [("keep", "hash"), ("keep", "drop"), ("hash", "drop")])
def test_pages_that_wait_in_the_spool_are_treated_as_the_operator_wants_it_now(
    harvest: Harvest, handle: Handle, before: str, after: str
) -> None:
    harvest.start(before)
    harvest.put()
    waiting = harvest.on_disk()
    harvest.stop()
    assert (NAME.encode() in waiting) == (before == "keep")

    harvest.start(after)
    assert NAME.encode() not in harvest.on_disk()
    assert harvest.on_disk() != waiting
    harvest.commit()
    harvest.stop()

    salt = harvest.salt_file.read()
    assert accounts(handle)[0][2] == (hashed_name(salt, NAME) if after == "hash" and salt else "")
    assert treatments(handle)[0].startswith(after)


@pytest.mark.parametrize(
    ("before", "after", "step", "spool_lost"),
    [
        ("keep", "hash", "dead letters", False),
        ("keep", "hash", "listings", True),
        ("keep", "drop", "items", False),
        ("hash", "drop", "stash_state", False),
    ],
)
def test_a_page_that_was_begun_before_the_operator_decided_otherwise_is_begun_anew(
    harvest: Harvest, handle: Handle, before: str, after: str, step: str, spool_lost: bool
) -> None:
    bad = b'{"id":"bad","public":"true","accountName":"%b","items":[]}' % NAME.encode()
    harvest.start(before)
    harvest.put(page_of([bad, stash("a", item("1"), accountName=NAME), stash("b", accountName=None)]))
    harvest.crash_at = step
    with pytest.raises(PulledPlug):
        harvest.commit()
    harvest.crash_at = ""
    harvest.stop()
    if spool_lost:
        for path in harvest.spool.directory.glob("*.page"):
            path.unlink()

    harvest.start(after)
    harvest.commit()
    harvest.stop()

    salt = harvest.salt_file.read()
    other = hashed_name(salt, NAME) if after == "hash" and salt else ""
    assert accounts(handle) == [("pc", "a", other), ("pc", "b", "")]
    assert [treatment.partition(":")[0] for treatment in treatments(handle)] == [after]
    assert handle.value("SELECT count() FROM bronze_dead_letters") == 1
    gone = [NAME, *([hashed_name(salt, NAME)] if before == "hash" and salt else [])]
    assert not [table for name in gone for table in tables_with(handle, name)]


def tables_with(handle: Handle, text: str) -> list[str]:
    """The tables in which a text stands."""
    return [table for table in TABLES if text in repr(handle.rows(f"SELECT * FROM {table}", as_bytes=True))]


def test_a_body_that_was_begun_to_be_set_aside_with_names_is_set_aside_without(
    harvest: Harvest, handle: Handle
) -> None:
    harvest.start("keep")
    harvest.put(b"<html>" + NAME.encode(), rejected="no page")
    harvest.crash_at = "checkpoint"
    with pytest.raises(PulledPlug):
        harvest.commit()
    harvest.crash_at = ""
    harvest.stop()
    assert tables_with(handle, NAME) == ["bronze_dead_letters"]

    harvest.start("drop")
    harvest.commit()
    harvest.stop()

    assert tables_with(handle, NAME) == []
    assert handle.rows("SELECT kind, reason FROM bronze_dead_letters") == [("page", "no page")]


@pytest.mark.parametrize("after", ["hash", "drop"])
def test_a_stash_that_lost_an_item_is_not_written_anew_with_the_name_it_had(
    harvest: Harvest, handle: Handle, after: str
) -> None:
    many = [f"{number:064x}" for number in range(3_000)]
    """So many that a statement which names them is longer than the engine allows by itself."""
    harvest.start("keep")
    harvest.put(page_of([stash(place, item(f"of {place}"), accountName=NAME) for place in many]))
    harvest.commit()
    harvest.stop()

    harvest.start(after)
    harvest.put(page_of([stash("b", *(item(f"of {place}") for place in many), accountName=NAME)]))
    harvest.commit()
    harvest.stop()

    salt = harvest.salt_file.read()
    name = hashed_name(salt, NAME) if after == "hash" and salt else ""
    assert {account for _, _, account in accounts(handle)} == {name}
    assert handle.value("SELECT count() FROM silver_stash_state WHERE seq = 2") == len(many) + 1


@pytest.mark.parametrize("after", ["hash", "keep"])
def test_names_are_never_hashed_twice(harvest: Harvest, handle: Handle, after: str) -> None:
    harvest.start("hash")
    harvest.put()
    waiting = harvest.on_disk()
    harvest.stop()

    harvest.start(after)
    assert harvest.on_disk() == waiting
    harvest.commit()
    harvest.stop()
    assert treatments(handle)[0].startswith("hash:")


def test_a_page_that_goes_back_into_the_spool_is_not_hashed_again(harvest: Harvest, handle: Handle) -> None:
    harvest.start("hash")
    harvest.put()
    harvest.commit()
    stored = handle.value("SELECT body FROM raw_public_stash_pages")
    harvest.stop()
    handle.run("TRUNCATE TABLE bronze_ingest_checkpoints")

    harvest.start("hash")
    assert harvest.on_disk().decode() == stored
    harvest.stop()


def lose(file: SaltFile) -> None:
    file.path.unlink()


def damage(file: SaltFile) -> None:
    file.path.write_bytes(file.path.read_bytes()[:-9])


@pytest.mark.parametrize("harm", [lose, damage])
@pytest.mark.parametrize("evidence", ["bronze", "silver", "spool"])
def test_a_salt_that_is_lost_or_damaged_is_never_replaced_in_silence(
    harvest: Harvest, handle: Handle, harm: Callable[[SaltFile], None], evidence: str
) -> None:
    harvest.start("hash")
    harvest.put()
    if evidence != "spool":
        harvest.commit()
    harvest.stop()
    if evidence == "silver":
        handle.run("TRUNCATE TABLE raw_public_stash_pages")
    harm(harvest.salt_file)
    left = harvest.salt_file.path.read_bytes() if harm is damage else None

    with pytest.raises(SaltUnusable, match=r"is missing|is damaged") as problem:
        harvest.start("hash")

    assert "Restore it from a backup" in problem.value.todo
    assert str(harvest.salt_file.path) in problem.value.todo
    assert (harvest.salt_file.path.read_bytes() if left else None) == left
    assert left or not harvest.salt_file.path.exists()


def test_another_salt_is_the_operators_decision_and_told_once(harvest: Harvest, handle: Handle) -> None:
    harvest.start("hash")
    harvest.put()
    harvest.commit()
    harvest.stop()
    harvest.salt_file.path.write_text("AB" * 32 + "\n")

    harvest.start("hash")
    harvest.put()
    harvest.commit()
    harvest.stop()
    harvest.start("hash")
    harvest.stop()

    assert len(harvest.warnings) == 1
    assert "another salt" in harvest.warnings[0]
    assert accounts(handle)[0][2] == hashed_name(b"\xab" * 32, NAME)


def test_many_that_begin_at_once_make_one_salt(tmp_path: Path) -> None:
    files = [SaltFile(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        salts = set(threads.map(lambda file: file.create(), files))

    assert salts == {files[0].read()}
    assert [path.name for path in tmp_path.iterdir()] == ["account-names.salt"]


def test_a_file_that_cannot_be_made_whole_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        create_durably(tmp_path / "salt", b"x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.soak
def test_the_way_of_the_runbook_removes_every_name_that_was_kept(harvest: Harvest, handle: Handle) -> None:
    bad = b'{"id":7,"accountName":"%b"}' % NAME.encode()
    harvest.start("keep")
    harvest.put(page_of([stash("a", item("1"), accountName=NAME), bad]))
    harvest.put(b"<html>" + NAME.encode(), rejected="no page")
    harvest.put(page_of([stash("a", accountName=NAME)]))
    harvest.commit()
    harvest.stop()
    harvest.start("hash")
    harvest.put(page_of([stash("c", item("2"), accountName=NAME), bad]))
    harvest.commit()
    harvest.stop()

    runbook = (Path(__file__).parents[1] / "docs" / "ops-runbook.md").read_text()
    section = runbook.split("\n## Account names\n")[1].split("\n## ")[0]
    for statement in split(section.split("```sql\n")[1].split("```")[0]):
        handle.run(statement.sql)

    for table, column in handle.rows(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND type LIKE '%String%'"
    ):
        found = handle.value(
            f"SELECT countIf(position(toString({column}), {{name:String}}) > 0) FROM {table}", {"name": NAME}
        )
        assert found == 0, f"{table}.{column}"
    salt = harvest.salt_file.read()
    assert salt
    assert accounts(handle) == [("pc", "a", ""), ("pc", "c", hashed_name(salt, NAME))]
    assert handle.value("SELECT count() FROM bronze_dead_letters") == 1
