"""Keys at the top of a config, and who reads them."""

import ast
import inspect
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.runner import Runner

_READ_ELSEWHERE = (  # than by the arguments of the Runner
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'safety_hooks',
    'strategy',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
)
TODAY = {  # keys of MMAction2 0.x, and what says it since
    'checkpoint_config': 'default_hooks.checkpoint',
    'cudnn_benchmark': 'env_cfg.cudnn_benchmark',
    'data': 'train_dataloader, val_dataloader and test_dataloader',
    'deterministic': 'randomness.deterministic',
    'dist_params': 'env_cfg.dist_cfg',
    'evaluation': 'train_cfg.val_interval, val_evaluator and default_hooks.checkpoint.save_best',
    'fp16': "optim_wrapper.type='AmpOptimWrapper', or --amp",
    'log_config': 'default_hooks.logger and visualizer',
    'lr_config': 'param_scheduler',
    'momentum_config': 'param_scheduler',
    'optimizer': 'optim_wrapper.optimizer',
    'optimizer_config': 'optim_wrapper.clip_grad',
    'resume_from': 'load_from with resume=True',
    'runner': 'train_cfg',
    'seed': 'randomness.seed',
    'total_epochs': 'train_cfg.max_epochs',
    'workflow': 'train_cfg.val_interval',
}
CLOSE = 0.86  # of 1: a key as like one that is read is a slip of that one
# MMAction2's configs set variables for all splits beside their loaders, and use some.
_OF_A_SPLIT = re.compile(r'(.*_)?(train|val|valid|test)(_.*)?')


class ConfigFile(NamedTuple):
    """A file of a config's chain.

    Attributes:
        name: Its path.
        sets: Line of each name that it sets.
        loads: Names whose value it reads.
        of_base: Names whose value it reads by ``_base_.NAME``.
    """

    name: str
    sets: dict[str, int]
    loads: set[str]
    of_base: set[str]

    @property
    def reads(self) -> set[str]:
        """Names whose value it reads, those of its base files included."""
        return self.loads | self.of_base

    @property
    def is_derived(self) -> bool:
        """Whether it has base files."""
        return '_base_' in self.sets


def read_keys() -> set[str]:
    """The keys at the top of a config that MMEngine reads."""
    return {*inspect.signature(Runner.__init__).parameters, *_READ_ELSEWHERE} - {'self', 'cfg'}


def config_files(cfg: Config) -> list[ConfigFile]:
    """The files of a config, base files first; one of JSON or YAML counts as reading every word."""
    parts = [['', '']]
    for line in (cfg.text or '').split('\n'):
        if line.endswith('.py') and Path(line).is_absolute():  # as MMEngine heads each
            parts.append([line, ''])
        else:
            parts[-1][1] += f'{line}\n'
    files = [_config_file(*part) for part in parts if part[1].strip()]
    return [*files[:-1], *(file._replace(name=str(cfg.filename)) for file in files[-1:])]


def _config_file(name: str, text: str) -> ConfigFile:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return ConfigFile(name, {}, {*re.findall(r'\w+', text)}, set())
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    sets = {name.id: name.lineno for name in names if isinstance(name.ctx, ast.Store)}
    loads = {name.id for name in names if isinstance(name.ctx, ast.Load)}
    return ConfigFile(name, sets, loads, {*re.findall(r'\b_base_\.(\w+)', text)})


def unread(cfg: Config) -> Iterator[str]:
    """Top-level keys that nobody reads, in a sentence each.

    Those of MMAction2 0.x, those that are almost a key that is read, or a variable, and others that
    a file with base files sets; there not names that begin with ``_``, nor variables of a split
    beside the loaders, as ``ann_file_test``. What a file before the last sets may be for others
    that derive from it, but for the name of a key below the top.
    """
    read = read_keys()
    likely = {key for key in {*read, *cfg} if not key.startswith('tta_')}  # of test_pipeline
    files = config_files(cfg)
    read |= {name for file in files for name in file.reads}
    derived = {key: file for file in files if file.is_derived for key in file.sets}
    for key in (key for key in cfg if key not in read):
        file = derived.get(key)
        where = f'{file.name}:{file.sets[key]}' if file else f'{cfg.filename}'
        if key in TODAY:
            yield f'{where}: {key} is read by nobody since MMAction2 1.0; set {TODAY[key]}'
        elif close := get_close_matches(key, likely - {key}, n=1, cutoff=CLOSE):
            yield f'{where}: {key} is read by nobody; did you mean {close[0]}?'
        elif not file or key.startswith('_'):
            continue
        elif same := [path for path in _paths(cfg) if path.endswith(f'.{key}')]:
            yield f'{where}: {key} is read by nobody; did you mean {" or ".join(same[:3])}?'
        elif file is files[-1] and not (_sets_a_loader(file) and _OF_A_SPLIT.fullmatch(key)):
            yield (
                f'{where}: {key} is read by nobody; leave it out, or call it _{key} where code of '
                'your own reads it'
            )


def _sets_a_loader(file: ConfigFile) -> bool:
    return any(name.endswith('_dataloader') for name in file.sets)


def _paths(node: Any, path: str = '') -> Iterator[str]:
    """The keys below the top, such as ``train_cfg.max_epochs``."""
    if isinstance(node, (Config, dict)):
        for key, child in node.items():
            if path:
                yield f'{path}.{key}'
            yield from _paths(child, f'{path}.{key}' if path else str(key))
