"""Whether what is resumed still is the same training."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.logging import MMLogger
from torch.utils.data import ConcatDataset, Subset

from mmaction_emim.engine import SameTrainingHook

from .conftest import Numbers, Regression, loader

EACH_EPOCH = dict(type='CheckpointHook', interval=1)
COSINE = dict(type='CosineAnnealingLR', T_max=4, by_epoch=True, convert_to_iter_based=True)
RESUME = dict(resume=dict(type='SameTrainingHook'), checkpoint=EACH_EPOCH)


def build(runner, epochs, hooks=RESUME, dataset=None, **more):
    """``dataset``: what the config says of ``rows``."""
    cfg = dict(
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        param_scheduler={**COSINE, 'T_max': epochs},
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=hooks,
    )
    cfg |= {key: more.pop(key) for key in cfg.keys() & more.keys()}
    said = Config(copy.deepcopy(dict(cfg, train_dataloader=dict(dataset=dataset))))
    return runner(**cfg, cfg=said, **more)


def train(*args, **more):
    """Train and give the rate of every step."""
    run, rates = build(*args, **more), []
    step = run.train_loop.run_iter

    def noted(*batch):
        rates.append(run.optim_wrapper.optimizer.param_groups[0]['lr'])
        step(*batch)

    run.train_loop.run_iter = noted
    run.train()
    return rates


def test_the_same_settings_go_on(runner, tmp_path):
    whole = train(runner, 4)
    (tmp_path / 'epoch_4.pth').unlink()
    last = str(tmp_path / 'epoch_2.pth')
    assert train(runner, 4, resume=True, load_from=last) == pytest.approx(whole[8:])


@pytest.mark.parametrize(
    'change, sentence',
    [
        (dict(epochs=6), 'train_cfg.max_epochs was 4 and is 6; param_scheduler.T_max was'),
        (dict(epochs=4, rows=Numbers(12)), 'an epoch had 4 steps and has 6'),
    ],
    ids=['epochs', 'clips'],
)
def test_another_training_is_refused(runner, change, sentence):
    train(runner, 4)
    with pytest.raises(ValueError) as error:
        train(runner, **change, resume=True)
    assert str(error.value).startswith('resume: the checkpoint is of another training: ')
    assert sentence in str(error.value) and 'on_change=keep' in str(error.value)


def test_rescaled_rates_are_those_of_the_new_schedule(runner):
    train(runner, 2)
    hooks = dict(resume=dict(type='SameTrainingHook', on_change='rescale'))
    resumed = train(runner, 6, hooks, resume=True)
    whole = train(runner, 6)
    assert len(resumed) == 16 and resumed == pytest.approx(whole[8:])


def test_inside_an_epoch(runner, tmp_path):
    hook = {**RESUME, 'checkpoint': dict(type='CheckpointHook', by_epoch=False, interval=3)}
    train(runner, 1, hook)
    last = dict(load_from=str(tmp_path / 'iter_3.pth'), resume=True)
    with pytest.raises(ValueError, match='made inside an epoch, at step 3, and epochs have 4'):
        train(runner, 1, hook, **last)


def test_unknown_mode():
    with pytest.raises(ValueError, match=r"on_change: got 'go'; accepted are \('refuse'"):
        SameTrainingHook('go')


def iterations(count):
    """Instead of epochs."""
    return dict(
        train_cfg=dict(by_epoch=False, max_iters=count),
        param_scheduler=None,
        hooks={**RESUME, 'checkpoint': dict(EACH_EPOCH, by_epoch=False)},
    )


def edit(path, change):
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint['meta'])
    torch.save(checkpoint, path)


@pytest.mark.parametrize('loop', [{}, iterations(2)], ids=['epochs', 'iterations'])
@pytest.mark.parametrize(
    'was, sentence',
    [(dict(clips=7), 'had 7 clips and has 8'), (dict(processes=2), 'had 2 processes and has 1')],
    ids=['clips', 'processes'],
)
def test_other_clips_or_processes(runner, tmp_path, loop, was, sentence):
    """Of 7 clips, as of 8, an epoch has four steps; iterations tell of neither."""
    train(runner, 2, rows=Numbers(was.get('clips', 8)), **loop)
    last = (tmp_path / 'last_checkpoint').read_text()
    edit(last, lambda meta: meta['training'].update(was))
    with pytest.raises(ValueError, match=f'another training: it {sentence}; give'):
        train(runner, 2, **loop, resume=True, load_from=last)
    edit(last, lambda meta: meta.pop('training'))  # as before it was noted
    train(runner, 2, **loop, resume=True, load_from=last)


class Listed(Numbers):
    def __init__(self, path):
        super().__init__(8)
        self.ann_file = str(path)


def listed(path, root='data'):
    """Arguments of a training on a wrapped set with a list."""
    inner = dict(type='Listed', ann_file=str(path), data_root=root)
    config = dict(type='Wrapper', datasets=[dict(type='Inner', dataset=inner)])
    return dict(rows=ConcatDataset([Subset(Listed(path), range(8))]), dataset=config)


def test_another_list(runner, tmp_path, capsys):
    old, moved, other = paths = [tmp_path / f'{name}.txt' for name in ('old', 'moved', 'other')]
    for path, text in zip(paths, ['a.mp4 0\n', 'a.mp4 0\n', 'a.mp4 1\n'], strict=True):
        path.write_text(text)
    train(runner, 2, **listed(old))
    again = dict(resume=True, load_from=str(tmp_path / 'epoch_2.pth'))
    capsys.readouterr()
    train(runner, 2, **listed(moved, root='disk'), **again)
    where = 'train_dataloader.dataset.datasets.0.dataset'
    said = f"{where}.ann_file was '{old}' and is '{moved}'"
    told = f"resume: {said}; {where}.data_root was 'data' and is 'disk'; the lists of clips are the"
    assert told in capsys.readouterr().out
    with pytest.raises(ValueError) as error:
        train(runner, 2, **listed(other), **again)
    assert f"is '{other}'; its lists of clips held other lines" in str(error.value)
    old.write_text('b.mp4 0\n')
    with pytest.raises(ValueError, match='training: its lists of clips held other lines; give'):
        train(runner, 2, **listed(old), **again)
    edit(again['load_from'], lambda meta: meta.pop('training'))
    with pytest.raises(ValueError) as error:
        train(runner, 2, **listed(moved), **again)
    assert f'another training: {said}; give' in str(error.value)


def adam(**more):
    return dict(optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1, betas=(0.9, 0.9), **more)))


def test_another_optimizer(runner, tmp_path):
    train(runner, 2, **adam(weight_decay=0.1))
    again = dict(resume=True, load_from=str(tmp_path / 'epoch_2.pth'))
    same = adam(weight_decay=0.1)
    same['optim_wrapper']['optimizer']['betas'] = [0.9, 0.9]  # as --cfg-options has it
    train(runner, 2, **same, **again)
    with pytest.raises(ValueError, match=r'training: optim_wrapper.optimizer.weight_decay was 0.1'):
        train(runner, 2, **adam(weight_decay=0.2), **again)
    keep = {**RESUME, 'resume': dict(type='SameTrainingHook', on_change='keep')}
    with pytest.raises(ValueError, match="optimizer.type was 'AdamW' and is 'SGD'.*no optimizer"):
        train(runner, 2, keep, **again)


@pytest.fixture
def said(monkeypatch):
    """The hook's warnings that runners log."""
    found = []

    def warning(self, text, *rest):
        if text.startswith(('resume: ', 'the checkpoint was trained')):
            found.append(text)

    monkeypatch.setattr(MMLogger, 'warning', warning)
    return found


