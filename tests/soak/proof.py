"""Is everything there, once? The store of a harvest under fire against the truth of its stream.

Three judges: the stream itself (bronze, checkpoints, records per page), a twin store that took the same pages
undisturbed (every row of every table), and the independent reading of the JSON (the views).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from harvester.clock import SystemClock, utc
from harvester.model import Page, Queue, SpooledPage
from harvester.simulator.river import RiverPage
from harvester.store.commit import Committer
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.public_stash_layers import PublicStashLayers
from harvester.store.quoting import quote_name
from harvester.store.spool import Spool
from tests.reference_reading import read_pages
from tests.schema_template import migrate
from tests.soak.stream import Stream
from tests.store_bench import Bench, assert_same_state

QUEUE = Queue("psapi", "pc")
_APPENDED = {
    "raw_public_stash_pages": "",
    "bronze_dead_letters": "",
    "bronze_ingest_checkpoints": "WHERE status != 'caught_up'",
    "silver_stashes": "",
    "silver_items": "",
}
_REPLACED = ("silver_listings", "silver_stash_state", "silver_item_homes")
_OF_THE_RUN = "committed_at, response_ms, http_status"
"""Columns that say how a page was fetched, which the twin cannot know."""


@dataclass
class Findings:
    """What a proof found; nothing but figures and, in words, what is wrong."""

    pages: int = 0
    stashes: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing lost, nothing doubled, nothing else wrong."""
        return self.pages > 0 and not (self.lost or self.doubled or self.wrong)


def examine(engine: Engine, spool: Spool, truth: list[RiverPage], scratch: Path) -> Findings:
    """Hold the store of `engine`, at rest, against `truth`; `scratch` is a directory to work in."""
    findings = Findings(pages=len(truth), stashes=sum(page.stashes for page in truth))
    if spool.sequences:
        findings.wrong.append(f"pages left in the spool: {spool.sequences}")
    twin = Engine(engine.url, f"{engine.database}_twin")
    twin.create_database()
    migrate(twin)
    with engine.open() as handle, twin.open() as twin_handle:
        fetched_at = _raw_layers(handle, truth, findings)
        _checkpoints(handle, truth, findings)
        _records(handle, truth, findings)
        if findings.good:
            _fill(twin_handle, truth, fetched_at, scratch)
            _tables(handle, engine.database, twin.database, findings)
            try:
                assert_same_state(
                    Bench(handle, scratch / "unused"),
                    read_pages((utc(at), page.body) for at, page in zip(fetched_at, truth, strict=True)),
                )
            except AssertionError as error:
                findings.wrong.append(f"the views differ from the independent reading: {error}")
        twin_handle.run(f"DROP DATABASE {quote_name(twin.database)} SYNC")
    return findings


def _count(seqs: list[int], pages: int, layer: str, findings: Findings) -> None:
    times = Counter(seqs)
    lost = [seq for seq in range(1, pages + 1) if seq not in times]
    doubled = [seq for seq, count in times.items() if count > 1]
    strange = [seq for seq in times if not 1 <= seq <= pages]
    findings.lost += len(lost)
    findings.doubled += len(doubled)
    for what, found in (("lost", lost), ("doubled", doubled), ("out of place", strange)):
        if found:
            findings.wrong.append(f"{layer}: {what}: pages {found[:20]}")


def _raw_layers(handle: Handle, truth: list[RiverPage], findings: Findings) -> list[float]:
    rows = handle.rows(
        "SELECT seq, change_id, next_change_id, toUnixTimestamp64Milli(fetched_at) / 1000,"
        " lower(hex(SHA256(body))), stash_count FROM raw_public_stash_pages ORDER BY seq"
    )
    _count([row[0] for row in rows], len(truth), "bronze", findings)
    if findings.good:
        for row, page in zip(rows, truth, strict=True):
            expected = (page.change_id, page.next_change_id, hashlib.sha256(page.body).hexdigest(), page.stashes)
            if (row[1], row[2], row[4], row[5]) != expected:
                findings.wrong.append(f"bronze: page {row[0]} is not what was published")
    return [row[3] for row in rows]


def _checkpoints(handle: Handle, truth: list[RiverPage], findings: Findings) -> None:
    rows = handle.rows(
        "SELECT seq, last_cursor_id, next_cursor_id FROM bronze_ingest_checkpoints"
        " WHERE status != 'caught_up' ORDER BY seq"
    )
    _count([row[0] for row in rows], len(truth), "checkpoints", findings)
    if findings.good and [row[1:] for row in rows] != [(page.change_id, page.next_change_id) for page in truth]:
        findings.wrong.append("checkpoints: the chain is not the stream's")


def _records(handle: Handle, truth: list[RiverPage], findings: Findings) -> None:
    rows = handle.rows(
        "SELECT seq, sum(n), sum(n) - uniqExact(record) FROM ("
        " SELECT seq, record, count() AS n FROM silver_stashes GROUP BY seq, record"
        " UNION ALL SELECT seq, position + 1, count() FROM bronze_dead_letters WHERE kind = 'record' GROUP BY 1, 2"
        ") GROUP BY seq"
    )
    counted = {row[0]: row[1:] for row in rows}
    for seq, page in enumerate(truth, 1):
        stored, again = counted.get(seq, (0, 0))
        findings.doubled += again > 0
        findings.lost += stored - again < page.stashes
        if stored != page.stashes:
            findings.wrong.append(f"silver: page {seq} has {stored} records, not {page.stashes}")


def _fill(handle: Handle, truth: list[RiverPage], fetched_at: list[float], scratch: Path) -> None:
    spool = Spool(scratch / "twin", QUEUE)
    committer = Committer(handle, QUEUE, PublicStashLayers(handle, QUEUE.realm), spool, SystemClock())
    for seq, (page, at) in enumerate(zip(truth, fetched_at, strict=True), 1):
        spool.put(SpooledPage(seq, Page(QUEUE, page.change_id, page.next_change_id, at, page.body)))
        committer.commit(seq)


def _tables(handle: Handle, database: str, twin: str, findings: Findings) -> None:
    for table, suffix in (_APPENDED | dict.fromkeys(_REPLACED, "FINAL")).items():
        left_out = {"bronze_ingest_checkpoints": _OF_THE_RUN, "raw_public_stash_pages": "stored_at"}.get(table)
        columns = f"* EXCEPT ({left_out})" if left_out else "*"
        both: list[dict[int, tuple[int, int]]] = [
            dict(
                handle.rows(
                    f"SELECT seq, (count(), sum(cityHash64(toString(tuple({columns})))))"
                    f" FROM {name}.{table} {suffix} GROUP BY seq"
                )
            )
            for name in (database, twin)
        ]
        different = sorted(seq for seq in both[0].keys() | both[1].keys() if both[0].get(seq) != both[1].get(seq))
        if different:
            findings.wrong.append(f"{table}: differs from an undisturbed harvest in the rows of pages {different[:20]}")


def truth_of(stream: Stream, pages: int) -> list[RiverPage]:
    """The first `pages` pages of a stream."""
    return list(islice(stream.walk(), pages))
