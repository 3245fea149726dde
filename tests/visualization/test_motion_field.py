import av
import numpy as np
import pytest
import torch
from PIL import Image

from mmaction_emim.ops import MotionField
from mmaction_emim.visualization import (
    colour_wheel,
    draw_arrows,
    draw_motion_field,
    flow_colours,
    in_pixels,
    input_frames,
    motion_field_clip,
    motion_field_sheet,
    write_pictures,
)


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 255, (4, 32, 48, 3), np.uint8)


def field_of(dx, dy, confidence=1.0, pairs=3):
    displacement = torch.tensor([dx, dy]).float().expand(pairs, 4, 6, 2)
    return MotionField(displacement, torch.full((pairs, 4, 6), confidence))


@pytest.mark.parametrize(
    'flow, colour',
    [((1, 0), (255, 0, 0)), ((0, 0), (255, 255, 255)), ((5, 0), (255, 0, 0))],
)
def test_colours_of_known_flow(flow, colour):
    assert tuple(flow_colours(np.array(flow, float), 1.0)) == colour


def test_colours_around_the_wheel():
    down, left, up = flow_colours(np.array([(0, 1), (-1, 0), (0, -1)], float), 1.0)
    assert down[0] > 200 and down[1] > 200 and down[2] == 0  # yellow
    assert left[0] == 0 and left[1] > 150 and left[2] == 255  # cyan
    assert up[2] == 255 and up[1] == 0  # blue to violet
    half = flow_colours(np.array([0.5, 0.0]), 1.0)
    assert tuple(half) == (255, 128, 128)


def test_the_wheel_is_its_own_legend():
    wheel = colour_wheel(101)
    assert wheel.shape == (101, 101, 4)
    assert wheel[0, 0, 3] == 0 and wheel[50, 50, 3] == 255
    assert wheel[50, 99, 0] == 255 and wheel[50, 99, 1:3].max() < 12


def test_an_arrow_ends_where_its_token_goes():
    blank = np.full((100, 100, 3), 128, np.uint8)
    flow = np.full((1, 1, 2), (30.0, -20.0))
    drawn = (draw_arrows(blank, flow) != blank).any(-1)
    rows, columns = drawn.nonzero()
    assert columns.max() == pytest.approx(80, abs=8) and rows.min() == pytest.approx(30, abs=8)
    assert drawn[50, 50] and not drawn[60:, :40].any()
    assert (draw_arrows(blank, flow * np.nan) == blank).all()
    assert (blank == 128).all()


def test_pixels_of_tokens():
    got = in_pixels(torch.ones(4, 6, 2), (32, 24))
    assert got.shape == (4, 6, 2) and (got == (4, 8)).all()


@pytest.mark.parametrize('style', ['arrows', 'colours', 'both'])
def test_a_picture_a_pair(frames, style):
    pictures, longest = draw_motion_field(frames, field_of(0.5, 0), style, side=128)
    assert pictures.shape == (3, 128, 192, 3) and pictures.dtype == np.uint8
    assert longest == 4  # half a token of eight pixels


def test_nothing_is_drawn_where_nothing_is_believed(frames):
    still, longest = draw_motion_field(frames, field_of(1, 0, confidence=0.1), 'arrows')
    assert longest == 1
    dots, _ = draw_motion_field(frames, field_of(0, 0), 'arrows')
    assert (still != dots).any()
    again, _ = draw_motion_field(frames, field_of(-1, 1, confidence=0.1), 'arrows')
    assert (still == again).all()


def test_a_layer_of_half_the_frames_is_drawn_over_the_frames_it_stands_for(frames):
    pictures, _ = draw_motion_field(frames, field_of(0, 0, 0.0, pairs=1), 'arrows', side=32)
    assert (pictures[0] == frames[0]).all()
    many = np.repeat(np.arange(0, 160, 20, dtype=np.uint8), 32 * 48 * 3).reshape(8, 32, 48, 3)
    pictures, _ = draw_motion_field(many, field_of(0, 0, 0.0, pairs=3), 'arrows', side=32)
    assert pictures[:, 0, 0, 0].tolist() == [0, 40, 80]


def test_red_grows_over_what_moves_right(frames):
    grey = np.full_like(frames, 100)
    pictures, _ = draw_motion_field(grey, field_of(1, 0), 'colours', side=32)
    middle = pictures[0, 16, 24].astype(int)
    assert middle[0] > 200 > 60 > middle[1] == middle[2]


def test_sheet_and_clip_have_a_legend(frames):
    field = field_of(0.5, 0)
    sheet = motion_field_sheet(frames, field, columns=2, style='arrows', side=128)
    assert sheet.shape == (2 * (128 + 6), 2 * (192 + 6) + 200, 3)
    assert (sheet[140:, 200:390] == 255).all()  # where a fourth picture would be
    clip = motion_field_clip(frames, field, side=256)
    assert clip.shape == (3, 256, 384 + 200, 3)
    legend = clip[0, :, 384:]
    assert (clip[1, :, 384:] == legend).all() and (legend != 255).any()


@pytest.mark.parametrize(
    'shape', [(2, 3, 4, 32, 48), (8, 3, 32, 48)], ids=['views of clips', 'images']
)
def test_frames_of_what_a_pipeline_packs(shape):
    inputs = torch.arange(torch.tensor(shape).prod()).reshape(shape).to(torch.uint8)
    frames = input_frames(inputs, 2)
    assert frames.shape == (2, 4, 32, 48, 3)
    want = inputs[1, :, 2] if len(shape) == 5 else inputs[4 + 2]
    assert (frames[1, 2] == want.permute(1, 2, 0).numpy()).all()


def test_refuses_what_is_no_clip_of_frames(frames):
    with pytest.raises(ValueError, match=r'of 3 clips, got \(2, 3, 4, 8, 8\)'):
        input_frames(torch.zeros(2, 3, 4, 8, 8), 3)
    with pytest.raises(ValueError, match="style: got 'x'"):
        draw_motion_field(frames, field_of(0, 0), 'x')
    with pytest.raises(ValueError, match='4 frames'):
        draw_motion_field(frames, field_of(0, 0, pairs=4))


@pytest.mark.parametrize('suffix', ['.gif', '.mp4'])
def test_files_hold_the_pictures(tmp_path, suffix):
    greys = np.arange(0, 250, 50, dtype=np.uint8)
    pictures = np.broadcast_to(greys[:, None, None, None], (5, 33, 48, 3))
    path = tmp_path / 'new' / f'x{suffix}'
    write_pictures(pictures, path, fps=5)
    assert list(path.parent.iterdir()) == [path]
    if suffix == '.gif':
        with Image.open(path) as image:
            assert (image.n_frames, image.size, image.info['duration']) == (5, (48, 33), 200)
            assert image.info['loop'] == 0
        return
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate)) == ('h264', 5.0)
        read = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
    assert [x.shape for x in read] == [(32, 48, 3)] * 5
    np.testing.assert_allclose([x.mean() for x in read], greys, atol=3)


def test_png_is_exact_and_one_picture(tmp_path, frames):
    write_pictures(frames[:1], tmp_path / 'x.png')
    with Image.open(tmp_path / 'x.png') as image:
        assert (np.asarray(image) == frames[0]).all()
    with pytest.raises(ValueError, match='a PNG holds one picture, got 4'):
        write_pictures(frames, tmp_path / 'x.png')
    with pytest.raises(ValueError, match=r'x\.jpeg: the suffix must be one of \.png, \.gif, \.mp4'):
        write_pictures(frames, tmp_path / 'x.jpeg')