def test_other_settings_are_told(runner, tmp_path, said):
    step = dict(type='SampleFrames', clip_len=8)
    data = dict(pipeline=[step], data_prefix='a')
    model = dict(type='Net', drop=0.1, init_cfg=None)

    def go_on(model, data, **more):
        cfg = Config(dict(model=model, train_dataloader=dict(dataset=data, num_workers=2)))
        runner(cfg=cfg, default_hooks=RESUME, **more).train()

    go_on(model, data, train_cfg=dict(by_epoch=True, max_epochs=1))
    said.clear()
    go_on(model | dict(init_cfg=3), data, resume=True)
    assert not said
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    go_on(model | dict(drop=0), data | dict(pipeline=[step | dict(clip_len=4)]), resume=True)
    assert said == [
        'resume: other settings than the checkpoint has: model.drop was 0.1 and is 0; '
        'train_dataloader.dataset.pipeline.0.clip_len was 8 and is 4'
    ]


class Score(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return dict(score=0)


class Tested(Regression):
    def forward(self, inputs, data_samples=None, mode='loss'):
        return super().forward(inputs, data_samples, mode) if mode == 'loss' else data_samples


def test_a_test_of_another_model_than_was_trained(runner, tmp_path, said):
    model = dict(backbone=dict(stride=1, drop=0.1), head=dict(num_classes=8))

    def cfg(**backbone):
        return Config(dict(model=dict(model, backbone=model['backbone'] | backbone)))

    once = dict(train_cfg=dict(by_epoch=True, max_epochs=1), default_hooks=RESUME)
    runner(cfg=cfg(), model=Tested(), **once).train()
    test = dict(
        load_from=str(tmp_path / 'epoch_1.pth'),
        test_dataloader=loader(Numbers(4)) | dict(sampler=dict(type='DefaultSampler')),
        test_evaluator=Evaluator(Score()),
        test_cfg={},
    )
    for backbone, sentences in (
        (dict(drop=0.2), []),
        (
            dict(stride=2),
            ['the checkpoint was trained with another model: model.backbone.stride was 1 and is 2'],
        ),
    ):
        said.clear()
        runner(cfg=cfg(**backbone), model=Tested(), **once, **test).test()
        assert said == sentences
