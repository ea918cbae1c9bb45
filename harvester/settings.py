"""What the operator decided, as one validated model: `load_settings` reads the environment and a `.env` file.

The single settings are declared in `settings_fields`; here is what they must fulfil together. A value that
cannot be read is an error that names its variable, never a silent default.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from harvester.model import Queue
from harvester.settings_fields import (
    FEED_REALMS,
    KNOWN_NAMES,
    PRODUCT,
    SECRET_NAMES,
    VARIABLES,
    SettingFields,
    Variable,
    variables_help,
)
from harvester.settings_sources import (
    SettingsError,
    SettingsProblem,
    clickhouse_address,
    env_file_remarks,
    find_strangers,
    merge,
    read_env_file,
    read_secret_file,
    shown,
)
from harvester.version import __version__

__all__ = [
    "FEED_REALMS",
    "VARIABLES",
    "Settings",
    "SettingsError",
    "SettingsProblem",
    "Variable",
    "demo_settings",
    "load_settings",
    "variables_help",
    "warnings_for",
]

_DEFAULT_ENV_FILE = Path(".env")


class Settings(SettingFields):
    """What the operator decided. Frozen; durations in seconds, sizes in bytes. Secrets are never shown."""

    warnings: tuple[str, ...] = ()
    """Remarks for the operator: likely typos and what will not work. Never an error, never a secret."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = list(self._contradictions())
        for name, file in (
            ("POE_OAUTH_CLIENT_SECRET_FILE", self.oauth_client_secret_file),
            ("POE_CLICKHOUSE_PASSWORD_FILE", self.clickhouse_password_file),
        ):
            if file is not None:
                try:
                    read_secret_file(name, file)
                except SettingsError as error:
                    problems.extend(error.problems)
        if problems:
            raise _ContradictionError(problems)
        return self

    def _contradictions(self) -> Iterator[SettingsProblem]:
        if self.lag_amber_seconds >= self.lag_red_seconds:
            yield self._out_of_order("lag_amber_seconds", "less than", "lag_red_seconds", "more than")
        if self.rate_limit_backoff_base > self.rate_limit_backoff_max:
            yield self._out_of_order("rate_limit_backoff_base", "at most", "rate_limit_backoff_max", "at least")
        if "poe2" in self.realms and "cxapi" not in self.feeds:
            yield SettingsProblem(
                "POE_REALMS",
                repr(",".join(self.realms)),
                "for the feed psapi: some of pc, xbox, sony",
                "Remove poe2, or add the feed cxapi: only the currency exchange has that realm.",
            )
        if self.oauth_client_id and not (self.contact or self.given_user_agent):
            yield SettingsProblem(
                "POE_CONTACT",
                "",
                "your e-mail address, wherever POE_OAUTH_CLIENT_ID is set",
                "Set it: GGG demands a contact in the User-Agent of every OAuth client.",
            )
        if self.oauth_client_secret_file is not None and self.oauth_client_secret.get_secret_value():
            yield SettingsProblem(
                "POE_OAUTH_CLIENT_SECRET",
                shown("", hidden=True),
                "one source of the secret; POE_OAUTH_CLIENT_SECRET_FILE is set too",
                "Remove one of the two.",
            )

        if self.clickhouse_password_file is not None and self.clickhouse_password.get_secret_value():
            yield SettingsProblem(
                "POE_CLICKHOUSE_PASSWORD",
                shown("", hidden=True),
                "one source of the password; POE_CLICKHOUSE_PASSWORD_FILE is set too",
                "Remove one of the two.",
            )

    def _out_of_order(self, low: str, below: str, high: str, above: str) -> SettingsProblem:
        """Two durations the wrong way round; the one that the operator set is to blame."""
        names = {entry.field: entry.name for entry in VARIABLES}
        blame_high = high in self.model_fields_set and low not in self.model_fields_set
        field, relation, other = (high, above, low) if blame_high else (low, below, high)
        return SettingsProblem(
            names[field],
            f"{getattr(self, field):g} s",
            f"{relation} {names[other]}, which is {getattr(self, other):g} s",
            f"Lower {names[low]} or raise {names[high]}.",
        )

    @property
    def user_agent(self) -> str:
        """The User-Agent of every request, in the form that GGG demands."""
        if self.given_user_agent:
            return self.given_user_agent
        name = f"OAuth {self.oauth_client_id}" if self.oauth_client_id else PRODUCT
        contact = f" (contact: {self.contact})" if self.contact else ""
        return f"{name}/{__version__}{contact}"

    @property
    def has_oauth_client(self) -> bool:
        """Whether client id and secret are both there: without them the feed psapi cannot be harvested."""
        has_secret = self.oauth_client_secret_file is not None or bool(self.oauth_client_secret.get_secret_value())
        return bool(self.oauth_client_id) and has_secret

    @property
    def queues(self) -> tuple[Queue, ...]:
        """Every feed in every chosen realm that it has, in the order chosen."""
        return tuple(Queue(feed, realm) for feed in self.feeds for realm in self.realms if realm in FEED_REALMS[feed])

    def client_secret(self) -> str:
        """The OAuth client's secret, read anew from its file on every call.

        Raises:
            SettingsError: there is none, or its file cannot be read; names the variable.
        """
        if self.oauth_client_secret_file is not None:
            return read_secret_file("POE_OAUTH_CLIENT_SECRET_FILE", self.oauth_client_secret_file)
        plain = self.oauth_client_secret.get_secret_value()
        if not plain:
            wants = "the secret of your OAuth client"
            way_out = "Set it, or put the secret into a file and name that in POE_OAUTH_CLIENT_SECRET_FILE."
            raise SettingsError([SettingsProblem("POE_OAUTH_CLIENT_SECRET", "", wants, way_out)])
        return plain

    def store_password(self) -> str:
        """The password of the ClickHouse user, read anew from its file on every call; empty where there is none.

        Raises:
            SettingsError: its file cannot be read; names the variable.
        """
        if self.clickhouse_password_file is not None:
            return read_secret_file("POE_CLICKHOUSE_PASSWORD_FILE", self.clickhouse_password_file)
        return self.clickhouse_password.get_secret_value()

    def with_overrides(
        self,
        *,
        realms: Sequence[str] | None = None,
        leagues: Sequence[str] | None = None,
        feeds: Sequence[str] | None = None,
        database: str | None = None,
        poll_interval: str | float | None = None,
    ) -> Settings:
        """These settings with command-line options on top; None or empty leaves a setting as it is.

        Raises:
            SettingsError: an option cannot be used; names the option instead of the variable.
        """
        options: dict[str, tuple[str, str]] = {
            "POE_REALMS": ("--realm", _joined(realms)),
            "POE_LEAGUES": ("--league", _joined(leagues)),
            "POE_FEEDS": ("--feed", _joined(feeds)),
            "POE_CLICKHOUSE_DATABASE": ("--database", database or ""),
            "POE_MARKET_POLL_INTERVAL": (
                "--poll-interval",
                "" if poll_interval is None else str(poll_interval),
            ),
        }
        given = {name: (option, text) for name, (option, text) in options.items() if text}
        values = {entry.name: getattr(self, entry.field) for entry in VARIABLES if entry.field}
        values.update({name: text for name, (_, text) in given.items()})
        return _validated(values, self.warnings, {name: option for name, (option, _) in given.items()})


