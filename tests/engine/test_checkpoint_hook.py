"""At any time a whole checkpoint is there, and last_checkpoint names it."""

from contextlib import suppress

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.runner import FlexibleRunner, Runner

from .conftest import Numbers, Regression, loader

HOOK = dict(type='DurableCheckpointHook', interval=1, max_keep_ckpts=1)


def test_the_old_checkpoint_goes_after_the_new_one_is_there(runner, tmp_path, monkeypatch):
    run = runner(default_hooks=dict(checkpoint=HOOK))
    save, seen = run.save_checkpoint, []

    def saved(*args, **kwargs):
        seen.append(sorted(path.name for path in tmp_path.glob('*.pth')))
        save(*args, **kwargs)

    monkeypatch.setattr(run, 'save_checkpoint', saved)
    run.train()
    assert seen == [[], ['epoch_1.pth'], ['epoch_2.pth'], ['epoch_3.pth']]
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_4.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_4.pth')


def test_a_save_that_fails_deletes_nothing(runner, tmp_path, monkeypatch):
    run = runner(default_hooks=dict(checkpoint=HOOK))
    save = run.save_checkpoint

    def full_disk(*args, **kwargs):
        if run.epoch == 1:
            raise OSError(28, 'No space left on device')
        save(*args, **kwargs)

    monkeypatch.setattr(run, 'save_checkpoint', full_disk)
    with pytest.raises(OSError, match='No space'):
        run.train()
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_1.pth')


@pytest.mark.parametrize('keep', [2, -1])
def test_as_many_as_asked_for_also_when_resumed(runner, tmp_path, keep):
    hooks = dict(default_hooks=dict(checkpoint={**HOOK, 'max_keep_ckpts': keep}))
    runner(train_cfg=dict(by_epoch=True, max_epochs=3), **hooks).train()
    runner(resume=True, **hooks).train()
    left = sorted(path.name for path in tmp_path.glob('*.pth'))
    assert left == [f'epoch_{epoch}.pth' for epoch in range(3 if keep == 2 else 1, 5)]
    saved = torch.load(tmp_path / 'epoch_4.pth', weights_only=True)
    assert saved['meta']['epoch'] == 4


def test_the_old_best_goes_after_the_new_one_is_there(runner, tmp_path, monkeypatch):
    hook = dict(type='DurableCheckpointHook', save_best='score', rule='greater', interval=-1)
    run = runner(default_hooks=dict(checkpoint=hook))
    save, seen = run.save_checkpoint, []

    def saved(*args, **kwargs):
        seen.append(sorted(path.name for path in tmp_path.glob('best*.pth')))
        save(*args, **kwargs)

    monkeypatch.setattr(run, 'save_checkpoint', saved)
    checkpoints = next(hook for hook in run.hooks if type(hook).__name__ == HOOK['type'])
    run.optim_wrapper = run.build_optim_wrapper(run.optim_wrapper)
    checkpoints.before_train(run)
    for epoch, score in ((1, 0.1), (2, 0.2), (2, 0.3)):
        run.train_loop._epoch = epoch
        checkpoints.after_val_epoch(run, dict(score=score))
    assert seen == [[], ['best_score_epoch_1.pth'], ['best_score_epoch_2.pth']]
    assert [path.name for path in tmp_path.glob('best*.pth')] == ['best_score_epoch_2.pth']


class Epochs(BaseMetric):
    """Notes when it is asked for; of some epoch that fails, as a process that is killed."""

    def __init__(self, fails_at=None):
        super().__init__()
        self.fails_at, self.seen = fails_at, []

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        epoch = self.runner.epoch
        if epoch == self.fails_at:
            raise KeyboardInterrupt
        self.seen.append(epoch)
        return dict(score=10 - epoch)


class Predicting(Regression):
    def forward(self, inputs, data_samples=None, mode='loss'):
        return data_samples if mode == 'predict' else super().forward(inputs)


def test_a_validation_without_a_training(runner, tmp_path):
    metric = Epochs()
    metric.runner = run = runner(
        model=Predicting(),
        val_dataloader=loader(Numbers(8)),
        val_cfg={},
        val_evaluator=Evaluator([metric]),
        default_hooks=dict(checkpoint=HOOK),
    )
    assert run.val() == dict(score=10) and not list(tmp_path.glob('*.pth'))


