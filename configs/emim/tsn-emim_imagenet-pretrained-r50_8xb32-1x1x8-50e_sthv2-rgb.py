# EMIM in every other residual block of stage 3 of TSN-R50.
_base_ = 'mmaction::recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x8-50e_sthv2-rgb.py'
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
        num_segments=8,
    )
)
# EMIM pairs neighbouring frames of a clip: tests sample as many as num_segments, not 25.
test_pipeline = _base_.test_pipeline
test_pipeline[1]['num_clips'] = 8
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
