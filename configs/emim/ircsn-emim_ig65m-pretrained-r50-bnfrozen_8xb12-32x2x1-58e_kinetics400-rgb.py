# EMIM in every other residual block of stage 3 of ir-CSN-50.
_base_ = 'mmaction::recognition/csn/ircsn_ig65m-pretrained-r50-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb.py'
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
