"""A forward pass of an exported recognizer against PyTorch, and against EMIM offset by offset.

    python benchmarks/export.py                      # EMIM-UniFormer-S, one 16 x 112 x 112 clip
    python benchmarks/export.py --config configs/emim_motionshapes.py --shape 8 128 128

'eager' computes EMIM with the backend that 'auto' chooses, the graphs with plain operators: over
tiles, as they are exported, or offset by offset.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import measure
import torch
from mmengine.config import Config

from mmaction_emim.apis import export, exportable, load_exported
from mmaction_emim.apis.export import Scores
from mmaction_emim.models.motion import EMIMAttention


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', default='configs/emim_sthv2.py')
    parser.add_argument('--shape', type=int, nargs=3, default=[16, 112, 112])
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=60)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    model = exportable(Config.fromfile(args.config))
    clip = torch.rand(1, 3, *args.shape) * 255
    with tempfile.TemporaryDirectory() as folder:
        graphs, seconds = {}, {'eager': '-'}
        for form, backend in (('', 'tiled'), (', by offsets', 'reference')):
            choose(model, backend)
            for name, file in (('torch.export', 'model.pt2'), ('onnxruntime', 'model.onnx')):
                start = time.perf_counter()
                export(model, tuple(args.shape), Path(folder) / file)
                seconds[name + form] = f'{time.perf_counter() - start:.0f}'
                graphs[name + form] = load_exported(Path(folder) / file)
        choose(model, 'auto')
        calls = {name: lambda f=f: f(clip) for name, f in {'eager': model, **graphs}.items()}
        with torch.no_grad():
            times = measure.measure(calls, args.rounds, 'cpu', args.seconds)
    print(measure.machine('cpu'))
    rows = []
    for name in times:
        other = f'{name}, by offsets'
        forward = f'{median(times[name]) * 1e3:.0f}', measure.ratio(times, name, 'eager')
        slower = measure.ratio(times, other, name) if other in times else ''
        rows.append([name, seconds[name], *forward, slower])
    header = ['', 'export s', 'forward ms', '/ eager', 'by offsets / this']
    measure.print_table(header, rows)


def choose(model: Scores, backend: str) -> None:
    """Have EMIM computed by this backend."""
    for module in model.modules():
        if isinstance(module, EMIMAttention):
            module.backend = backend


if __name__ == '__main__':
    main()
