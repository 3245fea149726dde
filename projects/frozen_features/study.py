"""Necks and heads on frozen image features: caches maps, trains every arm, tells what came out.

    python projects/frozen_features/study.py --wheels wheels --clips data

Wheels, protocol and arms: README.md. What was done is not done again, so that the command may be
stopped and given again.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # projects are not installed

from projects.frozen_features import ROOT, linear, runs

# isort: split

from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmaction_emim.utils.command_line import run
from mmaction_emim.utils.files import write_text
from projects.frozen_features.arms import ARMS
from projects.frozen_features.data import DATA, cache
from projects.frozen_features.encoders import SOURCES

RATES = (1e-2, 3e-3)
Result = dict[str, Any]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--wheels', type=Path, required=True, help='folder of the wheels')
    parser.add_argument('--clips', type=Path, required=True, help=f'folder of {", ".join(DATA)}')
    parser.add_argument('--out', type=Path, default=ROOT / 'work_dirs' / 'frozen_features')
    parser.add_argument('--encoders', nargs='+', choices=SOURCES, default=list(SOURCES))
    parser.add_argument('--data', nargs='+', choices=DATA, default=list(DATA))
    parser.add_argument('--arms', nargs='+', choices=ARMS, default=list(ARMS))
    parser.add_argument('--seeds', type=int, default=3, help='from 0 on; default: 3')
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error(f'--seeds must be 1 or more, got {args.seeds}')
    return args


class Results:
    """A line a result, in a file; what it has is not computed again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.found: list[Result] = [json.loads(line) for line in lines]

    def get(self, key: dict[str, Any], compute: Callable[[], Result]) -> Result:
        """The result with these fields, computed and written if it is not there."""
        for result in self.found:
            if all(result.get(name) == value for name, value in key.items()):
                return result
        result = {**key, **compute()}
        self.found.append(result)
        write_text(self.path, ''.join(json.dumps(line) + '\n' for line in self.found))
        return result


class Study:
    """An encoder on a data set.

    Args:
        encoder: One of SOURCES.
        name: One of DATA.
        args: The command's.
        results: Where they go.
    """

    def __init__(self, encoder: str, name: str, args: argparse.Namespace, results: Results) -> None:
        self.encoder, self.name, self.args, self.results = encoder, name, args, results
        self.data, self.folder = DATA[name], args.out / 'maps' / encoder / name
        self.key = dict(encoder=encoder, data=name)
        self.results.get({**self.key, 'kind': 'cache'}, self._cache)
        self.clips = runs.read(self.folder)
        for view in linear.VIEWS:
            fields = {**self.key, 'kind': 'linear', 'view': view}
            self.results.get(fields, partial(self._linear, view))

    def _cache(self) -> Result:
        start, cpu = time.perf_counter(), time.process_time()
        cache(self.encoder, self.args.wheels, self.data, self.args.clips / self.name, self.folder)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        return dict(cache_seconds=round(seconds, 1), cache_cpu_seconds=round(cpu, 1))

    def _linear(self, view: str) -> Result:
        return linear.result(view, self.clips, self.data.num_classes)

    def train(self, arm: str, lr: float, seed: int) -> Result:
        """The result of a run."""
        run = runs.Run(self.encoder, self.name, arm, lr, seed)
        fields = {**run._asdict(), 'kind': 'run'}
        result = self.results.get(fields, lambda: runs.execute(run, self.clips))
        right = ', '.join(f'{k} {v.count("1") / len(v):.3f}' for k, v in result['right'].items())
        print(f'{self.encoder} {self.name} {arm} {lr:g} {seed}: {right}', flush=True)
        return result


def main() -> None:
    args = parse_args()
    init_default_scope('mmaction')
    MMLogger.get_instance('frozen_features', log_level='WARNING')
    results = Results(args.out / 'results.jsonl')
    studies = [Study(e, name, args, results) for e in args.encoders for name in args.data]
    # Round by round, so that a study that is stopped early has every arm.
    arms = [(study, arm) for study in studies for arm in args.arms]
    tried = {pair: [] for pair in arms}
    for rate in RATES:
        for study, arm in arms:
            tried[study, arm].append(study.train(arm, rate, 0))
    for seed in range(1, args.seeds):
        for study, arm in arms:
            study.train(arm, runs.chosen_rate(tried[study, arm]), seed)


if __name__ == '__main__':
    run(main)
