"""Install the newest versions that setup.cfg allows, run the tests, say which version breaks what.

    python .ci/newest.py --keep torch triton -- tests/datasets tests/ops

In a virtual environment of its own. Where tests fail, each distribution that differs from the lock
is put back to its locked version, alone, and the tests that failed run again.
"""

import argparse
import json
import re
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

from check_lock import ROOT, pins, read
from packaging.utils import canonicalize_name


class Environment:
    """A virtual environment."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / 'bin' / 'python'
        if not self.python.exists():
            venv.create(folder, with_pip=True)

    def pip(self, *arguments: str) -> str:
        return self.run('-m', 'pip', *arguments, check=True).stdout

    def run(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [self.python, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            sys.exit(f'{done.stdout}{done.stderr}\nerror: {" ".join(arguments)}')
        return done

    def versions(self) -> dict[str, str]:
        listed = json.loads(self.pip('list', '--format=json'))
        return {canonicalize_name(entry['name']): entry['version'] for entry in listed}

    def failing(self, tests: list[str]) -> list[str]:
        """Ids of the tests that fail; the folders that cannot be collected, too."""
        done = self.run('-m', 'pytest', '-q', '--tb=no', '-rfE', '-p', 'no:cacheprovider', *tests)
        found = re.findall(r'^(?:FAILED|ERROR) (.+?)(?: - .*)?$', done.stdout, flags=re.MULTILINE)
        if done.returncode not in (0, 1) and not found:
            sys.exit(f'{done.stdout}{done.stderr}\nerror: the tests did not run')
        return list(dict.fromkeys(found))


def install_newest(env: Environment, keep: list[str], locked: dict[str, str]) -> None:
    kept = [f'{name}=={locked[name]}' for name in map(canonicalize_name, keep)]
    if kept:
        env.pip('install', *kept)
    env.pip('install', '--upgrade', '--upgrade-strategy', 'eager', *kept, '-e', '.[test]')
    env.pip('install', '--no-deps', 'mmaction2==1.2.0')  # not required where decord has no wheels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--keep', nargs='*', default=[], help='distributions as they are locked')
    parser.add_argument('--venv', type=Path, help='folder of the environment; default: a temporary')
    parser.add_argument('tests', nargs='*', default=['tests'])
    args = parser.parse_args()
    python = '.'.join(map(str, sys.version_info[:3]))
    files = ('constraints.txt', 'requirements/lock-dev.txt')
    locked = {k: v for file in files for k, v in pins(read(ROOT / file), python).items()}
    if lacking := [name for name in args.keep if canonicalize_name(name) not in locked]:
        parser.error(f'--keep: not locked: {", ".join(lacking)}')
    with TemporaryDirectory() as folder:
        env = Environment(args.venv or Path(folder, 'venv'))
        install_newest(env, args.keep, locked)
        newer = {
            name: version
            for name, version in env.versions().items()
            if version.split('+')[0] != locked.get(name, version).split('+')[0]
        }
        print('newer than locked:')
        print(
            *(f'  {name} {locked[name]} -> {version}' for name, version in newer.items()), sep='\n'
        )
        failed = env.failing(args.tests)
        causes = {test: [] for test in failed}
        for name, version in newer.items() if failed else ():
            env.pip('install', '--no-deps', f'{name}=={locked[name]}')
            for test in set(failed) - set(env.failing(failed)):
                causes[test].append(f'{name} {version}')
            env.pip('install', '--no-deps', f'{name}=={version}')
    for test, names in causes.items():
        print(f'{test}: {"breaks with " + " or ".join(names) if names else "no single one is why"}')
    sys.exit(f'error: {len(failed)} tests fail' if failed else 0)


if __name__ == '__main__':
    main()
