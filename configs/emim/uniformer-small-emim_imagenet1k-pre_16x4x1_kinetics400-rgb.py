# EMIM in the released UniFormer-S, every other block of stages 3 and 4. EMIMUniFormer also keeps
# every frame at the stem; this stays with UniFormer's stride of 2, as its weights expect.
_base_ = [
    'mmaction::recognition/uniformer/uniformer-small_imagenet1k-pre_16x4x1_kinetics400-rgb.py',
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
        mode='replace',
    )
)
# The clips of the other loaders; upstream's test has a folder and a list of its own.
test_dataloader = dict(
    dataset=dict(
        ann_file=_base_.file_lists['val'],
        data_prefix=dict(video='data/kinetics400/videos_val'),
        delimiter=' ',
    )
)
