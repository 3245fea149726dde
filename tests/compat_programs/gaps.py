"""The gaps of upstream's wheels: a function steps into each. ``step_into_gaps.py`` runs them."""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import NoReturn

GAPS: dict[str, Callable[[], None]] = {}


def gap(function: Callable[[], None]) -> Callable[[], None]:
    GAPS[function.__name__] = function
    return function


@gap
def importlib_metadata() -> None:
    import mmaction.utils.dependency  # noqa: F401


@gap
def drn() -> None:
    import mmaction.models  # noqa: F401


@gap
def weights_only() -> None:
    import numpy as np
    import torch
    from mmengine.logging import HistoryBuffer

    saved = dict(history=HistoryBuffer([1.0], [1]), scalar=np.float64(1), array=np.arange(2))
    torch.save(saved, 'checkpoint.pth')
    torch.load('checkpoint.pth', weights_only=True)


@gap
def init_dist() -> None:
    import torch.distributed
    from mmengine.dist import init_dist

    os.environ.update(RANK='0', LOCAL_RANK='0', WORLD_SIZE='1')
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT='0')  # any that is free
    init_dist('pytorch')
    torch.distributed.destroy_process_group()


@gap
def device_ids() -> None:
    import torch
    from mmengine.model import MMDistributedDataParallel

    torch.distributed.init_process_group('gloo', f'file://{os.getcwd()}/ddp', None, 1, 0)
    try:
        MMDistributedDataParallel(torch.nn.Linear(2, 2), device_ids=[0])
    finally:
        torch.distributed.destroy_process_group()


@gap
def collect_results() -> None:
    """Two processes, one a fork, and each has half of the results."""
    import torch.distributed
    from mmengine.dist import collect_results_cpu

    def collect(rank: int) -> list | None:
        torch.distributed.init_process_group('gloo', f'file://{os.getcwd()}/collect', None, 2, rank)
        return collect_results_cpu([rank], 2)

    if not (child := os.fork()):
        collect(1)
        os._exit(0)
    assert collect(0) == [0, 1]
    os.waitpid(child, 0)
    torch.distributed.destroy_process_group()
    assert not Path('.dist_test').exists(), 'a folder is left behind'


@gap
def amp() -> None:
    import torch
    from mmengine.optim import AmpOptimWrapper

    layer = torch.nn.Linear(2, 2)
    wrapper = AmpOptimWrapper(optimizer=torch.optim.SGD(layer.parameters(), 0.1))
    with wrapper.optim_context(layer):
        y = layer(torch.ones(1, 2))
    assert y.dtype == torch.bfloat16
    wrapper.update_params(y.float().sum())


@gap
def bfloat16_scores() -> None:
    import torch
    from mmaction.models.heads import I3DHead
    from mmaction.structures import ActionDataSample

    head = I3DHead(num_classes=6, in_channels=4)
    samples = [ActionDataSample().set_gt_label(0)] * 2
    assert head.loss_by_feat(torch.zeros(2, 6).bfloat16(), samples)['loss_cls'] > 0


@gap
def tsm_optimizer() -> None:
    import torch
    from mmaction.engine.optimizers import TSMOptimWrapperConstructor

    build = TSMOptimWrapperConstructor({'optimizer': {'type': 'SGD', 'lr': 0.1}}, {'fc_lr5': True})
    conv, norm, linear = torch.nn.Conv2d(3, 8, 1), torch.nn.LayerNorm(8), torch.nn.Linear(8, 2)
    build(torch.nn.Sequential(conv, norm, linear))


@gap
def hue() -> None:
    import numpy as np
    from mmaction.datasets.transforms import ColorJitter

    red = np.full((2, 2, 3), (200, 10, 10), np.uint8)
    moved = ColorJitter.adjust_hue(red, -0.1)[0, 0]  # 25 steps down from red: to magenta
    assert moved[0] > moved[2] > moved[1], moved


