"""From a table with several labels a clip to a trained, tested network, its report, its answers."""

import csv
import json
import re

import pytest

from ..several_labels import COLOURS, write_clips


def options(epochs, batch=8):
    loaders = [f'{split}_dataloader' for split in ('train', 'val', 'test')]
    return [
        '--cfg-options',
        f'train_cfg.max_epochs={epochs}',
        f'train_cfg.val_interval={epochs}',
        f'default_hooks.checkpoint.interval={epochs}',
        'default_hooks.logger.interval=1',
        f'train_dataloader.batch_size={batch}',
        *(f'{loader}.num_workers=0' for loader in loaders),
        *(f'{loader}.persistent_workers=False' for loader in loaders),
    ]


def prepared(folder, call, count, *more):
    table, out = write_clips(folder / 'clips', count), folder / 'data' / 'colours'
    done = call(
        'tools/data/own/prepare.py', str(table), str(out), '--multi-label', '--network', 'tiny',
        '--workers', '1', *more,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out, out / 'colours.py', done.stdout


@pytest.fixture(scope='module')
def trained(tmp_path_factory, call):
    """One epoch on 20 clips, and the test's dump; a clip of the test is cut short after that."""
    folder = tmp_path_factory.mktemp('several')
    out, config, said = prepared(folder, call, 20, '--val', '0.3')
    work = folder / 'work'
    done = call('tools/train.py', str(config), '--work-dir', str(work), *options(1))
    assert done.returncode == 0, done.stderr
    log = done.stdout + done.stderr
    first = re.match(r'.*\.mp4', (out / 'val.txt').read_text())[0]
    clip = folder / 'clips' / first
    clip.write_bytes(clip.read_bytes()[:300])
    done = call(
        'tools/test.py', str(config), str(work / 'epoch_1.pth'), '--work-dir', str(work),
        '--dump', str(folder / 'result.pkl'), *options(1),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(folder=folder, out=out, config=config, said=said, log=log, first=first,
                work=work, tested=done.stdout + done.stderr)  # fmt: skip


def test_the_lists_hold_every_label(trained):
    labels = sorted(COLOURS)
    assert (trained['out'] / 'label_map.txt').read_text().split() == labels
    with open(trained['folder'] / 'clips' / 'labels.csv') as file:
        table = {row['path']: set(row['class'].split('|')) for row in csv.DictReader(file)}
    listed = {}
    for split in ('train', 'val'):
        for line in (trained['out'] / f'{split}.txt').read_text().splitlines():
            path, numbers = re.fullmatch(r'(.*\.mp4) ([0-9 ]+)', line).groups()
            listed[path] = {labels[int(number)] for number in numbers.split()}
    assert listed == table and {len(x) for x in table.values()} == {1, 2}
    for name in labels:  # of each class about the share that was asked for
        counts = trained['said'].split('\n' + name)[1].split()
        assert int(counts[0]) > int(counts[1]) > 0


def test_training_counts_labels_and_validates_by_average_precision(trained):
    counts = re.search(r'clips a class: blue (\d+), green (\d+), red (\d+)', trained['log'])
    lines = (trained['out'] / 'train.txt').read_text().splitlines()
    assert sum(map(int, counts.groups())) > len(lines)
    assert 'acc/mean_average_precision:' in trained['log'] and 'top1' not in trained['log']
    losses = [float(x) for x in re.findall(r'  loss: ([\d.]+)', trained['log'])]
    assert losses and all(0.3 < loss < 1.5 for loss in losses)  # at first ln 2, for each class


def test_a_failed_clip_ends_no_test_and_is_reported(trained, call):
    assert 'acc/failed_clips: 1' in trained['tested']
    folder = trained['folder']
    arguments = [str(folder / 'result.pkl'), str(trained['out'] / 'label_map.txt')]
    more = ['--out', str(folder / 'report'), '--clips', str(folder / 'clips')]
    done = call('tools/analysis_tools/class_accuracy.py', *arguments, *more, '--threshold', '0.4')
    assert done.returncode == 0, done.stderr
    mean = re.search(r'mean average precision (0\.\d+)', done.stdout)[1]
    said = re.search(r'acc/mean_average_precision: (0\.\d+)', trained['tested'])[1]
    assert float(mean) == pytest.approx(float(said), abs=1e-4)
    assert 'at a probability of 0.4' in done.stdout and '1 could not be read' in done.stdout
    page = (folder / 'report' / 'classes.html').read_text()
    assert trained['first'] in page.split('Could not be read')[1]
    assert 'href="../clips/a%20clip%20' in page
    done = call('tools/analysis_tools/class_accuracy.py', *arguments, '--out', str(folder / 'two'))
    assert 'classes.html: clips are no links without --clips' in done.stdout


def test_answers_by_threshold(trained, call):
    clip = trained['folder'] / 'clips' / 'a clip 0.mp4'
    out = trained['folder'] / 'answers'
    arguments = [str(clip), str(trained['config']), str(trained['work'] / 'epoch_1.pth')]
    files = [f'{out}.json', f'{out}.csv', f'{out}.png']
    written = [x for file in files for x in ('--out', file)]
    done = call('demo/demo.py', *arguments, '--threshold', '0.01', '--top-k', '1', *written)
    assert done.returncode == 0, done.stderr
    assert 'sigmoid' in done.stdout and 'a probability of 0.01 or more' in done.stdout
    answers = json.loads((trained['folder'] / 'answers.json').read_text())
    (one,) = answers['predictions']
    assert answers['threshold'] == 0.01 and sorted(one['labels']) == [0, 1, 2]
    assert [guess['label'] for guess in one['top']] == one['labels']  # all that are there
    rows = list(csv.DictReader(open(f'{out}.csv')))
    assert [row['there'] for row in rows] == ['yes'] * 3
    done = call('demo/demo.py', *arguments, '--threshold', '0.999', '--out', f'{out}.csv')
    assert '(none)' in done.stdout
    assert [row['there'] for row in csv.DictReader(open(f'{out}.csv'))] == ['no'] * 3


def test_a_stream_says_all_that_are_there(trained, call):
    clip, out = trained['folder'] / 'clips' / 'a clip 0.mp4', trained['folder'] / 'stream'
    arguments = [str(clip), str(trained['config']), str(trained['work'] / 'epoch_1.pth')]
    files = [f'{out}.json', f'{out}.csv']
    written = [x for file in files for x in ('--out', file)]
    done = call('demo/stream.py', *arguments, '--threshold', '0.01', '--top-k', '1', *written)
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[0]
    assert all(name in line for name in COLOURS) and len(re.findall(r'0\.\d{3}  ', line)) == 3
    assert 'answer: the classes with a probability of 0.01 or more' in done.stdout
    timeline = json.loads((trained['folder'] / 'stream.json').read_text())
    (window,) = timeline['windows']
    assert sorted(window['labels']) == [0, 1, 2] and timeline['threshold'] == 0.01
    assert [row['there'] for row in csv.DictReader(open(files[1]))] == ['yes'] * 3
    done = call('demo/stream.py', *arguments, '--threshold', '0.999', '--out', files[1])
    assert done.stdout.splitlines()[0].endswith('  (none)')
    assert [row['there'] for row in csv.DictReader(open(files[1]))] == ['no'] * 3


def test_one_clear_sentence(trained, call, tmp_path):
    done = call('demo/demo.py', '--threshold', '0.3')
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('error: threshold is for networks with several')
    done = call('tools/data/own/prepare.py', str(tmp_path), str(tmp_path / 'x'), '--multi-label')
    assert done.stderr.splitlines()[-1].endswith(
        '--multi-label are for tables, and this is a folder'
    )
    table = trained['folder'] / 'clips' / 'twice.csv'
    clips = [f'a clip {i}.mp4' for i in range(1, 8)]
    rows = [f'{clip},{label}' for i, clip in enumerate(clips) for label in 'ab'[: 1 + i % 2]]
    table.write_text('path,class\n' + '\n'.join([*rows, f'{clips[0]},b']) + '\n')
    done = call('tools/data/own/prepare.py', str(table), str(tmp_path / 'y'), '--workers', '1')
    assert '--multi-label' in done.stdout + done.stderr


@pytest.mark.slow
def test_it_learns(tmp_path, call):
    _, config, _ = prepared(tmp_path, call, 80)
    work = tmp_path / 'work'
    done = call('tools/train.py', str(config), '--work-dir', str(work), *options(12))
    assert done.returncode == 0, done.stderr
    found = re.findall(r'acc/mean_average_precision: ([\d.]+)', done.stdout + done.stderr)
    assert float(found[-1]) > 0.95  # half of the clips have a class, which is chance
