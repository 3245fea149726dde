import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import get_file_backend

from mmaction_emim.engine import AtomicLocalBackend

from ..full_disk import full_disk
from .conftest import Net

ATOMIC = dict(type='CheckpointHook', interval=1, backend_args=dict(backend='atomic'))


def test_writes_and_replaces(tmp_path):
    backend = get_file_backend(backend_args=dict(backend='atomic'))
    assert isinstance(backend, AtomicLocalBackend)
    file = tmp_path / 'new' / 'file'
    for content in (b'first', b'second'):
        backend.put(content, file)
        assert file.read_bytes() == content
    assert [path.name for path in file.parent.iterdir()] == ['file']


def test_configs_use_it(root):
    cfg = Config.fromfile(root / 'configs' / '_base_' / 'default_runtime.py')
    backend = get_file_backend(backend_args=cfg.default_hooks.checkpoint.backend_args)
    assert isinstance(backend, AtomicLocalBackend)


def test_a_file_that_does_not_fit_leaves_the_one_before(tmp_path):
    (tmp_path / 'file').write_bytes(b'before')
    with full_disk(1000), pytest.raises(OSError, match='2,000 bytes.*file') as error:
        AtomicLocalBackend().put(bytes(2000), tmp_path / 'file')
    assert error.value.filename == str(tmp_path / 'file')
    assert (tmp_path / 'file').read_bytes() == b'before'
    assert [path.name for path in tmp_path.iterdir()] == ['file']


def test_a_checkpoint_that_does_not_fit_leaves_the_others(tmp_path, train):
    """The epoch before stays as it was, and training goes on from it once there is room."""

    def train_to(epochs):
        net = Net()
        net.register_buffer('ballast', torch.zeros(100_000))  # larger than the log
        train(epochs=epochs, model=net, default_hooks=dict(checkpoint=ATOMIC), resume=True)

    train_to(1)
    first = tmp_path / 'work' / 'epoch_1.pth'
    before = first.read_bytes()
    with full_disk(len(before) // 2), pytest.raises(OSError, match='epoch_2.pth'):
        train_to(2)
    assert first.read_bytes() == before
    assert not list(first.parent.glob('epoch_2*'))
    train_to(2)
    assert torch.load(first.with_name('epoch_2.pth'), weights_only=True)['meta']['epoch'] == 2
