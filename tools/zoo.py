"""The model zoo: metafile.yml of each folder of configs, and the README tables made from them.

    python tools/zoo.py             # count parameters and FLOPs of new configs, write everything
    python tools/zoo.py --recount   # count all again
    python tools/zoo.py --check     # exit with 1 unless what is written is whole and consistent;
                                    # with --recount also parameters and FLOPs

Results and weights are entered by hand in a metafile, measured by this project; they are kept.
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
import re
from pathlib import Path

import yaml
from mmengine.config import Config

from mmaction_emim.apis import cost
from mmaction_emim.evaluation.protocol import data_name, input_shape, test_views
from mmaction_emim.utils.command_line import run

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
COLLECTIONS = {
    'emim': ('EMIM', 'Explicit Motion Information Mining', 'https://arxiv.org/abs/2510.18705'),
    'm2a': (
        'M2A',
        'M2A: Motion Aware Attention for Accurate Video Action Recognition',
        'https://arxiv.org/abs/2111.09976',
    ),
    'ata': (
        'ATA',
        'Alignment-guided Temporal Attention for Video Action Recognition',
        'https://arxiv.org/abs/2210.00132',
    ),
}
COSTS = ('Parameters', 'FLOPs')
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
    """What its network costs."""
    parameters, macs = cost(cfg)
    return dict(zip(COSTS, (f'{parameters / 1e6:.2f}M', f'{macs / 1e9:.1f}G'), strict=True))


def metafile(folder: str, recount: bool) -> dict:
    """The folder's metafile, completed."""
    name, title, url = COLLECTIONS[folder]
    file = CONFIGS / folder / 'metafile.yml'
    known = {model['Name']: model for model in read(file).get('Models', [])}
    models = []
    for path in sorted((CONFIGS / folder).glob('*.py')):
        model, cfg = known.get(path.stem, {}), Config.fromfile(path)
        costs = {key: model['Metadata'][key] for key in COSTS} if model else {}
        if recount or not model:
            print(path.stem, flush=True)
            costs = counted(cfg)
        model = {**model, 'Metadata': {**settings(cfg), **costs}}
        entry = {'Name': path.stem, 'Config': f'configs/{folder}/{path.name}'}
        models.append({**entry, 'In Collection': name, **model, 'Modality': 'RGB'})
    paper = {'URL': url, 'Title': title}
    collection = {'Name': name, 'README': f'configs/{folder}/README.md', 'Paper': paper}
    return {'Collections': [collection], 'Models': models}


def check_metadata(file: Path, model: dict, recount: bool) -> None:
    """Compare a metafile's entry with its config.

    Raises:
        ValueError: They differ; the message names what.
    """
    cfg = Config.fromfile(CONFIGS.parent / model['Config'])
    for key, value in (settings(cfg) | (counted(cfg) if recount else {})).items():
        if (found := model['Metadata'].get(key)) != value:
            raise ValueError(f'{file}: {model["Name"]}: {key} is {value}, not {found}')


def read(file: Path) -> dict:
    return yaml.safe_load(file.read_text()) if file.exists() else {}


def table(meta: dict) -> str:
    """A markdown table of a metafile's models."""
    lines = [
        '| config | data | frames | views (clips x crops) | params | GFLOPs a view | top-1 |',
        '|---|---|---|---|---|---|---|',
    ]
    for model in meta['Models']:
        of, path = model['Metadata'], Path(model['Config'])
        results = model.get('Results')
        top1 = results[0]['Metrics']['Top 1 Accuracy'] if results else 'not yet trained here'
        cells = [f'[{path.stem}]({path.name})', of['Training Data'], of['Frames'], of['Views']]
        cells += [of['Parameters'].replace('M', ' M'), of['FLOPs'].removesuffix('G'), top1]
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

    files = {}
    for folder in COLLECTIONS:
        file, readme = CONFIGS / folder / 'metafile.yml', CONFIGS / folder / 'README.md'
        if args.check:
            meta = read(file)
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
    imports = [f'configs/{folder}/metafile.yml' for folder in COLLECTIONS]
    files[CONFIGS.parent / 'model-index.yml'] = written({'Import': imports})
    for file, text in files.items():
        if not args.check:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            raise ValueError(f'{file}: not what tools/zoo.py writes; run it')


if __name__ == '__main__':
    run(main)
