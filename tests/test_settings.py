"""Settings: what is read, what is refused, and that no secret is ever shown."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harvester.model import Queue
from harvester.settings import (
    FEED_REALMS,
    VARIABLES,
    Settings,
    SettingsError,
    demo_settings,
    load_settings,
    variables_help,
    warnings_for,
)
from harvester.settings_shapes import byte_size, seconds, split_list
from harvester.version import __version__
from poe_ledger_tui import command_frame

SECRET = "Zx9-tell-nobody"
EXAMPLE = Path(__file__).parent.parent / ".env.example"


def load(**environ: str) -> Settings:
    return load_settings(environ, env_file=None)


def refused(**environ: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load(**environ)
    return caught.value


# ── Defaults and sources ──


def test_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = load()
    assert settings.clickhouse_url.startswith("chdb:///")
    assert settings.clickhouse_url.endswith("/poe-ledger/clickhouse")
    assert settings.cursor_dir.parts[-2:] == ("poe-ledger", "cursors")
    assert settings.spool_dir == settings.cursor_dir / "spool"
    assert settings.spool_max_bytes == 2 << 30
    assert settings.clickhouse_database == "poe_trade"
    assert settings.feeds == ("psapi", "cxapi")
    assert settings.realms == ("pc",)
    assert settings.leagues == ()
    assert (settings.lag_amber_seconds, settings.lag_red_seconds) == (20, 60)
    assert (settings.raw_retention_days, settings.silver_retention_days) == (14, 90)
    assert (settings.rate_limit_backoff_base, settings.rate_limit_backoff_max) == (1, 30)
    assert (settings.rate_limit_max_retries, settings.rate_limit_jitter) == (3, 0.5)
    assert (settings.request_timeout, settings.market_poll_interval) == (30, 10)
    assert settings.api_base_url == "https://api.pathofexile.com"
    assert settings.auth_base_url == "https://www.pathofexile.com/oauth"
    assert settings.cx_base_url == "https://web.poecdn.com/api"
    assert settings.stash_api_path == "public-stash-tabs"
    assert (settings.oauth_scope, settings.oauth_grant_type) == ("service:psapi", "client_credentials")
    assert settings.account_names == "keep"
    assert settings.warnings == ()


def test_frozen() -> None:
    with pytest.raises(ValidationError):
        load().realms = ("sony",)


@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_means_unset(empty: str) -> None:
    settings = load(POE_REALMS=empty, POE_CLICKHOUSE_USER=empty, CH_USER="alias", POE_LAG_RED_SECONDS=empty)
    assert settings.realms == ("pc",)
    assert settings.clickhouse_user == "alias"
    assert settings.lag_red_seconds == 60


@pytest.mark.parametrize(
    ("name", "alias", "field"),
    [
        ("POE_CLICKHOUSE_DATABASE", "CH_DATABASE", "clickhouse_database"),
        ("POE_CLICKHOUSE_USER", "CH_USER", "clickhouse_user"),
    ],
)
def test_name_wins_over_alias(name: str, alias: str, field: str) -> None:
    assert getattr(load(**{alias: "second"}), field) == "second"
    assert getattr(load(**{alias: "second", name: "first"}), field) == "first"


def test_checkpoint_dir_is_an_alias(tmp_path: Path) -> None:
    settings = load(POE_CHECKPOINT_DIR=str(tmp_path))
    assert settings.cursor_dir == tmp_path
    assert settings.spool_dir == tmp_path / "spool"
    both = load(POE_CHECKPOINT_DIR="/old", POE_CURSOR_DIR=str(tmp_path))
    assert both.cursor_dir == tmp_path
    assert any("POE_CHECKPOINT_DIR" in text for text in both.warnings)


def test_env_file_and_environment(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# talk\nexport POE_REALMS=sony\nPOE_LEAGUES='Hardcore $X ${HOME}'\r\nPOE_CLICKHOUSE_USER=file\n")
    settings = load_settings({"POE_REALMS": "xbox", "CH_USER": "environment", "POE_LEAGUES": ""}, file)
    assert settings.realms == ("xbox",)
    assert settings.leagues == ("Hardcore $X ${HOME}",)
    assert settings.clickhouse_user == "file"


def test_env_file_of_the_working_directory_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POE_ACCOUNT_NAMES", "drop")
    (tmp_path / ".env").write_text("POE_REALMS=sony\n")
    settings = load_settings()
    assert (settings.realms, settings.account_names) == (("sony",), "drop")


@pytest.mark.parametrize(
    "line",
    [
        f"POE_OAUTH_CLIENT_SECRET='{SECRET}",
        f"POE_OAUTH_CLIENT_SECRET {SECRET}",
        f'POE_OAUTH_CLIENT_SECRET="{SECRET}" more',
    ],
)
def test_unreadable_env_line_is_named_by_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"POE_REALMS=pc\n\n{line}\n")
    with pytest.raises(SettingsError, match="line 3") as caught:
        load_settings({}, file)
    assert SECRET not in everything_said(caught.value)


def test_unreadable_env_file(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"POE_CONTACT=\xe9\n")
    with pytest.raises(SettingsError, match="UTF-8"):
        load_settings({}, tmp_path / "latin")
    with pytest.raises(SettingsError, match="directory"):
        load_settings({}, tmp_path)
    assert load_settings({}, tmp_path / "missing").realms == ("pc",)


# ── Shapes ──


@given(st.decimals(min_value="0.001", max_value=1000, places=3), st.sampled_from(["", "ms", "s", "m", "h"]))
def test_durations(number: object, unit: str) -> None:
    factor = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]
    assert seconds(f"{number}{unit}") == pytest.approx(float(str(number)) * factor)


@pytest.mark.parametrize("text", ["soon", "-1", "1e3", "inf", "nan", "5 parsecs", "1h30", "9" * 400, "٣", "0", "0s"])
def test_bad_durations(text: str) -> None:
    assert refused(POE_REQUEST_TIMEOUT=text).problems[0].variable == "POE_REQUEST_TIMEOUT"


@given(st.integers(1, 1000), st.sampled_from(["", "B", "kB", "KB", "KiB", "MB", "MiB", "GB", "GiB", "gib"]))
def test_sizes(number: int, unit: str) -> None:
    powers = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3}
    base = 1024 if "i" in unit else 1000
    assert byte_size(f"{number}{unit}") == number * base ** powers[unit[:1].lower()]


@pytest.mark.parametrize("text", ["lots", "-5", "0", "2 potatoes", "9" * 400, "9" * 6000, "1e400", "8kbit", "٣MB"])
def test_bad_sizes(text: str) -> None:
    assert refused(POE_SPOOL_MAX_BYTES=text).problems[0].variable == "POE_SPOOL_MAX_BYTES"


NAME = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)


@given(st.lists(NAME, min_size=1, max_size=6), st.sampled_from([",", " , ", ",,", ", "]))
def test_lists_keep_order_and_drop_repeats(names: list[str], comma: str) -> None:
    assert split_list(comma.join(names)) == tuple(dict.fromkeys(names))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    for variable in VARIABLES:
        said = variable.name
        try:
            load_settings({variable.name: text}, env_file=None)
        except SettingsError as error:
            said = str(error)
        assert variable.name in said


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("POE_REALMS", "pc,xbx", "Did you mean xbox?"),
        ("POE_REALMS", ",", "at least one"),
        ("POE_FEEDS", "stash", "psapi, cxapi"),
        ("POE_LEAGUES", "a\x1b[31m", "control"),
        ("POE_RATE_LIMIT_MAX_RETRIES", "0", "1 to 1000"),
        ("POE_RATE_LIMIT_BACKOFF_BASE", "x", "30s"),
        ("POE_RATE_LIMIT_BACKOFF_BASE", "40", "POE_RATE_LIMIT_BACKOFF_MAX"),
        ("POE_RATE_LIMIT_JITTER", "1.5", "0 to 1"),
        ("POE_RAW_RETENTION_DAYS", "-1", "for ever"),
        ("POE_SILVER_RETENTION_DAYS", "1.5", "whole days"),
        ("POE_RATE_LIMIT_BACKOFF_MAX", "0.5", "POE_RATE_LIMIT_BACKOFF_BASE"),
        ("POE_LAG_AMBER_SECONDS", "60", "POE_LAG_RED_SECONDS"),
        ("POE_LAG_RED_SECONDS", "20", "POE_LAG_AMBER_SECONDS"),
        ("POE_ACCOUNT_NAMES", "maybe", "keep or hash or drop"),
        ("POE_OAUTH_GRANT_TYPE", "password", "client_credentials"),
        ("POE_OAUTH_CLIENT_ID", "two words", "spaces"),
        ("POE_CONTACT", "me@x\r\nX-Evil: 1", "one line"),
        ("POE_USER_AGENT", "tést", "ASCII"),
        ("POE_STASH_API_PATH", "../x?y", "public-stash-tabs"),
        ("POE_API_BASE_URL", "api.pathofexile.com", "https://"),
        ("POE_API_BASE_URL", "http://api.pathofexile.com", "in clear"),
        ("POE_AUTH_BASE_URL", "http://127.0.0.1.example.org/oauth", "in clear"),
        ("POE_API_BASE_URL", "https://h:99999", "https://"),
        ("POE_CX_BASE_URL", "https://h/api?x=1", "Remove"),
        ("POE_CLICKHOUSE_URL", "localhost:8123", "chdb:///"),
        ("POE_CLICKHOUSE_URL", "chdb://data", "three slashes"),
        ("POE_CLICKHOUSE_URL", "chdb://", "three slashes"),
        ("POE_CLICKHOUSE_URL", "tcp://localhost:9000", "native protocol"),
        ("POE_CLICKHOUSE_URL", "http://h:8123/db", "POE_CLICKHOUSE_DATABASE"),
        ("POE_CLICKHOUSE_DATABASE", "a b; drop", "letters"),
        ("CH_DATABASE", "system", "another"),
        ("POE_API_BASE_URL", "http://evil.org\\.localhost", "https://"),
        ("POE_SPOOL_DIR", "~nobody-by-that-name/x", "write the path out"),
        ("POE_CURSOR_DIR", "$HOME/x", "not expanded"),
        ("POE_CHECKPOINT_DIR", "${HOME}/x", "not expanded"),
    ],
)
def test_bad_value_names_variable_value_and_way_out(name: str, value: str, hint: str) -> None:
    error = refused(**{name: value})
    (problem,) = error.problems
    assert problem.variable == name
    assert problem.got
    assert problem.wants
    assert problem.way_out
    assert hint in str(error)
    assert name in str(error)
    assert "\x1b" not in str(error)


def test_every_problem_is_told_at_once() -> None:
    error = refused(POE_REALMS="moon", POE_REQUEST_TIMEOUT="soon", CH_PORT="x", CH_HOST="h")
    assert {problem.variable for problem in error.problems} == {
        "POE_REALMS",
        "POE_REQUEST_TIMEOUT",
        "CH_PORT",
    }


def test_urls_lose_their_closing_slash_and_loopback_may_be_plain() -> None:
    settings = load(POE_API_BASE_URL="http://localhost:8080/", POE_AUTH_BASE_URL="http://[::1]:1/oauth/")
    assert settings.api_base_url == "http://localhost:8080"
    assert settings.auth_base_url == "http://[::1]:1/oauth"
    assert load(POE_API_BASE_URL="http://127.0.0.1:1").api_base_url == "http://127.0.0.1:1"


def test_poe2_needs_the_currency_exchange() -> None:
    assert refused(POE_REALMS="pc,poe2", POE_FEEDS="psapi").problems[0].variable == "POE_REALMS"
    queues = load(POE_REALMS="PC, poe2").queues
    assert queues == (Queue("psapi", "pc"), Queue("cxapi", "pc"), Queue("cxapi", "poe2"))


# ── ClickHouse address ──


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"CH_HOST": "db"}, "http://db:8123"),
        ({"CH_HOST": "db", "CH_PORT": "81"}, "http://db:81"),
        ({"CH_HOST": "db", "CH_SCHEME": "https"}, "https://db:8443"),
        ({"CH_HOST": "db", "CH_PORT": "8443"}, "https://db:8443"),
        ({"CH_HOST": "::1"}, "http://[::1]:8123"),
        ({"CH_HOST": "db", "POE_CLICKHOUSE_URL": "chdb:///data/"}, "chdb:///data"),
        ({"CH_PORT": "junk", "POE_CLICKHOUSE_URL": "https://h/"}, "https://h"),
    ],
)
def test_clickhouse_url(environ: dict[str, str], url: str) -> None:
    assert load(**environ).clickhouse_url == url


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"CH_PORT": "8123"}, "CH_HOST"),
        ({"CH_HOST": f"http://u:{SECRET}@db"}, "CH_HOST"),
        ({"CH_HOST": f"u:{SECRET}@db"}, "CH_HOST"),
        ({"CH_HOST": "db", "CH_PORT": "0"}, "CH_PORT"),
        ({"CH_HOST": "db", "CH_PORT": "9000"}, "CH_PORT"),
        ({"CH_HOST": "db", "CH_SCHEME": "tcp"}, "CH_SCHEME"),
    ],
)
def test_bad_parts_of_the_address(environ: dict[str, str], name: str) -> None:
    error = refused(**environ)
    assert [problem.variable for problem in error.problems] == [name]
    assert SECRET not in everything_said(error)


def test_credentials_leave_the_url() -> None:
    settings = load(POE_CLICKHOUSE_URL="https://al%40ice:p%2Fw@db:8443", CH_USER="other", CH_PASSWORD="other")
    assert settings.clickhouse_url == "https://db:8443"
    assert settings.clickhouse_user == "al@ice"
    assert settings.clickhouse_password.get_secret_value() == "p/w"
    only_user = load(POE_CLICKHOUSE_URL="http://alice@db", CH_PASSWORD="pw")
    assert (only_user.clickhouse_user, only_user.clickhouse_password.get_secret_value()) == ("alice", "pw")


def test_two_users_are_refused() -> None:
    error = refused(POE_CLICKHOUSE_URL=f"http://alice:{SECRET}@db", POE_CLICKHOUSE_USER="bob")
    assert error.problems[0].variable == "POE_CLICKHOUSE_USER"
    assert SECRET not in everything_said(error)


# ── OAuth ──


def test_user_agent() -> None:
    assert load().user_agent == f"poe-ledger/{__version__}"
    assert load(POE_CONTACT="me@x.org").user_agent == f"poe-ledger/{__version__} (contact: me@x.org)"
    client = load(POE_OAUTH_CLIENT_ID="mine", POE_CONTACT="me@x.org")
    assert client.user_agent == f"OAuth mine/{__version__} (contact: me@x.org)"
    own = load(POE_OAUTH_CLIENT_ID="mine", POE_USER_AGENT="OAuth mine/9 (contact: x)", POE_OAUTH_CLIENT_SECRET="s")
    assert own.user_agent == "OAuth mine/9 (contact: x)"
    assert own.warnings == ()
    odd = load(POE_OAUTH_CLIENT_ID="mine", POE_USER_AGENT="curl", POE_OAUTH_CLIENT_SECRET="s")
    assert any("POE_USER_AGENT" in text for text in odd.warnings)


def test_client_needs_a_contact() -> None:
    (problem,) = refused(POE_OAUTH_CLIENT_ID="mine", POE_OAUTH_CLIENT_SECRET=SECRET).problems
    assert problem.variable == "POE_CONTACT"
    assert "GGG" in problem.way_out


def test_secret_file_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("first\n")
    settings = load(POE_OAUTH_CLIENT_SECRET_FILE=str(file), POE_OAUTH_CLIENT_ID="i", POE_CONTACT="c@x")
    assert settings.has_oauth_client
    assert settings.client_secret() == "first"
    file.write_text("second")
    assert settings.client_secret() == "second"
    file.write_text(" \n")
    with pytest.raises(SettingsError, match="POE_OAUTH_CLIENT_SECRET_FILE") as caught:
        settings.client_secret()
    assert "empty" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "cannot be read"),
        (lambda path: path.mkdir(), "not a file"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"\xff" + SECRET.encode()), "UTF-8"),
        (lambda path: path.write_text(SECRET * 10_000), "too large"),
    ],
)
def test_bad_secret_file_is_an_error(tmp_path: Path, make: Callable[[Path], object], why: str) -> None:
    file = tmp_path / "secret"
    make(file)
    error = refused(POE_OAUTH_CLIENT_SECRET_FILE=str(file))
    assert error.problems[0].variable == "POE_OAUTH_CLIENT_SECRET_FILE"
    assert why in str(error)
    assert str(file) in str(error)
    assert SECRET not in everything_said(error)


def test_secret_put_into_the_file_variable_is_not_shown() -> None:
    assert SECRET not in everything_said(refused(POE_OAUTH_CLIENT_SECRET_FILE=SECRET))
    assert SECRET not in everything_said(refused(POE_OAUTH_CLIENT_SECRET_FILE=SECRET * 500))


def test_two_secrets_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("x")
    error = refused(POE_OAUTH_CLIENT_SECRET=SECRET, POE_OAUTH_CLIENT_SECRET_FILE=str(tmp_path / "s"))
    assert error.problems[0].variable == "POE_OAUTH_CLIENT_SECRET"


def test_missing_secret_is_a_remark_and_an_error_when_asked_for() -> None:
    settings = load(POE_OAUTH_CLIENT_ID="mine", POE_CONTACT="c@x")
    assert not settings.has_oauth_client
    assert any("POE_OAUTH_CLIENT_SECRET" in text for text in settings.warnings)
    with pytest.raises(SettingsError, match="POE_OAUTH_CLIENT_SECRET"):
        settings.client_secret()


# ── Secrets are never shown ──


def everything_said(error: BaseException) -> str:
    """All that a log, a traceback or a debugger's first look would print of an error and its chain."""
    said = [*traceback.format_exception(error)]
    seen: BaseException | None = error
    while seen is not None:
        said += [str(seen), repr(seen), repr(seen.args), repr(vars(seen))]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(said)


