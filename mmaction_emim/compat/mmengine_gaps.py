"""Gaps of MMEngine 0.10.7."""

import atexit
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

import torch
from torch import nn

from mmaction_emim.utils.checkpoint_damage import check_whole, no_checkpoint
from mmaction_emim.utils.finite import check_finite

from .cure import after, on_cpu, replace


@after('mmengine.logging.history_buffer')
def allow_mmengine_checkpoints(history_buffer: ModuleType) -> None:
    """``torch.load`` refuses MMEngine's checkpoints since torch 2.6 (mmengine issue 1655).

    They hold MMEngine's log history and numpy scalars; those of MAE and its kin hold their command
    line, an ``argparse.Namespace``. Cure: name exactly these as safe, so that loading stays
    ``weights_only=True``. ``getattr`` is allowed for HistoryBuffer's methods only.
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
        importlib.import_module('argparse').Namespace,  # the package parses no arguments
        np.ndarray,
        np.dtype,
        (history_buffer_attribute, 'builtins.getattr'),
        *(type(np.dtype(kind)) for kind in 'bBhHiIlLqQefdg?'),
    ]
    for name in ('multiarray._reconstruct', 'multiarray.scalar'):
        function = getattr(core.multiarray, name.split('.')[1])
        globals_ += [(function, f'numpy._core.{name}'), (function, f'numpy.core.{name}')]
    torch.serialization.add_safe_globals(globals_)


@after('mmengine.runner.checkpoint')
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

    replace(checkpoint, '_load_checkpoint', without_config)


@after('mmengine.runner.checkpoint')
def look_at_the_checksums_of_checkpoints(checkpoint: ModuleType) -> None:
    """``torch.load`` looks at no checksum: a flipped bit is loaded. Its errors name no file.

    (No upstream issue found.) Cure: the archive's checksums are looked at before a local file is
    loaded, and after a download, which torch keeps; an error names the file.
    """

    def whole(original: Callable) -> Callable:
        def load_from_local(filename: str, map_location: Any) -> Any:
            path = Path(filename).expanduser()
            check_whole(path)
            try:
                return original(filename, map_location)
            except (FileNotFoundError, IsADirectoryError, PermissionError):
                raise
            except Exception as error:  # of any class, as the file is damaged
                raise no_checkpoint(path, error) from error

        return load_from_local

    def downloaded(original: Callable) -> Callable:
        def load_url(url: str, model_dir: str | None = None, *args: Any, **kwargs: Any) -> Any:
            folder = Path(model_dir or Path(torch.hub.get_dir(), 'checkpoints'))
            try:
                return original(url, model_dir, *args, **kwargs)
            finally:
                check_whole(folder / Path(urlparse(url).path).name)

        return load_url

    replace(checkpoint, 'load_from_local', whole)
    checkpoint.CheckpointLoader.register_scheme('', checkpoint.load_from_local, force=True)
    replace(checkpoint, 'load_url', downloaded)


@after('mmengine.dist.utils')
def init_dist_without_cuda(utils: ModuleType) -> None:
    """MMEngine sets a CUDA device, and takes nccl, in every launcher (no upstream issue found).

    Cure: without an accelerator, gloo and no device.
    """

    def on_gloo(original: Callable) -> Callable:
        def init(backend: str, *args: Any, **kwargs: Any) -> None:
            if not on_cpu():
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
        replace(utils, launcher, on_gloo)


def _leave_process_group() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@after('mmengine.dist.dist')
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

    replace(dist, 'collect_results_cpu', gathered)


@after('mmengine.evaluator.evaluator')
def refuse_scores_that_are_not_finite(evaluator: ModuleType) -> None:
    """A network that answers NaN gets the accuracy of chance, in every metric and every dump.

    (No upstream issue found.) Cure: an error that names the clip, before any metric sees it. Clips
    that failed pass: their scores are not the network's.
    """

    def checked(original: Callable) -> Callable:
        def process(self: Any, data_samples: Sequence, *args: Any, **kwargs: Any) -> None:
            for number, sample in enumerate(data_samples):
                if not hasattr(sample, 'get') or sample.get('failed'):  # MMEngine takes any kind
                    continue
                if (score := sample.get('pred_score')) is not None:
                    name = sample.get('video_id') or sample.get('filename')
                    check_finite(score, name or f'clip {number} of a batch')
            original(self, data_samples, *args, **kwargs)

        return process

    replace(evaluator.Evaluator, 'process', checked)


@after('mmengine.hooks.early_stopping_hook')
def count_the_patience_of_before_a_resume(module: ModuleType) -> None:
    """``EarlyStoppingHook`` knows nothing of the validations before ``--resume``, nor of its stop.

    (No upstream issue found.) Cure: it counts the scores that the checkpoint's log holds.
    """

    def counting(original: Callable) -> Callable:
        def before_train(self: Any, runner: Any) -> None:
            original(self, runner)
            scores = runner.message_hub.log_scalars.get(f'val/{self.monitor}')
            for score in scores.data[0] if scores else ():
                stop, message = self._check_stop_condition(float(score))
                if stop:
                    runner.train_loop.stop_training = True
                    runner.logger.info(f'before the resume: {message}')

        return before_train

    replace(module.EarlyStoppingHook, 'before_train', counting)


@after('mmengine.model.wrappers.distributed')
def wrap_ddp_without_cuda(distributed: ModuleType) -> None:
    """MMEngine gives DDP ``device_ids``, which a model on a CPU may not have (same gap)."""

    def without_device_ids(original: Callable) -> Callable:
        def init(self: Any, module: nn.Module, *args: Any, **kwargs: Any) -> None:
            if on_cpu():
                kwargs['device_ids'] = None
            original(self, module, *args, **kwargs)

        return init

    replace(distributed.MMDistributedDataParallel, '__init__', without_device_ids)


@after('mmengine.optim.optimizer.amp_optimizer_wrapper')
def amp_without_cuda(amp: ModuleType) -> None:
    """``AmpOptimWrapper`` (``--amp``) asserts a GPU (mmpretrain issue 1556).

    Cure: on a CPU it autocasts to bfloat16, which needs no loss scaling.
    """

    def in_bfloat16(self: Any, loss_scale: Any = None, dtype: Any = None, **kwargs: Any) -> None:
        if dtype not in (None, 'bfloat16', torch.bfloat16):
            raise ValueError(f'AmpOptimWrapper: on a CPU dtype must be bfloat16, got {dtype!r}')
        amp.OptimWrapper.__init__(self, **kwargs)
        self._scale_update_param = None
        self.cast_dtype = torch.bfloat16
        self.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)

    def on_any_device(original: Callable) -> Callable:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            (in_bfloat16 if on_cpu() else original)(self, *args, **kwargs)

        return init

    replace(amp.AmpOptimWrapper, '__init__', on_any_device)


@after('mmengine.runner.runner')
def scale_rates_by_the_whole_batch(runner: ModuleType) -> None:
    """``--auto-scale-lr`` ignores ``accumulative_counts`` (no upstream issue found).

    Cure: the batch that is compared with ``base_batch_size`` is that of an optimizer step: clips of
    a process x processes x accumulative_counts.
    """

    def by_step(original: Callable) -> Callable:
        def scale_lr(self: Any, optim_wrapper: Any, auto_scale_lr: dict | None = None) -> None:
            parts = getattr(optim_wrapper, 'optim_wrappers', {'': optim_wrapper})
            for part in parts.values():
                original(self, part, _of_one_iteration(auto_scale_lr, part, self.logger))

        return scale_lr

    replace(runner.Runner, 'scale_lr', by_step)


@after('mmengine._strategy.base')
def scale_rates_of_strategies_too(base: ModuleType) -> None:
    """The same gap in the strategies of MMEngine's ``FlexibleRunner``, and the same cure."""

    def by_step(original: Callable) -> Callable:
        def scale_lr(self: Any) -> None:
            given = self._auto_scale_lr
            self._auto_scale_lr = _of_one_iteration(given, self.optim_wrapper, self.logger)
            original(self)
            self._auto_scale_lr = given

        return scale_lr

    replace(base.BaseStrategy, '_scale_lr', by_step)


