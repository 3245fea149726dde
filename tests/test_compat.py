"""Each gap of the released wheels, shown, and its cure, whichever of ours and upstream is first."""

import argparse
import json
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from .compat_programs import gaps
from .datasets.numbered_clips import write

PROGRAM = Path(gaps.__file__).with_name('step_into_gaps.py')
WITHOUT_CUDA = {'init_dist', 'device_ids', 'amp'}


@pytest.fixture(scope='module')
def ended(tmp_path_factory):
    """What each gap ended with, of one process for each order of imports."""
    done = {}
    for order in ('never', 'before', 'after'):
        command = [sys.executable, str(PROGRAM), order]
        folder = tmp_path_factory.mktemp(order)
        process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
        # Some releases of torch print a line for each process group.
        done[order] = json.loads(process.stdout.splitlines()[-1]), process.stderr
    return done


@pytest.mark.parametrize('order', ['before', 'after'])
@pytest.mark.parametrize('gap', gaps.GAPS)
def test_gap_and_cure(gap, order, ended):
    if ended['never'][0][gap] is None:
        pytest.skip('this machine or stack does not have the gap')
    assert ended[order][0][gap] is None, ended[order][1]


def test_gaps_are_there(ended):
    """The tests above skip where a gap is closed upstream; with the pinned versions none is."""
    there = {name for name, error in ended['never'][0].items() if error}
    assert there >= gaps.GAPS.keys() - (WITHOUT_CUDA if torch.cuda.is_available() else set())


def test_import_is_silent_and_loads_nothing_of_upstream(run):
    code = 'import sys, mmaction_emim; print({"mmaction", "mmengine", "mmcv"} & {*sys.modules})'
    done = run('-c', code)
    assert (done.stdout.strip(), done.stderr) == ('set()', '')


def test_importing_upstream_warns_of_nothing_that_no_user_can_change(run):
    done = run('-c', 'import mmaction_emim, mmaction.apis, mmaction.models')
    assert (done.returncode, done.stderr) == (0, '')


def test_custom_imports_register_after_the_registry_was_used(run, tmp_path):
    """As in a program that builds other models before it reads a config that names ours."""
    config = tmp_path / 'config.py'
    config.write_text(
        "custom_imports = dict(imports=['mmaction_emim'])\nmodel = dict(type='EMIMNeck')"
    )
    code = (
        'import sys\n'
        'from mmaction.registry import MODELS\n'
        'from mmengine.config import Config\n'
        'sys.path.insert(0, "tests/compat_programs")\n'
        'import gaps; gaps.add_drn()\n'
        'assert "EMIMNeck" not in MODELS and MODELS.get("SGD") is None\n'
        f'name = Config.fromfile({str(config)!r}).model.type\n'
        'assert MODELS.get(name).__name__ == "EMIMNeck"'
    )
    done = run('-c', code)
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


def test_a_command_line_is_data(tmp_path):
    saved = dict(model={}, args=argparse.Namespace(lr=0.1, blocks=[1, 2]))
    torch.save(saved, tmp_path / 'mae.pth')
    assert torch.load(tmp_path / 'mae.pth', weights_only=True) == saved


def test_upstream_reads_videos_without_decord_and_says_so_once(run, tmp_path):
    write(tmp_path / 'a.mp4')
    done = run(
        '-c',
        'import sys, mmaction_emim\n'
        'sys.modules["decord"] = None  # as where it is not installed\n'
        'from mmaction.datasets.transforms import DecordInit, MMDecode\n'
        'MMDecode(), DecordInit()\n'
        f'results = DecordInit(num_threads=2)(dict(filename={str(tmp_path / "a.mp4")!r}))\n'
        'print(results["total_frames"], results["avg_fps"])\n',
    )
    said, printed = done.stdout.splitlines()
    assert 'DecordInit reads clips as CheckedVideoInit does' in said, done.stderr
    assert printed == '40 25.0'


def test_drn_says_why_it_cannot_be_built():
    from mmaction.registry import MODELS

    with pytest.raises(ImportError, match='issue 2714'):
        MODELS.build(dict(type='mmaction.DRN'))


@pytest.mark.skipif(find_spec('torchvision') is not None, reason='torchvision tells these names')
def test_names_of_weights_that_torchvision_alone_knows():
    from mmengine.runner.checkpoint import get_torchvision_models

    with pytest.raises(
        ValueError, match=r'torchvision://resnet50.imagenet1k_v2.*need .* torchvision'
    ):
        get_torchvision_models()['resnet50.imagenet1k_v2']


def test_imgaug_is_refused_in_words():
    from mmaction.datasets.transforms import ImgAug

    with pytest.raises(ImportError, match='ImgAug: imgaug does not work with numpy 2'):
        ImgAug('default')


@pytest.mark.skipif(torch.cuda.is_available(), reason='CUDA has float16')
def test_float16_is_refused_on_a_cpu():
    from mmengine.optim import AmpOptimWrapper

    with pytest.raises(ValueError, match='bfloat16'):
        AmpOptimWrapper(dtype='float16', optimizer=torch.optim.SGD([torch.zeros(1)], 0.1))


def test_tsm_optimizer_holds_every_parameter():
    from mmaction.engine.optimizers import TSMOptimWrapperConstructor

    from mmaction_emim.models.motion import EMIMAttention

    net = nn.Sequential(nn.Conv2d(3, 8, 1), EMIMAttention(8, 1), nn.LayerNorm(8), nn.Linear(8, 2))
    cfg = {'optimizer': {'type': 'SGD', 'lr': 0.1, 'weight_decay': 0.01}}
    build = TSMOptimWrapperConstructor(cfg, {'fc_lr5': True})
    groups = build(net).optimizer.param_groups
    held = {id(p): group for group in groups for p in group['params']}
    assert set(held) == {id(p) for p in net.parameters()}
    assert sum(len(group['params']) for group in groups) == len(held)
    for p in (net[1].rpb, net[2].weight):
        assert (held[id(p)]['lr'], held[id(p)]['weight_decay']) == (0.1, 0)


def test_our_components_are_found_by_name():
    from mmaction.registry import MODELS, TRANSFORMS
    from mmengine.registry import STRATEGIES

    for registry, name in (
        (MODELS, 'EMIMNeck'),
        (TRANSFORMS, 'SampleSpan'),
        (STRATEGIES, 'ResumableFSDPStrategy'),
    ):
        assert registry.get(name).__module__.startswith('mmaction_emim.')


def test_apply_twice_changes_nothing():
    from mmaction.registry import MODELS
    from mmengine.dist import dist, utils

    from mmaction_emim import compat

    def state():
        patched = utils._init_dist_pytorch, dist.collect_results_cpu
        return *patched, [*sys.meta_path], [*MODELS._locations]

    before = state()
    compat.apply()
    assert state() == before