def test_secrets_are_not_shown_by_the_settings() -> None:
    settings = load(
        POE_OAUTH_CLIENT_ID="mine",
        POE_CONTACT="me@x.org",
        POE_OAUTH_CLIENT_SECRET=SECRET,
        POE_CLICKHOUSE_URL=f"http://alice:{SECRET}@db:8123",
    )
    assert settings.client_secret() == SECRET
    assert settings.clickhouse_password.get_secret_value() == SECRET
    for text in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())):
        assert SECRET not in text
        assert "db:8123" in text


@pytest.mark.parametrize(
    "url",
    [
        f"htp://alice:{SECRET}@db",
        f"http://alice:{SECRET}/x@db",
        f"http://alice:{SECRET}?x@db",
        f"http://db:8123?password={SECRET}",
        f"http://db:8123/#{SECRET}",
        f"alice:{SECRET}@db",
        f"http://alice:{SECRET}@",
        f"http://alice:{SECRET}@[broken",
        f"clickhouse://alice:{SECRET}@db:9000",
    ],
)
def test_secrets_are_not_shown_by_errors_of_urls(url: str) -> None:
    for name in ("POE_CLICKHOUSE_URL", "POE_API_BASE_URL", "POE_AUTH_BASE_URL", "POE_CX_BASE_URL"):
        error = refused(**{name: url})
        assert [problem.variable for problem in error.problems] == [name]
        assert SECRET not in everything_said(error)


