import csv
import re
import shutil

import pytest
import torch
from PIL import Image

from mmaction_emim.datasets.motion_shapes import CLASSES

from ..datasets.numbered_clips import KINDS


def test_without_arguments(run, root):
    """As after an installation, in a process of its own: answers that are right, and a picture."""
    picture = root / 'work_dirs' / 'demo.png'
    picture.unlink(missing_ok=True)
    done = run('demo/demo.py')
    assert done.returncode == 0, done.stderr
    for clip in (root / 'demo' / 'clips').iterdir():
        right = rf'{re.escape(clip.name)} +│ {clip.stem} +│ 0\.\d+'
        assert re.search(right, done.stdout), done.stdout
    with Image.open(picture) as image:
        assert image.width > 1000 and len(set(image.convert('L').tobytes())) > 100


def test_the_shipped_weights_are_small_and_say_what_they_know(root):
    path = root / 'demo' / 'emim_motionshapes.pth'
    checkpoint = torch.load(path, weights_only=True)
    assert path.stat().st_size < 1_000_000 and set(checkpoint) == {'meta', 'state_dict'}
    assert tuple(checkpoint['meta']['dataset_meta']['classes']) == CLASSES


@pytest.fixture
def folder(root, tmp_path):
    for clip in sorted((root / 'demo' / 'clips').iterdir())[:2]:
        shutil.copy(clip, tmp_path / f'0{clip.suffix}')
    (tmp_path / '1.mp4').write_text('text')
    return tmp_path


def test_a_broken_clip_is_told_and_ends_with_status_1(call, folder):
    out = folder / 'out.csv'
    done = call('demo/demo.py', str(folder), '--out', str(out), '--top-k', '2')
    assert done.returncode == 1
    assert f'error: {folder / "1.mp4"}: cannot be read: Invalid data' in done.stderr
    rows = list(csv.DictReader(out.open()))
    assert [row['rank'] for row in rows] == ['1', '2', '']


def test_a_phones_clip_is_scaled_to_what_the_network_knows(call, tmp_path):
    KINDS['HEVC, open GOP, edit list, rotated, mov'].make(tmp_path / 'phone.mov')
    for options, side in ([], 64), (['--short-side', '48'], 48):
        done = call('demo/demo.py', str(tmp_path / 'phone.mov'), *options)
        assert done.returncode == 0, done.stderr
        line = f'frames of more than {side} pixels (short side) are scaled down to that'
        assert line in done.stdout


@pytest.mark.parametrize('suffix', ['.mp4', '.gif', '.png'])
def test_pictures(call, folder, suffix):
    out = folder / 'new' / f'out{suffix}'
    done = call('demo/demo.py', str(folder / '0.mp4'), '--out', str(out))
    assert done.returncode == 0, done.stderr
    assert out.stat().st_size > 10_000 and [*out.parent.iterdir()] == [out]


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['x.mp4', 'emim_sthv2'], 'CHECKPOINT: emim_sthv2 needs one'),
        (['x.mp4', '--out', 'x.doc'], 'x.doc: the suffix must be one of .json, .csv'),
        (['none', 'emim_sthv3', 'x.pth'], "'emim_sthv3' is no config file and no name of a config"),
        (['x.mp4', '--out', 'x.png'], 'x.png: not written, no clip was read: '),
        (['demo/clips', '--out', 'x.gif'], 'x.gif: a video is of one clip, got 3'),
        (['x.mp4', '--seconds', '3'], '--seconds is for a camera or an address, got x.mp4'),
        (['demo/clips', '--short-side', '1'], 'MotionInferencer: short_side must be an integer'),
        (['demo/clips', '--top-k', '0'], 'batch_size and top_k must be 1 or more'),
    ],
)
def test_what_is_refused(call, arguments, message):
    done = call('demo/demo.py', *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f'error: {message}')
