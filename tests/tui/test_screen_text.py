"""What is read off a terminal is what stands there."""

from __future__ import annotations

import pytest

from tests.tui.screen_text import ScreenText


def written(*pieces: bytes) -> list[str]:
    screen = ScreenText(3, 12)
    for piece in pieces:
        screen.feed(piece)
    return screen.lines


def test_text_stands_where_the_cursor_was_put_and_newer_text_covers_older() -> None:
    assert written(b"\x1b[2;3Hfirst\x1b[2;5Hnew") == ["", "  finew", ""]


def test_colours_titles_and_questions_to_the_terminal_are_no_text() -> None:
    assert written(b"\x1b[?2026$p\x1b[>1u\x1b]0;title\x07\x1b[1;38;2;9;9;9mred\x1b[0m") == ["red", "", ""]


def test_what_is_cut_anywhere_is_read_as_a_whole() -> None:
    whole = "\x1b[1;2Hab\x1b[3;1H‖ é".encode()

    assert written(*(bytes([byte]) for byte in whole)) == [" ab", "", "‖ é"]


def test_a_wide_sign_takes_two_cells_and_what_leaves_the_screen_is_dropped() -> None:
    assert written("\x1b[1;1H漢x\x1b[2;11Habc".encode()) == ["漢x", "          ab", ""]


@pytest.mark.parametrize("cleared", [b"\x1b[2J", b"\x1b[?1049h", b"\x1b[?1049l"])
def test_a_cleared_screen_is_empty(cleared: bytes) -> None:
    assert written(b"text", cleared) == ["", "", ""]
