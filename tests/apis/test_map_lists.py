"""Feature maps of several lists: a name is one clip."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmaction_emim.apis import extract_maps

from .test_map_extraction import Patches


@pytest.fixture(scope='module')
def videos(motion_shapes) -> list[Path]:
    rows = (motion_shapes / 'test.txt').read_text().splitlines()[:2]
    return [motion_shapes / row.split()[0] for row in rows]


def two_lists(root: Path, folder: Path, videos: list[Path]) -> Config:
    """A config with two lists, each with one of the videos, which are called the same."""
    cfg, lists = Config.fromfile(root / 'configs' / 'emim_motionshapes.py'), []
    for number, video in enumerate(videos):
        own = folder / str(number)
        own.mkdir()
        (own / 'a.mp4').symlink_to(video)
        (own / 'list.txt').write_text(f'a.mp4 {number}\n')
        data = dict(ann_file=str(own / 'list.txt'), data_root=str(own))
        lists.append(dict(cfg.val_dataloader.dataset.to_dict(), **data))
    cfg.model.backbone = dict(type='FrameEncoder', encoder=Patches)
    cfg.val_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=lists))
    return cfg


def extract(cfg: Config, out: Path):
    (report,) = extract_maps(
        cfg, None, out, splits=['val'], device='cpu', say=lambda _: None, show_progress=False
    )
    return report


def test_two_clips_of_one_name_are_refused(root, videos, tmp_path):
    cfg = two_lists(root, tmp_path, videos)
    message = r'two clips of its lists are called a.mp4, with filename \S+0/a.mp4 and \S+1/a.mp4; '
    with pytest.raises(ValueError, match=message):
        extract(cfg, tmp_path / 'maps')
    assert not (tmp_path / 'maps').exists()


def test_one_clip_in_two_lists_is_read_once(root, videos, tmp_path):
    cfg = two_lists(root, tmp_path, videos[:1] * 2)
    assert extract(cfg, tmp_path / 'maps').clips == 1
    assert (tmp_path / 'maps' / 'val.txt').read_text() == 'a.mp4 0\na.mp4 1\n'
    cfg.val_dataloader.dataset.datasets[1].pipeline[1].clip_len = 4
    with pytest.raises(ValueError, match='a.mp4 is in two lists whose pipelines differ'):
        extract(cfg, tmp_path / 'more')
