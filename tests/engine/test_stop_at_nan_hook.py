"""A training that becomes NaN stops before it spoils anything, and says where it began."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, OptimWrapper
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


class OnACPU(AmpOptimWrapper):
    """MMEngine's with its loss scaler, which is for GPUs, on a CPU and in float32."""

    optim_context = OptimWrapper.optim_context

    def __init__(self, *args, **kwargs):
        OptimWrapper.__init__(self, *args, **kwargs)
        self.loss_scaler, self._scale_update_param = torch.amp.GradScaler('cpu'), None


class Scaled(Regression):
    """Finite only from the third step on, as fp16 with too large a scale is."""

    calls = 0

    def __init__(self, spoil, last=2):
        super().__init__()
        self.spoil, self.last = spoil, last

    def forward(self, inputs, data_samples=None, mode='loss'):
        self.calls += 1
        losses = super().forward(inputs, data_samples, mode)
        return {k: self.spoil(x) if self.calls <= self.last else x for k, x in losses.items()}


def infinite(loss):
    return loss * torch.inf


def without_a_gradient(loss):
    """As large as it was."""
    return loss + (loss * 0).sqrt()


def scaled(runner, model, max_skipped, **options):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    hooks = [dict(type='StopAtNaNHook', max_skipped=max_skipped)]
    wrapper = OnACPU(optimizer=optimizer, **options)
    return runner(model=model, optim_wrapper=wrapper, custom_hooks=hooks)


@pytest.mark.parametrize('max_skipped, stops', [(2, False), (1, True)])
@pytest.mark.parametrize(
    'spoil, what',
    [(infinite, 'the loss is'), (without_a_gradient, '4 of 4 gradients are')],
    ids=['loss', 'gradients'],
)
def test_a_loss_scaler_may_skip_steps(runner, max_skipped, stops, spoil, what):
    run = scaled(runner, Scaled(spoil), max_skipped)
    if stops:
        with pytest.raises(FloatingPointError, match=f'iteration 2: {what} not finite'):
            run.train()
    else:
        run.train()
    assert all(x.isfinite().all() for x in run.model.state_dict().values())


@pytest.mark.parametrize('counts', [1, 2])
@pytest.mark.parametrize('clip', [None, dict(max_norm=1.0)], ids=str)
def test_skipped_steps_of_a_finite_loss_are_said_and_counted(runner, tmp_path, counts, clip):
    """A step is one of the optimizer; not that of an iteration."""
    run = scaled(
        runner,
        Scaled(without_a_gradient, last=99),
        max_skipped=2,
        accumulative_counts=counts,
        clip_grad=clip,
    )
    with pytest.raises(FloatingPointError, match=f'iteration {3 * counts}: 4 .* after 2 in a row'):
        run.train()
    (log,) = tmp_path.rglob('*.log')
    said = [
        line.split('iteration ')[1] for line in log.read_text().splitlines() if '4 of 4' in line
    ]
    what = '4 of 4 gradients are not finite, nearest to the loss second.bias; the step is skipped'
    scales = (65536, 32768)
    assert said == [f'{n * counts}: {what}, the loss scale was {scales[n - 1]}' for n in (1, 2)]


class FirstLayerSpoilt(Regression):
    def forward(self, inputs, data_samples=None, mode='loss'):
        x = self.first(torch.stack(list(inputs)))
        return dict(loss=self.second(x).square().mean() + (x * 0).sqrt().sum())


def test_clipping_does_not_hide_which_gradients_are_not_finite(runner):
    """MMEngine clips first, and a norm that is NaN makes all of them NaN."""
    clipped = dict(optimizer=dict(type='SGD', lr=0.1), clip_grad=dict(max_norm=1.0))
    run = runner(model=FirstLayerSpoilt(), optim_wrapper=clipped, **HOOKS)
    with pytest.raises(FloatingPointError, match=r'2 of 4 .* nearest to the loss first\.bias'):
        run.train()
    assert all(x.isfinite().all() for x in run.model.state_dict().values())


def test_large_gradients_are_finite(runner):
    """Their squares are not."""

    class Large(Regression):
        def forward(self, *args, **kwargs):
            return {k: x * 1e25 for k, x in super().forward(*args, **kwargs).items()}

    run = runner(model=Large(), optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-30)), **HOOKS)
    run.train()
    assert run.iter == 16 and run.optim_wrapper.step.__func__ is OptimWrapper.step


@pytest.mark.filterwarnings('error:Seems like')
def test_schedules_find_the_step_as_they_left_it(runner):
    schedule = dict(type='ConstantLR', factor=0.5, end=2, by_epoch=False)
    run = runner(param_scheduler=schedule, **HOOKS)
    run.train()
    assert run.iter == 16


class Branches(BaseModel):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 2), nn.Softplus(beta=0.0), nn.Linear(2, 2))

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=self.body(inputs).sum())


def test_the_first_of_nested_layers():
    batch = dict(inputs=torch.full((1, 2), -1.0), mode='loss')
    assert first_layer(Branches(), batch) == 'body.1 (Softplus)'