@gap
def frames_that_were_asked_for() -> None:
    """In this order: PyAV is to be imported before decord."""
    sys.path.append(str(Path(__file__).parents[1] / 'datasets'))
    from numbered_clips import shown, write  # isort: skip
    import numpy as np
    from mmaction.datasets.transforms import DecordDecode, DecordInit

    write('clip.mp4', 'mpeg4', bf='2')
    wanted = [7, 12, 17, 33, 2]
    for name, mode in (('clip.mp4', 'accurate'), ('clip.mp4', 'efficient'), ('clip', 'accurate')):
        results = DecordInit()(dict(filename=name))
        results['frame_inds'] = np.array(wanted)
        numbers = [shown(img) for img in DecordDecode(mode)(results)['imgs']]
        assert numbers == wanted, numbers


@gap
def unknown_options() -> None:
    from mmaction.datasets.transforms import DenseSampleFrames, SampleFrames
    from mmaction.models import VisionTransformer

    for kind, options in (
        (SampleFrames, dict(clip_len=4)),
        (DenseSampleFrames, dict(clip_len=4, num_sample_positions=2)),
        (VisionTransformer, dict(depth=1, embed_dims=12, num_heads=1, img_size=32)),
    ):
        kind(**options)
        with suppress(TypeError):
            kind(**options, frame_intervall=4)
            raise ValueError(f'{kind.__name__} takes what it ignores')


@gap
def torchvision_for_another_torch() -> None:
    from mmengine.utils.dl_utils import collect_env

    assert 'GCC' in collect_env()


@gap
def torchvision_addresses() -> None:
    from mmengine.runner.checkpoint import get_torchvision_models

    assert get_torchvision_models()['resnet50'].startswith('https://')


@gap
def config_of_a_checkpoint() -> None:
    import torch
    from mmengine.runner.checkpoint import CheckpointLoader, _load_checkpoint

    torch.save(dict(meta=dict(config='import os', epoch=1), state_dict={}), 'foreign.pth')
    assert 'config' in CheckpointLoader.load_checkpoint('foreign.pth')['meta']
    assert _load_checkpoint('foreign.pth')['meta'] == dict(epoch=1), 'resuming runs the config'


@gap
def flipped_bits() -> None:
    from mmengine.runner.checkpoint import CheckpointLoader, load_url

    data = bytearray(_saved('flipped.pth'))
    data[data.index(b'@@@@@@@@')] ^= 1
    Path('flipped.pth').write_bytes(data)
    for load in (
        lambda: CheckpointLoader.load_checkpoint('flipped.pth', 'cpu'),
        lambda: load_url(Path('flipped.pth').absolute().as_uri(), 'downloads', progress=False),
    ):
        with suppress(ValueError):
            load()
            raise AssertionError('a flipped bit is loaded')


