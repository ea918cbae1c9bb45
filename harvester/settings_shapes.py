"""The shapes a setting can have: how its text is read, and how the shape is put into words.

A parser raises `ValueError` whose text is the way out, or empty where the shape says enough; it never
repeats the value, which may be a secret typed into the wrong place.
"""

from __future__ import annotations

import difflib
import ipaddress
import os.path
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import ByteSize, GetCoreSchemaHandler, SecretStr, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

LONGEST_SECONDS = 365 * 86_400.0
LARGEST_BYTES = 1 << 60
LONGEST_RETENTION_DAYS = 3_650

_UNIT_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(ms|s|m|h|d|)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_BYTE_SIZE = TypeAdapter(ByteSize)
_RESERVED_DATABASES = frozenset({"system", "information_schema", "default_temporary"})


@dataclass(frozen=True, slots=True)
class Shape:
    """Pydantic metadata: `wants` tells the operator what to write, `parse` reads it.

    What is no text has been read before and passes, as does the empty text, which means unset.
    """

    wants: str
    parse: Callable[[str], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._read, handler(source))

    def _read(self, value: Any) -> Any:
        return self.parse(value) if isinstance(value, str) and value else value


def seconds(text: str) -> float:
    """A duration in seconds: `30`, `0.5`, `500ms`, `30s`, `5m`, `1h`, `2d`."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError("")
    value = float(found.group(1)) * _UNIT_SECONDS[found.group(2)]
    if value > LONGEST_SECONDS:
        raise ValueError("Give at most 365d.")
    return value


def positive_seconds(text: str) -> float:
    """As `seconds`, above zero."""
    value = seconds(text)
    if value <= 0:
        raise ValueError("Give more than 0.")
    return value


def byte_size(text: str) -> int:
    """A number of bytes, above zero: `1048576`, `2GB` (powers of 1000), `512MiB` (powers of 1024)."""
    text = text.strip()
    if not text.isascii() or text.lower().endswith("bit"):
        raise ValueError("")
    try:
        value = int(_BYTE_SIZE.validate_python(text))
    except (ValidationError, OverflowError):
        value = -1
    if value < 0:
        raise ValueError("")
    if not 0 < value <= LARGEST_BYTES:
        raise ValueError("Give more than 0 and at most 1EiB.")
    return value


def split_list(text: str) -> tuple[str, ...]:
    """Names between commas: trimmed, in order, each once. At least one; no control characters."""
    names = tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))
    if not names:
        raise ValueError("Name at least one.")
    if any(not name.isprintable() for name in names):
        raise ValueError("Remove the control characters.")
    return names


def choices(allowed: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """A parser of lists whose names must be among `allowed`, whatever their case."""

    def parse(text: str) -> tuple[str, ...]:
        names = split_list(text.lower())
        for name in names:
            if name not in allowed:
                near = difflib.get_close_matches(name, allowed, n=1)
                raise ValueError(f"Did you mean {near[0]}?" if near else "")
        return names

    return parse


def one_of(*allowed: str) -> Shape:
    """One of a few words, whatever its case."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in allowed:
            raise ValueError("")
        return word

    return Shape(" or ".join(allowed), parse)


def whole(minimum: int, maximum: int, wants: str) -> Shape:
    """A whole number within bounds, both included."""

    def parse(text: str) -> int:
        text = text.strip()
        if not re.fullmatch(r"[0-9]{1,9}", text) or not minimum <= int(text) <= maximum:
            raise ValueError("")
        return int(text)

    return Shape(wants, parse)


def share(text: str) -> float:
    """A number from 0 to 1."""
    if not _NUMBER.fullmatch(text.strip()) or float(text) > 1:
        raise ValueError("")
    return float(text)


def header_value(text: str) -> str:
    """Text that can stand in an HTTP header: printable ASCII on one line."""
    text = text.strip()
    if not re.fullmatch(r"[ -~]+", text):
        raise ValueError("Write it with plain ASCII characters, on one line.")
    return text


def token(text: str) -> str:
    """As `header_value`, without a space."""
    text = header_value(text)
    if " " in text:
        raise ValueError("Remove the spaces.")
    return text


def secret(text: str) -> SecretStr:
    """Text that is never shown. A line end, as files and pipes leave it, is not part of it."""
    return SecretStr(text.strip("\r\n"))


def secret_url(text: str) -> SecretStr:
    """As `guarded_url`, never shown; empty is none. Its query may hold a token."""
    text = text.strip()
    if not text:
        return SecretStr("")
    base, _, query = text.partition("?")
    if query and not _URL_CHARACTERS.fullmatch(query):
        raise ValueError("")
    return SecretStr(guarded_url(base) + (f"?{query}" if query else ""))


def command_line(text: str) -> str:
    """A command with its arguments, quoted as in a shell; empty is none."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{error}.") from None
    if text.strip() and not (words and words[0]):
        raise ValueError("")
    return text.strip()


def local_path(text: str) -> Path:
    """An absolute path; `~` is the home directory, a relative path starts at the working directory."""
    text = text.strip()
    if text.startswith("$") or "${" in text:
        raise ValueError("Variables are not expanded here: write the path out (only a leading ~ is known).")
    if not text.isprintable():
        raise ValueError("Remove the control characters.")
    try:
        return Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100 - folds `..` without the disk
    except RuntimeError:
        raise ValueError("There is no such home directory: write the path out.") from None


def database_name(text: str) -> str:
    """A ClickHouse database: a plain identifier that is not one of the engine's own."""
    text = text.strip()
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", text):
        raise ValueError("")
    if text.lower() in _RESERVED_DATABASES:
        raise ValueError("That database belongs to ClickHouse itself: choose another.")
    return text


