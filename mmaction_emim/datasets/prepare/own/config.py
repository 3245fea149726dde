"""The text of a config for the clips that were found: one screen, each number with its reason."""

from .settings import Settings

_TEXT = """\
# {title}
# Written by tools/data/own/prepare.py; yours to change. docs/own_data.md says what is worth trying.
_base_ = [
    '{configs}/_base_/models/emim_uniformer_small{several}.py',
    '{configs}/_base_/datasets/own{several}.py',
    '{configs}/_base_/schedules/adamw.py',
    '{configs}/_base_/default_runtime.py',
]

data_root = {data_root!r}  # the lists
videos = {videos!r}  # what their paths are relative to; '' is data_root
num_classes = {num_classes}  # label_map.txt
clip_len = {s.clip_len}  # {s.why[clip_len]}
size = {s.size}  # {s.why[size]}

# {s.why[sample]}
train_pipeline = [
    _base_.open_video,
    dict({sample}),
    _base_.decode_video,
    dict(type='RandomResizedCrop', area_range=(0.4, 1.0)),
    dict(type='Resize', scale=(size, size), keep_ratio=False),
{flip}
    *_base_.pack,
]
val_pipeline = test_pipeline = [
    _base_.open_video,
    dict({sample}{views}, test_mode=True),
    _base_.decode_video,
    dict(type='Resize', scale=(-1, size)),
    dict(type='CenterCrop', crop_size=size),
    *_base_.pack,
]
__clips = dict(data_root=data_root, data_prefix=dict(video=videos), num_classes=num_classes)
train_dataloader = dict(
    batch_size={s.batch_size},  # {s.why[batch_size]}
    dataset=dict(**__clips, pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(**__clips, ann_file={val!r}, pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(**__clips, ann_file={test!r}, pipeline=test_pipeline))

{model}
max_epochs = {s.max_epochs}  # {s.why[max_epochs]}
train_cfg = dict(max_epochs=max_epochs, val_interval={every})
default_hooks = dict(checkpoint=dict(interval={every}))
optim_wrapper = dict(optimizer=dict(lr={s.lr}), clip_grad=dict(max_norm=5.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end={warmup}, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio=0.01,
        begin={warmup},
        end=max_epochs,
        T_max=max_epochs - {warmup},
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size={s.batch_size})
"""
_SMALL = """\
model = dict(
    backbone=dict(
        drop_path_rate=0.1,
        # Weights of UniFormer-S for Kinetics-400: the first training downloads them.
        init_cfg=dict(type='Pretrained', checkpoint=_base_.uniformer_weights.small_k400),
    ),
    cls_head=dict(num_classes=num_classes{smooth}),
)
"""
_TINY = """\
# From scratch, and small enough for a CPU.
model = dict(
    backbone=dict(
        arch='tiny',
        drop_path_rate=0.0,
        spatial_stride=2,
        init_cfg=dict(type='Kaiming', layer='Linear', mode='fan_in', nonlinearity='linear'),
        match_init=True,
        channels_last=True,
    ),
    cls_head=dict(num_classes=num_classes, in_channels=64{smooth}),
)
"""
VIEWS = 4  # of a clip that one view does not cover, in tests


def config_text(
    title: str,
    configs: str,
    data_root: str,
    videos: str,
    num_classes: int,
    settings: Settings,
    network: str,
    held_out: tuple[str, str],
    several: bool = False,
) -> str:
    """The text of the config.

    Args:
        title: Its first line.
        configs: Folder of the project's configs, from where the file is.
        data_root: Folder of the lists.
        videos: Folder that the lists' paths are relative to; ``''``: ``data_root``.
        num_classes: Number of classes.
        settings: What :func:`.choose` gave.
        network: ``'small'`` or ``'tiny'``.
        held_out: Lists to validate and to test on.
        several: Whether clips have several labels. Default: False.
    """
    sample = "type='UniformSample', clip_len=clip_len"
    if settings.span:
        interval = settings.span // settings.clip_len
        sample = f"type='SampleSpan', clip_len=clip_len, frame_interval={interval}"
    flip = f'    # {settings.why["flip"]}'
    if settings.flip:
        flip = f"    dict(type='Flip', flip_ratio=0.5),  # {settings.why['flip']}"
    model = _SMALL if network == 'small' else _TINY
    return _TEXT.format(
        title=title,
        configs=configs,
        data_root=data_root,
        videos=videos,
        num_classes=num_classes,
        s=settings,
        sample=sample,
        views=f', num_clips={VIEWS}' if settings.span else '',
        flip=flip,
        val=held_out[0],
        test=held_out[1],
        model=model.format(smooth='' if several else ', label_smooth_eps=0.1'),
        several='_multi_label' if several else '',
        every=max(1, settings.max_epochs // 10),
        warmup=max(1, settings.max_epochs // 10),
    )
