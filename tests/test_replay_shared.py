import json
import os
import pickle
import resource
import stat
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from test_replay import FRAME, fill, small_ring

from actormimic.replay import ReplayRing, list_rings, remove_ring
from actormimic.replay_command import main

SHARED_MEMORY = Path("/dev/shm")


@pytest.fixture
def name():
    name = f"test-{os.getpid()}"
    yield name
    if name in list_rings():
        remove_ring(name)


@pytest.fixture(params=["name", "path"])
def place(request, name, tmp_path):
    return {"name": name} if request.param == "name" else {"path": tmp_path / "ring"}


def file_of(place):
    return place.get("path") or SHARED_MEMORY / f"actormimic.{place['name']}"


def test_what_one_handle_appends_another_samples(place):
    ring = small_ring(**place)
    other = ReplayRing.attach(**place)
    fill(ring, 20)
    fill(other, 3, lanes=[1], start=20)
    assert len(ring) == len(other)
    first, second = ring.sample(64, seed=1), other.sample(64, seed=1)
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])
    assert stat.S_IMODE(file_of(place).stat().st_mode) == 0o600
    ring.unlink()
    assert not file_of(place).exists()
    fill(other, 1)  # those who hold the ring keep it
    with pytest.raises(FileNotFoundError, match="cannot be removed"):
        other.unlink()


