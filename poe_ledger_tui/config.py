"""The app's own configuration file: keys, theme and clipboard. Strict: what is not known is refused in clear words.

`app.toml` in the user's configuration folder (`~/.config/poe-ledger` on Linux):

    theme = "ledger-light"          # ledger-dark, ledger-light, ansi-dark, ansi-light or another of Textual's
    clipboard = "auto"              # auto, osc52 or native
    [keys]
    "everywhere.toggle" = "s"       # an action's id = its keys, separated by commas
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path
from typing import Any

from poe_ledger_tui.actions import ACTIONS, BY_ID, EVERYWHERE, Action

CLIPBOARDS = ("auto", "osc52", "native")
_KEY_NAMES = """
escape enter tab space backspace delete insert up down left right home end pageup pagedown colon slash question_mark
comma full_stop semicolon minus plus underscore equals_sign asterisk left_square_bracket right_square_bracket
left_curly_bracket right_curly_bracket
left_parenthesis right_parenthesis less_than_sign greater_than_sign at number_sign percent_sign ampersand
exclamation_mark vertical_line tilde grave_accent apostrophe quotation_mark backslash dollar_sign circumflex_accent
"""
_NAMED_KEYS = frozenset(_KEY_NAMES.split()) | {f"f{number}" for number in range(1, 13)}
_MODIFIERS = ("ctrl+", "shift+", "alt+")


class ConfigError(ValueError):
    """The configuration file cannot be used; the message names the place and the way out."""


@dataclass(frozen=True, slots=True)
class AppConfig:
    """What the operator decided about the screen."""

    theme: str = ""
    """Empty: as it was left, else the app's own."""
    clipboard: str = "auto"
    keys: Mapping[str, str] = field(default_factory=dict)
    """Action id → keys, as Textual's keymap takes them."""

    def shown_key(self, action: Action) -> str:
        """The key that stands for an action on the screen: the first of the operator's own, else of the registry's."""
        return self.keys.get(action.id, action.keys[0]).split(",")[0]


def config_path() -> Path:
    """Where the file is looked for."""
    import platformdirs

    return platformdirs.user_config_path("poe-ledger") / "app.toml"


def load_config(path: Path) -> AppConfig:
    """The configuration in a file; the defaults where there is none.

    Raises:
        ConfigError: it cannot be read, is no TOML, or holds something unknown.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return AppConfig()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    import tomllib

    try:
        return parse_config(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse_config(given: Mapping[str, Any]) -> AppConfig:
    """The configuration from its parsed text; raises `ConfigError`."""
    _refuse_unknown(given, ("theme", "clipboard", "keys"), "setting")
    theme, clipboard, keys = given.get("theme", ""), given.get("clipboard", "auto"), given.get("keys", {})
    if not isinstance(theme, str):
        raise ConfigError('theme must be a name, for example "ledger-light"')
    if clipboard not in CLIPBOARDS:
        raise ConfigError(f"clipboard must be one of {', '.join(CLIPBOARDS)}, not {clipboard!r}")
    if not isinstance(keys, Mapping):
        raise ConfigError('keys must be a table: [keys], then "everywhere.toggle" = "s"')
    _refuse_unknown(keys, BY_ID, "action")
    chosen = {name: ",".join(_keys(name, value)) for name, value in keys.items()}
    _refuse_clashes(chosen)
    return AppConfig(theme, clipboard, chosen)


def _refuse_unknown(given: Mapping[str, Any], known: Any, what: str) -> None:
    for name in given:
        if name not in known:
            near = get_close_matches(name, list(known), n=1, cutoff=0.4)
            raise ConfigError(f"there is no {what} {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _keys(name: str, value: Any) -> list[str]:
    if not isinstance(value, str):
        raise ConfigError(f'the keys of {name!r} must be text, for example "s" or "f5,ctrl+r"')
    keys = [key.strip() for key in value.split(",") if key.strip()]
    if not keys:
        raise ConfigError(f"{name!r} has no key; leave the line out to keep {', '.join(BY_ID[name].keys)}")
    for key in keys:
        bare = key
        while bare.startswith(_MODIFIERS):
            bare = bare.partition("+")[2]
        if not (re.fullmatch(r"[^\W_]", bare) or bare in _NAMED_KEYS):
            raise ConfigError(
                f"{name!r}: {key!r} is no key. Letters, digits, f1 to f12, names such as space, enter, escape, slash, "
                "colon, and ctrl+, shift+, alt+ before them"
            )
    return keys


def _refuse_clashes(chosen: Mapping[str, str]) -> None:
    def keys(action: Action) -> tuple[str, ...]:
        return tuple(chosen[action.id].split(",")) if action.id in chosen else action.keys

    for first, second in combinations(ACTIONS, 2):
        if not {first.id, second.id} & set(chosen) or not _meet(first, second):
            continue
        shared = set(keys(first)) & set(keys(second))
        if shared:
            raise ConfigError(
                f"{first.id!r} and {second.id!r} would share the key {sorted(shared)[0]!r}; give one of them another"
            )


def _meet(first: Action, second: Action) -> bool:
    """Whether both are offered at the same time. A dialog stands before everything else."""
    scopes = {first.scope, second.scope}
    if scopes == {"dialog", "question"}:
        return True
    return len(scopes) == 1 or (EVERYWHERE in scopes and not {"dialog", "question", "leaving"} & scopes)
