"""The salt of hashed account names: one secret for all queues, kept beside the cursors."""

from __future__ import annotations

import contextlib
import re
import secrets
from pathlib import Path

from harvester.files import create_directory, create_durably

FILE_NAME = "account-names.salt"
_BYTES = 32
_TEXT = re.compile(rf"[0-9a-f]{{{2 * _BYTES}}}", re.IGNORECASE)


class SaltUnusable(Exception):  # noqa: N818
    """Names cannot be hashed as before; the message says why, `todo` what helps."""

    def __init__(self, message: str, todo: str) -> None:
        super().__init__(message)
        self.todo = todo


class SaltFile:
    """`{directory}/account-names.salt`: 64 hexadecimal digits, readable by its owner only."""

    def __init__(self, directory: Path) -> None:
        create_directory(directory)
        self.path = directory / FILE_NAME

    @property
    def way_to_a_new_one(self) -> str:
        """The command that makes a salt by hand: the operator's decision that old and new names need not match."""
        return f"(umask 077; openssl rand -hex {_BYTES} > '{self.path}')"

    def read(self) -> bytes | None:
        """The salt; None where there is no file.

        Raises:
            SaltUnusable: the file is there and holds no salt. It is never replaced by itself.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SaltUnusable(
                f"{self.path} cannot be read: {error.strerror or error}", "Mend the permissions, then start again."
            ) from None
        text = data.decode("ascii", "replace").strip()
        if not _TEXT.fullmatch(text):
            raise SaltUnusable(
                f"{self.path} is damaged: it must hold {2 * _BYTES} hexadecimal digits",
                "Restore it from a backup. Without one, start a new salt, by which every player gets another name: "
                f"{self.way_to_a_new_one}",
            )
        return bytes.fromhex(text)

    def create(self) -> bytes:
        """A new salt, safe on disk; where somebody else has just made one, that.

        Raises:
            OSError: the disk refuses.
        """
        with contextlib.suppress(FileExistsError):
            create_durably(self.path, f"{secrets.token_hex(_BYTES)}\n".encode())
        salt = self.read()
        if salt is None:
            raise OSError(f"{self.path} was removed as soon as it was made")
        return salt
