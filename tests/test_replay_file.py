import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from test_replay import FRAME, fill, small_ring

from actormimic.replay import ReplayRing


def filled(rows=50, **keywords):
    ring = small_ring(extras={"q": ((3,), "<f2")}, **keywords)
    rng = np.random.default_rng(1)
    for t in range(rows):
        ring.append(
            rng.integers(0, 256, (2, *FRAME), np.uint8),
            rng.integers(0, 18, 2),
            rng.normal(size=2),
            rng.random(2) < 0.1,
            q=rng.normal(size=(2, 3)),
        )
        if t % 7 == 0:
            ring.append(
                np.ones((1, *FRAME), np.uint8), [-1], [0.0], [False], lanes=[1], q=np.ones((1, 3))
            )
    return ring


def assert_same(ring, other, seed=11):
    assert len(ring) == len(other)
    np.testing.assert_array_equal(ring.rows_written, other.rows_written)
    expected, got = (r.sample(256, seed=seed, n_step=3, gamma=0.9) for r in (ring, other))
    assert expected.keys() == got.keys()
    for name in expected:
        np.testing.assert_array_equal(expected[name], got[name], err_msg=name)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("rows", [0, 5, 31, 32, 90])
def test_a_loaded_ring_goes_on_as_the_saved_one(tmp_path, rows, compress):
    ring = filled(rows)
    ring.save(tmp_path / "ring", compress=compress)
    restored = filled(13)
    restored.load(tmp_path / "ring")
    for _ in range(3):
        if len(ring) > 0:
            assert_same(ring, restored)
        for each in (ring, restored):
            each.append(
                np.full((2, *FRAME), 7, np.uint8),
                [1, 2],
                [0.5, 1],
                [False, True],
                q=np.ones((2, 3)),
            )
    assert [path.name for path in tmp_path.iterdir()] == ["ring"]


def test_compression_shrinks_and_only_what_is_written_is_stored(tmp_path):
    ring = ReplayRing(2000, 2)
    fill(ring, 100)
    ring.save(tmp_path / "plain")
    ring.save(tmp_path / "small", compress=True)
    plain, small = ((tmp_path / name).stat().st_size for name in ("plain", "small"))
    assert 200 * 84 * 84 < plain < 202 * 84 * 84
    assert small < plain / 10


def test_content_longer_than_a_chunk_survives(tmp_path):
    ring = ReplayRing(1600, 1)
    for _ in range(1700):
        frame = np.random.default_rng(0).integers(0, 256, (1, 84, 84), np.uint8)
        ring.append(frame, [1], [0.0], [False])
    for compress in (False, True):
        ring.save(tmp_path / "ring", compress=compress)
        restored = ReplayRing(1600, 1)
        restored.load(tmp_path / "ring")
        assert_same(ring, restored)


@pytest.mark.parametrize("compress", [False, True])
def test_any_truncation_is_refused_and_changes_nothing(tmp_path, compress):
    ring = filled()
    ring.save(tmp_path / "whole", compress=compress)
    content = (tmp_path / "whole").read_bytes()
    other, untouched = filled(20), filled(20)
    for length in [*range(0, len(content), 97), len(content) - 1]:
        (tmp_path / "cut").write_bytes(content[:length])
        with pytest.raises(RuntimeError, match="is truncated"):
            other.load(tmp_path / "cut")
        assert_same(other, untouched)


@pytest.mark.parametrize("compress", [False, True])
def test_any_flipped_byte_is_noticed(tmp_path, compress):
    ring = filled()
    ring.save(tmp_path / "whole", compress=compress)
    content = (tmp_path / "whole").read_bytes()
    for position in range(0, len(content), 61):
        if 48 <= position < 56:
            continue  # the magic of the ring's header, which is not part of what is saved
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        (tmp_path / "damaged").write_bytes(damaged)
        other = filled(20)
        with pytest.raises(RuntimeError, match=r"damaged|truncated|no saved|another layout"):
            other.load(tmp_path / "damaged")
        assert len(other) in (0, len(filled(20)))
    other.load(tmp_path / "whole")
    assert_same(ring, other)


