"""What a training may be resumed from."""

import glob
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from mmengine.config import Config

from mmaction_emim.utils.checkpoint_damage import check_whole, damage

NAMES = ('epoch_{}.pth', 'iter_{}.pth')  # of MMEngine, where filename_tmpl says no other


def choose_checkpoint(cfg: Config, restarted: bool = False, earlier: list = ()) -> list[str]:
    """Set ``load_from`` of a training to the newest whole checkpoint, where it is to be resumed.

    Args:
        cfg: With ``resume``, ``load_from`` and ``work_dir``; changed in place.
        restarted: Resume whatever ``cfg`` says, if there is a checkpoint; else begin as it says.
        earlier: Checkpoints of another training, which are left alone; see :func:`stamps`.

    Returns:
        What was passed over, and why, a sentence each.

    Raises:
        ValueError: ``load_from`` is damaged, or there are checkpoints and none is whole.
    """
    if restarted:
        path, passed = newest_whole(cfg, earlier)
        if path:
            cfg.resume, cfg.load_from = True, str(path)
            return ['the job was restarted', *(passed or [f'resuming from {path}'])]
    if cfg.get('load_from'):
        check_whole(cfg.load_from)
    elif cfg.get('resume'):
        path, passed = newest_whole(cfg)
        cfg.load_from = path and str(path)
        return passed
    return []


def newest_whole(cfg: Config, earlier: list = ()) -> tuple[Path | None, list[str]]:
    """The checkpoint that ``last_checkpoint`` names or, if it is none, the newest whole one.

    Args:
        cfg: With ``work_dir``, where ``last_checkpoint`` is, and ``default_hooks.checkpoint``,
            which may say that the checkpoints are elsewhere (``out_dir``) or what they are called
            (``filename_tmpl``).
        earlier: What to leave out, as :func:`stamps` gives it.

    Returns:
        Its path, None where there is no checkpoint; and what was passed over.

    Raises:
        ValueError: There are checkpoints, and none is whole; or none is named, and the folder of
            the checkpoints is none of a file system.
    """
    folder = _folder(cfg)
    saved = sorted(_saved(cfg), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    saved = [path for path in saved if _stamp(path) not in earlier]
    pointer, passed = _work_dir(cfg) / 'last_checkpoint', []
    named = pointer.read_text(errors='replace').strip() if pointer.is_file() else ''
    if named:
        if _stamp(Path(named)) not in earlier:
            saved.insert(0, Path(named))
    elif folder is None and cfg.get('resume'):
        raise ValueError(
            f'{pointer} names no checkpoint, and default_hooks.checkpoint.out_dir='
            f'{_hook(cfg)["out_dir"]} is no local folder to look for one: give it, --resume FILE'
        )
    elif saved:
        passed.append(f'{pointer} names no checkpoint')
    for path in saved:
        if problem := damage(path):
            passed.append(f'{path} {problem}')
            continue
        return path, passed and [*passed, f'resuming from {path}']
    if saved:
        raise ValueError(
            f'{folder or named}: no checkpoint is whole: {"; ".join(passed)}; without --resume the '
            'training starts anew'
        )
    return None, [f'{folder} holds no checkpoint: the training starts anew']


def stamps(cfg: Config) -> list[list]:
    """Name and time of the checkpoints that are there, by which others than these are known."""
    return [_stamp(path) for path in _saved(cfg)]


def _stamp(path: Path) -> list:
    return [path.name, path.stat().st_mtime_ns if path.is_file() else 0]


def _work_dir(cfg: Config) -> Path:
    return Path(cfg.get('work_dir') or '')


def _hook(cfg: Config) -> dict:
    return (cfg.get('default_hooks') or {}).get('checkpoint') or {}


def _folder(cfg: Config) -> Path | None:
    """Where the checkpoint hook writes to; None where that is no folder of a file system."""
    work_dir, out_dir = _work_dir(cfg), _hook(cfg).get('out_dir')
    if out_dir is None or Path(out_dir) == work_dir.absolute():
        return work_dir
    return None if '://' in str(out_dir) else Path(out_dir, work_dir.absolute().name)


def _saved(cfg: Config) -> Iterator[Path]:
    folder = _folder(cfg)
    for template in {*NAMES, _hook(cfg).get('filename_tmpl') or NAMES[0]} if folder else ():
        parts = [(text, field is not None) for text, field, *_ in Formatter().parse(template)]
        found = ''.join(glob.escape(text) + '*' * number for text, number in parts)
        name = ''.join(re.escape(text) + r'\d+' * number for text, number in parts)
        for path in folder.glob(found):
            if re.fullmatch(name, path.relative_to(folder).as_posix()):
                yield path
