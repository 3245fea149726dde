# EMIM before every other block of VideoMAE's ViT-B; its joint attention stays.
_base_ = [
    'mmaction::recognition/videomae/vit-base-p16_videomae-k400-pre_16x4x1_kinetics-400.py',
    '../_base_/datasets/kinetics400_train_val.py',
    '../_base_/schedules/adamw_30e.py',
]
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
