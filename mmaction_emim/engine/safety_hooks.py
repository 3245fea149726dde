"""The hooks of ``configs/_base_/default_runtime.py`` for configs that do not stand on it."""

from collections.abc import Mapping
from typing import Any

from mmaction.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from mmaction_emim.utils.config_names import config_folder

RUNTIME = '_base_/default_runtime.py'


def add_safety_hooks(cfg: Config) -> list[str]:
    """Give a config what it lacks of the hooks that our configs train and test with.

    Those are the custom hooks of ``default_runtime.py`` that the config has none of the type of,
    ``default_hooks.resume``, and for MMEngine's own checkpoint hook ours, which takes the same
    arguments and writes through the atomic backend where the config names none. Another checkpoint
    hook stays, and ``None``, which is none. ``safety_hooks=False`` in the config adds nothing.

    Args:
        cfg: As a Runner takes it; changed in place.

    Returns:
        What was added, in a sentence for the log; nothing where nothing was.
    """
    if not cfg.get('safety_hooks', True):
        return []
    ours = Config.fromfile(config_folder('mmaction_emim') / RUNTIME)
    added = []
    default = {**(cfg.get('default_hooks') or {})}
    if 'resume' not in default:
        default['resume'] = ours.default_hooks.resume
        added.append(default['resume'].type)
    checkpoint = default.get('checkpoint', dict(type='CheckpointHook'))
    if _class(checkpoint) is CheckpointHook and isinstance(checkpoint, Mapping):
        durable = ours.default_hooks.checkpoint
        checkpoint = default['checkpoint'] = {**checkpoint, 'type': durable.type}
        named = checkpoint.get('backend_args') or checkpoint.get('file_client_args')
        if not named and '://' not in str(checkpoint.get('out_dir')):
            checkpoint['backend_args'] = durable.backend_args
        added.append(durable.type)
    custom = list(cfg.get('custom_hooks') or [])
    there = tuple(_class(hook) for hook in custom)
    lacking = [hook for hook in ours.custom_hooks if not _any_is(there, HOOKS.get(hook.type))]
    cfg.default_hooks, cfg.custom_hooks = default, [*lacking, *custom]
    added += [hook.type for hook in lacking]
    if not added:
        return []
    return [f'hooks that the config lacks: {", ".join(added)}; safety_hooks=False leaves them out']


def _class(hook: Any) -> type | None:
    """Of a hook that is a config or is built; None of what is no hook that is known."""
    if not isinstance(hook, Mapping):
        return type(hook)
    kind = hook.get('type')
    return HOOKS.get(kind) if isinstance(kind, str) else kind


def _any_is(classes: tuple[type | None, ...], wanted: type) -> bool:
    return any(isinstance(kind, type) and issubclass(kind, wanted) for kind in classes)
