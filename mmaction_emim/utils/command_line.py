"""What tools/train.py and tools/test.py share: upstream's arguments, and errors in one sentence."""

import importlib.util
import inspect
import io
import logging
import os
import re
import socket
import sys
import traceback
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from urllib.error import URLError

import mmaction
from mmengine.config import Config
from mmengine.logging import MMLogger

from .checkpoint_damage import not_plain_data
from .config_keys import TODAY, read_keys
from .config_variables import complete_overrides
from .dead_worker import explain_dead_worker, ignore_dead_workers
from .files import read_text

# What gloo and nccl say to the processes that are left, or wait.
PEER_GONE = re.compile(
    r'Connection (?:closed by|reset by) peer|Connection closed by (?:remote|local) peer'
    r'|remote process (?:has )?exited|Broken pipe.*gloo|gloo.*Broken pipe',
    re.DOTALL,
)
WITHOUT_A_NETWORK = (
    'where there is no network, give a file of it (model.backbone.init_cfg.checkpoint=FILE), or '
    'start without weights (model.backbone.init_cfg=None)'
)
PEER_SILENT = re.compile(r'Timed out waiting \d+ms for|collective operation timeout')


def upstream_tools() -> Path:
    """MMAction2's own folder ``tools``, of its wheel or its checkout.

    Raises:
        FileNotFoundError: MMAction2 was installed without its tools.
    """
    package = Path(mmaction.__file__).parent
    for folder in (package / '.mim' / 'tools', package.parent / 'tools'):
        if (folder / 'train.py').is_file():
            return folder
    raise FileNotFoundError(f'{package}: MMAction2 has no tools; reinstall mmaction2')


