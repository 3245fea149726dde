"""What a config says of itself: its data, its test's views and how their scores are averaged."""

import re
from collections.abc import Iterator

from mmengine.config import Config

DATA = {
    'sthv1': 'Something-Something V1',
    'sthv2': 'Something-Something V2',
    'kinetics-?400|k400': 'Kinetics-400',
    'kinetics-?600|k600': 'Kinetics-600',
    'diving48': 'Diving48',
    'motion_shapes': 'MotionShapes',
}
CROPS = {'ThreeCrop': 3, 'TenCrop': 10}
AVERAGING = {
    'score': 'raw scores are averaged',
    'prob': 'probabilities are averaged',
    None: 'scores are not averaged',
}


def tested_datasets(cfg: Config) -> list[dict]:
    """Configs of the datasets that are tested: those inside of ``ConcatDataset`` and the like.

    Raises:
        ValueError: The config has no ``test_dataloader``.
    """
    if not cfg.get('test_dataloader'):
        raise ValueError(f'{cfg.filename}: test_dataloader: the config has none')
    return list(_inside(cfg.test_dataloader.dataset))


def _inside(dataset: dict) -> Iterator[dict]:
    inner = [*dataset.get('datasets', ()), *filter(None, [dataset.get('dataset')])]
    if not inner:
        yield dataset
    for each in inner:
        yield from _inside(each)


def data_name(cfg: Config) -> str:
    """The dataset that is tested; the list's name where it is none that we know."""
    return ' and '.join(dict.fromkeys(map(_name, tested_datasets(cfg))))


def _name(dataset: dict) -> str:
    if not dataset.get('ann_file'):
        return _type(dataset)
    place = f'{dataset.get("data_root") or ""}/{dataset.ann_file}'
    return next((name for key, name in DATA.items() if re.search(key, place)), place)


def _type(config: dict) -> str:
    kind = config['type']  # a class in MMEngine's pure Python configs
    return kind if isinstance(kind, str) else kind.__name__


def test_pipeline(cfg: Config) -> list[dict]:
    """The transforms of a test; of several datasets the first one's."""
    return tested_datasets(cfg)[0].get('pipeline') or []


def input_shape(cfg: Config) -> tuple[int, int, int]:
    """(T, H, W) of one view, from the config's test pipeline; 224 x 224 where it says no size.

    Raises:
        ValueError: No step of the pipeline says how many frames a clip has, or not in one number.
    """
    T = 0
    for step in test_pipeline(cfg):
        clip_len = step.get('clip_len', 0)
        if not isinstance(clip_len, int):  # of several modalities
            raise ValueError(f'test_pipeline: clip_len must be an integer, got {clip_len}')
        T = T or clip_len * (step.get('num_clips', 1) if is_2d(cfg.model) else 1)
    if not T:
        raise ValueError('test_pipeline: no step has clip_len; give --shape')
    return T, *(frame_size(cfg) or (224, 224))


def frame_size(cfg: Config) -> tuple[int, int] | None:
    """(H, W) that the config's test pipeline gives to all clips; None: as they are."""
    size = None
    for step in test_pipeline(cfg):
        if _type(step) == 'Resize' and not step.get('keep_ratio', True):
            size = step.scale[1], step.scale[0]
        if 'crop_size' in step:
            crop = step.crop_size  # MMAction2's pair is (W, H)
            size = (crop, crop) if isinstance(crop, int) else (crop[1], crop[0])
    return size


def keeps_size(cfg: Config) -> bool:
    """Whether the config's test pipeline neither scales nor crops: frames are as large as clips."""
    steps = test_pipeline(cfg)
    return frame_size(cfg) is None and not any('Resize' in _type(step) for step in steps)


def is_2d(model_cfg: dict) -> bool:
    """Whether the recognizer's network takes single frames: ``num_clips`` make one clip."""
    return _type(model_cfg).endswith('Recognizer2D')


def test_views(cfg: Config) -> tuple[int, int]:
    """(clips, crops) of a video in the test; a Recognizer2D's ``num_clips`` make one clip."""
    return pipeline_views(test_pipeline(cfg), is_2d(cfg.model))


def pipeline_views(pipeline: list[dict], single_frames: bool) -> tuple[int, int]:
    """(clips, crops) that a pipeline makes of a video.

    Args:
        pipeline: Configs of its steps.
        single_frames: Whether they are for a network on single frames, :func:`is_2d`.
    """
    clips = crops = 1
    for step in pipeline:
        if 'clip_len' in step:
            clips = 1 if single_frames else step.get('num_clips', 1)
            clips *= 2 if step.get('twice_sample') else 1
        crops *= CROPS.get(_type(step), 1)
    return clips, crops


def check_views(cfg: Config) -> None:
    """Refuse that a neck takes the views of a clip for one clip.

    ``Recognizer2D`` hands a neck all views in a row: EMIM would compare the last frame of one with
    the first of the next.

    Raises:
        ValueError: An ``EMIMNeck`` is not told the frames of a view where a test shows several.
    """
    neck = cfg.model.get('neck')
    if not neck or _type(neck) != 'EMIMNeck' or neck.get('num_segments') or not is_2d(cfg.model):
        return
    clips, crops = test_views(cfg)
    if clips * crops > 1:
        raise ValueError(
            f'{cfg.filename}: model.neck.num_segments must be the frames of a view, since '
            f'the test shows {clips * crops} views of a clip, got None'
        )


def averaging(cfg: Config) -> str:
    """How the scores of a video's views become one."""
    return AVERAGING[cfg.model.cls_head.get('average_clips')]


def describe_test(cfg: Config) -> str:
    """One line for the log of a test: as much of this as the config says."""
    said = f'test on {data_name(cfg)}'
    try:
        T, H, W = input_shape(cfg)
    except ValueError:  # features, or several modalities
        pass
    else:
        clips, crops = test_views(cfg)
        view = f'{T} x {H} x {W}' if frame_size(cfg) else f'{T} whole frames'
        said += f': {clips} x {crops} views (clips x crops) of {view}'
    if 'cls_head' in cfg.model:
        said += f'; {averaging(cfg)} (model.cls_head.average_clips)'
    return said
