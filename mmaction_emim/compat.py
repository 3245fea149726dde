"""Closes the gaps of the released upstream wheels, each in one function, for today's stack.

Every function looks for its gap and does nothing where there is none. This is the only module that
touches private names of MMEngine and MMAction2.
"""

import atexit
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from types import ModuleType
from typing import Any

import torch
from torch import nn

_LOCATIONS = {
    'MODELS': 'mmaction_emim.models',
    'DATASETS': 'mmaction_emim.datasets',
    'TRANSFORMS': 'mmaction_emim.datasets.transforms',
    'HOOKS': 'mmaction_emim.engine',
    'OPTIM_WRAPPER_CONSTRUCTORS': 'mmaction_emim.engine',
    'METRICS': 'mmaction_emim.evaluation',
    'STRATEGIES': 'mmaction_emim.engine',
}


def apply() -> None:
    """Close the gaps that must be closed before MMAction2's or MMEngine's parts are imported."""
    provide_importlib_metadata()
    provide_drn()
    allow_mmengine_checkpoints()
    init_dist_without_cuda()
    collect_through_process_group()


def apply_to_models() -> None:
    """Close the gaps inside models and optimizers; called when ``mmaction_emim.models`` loads."""
    wrap_ddp_without_cuda()
    amp_without_cuda()
    float_scores()
    tsm_optimizer_of_any_module()


def apply_to_transforms() -> None:
    """Close the gap inside transforms; called when ``mmaction_emim.datasets.transforms`` loads."""
    negative_hue_shift()


def register_lazily() -> None:
    """Have MMAction2's registries import our modules when they first look something up.

    So ``import mmaction_emim`` costs no more than ``import mmaction``, which loads no model.
    """
    from mmaction import registry
    from mmengine.registry import STRATEGIES

    for name, location in _LOCATIONS.items():
        where = getattr(registry, name, STRATEGIES)  # MMAction2 has none of its own
        if location not in where._locations:
            where._locations = [*where._locations, location]
            if where._imported:
                importlib.import_module(location)


def provide_importlib_metadata() -> None:
    """mmaction2 imports ``importlib_metadata`` and does not declare it (no upstream issue found).

    Cure: the standard library's twin under that name.
    """
    if importlib.util.find_spec('importlib_metadata') is None:
        from importlib import metadata

        sys.modules['importlib_metadata'] = metadata


def provide_drn() -> None:
    """mmaction2 1.2.0 lacks ``localizers/drn``: no model imports (mmaction2 issue 2714).

    Cure: a stand-in whose ``DRN`` says so when it is built.
    """
    root = importlib.util.find_spec('mmaction').submodule_search_locations
    name = 'mmaction.models.localizers.drn'
    if name in sys.modules or importlib.machinery.PathFinder.find_spec(
        name, [f'{path}/models/localizers' for path in root]
    ):
        return

    class DRN:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise ImportError(
                'DRN: the released mmaction2 1.2.0 does not contain this localizer '
                '(mmaction2 issue 2714); install MMAction2 from its repository to use it'
            )

    from mmaction.registry import MODELS

    MODELS.register_module(module=DRN)
    package, module = ModuleType(name), ModuleType(f'{name}.drn')
    package.__path__ = []
    package.drn, module.DRN = module, DRN
    sys.modules[name], sys.modules[f'{name}.drn'] = package, module


def allow_mmengine_checkpoints() -> None:
    """``torch.load`` refuses MMEngine's checkpoints since torch 2.6 (mmengine issue 1655).

    They hold MMEngine's log history and numpy scalars. Cure: name exactly these as safe, so that
    loading stays ``weights_only=True``. ``getattr`` is allowed for HistoryBuffer's methods only.
    """
    if not hasattr(torch.serialization, 'add_safe_globals'):
        return
    import numpy as np
    from mmengine.logging import HistoryBuffer

    def history_buffer_attribute(owner: Any, name: str) -> Any:
        if owner is not HistoryBuffer or name not in ('mean', 'max', 'min', 'current'):
            raise ValueError(f'checkpoint: getattr({owner!r}, {name!r}) is not allowed')
        return getattr(owner, name)

    core = np._core if hasattr(np, '_core') else np.core
    globals_ = [
        HistoryBuffer,
        np.ndarray,
        np.dtype,
        (history_buffer_attribute, 'builtins.getattr'),
        *(type(np.dtype(kind)) for kind in 'bBhHiIlLqQefdg?'),
    ]
    for name in ('multiarray._reconstruct', 'multiarray.scalar'):
        function = getattr(core.multiarray, name.split('.')[1])
        globals_ += [(function, f'numpy._core.{name}'), (function, f'numpy.core.{name}')]
    torch.serialization.add_safe_globals(globals_)


def _on_cpu() -> bool:
    from mmengine.device import get_device

    return get_device() == 'cpu'


def _replace(owner: Any, name: str, wrapper: Callable) -> None:
    """Put ``wrapper(original)`` in the place of ``owner.name``, once."""
    original = getattr(owner, name)
    if not hasattr(original, '_mmaction_emim'):
        replacement = wraps(original)(wrapper(original))
        replacement._mmaction_emim = True
        setattr(owner, name, replacement)


