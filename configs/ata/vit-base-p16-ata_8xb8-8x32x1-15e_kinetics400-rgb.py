# ATA before every block of an image ViT-B that sees single frames.
_base_ = (
    'mmaction::recognition/timesformer/timesformer_spaceOnly_8xb8-8x32x1-15e_kinetics400-rgb.py'
)
custom_imports = dict(imports=['mmaction_emim'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='MotionBackbone',
        backbone=_base_.model.backbone,
        motion=dict(type='AlignmentGuidedTemporalAttention'),
        mode='insert',
        alternation='L',
    )
)