def _of_one_iteration(auto_scale_lr: dict | None, optim_wrapper: Any, logger: Any) -> dict | None:
    """The base batch of one iteration, of which several make a step."""
    counts = getattr(optim_wrapper, '_accumulative_counts', 1)
    if counts == 1 or not auto_scale_lr or not auto_scale_lr.get('enable'):
        return auto_scale_lr
    base = auto_scale_lr['base_batch_size']
    logger.info(
        f'auto_scale_lr: base_batch_size={base} is a step of accumulative_counts={counts} '
        f'iterations, {base / counts:g} clips each'
    )
    return {**auto_scale_lr, 'base_batch_size': base / counts}


@after('mmengine.utils.dl_utils.collect_env')
def survive_a_torchvision_that_does_not_fit(module: ModuleType) -> None:
    """One made for another torch raises RuntimeError, which ends every Runner at its start.

    ``collect_env`` catches that it is missing only (no upstream issue found). Cure: the log says
    what is wrong with it.
    """

    def without_it(original: Callable) -> Callable:
        def collect_env() -> dict:
            try:
                import torchvision  # noqa: F401
            except ModuleNotFoundError:
                return original()
            except Exception as error:
                sys.modules['torchvision'] = None  # missing, for as long as it is looked for
                try:
                    env = original()
                finally:
                    del sys.modules['torchvision']
                return {**env, 'TorchVision': f'cannot be imported: {error}'}
            return original()

        return collect_env

    replace(module, 'collect_env', without_it)


@after('mmengine.runner.checkpoint')
def torchvision_weights_without_torchvision(checkpoint: ModuleType) -> None:
    """``torchvision://`` weights ask for torchvision, whose table MMEngine ships itself.

    (No upstream issue found.) Cure: that table, of torchvision 0.12's names, serves where
    torchvision cannot be imported.
    """
    import mmengine

    class Addresses(dict):
        def __missing__(self, name: str) -> str:
            raise ValueError(
                f'torchvision://{name}: torchvision 0.12 has no such weights, and later names need '
                f'the package torchvision; without it there are {", ".join(self)}'
            )

    def shipped(original: Callable) -> Callable:
        def get_torchvision_models() -> dict:
            try:
                return original()
            except Exception:  # as many kinds as there are wrong builds
                path = Path(mmengine.__file__).parent / 'hub' / 'torchvision_0.12.json'
                return Addresses(mmengine.load(path))

        return get_torchvision_models

    replace(checkpoint, 'get_torchvision_models', shipped)


@after('mmengine.config.utils')
def standard_library_of_virtual_environments(utils: ModuleType) -> None:
    """``read_base()`` configs cannot use the standard library: a ``RuntimeError`` without a word.

    MMEngine looks for it beside the interpreter: not so in virtual environments, nor for what
    Python 3.11 freezes (no upstream issue found). Cure: Python's own list.
    """

    def listed(original: Callable) -> Callable:
        def is_builtin_module(module_name: str) -> bool:
            return module_name.split('.')[0] in sys.stdlib_module_names or original(module_name)

        return is_builtin_module

    replace(utils, '_is_builtin_module', listed)
