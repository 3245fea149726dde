"""A training that becomes NaN stops before it spoils anything, and says where it began."""

import pytest
import torch
from mmengine.model import BaseModel
from torch import nn

from mmaction_emim.engine.stop_at_nan_hook import StopAtNaNHook, first_layer

from .conftest import Numbers, Regression

HOOKS = dict(custom_hooks=[dict(type='StopAtNaNHook')])


def test_a_poisoned_clip_is_named_and_weights_stay(runner):
    run = runner(rows=Numbers(8, poisoned=5), **HOOKS)
    with pytest.raises(FloatingPointError) as error:
        run.train()
    text = str(error.value)
    assert text.startswith('epoch 1, iteration 3: the loss is not finite')
    assert (
        'clips: clip_4.mp4, clip_5.mp4; first layer whose output is not finite: first (Li' in text
    )
    assert all(x.isfinite().all() for x in run.model.state_dict().values())


class RootOfZero(Regression):
    def forward(self, inputs, data_samples=None, mode='loss'):
        x = self.second(self.first(torch.stack(list(inputs))))
        return dict(loss=(x * 0).sqrt().sum())


def test_gradients_of_a_finite_loss(runner):
    run = runner(model=RootOfZero(), **HOOKS)
    with pytest.raises(FloatingPointError, match=r'4 of 4 gradients are not finite.*second.bias'):
        run.train()
    assert all(x.isfinite().all() for x in run.model.state_dict().values())


def test_an_exploding_rate_leaves_the_last_good_checkpoint(runner, tmp_path):
    """A rate of 1e29 makes finite weights whose next loss is infinite."""
    hook = dict(type='DurableCheckpointHook', interval=1, max_keep_ckpts=1)
    run = runner(
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e29)),
        param_scheduler=dict(type='ConstantLR', factor=1e-30, end=2),
        default_hooks=dict(checkpoint=hook),
        **HOOKS,
    )
    with pytest.raises(FloatingPointError):
        run.train()
    checkpoints = list(tmp_path.glob('*.pth'))
    assert [str(path) for path in checkpoints] == [(tmp_path / 'last_checkpoint').read_text()]
    saved = torch.load(checkpoints[0], weights_only=True)['state_dict']
    assert all(x.isfinite().all() for x in saved.values())


def test_no_checkpoint_of_weights_that_are_not_finite(runner):
    run = runner()
    state = {'a': torch.ones(2), 'b': torch.tensor([1.0, torch.inf]), 'n': torch.tensor(3)}
    with pytest.raises(FloatingPointError, match='1 of 2 tensors are not finite, such as b: no'):
        StopAtNaNHook().before_save_checkpoint(run, dict(state_dict=state))


class Scaled(Regression):
    """Finite only from the third step on, as fp16 with too large a scale is."""

    calls = 0

    def forward(self, inputs, data_samples=None, mode='loss'):
        self.calls += 1
        losses = super().forward(inputs, data_samples, mode)
        return {name: x * (torch.inf if self.calls < 3 else 1) for name, x in losses.items()}


@pytest.mark.parametrize('max_skipped, stops', [(2, False), (1, True)])
def test_a_loss_scaler_may_skip_steps(runner, monkeypatch, max_skipped, stops):
    run = runner(model=Scaled(), custom_hooks=[dict(type='StopAtNaNHook', max_skipped=max_skipped)])
    run.optim_wrapper = run.build_optim_wrapper(run.optim_wrapper)
    wrapper = run.optim_wrapper
    wrapper.loss_scaler = torch.amp.GradScaler('cpu')

    def update(loss):  # as AmpOptimWrapper does on a GPU
        wrapper.loss_scaler.scale(loss).backward()
        wrapper.loss_scaler.step(wrapper.optimizer)
        wrapper.loss_scaler.update()
        wrapper.zero_grad()

    monkeypatch.setattr(wrapper, 'update_params', update)
    if stops:
        with pytest.raises(FloatingPointError, match='iteration 2: the loss is not finite'):
            run.train()
    else:
        run.train()
    assert all(x.isfinite().all() for x in run.model.state_dict().values())


class Branches(BaseModel):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 2), nn.Softplus(beta=0.0), nn.Linear(2, 2))

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=self.body(inputs).sum())


def test_the_first_of_nested_layers():
    batch = dict(inputs=torch.full((1, 2), -1.0), mode='loss')
    assert first_layer(Branches(), batch) == 'body.1 (Softplus)'
