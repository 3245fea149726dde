# EMIM in every other residual block of stage 3 of R(2+1)D-34.
_base_ = 'mmaction::recognition/r2plus1d/r2plus1d_r34_8xb8-8x8x1-180e_kinetics400-rgb.py'
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