class _ContradictionError(ValueError):
    """Settings that are fine one by one and do not go together."""

    def __init__(self, problems: Sequence[SettingsProblem]) -> None:
        super().__init__("settings contradict each other")
        self.problems = problems


def load_settings(environ: Mapping[str, str] | None = None, env_file: Path | None = _DEFAULT_ENV_FILE) -> Settings:
    """The settings in force: environment (default: this process's), then `.env`, then defaults.

    Raises:
        SettingsError: with every value that cannot be used.
    """
    from_file, problems = read_env_file(env_file)
    return _load(
        merge(os.environ if environ is None else environ, from_file),
        problems,
        env_file_remarks(env_file, from_file, SECRET_NAMES),
    )


def demo_settings(
    directory: Path,
    base_url: str,
    *,
    auth_base_url: str = "",
    cx_base_url: str = "",
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = _DEFAULT_ENV_FILE,
) -> Settings:
    """The settings of `--demo`: what names a server, a client or a place is replaced, the rest kept.

    `directory` takes everything that is written; `base_url` is the simulator's, on this machine. Tokens and
    the currency exchange are `/oauth` and `/api` below it unless given.
    """
    from_file, problems = read_env_file(env_file)
    merged = merge(os.environ if environ is None else environ, from_file)
    kept = {name: value for name, value in merged.items() if not name.startswith(_IGNORED_BY_DEMO)}
    base = base_url.rstrip("/")
    demo = {
        "POE_CLICKHOUSE_URL": f"chdb://{directory.absolute() / 'clickhouse'}",
        "POE_CURSOR_DIR": str(directory.absolute() / "cursors"),
        "POE_API_BASE_URL": base,
        "POE_AUTH_BASE_URL": auth_base_url or f"{base}/oauth",
        "POE_CX_BASE_URL": cx_base_url or f"{base}/api",
        "POE_OAUTH_CLIENT_ID": "demo",
        "POE_OAUTH_CLIENT_SECRET": "demo-secret",
        "POE_CONTACT": "demo@localhost",
        # Whoever tries the demo reads it, also where its lines go through a pipe.
        "POE_LOG_FORMAT": "json" if kept.get("POE_LOG_FORMAT", "").strip().lower() == "json" else "human",
    }
    return _load(kept | demo, problems, [])


