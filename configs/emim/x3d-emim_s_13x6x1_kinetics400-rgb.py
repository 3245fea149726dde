# EMIM in every other residual block of stage 3 of X3D-S.
_base_ = [
    'mmaction::recognition/x3d/x3d_s_13x6x1_facebook-kinetics400-rgb.py',
    '../_base_/schedules/finetune_kinetics400.py',
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
train_pipeline = [
    dict(type='DecordInit'),
    dict(type='SampleFrames', clip_len=13, frame_interval=6, target_fps=30),
    dict(type='DecordDecode'),
    dict(type='RandomResizedCrop'),
    dict(type='Resize', scale=(160, 160), keep_ratio=False),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
