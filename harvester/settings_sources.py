"""Where settings come from: the environment, a `.env` file, a secret's file; and the errors in words."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dotenv.parser import parse_stream

_LARGEST_SECRET = 65_536
_LONGEST_SHOWN = 120
_SHORTEST_SCRUBBED = 4
_NATIVE_PORTS = frozenset({9000, 9440})
HIDDEN = "(not shown)"


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """One setting that cannot be used. No field ever holds a secret."""

    variable: str
    """The environment variable, command-line option or place in `.env`."""
    got: str
    """What was found, quoted; `(not shown)` for a secret, empty where nothing was given."""
    wants: str
    way_out: str

    def __str__(self) -> str:
        lines = [f"{self.variable}: got {self.got}" if self.got else self.variable]
        lines.append(f"    wants: {self.wants}")
        if self.way_out:
            lines.append(f"    what to do: {self.way_out}")
        return "\n".join(lines)


class SettingsError(Exception):
    """The settings cannot be used; `problems` says which, why and what to do. Safe to print and to log."""

    def __init__(self, problems: Sequence[SettingsProblem]) -> None:
        self.problems = list(problems)
        super().__init__(str(self))

    def __str__(self) -> str:
        count = len(self.problems)
        head = "A setting cannot be used." if count == 1 else f"{count} settings cannot be used."
        return "\n".join([head, *(str(problem) for problem in self.problems)])


def env_file_remarks(path: Path | None, values: Mapping[str, str], secrets: Collection[str]) -> list[str]:
    """A remark on a `.env` that holds one of `secrets` (names of variables) and that every user can read."""
    held = [name for name in secrets if values.get(name, "").strip()]
    try:
        mode = path.stat().st_mode if path is not None and held and os.name == "posix" else 0
    except OSError:
        return []
    if not mode & stat.S_IROTH:
        return []
    return [f"Every user of this machine can read {path}, which holds {', '.join(held)}. Run: chmod 600 {path}"]


def read_env_file(path: Path | None) -> tuple[dict[str, str], list[SettingsProblem]]:
    """The variables of a `.env` file, as written: `${…}` is not expanded. No file, no variables."""
    if path is None:
        return {}, []
    wants = "a readable text file (UTF-8) with one NAME=value per line"
    try:
        with path.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return {}, []
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "not UTF-8 text"
        return {}, [SettingsProblem(str(path), why, wants, "Mend or remove the file.")]
    values: dict[str, str] = {}
    problems: list[SettingsProblem] = []
    for binding in bindings:
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
        elif binding.key is not None or binding.error:
            text = binding.original.string
            line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
            # The line is not repeated: it may hold a secret whose quote is missing.
            problems.append(
                SettingsProblem(
                    f"{path}, line {line}",
                    "",
                    "NAME=value, with a closing quote where one is opened",
                    "Correct the line, or begin it with # to switch it off.",
                )
            )
    return values, problems


def merge(environ: Mapping[str, str], env_file: Mapping[str, str]) -> dict[str, str]:
    """Both sources as one: a variable of the real environment wins over the file; an empty one is unset."""
    merged = {name: value for name, value in env_file.items() if value.strip()}
    merged.update({name: value for name, value in environ.items() if value.strip()})
    return merged


def read_secret_file(variable: str, path: Path) -> str:
    """The secret in a file, without surrounding blanks.

    Raises:
        SettingsError: not a readable text file, or empty.
    """
    why = ""
    text = ""
    try:
        if path.exists() and not path.is_file():
            why = "is not a file"
        else:
            with path.open("rb") as stream:
                raw = stream.read(_LARGEST_SECRET + 1)
            text = raw.decode("utf-8-sig").strip()
            why = "is too large to be a secret" if len(raw) > _LARGEST_SECRET else "" if text else "is empty"
    except UnicodeDecodeError:
        why = "is not UTF-8 text"
    except (OSError, ValueError) as error:
        why = f"cannot be read: {getattr(error, 'strerror', None) or 'bad path'}"
    if why:
        # Outside the handler: the bytes of a failed decode must not travel along as its context.
        raise SettingsError(
            [
                SettingsProblem(
                    variable,
                    _shown_path(path),
                    "the path of a readable file that holds only the secret",
                    f"The file {why}. Correct the path or the file's content and permissions.",
                )
            ]
        )
    return text


def _shown_path(path: Path) -> str:
    """The path quoted, unless it looks like the secret itself, put into the wrong variable."""
    try:
        looks_like_path = path.parent != Path.cwd() and path.parent.is_dir()
    except OSError:
        looks_like_path = False
    return repr(str(path)) if looks_like_path else HIDDEN


def shown(value: str, *, hidden: bool, secrets: Iterable[str] = ()) -> str:
    """A value as it may stand in a message: quoted, cut to length, without credentials."""
    if hidden:
        return HIDDEN
    text = value
    if "://" in text and not text.startswith("chdb:"):
        scheme, _, rest = text.partition("://")
        if "@" in rest:
            rest = "***@" + rest.rpartition("@")[2]
        text = f"{scheme}://{re.split(r'[?#]', rest)[0]}"
    elif "@" in text and ":" in text:
        text = f"***@{text.rpartition('@')[2]}"
    for hidden_text in secrets:
        if len(hidden_text) >= _SHORTEST_SCRUBBED:
            text = text.replace(hidden_text, "***")
    return repr(text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…")


def clickhouse_address(values: Mapping[str, str]) -> tuple[dict[str, str], list[SettingsProblem]]:
    """The variables with one address of ClickHouse in them, which shows no credentials.

    `CH_HOST`, `CH_PORT` and `CH_SCHEME` build `POE_CLICKHOUSE_URL` where it is not set; a user and password
    inside a URL move into `POE_CLICKHOUSE_USER` and `POE_CLICKHOUSE_PASSWORD`.
    """
    result = dict(values)
    host, port, scheme = (result.pop(name, "").strip() for name in ("CH_HOST", "CH_PORT", "CH_SCHEME"))
    if "POE_CLICKHOUSE_URL" in result:
        return _move_credentials(result)
    if not (host or port or scheme):
        return result, []
    problems = _address_problems(host, port, scheme)
    if not problems:
        bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
        scheme = scheme.lower() or ("https" if port in {"443", "8443"} else "http")
        number = port or ("8443" if scheme == "https" else "8123")
        result["POE_CLICKHOUSE_URL"] = f"{scheme}://{bracketed}:{number}"
    return result, problems


def _address_problems(host: str, port: str, scheme: str) -> list[SettingsProblem]:
    problems = []
    if not host:
        given = "CH_PORT" if port else "CH_SCHEME"
        problems.append(
            SettingsProblem("CH_HOST", "", f"the server that {given} belongs to", f"Set it, or remove {given}.")
        )
    elif not _is_host(host):
        problems.append(
            SettingsProblem(
                "CH_HOST",
                shown(host, hidden=False),
                "a host name or address, without scheme, port and credentials",
                "Put a whole URL into POE_CLICKHOUSE_URL instead.",
            )
        )
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65_536):
        problems.append(SettingsProblem("CH_PORT", shown(port, hidden=False), "a port from 1 to 65535", ""))
    elif port and int(port) in _NATIVE_PORTS:
        way_out = "Use 8123 (https: 8443). If HTTP really listens there, set POE_CLICKHOUSE_URL."
        problems.append(SettingsProblem("CH_PORT", repr(port), "the HTTP port; this is the native protocol's", way_out))
    if scheme and scheme.lower() not in {"http", "https"}:
        problems.append(SettingsProblem("CH_SCHEME", shown(scheme, hidden=False), "http or https", ""))
    return problems


def _is_host(host: str) -> bool:
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?", host):
        return False
    try:
        return bool(urlsplit(f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}").hostname)
    except ValueError:
        return False


def _move_credentials(values: dict[str, str]) -> tuple[dict[str, str], list[SettingsProblem]]:
    url = values["POE_CLICKHOUSE_URL"].strip()
    scheme, mark, rest = url.partition("://")
    if not mark or scheme == "chdb" or "@" not in rest:
        return values, []
    authority = re.split(r"[/?#]", rest)[0]
    credentials, at, address = authority.rpartition("@")
    if not at:
        return values, [
            SettingsProblem(
                "POE_CLICKHOUSE_URL",
                shown(url, hidden=False),
                "http(s)://host[:port]",
                "Give user and password in POE_CLICKHOUSE_USER and POE_CLICKHOUSE_PASSWORD.",
            )
        ]
    values["POE_CLICKHOUSE_URL"] = f"{scheme}://{address}{rest[len(authority) :]}"
    user, _, password = (unquote(part) for part in credentials.partition(":"))
    if user and values.get("POE_CLICKHOUSE_USER", user).strip() != user:
        return values, [
            SettingsProblem(
                "POE_CLICKHOUSE_USER",
                shown(values["POE_CLICKHOUSE_USER"], hidden=False, secrets=[password]),
                "one user; the URL in POE_CLICKHOUSE_URL names another",
                "Remove the user and password from the URL.",
            )
        ]
    for name, value in (("POE_CLICKHOUSE_USER", user), ("POE_CLICKHOUSE_PASSWORD", password)):
        if value:
            values.setdefault(name, value)
    return values, []


def find_strangers(given: Iterable[str], known: Collection[str]) -> list[str]:
    """Remarks on `POE_*` and `CH_*` names that nothing reads; of `CH_*`, which others use, only typos."""
    remarks = []
    for name in sorted(set(given) - set(known)):
        prefix, mark, bare = name.upper().partition("_")
        if not mark or prefix not in {"POE", "CH"}:
            continue
        family = {other.partition("_")[2]: other for other in known if other.startswith(f"{prefix}_")}
        near = difflib.get_close_matches(bare, family, n=1, cutoff=0.7)
        near = near or [other for other in family if len(bare) > 3 and other.startswith(f"{bare}_")]
        near = ["CLICKHOUSE_URL"] if bare in {"CLICKHOUSE_HOST", "CLICKHOUSE_PORT"} else near
        spoken = name if name.isprintable() else repr(name)
        if near and near[0] in family:
            remarks.append(f"{spoken} is not known; did you mean {family[near[0]]}?")
        elif prefix == "POE":
            remarks.append(f"{spoken} is not known here and has no effect.")
    return remarks
