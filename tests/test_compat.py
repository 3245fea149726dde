"""Each gap of the released wheels, shown, and its cure."""

import pickle
import sys

import pytest
import torch
from torch import nn

PLAIN = 'import warnings; warnings.simplefilter("ignore"); '
CURED = PLAIN + 'import mmaction_emim; '


def python(run, code):
    return run('-c', code)


def test_import_is_silent_and_loads_no_model(run):
    done = python(run, 'import sys, mmaction_emim; print("mmaction.models" in sys.modules)')
    assert (done.stdout.strip(), done.stderr) == ('False', '')


@pytest.mark.parametrize(
    'gap',
    [
        pytest.param('import mmaction.models', id='drn'),
        pytest.param(
            'import sys; sys.meta_path.insert(0, type("Hide", (), {"find_spec": staticmethod('
            'lambda name, *a: exec("raise ModuleNotFoundError(name)") '
            'if name == "importlib_metadata" else None)})); '
            'IMPORT; import mmaction.utils',
            id='importlib_metadata',
        ),
        pytest.param(
            'import torch; from mmengine.logging import HistoryBuffer; import numpy as np; '
            'x = dict(h=HistoryBuffer([1.0], [1]), x=np.float64(1), n=np.arange(2)); '
            'torch.save(x, "PATH"); '
            'torch.load("PATH")',
            id='weights_only',
        ),
        pytest.param(
            'import os; os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", '
            'MASTER_ADDR="127.0.0.1", MASTER_PORT="29613"); '
            'from mmengine.dist import init_dist; init_dist("pytorch")',
            id='init_dist',
        ),
        pytest.param(
            'IMPORT; from mmengine.optim import AmpOptimWrapper; import torch; LAYERS; '
            'm = torch.nn.Linear(2, 2); '
            'w = AmpOptimWrapper(optimizer=torch.optim.SGD(m.parameters(), 0.1)); '
            'c = w.optim_context(m); c.__enter__(); y = m(torch.ones(1, 2)); '
            'assert y.dtype == torch.bfloat16; w.update_params(y.float().sum())',
            id='amp',
        ),
        pytest.param(
            'from mmaction.datasets.transforms import ColorJitter; TRANSFORMS; import numpy as np; '
            'red = np.full((2, 2, 3), (200, 10, 10), np.uint8); '
            'moved = ColorJitter.adjust_hue(red, -0.1)[0, 0]; '
            'assert moved[0] > moved[2] > moved[1], moved',  # 25 steps down from red: to magenta
            id='hue',
        ),
    ],
)
def test_gap_and_cure(gap, run, tmp_path):
    if torch.cuda.is_available() and ('init_dist' in gap or 'Amp' in gap):
        pytest.skip('this gap is of machines without CUDA')
    gap = gap.replace('PATH', str(tmp_path / 'x.pth'))
    shown = python(
        run, PLAIN + gap.replace('IMPORT; ', '').replace('LAYERS; ', '').replace('TRANSFORMS; ', '')
    )
    if shown.returncode == 0:
        pytest.skip('this stack does not have the gap')
    gap = gap.replace('LAYERS', 'import mmaction_emim.models')
    gap = gap.replace('TRANSFORMS', 'import mmaction_emim.datasets.transforms')
    cured = gap.replace('IMPORT', 'import mmaction_emim') if 'IMPORT' in gap else None
    done = python(run, PLAIN + cured if cured else CURED + gap)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('what', ['os.system', 'builtins.getattr', 'builtins.eval'])
def test_checkpoints_stay_data(what, tmp_path):
    class Evil:
        def __reduce__(self):
            import os

            return {
                'os.system': (os.system, ('true',)),
                'builtins.getattr': (getattr, (dict, 'update')),
                'builtins.eval': (eval, ('1',)),
            }[what]

    torch.save(dict(x=Evil()), tmp_path / 'evil.pth')
    with pytest.raises((pickle.UnpicklingError, ValueError)):
        torch.load(tmp_path / 'evil.pth', weights_only=True)


def test_drn_says_why_it_cannot_be_built():
    from mmaction.registry import MODELS

    with pytest.raises(ImportError, match='issue 2714'):
        MODELS.build(dict(type='mmaction.DRN'))


def test_float16_is_refused_on_a_cpu():
    from mmengine.optim import AmpOptimWrapper

    import mmaction_emim.models  # noqa: F401

    if torch.cuda.is_available():
        pytest.skip('CUDA has float16')
    with pytest.raises(ValueError, match='bfloat16'):
        AmpOptimWrapper(dtype='float16', optimizer=torch.optim.SGD([torch.zeros(1)], 0.1))


def test_head_takes_bfloat16_scores():
    from mmaction.registry import MODELS
    from mmaction.structures import ActionDataSample

    head = MODELS.build(dict(type='mmaction.I3DHead', num_classes=6, in_channels=4))
    samples = [ActionDataSample().set_gt_label(0)] * 2
    assert head.loss_by_feat(torch.zeros(2, 6).bfloat16(), samples)['loss_cls'] > 0


def test_tsm_optimizer_holds_every_parameter():
    from mmaction.engine.optimizers import TSMOptimWrapperConstructor

    from mmaction_emim.models.motion import EMIMAttention

    net = nn.Sequential(nn.Conv2d(3, 8, 1), EMIMAttention(8, 1), nn.LayerNorm(8), nn.Linear(8, 2))
    cfg = {'optimizer': {'type': 'SGD', 'lr': 0.1, 'weight_decay': 0.01}}
    build = TSMOptimWrapperConstructor(cfg, {'fc_lr5': True})
    with pytest.raises(ValueError, match='LayerNorm'):
        TSMOptimWrapperConstructor.add_params.__wrapped__(build, [], net)
    groups = build(net).optimizer.param_groups
    held = {id(p): group for group in groups for p in group['params']}
    assert set(held) == {id(p) for p in net.parameters()}
    assert sum(len(group['params']) for group in groups) == len(held)
    for p in (net[1].rpb, net[2].weight):
        assert (held[id(p)]['lr'], held[id(p)]['weight_decay']) == (0.1, 0)


def test_apply_twice_changes_nothing():
    from mmengine.dist import dist, utils

    from mmaction_emim import compat

    before = (utils._init_dist_pytorch, dist.collect_results_cpu, sys.modules.copy())
    compat.apply()
    compat.register_lazily()
    assert (utils._init_dist_pytorch, dist.collect_results_cpu) == before[:2]
