"""A training step of EMIM-UniFormer against the same network with global attention everywhere.

    python benchmarks/train_step.py                  # CPU, 2 threads, one 16 x 224 x 224 clip
    python benchmarks/train_step.py --device cuda    # one GPU, 8 clips, bfloat16 autocast

A step is forward, backward and AdamW. Global blocks use SDPA in all networks alike, as
EMIMUniFormer has it, but for the row with MMAction2's product of all pairs. MMAction2 is needed for
that row alone: the networks are ``uniformer.py``'s. What cannot run is listed with the reason.
"""

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median

import measure
import torch
from torch import Tensor, nn
from uniformer import ARCHS, DepthwiseConv3d, GlobalAttention, UniFormer

from mmaction_emim.models.motion import EMIMAttention

OURS = 'EMIM and global (SDPA)'
GLOBAL = 'all global (SDPA)'
UPSTREAM = "all global (MMAction2's)"
Network = Callable[[], nn.Module]


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

    layer.forward = lambda x: Attention.forward(layer, x.flatten(1, 3)).view(x.shape)
    return layer


def torchs(layer: DepthwiseConv3d) -> nn.Module:
    """The layer with torch's own backward."""
    layer.forward = partial(nn.Conv3d.forward, layer)
    return layer


def changed(kind: type, change: Callable[[nn.Module], nn.Module], network: Network) -> nn.Module:
    """The network with every layer of a kind changed."""
    model = network()
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is kind:
                setattr(parent, name, change(layer))
    return model


def networks(args: argparse.Namespace) -> dict[str, Network]:
    emim = partial(UniFormer, args.arch)
    plain = partial(UniFormer, args.arch, 'G')
    rows = {OURS: emim, GLOBAL: plain}
    if args.upstream:
        rows[UPSTREAM] = partial(changed, GlobalAttention, upstreams, plain)
    rows['no operator in EMIM blocks'] = partial(changed, EMIMAttention, NoAttention, emim)
    if args.device == 'cuda':
        rows['EMIM by the dense backend'] = partial(emim, backend='dense')
        rows['EMIM offset by offset'] = partial(emim, backend='reference')
    else:
        name = "EMIM, torch's depthwise backward"
        rows[name] = partial(changed, DepthwiseConv3d, torchs, emim)
    return rows


def step(model: nn.Module, clip: Tensor, args: argparse.Namespace) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    scaler = torch.amp.GradScaler(args.device, enabled=args.amp and args.dtype == torch.float16)

    def call() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(args.device, args.dtype, enabled=args.amp):
            loss = model(clip).float().square().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return call


def built(
    rows: dict[str, Network], clip: Tensor, args: argparse.Namespace
) -> tuple[dict[str, nn.Module], dict[str, Callable[[], None]], list[str]]:
    """Models and steps, each tried once, and why the others do not run."""
    models, steps, excluded = {}, {}, []
    for name, network in rows.items():
        try:
            model = network().to(args.device)
            if args.channels_last:
                model.to(memory_format=torch.channels_last_3d)
            call = step(model, clip, args)
            call()
        except Exception as error:  # whatever keeps a row from running is reported
            if name in (OURS, GLOBAL):
                raise
            excluded.append(measure.excluded(name, error))
        else:
            models[name], steps[name] = model, call
    return models, steps, excluded


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--threads', type=int, default=2, help='of the CPU')
    parser.add_argument('--arch', choices=ARCHS, default='small')
    parser.add_argument('--frames', type=int, default=16)
    parser.add_argument('--size', type=int, default=224)
    parser.add_argument('--batch', type=int, help='default: 1 on the CPU, 8 on the GPU')
    parser.add_argument('--amp', action=argparse.BooleanOptionalAction, help='default: on the GPU')
    parser.add_argument(
        '--dtype', choices=['bfloat16', 'float16'], help="of autocast; float16's loss is scaled"
    )
    parser.add_argument('--channels-last', action='store_true')
    parser.add_argument(
        '--upstream', action=argparse.BooleanOptionalAction, default=True, help='the third row'
    )
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--seconds', type=float, default=180, help='limit of the rounds, about')
    parser.add_argument('--json', help='file for the raw times')
    args = parser.parse_args()
    on_gpu = args.device == 'cuda'
    args.batch = args.batch or (8 if on_gpu else 1)
    args.amp = on_gpu if args.amp is None else args.amp
    if args.dtype and not args.amp:
        parser.error(f"--dtype {args.dtype} is autocast's: give --amp too")
    args.dtype = getattr(torch, args.dtype or 'bfloat16')
    return args


def main() -> None:
    args = arguments()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    clip = torch.randn(args.batch, 3, args.frames, args.size, args.size, device=args.device)
    models, steps, excluded = built(networks(args), clip, args)
    times = measure.measure(steps, args.rounds, args.device, args.seconds)
    print(measure.machine(args.device))
    amp = args.dtype if args.amp else 'off'
    print(f'{args.arch}, {args.batch} x {args.frames} x {args.size}², autocast {amp}\n')
    rows = []
    for name, model in models.items():
        with torch.autocast(args.device, args.dtype, enabled=args.amp):
            saved = measure.saved_bytes(lambda model=model: model(clip), list(model.parameters()))
        row = [name, f'{median(times[name]) * 1e3:.4g}', measure.ratio(times, name, GLOBAL)]
        row += [f'{args.batch / median(times[name]):.3g}', f'{saved / 1e6:.0f}']
        if args.device == 'cuda':
            row.append(f'{measure.peak_bytes(steps[name], args.device) / 1e6:.0f}')
        rows.append(row)
    header = ['', 'step ms', f'/ {GLOBAL}', 'clips/s', 'saved MB']
    measure.print_table(header + ['peak MB'] * (args.device == 'cuda'), rows)
    measure.print_notes(excluded)
    measure.write_json(args.json, times)


if __name__ == '__main__':
    main()
