"""The model zoo: metafile.yml of each folder of configs, and the README tables made from them.

    python tools/zoo.py             # count parameters and FLOPs of new configs, write everything
    python tools/zoo.py --recount   # count all again
    python tools/zoo.py --check     # exit with 1 unless what is written is whole and consistent;
                                    # with --recount also parameters and FLOPs

A folder of configs with a README.md is a collection; the README begins with its name, and its
paper's title and address. Results and weights are entered by hand in a metafile, measured by this
project; they are kept. FLOPs are multiply-accumulates of one test view.
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
import re
from pathlib import Path

import yaml
from mmengine.config import Config
from mmengine.logging import MMLogger

from mmaction_emim.apis import cost, without_motion
from mmaction_emim.evaluation.protocol import data_name, input_shape, test_views
from mmaction_emim.utils.command_line import run

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
COSTS = ('Parameters', 'FLOPs', 'Parameters without Motion', 'FLOPs without Motion')
PAPER = re.compile(
    r'# (?P<Name>[^\n]+)\n.*?(?<!\*)\*(?P<Title>[^*]+)\*(?!\*).*?\]\((?P<URL>[^)]+)\)', re.DOTALL
)
TABLE = re.compile(r'<!-- zoo -->\n.*?<!-- /zoo -->', re.DOTALL)


def settings(cfg: Config) -> dict:
    """What a config says of itself."""
    T, H, W = input_shape(cfg)
    return {
        'Training Data': data_name(cfg),
        'Frames': T,
        'Views': '{} x {}'.format(*test_views(cfg)),
        'Resolution': f'{H}x{W}',
        'Epochs': cfg.train_cfg.max_epochs,
        'Batch Size': cfg.train_dataloader.batch_size,
    }


def counted(cfg: Config) -> dict:
    """What its network costs, with and without its motion modules."""
    without = Config({**cfg, 'model': without_motion(cfg.model)})
    costs = [*cost(cfg), *cost(without)]
    return {
        key: f'{count / 1e6:.2f}M' if 'Parameters' in key else f'{count / 1e9:.1f}G'
        for key, count in zip(COSTS, costs, strict=True)
    }


def recounted(cfg: Config, name: str) -> dict:
    """As :func:`counted`; nothing, in words, where the library of its encoder is not installed."""
    try:
        return counted(cfg)
    except ImportError as error:
        print(f'{name}: not counted: {error}', flush=True)
        return {}


def collection(folder: str) -> dict:
    """A folder of configs as OpenMIM's index has it.

    Raises:
        ValueError: Its README does not begin with a name, a paper's title and its address.
    """
    readme = f'configs/{folder}/README.md'
    found = PAPER.match((CONFIGS.parent / readme).read_text())
    if not found:
        raise ValueError(f'{readme}: expected "# NAME", then "*TITLE*", then "[…](URL)"')
    paper = {key: ' '.join(found[key].split()) for key in ('URL', 'Title')}
    return {'Name': found['Name'], 'README': readme, 'Paper': paper}


def metafile(folder: str, recount: bool) -> dict:
    """The folder's metafile, completed."""
    index_entry = collection(folder)
    file = CONFIGS / folder / 'metafile.yml'
    known = {model['Name']: model for model in read(file).get('Models', [])}
    models = []
    for path in sorted((CONFIGS / folder).glob('*.py')):
        model, cfg = known.get(path.stem, {}), Config.fromfile(path)
        costs = {key: value for key, value in model.get('Metadata', {}).items() if key in COSTS}
        if recount or len(costs) < len(COSTS):
            print(path.stem, flush=True)
            costs |= recounted(cfg, path.stem)
        model = {**model, 'Metadata': {**settings(cfg), **costs}}
        entry = {'Name': path.stem, 'Config': f'configs/{folder}/{path.name}'}
        models.append({**entry, 'In Collection': index_entry['Name'], **model, 'Modality': 'RGB'})
    return {'Collections': [index_entry], 'Models': models}


def check_metadata(file: Path, model: dict, recount: bool) -> None:
    """Compare a metafile's entry with its config.

    Raises:
        ValueError: They differ; the message names what.
    """
    cfg = Config.fromfile(CONFIGS.parent / model['Config'])
    for key, value in (settings(cfg) | (recounted(cfg, model['Name']) if recount else {})).items():
        if (found := model['Metadata'].get(key)) != value:
            raise ValueError(f'{file}: {model["Name"]}: {key} is {value}, not {found}')
    if missing := set(COSTS) - model['Metadata'].keys():
        raise ValueError(f'{file}: {model["Name"]}: no {min(missing)}; run tools/zoo.py')


def read(file: Path) -> dict:
    return yaml.safe_load(file.read_text()) if file.exists() else {}


def table(meta: dict) -> str:
    """A markdown table of a metafile's models."""
    lines = [
        '| config | data | clips x crops | test view (T x H x W) | params without motion (M) '
        '| with | GMACs a view without motion | with | top-1 |',
        '|---|---|---|---|---|---|---|---|---|',
    ]
    for model in meta['Models']:
        of, path = model['Metadata'], Path(model['Config'])
        results = model.get('Results')
        top1 = results[0]['Metrics']['Top 1 Accuracy'] if results else 'not yet trained here'
        view = f'{of["Frames"]} x {of["Resolution"].replace("x", " x ")}'
        cells = [f'[{path.stem}]({path.name})', of['Training Data'], of['Views'], view]
        cells += [of[key].rstrip('MG') for key in (COSTS[2], COSTS[0], COSTS[3], COSTS[1])]
        cells.append(top1)
        lines.append('| ' + ' | '.join(map(str, cells)) + ' |')
    return '\n'.join(lines)


def written(meta: dict) -> str:
    return yaml.safe_dump(meta, sort_keys=False, width=100)


def with_table(readme: str, meta: dict) -> str:
    """The README's text with its table made anew.

    Raises:
        ValueError: It has no place for one.
    """
    if not TABLE.search(readme):
        raise ValueError('README.md: no <!-- zoo --> and <!-- /zoo --> to put the table between')
    return TABLE.sub(lambda _: f'<!-- zoo -->\n{table(meta)}\n<!-- /zoo -->', readme)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--recount', action='store_true')
    parser.add_argument('--check', action='store_true')
    args = parser.parse_args()
    MMLogger.get_instance('zoo', log_level='ERROR')  # no table of layers for each network

    files = {}
    folders = sorted(readme.parent.name for readme in CONFIGS.glob('*/README.md'))
    for folder in folders:
        file, readme = CONFIGS / folder / 'metafile.yml', CONFIGS / folder / 'README.md'
        if args.check:
            meta = read(file)
            if meta.get('Collections') != [collection(folder)]:
                raise ValueError(f'{file}: Collections: not what tools/zoo.py writes; run it')
            names = {model['Name'] for model in meta.get('Models', [])}
            paths = {path.stem for path in (CONFIGS / folder).glob('*.py')}
            if names != paths:
                raise ValueError(f'{file}: its models and the configs differ: {names ^ paths}')
            for model in meta['Models']:
                check_metadata(file, model, args.recount)
        else:
            meta = metafile(folder, args.recount)
            files[file] = written(meta)
        files[readme] = with_table(readme.read_text(), meta)
    imports = [f'configs/{folder}/metafile.yml' for folder in folders]
    files[CONFIGS.parent / 'model-index.yml'] = written({'Import': imports})
    for file, text in files.items():
        if not args.check:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            raise ValueError(f'{file}: not what tools/zoo.py writes; run it')


if __name__ == '__main__':
    run(main)
