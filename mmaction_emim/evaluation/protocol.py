"""What a config says of itself: its data, its test's views and how their scores are averaged."""

import re

from mmengine.config import Config

from mmaction_emim.apis.complexity import complexity, frame_size, input_shape

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
ATA = 'AlignmentGuidedTemporalAttention'  # its path depends on values


def data_name(cfg: Config) -> str:
    """The dataset that is tested; the list's name where it is none of :data:`DATA`."""
    dataset = cfg.test_dataloader.dataset
    place = f'{dataset.get("data_root") or ""}/{dataset.ann_file}'
    return next((name for key, name in DATA.items() if re.search(key, place)), place)


def test_views(cfg: Config) -> tuple[int, int]:
    """(clips, crops) of a video in the test; a Recognizer2D's ``num_clips`` make one clip."""
    clips = crops = 1
    for step in cfg.test_dataloader.dataset.pipeline:
        if 'clip_len' in step:
            clips = 1 if cfg.model.type == 'Recognizer2D' else step.get('num_clips', 1)
            clips *= 2 if step.get('twice_sample') else 1
        crops *= CROPS.get(step.type, 1)
    return clips, crops


def averaging(cfg: Config) -> str:
    """How the scores of a video's views become one."""
    return AVERAGING[cfg.model.cls_head.get('average_clips')]


def cost(cfg: Config) -> tuple[int, int]:
    """(parameters, multiply-accumulates of one view), as :func:`complexity` counts."""
    value_dependent = cfg.model.backbone.get('motion', {}).get('type') == ATA
    return complexity(cfg.model, input_shape(cfg), run=value_dependent)


def describe_test(cfg: Config) -> str:
    """One line for the log of a test."""
    clips, crops = test_views(cfg)
    T, H, W = input_shape(cfg)
    view = f'{T} x {H} x {W}' if frame_size(cfg) else f'{T} whole frames'
    return (
        f'test on {data_name(cfg)}: {clips} x {crops} views (clips x crops) of {view}; '
        f'{averaging(cfg)} (model.cls_head.average_clips)'
    )
