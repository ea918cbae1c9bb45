"""The table of settings: for each its variable, aliases, shape, default and meaning, declared once.

The declarations are the model's fields and, as `VARIABLES`, the data behind help texts.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr
from pydantic.fields import FieldInfo

from harvester import settings_shapes as shapes
from harvester.settings_shapes import Shape

PRODUCT = "poe-ledger"
"""The name in the User-Agent and of the directory in the user's data folder."""

FEED_REALMS: dict[str, tuple[str, ...]] = {
    "psapi": ("pc", "xbox", "sony"),
    "cxapi": ("pc", "xbox", "sony", "poe2"),
}
"""The realms that each feed has."""

_REALMS = FEED_REALMS["cxapi"]

Realms = Annotated[
    tuple[str, ...], Shape(f"some of {', '.join(_REALMS)}, separated by commas", shapes.choices(_REALMS))
]
Feeds = Annotated[
    tuple[str, ...],
    Shape(f"some of {', '.join(FEED_REALMS)}, separated by commas", shapes.choices(tuple(FEED_REALMS))),
]
AccountNames = Annotated[str, shapes.one_of("keep", "hash", "drop")]
LogFormat = Annotated[str, shapes.one_of("auto", "human", "json")]
Verify = Annotated[str, shapes.one_of("yes", "no")]
GrantType = Annotated[str, shapes.one_of("client_credentials")]


def _setting(
    *names: str,
    meaning: str,
    default: str | SecretStr | tuple[str, ...] | None = "",
    computed: Callable[[dict[str, Any]], Any] | None = None,
    default_shown: str = "",
) -> Any:
    """A field read from the first of `names` that is set. A default in text is read as if it were given."""
    common: dict[str, Any] = {
        "validate_default": True,
        "validation_alias": AliasChoices(*names),
        "description": meaning,
        "json_schema_extra": {"default_shown": default_shown or (default if isinstance(default, str) else "")},
    }
    return Field(default=default, **common) if computed is None else Field(default_factory=computed, **common)


def _data_directory(name: str) -> Path:
    return platformdirs.user_data_path(PRODUCT) / name


