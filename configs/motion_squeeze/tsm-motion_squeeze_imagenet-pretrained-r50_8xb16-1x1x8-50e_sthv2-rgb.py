# MotionSqueeze in TSM-R50, where features are 28 x 28: before the first convolution of stage 3, the
# paper's place as near as a residual branch in a block comes. The schedule is TSM's.
_base_ = 'mmaction::recognition/tsm/tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv2-rgb.py'
custom_imports = dict(imports=['mmaction_emim'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='MotionBackbone',
        backbone=_base_.model.backbone,
        motion=dict(type='MotionSqueeze'),
        mode='insert',
        layers='layer3.0.*',
    )
)
