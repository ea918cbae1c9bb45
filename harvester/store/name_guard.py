"""Account names as the operator wants them stored: applied to every page before the first byte of it reaches a disk."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from harvester.feeds.account_names import OtherName, withheld, without_names
from harvester.feeds.page_scan import NotAPage
from harvester.feeds.public_stash import FEED_NAME as PUBLIC_STASH
from harvester.model import Page, Queue
from harvester.store.handle import Handle
from harvester.store.name_salt import SaltFile, SaltUnusable

KEEP, HASH, DROP = "keep", "hash", "drop"
_STRICTNESS = {KEEP: 0, HASH: 1, DROP: 2}
_HASHED_NAME = re.compile("~[0-9a-f]{20}")
_NEWEST_HASHED = (
    "SELECT account_names FROM raw_public_stash_pages WHERE startsWith(account_names, 'hash:')"
    " ORDER BY fetched_at DESC LIMIT 1"
)
_ANY_HASHED = "SELECT 1 FROM silver_stash_state WHERE match(account, '^~[0-9a-f]{20}$') LIMIT 1"


def guard_for(queue: Queue, account_names: str, cursor_dir: Path, warn: Callable[[str], None]) -> NameGuard | None:
    """The guard of a queue; None where names are kept, or its feed has none."""
    if queue.feed != PUBLIC_STASH or account_names == KEEP:
        return None
    return NameGuard(account_names, cursor_dir, warn=warn)


def hashed_name(salt: bytes, name: str) -> str:
    """The pseudonym of a name: `~` and 20 hexadecimal digits (80 bits), the same wherever the salt is the same."""
    return "~" + hashlib.blake2b(name.encode("utf-8", "surrogatepass"), key=salt, digest_size=10).hexdigest()


class NameGuard:
    """Lets pages of the public stash stream through as the operator wants their account names.

    `open` belongs to the store's thread and comes first; `admit` may then be called from any.
    """

    def __init__(self, account_names: str, cursor_dir: Path, *, warn: Callable[[str], None]) -> None:
        """`account_names` is `hash` or `drop`; the salt is kept in `cursor_dir`."""
        self._wanted = account_names
        self._directory = cursor_dir
        self._warn = warn
        self._treatment = account_names
        self._other_name: OtherName = lambda _: ""

    def open(self, handle: Handle, spooled: Callable[[], Iterable[str]]) -> None:
        """Find the salt, or make it where nothing was hashed yet. `spooled` tells the treatments of waiting pages.

        Raises:
            SaltUnusable: there are hashed names, but the salt that made them is lost or damaged.
            StoreError: the store cannot be asked what it holds.
            OSError: the salt cannot be written.
        """
        if self._wanted == HASH:
            salt = self._salt(handle, spooled)
            self._other_name = lambda name: hashed_name(salt, name)

    def admit(self, page: Page) -> Page:
        """The page as it may be stored. One that is treated so, or more strictly, comes back as it is.

        A body in which the names cannot be told from the rest is no page any more: what is left of it says so.
        """
        if _strictness(page.account_names) >= _strictness(self._treatment):
            return page
        reason, body = page.rejected, b""
        if not reason:
            try:
                body = without_names(page.body, self._other_name)
            except NotAPage as error:
                reason = f"account names cannot be taken out: {error}"
        return replace(
            page,
            body=withheld(page.body, reason) if reason else body,
            rejected=reason,
            account_names=self._treatment,
        )

    def account(self, name: str) -> str:
        """An account of the store as it may be written anew: what is hashed already stays with `hash`."""
        hashed = self._wanted == HASH and _HASHED_NAME.fullmatch(name)
        return name if hashed or not name else self._other_name(name)

    def _salt(self, handle: Handle, spooled: Callable[[], Iterable[str]]) -> bytes:
        file = SaltFile(self._directory)
        newest = handle.value(_NEWEST_HASHED)
        salt = file.read()
        if salt is None:
            hashed = newest or handle.value(_ANY_HASHED) or any(map(_is_hashed, spooled()))
            salt = file.read()  # a harvest of another realm may have made it meanwhile
            if salt is None and hashed:
                raise SaltUnusable(
                    f"{file.path} is missing, and the store holds names that were hashed with it",
                    "Restore it from a backup. Without one, start a new salt, by which every player gets another "
                    f"name: {file.way_to_a_new_one}",
                )
            salt = salt or file.create()
        self._treatment = f"{HASH}:{hashlib.blake2b(salt, digest_size=4, person=b'fingerprint').hexdigest()}"
        if newest and newest != self._treatment:
            self._warn(
                "account names are hashed with another salt than those in the store: "
                "a player seen before gets a second name"
            )
        return salt


def _strictness(treatment: str) -> int:
    return _STRICTNESS[treatment.partition(":")[0]]


def _is_hashed(treatment: str) -> bool:
    return treatment.startswith(f"{HASH}:")
