"""The promises that are broken one at a time, and the test that stands for each; run by `tests.soak.mutants`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


class MutantOutdated(Exception):  # noqa: N818
    """The code that a mutant breaks is not there exactly once: the two have grown apart."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One promise broken."""

    name: str
    file: str
    pattern: str
    """Of the code that is replaced: a regular expression in which a dot is any character."""
    instead: str
    test: str

    def broken(self, tree: Path) -> str:
        """The file's text with the promise broken. Raises `MutantOutdated`."""
        path = tree / self.file
        text = path.read_text() if path.exists() else ""
        if (found := len(re.findall(self.pattern, text, re.DOTALL))) != 1:
            raise MutantOutdated(f"{self.name}: its code stands {found} times in {self.file}: {self.pattern}")
        return re.sub(self.pattern, self.instead, text, count=1, flags=re.DOTALL)


FILES = "harvester/files.py"
SPOOL = "harvester/store/spool.py"
CURSOR = "harvester/store/cursor_file.py"
LIMITS = "harvester/api/restrictions.py"
COMMIT = "harvester/store/commit.py"
LETTERS = "harvester/store/dead_letters.py"
LAYERS = "harvester/store/public_stash_layers.py"
QUEUE_STORE = "harvester/queue_store.py"
FETCHING = "harvester/queue_worker/fetching.py"
ASKING = "harvester/queue_worker/asking.py"
REFUSALS = "harvester/queue_worker/refusals.py"
PACE = "harvester/api/pace.py"
BOOK = "harvester/api/pacer_book.py"
WINDOW = "harvester/api/window.py"
HEADERS = "harvester/api/rate_limit.py"

IN_ORDER = "tests/test_spool.py::test_the_page_is_on_the_disk_before_it_has_its_name_and_the_name_before_put_returns"
DURABLE = "tests/test_durable_files.py::test_what_is_written_is_on_the_disk_before_it_has_its_name"
SYNCED = "tests/test_file_operations.py::test_nothing_is_relied_on_before_it_is_synced"
CUT = "tests/test_public_stash_layers.py::test_a_commit_cut_off_anywhere_is_repeated_without_trace[all leagues]"
GIVEN_UP = "tests/test_commit_recovery.py::test_a_page_given_up_stays_so_after_a_restart"
NO_PAGE = "tests/test_commit_recovery.py::test_a_body_that_is_no_page_is_in_the_spool_until_its_checkpoint_stands"
BAD_RECORDS = (
    "tests/test_public_stash_layers.py::test_the_bad_records_of_a_page_are_dead_letters_and_the_good_ones_stand"
)
PROVED = "tests/test_public_stash_layers.py::test_a_step_that_reads_something_else_than_the_door_counted_writes_nothing"
RESTART = "tests/test_pacer.py::test_a_restriction_outlives_a_restart"
NEXT_ID = "tests/test_queue_worker.py::test_a_page_that_names_another_next_id_than_announced_drops_the_requests_ahead"
FULL_DISK = "tests/test_queue_worker.py::test_a_disk_that_refuses_is_waited_out_with_the_page_in_hand"
LEASED = "tests/test_lease.py::test_a_second_process_is_told_who_holds_it_and_a_killed_one_holds_nothing"
LOST_FILE = "tests/test_commit_recovery.py::test_a_page_begun_in_the_store_survives_the_loss_of_its_spool_file"


def _fsync_of_table(migration: str, table: str, setting: str = "fsync_after_insert") -> Mutant:
    return Mutant(
        f"{setting} of {table}",
        f"schema/migrations/{migration}.sql",
        rf"(CREATE TABLE IF NOT EXISTS {table}\n(?:(?!CREATE TABLE).)*?{setting} = )1",
        r"\g<1>0",
        SYNCED,
    )


def _presence(key: str, test: str) -> Mutant:
    return Mutant(f"presence check of {key}", LAYERS, rf'("{key}": f"SELECT 1 FROM [^"]*)LIMIT 1"', r'\1LIMIT 0"', test)


