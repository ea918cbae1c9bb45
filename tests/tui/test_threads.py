"""No thread touches a widget. Proved over the syntax tree: what a thread runs can only post."""

from __future__ import annotations

import ast
from pathlib import Path

import poe_ledger_tui

PACKAGE = Path(poe_ledger_tui.__file__).parent
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}

# What only the event loop may do. `post`, `post_message` and `notify` are safe from every thread.
_EVENT_LOOP_ONLY = """
query query_one query_exactly_one update refresh recompose mount remove move_child focus push_screen pop_screen
switch_mode switch_screen dismiss add_row add_column update_cell show_rows set_class add_class remove_class
run_action call_from_thread call_later call_after_refresh set_timer set_interval batch_update draw draw_body exit
refresh_bindings screen screen_stack focused
"""
FORBIDDEN = frozenset(_EVENT_LOOP_ONLY.split())
# These modules' threads are the app's; they may know messages, and nothing else of the framework.
THREADED = ("engine_room.py", "session.py", "source.py", "background.py", "plans.py", "terminal.py")


def functions(tree: ast.AST) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def threads_of(tree: ast.AST) -> list[str]:
    """The names of what `Thread(target=…)` and `Timer(…, what)` run."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = [k.value for k in node.keywords if k.arg == "target"] if node.func.attr == "Thread" else []
            given += node.args[1:2] if node.func.attr == "Timer" else []
            for target in given:
                name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "?")
                found.append(name)
    return found


def touched(body: ast.AST, known: dict[str, ast.FunctionDef], seen: set[str]) -> set[str]:
    """The names that a body, and the functions of its module that it calls, take of any object."""
    names: set[str] = set()
    for node in ast.walk(body):
        called = ""
        if isinstance(node, ast.Attribute):
            names.add(node.attr)
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                called = node.attr
        elif isinstance(node, ast.Name):
            called = node.id
        if called in known and called not in seen:
            seen.add(called)
            names |= touched(known[called], known, seen)
    return names


def jobs_of(tree: ast.AST) -> list[ast.expr]:
    """What is given to a `Bench`: `…bench.begin(work)`."""
    return [
        node.args[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "begin"
        and node.args
    ]


def test_threads_are_started_where_it_is_known_and_their_bodies_say_what_they_are() -> None:
    started = {name: threads_of(tree) for name, tree in TREES.items() if threads_of(tree)}

    assert set(started) <= {*THREADED, "copying.py"}
    for name, targets in started.items():
        assert all(target.endswith("_and_post") for target in targets) or name == "terminal.py", (name, targets)


def test_what_a_thread_runs_touches_no_widget() -> None:
    for name, tree in TREES.items():
        known = functions(tree)
        for target in threads_of(tree):
            assert not touched(known[target], known, {target}) & FORBIDDEN, (name, target)


def test_modules_whose_code_runs_on_threads_know_nothing_of_the_framework_but_messages() -> None:
    for name in THREADED:
        for node in ast.walk(TREES[name]):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textual"):
                assert node.module == "textual.message", (name, node.module)
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("textual") for alias in node.names), name


def test_jobs_touch_no_widget() -> None:
    for name, tree in TREES.items():
        known = functions(tree)
        for job in jobs_of(tree):
            names = touched(job, known, set())
            assert not names & FORBIDDEN, (name, ast.unparse(job)[:80], names & FORBIDDEN)


def test_nothing_is_called_from_a_thread_and_no_executor_of_the_loop_is_used() -> None:
    for name, tree in TREES.items():
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not used & {"call_from_thread", "run_in_executor", "to_thread", "run_worker"}, name


def test_the_proof_can_fail() -> None:
    bad = ast.parse(
        "class A:\n"
        "    def go(self): threading.Thread(target=self._work_and_post).start()\n"
        "    def _work_and_post(self): self._deeper()\n"
        "    def _deeper(self): self.query_one('#x').update('y')\n"
    )
    known = functions(bad)

    assert threads_of(bad) == ["_work_and_post"]
    assert touched(known["_work_and_post"], known, set()) & FORBIDDEN == {"query_one", "update"}
