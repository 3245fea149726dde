"""What a training is resumed from."""

import os

import pytest
import torch
from mmengine.config import Config

from mmaction_emim.engine.resume import choose_checkpoint, newest_whole, stamps
from mmaction_emim.utils.checkpoint_damage import check_whole, damage


@pytest.fixture
def saved(tmp_path):
    """Three checkpoints, an hour apart."""
    for epoch in (1, 2, 3):
        path = tmp_path / f'epoch_{epoch}.pth'
        torch.save(dict(x=torch.arange(1000.0) + epoch), path)
        os.utime(path, (epoch * 3600, epoch * 3600))
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_3.pth'))
    torch.save({}, tmp_path / 'best_acc_epoch_2.pth')
    return tmp_path


def work(folder, **checkpoint):
    return Config(dict(work_dir=str(folder), default_hooks=dict(checkpoint=checkpoint)))


def test_the_one_that_is_named(saved):
    (saved / 'last_checkpoint').write_text(str(saved / 'epoch_2.pth'))
    assert newest_whole(work(saved)) == (saved / 'epoch_2.pth', [])


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[data.index(torch.arange(1000.0)[500].numpy().tobytes())] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    'spoil, sentence',
    [
        (flip_a_bit, 'is damaged: the checksum of '),
        (lambda path: path.write_bytes(path.read_bytes()[:2000]), 'is no whole checkpoint'),
        (lambda path: path.write_bytes(b''), 'is no whole checkpoint'),
        (lambda path: path.unlink(), 'does not exist'),
    ],
    ids=['flipped bit', 'cut short', 'empty', 'gone'],
)
def test_a_spoiled_one_is_passed_over(saved, spoil, sentence):
    spoil(saved / 'epoch_3.pth')
    path, passed = newest_whole(work(saved))
    assert path == saved / 'epoch_2.pth'
    assert passed[0].startswith(f'{saved / "epoch_3.pth"} {sentence}')
    assert passed[-1] == f'resuming from {path}'


@pytest.mark.parametrize('pointer', ['', None, 'gone.pth'])
def test_without_a_pointer_the_newest(saved, pointer):
    (saved / 'last_checkpoint').unlink()
    if pointer is not None:
        (saved / 'last_checkpoint').write_text(pointer)
    path, passed = newest_whole(work(saved))
    assert path == saved / 'epoch_3.pth' and passed


@pytest.mark.parametrize('template', [None, 'at_{:04d}.pt', 'sub/[x]{}'])
@pytest.mark.parametrize('kind', ['CheckpointHook', 'DurableCheckpointHook'])
def test_in_another_folder_or_of_another_name(runner, tmp_path, kind, template):
    (tmp_path / 'disk' / tmp_path.name / 'sub').mkdir(parents=True)
    hook = dict(out_dir=str(tmp_path / 'disk'), filename_tmpl=template)
    trained = dict(hook, type=kind, interval=1)
    run = runner(
        train_cfg=dict(by_epoch=True, max_epochs=2), default_hooks=dict(checkpoint=trained)
    )
    run.train()
    (tmp_path / 'last_checkpoint').unlink()
    path, _ = newest_whole(work(tmp_path, **hook))
    assert torch.load(path, weights_only=True)['meta']['epoch'] == 2
    assert len(stamps(work(tmp_path, **hook))) == 2


def test_a_place_that_cannot_be_looked_into(tmp_path):
    cfg = work(tmp_path, out_dir='s3://bucket/x')
    assert newest_whole(cfg)[0] is None
    cfg.resume = True
    with pytest.raises(ValueError, match='out_dir=s3://bucket/x is no local folder'):
        newest_whole(cfg)


def test_none_whole_is_an_error_and_none_at_all_is_told(saved, tmp_path):
    for path in saved.glob('epoch*'):
        path.write_bytes(b'x')
    cfg = Config(dict(resume=True, load_from=None, work_dir=str(saved)))
    with pytest.raises(ValueError, match='no checkpoint is whole: .*epoch_3.pth is no whole'):
        choose_checkpoint(cfg)
    cfg.work_dir = str(tmp_path / 'new')
    assert choose_checkpoint(cfg) == [f'{tmp_path / "new"} holds no checkpoint: the training '
                                      'starts anew']  # fmt: skip
    assert cfg.load_from is None


def test_a_checkpoint_that_is_given(saved):
    flip_a_bit(saved / 'epoch_2.pth')
    with pytest.raises(ValueError, match=r'epoch_2.pth is damaged'):
        choose_checkpoint(Config(dict(load_from=str(saved / 'epoch_2.pth'))))
    check_whole(saved / 'epoch_1.pth')
    check_whole('https://example.org/epoch_1.pth')
    old = saved / 'old.pth'
    torch.save(dict(x=1), old, _use_new_zipfile_serialization=False)  # has no checksum
    check_whole(old)
    assert damage(old)
