"""Made-up states of the screens that look into the store: for pictures and tests, without a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import cast

from harvester.store.migration_history import HistoryRow, RowState
from harvester.store.migration_status import compare
from harvester.store.migrations import Migration, MigrationProgress, MigrationStatus, ProgressPhase
from harvester.store.query_result import QueryResult
from harvester.store.sanity import Check, CheckResult
from harvester.store.sql_script import read_script
from harvester.store.verdict import Level
from poe_ledger_tui.app import LedgerApp
from poe_ledger_tui.panes.checks import Judged
from poe_ledger_tui.scenes import NOW
from poe_ledger_tui.screens.migrations import MigrationsScreen
from poe_ledger_tui.screens.sanity import SanityScreen
from poe_ledger_tui.theme import DEFAULT_THEME

Scene = tuple[str, tuple[str, ...], Callable[[LedgerApp], None], tuple[int, int], str]
"""Name, keys that lead there, what is given to the screen, size, theme."""

_APPLIED_AT = datetime(2025, 11, 20, 9, 0, 3, 120_000, UTC)
_PRICES = """\
-- What is asked, by item, currency and league.
CREATE OR REPLACE VIEW v_asking_prices AS
SELECT realm, league, type_line, count() AS listings, round(quantile(0.5)(price_amount / price_lot), 4) AS median
FROM v_listings_current
WHERE price_kind IN ('price', 'b/o') -- what buys at once
GROUP BY realm, league, type_line;