@gap
def damage_without_a_name() -> None:
    from mmengine.runner.checkpoint import CheckpointLoader

    whole = _saved('best.pth')
    for length in (0, 3, len(whole) // 2):
        Path('best.pth').write_bytes(whole[:length])
        try:
            CheckpointLoader.load_checkpoint('best.pth')
        except Exception as error:
            assert 'best.pth' in str(error), error


def _saved(path: str) -> bytes:
    import torch

    torch.save(dict(x=torch.full((1000,), 3.0039215087890625)), path)  # its bytes: @@@@
    return Path(path).read_bytes()


@gap
def read_base() -> None:
    from mmengine.config import Config

    Path('base.py').write_text('length = 8\n')
    Path('config.py').write_text(
        'import os.path\n'
        'from pathlib import Path\n'
        'from mmengine.config import read_base\n'
        'with read_base():\n'
        '    from .base import *\n'
        "root = os.path.join('data', str(Path('clips')))\n"
    )
    cfg = Config.fromfile('config.py')
    assert (cfg.root, cfg.length) == (os.path.join('data', 'clips'), 8)


@gap
def imgaug() -> None:
    import numpy as np
    from mmaction.datasets.transforms import ImgAug

    with suppress(ImportError):
        ImgAug('default')
    assert np.bool is np.bool_, 'np.bool is changed for the whole process'


@gap
def top_k_of_all_classes() -> None:
    from mmaction.models.heads import I3DHead

    assert I3DHead(num_classes=2, in_channels=4).topk == (1,)
    assert I3DHead(num_classes=6, in_channels=4, topk=(1, 2, 6)).topk == (1, 2)


@gap
def scores_that_are_not_finite() -> None:
    import torch
    from mmengine.evaluator import BaseMetric, Evaluator

    class Seen(BaseMetric):
        def process(self, data_batch: object, data_samples: list[dict]) -> None:
            self.results += data_samples

        def compute_metrics(self, results: list) -> dict:
            return {}

    nan, evaluator = torch.tensor([torch.nan, 0.0]), Evaluator(Seen())
    evaluator.process([dict(pred_score=nan, failed=True), dict(pred_label=0), nan])
    with suppress(FloatingPointError):
        evaluator.process([dict(pred_score=nan)])
        raise AssertionError('NaN is taken for a score')


@gap
def hooks_on_the_screen() -> None:
    from mmengine.logging import MMLogger

    lists = 'Hooks will be executed in the following order:'
    with redirect_stdout(StringIO()) as screen:
        logger = MMLogger.get_instance('screen', log_file='screen.log')
        for line in (lists, 'loss', '"FileClient" will be deprecated in future.'):
            logger.info(line)
    assert 'loss' in screen.getvalue() and lists not in screen.getvalue()
    log = Path('screen.log').read_text()
    assert lists in log and 'FileClient' not in log


def scaled(runner_class: type) -> None:
    """20 clips a step, 4 x 5 of one process, where the rate 1 is meant for 10."""
    import torch
    from mmengine.model import BaseModel
    from torch.utils.data import DataLoader

    class Net(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, inputs: torch.Tensor, mode: str = 'loss') -> None:
            pass

    runner = runner_class(
        model=Net(),
        work_dir='work',
        train_dataloader=DataLoader([dict(inputs=torch.ones(1))], batch_size=5),
        train_cfg=dict(by_epoch=True, max_epochs=0),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.0), accumulative_counts=4),
        auto_scale_lr=dict(enable=True, base_batch_size=10),
        log_level='ERROR',
        default_scope='mmaction',
        experiment_name=runner_class.__name__,
    )
    runner.train()
    rate = runner.optim_wrapper.param_groups[0]['lr']
    assert rate == 2, f'{rate} where 2 is right'


@gap
def auto_scale_lr() -> None:
    from mmengine.runner import Runner

    scaled(Runner)


@gap
def auto_scale_lr_of_strategies() -> None:
    from mmengine.runner import FlexibleRunner

    scaled(FlexibleRunner)


@gap
def orphaned_workers() -> None:
    from torch.utils import data

    data._utils.MP_STATUS_CHECK_INTERVAL = 0.1  # seconds, not 5
    reading, writing = os.pipe()
    if not (maker := os.fork()):
        _read_until_killed(data.DataLoader, writing)
    os.close(writing)
    worker = int(os.read(reading, 20))
    os.kill(maker, signal.SIGKILL)
    os.waitpid(maker, 0)
    # Until it ends; without ours it never does.
    seconds = 300 if 'mmaction_emim' in sys.modules else 3
    ended = select.select([reading], [], [], seconds)[0]  # then nobody can write
    with suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)
    assert ended, 'the worker goes on'


def _read_until_killed(DataLoader: type, writing: int) -> NoReturn:
    maker = os.getpid()

    def start(_: int) -> None:
        os.write(writing, str(os.getpid()).encode())
        while os.getppid() == maker:
            time.sleep(0.01)

    try:
        next(iter(DataLoader(range(2), num_workers=1, worker_init_fn=start)))
    finally:
        os._exit(1)


def add_drn() -> None:
    """The localizer as MMAction2's repository has it, so that the other gaps can be reached."""
    from mmaction.utils import dependency

    dependency.WITH_MULTIMODAL = False  # as without transformers; vindlu.py is of what is with it
    for name in ('mmaction.models.localizers.drn', 'mmaction.models.localizers.drn.drn'):
        sys.modules.setdefault(name, ModuleType(name)).DRN = object
