# EMIM in every other residual block of stage 3 of C2D-R50.
_base_ = 'mmaction::recognition/c2d/c2d_r50-in1k-pre_8xb32-8x8x1-100e_kinetics400-rgb.py'
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