@pytest.mark.parametrize("compress", [False, True])
def test_a_chunk_of_another_size_is_refused_before_the_ring_is_touched(tmp_path, compress):
    """With an index whose checksums hold: made by somebody, not damaged."""
    filled().save(tmp_path / "ring", compress=compress)
    content = bytearray((tmp_path / "ring").read_bytes())
    (index_at,) = struct.unpack_from("<Q", content, 32)
    (stored,) = struct.unpack_from("<I", content, index_at)
    struct.pack_into("<I", content, index_at, 2**32 - 1 if compress else stored - 1)
    struct.pack_into("<I", content, 12, zlib.crc32(content[index_at:]))
    struct.pack_into("<Q", content, 40, zlib.crc32(content[:40]))
    (tmp_path / "ring").write_bytes(content)
    other, untouched = filled(20), filled(20)
    with pytest.raises(RuntimeError, match="has chunks of another size"):
        other.load(tmp_path / "ring")
    assert_same(other, untouched)


@pytest.mark.parametrize(
    "keywords",
    [{"capacity": 80}, {"capacity": 96, "lanes": 3}, {"stack": 3}, {"extras": {}}],
)
def test_another_shape_is_refused_in_one_line(tmp_path, keywords):
    filled().save(tmp_path / "ring")
    other = small_ring(**{"extras": {"q": ((3,), "<f2")}, **keywords})
    with pytest.raises(ValueError, match="holds a ring of 2 lanes of 32 rows, stack 4") as error:
        other.load(tmp_path / "ring")
    assert "\n" not in str(error.value)


def test_a_foreign_header_is_refused_without_reading_beyond_it(tmp_path):
    filled().save(tmp_path / "ring")
    content = bytearray((tmp_path / "ring").read_bytes())
    ring_header = 48
    for offset, data in ((40, b"\xff" * 4), (60, b"\xff" * 4), (104, b"x" * 32)):
        foreign = bytearray(content)
        foreign[ring_header + offset : ring_header + offset + len(data)] = data
        checksum = zlib.crc32(foreign[ring_header + 8 : ring_header + 4092])
        struct.pack_into("<I", foreign, ring_header + 4092, checksum)
        (tmp_path / "foreign").write_bytes(foreign)
        with pytest.raises(ValueError, match="holds a ring of"):
            filled().load(tmp_path / "foreign")


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_a_row_that_was_never_settled_is_refused_unless_it_is_the_last(tmp_path, behind):
    ring = filled()
    ring.save(tmp_path / "ring")
    content = bytearray((tmp_path / "ring").read_bytes())
    cursors = 48 + 4096  # of lane 0: begun, committed, settled, ...
    (committed,) = struct.unpack_from("<Q", content, cursors + 8)
    struct.pack_into("<Q", content, cursors + 16, committed - behind)
    shape = zlib.crc32(content[48 + 8 : 48 + 4096])
    struct.pack_into("<I", content, 16, zlib.crc32(content[cursors : cursors + 2 * 40], shape))
    struct.pack_into("<Q", content, 40, zlib.crc32(content[:40]))
    (tmp_path / "patched").write_bytes(content)
    other = filled(20)
    if behind <= 1:
        other.load(tmp_path / "patched")
        assert_same(ring, other)
    else:
        with pytest.raises(RuntimeError, match="has impossible cursors"):
            other.load(tmp_path / "patched")
        assert_same(other, filled(20))


def test_threads_that_save_to_one_path_leave_a_whole_file(tmp_path):
    ring = ReplayRing(400, 2)
    fill(ring, 150)
    with ThreadPoolExecutor(4) as pool:
        for saved in [pool.submit(ring.save, tmp_path / "ring") for _ in range(24)]:
            saved.result()
    restored = ReplayRing(400, 2)
    restored.load(tmp_path / "ring")
    assert_same(ring, restored)
    assert [path.name for path in tmp_path.iterdir()] == ["ring"]


def test_files_that_are_no_saved_rings_are_refused(tmp_path):
    ring = filled()
    (tmp_path / "foreign").write_bytes(bytes(10_000))
    with pytest.raises(RuntimeError, match="foreign' is no saved ring"):
        ring.load(tmp_path / "foreign")
    with pytest.raises(FileNotFoundError, match="absent' cannot be opened"):
        ring.load(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="cannot be opened"):
        ring.save(tmp_path / "no" / "folder")
    assert_same(ring, filled())
