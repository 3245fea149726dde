# StructSA in the released UniFormer-S, in place of all attention of stages 3 and 4: the paper's
# StructViT-S-4-1, but for its stem and its convolutions of keys and values channel by channel.
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
        motion=dict(type='StructuralSelfAttention'),
        mode='replace',
        alternation='L',
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
