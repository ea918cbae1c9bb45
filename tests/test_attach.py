"""A harvest is watched from another process through its socket: seen, lost, found again, and never harmed."""

from __future__ import annotations

import itertools
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harvester import attach, snapshot_server
from harvester.attach import LONGEST_PAUSE_SECONDS, AttachedSource
from harvester.events import Event, Level
from harvester.snapshot_address import POINTER_NAME, find_socket
from harvester.snapshot_json import LONGEST_BYTES, encode_snapshot
from harvester.snapshot_server import MOST_CLIENTS, PATIENCE_SECONDS, SnapshotServer, SocketTakenError
from harvester.snapshot_source import SourceLostError
from tests.snapshot_bench import NOW, full_snapshot


class Time:
    """Monotonic seconds that move when told, or when somebody waits in vain."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """A server and its clients on one thread: the server takes a turn whenever a client would wait."""

    def __init__(self, directory: Path) -> None:
        self.time = Time()
        self.directory = directory
        self.snapshot = full_snapshot()
        self.built = 0
        self.server: SnapshotServer | None = None

    def serve(self) -> SnapshotServer:
        self.server = SnapshotServer(self.directory, self._build, monotonic=self.time)
        return self.server

    def end(self) -> None:
        assert self.server is not None
        self.server.close()
        self.server = None

    def client(self) -> AttachedSource:
        return AttachedSource(self.directory, monotonic=self.time, wait_for=self._wait_for)

    def _build(self) -> Any:
        self.built += 1
        return replace(self.snapshot, taken_at=NOW + self.time.now)

    def _wait_for(self, connection: socket.socket, seconds: float) -> bool:
        """As `select`: a server that has something to say says it meanwhile, and time passes only in vain."""
        connection.setblocking(False)
        over = self.time.now + seconds
        while True:
            for _ in range(10):
                if self.server is not None:
                    self.server.turn(0)
                with suppress(BlockingIOError):
                    connection.recv(1, socket.MSG_PEEK)
                    return True
            if self.time.now >= over:
                return False
            self.time.now = min(over, self.time.now + 0.125)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "data")
    made.directory.mkdir()
    yield made
    if made.server is not None:
        made.end()


@contextmanager
def impostor(directory: Path, *sends: bytes) -> Iterator[socket.socket]:
    """A socket at the place of a harvest that sends what it likes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(directory / "harvest.sock"))
        listener.listen()
        done = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    for piece in sends:
                        connection.sendall(piece)
                except OSError:
                    return
                done.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener
        done.set()
        thread.join()


def words(source: AttachedSource) -> str:
    with pytest.raises(SourceLostError) as lost:
        source.read()
    return str(lost.value)


def test_what_the_harvester_has_is_what_the_watcher_sees(scene: Scene) -> None:
    scene.serve()
    source = scene.client()

    assert source.read() == replace(scene.snapshot, taken_at=NOW + scene.time.now)
    scene.time.now += 1
    assert source.read().taken_at == NOW + scene.time.now
    assert source.kind == "attached"
    assert source.remark == ""


def test_nothing_is_built_while_nobody_listens_and_once_a_second_for_many(scene: Scene) -> None:
    server = scene.serve()
    scene.time.now += 100
    server.turn(0)
    assert scene.built == 0

    sources = [scene.client() for _ in range(5)]
    for source in sources:
        scene.time.now += 0.2
        source.read()
    before = scene.built
    scene.time.now += 1
    assert {source.read().taken_at for source in sources} == {NOW + scene.time.now}
    assert scene.built == before + 1


def test_only_the_owner_may_connect_and_the_socket_goes_with_the_harvest(scene: Scene) -> None:
    server = scene.serve()
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600
    assert [path.name for path in scene.directory.iterdir()] == ["harvest.sock"]

    scene.end()

    assert list(scene.directory.iterdir()) == []


