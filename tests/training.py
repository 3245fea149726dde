"""What tests that run tools/train.py on shipped configs share."""

from pathlib import Path

from mmengine.config import Config


def data_overrides(
    cfg: Config, motion_shapes: Path, frames: Path, folder: Path, steps: int
) -> list[str]:
    """--cfg-options that put so many clips of MotionShapes, one a batch, in the place of the data.

    Lists are written to ``folder``. Raw-frame datasets get ``frames``, a list of folders of JPEGs.
    """
    raw = 'Rawframe' in cfg.train_dataloader.dataset.type
    lines = (frames if raw else motion_shapes / 'train.txt').read_text().splitlines(keepends=True)
    lines = (lines * steps)[:steps]
    (folder / 'train.txt').write_text(''.join(lines))
    (folder / 'val.txt').write_text(lines[0])
    kind, prefix = ('img', motion_shapes / 'rawframes') if raw else ('video', motion_shapes)
    options = ['default_hooks.logger.interval=1', 'randomness.seed=0']
    for split, list_name in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        loader = f'{split}_dataloader'
        options += [
            f'{loader}.dataset.ann_file={folder / list_name}.txt',
            f'{loader}.dataset.data_prefix.{kind}={prefix}',
            f'{loader}.batch_size=1',
            f'{loader}.num_workers=0',
            f'{loader}.persistent_workers=False',
        ]
        if cfg[loader].dataset.get('data_root'):
            options.append(f'{loader}.dataset.data_root={motion_shapes}')
    return options
