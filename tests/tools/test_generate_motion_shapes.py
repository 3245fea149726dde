import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mmaction_emim.datasets.motion_shapes import CLASSES, render_clip
from mmaction_emim.datasets.reader import VideoReader

from ..conftest import MOTION_SHAPES

TOOL = 'tools/data/motion_shapes/generate.py'
VIDEOS = ('.mp4', '.webm')


def state(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob('*.*') if path.is_file()}


def test_writes_the_lists(motion_shapes):
    lines = (motion_shapes / 'train.txt').read_text().splitlines()
    assert len(lines) == 4 * len(CLASSES) and lines[3] == 'train/left/000003.webm 0'
    assert (motion_shapes / 'classes.txt').read_text().split() == list(CLASSES)


def test_resumes_and_refuses(motion_shapes, tmp_path, call):
    out = tmp_path / 'shapes'
    shutil.copytree(motion_shapes, out, ignore=shutil.ignore_patterns('rawframes'))
    before = {p: t for p, t in state(out).items() if p.suffix in VIDEOS}

    gone = out / 'test' / 'meet' / '000000.mp4'
    gone.unlink()
    (out / 'test' / 'meet' / '000000.mp4.part').write_bytes(b'half')
    again = call(TOOL, '--out', str(out), *MOTION_SHAPES, '--workers', '1')
    assert '1 clips made' in again.stdout
    after = state(out)
    assert gone in after and not list(out.rglob('*.part'))
    assert all(after[path] == time for path, time in before.items() if path != gone)

    kept = state(out)
    refused = call(TOOL, '--out', str(out), *MOTION_SHAPES, '--seed', '1')
    assert refused.returncode == 1
    assert 'was made with seed=0, now asked for seed=1' in refused.stderr
    assert state(out) == kept


def test_clips_decode_to_what_was_rendered(motion_shapes):
    for line in (motion_shapes / 'test.txt').read_text().splitlines():
        path, label = line.split()
        frames = VideoReader(motion_shapes / path)
        assert len(frames) == 24, path
    options = json.loads((motion_shapes / 'options.json').read_text())
    assert options['size'] == 32
    # The first clip's pixels, from the seed that generate.py derives.
    for index, name in ((0, '000000.mp4'), (3, '000003.webm')):
        seed = int(np.random.SeedSequence([0, 0, 0, index]).generate_state(1, np.uint64)[0] >> 1)
        want = render_clip(0, seed, 24, 32).astype(float)
        got = VideoReader(motion_shapes / 'train' / 'left' / name)
        error = np.mean((got.get_batch(range(24)).asnumpy() - want) ** 2)
        assert 10 * np.log10(255**2 / error) > 24  # dB; 4:2:0 chroma of 32-pixel frames is coarse


@pytest.mark.slow
def test_the_same_files_whatever_fresh_memory_holds(motion_shapes, tmp_path, root):
    """What encoders read and nobody wrote would differ; glibc fills it with a byte."""
    command = [sys.executable, TOOL, '--out', str(tmp_path), *MOTION_SHAPES]
    subprocess.run(command, cwd=root, env={**os.environ, 'MALLOC_PERTURB_': '85'}, check=True)
    clips = [path.relative_to(tmp_path) for path in tmp_path.rglob('*.*') if path.suffix in VIDEOS]
    assert len(clips) == 6 * len(CLASSES)
    assert not [
        str(clip)
        for clip in clips
        if (motion_shapes / clip).read_bytes() != (tmp_path / clip).read_bytes()
    ]


def test_bad_arguments(tmp_path, call):
    done = call(TOOL, '--out', str(tmp_path / 'x'), '--size', '33')
    assert done.returncode == 2 and '--size must be even' in done.stderr