class SettingFields(BaseModel):
    """Every setting as a field: durations in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    clickhouse_url: shapes.ClickHouseUrl = _setting(
        "POE_CLICKHOUSE_URL",
        computed=lambda _: f"chdb://{_data_directory('clickhouse')}",
        default_shown="an embedded engine in your user data folder",
        meaning="Where the data is kept: chdb:///path is an engine inside this program, http(s):// a server. "
        "Unset, CH_HOST, CH_PORT and CH_SCHEME build it.",
    )
    clickhouse_database: shapes.DatabaseName = _setting(
        "POE_CLICKHOUSE_DATABASE",
        "CH_DATABASE",
        default="poe_trade",
        meaning="The database that holds the tables.",
    )
    clickhouse_user: shapes.UserName = _setting(
        "POE_CLICKHOUSE_USER",
        "CH_USER",
        meaning="The user on a ClickHouse server; unset is the server's default.",
    )
    clickhouse_password: shapes.Secret = _setting(
        "POE_CLICKHOUSE_PASSWORD", "CH_PASSWORD", default=SecretStr(""), meaning="That user's password."
    )
    clickhouse_password_file: shapes.OptionalPathName = _setting(
        "POE_CLICKHOUSE_PASSWORD_FILE", default=None, meaning="A file that holds the password instead."
    )
    clickhouse_ca_cert: shapes.OptionalPathName = _setting(
        "POE_CLICKHOUSE_CA_CERT",
        default=None,
        default_shown="the certificates of the system",
        meaning="A PEM file of the authorities that an https server's certificate may come from.",
    )
    clickhouse_verify: Verify = _setting(
        "POE_CLICKHOUSE_VERIFY",
        default="yes",
        meaning="Whether an https server must prove who it is; no trusts anybody on the way.",
    )
    clickhouse_timeout: shapes.Seconds = _setting(
        "POE_CLICKHOUSE_TIMEOUT",
        default="60s",
        meaning="How long one statement on a server may stay without an answer.",
    )
    clickhouse_cluster: shapes.ClusterName = _setting(
        "POE_CLICKHOUSE_CLUSTER",
        meaning="A cluster of replicas, as system.clusters names it: tables are defined on all of them, with "
        "replicated engines. Not needed in ClickHouse Cloud.",
    )
    clickhouse_replicated: Verify = _setting(
        "POE_CLICKHOUSE_REPLICATED",
        default="no",
        meaning="Whether tables get replicated engines without a cluster being named, as in a database whose own "
        "engine is Replicated.",
    )
    cursor_dir: shapes.PathName = _setting(
        "POE_CURSOR_DIR",
        "POE_CHECKPOINT_DIR",
        computed=lambda _: _data_directory("cursors"),
        default_shown="a directory in your user data folder",
        meaning="Readable copies of how far each queue has come.",
    )
    spool_dir: shapes.PathName = _setting(
        "POE_SPOOL_DIR",
        computed=lambda given: given["cursor_dir"] / "spool",
        default_shown="spool, inside the cursor directory",
        meaning="Pages that are safe on disk and not yet in ClickHouse.",
    )
    spool_max_bytes: shapes.Bytes = _setting(
        "POE_SPOOL_MAX_BYTES",
        default="2GiB",
        meaning="How much the spool may hold while ClickHouse is away; then polling pauses.",
    )
    api_base_url: shapes.GuardedUrl = _setting(
        "POE_API_BASE_URL", default="https://api.pathofexile.com", meaning="The Path of Exile API."
    )
    auth_base_url: shapes.GuardedUrl = _setting(
        "POE_AUTH_BASE_URL",
        default="https://www.pathofexile.com/oauth",
        meaning="Where tokens are issued: /token is added.",
    )
    cx_base_url: shapes.WebUrl = _setting(
        "POE_CX_BASE_URL",
        default="https://web.poecdn.com/api",
        meaning="The currency exchange history, which needs no credentials.",
    )
    stash_api_path: shapes.UrlPath = _setting(
        "POE_STASH_API_PATH",
        default="public-stash-tabs",
        meaning="The path of the public stash stream below POE_API_BASE_URL.",
    )
    given_user_agent: shapes.HeaderText = _setting(
        "POE_USER_AGENT",
        default_shown="OAuth {client id}/{version} (contact: {contact})",
        meaning="The whole User-Agent header. With a client it must begin with OAuth {client id}/.",
    )
    contact: shapes.HeaderText = _setting(
        "POE_CONTACT",
        meaning="Your e-mail address, sent in the User-Agent: GGG demands it of every client.",
    )
    oauth_client_id: shapes.Token = _setting(
        "POE_OAUTH_CLIENT_ID",
        meaning="Your own confidential OAuth client; the public stash feed needs it.",
    )
    oauth_client_secret: shapes.Secret = _setting(
        "POE_OAUTH_CLIENT_SECRET", default=SecretStr(""), meaning="The secret of that client."
    )
    oauth_client_secret_file: shapes.OptionalPathName = _setting(
        "POE_OAUTH_CLIENT_SECRET_FILE",
        default=None,
        meaning="A file that holds the secret instead; read anew at every renewal, so it can be rotated.",
    )
    oauth_scope: shapes.HeaderText = _setting(
        "POE_OAUTH_SCOPE", default="service:psapi", meaning="The scope asked for."
    )
    oauth_grant_type: GrantType = _setting(
        "POE_OAUTH_GRANT_TYPE",
        default="client_credentials",
        meaning="The OAuth grant; a harvester has no other.",
    )
    feeds: Feeds = _setting(
        "POE_FEEDS",
        default="psapi,cxapi",
        meaning="psapi: public stash tabs, needs an OAuth client; cxapi: currency exchange, needs nothing.",
    )
    realms: Realms = _setting("POE_REALMS", default="pc", meaning="The realms to harvest; poe2 exists for cxapi only.")
    leagues: shapes.Names = _setting(
        "POE_LEAGUES",
        default=(),
        default_shown="all leagues",
        meaning="Keep only these leagues, spelled as the game spells them. Filtered on arrival.",
    )
    currency_names: shapes.OptionalFileName = _setting(
        "POE_CURRENCY_NAMES",
        default=None,
        meaning="A file of your own with names of currencies, in the form of schema/currency_names.tsv; its rows win.",
    )
    market_poll_interval: shapes.Seconds = _setting(
        "POE_MARKET_POLL_INTERVAL",
        default="10s",
        meaning="The pause at the end of the public stash stream before asking for more.",
    )
    request_timeout: shapes.Seconds = _setting(
        "POE_REQUEST_TIMEOUT", default="30s", meaning="How long one request may stay without an answer."
    )
    rate_limit_max_retries: shapes.Tries = _setting(
        "POE_RATE_LIMIT_MAX_RETRIES",
        default="3",
        meaning="Failed tries after which a queue shows trouble; it goes on trying.",
    )
    rate_limit_backoff_base: shapes.Seconds = _setting(
        "POE_RATE_LIMIT_BACKOFF_BASE",
        default="1s",
        meaning="The first pause after a failure; it doubles each time.",
    )
    rate_limit_backoff_max: shapes.Seconds = _setting(
        "POE_RATE_LIMIT_BACKOFF_MAX", default="30s", meaning="The longest of these pauses."
    )
    rate_limit_jitter: shapes.Share = _setting(
        "POE_RATE_LIMIT_JITTER", default="0.5", meaning="The share of a pause that is left to chance."
    )
    lag_amber_seconds: shapes.Seconds = _setting(
        "POE_LAG_AMBER_SECONDS", default="20", meaning="A queue without progress for so long is shown amber."
    )
    lag_red_seconds: shapes.Seconds = _setting(
        "POE_LAG_RED_SECONDS", default="60", meaning="A queue without progress for so long is shown red."
    )
    raw_retention_days: shapes.Days = _setting(
        "POE_RAW_RETENTION_DAYS",
        default="14",
        meaning="Days to keep pages as they came; 0 keeps them for ever.",
    )
    silver_retention_days: shapes.Days = _setting(
        "POE_SILVER_RETENTION_DAYS",
        default="90",
        meaning="Days to keep the derived history; 0 keeps it for ever.",
    )
    cx_retention_days: shapes.Days = _setting(
        "POE_CX_RETENTION_DAYS",
        default="0",
        meaning="Days to keep the markets of the currency exchange, counted from their hour; 0 keeps them for ever.",
    )
    account_names: AccountNames = _setting(
        "POE_ACCOUNT_NAMES",
        default="keep",
        meaning="Store players' account names as they are, hashed with a salt kept beside the cursors, or not at all. "
        "Acts on pages that arrive.",
    )
    alert_command: shapes.CommandLine = _setting(
        "POE_ALERT_COMMAND",
        default="",
        default_shown="off",
        meaning="Run when a queue turns amber or red or has recovered, without a shell; the alert is JSON on its "
        "standard input.",
    )
    alert_webhook: shapes.SecretUrl = _setting(
        "POE_ALERT_WEBHOOK",
        default=SecretStr(""),
        meaning="Where the same JSON is posted; chats such as Slack, Mattermost and Discord read it as it is.",
    )
    alert_interval: shapes.Seconds = _setting(
        "POE_ALERT_INTERVAL",
        default="5m",
        meaning="After an alert, what is no turn for the worse waits so long, queue by queue.",
    )
    log_format: LogFormat = _setting(
        "POE_LOG_FORMAT",
        default="auto",
        meaning="Lines of a headless harvest: human, json, or auto, which is human on a terminal and json elsewhere.",
    )
    metrics_address: shapes.ListenAddress = _setting(
        "POE_METRICS_ADDRESS",
        default=None,
        default_shown="off",
        meaning="Where /metrics (Prometheus), /healthz and /readyz answer; whoever reaches it may read them.",
    )


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable as help shows it."""

    name: str
    aliases: tuple[str, ...]
    field: str
    """The attribute of `Settings`; empty for a variable that only helps to build another."""
    shape: str
    default: str
    """In words or as it would be written; empty means none."""
    meaning: str
    secret: bool


