"""What the page of demo/web.py says of files, without gradio."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmaction_emim.apis.page import MIB, Page
from mmaction_emim.datasets.reader import VideoReader

from ..datasets.numbered_clips import KINDS, write


@pytest.fixture(scope='module')
def page(root, tmp_path_factory):
    models = {'ours': ('emim_motionshapes', root / 'demo' / 'emim_motionshapes.pth')}
    return Page(models, tmp_path_factory.mktemp('page'), megabytes=1, seconds=5, device='cpu')


def test_an_answer(page, root):
    clip = root / 'demo' / 'clips' / 'clockwise.mp4'
    answer = page.answer(clip, 'mine.mp4', 'ours')
    assert re.fullmatch(r'mine\.mp4: clockwise, \d+%', answer.message)
    assert len(answer.bars) == 5 and max(answer.bars, key=answer.bars.get) == 'clockwise'
    motion = VideoReader(answer.motion)
    assert len(motion) == 7 and motion.get_batch([0]).shape[2] > 300
    assert Path(answer.motion).parent == page.folder and answer.timeline is None


def test_a_phones_clip_is_scaled_to_what_the_network_knows(page, tmp_path):
    kind = KINDS['HEVC, open GOP, edit list, rotated, mov']
    kind.make(tmp_path / 'phone.mov')
    answer = page.answer(tmp_path / 'phone.mov', 'phone.mov', 'ours')
    assert answer.message.endswith('% (scaled to 64 pixels, as the config names no size)')


def test_a_long_clip_has_a_timeline(page, tmp_path):
    write(tmp_path / 'long.mp4', frames=100)
    assert page.answer(tmp_path / 'long.mp4', 'long.mp4', 'ours').timeline.shape[1] == 1000


def test_a_still_picture_is_a_clip_of_one_frame(page, tmp_path):
    Image.fromarray(np.full((48, 64, 3), 99, np.uint8)).save(tmp_path / 'still.png')
    assert page.answer(tmp_path / 'still.png', 'still.png', 'ours').bars


def test_a_network_without_emim_has_no_motion_field(page, root, monkeypatch):
    inferencer = page.inferencer('ours')
    monkeypatch.setattr(inferencer.model, 'modules', lambda: iter(()))
    answer = page.answer(root / 'demo' / 'clips' / 'clockwise.mp4', 'x', 'ours')
    assert answer.message.endswith('(the network has no EMIM layer: no motion field)')
    assert answer.motion is None and answer.bars


REFUSED = {
    'text': (lambda path: path.write_text('no video\n'), ' is no video, or a damaged one'),
    'empty': (lambda path: path.write_bytes(b''), ': the file is empty'),
    'large': (lambda path: path.write_bytes(bytes(2 * MIB)), ': 2 MB, and 1 MB are the most'),
    'long': (lambda path: write(path, frames=150), ': lasts 6 seconds, and 5 are the most'),
    'wide': (
        lambda path: write(path, frames=1, size=(3856, 16)),
        ': frames of 3856 x 16 pixels, and 3840 x 2160 are the most',
    ),
}


@pytest.mark.parametrize('kind', REFUSED)
def test_what_it_cannot_take_is_a_sentence(page, tmp_path, kind):
    make, sentence = REFUSED[kind]
    make(tmp_path / 'a.mp4')
    assert page.answer(tmp_path / 'a.mp4', 'mine.mp4', 'ours') == (
        f'mine.mp4{sentence}',
        None,
        None,
        None,
    )
