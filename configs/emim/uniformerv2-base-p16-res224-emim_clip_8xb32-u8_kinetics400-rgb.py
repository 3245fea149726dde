# EMIM before every other block of UniFormerV2-B; CLIP's own attention stays.
_base_ = (
    'mmaction::recognition/uniformerv2/uniformerv2-base-p16-res224_clip_8xb32-u8_kinetics400-rgb.py'
)
custom_imports = dict(imports=['mmaction_emim'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='MotionBackbone',
        backbone=_base_.model.backbone,
        motion=dict(type='EMIMAttention', window=7),
        mode='insert',
    )
)

# pytorchvideo, which upstream's RandAugment comes from, does not run on today's torch.
train_pipeline = [
    dict(type='RandAugment', magnitude=7, num_layers=4)
    if step.type == 'PytorchVideoWrapper'
    else step
    for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
