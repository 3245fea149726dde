import json
import math
from pathlib import Path

import numpy as np
import pytest

from mmaction_emim.visualization.curves import plot_curves, read_curves


def write_log(folder: Path, records, tail='') -> Path:
    log = folder / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(''.join(json.dumps(record) + '\n' for record in records) + tail)
    return log


def training(steps, per_epoch=7, **more):
    return [
        dict(lr=0.1, loss=1 / step, time=0.5, epoch=(step - 1) // per_epoch + 1, step=step, **more)
        for step in steps
    ]


def validation(step, top1):
    return {'acc/top1': top1, 'time': 0.2, 'step': step}


def by_epoch(epochs):
    """Logged at the 2nd, 4th and 6th iteration of an epoch of seven, validated after each."""
    for epoch in epochs:
        yield from training([(epoch - 1) * 7 + i for i in (2, 4, 6)])
        yield validation(epoch, epoch / 10)


def test_validations_are_at_the_iteration_that_their_epoch_ends_with(tmp_path):
    write_log(tmp_path / 'run', by_epoch([1, 2, 3]))
    run = read_curves(tmp_path / 'run')
    assert run.name == 'run' and not run.broken and not run.replaced
    assert run.points(run.val, 'acc/top1') == ([7, 14, 21], [0.1, 0.2, 0.3])
    steps, losses = run.points(run.train, 'loss')
    assert steps == [2, 4, 6, 9, 11, 13, 16, 18, 20] and losses[0] == 0.5


def test_iterations_stay_where_training_counts_them(tmp_path):
    records = training([10, 20])
    for record in records:
        del record['epoch']
    write_log(tmp_path, [*records, validation(20, 0.5)])
    run = read_curves(tmp_path / 'vis_data')
    assert run.points(run.val, 'acc/top1') == ([20], [0.5])


def test_a_resumed_run_is_one_and_what_it_did_again_counts_once(tmp_path):
    write_log(tmp_path / '20260101_000000', by_epoch([1, 2, 3]))
    write_log(tmp_path / '20260102_000000', by_epoch([3, 4]))  # the first was killed in epoch 3
    run = read_curves(tmp_path)
    assert run.name == tmp_path.name
    steps = [record['step'] for record in run.train]
    assert steps == sorted(set(steps)) and len(steps) == 12 and run.replaced == 3
    assert run.points(run.val, 'acc/top1') == ([7, 14, 21, 28], [0.1, 0.2, 0.3, 0.4])


def test_broken_lines_are_named_and_left_out(tmp_path):
    tail = '[1]\n{"loss": 1.0}\n\n{"lr": 0.1, "lo'
    log = write_log(tmp_path, training([1, 2]), tail)
    with open(log, 'ab') as file:
        file.write(b'\xff\n')
    run = read_curves(log, 'mine')
    assert run.name == 'mine' and len(run.train) == 2
    assert [line.split(': ')[0] for line in run.broken] == [f'{log}:{i}' for i in (3, 4, 6)]


@pytest.mark.parametrize('text', ['', 'hello\n'])
def test_a_file_without_a_record_is_refused(tmp_path, text):
    log = write_log(tmp_path, [], text)
    with pytest.raises(ValueError, match='no line of its 1 logs'):
        read_curves(log)
    with pytest.raises(FileNotFoundError, match='no log'):
        read_curves(tmp_path / 'vis_data' / 'x')


def test_what_a_page_shows(tmp_path):
    write_log(tmp_path / 'a', by_epoch([1, 2]))
    write_log(tmp_path / 'b', training([1, 2, 3], clips_per_s=8.0, top1_acc=0.25))
    records = training([1])
    records[0]['loss'] = math.nan
    write_log(tmp_path / 'c', records)
    figure = plot_curves([read_curves(tmp_path / name) for name in 'abc'])
    loss, accuracy, rate, speed = figure.axes
    assert [line.get_label() for line in loss.lines] == ['a', 'b', 'c']
    assert np.isnan(loss.lines[2].get_ydata()).all()
    assert [list(line.get_ydata()) for line in accuracy.lines[:3]] == [[0.1, 0.2], [], [0.25] * 3]
    assert list(rate.lines[1].get_ydata()) == [0.1] * 3
    assert list(speed.lines[0].get_ydata()) == [2.0] * 6  # iterations of half a second
    assert list(speed.lines[1].get_ydata()) == [8.0] * 3
    assert len({(line.get_color(), line.get_linestyle()) for line in loss.lines}) == 3


def test_several_labels_show_their_average_precision(tmp_path):
    validated = {'acc/mean_average_precision': 0.4, 'step': 1}
    write_log(tmp_path / 'run', [*training([1, 2]), validated])
    accuracy = plot_curves([read_curves(tmp_path / 'run')]).axes[1]
    assert list(accuracy.lines[0].get_ydata()) == [0.4] and 'mAP' in accuracy.get_title()
