"""Closes the gaps of the released upstream wheels, each in one function, for today's stack.

A function names the upstream module that it mends and runs when that module is imported, or at once
if it was before ours: the order of imports decides nothing. Each looks for its gap and does nothing
where there is none.

Private names of upstream are imported here only, but for subclasses that say so in their docstring.
"""

import atexit
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import logging
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import wraps
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.nn.modules.conv import _ConvNd as Convolution

from mmaction_emim.utils.import_hook import Action, ImportHook

__all__ = ['BatchNorm', 'Convolution', 'FakeTensorMode', 'apply', 'softmax_backward']

softmax_backward = torch._softmax_backward_data

_BEFORE: dict[str, list[Action]] = defaultdict(list)
_AFTER: dict[str, list[Action]] = defaultdict(list)
_HOOK = ImportHook(_BEFORE, _AFTER)


def _before(module: str) -> Callable[[Action], Action]:
    """Have a function called with this module before its code runs."""
    return _to(_BEFORE[module])


def _after(module: str) -> Callable[[Action], Action]:
    """Have a function called with this module after its code ran."""
    return _to(_AFTER[module])


def _to(actions: list[Action]) -> Callable[[Action], Action]:
    def append(cure: Action) -> Action:
        actions.append(cure)
        return cure

    return append


def apply() -> None:
    """Close the gaps of what is imported, and of the rest when it is."""
    provide_importlib_metadata()
    _HOOK.install()


def register_lazily() -> None:
    """Have the registries import our modules when they first look something up.

    So ``import mmaction_emim`` costs no more than ``import mmaction``, which loads no model.
    """
    from mmaction import registry
    from mmengine.registry import STRATEGIES  # MMAction2 has none of its own

    for registry_, location in (
        (registry.MODELS, 'mmaction_emim.models.registration'),
        (registry.DATASETS, 'mmaction_emim.datasets'),
        (registry.TRANSFORMS, 'mmaction_emim.datasets.transforms'),
        (registry.HOOKS, 'mmaction_emim.engine'),
        (registry.OPTIM_WRAPPER_CONSTRUCTORS, 'mmaction_emim.engine'),
        (registry.METRICS, 'mmaction_emim.evaluation'),
        (STRATEGIES, 'mmaction_emim.engine'),
    ):
        if location not in registry_._locations:
            registry_._locations = [*registry_._locations, location]
            if registry_._imported:
                importlib.import_module(location)


def provide_importlib_metadata() -> None:
    """mmaction2 imports ``importlib_metadata`` and does not declare it (no upstream issue found).

    Cure: the standard library's twin under that name.
    """
    if importlib.util.find_spec('importlib_metadata') is None:
        sys.modules['importlib_metadata'] = importlib.metadata


@_before('mmaction.models.localizers')
def provide_drn(localizers: ModuleType) -> None:
    """mmaction2 1.2.0 lacks ``localizers/drn``: no model imports (mmaction2 issue 2714).

    Cure: a placeholder whose ``DRN`` says so when it is built.
    """
    name = f'{localizers.__name__}.drn'
    if name in sys.modules or importlib.machinery.PathFinder.find_spec(name, localizers.__path__):
        return

    class DRN:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise ImportError(
                'DRN: the released mmaction2 1.2.0 does not contain this localizer '
                '(mmaction2 issue 2714); install MMAction2 from its repository to use it'
            )

    from mmaction.registry import MODELS

    MODELS.register_module(module=DRN, force=True)
    package, module = ModuleType(name), ModuleType(f'{name}.drn')
    package.__path__ = []
    package.drn, module.DRN = module, DRN
    sys.modules[name], sys.modules[f'{name}.drn'] = package, module


@_before('mmaction.models.multimodal')
def leave_out_vindlu(multimodal: ModuleType) -> None:
    """With any ``transformers`` there, mmaction2 imports VindLU, which fits few of its versions.

    No model imports where VindLU does not (no upstream issue found). Cure: the placeholders that
    upstream registers without ``transformers``.
    """
    from mmaction.registry import MODELS, TOKENIZER
    from mmaction.utils import dependency
    from mmengine.logging import print_log

    vindlu = f'{multimodal.__name__}.vindlu'
    if not dependency.WITH_MULTIMODAL:
        return
    try:
        importlib.import_module(vindlu)
    except Exception as error:  # of any of transformers' modules
        dependency.WITH_MULTIMODAL = False
        for registry in (MODELS, TOKENIZER):
            for name, component in list(registry.module_dict.items()):
                if component.__module__.startswith(vindlu):
                    del registry.module_dict[name]
        print_log(
            "MMAction2's VindLU is left out, since it cannot be imported with transformers "
            f'{importlib.metadata.version("transformers")}: {error}',
            logger='current',
            level=logging.WARNING,
        )


@_after('mmengine.logging.history_buffer')
def allow_mmengine_checkpoints(history_buffer: ModuleType) -> None:
    """``torch.load`` refuses MMEngine's checkpoints since torch 2.6 (mmengine issue 1655).

    They hold MMEngine's log history and numpy scalars. Cure: name exactly these as safe, so that
    loading stays ``weights_only=True``. ``getattr`` is allowed for HistoryBuffer's methods only.
    """
    import numpy as np

    HistoryBuffer = history_buffer.HistoryBuffer

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


@_after('mmengine.runner.checkpoint')
def run_no_config_of_a_checkpoint(checkpoint: ModuleType) -> None:
    """``Runner.resume`` runs a checkpoint's ``meta['config']`` as Python (no upstream issue found).

    MMEngine writes ``meta['cfg']`` instead, so only a foreign file has it. Cure: it is left out.
    """

    def without_config(original: Callable) -> Callable:
        def load(*args: Any, **kwargs: Any) -> Any:
            loaded = original(*args, **kwargs)
            if isinstance(loaded, dict) and isinstance(loaded.get('meta'), dict):
                loaded['meta'].pop('config', None)
            return loaded

        return load

    _replace(checkpoint, '_load_checkpoint', without_config)