def test_secrets_are_not_shown_by_errors_of_other_settings() -> None:
    error = refused(
        POE_OAUTH_CLIENT_SECRET=SECRET,
        CH_PASSWORD="0ther-secret",
        POE_REQUEST_TIMEOUT="0ther-secret",
        POE_OAUTH_CLIENT_ID=f"id {SECRET}",
    )
    assert "0ther-secret" not in everything_said(error)
    assert len(error.problems) == 2
    assert SECRET not in everything_said(error)
    assert error.__context__ is None
    assert error.__cause__ is None


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=20))
def test_no_secret_value_is_ever_shown(tail: str) -> None:
    value = f"Q7z{tail}"
    error = refused(POE_OAUTH_CLIENT_SECRET=value, POE_CLICKHOUSE_PASSWORD=value, POE_REALMS="moon", POE_LEAGUES=",")
    assert value not in everything_said(error)


# ── Typos, command line, demo ──


def test_typos_are_pointed_out(tmp_path: Path) -> None:
    assert warnings_for({"POE_REALM": "pc"}) == ["POE_REALM is not known; did you mean POE_REALMS?"]
    assert warnings_for({"CH_PASWORD": SECRET}) == ["CH_PASWORD is not known; did you mean CH_PASSWORD?"]
    assert warnings_for({"POE_CLICKHOUSE_HOST": "x"})[0].endswith("did you mean POE_CLICKHOUSE_URL?")
    assert warnings_for({"POE_\x1b[2J": "x"}) == ["'POE_\\x1b[2J' is not known here and has no effect."]
    assert warnings_for({"POE_WEATHER": "x"}) == ["POE_WEATHER is not known here and has no effect."]
    assert warnings_for({"CH_WEATHER": "x", "PATH": "x", "POETRY_HOME": "x", "POE_REALM": "", "CH_USER": "x"}) == []
    (tmp_path / ".env").write_text("POE_LEAGE=Standard\n")
    assert "POE_LEAGUES" in load_settings({}, tmp_path / ".env").warnings[0]


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("CH_PASSWORD=x\n", 0o644, True),
        ("CH_PASSWORD=x\n", 0o640, False),
        ("CH_PASSWORD=\n", 0o644, False),
        ("POE_REALMS=pc\n", 0o644, False),
    ],
)
def test_a_secret_that_every_user_can_read_is_pointed_out(tmp_path: Path, text: str, mode: int, said: bool) -> None:
    file = tmp_path / ".env"
    file.write_text(text)
    file.chmod(mode)
    warnings = load_settings({}, file).warnings

    assert bool(warnings) is said
    assert not said or warnings[0].endswith(f"which holds CH_PASSWORD. Run: chmod 600 {file}")


