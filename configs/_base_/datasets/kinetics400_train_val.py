# Kinetics-400 for upstream configs that bring a test part only.
_base_ = 'video_reader.py'

num_classes = 400
clip_len, frame_interval = 16, 4
file_lists = dict(
    train='data/kinetics400/kinetics400_train_list_videos.txt',
    val='data/kinetics400/kinetics400_val_list_videos.txt',
)

__sample = dict(type='SampleFrames', clip_len=clip_len, frame_interval=frame_interval)
__pack = [dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs')]
train_pipeline = [
    _base_.open_video,
    __sample,
    _base_.decode_video,
    dict(type='RandomResizedCrop'),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
    dict(type='Flip', flip_ratio=0.5),
    *__pack,
]
val_pipeline = [
    _base_.open_video,
    dict(**__sample, test_mode=True),
    _base_.decode_video,
    dict(type='Resize', scale=(-1, 224)),
    dict(type='CenterCrop', crop_size=224),
    *__pack,
]

train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CheckedVideoDataset',
        ann_file=file_lists['train'],
        data_prefix=dict(video='data/kinetics400/videos_train'),
        num_classes=num_classes,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CheckedVideoDataset',
        ann_file=file_lists['val'],
        data_prefix=dict(video='data/kinetics400/videos_val'),
        num_classes=num_classes,
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type='CheckedAccMetric')
