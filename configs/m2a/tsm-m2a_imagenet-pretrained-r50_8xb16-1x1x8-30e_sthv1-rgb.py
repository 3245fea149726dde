# M2A, then the shift, before every residual block of TSM-R50, the recipe of the authors' R18.
_base_ = [
    'mmaction::_base_/models/tsm_r50.py',
    '../_base_/datasets/sthv1_segments.py',
    '../_base_/schedules/sgd_m2a_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='MotionBackbone',
        backbone=_base_.model.backbone,
        motion=dict(type='MotionAwareAttention'),
        mode='insert',
        alternation='L',
        zero_init=False,
    ),
    cls_head=dict(num_classes=174, dropout_ratio=0.5),
)
