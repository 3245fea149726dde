"""Clips that fail: logged once, replaced in training, wrong in tests, and listed."""

import logging
import os
import re
import shutil
import signal
import time

import av
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate, worker_init_fn
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch.utils.data import ConcatDataset, DataLoader

from mmaction_emim.datasets import CheckedVideoDataset
from mmaction_emim.datasets.checked import ClipError
from mmaction_emim.utils.command_line import explain, run

CLIPS, BROKEN = 500, 25
SECONDS = 300  # that anything may take
PIPELINE = [
    dict(type='CheckedVideoInit'),
    dict(type='SampleSpan', clip_len=2),
    dict(type='DecordDecode'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('filename',)),
]


def broken_set(source, folder):
    """500 clips in ``folder``, every 20th broken in one of six ways; the broken ones' paths."""
    clips = [line.split() for line in (source / 'train.txt').read_text().splitlines()]
    lines, broken = [], set()
    for i in range(CLIPS):
        path, label = clips[i % len(clips)]
        whole = source / path
        own = folder / f'{i:03}{whole.suffix}'
        data = whole.read_bytes()
        way = i // 20 % 6 if i % 20 == 7 else None
        lines.append(f'{own.name} {label}\n')
        if way is None:
            shutil.copy(whole, own)
            continue
        broken.add(str(own))
        if way == 0:
            own.write_bytes(data[: len(data) // 2])
        elif way == 1:
            own.write_bytes(b'')
        elif way == 2:
            own.write_bytes(np.random.default_rng(i).bytes(4000))
        elif way == 3:  # the list has another extension than the file
            shutil.copy(whole, own.with_suffix('.avi'))
        elif way == 4:
            own.write_bytes(without_frames(folder / 'header.mp4'))
        # else: missing
    (folder / 'list.txt').write_text(''.join(lines))
    assert len(broken) == BROKEN
    return broken


def without_frames(path):
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = 'yuv420p'
        container.start_encoding()
    data = path.read_bytes()
    path.unlink()
    return data


@pytest.fixture(scope='module')
def data(motion_shapes, tmp_path_factory):
    folder = tmp_path_factory.mktemp('broken')
    return folder, broken_set(motion_shapes, folder)


def videos(folder, **options):
    init_default_scope('mmaction')
    options = {**dict(pipeline=PIPELINE, max_failed_share=0.06, num_classes=12), **options}
    return CheckedVideoDataset('list.txt', data_root=str(folder), **options)


def epoch(dataset, workers=2):
    """Labels and clips of one epoch, with the seeds that MMEngine gives the workers."""
    np.random.seed(3)
    loader = DataLoader(
        dataset,
        batch_size=10,
        num_workers=workers,
        collate_fn=pseudo_collate,
        worker_init_fn=lambda i: worker_init_fn(i, workers, rank=0, seed=3),
    )
    return [sample for batch in loader for sample in batch['data_samples']]


def test_training_takes_other_clips_of_the_same_seed(data, tmp_path):
    folder, broken = data
    handler = logging.FileHandler(tmp_path / 'log')  # the workers inherit it
    MMLogger.get_current_instance().addHandler(handler)
    dataset = videos(folder)
    runs = [[sample.filename for sample in epoch(dataset)] for _ in range(2)]
    assert runs[0] == runs[1] and len(runs[0]) == CLIPS and not broken & set(runs[0])
    assert len(set(runs[0])) < CLIPS - BROKEN + 1
    assert {dataset.path(i) for i in dataset.failed.nonzero().flatten().tolist()} == broken
    MMLogger.get_current_instance().removeHandler(handler)
    said = (tmp_path / 'log').read_text()
    assert all(said.count(f'{path}: clip') == 1 for path in broken)


def test_training_ends_once_too_many_failed(data):
    folder, _ = data
    with pytest.raises(ClipError, match=r'6 of 500 clips failed, max_failed_share is 0.01'):
        epoch(videos(folder, max_failed_share=0.01), workers=0)


def test_in_tests_a_failed_clip_keeps_its_label(data):
    folder, broken = data
    lines = (folder / 'list.txt').read_text().splitlines()
    samples = epoch(videos(folder, test_mode=True, max_failed_share=0))
    labels = [int(line.split()[1]) for line in lines]
    assert [sample.gt_label.item() for sample in samples] == labels
    assert [sample.filename for sample in samples] == [
        str(folder / line.split()[0]) for line in lines
    ]
    assert {sample.filename for sample in samples if sample.get('failed')} == broken


def test_in_tests_a_failed_clip_keeps_its_several_labels(data):
    folder, broken = data
    lines = [line.split() for line in (folder / 'list.txt').read_text().splitlines()[:20]]
    several = ''.join(f'{path} {label} 11\n' for path, label in lines)
    (folder / 'several.txt').write_text(several)
    options = dict(data_root=str(folder), num_classes=12, multi_class=True, test_mode=True)
    samples = epoch(CheckedVideoDataset('several.txt', PIPELINE, **options), workers=0)
    assert {sample.filename for sample in samples if sample.get('failed')} == {
        path for path in broken if path in {str(folder / path) for path, _ in lines}
    }
    for sample, (_, label) in zip(samples, lines, strict=True):
        assert sample.gt_label.nonzero().flatten().tolist() == sorted({int(label), 11})


@pytest.mark.parametrize('test_mode', [False, True])
@pytest.mark.parametrize('mount', [False, True], ids=['folder', 'mount'])
def test_a_folder_that_vanishes_ends_the_run_and_fails_no_clip(
    motion_shapes, tmp_path, test_mode, mount
):
    shutil.copytree(motion_shapes / 'train', tmp_path / 'clips' / 'train')
    shutil.copy(motion_shapes / 'train.txt', tmp_path / 'list.txt')
    dataset = videos(tmp_path, test_mode=test_mode, data_prefix=dict(video='clips'))
    dataset[0]
    (tmp_path / 'clips').rename(tmp_path / 'away')
    if mount:
        (tmp_path / 'clips').mkdir()
    with pytest.raises(ClipError, match='train/.*nor any other: the folder .*/clips is gone'):
        dataset[0]
    assert not dataset.failed.any()
    (tmp_path / 'away').rename(tmp_path / 'clips')
    dataset[0]


class Killed:
    """A transform during which the worker dies, of some clips."""

    def __init__(self, name):
        self.name = name

    def __call__(self, results):
        if self.name in results['filename']:
            os.kill(os.getpid(), 9)
        return results


@pytest.mark.parametrize('wrapped', [False, True])
def test_a_worker_that_dies_ends_the_epoch_and_its_clip_is_named(data, wrapped):
    dataset = videos(data[0], pipeline=[PIPELINE[0], Killed('000.'), *PIPELINE[1:]])
    with pytest.raises(RuntimeError) as caught:
        epoch(ConcatDataset([dataset]) if wrapped else dataset, workers=1)
    path = dataset.path(0)
    assert re.fullmatch(
        rf'DataLoader worker [^;]*; it was at the clip {re.escape(path)}', explain(caught.value)
    )
    assert dataset.clip_of_process(os.getpid()) is None
    assert videos(data[0], lazy_init=True).clip_of_process(os.getpid()) is None


class Closed:
    """The worker's connections are closed before it has ended, as the kernel does it.

    That is at a clip of this name, and when it is told; it notes that and waits until it is killed.
    """

    def __init__(self, name, folder):
        self.name, self.told, self.noted = name, folder / 'told', folder / 'noted'

    def __call__(self, results):
        if self.name in results['filename']:
            until(self.told.exists)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # its threads complain
            os.closerange(3, 1000)
            self.noted.touch()
            signal.pause()
        return results


def until(moment):
    deadline = time.monotonic() + SECONDS
    while not moment():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def closed(data, tmp_path):
    """A dataset, and batches of it: the first is on its way from a worker that has closed."""
    step = Closed('003.', tmp_path)
    dataset = videos(data[0], pipeline=[PIPELINE[0], step, *PIPELINE[1:]])
    batches = iter(DataLoader(dataset, 3, num_workers=1, collate_fn=pseudo_collate))
    assert batches._data_queue._reader.poll(SECONDS)
    step.told.touch()
    until(step.noted.exists)
    yield dataset, batches
    for worker in batches._workers:
        worker.kill()
        worker.join()  # before torch sees it, which would tell the rest of this process
    batches._shutdown_workers()


SAID = r'DataLoader worker \(pid \d+\) exited unexpectedly; it was at the clip '


def test_a_worker_that_dies_with_batches_on_their_way(closed):
    dataset, batches = closed
    with pytest.raises((ConnectionError, EOFError)) as caught:
        next(batches)
    assert re.fullmatch(SAID + re.escape(dataset.path(3)), explain(caught.value))


def test_its_end_is_seen_in_the_midst_of_that_sentence(closed, monkeypatch, capsys):
    """By torch, which raises an error wherever the process is then."""
    dataset, batches = closed

    def ended(pid):
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return dataset.path(3)

    monkeypatch.setattr(dataset, 'clip_of_process', ended)
    before = signal.getsignal(signal.SIGCHLD)
    try:
        with pytest.raises(SystemExit):
            run(lambda: next(batches))
    finally:
        signal.signal(signal.SIGCHLD, before)
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch('error: ' + SAID + re.escape(dataset.path(3)), last)


def test_repeats_are_augmented_apart_and_decoded_once(data):
    class Count:
        calls = 0

        def __call__(self, results):
            self.calls += 1
            return results

    count = Count()
    crop = dict(type='RandomResizedCrop', area_range=(0.1, 0.5))
    erase = dict(type='RandomErasing', erase_prob=1.0, mode='rand')
    resize = dict(type='Resize', scale=(16, 16), keep_ratio=False)
    steps = [count, *PIPELINE[:3], erase, crop, resize, *PIPELINE[3:]]
    views = videos(data[0], pipeline=steps, num_repeats=3)[0]
    assert len(views) == 3 and count.calls == 1
    frames = [view['inputs'] for view in views]
    assert not torch.equal(frames[0], frames[1]) and not torch.equal(frames[1], frames[2])
    assert len({view['data_samples'].gt_label.item() for view in views}) == 1
    # Writing into one view's frames leaves the others alone.
    np.random.seed(0)
    still = videos(data[0], num_repeats=2)[0]
    np.random.seed(0)
    plain = videos(data[0])[0]
    assert all(torch.equal(view['inputs'], plain['inputs']) for view in still)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(max_failed_share=2), 'max_failed_share must be 0 to 1, got 2'),
        (dict(num_repeats=0), 'num_repeats must be an integer of 1 or more, got 0'),
        (dict(num_repeats=2, test_mode=True), 'num_repeats is for training, got 2 in test mode'),
        (
            dict(left_right=True, pipeline=[dict(type='Flip')]),
            'say left and right, so Flip needs a flip_label_map',
        ),
    ],
)
def test_refuses(data, options, message):
    with pytest.raises(ValueError, match=message):
        videos(data[0], **options)


def test_left_right_takes_a_flip_with_its_map(data):
    flip = dict(type='Flip', flip_label_map={0: 1, 1: 0})
    assert len(videos(data[0], left_right=True, pipeline=[*PIPELINE[:3], flip])) == CLIPS
    never = dict(type='Flip', flip_ratio=0.0)
    assert len(videos(data[0], left_right=True, pipeline=[*PIPELINE[:3], never])) == CLIPS