ALTER TABLE bronze_requests ADD COLUMN IF NOT EXISTS attempt UInt8 DEFAULT 1;
"""


def _migration(version: str, name: str, sql: str) -> Migration:
    script = read_script(sql)
    file = Path(f"{version}_{name}.sql")
    return Migration(version, file.stem, file, script.statements, f"raw {version}", script.token_checksum)


MIGRATIONS = (
    _migration("0001", "bookkeeping", "CREATE TABLE one (a UInt8) ENGINE = Memory; CREATE TABLE two AS one;"),
    _migration("0002", "bronze_public_stash_pages", "CREATE TABLE three (a UInt8) ENGINE = Memory;"),
    _migration("0003", "present_state_views", "CREATE VIEW four AS SELECT 1 AS a; CREATE VIEW five AS SELECT 2 AS a;"),
    _migration("0004", "asking_prices_view", _PRICES),
)


def _row(migration: Migration, state: RowState = RowState.APPLIED, statement: int = 0, error: str = "") -> HistoryRow:
    total = len(migration.statements)
    return HistoryRow(
        version=migration.version,
        description=migration.description,
        checksum=migration.checksum,
        token_checksum=migration.token_checksum,
        applied_at=_APPLIED_AT,
        state=state,
        statement_no=statement or total,
        statement_total=total,
        runner="ledger, process 4711",
        duration_ms=23,
        error=error,
    )


def _status(*rows: HistoryRow) -> MigrationStatus:
    return compare("poe_trade", MIGRATIONS, {row.version: row for row in rows})


PENDING = _status(*(_row(migration) for migration in MIGRATIONS[:3]))
FAILED = _status(
    *(_row(migration) for migration in MIGRATIONS[:3]),
    _row(MIGRATIONS[3], RowState.FAILED, 2, "Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space"),
)
DRIFTED = _status(
    replace(_row(MIGRATIONS[0]), token_checksum="another"),  # noqa: S106
    *(_row(migration) for migration in MIGRATIONS[1:]),
)


def _migrations(status: MigrationStatus, step: MigrationProgress | None = None) -> Callable[[LedgerApp], None]:
    def prepare(app: LedgerApp) -> None:
        screen = cast("MigrationsScreen", app.screen)
        screen.show_status(status)
        if step is not None:
            screen.show_step(step)
        screen.draw(app.picture)

    return prepare


RUNNING_STEP = MigrationProgress(ProgressPhase.RUNNING, MIGRATIONS[3], MIGRATIONS[3].statements[1], 1, 2)


def _check(line: int, title: str, verdict: str, file: str = "bronze") -> Check:
    return Check(title, Path(f"{file}.sql"), line, "SELECT count() AS checked, countIf(bad) AS bad FROM pages", verdict)


CHECKS = (
    _check(
        6,
        "The harvest is moving",
        "red when queues = 0 or worst_lag_seconds > 3600; amber when worst_lag_seconds > 300",
    ),
    _check(15, "Every page leads to the next, without a gap", "red when checked = 0 or broken > 0"),
    _check(40, "Every page stands once", "red when checked = 0 or doubled > 0"),
    _check(6, "Prices are prices", "red when priced = 0; amber when odd > 10", "silver"),
    _check(22, "First sightings come before last ones", "red when wrong > 0", "silver"),
)


def _judged(check: Check, level: Level, said: str, names: str, *values: object, age: float = 75.0) -> Judged:
    return Judged(CheckResult(check, level, said, tuple(names.split()), (values,), 41), NOW - age)


JUDGED = (
    _judged(
        CHECKS[0],
        Level.AMBER,
        "amber when worst_lag_seconds > 300 (worst_lag_seconds = 412)",
        "queues worst_lag_seconds",
        2,
        412,
    ),
    _judged(
        CHECKS[1], Level.RED, "red when checked = 0 or broken > 0 (checked = 812, broken = 1)", "checked broken", 812, 1
    ),
    _judged(CHECKS[2], Level.GREEN, "", "checked doubled", 11_204, 0, age=4_000),
    _judged(CHECKS[3], Level.ERROR, "Code: 60. Unknown table `silver_listings`", "priced odd", 0, 0),
)


def _checks(app: LedgerApp) -> None:
    screen = cast("SanityScreen", app.screen)
    screen.checks.show_checks(CHECKS, JUDGED)


QUERY = """\
-- What is asked for a Divine Orb?
SELECT league, count() AS listings, quantile(0.5)(price_amount) AS median
FROM v_listings_current
WHERE type_line = 'Divine Orb' AND price_currency = 'chaos'
GROUP BY league ORDER BY listings DESC"""
RESULT = QueryResult(
    sql=QUERY,
    columns=("league", "listings", "median", "seen", "notes", "none"),
    types=("String", "UInt64", "Decimal(9, 2)", "DateTime", "Array(String)", "Nullable(String)"),
    rows=tuple(
        (
            league,
            4_214 - 37 * number,
            Decimal(18_250 - number) / 100,
            datetime(2025, 11, 24, 14, 2, 11, tzinfo=UTC),
            ["~price 180 chaos", "[b]~b/o 1/2 divine[/b]"],
            None,
        )
        for number in range(60)
        for league in ("Keepers", "Hardcore Keepers", "SSF [red]Keepers[/red]", "Standard \x1b[31m\u202e")
    ),
    took_ms=312,
    read_rows=812_404,
    read_bytes=41 << 20,
    cut="cut off after 240 rows; there are more",
)


def _query(app: LedgerApp) -> None:
    screen = cast("SanityScreen", app.screen)
    screen.query_pane.editor.area.cursor_blink = False  # a picture shows no instant of it
    screen.query_pane.editor.load(QUERY)
    screen.query_pane.show_result(RESULT)


_USUAL, _SMALL, _LEAST, _LARGE = (120, 36), (80, 24), (60, 20), (200, 60)

SCENES: tuple[Scene, ...] = (
    ("migrations", ("2",), _migrations(PENDING), _USUAL, DEFAULT_THEME),
    ("migrations-applying", ("2",), _migrations(PENDING, RUNNING_STEP), _USUAL, DEFAULT_THEME),
    ("migrations-failed", ("2",), _migrations(FAILED), _USUAL, DEFAULT_THEME),
    ("migrations-drifted", ("2",), _migrations(DRIFTED), _USUAL, "ledger-light"),
    ("migrations-80x24", ("2",), _migrations(FAILED), _SMALL, DEFAULT_THEME),
    ("migrations-60x20", ("2",), _migrations(PENDING), _LEAST, "ansi-dark"),
    ("sanity", ("3",), _checks, _USUAL, DEFAULT_THEME),
    ("sanity-80x24", ("3",), _checks, _SMALL, DEFAULT_THEME),
    ("query", ("3", "e"), _query, _USUAL, DEFAULT_THEME),
    ("query-light", ("3", "e"), _query, _USUAL, "ledger-light"),
    ("query-60x20", ("3", "e"), _query, _LEAST, DEFAULT_THEME),
    ("query-200x60", ("3", "e"), _query, _LARGE, DEFAULT_THEME),
)