def test_another_process_writes_and_reads(name):
    ring = small_ring(name=name)
    code = f"""
import numpy as np
from actormimic.replay import ReplayRing
with ReplayRing.attach(name={name!r}) as ring:
    for t in range(10):
        ring.append(np.full((1, 3, 2), t + 1, np.uint8), [t], [t], [False], lanes=[1])
    print(ring.sample(3, seed=4, fields=["index"])["index"].tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ring.rows_written.tolist() == [0, 10]
    assert json.loads(done.stdout) == ring.sample(3, seed=4)["index"].tolist()


def test_a_ring_is_handed_to_another_process_by_name(name):
    ring = small_ring(name=name)
    fill(ring, 8)
    joined = pickle.loads(pickle.dumps(ring))
    np.testing.assert_array_equal(joined.sample(8, seed=0)["obs"], ring.sample(8, seed=0)["obs"])
    with pytest.raises(TypeError, match="a private ring cannot be pickled; give it a name"):
        pickle.dumps(small_ring())


def test_the_byte_layout_is_the_documented_one(place):
    """Reads the file as a stranger would, from csrc/replay/ring_layout.hpp alone."""
    ring = small_ring(extras={"q": ((3,), "<f2"), "flag": ((), bool)}, **place)
    for t in range(40):
        ring.append(
            np.full((2, *FRAME), t + 1, np.uint8),
            [t % 18, -1],
            [t / 4, -1.0],
            [t == 38, False],
            starts=[t % 10 == 0, False],
            q=np.full((2, 3), t, np.float16),
            flag=[True, False],
        )
    raw = file_of(place).read_bytes()
    assert raw[:8] == b"AMTRING1"
    version, header_bytes, total, rows_per_lane = struct.unpack_from("<IIQQ", raw, 8)
    lanes, stack, dims, *shape, extras = struct.unpack_from("<III4II", raw, 32)
    frame_bytes, lanes_at, rows_at, queues_at, frames_at = struct.unpack_from("<5Q", raw, 64)
    (checksum,) = struct.unpack_from("<I", raw, 4092)
    assert (version, header_bytes, total, rows_per_lane) == (1, 4096, len(raw), 32)
    assert total == ring.nbytes
    assert (lanes, stack, dims, shape, extras) == (2, 4, 2, [3, 2, 0, 0], 2)
    assert (frame_bytes, lanes_at) == (6, 4096)
    assert checksum == zlib.crc32(raw[8:4092])

    begun, committed, settled, tail, head, writer = struct.unpack_from("<6Q", raw, lanes_at)
    assert (begun, committed, settled, writer) == (40, 40, 40, 0)
    assert struct.unpack_from("<6Q", raw, lanes_at + 128) == (40, 40, 40, 0, 0, 0)
    # Row 8 is the oldest, but its stack needs row 5; rows 9, 19, 29 and 39 have no successor.
    queue = [struct.unpack_from("<Q", raw, queues_at + 8 * (v % 32))[0] for v in range(tail, head)]
    assert queue == [row for row in range(10, 39) if row not in (19, 29)]

    def meta(lane, row):
        return struct.unpack_from("<fhBB", raw, rows_at + 8 * (lane * 32 + row % 32))

    assert meta(0, 38) == (9.5, 2, 2 | 4, 3)
    assert meta(0, 30) == (7.5, 12, 1 | 4, 0)
    assert meta(0, 29) == (7.25, 11, 0, 3)
    assert meta(1, 39) == (-1.0, -1, 0, 3)
    for lane, row in ((0, 8), (1, 39)):
        at = frames_at + 6 * (lane * 32 + row % 32)
        assert raw[at : at + 6] == bytes([row + 1]) * 6
    for i, (extra, dtype, shape, bytes_) in enumerate(
        [(b"q", b"<f2", (1, 3, 0, 0, 0), 6), (b"flag", b"|b1", (0, 0, 0, 0, 0), 1)]
    ):
        at = 104 + 80 * i
        assert raw[at : at + 32] == extra.ljust(32, b"\0")
        assert raw[at + 32 : at + 40] == dtype.ljust(8, b"\0")
        assert struct.unpack_from("<5I", raw, at + 40) == shape
        row_bytes, offset = struct.unpack_from("<QQ", raw, at + 64)
        assert row_bytes == bytes_
        assert offset % 4096 == 0
    (q_at,) = struct.unpack_from("<Q", raw, 104 + 72)
    np.testing.assert_array_equal(np.frombuffer(raw, "<f2", 3, q_at + 6 * (39 % 32)), [39] * 3)
    ring.unlink()


def change(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: change(p, 0, bytes(8)), "is unfinished: it is being made, or its maker died"),
        (lambda p: change(p, 0, b"SOMEFILE"), "is no replay ring"),
        (lambda p: change(p, 8, b"\x02"), "has layout version 2; this program reads 1"),
        (lambda p: change(p, 24, b"\x21"), "has a damaged header"),
        (lambda p: os.truncate(p, 8192), "bytes instead of .*: truncated"),
        (lambda p: os.truncate(p, 100), "has 100 bytes, fewer than a header"),
        (lambda p: os.truncate(p, 0), "is empty: unfinished, or no ring"),
        (lambda p: os.chown(p, 12345, -1), "belongs to user 12345, not to"),
    ],
)
def test_a_ring_that_cannot_be_joined_is_refused_in_one_line(place, damage, message):
    if "12345" in message and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    ring = small_ring(**place)
    damage(file_of(place))
    with pytest.raises(RuntimeError, match=message) as error:
        ReplayRing.attach(**place)
    assert "\n" not in str(error.value)
    ring.unlink()


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        (12, struct.pack("<I", 0)),  # header_bytes
        (24, struct.pack("<Q", 1 << 62)),  # rows_per_lane
        (32, struct.pack("<I", 1 << 30)),  # lanes
        (40, struct.pack("<I", 0xFFFFFFFF)),  # frame_dims
        (44, struct.pack("<I", 1 << 15)),  # frame_shape[0]
        (60, struct.pack("<I", 17)),  # extra_count
        (60, struct.pack("<I", 0xFFFFFFFF)),
        (64, struct.pack("<Q", 1 << 40)),  # frame_bytes
        (96, struct.pack("<Q", 1 << 40)),  # frames_offset
        (104, b"\xff" * 32),  # the extra's name, without its zero
        (104 + 32, b"<f3"),  # its dtype
        (104 + 40, struct.pack("<I", 0xFFFFFFFF)),  # its dims
        (104 + 72, struct.pack("<Q", 1 << 40)),  # its offset
    ],
)
def test_a_header_that_fits_no_ring_is_refused_though_its_checksum_holds(place, offset, data):
    ring = small_ring(extras={"q": ((3,), "<f2")}, **place)
    path = file_of(place)
    change(path, offset, data)
    with path.open("rb") as file:
        header = file.read(4096)
    change(path, 4092, struct.pack("<I", zlib.crc32(header[8:4092])))
    with pytest.raises(RuntimeError, match="has a header that fits no ring") as error:
        ReplayRing.attach(**place)
    assert "\n" not in str(error.value)
    ring.unlink()


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"capacity": 100}, "has capacity 64; asked for: 100"),
        ({"lanes": 3}, "has lanes 2; asked for: 3"),
        ({"stack": 3}, "has stack 4; asked for: 3"),
        ({"frame_shape": (84, 84)}, r"has frame_shape \(3, 2\); asked for: \(84, 84\)"),
        ({"extras": {}}, "has extras .*'q'.*; asked for: {}"),
    ],
)
def test_a_ring_of_another_shape_is_refused_in_one_line(name, expected, message):
    ring = small_ring(name=name, extras={"q": ((3,), "float16")})
    with pytest.raises(ValueError, match=message) as error:
        ReplayRing.attach(name=name, **expected)
    assert "\n" not in str(error.value)
    ReplayRing.attach(
        name=name,
        capacity=65,
        lanes=2,
        stack=4,
        frame_shape=FRAME,
        extras={"q": ((3,), np.float16)},
    ).close()
    ring.close()
    ring.unlink()


def test_names_are_taken_once_and_missing_ones_reported(place):
    ring = small_ring(**place)
    with pytest.raises(FileExistsError, match="cannot be made; attach to it or remove it"):
        small_ring(**place)
    ring.unlink()
    with pytest.raises(FileNotFoundError, match="cannot be joined"):
        ReplayRing.attach(**place)
    with pytest.raises(ValueError, match="a name or a path is needed to attach"):
        ReplayRing.attach()


def test_a_full_device_is_an_error_when_the_ring_is_made(name):
    free = os.statvfs(SHARED_MEMORY)
    if free.f_blocks == 0:
        pytest.skip("/dev/shm has no limit")
    frames = 2 * free.f_blocks * free.f_frsize // (84 * 84)
    with pytest.raises(OSError, match=r"cannot be made: [0-9]+ bytes asked for: No space left"):
        ReplayRing(frames, 1, name=name)
    assert name not in list_rings()


def test_shared_memory_is_reserved_when_the_ring_is_made(place):
    ring = ReplayRing(1000, 1, **place)
    assert file_of(place).stat().st_blocks * 512 >= ring.nbytes
    ring.unlink()


def test_two_threads_on_one_lane_are_refused_or_take_turns(name):
    ring = ReplayRing(100, 2)
    refusals = []

    def write():
        for _ in range(3000):
            try:
                fill(ring, 1, lanes=[0])
            except RuntimeError as error:
                refusals.append(str(error))

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ring.rows_written[0] == 6000 - len(refusals)
    assert all("lane 0 is being written by another thread of" in text for text in refusals)
    fill(ring, 1)


def test_processes_killed_at_any_moment_lose_the_row_in_flight_at_most():
    script = Path(__file__).with_name("crash_replay.py")
    done = subprocess.run(
        [sys.executable, script, "200"],
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OPENBLAS_NUM_THREADS": "1",  # a process that forks should have one thread
        },
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["kills"] >= 200
    assert report["rows"] > 1000
    assert (report["lost"], report["faults"], report["valid_as_expected"]) == (0, 0, True)


def test_the_command_line_lists_inspects_and_removes(name, capsys):
    ring = small_ring(name=name)
    fill(ring, 40, terminal_every=10)
    assert main(["--list"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(name)]
    assert line.split("\t")[2:] == ["2 lanes", "60 valid rows of 64"]

    done = subprocess.run(
        [sys.executable, "-m", "actormimic.replay", "--list"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert line in done.stdout.splitlines()

    assert main(["--inspect", name]) == 0
    text = capsys.readouterr().out
    assert "64 frames of 3x2, stack 4" in text
    lane = next(line.split() for line in text.splitlines() if line.split()[:1] == ["1"])
    assert lane == ["1", "40", "32", "30", "3", "4", "752.0", "-"]

    # What no ring can be called is somebody else's, and is no reason to stop.
    stray = Path(f"/dev/shm/actormimic.{name} of others")
    stray.touch()
    try:
        assert main(["--list"]) == 0
    finally:
        stray.unlink()
    listed = capsys.readouterr()
    assert line in listed.out.splitlines()
    assert "of others" not in listed.out + listed.err

    change(file_of({"name": name}), 0, bytes(8))
    assert main(["--list"]) == 0
    assert f"{name}\tring '{name}' is unfinished" in capsys.readouterr().out
    assert main(["--remove", name]) == 0
    assert name not in list_rings()
    assert main(["--remove", name]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"actormimic.replay: ring '{name}' cannot be removed: No such file")


def test_the_inspector_takes_a_file_and_shows_rates(tmp_path, capsys):
    ring = small_ring(path=tmp_path / "ring")
    stop = threading.Event()

    def write():
        while not stop.is_set():
            fill(ring, 1)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert main(["--inspect", str(tmp_path / "ring"), "--interval", "0.2"]) == 0
    finally:
        stop.set()
        thread.join()
    rate = [line for line in capsys.readouterr().out.splitlines() if "rows/s" in line]
    assert len(rate) == 1
    assert float(rate[0].split()[0].replace(",", "")) > 0


def test_a_writer_that_runs_keeps_its_lane_where_proc_cannot_be_read(name):
    """With no descriptor left, whether the holder still runs is asked of the system otherwise."""
    ring = small_ring(name=name)
    fill(ring, 3)
    parent = os.getppid()
    started = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19]
    holder = (int(started) & 0xFFFFFFFF) << 32 | parent
    change(file_of({"name": name}), 4096 + 5 * 8, struct.pack("<Q", holder))  # lane 0's writer
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(RuntimeError, match=f"lane 0 is being written by process {parent}"):
            fill(ring, 1, lanes=[0])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    with pytest.raises(RuntimeError, match=f"lane 0 is being written by process {parent}"):
        fill(ring, 1, lanes=[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--list", "--interval", "5"], "--interval goes with --inspect alone"),
        (["--inspect", "x", "--interval", "-1"], "--interval is -1.0; allowed: seconds, at least"),
        (["--inspect", "x", "--interval", "nan"], "--interval is nan; allowed: seconds, at least"),
    ],
)
def test_intervals_that_mean_nothing_are_refused(words, message, capsys):
    assert main(words) == 2
    assert message in capsys.readouterr().err
