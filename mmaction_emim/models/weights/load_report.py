"""Loading upstream's checkpoints into a network with motion modules, and a report of every key."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mmengine.logging import print_log
from torch import nn

from .attention import fused_names


@dataclass
class LoadReport:
    """What became of every key of a checkpoint, and of every weight of the network.

    Attributes:
        title: What the text begins with.
        used: Loaded by name.
        converted: Loaded under another name.
        mismatched: Those of another shape, with both shapes.
        unused: Not in the network.
        new: Not in the checkpoint.
        heads: ``'174 -> 2 classes'`` of each head of another number of classes.
    """

    title: str = 'MotionBackbone'
    used: list[str] = field(default_factory=list)
    converted: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    def add_mismatch(self, name: str, theirs: Sequence[int], ours: Sequence[int]) -> None:
        """Note a weight of another shape in the checkpoint (``theirs``) and the network."""
        shapes = f'{tuple(theirs)} in the checkpoint, {tuple(ours)} here'
        self.mismatched.append(f'{name}: {shapes}')
        is_head = name.split('.')[0].endswith('head') and name.endswith('.weight')
        if is_head and theirs[0] != ours[0] and tuple(theirs[1:]) == tuple(ours[1:]):
            self.heads.append(f'{theirs[0]} -> {ours[0]} classes')

    def __str__(self) -> str:
        if not (self.converted or self.mismatched or self.unused or self.new):
            return f'{self.title}: all {len(self.used)} weights loaded by name'
        lines = [f'{self.title}: what became of the checkpoint']
        for kind, what in (
            ('used', 'loaded by name'),
            ('converted', 'loaded under another name'),
            ('mismatched', 'of another shape, not loaded'),
            ('unused', 'in the checkpoint, not in the network'),
            ('new', 'in the network, not in the checkpoint: as initialized'),
        ):
            keys = getattr(self, kind)
            lines += [f'{kind} ({len(keys)}): {what}'] if keys else []
            lines += [f'    {key}' for key in keys]
        lines += [f'head: {head}, starts anew' for head in self.heads]
        return '\n'.join(lines)


class ConvertOnLoad:
    """A hook before a backbone's ``load_state_dict``: converts upstream keys, logs a report.

    Args:
        replaced: Dotted names of the attention layers that motion modules took the place of.
    """

    def __init__(self, replaced: Sequence[str]) -> None:
        self.replaced = replaced

    def attach(self, backbone: nn.Module) -> None:
        backbone.register_load_state_dict_pre_hook(self)

    def __call__(self, backbone: nn.Module, state_dict: dict, prefix: str, *args: object) -> None:
        report = self.convert(backbone, state_dict, prefix)
        if report.used or report.converted:
            print_log(str(report), logger='current')

    def convert(self, backbone: nn.Module, state_dict: dict, prefix: str = '') -> LoadReport:
        """Rename in ``state_dict`` in place.

        Returns:
            What will be loaded; keys are listed without ``prefix``.
        """
        report = LoadReport()
        made = {}
        for name in self.replaced:
            start = f'{prefix}{name}.'
            old = {k[len(start) :]: v for k, v in state_dict.items() if k.startswith(start)}
            for new_name, (weight, sources) in fused_names(old).items():
                made[f'{start}{new_name}'] = weight
                state_dict[f'{start}{new_name}'] = weight
                for source in sources:
                    del state_dict[start + source]
                was = ' + '.join(sources)
                report.converted.append(f'{name}.{was} -> {name}.{new_name}')
        own = backbone.state_dict()
        for key, weight in state_dict.items():
            if not key.startswith(prefix):
                continue
            name = key[len(prefix) :]
            if name not in own:
                report.unused.append(name)
            elif own[name].shape != weight.shape:
                report.add_mismatch(name, weight.shape, own[name].shape)
            elif key not in made:
                report.used.append(name)
        report.new = [name for name in own if prefix + name not in state_dict]
        return report
