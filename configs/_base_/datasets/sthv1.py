# Something-Something V1: folders of JPEG frames. No flip: left and right are labels.
data_root = 'data/sthv1'
num_classes = 174
# Mirrored, one is the other: for Flip(flip_label_map=...), without which it is refused.
flip_label_map = {2: 4, 4: 2, 30: 41, 41: 30, 52: 66, 66: 52}

train_pipeline = [
    dict(type='UniformSample', clip_len=16),
    dict(type='CheckedRawFrameDecode'),
    dict(type='RandAugment', magnitude=7, num_layers=4, magnitude_std=0.5),
    dict(type='RandomResizedCrop', area_range=(0.08, 1.0), aspect_ratio_range=(3 / 4, 4 / 3)),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
    dict(type='NoiseErasing', erase_prob=0.25),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
val_pipeline = [
    dict(type='UniformSample', clip_len=16, num_clips=1, test_mode=True),
    dict(type='CheckedRawFrameDecode'),
    dict(type='Resize', scale=(-1, 224)),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='UniformSample', clip_len=16, num_clips=1, test_mode=True),
    dict(type='CheckedRawFrameDecode'),
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
        type='CheckedRawframeDataset',
        data_root=data_root,
        ann_file='sthv1_train_list_rawframes.txt',
        data_prefix=dict(img='rawframes'),
        num_classes=num_classes,
        left_right=True,
        filename_tmpl='{:05}.jpg',
        start_index=1,
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
        type='CheckedRawframeDataset',
        data_root=data_root,
        ann_file='sthv1_val_list_rawframes.txt',
        data_prefix=dict(img='rawframes'),
        num_classes=num_classes,
        left_right=True,
        filename_tmpl='{:05}.jpg',
        start_index=1,
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
        type='CheckedRawframeDataset',
        data_root=data_root,
        ann_file='sthv1_val_list_rawframes.txt',
        data_prefix=dict(img='rawframes'),
        num_classes=num_classes,
        left_right=True,
        filename_tmpl='{:05}.jpg',
        start_index=1,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type='CheckedAccMetric')
test_evaluator = val_evaluator