def test_a_watcher_says_what_is_the_matter_and_comes_back_by_itself(scene: Scene) -> None:
    source = scene.client()
    assert words(source) == f"No harvest serves in {scene.directory}."

    scene.serve()
    scene.time.now += 1
    seen = source.read()
    scene.snapshot = replace(scene.snapshot, started_at=1.0)
    scene.end()
    assert source.read().started_at == 1.0, "the farewell is read before the end is told"
    assert words(source) == f"The harvest in {scene.directory} has ended."

    scene.serve()
    scene.time.now += 1
    assert source.read().taken_at > seen.taken_at
    for _ in range(8):
        scene.end()
        words_now = ""
        while "has ended" not in words_now:
            try:
                source.read()
            except SourceLostError as lost:
                words_now = str(lost)
        scene.serve()
        scene.time.now += 0.5
        assert source.read(), "each time it was found, the pauses begin anew"


def test_pauses_between_tries_grow_and_end_at_a_longest(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    source = scene.client()
    tried: list[float] = []

    def look(directory: Path) -> Path | None:
        tried.append(scene.time.now)
        return find_socket(directory)

    monkeypatch.setattr(attach, "find_socket", look)
    for _ in range(1000):
        words(source)
        scene.time.now += 0.125
    pauses = [after - before for before, after in itertools.pairwise(tried)]
    assert pauses[:5] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert set(pauses[5:]) == {LONGEST_PAUSE_SECONDS}


def test_the_socket_of_a_dead_process_is_replaced(scene: Scene) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(scene.directory / "harvest.sock"))
        dead.listen()
    source = scene.client()
    assert "did not end well" in words(source)

    scene.serve()

    scene.time.now += 1
    assert source.read().queues


def test_a_living_harvest_is_not_pushed_aside(scene: Scene) -> None:
    scene.serve()

    with pytest.raises(SocketTakenError):
        SnapshotServer(scene.directory, scene._build)

    assert scene.client().read().queues