def test_the_help_of_options_names_every_choice() -> None:
    assert all(feed in command_frame.FEED_HELP for feed in FEED_REALMS)
    assert all(realm in command_frame.REALM_HELP for realms in FEED_REALMS.values() for realm in realms)


def test_overrides() -> None:
    base = load(POE_REALMS="sony", POE_OAUTH_CLIENT_SECRET=SECRET, POE_CLICKHOUSE_URL=f"http://a:{SECRET}@db")
    same = base.with_overrides(realms=[], leagues=None)
    assert same == base
    other = base.with_overrides(realms=["pc", "xbox"], leagues=["Standard,Hardcore"], feeds=["psapi"])
    assert (other.realms, other.leagues, other.feeds) == (
        ("pc", "xbox"),
        ("Standard", "Hardcore"),
        ("psapi",),
    )
    assert other.clickhouse_password.get_secret_value() == SECRET
    assert base.realms == ("sony",)
    assert base.with_overrides(database="x", poll_interval=2.5).market_poll_interval == 2.5


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"realms": ["moon"]}, "--realm"),
        ({"feeds": ["moon"]}, "--feed"),
        ({"leagues": [","]}, "--league"),
        ({"realms": ["poe2"], "feeds": ["psapi"]}, "--realm"),
        ({"database": "a-b"}, "--database"),
        ({"poll_interval": 0}, "--poll-interval"),
    ],
)
def test_bad_override_names_the_option(options: dict[str, list[str]], name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load().with_overrides(**options)  # type: ignore[arg-type]
    assert [problem.variable for problem in caught.value.problems] == [name]
    assert caught.value.__context__ is None


def test_demo_ignores_what_names_a_place_or_a_client(tmp_path: Path) -> None:
    hostile = {
        entry.name: "\x00 unreadable"
        for entry in VARIABLES
        if re.match(r"POE_(API|AUTH|OAUTH|CX|CLICKHOUSE|CURSOR|SPOOL)_|CH_", entry.name)
    }
    hostile |= {"POE_CHECKPOINT_DIR": "$x", "CH_USER": "u", "CH_PASSWORD": SECRET, "POE_USER_AGENT": "real"}
    environ = {**hostile, "POE_REALMS": "sony", "POE_CONTACT": "real@x.org"}
    settings = demo_settings(tmp_path, "http://127.0.0.1:8080/", environ=environ, env_file=None)
    assert settings.clickhouse_url == f"chdb://{tmp_path}/clickhouse"
    assert settings.cursor_dir == tmp_path / "cursors"
    assert settings.spool_dir == tmp_path / "cursors" / "spool"
    assert settings.api_base_url == "http://127.0.0.1:8080"
    assert settings.auth_base_url == "http://127.0.0.1:8080/oauth"
    assert settings.cx_base_url == "http://127.0.0.1:8080/api"
    assert settings.has_oauth_client
    assert "real" not in settings.user_agent
    assert SECRET not in (settings.client_secret(), settings.clickhouse_password.get_secret_value())
    assert settings.realms == ("sony",)


# ── The table and .env.example ──


def test_help_names_every_variable() -> None:
    text = variables_help()
    for entry in VARIABLES:
        assert entry.meaning
        assert entry.shape
        for name in (entry.name, *entry.aliases):
            assert re.search(rf"\b{name}\b", text)


def example_lines() -> dict[str, tuple[bool, str]]:
    """Variable → whether it is switched off, and the value; each must stand below a comment."""
    found: dict[str, tuple[bool, str]] = {}
    explained = False
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        setting = re.fullmatch(r"(#?)([A-Z_]+)=(.*)", line)
        if setting:
            assert explained, f"{setting[2]} is not explained"
            assert setting[2] not in found
            found[setting[2]] = (bool(setting[1]), setting[3])
        else:
            explained = line.startswith("# ")
    return found


def test_example_names_every_variable_and_nothing_else() -> None:
    assert set(example_lines()) == {name for entry in VARIABLES for name in (entry.name, *entry.aliases)}


def test_example_shows_the_defaults() -> None:
    defaults = {entry.name: entry.default for entry in VARIABLES}
    for name, (off, value) in example_lines().items():
        assert off or value == "" or value == defaults[name], name


def test_example_copied_unchanged_changes_nothing() -> None:
    assert load_settings({}, EXAMPLE) == load()
    assert load_settings({"POE_CLICKHOUSE_URL": "http://clickhouse:8123"}, EXAMPLE).clickhouse_user == ""
