"""What the benchmarks share: rounds in random order, ratios with spread, bytes, one table."""

import json
import platform
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

Rounds = dict[str, list[float]]


def measure(
    candidates: dict[str, Callable[[], object]],
    rounds: int,
    device: str,
    seconds: float = 60.0,
    seed: int = 0,
) -> Rounds:
    """Seconds of each call, every candidate once a round in an order drawn anew each round.

    Two calls of each come before as warm-up. Stops early, but not before 5 rounds, after
    ``seconds``.
    """
    draw = random.Random(seed)
    for call in candidates.values():
        for _ in range(2):
            call()
    times: Rounds = {name: [] for name in candidates}
    start = time.perf_counter()
    for i in range(rounds):
        if i >= 5 and time.perf_counter() - start > seconds:
            break
        for name in draw.sample(list(candidates), len(candidates)):
            _wait(device)
            before = time.perf_counter()
            candidates[name]()
            _wait(device)
            times[name].append(time.perf_counter() - before)
    return times


def ratio(times: Rounds, name: str, to: str) -> str:
    """Median over rounds of time of ``name`` / time of ``to``, and its 10 to 90 % range."""
    values = sorted(a / b for a, b in zip(times[name], times[to], strict=True))
    low, high = values[len(values) // 10], values[-1 - len(values) // 10]
    return f'{median(values):.2f} ({low:.2f}-{high:.2f})'


def saved_bytes(forward: Callable[[], object], parameters: list[Tensor] = ()) -> int:
    """Bytes that autograd keeps for the backward, each storage once, ``parameters`` apart."""
    storages = {}

    def pack(x: Tensor) -> Tensor:
        storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        keep = forward()
    for parameter in parameters:
        storages.pop(parameter.untyped_storage().data_ptr(), None)
    del keep
    return sum(storages.values())


def peak_bytes(call: Callable[[], object], device: str) -> int:
    """The most bytes allocated at once during the call beyond those before it."""
    if device == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        call()
    now = most = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == '[memory]':
            now += event.nbytes()
            most = max(most, now)
    return most


def kernel_seconds(call: Callable[[], object], calls: int = 10) -> float:
    """Seconds that a GPU's kernels take in a call, without the gaps between them."""
    call()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
    return sum(x.self_device_time_total for x in profile.key_averages()) / calls / 1e6


def ceilings(device: str, dtype: torch.dtype) -> tuple[float, float]:
    """Measured FLOP/s of a large matrix product and bytes/s of a large copy (read + write)."""
    n = 8192 if device == 'cuda' else 2048
    a = torch.randn(n, n, device=device, dtype=dtype)
    b = torch.empty(1 << (30 if device == 'cuda' else 28), dtype=torch.uint8, device=device)
    c = torch.empty_like(b)
    times = measure({'product': lambda: a @ a, 'copy': lambda: c.copy_(b)}, 9, device)
    return 2 * n**3 / median(times['product']), 2 * b.numel() / median(times['copy'])


def machine(device: str) -> str:
    """One line for the top of a table."""
    versions = f'torch {torch.__version__}, Python {platform.python_version()}'
    if device == 'cuda':
        return f'{torch.cuda.get_device_name()}, {versions}'
    names = [x for x in Path('/proc/cpuinfo').read_text().splitlines() if 'model name' in x]
    name = names[0].split(':')[1].strip() if names else platform.machine()
    return f'{name}, {torch.get_num_threads()} threads, {versions}'


def print_table(header: list[str], rows: Iterable[list[str]]) -> None:
    """A markdown table."""
    print('| ' + ' | '.join(header) + ' |')
    print('|' + '---|' * len(header), flush=True)
    for row in rows:
        print('| ' + ' | '.join(row) + ' |', flush=True)


def excluded(name: str, error: Exception) -> str:
    """A note on what cannot run."""
    reason = (str(error).strip().splitlines() or [''])[0][:200]
    return f'{name}: excluded, {type(error).__name__}: {reason}'


def print_notes(notes: list[str]) -> None:
    """A line each, under a table."""
    print(*(f'\n- {note}' for note in notes), sep='')


def write_json(path: str | None, results: object) -> None:
    if path:
        Path(path).write_text(json.dumps(results, indent=1) + '\n')


def _wait(device: str) -> None:
    if device == 'cuda':
        torch.cuda.synchronize()
