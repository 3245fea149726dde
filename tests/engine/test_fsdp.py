"""One process on the CPU; what takes two is in tests/tools/test_fsdp.py."""

import pytest
import torch
from mmengine.model import MMFullyShardedDataParallel
from mmengine.runner import FlexibleRunner
from torch import nn

from mmaction_emim.engine import AnyDeviceFSDP

from .conftest import options

pytestmark = pytest.mark.skipif(torch.accelerator.is_available(), reason='asks for a CPU')
WRAPPER = dict(type='AnyDeviceFSDP', use_orig_params=True)


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group('gloo', f'file://{tmp_path}/group', None, 1, 0)
    yield
    torch.distributed.destroy_process_group()


def test_stays_on_the_cpu_and_tells_whole_shapes(process_group):
    def net():
        conv = nn.Conv3d(3, 4, 3).to(memory_format=torch.channels_last_3d)
        return nn.Sequential(conv, nn.BatchNorm3d(4))

    module = net()
    assert not module[0].weight.is_contiguous()
    sharded = AnyDeviceFSDP(module, device_id=0, use_orig_params=True)
    assert {p.device.type for p in sharded.parameters()} == {'cpu'}
    assert module.whole_ndims == {'0.weight': 5, '0.bias': 1, '1.weight': 1, '1.bias': 1}
    x = torch.randn(1, 3, 4, 5, 6)
    assert sharded(x).shape == (1, 4, 2, 3, 4)
    with pytest.raises((RuntimeError, AssertionError, AttributeError)):  # what it mends
        MMFullyShardedDataParallel(net(), device_id=0, use_orig_params=True)


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Trains by MMEngine's FlexibleRunner, as the only process of a launcher."""
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    monkeypatch.setenv('MASTER_PORT', '0')
    for name, value in (('RANK', '0'), ('LOCAL_RANK', '0'), ('WORLD_SIZE', '1')):
        monkeypatch.setenv(name, value)

    def train(folder, epochs, strategy, **others):
        torch.manual_seed(0)
        settings = options(tmp_path / folder, epochs, **others)
        runner = FlexibleRunner(**settings, strategy=strategy, launcher='pytorch')
        runner.train()
        return runner

    yield train
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


STRATEGY = dict(
    type='ResumableFSDPStrategy',
    model_wrapper=WRAPPER,
    state_dict_cfg=dict(
        state_dict_type='FULL_STATE_DICT',
        state_dict_config=dict(type='FullStateDictConfig'),
        optim_state_dict_config=dict(type='FullOptimStateDictConfig'),
    ),
)


def test_resumed_is_as_never_stopped(train, tmp_path):
    others = dict(
        custom_hooks=[dict(type='EpochSeedHook')],
        optim_wrapper=dict(
            optimizer=dict(type='AdamW', lr=0.1),
            clip_grad=dict(max_norm=0.1),
            constructor='LayerDecayOptimWrapperConstructor',  # several groups of parameters
        ),
    )
    train('whole', 2, STRATEGY, **others)
    train('halves', 1, STRATEGY, **others)
    train('halves', 2, STRATEGY, **others, resume=True)
    whole, halves = (
        torch.load(tmp_path / name / 'epoch_2.pth', weights_only=True)
        for name in ('whole', 'halves')
    )
    torch.testing.assert_close(halves['state_dict'], whole['state_dict'], rtol=0, atol=0)
    state, expected = (x['optimizer']['state'] for x in (halves, whole))
    torch.testing.assert_close(state, expected, rtol=0, atol=0)
    settings = [x['optimizer']['base_param_settings'] for x in (halves, whole)]
    assert settings[0] == settings[1] and settings[0]['lr'] == 0.1  # of the wrapper
    assert list(whole['state_dict'])[0] == 'backbone.linear.weight'