def _variable(field: str, info: FieldInfo) -> Variable:
    names = info.validation_alias
    assert isinstance(names, AliasChoices)  # noqa: S101 - every field is made by _setting
    first, *aliases = (str(name) for name in names.choices)
    shape = next(entry for entry in info.metadata if isinstance(entry, Shape))
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    is_secret = info.annotation is SecretStr
    return Variable(
        first,
        tuple(aliases),
        field,
        shape.wants,
        str(extra["default_shown"]),
        info.description or "",
        is_secret,
    )


VARIABLES: tuple[Variable, ...] = (
    *(_variable(name, info) for name, info in SettingFields.model_fields.items()),
    Variable("CH_HOST", (), "", "a host name or address", "", "A ClickHouse server, without a URL.", False),
    Variable("CH_PORT", (), "", "a port", "8123, or 8443 for https", "Its HTTP port.", False),
    Variable("CH_SCHEME", (), "", "http or https", "http", "How to talk to it.", False),
)
"""Every variable that is read, in the order of the model."""

KNOWN_NAMES: frozenset[str] = frozenset(name for entry in VARIABLES for name in (entry.name, *entry.aliases))
"""Every name under which a value is read."""

SECRET_NAMES: tuple[str, ...] = tuple(
    name for entry in VARIABLES if entry.secret for name in (entry.name, *entry.aliases)
)
"""Those whose value nobody else should read."""


def variables_help(width: int = 100) -> str:
    """All variables as text for the terminal."""
    lines = []
    for entry in VARIABLES:
        alias = f" (alias {', '.join(entry.aliases)})" if entry.aliases else ""
        default = f" Default: {entry.default}." if entry.default else ""
        lines.append(f"{entry.name}{alias}")
        text = f"{entry.meaning} Wants {entry.shape}.{default}"
        lines.extend(textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="    "))
    return "\n".join(lines)
