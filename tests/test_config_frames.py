"""The pipelines of every shipped config hand out the frames that they sampled, of hard clips."""

import pytest
from mmengine.registry import TRANSFORMS, init_default_scope

from .configs import PATHS, config, path_id
from .datasets.numbered_clips import KINDS, shown

HARD = (
    'H.264, edit list',
    'HEVC, open GOP, mp4',
    'HEVC, open GOP, mkv',
    'MPEG-4, B-frames, avi',
    'H.264, avi',
    'H.264, ts',
)


def is_kind(step, kind):
    return step['type'].endswith(kind)


def openings(path):
    """The steps up to decoding of each loader of a config that reads videos."""
    for split in ('train', 'val', 'test'):
        dataset = config(path).get(f'{split}_dataloader', {}).get('dataset', {})
        pipeline = dataset.get('pipeline', ())
        if any(is_kind(step, 'Init') for step in pipeline):
            decodes = next(i for i, step in enumerate(pipeline) if is_kind(step, 'Decode'))
            yield [{**step, 'type': str(step['type'])} for step in pipeline[: decodes + 1]]


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """A clip of each kind, by its path, and the numbers that its frames show."""
    folder, made = tmp_path_factory.mktemp('clips'), {}
    for i, kind in enumerate(HARD):
        path = folder / f'{i}{KINDS[kind].suffix}'
        KINDS[kind].make(path)
        made[path] = KINDS[kind].numbers
    return made


@pytest.fixture(scope='module')
def seen():
    """What configs before had: most have the same."""
    return set()


@pytest.mark.parametrize('path', PATHS, ids=path_id)
def test_frames_are_those_that_were_sampled(path, clips, seen):
    init_default_scope('mmaction')
    for steps in openings(path):
        if repr(steps) in seen:
            continue
        seen.add(repr(steps))
        steps = [TRANSFORMS.build(step) for step in steps]
        for clip, numbers in clips.items():
            results = dict(filename=str(clip), start_index=0, modality='RGB', label=0)
            for step in steps:
                results = step(results)
            assert results['total_frames'] == len(numbers)
            wanted = [numbers[i] for i in results['frame_inds']]
            assert [shown(img) for img in results['imgs']] == wanted, clip.suffix


def test_most_configs_read_videos():
    assert sum(any(openings(path)) for path in PATHS) > len(PATHS) / 2
