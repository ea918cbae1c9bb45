"""What can go wrong with ClickHouse, sorted by what it means for the harvest and what to do."""

from __future__ import annotations

import logging
import re
from enum import StrEnum

from clickhouse_connect.driver.exceptions import ClickHouseError

# What the driver logs is told by us, in words; without a handler it would go to standard error as it is.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())

_CODE = re.compile(r"Code:\s*(\d+)|code[: ]+(\d+)", re.IGNORECASE)

_READ_ONLY_USER = re.compile(r"^Setting \w+ is readonly")
"""The driver's own words, before it asks the server, where a user's profile forbids settings."""


class StoreFault(StrEnum):
    """The kinds of store failure that are told apart."""

    UNREACHABLE = "unreachable"
    HELD = "held by another process"
    LEASED = "run by another harvester"
    OVERTAKEN = "another harvester went on"
    """The lease was lost, and taken by somebody else meanwhile: the queue must be opened anew."""
    CREDENTIALS = "credentials refused"
    NOT_ALLOWED = "not allowed"
    NO_DATABASE = "database missing"
    NO_TABLE = "table missing"
    DISK_FULL = "disk full"
    UNWRITABLE = "directory cannot be written"
    MEMORY = "memory limit"
    TOO_MANY_PARTS = "too many parts"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    PROOF = "count proof failed"
    SYNTAX = "syntax"
    DATA = "unfit data"
    """The engine cannot take what the page holds: another page may fare better."""
    FOREIGN = "written by somebody else"
    """The store holds what this harvester did not write."""
    OTHER = "other"


_BY_CODE: dict[int, StoreFault] = {
    47: StoreFault.SYNTAX,
    60: StoreFault.NO_TABLE,
    62: StoreFault.SYNTAX,
    74: StoreFault.DISK_FULL,
    75: StoreFault.DISK_FULL,
    76: StoreFault.HELD,
    81: StoreFault.NO_DATABASE,
    159: StoreFault.TIMEOUT,
    160: StoreFault.TIMEOUT,
    164: StoreFault.NOT_ALLOWED,
    192: StoreFault.CREDENTIALS,
    193: StoreFault.CREDENTIALS,
    194: StoreFault.CREDENTIALS,
    209: StoreFault.UNREACHABLE,
    210: StoreFault.UNREACHABLE,
    241: StoreFault.MEMORY,
    242: StoreFault.NOT_ALLOWED,
    243: StoreFault.DISK_FULL,
    252: StoreFault.TOO_MANY_PARTS,
    279: StoreFault.UNREACHABLE,
    319: StoreFault.TIMEOUT,
    394: StoreFault.CANCELLED,
    395: StoreFault.PROOF,
    425: StoreFault.UNREACHABLE,
    497: StoreFault.NOT_ALLOWED,
    516: StoreFault.CREDENTIALS,
}

_DATA_CODES = frozenset(
    {6, 26, 27, 38, 41, 43, 53, 69, 70, 72, 117, 128, 130, 131, 190, 321, 349, 367, 407, 441, 467, 569, 675, 676}
)
"""Parsing, types and ranges: what a page can be the cause of."""

_HINTS: dict[StoreFault, str] = {
    StoreFault.UNREACHABLE: "Check that the server runs and that POE_CLICKHOUSE_URL names it.",
    StoreFault.LEASED: "This one takes over by itself when the other ends or its lease runs out; stop the one that is "
    "not wanted.",
    StoreFault.HELD: "Beside a running harvest its own app can ask the store (Sanity, 3); status and --monitor tell "
    "how it stands. Or stop it first.",
    StoreFault.CREDENTIALS: "Check POE_CLICKHOUSE_USER and POE_CLICKHOUSE_PASSWORD (aliases CH_USER, CH_PASSWORD). "
    "A container's volume keeps the user and password of its first start, whatever they are set to later.",
    StoreFault.NOT_ALLOWED: "The ClickHouse user needs rights to read, insert, create and alter in this database.",
    StoreFault.NO_DATABASE: "Run: poe-ledger --headless migrate --apply",
    StoreFault.NO_TABLE: "Run: poe-ledger --headless migrate --status",
    StoreFault.UNWRITABLE: "Point POE_CLICKHOUSE_URL (chdb:///directory) and POE_CURSOR_DIR to directories that can be "
    "written.",
    StoreFault.DISK_FULL: "Free disk space; nothing is dropped meanwhile.",
    StoreFault.MEMORY: "Give ClickHouse more memory, or wait for other queries to end.",
    StoreFault.TOO_MANY_PARTS: "Merges are behind; the harvest waits for them.",
    StoreFault.TIMEOUT: "The statement took too long; its outcome is looked up before it is repeated.",
}

