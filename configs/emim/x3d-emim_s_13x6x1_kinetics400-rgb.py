# EMIM in every other residual block of stage 3 of X3D-S.
_base_ = [
    'mmaction::recognition/x3d/x3d_s_13x6x1_facebook-kinetics400-rgb.py',
    '../_base_/datasets/kinetics400_train_val.py',
    '../_base_/schedules/adamw_30e.py',
]
custom_imports = dict(imports=['mmaction_emim'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='MotionBackbone',
        backbone=_base_.model.backbone,
        motion=dict(type='EMIMAttention', window=7),
        mode='insert',
        stages=[3],
    )
)

# X3D-S's own frames and sizes.
clip_len, frame_interval = 13, 6
__sample = dict(
    type='SampleFrames', clip_len=clip_len, frame_interval=frame_interval, target_fps=30
)
train_pipeline = [
    _base_.open_video,
    __sample,
    _base_.decode_video,
    dict(type='RandomResizedCrop'),
    dict(type='Resize', scale=(160, 160), keep_ratio=False),
    *_base_.train_pipeline[5:],
]
val_pipeline = [
    _base_.open_video,
    dict(**__sample, test_mode=True),
    _base_.decode_video,
    dict(type='Resize', scale=(-1, 182)),
    dict(type='CenterCrop', crop_size=182),
    *_base_.val_pipeline[5:],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
