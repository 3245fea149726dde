"""Do requirements/lock*.txt agree with setup.cfg and constraints.txt, and with what is installed?

python .ci/check_lock.py --installed
"""

import argparse
import configparser
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ('3.10.0', '3.11.0', '3.12.0', '3.13.0')
OTHER_EXTRAS = {'demo', 'upstream', 'test-extras'}  # have a lock of their own: an older Pillow
# A virtual environment's own, this project, and torch, which brings more for some machines.
NOT_LOCKED = {'pip', 'mmaction-emim', 'torch', 'torchvision', 'triton'}


def read(path: Path) -> list[Requirement]:
    """The requirements of a file; hashes are left out."""
    lines = (line.split(' --hash')[0].rstrip('\\ ') for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if re.match(r'[A-Za-z]', line)]


def declared(setup: Path) -> tuple[list[Requirement], list[Requirement], list[Requirement]]:
    """What setup.cfg always needs, and what its extras add: those of lock-dev, the others."""
    config = configparser.ConfigParser()
    config.read(setup)

    def parsed(text: str) -> list[Requirement]:
        return [Requirement(line) for line in text.splitlines() if line and line[0] != '#']

    dev, others = [], []
    for name, needs in config['options.extras_require'].items():
        (others if name in OTHER_EXTRAS else dev).extend(parsed(needs))
    return parsed(config['options']['install_requires']), dev, others


def pins(requirements: Iterable[Requirement], python: str) -> dict[str, str]:
    """Versions by name, for Linux on x86-64."""
    place = dict(
        python_full_version=python,
        python_version=python.rsplit('.', 1)[0],
        sys_platform='linux',
        platform_machine='x86_64',
        platform_system='Linux',
    )
    return {
        canonicalize_name(need.name): str(need.specifier).removeprefix('==')
        for need in requirements
        if not need.marker or need.marker.evaluate(place)
    }


def without_hash(path: Path) -> Iterator[str]:
    """Lines that pin a version and no file."""
    pinned = ''
    for line in path.read_text().splitlines():
        if '==' in line:
            if pinned:
                yield pinned
            pinned = line
        if '--hash=sha256:' in line:
            pinned = ''
    if pinned:
        yield pinned


def problems(root: Path) -> Iterator[str]:
    """A sentence for each disagreement of the files."""
    folder = root / 'requirements'
    for path in sorted(folder.glob('lock*.txt')):
        yield from (f'{path.name}: no hash of {line}' for line in without_hash(path))
    needs, dev, others = declared(root / 'setup.cfg')
    constraints = read(root / 'constraints.txt')
    for python in PYTHONS:
        base = pins(read(folder / 'lock.txt'), python)
        full = pins(read(folder / 'lock-dev.txt'), python)
        extras = pins(read(folder / 'lock-extras.txt'), python)
        for name, version in base.items():
            if full.get(name) != version:
                yield f'Python {python}: {name} {version} in lock.txt, {full.get(name)} in lock-dev'
        for name, version in pins(constraints, python).items():
            for lock in (full, extras):
                if lock.get(name, version) != version:
                    yield f'Python {python}: {name} {version} in constraints, {lock[name]} locked'
        for lock, wanted in ((base, needs), (full, needs + dev), (extras, needs + others)):
            for need in wanted:
                name = canonicalize_name(need.name)
                if name not in lock and name not in NOT_LOCKED:
                    yield f'Python {python}: {name} of setup.cfg is not locked'
                elif name in lock and not need.specifier.contains(lock[name]):
                    yield f'Python {python}: {name} {lock[name]} is locked, setup.cfg has {need}'
    torch = pins(read(folder / 'torch-cpu.txt'), PYTHONS[0])['torch']
    if torch != pins(constraints, PYTHONS[0])['torch']:
        yield f'torch {torch} in torch-cpu.txt is not that of constraints.txt'


def differences(root: Path) -> Iterator[str]:
    """A sentence for each distribution that is installed otherwise than locked."""
    python = '.'.join(map(str, sys.version_info[:3]))
    lock = pins(read(root / 'requirements' / 'lock-dev.txt'), python)
    loose = NOT_LOCKED | {need.name for need in read(root / 'requirements' / 'unlocked.txt')}
    found = {canonicalize_name(dist.name): dist.version for dist in distributions()}
    for name in sorted(lock.keys() | found.keys()):
        ours = lock.get(name)
        theirs = found.get(name)
        if name in loose or name.startswith('nvidia-') or (ours and not theirs):
            continue  # lock.txt alone may be installed
        if ours is None or Version(ours) != Version(theirs):
            yield f'{name} {theirs} is installed, {ours or "nothing"} is locked'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--installed', action='store_true', help='compare what is installed, too')
    args = parser.parse_args()
    found = [*problems(ROOT), *(differences(ROOT) if args.installed else ())]
    if found:
        sys.exit('\n'.join([*found, 'error: run `make lock`, or install what is locked']))


if __name__ == '__main__':
    main()