_RETRYABLE = frozenset(
    {
        StoreFault.UNREACHABLE,
        StoreFault.LEASED,
        StoreFault.OVERTAKEN,
        StoreFault.DISK_FULL,
        StoreFault.MEMORY,
        StoreFault.TOO_MANY_PARTS,
        StoreFault.TIMEOUT,
        StoreFault.CANCELLED,
        StoreFault.OTHER,  # what is not known may pass; nothing is ever given up for it
    }
)


class StoreError(Exception):
    """A store failure: `fault` says what kind, `hint` what to do, `retryable` whether waiting can mend it."""

    def __init__(self, fault: StoreFault, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        self.code = code

    @property
    def hint(self) -> str:
        """What the operator can do; empty where there is nothing to say."""
        return _HINTS.get(self.fault, "")

    @property
    def retryable(self) -> bool:
        """True where the same statement may succeed later without anybody's help."""
        return self.fault in _RETRYABLE


_NO_ANSWER = re.compile(r"Unexpected response to server \w+ query:")
"""What the driver says of an empty answer to its first question."""


def sort_error(error: Exception) -> StoreError:
    """Any exception of the driver as a `StoreError`: by ClickHouse's code, else by where it came from."""
    if isinstance(error, StoreError):
        return error
    text = _first_lines(str(error))
    code = getattr(error, "code", None)
    if not isinstance(code, int) or code <= 0:
        found = _CODE.search(text)
        code = int(found.group(1) or found.group(2)) if found else None
    if code in _DATA_CODES:
        return StoreError(StoreFault.DATA, text, code=code)
    if code == 76 and "Cannot lock file" not in text:
        return StoreError(StoreFault.OTHER, text, code=code)
    if code is not None and code in _BY_CODE:
        return StoreError(_BY_CODE[code], text, code=code)
    if code is not None:
        return StoreError(StoreFault.OTHER, text, code=code)
    if _READ_ONLY_USER.search(text):
        return StoreError(StoreFault.NOT_ALLOWED, f"{text}: the ClickHouse user may only read.")
    if _NO_ANSWER.search(text):
        return StoreError(StoreFault.UNREACHABLE, "the server does not answer: its greeting broke off")
    if isinstance(error, (OSError, TimeoutError)) or _looks_like_network(error):
        return StoreError(StoreFault.UNREACHABLE, _network_words(error) or text or type(error).__name__)
    return StoreError(StoreFault.OTHER, text or type(error).__name__)


def _looks_like_network(error: Exception) -> bool:
    """The HTTP driver wraps refused, reset and timed-out connections in errors without a code."""
    cause: BaseException | None = error
    while cause is not None:
        module = type(cause).__module__
        if module.startswith(("urllib3", "http.client", "ssl", "socket")) or isinstance(cause, OSError):
            return True
        cause = cause.__cause__ or cause.__context__
    return isinstance(error, ClickHouseError) and "HTTPDriver" in str(error)


def _network_words(error: Exception) -> str:
    """What the system said, out of the driver's wrappings; empty where it said nothing."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f"the server does not answer: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return ""


def _first_lines(text: str, limit: int = 2000) -> str:
    """Engine messages without the tail of stack frames and version, cut to a readable length."""
    text = text.split("\nStack trace", 1)[0].strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"
