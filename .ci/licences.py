"""Licences of what is installed beside this project, and what FFmpeg says of itself in them.

python .ci/licences.py            # the tables of docs/supply.md
python .ci/licences.py --check    # status 1 where a licence is not known
"""

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions

OWN = {'mmaction-emim'}
# Names as distributions write them, without parentheses; what they mean is on the page.
KNOWN = {
    '0BSD', '3-Clause BSD License', 'Apache 2.0', 'Apache Software License', 'Apache-2.0',
    'BSD License', 'BSD-2-Clause', 'BSD-3-Clause', 'BSL-1.0', 'CC0-1.0',
    'GNU General Public License GPL', 'ISC License ISCL', 'LLVM-exception', 'MIT', 'MIT License',
    'MIT-CMU',
    'Mozilla Public License 2.0 MPL 2.0', 'MPL-2.0', 'PSF-2.0', 'Public Domain',
    'Python Software Foundation License', 'Zlib',
}  # fmt: skip
WORDS = rb'lib(?:av|sw)\w+ license: ([^\0]+)'
OPTIONS = rb'--enable-(?:gpl|nonfree|version3|libx26[45])\b'


def licence(dist: Distribution) -> str:
    """As its metadata says: an SPDX expression, or classifiers, or words; ``''`` if nothing."""
    if expression := dist.metadata.get('License-Expression'):
        return expression
    classifiers = dist.metadata.get_all('Classifier') or []
    names = [c.split(' :: ')[-1] for c in classifiers if c.startswith('License :: ')]
    if names := [name for name in names if name != 'OSI Approved']:
        return ' AND '.join(sorted(names))
    return (dist.metadata.get('License') or '').strip().split('\n')[0]


def unknown(expression: str) -> list[str]:
    """The licences of an expression that nobody has looked at."""
    names = re.split(r' (?:AND|OR|WITH) ', re.sub(r'[()]', '', expression))
    return [name for name in names if name not in KNOWN]


def ffmpeg(dist: Distribution) -> tuple[list[str], list[str]]:
    """What the FFmpeg in a wheel calls its licence, and how it was built as far as that matters."""
    words, options = set(), set()
    for file in dist.files or ():
        if re.match(r'lib(av|sw)\w+-\w+\.so', file.name):
            data = file.locate().read_bytes()
            words |= {found.decode() for found in re.findall(WORDS, data)}
            options |= {found.decode() for found in re.findall(OPTIONS, data)}
    return sorted(words), sorted(options)


def installed() -> dict[str, Distribution]:
    found = {dist.name: dist for dist in distributions() if dist.name not in OWN}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def tables() -> Iterator[str]:
    """Lines of Markdown."""
    by_licence = defaultdict(list)
    for name, dist in installed().items():
        by_licence[licence(dist) or 'says none'].append(name)
    yield from ('| licence | distributions |', '|---|---|')
    for key in sorted(by_licence, key=str.lower):
        yield f'| {key} | {", ".join(by_licence[key])} |'
    yield from ('', '| FFmpeg in | calls its licence | built with |', '|---|---|---|')
    for name, dist in installed().items():
        words, options = ffmpeg(dist)
        if words:
            yield f'| {name} {dist.version} | {", ".join(words)} | {" ".join(options) or "-"} |'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='only tell unknown licences')
    if not parser.parse_args().check:
        print(*tables(), sep='\n')
        return
    found = {name: unknown(licence(dist)) for name, dist in installed().items()}
    lines = [f'{name}: {" and ".join(map(repr, new))}' for name, new in found.items() if new]
    sys.exit('\n'.join(['error: licences that are not known:', *lines]) if lines else 0)


if __name__ == '__main__':
    main()
