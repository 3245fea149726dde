import io
import tarfile
import tracemalloc
from contextlib import nullcontext

import pytest

from mmaction_emim.datasets.prepare.archives import DONE, ArchiveError, find_parts, unpack

from ...official import tar_gz, write_parts

PATTERN = r'x-(\d\d)'
FILES = {f'x/{i}.webm': bytes([i]) * 100_000 for i in range(5)}


def test_unpacks_parts_and_reads_them_once(tmp_path):
    others = {'x/._1.webm': b'1', 'x/notes.txt': b'1', 'a/b/c.webm': b'1'}
    write_parts(tmp_path, 'x', tar_gz(FILES | others))
    parts, out = find_parts(tmp_path, PATTERN), tmp_path / 'out'
    unpack(parts, out, {'.webm'}, depth=1)
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.name != DONE} == {
        name[2:]: data for name, data in FILES.items()
    } | {'c.webm': b'1'}
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


@pytest.fixture
def archive(tmp_path):
    """Writes the archive that a function fills, and gives its path and the folder to unpack to."""

    def make(fill):
        path = tmp_path / 'x.tar.gz'
        with tarfile.open(path, 'w:gz', format=tarfile.PAX_FORMAT) as file:
            fill(file)
        return [path], tmp_path / 'a' / 'out'

    return make


def add(file, name, data=b'1', **fields):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in fields.items():
        setattr(member, field, value)
    file.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize('depth', [1, 2])
def test_an_absolute_name_stays_inside(archive, depth, tmp_path):
    parts, out = archive(lambda file: add(file, '/emim_absolute.webm'))
    unpack(parts, out, {'.webm'}, depth)
    assert (out / 'emim_absolute.webm').read_bytes() == b'1'


@pytest.mark.parametrize(
    'name',
    ['../../evil.webm', 'x/../evil.webm', 'a\0b.webm', 'x' * 300 + '.webm'],
    ids=['upwards', 'up and down', 'NUL', 'too long'],
)
def test_a_hostile_name_is_refused(archive, name, tmp_path):
    parts, out = archive(lambda file: add(file, name, pax_headers={'path': name}))
    with pytest.raises(ArchiveError, match=r'x.tar.gz: .* is no name for a file of a data set'):
        unpack(parts, out, {'.webm'}, depth=2)
    assert sorted(p.name for p in tmp_path.rglob('*')) == ['a', 'out', 'x.tar.gz']


def test_links_and_devices_are_left_out(archive, tmp_path):
    def fill(file):
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            add(file, f'{kind.decode()}.webm', b'', type=kind, linkname='/etc/passwd')

    parts, out = archive(fill)
    unpack(parts, out, {'.webm'}, depth=1)
    assert [p.name for p in out.iterdir()] == [DONE]


@pytest.mark.parametrize(
    'fill',
    [
        lambda file: add(file, 'zeros.webm', bytes(8 << 20)),
        lambda file: [add(file, f'{i}.webm', b'') for i in range(2000)],
    ],
    ids=['size', 'count'],
)
def test_a_bomb_is_refused(archive, fill, tmp_path):
    parts, out = archive(fill)
    with pytest.raises(ArchiveError, match='not the official archive'):
        unpack(parts, out, {'.webm'}, depth=1)
    assert sum(path.stat().st_size for path in out.iterdir()) < 1 << 20


@pytest.fixture
def peak():
    """Memory that an unpacking took at most, in MB."""

    def measure(parts, out, error=None):
        tracemalloc.start()
        try:
            with pytest.raises(ArchiveError, match=error) if error else nullcontext():
                unpack(parts, out, {'.webm'}, depth=1)
            return tracemalloc.get_traced_memory()[1] / (1 << 20)
        finally:
            tracemalloc.stop()

    return measure


@pytest.mark.parametrize(
    'kind, count, size',
    [('gz', 1, 1 << 25), ('bz2', 1, 1 << 25), ('xz', 1, 1 << 25), ('gz', 50, 1 << 19)],
    ids=['gz', 'bz2', 'xz', 'many'],
)
def test_a_bomb_of_comments_does_not_fill_the_memory(tmp_path, peak, kind, count, size):
    path = tmp_path / 'x.tar'
    with tarfile.open(path, f'w:{kind}', format=tarfile.PAX_FORMAT) as file:
        for i in range(count):
            add(file, f'{i}.webm', pax_headers={'comment': 'x' * size})
    assert peak([path], tmp_path / 'out', 'not the official archive') < 16


def test_what_was_read_is_not_kept_in_memory(tmp_path, peak):
    """Something-Something V1 has 11 million frames."""
    peaks = []
    for count in (10, 1500, 4500):  # the first imports, the others fill the buffer
        path = tmp_path / f'{count}.tar'
        with tarfile.open(path, 'w') as file:
            for i in range(count):
                add(file, f'{i}.txt')
        peaks.append(peak([path], tmp_path / f'out{len(peaks)}'))
    assert peaks[2] - peaks[1] < 0.2


@pytest.mark.parametrize(
    'names',
    [('a.webm', 'a.webm/b.webm'), ('a.webm/b.webm', 'a.webm'), ('x' * 249 + '.webm',)],
    ids=['file, then folder', 'folder, then file', 'too long beside .part'],
)
def test_a_name_that_cannot_be_written(archive, names):
    parts, out = archive(lambda file: [add(file, name) for name in names])
    with pytest.raises(ArchiveError, match=f"x.tar.gz: '{names[-1][:80]}' in it cannot be written"):
        unpack(parts, out, {'.webm'}, depth=2)


def test_nothing_stays_of_a_file_that_is_cut_short(archive):
    parts, out = archive(lambda file: add(file, 'a.webm', bytes(range(256)) * 4000))
    parts[0].write_bytes(parts[0].read_bytes()[:-2000])
    with pytest.raises(ArchiveError, match='not whole'):
        unpack(parts, out, {'.webm'}, depth=1)
    assert not list(out.iterdir())


def test_suffixes_in_capitals(archive):
    parts, out = archive(lambda file: [add(file, 'x/1.WebM'), add(file, 'x/A.WEBM')])
    unpack(parts, out, {'.webm'}, depth=1)
    assert sorted(path.name for path in out.glob('*.*m')) == ['1.webm', 'A.webm']