def init_dist_without_cuda() -> None:
    """MMEngine sets a CUDA device, and takes nccl, in every launcher (no upstream issue found).

    Cure: without an accelerator, gloo and no device.
    """
    if not _on_cpu():
        return
    from mmengine.dist import utils

    def on_gloo(original: Callable) -> Callable:
        def init(backend: str, *args: Any, **kwargs: Any) -> None:
            set_device = torch.cuda.set_device
            torch.cuda.set_device = lambda *_: None
            try:
                original('gloo', *args, **kwargs)
            finally:
                torch.cuda.set_device = set_device
            atexit.register(_leave_process_group)

        return init

    for launcher in ('_init_dist_pytorch', '_init_dist_slurm', '_init_dist_mpi'):
        _replace(utils, launcher, on_gloo)


def wrap_ddp_without_cuda() -> None:
    """MMEngine gives DDP ``device_ids``, which a model on a CPU may not have (same gap)."""
    if not _on_cpu():
        return
    from mmengine.model import MMDistributedDataParallel

    def without_device_ids(original: Callable) -> Callable:
        def init(self: Any, module: nn.Module, *args: Any, **kwargs: Any) -> None:
            kwargs['device_ids'] = None
            original(self, module, *args, **kwargs)

        return init

    _replace(MMDistributedDataParallel, '__init__', without_device_ids)


def _leave_process_group() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def amp_without_cuda() -> None:
    """``AmpOptimWrapper`` (``--amp``) asserts a GPU (mmpretrain issue 1556).

    Cure: on a CPU it autocasts to bfloat16, which needs no loss scaling.
    """
    if not _on_cpu():
        return
    from mmengine.optim import AmpOptimWrapper, OptimWrapper

    def on_cpu(original: Callable) -> Callable:
        def init(self: Any, loss_scale: Any = None, dtype: Any = None, **kwargs: Any) -> None:
            if dtype not in (None, 'bfloat16'):
                raise ValueError(f'AmpOptimWrapper: on a CPU dtype must be bfloat16, got {dtype!r}')
            OptimWrapper.__init__(self, **kwargs)
            self._scale_update_param = None
            self.cast_dtype = torch.bfloat16
            self.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)

        return init

    _replace(AmpOptimWrapper, '__init__', on_cpu)


def float_scores() -> None:
    """``BaseHead.loss_by_feat`` hands bfloat16 scores to numpy (no upstream issue found).

    Cure: float32 scores.
    """
    from mmaction.models.heads import BaseHead

    def in_float32(original: Callable) -> Callable:
        def loss_by_feat(self: Any, cls_scores: Any, *args: Any, **kwargs: Any) -> dict:
            if isinstance(cls_scores, torch.Tensor):
                cls_scores = cls_scores.float()
            return original(self, cls_scores, *args, **kwargs)

        return loss_by_feat

    _replace(BaseHead, 'loss_by_feat', in_float32)


def tsm_optimizer_of_any_module() -> None:
    """``TSMOptimWrapperConstructor`` knows convolutions, linear layers and batch norms only.

    It refuses LayerNorm and leaves out, in silence, what a module with children holds itself (no
    upstream issue found). Cure: these train with the base learning rate and no weight decay.
    """
    from mmaction.engine.optimizers import TSMOptimWrapperConstructor

    known = (nn.modules.conv._ConvNd, nn.Linear, nn.modules.batchnorm._BatchNorm, nn.GroupNorm)

    class Known:
        """The modules of a network that upstream has a rule for, and those without parameters."""

        def __init__(self, model: nn.Module) -> None:
            self.model = model

        def modules(self) -> Iterator[nn.Module]:
            for module in self.model.modules():
                if isinstance(module, known) or not module._parameters:
                    yield module

    def with_the_rest(original: Callable) -> Callable:
        def add_params(self: Any, params: list[dict], model: nn.Module, **kwargs: Any) -> None:
            original(self, params, Known(model), **kwargs)
            taken = {id(p) for group in params for p in group['params']}
            rest = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
            if rest:
                params.append({'params': rest, 'lr': self.base_lr, 'weight_decay': 0})

        return add_params

    _replace(TSMOptimWrapperConstructor, 'add_params', with_the_rest)


def negative_hue_shift() -> None:
    """``ColorJitter`` adds a negative shift to uint8 hues: OverflowError in numpy 2.

    (No upstream issue found.) Cure: the same sum in int16.
    """
    import cv2
    import numpy as np
    from mmaction.datasets.transforms import ColorJitter

    def adjust_hue(img: np.ndarray, factor: float) -> np.ndarray:
        img = np.clip(img, 0, 255).astype(np.uint8)
        hsv = cv2.cvtColor(img, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(factor * 255)) % 180
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.float32)

    try:
        ColorJitter.adjust_hue(np.zeros((1, 1, 3)), -0.1)
    except OverflowError:
        ColorJitter.adjust_hue = staticmethod(adjust_hue)


def collect_through_process_group() -> None:
    """``collect_results_cpu`` leaves ``.dist_test`` in the working folder and needs a shared disk.

    (mmengine issue 557.) Cure: gather through the process group, which several nodes share.
    """
    from mmengine.dist import dist

    def gathered(original: Callable) -> Callable:
        def collect(result_part: list, size: int, tmpdir: str | None = None) -> list | None:
            if tmpdir is None:
                return dist.collect_results_gpu(result_part, size)  # any device, despite its name
            return original(result_part, size, tmpdir)

        return collect

    _replace(dist, 'collect_results_cpu', gathered)


def before_loading(module: nn.Module, hook: Callable) -> None:
    """``register_load_state_dict_pre_hook``, which torch made public after 2.1.

    ``hook(module, state_dict, prefix, …)`` may change ``state_dict`` in place.
    """
    if hasattr(module, 'register_load_state_dict_pre_hook'):
        module.register_load_state_dict_pre_hook(hook)
    else:
        module._register_load_state_dict_pre_hook(hook, with_module=True)