MUTANTS = (
    # The disk has it before we rely on it.
    Mutant(
        "fsync of a file",
        FILES,
        r"( +)os\.fsync\(descriptor\)(?=\n *finally:\n[^\n]+\n\n\n)",
        r"\1pass",
        IN_ORDER,
    ),
    Mutant("fsync of the directory", FILES, r"(        raise\n)    sync_directory\(path\.parent\)\n", r"\1", IN_ORDER),
    Mutant(
        "fsync of a new directory",
        FILES,
        r"(exist_ok=True\)\n) +sync_directory\(path\.parent\)\n",
        r"\1",
        "tests/test_durable_files.py::test_a_new_directory_is_on_the_disk_with_its_parents",
    ),
    Mutant(
        "fsync of a page set aside",
        SPOOL,
        r"(path\.replace\(aside\)\n) +sync_directory\(self\.directory\)\n",
        r"\1",
        "tests/test_durable_files.py::test_a_page_set_aside_has_its_new_name_on_the_disk",
    ),
    Mutant(
        "fsync of the spool file",
        SPOOL,
        r"write_durably\((self\._path\(spooled\.seq\)), data\)",
        r"\1.write_bytes(data)",
        IN_ORDER,
    ),
    Mutant(
        "fsync of the cursor file",
        CURSOR,
        r"write_durably\(self\.path, ",
        "self.path.write_bytes(",
        DURABLE + "[cursor]",
    ),
    Mutant(
        "fsync of the limits", LIMITS, r"write_durably\(self\.path, ", "self.path.write_bytes(", DURABLE + "[limits]"
    ),
    _fsync_of_table("0002_bronze_public_stash_pages", "raw_public_stash_pages"),
    _fsync_of_table("0002_bronze_public_stash_pages", "raw_public_stash_pages", "fsync_part_directory"),
    _fsync_of_table("0001_bookkeeping", "bronze_ingest_checkpoints"),
    _fsync_of_table("0001_bookkeeping", "bronze_dead_letters"),
    _fsync_of_table("0003_silver_public_stashes", "silver_stashes"),
    _fsync_of_table("0003_silver_public_stashes", "silver_stash_state"),
    # Every step is skipped where it stands.
    Mutant(
        "presence check of bronze",
        LAYERS,
        r"(if repeating:\n +stored = )self\._stored_body\(spooled\.seq\)",
        r"\1None",
        CUT,
    ),
    _presence("silver_stashes", CUT),
    _presence("silver_listings", CUT),
    _presence("silver_items", CUT),
    _presence("kept_listings", CUT),
    _presence(
        "silver_stash_state",
        "tests/test_public_stash_layers.py::test_a_page_that_is_visible_already_is_not_made_visible_again",
    ),
    Mutant(
        "presence check of dead letters",
        LETTERS,
        r"\n        if \(letter\.kind, letter\.position\) not in there",
        "",
        CUT,
    ),
    Mutant(
        "presence check of a page given up",
        COMMIT,
        r"if repeating and \(reason := ",
        "if not seq and (reason := ",
        GIVEN_UP,
    ),
    Mutant(
        "presence check of the checkpoint",
        COMMIT,
        r"if not \(repeating and cursor_of_page\([^\n]*\) is not None\):",
        "if seq:",
        "tests/test_commit_recovery.py::test_a_spool_file_that_cannot_be_removed_is_tried_again",
    ),
    Mutant(
        "knowing that the first page of a recovery may be begun",
        COMMIT,
        r"self\._repeating = to_commit\[0\]",
        "self._repeating = None",
        CUT,
    ),
    Mutant(
        "a committed page leaves the spool at a start",
        COMMIT,
        r"elif cursor_of_page\([^\n]*\) == page\.change_id:",
        "elif not page:",
        "tests/test_commit_recovery.py::test_a_committed_page_left_in_the_spool_is_cleared_away",
    ),
    Mutant(
        "a page begun goes back into the spool",
        COMMIT,
        r"        self\._reclaim\(committed, cursor, foreign, damaged\)\n",
        "",
        LOST_FILE,
    ),
    Mutant(
        "a spooled page must continue the chain",
        COMMIT,
        r"spooled_seq == seq \+ 1 and page\.change_id == cursor",
        "spooled_seq == seq + 1",
        "tests/test_commit_recovery.py::test_a_spool_that_goes_on_elsewhere_is_discarded",
    ),
    Mutant(
        "checksum of a spool file",
        SPOOL,
        r"if hashlib\.sha256\(content\)[^\n]* != checksum:",
        "if not checksum:",
        "tests/test_spool.py::test_a_change_of_any_single_byte_is_told",
    ),
    # The order of a commit.
    Mutant(
        "the spool file goes last",
        COMMIT,
        r'( +)(self\._crash_point\("checkpoint"\)\n)',
        r"\1self._spool.remove(seq)\n\1\2",
        NO_PAGE,
    ),
    Mutant(
        "stash state comes behind the listings",
        LAYERS,
        r'(        )(for step in \("stashes", "listings"\):)',
        r'\1self._run("stash_state", seq)\n\1\2',
        CUT,
    ),
    Mutant(
        "stash state comes behind the items",
        LAYERS,
        r'( +)(self\._run\("items", seq\))',
        r'\1self._run("stash_state", seq)\n\1\2',
        CUT,
    ),
    Mutant(
        "item homes are written where a commit broke off before them",
        LAYERS,
        r'( +)(self\._run\("item_homes", seq\))',
        r"\1if not repeating:\n\1    \2",
        CUT,
    ),
    # Two readers must agree.
    Mutant("count proof of the records", "schema/derive/stashes.sql", r"throwIf\(", "ignore(", BAD_RECORDS),
    Mutant("count proof of the items", "schema/derive/page_records.sql", r"throwIf\(", "ignore(", PROVED),
    Mutant(
        "count proof against bronze",
        LAYERS,
        r"if derived != expected or stored != 1:",
        "if derived < 0:",
        "tests/test_public_stash_layers.py::test_a_page_that_stands_twice_in_bronze_is_not_derived",
    ),
    # One process a queue.
    Mutant(
        "the lease excludes others",
        "harvester/store/lease.py",
        r"LOCK_EX \| fcntl\.LOCK_NB",
        "LOCK_SH | fcntl.LOCK_NB",
        LEASED,
    ),
    # The worker.
    Mutant(
        "the page is safe before the cursor advances",
        FETCHING,
        r"await (self\._put\(SpooledPage\(self\._next_seq, page\)\))",
        r"asyncio.ensure_future(\1)",
        FULL_DISK,
    ),
    Mutant(
        "prefetch is dropped where the page names another next id",
        FETCHING,
        r"(if self\._asker\.expects not in \(None, page\.next_change_id\):\n) +await self\._asker\.drop\(\)\n",
        r"\1",
        NEXT_ID,
    ),
    Mutant(
        "a full spool stops asking",
        FETCHING,
        r"        if not self\._spool_has_room\(\):\n            await self\._wait_for_room\(\)\n",
        "",
        "tests/test_queue_worker.py::test_a_full_spool_stops_asking_and_loses_nothing",
    ),
    Mutant(
        "a page that is stored is not followed again",
        ASKING,
        r"and await self\._is_known\(reading\.next_cursor\)",
        "and not reading",
        "tests/test_queue_worker.py::test_a_stream_that_runs_in_circles_doubles_nothing_and_says_so",
    ),
    Mutant(
        "three refusals stop a queue",
        REFUSALS,
        r"REFUSALS_BEFORE_STOP = 3\n",
        "REFUSALS_BEFORE_STOP = 30\n",
        "tests/test_queue_worker.py::test_a_refused_request_is_tried_three_times_at_most",
    ),
    Mutant(
        "refusals of earlier starts",
        REFUSALS,
        r"len\(recent\) < REFUSALS_AN_HOUR",
        "True",
        "tests/test_queue_worker.py::test_starting_again_and_again_asks_no_more_than_the_hour_bears",
    ),
    Mutant(
        "names of a page begun under keep",
        COMMIT,
        r"if seq == waiting\[0\]:",
        "if False:",
        "tests/test_name_guard.py::test_a_page_that_was_begun_before_the_operator_decided_otherwise_is_begun_anew",
    ),
    Mutant(
        "names of earlier pages written anew",
        LAYERS,
        r"if self\._names is None:",
        "if True:",
        "tests/test_name_guard.py::test_a_stash_that_lost_an_item_is_not_written_anew_with_the_name_it_had",
    ),
    Mutant(
        "many accounts in one statement",
        LAYERS,
        r", settings=\{\"max_query_size\": 4 \* len\(sql\) \+ 1\}",
        "",
        "tests/test_name_guard.py::test_a_stash_that_lost_an_item_is_not_written_anew_with_the_name_it_had",
    ),
    Mutant(
        "a checkpoint where the clock was set back",
        "harvester/store/checkpoints.py",
        r"max\(now, last\.retrieved_at \+ _LATER\)",
        "now",
        "tests/test_replay.py::test_a_clock_that_was_set_back_behind_a_confirmed_end_does_not_hide_the_move",
    ),
    Mutant(
        "whose a spooled page is",
        SPOOL,
        r"if header\.queue not in \(\"\", self\._queue\.key\):",
        "if False:",
        "tests/test_commit_recovery.py::test_a_page_of_another_queue_is_set_aside_before_ours_takes_its_place",
    ),
    Mutant(
        "a key twice in one object",
        "harvester/feeds/page_scan.py",
        r"if may_repeat\(raw\):",
        "if False:",
        "tests/test_page_scan.py::test_a_record_with_a_key_twice_in_one_object_is_set_aside",
    ),
    Mutant(
        "texts of a stash that are no text",
        "harvester/feeds/page_scan.py",
        r"if bytes\(value\)\[:1\] not in",
        "if False and bytes(value)[:1] not in",
        "tests/test_page_scan.py::test_a_stash_with_a_value_of_another_type_is_set_aside",
    ),
    Mutant(
        "a stopped process is no slow disk",
        "harvester/queue_worker/patience.py",
        r"late if late > LATE_SECONDS else 0\.0",
        "0.0",
        "tests/test_waits_are_told.py::test_a_process_that_was_stopped_is_not_told_as_a_slow_disk",
    ),
    Mutant(
        "how long first_seen is remembered",
        "schema/derive/listings.sql",
        r"changed_at \+ INTERVAL \$\{homes_kept_days\} DAY",
        "changed_at + INTERVAL 90 DAY",
        "tests/test_rebuild.py::test_first_seen_is_remembered_as_long_as_the_harvest_does",
    ),
    # Limits.
    Mutant(
        "reading the State header",
        HEADERS,
        r'state = _triplets\(header \+ "-state", lower, problems\)',
        "state = []",
        "tests/test_rate_limit.py::test_rules_triplets_and_state_are_read_in_any_case",
    ),
    Mutant(
        "heeding the State",
        PACE,
        r"window\.observe\([^\n]*\)",
        "pass",
        "tests/test_pacer.py::test_a_state_without_room_is_waited_out",
    ),
    Mutant(
        "Retry-After",
        PACE,
        r"limits\.retry_after or 0\.0",
        "0.0",
        "tests/test_pacer.py::test_retry_after_without_a_429_is_obeyed_too",
    ),
    Mutant(
        "a restriction told by the State alone",
        PACE,
        r"min\(max\(seconds, limits\.retry_after or 0\.0\), ",
        "min(limits.retry_after or 0.0, ",
        "tests/test_pacer.py::test_a_restriction_told_by_the_state_alone_is_obeyed",
    ),
    Mutant(
        "Retry-After is written for a restart",
        BOOK,
        r"SavedPolicy\(self\._clock\.now\(\) \+ left if left > 0 else 0\.0, left,",
        "SavedPolicy(0.0, 0.0,",
        RESTART,
    ),
    Mutant("Retry-After is read at a restart", BOOK, r"now \+ left if left > 0 else -math\.inf", "-math.inf", RESTART),
    Mutant(
        "a clock set back prolongs no restriction",
        LIMITS,
        r"min\(self\.restricted_until - now, self\.restricted_for\)",
        "self.restricted_until - now",
        RESTART,
    ),
    Mutant(
        "hits of before a restart are doubted",
        PACE,
        r"self\._not_before = max\(self\._not_before, now \+ doubt\)",
        "pass",
        "tests/test_pacer.py::test_a_restart_leaves_room_for_hits_nobody_remembers",
    ),
    Mutant(
        "a hit counts from its headers on",
        WINDOW,
        r"else hit\.settled_at \+ length",
        "else (hit.sent_at or hit.granted_at) + length",
        "tests/test_pacer.py::test_no_limit_is_ever_broken_whatever_the_jitter",
    ),
    Mutant(
        "the lease is looked at before each statement",
        QUEUE_STORE,
        r"self\._handle\.check_before_writing\(self\._lease\.ensure\)",
        "pass",
        "tests/test_queue_lease.py::test_a_process_that_stood_still_amid_a_commit_writes_nothing_more[stashes]",
    ),
    Mutant(
        "a lease that ran out is never renewed",
        "harvester/store/row_lease.py",
        r"self\.ensure\(\)  # it may have run out",
        "pass  # it may have run out",
        "tests/test_queue_lease.py::test_a_lease_that_ran_out_while_its_renewal_was_on_the_way_is_lost",
    ),
    Mutant(
        "who gets its lease back looks for a page begun meanwhile",
        QUEUE_STORE,
        r"if self\._ready\(\)\.begun_already\(seq\):",
        "if False:",
        "tests/test_queue_lease.py::test_who_lost_its_lease_does_not_begin_a_page_again_that_another_has_begun",
    ),
    Mutant(
        "a page taken over keeps its fetch time",
        COMMIT,
        r"return page\.change_id, page\.next_change_id, utc\(page\.fetched_at\)",
        "return page.change_id, page.next_change_id, utc(0.0)",
        "tests/test_commit_recovery.py::test_a_page_begun_by_a_harvester_that_died_keeps_its_fetch_time_in_every_table",
    ),
    Mutant(
        "a queue that is lost at the end of the stream is opened anew",
        FETCHING,
        r"raise  # another harvester may have the queue",
        "pass  # another harvester may have the queue",
        "tests/test_queue_worker.py"
        "::test_a_queue_that_is_lost_at_the_end_of_the_stream_is_opened_anew_and_asked_by_nobody_twice",
    ),
)
"""In the order of the table."""
