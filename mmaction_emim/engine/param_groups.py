"""Parameter groups of UniFormer-like networks: which decay, and how fast each layer learns."""

import re
from typing import Any

from mmaction.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmaction_emim.compat import BatchNorm

PARAMWISE = {'rpb_decay_mult': 0.0, 'layer_decay_rate': 1.0, 'custom_keys': {}}
MULTIPLIERS = ('lr_mult', 'decay_mult')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Few, named parameter groups, printed as a table.

    One-dimensional parameters (biases, and all of BatchNorm and LayerNorm) have no weight decay,
    the others the optimizer's; of a sharded model (``AnyDeviceFSDP``) whole parameters are meant.
    ``paramwise_cfg`` may hold:

    - ``rpb_decay_mult``: Factor on the weight decay of EMIM's relative position bias (``rpb``).
      0 (default) is what the authors list; 1 is what their released code does.
    - ``layer_decay_rate``: A layer's learning rate is the optimizer's times this rate to the power
      of the number of layers behind it. Layers are the stem, each block, and the rest (last norm,
      head); a stage's patch embedding goes with its first block. Needs a backbone whose blocks are
      ``blocks1`` to ``blocks4``. Defaults to 1, the same for all.
    - ``custom_keys``: As MMEngine's: a part of parameters' names -> ``dict(lr_mult=1,
      decay_mult=1)``, factors on what they would have; of several keys in a name the longest
      counts. Unlike MMEngine's, a key that is in no name is refused, and ``lr_mult=0`` freezes: no
      gradient, and BatchNorm whose parameters are all frozen normalizes as in tests.

    Args:
        optim_wrapper_cfg: MMEngine's, with ``optimizer``.
        paramwise_cfg: As above. Defaults to None.

    Raises:
        ValueError: ``paramwise_cfg`` has another key or a value out of range, or the backbone has
            no such blocks; or parameters would be frozen after DistributedDataParallel took them.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        options = {**PARAMWISE, **(paramwise_cfg or {})}
        for name, value in options.items():
            if name not in PARAMWISE:
                raise ValueError(
                    f'optim_wrapper.paramwise_cfg: got {name!r}; accepted are {list(PARAMWISE)}'
                )
            if name == 'custom_keys':
                _check_custom_keys(value)
            elif not isinstance(value, (int, float)) or value < 0:
                raise ValueError(
                    f'optim_wrapper.paramwise_cfg: {name} must be a number >= 0, got {value!r}'
                )
        if not 0 < options['layer_decay_rate'] <= 1:
            raise ValueError(
                'optim_wrapper.paramwise_cfg: layer_decay_rate must be in (0, 1], '
                f'got {options["layer_decay_rate"]}'
            )
        super().__init__(optim_wrapper_cfg, options)

    def add_params(self, params: list[dict], module: nn.Module, **kwargs: Any) -> None:
        """Append the groups of ``module``, the whole model, to ``params``; frozen ones are left.

        The table that is logged has them, too.
        """
        custom = self._custom(module)
        rate, decay = self.paramwise_cfg['layer_decay_rate'], self.base_wd or 0.0
        layers = _layers(module) if rate != 1 else {}
        whole_ndims = getattr(module, 'whole_ndims', {})
        groups: dict[tuple, dict] = {}
        frozen = dict(params=[], param_names=[], name='frozen', weight_decay=0.0, lr=0.0)
        for name, parameter in module.named_parameters():
            factors = custom.get(name, {})
            if not factors.get('lr_mult', 1):
                parameter.requires_grad_(False)
            if not parameter.requires_grad:
                frozen['params'].append(parameter)
                frozen['param_names'].append(name)
                continue
            kind, mult = 'decay', 1.0
            if whole_ndims.get(name, parameter.ndim) == 1:
                kind, mult = 'no_decay', 0.0
            elif name.split('.')[-1] == 'rpb':
                kind, mult = 'rpb', self.paramwise_cfg['rpb_decay_mult']
            layer, key = layers.get(name, 0), factors.get('key', '')
            if (kind, layer, key) not in groups:
                groups[kind, layer, key] = dict(
                    params=[],
                    param_names=[],
                    name=', '.join(
                        filter(None, [kind, '' if rate == 1 else f'layer {layer}', key])
                    ),
                    weight_decay=decay * mult * factors.get('decay_mult', 1),
                    lr=self.base_lr
                    * rate ** (max(layers.values(), default=0) - layer)
                    * factors.get('lr_mult', 1),
                )
            groups[kind, layer, key]['params'].append(parameter)
            groups[kind, layer, key]['param_names'].append(name)
        params += [groups[key] for key in sorted(groups, key=lambda key: (key[1], key[0], key[2]))]
        _test_mode_of_frozen_norms(module)
        rows = [*params, *([frozen] if frozen['params'] else [])]
        print_log('Parameter groups\n' + group_table(rows), logger='current')
        for group in params:
            del group['param_names']

    def _custom(self, module: nn.Module) -> dict[str, dict]:
        """The factors of each parameter that ``custom_keys`` names, and the key."""
        found, keys = {}, self.paramwise_cfg['custom_keys']
        names = [name for name, _ in module.named_parameters()]
        for key in sorted(keys, key=lambda key: (len(key), key)):
            matched = [name for name in names if key in name]
            if not matched:
                raise ValueError(
                    f'optim_wrapper.paramwise_cfg.custom_keys: no parameter has {key!r} in its '
                    f'name; names are such as {names[0]}, {names[-1]}'
                )
            found |= dict.fromkeys(matched, {**keys[key], 'key': key})
        freezes = any(not factors.get('lr_mult', 1) for factors in found.values())
        if freezes and getattr(module, 'find_unused_parameters', True) is False:
            raise ValueError(
                'optim_wrapper.paramwise_cfg.custom_keys: lr_mult=0 freezes what '
                'DistributedDataParallel waits for; set find_unused_parameters=True in the config, '
                "or freeze by the backbone's frozen_stages"
            )
        return found


