import pytest

from mmaction_emim.datasets.prepare.archives import DONE, ArchiveError, find_parts, unpack

from ...official import tar_gz, write_parts

PATTERN = r'x-(\d\d)'
FILES = {f'x/{i}.webm': bytes([i]) * 100_000 for i in range(5)}


def test_unpacks_parts_and_reads_them_once(tmp_path):
    others = {'x/._1.webm': b'1', 'x/notes.txt': b'1', '../../evil.webm': b'1', 'a/b/c.webm': b'1'}
    write_parts(tmp_path, 'x', tar_gz(FILES | others))
    parts, out = find_parts(tmp_path, PATTERN), tmp_path / 'out'
    unpack(parts, out, {'.webm'}, depth=1)
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.name != DONE} == {
        name[2:]: data for name, data in FILES.items()
    } | {'c.webm': b'1'}
    assert not (tmp_path.parent / 'evil.webm').exists()
    for part in parts:
        part.write_bytes(b'!' * part.stat().st_size)
    unpack(parts, out, {'.webm'}, depth=1)


def test_a_part_that_is_cut_short_and_then_repaired(tmp_path):
    write_parts(tmp_path, 'x', tar_gz(FILES))
    parts, out = find_parts(tmp_path, PATTERN), tmp_path / 'out'
    whole = parts[2].read_bytes()
    parts[2].write_bytes(whole[:-60])
    with pytest.raises(ArchiveError, match=r'x-02: the archive is damaged or not whole'):
        unpack(parts, out, {'.webm'}, depth=1)
    kept = {path: path.stat().st_mtime_ns for path in out.glob('*.webm')}
    assert kept and all(path.read_bytes() == FILES[f'x/{path.name}'] for path in kept)
    parts[2].write_bytes(whole)
    unpack(parts, out, {'.webm'}, depth=2)
    unpack(parts, out, {'.webm'}, depth=1)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_missing_part(tmp_path):
    write_parts(tmp_path, 'x', tar_gz(FILES))
    (tmp_path / 'x-01').unlink()
    with pytest.raises(ArchiveError, match='part 01 is missing'):
        find_parts(tmp_path, PATTERN)