def validated(runner, fails_at=None, interval=1, **more):
    """The epochs at which a training of four validated."""
    metric = Epochs(fails_at)
    metric.runner = run = runner(
        model=Predicting(),
        train_cfg=dict(by_epoch=True, max_epochs=4, val_interval=interval),
        val_dataloader=loader(Numbers(8)),
        val_cfg={},
        val_evaluator=Evaluator([metric]),
        default_hooks=dict(checkpoint={**HOOK, 'save_best': 'score', 'rule': 'greater'}),
        param_scheduler=dict(type='ReduceOnPlateauLR', monitor='score', rule='greater', patience=0),
        **more,
    )
    with suppress(KeyboardInterrupt):
        run.train()
    return metric.seen, run.optim_wrapper.optimizer.param_groups[0]['lr']


def test_early_stopping_knows_the_scores_before_a_resume(runner):
    def epochs(patience, **more):
        stop = dict(type='EarlyStoppingHook', monitor='score', rule='greater', patience=patience)
        return validated(runner, custom_hooks=[stop], **more)[0]

    assert epochs(1) == [1, 2]  # each score is worse than the one before
    assert epochs(2, resume=True) == [3]
    assert epochs(2, resume=True) == []


@pytest.mark.parametrize('interval, epoch, left', [(1, 2, [2, 3, 4]), (2, 2, [2, 4]), (2, 4, [4])])
def test_a_validation_that_was_cut_off_is_made_when_resumed(
    runner, tmp_path, interval, epoch, left
):
    whole, rate = validated(runner, interval=interval)
    for path in tmp_path.glob('*.pth'):
        path.unlink()
    seen, _ = validated(runner, epoch, interval)
    assert seen == [e for e in whole if e < epoch]
    assert validated(runner, None, interval, resume=True) == (left, pytest.approx(rate))
    assert validated(runner, None, interval, resume=True) == ([], pytest.approx(rate))


@pytest.mark.parametrize('kind', [Runner, FlexibleRunner])
def test_after_a_validation_a_checkpoint_stands_where_the_training_does(runner, tmp_path, kind):
    validated(runner, interval=2, kind=kind)
    for path in tmp_path.glob('*.pth'):
        meta = torch.load(path, weights_only=True)['meta']
        epoch = int(path.stem.rpartition('_')[2])
        assert (meta['epoch'], meta['iter']) == (epoch, 4 * epoch), path
    assert len(list(tmp_path.glob('*.pth'))) == 2


@pytest.mark.parametrize('by_epoch', [True, False], ids=['epochs', 'iterations'])
def test_gradients_that_wait_for_their_step_are_resumed(runner, tmp_path, by_epoch):
    """Three iterations make a step; the checkpoint is of the fourth."""
    options = dict(
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1), accumulative_counts=3),
        default_hooks=dict(checkpoint=HOOK | dict(max_keep_ckpts=-1, by_epoch=by_epoch)),
    )
    limit = 'max_epochs' if by_epoch else 'max_iters'
    loop, first, last = dict(by_epoch=by_epoch), *((1, 2) if by_epoch else (4, 8))
    torch.manual_seed(0)
    rows = Numbers(8)
    rows.rows = torch.randn(8, 4)
    runner(rows=rows, train_cfg=loop | {limit: last}, **options).train()
    name = f'{"epoch" if by_epoch else "iter"}_{{}}.pth'
    whole = torch.load(tmp_path / name.format(last), weights_only=True)
    load_from = str(tmp_path / name.format(first))
    halves = runner(
        rows=rows, train_cfg=loop | {limit: last}, load_from=load_from, resume=True, **options
    )
    halves.train()
    for key, weight in halves.model.state_dict().items():
        assert torch.equal(weight, whole['state_dict'][key]), key


def test_a_folder_that_is_none_is_not_written_to(runner):
    hook = HOOK | dict(out_dir='s3://bucket/runs', backend_args=dict(backend='atomic'))
    with pytest.raises(ValueError, match='out_dir=s3://bucket/runs is no local folder.*=None'):
        runner(default_hooks=dict(checkpoint=hook)).train()


def test_an_unknown_option_is_refused_before_the_training(runner):
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_keep_ckpt'"):
        runner(default_hooks=dict(checkpoint=HOOK | dict(max_keep_ckpt=2)))