_IGNORED_BY_DEMO = (
    *("POE_API_", "POE_AUTH_", "POE_OAUTH_", "POE_CX_", "POE_CLICKHOUSE_", "CH_"),
    *("POE_CURSOR_", "POE_CHECKPOINT_", "POE_SPOOL_", "POE_CONTACT", "POE_USER_AGENT", "POE_STASH_API_"),
    "POE_ALERT_",
)


def warnings_for(environ: Mapping[str, str]) -> list[str]:
    """Remarks on variables that nothing reads: likely typos, and `POE_*` names that are unknown."""
    return find_strangers(merge(environ, {}), KNOWN_NAMES)


def _load(values: dict[str, str], problems: list[SettingsProblem], of_file: list[str]) -> Settings:
    known = {name: value for name, value in values.items() if name in KNOWN_NAMES}
    addressed, more = clickhouse_address(known)
    problems = problems + more
    remarks = [*of_file, *warnings_for(values), *_remarks(addressed)]
    overruled = {alias for entry in VARIABLES if entry.name in addressed for alias in entry.aliases}
    effective = {name: value for name, value in addressed.items() if name not in overruled}
    settings = None
    try:
        settings = _validated(effective, tuple(remarks), {})
    except SettingsError as error:
        said = {problem.variable for problem in problems}
        problems += [problem for problem in error.problems if problem.variable not in said]
    if settings is None or problems:
        raise SettingsError(problems)
    return settings


def _remarks(values: Mapping[str, str]) -> Iterator[str]:
    cursor, checkpoint = values.get("POE_CURSOR_DIR"), values.get("POE_CHECKPOINT_DIR")
    if cursor and checkpoint and cursor != checkpoint:
        yield "POE_CURSOR_DIR and POE_CHECKPOINT_DIR differ; POE_CURSOR_DIR is used."
    client = values.get("POE_OAUTH_CLIENT_ID", "").strip()
    secret = values.get("POE_OAUTH_CLIENT_SECRET") or values.get("POE_OAUTH_CLIENT_SECRET_FILE")
    if client and not secret:
        yield "POE_OAUTH_CLIENT_ID is set without POE_OAUTH_CLIENT_SECRET or POE_OAUTH_CLIENT_SECRET_FILE."
    if secret and not client:
        yield "An OAuth secret is set without POE_OAUTH_CLIENT_ID: it has no effect."
    agent = values.get("POE_USER_AGENT", "").strip()
    if client and agent and not agent.startswith(f"OAuth {client}/"):
        yield f"POE_USER_AGENT should begin with 'OAuth {client}/': GGG demands that of OAuth clients."


def _validated(values: Mapping[str, Any], warnings: tuple[str, ...], options: Mapping[str, str]) -> Settings:
    """The model of these values; `options` names those that came from the command line."""
    found: Sequence[Any] = ()
    try:
        return Settings.model_validate({**values, "warnings": warnings})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    # Raised outside the handler: a ValidationError in the chain would carry the values along.
    raise SettingsError([problem for item in found for problem in _problems(item, values, options)])


def _problems(
    item: Mapping[str, Any], values: Mapping[str, Any], options: Mapping[str, str]
) -> Iterator[SettingsProblem]:
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, _ContradictionError):
        for problem in cause.problems:
            yield SettingsProblem(
                options.get(problem.variable, problem.variable), problem.got, problem.wants, problem.way_out
            )
        return
    if item["type"] == "default_factory_not_called":
        return
    name = str(item["loc"][0])
    entry = next(entry for entry in VARIABLES if name in (entry.name, *entry.aliases))
    secrets = [
        str(values[other])
        for secret in VARIABLES
        if secret.secret
        for other in (secret.name, *secret.aliases)
        if other in values
    ]
    got = shown(str(values.get(name, entry.default)), hidden=entry.secret, secrets=secrets)
    default = f"leave it out for the default ({entry.default})" if entry.default else "leave it out"
    way_out = str(cause or "") or f"Correct it, or {default}."
    yield SettingsProblem(options.get(name, name), got, entry.shape, way_out)


def _joined(names: Sequence[str] | None) -> str:
    return names if isinstance(names, str) else ",".join(names or ())
