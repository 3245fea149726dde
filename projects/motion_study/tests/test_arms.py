import json

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope

from projects.motion_study import budget
from projects.motion_study.arms import ARMS, NETWORKS, REFERENCE, SMALL, choose
from projects.motion_study.data import BATCH, Data
from projects.motion_study.data import SPACED as SAMPLING
from projects.motion_study.runs import CONFIGS, Run, changed, compose, left_chance, measure

init_default_scope('mmaction')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('lists')
    (root / 'train.txt').write_text('clip.mp4 0\n' * 40)
    return Data('clean', root, 'train.txt', 'test.txt', 12, SAMPLING)


def test_every_arm_says_what_to_expect_and_of_whom():
    keys = [arm.key for arm in ARMS]
    assert len(set(keys)) == len(keys) and set(SMALL) <= set(keys)
    for arm in ARMS:
        assert arm.why and arm.relation in ('below', 'near', 'above', 'chance')
        assert arm.relation == 'chance' or f'{arm.network}/{arm.other}' in keys
    assert all(f'{network}/{REFERENCE}' in keys for network in NETWORKS)


@pytest.mark.parametrize('arm', ARMS, ids=lambda arm: arm.key)
def test_every_arm_builds_with_the_references_parameters(arm, data):
    cfg = compose(Run(arm, data, 0, 6))
    assert abs(cfg.study.parameters / cfg.study.reference - 1) <= budget.TOLERANCE
    assert budget.num_parameters(cfg.model) == cfg.study.parameters


@pytest.mark.slow
@pytest.mark.parametrize('arm', ARMS, ids=lambda arm: arm.key)
def test_every_arm_takes_a_step(arm, data):
    torch.manual_seed(0)
    model = MODELS.build(compose(Run(arm, data, 0, 6)).model)
    model.init_weights()
    frames = (8, 3, 64, 64) if arm.network == 'resnet18' else (1, 3, 8, 64, 64)
    samples = [ActionDataSample().set_gt_label(label) for label in (0, 1)]
    losses = model(torch.randn(2, *frames), samples, mode='loss')
    losses['loss_cls'].backward()
    assert losses['loss_cls'].isfinite()
    for name, parameter in model.named_parameters():
        assert not parameter.requires_grad or parameter.grad is not None, name


def test_a_run_has_the_steps_and_the_order_that_are_asked_for(data):
    (arm,) = choose(['uniformer-tiny/single-frame'])
    cfg = compose(Run(arm, data, 0, 8))
    assert cfg.study.steps == 9 and cfg.train_cfg.max_epochs == 3  # 40 clips: 3 steps an epoch
    assert cfg.param_scheduler[0].end == cfg.param_scheduler[1].begin == 1
    assert cfg.param_scheduler[1].end == 9 and cfg.param_scheduler[1].T_max == 8
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        assert loader.dataset.pipeline[2].order == 'static'
        assert loader.dataset.data_root == str(data.root)


def test_a_run_with_another_learning_rate_has_it_and_stands_apart(data):
    (arm,) = choose(['uniformer-tiny/global'])
    run = Run(arm, data, 0, 9, lr=3e-3)
    assert compose(run).optim_wrapper.optimizer.lr == 3e-3
    assert run.name == 'clean/uniformer-tiny/global/9steps-lr0.003/seed0'
    assert compose(run._replace(lr=None)).optim_wrapper.optimizer.lr == 1e-3


def test_steps_are_of_the_protocols_batch():
    cfg = Config.fromfile(CONFIGS / 'protocol.py')
    assert cfg.train_dataloader.batch_size == BATCH


@pytest.mark.parametrize(('low', 'step'), [(2.3, None), (2.2, 40)])
def test_left_chance_is_the_first_step_below_the_loss_of_guessing(tmp_path, low, step):
    for name, lines in {
        'first': [(20, 2.5), (40, low)],  # ln(12) is 2.48
        'resumed': [(40, low), (60, 2.0 if step else 2.4)],
    }.items():
        path = tmp_path / name / 'vis_data' / 'scalars.json'
        path.parent.mkdir(parents=True)
        text = ''.join(json.dumps(dict(step=s, loss=loss)) + '\n' for s, loss in lines)
        path.write_text(text + '{"step": 1, "acc/top1": 0.5}\n')
    assert left_chance(tmp_path, 12) == step


def test_a_test_changes_what_it_names_and_nothing_else(data):
    (arm,) = choose(['uniformer-tiny/emim'])
    run = Run(arm, data, 0, 3, data._replace(root=data.root / 'long'))
    cfg = compose(run)
    tests = {test.name: test for test in run.tests}
    assert changed(cfg, tests['forward'], run).pretty_text == cfg.pretty_text
    fast = changed(cfg, tests['speed x2'], run).test_dataloader.dataset
    assert fast.pipeline[1]['frame_interval'] == 6 and fast.data_root.endswith('long')
    assert fast.pipeline[1]['clip_len'] == 8 and fast.pipeline[1]['test_mode']
    wide = changed(cfg, tests['96 x 64 pixels'], run).test_dataloader.dataset
    assert wide.pipeline[4].scale == (96, 64) and wide.data_root == str(data.root)
    assert [test.name for test in Run(arm, data, 0, 3).tests] == ['forward']


def test_a_width_that_cannot_be_reached_is_told():
    model = Config.fromfile(CONFIGS / 'resnet18.py').model
    with pytest.raises(ValueError, match='ResNetTSM: .* parameters, more than 2% from 1,000'):
        budget.fit(model, 1000)


def test_refuses_an_unknown_arm():
    with pytest.raises(ValueError, match="--arms: 'vit/x' matches none of uniformer-tiny/global"):
        choose(['vit-tiny/*', 'vit/x'])


def result(label, guess, **more):
    score = torch.zeros(12)
    score[guess] = 1
    return dict(pred_score=score, gt_label=torch.tensor([label]), **more)


def test_measures_accuracy_mirrored_classes_and_still():
    results = [result(0, 0), result(0, 1), result(9, 9), result(4, 9), result(2, 2, failed=True)]
    told = measure(results, shapes=True)
    # left -> left, left -> right (its mirror), still -> still (its own mirror), approach -> still
    assert told == dict(top1=0.4, clips=5, mirrored=0.4, still=0.4)
    assert measure(results, shapes=False) == dict(top1=0.4, clips=5)
