import runpy

import pytest


@pytest.mark.slow
def test_weights_are_the_same_bits_again(root, motion_shapes, tmp_path):
    train = runpy.run_path(str(root / 'demo' / 'make.py'))['train']
    options = [f'data_root={motion_shapes}', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=9']
    options += ['train_dataloader.batch_size=8', 'train_dataloader.dataset.indices=32']
    made = []
    for run in ('one', 'other'):
        weights = tmp_path / run / 'weights.pth'
        weights.parent.mkdir()
        train(tmp_path / run / 'work', weights, *options)
        made.append(weights.read_bytes())
    assert made[0] == made[1]
    shipped = root / 'demo' / 'emim_motionshapes.pth'
    assert len(made[0]) == pytest.approx(shipped.stat().st_size, rel=0.05)
