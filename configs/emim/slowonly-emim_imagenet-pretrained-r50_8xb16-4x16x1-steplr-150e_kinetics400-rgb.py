# EMIM in every other residual block of stage 3 of SlowOnly-R50.
_base_ = 'mmaction::recognition/slowonly/slowonly_imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e_kinetics400-rgb.py'
custom_imports = dict(imports=['mmaction_emim'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='MotionBackbone',
        backbone=_base_.model.backbone,
        motion=dict(type='EMIMAttention', window=7),
        mode='insert',
        before='conv2',
        stages=[3],
    )
)