def test_a_long_directory_is_served_from_a_short_one_that_a_file_points_to(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Path(os.path.realpath("/tmp")) / f"poe-test-{os.getpid()}"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    scene.directory = tmp_path / ("x" * 90) / ("y" * 90)
    try:
        server = scene.serve()
        assert server.path.is_relative_to(runtime)
        assert scene.client().read().queues

        scene.end()
        assert list(scene.directory.iterdir()) == []
        assert list(runtime.iterdir()) == []

        scene.serve()._listener.close()  # as a kill leaves it
        scene.server = None
        assert "did not end well" in words(scene.client())
        scene.serve()
        assert scene.client().read().queues
        assert len(list(runtime.iterdir())) == 1, "what the killed one left is gone"
    finally:
        if scene.server is not None:
            scene.end()
        runtime.rmdir()


def test_a_pointer_to_somebody_elses_socket_is_not_followed(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.directory = tmp_path / ("x" * 90) / ("y" * 90)
    scene.directory.mkdir(parents=True)
    for hostile in (b"/etc/passwd", b"relative.sock", b"", b"\0", b"/" + b"a" * 5000, bytes(range(256))):
        (scene.directory / POINTER_NAME).write_bytes(hostile)
        assert find_socket(scene.directory) is None
        assert "No harvest serves" in words(scene.client())


def test_a_slow_watcher_delays_nobody_and_one_that_never_reads_is_let_go(scene: Scene) -> None:
    many = tuple(Event(NOW, Level.INFO, "", "x" * 9000) for _ in range(50))
    scene.snapshot = replace(scene.snapshot, events=many)
    server = scene.serve()
    slow = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    slow.connect(str(server.path))
    quick = scene.client()

    for second in range(40):
        scene.time.now += 1
        assert quick.read().taken_at == NOW + scene.time.now, second
    assert PATIENCE_SECONDS < 40

    slow.setblocking(True)
    total = 0
    while piece := slow.recv(1 << 20):
        total += len(piece)
    assert total < 3 * len(encode_snapshot(scene.snapshot)), "it was let go, and nothing piled up for it"
    slow.close()


def test_what_watchers_send_is_thrown_away_and_too_many_are_refused(scene: Scene) -> None:
    server = scene.serve()
    talker = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    talker.connect(str(server.path))
    talker.setblocking(False)
    source = scene.client()
    for _ in range(100):
        with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            talker.send(b"\xff{stop}\n" * 200)
        server.turn(0)
    assert source.read().queues
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        talker.send(b"?")

    crowd = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(MOST_CLIENTS + 5)]
    for one in crowd:
        one.connect(str(server.path))
        server.turn(0)
        one.setblocking(False)
    scene.time.now += 1
    assert source.read().taken_at == NOW + scene.time.now
    refused = [one for one in crowd if one.recv(1) == b""]
    assert len(refused) >= 5
    for one in (*crowd, talker):
        one.close()


@pytest.mark.parametrize(
    ("sends", "said"),
    [
        ((b"GET / HTTP/1.1\r\n\n",), "cannot be read"),
        ((b"\xff\xfe\x00\n",), "cannot be read"),
        ((b"[" * 500_000 + b"\n",), "cannot be read"),
        ((b'{"taken_at": 1e400}\n',), "cannot be read"),
        ((b"{}\n",), "cannot be read"),
        ((b"x" * (LONGEST_BYTES + 10),), "a line without an end"),
        ((b"x" * (LONGEST_BYTES + 10) + b"\n",), "cannot be read"),
        ((b'{"taken_at": 1',), "has said nothing yet"),
    ],
)
def test_rubbish_is_refused_in_words(tmp_path: Path, sends: tuple[bytes, ...], said: str) -> None:
    time = Time()

    def wait_for(connection: socket.socket, seconds: float) -> bool:
        connection.settimeout(0.2)
        try:
            connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            time.now += seconds
            return False
        return True

    with impostor(tmp_path, *sends):
        source = AttachedSource(tmp_path, monotonic=time, wait_for=wait_for)
        assert said in words(source)
        source.close()


def test_a_line_that_comes_in_pieces_is_one(tmp_path: Path) -> None:
    line = encode_snapshot(full_snapshot()) + b"\n"
    with impostor(tmp_path, *(line[start : start + 97] for start in range(0, len(line), 97)), line[:50]):
        source = AttachedSource(tmp_path)
        assert source.read() == full_snapshot()
        source.close()


def test_a_harvest_that_falls_silent_is_told_and_its_figures_grow_old(scene: Scene) -> None:
    scene.serve()
    source = scene.client()
    seen = source.read()
    scene.server, server = None, scene.server  # as a process that hangs
    assert source.read() == seen
    scene.time.now += 20
    assert "says nothing any more" in words(source)
    scene.server = server


def test_events_come_once_each(scene: Scene) -> None:
    scene.snapshot = replace(scene.snapshot, events=(event(1), event(2)))
    scene.serve()
    source = scene.client()
    source.read()
    assert source.new_events() == (event(1), event(2))
    scene.snapshot = replace(scene.snapshot, events=(event(2), event(3), event(3), event(4)))
    scene.time.now += 1
    source.read()
    assert source.new_events() == (event(3), event(3), event(4))
    assert source.new_events() == ()
    scene.snapshot = replace(scene.snapshot, events=(*scene.snapshot.events, event(4)))
    scene.time.now += 1
    source.read()
    assert source.new_events() == (event(4),), "the same words again are another event"


def test_the_thread_serves_and_ends_when_told(tmp_path: Path) -> None:
    server = SnapshotServer(tmp_path, full_snapshot)
    server.start()
    source = AttachedSource(tmp_path)
    assert source.read() == full_snapshot()
    server.close()
    server.close()
    assert all(thread.name != "snapshot socket" for thread in threading.enumerate())
    assert source.read() == full_snapshot()
    assert "has ended" in words(source)


def test_a_snapshot_that_cannot_be_built_ends_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [True]

    def build() -> Any:
        if broken.pop() if broken else False:
            raise RuntimeError("a meter is broken")
        return full_snapshot()

    monkeypatch.setattr(snapshot_server, "EVERY_SECONDS", 0.01)
    server = SnapshotServer(scene.directory, build)
    server.start()
    source = AttachedSource(scene.directory)
    assert source.read() == full_snapshot()
    source.close()
    server.close()


def event(number: int) -> Event:
    return Event(NOW + number, Level.INFO, "psapi:pc", f"event {number}")
