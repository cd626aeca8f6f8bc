"""Files appear when they are whole, whatever their names; what a kill leaves goes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from advtasks.atomic import _processes, atomic_path, create_text, is_temporary, write_text
from advtasks.data.cache import PictureCache


def test_a_name_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    write_text(tmp_path / ("a" * 251 + ".txt"), "text")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")

    def half() -> None:
        with atomic_path(tmp_path / "a.txt") as temporary:
            assert temporary.suffix == ".txt"
            temporary.write_text("ne")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        half()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from advtasks.atomic import atomic_path\n"
        "with atomic_path(Path(sys.argv[1]) / 'a.bin') as path: path.write_bytes(b'x'); time.sleep(60)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(2)]
    try:
        deadline = time.monotonic() + 30
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        found = {int(path.name.split("-")[1]): path for path in tmp_path.iterdir()}
        assert set(found) == {writer.pid for writer in writers}
        assert all(is_temporary(path) for path in found.values())
        os.kill(writers[0].pid, signal.SIGKILL)
        writers[0].wait()
        write_text(tmp_path / "b.txt", "text")
        assert set(tmp_path.iterdir()) == {tmp_path / "b.txt", found[writers[1].pid]}
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()


def test_a_file_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_text(tmp_path / "a.txt", "first")
    for links in (True, False):
        if not links:

            def refuse(*_: object) -> None:
                raise OSError("this file system has no links")

            monkeypatch.setattr(os, "link", refuse)
            create_text(tmp_path / "b.txt", "first")
        with pytest.raises(FileExistsError):
            create_text(tmp_path / "a.txt", "second")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.txt": "first", "b.txt": "first"}


def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with subprocess.Popen(["cat", tmp_path / "pipe.json"], stdout=subprocess.PIPE) as reader:
        write_text(tmp_path / "pipe.json", "text")
        assert reader.communicate(timeout=30)[0] == b"text"
    assert (tmp_path / "pipe.json").is_fifo()
    assert len(list(tmp_path.iterdir())) == 1


def test_standard_output_is_a_stream_even_where_it_goes_to_a_file(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from advtasks.atomic import write_text\n"
        "print('before', flush=True); write_text(Path('/dev/stdout'), 'text\\n'); print('after')"
    )
    with (tmp_path / "said").open("w") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert (tmp_path / "said").read_text() == "before\ntext\nafter\n"
    assert Path("/dev/stdout").is_symlink()


def test_files_that_tell_whether_they_are_whole_are_not_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    PictureCache(tmp_path / "cache").array("0" * 32, "zeros", lambda: np.zeros(4, np.uint8))
    assert not flushed
    write_text(tmp_path / "a.txt", "a")
    assert len(flushed) == 1


def test_another_containers_processes_are_not_ours(tmp_path: Path) -> None:
    """Two may have one host name and one folder, and each its own process 7."""
    other = tmp_path / f".{zlib.crc32(b'elsewhere'):08x}-999999999-0badcafe.tmp.png"
    own = tmp_path / f".{_processes()}-999999999-0badcafe.tmp.png"
    alone = f"{zlib.crc32(socket.gethostname().encode()):08x}"
    assert Path("/proc/self/ns/pid").exists() is (_processes() != alone), "the name of the host alone says too little"
    for path in (other, own):
        path.write_bytes(b"")
    write_text(tmp_path / "b.txt", "text")
    assert set(tmp_path.iterdir()) == {tmp_path / "b.txt", other}


def test_what_nobody_has_written_to_for_a_week_is_removed(tmp_path: Path) -> None:
    old, new = (tmp_path / f".{zlib.crc32(name):08x}-7-0badcafe.tmp.png" for name in (b"one", b"other"))
    for path, days in ((old, 8), (new, 6)):
        path.write_bytes(b"")
        then = time.time() - days * 24 * 3600
        os.utime(path, (then, then))
    write_text(tmp_path / "b.txt", "text")
    assert set(tmp_path.iterdir()) == {tmp_path / "b.txt", new}