def _check_custom_keys(keys: Any) -> None:
    good = isinstance(keys, dict) and all(
        isinstance(factors, dict)
        and factors.keys() <= set(MULTIPLIERS)
        and all(isinstance(x, (int, float)) and x >= 0 for x in factors.values())
        for factors in keys.values()
    )
    if not good:
        raise ValueError(
            'optim_wrapper.paramwise_cfg.custom_keys must be like '
            f"{{'backbone.blocks1': dict(lr_mult=0.1, decay_mult=1)}}, got {keys!r}"
        )


def _test_mode_of_frozen_norms(model: nn.Module) -> None:
    """Have BatchNorm whose parameters are all frozen normalize by its running statistics."""
    for module in model.modules():
        parameters = list(module.parameters(recurse=False))
        if isinstance(module, BatchNorm) and parameters:
            if not any(parameter.requires_grad for parameter in parameters):
                module.register_forward_pre_hook(_to_test_mode)


def _to_test_mode(norm: nn.Module, args: tuple) -> None:
    norm.eval()  # each time, since train() of the model sets it back


def group_table(groups: list[dict]) -> str:
    """A text table of parameter groups: name, lr, weight decay, tensors, parameters, the first."""
    rows = [('group', 'lr', 'weight decay', 'tensors', 'parameters', 'such as')]
    for group in groups:
        rows.append(
            (
                group['name'],
                f'{group["lr"]:.3g}',
                f'{group["weight_decay"]:.3g}',
                f'{len(group["params"])}',
                f'{sum(p.numel() for p in group["params"]):,}',
                group['param_names'][0],
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ['  '.join(f'{x:<{w}}' for x, w in zip(row, widths, strict=True)) for row in rows]
    return '\n'.join(line.rstrip() for line in lines)


def _layers(model: nn.Module) -> dict[str, int]:
    """Layer of each parameter: 0 the stem, 1 to N the blocks, N + 1 the rest."""
    names = [name for name, _ in model.named_parameters()]
    places = [re.search(r'\bblocks([1-4])\.(\d+)\.', name) for name in names]
    blocks = sorted({(int(place[1]), int(place[2])) for place in places if place})
    if not blocks:
        raise ValueError(
            'optim_wrapper.paramwise_cfg: layer_decay_rate needs a backbone with blocks1 to '
            f'blocks4, as EMIMUniFormer; {type(model).__name__} has none'
        )
    number = {block: i for i, block in enumerate(blocks, start=1)}
    layers = {}
    for name, place in zip(names, places, strict=True):
        embed = re.search(r'\bpatch_embed([1-4])\.', name)
        if place:
            layers[name] = number[int(place[1]), int(place[2])]
        elif embed:
            stage = int(embed[1])
            later = [n for (s, _), n in number.items() if s >= stage]
            layers[name] = 0 if stage == 1 else min(later, default=len(blocks) + 1)
        else:
            layers[name] = len(blocks) + 1
    return layers
