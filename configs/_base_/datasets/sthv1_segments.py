# Something-Something V1 for 2-D networks: 8 frames, one a segment; one centre crop in tests.
# No flip: left and right are labels.
data_root = 'data/sthv1'
num_classes = 174
# Mirrored, one is the other: for Flip(flip_label_map=...), without which it is refused.
flip_label_map = {2: 4, 4: 2, 30: 41, 41: 30, 52: 66, 66: 52}

train_pipeline = [
    dict(type='SampleFrames', clip_len=1, frame_interval=1, num_clips=8),
    dict(type='CheckedRawFrameDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(
        type='MultiScaleCrop',
        input_size=224,
        scales=(1, 0.875, 0.75, 0.66),
        random_crop=False,
        max_wh_scale_gap=1,
    ),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='SampleFrames', clip_len=1, frame_interval=1, num_clips=8, test_mode=True),
    dict(type='CheckedRawFrameDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='PackActionInputs'),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CheckedRawframeDataset',
        data_root=data_root,
        ann_file='sthv1_train_list_rawframes.txt',
        data_prefix=dict(img='rawframes'),
        num_classes=num_classes,
        left_right=True,
        filename_tmpl='{:05}.jpg',
        start_index=1,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
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
test_dataloader = val_dataloader
val_evaluator = dict(type='CheckedAccMetric')
test_evaluator = val_evaluator
