# M2A before every residual block of TSN-R18, the authors' recipe. The crops are TSN's.
_base_ = [
    'mmaction::_base_/models/tsn_r50.py',
    '../_base_/datasets/sthv1_segments.py',
    '../_base_/schedules/sgd_m2a_30e.py',
    '../_base_/default_runtime.py',
]
custom_imports = dict(imports=['mmaction_emim'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='MotionBackbone',
        backbone=dict(
            type='ResNet',
            pretrained='https://download.pytorch.org/models/resnet18-f37072fd.pth',
            depth=18,
            norm_eval=False,
        ),
        motion=dict(type='MotionAwareAttention'),
        mode='insert',
        alternation='L',
        zero_init=False,
        num_segments=8,
    ),
    cls_head=dict(num_classes=174, in_channels=512, dropout_ratio=0.5),
)