def cluster_name(text: str) -> str:
    """A cluster as the configuration of a ClickHouse server names it."""
    text = text.strip()
    if text and not re.fullmatch(r"[A-Za-z_{][A-Za-z0-9_.{}-]{0,63}", text):
        raise ValueError("")
    return text


def url_path(text: str) -> str:
    """A path below a base URL, without slashes at its ends."""
    text = text.strip().strip("/")
    if not re.fullmatch(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*", text) or ".." in text:
        raise ValueError("")
    return text


def web_url(text: str) -> str:
    """An http(s) URL without credentials, query and closing slash."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("") from None
    if parts.scheme not in {"http", "https"} or not host or not _URL_CHARACTERS.fullmatch(text):
        raise ValueError("")
    if "@" in parts.netloc:
        raise ValueError("Remove the user and password from the URL.")
    if "?" in text or "#" in text:
        raise ValueError("Remove everything from the ? or # on.")
    return text.rstrip("/")


def guarded_url(text: str) -> str:
    """As `web_url`; https, for the operator's secret or token travels there. http only on this machine."""
    url = web_url(text)
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("Use https://: your secret or token would travel in clear (http only for localhost).")
    return url


def is_loopback(host: str) -> bool:
    """Whether a host name or address never leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})")


def listen_address(text: str) -> tuple[str, int]:
    """`host:port` to listen on; an IPv6 address stands in brackets."""
    found = _LISTEN.fullmatch(text.strip())
    if found is None or not 0 < int(found[3]) < 65_536:
        raise ValueError("")
    return found[1] or found[2], int(found[3])


def clickhouse_url(text: str) -> str:
    """`chdb:///absolute/directory`, or `http(s)://host[:port]` without credentials, path and query."""
    text = text.strip()
    scheme, mark, rest = text.partition("://")
    if scheme == "chdb" and mark:
        if not rest.startswith("/"):
            raise ValueError("Write the directory in full, with three slashes: chdb:///srv/poe-ledger.")
        if "?" in rest or "#" in rest or not rest.isprintable():
            raise ValueError("Choose a directory without ?, # and control characters in its name.")
        return f"chdb://{os.path.normpath('/' + rest.lstrip('/'))}"
    if scheme in {"tcp", "clickhouse", "clickhouses", "native"}:
        raise ValueError("The native protocol is not spoken: name the HTTP port, usually http://host:8123.")
    url = web_url(text)
    if urlsplit(url).path:
        raise ValueError("Remove the path; the database goes into POE_CLICKHOUSE_DATABASE.")
    return url


Seconds = Annotated[float, Shape("a time: 30, 30s, 5m or 1h (a bare number is seconds)", positive_seconds)]
Bytes = Annotated[int, Shape("a size: 1048576, 2GB or 512MiB", byte_size)]
Names = Annotated[tuple[str, ...], Shape("names separated by commas", split_list)]
Days = Annotated[
    int,
    whole(0, LONGEST_RETENTION_DAYS, f"whole days from 0 (keep for ever) to {LONGEST_RETENTION_DAYS}"),
]
Tries = Annotated[int, whole(1, 1_000, "a whole number from 1 to 1000")]
Share = Annotated[float, Shape("a number from 0 to 1", share)]
HeaderText = Annotated[str, Shape("one line of plain ASCII text", header_value)]
Token = Annotated[str, Shape("one word of plain ASCII characters", token)]
SecretUrl = Annotated[SecretStr, Shape("https://host[:port][/path]", secret_url)]
CommandLine = Annotated[str, Shape("a command and its arguments, quoted as in a shell", command_line)]
Secret = Annotated[SecretStr, Shape("the secret as it was given to you", secret)]
PathName = Annotated[Path, Shape("a path", local_path)]
OptionalPathName = Annotated[Path | None, Shape("the path of a file that holds only the secret", local_path)]
OptionalFileName = Annotated[Path | None, Shape("the path of a file", local_path)]
DatabaseName = Annotated[str, Shape("a name of letters, digits and _ that begins with no digit", database_name)]
ClusterName = Annotated[str, Shape("a name of letters, digits, _ . and -", cluster_name)]
UserName = Annotated[str, Shape("a user name on one line", header_value)]
UrlPath = Annotated[str, Shape("a path such as public-stash-tabs", url_path)]
WebUrl = Annotated[str, Shape("http(s)://host[:port][/path]", web_url)]
GuardedUrl = Annotated[str, Shape("https://host[:port][/path]", guarded_url)]
ClickHouseUrl = Annotated[str, Shape("chdb:///absolute/directory or http(s)://host[:port]", clickhouse_url)]
ListenAddress = Annotated[tuple[str, int] | None, Shape("host:port, such as 127.0.0.1:9464", listen_address)]
