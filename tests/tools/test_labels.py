from ..official import MIRRORED

TOOL = 'tools/data/labels.py'


def test_flip_map_and_conversion_there_and_back(tmp_path, run, call):
    old, new, lines = (tmp_path / name for name in ('old.txt', 'new.txt', 'list.txt'))
    old.write_text('\n'.join(MIRRORED))
    new.write_text('\n'.join(MIRRORED[::-1]))
    lines.write_text('a b.webm 0\nc.webm 2\n')
    done = run(TOOL, 'flip-map', str(old))
    assert done.stdout == 'flip_label_map = {2: 3, 3: 2}\n', done.stderr

    def convert(path, start, end):
        out = tmp_path / 'out.txt'
        done = call(
            TOOL, 'convert', str(path), '--from', str(start), '--to', str(end), '--out', str(out)
        )
        return done, out

    _, out = convert(lines, old, new)
    assert out.read_text() == 'a b.webm 3\nc.webm 1\n'
    _, out = convert(out, new, old)
    assert out.read_text() == lines.read_text()
    lines.write_text('a 0\nb 4\n')
    done, _ = convert(lines, old, new)
    assert done.returncode == 1
    assert f'error: {lines}:2: expected a label of 0 to 3' in done.stderr.splitlines()[-1]
