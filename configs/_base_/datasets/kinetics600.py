# Kinetics-600: mp4 clips.
data_root = 'data/kinetics600'
num_classes = 600

train_pipeline = [
    dict(type='CheckedDecordInit'),
    dict(
        type='SampleSpan',
        clip_len=16,
        frame_interval=4,
        num_clips=1,
    ),
    dict(type='DecordDecode'),
    dict(type='RandAugment', magnitude=7, num_layers=4, magnitude_std=0.5),
    dict(type='RandomResizedCrop', area_range=(0.08, 1.0), aspect_ratio_range=(3 / 4, 4 / 3)),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='NoiseErasing', erase_prob=0.25),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
val_pipeline = [
    dict(type='CheckedDecordInit'),
    dict(
        type='SampleSpan',
        clip_len=16,
        frame_interval=4,
        num_clips=1,
        test_mode=True,
    ),
    dict(type='DecordDecode'),
    dict(type='Resize', scale=(-1, 224)),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='CheckedDecordInit'),
    dict(
        type='SampleSpan',
        clip_len=16,
        frame_interval=4,
        num_clips=4,
        test_mode=True,
    ),
    dict(type='DecordDecode'),
    dict(type='Resize', scale=(-1, 224)),
    dict(type='ThreeCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]

train_dataloader = dict(
    batch_size=4,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='repeat_pseudo_collate'),  # batch_size counts videos
    dataset=dict(
        type='CheckedVideoDataset',
        data_root=data_root,
        ann_file='kinetics600_train_list_videos.txt',
        data_prefix=dict(video='videos_train'),
        num_classes=num_classes,
        num_repeats=2,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CheckedVideoDataset',
        data_root=data_root,
        ann_file='kinetics600_val_list_videos.txt',
        data_prefix=dict(video='videos_val'),
        num_classes=num_classes,
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CheckedVideoDataset',
        data_root=data_root,
        ann_file='kinetics600_val_list_videos.txt',
        data_prefix=dict(video='videos_val'),
        num_classes=num_classes,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type='CheckedAccMetric')
test_evaluator = val_evaluator
