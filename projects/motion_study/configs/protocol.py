# What all arms of the study share: data, batch, optimizer. study.py adds the
# arm, the data set, and the steps.
_base_ = [
    '../../../configs/_base_/schedules/adamw.py',
    '../../../configs/_base_/default_runtime.py',
]

# Found from the repository's root, which must be on PYTHONPATH.
custom_imports = dict(
    imports=['mmaction_emim', 'projects.motion_study.models'], allow_failed_imports=False
)

train_pipeline = [
    dict(type='CheckedDecordInit'),
    dict(type='SampleFrames', clip_len=8, frame_interval=3),
    dict(type='FrameOrder', order='forward'),
    dict(type='DecordDecode'),
    dict(type='Resize', scale=(64, 64), keep_ratio=False),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='CheckedDecordInit'),
    dict(type='SampleFrames', clip_len=8, frame_interval=3, test_mode=True),
    dict(type='FrameOrder', order='forward'),
    dict(type='DecordDecode'),
    dict(type='Resize', scale=(64, 64), keep_ratio=False),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CheckedVideoDataset',
        data_root='data/motion_shapes',
        ann_file='train.txt',
        num_classes=12,
        pipeline=train_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CheckedVideoDataset',
        data_root='data/motion_shapes',
        ann_file='test.txt',
        num_classes=12,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_evaluator = dict(type='CheckedAccMetric')
val_dataloader = val_evaluator = val_cfg = None  # arms are tested once, after the last step

train_cfg = dict(max_epochs=9)
optim_wrapper = dict(optimizer=dict(lr=1e-3), clip_grad=dict(max_norm=5.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=113),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=False, begin=113, end=1017, T_max=904),
]
default_hooks = dict(checkpoint=dict(interval=3, save_best=None, max_keep_ckpts=1))
