# EMIM in every other residual block of stage 3 of TANet-R50.
_base_ = 'mmaction::recognition/tanet/tanet_imagenet-pretrained-r50_8xb8-1x1x8-50e_sthv1-rgb.py'
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

# Upstream's constructor for TSM refuses the LayerNorm of EMIM.
optim_wrapper = dict(constructor='DefaultOptimWrapperConstructor', paramwise_cfg=None)
