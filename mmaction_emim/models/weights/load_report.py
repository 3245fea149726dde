"""Loading upstream's checkpoints into a network with motion modules, and a report of every key."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mmengine.logging import print_log
from torch import nn

from .attention import fused_names


@dataclass
class LoadReport:
    """What became of every key of a checkpoint, and of every weight of the network."""

    used: list[str] = field(default_factory=list)
    converted: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if not (self.converted or self.mismatched or self.unused or self.new):
            return f'MotionBackbone: all {len(self.used)} weights loaded by name'
        lines = ['MotionBackbone: loaded a checkpoint into the swapped network']
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
                shapes = f'{tuple(weight.shape)} in the checkpoint, {tuple(own[name].shape)} here'
                report.mismatched.append(f'{name}: {shapes}')
            elif key not in made:
                report.used.append(name)
        report.new = [name for name in own if prefix + name not in state_dict]
        return report