def load_upstream_tool(name: str) -> ModuleType:
    """MMAction2's own ``tools/NAME.py``.

    Raises:
        FileNotFoundError: MMAction2 was installed without its tools.
    """
    path = upstream_tools() / f'{name}.py'
    spec = importlib.util.spec_from_file_location(f'mmaction_tools_{name}', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def find_upstream_tool(name: str) -> Path:
    """A tool of MMAction2's by its file's name, by its path in ``tools``, or by any path.

    Raises:
        ValueError: There is no such tool, or there are several.
    """
    if name.endswith('.py') and Path(name).is_file():
        return Path(name)
    folder = upstream_tools()
    tools = {path.relative_to(folder).with_suffix(''): path for path in folder.rglob('*.py')}
    wanted = Path(name.removesuffix('.py').removeprefix('tools/')).parts
    found = [tool for tool in tools if tool.parts[-len(wanted) :] == wanted]
    if len(found) == 1:
        return tools[found[0]]
    if found:
        several = ', '.join(sorted(map(str, found)))
        raise ValueError(f'{name}: several tools of MMAction2 have this name: {several}')
    closest = _closest(wanted[-1], {tool.name for tool in tools})
    raise ValueError(f'{name}: neither a file nor a tool of MMAction2{closest}')


def check_overrides(cfg: Config, overrides: dict | None) -> dict:
    """``--cfg-options``, completed by :func:`.complete_overrides`; refuses what has no effect.

    That is a key whose first part neither the config nor the Runner knows: MMEngine would take it
    and never read it. Deeper keys are checked by what they build.

    Raises:
        ValueError: Names the key and the closest known ones, or those to give instead.
    """
    overrides = overrides or {}
    used = read_keys()
    known = {*cfg.keys(), *used}
    for key in overrides:
        top = key.split('.')[0]
        if top not in known:
            instead = f'; set {TODAY[top]}' if top in TODAY else _closest(top, known)
            raise ValueError(f'--cfg-options {key}: no such config key{instead}')
    return complete_overrides(cfg, overrides, used)


def _closest(name: str, known: Iterable[str]) -> str:
    matches = get_close_matches(name, sorted(known), n=3)
    return f'; did you mean {" or ".join(matches)}?' if matches else ''


def explain(error: BaseException) -> str:
    """One sentence for ``error``: the line that matters, and what would have been right."""
    if isinstance(error, URLError):
        return f'{_address(error)} cannot be downloaded: {error.reason}; {WITHOUT_A_NETWORK}'
    sentence = _line_that_matters(error)
    unknown = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", sentence)
    if unknown:
        accepted = _accepted_arguments(unknown[1])
        if accepted:
            hint = _closest(unknown[2], accepted) or f'; accepted are {", ".join(accepted)}'
            sentence += hint
    missing = re.search(r"'?(\w+) is not in the (\w+)::([\w ]+) registry", sentence)
    if missing:
        names = [name for registry in _registries() for name in registry.module_dict]
        sentence = f'{missing[1]!r} is not a registered {missing[3]}{_closest(missing[1], names)}'
    return _with_its_file(explain_dead_worker(error, sentence), error)


def _address(error: URLError) -> str:
    """What was being downloaded, by the functions of torch and MMEngine that do."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if isinstance(url := frame.f_locals.get('url'), str):
            return url
    return 'a file'


def _with_its_file(sentence: str, error: BaseException) -> str:
    """Name the file that was being written, or the config that was being read, if none is named."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][::-1]
    if isinstance(error, OSError) and not error.filename:
        for value in (value for frame in frames for value in frame.f_locals.values()):
            if isinstance(value, io.IOBase) and isinstance(getattr(value, 'name', None), str):
                return f'{sentence}: {value.name}'  # as of a full disk, when it is flushed
    for frame in frames:
        file = frame.f_locals.get('filename')
        reads = frame.f_code.co_name in ('_file2dict', '_is_lazy_import')  # functions of MMEngine
        if reads and file and str(file) not in sentence:
            if isinstance(error, UnicodeDecodeError):
                try:
                    read_text(Path(file))
                except ValueError as with_line:
                    return str(with_line)
            return f'{file}: {sentence}'
    return sentence


def _line_that_matters(error: BaseException) -> str:
    # str() of a KeyError is the repr of its key.
    message = error.args[0] if isinstance(error, KeyError) and error.args else error
    lines = [line for line in str(message).splitlines() if line.strip()]
    tracebacks = [i for i, line in enumerate(lines) if 'Traceback (most recent call last)' in line]
    if tracebacks:  # a DataLoader worker's error carries the worker's: what follows its frames
        after = lines[tracebacks[-1] + 1 :]
        lines = [line for line in after if not line.startswith(' ')] or lines
    text = '\n'.join(lines)
    if 'Weights only load failed' in text:  # torch.load surrounds its reason with advice
        if problem := not_plain_data(text):
            return f'the checkpoint {problem}'
    if PEER_GONE.search(text):
        return f'another process of this job has ended, its own error says why ({lines[0].strip()})'
    if PEER_SILENT.search(text):
        return (
            'another process of this job did not answer in time, which '
            f'env_cfg.dist_cfg.timeout sets, in seconds ({lines[0].strip()})'
        )
    if not lines:
        return type(error).__name__
    first = lines[0].strip()
    if first.endswith(':') and len(lines) > 1:
        first += f' {lines[1].strip()}'
    return first if ' ' in first else f'{type(error).__name__}: {first}'


def _registries() -> list:
    from mmaction import registry
    from mmengine.registry import Registry

    return [value for value in vars(registry).values() if isinstance(value, Registry)]


def _accepted_arguments(class_name: str) -> list[str]:
    for registry in _registries():
        cls = registry.module_dict.get(class_name)
        if inspect.isclass(cls):
            bases = [base for base in cls.__mro__ if '__init__' in vars(base)]
            names = dict.fromkeys(
                name for base in bases[:-1] for name in inspect.signature(base).parameters
            )
            return [name for name in names if name not in ('self', 'args', 'kwargs')]
    return []


def run(main: Callable[[], None]) -> None:
    """Run ``main``; after a failure the last line is one sentence, the status 1.

    The traceback goes to the run's log file; to the screen where there is none yet. What a terminal
    cannot show, as of a class's name, it shows as its number.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        ignore_dead_workers()
        sentence = explain(error)
        if file := _log(sentence, error):
            print(f'\ntraceback: {file}', file=sys.stderr)
        else:
            traceback.print_exc()
            print(file=sys.stderr)
        print(f'error: {_process()}{sentence}', file=sys.stderr, flush=True)
        sys.exit(1)


def _process() -> str:
    """``process 1 of 4, on HOST: `` where there are several."""
    rank, processes = os.environ.get('RANK'), os.environ.get('WORLD_SIZE', '1')
    several = rank is not None and processes != '1'
    return f'process {rank} of {processes}, on {socket.gethostname()}: ' if several else ''


def _log(sentence: str, error: Exception) -> str | None:
    """Write the traceback to the current logger's file; None where there is none."""
    logger = MMLogger.get_current_instance()
    files = [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    frame = traceback.extract_tb(error.__traceback__)[-1]
    record = logger.makeRecord(
        logger.name,
        logging.ERROR,
        frame.filename,
        frame.lineno,
        sentence,
        (),
        (type(error), error, error.__traceback__),
        frame.name,
    )
    for handler in files:
        handler.handle(record)
    return files[0].baseFilename if files else None
