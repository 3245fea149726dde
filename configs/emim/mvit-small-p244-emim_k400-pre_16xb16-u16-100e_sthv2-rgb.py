# EMIM for every other attention of stage 3 of MViTv2-S, where no query is pooled.
_base_ = 'mmaction::recognition/mvit/mvit-small-p244_k400-pre_16xb16-u16-100e_sthv2-rgb.py'
custom_imports = dict(imports=['mmaction_emim'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='MotionBackbone',
        backbone=_base_.model.backbone,
        motion=dict(type='EMIMAttention', window=7),
        mode='replace',
        stages=[3],
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
