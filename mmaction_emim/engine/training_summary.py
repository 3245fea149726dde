"""What is trained, how long, and on what: a line each, for the log."""

import torch
from mmengine.device import get_device
from mmengine.dist import get_world_size
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner
from torch.distributed.fsdp import FullyShardedDataParallel

from mmaction_emim.models.weights.fit import network_of

PARTS = ('backbone', 'neck', 'cls_head')  # of a recognizer


def model_line(runner: Runner) -> str:
    """Classes of the network's parts, and how many parameters it has and trains."""
    network = network_of(runner.model)
    parts = [getattr(network, name, None) for name in PARTS]
    names = ', '.join(type(part).__name__ for part in parts if part is not None)
    said = f'model: {names or type(network).__name__}'
    if isinstance(runner.model, FullyShardedDataParallel):
        return said  # a process has a part of each
    sizes = [(p.numel(), p.requires_grad) for p in network.parameters()]
    total, trained = sum(n for n, _ in sizes), sum(n for n, learns in sizes if learns)
    which = 'all trained' if trained == total else f'{trained:,} trained'
    return f'{said}; {total:,} parameters, {which}'


def steps_line(runner: Runner) -> str:
    """Iterations, their clips, epochs, and what a resumed training has behind it."""
    clips, processes = runner.train_dataloader.batch_size or 1, get_world_size()
    said = f'steps: {runner.max_iters:,} of {clips * processes} clips'
    if processes > 1:
        said += f' ({processes} processes of {clips})'
    if runner.max_epochs:
        said += f', {_count(runner.max_epochs, "epoch")} of {len(runner.train_dataloader):,}'
    wrapper = runner.cfg.get('optim_wrapper') or {}
    if (counts := wrapper.get('accumulative_counts', 1)) > 1:
        said += f'; the weights change every {counts}'
    return said + (f'; {runner.iter:,} are done' if runner.iter else '')


def device_line(runner: Runner) -> str:
    """The device and the precision."""
    device = get_device()
    name = f'{_count(torch.get_num_threads(), "thread")} a process'
    if device == 'cuda':
        name = f'{torch.cuda.get_device_name()}, {torch.cuda.mem_get_info()[1] / 2**30:.0f} GiB'
    precision = 'float32'
    if isinstance(runner.optim_wrapper, AmpOptimWrapper):
        precision = f'mixed precision ({runner.optim_wrapper.cast_dtype or torch.float16})'
    return f'device: {device}, {name}; {precision.replace("torch.", "")}'


def _count(number: int, noun: str) -> str:
    return f'{number:,} {noun}{"" if number == 1 else "s"}'
