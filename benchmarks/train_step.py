"""A training step of EMIM-UniFormer against the same network with global attention everywhere.

    python benchmarks/train_step.py                  # CPU, 2 threads, one 16 x 224 x 224 clip
    python benchmarks/train_step.py --device cuda    # one GPU, 8 clips, bfloat16 autocast

A step is forward, backward and AdamW. Global blocks use SDPA in both networks alike, as
EMIMUniFormer has it; a third row has MMAction2's product of all pairs everywhere.
"""

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median

import measure
import torch
from torch import Tensor, nn

from mmaction_emim.models.backbones.emim_uniformer import EMIMUniFormer, GlobalAttention
from mmaction_emim.models.motion import EMIMAttention

OURS = 'EMIM and global (SDPA)'
GLOBAL = 'all global (SDPA)'
UPSTREAM = "all global (MMAction2's)"


class NoAttention(nn.Module):
    """The layer without its operator: qkv, values, proj. What no faster operator can save."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.qkv, self.proj = layer.qkv, layer.proj

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.proj(q + k + v)


def upstreams(layer: GlobalAttention) -> nn.Module:
    """The layer as MMAction2 computes it."""
    from mmaction.models.backbones.uniformer import Attention  # importable once ours is imported

    layer.forward = partial(Attention.forward, layer)
    return layer


def network(args: argparse.Namespace, alternation: str, change: dict[type, Callable]) -> nn.Module:
    backbone = EMIMUniFormer(
        args.arch, alternation=alternation, channels_last=args.channels_last, drop_path_rate=0.0
    )
    for module in list(backbone.modules()):
        attn = getattr(module, 'attn', None)
        if type(attn) in change:
            module.attn = change[type(attn)](attn)
    return backbone.to(args.device)


def step(model: nn.Module, clip: Tensor, args: argparse.Namespace) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)

    def call() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(args.device, torch.bfloat16, enabled=args.amp):
            loss = model(clip).float().square().mean()
        loss.backward()
        optimizer.step()

    return call


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--threads', type=int, default=2, help='of the CPU')
    parser.add_argument('--arch', choices=['small', 'base'], default='small')
    parser.add_argument('--frames', type=int, default=16)
    parser.add_argument('--size', type=int, default=224)
    parser.add_argument('--batch', type=int, help='default: 1 on the CPU, 8 on the GPU')
    parser.add_argument('--amp', action=argparse.BooleanOptionalAction, help='default: on the GPU')
    parser.add_argument('--channels-last', action='store_true')
    parser.add_argument(
        '--upstream', action=argparse.BooleanOptionalAction, default=True, help='the third row'
    )
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--seconds', type=float, default=180, help='limit of the rounds, about')
    parser.add_argument('--json', help='file for the raw times')
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    on_gpu = args.device == 'cuda'
    args.batch = args.batch or (8 if on_gpu else 1)
    args.amp = on_gpu if args.amp is None else args.amp

    networks = {
        OURS: ('LG', {}),
        GLOBAL: ('G', {}),
        UPSTREAM: ('G', {GlobalAttention: upstreams}),
        'no operator in EMIM blocks': ('LG', {EMIMAttention: NoAttention}),
    }
    if not args.upstream:
        del networks[UPSTREAM]
    clip = torch.randn(args.batch, 3, args.frames, args.size, args.size, device=args.device)
    models = {name: network(args, *how) for name, how in networks.items()}
    steps = {name: step(model, clip, args) for name, model in models.items()}
    times = measure.measure(steps, args.rounds, args.device, args.seconds)
    print(measure.machine(args.device))
    print(f'{args.arch}, {args.batch} x {args.frames} x {args.size}², amp {args.amp}')
    rows = []
    for name, model in models.items():
        saved = measure.saved_bytes(lambda model=model: model(clip), list(model.parameters()))
        times_row = f'{median(times[name]) * 1e3:.0f}', measure.ratio(times, name, GLOBAL)
        rows.append([name, *times_row, f'{saved / 1e6:.0f}'])
    measure.print_table(['', 'step ms', f'/ {GLOBAL}', 'saved MB'], rows)
    measure.write_json(args.json, times)


if __name__ == '__main__':
    main()