def _on_cpu() -> bool:
    from mmengine.device import get_device

    return get_device() == 'cpu'


def _replace(owner: type | ModuleType, name: str, wrapper: Callable) -> None:
    """Put ``wrapper(original)`` in the place of ``owner.name``, once.

    Of a module's function, the copies that upstream's other modules imported are replaced too.
    """
    original = getattr(owner, name)
    if hasattr(original, '_mmaction_emim'):
        return
    replacement = wraps(original)(wrapper(original))
    replacement._mmaction_emim = True
    setattr(owner, name, replacement)
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith(('mmengine.', 'mmaction.')) and isinstance(owner, ModuleType):
            if vars(module).get(name) is original:
                setattr(module, name, replacement)


@_after('mmengine.dist.utils')
def init_dist_without_cuda(utils: ModuleType) -> None:
    """MMEngine sets a CUDA device, and takes nccl, in every launcher (no upstream issue found).

    Cure: without an accelerator, gloo and no device.
    """

    def on_gloo(original: Callable) -> Callable:
        def init(backend: str, *args: Any, **kwargs: Any) -> None:
            if not _on_cpu():
                return original(backend, *args, **kwargs)
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


def _leave_process_group() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@_after('mmengine.dist.dist')
def collect_through_process_group(dist: ModuleType) -> None:
    """``collect_results_cpu`` leaves ``.dist_test`` in the working folder and needs a shared disk.

    (mmengine issue 557.) Cure: gather through the process group, which several nodes share.
    """

    def gathered(original: Callable) -> Callable:
        def collect(result_part: list, size: int, tmpdir: str | None = None) -> list | None:
            if tmpdir is None:
                return dist.collect_results_gpu(result_part, size)  # any device, despite its name
            return original(result_part, size, tmpdir)

        return collect

    _replace(dist, 'collect_results_cpu', gathered)


@_after('mmengine.model.wrappers.distributed')
def wrap_ddp_without_cuda(distributed: ModuleType) -> None:
    """MMEngine gives DDP ``device_ids``, which a model on a CPU may not have (same gap)."""

    def without_device_ids(original: Callable) -> Callable:
        def init(self: Any, module: nn.Module, *args: Any, **kwargs: Any) -> None:
            if _on_cpu():
                kwargs['device_ids'] = None
            original(self, module, *args, **kwargs)

        return init

    _replace(distributed.MMDistributedDataParallel, '__init__', without_device_ids)


@_after('mmengine.optim.optimizer.amp_optimizer_wrapper')
def amp_without_cuda(amp: ModuleType) -> None:
    """``AmpOptimWrapper`` (``--amp``) asserts a GPU (mmpretrain issue 1556).

    Cure: on a CPU it autocasts to bfloat16, which needs no loss scaling.
    """

    def on_cpu(self: Any, loss_scale: Any = None, dtype: Any = None, **kwargs: Any) -> None:
        if dtype not in (None, 'bfloat16', torch.bfloat16):
            raise ValueError(f'AmpOptimWrapper: on a CPU dtype must be bfloat16, got {dtype!r}')
        amp.OptimWrapper.__init__(self, **kwargs)
        self._scale_update_param = None
        self.cast_dtype = torch.bfloat16
        self.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)

    def on_any_device(original: Callable) -> Callable:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            (on_cpu if _on_cpu() else original)(self, *args, **kwargs)

        return init

    _replace(amp.AmpOptimWrapper, '__init__', on_any_device)


@_after('mmaction.models.heads.base')
def float_scores(base: ModuleType) -> None:
    """``BaseHead.loss_by_feat`` hands bfloat16 scores to numpy (no upstream issue found).

    Cure: float32 scores.
    """

    def in_float32(original: Callable) -> Callable:
        def loss_by_feat(self: Any, cls_scores: Any, *args: Any, **kwargs: Any) -> dict:
            if isinstance(cls_scores, torch.Tensor):
                cls_scores = cls_scores.float()
            return original(self, cls_scores, *args, **kwargs)

        return loss_by_feat

    _replace(base.BaseHead, 'loss_by_feat', in_float32)


@_after('mmaction.engine.optimizers.tsm_optim_wrapper_constructor')
def tsm_optimizer_of_any_module(tsm: ModuleType) -> None:
    """``TSMOptimWrapperConstructor`` knows convolutions, linear layers and batch norms only.

    It refuses LayerNorm and leaves out, in silence, what a module with children holds itself (no
    upstream issue found). Cure: these train with the base learning rate and no weight decay.
    """
    known = (Convolution, nn.Linear, BatchNorm, nn.GroupNorm)

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

    _replace(tsm.TSMOptimWrapperConstructor, 'add_params', with_the_rest)


@_after('mmaction.datasets.transforms.processing')
def negative_hue_shift(processing: ModuleType) -> None:
    """``ColorJitter`` adds a negative shift to uint8 hues: OverflowError in numpy 2.

    (No upstream issue found.) Cure: the same sum in int16.
    """
    import cv2
    import numpy as np

    def adjust_hue(img: np.ndarray, factor: float) -> np.ndarray:
        img = np.clip(img, 0, 255).astype(np.uint8)
        hsv = cv2.cvtColor(img, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(factor * 255)) % 180
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.float32)

    try:
        processing.ColorJitter.adjust_hue(np.zeros((1, 1, 3)), -0.1)
    except OverflowError:
        processing.ColorJitter.adjust_hue = staticmethod(adjust_hue)
